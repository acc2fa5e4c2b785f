//! Publication of factor sets: checked once, then immutable.

use super::work::{Checked, Signer, Work, ensure, ensure_text};
use crate::factor::{DERIVED_DIMENSIONS, Factor, Quality};
use crate::footprint::{Dimension, DimensionSet};
use crate::id::FactorSetId;
use crate::operation::FactorPublication;
use crate::rejection::Code;
use crate::rows::{FactorSetRow, MemberKind, Read, Table, key};

const CODE_MAX: usize = 64;
const REGION_MAX: usize = 64;
const SOURCE_MAX: usize = 512;
const LICENCE_MAX: usize = 128;

/// Climate and its parts.
const CLIMATE: [Dimension; 4] = [
    Dimension::Climate,
    Dimension::ClimateFossil,
    Dimension::ClimateLandUse,
    Dimension::ClimateAircraft,
];

pub(super) fn publish(
    work: &mut Work<'_>,
    signer: &Signer,
    publication: &FactorPublication,
) -> Checked<()> {
    signer.require(&[MemberKind::Publisher])?;
    ensure_text(&publication.name, CODE_MAX)?;
    let ascending = publication.factors.windows(2).all(|pair| pair[0].code < pair[1].code);
    ensure(!publication.factors.is_empty() && ascending, Code::FieldInvalid)?;
    let set = FactorSetId::of(signer.id, &publication.name, publication.version);
    let set_key = key(Table::FactorSet, &[set.as_bytes()]);
    ensure(work.state.get(&set_key)?.is_none(), Code::FactorSetExists)?;
    for factor in &publication.factors {
        ensure(!is_offset(|dimension| impact(factor, dimension)), Code::OffsetAsReduction)?;
        ensure(is_consistent(factor), Code::FactorInvalid)?;
    }

    let row = FactorSetRow {
        publisher: signer.id,
        name: publication.name.clone(),
        version: publication.version,
        factors: u32::try_from(publication.factors.len()).unwrap_or(u32::MAX),
    };
    work.state.put(set_key, &row);
    for factor in &publication.factors {
        work.state.put(key(Table::Factor, &[set.as_bytes(), factor.code.as_bytes()]), factor);
    }
    Ok(())
}

fn impact(factor: &Factor, dimension: Dimension) -> i128 {
    let impact = factor.impacts.iter().find(|impact| impact.dimension == dimension);
    impact.map_or(0, |impact| impact.value)
}

/// Whether figures claim to take from the climate: an offset or an avoided burden, which is recorded
/// beside a footprint and never as a part of it.
pub(super) fn is_offset(value: impl Fn(Dimension) -> i128) -> bool {
    CLIMATE.iter().any(|dimension| value(*dimension) < 0)
}

fn is_consistent(factor: &Factor) -> bool {
    let value = |dimension| impact(factor, dimension);
    (1..=CODE_MAX).contains(&factor.code.len())
        && factor.region.len() <= REGION_MAX
        && factor.source.len() <= SOURCE_MAX
        && factor.licence.len() <= LICENCE_MAX
        && factor.reference.amount > 0
        && factor.valid_from < factor.valid_until
        && factor.impacts.windows(2).all(|pair| pair[0].dimension < pair[1].dimension)
        && are_plausible(factor.declared, factor.quality, value)
}

/// What factors and imported footprints have in common: only what is declared has a value, nothing
/// is negative but the biogenic uptake (which is never positive), the parts of climate do not exceed
/// it, ratings are from 1 to 5 or missing (0), and what the ledger derives itself is left to it.
pub(super) fn are_plausible(
    declared: DimensionSet,
    quality: Quality,
    value: impl Fn(Dimension) -> i128,
) -> bool {
    let mut parts = CLIMATE.iter().filter(|dimension| **dimension != Dimension::Climate);
    let sum = parts.try_fold(0_i128, |sum, part| sum.checked_add(value(*part)));
    let ratings = [quality.technology, quality.geography, quality.time];
    let sign_holds = |dimension: Dimension| match dimension {
        Dimension::BiogenicUptake => value(dimension) <= 0,
        _ => value(dimension) >= 0,
    };
    let settable = |dimension: &Dimension| {
        declared.contains(*dimension) && !DERIVED_DIMENSIONS.contains(*dimension)
    };
    declared.is_valid()
        && Dimension::ALL.iter().all(|dimension| settable(dimension) || value(*dimension) == 0)
        && Dimension::ALL.iter().all(|dimension| sign_holds(*dimension))
        && sum.is_some_and(|sum| sum <= value(Dimension::Climate))
        && ratings.iter().all(|rating| *rating <= 5)
}
