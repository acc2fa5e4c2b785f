//! Execution: a commit and a state in, effects out. Reads rows by key, writes nothing.

use crate::genesis::Genesis;
use crate::id::{Digest, LotId, MemberId, OrderId, TransactionId};
use crate::order::OrderState;
use crate::quantity::{CommitIndex, Timestamp};
use crate::rejection::{Code, Rejection};
use crate::rows::{Read, ReadError, Write};
use crate::transaction::Transaction;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What consensus has ordered, in order.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Its number; one above the last.
    pub index: CommitIndex,
    /// Its time; not before the last.
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

/// What executing a commit did: data, for the storage to apply at once.
#[derive(Clone, Debug)]
pub struct Effects {
    /// The commit.
    pub commit: CommitIndex,
    /// All changes of the state, ascending by key, one per key.
    pub writes: Vec<Write>,
    /// What became of each transaction and of each deadline that passed, in order; repetitions of
    /// earlier transactions are not executed and not listed.
    pub executed: Vec<Executed>,
    /// What happened, in order, for those who wait for it.
    pub events: Vec<Event>,
    /// Leaves of the transaction log after it.
    pub log_leaves: u64,
    /// Root of the transaction log after it.
    pub log_root: Digest,
    /// Chain over the write sets after it.
    pub state_digest: Digest,
}

/// An entry of the transaction log, with the changes it stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executed {
    /// The transaction; for a deadline, the hash of order and time.
    pub id: TransactionId,
    /// Which leaf of the log.
    pub leaf: u64,
    /// Applied, or why not.
    pub result: Result<(), Rejection>,
    /// The rows it changed, ascending by key; empty when rejected.
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
}

/// The effects of genesis: the state before the first commit.
///
/// # Errors
/// The genesis must have been validated; what is wrong with it otherwise is a [`ReadError`].
pub fn genesis(_genesis: &Genesis) -> Result<Effects, ReadError> {
    Err(ReadError("not written".into()))
}

/// Executes a commit on a state.
///
/// # Errors
/// [`ReadError`] when the storage fails; a refusal of a transaction is not an error but recorded.
pub fn execute(_commit: &Commit, _state: &dyn Read) -> Result<Effects, ReadError> {
    Err(ReadError("not written".into()))
}
