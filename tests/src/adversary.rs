//! Liars with names. Each has a real key and a place in the committee, keeps a small DAG of its own
//! ([`body`]), and takes part as far as its lie wants it to: a liar that nobody builds on is a mute.
//!
//! | file | lies |
//! | --- | --- |
//! | `splitting` | two blocks of one round, or one for each peer |
//! | `withholding` | blocks that come late, to few, as a chain at once, or not at all |
//! | `inventing` | parents, rounds and votes that do not exist; votes not given |
//! | `serving` | false answers and hellos |

pub mod body;
mod inventing;
mod serving;
mod splitting;
mod withholding;

use crate::simulator::{plan::Plan, world::Message};
use body::Body;
use kerbholz_client::consensus::{Block, Committee, PublicKey, Round};
use kerbholz_node::{
    fetch::{FetchAnswer, FetchRequest},
    replica::Hello,
};

macro_rules! names {
    ($($(#[doc = $doc:literal])+ $name:ident: $text:literal $(=> $lie:expr)?,)*) => {
        /// Who lies, and how.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Name {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// As on the command line.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// Its lie; nothing if it does not lie, and is only struck by misfortune.
            pub(crate) fn lie(self) -> Option<Box<dyn Lie>> {
                let mut lie: Option<Box<dyn Lie>> = None;
                match self {
                    $(Self::$name => { $(lie = Some(Box::new($lie));)? })*
                }
                lie
            }
        }
    };
}

names! {
    /// Says nothing.
    Mute: "mute" => withholding::Mute,
    /// Makes two blocks of each round, and shows each to a half of the others.
    Equivocator: "equivocator" => splitting::TwoGroups::default(),
    /// Makes a block for each of the others.
    ManyFaced: "many-faced" => splitting::ManyFaced,
    /// Never has a leader's block as a parent, if it can do without.
    NonVoter: "non-voter" => inventing::NonVoter,
    /// Shows its blocks to hardly anybody.
    Withholder: "withholder" => withholding::Withholder,
    /// Leads at the last moment, for some too late.
    LateLeader: "late-leader" => withholding::LateLeader,
    /// Keeps a long chain of blocks to itself, then shows its end.
    ChainBomb: "chain-bomb" => withholding::ChainBomb::with_chains(1),
    /// The same with several chains, another for each.
    TwinChainBomb: "twin-chain-bomb" => withholding::ChainBomb::with_chains(3),
    /// Makes blocks of rounds nobody will reach.
    FarFuture: "far-future" => inventing::FarFuture,
    /// Builds on blocks that do not exist.
    FakeParents: "fake-parents" => inventing::FakeParents,
    /// Answers with what was not asked for, and says hello with numbers from nowhere.
    LyingServer: "lying-server" => serving::LyingServer,
    /// Votes for outcomes that were none.
    ForgedVotes: "forged-votes" => inventing::ForgedVotes,
    /// Says everything, late.
    SlowStream: "slow-stream" => withholding::SlowStream,
    /// Is honest, and loses its disk.
    Amnesiac: "amnesiac",
}

/// Something a liar says.
pub struct Says {
    /// To whom.
    pub to: usize,
    /// How long it waits first.
    pub after_ms: u64,
    /// What.
    pub message: Message,
}

/// A lie: what it leaves as it is, is done as an honest authority would.
pub(crate) trait Lie {
    /// The blocks of a round, and who gets to see them.
    fn make(&mut self, body: &mut Body, round: Round) -> Vec<Says> {
        let block = body.honest_block(round);
        block.map_or_else(Vec::new, |block| body.to_all(&block))
    }

    /// Anything else, now and then.
    fn act(&mut self, _body: &mut Body) -> Vec<Says> {
        Vec::new()
    }

    /// Own blocks for a peer that has those up to a round.
    fn stream(&mut self, body: &mut Body, to: usize, after: Round) -> Vec<Says> {
        body.chain_after(after).into_iter().map(|block| says(to, block)).collect()
    }

    /// An answer; `None` leaves the other waiting.
    fn answer(
        &mut self,
        body: &mut Body,
        _from: usize,
        asked: &FetchRequest,
    ) -> Option<FetchAnswer> {
        Some(body.true_answer(asked))
    }

    /// What it says to who opens a stream to it.
    fn hello(&self, body: &Body, peer: usize) -> Option<Hello> {
        Some(body.true_hello(peer))
    }

    /// How long an answer waits.
    fn slowness_ms(&self, _body: &mut Body) -> u64 {
        0
    }
}

fn says(to: usize, block: Block) -> Says {
    Says { to, after_ms: 0, message: Message::Block(block) }
}

/// A liar.
pub struct Liar {
    body: Body,
    lie: Box<dyn Lie>,
}

impl Liar {
    /// Ready to lie, if it is one who does.
    pub fn new(
        node: usize,
        name: Name,
        committee: &Committee,
        keys: &[PublicKey],
        plan: &Plan,
    ) -> Option<Self> {
        let lie = name.lie()?;
        Some(Self { body: Body::new(node, committee.clone(), keys.to_vec(), plan), lie })
    }

    /// Another epoch begins.
    pub fn enter(&mut self, now_ms: u64, committee: &Committee) {
        self.body.now_ms = now_ms;
        self.body.enter(committee);
    }

    /// Looks around. One that was removed has nothing to sign with, and only answers.
    pub fn act(&mut self, now_ms: u64) -> Vec<Says> {
        self.body.now_ms = now_ms;
        if !self.body.is_member() {
            return Vec::new();
        }
        let mut says = self.lie.act(&mut self.body);
        if let Some(round) = self.body.round_to_make() {
            says.extend(self.lie.make(&mut self.body, round));
            self.body.made(round);
        }
        says
    }

    /// How long until it looks around again.
    pub fn pause_ms(&self) -> u64 {
        (self.body.delta_ms / 8).max(5)
    }

    /// What it says to who opens a stream to it.
    pub fn hello(&self, peer: usize) -> Option<Message> {
        self.lie.hello(&self.body, peer).map(Message::Hello)
    }

    /// Hears something.
    pub fn hear(&mut self, now_ms: u64, from: usize, message: Message) -> Vec<Says> {
        self.body.now_ms = now_ms;
        match message {
            Message::Block(block) => {
                self.body.learn(&block);
                Vec::new()
            }
            Message::Hello(hello) if hello.epoch == self.body.epoch() => {
                self.lie.stream(&mut self.body, from, hello.has_of_yours)
            }
            Message::Ask(number, question) => {
                let answer = self.lie.answer(&mut self.body, from, &question);
                let after_ms = self.lie.slowness_ms(&mut self.body);
                let message = answer.map(|answer| Message::Answer(number, answer.encode()));
                message.into_iter().map(|message| Says { to: from, after_ms, message }).collect()
            }
            Message::Hello(_) | Message::Frame(_) | Message::Answer(..) => Vec::new(),
        }
    }
}
