//! Sources: meter readings and declared lots book footprint into the ledger.
//!
//! What a factor cannot know, the ledger books itself: energy counted in joules is final energy,
//! and goods that weigh something are material - unless the factor declares that dimension.

use super::factors::are_plausible;
use super::lots::ensure_mass;
use super::work::{Checked, Signer, Work, ensure, ensure_text};
use crate::factor::{DERIVED_DIMENSIONS, Factor};
use crate::footprint::{Dimension, DimensionSet, EvidenceTier, Footprint, GwpSets, Overflow};
use crate::operation::{
    DeclaredFootprint, Evidence, ImportedFootprint, LotDeclaration, Reading, RegisterReset,
};
use crate::quantity::{Milligrams, Quantity, Timestamp, Unit};
use crate::rejection::Code;
use crate::rows::{LotRow, MemberKind, MeterRow, Origin, ReadError, Table, key, read};

/// The largest component that one source may book: about 10^12 t CO2e in nanograms. Without a bound,
/// a few absurd declarations would fill the totals, and nobody could book any more.
const SOURCE_COMPONENT_MAX: i128 = 1 << 90;

const MEDIA_TYPE_MAX: usize = 64;
const LOCATION_MAX: usize = 256;

impl Footprint {
    /// Books what is known of a dimension, unless something upstream declared it already.
    pub(super) fn supplement(&mut self, dimension: Dimension, value: u64) {
        if self.undeclared.contains(dimension) {
            let others = DimensionSet::of(&[dimension]).complement();
            self.undeclared = self.undeclared.intersection(others);
            self.set(dimension, i128::from(value));
        }
    }
}

/// Refuses a source too large to be true.
pub(super) fn ensure_bounded(footprint: &Footprint) -> Checked<()> {
    let bounded =
        |dimension| footprint.get(dimension).unsigned_abs() <= SOURCE_COMPONENT_MAX as u128;
    ensure(Dimension::ALL.iter().all(|dimension| bounded(*dimension)), Code::Overflow)
}

/// A factor times an amount in its unit, with final energy supplemented.
pub(super) fn apply(factor: &Factor, amount: Quantity, tier: EvidenceTier) -> Checked<Footprint> {
    ensure(factor.reference.unit == amount.unit, Code::UnitMismatch)?;
    let mut footprint = factor.apply(amount.amount, tier)?;
    if amount.unit == Unit::Joule {
        footprint.supplement(Dimension::Energy, amount.amount);
    }
    Ok(footprint)
}

/// Refuses unless the factor holds from the first to the last moment.
pub(super) fn ensure_valid(factor: &Factor, from: Timestamp, to: Timestamp) -> Checked<()> {
    let holds = factor.valid_from <= from && to <= factor.valid_until;
    ensure(holds && from < factor.valid_until, Code::FactorNotValidThen)
}

/// Refuses evidence whose texts are too long.
pub(super) fn ensure_evidence(evidence: Option<&Evidence>) -> Checked<()> {
    let Some(evidence) = evidence else { return Ok(()) };
    ensure_text(&evidence.media_type, MEDIA_TYPE_MAX)?;
    let location = evidence.location.as_ref();
    ensure(location.is_none_or(|text| text.len() <= LOCATION_MAX), Code::FieldInvalid)
}

/// Derived with evidence, default without.
pub(super) fn tier(evidence: Option<&Evidence>) -> EvidenceTier {
    if evidence.is_some() { EvidenceTier::Derived } else { EvidenceTier::Default }
}

fn meter_row(work: &Work<'_>, id: crate::id::MemberId) -> Checked<MeterRow> {
    let row = read(&work.state, &key(Table::Meter, &[id.as_bytes()]))?;
    Ok(row.ok_or_else(|| ReadError(alloc::format!("meter {id} has no register")))?)
}

pub(super) fn submit_reading(
    work: &mut Work<'_>,
    signer: &Signer,
    reading: &Reading,
) -> Checked<()> {
    signer.require(&[MemberKind::Meter])?;
    let mut meter = meter_row(work, signer.id)?;
    let (from, to) = (reading.from, reading.to);
    let in_order = meter.read_until <= from && from < to && !work.moment.is_future(to);
    ensure(in_order, Code::PeriodInvalid)?;
    let factor = work.factor(&reading.factor)?;
    ensure_valid(&factor, from, to)?;
    ensure(factor.code == meter.kind.factor_code, Code::WrongFactor)?;
    ensure(reading.register_from == meter.register, Code::RegisterGap)?;
    let amount = reading.register_to.saturating_sub(reading.register_from);
    ensure(amount > 0, Code::RegisterNotAhead)?;
    let quantity = Quantity::new(amount, meter.kind.unit);
    let mass = Milligrams::new(if quantity.unit == Unit::Milligram { amount } else { 0 });
    let mut footprint = apply(&factor, quantity, EvidenceTier::Measured)?;
    supplement_material(&mut footprint, mass);
    let origin = Origin::Reading {
        meter: signer.id,
        register_from: reading.register_from,
        register_to: reading.register_to,
        from,
        to,
        factor: reading.factor.clone(),
    };
    let thing = (meter.kind.product.clone(), quantity, mass);
    let lot = work.new_lot(meter.kind.host, thing, footprint, origin);

    meter.register = reading.register_to;
    meter.read_until = to;
    meter.readings = meter.readings.checked_add(1).ok_or(Overflow)?;
    work.state.put(key(Table::Meter, &[signer.id.as_bytes()]), &meter);
    book_in(work, &lot)
}

pub(super) fn reset_register(
    work: &mut Work<'_>,
    signer: &Signer,
    reset: &RegisterReset,
) -> Checked<()> {
    signer.require(&[MemberKind::Organisation])?;
    let member = work.member(reset.meter)?;
    ensure(member.organisation == signer.id, Code::NotInOrganisation)?;
    ensure(member.kind == MemberKind::Meter, Code::WrongKind)?;
    let mut meter = meter_row(work, reset.meter)?;
    ensure(reset.register_from == meter.register, Code::RegisterGap)?;

    meter.register = reset.register_to;
    meter.resets = meter.resets.checked_add(1).ok_or(Overflow)?;
    work.state.put(key(Table::Meter, &[reset.meter.as_bytes()]), &meter);
    Ok(())
}

pub(super) fn declare_lot(
    work: &mut Work<'_>,
    signer: &Signer,
    declaration: &LotDeclaration,
) -> Checked<()> {
    signer.require(&[MemberKind::Machine])?;
    ensure_text(&declaration.product, 64)?;
    ensure_evidence(declaration.evidence.as_ref())?;
    ensure(declaration.quantity.amount > 0, Code::ZeroAmount)?;
    ensure_mass(declaration.quantity, declaration.mass)?;
    let evidence = declaration.evidence.as_ref();
    let (mut footprint, factor) = match &declaration.footprint {
        DeclaredFootprint::Imported(imported) => (import(imported, evidence)?, None),
        DeclaredFootprint::Factor(reference) => {
            let factor = work.factor(reference)?;
            ensure_valid(&factor, work.moment.time, work.moment.time)?;
            let amount = declared_amount(&factor, declaration);
            (apply(&factor, amount, tier(evidence))?, Some(reference.clone()))
        }
    };
    supplement_material(&mut footprint, declaration.mass);
    let origin = Origin::Declared { factor, evidence: declaration.evidence.clone() };
    let thing = (declaration.product.clone(), declaration.quantity, declaration.mass);
    let lot = work.new_lot(signer.id, thing, footprint, origin);

    book_in(work, &lot)
}

/// What the factor is applied to: the lot's amount, or its mass when the factor is per mass. A lot
/// without mass is not covered by a factor per mass.
fn declared_amount(factor: &Factor, declaration: &LotDeclaration) -> Quantity {
    let by_mass = factor.reference.unit == Unit::Milligram && declaration.mass > Milligrams::ZERO;
    if by_mass {
        Quantity::new(declaration.mass.get(), Unit::Milligram)
    } else {
        declaration.quantity
    }
}

fn supplement_material(footprint: &mut Footprint, mass: Milligrams) {
    if mass > Milligrams::ZERO {
        footprint.supplement(Dimension::Material, mass.get());
    }
}

fn import(imported: &ImportedFootprint, evidence: Option<&Evidence>) -> Checked<Footprint> {
    let given = &imported.footprint;
    let plausible =
        are_plausible(imported.declared, imported.quality, |dimension| given.get(dimension));
    let left_to_ledger = given.undeclared.is_empty() && given.gwp_sets == GwpSets::default();
    let proven = match imported.tier {
        EvidenceTier::Measured => false,
        EvidenceTier::Derived => evidence.is_some(),
        EvidenceTier::Default => true,
    };
    ensure(plausible && left_to_ledger && proven, Code::ImportInvalid)?;
    let mut footprint = given.clone();
    footprint.undeclared = imported.declared.union(DERIVED_DIMENSIONS).complement();
    footprint.gwp_sets = GwpSets::only(imported.gwp_set);
    footprint.book_climate(imported.tier, imported.quality)?;
    Ok(footprint)
}

/// Books a new lot from outside the ledger.
fn book_in(work: &mut Work<'_>, lot: &LotRow) -> Checked<()> {
    ensure_bounded(&lot.footprint)?;
    work.totals.sources = work.totals.sources.checked_add(&lot.footprint)?;
    work.totals.stock = work.totals.stock.checked_add(&lot.footprint)?;
    let amount = u128::from(lot.quantity.amount);
    work.change_product(&lot.product, lot.quantity.unit, |row| {
        row.booked_in = row.booked_in.checked_add(amount)?;
        row.stock = row.stock.checked_add(amount)?;
        Some(())
    })?;
    work.put_lot(work.moment.lot(0), lot);
    Ok(())
}
