//! What one transaction (or one deadline) is executed with: its view of the state, the running
//! totals, its events, and the answer "no".

use super::EventBody;
use super::overlay::Overlay;
use crate::factor::{Factor, FactorRef};
use crate::footprint::{Footprint, Overflow};
use crate::id::{LotId, MemberId, NetworkId, OrderId, TransactionId, TransformationId};
use crate::keys::PublicKey;
use crate::quantity::{CommitIndex, Epoch, Timestamp, Unit};
use crate::rejection::Code;
use crate::rows::{
    CommitteeRow, KeyRole, KeyRow, LedgerRow, LotRow, MemberKind, MemberRow, OrderRow, ProductRow,
    ReadError, Table, TransformationRow, committee_key, key, read,
};
use crate::transaction::CLOCK_SKEW_MAX;
use alloc::vec::Vec;

/// Why an operation does not happen.
pub(super) enum Refusal {
    /// A rule refuses it: an answer, recorded.
    Rule(Code),
    /// The state cannot be read: execution stops.
    Storage(ReadError),
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self::Rule(code)
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        Self::Storage(error)
    }
}

impl From<Overflow> for Refusal {
    fn from(_: Overflow) -> Self {
        Self::Rule(Code::Overflow)
    }
}

/// A result that a rule or the storage may refuse.
pub(super) type Checked<T> = Result<T, Refusal>;

/// Refuses with `code` unless `holds`.
pub(super) fn ensure(holds: bool, code: Code) -> Checked<()> {
    if holds { Ok(()) } else { Err(code.into()) }
}

/// Refuses a text outside `1..=max` bytes.
pub(super) fn ensure_text(text: &str, max: usize) -> Checked<()> {
    ensure((1..=max).contains(&text.len()), Code::FieldInvalid)
}

/// The sums of the trial balance.
#[derive(Clone)]
pub(super) struct Totals {
    pub(super) sources: Footprint,
    pub(super) stock: Footprint,
    pub(super) sinks: Footprint,
    pub(super) in_transit: Footprint,
    /// The next free place in the order of flows.
    pub(super) sequence: u64,
}

impl Totals {
    pub(super) fn of(ledger: &LedgerRow) -> Self {
        Self {
            sources: ledger.sources.clone(),
            stock: ledger.stock.clone(),
            sinks: ledger.sinks.clone(),
            in_transit: ledger.in_transit.clone(),
            sequence: ledger.sequence,
        }
    }

    /// Writes them back.
    pub(super) fn store(self, ledger: &mut LedgerRow) {
        ledger.sources = self.sources;
        ledger.stock = self.stock;
        ledger.sinks = self.sinks;
        ledger.in_transit = self.in_transit;
        ledger.sequence = self.sequence;
    }
}

/// Adds to a sum.
pub(super) fn add(sum: &mut Footprint, footprint: &Footprint) -> Checked<()> {
    *sum = sum.checked_add(footprint)?;
    Ok(())
}

/// Takes from a sum.
pub(super) fn subtract(sum: &mut Footprint, footprint: &Footprint) -> Checked<()> {
    *sum = sum.checked_sub(footprint)?;
    Ok(())
}

/// When and by what the work is done.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) network: NetworkId,
    pub(super) epoch: Epoch,
    /// The active version of the protocol.
    pub(super) version: u32,
    pub(super) commit: CommitIndex,
    pub(super) time: Timestamp,
    pub(super) transaction: TransactionId,
    pub(super) operation: u32,
}

impl Moment {
    /// The id of the lot that comes out of the current operation at this place.
    pub(super) fn lot(&self, output: usize) -> LotId {
        LotId::of(self.transaction, self.operation, u32::try_from(output).unwrap_or(u32::MAX))
    }

    /// The id of the order that the current operation places.
    pub(super) fn order(&self) -> OrderId {
        OrderId::of(self.transaction, self.operation)
    }

    /// The id of the transformation that the current operation records.
    pub(super) fn transformation(&self) -> TransformationId {
        TransformationId::of(self.transaction, self.operation)
    }

    /// Whether a time lies in the future, differences of clocks allowed.
    pub(super) fn is_future(&self, time: Timestamp) -> bool {
        time > self.time.saturating_add(CLOCK_SKEW_MAX)
    }
}

/// Who signed, as the state knows it before the transaction's first operation.
pub(super) struct Signer {
    pub(super) id: MemberId,
    pub(super) row: MemberRow,
    /// Whether the key works daily.
    pub(super) signing: bool,
    /// Whether the key changes things.
    pub(super) owner: bool,
}

impl Signer {
    /// Refuses unless the signing key of a member of one of these kinds signed.
    pub(super) fn require(&self, kinds: &[MemberKind]) -> Checked<()> {
        ensure(self.signing && kinds.contains(&self.row.kind), Code::WrongSigner)
    }
}

/// Whose key signed.
pub(super) enum Signatory {
    /// A member's: it may do what members may.
    Member(Signer),
    /// An authority's of the current committee: it may vote, and nothing else.
    Authority(PublicKey),
}

/// One transaction's or deadline's execution.
pub(super) struct Work<'a> {
    pub(super) state: Overlay<'a>,
    pub(super) totals: Totals,
    pub(super) events: Vec<EventBody>,
    /// The next epoch's committee, once it is decided.
    pub(super) next_committee: Option<CommitteeRow>,
    pub(super) moment: Moment,
}

impl Work<'_> {
    /// Whose key it is.
    pub(super) fn key(&self, public: &PublicKey) -> Checked<Option<KeyRow>> {
        Ok(read(&self.state, &key(Table::Key, &[public.as_bytes()]))?)
    }

    /// Whether it is the key of a member or of an authority, now or in the epoch that comes.
    pub(super) fn is_in_use(&self, public: &PublicKey) -> Checked<bool> {
        let now = self.committee()?.has(public);
        let next = self.next_committee.as_ref().is_some_and(|next| next.has(public));
        Ok(now || next || self.key(public)?.is_some())
    }

    /// The committee of the current epoch.
    pub(super) fn committee(&self) -> Checked<CommitteeRow> {
        let epoch = self.moment.epoch;
        let row = read(&self.state, &committee_key(epoch))?;
        let missing = || ReadError(alloc::format!("no committee of epoch {}", epoch.get()));
        Ok(row.ok_or_else(missing)?)
    }

    /// Who signed: a member, or else an authority.
    pub(super) fn signatory(&self, public: &PublicKey) -> Checked<Signatory> {
        match self.key(public)? {
            Some(row) => Ok(Signatory::Member(self.signer(row)?)),
            None if self.committee()?.has(public) => Ok(Signatory::Authority(*public)),
            None => Err(Code::UnknownSigner.into()),
        }
    }

    /// The key's member, neither of them revoked.
    fn signer(&self, row: KeyRow) -> Checked<Signer> {
        let member = self.find_member(row.member)?.ok_or(Code::UnknownSigner)?;
        let current = row.until.is_none_or(|until| self.moment.commit < until);
        let signing = current && matches!(row.role, KeyRole::Signing | KeyRole::Both);
        let owner = matches!(row.role, KeyRole::Owner | KeyRole::Both);
        ensure(!self.is_revoked(&member)? && (signing || owner), Code::RevokedSigner)?;
        Ok(Signer { id: row.member, row: member, signing, owner })
    }

    fn find_member(&self, id: MemberId) -> Checked<Option<MemberRow>> {
        Ok(read(&self.state, &key(Table::Member, &[id.as_bytes()]))?)
    }

    /// A member that must exist.
    pub(super) fn member(&self, id: MemberId) -> Checked<MemberRow> {
        Ok(self.find_member(id)?.ok_or(Code::UnknownMember)?)
    }

    /// A member that must exist, be of one of these kinds and not revoked.
    pub(super) fn active(&self, id: MemberId, kinds: &[MemberKind]) -> Checked<MemberRow> {
        let member = self.member(id)?;
        ensure(kinds.contains(&member.kind), Code::WrongKind)?;
        ensure(!self.is_revoked(&member)?, Code::RevokedMember)?;
        Ok(member)
    }

    /// Whether its membership has ended, or that of its organisation.
    pub(super) fn is_revoked(&self, member: &MemberRow) -> Checked<bool> {
        let ended = |row: &MemberRow| row.revoked_from.is_some_and(|at| at <= self.moment.commit);
        if ended(member) || !matches!(member.kind, MemberKind::Machine | MemberKind::Meter) {
            return Ok(ended(member));
        }
        Ok(self.find_member(member.organisation)?.is_none_or(|row| ended(&row)))
    }

    /// A factor that must exist.
    pub(super) fn factor(&self, reference: &FactorRef) -> Checked<Factor> {
        let parts = [reference.set.as_bytes().as_slice(), reference.code.as_bytes()];
        Ok(read(&self.state, &key(Table::Factor, &parts))?.ok_or(Code::UnknownFactor)?)
    }

    /// A lot that must exist.
    pub(super) fn lot(&self, id: LotId) -> Checked<LotRow> {
        Ok(read(&self.state, &lot_key(id))?.ok_or(Code::UnknownLot)?)
    }

    /// An order that must exist.
    pub(super) fn order(&self, id: OrderId) -> Checked<OrderRow> {
        Ok(read(&self.state, &order_key(id))?.ok_or(Code::UnknownOrder)?)
    }

    /// So many places in the order of flows; the first of them.
    pub(super) fn next_sequence(&mut self, places: usize) -> Checked<u64> {
        let first = self.totals.sequence;
        let places = u64::try_from(places).map_err(|_| Overflow)?;
        self.totals.sequence = first.checked_add(places).ok_or(Overflow)?;
        Ok(first)
    }

    /// The footprint of a lot with everything that was taken of it.
    pub(super) fn whole(&self, id: LotId, lot: &LotRow) -> Checked<Footprint> {
        if lot.uses == 0 {
            return Ok(lot.footprint.clone());
        }
        let whole = read(&self.state, &key(Table::Whole, &[id.as_bytes()]))?;
        Ok(whole.ok_or_else(|| ReadError(alloc::format!("lot {id} was never whole")))?)
    }

    /// A transformation that must exist.
    pub(super) fn transformation(&self, id: TransformationId) -> Checked<TransformationRow> {
        let row = read(&self.state, &key(Table::Transformation, &[id.as_bytes()]))?;
        Ok(row.ok_or(Code::NotASource)?)
    }

    /// Changes the quantities of a product.
    pub(super) fn change_product(
        &mut self,
        product: &str,
        unit: Unit,
        change: impl FnOnce(&mut ProductRow) -> Option<()>,
    ) -> Checked<()> {
        let key = key(Table::Product, &[product.as_bytes(), &[unit as u8]]);
        let mut row: ProductRow = read(&self.state, &key)?.unwrap_or_default();
        change(&mut row).ok_or(Overflow)?;
        self.state.put(key, &row);
        Ok(())
    }
}

/// The key of a lot.
pub(super) fn lot_key(id: LotId) -> Vec<u8> {
    key(Table::Lot, &[id.as_bytes()])
}

/// The key of an order.
pub(super) fn order_key(id: OrderId) -> Vec<u8> {
    key(Table::Order, &[id.as_bytes()])
}
