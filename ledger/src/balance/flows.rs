//! Every taking of every lot, followed: does what arrived equal what the lot gave?
//!
//! A lot gives each taking the share of what it then held. What arrived stands elsewhere: with a
//! transformation's input, in a sink, in another lot. Where a restatement is on its way between the
//! two, the difference that waits there makes up for it.

use super::{BalanceError, each};
use crate::footprint::{Dimension, Footprint};
use crate::id::LotId;
use crate::rows::{
    LotRow, Read, ReadError, SinkRow, Table, TransformationRow, UseRow, UsedBy, WorkAt, WorkRow,
    key, read, sink_key, use_key,
};

/// Follows every lot.
pub(super) fn check(state: &dyn Read) -> Result<(), BalanceError> {
    each(state, Table::Lot, |id, lot: LotRow| {
        let id = <[u8; 32]>::try_from(id).map_err(|_| ReadError("a lot's key".into()))?;
        follow(state, LotId::new(id), &lot)
    })?;
    each(state, Table::Transformation, |id, row: TransformationRow| made(state, id, &row))
}

fn waiting(state: &dyn Read, place: u64, slot: u32) -> Result<Option<WorkRow>, ReadError> {
    read(state, &key(Table::Work, &[&place.to_be_bytes(), &slot.to_be_bytes()]))
}

fn whole(state: &dyn Read, id: LotId, lot: &LotRow) -> Result<Footprint, ReadError> {
    if lot.uses == 0 {
        return Ok(lot.footprint.clone());
    }
    let missing = || ReadError(alloc::format!("lot {id} was never whole"));
    read(state, &key(Table::Whole, &[id.as_bytes()]))?.ok_or_else(missing)
}

fn follow(state: &dyn Read, id: LotId, lot: &LotRow) -> Result<(), BalanceError> {
    let mut left = whole(state, id, lot)?;
    let mut amount = lot.original;
    let under_way = waiting(state, lot.sequence, 0)?;
    let begun = under_way.as_ref().and_then(|row| match &row.at {
        WorkAt::Within { next, before, .. } => Some((*next, before.as_ref())),
        _ => None,
    });
    for number in 0..lot.uses {
        // From here on nothing has had its share of the difference yet.
        if let Some((_, before)) = begun.filter(|(next, _)| *next == number) {
            left = before.clone();
        }
        let row: Option<UseRow> = read(state, &use_key(id, number))?;
        let missing = || ReadError(alloc::format!("lot {id} lacks taking {number}"));
        let row = row.ok_or_else(missing)?;
        let share = left.share(row.amount, amount)?;
        left = left.checked_sub(&share)?;
        amount = amount.checked_sub(row.amount).ok_or(crate::footprint::Overflow)?;
        let arrived = arrived(state, id, row.by)?;
        compare(id, number, &arrived, &share)?;
    }
    if let Some((_, before)) = begun.filter(|(next, _)| *next == lot.uses) {
        left = before.clone();
    }
    compare(id, lot.uses, &lot.footprint, &left)?;
    if amount != lot.quantity.amount {
        return Err(ReadError(alloc::format!("lot {id} does not hold what remains of it")).into());
    }
    Ok(())
}

/// What a taking brought to where it went, with what waits there to be added.
fn arrived(state: &dyn Read, from: LotId, by: UsedBy) -> Result<Footprint, BalanceError> {
    let missing = || ReadError(alloc::format!("a taking of lot {from} went nowhere"));
    let (there, waits) = match by {
        UsedBy::Input { transformation, input, sequence } => {
            let row: Option<TransformationRow> =
                read(state, &key(Table::Transformation, &[transformation.as_bytes()]))?;
            let row = row.filter(|row| row.sequence == sequence).ok_or_else(missing)?;
            let taken = row.inputs.into_iter().nth(input as usize).ok_or_else(missing)?;
            (taken.footprint, waiting(state, sequence, input)?)
        }
        UsedBy::Part { lot, sequence } => {
            let row: Option<LotRow> = read(state, &key(Table::Lot, &[lot.as_bytes()]))?;
            let row = row.filter(|row| row.sequence == sequence).ok_or_else(missing)?;
            (whole(state, lot, &row)?, waiting(state, sequence, 1)?)
        }
        UsedBy::Sink { transaction, operation } => {
            let row: Option<SinkRow> = read(state, &sink_key(from, transaction, operation))?;
            (row.ok_or_else(missing)?.taken.footprint, None)
        }
    };
    match waits {
        Some(waits) => Ok(there.changed_by(&waits.change)?),
        None => Ok(there),
    }
}

/// What a transformation put into its outputs is what went into it, by its weights.
fn made(state: &dyn Read, id: &[u8], row: &TransformationRow) -> Result<(), BalanceError> {
    let missing = || ReadError(alloc::format!("transformation {} lacks a lot", hex::encode(id)));
    // With a difference of its own activities under way, the outputs lag behind by it.
    let mut total = row.total()?;
    if let Some(waits) = waiting(state, row.sequence, u32::MAX)? {
        total = total.checked_sub(&waits.change)?;
    }
    let shares = total.allocate(&row.weights)?;
    for (lot, share) in row.outputs.iter().zip(shares) {
        let made: Option<LotRow> = read(state, &key(Table::Lot, &[lot.as_bytes()]))?;
        let made = made.ok_or_else(missing)?;
        let mut carries = whole(state, *lot, &made)?;
        if let Some(waits) = waiting(state, made.sequence, 1)? {
            carries = carries.changed_by(&waits.change)?;
        }
        compare(*lot, 0, &carries, &share)?;
    }
    Ok(())
}

fn compare(
    lot: LotId,
    taking: u32,
    kept: &Footprint,
    found: &Footprint,
) -> Result<(), BalanceError> {
    for dimension in Dimension::ALL.iter().copied() {
        let (kept, found) = (kept.get(dimension), found.get(dimension));
        if kept != found {
            return Err(BalanceError::Flow { lot, taking, dimension, kept, found });
        }
    }
    Ok(())
}
