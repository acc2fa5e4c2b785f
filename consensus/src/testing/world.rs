//! A small deterministic network of machines: one seed gives every delay (§10).
//!
//! Disks lose what was not durable, connections lose what was in flight, and every broadcast is
//! held against the disk. What the machines do is judged by what their peers could see.

mod acting;
mod serving;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec,
    vec::Vec,
};

use super::{Random, signer};
use crate::{
    AuthorityIndex, Block, BlockDigest, BlockRef, CertifiedCommits, Commit, Committee, Consensus,
    Event, HaltReason, Instant, Now, Offence, Parameters, Round, Timer, Timestamp,
    checkpoint::Checkpoint, recovery::Base,
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
    pub lost_log: bool,
    /// The epoch the node is in, and where it begins.
    pub epoch: usize,
    pub base: Base,
}

impl Disk {
    /// Blocks that are in no commit and can be in none are kept nowhere.
    fn collect(&mut self, gc_round: Round) {
        let domain = self.log.last().map(|block| block.header().domain);
        let is_kept =
            |block: &Block| block.round() > gc_round || Some(block.header().domain) != domain;
        let collected = self.log[..self.log_durable].iter().filter(|b| !is_kept(b)).count();
        self.log_durable -= collected;
        let committed: BTreeSet<BlockRef> = self
            .commits
            .iter()
            .rev()
            .take(100)
            .flat_map(|commit| commit.header().blocks.iter().copied())
            .collect();
        for block in self.log.iter().filter(|block| !is_kept(block)) {
            if !committed.contains(&block.reference()) {
                self.kept.remove(&block.reference());
            }
        }
        self.log.retain(is_kept);
    }
}

#[derive(Debug)]
enum Message {
    FetchCommits { from: usize, to: usize, epoch: usize, after: u64 },
    Commits { from: usize, to: usize, epoch: usize, commits: Option<CertifiedCommits> },
    AskOwn { from: usize, to: usize },
    Own { from: usize, to: usize, commit: u64, newest: Option<Block> },
    Block { from: usize, to: usize, block: Block },
    Fetch { from: usize, to: usize, references: Vec<BlockRef> },
    Answer { from: usize, to: usize, blocks: Option<Vec<Block>> },
    Timer { node: usize, timer: Timer },
    Executed { node: usize, event: Event },
}

impl Message {
    fn ends(&self) -> (usize, usize) {
        match *self {
            Self::FetchCommits { from, to, .. }
            | Self::Commits { from, to, .. }
            | Self::AskOwn { from, to }
            | Self::Own { from, to, .. }
            | Self::Block { from, to, .. }
            | Self::Fetch { from, to, .. }
            | Self::Answer { from, to, .. } => (from, to),
            Self::Timer { node, .. } | Self::Executed { node, .. } => (node, node),
        }
    }
}

/// Decides what becomes of a block on its way: `None` loses it.
pub(crate) type Bend = fn(from: usize, to: usize, block: &Block) -> bool;

pub(crate) struct World {
    /// Of every epoch so far.
    pub committees: Vec<Committee>,
    /// Who the authorities of the next epoch are.
    pub next_members: Vec<u16>,
    /// The operator's word to a node that starts.
    pub sign_after: Option<Round>,
    /// Who answers no request for commits, and how many come at once.
    pub refusing: Option<usize>,
    pub commits_at_once: u64,
    pub commit_requests: usize,
    /// Who was told that its epoch is over, how often.
    pub epochs_closed: Vec<usize>,
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
    /// Nodes that nobody reaches and that reach nobody.
    cut: Vec<usize>,
    /// A node whose execution goes wrong.
    pub damaged: Option<usize>,
    signed: BTreeMap<(usize, usize, Round), BlockDigest>,
    pub returned: Vec<Vec<Vec<u8>>>,
    pub offences: Vec<(AuthorityIndex, Offence)>,
    pub halts: Vec<(usize, HaltReason)>,
    /// How often a node was told that its log is an old copy.
    pub logs_lost: usize,
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
            committees: vec![committee],
            next_members: (0..u16::try_from(n).unwrap()).collect(),
            sign_after: None,
            refusing: None,
            commits_at_once: 100,
            commit_requests: 0,
            epochs_closed: vec![0; n],
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
            cut: Vec::new(),
            damaged: None,
            signed: BTreeMap::new(),
            returned: vec![Vec::new(); n],
            offences: Vec::new(),
            halts: Vec::new(),
            logs_lost: 0,
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
        let recovery = self.recovery(node);
        let signer = signer(u16::try_from(node).unwrap());
        let committee = self.committee_of(node).clone();
        let (now, parameters) = (self.clock(), self.parameters.clone());
        let (machine, actions) = if committee.index_of(&signer.public_key()).is_some() {
            Consensus::recover(now, parameters, committee, signer, recovery).unwrap()
        } else {
            Consensus::follow(now, parameters, committee, recovery).unwrap()
        };
        self.nodes[node] = Some(machine);
        self.perform(node, actions);
        let commits = &self.disks[node].commits;
        let of_epoch = |commit: &&Commit| commit.index() > self.disks[node].base.index;
        let closing = commits.last().filter(of_epoch).filter(|commit| self.closes(commit));
        let newest = commits.iter().rfind(|commit| commit.has_payload()).filter(of_epoch);
        let newest = closing.or(newest).cloned();
        if let Some(commit) = newest {
            let event = self.executed(&commit);
            self.handle(node, event);
        }
        self.connect_all(node);
    }

    fn connect_all(&mut self, node: usize) {
        let is_cut = |peer: &usize| self.cut.contains(peer);
        if is_cut(&node) {
            return;
        }
        let peers = (0..self.nodes.len()).filter(|peer| *peer != node && !is_cut(peer));
        for peer in peers.collect::<Vec<_>>() {
            if self.nodes[peer].is_some() && self.nodes[node].is_some() {
                self.connect(node, peer);
                self.connect(peer, node);
            }
        }
    }

    /// Cuts a node off: what is under way is lost, and everybody sees the connections end.
    pub(crate) fn cut(&mut self, node: usize) {
        self.cut.push(node);
        for peer in (0..self.nodes.len()).filter(|peer| *peer != node) {
            let (ours, theirs) = (self.index(node, peer), self.index(peer, node));
            self.handle(node, Event::PeerDisconnected { peer: ours });
            self.handle(peer, Event::PeerDisconnected { peer: theirs });
        }
    }

    /// Connects every node that was cut off.
    pub(crate) fn heal(&mut self) {
        for node in core::mem::take(&mut self.cut) {
            self.connect_all(node);
        }
    }

    /// One more node, not in the committee.
    pub(crate) fn add_node(&mut self) -> usize {
        let node = self.nodes.len();
        self.nodes.push(None);
        self.disks.push(Disk { lost_log: true, ..Disk::default() });
        self.lives.push(0);
        self.returned.push(Vec::new());
        self.made.push(0);
        self.committed_at.push(BTreeMap::new());
        self.epochs_closed.push(0);
        self.start(node);
        node
    }

    /// `node` hears the hello of `peer`.
    fn connect(&mut self, node: usize, peer: usize) {
        let Some(theirs) = self.nodes[peer].as_ref() else { return };
        let same = self.same_epoch(node, peer);
        let event = Event::PeerConnected {
            peer: self.index(node, peer),
            // A peer in another epoch takes no stream.
            has_of_ours: if same { theirs.has_of(self.index(peer, node)) } else { Round::GENESIS },
            own_round: if same { theirs.own_round() } else { Round::GENESIS },
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
            let event = Event::PeerDisconnected { peer: self.index(peer, node) };
            self.handle(peer, event);
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
        let mut at_once = 0;
        while let Some(entry) = self.queue.first_entry()
            && entry.key().0 <= end
        {
            let at = entry.key().0;
            let (message, lives) = entry.remove();
            at_once = if at > self.now { 0 } else { at_once + 1 };
            assert!(at_once < 100_000, "the world stands still: a timer spins");
            self.now = self.now.max(at);
            let (from, to) = message.ends();
            let is_cut = from != to && (self.cut.contains(&from) || self.cut.contains(&to));
            if lives == (self.lives[from], self.lives[to]) && !is_cut {
                self.deliver(message);
            }
        }
        self.now = end;
    }

    fn deliver(&mut self, message: Message) {
        match message {
            Message::Block { from, to, block } => {
                let domain = self.committee_of(to).domain();
                if (self.delivers)(from, to, &block) && block.header().domain == domain {
                    let from = self.index(to, from);
                    self.handle(to, Event::BlockReceived { from, block });
                }
            }
            Message::Fetch { from, to, references } => {
                let disk = &self.disks[to];
                let find = |wanted: &BlockRef| disk.kept.get(wanted).cloned();
                let blocks = (self.nodes[to].is_some() && self.refusing != Some(to))
                    .then(|| references.iter().filter_map(find).collect());
                self.send(Message::Answer { from: to, to: from, blocks });
            }
            Message::Answer { from, to, blocks } => {
                let from = self.index(to, from);
                let event = match blocks {
                    Some(blocks) => Event::FetchAnswered { from, blocks },
                    None => Event::FetchFailed { from },
                };
                self.handle(to, event);
            }
            Message::Timer { node, timer } => self.handle(node, Event::Timer(timer)),
            Message::Executed { node, event } => self.handle(node, event),
            question => self.serve(question),
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
