//! What a factor file becomes, and every way it can be wrong.

use super::*;
use crate::scenario::fixtures::{FACTORS, changed, factors};
use kerbholz_ledger::factor::Impact;
use kerbholz_ledger::factor::Standing;
use kerbholz_ledger::footprint::{Dimension, DimensionSet, EvidenceTier, GwpSet};
use kerbholz_ledger::quantity::{Quantity, Timestamp, Unit};
use proptest::prelude::*;

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

/// What is exchanged, for what, where the problem is to be, and what it must say.
const WRONG: &[(&str, &str, &str, &str)] = &[
    ("version = 1", "version = \"one\"", "\"one\"", "a version is a whole number"),
    ("name = \"small\"", "", "", "the set has no `name`"),
    ("gwp = \"ar6\"", "gwp = \"ar4\"", "\"ar4\"", "unknown gwp `ar4`: there is ar5, ar6"),
    ("gwp = \"ar6\"", "", "\"power\"", "`power` has no `gwp`: write the report"),
    ("standing = \"verified\"", "", "\"power\"", "`power` has no `standing`: write how far"),
    ("source = \"table\"", "", "\"power\"", "`power` has no `source`: write who published"),
    ("licence = \"CC0\"", "", "\"power\"", "`power` has no `licence`: write under which"),
    (
        "region = \"DE\"",
        "region = \"DE and everywhere that is joined to it by a line, a cable or a good will\"",
        "\"DE and",
        "the ledger keeps at most 64",
    ),
    ("region = \"DE\"", "region = \"DE\"\ncolour = 1", "colour", "unknown field `colour`"),
    ("standing = \"proxy\"", "standing = \"sure\"", "\"sure\"", "there is verified, quoted"),
    ("source = \"table\"", "source = \"book\"", "\"book\"", "unknown source `book`"),
    ("code = \"lorry\"", "code = \"powder\" # again", "\"powder\" # again", "exists already"),
    ("energy = \"1 kWh\",", "joy = \"1 kWh\",", "joy", "unknown dimension `joy`"),
    ("zero = [\"waste\"]", "zero = [\"joy\"]", "\"joy\"", "unknown dimension `joy`"),
    ("zero = [\"waste\"]", "zero = [\"climate\"]", "\"climate\"]", "`climate` exists already"),
    ("\"7 kg CO2e\"", "\"7 kg\"", "\"7 kg\"", "`7 kg` is in mg, but a mass of CO2e"),
    ("\"7 kg CO2e\"", "\"7 kWh CO2e\"", "\"7 kWh", "is in J, but a mass of CO2e"),
    ("\"7 kg CO2e\"", "\"-7 kg CO2e\"", "\"-7 kg", "is negative"),
    ("\"7 kg CO2e\"", "\"NaN kg CO2e\"", "\"NaN", "it is no number: leave out"),
    ("\"7 kg CO2e\"", "nan", "nan }", "`nan` has no unit"),
    ("\"7 kg CO2e\"", "\"7,5 kg CO2e\"", "\"7,5", "write a decimal point"),
    ("\"7 kg CO2e\"", "7.5", "7.5 }", "`7.5` has no unit: write it as text"),
    (
        "\"7 kg CO2e\"",
        "\"7.12345678901234567890123456789012345678901 kg CO2e\"",
        "\"7.12345678901234567890123456789012345678901",
        "has 42 digits: at most 30",
    ),
    (
        "\"7 kg CO2e\"",
        "\"7.12345678901234567890123456789 kg CO2e\"",
        "\"7.12345678901234567890123456789",
        "too many digits to be kept exactly",
    ),
    ("energy = \"1 kWh\",", "biogenic_uptake = \"1 kg CO2e\",", "\"1 kg CO2e\",", "is positive"),
    ("energy = \"1 kWh\",", "energy = \"1 kg\",", "\"1 kg\",", "is in mg, but J or a multiple"),
    (
        "energy = \"1 kWh\",",
        "energy = \"1 kWh\", renewable_energy = \"2 kWh\",",
        "\"2 kWh\",",
        "more than the energy it is part of",
    ),
    (
        "energy = \"1 kWh\",",
        "climate_measured = \"1 kg CO2e\",",
        "climate_measured",
        "the ledger derives it",
    ),
    ("per = \"1 kg\"", "per = \"1 kW\"", "\"1 kW\"", "unknown unit `kW`"),
    ("per = \"1 kg\"", "per = \"0 kg\"", "\"0 kg\"", "per nothing"),
    ("technology = 1", "technology = 6", "6,", "`6` is no rating"),
    ("valid_from = 2024-01-01", "valid_from = 1924-01-01", "1924", "no date from 1970 on"),
    ("valid_from = 2024-01-01", "valid_from = 2024-01-01T10:00:00Z", "2024-01-01T10", "no date"),
    ("valid_until = 2031-01-01", "valid_until = 2023-01-01", "2023", "ends (2023-01-01) before"),
    ("region = \"DE\"", "region = \"DE\"\nlike = \"sun\"", "\"sun\"", "unknown factor `sun`"),
    (
        "region = \"DE\"",
        "region = \"DE\"\nparts = { ttw = \"1 kg CO2e\" }",
        "\"1 kg CO2e\" }",
        "one is missing",
    ),
    (
        "region = \"DE\"",
        "region = \"DE\"\nparts = { ttw = \"1 kg CO2e\", wtt = \"2 kg CO2e\" }",
        "\"1 kg CO2e\",",
        "write no other one",
    ),
];

/// Line and column of a text in another, counted from 1.
fn place(text: &str, needle: &str) -> (usize, usize) {
    let at = text.find(needle).unwrap_or_else(|| panic!("nothing has {needle}"));
    Text { file: "", text }.place(at)
}

#[test]
fn every_mistake_is_named_with_its_line_and_column() {
    for (from, to, at, says) in WRONG {
        let text = changed(FACTORS, from, to);
        let problems = FactorFile::parse("small.toml", &text).err();
        let Problems(problems) = problems.unwrap_or_else(|| panic!("{to} went unnoticed"));
        let first = &problems[0];
        let said = first.to_string();
        assert!(said.contains(says), "{to}: {said}");
        assert_eq!((first.line, first.column), place(&text, at), "{to}: {said}");
    }
}

const TABLE: &str = "\
set,version,code,like,per,climate,climate_ttw,climate_wtt,waste,technology,geography,time,gwp,\
region,valid_from,valid_until,source,source_id,year,licence,standing,note
small,2,lorry,,1 tkm,,0.08 kg CO2e,0.02 kg CO2e,0,1,2,3,ar5,DE,2024-01-01,2031-01-01,\
\"Table, 2025\",7_8,2024,CC0,quoted,\"two
lines\"
small,2,lorry.new,lorry,,0.09 kg CO2e,,,,,,,,,,,,,,,unverified,
";

#[test]
fn a_table_says_the_same_as_toml() {
    let set = FactorFile::parse("small.csv", TABLE).unwrap();
    assert_eq!((set.name.as_str(), set.version), ("small", 2));
    let lorry = set.get("lorry").unwrap();
    let one = lorry.apply(1_000_000, EvidenceTier::Derived).unwrap();
    // 0.08 + 0.02 kg, and a declared zero.
    assert_eq!(one.declared(Dimension::Climate), Some(100_000_000_000));
    assert_eq!(one.declared(Dimension::Waste), Some(0));
    assert_eq!(one.declared(Dimension::Energy), None);
    let source =
        "Table, 2025; no. 7_8; data of 2024; 0.08 kg CO2e in use + 0.02 kg CO2e well to tank";
    assert_eq!(lorry.source, source);
    assert_eq!(set.notes["lorry"], "two\nlines");
    // Like the other, but for what it says itself.
    let new = set.get("lorry.new").unwrap();
    assert_eq!(new.reference.unit, Unit::KilogramMetre);
    assert_eq!(new.standing, Standing::Unverified);
    let one = new.apply(1_000_000, EvidenceTier::Derived).unwrap();
    assert_eq!(one.declared(Dimension::Climate), Some(90_000_000_000));
    assert_eq!(one.get(Dimension::ClimateDefault), 90_000_000_000);

    // As a spreadsheet saves it.
    let saved = TABLE.replace("\"Table, 2025\"", "\"Table; 2025\"").replace(',', ";");
    let saved = format!("\u{feff}{}", saved.replace("\nsmall", "\r\nsmall"));
    let saved = FactorFile::parse("small.CSV", &saved).unwrap();
    assert_eq!(saved.factors.len(), 2);
    assert_eq!(saved.get("lorry").unwrap().source.split_once("; no").unwrap().0, "Table; 2025");
}

/// What stands where a problem is, and what it must say.
type Expected = &'static [(&'static str, &'static str)];

/// What is exchanged in the table, for what, and which problems come of it.
const WRONG_TABLES: &[(&str, &str, Expected)] = &[
    (
        TABLE,
        "",
        &[
            ("", "the file is empty"),
            ("", "has no `name`"),
            ("", "has no `version`"),
            ("", "there is no factor"),
        ],
    ),
    (",note", ",remark", &[("remark", "unknown column `remark`")]),
    (",year,", ",region,", &[("region,licence", "column `region` exists already")]),
    (
        "small,2,lorry.new",
        "large,3,lorry.new",
        &[("large", "one version of one set"), ("3,lorry.new", "one version of one set")],
    ),
    ("0.08 kg CO2e", "-0.08 kg", &[("-0.08 kg", "is in mg, but a mass of CO2e")]),
    (",unverified,", ",unverified,,,,", &[(",,\n", "cells, but 22 columns")]),
    // Four mistakes, in two rows, all at once; what the second takes from the first is said once.
    (
        "0.02 kg CO2e,0,1,2,3,ar5,DE,2024-01-01",
        "nan kg CO2e,0,1,7,3,ar5,DE,2034-01-01",
        &[
            ("nan kg CO2e", "it is no number"),
            ("7,3,ar5", "`7` is no rating"),
            ("2031-01-01", "ends (2031-01-01) before it begins (2034-01-01)"),
        ],
    ),
];

#[test]
fn all_mistakes_of_a_table_are_named_each_in_its_cell() {
    for (from, to, expected) in WRONG_TABLES {
        let text = changed(TABLE, from, to);
        let problems = FactorFile::parse("small.csv", &text).err();
        let Problems(problems) = problems.unwrap_or_else(|| panic!("{to} went unnoticed"));
        let found: Vec<_> = problems.iter().map(|one| (one.line, one.column)).collect();
        let places: Vec<_> = expected.iter().map(|(at, _)| place(&text, at)).collect();
        assert_eq!(found, places, "{to}: {problems:?}");
        for (problem, (_, says)) in problems.iter().zip(*expected) {
            assert!(problem.to_string().contains(says), "{says}: {problem}");
        }
    }
}

#[test]
fn the_set_that_is_built_in_says_where_every_figure_is_from() {
    let set = FactorFile::parse(DEFAULT.0, DEFAULT.1).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(set.name, "kerbholz-default");
    for factor in &set.factors {
        assert!(!factor.source.is_empty() && !factor.licence.is_empty(), "{}", factor.code);
        let weak = matches!(factor.standing, Standing::Unverified | Standing::Proxy);
        let tier = factor.tier(EvidenceTier::Measured);
        assert_eq!(tier == EvidenceTier::Default, weak, "{}", factor.code);
    }
    // 0.53130 + 0.13516, of which the first is the aircraft's.
    let flight = set.get("transport.air_longhaul").unwrap();
    let flight = flight.apply(1_000_000, EvidenceTier::Derived).unwrap();
    assert_eq!(flight.get(Dimension::Climate), 666_460_000_000);
    assert_eq!(flight.get(Dimension::ClimateAircraft), 531_300_000_000);
    // No figure is in the file twice: what is like another has none of its own.
    let modelled = set.get("electricity.CN.modelled").unwrap();
    let grid = set.get("electricity.CN").unwrap();
    assert_eq!((&modelled.impacts, modelled.reference), (&grid.impacts, grid.reference));
    assert_eq!(DEFAULT.1.matches("0.55750").count(), 1);
}

/// Two factors that make the same of every amount.
fn equal(a: &Factor, b: &Factor) -> bool {
    let like = |factor: &Factor| Factor {
        reference: Quantity::new(1, factor.reference.unit),
        impacts: Vec::new(),
        ..factor.clone()
    };
    let product = |impact: &Impact, other: &Factor| {
        (impact.dimension, impact.value.checked_mul(i128::from(other.reference.amount)))
    };
    let products = |a: &Factor, b: &Factor| -> Vec<_> {
        a.impacts.iter().map(|impact| product(impact, b)).collect()
    };
    like(a) == like(b) && products(a, b) == products(b, a)
}

#[test]
fn what_is_published_comes_back_as_a_file() {
    let set = FactorFile::parse(DEFAULT.0, DEFAULT.1).unwrap();
    let text = csv(&set.name, 2, &set.factors);
    let again = FactorFile::parse("again.csv", &text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((again.name.as_str(), again.version), ("kerbholz-default", 2));
    assert_eq!(again.factors.len(), set.factors.len());
    for (before, after) in set.factors.iter().zip(&again.factors) {
        assert!(equal(before, after), "{before:?}\n{after:?}");
    }
    // As people write it.
    assert!(text.contains("1 kWh") && text.contains("0.5575 kg CO2e"), "{text}");
}

proptest! {
    #[test]
    fn any_factor_comes_back_as_it_is(
        amount in 1..u64::MAX,
        climate in 0..i128::from(u64::MAX),
        water in proptest::option::of(0..i128::from(u64::MAX)),
        unit in proptest::sample::select(Unit::ALL),
        day in 0_u64..30_000,
        source in "[ -~]{1,40}",
    ) {
        let dimensions = [Some(Dimension::Climate), water.map(|_| Dimension::Water)];
        let declared: Vec<_> = dimensions.into_iter().flatten().collect();
        let impacts = [(Dimension::Water, water), (Dimension::Climate, Some(climate))];
        let impacts = impacts.into_iter().filter_map(|(dimension, value)| {
            Some(Impact { dimension, value: value.filter(|value| *value > 0)? })
        });
        let factor = Factor {
            code: "any".to_owned(),
            reference: Quantity::new(amount, unit),
            impacts: impacts.collect(),
            declared: DimensionSet::of(&declared),
            gwp_set: GwpSet::Ar6,
            quality: kerbholz_ledger::factor::Quality { technology: 1, geography: 2, time: 3 },
            region: "DE".to_owned(),
            valid_from: Timestamp::new(day * 86_400_000),
            valid_until: Timestamp::new((day + 1) * 86_400_000),
            source: format!("x{}x", source),
            licence: "CC0".to_owned(),
            standing: Standing::Quoted,
        };
        let text = csv("any", 1, std::slice::from_ref(&factor));
        let again = FactorFile::parse("any.csv", &text);
        let again = again.unwrap_or_else(|error| panic!("{error}\n{text}"));
        prop_assert!(equal(&factor, &again.factors[0]), "{:?}\n{:?}\n{}", factor, again, text);
    }
}
