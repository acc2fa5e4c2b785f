//! The factor file: emission factors with sources, as the ledger's factor sets want them.

use super::error::{Reason, ScenarioError, Span, Text};
use super::measure::{Ratio, evaluate};
use kerbholz_ledger::factor::{DERIVED_DIMENSIONS, Factor, Impact, Quality, Standing};
use kerbholz_ledger::footprint::{Dimension, DimensionSet, GwpSet};
use kerbholz_ledger::quantity::{Quantity, Timestamp, Unit};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use std::collections::BTreeMap;
use toml::Spanned;
use toml::value::Datetime;

/// Where a figure comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Citation {
    /// Author, year, title.
    pub cite: String,
    /// URL or DOI; empty where there is none.
    #[serde(default)]
    pub url: String,
    /// What was looked at, and how much of it.
    pub seen: String,
    /// Licence of what is used; empty where single figures are quoted.
    #[serde(default)]
    pub licence: String,
}

/// A factor set with the sources of its figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactorFile {
    /// The set's name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// The factors, ascending by code, none twice: ready to publish.
    pub factors: Vec<Factor>,
    /// What a reader should know about each, by code; only where there is something to say.
    pub notes: BTreeMap<String, String>,
    /// The sources, by key.
    pub sources: BTreeMap<String, Citation>,
}

impl FactorFile {
    /// Reads a factor file.
    ///
    /// # Errors
    /// [`ScenarioError`] with the first line that is wrong, and why.
    pub fn parse(file: &str, text: &str) -> Result<Self, ScenarioError> {
        let text = Text { file, text };
        let raw: RawFile = text.parse()?;
        let mut factors: BTreeMap<String, Factor> = BTreeMap::new();
        let mut notes = BTreeMap::new();
        for raw_factor in raw.factors {
            let span = raw_factor.code.span();
            let code = raw_factor.code.get_ref().clone();
            if let Some(note) = raw_factor.note.clone() {
                notes.insert(code.clone(), note);
            }
            let factor = factor(&text, raw_factor, &raw.sources)?;
            if factors.insert(code.clone(), factor).is_some() {
                return Err(text.error(&span, Reason::Duplicate { kind: "factor", name: code }));
            }
        }
        Ok(Self {
            name: raw.name,
            version: raw.version,
            factors: factors.into_values().collect(),
            notes,
            sources: raw.sources,
        })
    }

    /// The factor of this code.
    pub fn get(&self, code: &str) -> Option<&Factor> {
        let index = self.factors.binary_search_by(|factor| factor.code.as_str().cmp(code)).ok()?;
        self.factors.get(index)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    name: String,
    version: u32,
    sources: BTreeMap<String, Citation>,
    factors: Vec<RawFactor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFactor {
    code: Spanned<String>,
    per: Spanned<String>,
    impacts: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    zero: Vec<Spanned<String>>,
    quality: Spanned<RawQuality>,
    gwp: GwpSet,
    region: String,
    valid_from: Spanned<Datetime>,
    valid_until: Spanned<Datetime>,
    source: Spanned<String>,
    standing: Standing,
    note: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawQuality {
    technology: u8,
    geography: u8,
    time: u8,
}

fn factor(
    text: &Text<'_>,
    raw: RawFactor,
    sources: &BTreeMap<String, Citation>,
) -> Result<Factor, ScenarioError> {
    let source = sources.get(raw.source.get_ref()).ok_or_else(|| {
        let reason = Reason::Unknown {
            kind: "source",
            name: raw.source.get_ref().clone(),
            hint: String::new(),
        };
        text.error(&raw.source.span(), reason)
    })?;
    let (reference, impacts) = impacts(text, &raw)?;
    let zero = raw.zero.iter().map(|name| settable(text, name)).collect::<Result<Vec<_>, _>>()?;
    let with_impact: Vec<_> = impacts.iter().map(|impact| impact.dimension).collect();
    if let Some(twice) = raw.zero.iter().zip(&zero).find(|(_, zero)| with_impact.contains(zero)) {
        let name = twice.0.get_ref().clone();
        return Err(text.error(&twice.0.span(), Reason::Duplicate { kind: "impact", name }));
    }
    let (valid_from, valid_until) =
        (midnight(text, &raw.valid_from)?, midnight(text, &raw.valid_until)?);
    if valid_from >= valid_until {
        let reason = Reason::Rule("validity ends after it begins".to_owned());
        return Err(text.error(&raw.valid_until.span(), reason));
    }
    let span = raw.code.span();
    let factor = Factor {
        code: raw.code.into_inner(),
        reference,
        impacts,
        declared: DimensionSet::of(&with_impact).union(DimensionSet::of(&zero)),
        gwp_set: raw.gwp,
        quality: quality(text, &raw.quality)?,
        region: raw.region,
        valid_from,
        valid_until,
        source: format!("{} {}", source.cite, source.url).trim_end().to_owned(),
        licence: source.licence.clone(),
        standing: raw.standing,
    };
    let texts = [
        ("code", factor.code.len(), 64),
        ("region", factor.region.len(), 64),
        ("source", factor.source.len(), 512),
        ("licence", factor.licence.len(), 128),
    ];
    match texts.into_iter().find(|(_, length, most)| length > most) {
        None => Ok(factor),
        Some((field, _, most)) => {
            let reason = format!("its {field} is too long for the ledger: at most {most} bytes");
            Err(text.error(&span, Reason::Rule(reason)))
        }
    }
}

/// The reference amount and the impacts per it, scaled up together until all are whole: nothing is
/// rounded.
fn impacts(text: &Text<'_>, raw: &RawFactor) -> Result<(Quantity, Vec<Impact>), ScenarioError> {
    let at = |span: &Span, reason| text.error(span, reason);
    let per = evaluate(raw.per.get_ref(), |_| None)
        .and_then(|per| per.quantity())
        .and_then(|per| match per.amount {
            0 => Err(Reason::Rule("impacts per nothing: name an amount".to_owned())),
            _ => Ok(per),
        })
        .map_err(|reason| at(&raw.per.span(), reason))?;
    let mut exact = BTreeMap::new();
    let mut scale: i128 = 1;
    for (name, amount) in &raw.impacts {
        let dimension = settable(text, name)?;
        let value = impact(dimension, amount.get_ref())
            .and_then(|value| plausible(dimension, amount.get_ref(), value))
            .map_err(|reason| at(&amount.span(), reason))?;
        scale =
            lcm(scale, value.denominator()).ok_or_else(|| at(&amount.span(), too_fine(amount)))?;
        exact.insert(dimension, (value, amount));
    }
    let reference = i128::from(per.amount)
        .checked_mul(scale)
        .and_then(|amount| u64::try_from(amount).ok())
        .ok_or_else(|| at(&raw.per.span(), too_fine(&raw.per)))?;
    let scale = Ratio::new(scale, 1);
    let impacts = exact
        .into_iter()
        .map(|(dimension, (value, amount))| {
            let value = scale
                .and_then(|scale| value.checked_mul(scale))
                .and_then(Ratio::whole)
                .ok_or_else(|| at(&amount.span(), too_fine(amount)))?;
            Ok(Impact { dimension, value })
        })
        .collect::<Result<_, _>>()?;
    Ok((Quantity::new(reference, per.unit), impacts))
}

/// Nothing is negative but the biogenic uptake, which is never positive.
fn plausible(dimension: Dimension, text: &str, value: Ratio) -> Result<Ratio, Reason> {
    let wrong = |why: &str| Reason::Amount { text: text.to_owned(), why: why.to_owned() };
    match (dimension, value.numerator().signum()) {
        (Dimension::BiogenicUptake, 1) => Err(wrong("an uptake is positive: write it below zero")),
        (Dimension::BiogenicUptake, _) | (_, 0 | 1) => Ok(value),
        _ => Err(wrong("it is negative: only the biogenic uptake may be")),
    }
}

fn too_fine(amount: &Spanned<String>) -> Reason {
    let why = "it cannot be kept exactly in the ledger's integers".to_owned();
    Reason::Amount { text: amount.get_ref().clone(), why }
}

fn lcm(a: i128, b: i128) -> Option<i128> {
    // The fraction a/b in lowest terms has the numerator a / gcd.
    a.checked_mul(b)?.checked_div(a.checked_div(Ratio::new(a, b)?.numerator())?)
}

/// The dimension of an impact: the ledger derives some itself, from climate.
fn settable(text: &Text<'_>, name: &Spanned<String>) -> Result<Dimension, ScenarioError> {
    let dimension = dimension(text, name)?;
    if DERIVED_DIMENSIONS.contains(dimension) {
        let reason = format!("no factor sets `{}`: the ledger derives it", name.get_ref());
        return Err(text.error(&name.span(), Reason::Rule(reason)));
    }
    Ok(dimension)
}

/// The dimension that a field is named after.
pub(super) fn dimension(
    text: &Text<'_>,
    name: &Spanned<String>,
) -> Result<Dimension, ScenarioError> {
    let deserializer: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
        name.get_ref().as_str().into_deserializer();
    Dimension::deserialize(deserializer).map_err(|_| {
        let reason = Reason::Unknown {
            kind: "dimension",
            name: name.get_ref().clone(),
            hint: ": the names are those of docs/footprint.md".to_owned(),
        };
        text.error(&name.span(), reason)
    })
}

/// What a figure in a dimension is called beside its unit, as in `kg CO2e`.
const fn substance(dimension: Dimension) -> Option<&'static str> {
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
pub(super) fn impact(dimension: Dimension, amount: &str) -> Result<Ratio, Reason> {
    let unfit = |wanted: String| Reason::Unit {
        text: amount.to_owned(),
        found: "another unit".to_owned(),
        wanted,
    };
    let (amount, nanograms_per_base) = match substance(dimension) {
        Some(substance) => {
            let wanted = || unfit(format!("a mass of {substance}, e.g. kg {substance}"));
            (amount.strip_suffix(substance).ok_or_else(wanted)?, 1_000_000)
        }
        None => (amount, 1),
    };
    let base = evaluate(amount, |_| None)?.measure.base();
    let (ratio, unit) = base.ok_or_else(|| unfit(dimension.unit().to_owned()))?;
    let fits = if substance(dimension).is_some() {
        unit == Unit::Milligram
    } else {
        unit.symbol() == dimension.unit()
    };
    let scaled = Ratio::new(nanograms_per_base, 1).and_then(|scale| ratio.checked_mul(scale));
    scaled.filter(|_| fits).ok_or_else(|| unfit(dimension.unit().to_owned()))
}

fn quality(text: &Text<'_>, raw: &Spanned<RawQuality>) -> Result<Quality, ScenarioError> {
    let RawQuality { technology, geography, time } = *raw.get_ref();
    if [technology, geography, time].iter().all(|rating| (1..=5).contains(rating)) {
        return Ok(Quality { technology, geography, time });
    }
    let reason = Reason::Rule("data-quality ratings go from 1 (best) to 5".to_owned());
    Err(text.error(&raw.span(), reason))
}

/// Midnight UTC at the beginning of a date.
fn midnight(text: &Text<'_>, value: &Spanned<Datetime>) -> Result<Timestamp, ScenarioError> {
    let date = value.get_ref().date.filter(|_| value.get_ref().time.is_none());
    date.and_then(|date| {
        let days = days_since_1970(date.year.into(), date.month.into(), date.day.into());
        u64::try_from(days).ok().map(|days| Timestamp::new(days * 86_400_000))
    })
    .ok_or_else(|| {
        let reason = Reason::Rule("a date from 1970 on is needed, e.g. 2025-01-01".to_owned());
        text.error(&value.span(), reason)
    })
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // Counting years from March puts the leap day at the end of the year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    // From 0000-03-01 to 1970-01-01 there are 719,468 days.
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests;
