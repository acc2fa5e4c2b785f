//! An honest authority: a replica and an executor on a disk, driven as `node::driver` drives them.

use super::{AUTHORITY, EPOCH_MS, Happening, Message, Node, World, keypair};
use crate::simulator::plan::Plan;
use kerbholz_client::consensus::{
    Action, BlockRef, Committee, Domain, HaltReason, Instant, Now, PublicKey, Round, Signer, Timer,
    Timestamp, UnverifiedBlock,
};
use kerbholz_client::ledger::transaction::Transaction;
use kerbholz_node::{
    executor::{Executor, Job, SharedStorage, lock},
    fetch::{Asked, FetchAnswer, FetchRequest},
    mempool::NotTaken,
    replica::{Opened, Replica, Start},
    storage::{MemoryStorage, Plug},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex},
};

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
    /// The blocks that wait to be checked.
    queued: BTreeSet<BlockRef>,
    pub(super) skew_ms: i64,
    drift_ppm: i64,
    /// Whether the disk was emptied since it last started.
    pub(super) wiped: bool,
    /// What is running; nothing while the power is off.
    pub running: Option<Running>,
}

/// What a crash ends.
pub struct Running {
    pub(super) replica: Replica,
    pub(super) executor: Executor,
    pub(super) jobs: VecDeque<Job>,
    pub(super) executing: bool,
    pub(super) timers: BTreeMap<Timer, Instant>,
    /// Questions by number, each with the epoch in which it was asked.
    pub(super) asked: BTreeMap<u64, (u64, Asked)>,
}

impl Running {
    /// The replica.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }
}

impl Authority {
    /// With an empty disk, and no power.
    pub fn new(node: usize, committee: &Committee, plan: &Plan) -> Self {
        let key = PublicKey(*keypair(AUTHORITY, node).public().as_bytes());
        // Also of one who joins later: its directory is made together with its key.
        let memory = MemoryStorage::found(committee.config(), key);
        let plug = memory.plug();
        Self {
            storage: Arc::new(Mutex::new(Box::new(memory))),
            plug,
            life: 0,
            started_ms: 0,
            busy_until_ms: 0,
            queued: BTreeSet::new(),
            skew_ms: plan.skew_ms[node],
            drift_ppm: plan.drift_ppm[node],
            wiped: false,
            running: None,
        }
    }

    /// Its two clocks.
    pub(super) fn clock(&self, now_ms: u64) -> Now {
        let elapsed = now_ms.saturating_sub(self.started_ms);
        let fast = (elapsed as i64 * (1_000_000 + self.drift_ppm) / 1_000_000).unsigned_abs();
        Now {
            monotonic: Instant(fast),
            wall: Timestamp((EPOCH_MS + now_ms).saturating_add_signed(self.skew_ms)),
        }
    }

    /// When the monotonic clock shows an instant.
    pub(super) fn when(&self, at: Instant) -> u64 {
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

    /// A message waits to be checked.
    pub(super) fn queue(&mut self, message: &Message) {
        if let Message::Block(block) = message {
            self.queued.insert(block.reference());
        }
    }

    /// It waits no more.
    pub(super) fn unqueue(&mut self, message: &Message) {
        if let Message::Block(block) = message {
            self.queued.remove(&block.reference());
        }
    }

    /// Whether a block is here, or will have been checked before whatever comes next.
    pub(super) fn has_checked(&self, block: &BlockRef) -> bool {
        let knows = |running: &Running| running.replica.consensus().knows(block);
        self.queued.contains(block) || self.running.as_ref().is_some_and(knows)
    }

    /// Does nothing until then.
    pub(super) fn freeze(&mut self, until_ms: u64) {
        self.busy_until_ms = self.busy_until_ms.max(until_ms);
    }

    /// Until when it does nothing.
    pub(super) fn frozen_until(&self) -> u64 {
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
        Some(Message::Hello(self.running.as_ref()?.replica.hello(peer)))
    }
}

impl World {
    /// Power returns.
    pub(super) fn start(&mut self, node: usize) {
        let now_ms = self.now_ms;
        let Some(authority) = self.authority_mut(node) else { return };
        authority.started_ms = now_ms;
        authority.busy_until_ms = now_ms;
        authority.queued.clear();
        let now = authority.clock(now_ms);
        let storage = Arc::clone(&authority.storage);
        let start = Start {
            genesis: &self.genesis,
            signer: Signer::from_seed(&keypair(AUTHORITY, node).seed()),
            parameters: self.plan.parameters.clone(),
        };
        let opened = match Opened::open(now, &storage, start) {
            Ok(opened) => opened,
            Err(error) => {
                return self.oracle.violated("a restart succeeds", format!("n{node}: {error}"));
            }
        };
        let Opened { replica, executor, first } = opened;
        let (stored, base) = {
            let storage = lock(&storage);
            let base = storage.epochs().last().map_or(0, |epoch| epoch.base);
            (storage.last_commit(), base)
        };
        let committee = replica.committee().clone();
        self.enter(node, &committee, base);
        let wiped = self.authority_mut(node).is_some_and(|it| std::mem::take(&mut it.wiped));
        self.oracle.opened(node, stored, wiped);
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

    /// An authority is in another epoch: the first one takes the liars along.
    pub(super) fn enter(&mut self, node: usize, committee: &Committee, base: u64) {
        let (now_ms, epoch) = (self.now_ms, committee.config().epoch);
        self.trace.note(now_ms, node, "enters the epoch", &[epoch, base], &[], || {
            format!("{epoch} of {} authorities, after commit {base}", committee.size())
        });
        if self.oracle.entered(node, committee, base) {
            for kind in &mut self.nodes {
                if let Node::Liar(liar) = kind {
                    liar.enter(now_ms, committee);
                }
            }
        }
        if let Some(authority) = self.authority_mut(node)
            && let Some(running) = &mut authority.running
        {
            running.timers.clear();
        }
        if committee.index_of(&self.keys[node]).is_none() {
            self.hand_over(node);
        }
    }

    /// What waits at a node that orders nothing any more is given to others.
    pub(super) fn hand_over(&mut self, node: usize) {
        for number in self.clients.left(node) {
            let delay_ms = self.random.between(100, 3_000);
            self.after(delay_ms, Happening::Resubmit { number });
        }
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
        self.oracle.crashed(node);
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

    /// The disk of a node is gone; it starts on an empty one.
    pub(super) fn wipe(&mut self, node: usize, down_ms: u64) {
        let told = self.told_of(node);
        self.crash(node, down_ms);
        let Some(authority) = self.authority_mut(node) else { return };
        authority.plug.wipe();
        authority.wiped = true;
        self.tally.wipes += 1;
        self.oracle.wiped(node, &told);
        self.trace.note(self.now_ms, node, "loses its disk", &[], &[], || "");
        self.hand_over(node);
    }

    /// What the other honest ones would tell a node of its newest block, each in its epoch.
    fn told_of(&self, node: usize) -> Vec<(usize, Domain, Round)> {
        let mut told = Vec::new();
        for (other, authority) in self.honest().filter(|(other, _)| *other != node) {
            let Some(Running { replica, .. }) = &authority.running else { continue };
            let question = FetchRequest::Own { epoch: replica.epoch() };
            let answer = replica.answer(&authority.storage, &self.keys[node], &question);
            let Ok(FetchAnswer::Own(Some(newest))) = answer else { continue };
            let block = newest.block.map(|bytes| UnverifiedBlock::decode(&bytes));
            if let Some(Ok(block)) = block {
                told.push((other, replica.committee().domain(), block.reference().round));
            }
        }
        told
    }

    /// The disk of a node is copied while its power is off.
    pub(super) fn copy(&mut self, node: usize) {
        self.crash(node, 1);
        if let Some(authority) = self.authority(node) {
            authority.plug.copy();
        }
    }

    /// An old copy of its disk is put in the place of a node's disk.
    pub(super) fn put_back(&mut self, node: usize, down_ms: u64) {
        self.crash(node, down_ms);
        let Some(authority) = self.authority_mut(node) else { return };
        authority.plug.put_back();
        authority.wiped = true;
        self.tally.old_copies += 1;
        self.oracle.put_back(node);
        self.trace.note(self.now_ms, node, "is given an old copy of its disk", &[], &[], || "");
        self.hand_over(node);
    }

    /// Somebody has a newer block of a node than its disk.
    pub(super) fn log_lost(&mut self, node: usize, newer: BlockRef) {
        let Some(authority) = self.authority(node) else { return };
        lock(&authority.storage).log_lost().expect("a disk with room");
        self.tally.old_copies_noticed += 1;
        let numbers = [newer.round.0];
        self.trace
            .note(self.now_ms, node, "hears of its block", &numbers, &newer.digest.0, || newer);
        let domain = self.committee_of(node).map(|committee| committee.domain());
        if domain.is_none_or(|domain| !self.oracle.excuse(node, domain, newer.round)) {
            let what = format!("n{node} is shown {newer}, which it has not");
            self.oracle.violated("whoever has its own disk has its own blocks", what);
        }
    }

    /// A node met a block of its own that it has not made, having signed since it started: somebody
    /// sees that it signs no more, and starts it again.
    pub(super) fn halted(&mut self, node: usize, reason: &HaltReason) {
        if self.oracle.is_excused(node) && matches!(reason, HaltReason::ForeignOwnBlock(_)) {
            return self.crash(node, 1);
        }
        self.oracle.violated("no honest node halts", format!("n{node}: {reason:?}"));
    }

    pub(super) fn restart(&mut self, node: usize, life: u64) {
        if self.authority(node).is_some_and(|it| it.life == life && it.running.is_none()) {
            self.start(node);
        }
    }
}
