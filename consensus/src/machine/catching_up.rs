//! Applies certified commits, one by one and in order, before anything newer is decided (§6.5).

use alloc::{vec, vec::Vec};

use super::Consensus;
use crate::{
    block::Block,
    catch_up::Purpose,
    certificate::CertifiedCommits,
    commit::CommitHeader,
    event::{Action, HaltReason, Now},
    linear,
    types::{AuthorityIndex, BlockRef, Instant},
};

/// How many commits with payload may wait for their execution before the next is applied.
const UNEXECUTED_PAYLOAD_MAX: usize = 64;
/// How many commits of any kind.
const UNEXECUTED_MAX: u64 = 1024;

impl Consensus {
    pub(super) fn commits_answered(
        &mut self,
        now: Instant,
        from: AuthorityIndex,
        commits: CertifiedCommits,
    ) {
        let connected = self.fetcher.connected();
        if commits.domain() != self.committee.domain() {
            // It was asked by the machine of another epoch.
            return self.catch_up.failed(from, now, connected);
        }
        let findings = self.tally.certify(commits.checkpoint().clone());
        self.report(findings);
        let leader = commits.headers().first().map(|header| header.leader);
        let answered = self.catch_up.answered(from, commits, &self.head, now, connected);
        if let (Err(_), Some(proposal)) = (answered, leader) {
            self.halt(HaltReason::Contradiction { proposal });
        }
        if self.closing.is_some() {
            self.forget_certified();
        }
    }

    /// Applies what is complete, asks for the blocks of what comes next, and for more commits.
    pub(super) fn catch_up(&mut self, now: Now) {
        self.apply_certified(now.monotonic);
        if self.mode.is_over() {
            return;
        }
        for (reference, held) in self.catch_up.give_up(now.monotonic, &self.dag) {
            match held {
                // It goes the ordinary way, and what was to build on it does not wait for ever.
                Some(block) => self.admit(now.monotonic, self.own, block, true),
                None => self.fetch_no_more(&reference),
            }
        }
        for reference in self.catch_up.plan(&self.dag, &self.suspended) {
            self.fetcher.want_now(reference, now.monotonic);
        }
        // Blocks that waited elsewhere can complete a commit at once.
        self.apply_certified(now.monotonic);
        let connected = self.fetcher.connected();
        let purpose = self.purpose();
        if let Some((from, after)) =
            self.catch_up.poll(now.monotonic, &self.head, purpose, connected)
        {
            self.actions.push(Action::FetchCommits { from, after });
        }
    }

    /// When to look again.
    pub(super) fn catch_up_due(&self) -> Option<Instant> {
        let due = self.catch_up.due_at(&self.head, self.purpose(), self.fetcher.connected());
        due.into_iter().chain(self.catch_up.patience_ends()).min()
    }

    fn purpose(&self) -> Purpose {
        match (self.closing, &self.signer) {
            (Some(index), _) => Purpose::Close(index),
            (None, None) => Purpose::Follow,
            (None, Some(_)) => Purpose::Behind,
        }
    }

    fn apply_certified(&mut self, now: Instant) {
        while !self.mode.is_over()
            && self.closing.is_none()
            && self.awaiting.len() < UNEXECUTED_PAYLOAD_MAX
            && self.head.index.saturating_sub(self.executed) < UNEXECUTED_MAX
            && let Some((header, blocks)) = self.catch_up.next(&self.dag)
        {
            if !self.apply_commit(&header, blocks) {
                let proposal = header.leader;
                return self.halt(HaltReason::Contradiction { proposal });
            }
            self.catch_up.committed(now);
        }
    }

    /// Orders a certified commit as the rule would have: by its leader. Says whether what follows
    /// from the leader is what a quorum signed.
    fn apply_commit(&mut self, header: &CommitHeader, blocks: Vec<Block>) -> bool {
        let leader = header.leader;
        // A slot below was decided here: it was committed, or it was skipped.
        if leader.round < self.next_slot || leader.author != self.committee.leader(leader.round) {
            return false;
        }
        for block in blocks {
            if self.dag.missing(&block).next().is_some() {
                return false;
            }
            self.note_twin(&block);
            if block.author() == self.own {
                self.met_own(&block);
            }
            self.discard_suspended(&block);
            self.accept(self.own, vec![block]);
        }
        let Some(commit) = linear::linearise(&self.dag, &self.head, leader) else { return false };
        if commit.header() != header {
            return false;
        }
        self.append(commit);
        self.next_slot = leader.round.plus(1);
        self.collect_garbage();
        true
    }

    /// Forgets the certified commits that are not applied.
    pub(super) fn forget_certified(&mut self) {
        for (reference, _) in self.catch_up.clear() {
            self.fetch_no_more(&reference);
        }
    }

    /// Keeps a block for the certified commit that waits for it; says whether one does.
    pub(super) fn take_certified(&mut self, block: &Block, now: Instant) -> bool {
        let taken = self.catch_up.take(block, now);
        if taken {
            self.fetcher.forget(&block.reference());
        }
        taken
    }

    fn fetch_no_more(&mut self, reference: &BlockRef) {
        if !self.suspended.needs(reference) {
            self.fetcher.forget(reference);
        }
    }
}
