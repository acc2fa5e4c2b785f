//! What an authority does: its actions, one after the other, as `node::driver` performs them; and
//! what its executor does.

use super::{Happening, Message, World};
use kerbholz_client::consensus::{
    Action, AuthorityIndex, Block, Checkpoint, Commit, Event, Instant, Now, Offence, PublicKey,
    Round, Status, Timer,
};
use kerbholz_node::{
    executor::{Job, lock},
    fetch::FetchRequest,
    replica::{Done, Replica},
};
use std::sync::Arc;

/// Most jobs an executor takes at once, as in `node::executor`.
const JOBS_AT_ONCE: u64 = 64;
/// How many own blocks are read at once when a stream begins, as in `node::driver`.
const STREAM_BLOCKS_AT_ONCE: usize = 64;

impl World {
    /// Something happens to the replica of a node.
    pub(super) fn with(
        &mut self,
        node: usize,
        happens: impl FnOnce(&mut Replica, Now) -> Vec<Action>,
    ) {
        let now_ms = self.now_ms;
        let Some(authority) = self.authority_mut(node) else { return };
        let now = authority.clock(now_ms);
        let Some(running) = &mut authority.running else { return };
        let before = running.replica.consensus().status();
        let actions = happens(&mut running.replica, now);
        let after = running.replica.consensus().status();
        let size = running.replica.committee().size();
        self.compare(node, size, &before, &after);
        self.perform(node, actions);
    }

    pub(super) fn compare(&mut self, node: usize, size: usize, before: &Status, after: &Status) {
        if after.round.0 > before.round.0 + 1 && before.round.0 > 1 {
            self.tally.jumps += 1;
        }
        if after.catching_up && !before.catching_up {
            self.tally.catch_ups += 1;
            let commit = after.commit_index;
            self.trace.note(self.now_ms, node, "catches up", &[commit], &[], || commit);
        }
        self.oracle.status(node, size, after, &self.plan.parameters, &mut self.tally);
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
            self.with(node, |replica, now| replica.handle(now, Event::Timer(timer)));
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
            Action::Fetch { from, references, chains_above } => {
                self.question(node, from, FetchRequest::new(references, chains_above));
            }
            Action::FetchCommits { from, after } => {
                self.question(node, from, FetchRequest::Commits { after });
            }
            Action::AskOwn { from } => {
                let epoch = self.epoch_of(node);
                self.question(node, from, FetchRequest::Own { epoch });
            }
            Action::EpochClosed { checkpoint } => self.job(node, Job::Close(checkpoint)),
            Action::SetTimer { timer, at } => self.set_timer(node, timer, at),
            Action::Commit(commit) => self.commit(node, commit),
            Action::Checkpoint(checkpoint) => self.checkpoint(node, checkpoint),
            Action::Fault { authority, offence } => self.accuse(node, authority, &offence),
            Action::LogLost { newer } => self.log_lost(node, newer),
            Action::Halt(reason) => self.halted(node, &reason),
            // Settled by the replica.
            Action::PayloadReturned(_) | Action::PayloadRefused(_) => {}
        }
    }

    fn set_timer(&mut self, node: usize, timer: Timer, at: Instant) {
        let Some(authority) = self.authority_mut(node) else { return };
        let (life, at_ms) = (authority.life, authority.when(at));
        if let Some(running) = &mut authority.running {
            running.timers.insert(timer, at);
        }
        self.at(at_ms, Happening::Timer { node, life, timer, at_ms });
    }

    fn commit(&mut self, node: usize, commit: Commit) {
        let (index, leader) = (commit.index(), commit.leader());
        let digest = commit.digest().0;
        self.trace.note(self.now_ms, node, "commits", &[index], &digest, || {
            format!("{index}: leader {leader}, {} blocks", commit.blocks().len())
        });
        if let Some(domain) = self.committee_of(node).map(|it| it.domain()) {
            self.oracle.committed(node, domain, &commit);
        }
        self.job(node, Job::Commit(commit));
    }

    fn checkpoint(&mut self, node: usize, checkpoint: Checkpoint) {
        let index = checkpoint.statement.index;
        self.trace.note(self.now_ms, node, "has the checkpoint", &[index], &[], || index);
        self.tally.checkpoints += 1;
        self.oracle.checkpoint(node, &checkpoint);
        self.job(node, Job::Checkpoint(checkpoint));
    }

    fn accuse(&mut self, node: usize, authority: AuthorityIndex, offence: &Offence) {
        let text = || match offence {
            Offence::Equivocation { first, second } => {
                format!("{authority} of {} and {}", first.reference(), second.reference())
            }
            Offence::Divergence { vote, .. } => {
                format!("{authority} of a false vote on {}", vote.statement.index)
            }
        };
        self.trace.note(self.now_ms, node, "accuses", &[authority.0.into()], &[], text);
        match offence {
            Offence::Equivocation { .. } => self.tally.equivocations += 1,
            Offence::Divergence { .. } => self.tally.divergences += 1,
        }
        self.keep_evidence(node, offence);
        let Some(committee) = self.committee_of(node) else { return };
        if self.oracle.accused(node, &committee, authority, offence)
            && let Some(accused) = self.node_of(&committee, authority)
        {
            self.hand_over(accused);
        }
    }

    pub(super) fn persist(&mut self, node: usize, block: &Block, durable: bool) {
        let Some(authority) = self.authority_mut(node) else { return };
        let storage = Arc::clone(&authority.storage);
        let Some(running) = &mut authority.running else { return };
        running.replica.persist(&storage, block, durable).expect("a disk with room");
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

    fn keep_evidence(&mut self, node: usize, offence: &Offence) {
        let Some(evidence) = offence.evidence() else { return };
        if let Some(authority) = self.authority(node) {
            lock(&authority.storage).keep_evidence(&evidence).expect("a disk with room");
        }
    }

    pub(super) fn broadcast(&mut self, node: usize, block: &Block) {
        let Some(running) = self.authority(node).and_then(|it| it.running.as_ref()) else { return };
        let keys: Vec<PublicKey> = running.replica.streamed().collect();
        self.oracle.sent(node, block);
        for (to, key) in self.keys.clone().into_iter().enumerate() {
            if to != node && keys.contains(&key) {
                self.send_block(node, to, block);
            }
        }
    }

    fn send_block(&mut self, node: usize, to: usize, block: &Block) {
        self.stream(node, to, Message::Block(block.clone()));
    }

    pub(super) fn begin_stream(&mut self, node: usize, to: AuthorityIndex, after: Round) {
        let Some(to) = self.peer(node, to) else { return };
        let Some(authority) = self.authority(node) else { return };
        let storage = Arc::clone(&authority.storage);
        let Some(running) = &authority.running else { return };
        let mut after = after.max(running.replica.consensus().status().gc_round);
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

    pub(super) fn job(&mut self, node: usize, job: Job) {
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
            self.executed(node, life, done);
        }
    }

    /// The outcome of a job reaches the replica.
    pub(super) fn executed(&mut self, node: usize, life: u64, done: Done) {
        let is_same = self.authority(node).is_some_and(|it| it.life == life);
        if !is_same {
            return;
        }
        let now_ms = self.now_ms;
        let begins = match &done {
            Done::Commit(executed) => {
                let numbers = [executed.index, u64::from(executed.closes)];
                self.trace.quiet(now_ms, node, "executed", &numbers, &executed.state_digest);
                self.oracle.executed(node, executed);
                self.clients.executed(node, now_ms, &executed.transactions);
                false
            }
            Done::Epoch(next) => {
                self.enter(node, &next.committee, next.base.index);
                true
            }
        };
        self.with(node, |replica, now| replica.executed(now, done).expect("a valid epoch"));
        if begins {
            self.disconnect_all(node);
        }
        if let Some(authority) = self.authority(node)
            && let Some(running) = &authority.running
        {
            let forget = running.replica.forget_through();
            lock(&authority.storage).forget_through(forget).expect("a disk with room");
        }
    }
}
