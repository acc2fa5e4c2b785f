//! The way of a restatement's difference downstream, a bounded number of steps per commit.
//!
//! Differences wait in the table of work, ordered by their lot's or transformation's place in the
//! order of flows, and the lowest place goes first: whatever can still arrive at it comes from a
//! lower one. So differences of several ways meet before they go on, and each lot is gone through
//! once per wave, however many ways lead to it.
//!
//! What each taking takes is computed twice, from the lot as it was and as it is now: in the end
//! every lot carries what it would, had the source been right from the start.

use super::EventBody;
use super::work::{Checked, Work, add, lot_key, subtract};
use crate::footprint::{Footprint, Overflow};
use crate::id::{LotId, TransformationId};
use crate::rows::{
    BookedRow, LotRow, Read, ReadError, SinkRow, Table, UseRow, UsedBy, WorkAt, WorkRow,
    booked_key, key, read, sink_key, use_key,
};
use crate::transformation::FAN_MAX;
use alloc::{boxed::Box, vec::Vec};

/// Most steps of restatements that one commit takes, give or take one transformation: a step is a
/// taking that is given its share, a lot, or an input, activity or output of a transformation.
pub const RESTATEMENT_STEPS_MAX: usize = 256;

/// The slot of a lot's difference of which some takings have had their share.
const UNDER_WAY: u32 = 0;
/// The slot of a lot's difference that waits to begin.
pub(super) const WAITING: u32 = 1;
/// The slot of a transformation's own activities; its inputs have their numbers.
pub(super) const ACTIVITIES: u32 = u32::MAX;

/// The key of a difference that waits at this place.
pub(super) fn work_key(sequence: u64, slot: u32) -> Vec<u8> {
    key(Table::Work, &[&sequence.to_be_bytes(), &slot.to_be_bytes()])
}

impl Work<'_> {
    /// Lets a difference wait; one that waits there already takes it up.
    pub(super) fn add_work(
        &mut self,
        sequence: u64,
        slot: u32,
        at: WorkAt,
        change: &Footprint,
    ) -> Checked<()> {
        let key = work_key(sequence, slot);
        let waiting: Option<WorkRow> = read(&self.state, &key)?;
        let change = match waiting {
            Some(waiting) => waiting.change.changed_by(change)?,
            None => change.clone(),
        };
        self.state.put(key, &WorkRow { at, change });
        Ok(())
    }

    /// Keeps aside what an entry was booked with, unless that was done before.
    pub(super) fn keep_booked(&mut self, entry: &[u8], footprints: Vec<Footprint>) -> Checked<()> {
        let key = booked_key(entry);
        if self.state.get(&key)?.is_none() {
            self.state.put(key, &BookedRow { footprints });
        }
        Ok(())
    }
}

/// Whether anything waits.
pub(super) fn is_waiting(state: &dyn Read) -> Result<bool, ReadError> {
    let prefix = key(Table::Work, &[]);
    Ok(!state.scan(&prefix, &prefix, 1)?.is_empty())
}

/// Takes steps, lowest place first, until nothing waits or the steps are used up.
pub(super) fn work_off(work: &mut Work<'_>, steps: usize) -> Checked<()> {
    let prefix = key(Table::Work, &[]);
    let mut from = prefix.clone();
    let mut taken = 0;
    while taken < steps {
        let Some((at, _)) = work.state.scan(&prefix, &from, 1)?.pop() else { return Ok(()) };
        let Some(row) = read::<WorkRow>(&work.state, &at)? else { return Ok(()) };
        let left = steps - taken;
        taken += match row.at {
            WorkAt::Transformation(id) => pass_through(work, &at, id)?,
            WorkAt::Lot(lot) => {
                work.state.remove(at.clone());
                let takings = begin(work, lot, &row.change)?;
                share_out(work, takings, row.change, left)?
            }
            WorkAt::Within { lot, next, amount, before } => {
                work.state.remove(at.clone());
                let takings = Takings { lot, next, amount, before: *before };
                share_out(work, takings, row.change, left)?
            }
        };
        // What comes to wait on the way waits further on.
        from = at;
    }
    Ok(())
}

/// How far the takings of a lot have had their share.
struct Takings {
    lot: LotId,
    next: u32,
    amount: u64,
    before: Footprint,
}

/// The whole lot changes; none of its takings has had its share yet.
fn begin(work: &mut Work<'_>, id: LotId, change: &Footprint) -> Checked<Takings> {
    let lot = work.lot(id)?;
    let before = work.whole(id, &lot)?;
    work.keep_booked(&lot_key(id), alloc::vec![before.clone()])?;
    if lot.uses > 0 {
        work.state.put(key(Table::Whole, &[id.as_bytes()]), &before.changed_by(change)?);
    }
    Ok(Takings { lot: id, next: 0, amount: lot.original, before })
}

/// Gives each taking its share and the rest to what remains, or waits when the steps are used up.
/// Returns the steps it took.
fn share_out(
    work: &mut Work<'_>,
    mut at: Takings,
    mut change: Footprint,
    steps: usize,
) -> Checked<usize> {
    let mut lot = work.lot(at.lot)?;
    let mut taken = 0;
    while at.next < lot.uses {
        if taken >= steps {
            let Takings { lot: id, next, amount, before } = at;
            let before = Box::new(before);
            let waiting = WorkRow { at: WorkAt::Within { lot: id, next, amount, before }, change };
            work.state.put(work_key(lot.sequence, UNDER_WAY), &waiting);
            return Ok(taken);
        }
        let row: Option<UseRow> = read(&work.state, &use_key(at.lot, at.next))?;
        let missing = || ReadError(alloc::format!("lot {} lacks taking {}", at.lot, at.next));
        let taking = row.ok_or_else(missing)?;
        let old = at.before.share(taking.amount, at.amount)?;
        let new = at.before.changed_by(&change)?.share(taking.amount, at.amount)?;
        let difference = new.checked_sub(&old)?;
        at.before = at.before.checked_sub(&old)?;
        at.amount = at.amount.checked_sub(taking.amount).ok_or(Overflow)?;
        at.next += 1;
        change = change.checked_sub(&difference)?;
        taken += 1;
        if !difference.is_zero() || !old.has_sets_of(&new) {
            pass_on(work, at.lot, taking.by, &difference)?;
        }
    }
    settle(work, at.lot, &mut lot, &change)?;
    Ok(taken + 1)
}

/// What is left of the difference is the remaining stock's.
fn settle(work: &mut Work<'_>, id: LotId, lot: &mut LotRow, change: &Footprint) -> Checked<()> {
    lot.footprint = lot.footprint.changed_by(change)?;
    add(&mut work.totals.stock, change)?;
    subtract(&mut work.totals.in_transit, change)?;
    work.state.put(lot_key(id), lot);
    if lot.quantity.amount > 0 {
        work.events.push(EventBody::LotRestated { lot: id, owner: lot.owner });
    }
    Ok(())
}

/// Lets a taking's share of a difference wait where the taking went; a sink is where it ends.
fn pass_on(work: &mut Work<'_>, from: LotId, to: UsedBy, share: &Footprint) -> Checked<()> {
    match to {
        UsedBy::Part { lot, sequence } => work.add_work(sequence, WAITING, WorkAt::Lot(lot), share),
        UsedBy::Input { transformation, input, sequence } => {
            let at = WorkAt::Transformation(transformation);
            work.add_work(sequence, input, at, share)
        }
        UsedBy::Sink { transaction, operation } => {
            let key = sink_key(from, transaction, operation);
            let row: Option<SinkRow> = read(&work.state, &key)?;
            let missing = || ReadError(alloc::format!("lot {from} lacks a sink"));
            let mut row = row.ok_or_else(missing)?;
            work.keep_booked(&key, alloc::vec![row.taken.footprint.clone()])?;
            row.taken.footprint = row.taken.footprint.changed_by(share)?;
            add(&mut work.totals.sinks, share)?;
            subtract(&mut work.totals.in_transit, share)?;
            work.state.put(key, &row);
            Ok(())
        }
    }
}

/// Shares the differences of all inputs and activities of a transformation out over its outputs.
/// Returns the steps it took.
fn pass_through(work: &mut Work<'_>, first: &[u8], id: TransformationId) -> Checked<usize> {
    let mut row = work.transformation(id)?;
    let row_key = key(Table::Transformation, &[id.as_bytes()]);
    let footprints = row.footprints();
    work.keep_booked(&row_key, footprints)?;
    let sets = row.total()?;
    // The table and the place; the slots follow.
    let prefix = first.get(..9).unwrap_or_default();
    let mut change = Footprint::ZERO;
    let mut renewed = false;
    for (key, _) in work.state.scan(prefix, first, FAN_MAX + 1)? {
        let Some(waiting) = read::<WorkRow>(&work.state, &key)? else { continue };
        let slot = key.last_chunk::<4>().map_or(ACTIVITIES, |slot| u32::from_be_bytes(*slot));
        match usize::try_from(slot).ok().and_then(|slot| row.inputs.get_mut(slot)) {
            Some(taken) => taken.footprint = taken.footprint.changed_by(&waiting.change)?,
            None => renewed = true,
        }
        change = change.checked_add(&waiting.change)?;
        work.state.remove(key);
    }
    let after = row.total()?;
    let before = after.checked_sub(&change)?;
    renewed |= !after.has_sets_of(&sets);
    let (old, new) = (before.allocate(&row.weights)?, after.allocate(&row.weights)?);
    let places = row.sequence.saturating_add(1)..;
    for (((lot, old), new), place) in row.outputs.iter().zip(&old).zip(&new).zip(places) {
        let share = new.checked_sub(old)?;
        if renewed || !share.is_zero() {
            work.add_work(place, WAITING, WorkAt::Lot(*lot), &share)?;
        }
    }
    let steps = 1 + row.inputs.len() + row.activities.len() + row.outputs.len();
    work.state.put(row_key, &row);
    Ok(steps)
}
