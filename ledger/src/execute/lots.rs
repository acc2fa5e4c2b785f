//! Lots: taking a part of one, handing it over, booking it out. Orders and transformations take by
//! the same function.

use super::work::{Checked, Moment, Signer, Work, add, ensure, lot_key, subtract};
use super::{EventBody, upkeep};
use crate::footprint::{Footprint, Overflow};
use crate::id::{LotId, MemberId, OrderId};
use crate::operation::{LotSink, LotTransfer, Portion, SinkKind};
use crate::quantity::{Milligrams, Quantity, Unit};
use crate::rejection::Code;
use crate::rows::{
    LotRow, MemberKind, Origin, SinkRow, Table, Taken, UseRow, UsedBy, key, sink_key,
    upkeep_sink_key, use_key,
};
use alloc::{collections::BTreeSet, string::String, vec::Vec};

/// Who may own lots that they did not make, and pass them on.
const OWNERS: &[MemberKind] = &[MemberKind::Machine, MemberKind::Organisation];

/// A part of a lot, checked and not yet taken.
pub(super) struct Take {
    /// What remains of the lot.
    rest: LotRow,
    /// What is taken.
    pub(super) taken: Taken,
}

impl Work<'_> {
    /// Checks that `taker` may take this portion: its own and held for nobody, or held for `order`.
    pub(super) fn check_take(
        &self,
        taker: MemberId,
        portion: Portion,
        order: Option<OrderId>,
    ) -> Checked<Take> {
        let Quantity { amount, unit } = portion.quantity;
        ensure(amount > 0, Code::ZeroAmount)?;
        let mut lot = self.lot(portion.lot)?;
        let provided = lot.held_for.is_some() && lot.held_for == order;
        ensure(lot.owner == taker || provided, Code::NotOwner)?;
        ensure(lot.held_for.is_none() || provided, Code::LotHeld)?;
        ensure(lot.quantity.unit == unit, Code::UnitMismatch)?;
        let whole = lot.quantity.amount;
        let rest = whole.checked_sub(amount).ok_or(Code::NotEnough)?;
        let footprint = lot.footprint.share(amount, whole)?;
        let mass = share_of_mass(lot.mass, amount, whole)?;
        lot.quantity.amount = rest;
        lot.mass = lot.mass.checked_sub(mass).ok_or(Overflow)?;
        lot.footprint = lot.footprint.checked_sub(&footprint)?;
        let product = lot.product.clone();
        let taken = Taken { portion, product, mass, footprint };
        Ok(Take { rest: lot, taken })
    }

    /// Checks several takings of different lots.
    pub(super) fn check_takes(
        &self,
        taker: MemberId,
        portions: &[Portion],
        order: Option<OrderId>,
    ) -> Checked<Vec<Take>> {
        let mut seen = BTreeSet::new();
        let mut takes = Vec::with_capacity(portions.len());
        for portion in portions {
            takes.push(self.check_take(taker, *portion, order)?);
            ensure(seen.insert(portion.lot), Code::LotTwice)?;
        }
        Ok(takes)
    }

    /// Takes what was checked. Where it goes is for the caller to book.
    pub(super) fn take(&mut self, take: Take, by: UsedBy) -> Checked<Taken> {
        let Take { mut rest, taken } = take;
        let lot = taken.portion.lot;
        if rest.uses == 0 {
            let whole = rest.footprint.checked_add(&taken.footprint)?;
            self.state.put(key(Table::Whole, &[lot.as_bytes()]), &whole);
        }
        let amount = taken.portion.quantity.amount;
        self.state.put(use_key(lot, rest.uses), &UseRow { amount, by });
        rest.uses = rest.uses.checked_add(1).ok_or(Overflow)?;
        if rest.quantity.amount == 0 {
            self.state.remove(owner_key(rest.owner, lot));
        }
        self.state.put(lot_key(lot), &rest);
        Ok(taken)
    }

    /// Takes what was checked as a lot of its own, at this place among the operation's outputs.
    pub(super) fn take_part(
        &mut self,
        take: Take,
        owner: MemberId,
        held_for: Option<OrderId>,
        output: usize,
    ) -> Checked<LotId> {
        let lot = self.moment.lot(output);
        let sequence = self.next_sequence(1)?;
        let taken = self.take(take, UsedBy::Part { lot, sequence })?;
        let origin = Origin::Part { lot: taken.portion.lot };
        let thing = (taken.product, taken.portion.quantity, taken.mass);
        let mut part = self.new_lot(owner, thing, taken.footprint, origin);
        part.sequence = sequence;
        part.held_for = held_for;
        self.put_lot(lot, &part);
        Ok(lot)
    }

    /// Puts a new lot, or one that changed its owner. Where it comes from is for the caller to book.
    pub(super) fn put_lot(&mut self, id: LotId, lot: &LotRow) {
        self.state.put(lot_key(id), lot);
        if lot.quantity.amount > 0 {
            self.state.mark(owner_key(lot.owner, id));
            self.events.push(EventBody::Lot { lot: id, owner: lot.owner });
        }
    }

    /// Gives an existing lot, held or not, to an owner, held for nobody.
    pub(super) fn hand_over(&mut self, id: LotId, to: MemberId) -> Checked<()> {
        let mut lot = self.lot(id)?;
        self.state.remove(owner_key(lot.owner, id));
        lot.owner = to;
        lot.held_for = None;
        self.put_lot(id, &lot);
        Ok(())
    }

    /// The lot that the current operation makes at `output`; its place in the order of flows is
    /// for the caller to give.
    pub(super) fn new_lot(
        &self,
        owner: MemberId,
        (product, quantity, mass): (String, Quantity, Milligrams),
        footprint: Footprint,
        origin: Origin,
    ) -> LotRow {
        LotRow {
            product,
            quantity,
            original: quantity.amount,
            mass,
            original_mass: mass,
            owner,
            held_for: None,
            footprint,
            origin,
            transaction: self.moment.transaction,
            created_at: self.moment.time,
            sequence: 0,
            uses: 0,
        }
    }
}

fn owner_key(owner: MemberId, lot: LotId) -> Vec<u8> {
    key(Table::LotByOwner, &[owner.as_bytes(), lot.as_bytes()])
}

fn share_of_mass(mass: Milligrams, part: u64, whole: u64) -> Checked<Milligrams> {
    let share = (u128::from(mass.get()) * u128::from(part)).checked_div(u128::from(whole));
    let share = share.and_then(|share| u64::try_from(share).ok()).ok_or(Overflow)?;
    Ok(Milligrams::new(share))
}

/// The rule of mass: a milligram lot weighs its amount, energy and services weigh nothing.
pub(super) fn ensure_mass(quantity: Quantity, mass: Milligrams) -> Checked<()> {
    let holds = match quantity.unit {
        Unit::Milligram => mass.get() == quantity.amount,
        Unit::Joule | Unit::KilogramMetre | Unit::Byte | Unit::Second => mass == Milligrams::ZERO,
        Unit::Millilitre | Unit::Piece | Unit::Millimetre => true,
    };
    ensure(holds, Code::MassMismatch)
}

pub(super) fn transfer(
    work: &mut Work<'_>,
    signer: &Signer,
    transfer: &LotTransfer,
) -> Checked<()> {
    signer.require(OWNERS)?;
    work.active(transfer.to, OWNERS)?;
    let take = work.check_take(signer.id, transfer.portion, None)?;

    work.take_part(take, transfer.to, None, 0)?;
    Ok(())
}

pub(super) fn sink(work: &mut Work<'_>, signer: &Signer, sink: &LotSink) -> Checked<()> {
    signer.require(OWNERS)?;
    let take = work.check_take(signer.id, sink.portion, None)?;
    let upkeep = match sink.kind {
        SinkKind::Upkeep => Some(upkeep::period(work, signer, &take.rest)?),
        _ => None,
    };

    let Moment { transaction, operation, time, .. } = work.moment;
    let taken = work.take(take, UsedBy::Sink { transaction, operation })?;
    subtract(&mut work.totals.stock, &taken.footprint)?;
    add(&mut work.totals.sinks, &taken.footprint)?;
    let Quantity { amount, unit } = taken.portion.quantity;
    let amount = u128::from(amount);
    work.change_product(&taken.product, unit, |row| {
        row.stock = row.stock.checked_sub(amount)?;
        row.booked_out = row.booked_out.checked_add(amount)?;
        Some(())
    })?;
    let key = sink_key(sink.portion.lot, transaction, operation);
    if let (Some(period), Some(rest)) = (upkeep, key.get(1..)) {
        work.state.mark(upkeep_sink_key(period, rest));
    }
    let row = SinkRow { machine: signer.id, kind: sink.kind, taken, time };
    work.state.put(key, &row);
    Ok(())
}
