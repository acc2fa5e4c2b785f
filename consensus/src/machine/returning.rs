//! Finds out whether the log is an old copy, and, after it was lost, from which round on it is safe
//! to sign (§8.5).

use super::{Consensus, Mode};
use crate::{
    block::Block,
    event::{Action, HaltReason, Now},
    lost_log::LostLog,
    types::{AuthorityIndex, BlockRef, Instant, Round},
};

impl Consensus {
    pub(super) fn own_answered(
        &mut self,
        now: Instant,
        from: AuthorityIndex,
        commit: u64,
        newest: Option<Block>,
    ) {
        self.own_check.answered(from);
        self.catch_up.claim(from, commit);
        if let Mode::Lost(lost) = &mut self.mode {
            lost.answered(from, commit, now);
        }
        if let Some(block) = newest.filter(|b| b.author() == self.own && self.is_of_epoch(b)) {
            if self.is_foreign(&block) {
                self.met_own(&block);
            }
            self.note_own(&block);
            if !self.take_certified(&block, now) {
                self.admit(now, from, block, true);
            }
        }
    }

    /// A peer says how far it has our blocks.
    pub(super) fn greeted(&mut self, now: Instant, peer: AuthorityIndex, has_of_ours: Round) {
        if !matches!(self.mode, Mode::Live) {
            return;
        }
        // Somebody may call rounds its own that were collected, whoever has a block in them.
        let newest = self.pacemaker.own_last().round.max(self.signed_from.minus(1));
        if self.own_check.greeted(peer, has_of_ours > newest, now) {
            self.actions.push(Action::AskOwn { from: peer });
        }
    }

    /// Whether a block by us is none that we know of.
    fn is_foreign(&self, block: &Block) -> bool {
        block.round() > self.pacemaker.own_last().round
            || block.round() > self.dag.gc_round() && !self.knows(&block.reference())
    }

    /// Own blocks above the collection round are all known: this one we did not make, or it is
    /// from before the log was lost. If nothing was signed since the start, the log is an old copy
    /// most likely: as good as lost. Otherwise an operator has to look.
    pub(super) fn met_own(&mut self, block: &Block) {
        if !matches!(self.mode, Mode::Live) || block.round() < self.signed_from {
            return;
        }
        self.actions.push(Action::LogLost { newer: block.reference() });
        if self.own_check.has_begun() {
            return self.halt(HaltReason::ForeignOwnBlock(block.clone()));
        }
        let asked = self.own_check.asked();
        self.mode = Mode::Lost(LostLog::new(&self.committee, &self.parameters, None, asked));
    }

    /// A block signed with our key, from wherever: after the log was lost none may be forgotten.
    pub(super) fn note_own(&mut self, block: &Block) {
        if block.author() == self.own && matches!(self.mode, Mode::Lost(_)) {
            self.own_told = self.own_told.max(Some(block.reference()));
        }
    }

    /// A question for own blocks has no answer and will have none.
    pub(super) fn own_failed(&mut self, now: Instant, from: AuthorityIndex) {
        self.own_check.failed(from, now);
        if let Mode::Lost(lost) = &mut self.mode {
            lost.failed(from, now);
        }
    }

    /// Asks whoever was not asked, and begins to sign when enough is known.
    pub(super) fn return_to_signing(&mut self, now: Now) {
        let connected = self.fetcher.connected();
        if matches!(self.mode, Mode::Live) {
            let again = self.own_check.poll(now.monotonic, connected);
            self.actions.extend(again.into_iter().map(|from| Action::AskOwn { from }));
        }
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
            self.own_check.begin();
            self.signed_from = round;
            self.pacemaker.resume(newest, round, now.monotonic);
        }
    }

    /// When to ask again, or to wait no longer.
    pub(super) fn return_due(&self, now: Instant) -> Option<Instant> {
        match &self.mode {
            Mode::Live => self.own_check.due_at(now),
            Mode::Lost(lost) => lost.due_at(now, self.fetcher.connected()),
            _ => None,
        }
    }

    /// The newest block by us that is here or that somebody showed us.
    fn newest_own(&self) -> BlockRef {
        let waiting = self.newest_of(self.own).map(Block::reference);
        let last = self.pacemaker.own_last();
        waiting.into_iter().chain(self.own_told).chain([last]).max().unwrap_or(last)
    }
}
