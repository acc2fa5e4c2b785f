//! What a replay can find wrong. Never a panic, never "ok".

use crate::storage::{Ending, StorageError};
use kerbholz_consensus::CommitteeError;
use kerbholz_ledger::governance::PROTOCOL_VERSION;
use kerbholz_ledger::id::TransactionId;
use kerbholz_ledger::rows::ReadError;
use serde::Serialize;

/// The first place where what was recorded and what was recomputed differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("commit {commit}{}: {what}: expected {expected}, found {found}", of(*transaction))]
pub struct Difference {
    /// The commit.
    pub commit: u64,
    /// The transaction, where it is known.
    pub transaction: Option<TransactionId>,
    /// What differs.
    pub what: String,
    /// What it should be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

fn of(transaction: Option<TransactionId>) -> String {
    transaction.map_or_else(String::new, |id| format!(", transaction {id}"))
}

impl Difference {
    pub(super) fn at(
        commit: u64,
        what: impl Into<String>,
        expected: impl ToString,
        found: impl ToString,
    ) -> Self {
        let (expected, found) = (expected.to_string(), found.to_string());
        Self { commit, transaction: None, what: what.into(), expected, found }
    }
}

/// Why a ledger was not found in order.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// What was recomputed is not what was recorded.
    #[error(transparent)]
    Difference(#[from] Difference),
    /// A file is missing, damaged, of another network or a newer version.
    #[error(transparent)]
    File(#[from] StorageError),
    /// The copy does not end after a whole entry.
    #[error("{0}: copy the data again from a node that stands still")]
    Cut(Ending),
    /// The reader gave up without saying how the ledger ends.
    #[error("the ledger does not say how it ends: copy the data again")]
    Unended,
    /// The genesis, or what is recorded of an epoch, makes no committee.
    #[error("no committee: {0}")]
    Committee(#[from] CommitteeError),
    /// The authorities have activated a version of the protocol that is younger than this software.
    #[error(
        "commit {commit} is executed by protocol version {version}, and this software knows versions \
         up to {PROTOCOL_VERSION}: replay it with a release that knows it"
    )]
    Outdated {
        /// The first commit of that version.
        commit: u64,
        /// The version.
        version: u32,
    },
    /// The genesis makes no ledger.
    #[error(transparent)]
    Genesis(#[from] ReadError),
}

impl AuditError {
    /// Whether the data was whole and says something else than it should (not: could not be read).
    pub const fn is_difference(&self) -> bool {
        matches!(self, Self::Difference(_))
    }
}
