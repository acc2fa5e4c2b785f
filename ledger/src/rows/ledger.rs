//! What the ledger keeps about itself: its digests and sums, transactions, quantities, money.

use crate::footprint::Footprint;
use crate::id::{Digest, MemberId, NetworkId};
use crate::quantity::{CommitIndex, Epoch, Minor, Timestamp};
use crate::rejection::Rejection;
use serde::{Deserialize, Serialize};

/// What the ledger knows about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// The network whose ledger this is.
    pub network: NetworkId,
    /// The last commit executed.
    pub commit: CommitIndex,
    /// Its time.
    pub time: Timestamp,
    /// The epoch of the next commit: with the last commit of an epoch, the next one begins.
    pub epoch: Epoch,
    /// The version of the protocol by which the last commit was executed.
    pub version: u32,
    /// Leaves of the transaction log.
    pub log_leaves: u64,
    /// Root of the transaction log.
    pub log_root: Digest,
    /// Chain over the effects of all commits.
    pub state_digest: Digest,
    /// Everything that sources booked in.
    pub sources: Footprint,
    /// Everything that lots hold.
    pub stock: Footprint,
    /// Everything that sinks booked out.
    pub sinks: Footprint,
    /// Differences of restatements that are on their way downstream:
    /// `sources = stock + sinks + in transit` after every commit.
    pub in_transit: Footprint,
    /// The next free place in the order in which footprint flows.
    pub sequence: u64,
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

impl CurrencyRow {
    /// A currency of which nothing was issued yet.
    pub const fn new(issuer: MemberId) -> Self {
        let zero = Minor::ZERO;
        Self { issuer, issued: zero, available: zero, held: zero, redeemed: zero }
    }
}

/// An organisation's account in a currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRow {
    /// Free to use.
    pub available: Minor,
    /// Held for orders.
    pub held: Minor,
}
