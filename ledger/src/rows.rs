//! Rows: the shape of the state, and how it is read. Keys are a table byte and an id; values are
//! canonical bytes. The rows themselves are in `rows/`, by family.

mod committee;
mod ledger;
mod lots;
mod members;
mod orders;

pub use committee::{CommitteeRow, VoteRow};
pub use ledger::{AccountRow, CurrencyRow, LedgerRow, ProductRow, TransactionRow};
pub use lots::{BookedActivity, LotRow, Origin, SinkRow, Taken, TransformationRow};
pub use members::{FactorRow, FactorSetRow, KeyRole, KeyRow, MemberKind, MemberRow, MeterRow};
pub use orders::{CompletedOrder, OrderRow};

use crate::codec;
use crate::keys::PublicKey;
use crate::quantity::Epoch;
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// The state could not be read: a matter of the storage, never of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state could not be read ({0}): rebuild it from the ledger segments")]
pub struct ReadError(pub String);

/// Read access to a state, by key and by prefix in ascending order of keys.
pub trait Read {
    /// The value of a key.
    ///
    /// # Errors
    /// [`ReadError`] when the storage fails.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError>;

    /// The first `limit` rows whose key starts with `prefix` and is not below `from`.
    ///
    /// # Errors
    /// [`ReadError`] when the storage fails.
    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, ReadError>;
}

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// One change of the state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Write {
    /// The key.
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
    /// Its new value, or `None` when it is removed.
    #[serde(with = "serde_bytes")]
    pub value: Option<Vec<u8>>,
}

/// The first byte of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Table {
    /// One row: [`LedgerRow`].
    Ledger = 1,
    /// [`MemberId`](crate::id::MemberId) to [`MemberRow`].
    Member = 2,
    /// Public key to [`KeyRow`].
    Key = 3,
    /// [`MemberId`](crate::id::MemberId) of the meter to [`MeterRow`].
    Meter = 4,
    /// [`FactorSetId`](crate::id::FactorSetId) to [`FactorSetRow`].
    FactorSet = 5,
    /// [`FactorSetId`](crate::id::FactorSetId), code to [`FactorRow`].
    Factor = 6,
    /// Currency code to [`CurrencyRow`].
    Currency = 7,
    /// Organisation, currency code to [`AccountRow`].
    Account = 8,
    /// [`LotId`](crate::id::LotId) to [`LotRow`].
    Lot = 9,
    /// [`TransformationId`](crate::id::TransformationId) to [`TransformationRow`].
    Transformation = 10,
    /// [`LotId`](crate::id::LotId), transaction, operation to [`SinkRow`].
    Sink = 11,
    /// [`OrderId`](crate::id::OrderId) to [`OrderRow`].
    Order = 12,
    /// Deadline (big endian), [`OrderId`](crate::id::OrderId) to nothing.
    Deadline = 13,
    /// Product, unit to [`ProductRow`].
    Product = 14,
    /// [`TransactionId`](crate::id::TransactionId) to [`TransactionRow`].
    Transaction = 15,
    /// Position (big endian) in the transaction log's range to [`Digest`](crate::id::Digest).
    LogNode = 16,
    /// Owner [`MemberId`](crate::id::MemberId), [`LotId`](crate::id::LotId) to nothing; lots of which something remains.
    LotByOwner = 17,
    /// Machine [`MemberId`](crate::id::MemberId) (buyer or provider), [`OrderId`](crate::id::OrderId) to nothing.
    OrderByMember = 18,
    /// Parent [`OrderId`](crate::id::OrderId), [`OrderId`](crate::id::OrderId) to nothing.
    OrderByParent = 19,
    /// Organisation [`MemberId`](crate::id::MemberId), [`MemberId`](crate::id::MemberId) to nothing.
    MemberByOrganisation = 20,
    /// Epoch (big endian) to [`CommitteeRow`]; the past ones stay.
    Committee = 21,
    /// Epoch (big endian), public key of the authority to [`VoteRow`]; those of past epochs stay.
    CommitteeVote = 22,
}

/// Builds a key: the table byte, then the parts.
pub fn key(table: Table, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(table as u8);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

/// The key of an epoch's committee.
pub fn committee_key(epoch: Epoch) -> Vec<u8> {
    key(Table::Committee, &[&epoch.get().to_be_bytes()])
}

/// The key of an authority's vote in an epoch.
pub fn vote_key(epoch: Epoch, voter: PublicKey) -> Vec<u8> {
    key(Table::CommitteeVote, &[&epoch.get().to_be_bytes(), voter.as_bytes()])
}

/// Reads and decodes a row.
///
/// # Errors
/// [`ReadError`] when the storage fails or the row is damaged.
pub fn read<T: serde::de::DeserializeOwned>(
    state: &dyn Read,
    key: &[u8],
) -> Result<Option<T>, ReadError> {
    match state.get(key)? {
        None => Ok(None),
        Some(bytes) => codec::decode_trusted(&bytes)
            .map(Some)
            .map_err(|error| ReadError(alloc::format!("row {}: {error}", hex::encode(key)))),
    }
}
