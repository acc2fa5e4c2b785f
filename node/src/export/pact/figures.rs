//! From the ledger's dimensions to PACT's figures (`docs/footprint.md` says why). The parts add up to
//! the sums exactly, whatever is declared and however allocation has rounded.

use super::{Decimal, PactError};
use kerbholz_ledger::footprint::{Dimension, Footprint, GwpSet};
use kerbholz_ledger::id::LotId;

/// Nanograms of a kilogram, as a power of ten.
const NANOGRAMS: usize = 12;
/// Decimals of the share of primary data.
const SHARE_PLACES: u32 = 4;

/// The figures, in kilograms.
pub(super) struct Figures {
    pub(super) excluding: Decimal,
    pub(super) including: Decimal,
    pub(super) fossil: Decimal,
    pub(super) land_use: Option<Decimal>,
    pub(super) biogenic_other: Option<Decimal>,
    pub(super) uptake: Option<Decimal>,
    pub(super) aircraft: Option<Decimal>,
    pub(super) fossil_carbon: Decimal,
    pub(super) biogenic_carbon: Option<Decimal>,
    pub(super) primary_share: Option<Decimal>,
}

fn kilograms(nanograms: i128) -> Decimal {
    Decimal::of(nanograms, NANOGRAMS)
}

/// Computes them.
pub(super) fn figures(lot: LotId, footprint: &Footprint) -> Result<Figures, PactError> {
    use Dimension as D;
    let climate = footprint.declared(D::Climate).ok_or(PactError::NoClimate(lot))?;
    if climate < 0 {
        return Err(PactError::Negative(lot));
    }
    // A part may exceed the whole by the rounding of allocation: then it is the whole.
    let land_use = footprint.declared(D::ClimateLandUse).map(|part| part.clamp(0, climate));
    let rest = climate - land_use.unwrap_or(0);
    let fossil = footprint.declared(D::ClimateFossil).map(|part| part.clamp(0, rest));
    let fossil = match (fossil, land_use) {
        (Some(fossil), Some(_)) => fossil,
        // What is not known to be something else counts as fossil.
        _ => rest,
    };
    let biogenic_other = land_use.is_some() && !footprint.undeclared.contains(D::ClimateFossil);
    let uptake = footprint.declared(D::BiogenicUptake).map(|uptake| uptake.min(0));
    let including = climate.saturating_add(uptake.unwrap_or(0));
    let carbon = footprint.get(D::FossilCarbonContent).max(0);
    let positive = |dimension| footprint.declared(dimension).map(|value| kilograms(value.max(0)));
    Ok(Figures {
        excluding: kilograms(climate),
        including: kilograms(including),
        fossil: kilograms(fossil),
        land_use: land_use.map(kilograms),
        biogenic_other: biogenic_other.then(|| kilograms(rest - fossil)),
        uptake: uptake.map(kilograms),
        aircraft: positive(D::ClimateAircraft),
        fossil_carbon: kilograms(carbon),
        biogenic_carbon: positive(D::BiogenicCarbonContent),
        primary_share: primary_share(footprint.get(D::ClimateMeasured), climate),
    })
}

/// What a meter has measured of climate, in per cent, rounded down: never better than it is. None of
/// nothing.
fn primary_share(measured: i128, climate: i128) -> Option<Decimal> {
    let scale = 100 * 10_i128.pow(SHARE_PLACES);
    if climate <= 0 {
        return None;
    }
    let measured = measured.clamp(0, climate);
    let share = match measured.checked_mul(scale) {
        Some(scaled) => scaled / climate,
        None => measured / (climate / scale),
    };
    Some(Decimal::of(share.min(scale), SHARE_PLACES as usize))
}

/// The assessment reports behind the figures.
pub(super) fn reports(
    lot: LotId,
    footprint: &Footprint,
    said: Option<u8>,
) -> Result<Vec<String>, PactError> {
    let unstated = footprint.gwp_sets.contains(GwpSet::Unstated);
    let said = said.filter(|_| unstated);
    let known = [(GwpSet::Ar5, 5), (GwpSet::Ar6, 6)];
    let has =
        |(set, report): &(GwpSet, u8)| footprint.gwp_sets.contains(*set) || said == Some(*report);
    let reports: Vec<String> =
        known.iter().filter(|one| has(one)).map(|(_, report)| format!("AR{report}")).collect();
    if reports.is_empty() { Err(PactError::NoReport(lot)) } else { Ok(reports) }
}
