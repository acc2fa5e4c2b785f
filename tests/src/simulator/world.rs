//! The world of one run: time, what is yet to happen, who is there, and who judges.
//!
//! [`authority`] is an honest one; `network` carries messages; `clients` give transactions;
//! `governing` changes the committee; `breaking` does what the plan says; `ending` holds what must be
//! true at the end.

mod acting;
pub mod authority;
mod breaking;
mod clients;
mod ending;
mod governing;
mod network;
mod talking;

use super::{Outcome, plan::Plan, random::Random, tally::Tally, trace::Trace};
use crate::{adversary::Liar, oracle::Oracle};
use authority::Authority;
use clients::Clients;
use kerbholz_client::{
    consensus::{
        AuthorityIndex, Block, BlockRef, Committee, CommitteeConfig, PublicKey, Timer,
        UnverifiedBlock,
    },
    ledger::{
        genesis::{
            Accounting, GENESIS_VERSION, Genesis, GenesisAuthority, GenesisCurrency, GenesisMember,
        },
        keys::Keypair,
        quantity::Timestamp,
    },
};
use kerbholz_node::{fetch::FetchRequest, replica::Hello};
use network::{Network, Session};
use std::collections::BTreeMap;

/// The wall clock at the start of every run, in milliseconds since 1970.
pub const EPOCH_MS: u64 = 1_790_000_000_000;

/// A message from one node to another, or a part of a stream.
#[derive(Clone, Debug)]
pub enum Message {
    /// The receiver of a stream says where it is, and from where to go on.
    Hello(Hello),
    /// A block in a stream.
    Block(Block),
    /// Bytes in a stream that should be a block.
    Frame(Vec<u8>),
    /// A question, by its number.
    Ask(u64, FetchRequest),
    /// The answer to the question of this number, as bytes.
    Answer(u64, Vec<u8>),
}

/// What is yet to happen.
#[derive(Clone, Debug)]
enum Happening {
    /// A message arrives, if its connection still stands.
    Arrive { from: usize, to: usize, session: Session, message: Message },
    /// An authority has checked it and takes it in.
    Process { from: usize, to: usize, life: u64, message: Message },
    /// A stream was opened: its receiver says hello.
    Greet { from: usize, to: usize, session: Session },
    /// Two try to connect.
    Connect { one: usize, other: usize },
    /// A connection breaks, if it is still that one.
    Disconnect { one: usize, other: usize, session: Session },
    /// A question ends without an answer, if it has none yet.
    GiveUp { number: u64 },
    /// A timer of an authority fires.
    Timer { node: usize, life: u64, timer: Timer, at_ms: u64 },
    /// An executor works.
    Execute { node: usize, life: u64 },
    /// A liar looks around.
    Lie { node: usize },
    /// The authorities vote for another committee.
    Vote { number: usize },
    /// The plan breaks something.
    Break { number: usize },
    /// Power returns.
    Restart { node: usize, life: u64 },
    /// Clients give a transaction.
    Load,
    /// Clients look after those whose node lost them.
    Resubmit { number: usize },
    /// The network begins to behave.
    Stabilise,
}

/// Whoever takes part.
enum Node {
    Honest(Box<Authority>),
    Liar(Box<Liar>),
}

/// The world.
pub struct World {
    plan: Plan,
    now_ms: u64,
    /// When everybody has checked what had piled up before the network began to behave.
    worked_off_ms: u64,
    sequence: u64,
    queue: BTreeMap<(u64, u64), Happening>,
    random: Random,
    genesis: Genesis,
    keys: Vec<PublicKey>,
    nodes: Vec<Node>,
    network: Network,
    clients: Clients,
    /// Every block that passed its checks once: checking it again would say the same.
    checked: BTreeMap<BlockRef, Block>,
    oracle: Oracle,
    trace: Trace,
    tally: Tally,
}

/// The key of a node: anybody can write it down.
pub fn keypair(kind: u8, number: usize) -> Keypair {
    let mut seed = [kind; 32];
    seed[..8].copy_from_slice(&(number as u64).to_le_bytes());
    Keypair::from_seed(&seed)
}

/// Kind of an authority's key.
pub const AUTHORITY: u8 = 1;
/// Kind of a member's key.
pub const MEMBER: u8 = 2;

fn genesis(plan: &Plan) -> Genesis {
    let authority = |node| GenesisAuthority {
        name: format!("authority-{node}"),
        key: keypair(AUTHORITY, node).public(),
    };
    let bank = keypair(MEMBER, 0).public();
    Genesis {
        version: GENESIS_VERSION,
        name: format!("seed {}", plan.seed),
        created_at: Timestamp::new(EPOCH_MS - 12 * 60 * 60 * 1_000),
        authorities: (0..plan.size).map(authority).collect(),
        organisations: vec![GenesisMember {
            name: "bank".into(),
            owner_key: bank,
            signing_key: bank,
        }],
        publishers: Vec::new(),
        auditors: Vec::new(),
        currencies: vec![GenesisCurrency { code: "EUR".into(), issuer: "bank".into() }],
        accounting: Accounting::default(),
    }
}

/// The committee of the first epoch, which forgets sooner than usual: so that more is forgotten.
fn first_committee(genesis: &Genesis, gc_depth: u16) -> Committee {
    let usual = kerbholz_client::network::committee(genesis).expect("a committee");
    let config = CommitteeConfig { gc_depth, ..usual.config().clone() };
    Committee::new(config).expect("a committee")
}

impl World {
    /// A world as planned, before anything happened.
    pub fn new(plan: Plan, print: bool) -> Self {
        let genesis = genesis(&plan);
        let committee = first_committee(&genesis, plan.gc_depth);
        let key = |node| PublicKey(*keypair(AUTHORITY, node).public().as_bytes());
        let keys: Vec<PublicKey> = (0..plan.size + plan.joiners).map(key).collect();
        let liar =
            |node: &usize| Liar::new(*node, *plan.liars.get(node)?, &committee, &keys, &plan);
        let node = |node| match liar(&node) {
            Some(liar) => Node::Liar(Box::new(liar)),
            None => Node::Honest(Box::new(Authority::new(node, &committee, &plan))),
        };
        let nodes: Vec<Node> = (0..keys.len()).map(node).collect();
        let is_liar = |node: &usize| matches!(nodes[*node], Node::Liar(_));
        let liars: Vec<usize> = (0..nodes.len()).filter(is_liar).collect();
        Self {
            network: Network::new(nodes.len()),
            nodes,
            clients: Clients::new(genesis.network()),
            oracle: Oracle::new(&committee, &keys, &liars),
            random: Random::of(plan.seed, "world"),
            trace: Trace::new(print),
            tally: Tally::default(),
            checked: BTreeMap::new(),
            queue: BTreeMap::new(),
            now_ms: 0,
            worked_off_ms: 0,
            sequence: 0,
            genesis,
            keys,
            plan,
        }
    }

    /// Runs to the end, or to the first violation.
    pub fn run(mut self) -> Outcome {
        self.begin();
        while self.oracle.violations().is_empty()
            && let Some(((at_ms, _), happening)) = self.queue.pop_first()
            && at_ms <= self.plan.end_ms
        {
            self.now_ms = at_ms;
            self.oracle.set_now(at_ms);
            self.happen(happening);
        }
        if self.oracle.violations().is_empty() {
            self.end();
        }
        self.tally.simulated_ms = self.now_ms;
        self.tally.happenings = self.trace.entries();
        for name in self.plan.liars.values() {
            *self.tally.liars.entry(*name).or_default() += 1;
        }
        Outcome {
            seed: self.plan.seed,
            hash: self.trace.hash(),
            tally: self.tally,
            violations: self.oracle.violations().to_vec(),
        }
    }

    fn begin(&mut self) {
        for node in 0..self.nodes.len() {
            self.start(node);
            if matches!(self.nodes[node], Node::Liar(_)) {
                self.at(1, Happening::Lie { node });
            }
        }
        for one in 0..self.nodes.len() {
            for other in one + 1..self.nodes.len() {
                let delay_ms = self.random.between(1, 100);
                self.at(delay_ms, Happening::Connect { one, other });
            }
        }
        for number in 0..self.plan.votes.len() {
            self.at(self.plan.votes[number].0, Happening::Vote { number });
        }
        for number in 0..self.plan.breakages.len() {
            self.at(self.plan.breakages[number].0, Happening::Break { number });
        }
        self.at(self.plan.stable_from_ms, Happening::Stabilise);
        self.at(500, Happening::Load);
        self.at(self.plan.wake_ms, Happening::Load);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrive { from, to, session, message } => {
                self.arrive(from, to, session, message);
            }
            Happening::Process { from, to, life, message } => {
                self.process(from, to, life, message);
            }
            Happening::Greet { from, to, session } => self.greet(from, to, session),
            Happening::Connect { one, other } => self.connect(one, other),
            Happening::Disconnect { one, other, session } => {
                if self.network.session(one, other) == session {
                    self.disconnect(one, other);
                }
            }
            Happening::GiveUp { number } => self.give_up(number),
            Happening::Timer { node, life, timer, at_ms } => self.timer(node, life, timer, at_ms),
            Happening::Execute { node, life } => self.execute(node, life),
            Happening::Lie { node } => self.lie(node),
            Happening::Vote { number } => self.vote(number),
            Happening::Break { number } => self.break_something(number),
            Happening::Restart { node, life } => self.restart(node, life),
            Happening::Load => self.load(),
            Happening::Resubmit { number } => self.resubmit(number),
            Happening::Stabilise => self.stabilise(),
        }
    }

    /// Something happens at a time, after everything already planned for it.
    fn at(&mut self, at_ms: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at_ms.max(self.now_ms), self.sequence), happening);
    }

    /// Something happens after so long.
    fn after(&mut self, ms: u64, happening: Happening) {
        self.at(self.now_ms + ms, happening);
    }

    fn authority(&self, node: usize) -> Option<&Authority> {
        match &self.nodes[node] {
            Node::Honest(authority) => Some(authority),
            Node::Liar(_) => None,
        }
    }

    fn authority_mut(&mut self, node: usize) -> Option<&mut Authority> {
        match &mut self.nodes[node] {
            Node::Honest(authority) => Some(authority),
            Node::Liar(_) => None,
        }
    }

    /// Whether a node is up. Liars always are.
    fn is_up(&self, node: usize) -> bool {
        self.authority(node).is_none_or(|authority| authority.running.is_some())
    }

    fn honest(&self) -> impl Iterator<Item = (usize, &Authority)> {
        self.nodes.iter().enumerate().filter_map(|(node, kind)| match kind {
            Node::Honest(authority) => Some((node, &**authority)),
            Node::Liar(_) => None,
        })
    }

    /// The node that has a key.
    fn node_of(&self, committee: &Committee, authority: AuthorityIndex) -> Option<usize> {
        let key = committee.key(authority)?;
        self.keys.iter().position(|known| *known == key)
    }

    /// Checks bytes as a driver does: once for everybody.
    fn check(&mut self, bytes: &[u8], committee: &Committee) -> Option<Block> {
        let block = UnverifiedBlock::decode(bytes).ok()?;
        let known = self.checked.get(&block.reference());
        if let Some(known) = known.filter(|known| known.bytes() == bytes) {
            return belongs(known, committee).then(|| known.clone());
        }
        let block = block.verify(committee).ok()?;
        self.checked.insert(block.reference(), block.clone());
        Some(block)
    }

    /// A liar looks around, and says what it wants to whom.
    fn lie(&mut self, node: usize) {
        let Node::Liar(liar) = &mut self.nodes[node] else { return };
        let says = liar.act(self.now_ms);
        let pause_ms = liar.pause_ms();
        self.say(node, says);
        self.after(pause_ms, Happening::Lie { node });
    }

    fn say(&mut self, node: usize, says: Vec<crate::adversary::Says>) {
        for said in says {
            if let Message::Block(block) = &said.message {
                self.checked.entry(block.reference()).or_insert_with(|| block.clone());
            }
            self.send_later(node, said.to, said.after_ms, said.message);
        }
    }
}

/// Whether a valid block is one of this committee's.
fn belongs(block: &Block, committee: &Committee) -> bool {
    block.header().domain == committee.domain()
}
