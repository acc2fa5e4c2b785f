//! The dimensions by the names that files use, and amounts in them.

use crate::measure::{Measure, Ratio, evaluate};
use crate::written::Reason;
use kerbholz_ledger::footprint::Dimension;
use kerbholz_ledger::quantity::Unit;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};

/// The dimension that a field or column is named after, e.g. `abiotic_depletion`.
pub fn dimension_named(name: &str) -> Option<Dimension> {
    let name: StrDeserializer<'_, Error> = name.into_deserializer();
    Dimension::deserialize(name).ok()
}

/// What is said about a name that no dimension has.
pub(crate) fn unknown_dimension(name: &str) -> Reason {
    let hint = ": the names are those of docs/factors.md".to_owned();
    Reason::Unknown { kind: "dimension", name: name.to_owned(), hint }
}

/// What a figure in a dimension is called beside its unit, as in `kg CO2e`.
pub(super) const fn substance(dimension: Dimension) -> Option<&'static str> {
    match dimension {
        Dimension::Climate
        | Dimension::ClimateFossil
        | Dimension::ClimateLandUse
        | Dimension::ClimateAircraft
        | Dimension::BiogenicUptake => Some("CO2e"),
        Dimension::FossilCarbonContent | Dimension::BiogenicCarbonContent => Some("C"),
        Dimension::AbioticDepletion => Some("Sb-eq"),
        Dimension::HumanToxicity => Some("1,4-DCB-eq"),
        Dimension::Acidification => Some("SO2-eq"),
        _ => None,
    }
}

/// An amount in a dimension's own unit: nanograms of a substance, or a physical base unit.
///
/// # Errors
/// [`Reason`]: no amount, or one of another unit.
pub fn impact(dimension: Dimension, text: &str) -> Result<Ratio, Reason> {
    let wanted = || match substance(dimension) {
        Some(substance) => format!("a mass of {substance}, e.g. kg {substance},"),
        None => format!("{} or a multiple of it", dimension.unit()),
    };
    let unfit = |measure: Option<Measure>| Reason::Unit {
        text: text.to_owned(),
        found: measure.map_or_else(|| "another unit".to_owned(), Measure::describe),
        wanted: wanted(),
    };
    let (amount, nanograms_per_base) = match substance(dimension) {
        Some(substance) => match text.strip_suffix(substance) {
            Some(amount) => (amount, 1_000_000),
            // What is no amount at all is said first.
            None => return Err(unfit(Some(evaluate(without_substance(text), |_| None)?.measure))),
        },
        None => (text, 1),
    };
    let measure = evaluate(amount, |_| None)?.measure;
    let (ratio, unit) = measure.base().ok_or_else(|| unfit(Some(measure)))?;
    let fits = if substance(dimension).is_some() {
        unit == Unit::Milligram
    } else {
        unit.symbol() == dimension.unit()
    };
    if !fits {
        return Err(unfit(Some(measure)));
    }
    let scaled = Ratio::new(nanograms_per_base, 1).and_then(|scale| ratio.checked_mul(scale));
    scaled.ok_or_else(|| unfit(Some(measure)))
}

/// The amount before a substance that is not the right one: number and unit.
fn without_substance(text: &str) -> &str {
    let is_space = char::is_whitespace;
    text.match_indices(is_space).nth(1).map_or(text, |(end, _)| &text[..end])
}
