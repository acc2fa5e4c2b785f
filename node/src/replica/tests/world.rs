//! A few replicas in one process: messages arrive at once and in order, time passes when nothing is
//! left to be done. What delays, losses and liars do is for the simulator.

use crate::executor::{Executor, lock};
use crate::executor::{Job, SharedStorage};
use crate::fetch::{Asked, FetchRequest};
use crate::replica::{Done, Opened, Replica, Start};
use crate::storage::SignAfter;
use crate::storage::{MemoryStorage, Plug};
use kerbholz_client::ledger::committee::{Candidate, CommitteeChange, CommitteeVote};
use kerbholz_client::ledger::genesis::{
    Accounting, GENESIS_VERSION, Genesis, GenesisAuthority, GenesisCurrency, GenesisMember,
};
use kerbholz_client::ledger::keys::{self, Keypair};
use kerbholz_client::ledger::operation::Operation;
use kerbholz_client::ledger::quantity::{Epoch, Timestamp};
use kerbholz_client::ledger::transaction::{Envelope, Transaction};
use kerbholz_client::network::committee;
use kerbholz_consensus::{
    Action, Committee, Event, HaltReason, Instant, Now, Parameters, PublicKey, Signer, Timer,
    UnverifiedBlock,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

/// Wall clock at the start, in milliseconds.
const BEGIN_MS: u64 = 1_000_000;

/// How many jobs may pile up.
const JOBS_MAX: usize = 40;

/// A node that runs.
pub(super) struct Node {
    pub(super) replica: Replica,
    pub(super) executor: Executor,
    timers: BTreeMap<Timer, Instant>,
    /// The peers to which its stream is open.
    open: BTreeSet<usize>,
}

/// What is on its way to a node.
enum Message {
    Frame { from: PublicKey, bytes: Vec<u8> },
    Answer { epoch: u64, event: Event },
}

/// The nodes of a network, by the seed of their key.
pub(super) struct World {
    pub(super) genesis: Genesis,
    pub(super) parameters: Parameters,
    pub(super) now_ms: u64,
    pub(super) nodes: BTreeMap<usize, Node>,
    pub(super) disks: BTreeMap<usize, SharedStorage>,
    pub(super) plugs: BTreeMap<usize, Plug>,
    /// Those that met a foreign block of their own.
    pub(super) halted: BTreeSet<usize>,
    pub(super) sign_after: Option<SignAfter>,
    /// Whether executors wait until nothing else is due, or for many jobs, and do all at once.
    pub(super) batches: bool,
    jobs: BTreeMap<usize, Vec<Job>>,
    messages: VecDeque<(usize, Message)>,
}

pub(super) fn keypair(seed: usize) -> Keypair {
    Keypair::from_seed(&[seed as u8; 32])
}

pub(super) fn key(seed: usize) -> PublicKey {
    PublicKey(*keypair(seed).public().as_bytes())
}

/// A genesis with these authorities.
pub(super) fn genesis(seeds: &[usize]) -> Genesis {
    let authority = |seed: &usize| GenesisAuthority {
        name: format!("authority-{seed}"),
        key: keypair(*seed).public(),
    };
    let maker = keypair(100).public();
    let member = GenesisMember { name: "maker".into(), owner_key: maker, signing_key: maker };
    Genesis {
        version: GENESIS_VERSION,
        name: "test".into(),
        created_at: Timestamp::ZERO,
        authorities: seeds.iter().map(authority).collect(),
        organisations: vec![member],
        publishers: vec![],
        auditors: Vec::new(),
        currencies: vec![GenesisCurrency { code: "EUR".into(), issuer: "maker".into() }],
        accounting: Accounting::default(),
    }
}

impl World {
    /// A network of these authorities; none runs yet.
    pub(super) fn new(seeds: &[usize]) -> Self {
        let mut world = Self {
            genesis: genesis(seeds),
            parameters: Parameters::test(),
            now_ms: 0,
            nodes: BTreeMap::new(),
            disks: BTreeMap::new(),
            plugs: BTreeMap::new(),
            halted: BTreeSet::new(),
            sign_after: None,
            batches: false,
            jobs: BTreeMap::new(),
            messages: VecDeque::new(),
        };
        seeds.iter().for_each(|seed| world.founded_disk(*seed));
        world
    }

    /// The same, and all of them run.
    pub(super) fn running(seeds: &[usize]) -> Self {
        let mut world = Self::new(seeds);
        seeds.iter().for_each(|seed| world.start(*seed));
        world
    }

    fn first(&self) -> Committee {
        committee(&self.genesis).unwrap()
    }

    fn disk(&mut self, seed: usize, disk: MemoryStorage) {
        self.plugs.insert(seed, disk.plug());
        self.disks.insert(seed, Arc::new(Mutex::new(Box::new(disk))));
    }

    /// Gives a node the disk that a setup makes: it has never signed.
    pub(super) fn founded_disk(&mut self, seed: usize) {
        let disk = MemoryStorage::found(self.first().config(), key(seed));
        self.disk(seed, disk);
    }

    /// Gives a node a disk that nothing was ever written to, as if it had lost another.
    pub(super) fn empty_disk(&mut self, seed: usize) {
        let disk = MemoryStorage::empty(self.first().config(), key(seed));
        self.disk(seed, disk);
    }

    pub(super) fn now(&self) -> Now {
        let wall = kerbholz_consensus::Timestamp(BEGIN_MS + self.now_ms);
        Now { monotonic: Instant(self.now_ms), wall }
    }

    /// Starts a node from its disk, and connects it.
    pub(super) fn start(&mut self, seed: usize) {
        if let Some(word) = self.sign_after.take() {
            lock(&self.disks[&seed]).log_lost_after(word).unwrap();
        }
        let start = Start {
            genesis: &self.genesis,
            signer: Signer::from_seed(&[seed as u8; 32]),
            parameters: self.parameters.clone(),
        };
        let opened = Opened::open(self.now(), &self.disks[&seed], start).unwrap();
        let Opened { replica, executor, first } = opened;
        let (timers, open) = (BTreeMap::new(), BTreeSet::new());
        self.nodes.insert(seed, Node { replica, executor, timers, open });
        self.perform(seed, first);
        self.connect(seed);
    }

    /// Stops a node as a crash would between two actions; its disk stays.
    pub(super) fn stop(&mut self, seed: usize) {
        self.nodes.remove(&seed);
        self.jobs.remove(&seed);
        self.messages.retain(|(to, _)| *to != seed);
        let others: Vec<usize> = self.nodes.keys().copied().collect();
        others.into_iter().for_each(|other| self.close(other, seed));
    }

    /// Stops a node as a power cut would: its state was never synced, and is to be made anew.
    pub(super) fn cut(&mut self, seed: usize) {
        self.stop(seed);
        self.plugs[&seed].pull();
    }

    /// Every stream to and from a node begins anew, where both sides want one.
    fn connect(&mut self, seed: usize) {
        let others: Vec<usize> =
            self.nodes.keys().copied().filter(|other| *other != seed).collect();
        for other in others {
            for (sender, receiver) in [(seed, other), (other, seed)] {
                self.close(sender, receiver);
                self.open(sender, receiver);
            }
        }
    }

    /// A node opens its stream to a member of its committee, who must know it, from whichever epoch.
    fn open(&mut self, sender: usize, receiver: usize) {
        let (Some(from), Some(to)) = (self.nodes.get(&sender), self.nodes.get(&receiver)) else {
            return;
        };
        let wants = from.replica.committee().index_of(&key(receiver)).is_some();
        let mut epochs = lock(&self.disks[&receiver]).epochs().to_vec().into_iter();
        let is_known = epochs.any(|epoch| epoch.index_of(&key(sender)).is_some());
        if wants && is_known {
            let hello = to.replica.hello(&key(sender));
            let now = self.now();
            let node = self.nodes.get_mut(&sender).unwrap();
            node.open.insert(receiver);
            let actions = node.replica.peer_up(now, key(receiver), hello);
            self.perform(sender, actions);
        }
    }

    fn close(&mut self, sender: usize, receiver: usize) {
        let now = self.now();
        let Some(node) = self.nodes.get_mut(&sender) else { return };
        if node.open.remove(&receiver) {
            let actions = node.replica.peer_down(now, &key(receiver));
            self.perform(sender, actions);
        }
    }

    /// Lets so much time pass, and everything happen that is due.
    pub(super) fn run(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        while self.step(end) {}
        self.now_ms = end;
    }

    /// Delivers one message or, if there is none, fires the next timer or, if none is due, executes
    /// what has piled up; whether there was anything.
    pub(super) fn step(&mut self, end_ms: u64) -> bool {
        let full = self.jobs.iter().find(|(_, jobs)| jobs.len() >= JOBS_MAX).map(|(seed, _)| *seed);
        if let Some((seed, jobs)) = full.and_then(|seed| self.jobs.remove_entry(&seed)) {
            self.execute(seed, jobs);
            return true;
        }
        if let Some((to, message)) = self.messages.pop_front() {
            self.deliver(to, message);
            return true;
        }
        let timers = self
            .nodes
            .iter()
            .flat_map(|(seed, node)| node.timers.iter().map(|(timer, at)| (at.0, *seed, *timer)));
        let Some((at, seed, timer)) = timers.min().filter(|(at, ..)| *at <= end_ms) else {
            let Some((seed, jobs)) = self.jobs.pop_first() else { return false };
            self.execute(seed, jobs);
            return true;
        };
        self.now_ms = self.now_ms.max(at);
        let now = self.now();
        let node = self.nodes.get_mut(&seed).unwrap();
        node.timers.remove(&timer);
        let actions = node.replica.handle(now, Event::Timer(timer));
        self.perform(seed, actions);
        true
    }

    /// Runs until this holds, for at most a minute.
    pub(super) fn run_until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..600 {
            if holds(self) {
                return;
            }
            self.run(100);
        }
        panic!("{what}: {:?}", self.standing());
    }

    /// Epoch, commit, own round and whether it signs, of each node.
    pub(super) fn standing(&self) -> Vec<(usize, u64, u64, u64, bool)> {
        let of = |(seed, node): (&usize, &Node)| {
            let status = node.replica.consensus().status();
            let commit = node.executor.progress().borrow().commit;
            (*seed, node.replica.epoch(), commit, status.own_round.0, status.signing)
        };
        self.nodes.iter().map(of).collect()
    }

    fn deliver(&mut self, to: usize, message: Message) {
        let now = self.now();
        let Some(node) = self.nodes.get_mut(&to) else { return };
        let actions = match message {
            Message::Answer { epoch, event } => node.replica.answered(now, epoch, event),
            Message::Frame { from, bytes } => {
                let committee = node.replica.committee();
                let block = UnverifiedBlock::decode(&bytes).and_then(|b| b.verify(committee));
                match (committee.index_of(&from), block) {
                    (Some(from), Ok(block)) => {
                        node.replica.handle(now, Event::BlockReceived { from, block })
                    }
                    // Of another epoch.
                    _ => Vec::new(),
                }
            }
        };
        self.perform(to, actions);
    }

    pub(super) fn perform(&mut self, seed: usize, actions: Vec<Action>) {
        for action in actions {
            self.perform_one(seed, action);
        }
    }

    fn perform_one(&mut self, seed: usize, action: Action) {
        let disk = Arc::clone(&self.disks[&seed]);
        let node = self.nodes.get_mut(&seed).unwrap();
        match action {
            Action::Persist { block, durable } => {
                node.replica.persist(&disk, &block, durable).unwrap();
            }
            Action::Broadcast(block) => {
                let to: Vec<PublicKey> = node.replica.streamed().collect();
                to.iter().for_each(|to| self.frame(seed, *to, block.bytes().to_vec()));
            }
            Action::Send { to, blocks } => {
                let to = node.replica.committee().key(to).unwrap();
                blocks.iter().for_each(|block| self.frame(seed, to, block.bytes().to_vec()));
            }
            Action::Stream { to, after } => {
                let to = node.replica.committee().key(to).unwrap();
                let blocks = lock(&disk).own_blocks_after(after, usize::MAX).unwrap();
                blocks.into_iter().for_each(|block| self.frame(seed, to, block.bytes));
            }
            Action::Fetch { from, references, chains_above } => {
                self.ask(seed, from, FetchRequest::new(references, chains_above));
            }
            Action::FetchCommits { from, after } => {
                self.ask(seed, from, FetchRequest::Commits { after });
            }
            Action::AskOwn { from } => {
                let epoch = node.replica.epoch();
                self.ask(seed, from, FetchRequest::Own { epoch });
            }
            Action::SetTimer { timer, at } => {
                node.timers.insert(timer, at);
            }
            Action::Commit(commit) => self.job(seed, Job::Commit(commit)),
            Action::Checkpoint(checkpoint) => self.job(seed, Job::Checkpoint(checkpoint)),
            Action::EpochClosed { checkpoint } => self.job(seed, Job::Close(checkpoint)),
            Action::LogLost { .. } => lock(&disk).log_lost().unwrap(),
            Action::Halt(HaltReason::ForeignOwnBlock(_)) => {
                self.halted.insert(seed);
            }
            // Who says so of itself has two nodes.
            Action::Fault { authority, .. }
                if node.replica.consensus().own() == Some(authority) => {}
            Action::Fault { .. } | Action::Halt(_) => panic!("{seed} says {action:?}"),
            Action::PayloadReturned(_) | Action::PayloadRefused(_) => {}
        }
    }

    fn job(&mut self, seed: usize, job: Job) {
        if self.batches {
            self.jobs.entry(seed).or_default().push(job);
        } else {
            self.execute(seed, vec![job]);
        }
    }

    fn execute(&mut self, seed: usize, jobs: Vec<Job>) {
        let now = self.now();
        let node = self.nodes.get_mut(&seed).unwrap();
        for done in node.executor.perform(jobs).unwrap() {
            let begins = matches!(done, Done::Epoch(_));
            let node = self.nodes.get_mut(&seed).unwrap();
            let actions = node.replica.executed(now, done).unwrap();
            let forget = node.replica.forget_through();
            if begins {
                node.timers.clear();
            }
            lock(&self.disks[&seed]).forget_through(forget).unwrap();
            self.perform(seed, actions);
            if begins {
                self.connect(seed);
            }
        }
    }

    fn frame(&mut self, from: usize, to: PublicKey, bytes: Vec<u8>) {
        let receiver = self.nodes.keys().copied().find(|seed| key(*seed) == to);
        if let Some(receiver) = receiver
            && self.nodes[&from].open.contains(&receiver)
        {
            self.messages.push_back((receiver, Message::Frame { from: key(from), bytes }));
        }
    }

    fn ask(
        &mut self,
        seed: usize,
        from: kerbholz_consensus::AuthorityIndex,
        request: FetchRequest,
    ) {
        let replica = &self.nodes[&seed].replica;
        let committee = replica.committee().clone();
        let asked_key = committee.key(from);
        let asked = Asked { own: replica.consensus().own(), committee, from, request };
        let epoch = replica.epoch();
        let target = self.nodes.iter().find(|(seed, _)| Some(key(**seed)) == asked_key);
        let answer = target.map(|(target, node)| {
            let answer = node.replica.answer(&self.disks[target], &key(seed), &asked.request);
            answer.unwrap().encode()
        });
        let event = asked.event(answer.as_deref());
        self.messages.push_back((seed, Message::Answer { epoch, event }));
    }

    /// A transaction by this key with these operations.
    pub(super) fn transaction(&self, signer: usize, operations: Vec<Operation>) -> Transaction {
        let now = BEGIN_MS + self.now_ms;
        let envelope = Envelope {
            version: 1,
            network: self.genesis.network(),
            signer: keypair(signer).public(),
            created_at: Timestamp::new(now),
            expires_at: Timestamp::new(now + 1_000_000),
            operations,
        };
        envelope.sign(&keypair(signer))
    }

    pub(super) fn submit(&mut self, seed: usize, transaction: &Transaction) {
        let now = self.now();
        let (taken, actions) = self.nodes.get_mut(&seed).unwrap().replica.submit(now, transaction);
        assert_eq!(taken, Ok(()), "{:?}", self.nodes[&seed].replica.consensus().status());
        self.perform(seed, actions);
    }

    /// These authorities vote for a change, each at itself.
    pub(super) fn vote(&mut self, voters: &[usize], change: &CommitteeChange) {
        for voter in voters {
            let epoch = Epoch::new(self.nodes[voter].replica.epoch());
            let vote = CommitteeVote { epoch, change: Some(change.clone()) };
            let transaction = self.transaction(*voter, vec![Operation::VoteCommittee(vote)]);
            self.submit(*voter, &transaction);
        }
    }

    /// The same of one authority, unless its vote waits already.
    pub(super) fn vote_again(&mut self, voter: usize, change: &CommitteeChange) {
        let epoch = Epoch::new(self.nodes[&voter].replica.epoch());
        let vote = CommitteeVote { epoch, change: Some(change.clone()) };
        let transaction = self.transaction(voter, vec![Operation::VoteCommittee(vote)]);
        let now = self.now();
        let replica = &mut self.nodes.get_mut(&voter).unwrap().replica;
        let (_, actions) = replica.submit(now, &transaction);
        self.perform(voter, actions);
    }

    /// The node that somebody wants to let in.
    pub(super) fn candidate(&self, seed: usize) -> Candidate {
        let addresses = vec![format!("/ip4/127.0.0.1/tcp/{seed}")];
        let name = format!("authority-{seed}");
        Candidate::new(self.genesis.network(), name, addresses, &keypair(seed))
    }

    /// What a transaction came to at a node, if it is final there.
    pub(super) fn result(&self, seed: usize, transaction: &Transaction) -> Option<bool> {
        let rows = lock(&self.disks[&seed]).rows();
        let row = kerbholz_client::ledger::query::transaction(&*rows, transaction.id()).unwrap();
        row.map(|row| row.result.is_ok())
    }

    /// Digests of the commits of a node.
    pub(super) fn history(&self, seed: usize) -> Vec<kerbholz_consensus::CommitDigest> {
        let disk = lock(&self.disks[&seed]);
        let epochs = disk.epochs().to_vec();
        let digest = |index: u64| {
            let committee = crate::storage::Epoch::of(&epochs, index).unwrap().committee().unwrap();
            disk.commit_header(index).unwrap().unwrap().digest(&committee)
        };
        (1..=disk.last_commit()).map(digest).collect()
    }

    /// Panics unless all nodes have one history, as far as each has come.
    pub(super) fn agree(&self) {
        let histories: Vec<_> = self.nodes.keys().map(|seed| self.history(*seed)).collect();
        let longest = histories.iter().max_by_key(|history| history.len()).unwrap();
        assert!(histories.iter().all(|history| longest.starts_with(history)));
    }
}

/// The key of an authority as the ledger has it.
pub(super) fn ledger_key(seed: usize) -> keys::PublicKey {
    keypair(seed).public()
}
