//! Rows: the shape of the state, and how it is read. Keys are a table byte and an id; values are
//! canonical bytes. The rows themselves are in `rows/`, by family.

mod committee;
mod governance;
mod ledger;
mod lots;
mod members;
mod money;
mod orders;
mod restatements;
mod upkeep;

pub use committee::{CommitteeRow, VoteRow};
pub use governance::{ActivationRow, ProposalRow};
pub use ledger::{AccountRow, CurrencyRow, LedgerRow, ProductRow, TransactionRow};
pub use lots::{
    AvoidedRow, BookedActivity, LotRow, Origin, SinkRow, Taken, TransformationRow, UseRow, UsedBy,
};
pub(crate) use lots::{MADE_OF_NOTHING, booked};
pub use members::{FactorRow, FactorSetRow, KeyRole, KeyRow, MemberKind, MemberRow, MeterRow};
pub use money::{ReservedRow, SpentRow};
pub use orders::{CompletedOrder, OrderRow};
pub use restatements::{BookedRow, RestatementRow, SourceBooking, WorkAt, WorkRow};
pub use upkeep::UpkeepRow;

use crate::bytes::Bytes;
use crate::codec;
use crate::id::{Digest, LotId, MemberId, OrderId, ProposalId, TransactionId};
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

    /// Shows the value of a key where it lies, if the state has it in memory.
    ///
    /// # Errors
    /// [`ReadError`] when the storage fails.
    fn view(&self, key: &[u8], see: &mut dyn FnMut(Option<&[u8]>)) -> Result<(), ReadError> {
        see(self.get(key)?.as_deref());
        Ok(())
    }

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
    pub key: Bytes,
    /// Its new value, or `None` when it is removed.
    pub value: Option<Bytes>,
}

impl Write {
    /// Sets a row.
    pub fn set(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self { key: key.into(), value: Some(value.into()) }
    }

    /// Removes a row.
    pub fn remove(key: impl Into<Bytes>) -> Self {
        Self { key: key.into(), value: None }
    }
}

/// The first byte of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Table {
    /// One row: [`LedgerRow`].
    Ledger = 1,
    /// [`MemberId`] to [`MemberRow`].
    Member = 2,
    /// Public key to [`KeyRow`].
    Key = 3,
    /// [`MemberId`] of the meter to [`MeterRow`].
    Meter = 4,
    /// [`FactorSetId`](crate::id::FactorSetId) to [`FactorSetRow`].
    FactorSet = 5,
    /// [`FactorSetId`](crate::id::FactorSetId), code to [`FactorRow`].
    Factor = 6,
    /// Currency code to [`CurrencyRow`].
    Currency = 7,
    /// Organisation, currency code to [`AccountRow`].
    Account = 8,
    /// [`LotId`] to [`LotRow`].
    Lot = 9,
    /// [`TransformationId`](crate::id::TransformationId) to [`TransformationRow`].
    Transformation = 10,
    /// [`LotId`], transaction, operation to [`SinkRow`].
    Sink = 11,
    /// [`OrderId`] to [`OrderRow`].
    Order = 12,
    /// Deadline (big endian), [`OrderId`] to nothing.
    Deadline = 13,
    /// Product, unit to [`ProductRow`].
    Product = 14,
    /// [`TransactionId`] to [`TransactionRow`].
    Transaction = 15,
    /// Position (big endian) in the transaction log's range to [`Digest`].
    LogNode = 16,
    /// Owner [`MemberId`], [`LotId`] to nothing; lots of which something remains.
    LotByOwner = 17,
    /// Machine [`MemberId`] (buyer or provider), [`OrderId`] to nothing.
    OrderByMember = 18,
    /// Parent [`OrderId`], [`OrderId`] to nothing.
    OrderByParent = 19,
    /// Organisation [`MemberId`], [`MemberId`] to nothing.
    MemberByOrganisation = 20,
    /// Epoch (big endian) to [`CommitteeRow`]; the past ones stay.
    Committee = 21,
    /// Epoch (big endian), public key of the authority to [`VoteRow`]; those of past epochs stay.
    CommitteeVote = 22,
    /// [`LotId`], number (4 bytes big endian) to [`UseRow`].
    Use = 23,
    /// [`LotId`] to the [`Footprint`](crate::footprint::Footprint) of the whole
    /// lot, as it is now; written with the first taking, before which the lot still is whole.
    Whole = 24,
    /// Place in the order of flows (big endian), slot (4 bytes big endian) to [`WorkRow`].
    Work = 25,
    /// The key of a row of the tables lot, transformation or sink to [`BookedRow`].
    Booked = 26,
    /// [`RestatementId`](crate::id::RestatementId) to [`RestatementRow`].
    Restatement = 27,
    /// [`LotId`] or [`TransformationId`](crate::id::TransformationId),
    /// [`RestatementId`](crate::id::RestatementId) to nothing.
    RestatementOf = 28,
    /// One row: the thresholds of materiality, a list of [`Impact`](crate::factor::Impact).
    Accounting = 29,
    /// [`LotId`] or [`OrderId`], transaction, operation (4 bytes
    /// big endian) to [`AvoidedRow`].
    Avoided = 30,
    /// Organisation [`MemberId`], or 32 zero bytes for the network, to a list of
    /// [`Limit`](crate::limit::Limit).
    Limits = 31,
    /// Id of a limit, [`MemberId`] of whose orders are counted, number of the
    /// period (big endian) to the count.
    LimitCount = 32,
    /// Organisation [`MemberId`] of the provider, [`OrderId`]
    /// to nothing; orders with a flag.
    Flagged = 33,
    /// One row: [`UpkeepRow`].
    Upkeep = 34,
    /// Number of the accounting period (big endian) to the number of its transactions.
    UpkeepCount = 35,
    /// Number of the accounting period (big endian), the rest of a [`SinkRow`]'s key to nothing;
    /// sinks of kind upkeep.
    UpkeepSink = 36,
    /// [`ProposalId`] to [`ProposalRow`].
    Proposal = 47,
    /// End (big endian), [`ProposalId`] to nothing; open proposals.
    ProposalDeadline = 48,
    /// Public key of the proposer, [`ProposalId`] to nothing; open proposals.
    ProposalBy = 49,
    /// Number (big endian) in the order of their ends to [`ProposalId`]; the newest
    /// [`ENDED_KEPT`](crate::governance::ENDED_KEPT).
    ProposalEnded = 50,
    /// One row: how many proposals have ended.
    ProposalCount = 51,
    /// One row: [`ActivationRow`]; only once a version was activated.
    Activation = 52,
    /// Kind (1 byte), name, a byte 255, [`MemberId`] to nothing.
    MemberByName = 53,
    /// [`MemberId`] of a machine or meter to [`Description`](crate::description::Description).
    Description = 54,
    /// Service, a byte 255, [`MemberId`] of the machine to nothing.
    MemberByService = 55,
    /// Organisation [`MemberId`], machine [`MemberId`] or 32 zero bytes for those without one of their
    /// own, to [`Allowance`](crate::allowance::Allowance).
    Allowance = 56,
    /// Machine [`MemberId`] to [`SpentRow`].
    Spent = 57,
    /// [`OrderId`] to [`ReservedRow`]; open orders that count in an allowance.
    Reserved = 58,
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

/// The key of a taking of a lot.
pub fn use_key(lot: LotId, number: u32) -> Vec<u8> {
    key(Table::Use, &[lot.as_bytes(), &number.to_be_bytes()])
}

/// The key of a sink.
pub fn sink_key(lot: LotId, transaction: TransactionId, operation: u32) -> Vec<u8> {
    let parts = [lot.as_bytes().as_slice(), transaction.as_bytes(), &operation.to_be_bytes()];
    key(Table::Sink, &parts)
}

/// The key of the number of an accounting period's transactions.
pub fn upkeep_count_key(period: u64) -> Vec<u8> {
    key(Table::UpkeepCount, &[&period.to_be_bytes()])
}

/// What the keys of an accounting period's sinks of kind upkeep begin with; what follows is the
/// rest of the key of the sink.
pub fn upkeep_sink_key(period: u64, sink: &[u8]) -> Vec<u8> {
    key(Table::UpkeepSink, &[&period.to_be_bytes(), sink])
}

/// The key of what the entry under another key was booked with.
pub fn booked_key(entry: &[u8]) -> Vec<u8> {
    key(Table::Booked, &[entry])
}

/// The key of the limits of an organisation, or of the network.
pub fn limits_key(by: Option<MemberId>) -> Vec<u8> {
    let by = by.map_or([0; 32], |by| *by.as_bytes());
    key(Table::Limits, &[&by])
}

/// The key of a limit's count for somebody in a period.
pub fn limit_count_key(limit: Digest, of: MemberId, period: u64) -> Vec<u8> {
    key(Table::LimitCount, &[limit.as_bytes(), of.as_bytes(), &period.to_be_bytes()])
}

/// The key of an epoch's committee.
pub fn committee_key(epoch: Epoch) -> Vec<u8> {
    key(Table::Committee, &[&epoch.get().to_be_bytes()])
}

/// The key of an authority's vote in an epoch.
pub fn vote_key(epoch: Epoch, voter: PublicKey) -> Vec<u8> {
    key(Table::CommitteeVote, &[&epoch.get().to_be_bytes(), voter.as_bytes()])
}

/// The key of a member in the directory: of its kind, by its name. Without a member, what the keys of
/// all who have that name begin with. (No name has a byte 255: it is UTF-8.)
pub fn member_name_key(kind: MemberKind, name: &str, member: Option<MemberId>) -> Vec<u8> {
    let member = member.as_ref().map_or([].as_slice(), |member| member.as_bytes());
    key(Table::MemberByName, &[&[kind as u8], name.as_bytes(), &[u8::MAX], member])
}

/// What the keys of all members of a kind begin with whose names begin so.
pub fn name_prefix_key(kind: MemberKind, name: &str) -> Vec<u8> {
    key(Table::MemberByName, &[&[kind as u8], name.as_bytes()])
}

/// The key of a member.
pub fn member_key(member: MemberId) -> Vec<u8> {
    key(Table::Member, &[member.as_bytes()])
}

/// The key of a machine's or meter's description.
pub fn description_key(member: MemberId) -> Vec<u8> {
    key(Table::Description, &[member.as_bytes()])
}

/// The key of a machine in the directory of services. Without a machine, what the keys of all who
/// offer that service begin with. (No service has a byte 255: it is UTF-8.)
pub fn service_key(service: &str, machine: Option<MemberId>) -> Vec<u8> {
    let machine = machine.as_ref().map_or([].as_slice(), |machine| machine.as_bytes());
    key(Table::MemberByService, &[service.as_bytes(), &[u8::MAX], machine])
}

/// The key of the allowance of an organisation's machine, or of all that have none of their own.
pub fn allowance_key(organisation: MemberId, machine: Option<MemberId>) -> Vec<u8> {
    let machine = machine.map_or([0; 32], |machine| *machine.as_bytes());
    key(Table::Allowance, &[organisation.as_bytes(), &machine])
}

/// The key of what a machine has spent.
pub fn spent_key(machine: MemberId) -> Vec<u8> {
    key(Table::Spent, &[machine.as_bytes()])
}

/// The key of what an order counts for in its buyer's allowance.
pub fn reserved_key(order: OrderId) -> Vec<u8> {
    key(Table::Reserved, &[order.as_bytes()])
}

/// The key of a proposal.
pub fn proposal_key(proposal: ProposalId) -> Vec<u8> {
    key(Table::Proposal, &[proposal.as_bytes()])
}

/// The key of the proposal that was the so-manieth to end.
pub fn ended_proposal_key(number: u64) -> Vec<u8> {
    key(Table::ProposalEnded, &[&number.to_be_bytes()])
}

/// Reads and decodes a row.
///
/// # Errors
/// [`ReadError`] when the storage fails or the row is damaged.
pub fn read<T: serde::de::DeserializeOwned>(
    state: &dyn Read,
    key: &[u8],
) -> Result<Option<T>, ReadError> {
    // Large rows are moved as seldom as can be.
    let (mut row, mut damaged) = (None, None);
    state.view(key, &mut |bytes| match bytes.map(codec::decode_trusted) {
        Some(Ok(found)) => row = Some(found),
        Some(Err(error)) => damaged = Some(error),
        None => {}
    })?;
    match damaged {
        None => Ok(row),
        Some(error) => Err(ReadError(alloc::format!("row {}: {error}", hex::encode(key)))),
    }
}
