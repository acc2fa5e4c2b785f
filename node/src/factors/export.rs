//! A published set as a file again: CSV that [`super::FactorFile::parse`] reads back to factors that
//! come to the same.

use super::impact::substance;
use super::sheet::FIELDS;
use crate::export::{csv as records, time_text};
use crate::measure::Ratio;
use kerbholz_ledger::factor::{DERIVED_DIMENSIONS, Factor};
use kerbholz_ledger::footprint::{Dimension, GwpSet};
use kerbholz_ledger::quantity::{Quantity, Timestamp, Unit};
use serde::Serialize;

/// A set as comma-separated values, with the columns that are needed.
pub fn csv(name: &str, version: u32, factors: &[Factor]) -> String {
    let declared = |dimension: &&Dimension| {
        !DERIVED_DIMENSIONS.contains(**dimension)
            && factors.iter().any(|factor| factor.declared.contains(**dimension))
    };
    let dimensions: Vec<Dimension> = Dimension::ALL.iter().filter(declared).copied().collect();
    // What the ledger does not keep apart stands in `source`.
    let fields: Vec<&str> = FIELDS.iter().map(|(field, _)| *field).collect();
    let fields: Vec<&str> =
        fields.into_iter().filter(|field| value(field, factors.first()).is_some()).collect();
    let mut table = Vec::new();
    let named: Vec<String> = dimensions.iter().map(tag).collect();
    let header = ["set", "version"].into_iter().chain(fields.iter().copied());
    records::line(header.chain(named.iter().map(String::as_str)), &mut table);
    for factor in factors {
        let (reference, impacts) = readable(factor, &dimensions);
        let mut cells = vec![name.to_owned(), version.to_string()];
        for field in &fields {
            let of_factor = value(field, Some(factor)).unwrap_or_default();
            cells.push(if *field == "per" { reference.clone() } else { of_factor });
        }
        cells.extend(impacts);
        records::line(cells.iter().map(String::as_str), &mut table);
    }
    String::from_utf8_lossy(&table).into_owned()
}

/// What a factor has in a field; `None` for what the ledger does not keep as a field of its own.
fn value(field: &str, factor: Option<&Factor>) -> Option<String> {
    let factor = factor?;
    Some(match field {
        "code" => factor.code.clone(),
        "per" => String::new(),
        "technology" => factor.quality.technology.to_string(),
        "geography" => factor.quality.geography.to_string(),
        "time" => factor.quality.time.to_string(),
        "gwp" => match factor.gwp_set {
            GwpSet::Unstated => "unstated".to_owned(),
            GwpSet::Ar5 => "ar5".to_owned(),
            GwpSet::Ar6 => "ar6".to_owned(),
        },
        "region" => factor.region.clone(),
        "valid_from" => date(factor.valid_from),
        "valid_until" => date(factor.valid_until),
        "source" => factor.source.clone(),
        "licence" => factor.licence.clone(),
        "standing" => tag(&factor.standing),
        _ => return None,
    })
}

/// The name of a variant as files write it.
fn tag<T: Serialize>(value: &T) -> String {
    let name = serde_json::to_value(value).unwrap_or_default();
    name.as_str().unwrap_or_default().to_owned()
}

/// The amount that people mean, and the unit they write.
const fn usual(unit: Unit) -> (u64, &'static str) {
    match unit {
        Unit::Joule => (3_600_000, "1 kWh"),
        Unit::Milligram => (1_000_000, "1 kg"),
        Unit::Millilitre => (1_000_000, "1 m3"),
        Unit::Piece => (1, "1 piece"),
        Unit::Millimetre => (1_000_000, "1 km"),
        Unit::KilogramMetre => (1_000_000, "1 tkm"),
        Unit::Byte => (1_000_000_000, "1 GB"),
        Unit::Second => (3_600, "1 h"),
    }
}

/// The unit that a dimension's figures are written in, and how many of its own make one.
fn written_in(dimension: Dimension) -> (i128, String) {
    match (substance(dimension), dimension.unit()) {
        (Some(substance), _) => (1_000_000_000_000, format!("kg {substance}")),
        (None, "J") => (3_600_000, "kWh".to_owned()),
        (None, "mg") => (1_000_000, "kg".to_owned()),
        (None, "mL") => (1_000_000, "m3".to_owned()),
        (None, unit) => (1, unit.to_owned()),
    }
}

/// The reference amount and the impacts, as decimals per the usual amount where they are finite, else
/// as the ledger has them.
fn readable(factor: &Factor, dimensions: &[Dimension]) -> (String, Vec<String>) {
    let (amount, per) = usual(factor.reference.unit);
    let scale = Ratio::new(i128::from(amount), i128::from(factor.reference.amount));
    let cells = dimensions.iter().map(|dimension| {
        let Some(value) = impact(factor, *dimension) else { return Some(String::new()) };
        let (unit, name) = written_in(*dimension);
        let of_unit = Ratio::new(value, unit)?.checked_mul(scale?)?;
        let decimal = decimal(of_unit)?;
        Some(if value == 0 { "0".to_owned() } else { format!("{decimal} {name}") })
    });
    match cells.collect::<Option<Vec<_>>>() {
        Some(cells) => (per.to_owned(), cells),
        None => (exact(factor.reference), dimensions.iter().map(|d| raw(factor, *d)).collect()),
    }
}

/// A factor's climate impact as people write it: `0.09502 kg CO2e per 1 tkm`.
pub fn climate_of(factor: &Factor) -> Option<String> {
    let (per, cells) = readable(factor, &[Dimension::Climate]);
    cells
        .first()
        .filter(|climate| !climate.is_empty())
        .map(|climate| format!("{climate} per {per}"))
}

/// A factor's reference amount and impacts as people write them.
pub fn written(factor: &Factor) -> (String, Vec<(Dimension, String)>) {
    let settable = |dimension: &&Dimension| {
        !DERIVED_DIMENSIONS.contains(**dimension) && factor.declared.contains(**dimension)
    };
    let dimensions: Vec<Dimension> = Dimension::ALL.iter().filter(settable).copied().collect();
    let (per, cells) = readable(factor, &dimensions);
    (per, dimensions.into_iter().zip(cells).collect())
}

/// A declared impact; a declared zero is one.
fn impact(factor: &Factor, dimension: Dimension) -> Option<i128> {
    let found = factor.impacts.iter().find(|impact| impact.dimension == dimension);
    let declared = factor.declared.contains(dimension);
    declared.then(|| found.map_or(0, |impact| impact.value))
}

fn raw(factor: &Factor, dimension: Dimension) -> String {
    match impact(factor, dimension) {
        None => String::new(),
        Some(0) => "0".to_owned(),
        Some(value) => match substance(dimension) {
            // Nanograms have no sign in files: a milligram is a million of them.
            Some(substance) => format!("{value}e-6 mg {substance}"),
            None => format!("{value} {}", dimension.unit()),
        },
    }
}

fn exact(reference: Quantity) -> String {
    match reference.unit {
        Unit::KilogramMetre => format!("{} kg*m", reference.amount),
        unit => format!("{} {}", reference.amount, unit.symbol()),
    }
}

/// A fraction as a decimal, where it is a finite one.
fn decimal(ratio: Ratio) -> Option<String> {
    let (mut places, mut power) = (0_usize, Ratio::ONE);
    let ten = Ratio::new(10, 1)?;
    loop {
        let digits = ratio.checked_mul(power)?;
        if let Some(digits) = digits.whole() {
            let sign = if digits < 0 { "-" } else { "" };
            let digits = format!("{:0>width$}", digits.unsigned_abs(), width = places + 1);
            let (whole, fraction) = digits.split_at(digits.len() - places);
            let point = if places == 0 { "" } else { "." };
            return Some(format!("{sign}{whole}{point}{fraction}"));
        }
        places += 1;
        power = power.checked_mul(ten)?;
        if places > DECIMALS_MAX {
            return None;
        }
    }
}

/// Most decimals that are written; what has more is written as it is kept.
const DECIMALS_MAX: usize = 20;

/// The day of a moment, in UTC.
fn date(time: Timestamp) -> String {
    let mut text = time_text(time);
    text.truncate("2026-11-20".len());
    text
}
