//! Questions to a state: pure reads, bounded answers. What the node's API and auditors ask.

mod flows;

pub use flows::{
    Restated, Taking, avoided, limit_count, limits, lot_flows, restatement, restatements,
    restatements_of, takings_of, transformation_flows, whole,
};

use crate::balance::{CurrencyBalance, ProductBalance, each, product_of};
use crate::committee::CommitteeChange;
pub use crate::directory::{MemberFilter, MemberPage, find_members};
use crate::factor::{Factor, FactorRef, Impact};
use crate::id::{
    FactorSetId, LotId, MemberId, OrderId, ProposalId, TransactionId, TransformationId,
};
use crate::keys::PublicKey;
use crate::quantity::{CommitIndex, Epoch};
use crate::rows::{
    AccountRow, CommitteeRow, CurrencyRow, FactorSetRow, KeyRow, LedgerRow, LotRow, MemberRow,
    MeterRow, OrderRow, Origin, ProductRow, ProposalRow, Read, ReadError, Table, TransactionRow,
    TransformationRow, VoteRow, committee_key, ended_proposal_key, key, proposal_key, read,
    vote_key,
};
use alloc::{collections::BTreeSet, string::String, vec::Vec};
use serde::Serialize;

/// The ledger itself.
///
/// # Errors
/// [`ReadError`] when the storage fails or there is no genesis.
pub fn ledger(state: &dyn Read) -> Result<LedgerRow, ReadError> {
    read(state, &key(Table::Ledger, &[]))?.ok_or_else(|| ReadError("there is no genesis".into()))
}

/// Declares reads of one row by its id.
macro_rules! by_id {
    ($($(#[$meta:meta])* $name:ident($id:ty) -> $row:ty = $table:ident;)*) => {$(
        $(#[$meta])*
        ///
        /// # Errors
        /// [`ReadError`] when the storage fails.
        pub fn $name(state: &dyn Read, id: $id) -> Result<Option<$row>, ReadError> {
            read(state, &key(Table::$table, &[id.as_bytes()]))
        }
    )*};
}

by_id! {
    /// A member.
    member(MemberId) -> MemberRow = Member;
    /// Whose a key is.
    key_holder(PublicKey) -> KeyRow = Key;
    /// A meter's register.
    meter(MemberId) -> MeterRow = Meter;
    /// A published factor set.
    factor_set(FactorSetId) -> FactorSetRow = FactorSet;
    /// A lot.
    lot(LotId) -> LotRow = Lot;
    /// An order.
    order(OrderId) -> OrderRow = Order;
    /// A transformation.
    transformation(TransformationId) -> TransformationRow = Transformation;
    /// What became of a transaction.
    transaction(TransactionId) -> TransactionRow = Transaction;
}

/// The committee of the next commit.
///
/// # Errors
/// [`ReadError`] when the storage fails or there is no genesis.
pub fn committee(state: &dyn Read) -> Result<CommitteeRow, ReadError> {
    let epoch = ledger(state)?.epoch;
    let missing = || ReadError(alloc::format!("no committee of epoch {}", epoch.get()));
    committee_of(state, epoch)?.ok_or_else(missing)
}

/// The committee of an epoch, if it has begun.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn committee_of(state: &dyn Read, epoch: Epoch) -> Result<Option<CommitteeRow>, ReadError> {
    read(state, &committee_key(epoch))
}

/// The epoch of a commit, by the committees decided so far.
///
/// # Errors
/// [`ReadError`] when the storage fails or there is no genesis.
pub fn epoch_of(state: &dyn Read, commit: CommitIndex) -> Result<Epoch, ReadError> {
    let mut committee = committee(state)?;
    while committee.decided_in >= commit {
        let Some(before) = committee.epoch.checked_sub(Epoch::new(1)) else { break };
        let missing = || ReadError(alloc::format!("no committee of epoch {}", before.get()));
        committee = committee_of(state, before)?.ok_or_else(missing)?;
    }
    Ok(committee.epoch)
}

/// A change of the committee that authorities vote for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// The change.
    pub change: CommitteeChange,
    /// The keys of those who vote for it, in the order of the committee.
    pub votes: Vec<PublicKey>,
}

/// What the authorities of an epoch voted for, in the order of their committee: open proposals in the
/// current epoch; in a past one the first with a [`crate::committee::quorum`] was decided.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn proposals(state: &dyn Read, committee: &CommitteeRow) -> Result<Vec<Proposal>, ReadError> {
    let mut proposals: Vec<Proposal> = Vec::new();
    for authority in &committee.authorities {
        let key = vote_key(committee.epoch, authority.key);
        let Some(VoteRow { change, .. }) = read(state, &key)? else { continue };
        match proposals.iter_mut().find(|proposal| proposal.change == change) {
            Some(proposal) => proposal.votes.push(authority.key),
            None => proposals.push(Proposal { change, votes: alloc::vec![authority.key] }),
        }
    }
    Ok(proposals)
}

/// A proposal, open or ended not long ago.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn proposal(state: &dyn Read, id: ProposalId) -> Result<Option<ProposalRow>, ReadError> {
    read(state, &proposal_key(id))
}

/// The first open proposals, the earliest end first.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn open_proposals(state: &dyn Read, limit: usize) -> Result<Vec<ProposalId>, ReadError> {
    let prefix = key(Table::ProposalDeadline, &[]);
    let rows = state.scan(&prefix, &prefix, limit)?;
    let id = |key: &[u8]| key.last_chunk::<32>().map(|id| ProposalId::new(*id));
    Ok(rows.iter().filter_map(|(key, _)| id(key)).collect())
}

/// The proposals that have ended, the latest first, each with its number; to continue, those before
/// a number.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn ended_proposals(
    state: &dyn Read,
    before: Option<u64>,
    limit: u64,
) -> Result<Vec<(u64, ProposalId)>, ReadError> {
    let count: u64 = read(state, &key(Table::ProposalCount, &[]))?.unwrap_or(0);
    let end = before.map_or(count, |before| before.min(count));
    let numbers = (end.saturating_sub(limit)..end).rev();
    let row = |number| Ok(read(state, &ended_proposal_key(number))?.map(|id| (number, id)));
    numbers.filter_map(|number| row(number).transpose()).collect()
}

/// From which change on a restatement needs an auditor.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn materiality(state: &dyn Read) -> Result<Vec<Impact>, ReadError> {
    Ok(read(state, &key(Table::Accounting, &[]))?.unwrap_or_default())
}

/// A factor.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn factor(state: &dyn Read, reference: &FactorRef) -> Result<Option<Factor>, ReadError> {
    let parts = [reference.set.as_bytes().as_slice(), reference.code.as_bytes()];
    read(state, &key(Table::Factor, &parts))
}

/// An organisation's account; empty when it never had money in that currency.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn account(
    state: &dyn Read,
    organisation: MemberId,
    currency: &str,
) -> Result<AccountRow, ReadError> {
    let parts = [organisation.as_bytes().as_slice(), currency.as_bytes()];
    Ok(read(state, &key(Table::Account, &parts))?.unwrap_or_default())
}

/// An organisation's accounts, by currency.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn accounts(
    state: &dyn Read,
    organisation: MemberId,
) -> Result<Vec<(String, AccountRow)>, ReadError> {
    let mut accounts = Vec::new();
    for currency in currencies(state)? {
        let parts = [organisation.as_bytes().as_slice(), currency.currency.as_bytes()];
        if let Some(row) = read(state, &key(Table::Account, &parts))? {
            accounts.push((currency.currency, row));
        }
    }
    Ok(accounts)
}

/// All currencies.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn currencies(state: &dyn Read) -> Result<Vec<CurrencyBalance>, ReadError> {
    let mut rows = Vec::new();
    each(state, Table::Currency, |key, money: CurrencyRow| {
        rows.push(CurrencyBalance { currency: String::from_utf8_lossy(key).into_owned(), money });
        Ok::<_, ReadError>(())
    })?;
    Ok(rows)
}

/// The quantities of all products.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn products(state: &dyn Read) -> Result<Vec<ProductBalance>, ReadError> {
    let mut rows = Vec::new();
    each(state, Table::Product, |key, quantities: ProductRow| {
        let (product, unit) = product_of(key)?;
        rows.push(ProductBalance { product, unit, quantities });
        Ok::<_, ReadError>(())
    })?;
    Ok(rows)
}

/// A page of ids, and where the next one begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page<I> {
    /// The ids, ascending.
    pub ids: Vec<I>,
    /// Pass this as `after` to go on; `None` when this was the last page.
    pub next: Option<I>,
}

fn page<I: Copy>(
    state: &dyn Read,
    prefix: &[u8],
    after: Option<&[u8; 32]>,
    limit: usize,
    id: fn([u8; 32]) -> I,
) -> Result<Page<I>, ReadError> {
    let mut from = prefix.to_vec();
    if let Some(after) = after {
        from.extend_from_slice(after);
        from.push(0);
    }
    let limit = limit.max(1);
    let rows = state.scan(prefix, &from, limit.saturating_add(1))?;
    let mut ids = Vec::with_capacity(rows.len());
    for (key, _) in &rows {
        let rest = key.get(prefix.len()..).and_then(|rest| <[u8; 32]>::try_from(rest).ok());
        let rest = rest.ok_or_else(|| ReadError(alloc::format!("key {}", hex::encode(key))))?;
        ids.push(id(rest));
    }
    let more = ids.len() > limit;
    ids.truncate(limit);
    Ok(Page { next: if more { ids.last().copied() } else { None }, ids })
}

/// Declares paged reads of an index.
macro_rules! paged {
    ($($(#[$meta:meta])* $name:ident($of:ty) -> $id:ident = $table:ident;)*) => {$(
        $(#[$meta])*
        ///
        /// # Errors
        /// [`ReadError`] when the storage fails.
        pub fn $name(
            state: &dyn Read,
            of: $of,
            after: Option<$id>,
            limit: usize,
        ) -> Result<Page<$id>, ReadError> {
            let prefix = key(Table::$table, &[of.as_bytes()]);
            page(state, &prefix, after.as_ref().map($id::as_bytes), limit, $id::new)
        }
    )*};
}

paged! {
    /// The lots of an owner of which something remains.
    lots_of(MemberId) -> LotId = LotByOwner;
    /// The orders of a machine, as buyer or provider.
    orders_of(MemberId) -> OrderId = OrderByMember;
    /// The orders of an organisation's machines, as providers, that carry a flag.
    flagged_of(MemberId) -> OrderId = Flagged;
    /// The orders that serve an order.
    children_of(OrderId) -> OrderId = OrderByParent;
    /// The machines and meters of an organisation.
    members_of(MemberId) -> MemberId = MemberByOrganisation;
}

/// All members, organisations and publishers included.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn members(
    state: &dyn Read,
    after: Option<MemberId>,
    limit: usize,
) -> Result<Page<MemberId>, ReadError> {
    let prefix = key(Table::Member, &[]);
    page(state, &prefix, after.as_ref().map(MemberId::as_bytes), limit, MemberId::new)
}

/// How far an upstream tree may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most steps from the lot asked for.
    pub depth: u32,
    /// Most lots.
    pub lots: usize,
}

/// A lot of an upstream tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Upstream {
    /// The lot.
    pub id: LotId,
    /// Steps from the lot asked for.
    pub depth: u32,
    /// Its row, as it is now.
    pub lot: LotRow,
    /// The transformation that made it, if one did.
    pub made_by: Option<TransformationRow>,
    /// The lots it came from; those beyond the bounds are named here and not listed.
    pub from: Vec<LotId>,
}

/// Everything upstream of a lot, nearest first, each lot once, within bounds; empty when there is
/// no such lot.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn upstream(state: &dyn Read, root: LotId, bounds: Bounds) -> Result<Vec<Upstream>, ReadError> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::from([root]);
    let mut level = alloc::vec![root];
    for depth in 0..=bounds.depth {
        let mut next = Vec::new();
        for id in level {
            if found.len() >= bounds.lots {
                return Ok(found);
            }
            let Some(row) = lot(state, id)? else { continue };
            let made_by = match &row.origin {
                Origin::Made { transformation: made_by, .. } => transformation(state, *made_by)?,
                _ => None,
            };
            let from: Vec<LotId> = match (&row.origin, &made_by) {
                (Origin::Part { lot }, _) => alloc::vec![*lot],
                (_, Some(made)) => made.inputs.iter().map(|taken| taken.portion.lot).collect(),
                _ => Vec::new(),
            };
            next.extend(from.iter().copied().filter(|id| seen.insert(*id)));
            found.push(Upstream { id, depth, lot: row, made_by, from });
        }
        level = next;
    }
    Ok(found)
}
