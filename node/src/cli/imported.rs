//! A supplier's product footprint, as a TOML file says it: for a declared lot, or to correct one.

use super::amount;
use super::error::CliError;
use kerbholz_client::ledger::factor::Quality;
use kerbholz_client::ledger::footprint::{DimensionSet, EvidenceTier, Footprint, GwpSet};
use kerbholz_client::ledger::operation::ImportedFootprint;
use kerbholz_client::ledger::quantity::{Milligrams, Quantity, Unit};
use kerbholz_node::factors::{dimension_named, impact};
use kerbholz_node::files;
use kerbholz_node::measure::Ratio;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What such a file looks like, for help texts.
pub const EXAMPLE: &str = "A file of a supplier's figures (what is not named is not declared):\n  \
    per = \"1 kg\"            # without it: for the whole lot\n  gwp_set = \"ar6\"         # ar5, ar6 or unstated\n  \
    tier = \"derived\"        # or default; derived needs --evidence\n  \
    quality = { technology = 2, geography = 1, time = 2 }\n  [footprint]\n  \
    climate = \"7.2 kg CO2e\"\n  energy = \"90 MJ\"";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    per: Option<String>,
    gwp_set: GwpSet,
    tier: EvidenceTier,
    quality: Quality,
    footprint: BTreeMap<String, String>,
}

/// Reads a file for a lot of this quantity and mass.
pub fn read(
    path: &Path,
    quantity: Quantity,
    mass: Milligrams,
) -> Result<ImportedFootprint, CliError> {
    let text = files::read_text(path)?;
    let wrong = |why: String| CliError::Usage(format!("{}: {why}", path.display()));
    let file: File = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let times = match &file.per {
        None => Some(Ratio::ONE),
        Some(per) => {
            let per = amount::quantity(per).map_err(&wrong)?;
            let of = covered(quantity, mass, per.unit)
                .ok_or_else(|| wrong(format!("the lot is not counted in {}", per.unit)))?;
            Ratio::new(i128::from(of), i128::from(per.amount))
        }
    };
    let times = times.ok_or_else(|| wrong("`per` is nothing".into()))?;
    let (mut footprint, mut declared) = (Footprint::ZERO, Vec::new());
    for (name, text) in &file.footprint {
        let dimension = dimension_named(name)
            .ok_or_else(|| wrong(format!("there is no dimension {name:?}: see docs/factors.md")))?;
        let value = impact(dimension, text).map_err(|reason| wrong(format!("{name}: {reason}")))?;
        let value = value.checked_mul(times).and_then(nearest);
        let value = value.ok_or_else(|| wrong(format!("{name}: {text:?} does not fit")))?;
        footprint.set(dimension, value);
        declared.push(dimension);
    }
    let declared = DimensionSet::of(&declared);
    let File { gwp_set, tier, quality, .. } = file;
    Ok(ImportedFootprint { footprint, declared, gwp_set, quality, tier })
}

/// How much of a unit a lot is: of its own, or by its mass.
fn covered(quantity: Quantity, mass: Milligrams, unit: Unit) -> Option<u64> {
    match unit {
        unit if unit == quantity.unit => Some(quantity.amount),
        Unit::Milligram => Some(mass.get()).filter(|mass| *mass > 0),
        _ => None,
    }
}

/// The nearest whole number, half to even, as factors are rounded.
fn nearest(ratio: Ratio) -> Option<i128> {
    let (numerator, denominator) = (ratio.numerator(), ratio.denominator());
    let floor = numerator.div_euclid(denominator);
    let twice = numerator.rem_euclid(denominator).checked_mul(2)?;
    let up = twice > denominator || (twice == denominator && floor.rem_euclid(2) == 1);
    floor.checked_add(i128::from(up))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kerbholz_client::ledger::footprint::Dimension;

    #[test]
    fn figures_are_read_per_amount_and_rounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("powder.toml");
        let head = "gwp_set = \"ar6\"\ntier = \"default\"\nquality = { technology = 2, geography = 1, time = 3 }\n";
        let lot = (Quantity::new(1_500_000, Unit::Milligram), Milligrams::new(1_500_000));
        let read_text = |text: String| {
            std::fs::write(&path, text).unwrap();
            read(&path, lot.0, lot.1)
        };
        let figures = "[footprint]\nclimate = \"7.2 kg CO2e\"\nenergy = \"3 J\"\n";
        for (per, climate, energy) in [
            ("", 7_200_000_000_000, 3),
            ("per = \"1 kg\"\n", 10_800_000_000_000, 4),
            ("per = \"3 kg\"\n", 3_600_000_000_000, 2),
        ] {
            let read = read_text(format!("{per}{head}{figures}")).unwrap();
            assert_eq!(read.footprint.get(Dimension::Climate), climate, "{per}");
            assert_eq!(read.footprint.get(Dimension::Energy), energy, "{per}");
            assert_eq!(read.declared, DimensionSet::of(&[Dimension::Climate, Dimension::Energy]));
            assert_eq!((read.gwp_set, read.tier), (GwpSet::Ar6, EvidenceTier::Default));
        }
        for (text, why) in [
            (format!("per = \"1 kWh\"\n{head}{figures}"), "not counted in J"),
            (format!("{head}[footprint]\nclimat = \"1 kg CO2e\"\n"), "no dimension"),
            (format!("{head}[footprint]\nclimate = \"1 kWh\"\n"), "climate"),
            (format!("{head}{figures}more = 1\n"), "more"),
        ] {
            let error = read_text(text).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("powder.toml"), "{error}");
        }
    }
}
