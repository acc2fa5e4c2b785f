//! How an epoch ends and the next one begins (§10.2, §10.3).
//!
//! The ledger decides by executing a commit; that commit is the last of its epoch. Once it has a
//! checkpoint, one entry in the ledger begins the next epoch: all at once, or not at all. A crash in
//! between leaves a state that is an epoch ahead of the ledger, which says the same again.

use super::{ExecuteError, Executor, lock};
use crate::index;
use crate::replica::{Done, NextEpoch};
use crate::storage::{Epoch, LedgerEntry, Limits};
use kerbholz_client::ledger::quantity as ledger;
use kerbholz_client::ledger::query;
use kerbholz_client::ledger::rows::{CommitteeRow, ReadError};
use kerbholz_consensus::{Base, Checkpoint, Committee, CommitteeConfig, PublicKey, Timestamp};

impl Executor {
    /// The committee that the state has decided on and that has not begun yet.
    pub(super) fn decided_next(&self) -> Result<Option<CommitteeRow>, ReadError> {
        let row = query::committee(&*self.rows)?;
        Ok(Some(row).filter(|row| row.epoch.get() > self.committee.config().epoch))
    }

    /// Whether this commit closed the epoch.
    pub(super) fn closed_by(&self, commit: u64) -> bool {
        self.next.as_ref().is_some_and(|next| next.decided_in.get() == commit)
    }

    /// Index of the last commit before the present epoch.
    pub(super) fn base(&self) -> u64 {
        lock(&self.storage).epochs().last().map_or(0, |epoch| epoch.base)
    }

    /// Keeps how each epoch was closed, where a state that was made anew does not say it.
    pub(super) fn restore_closings(&self, epochs: &[Epoch]) -> Result<(), ExecuteError> {
        /// The first checkpoint behind the commit before is the closing one.
        const ONE: Limits = Limits { commits: 1, bytes: 0 };
        let mut storage = lock(&self.storage);
        let mut writes = Vec::new();
        for (before, epoch) in epochs.iter().zip(epochs.iter().skip(1)) {
            let closed = ledger::Epoch::new(before.number());
            if index::is_closed(&*self.rows, closed)? {
                continue;
            }
            let certified = storage.certified(epoch.base.saturating_sub(1), ONE)?;
            let closing = certified.map(|(_, checkpoint)| checkpoint);
            let closing = closing.filter(|closing| closing.statement.index == epoch.base);
            writes.extend(closing.map(|closing| index::closing_write(closed, &closing)));
        }
        if !writes.is_empty() {
            storage.apply(self.progress.borrow().commit, &writes)?;
        }
        Ok(())
    }

    /// Begins the next epoch, in the ledger first. Nothing, if the epoch was not closed.
    pub(super) fn close(&mut self, checkpoint: Checkpoint) -> Result<Option<Done>, ExecuteError> {
        let statement = checkpoint.statement;
        let next = self.next.take_if(|next| next.decided_in.get() == statement.index);
        let Some(next) = next else { return Ok(None) };
        let config = next_config(&self.committee, &next, &checkpoint);
        let committee = Committee::new(config.clone())?;
        let mut entries = vec![LedgerEntry::Epoch(config)];
        {
            let mut storage = lock(&self.storage);
            let newest = storage.checkpoint().map_or(0, |newest| newest.statement.index);
            if newest < statement.index {
                entries.insert(0, LedgerEntry::Checkpoint(checkpoint.clone()));
            }
            storage.append_ledger(&entries)?;
        }
        self.committee = committee.clone();
        let time = Timestamp(self.progress.borrow().time);
        self.cover(checkpoint.clone())?;
        let base = Base { index: statement.index, time };
        let names = next.authorities.into_iter().map(|one| one.name).collect();
        Ok(Some(Done::Epoch(Box::new(NextEpoch { committee, base, checkpoint, names }))))
    }
}

/// The committee of the next epoch, built on the commit that closed this one.
fn next_config(
    committee: &Committee,
    next: &CommitteeRow,
    closing: &Checkpoint,
) -> CommitteeConfig {
    let authorities = next.authorities.iter();
    CommitteeConfig {
        epoch: next.epoch.get(),
        authorities: authorities.map(|one| PublicKey(*one.key.as_bytes())).collect(),
        previous: closing.statement.commit_digest,
        ..committee.config().clone()
    }
}
