//! An honest authority: a replica and an executor on a disk, driven as `node::driver` drives them.

use super::{AUTHORITY, Answer, EPOCH_MS, Happening, Message, Question, World, belongs, keypair};
use crate::simulator::plan::Plan;
use kerbholz_client::consensus::{
    Action, AuthorityIndex, Block, BlockRef, Committee, Event, Instant, Now, Offence, PublicKey,
    Round, Signer, Timer, Timestamp,
};
use kerbholz_client::ledger::transaction::Transaction;
use kerbholz_node::{
    executor::{Executor, Job, SharedStorage, lock},
    fetch::{FetchAnswer, FetchRequest},
    mempool::NotTaken,
    replica::{Done, Executed, Hello, Opened, Replica, Start},
    storage::{MemoryStorage, Plug, StoredBlock},
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
};

/// Most jobs an executor takes at once, as in `node::executor`.
const JOBS_AT_ONCE: u64 = 64;
/// How many own blocks are read at once when a stream begins, as in `node::driver`.
const STREAM_BLOCKS_AT_ONCE: usize = 64;

/// Whether a transaction was taken, and what is to be done.
type Submitted = (Result<(), NotTaken>, Vec<Action>);

/// An honest authority.
pub struct Authority {
    pub(super) storage: SharedStorage,
    plug: Plug,
    /// Raised by every crash: what belongs to an earlier life never arrives.
    pub life: u64,
    /// When it took the power up.
    started_ms: u64,
    /// When it is done with what it has to check.
    busy_until_ms: u64,
    pub(super) skew_ms: i64,
    drift_ppm: i64,
    /// What is running; nothing while the power is off.
    pub running: Option<Running>,
    /// When it was last away.
    pub(super) up_since_ms: u64,
}

/// What a crash ends.
pub struct Running {
    pub(super) replica: Replica,
    executor: Executor,
    jobs: VecDeque<Job>,
    executing: bool,
    timers: BTreeMap<Timer, Instant>,
    /// Questions by number: whom was asked what.
    asked: BTreeMap<u64, (AuthorityIndex, Vec<BlockRef>)>,
}

impl Running {
    /// The replica.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Commits that wait for the executor.
    pub fn jobs(&self) -> usize {
        self.jobs.len()
    }
}

impl Authority {
    /// With an empty disk, and no power.
    pub fn new(node: usize, committee: &Committee, plan: &Plan) -> Self {
        let key = PublicKey(*keypair(AUTHORITY, node).public().as_bytes());
        let memory = MemoryStorage::found(committee.config(), key);
        let plug = memory.plug();
        Self {
            storage: Arc::new(Mutex::new(Box::new(memory))),
            plug,
            life: 0,
            started_ms: 0,
            busy_until_ms: 0,
            skew_ms: plan.skew_ms[node],
            drift_ppm: plan.drift_ppm[node],
            running: None,
            up_since_ms: 0,
        }
    }

    /// Its two clocks.
    fn clock(&self, now_ms: u64) -> Now {
        let elapsed = now_ms.saturating_sub(self.started_ms);
        let fast = (elapsed as i64 * (1_000_000 + self.drift_ppm) / 1_000_000).unsigned_abs();
        Now {
            monotonic: Instant(fast),
            wall: Timestamp((EPOCH_MS + now_ms).saturating_add_signed(self.skew_ms)),
        }
    }

    /// When the monotonic clock shows an instant.
    fn when(&self, at: Instant) -> u64 {
        let rate = 1_000_000 + self.drift_ppm;
        let elapsed = (i64::try_from(at.0).unwrap_or(i64::MAX / 2_000_000) * 1_000_000 + rate - 1)
            .div_euclid(rate)
            .unsigned_abs();
        self.started_ms + elapsed
    }

    /// Takes the time to check something; says when it is done.
    pub(super) fn take_time(&mut self, now_ms: u64, ms: u64) -> u64 {
        self.busy_until_ms = self.busy_until_ms.max(now_ms) + ms;
        self.busy_until_ms
    }

    /// Does nothing until then.
    pub(super) fn freeze(&mut self, until_ms: u64) {
        self.busy_until_ms = self.busy_until_ms.max(until_ms);
    }

    /// Until when it does nothing.
    fn frozen_until(&self) -> u64 {
        self.busy_until_ms
    }

    /// A client gives a transaction; nothing while the power is off.
    pub(super) fn submit(&mut self, now_ms: u64, transaction: &Transaction) -> Option<Submitted> {
        let now = self.clock(now_ms);
        let running = self.running.as_mut()?;
        Some(running.replica.submit(now, transaction))
    }

    /// What it says to a peer that opens a stream to it.
    pub(super) fn hello(&self, peer: &PublicKey) -> Option<Message> {
        let consensus = self.running.as_ref()?.replica.consensus();
        let peer = consensus.committee().index_of(peer)?;
        Some(Message::Hello {
            has_of_yours: consensus.has_of(peer),
            own_round: consensus.own_round(),
            commit: consensus.status().commit_index,
        })
    }
}

impl World {
    /// Power returns.
    pub(super) fn start(&mut self, node: usize) {
        let now_ms = self.now_ms;
        let Some(authority) = self.authority_mut(node) else { return };
        authority.started_ms = now_ms;
        authority.busy_until_ms = now_ms;
        authority.up_since_ms = now_ms;
        let now = authority.clock(now_ms);
        let storage = Arc::clone(&authority.storage);
        let start = Start {
            genesis: &self.genesis,
            signer: Signer::from_seed(&keypair(AUTHORITY, node).seed()),
            parameters: self.plan.parameters.clone(),
            sign_after: None,
        };
        let opened = match Opened::open(now, &storage, start) {
            Ok(opened) => opened,
            Err(error) => {
                return self.oracle.violated("a restart succeeds", format!("n{node}: {error}"));
            }
        };
        let Opened { replica, executor, first } = opened;
        let stored = lock(&storage).last_commit();
        self.oracle.opened(node, stored);
        self.trace.note(now_ms, node, "starts", &[stored], &[], || format!("at commit {stored}"));
        let running = Running {
            replica,
            executor,
            jobs: VecDeque::new(),
            executing: false,
            timers: BTreeMap::new(),
            asked: BTreeMap::new(),
        };
        if let Some(authority) = self.authority_mut(node) {
            authority.running = Some(running);
        }
        self.perform(node, first);
    }

    /// Something happens to consensus at a node.
    pub(super) fn handle(&mut self, node: usize, event: Event) {
        let now_ms = self.now_ms;
        let Some(authority) = self.authority_mut(node) else { return };
        let now = authority.clock(now_ms);
        let Some(running) = &mut authority.running else { return };
        let before = running.replica.consensus().status();
        let actions = running.replica.handle(now, event);
        let after = running.replica.consensus().status();
        if after.round.0 > before.round.0 + 1 && before.round.0 > 1 {
            self.tally.jumps += 1;
        }
        self.oracle.status(node, &after, &self.plan.parameters, &mut self.tally);
        self.perform(node, actions);
    }

    /// The same about a peer, if it is in the committee.
    pub(super) fn hear(
        &mut self,
        node: usize,
        peer: usize,
        event: impl FnOnce(AuthorityIndex) -> Event,
    ) {
        let key = self.keys[peer];
        let Some(running) = self.authority(node).and_then(|it| it.running.as_ref()) else { return };
        if let Some(peer) = running.replica.consensus().committee().index_of(&key) {
            self.handle(node, event(peer));
        }
    }

    /// A stream to a peer is open, and it said where it is.
    pub(super) fn greeted(&mut self, node: usize, peer: usize, hello: impl FnOnce(u64) -> Hello) {
        let (now_ms, key) = (self.now_ms, self.keys[peer]);
        let Some(authority) = self.authority_mut(node) else { return };
        let now = authority.clock(now_ms);
        let Some(running) = &mut authority.running else { return };
        let hello = hello(running.replica.epoch());
        let actions = running.replica.peer_up(now, key, hello);
        self.perform(node, actions);
    }

    /// A stream to a peer is closed.
    pub(super) fn parted(&mut self, node: usize, peer: usize) {
        let (now_ms, key) = (self.now_ms, self.keys[peer]);
        let Some(authority) = self.authority_mut(node) else { return };
        let now = authority.clock(now_ms);
        let Some(running) = &mut authority.running else { return };
        let actions = running.replica.peer_down(now, &key);
        self.perform(node, actions);
    }

    /// A block arrives in a stream.
    pub(super) fn receive(&mut self, node: usize, from: usize, block: Block) {
        let Some(running) = self.authority(node).and_then(|it| it.running.as_ref()) else { return };
        if belongs(&block, running.replica.consensus().committee()) {
            let reference = block.reference();
            let numbers = [from as u64, reference.round.0, u64::from(reference.author.0)];
            self.trace.quiet(self.now_ms, node, "receives", &numbers, &reference.digest.0);
            self.hear(node, from, |from| Event::BlockReceived { from, block });
        }
    }

    /// Bytes arrive that should be a block.
    pub(super) fn receive_bytes(&mut self, node: usize, from: usize, bytes: &[u8]) {
        let Some(running) = self.authority(node).and_then(|it| it.running.as_ref()) else { return };
        let committee = running.replica.consensus().committee().clone();
        match self.check(bytes, &committee) {
            Some(block) => self.receive(node, from, block),
            None => self.tally.refused += 1,
        }
    }

    /// Answers a question out of the storage.
    pub(super) fn answer(&mut self, node: usize, question: &Question) -> Answer {
        let Some(authority) = self.authority(node) else { return Answer::Nothing };
        match question {
            Question::Blocks(references) => {
                let request = FetchRequest::Blocks(references.clone());
                match request.answer(&authority.storage) {
                    Ok(FetchAnswer::Blocks(blocks)) => Answer::Blocks(blocks),
                    _ => Answer::Nothing,
                }
            }
        }
    }

    /// An answer arrives, or will not: checked as `node::fetch` does.
    pub(super) fn answered(&mut self, node: usize, _from: usize, number: u64, answer: Answer) {
        let Some(authority) = self.authority_mut(node) else { return };
        let Some(running) = &mut authority.running else { return };
        let Some((from, asked)) = running.asked.remove(&number) else { return };
        let committee = running.replica.consensus().committee().clone();
        let blocks = match answer {
            Answer::Blocks(blocks) => {
                let checked = blocks.iter().map(|bytes| self.check(bytes, &committee));
                checked
                    .collect::<Option<Vec<Block>>>()
                    .filter(|all| all.iter().all(|block| asked.contains(&block.reference())))
            }
            Answer::Nothing => None,
        };
        let count = blocks.as_ref().map_or(u64::MAX, |blocks| blocks.len() as u64);
        self.trace.quiet(self.now_ms, node, "is answered", &[u64::from(from.0), count], &[]);
        let event = match blocks {
            Some(blocks) => Event::FetchAnswered { from, blocks },
            None => {
                self.tally.fetches_failed += 1;
                Event::FetchFailed { from }
            }
        };
        self.handle(node, event);
    }

    pub(super) fn timer(&mut self, node: usize, life: u64, timer: Timer, at_ms: u64) {
        let now_ms = self.now_ms;
        let Some(authority) = self.authority_mut(node) else { return };
        let frozen_until_ms = authority.frozen_until();
        if authority.life != life {
            return;
        }
        if frozen_until_ms > now_ms {
            return self.at(frozen_until_ms, Happening::Timer { node, life, timer, at_ms });
        }
        let due = |at: &Instant| authority.when(*at) == at_ms;
        let is_due =
            authority.running.as_ref().and_then(|it| it.timers.get(&timer)).is_some_and(due);
        if is_due && let Some(running) = &mut authority.running {
            running.timers.remove(&timer);
            self.handle(node, Event::Timer(timer));
        }
    }

    /// Performs actions one after the other, as far as the power lasts.
    pub(super) fn perform(&mut self, node: usize, actions: Vec<Action>) {
        let Some(life) = self.authority(node).map(|authority| authority.life) else { return };
        for action in actions {
            if self.crashes_now() {
                self.tally.crashes_between += 1;
                let down_ms = self.random.between(1, 4_000);
                self.crash(node, down_ms);
            }
            if self.authority(node).is_none_or(|it| it.life != life || it.running.is_none()) {
                return;
            }
            self.perform_one(node, action);
        }
    }

    fn crashes_now(&mut self) -> bool {
        let chance = self.plan.crash_permillion;
        !self.plan.is_stable(self.now_ms) && chance > 0 && self.random.between(0, 999_999) < chance
    }

    fn perform_one(&mut self, node: usize, action: Action) {
        match action {
            Action::Persist { block, durable } => self.persist(node, &block, durable),
            Action::Broadcast(block) => self.broadcast(node, &block),
            Action::Send { to, blocks } => {
                if let Some(to) = self.peer(node, to) {
                    for block in blocks {
                        self.send_block(node, to, &block);
                    }
                }
            }
            Action::Stream { to, after } => self.begin_stream(node, to, after),
            Action::Fetch { from, references } => self.fetch(node, from, references),
            Action::FetchCommits { from, .. } => self.handle(node, Event::CommitsFailed { from }),
            Action::AskOwn { from } => self.handle(node, Event::OwnFailed { from }),
            Action::EpochClosed { .. } => {}
            Action::SetTimer { timer, at } => {
                let Some(authority) = self.authority_mut(node) else { return };
                let (life, at_ms) = (authority.life, authority.when(at));
                if let Some(running) = &mut authority.running {
                    running.timers.insert(timer, at);
                }
                self.at(at_ms, Happening::Timer { node, life, timer, at_ms });
            }
            Action::Commit(commit) => {
                let (index, leader) = (commit.index(), commit.leader());
                let digest = commit.digest().0;
                self.trace.note(self.now_ms, node, "commits", &[index], &digest, || {
                    format!("{index}: leader {leader}, {} blocks", commit.blocks().len())
                });
                self.oracle.committed(node, &commit);
                self.job(node, Job::Commit(commit));
            }
            Action::Checkpoint(checkpoint) => {
                let index = checkpoint.statement.index;
                self.trace.note(self.now_ms, node, "has the checkpoint", &[index], &[], || index);
                self.tally.checkpoints += 1;
                self.oracle.checkpoint(node, &checkpoint);
                self.job(node, Job::Checkpoint(checkpoint));
            }
            Action::Fault { authority, offence } => {
                self.trace
                    .note(self.now_ms, node, "accuses", &[authority.0.into()], &[], || authority);
                match &offence {
                    Offence::Equivocation { .. } => self.tally.equivocations += 1,
                    Offence::Divergence { .. } => self.tally.divergences += 1,
                }
                self.oracle.accused(node, authority, &offence);
            }
            Action::Halt(reason) => {
                self.oracle.violated("no honest node halts", format!("n{node}: {reason:?}"));
            }
            // Settled by the replica.
            Action::PayloadReturned(_) | Action::PayloadRefused(_) => {}
        }
    }

    fn persist(&mut self, node: usize, block: &Block, durable: bool) {
        let Some(authority) = self.authority(node) else { return };
        let stored = StoredBlock::new(block, durable);
        lock(&authority.storage).append_blocks(&[stored]).expect("a disk with room");
        let reference = block.reference();
        if durable {
            self.tally.blocks += 1;
            let text = || format!("{reference} with {} items", block.payload().len());
            let (round, digest) = (reference.round.0, reference.digest.0);
            self.trace.note(self.now_ms, node, "makes", &[round], &digest, text);
            self.checked.insert(reference, block.clone());
            self.clients.logged(node, block);
        } else {
            let numbers = [reference.round.0, reference.author.0.into()];
            self.trace.quiet(self.now_ms, node, "accepts", &numbers, &reference.digest.0);
        }
        self.oracle.accepted(node, block);
    }

    fn peer(&self, node: usize, peer: AuthorityIndex) -> Option<usize> {
        let running = self.authority(node)?.running.as_ref()?;
        self.node_of(running.replica.consensus().committee(), peer)
    }

    fn broadcast(&mut self, node: usize, block: &Block) {
        let Some(running) = self.authority(node).and_then(|it| it.running.as_ref()) else { return };
        let committee = running.replica.consensus().committee();
        let members = committee.authorities().filter_map(|peer| self.node_of(committee, peer));
        let others: Vec<usize> = members.filter(|peer| *peer != node).collect();
        self.oracle.sent(node, block);
        for to in others {
            self.send_block(node, to, block);
        }
    }

    fn send_block(&mut self, node: usize, to: usize, block: &Block) {
        self.stream(node, to, Message::Block(block.clone()));
    }

    fn begin_stream(&mut self, node: usize, to: AuthorityIndex, after: Round) {
        let Some(to) = self.peer(node, to) else { return };
        let Some(authority) = self.authority(node) else { return };
        let storage = Arc::clone(&authority.storage);
        let mut after = after;
        loop {
            let blocks = lock(&storage).own_blocks_after(after, STREAM_BLOCKS_AT_ONCE);
            let blocks = blocks.expect("a disk that reads");
            let Some(last) = blocks.last() else { return };
            after = last.reference.round;
            for block in blocks {
                let known = self.checked.get(&block.reference).cloned();
                let message = known.map_or(Message::Frame(block.bytes), |known| {
                    self.oracle.sent(node, &known);
                    Message::Block(known)
                });
                self.stream(node, to, message);
            }
        }
    }

    fn fetch(&mut self, node: usize, from: AuthorityIndex, references: Vec<BlockRef>) {
        let Some(peer) = self.peer(node, from) else { return };
        let Some(life) = self.authority(node).map(|authority| authority.life) else { return };
        self.tally.fetched += references.len() as u64;
        let numbers = [u64::from(from.0), references.len() as u64];
        self.trace.quiet(self.now_ms, node, "asks", &numbers, &[]);
        let number = self.ask(node, peer, life, Question::Blocks(references.clone()));
        if let Some(running) = self.authority_mut(node).and_then(|it| it.running.as_mut()) {
            running.asked.insert(number, (from, references));
        }
    }

    fn job(&mut self, node: usize, job: Job) {
        let executing_ms = self.plan.conditions(self.now_ms).executing_ms;
        let delay_ms = self.random.between(0, executing_ms);
        let Some(authority) = self.authority_mut(node) else { return };
        let life = authority.life;
        let Some(running) = &mut authority.running else { return };
        running.jobs.push_back(job);
        if !std::mem::replace(&mut running.executing, true) {
            self.after(delay_ms, Happening::Execute { node, life });
        }
    }

    /// The executor performs what has piled up, or a part of it.
    pub(super) fn execute(&mut self, node: usize, life: u64) {
        let most = self.random.between(1, JOBS_AT_ONCE);
        let executing_ms = self.plan.conditions(self.now_ms).executing_ms;
        let (delay_ms, syncs) = (self.random.between(0, executing_ms), self.random.permille(100));
        let Some(authority) = self.authority_mut(node) else { return };
        if authority.life != life {
            return;
        }
        let storage = Arc::clone(&authority.storage);
        let Some(running) = &mut authority.running else { return };
        let count = running.jobs.len().min(most as usize);
        let jobs: Vec<Job> = running.jobs.drain(..count).collect();
        running.executing = !running.jobs.is_empty();
        let goes_on = running.executing;
        let outcomes = running.executor.perform(jobs).expect("a disk with room");
        if syncs {
            lock(&storage).sync_state().expect("a disk with room");
        }
        if goes_on {
            self.after(delay_ms, Happening::Execute { node, life });
        }
        for done in outcomes {
            if let Done::Commit(done) = done {
                self.executed(node, life, done);
            }
        }
    }

    /// The outcome of a commit reaches the replica.
    fn executed(&mut self, node: usize, life: u64, done: Executed) {
        let now_ms = self.now_ms;
        let is_same = self.authority(node).is_some_and(|it| it.life == life);
        if !is_same {
            return;
        }
        self.trace.quiet(now_ms, node, "executed", &[done.index], &done.state_digest);
        self.oracle.executed(node, &done);
        self.clients.executed(node, now_ms, &done.transactions);
        let Some(authority) = self.authority_mut(node) else { return };
        let now = authority.clock(now_ms);
        let Some(running) = &mut authority.running else { return };
        let done = Done::Commit(done);
        let actions = running.replica.executed(now, done).expect("no epoch begins");
        let forget = running.replica.forget_through();
        lock(&authority.storage).forget_through(forget).expect("a disk with room");
        self.perform(node, actions);
    }

    /// The power of a node fails, for so long.
    pub(super) fn crash(&mut self, node: usize, down_ms: u64) {
        let now_ms = self.now_ms;
        let Some(authority) = self.authority_mut(node) else { return };
        if authority.running.take().is_none() {
            return;
        }
        authority.life += 1;
        authority.plug.pull();
        let life = authority.life;
        self.tally.crashes += 1;
        self.trace.note(now_ms, node, "crashes", &[down_ms], &[], || format!("for {down_ms} ms"));
        self.forget_questions(node);
        self.disconnect_all(node);
        for number in self.clients.crashed(node) {
            let delay_ms = self.random.between(100, 3_000);
            self.after(delay_ms, Happening::Resubmit { number });
        }
        let back_ms = (now_ms + down_ms).min(self.plan.stable_from_ms.max(now_ms));
        self.at(back_ms, Happening::Restart { node, life });
    }

    pub(super) fn restart(&mut self, node: usize, life: u64) {
        if self.authority(node).is_some_and(|it| it.life == life && it.running.is_none()) {
            self.start(node);
        }
    }
}
