//! Ends an epoch (§10.2): after the commit that the ledger calls the last one nothing more is
//! ordered; empty blocks go on until that commit is checkpointed.

use super::{Consensus, Mode};
use crate::event::Action;

impl Consensus {
    /// The ledger says that this commit closes the epoch.
    pub(super) fn close(&mut self, index: u64) {
        if self.closing.is_some() {
            return;
        }
        self.closing = Some(index);
        // What was decided beyond is discarded by the caller and never executed.
        self.awaiting.split_off(&index.saturating_add(1));
        self.queue.clear();
        self.forget_certified();
    }

    /// Says so, once, when the closing commit is checkpointed.
    pub(super) fn finish_epoch(&mut self) {
        let Some(index) = self.closing.filter(|_| !self.mode.is_over()) else { return };
        if let Some(checkpoint) = self.tally.newest().filter(|c| c.statement.index == index) {
            let checkpoint = checkpoint.clone();
            self.mode = Mode::Closed;
            self.actions.push(Action::EpochClosed { checkpoint });
        }
    }
}
