//! Where footprint went, as booked and as restated.

use super::{Page, page};
use crate::avoided::Beside;
use crate::footprint::{Footprint, Overflow};
use crate::id::{LotId, MemberId, RestatementId, TransformationId};
use crate::limit::{Limit, LimitScope};
use crate::quantity::Timestamp;
use crate::restatement::Source;
use crate::rows::{
    AvoidedRow, BookedRow, LotRow, Read, ReadError, RestatementRow, SinkRow, Table,
    TransformationRow, UseRow, UsedBy, booked_key, key, limit_count_key, limits_key, read,
    sink_key, use_key,
};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// An entry's footprint when it was booked and now: equal where no restatement has come to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restated {
    /// As it was booked.
    pub as_booked: Footprint,
    /// As it is now. Where a difference is still on its way to it, that is not in it.
    pub as_restated: Footprint,
}

/// A taking of a lot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taking {
    /// How much, and what for.
    pub taken: UseRow,
    /// What it took.
    pub footprint: Footprint,
}

fn overflow(_: Overflow) -> ReadError {
    ReadError("a footprint in the state does not add up".into())
}

fn booked(state: &dyn Read, entry: &[u8]) -> Result<Option<BookedRow>, ReadError> {
    read(state, &booked_key(entry))
}

/// The footprint of the whole lot, with everything that was taken of it.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn whole(state: &dyn Read, id: LotId, row: &LotRow) -> Result<Footprint, ReadError> {
    if row.uses == 0 {
        return Ok(row.footprint.clone());
    }
    let missing = || ReadError(alloc::format!("lot {id} was never whole"));
    read(state, &key(Table::Whole, &[id.as_bytes()]))?.ok_or_else(missing)
}

/// The whole lot's footprint as booked and as restated, if there is such a lot.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn lot_flows(state: &dyn Read, id: LotId) -> Result<Option<Restated>, ReadError> {
    let entry = key(Table::Lot, &[id.as_bytes()]);
    let Some(row) = read::<LotRow>(state, &entry)? else { return Ok(None) };
    let as_restated = whole(state, id, &row)?;
    let booked = booked(state, &entry)?.and_then(|row| row.footprints.into_iter().next());
    Ok(Some(Restated { as_booked: booked.unwrap_or_else(|| as_restated.clone()), as_restated }))
}

/// What went into a transformation, as booked and as restated: each input in order, then each
/// activity, and in the end everything together.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn transformation_flows(
    state: &dyn Read,
    id: TransformationId,
) -> Result<Option<(Vec<Restated>, Restated)>, ReadError> {
    let entry = key(Table::Transformation, &[id.as_bytes()]);
    let Some(row) = read::<TransformationRow>(state, &entry)? else { return Ok(None) };
    let as_restated = row.total().map_err(overflow)?;
    let now = row.footprints();
    let then = booked(state, &entry)?.map_or_else(|| now.clone(), |row| row.footprints);
    let mut as_booked = as_restated.clone();
    let mut parts = Vec::with_capacity(now.len());
    for (now, then) in now.into_iter().zip(then) {
        as_booked = as_booked.checked_sub(&now).map_err(overflow)?;
        as_booked = as_booked.checked_add(&then).map_err(overflow)?;
        parts.push(Restated { as_booked: then, as_restated: now });
    }
    Ok(Some((parts, Restated { as_booked, as_restated })))
}

/// The takings of a lot from this number on, in order, and what each took, as restated.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn takings_of(
    state: &dyn Read,
    id: LotId,
    from: u32,
    limit: usize,
) -> Result<Vec<Taking>, ReadError> {
    let prefix = key(Table::Use, &[id.as_bytes()]);
    let mut takings = Vec::new();
    for (key, _) in state.scan(&prefix, &use_key(id, from), limit.max(1))? {
        let Some(taken) = read::<UseRow>(state, &key)? else { continue };
        let missing = || ReadError(alloc::format!("a taking of lot {id} went nowhere"));
        let footprint = footprint_of(state, id, taken.by)?.ok_or_else(missing)?;
        takings.push(Taking { taken, footprint });
    }
    Ok(takings)
}

fn footprint_of(state: &dyn Read, from: LotId, by: UsedBy) -> Result<Option<Footprint>, ReadError> {
    Ok(match by {
        UsedBy::Input { transformation, input, .. } => {
            let row: Option<TransformationRow> =
                read(state, &key(Table::Transformation, &[transformation.as_bytes()]))?;
            let input = usize::try_from(input).unwrap_or(usize::MAX);
            row.and_then(|row| row.inputs.into_iter().nth(input)).map(|taken| taken.footprint)
        }
        UsedBy::Part { lot, .. } => {
            let row: Option<LotRow> = read(state, &key(Table::Lot, &[lot.as_bytes()]))?;
            row.map(|row| whole(state, lot, &row)).transpose()?
        }
        UsedBy::Sink { transaction, operation } => {
            let row: Option<SinkRow> = read(state, &sink_key(from, transaction, operation))?;
            row.map(|row| row.taken.footprint)
        }
    })
}

/// A restatement.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn restatement(
    state: &dyn Read,
    id: RestatementId,
) -> Result<Option<RestatementRow>, ReadError> {
    read(state, &key(Table::Restatement, &[id.as_bytes()]))
}

/// All restatements, whatever became of them.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn restatements(
    state: &dyn Read,
    after: Option<RestatementId>,
    limit: usize,
) -> Result<Page<RestatementId>, ReadError> {
    let prefix = key(Table::Restatement, &[]);
    let after = after.as_ref().map(RestatementId::as_bytes);
    page(state, &prefix, after, limit, RestatementId::new)
}

/// The restatements of a lot's source, or of any activity of a transformation.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn restatements_of(
    state: &dyn Read,
    source: Source,
    after: Option<RestatementId>,
    limit: usize,
) -> Result<Page<RestatementId>, ReadError> {
    let of = match source {
        Source::Lot(lot) => *lot.as_bytes(),
        Source::Activity { transformation, .. } => *transformation.as_bytes(),
    };
    let prefix = key(Table::RestatementOf, &[&of]);
    let after = after.as_ref().map(RestatementId::as_bytes);
    page(state, &prefix, after, limit, RestatementId::new)
}

/// The avoided burdens recorded beside a lot or an order, in no particular order.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn avoided(
    state: &dyn Read,
    beside: Beside,
    limit: usize,
) -> Result<Vec<AvoidedRow>, ReadError> {
    let prefix = key(Table::Avoided, &[beside.as_bytes()]);
    let mut burdens = Vec::new();
    for (key, _) in state.scan(&prefix, &prefix, limit)? {
        burdens.extend(read::<AvoidedRow>(state, &key)?);
    }
    Ok(burdens)
}

/// The limits that an organisation set, or those of the network.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn limits(state: &dyn Read, by: Option<MemberId>) -> Result<Vec<Limit>, ReadError> {
    Ok(read(state, &limits_key(by))?.unwrap_or_default())
}

/// What a limit has counted for somebody in the period of a moment; nothing for one per product.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn limit_count(
    state: &dyn Read,
    by: Option<MemberId>,
    limit: &Limit,
    of: MemberId,
    at: Timestamp,
) -> Result<i128, ReadError> {
    let (LimitScope::Machine { period, .. } | LimitScope::Organisation { period }) = limit.scope
    else {
        return Ok(0);
    };
    let number = at.get().checked_div(period.get()).unwrap_or(0);
    Ok(read(state, &limit_count_key(limit.id(by), of, number))?.unwrap_or(0))
}
