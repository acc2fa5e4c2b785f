//! Transformations: lots go in, activities are booked, lots come out with the footprint of both.
//!
//! Waste is a dimension and a lot: the mass of the outputs of role waste is booked as a source of
//! the dimension and carried by the outputs that have weight, so that a product shows the waste its
//! making made; the waste lot itself stays in the mass balance.

use super::lots::{Take, ensure_mass};
use super::sources::{apply, ensure_bounded, ensure_evidence, ensure_valid, tier};
use super::work::{Checked, Signer, Work, add, ensure, ensure_text};
use crate::footprint::Footprint;
use crate::id::{LotId, MemberId, OrderId, TransformationId};
use crate::quantity::{Quantity, Timestamp};
use crate::rejection::Code;
use crate::rows::{
    BookedActivity, LotRow, MADE_OF_NOTHING, MemberKind, Origin, Table, TransformationRow, UsedBy,
    booked, key,
};
use crate::transformation::{Activity, FAN_MAX, OutputRole, Transformation};
use alloc::vec::Vec;

/// All there is, in millionths.
pub(super) const PPM_MAX: u32 = 1_000_000;
const NAME_MAX: usize = 64;

/// A transformation, checked and not yet done.
pub(super) struct Draft {
    /// Its id.
    pub(super) id: TransformationId,
    takes: Vec<Take>,
    activities: Vec<BookedActivity>,
    /// What activities and waste book in.
    booked: Footprint,
    /// The waste's mass in milligrams.
    waste: u128,
    /// Everything that goes into the outputs.
    pub(super) total: Footprint,
    /// What comes out, owned by the machine; in the order of the transformation's outputs.
    pub(super) outputs: Vec<LotRow>,
}

pub(super) fn transform(
    work: &mut Work<'_>,
    signer: &Signer,
    transformation: &Transformation,
) -> Checked<()> {
    signer.require(&[MemberKind::Machine])?;
    let tolerance = transformation.mass_tolerance_ppm;
    let draft = check(work, signer.id, transformation, None, tolerance)?;

    apply_draft(work, signer.id, transformation, None, draft)?;
    Ok(())
}

/// Checks a transformation by `machine`, within an order or without.
pub(super) fn check(
    work: &Work<'_>,
    machine: MemberId,
    transformation: &Transformation,
    order: Option<OrderId>,
    mass_tolerance_ppm: u32,
) -> Checked<Draft> {
    check_fields(work, transformation)?;
    let activities = book_activities(work, transformation)?;
    let takes = work.check_takes(machine, &transformation.inputs, order)?;
    for output in &transformation.outputs {
        ensure_mass(output.quantity, output.mass)?;
    }
    check_mass(&takes, transformation, mass_tolerance_ppm)?;

    let waste = waste_of(transformation);
    let booked = booked(activities.iter().map(|booked| &booked.footprint), waste)?;
    let mut total = booked.clone();
    for take in &takes {
        total = total.checked_add(&take.taken.footprint)?;
    }
    if takes.is_empty() && activities.is_empty() {
        total.undeclared = MADE_OF_NOTHING;
    }
    let id = work.moment.transformation();
    let outputs = share_out(work, (machine, id), transformation, &total)?;
    Ok(Draft { id, takes, activities, booked, waste, total, outputs })
}

fn check_fields(work: &Work<'_>, transformation: &Transformation) -> Checked<()> {
    let Transformation { inputs, activities, outputs, .. } = transformation;
    let counts = [inputs.len(), activities.len(), outputs.len()];
    let bounded = counts.iter().all(|count| *count <= FAN_MAX) && !outputs.is_empty();
    ensure(bounded, Code::FieldInvalid)?;
    let shares = [transformation.exempted_ppm, transformation.mass_tolerance_ppm];
    ensure(shares.iter().all(|share| *share <= PPM_MAX), Code::FieldInvalid)?;
    ensure_evidence(transformation.evidence.as_ref())?;
    for activity in activities {
        ensure_text(&activity.name, NAME_MAX)?;
        ensure_evidence(activity.evidence.as_ref())?;
    }
    for output in outputs {
        ensure_text(&output.product, NAME_MAX)?;
    }
    let empty = |quantity: Quantity| quantity.amount == 0;
    let nothing = activities.iter().any(|activity| empty(activity.amount))
        || outputs.iter().any(|output| empty(output.quantity));
    ensure(!nothing, Code::ZeroAmount)?;
    let (from, to) = (transformation.from, transformation.to);
    ensure(from <= to && !work.moment.is_future(to), Code::PeriodInvalid)
}

fn book_activities(work: &Work<'_>, of: &Transformation) -> Checked<Vec<BookedActivity>> {
    of.activities.iter().map(|activity| book_activity(work, activity, (of.from, of.to))).collect()
}

/// What an activity books, by a factor that holds for the whole period.
pub(super) fn book_activity(
    work: &Work<'_>,
    activity: &Activity,
    (from, to): (Timestamp, Timestamp),
) -> Checked<BookedActivity> {
    let factor = work.factor(&activity.factor)?;
    let footprint = apply(&factor, activity.amount, tier(activity.evidence.as_ref()))?;
    ensure_valid(&factor, from, to)?;
    ensure_bounded(&footprint)?;
    Ok(BookedActivity { activity: activity.clone(), footprint })
}

fn check_mass(takes: &[Take], transformation: &Transformation, tolerance: u32) -> Checked<()> {
    let mass_in: u128 = takes.iter().map(|take| u128::from(take.taken.mass.get())).sum();
    let masses = transformation.outputs.iter().map(|output| u128::from(output.mass.get()));
    let mass_out: u128 = masses.sum();
    // At most 256 masses of 64 bits each: 72 bits, and 20 more for the millionths.
    let difference = mass_in.abs_diff(mass_out) * u128::from(PPM_MAX);
    ensure(difference <= mass_in * u128::from(tolerance), Code::MassImbalance)
}

fn waste_of(transformation: &Transformation) -> u128 {
    let wasted = transformation.outputs.iter().filter(|output| output.role == OutputRole::Waste);
    wasted.map(|output| u128::from(output.mass.get())).sum()
}

fn share_out(
    work: &Work<'_>,
    (machine, made_by): (MemberId, TransformationId),
    transformation: &Transformation,
    total: &Footprint,
) -> Checked<Vec<LotRow>> {
    let weights: Vec<u64> = transformation.outputs.iter().map(|output| output.weight).collect();
    ensure(weights.iter().any(|weight| *weight > 0), Code::NoAllocation)?;
    let shares = total.allocate(&weights)?;
    let lots = transformation.outputs.iter().zip(shares).enumerate();
    let lots = lots.map(|(index, (output, footprint))| {
        let origin = Origin::Made {
            transformation: made_by,
            output: u32::try_from(index).unwrap_or(u32::MAX),
            role: output.role,
        };
        let thing = (output.product.clone(), output.quantity, output.mass);
        work.new_lot(machine, thing, footprint, origin)
    });
    Ok(lots.collect())
}

/// Does what was checked; returns the outputs' ids.
pub(super) fn apply_draft(
    work: &mut Work<'_>,
    machine: MemberId,
    transformation: &Transformation,
    order: Option<OrderId>,
    draft: Draft,
) -> Checked<Vec<LotId>> {
    let id = draft.id;
    let sequence = work.next_sequence(1 + draft.outputs.len())?;
    let mut inputs = Vec::with_capacity(draft.takes.len());
    for (take, input) in draft.takes.into_iter().zip(0..) {
        let taken = work.take(take, UsedBy::Input { transformation: id, input, sequence })?;
        let Quantity { amount, unit } = taken.portion.quantity;
        let amount = u128::from(amount);
        work.change_product(&taken.product, unit, |row| {
            row.stock = row.stock.checked_sub(amount)?;
            row.used = row.used.checked_add(amount)?;
            Some(())
        })?;
        inputs.push(taken);
    }
    let mut outputs = Vec::with_capacity(draft.outputs.len());
    for ((index, mut lot), place) in draft.outputs.into_iter().enumerate().zip(sequence + 1..) {
        lot.sequence = place;
        let amount = u128::from(lot.quantity.amount);
        work.change_product(&lot.product, lot.quantity.unit, |row| {
            row.stock = row.stock.checked_add(amount)?;
            row.made = row.made.checked_add(amount)?;
            Some(())
        })?;
        let id = work.moment.lot(index);
        work.put_lot(id, &lot);
        outputs.push(id);
    }
    // What the inputs carried stays in stock, in the outputs.
    add(&mut work.totals.sources, &draft.booked)?;
    add(&mut work.totals.stock, &draft.booked)?;
    let row = TransformationRow {
        machine,
        order,
        inputs,
        activities: draft.activities,
        outputs: outputs.clone(),
        weights: transformation.outputs.iter().map(|output| output.weight).collect(),
        waste: draft.waste,
        allocation: transformation.allocation,
        exempted_ppm: transformation.exempted_ppm,
        from: transformation.from,
        to: transformation.to,
        evidence: transformation.evidence.clone(),
        transaction: work.moment.transaction,
        sequence,
    };
    work.state.put(key(Table::Transformation, &[id.as_bytes()]), &row);
    Ok(outputs)
}
