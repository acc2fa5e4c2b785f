//! Finds out, after the log was lost, from which round on it is safe to sign (§8.5).

use super::{Consensus, Mode};
use crate::{
    block::Block,
    event::{Action, Now},
    types::{AuthorityIndex, BlockRef, Instant},
};

impl Consensus {
    pub(super) fn own_answered(
        &mut self,
        now: Instant,
        from: AuthorityIndex,
        commit: u64,
        newest: Option<Block>,
    ) {
        let Mode::Lost(lost) = &mut self.mode else { return };
        lost.answered(from, commit, now);
        self.catch_up.claim(from, commit);
        if let Some(block) = newest.filter(|b| b.author() == self.own && self.is_of_epoch(b)) {
            self.note_own(&block);
            self.admit(now, from, block, true);
        }
    }

    /// A block signed with our key, from wherever: after the log was lost none may be forgotten.
    pub(super) fn note_own(&mut self, block: &Block) {
        if block.author() == self.own && matches!(self.mode, Mode::Lost(_)) {
            self.own_told = self.own_told.max(Some(block.reference()));
        }
    }

    pub(super) fn own_failed(&mut self, now: Instant, from: AuthorityIndex) {
        if let Mode::Lost(lost) = &mut self.mode {
            lost.failed(from, now);
        }
    }

    /// Asks whoever was not asked, and begins to sign when enough is known.
    pub(super) fn return_to_signing(&mut self, now: Now) {
        let connected = self.fetcher.connected();
        let newest = self.newest_own();
        let Mode::Lost(lost) = &mut self.mode else { return };
        for from in lost.poll(now.monotonic, connected) {
            self.actions.push(Action::AskOwn { from });
        }
        let Some(round) = lost.sign_from(newest.round, self.head.index, now.monotonic) else {
            return;
        };
        // The first new block builds on it.
        if self.is_here(&newest) && !self.catch_up.is_applying() {
            self.mode = Mode::Live;
            self.signed_from = round;
            self.pacemaker.resume(newest, round, now.monotonic);
        }
    }

    /// When to ask again.
    pub(super) fn return_due(&self, now: Instant) -> Option<Instant> {
        let Mode::Lost(lost) = &self.mode else { return None };
        lost.due_at(now, self.fetcher.connected())
    }

    /// The newest block by us that is here or that somebody showed us.
    fn newest_own(&self) -> BlockRef {
        let waiting = self.newest_of(self.own).map(Block::reference);
        let last = self.pacemaker.own_last();
        waiting.into_iter().chain(self.own_told).chain([last]).max().unwrap_or(last)
    }
}
