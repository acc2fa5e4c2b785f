//! What a factor file becomes, and every way it can be wrong.

use super::*;
use crate::scenario::fixtures::{FACTORS, changed, factors};
use kerbholz_ledger::footprint::EvidenceTier;

#[test]
fn impacts_and_reference_are_scaled_up_together_until_whole() {
    let factors = factors();
    let power = factors.get("power").unwrap();
    // 8.5e-8 kg Sb-eq are 85,000 ng per kWh.
    assert_eq!(power.reference, Quantity::new(3_600_000, Unit::Joule));
    let of = |dimension| power.impacts.iter().find(|i| i.dimension == dimension).unwrap().value;
    assert_eq!(of(Dimension::AbioticDepletion), 85_000);
    assert_eq!(of(Dimension::Climate), 500_000_000_000);
    assert_eq!(of(Dimension::Energy), 3_600_000);

    let finer = changed(FACTORS, "8.5e-8", "8.78733125e-8");
    let finer = FactorFile::parse("factors.toml", &finer).unwrap();
    let power = finer.get("power").unwrap();
    // 87,873.3125 ng: sixteen kWh make it whole.
    assert_eq!(power.reference, Quantity::new(16 * 3_600_000, Unit::Joule));
    let one = power.apply(3_600_000, EvidenceTier::Derived).unwrap();
    assert_eq!(one.get(Dimension::Climate), 500_000_000_000);
}

#[test]
fn only_what_is_named_is_declared() {
    let factors = factors();
    let powder = factors.get("powder").unwrap();
    let footprint = powder.apply(1_000_000, EvidenceTier::Derived).unwrap();
    assert_eq!(footprint.declared(Dimension::Climate), Some(7_000_000_000_000));
    assert_eq!(footprint.declared(Dimension::Waste), Some(0));
    assert_eq!(footprint.declared(Dimension::HumanToxicity), None);
    // A proxy books as default, whatever the activity.
    assert_eq!(footprint.get(Dimension::ClimateDefault), 7_000_000_000_000);
}

#[test]
fn factors_come_in_the_order_of_their_codes_with_source_and_dates() {
    let factors = factors();
    let codes: Vec<_> = factors.factors.iter().map(|factor| factor.code.as_str()).collect();
    assert_eq!(codes, ["lorry", "powder", "power"]);
    let lorry = factors.get("lorry").unwrap();
    assert_eq!(lorry.reference, Quantity::new(1_000_000, Unit::KilogramMetre));
    assert_eq!(lorry.source, "Table 2025");
    assert_eq!(lorry.valid_from, Timestamp::new(1_704_067_200_000));
    assert_eq!(lorry.valid_until, Timestamp::new(1_924_992_000_000));
    assert!(factors.get("ship").is_none());
}

#[test]
fn days_of_the_calendar() {
    let cases = [
        ((1970, 1, 1), 0),
        ((1970, 3, 1), 59),
        ((2000, 2, 29), 11_016),
        ((2000, 3, 1), 11_017),
        ((2100, 3, 1), 47_541),
        ((1969, 12, 31), -1),
    ];
    for ((year, month, day), days) in cases {
        assert_eq!(days_since_1970(year, month, day), days, "{year}-{month}-{day}");
    }
}

/// What is exchanged, for what, on which line the error is to be, and what it must say.
const WRONG: &[(&str, &str, &str, &str)] = &[
    ("version = 1", "version = \"one\"", "version", "invalid type"),
    ("gwp = \"ar6\"", "gwp = \"ar4\"", "gwp", "unknown variant `ar4`"),
    ("gwp = \"ar6\"", "", "[[factors]]", "missing field `gwp`"),
    (
        "region = \"DE\"",
        "region = \"DE and everywhere that is joined to it by a line, a cable or a good will\"",
        "code = \"power\"",
        "too long for the ledger",
    ),
    ("region = \"DE\"", "region = \"DE\"\ncolour = 1", "colour", "unknown field `colour`"),
    ("standing = \"proxy\"", "standing = \"sure\"", "sure", "unknown variant `sure`"),
    ("source = \"table\"", "source = \"book\"", "book", "unknown source `book`"),
    ("code = \"lorry\"", "code = \"power\"", "lorry-is-gone", "factor `power` exists already"),
    ("energy = \"1 kWh\",", "joy = \"1 kWh\",", "joy", "unknown dimension `joy`"),
    ("zero = [\"waste\"]", "zero = [\"joy\"]", "joy", "unknown dimension `joy`"),
    (
        "zero = [\"waste\"]",
        "zero = [\"climate\"]",
        "\"climate\"]",
        "impact `climate` exists already",
    ),
    ("\"7 kg CO2e\"", "\"7 kg\"", "7 kg", "a mass of CO2e, e.g. kg CO2e"),
    ("\"7 kg CO2e\"", "\"7 kWh CO2e\"", "7 kWh", "ng CO2e is needed"),
    ("\"7 kg CO2e\"", "\"-7 kg CO2e\"", "-7 kg", "is negative"),
    ("energy = \"1 kWh\",", "biogenic_uptake = \"1 kg CO2e\",", "biogenic_uptake", "is positive"),
    ("energy = \"1 kWh\",", "energy = \"1 kg\",", "energy", "J is needed"),
    (
        "energy = \"1 kWh\",",
        "climate_measured = \"1 kg CO2e\",",
        "climate_measured",
        "the ledger derives it",
    ),
    ("per = \"1 kg\"", "per = \"1 kW\"", "\"1 kW\"", "unknown unit"),
    ("per = \"1 kg\"", "per = \"0 kg\"", "\"0 kg\"", "per nothing"),
    ("technology = 1", "technology = 6", "technology = 6", "from 1 (best) to 5"),
    ("valid_from = 2024-01-01", "valid_from = 1924-01-01", "1924", "from 1970 on"),
    ("valid_from = 2024-01-01", "valid_from = 2024-01-01T10:00:00Z", "T10", "a date from 1970"),
    ("valid_from = 2024-01-01", "valid_from = 2031-01-01", "valid_until", "after it begins"),
];

#[test]
fn every_mistake_is_named_with_its_line() {
    for (from, to, at, says) in WRONG {
        let text = changed(FACTORS, from, to);
        let error = FactorFile::parse("small.toml", &text).err();
        let error = error.unwrap_or_else(|| panic!("{to} went unnoticed"));
        let said = error.to_string();
        assert!(said.contains(says), "{to}: {said}");
        let found = text.lines().position(|line| line.contains(at));
        // The second `power` is the last factor.
        let last = text.lines().count() - 9;
        let line = found.map_or(last, |line| line + 1);
        assert_eq!(error.line, line, "{to}: {said}");
    }
}
