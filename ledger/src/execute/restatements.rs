//! Restatements: who may correct which source, what the correction books, and when it applies.

use super::EventBody;
use super::sources::{book_lot, ensure_bounded, ensure_evidence};
use super::transformations::book_activity;
use super::wave::{ACTIVITIES, WAITING, work_key};
use super::work::{Checked, Signer, Work, add, ensure, ensure_text, lot_key};
use crate::factor::Impact;
use crate::footprint::Footprint;
use crate::id::{LotId, MemberId, RestatementId, TransformationId};
use crate::operation::DeclaredFootprint;
use crate::quantity::Quantity;
use crate::rejection::Code;
use crate::restatement::{Correction, Restatement, RestatementDecision, RestatementState, Source};
use crate::rows::{
    BookedRow, LotRow, MemberKind, Origin, RestatementRow, SourceBooking, Table, TransformationRow,
    WorkAt, WorkRow, booked_key, key, read,
};
use crate::transformation::Activity;
use alloc::{boxed::Box, vec::Vec};

const REASON_MAX: usize = 256;

/// A source that was found, as it stands.
pub(super) enum Found {
    Lot(LotId, Box<LotRow>),
    Activity(TransformationId, Box<TransformationRow>, usize),
}

pub(super) fn restate(
    work: &mut Work<'_>,
    signer: &Signer,
    restatement: &Restatement,
) -> Checked<()> {
    signer.require(&[MemberKind::Machine, MemberKind::Organisation])?;
    ensure_text(&restatement.reason, REASON_MAX)?;
    ensure_evidence(restatement.evidence.as_ref())?;
    let found = find(work, restatement.source)?;
    ensure(may_restate(work, signer, &found)?, Code::NotYourSource)?;
    let (before, after) = weigh(work, &found, restatement)?;
    let material = is_material(work, &found, &before.footprint, &after.footprint)?;

    let id = RestatementId::of(work.moment.transaction, work.moment.operation);
    if !material {
        apply(work, found, restatement, &before, &after)?;
    }
    let moment = work.moment;
    let row = RestatementRow {
        restatement: restatement.clone(),
        by: signer.id,
        state: if material { RestatementState::Proposed } else { RestatementState::Applied },
        before,
        after,
        decided_by: None,
        proposed_at: moment.time,
        changed_at: moment.time,
        transaction: moment.transaction,
    };
    let of = match restatement.source {
        Source::Lot(lot) => *lot.as_bytes(),
        Source::Activity { transformation, .. } => *transformation.as_bytes(),
    };
    work.state.mark(key(Table::RestatementOf, &[&of, id.as_bytes()]));
    put(work, id, &row);
    Ok(())
}

pub(super) fn decide(
    work: &mut Work<'_>,
    signer: &Signer,
    decision: &RestatementDecision,
) -> Checked<()> {
    signer.require(&[MemberKind::Auditor, MemberKind::Machine, MemberKind::Organisation])?;
    let id = decision.restatement;
    let row = read(&work.state, &key(Table::Restatement, &[id.as_bytes()]))?;
    let mut row: RestatementRow = row.ok_or(Code::UnknownRestatement)?;
    let audits = signer.row.kind == MemberKind::Auditor;
    ensure(audits || (row.by == signer.id && !decision.approve), Code::WrongSigner)?;
    ensure(row.state == RestatementState::Proposed, Code::RestatementDecided)?;
    if decision.approve {
        let found = find(work, row.restatement.source)?;
        (row.before, row.after) = weigh(work, &found, &row.restatement)?;
        apply(work, found, &row.restatement, &row.before, &row.after)?;
    }

    row.state = match (audits, decision.approve) {
        (_, true) => RestatementState::Applied,
        (true, false) => RestatementState::Refused,
        (false, false) => RestatementState::Withdrawn,
    };
    row.decided_by = Some(signer.id);
    row.changed_at = work.moment.time;
    put(work, id, &row);
    Ok(())
}

fn put(work: &mut Work<'_>, id: RestatementId, row: &RestatementRow) {
    work.state.put(key(Table::Restatement, &[id.as_bytes()]), row);
    work.events.push(EventBody::Restatement { restatement: id, state: row.state, by: row.by });
}

fn find(work: &Work<'_>, source: Source) -> Checked<Found> {
    match source {
        Source::Lot(id) => {
            let lot = work.lot(id)?;
            let booked = matches!(lot.origin, Origin::Reading { .. } | Origin::Declared { .. });
            ensure(booked, Code::NotASource)?;
            Ok(Found::Lot(id, Box::new(lot)))
        }
        Source::Activity { transformation, activity } => {
            let row = work.transformation(transformation)?;
            let index = usize::try_from(activity).map_err(|_| Code::NotASource)?;
            ensure(index < row.activities.len(), Code::NotASource)?;
            Ok(Found::Activity(transformation, Box::new(row), index))
        }
    }
}

/// Who booked it, or its organisation; for a reading the meter's organisation, which is its host's.
fn may_restate(work: &Work<'_>, signer: &Signer, found: &Found) -> Checked<bool> {
    let (booker, alone): (MemberId, bool) = match found {
        // The owner of a source's lot is who booked it: what is handed over is another lot.
        Found::Lot(_, lot) => (lot.owner, matches!(lot.origin, Origin::Declared { .. })),
        Found::Activity(_, row, _) => (row.machine, true),
    };
    let organisation = work.member(booker)?.organisation;
    Ok(signer.id == organisation || (alone && signer.id == booker))
}

/// The source as it stands and as corrected; something must change.
fn weigh(
    work: &Work<'_>,
    found: &Found,
    restatement: &Restatement,
) -> Checked<(SourceBooking, SourceBooking)> {
    let (before, after) = rebooked(work, found, restatement)?;
    ensure(before.footprint != after.footprint, Code::RestatementUnchanged)?;
    Ok((before, after))
}

/// The source as it stands and as it would be booked.
pub(super) fn rebooked(
    work: &Work<'_>,
    found: &Found,
    restatement: &Restatement,
) -> Checked<(SourceBooking, SourceBooking)> {
    let (before, after) = match found {
        Found::Lot(id, lot) => {
            (lot_booking(work, *id, lot)?, corrected_lot(work, lot, restatement)?)
        }
        Found::Activity(_, row, index) => {
            let booked = row.activities.get(*index).ok_or(Code::NotASource)?;
            let before = SourceBooking {
                factor: Some(booked.activity.factor.clone()),
                amount: Some(booked.activity.amount),
                evidence: booked.activity.evidence.clone(),
                footprint: booked.footprint.clone(),
            };
            let activity = corrected_activity(&booked.activity, restatement)?;
            let footprint = book_activity(work, &activity, (row.from, row.to))?.footprint;
            let Activity { factor, amount, evidence, .. } = activity;
            let (factor, amount) = (Some(factor), Some(amount));
            (before, SourceBooking { factor, amount, evidence, footprint })
        }
    };
    ensure_bounded(&after.footprint)?;
    Ok((before, after))
}

/// What a lot's source books as it stands, differences that still wait at it included.
fn lot_booking(work: &Work<'_>, id: LotId, lot: &LotRow) -> Checked<SourceBooking> {
    let mut footprint = work.whole(id, lot)?;
    if let Some(waiting) = read::<WorkRow>(&work.state, &work_key(lot.sequence, WAITING))? {
        footprint = footprint.changed_by(&waiting.change)?;
    }
    let (factor, evidence) = match &lot.origin {
        Origin::Reading { factor, evidence, .. } => (Some(factor.clone()), evidence.clone()),
        Origin::Declared { factor, evidence } => (factor.clone(), evidence.clone()),
        Origin::Made { .. } | Origin::Part { .. } => (None, None),
    };
    let amount = match &factor {
        Some(factor) => {
            Some(work.factor(factor)?.applies_to(lot.whole_quantity(), lot.original_mass))
        }
        None => None,
    };
    Ok(SourceBooking { factor, amount, evidence, footprint })
}

fn corrected_lot(
    work: &Work<'_>,
    lot: &LotRow,
    restatement: &Restatement,
) -> Checked<SourceBooking> {
    let declared = match &restatement.correction {
        Correction::Factor(factor) => DeclaredFootprint::Factor(factor.clone()),
        Correction::Imported(imported) => DeclaredFootprint::Imported(imported.clone()),
        Correction::Amount { .. } => return Err(Code::CorrectionInvalid.into()),
    };
    let evidence = restatement.evidence.as_ref();
    let (footprint, amount) = book_lot(work, lot, &declared, evidence)?;
    let factor = match declared {
        DeclaredFootprint::Factor(factor) => Some(factor),
        DeclaredFootprint::Imported(_) => None,
    };
    Ok(SourceBooking { factor, amount, evidence: restatement.evidence.clone(), footprint })
}

fn corrected_activity(booked: &Activity, restatement: &Restatement) -> Checked<Activity> {
    let (factor, amount) = match &restatement.correction {
        Correction::Factor(factor) => (factor.clone(), booked.amount),
        Correction::Amount { amount, factor } => (factor.clone(), *amount),
        Correction::Imported(_) => return Err(Code::CorrectionInvalid.into()),
    };
    ensure(amount.amount > 0, Code::ZeroAmount)?;
    let evidence = restatement.evidence.clone();
    Ok(Activity { name: booked.name.clone(), factor, amount, evidence })
}

/// Whether it changes a dimension by more than the threshold, against what stands or was booked.
fn is_material(
    work: &Work<'_>,
    found: &Found,
    stands: &Footprint,
    after: &Footprint,
) -> Checked<bool> {
    let thresholds: Option<Vec<Impact>> = read(&work.state, &key(Table::Accounting, &[]))?;
    let thresholds = thresholds.unwrap_or_default();
    let (entry, place) = match found {
        Found::Lot(id, _) => (lot_key(*id), 0),
        Found::Activity(id, row, index) => {
            (key(Table::Transformation, &[id.as_bytes()]), row.inputs.len() + index)
        }
    };
    let booked: Option<BookedRow> = read(&work.state, &booked_key(&entry))?;
    let mut booked = booked.and_then(|row| row.footprints.into_iter().nth(place));
    if let (None, Found::Lot(id, lot)) = (&booked, found) {
        // Not restated yet, or the difference still waits at it: the whole lot is as booked.
        booked = Some(work.whole(*id, lot)?);
    }
    let above = |from: &Footprint| {
        thresholds.iter().any(|threshold| {
            let of = |footprint: &Footprint| footprint.get(threshold.dimension);
            of(after).abs_diff(of(from)) > threshold.value.unsigned_abs()
        })
    };
    Ok(above(stands) || booked.as_ref().is_some_and(above))
}

/// Corrects the source, and sends the difference on its way.
pub(super) fn apply(
    work: &mut Work<'_>,
    found: Found,
    restatement: &Restatement,
    before: &SourceBooking,
    after: &SourceBooking,
) -> Checked<()> {
    let change = after.footprint.checked_sub(&before.footprint)?;
    add(&mut work.totals.sources, &change)?;
    work.totals.in_transit = work.totals.in_transit.shifted_by(&change)?;
    match found {
        Found::Lot(id, mut lot) => {
            match &mut lot.origin {
                Origin::Reading { factor, evidence, by_host, .. } => {
                    if let Some(new) = &after.factor {
                        factor.clone_from(new);
                    }
                    if *by_host {
                        evidence.clone_from(&restatement.evidence);
                    }
                }
                Origin::Declared { factor, evidence } => {
                    factor.clone_from(&after.factor);
                    evidence.clone_from(&restatement.evidence);
                }
                Origin::Made { .. } | Origin::Part { .. } => {}
            }
            work.state.put(lot_key(id), &*lot);
            work.add_work(lot.sequence, WAITING, WorkAt::Lot(id), &change)
        }
        Found::Activity(id, mut row, index) => {
            let row_key = key(Table::Transformation, &[id.as_bytes()]);
            work.keep_booked(&row_key, row.footprints())?;
            let corrected = row.activities.get_mut(index);
            if let (Some(booked), Some(factor)) = (corrected, &after.factor) {
                booked.activity.factor.clone_from(factor);
                booked.activity.amount = after.amount.unwrap_or(booked.activity.amount);
                booked.activity.evidence.clone_from(&restatement.evidence);
                booked.footprint.clone_from(&after.footprint);
            }
            work.state.put(row_key, &*row);
            let at = WorkAt::Transformation(id);
            work.add_work(row.sequence, ACTIVITIES, at, &change)
        }
    }
}

impl LotRow {
    /// All there ever was of it.
    pub(super) fn whole_quantity(&self) -> Quantity {
        Quantity::new(self.original, self.quantity.unit)
    }
}
