//! Rows: the shape of the state, and how it is read. Keys are a table byte and an id; values are
//! canonical bytes.

use crate::codec;
use crate::factor::{Factor, FactorRef};
use crate::footprint::Footprint;
use crate::id::{Digest, LotId, MemberId, NetworkId, OrderId, TransactionId, TransformationId};
use crate::keys::PublicKey;
use crate::operation::{Evidence, MeterKind, Portion, SinkKind};
use crate::order::{OrderState, OrderTerms};
use crate::quantity::{CommitIndex, Milligrams, Minor, Quantity, Timestamp, Unit};
use crate::rejection::Rejection;
use crate::transformation::{Activity, AllocationRule, Outcome, OutputRole};
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
    pub key: Vec<u8>,
    /// Its new value, or `None` when it is removed.
    pub value: Option<Vec<u8>>,
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
    /// [`crate::id::FactorSetId`] to [`FactorSetRow`].
    FactorSet = 5,
    /// [`crate::id::FactorSetId`], code to [`Factor`].
    Factor = 6,
    /// Currency code to [`CurrencyRow`].
    Currency = 7,
    /// Organisation, currency code to [`AccountRow`].
    Account = 8,
    /// [`LotId`] to [`LotRow`].
    Lot = 9,
    /// [`TransformationId`] to [`TransformationRow`].
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

/// What the ledger knows about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// The network whose ledger this is.
    pub network: NetworkId,
    /// The last commit executed.
    pub commit: CommitIndex,
    /// Its time.
    pub time: Timestamp,
    /// Leaves of the transaction log.
    pub log_leaves: u64,
    /// Root of the transaction log.
    pub log_root: Digest,
    /// Chain over the write sets of all commits.
    pub state_digest: Digest,
    /// Everything that sources booked in.
    pub sources: Footprint,
    /// Everything that lots hold.
    pub stock: Footprint,
    /// Everything that sinks booked out.
    pub sinks: Footprint,
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberKind {
    /// A company.
    Organisation,
    /// A machine of a company.
    Machine,
    /// A meter of a company.
    Meter,
    /// A publisher of factors.
    Publisher,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRow {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: MemberKind,
    /// Its organisation; itself for organisations and publishers.
    pub organisation: MemberId,
    /// The key that changes things.
    pub owner_key: PublicKey,
    /// The key that works daily.
    pub signing_key: PublicKey,
    /// The first commit at which it is no longer a member, if its end was decided.
    pub revoked_from: Option<CommitIndex>,
}

/// Which of a member's keys a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyRole {
    /// The owner key, not used for signing daily.
    Owner,
    /// The signing key.
    Signing,
    /// One key for both.
    Both,
}

/// Whose a key is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    /// The member.
    pub member: MemberId,
    /// Which of its keys.
    pub role: KeyRole,
    /// The first commit at which it no longer works for signing, if it was replaced.
    pub until: Option<CommitIndex>,
}

/// A meter's register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterRow {
    /// What it counts, and for whom; `register` is where it stood at enrolment.
    pub kind: MeterKind,
    /// Where the register stands.
    pub register: u64,
    /// End of the last period booked; time zero before the first.
    pub read_until: Timestamp,
    /// Readings booked.
    pub readings: u64,
    /// Resets explained.
    pub resets: u64,
}

/// A published version of a factor set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FactorSetRow {
    /// Who published it.
    pub publisher: MemberId,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// How many factors it has.
    pub factors: u32,
}

/// A factor row is the factor itself.
pub type FactorRow = Factor;

/// A currency: `issued = available + held + redeemed` over all accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrencyRow {
    /// Who issues it.
    pub issuer: MemberId,
    /// Issued ever.
    pub issued: Minor,
    /// Available in all accounts.
    pub available: Minor,
    /// Held in all accounts.
    pub held: Minor,
    /// Redeemed ever.
    pub redeemed: Minor,
}

/// An organisation's account in a currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRow {
    /// Free to use.
    pub available: Minor,
    /// Held for orders.
    pub held: Minor,
}

/// Where a lot comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A meter's reading.
    Reading {
        /// The meter.
        meter: MemberId,
        /// Register at the begin.
        register_from: u64,
        /// Register at the end.
        register_to: u64,
        /// Begin of the period.
        from: Timestamp,
        /// End of the period.
        to: Timestamp,
        /// The factor.
        factor: FactorRef,
    },
    /// A declaration.
    Declared {
        /// The factor; `None` for an imported footprint.
        factor: Option<FactorRef>,
        /// Proof.
        evidence: Option<Evidence>,
    },
    /// An output of a transformation.
    Made {
        /// The transformation.
        transformation: TransformationId,
        /// Which output.
        output: u32,
        /// What it was to those who made it.
        role: OutputRole,
    },
    /// Part of another lot, handed over or held for an order.
    Part {
        /// The lot it was taken from.
        lot: LotId,
    },
}

/// A lot: a quantity of something, its owner, and the footprint it carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LotRow {
    /// What it is.
    pub product: String,
    /// How much remains.
    pub quantity: Quantity,
    /// How much there was.
    pub original: u64,
    /// Mass of what remains.
    pub mass: Milligrams,
    /// Who owns it.
    pub owner: MemberId,
    /// The order it is held for, if any.
    pub held_for: Option<OrderId>,
    /// The footprint of what remains.
    pub footprint: Footprint,
    /// Where it comes from.
    pub origin: Origin,
    /// The transaction that made it.
    pub transaction: TransactionId,
    /// The time of the commit that made it.
    pub created_at: Timestamp,
}

/// A lot's part that went into a transformation or sink, with the footprint that went with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// What.
    pub portion: Portion,
    /// Its product, so that a reader need not look the lot up.
    pub product: String,
    /// Its unit.
    pub unit: Unit,
    /// Its mass.
    pub mass: Milligrams,
    /// Its footprint.
    pub footprint: Footprint,
}

/// An activity with the footprint it booked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookedActivity {
    /// The activity.
    pub activity: Activity,
    /// What it booked in.
    pub footprint: Footprint,
}

/// A recorded transformation: the flows of footprint, for trees, audits and restatement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransformationRow {
    /// Who did it.
    pub machine: MemberId,
    /// For which order, if for one.
    pub order: Option<OrderId>,
    /// What went in.
    pub inputs: Vec<Taken>,
    /// What was booked directly.
    pub activities: Vec<BookedActivity>,
    /// What came out.
    pub outputs: Vec<LotId>,
    /// How the weights were chosen.
    pub allocation: AllocationRule,
    /// What was left out by cut-off, in millionths.
    pub exempted_ppm: u32,
    /// Begin of the work.
    pub from: Timestamp,
    /// End of the work.
    pub to: Timestamp,
    /// Proof.
    pub evidence: Option<Evidence>,
    /// The transaction that recorded it.
    pub transaction: TransactionId,
}

/// A recorded sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkRow {
    /// Who booked it.
    pub machine: MemberId,
    /// What became of it.
    pub kind: SinkKind,
    /// What it was.
    pub taken: Taken,
    /// The time of the commit.
    pub time: Timestamp,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRow {
    /// The terms.
    pub terms: OrderTerms,
    /// The machine that ordered.
    pub buyer: MemberId,
    /// Where it stands.
    pub state: OrderState,
    /// The transaction that placed it.
    pub transaction: TransactionId,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// When something happens to it by itself; `None` when it is final.
    pub deadline: Option<Timestamp>,
    /// The lots the buyer provided, held for it.
    pub provided: Vec<LotId>,
    /// What was made, once completed.
    pub completed: Option<CompletedOrder>,
    /// What the buyer paid or owes, once the order is final.
    pub paid: Option<Minor>,
}

/// What a completion made of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletedOrder {
    /// How it ended.
    pub outcome: Outcome,
    /// The transformation.
    pub transformation: TransformationId,
    /// How much of the product was made.
    pub amount: u64,
    /// The footprint of everything that the completion put into its outputs.
    pub footprint: Footprint,
    /// The product lots for the buyer.
    pub products: Vec<LotId>,
}

/// Quantities of one product: `booked_in + made = stock + used + booked_out`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductRow {
    /// By sources.
    pub booked_in: u128,
    /// By transformations, as outputs.
    pub made: u128,
    /// In lots.
    pub stock: u128,
    /// By transformations, as inputs.
    pub used: u128,
    /// By sinks.
    pub booked_out: u128,
}

/// What became of a transaction: the first and only answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionRow {
    /// In which commit.
    pub commit: CommitIndex,
    /// When.
    pub time: Timestamp,
    /// Which leaf of the transaction log.
    pub leaf: u64,
    /// Applied, or why not.
    pub result: Result<(), Rejection>,
    /// BLAKE3 over its write set.
    pub effects: Digest,
}
