//! Execution: a commit and a state in, effects out. Reads rows by key, writes nothing.
//!
//! The types of the border are here; `execute/run.rs` goes through a commit, `execute/work.rs` is
//! what an operation sees, and each family of operations has its file.

mod actions;
mod allowances;
mod avoided;
mod completion;
mod descriptions;
mod envelope;
mod factors;
mod genesis;
mod governance;
mod keys;
mod limits;
mod lots;
mod members;
mod money;
mod orders;
mod overlay;
mod proposals;
mod restatements;
mod run;
mod sources;
mod transformations;
mod upkeep;
mod wave;
mod what_if;
mod work;

pub use genesis::genesis;
#[cfg(test)]
pub(crate) use run::execute_with;
pub use run::{DEADLINES_MAX, effects_digest, execute, execute_knowing, version_of};
pub use wave::RESTATEMENT_STEPS_MAX;
pub use what_if::{Difference, Kept, KeptBecause, LotDifference, WhatIf, what_if};

use crate::codec::DecodeError;
use crate::governance::ProposalState;
use crate::id::{Digest, LotId, MemberId, OrderId, ProposalId, RestatementId, TransactionId};
use crate::order::OrderState;
use crate::quantity::{CommitIndex, Timestamp};
use crate::rejection::{Code, Rejection};
use crate::restatement::RestatementState;
use crate::rows::{CommitteeRow, Write};
use crate::transaction::{TRANSACTION_VERSION, Transaction, UnverifiedTransaction};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What consensus has ordered, in order.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Its number; one above the last.
    pub index: CommitIndex,
    /// Its time. One before the last commit's counts as the last commit's: time never goes back,
    /// and the first commits of a network may be dated before its genesis.
    pub time: Timestamp,
    /// The transactions, in order.
    pub items: Vec<Item>,
}

/// A transaction as it came out of a block.
#[derive(Clone, Debug)]
pub enum Item {
    /// Decoded and its signature checked.
    Transaction(Transaction),
    /// Bytes that are no valid transaction (see [`Code::Malformed`], [`Code::TooLarge`],
    /// [`Code::UnknownVersion`] and [`Code::BadSignature`]): a recorded rejection.
    Invalid {
        /// BLAKE3 of the bytes, standing in for the id.
        id: TransactionId,
        /// Why.
        code: Code,
    },
}

impl Item {
    /// Decodes and verifies the bytes of a transaction as they stand in a block.
    pub fn decode(bytes: &[u8]) -> Self {
        match UnverifiedTransaction::decode(bytes) {
            Ok(unverified) => match unverified.verify() {
                Ok(transaction) => Self::Transaction(transaction),
                Err(_) => Self::invalid(bytes, Code::BadSignature),
            },
            Err(DecodeError::TooLong { .. }) => Self::invalid(bytes, Code::TooLarge),
            Err(DecodeError::Malformed | DecodeError::NotCanonical) => {
                let known = bytes.first().is_none_or(|version| *version == TRANSACTION_VERSION);
                Self::invalid(bytes, if known { Code::Malformed } else { Code::UnknownVersion })
            }
        }
    }

    fn invalid(bytes: &[u8], code: Code) -> Self {
        Self::Invalid { id: TransactionId::new(*blake3::hash(bytes).as_bytes()), code }
    }
}

/// What executing a commit did: data, for the storage to apply at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effects {
    /// The commit.
    pub commit: CommitIndex,
    /// All changes of the state, ascending by key, one per key.
    pub writes: Vec<Write>,
    /// What became of each deadline that passed and each transaction, in order, then the steps of
    /// restatements, if any were taken; repetitions of earlier transactions are not executed and not
    /// listed.
    pub executed: Vec<Executed>,
    /// What happened, in order, for those who wait for it.
    pub events: Vec<Event>,
    /// Leaves of the transaction log after it.
    pub log_leaves: u64,
    /// Root of the transaction log after it.
    pub log_root: Digest,
    /// Chain over the effects after it: BLAKE3 of the digest before, the commit's index and time and
    /// the effects digests of all that was executed. A commit in which nothing was executed leaves it (and
    /// the log) as it was: there is nothing new to vote on.
    pub state_digest: Digest,
    /// The committee of the next epoch, when this commit is the last of its own.
    pub next_committee: Option<CommitteeRow>,
}

/// An entry of the transaction log, with the changes it stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executed {
    /// The transaction; for a deadline, the hash of order and time; for the steps of restatements,
    /// the hash of the commit's index.
    pub id: TransactionId,
    /// Which leaf of the log.
    pub leaf: u64,
    /// Applied, or why not.
    pub result: Result<(), Rejection>,
    /// The rows it changed, ascending by key; empty when rejected. What the ledger writes about it
    /// (tables ledger, transaction, log node and upkeep count) is not among them: [`effects_digest`] is over
    /// exactly these.
    pub writes: Vec<Write>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// In which commit.
    pub commit: CommitIndex,
    /// Its place among the commit's events.
    pub index: u32,
    /// When.
    pub time: Timestamp,
    /// By which transaction (or deadline).
    pub transaction: TransactionId,
    /// What.
    pub body: EventBody,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventBody {
    /// A transaction is final.
    Final {
        /// Applied, or why not.
        result: Result<(), Rejection>,
    },
    /// An order changed its state.
    Order {
        /// The order.
        order: OrderId,
        /// Its new state.
        state: OrderState,
        /// Who ordered.
        buyer: MemberId,
        /// Who performs.
        provider: MemberId,
    },
    /// A lot came to an owner.
    Lot {
        /// The lot.
        lot: LotId,
        /// Its owner.
        owner: MemberId,
    },
    /// A restatement was proposed, applied, refused or withdrawn.
    Restatement {
        /// The restatement.
        restatement: RestatementId,
        /// Where it stands.
        state: RestatementState,
        /// Who asked for it.
        by: MemberId,
    },
    /// A restatement has come to a lot of which something remains: its footprint is another.
    LotRestated {
        /// The lot.
        lot: LotId,
        /// Its owner.
        owner: MemberId,
    },
    /// A proposal was made, or has ended.
    Proposal {
        /// The proposal.
        proposal: ProposalId,
        /// Where it stands.
        state: ProposalState,
    },
}
