//! Product footprints: the form, the sums, and what becomes of them when a lot is restated.

use super::*;
use crate::export::follow::{Which, followed};
use crate::export::tests::world::*;
use kerbholz_client::receipt::Receipt;
use kerbholz_consensus::{Checkpoint, CommitDigest};
use kerbholz_ledger::footprint::{DIMENSIONS, DimensionSet, GwpSets};
use kerbholz_ledger::quantity::{Milligrams, Quantity, Unit};
use kerbholz_ledger::query;
use kerbholz_ledger::receipt::Proof;
use kerbholz_ledger::transformation::OutputRole;
use proptest::prelude::*;

fn statement() -> Statement {
    Statement { standards: vec!["ISO14067".into()], ..Statement::default() }
}

fn of(world: &World, lot: LotId) -> Result<Vec<ProductFootprint>, PactError> {
    let which = Which(lot.to_string());
    let followed = followed(&which, &world.effects, &world.state);
    footprints(&followed, world.genesis.network(), lot, &statement())
}

/// An order for two brackets of powder and metered energy.
fn bracket(world: &mut World) -> (LotId, LotId, LotId) {
    let (powder, energy) = (world.powder(5), world.read_meter(3));
    let inputs = [(powder, grams(120)), (energy, Quantity::new(3_600_000, Unit::Joule))];
    let outputs = vec![
        output("bracket", pieces(2), 100, OutputRole::Product, 3),
        output("spent powder", grams(20), 20, OutputRole::ByProduct, 1),
    ];
    (world.order(&inputs, outputs).1, powder, energy)
}

/// Judges documents by the committed schema.
struct Judge {
    schemas: boon::Schemas,
    schema: boon::SchemaIndex,
}

impl Judge {
    fn new() -> Self {
        let text = include_str!("../../../../docs/formats/pact-product-footprint.schema.json");
        let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
        compiler.add_resource("file:///pact.json", serde_json::from_str(text).unwrap()).unwrap();
        let schema = compiler.compile("file:///pact.json", &mut schemas).unwrap();
        Self { schemas, schema }
    }

    /// What is wrong with a document.
    fn wrong(&self, document: &Value) -> Option<String> {
        let judged = self.schemas.validate(document, self.schema);
        judged.err().map(|error| format!("{error:#}"))
    }

    fn judge(&self, document: &ProductFootprint) {
        let json = serde_json::to_value(document).unwrap();
        assert_eq!(self.wrong(&json), None, "{json:#}");
        assert_eq!(&serde_json::from_value::<ProductFootprint>(json).unwrap(), document);
        adds_up(&document.pcf);
    }
}

/// A decimal as an integer of nanograms; none of finer ones.
fn nanograms(decimal: &Decimal) -> i128 {
    let text = decimal.as_str();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    assert!(fraction.len() <= 12, "{text}");
    format!("{whole}{fraction:0<12}").parse().unwrap()
}

/// The sums that the specification asks for, by readers' arithmetic.
fn adds_up(pcf: &CarbonFootprint) {
    let some = |decimal: &Option<Decimal>| decimal.as_ref().map_or(0, nanograms);
    let excluding = nanograms(&pcf.fossil_ghg_emissions)
        + some(&pcf.land_use_change_ghg_emissions)
        + some(&pcf.biogenic_non_co2_emissions);
    assert_eq!(nanograms(&pcf.pcf_excluding_biogenic_uptake), excluding, "{pcf:?}");
    let including = excluding + some(&pcf.biogenic_co2_uptake);
    assert_eq!(nanograms(&pcf.pcf_including_biogenic_uptake), including, "{pcf:?}");
}

#[test]
fn a_bracket_has_the_document_that_is_written_down() {
    let mut world = World::new();
    let (lot, ..) = bracket(&mut world);
    let documents = of(&world, lot).unwrap();
    assert_eq!(documents.len(), 1);
    Judge::new().judge(&documents[0]);
    let json = serde_json::to_value(&documents[0]).unwrap();
    let written: Value = serde_json::from_str(include_str!("tests/bracket.json")).unwrap();
    assert_eq!(json, written, "{json:#}");
}

/// What is mapped to what, and what is left out where nothing is known.
#[test]
fn figures_follow_what_is_declared() {
    use Dimension as D;
    let known = [D::Climate, D::ClimateFossil, D::ClimateLandUse, D::BiogenicUptake];
    let value = |dimension| match dimension {
        D::Climate => 1_000,
        D::ClimateFossil => 700,
        D::ClimateLandUse => 200,
        D::BiogenicUptake => -50,
        D::ClimateMeasured => 333,
        _ => 0,
    };
    // Undeclared; then fossil, land use, other, uptake, including: in nanograms.
    let table: &[(&[D], [i128; 5])] = &[
        (&[], [700, 200, 100, -50, 950]),
        (&[D::ClimateFossil], [800, 200, -1, -50, 950]),
        (&[D::ClimateLandUse], [1_000, -1, -1, -50, 950]),
        (&[D::ClimateFossil, D::ClimateLandUse], [1_000, -1, -1, -50, 950]),
        (&[D::BiogenicUptake], [700, 200, 100, -1, 1_000]),
    ];
    for (undeclared, expected) in table {
        let mut footprint = Footprint::ZERO;
        for dimension in known.iter().chain(&[D::ClimateMeasured]) {
            footprint.set(*dimension, value(*dimension));
        }
        footprint.undeclared = DimensionSet::of(undeclared);
        let figures = figures::figures(LotId::new([0; 32]), &footprint).unwrap();
        // An absent figure is shown as -1, which no figure here can be.
        let some = |decimal: &Option<Decimal>| decimal.as_ref().map_or(-1, nanograms);
        let found = [
            nanograms(&figures.fossil),
            some(&figures.land_use),
            some(&figures.biogenic_other),
            some(&figures.uptake),
            nanograms(&figures.including),
        ];
        assert_eq!(&found, expected, "{undeclared:?}");
        assert_eq!(nanograms(&figures.excluding), 1_000);
        assert_eq!(figures.primary_share.unwrap().as_str(), "33.3");
    }
}

#[test]
fn what_is_not_declared_is_not_zero() {
    let lot = LotId::new([7; 32]);
    let undeclared = |dimension| {
        let mut footprint = Footprint::ZERO;
        footprint.undeclared = DimensionSet::of(&[dimension]);
        footprint
    };
    let silent = figures::figures(lot, &undeclared(Dimension::Climate));
    assert!(matches!(silent, Err(PactError::NoClimate(_))));
    let mut negative = Footprint::ZERO;
    negative.set(Dimension::Climate, -1);
    assert!(matches!(figures::figures(lot, &negative), Err(PactError::Negative(_))));
    let nothing = figures::figures(lot, &Footprint::ZERO).unwrap();
    assert_eq!(nothing.primary_share, None, "a share of nothing");
}

#[test]
fn assessment_reports_are_named_or_asked_for() {
    let lot = LotId::new([7; 32]);
    let (unstated, five, six) =
        (GwpSets::only(GwpSet::Unstated), GwpSets::only(GwpSet::Ar5), GwpSets::only(GwpSet::Ar6));
    for (sets, said, expected) in [
        (six, None, Some(vec!["AR6"])),
        (six, Some(5), Some(vec!["AR6"])),
        (five.union(six), None, Some(vec!["AR5", "AR6"])),
        (unstated.union(five), None, Some(vec!["AR5"])),
        (unstated.union(five), Some(6), Some(vec!["AR5", "AR6"])),
        (unstated, Some(6), Some(vec!["AR6"])),
        (unstated, None, None),
    ] {
        let mut footprint = Footprint::ZERO;
        footprint.gwp_sets = sets;
        let reports = figures::reports(lot, &footprint, said).ok();
        let reports = reports.as_ref().map(|r| r.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(reports, expected);
    }
}

#[test]
fn decimals_are_plain() {
    for (value, places, text) in [
        (0, 12, "0"),
        (1, 12, "0.000000000001"),
        (-1, 3, "-0.001"),
        (1_000, 3, "1"),
        (12_340, 3, "12.34"),
        (-12_000, 3, "-12"),
        (7, 0, "7"),
        (i128::MAX, 12, "170141183460469231731687303.715884105727"),
        (i128::MIN, 0, "-170141183460469231731687303715884105728"),
    ] {
        assert_eq!(Decimal::of(value, places).as_str(), text);
    }
}

#[test]
fn a_restated_lot_names_the_footprints_before() {
    let mut world = World::new();
    let (lot, powder, _) = bracket(&mut world);
    let before = of(&world, lot).unwrap();
    world.now += DAY;
    world.restate(powder, 2, "powder");
    world.now += DAY;
    world.restate(powder, 1, "powder");
    let documents = of(&world, lot).unwrap();
    let judge = Judge::new();
    documents.iter().for_each(|document| judge.judge(document));
    let ids: Vec<&str> = documents.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids.len(), 3);
    assert_eq!(ids[0], before[0].id, "what was exported stays what it was");
    assert_ne!(ids[0], ids[2], "a figure that comes back is a new document");
    for (number, document) in documents.iter().enumerate() {
        assert_eq!(document.preceding_pf_ids, ids[..number]);
        let expected = if number == 2 { Status::Active } else { Status::Deprecated };
        assert_eq!(document.status, expected);
    }
    assert_eq!(documents[0].pcf, documents[2].pcf);
    assert!(documents[1].created > documents[0].created);
    let climate =
        |document: &ProductFootprint| nanograms(&document.pcf.pcf_excluding_biogenic_uptake);
    assert!(climate(&documents[1]) > climate(&documents[0]));
}

/// A part that was handed on is a product of who made it, and has its own document.
#[test]
fn a_part_is_its_makers_product() {
    let mut world = World::new();
    let (lot, ..) = bracket(&mut world);
    let handed = world.run("press", vec![transfer(lot, pieces(1), "rail")]);
    let documents = of(&world, LotId::of(handed, 0, 0)).unwrap();
    let document = documents.last().unwrap();
    Judge::new().judge(document);
    assert_eq!((document.company_name.as_str(), documents.len()), ("maker", 1));
    assert_eq!(document.pcf.declared_unit_amount.as_str(), "1");
    assert_eq!(document.pcf.product_mass_per_declared_unit.as_str(), "0.05");
    assert_eq!(document.pcf.exempted_emissions_percent.as_str(), "1.25");
}

#[test]
fn every_unit_has_a_declared_unit() {
    let mut world = World::new();
    let energy = world.read_meter(3);
    let mut row = query::lot(&world.state, energy).unwrap().unwrap();
    for (unit, amount, name, number, mass) in [
        (Unit::Joule, 3_600_000, "megajoule", "3.6", "0"),
        (Unit::Milligram, 120_500, "kilogram", "0.1205", "0.0025"),
        (Unit::Millilitre, 1_500, "liter", "1.5", "0.0025"),
        (Unit::Piece, 3, "piece", "3", "0.0025"),
        (Unit::KilogramMetre, 1_500_000, "ton kilometer", "1.5", "0"),
        (Unit::Second, 5_400, "hour", "1.5", "0"),
        (Unit::Second, 9, "hour", "0.0025", "0"),
        (Unit::Second, 100, "piece", "1", "0"),
        (Unit::Millimetre, 2_000, "piece", "1", "0.0025"),
        (Unit::Byte, 1_000, "piece", "1", "0"),
    ] {
        (row.quantity.unit, row.original) = (unit, amount);
        row.original_mass = Milligrams::new(2_500);
        let (found, decimal) = lot::declared_unit(&row);
        let found = (found.as_str(), decimal.as_str().to_owned());
        assert_eq!(found, (name, number.to_owned()), "{unit:?}");
        assert_eq!(lot::mass(&row).as_str(), mass, "{unit:?}");
    }
}

/// The receipt of the transaction that made a lot; nobody has signed it.
fn receipt(world: &World, lot: LotId) -> Receipt {
    let transaction = query::lot(&world.state, lot).unwrap().unwrap().transaction;
    let mut executed = world.effects.iter().flat_map(|(_, effects)| &effects.executed);
    let executed = executed.find(|done| done.id == transaction).unwrap().clone();
    let leaves = query::ledger(&world.state).unwrap().log_leaves;
    let proof = Proof::of(&world.state, executed, None, leaves).unwrap();
    let statement = kerbholz_consensus::Statement {
        index: 0,
        commit_digest: CommitDigest::NONE,
        log_root: [0; 32],
        state_digest: [0; 32],
    };
    let checkpoint = Checkpoint { statement, signatures: vec![] };
    Receipt { epochs: vec![], proof, checkpoint }
}

#[test]
fn a_document_is_held_against_its_receipt() {
    let mut world = World::new();
    let (lot, powder, _) = bracket(&mut world);
    let document = of(&world, lot).unwrap().remove(0);
    let receipt = receipt(&world, lot);
    let network = world.genesis.network();
    let compared = |document: &ProductFootprint| proof::compare(document, &receipt, network);
    assert_eq!(compared(&document).unwrap(), proof::Standing::AsBooked);

    let json = serde_json::to_value(&document).unwrap();
    for (path, value) in [
        ("/pcf/pcfExcludingBiogenicUptake", json!("1")),
        ("/pcf/pcfIncludingBiogenicUptake", json!("1")),
        ("/pcf/fossilGhgEmissions", json!("1")),
        ("/pcf/fossilCarbonContent", json!("1")),
        ("/pcf/primaryDataShare", json!("100")),
        ("/pcf/declaredUnitOfMeasurement", json!("kilogram")),
        ("/pcf/declaredUnitAmount", json!("200")),
        ("/pcf/productMassPerDeclaredUnit", json!("1")),
        ("/productNameCompany", json!("bridge")),
        ("/extensions/0/data/amount", json!("3")),
        ("/extensions/0/data/unit", json!("byte")),
        ("/extensions/0/data/massMilligrams", json!("3")),
        ("/extensions/0/data/transaction", json!("00")),
        ("/extensions/0/data/network", json!("00")),
        ("/id", json!("00000000-0000-4000-8000-000000000000")),
        ("/extensions/0/data/assessmentReports", json!([])),
        ("/extensions/0/data/dimensions/energy/value", json!("1")),
        ("/extensions/0/data/dimensions/energy/declared", json!(true)),
    ] {
        let mut bent = json.clone();
        *bent.pointer_mut(path).unwrap() = value;
        let refused = compared(&serde_json::from_value(bent).unwrap());
        assert!(matches!(refused, Err(proof::DocumentError::Differs { .. })), "{path}");
    }
    for (added, value) in [
        ("biogenicCO2Uptake", "-1"),
        ("aircraftGhgEmissions", "0"),
        ("landUseChangeGhgEmissions", "0"),
        ("biogenicCarbonContent", "1"),
    ] {
        let mut bent = json.clone();
        bent["pcf"][added] = json!(value);
        let bent: ProductFootprint = serde_json::from_value(bent).unwrap();
        assert_ne!(bent, document, "{added} is there");
        let refused = compared(&bent);
        assert!(matches!(refused, Err(proof::DocumentError::Differs { .. })), "{added}");
    }
    let other = of(&world, powder).unwrap().remove(0);
    assert!(matches!(compared(&other), Err(proof::DocumentError::OtherLot)));
}

#[test]
fn a_restated_document_is_held_against_the_receipt_as_far_as_that_goes() {
    let mut world = World::new();
    let (lot, powder, _) = bracket(&mut world);
    let (receipt, network) = (receipt(&world, lot), world.genesis.network());
    let compared = |document: &ProductFootprint| proof::compare(document, &receipt, network);
    world.restate(powder, 2, "powder");
    let restated = of(&world, lot).unwrap().pop().unwrap();
    assert_eq!(compared(&restated).unwrap(), proof::Standing::Restated);
    // The one before may have had no document, which could be named.
    let mut alone = restated.clone();
    alone.preceding_pf_ids.clear();
    assert_eq!(compared(&alone).unwrap(), proof::Standing::Restated);
    // Whatever it says of its past: how much there is of it was never restated.
    let mut bent = restated.clone();
    bent.pcf.declared_unit_amount = Decimal::of(200, 0);
    assert!(matches!(compared(&bent), Err(proof::DocumentError::Differs { .. })));
    let text = serde_json::to_vec(&restated).unwrap();
    assert!(matches!(proof::read(&text), Err(proof::DocumentError::NoReceipt)));
    assert!(matches!(proof::read(b"{}"), Err(proof::DocumentError::Malformed(_))));
    let versions = serde_json::to_vec(&json!({ "data": [restated] })).unwrap();
    let refused = proof::read(&versions).unwrap_err().to_string();
    assert!(refused.contains("without --versions"), "{refused}");
}

/// A schema that accepts everything would judge nothing.
#[test]
fn the_schema_refuses_what_readers_trip_over() {
    let mut world = World::new();
    let lot = world.powder(5);
    let document = serde_json::to_value(of(&world, lot).unwrap().last().unwrap()).unwrap();
    let judge = Judge::new();
    assert_eq!(judge.wrong(&document), None);
    for (path, value) in [
        ("/id", json!("not a uuid")),
        ("/created", json!("2026-11-20T00:00:00.000+00:00")),
        ("/status", json!("active")),
        ("/comment", Value::Null),
        ("/companyIds", json!([])),
        ("/companyIds/0", json!("maker")),
        ("/pcf/pcfExcludingBiogenicUptake", json!(1.5)),
        ("/pcf/pcfExcludingBiogenicUptake", json!("1e-3")),
        ("/pcf/pcfExcludingBiogenicUptake", json!("-1")),
        ("/pcf/biogenicCO2Uptake", json!("1")),
        ("/pcf/declaredUnitAmount", json!("0")),
        ("/pcf/declaredUnitOfMeasurement", json!("kg")),
        ("/pcf/ipccCharacterizationFactors", json!([])),
        ("/pcf/primaryDataShare", json!("100.1")),
        ("/extensions/0/data/dimensions/energy/value", json!("1.5")),
    ] {
        let mut bent = document.clone();
        *bent.pointer_mut(path).unwrap() = value.clone();
        assert!(judge.wrong(&bent).is_some(), "{path} may be {value}");
    }
}

#[test]
fn the_notice_is_where_people_see_it() {
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let manual = squeezed(include_str!("../../../../docs/formats.md"));
    assert!(manual.contains(&squeezed(NOTICE)), "docs/formats.md has the notice, word for word");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever a footprint holds and declares: the parts add up, and every figure is plain.
    #[test]
    fn parts_add_up_whatever_they_are(
        values in prop::collection::vec(any::<i64>(), DIMENSIONS),
        undeclared in any::<u32>(),
        shift in 0..60_u32,
    ) {
        let lot = LotId::new([7; 32]);
        let mut footprint = Footprint::ZERO;
        for (dimension, value) in Dimension::ALL.iter().zip(&values) {
            footprint.set(*dimension, i128::from(*value) << shift);
        }
        let silent: Vec<Dimension> = Dimension::ALL
            .iter()
            .enumerate()
            .filter(|(bit, _)| undeclared >> bit & 1 == 1)
            .map(|(_, dimension)| *dimension)
            .collect();
        footprint.undeclared = DimensionSet::of(&silent);
        let climate = footprint.declared(Dimension::Climate);
        let Ok(figures) = figures::figures(lot, &footprint) else {
            prop_assert!(climate.is_none_or(|climate| climate < 0));
            return Ok(());
        };
        let some = |decimal: &Option<Decimal>| decimal.as_ref().map_or(0, nanograms);
        let excluding =
            nanograms(&figures.fossil) + some(&figures.land_use) + some(&figures.biogenic_other);
        prop_assert_eq!(Some(excluding), climate);
        prop_assert_eq!(nanograms(&figures.excluding), excluding);
        let including = excluding + some(&figures.uptake);
        prop_assert_eq!(nanograms(&figures.including), including);
        prop_assert!(nanograms(&figures.fossil) >= 0 && some(&figures.uptake) <= 0);
        for decimal in [Some(&figures.fossil), figures.primary_share.as_ref()].into_iter().flatten() {
            let plain = |byte: u8| byte.is_ascii_digit() || byte == b'.';
            prop_assert!(decimal.as_str().bytes().all(plain), "{}", decimal.as_str());
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Every lot of a history has a document that the schema accepts.
    #[test]
    fn any_lot_has_a_document(
        kilograms in 1..9_u64, hours in 1..9_u64, share in 1..100_u64, weights in any::<(u8, u8)>(),
    ) {
        let mut world = World::new();
        let (powder, energy) = (world.powder(kilograms), world.read_meter(hours));
        let inputs = [(powder, grams(share)), (energy, Quantity::new(share * 7_919, Unit::Joule))];
        let outputs = vec![
            output("bracket", pieces(share), share, OutputRole::Product, u64::from(weights.0) + 1),
            output("lid", pieces(7), 1, OutputRole::ByProduct, u64::from(weights.1)),
        ];
        let (_, lot) = world.order(&inputs, outputs);
        let judge = Judge::new();
        for lot in [powder, energy, lot] {
            let documents = of(&world, lot).unwrap();
            judge.judge(documents.last().unwrap());
        }
    }
}
