//! A small deterministic network of machines: one seed gives every delay (§10).
//!
//! Disks lose what was not durable, connections lose what was in flight, and every broadcast is
//! held against the disk. What the machines do is judged by what their peers could see.

use alloc::{collections::BTreeMap, vec, vec::Vec};

use super::{Random, signer};
use crate::{
    Action, AuthorityIndex, Block, BlockDigest, BlockRef, Commit, Committee, Consensus, Event,
    HaltReason, Instant, Now, Offence, Parameters, Recovery, Round, Timer, Timestamp,
    checkpoint::Checkpoint,
};

/// What a node has on its disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub log: Vec<Block>,
    /// How much of the log survives a crash.
    pub log_durable: usize,
    pub commits: Vec<Commit>,
    pub own_last: Option<Block>,
    /// Everything in log and commits.
    pub kept: BTreeMap<BlockRef, Block>,
    pub checkpoints: Vec<Checkpoint>,
}

#[derive(Debug)]
enum Message {
    Block { from: usize, to: usize, block: Block },
    Fetch { from: usize, to: usize, references: Vec<BlockRef> },
    Answer { from: usize, to: usize, blocks: Option<Vec<Block>> },
    Timer { node: usize, timer: Timer },
    Executed { node: usize, event: Event },
}

impl Message {
    fn ends(&self) -> (usize, usize) {
        match *self {
            Self::Block { from, to, .. }
            | Self::Fetch { from, to, .. }
            | Self::Answer { from, to, .. } => (from, to),
            Self::Timer { node, .. } | Self::Executed { node, .. } => (node, node),
        }
    }
}

/// Decides what becomes of a block on its way: `None` loses it.
pub(crate) type Bend = fn(from: usize, to: usize, block: &Block) -> bool;

pub(crate) struct World {
    pub committee: Committee,
    parameters: Parameters,
    pub nodes: Vec<Option<Consensus>>,
    pub disks: Vec<Disk>,
    now: u64,
    random: Random,
    pub delay_ms: core::ops::Range<u64>,
    sequence: u64,
    queue: BTreeMap<(u64, u64), (Message, (u64, u64))>,
    /// Raised by every crash: what belongs to an earlier life never arrives.
    lives: Vec<u64>,
    /// Streams keep their order.
    stream_free: BTreeMap<(usize, usize), u64>,
    pub delivers: Bend,
    /// A node whose execution goes wrong.
    pub damaged: Option<usize>,
    signed: BTreeMap<(usize, Round), BlockDigest>,
    pub returned: Vec<Vec<Vec<u8>>>,
    pub offences: Vec<(AuthorityIndex, Offence)>,
    pub halts: Vec<(usize, HaltReason)>,
    pub pushes: usize,
    pub fetches: usize,
    pub made: Vec<usize>,
    /// When each node committed each payload item.
    pub committed_at: Vec<BTreeMap<Vec<u8>, u64>>,
}

impl World {
    pub(crate) fn new(n: u16, parameters: Parameters, seed: u64) -> Self {
        Self::with_committee(super::committee(n), parameters, seed)
    }

    pub(crate) fn with_committee(committee: Committee, parameters: Parameters, seed: u64) -> Self {
        let n = committee.size();
        let mut world = Self {
            committee,
            parameters,
            nodes: (0..n).map(|_| None).collect(),
            disks: vec![Disk::default(); n],
            now: 1_000,
            random: Random(seed),
            delay_ms: 1..5,
            sequence: 0,
            queue: BTreeMap::new(),
            lives: vec![0; n],
            stream_free: BTreeMap::new(),
            delivers: |_, _, _| true,
            damaged: None,
            signed: BTreeMap::new(),
            returned: vec![Vec::new(); n],
            offences: Vec::new(),
            halts: Vec::new(),
            pushes: 0,
            fetches: 0,
            made: vec![0; n],
            committed_at: vec![BTreeMap::new(); n],
        };
        (0..n).for_each(|node| world.start(node));
        world
    }

    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    pub(crate) fn clock(&self) -> Now {
        Now { monotonic: Instant(self.now), wall: Timestamp(1_700_000_000_000 + self.now) }
    }

    /// Starts a node from its disk and connects it to every node that is up.
    pub(crate) fn start(&mut self, node: usize) {
        let disk = &self.disks[node];
        let recovery = Recovery {
            commits: needed(&disk.commits, self.committee.gc_depth()),
            blocks: disk.log.clone(),
            own_last: disk.own_last.clone(),
            checkpoint: disk.checkpoints.last().cloned(),
            ..Recovery::default()
        };
        let newest = disk.commits.iter().rev().find(|commit| commit.has_payload()).cloned();
        let (machine, actions) = Consensus::recover(
            self.clock(),
            self.parameters.clone(),
            self.committee.clone(),
            signer(u16::try_from(node).unwrap()),
            recovery,
        )
        .unwrap();
        self.nodes[node] = Some(machine);
        self.perform(node, actions);
        if let Some(commit) = newest {
            let event = executed(&commit);
            self.handle(node, event);
        }
        for peer in (0..self.nodes.len()).filter(|peer| *peer != node) {
            if self.nodes[peer].is_some() {
                self.connect(node, peer);
                self.connect(peer, node);
            }
        }
    }

    /// `node` hears the hello of `peer`.
    fn connect(&mut self, node: usize, peer: usize) {
        let theirs = self.nodes[peer].as_ref().unwrap();
        let event = Event::PeerConnected {
            peer: index(peer),
            has_of_ours: theirs.has_of(index(node)),
            own_round: theirs.own_round(),
            commit: theirs.status().commit_index,
        };
        self.handle(node, event);
    }

    /// Takes a node down as a power cut does.
    pub(crate) fn crash(&mut self, node: usize) {
        self.nodes[node] = None;
        self.lives[node] += 1;
        let disk = &mut self.disks[node];
        disk.log.truncate(disk.log_durable);
        let committed = disk.commits.iter().flat_map(|commit| commit.blocks());
        let kept = disk.log.iter().chain(committed);
        disk.kept = kept.map(|block| (block.reference(), block.clone())).collect();
        self.stream_free.retain(|(from, to), _| *from != node && *to != node);
        for peer in 0..self.nodes.len() {
            self.handle(peer, Event::PeerDisconnected { peer: index(node) });
        }
    }

    pub(crate) fn offer(&mut self, node: usize, item: &[u8]) {
        self.handle(node, Event::PayloadOffered(vec![item.to_vec()]));
    }

    pub(crate) fn handle(&mut self, node: usize, event: Event) {
        let now = self.clock();
        let Some(machine) = self.nodes[node].as_mut() else { return };
        let actions = machine.handle(now, event);
        self.perform(node, actions);
    }

    /// Lets time pass.
    pub(crate) fn run_for(&mut self, ms: u64) {
        let end = self.now + ms;
        while let Some(entry) = self.queue.first_entry()
            && entry.key().0 <= end
        {
            let at = entry.key().0;
            let (message, lives) = entry.remove();
            self.now = self.now.max(at);
            let (from, to) = message.ends();
            if lives == (self.lives[from], self.lives[to]) {
                self.deliver(message);
            }
        }
        self.now = end;
    }

    fn deliver(&mut self, message: Message) {
        match message {
            Message::Block { from, to, block } => {
                if (self.delivers)(from, to, &block) {
                    self.handle(to, Event::BlockReceived { from: index(from), block });
                }
            }
            Message::Fetch { from, to, references } => {
                let disk = &self.disks[to];
                let find = |wanted: &BlockRef| disk.kept.get(wanted).cloned();
                let blocks =
                    self.nodes[to].is_some().then(|| references.iter().filter_map(find).collect());
                self.send(Message::Answer { from: to, to: from, blocks });
            }
            Message::Answer { from, to, blocks } => {
                let from = index(from);
                let event = match blocks {
                    Some(blocks) => Event::FetchAnswered { from, blocks },
                    None => Event::FetchFailed { from },
                };
                self.handle(to, event);
            }
            Message::Timer { node, timer } => self.handle(node, Event::Timer(timer)),
            Message::Executed { node, event } => self.handle(node, event),
        }
    }

    fn send(&mut self, message: Message) {
        let delay = self.delay_ms.clone();
        let delay = delay.start + self.random.next() % (delay.end - delay.start);
        let mut at = self.now + delay;
        let ends = message.ends();
        if let Message::Block { .. } = message {
            let free = self.stream_free.entry(ends).or_default();
            at = at.max(*free);
            *free = at;
        }
        self.schedule(at, message);
    }

    fn schedule(&mut self, at: u64, message: Message) {
        let (from, to) = message.ends();
        let lives = (self.lives[from], self.lives[to]);
        self.sequence += 1;
        self.queue.insert((at, self.sequence), (message, lives));
    }

    fn perform(&mut self, node: usize, actions: Vec<Action>) {
        for action in actions {
            self.perform_one(node, action);
        }
    }

    fn perform_one(&mut self, node: usize, action: Action) {
        match action {
            Action::Persist { block, durable } => {
                let disk = &mut self.disks[node];
                disk.log.push(block.clone());
                disk.kept.insert(block.reference(), block.clone());
                if durable {
                    disk.log_durable = disk.log.len();
                    disk.own_last = Some(block);
                }
            }
            Action::Broadcast(block) => self.broadcast(node, block),
            Action::Stream { to, after } => {
                let own =
                    |block: &&Block| block.author().position() == node && block.round() > after;
                let blocks: Vec<Block> = self.disks[node].log.iter().filter(own).cloned().collect();
                for block in blocks {
                    self.send(Message::Block { from: node, to: to.position(), block });
                }
            }
            Action::Send { to, blocks } => {
                self.pushes += blocks.len();
                for block in blocks {
                    self.send(Message::Block { from: node, to: to.position(), block });
                }
            }
            Action::Fetch { from, references } => {
                self.fetches += references.len();
                self.send(Message::Fetch { from: node, to: from.position(), references });
            }
            Action::SetTimer { timer, at } => {
                self.schedule(at.0.max(self.now), Message::Timer { node, timer });
            }
            Action::Commit(commit) => self.commit(node, commit),
            Action::Checkpoint(checkpoint) => {
                checkpoint.verify(&self.committee).unwrap();
                self.disks[node].checkpoints.push(checkpoint);
            }
            Action::PayloadReturned(items) => self.returned[node].extend(items),
            Action::PayloadRefused(refused) => panic!("refused {refused:?}"),
            Action::Fault { authority, offence } => self.offences.push((authority, offence)),
            Action::Halt(reason) => self.halts.push((node, reason)),
            Action::FetchCommits { .. } | Action::AskOwn { .. } | Action::EpochClosed { .. } => {
                panic!("nobody wants {action:?} yet")
            }
        }
    }

    /// Persisted before broadcast, and never two blocks of one round, whatever crashes.
    fn broadcast(&mut self, node: usize, block: Block) {
        let disk = &self.disks[node];
        let durable = disk.log_durable.checked_sub(1).map(|last| &disk.log[last]);
        assert_eq!(durable, Some(&block), "broadcast before durable");
        let is_kept = |p: &BlockRef| p.round == Round::GENESIS || disk.kept.contains_key(p);
        assert!(block.parents().iter().all(is_kept), "a parent is not durable");
        let digest = block.reference().digest;
        let signed = self.signed.insert((node, block.round()), digest);
        assert!(signed.is_none_or(|earlier| earlier == digest), "an honest node equivocates");
        self.made[node] += 1;
        for to in (0..self.nodes.len()).filter(|to| *to != node) {
            if self.nodes[to].is_some() {
                self.send(Message::Block { from: node, to, block: block.clone() });
            }
        }
    }

    fn commit(&mut self, node: usize, commit: Commit) {
        let next = self.disks[node].commits.len() as u64 + 1;
        assert_eq!(commit.index(), next, "commits come in order, each once");
        for (_, item) in commit.payload() {
            let earlier = self.committed_at[node].insert(item.to_vec(), self.now);
            assert!(earlier.is_none(), "payload was committed twice");
        }
        let mut event = executed(&commit);
        if let Event::Executed { state_digest, .. } = &mut event
            && self.damaged == Some(node)
        {
            state_digest[0] ^= 1;
        }
        self.disks[node].commits.push(commit);
        self.schedule(self.now + 1, Message::Executed { node, event });
    }

    /// All ledgers are prefixes of the longest one; returns the shortest length.
    pub(crate) fn assert_agreement(&self) -> usize {
        let ledgers = self.disks.iter().map(|disk| &disk.commits);
        let longest = ledgers.clone().max_by_key(|commits| commits.len()).unwrap();
        for ledger in ledgers.clone() {
            for (ours, theirs) in ledger.iter().zip(longest) {
                assert_eq!(ours.digest(), theirs.digest());
                assert_eq!(ours.header(), theirs.header());
            }
        }
        ledgers.map(Vec::len).min().unwrap()
    }

    /// How many of the nodes that are up have committed this item.
    pub(crate) fn committed_by(&self, item: &[u8]) -> usize {
        self.committed_at.iter().filter(|committed| committed.contains_key(item)).count()
    }
}

fn index(node: usize) -> AuthorityIndex {
    AuthorityIndex(u16::try_from(node).unwrap())
}

/// The execution every node agrees on: hashes of what was committed.
fn executed(commit: &Commit) -> Event {
    Event::Executed {
        index: commit.index(),
        log_root: commit.digest().0,
        state_digest: [7; 32],
        vote: commit.has_payload(),
        closes: false,
    }
}

/// No more commits than a recovery needs, so that needing more would show.
fn needed(commits: &[Commit], gc_depth: u64) -> Vec<Commit> {
    let Some(newest) = commits.last() else { return Vec::new() };
    let above = Recovery::commits_above(newest.leader().round, gc_depth);
    let first = commits.iter().position(|commit| commit.leader().round > above).unwrap();
    commits[first..].to_vec()
}
