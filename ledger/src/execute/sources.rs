//! Sources: meter readings and declared lots book footprint into the ledger.
//!
//! What a factor cannot know, the ledger books itself: energy counted in joules is final energy,
//! and goods that weigh something are material - unless the factor declares that dimension.

use super::factors::{are_plausible, is_offset};
use super::lots::ensure_mass;
use super::work::{Checked, Signer, Work, add, ensure, ensure_text};
use crate::factor::{DERIVED_DIMENSIONS, Factor, FactorRef};
use crate::footprint::{Dimension, DimensionSet, EvidenceTier, Footprint, GwpSets, Overflow};
use crate::id::MemberId;
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

fn meter_row(work: &Work<'_>, id: MemberId) -> Checked<MeterRow> {
    let row = read(&work.state, &key(Table::Meter, &[id.as_bytes()]))?;
    Ok(row.ok_or_else(|| ReadError(alloc::format!("meter {id} has no register")))?)
}

/// The meter of a reading, and whether its host signed for it.
fn meter_of(work: &Work<'_>, signer: &Signer, reading: &Reading) -> Checked<(MeterRow, bool)> {
    signer.require(&[MemberKind::Meter, MemberKind::Machine])?;
    work.active(reading.meter, &[MemberKind::Meter])?;
    let meter = meter_row(work, reading.meter)?;
    let by_host = signer.id != reading.meter;
    ensure(!by_host || signer.id == meter.kind.host, Code::WrongSigner)?;
    Ok((meter, by_host))
}

/// What the register counted, through its end if the reading says so.
fn counted(meter: &MeterRow, reading: &Reading) -> Checked<u64> {
    ensure(reading.register_from == meter.register, Code::RegisterGap)?;
    let (from, to) = (reading.register_from, reading.register_to);
    let end = meter.kind.register_end;
    ensure(end.is_none_or(|end| to < end), Code::RegisterEnd)?;
    if !reading.overflowed {
        let amount = to.saturating_sub(from);
        ensure(amount > 0, Code::RegisterNotAhead)?;
        return Ok(amount);
    }
    let end = end.ok_or(Code::RegisterEnd)?;
    ensure(to < from, Code::RegisterEnd)?;
    let amount = end.checked_sub(from).and_then(|rest| rest.checked_add(to));
    Ok(amount.ok_or(Overflow)?)
}

pub(super) fn submit_reading(
    work: &mut Work<'_>,
    signer: &Signer,
    reading: &Reading,
) -> Checked<()> {
    let (mut meter, by_host) = meter_of(work, signer, reading)?;
    let (from, to) = (reading.from, reading.to);
    let in_order = meter.read_until <= from && from < to && !work.moment.is_future(to);
    ensure(in_order, Code::PeriodInvalid)?;
    ensure_evidence(reading.evidence.as_ref())?;
    let metered = Metered { by_host, evidence: reading.evidence.as_ref(), from, to };
    let factor = metered.factor(work, &meter, &reading.factor)?;
    let amount = counted(&meter, reading)?;
    let quantity = Quantity::new(amount, meter.kind.unit);
    let mass = Milligrams::new(if quantity.unit == Unit::Milligram { amount } else { 0 });
    let footprint = metered.book(&factor, quantity, mass)?;
    let origin = Origin::Reading {
        meter: reading.meter,
        register_from: reading.register_from,
        register_to: reading.register_to,
        from,
        to,
        factor: reading.factor.clone(),
        by_host,
        evidence: reading.evidence.clone(),
    };
    let thing = (meter.kind.product.clone(), quantity, mass);
    let lot = work.new_lot(meter.kind.host, thing, footprint, origin);

    meter.register = reading.register_to;
    meter.read_until = to;
    meter.readings = meter.readings.checked_add(1).ok_or(Overflow)?;
    if reading.overflowed {
        meter.overflows = meter.overflows.checked_add(1).ok_or(Overflow)?;
    }
    work.state.put(key(Table::Meter, &[reading.meter.as_bytes()]), &meter);
    book_in(work, lot)
}

/// How an amount was metered.
struct Metered<'a> {
    by_host: bool,
    evidence: Option<&'a Evidence>,
    from: Timestamp,
    to: Timestamp,
}

impl Metered<'_> {
    /// The factor, if it is the meter's and holds for the whole period.
    fn factor(&self, work: &Work<'_>, meter: &MeterRow, of: &FactorRef) -> Checked<Factor> {
        let factor = work.factor(of)?;
        ensure_valid(&factor, self.from, self.to)?;
        ensure(factor.code == meter.kind.factor_code, Code::WrongFactor)?;
        Ok(factor)
    }

    /// Measured is what a meter signed with a key that is not its machine's.
    fn book(&self, factor: &Factor, quantity: Quantity, mass: Milligrams) -> Checked<Footprint> {
        let tier = if self.by_host { tier(self.evidence) } else { EvidenceTier::Measured };
        let mut footprint = apply(factor, quantity, tier)?;
        supplement_material(&mut footprint, mass);
        Ok(footprint)
    }
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
    let thing = (declaration.quantity, declaration.mass);
    let (footprint, _) = declared(work, thing, &declaration.footprint, evidence, work.moment.time)?;
    let factor = match &declaration.footprint {
        DeclaredFootprint::Factor(factor) => Some(factor.clone()),
        DeclaredFootprint::Imported(_) => None,
    };
    let origin = Origin::Declared { factor, evidence: declaration.evidence.clone() };
    let thing = (declaration.product.clone(), declaration.quantity, declaration.mass);
    let lot = work.new_lot(signer.id, thing, footprint, origin);

    book_in(work, lot)
}

/// The footprint of a declared lot, and what its factor is applied to.
fn declared(
    work: &Work<'_>,
    (quantity, mass): (Quantity, Milligrams),
    footprint: &DeclaredFootprint,
    evidence: Option<&Evidence>,
    at: Timestamp,
) -> Checked<(Footprint, Option<Quantity>)> {
    let (mut footprint, amount) = match footprint {
        DeclaredFootprint::Imported(imported) => (import(imported, evidence)?, None),
        DeclaredFootprint::Factor(reference) => {
            let factor = work.factor(reference)?;
            ensure_valid(&factor, at, at)?;
            let amount = factor.applies_to(quantity, mass);
            (apply(&factor, amount, tier(evidence))?, Some(amount))
        }
    };
    supplement_material(&mut footprint, mass);
    Ok((footprint, amount))
}

/// What the source of a lot books by other figures, and what its factor is applied to: the same
/// rules as when it was booked.
pub(super) fn book_lot(
    work: &Work<'_>,
    lot: &LotRow,
    footprint: &DeclaredFootprint,
    evidence: Option<&Evidence>,
) -> Checked<(Footprint, Option<Quantity>)> {
    let (quantity, mass) = (lot.whole_quantity(), lot.original_mass);
    let Origin::Reading { meter, from, to, by_host, .. } = &lot.origin else {
        return declared(work, (quantity, mass), footprint, evidence, lot.created_at);
    };
    let DeclaredFootprint::Factor(reference) = footprint else {
        return Err(Code::CorrectionInvalid.into());
    };
    let metered = Metered { by_host: *by_host, evidence, from: *from, to: *to };
    let factor = metered.factor(work, &meter_row(work, *meter)?, reference)?;
    Ok((metered.book(&factor, quantity, mass)?, Some(quantity)))
}

fn supplement_material(footprint: &mut Footprint, mass: Milligrams) {
    if mass > Milligrams::ZERO {
        footprint.supplement(Dimension::Material, mass.get());
    }
}

fn import(imported: &ImportedFootprint, evidence: Option<&Evidence>) -> Checked<Footprint> {
    let given = &imported.footprint;
    ensure(!is_offset(|dimension| given.get(dimension)), Code::OffsetAsReduction)?;
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
fn book_in(work: &mut Work<'_>, mut lot: LotRow) -> Checked<()> {
    ensure_bounded(&lot.footprint)?;
    lot.sequence = work.next_sequence(1)?;
    add(&mut work.totals.sources, &lot.footprint)?;
    add(&mut work.totals.stock, &lot.footprint)?;
    let amount = u128::from(lot.quantity.amount);
    work.change_product(&lot.product, lot.quantity.unit, |row| {
        row.booked_in = row.booked_in.checked_add(amount)?;
        row.stock = row.stock.checked_add(amount)?;
        Some(())
    })?;
    work.put_lot(work.moment.lot(0), &lot);
    Ok(())
}
