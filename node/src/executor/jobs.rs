//! What the executor is given to do, and the signatures in it that are checked before anything is
//! written.

use crate::storage::LedgerEntry;
use kerbholz_client::ledger::execute::Item;
use kerbholz_client::ledger::id::TransactionId;
use kerbholz_client::ledger::operation::Operation;
use kerbholz_consensus::{Checkpoint, Commit};
use rayon::prelude::*;

/// Something for the executor, in order.
#[derive(Debug)]
pub enum Job {
    /// The next commit.
    Commit(Commit),
    /// A quorum signed an executed commit.
    Checkpoint(Checkpoint),
    /// The commit that closes the epoch has this checkpoint: the next epoch begins.
    Close(Checkpoint),
}

/// A job, with the signatures of its transactions checked.
pub(super) enum Prepared {
    Commit(Commit, Vec<Item>),
    Checkpoint(Checkpoint),
    Close(Checkpoint),
}

impl From<Job> for Prepared {
    fn from(job: Job) -> Self {
        match job {
            Job::Commit(commit) => {
                let items = items(&commit);
                Self::Commit(commit, items)
            }
            Job::Checkpoint(checkpoint) => Self::Checkpoint(checkpoint),
            Job::Close(checkpoint) => Self::Close(checkpoint),
        }
    }
}

impl Prepared {
    pub(super) fn entry(&self) -> Option<LedgerEntry> {
        match self {
            Self::Commit(commit, _) => Some(LedgerEntry::Commit(commit.into())),
            Self::Checkpoint(checkpoint) => Some(LedgerEntry::Checkpoint(checkpoint.clone())),
            Self::Close(_) => None,
        }
    }

    /// Whether what comes next may be of another epoch: it must not be in the ledger before this is
    /// executed.
    pub(super) fn may_close(&self) -> bool {
        let votes = |item: &Item| match item {
            Item::Transaction(transaction) => {
                let operations = &transaction.envelope().operations;
                operations.iter().any(|operation| matches!(operation, Operation::VoteCommittee(_)))
            }
            Item::Invalid { .. } => false,
        };
        match self {
            Self::Commit(_, items) => items.iter().any(votes),
            Self::Checkpoint(_) => false,
            Self::Close(_) => true,
        }
    }
}

pub(super) fn items(commit: &Commit) -> Vec<Item> {
    let payload: Vec<&[u8]> = commit.payload().map(|(_, item)| item).collect();
    check(&payload)
}

/// Decodes transactions and checks their signatures in parallel; the result keeps the order.
pub fn check(payload: &[&[u8]]) -> Vec<Item> {
    payload.par_iter().map(|bytes| Item::decode(bytes)).collect()
}

pub(super) fn item_id(item: &Item) -> TransactionId {
    match item {
        Item::Transaction(transaction) => transaction.id(),
        Item::Invalid { id, .. } => *id,
    }
}
