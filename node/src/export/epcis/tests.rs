//! Events: their form, always; against GS1's own schema where it is there.

use super::*;
use crate::export::tests::world::*;
use kerbholz_ledger::operation::SinkKind;
use kerbholz_ledger::quantity::{Quantity, Unit};
use kerbholz_ledger::transformation::OutputRole;
use std::collections::BTreeMap;

/// Where GS1's `EPCIS-JSON-Schema.json` lies. It is GS1's, and no part of this repository.
const SCHEMA: &str = "KERBHOLZ_EPCIS_SCHEMA";

/// A history with every kind of event, and the lot of the bracket.
fn history() -> (World, LotId) {
    let mut world = World::new();
    let (powder, energy) = (world.powder(5), world.read_meter(3));
    let inputs = [(powder, grams(120)), (energy, Quantity::new(3_600_000, Unit::Joule))];
    let outputs = vec![
        output("bracket", pieces(2), 100, OutputRole::Product, 1),
        output("spent powder", grams(20), 20, OutputRole::Waste, 0),
    ];
    let (_, bracket) = world.order(&inputs, outputs);
    world.run("press", vec![transfer(bracket, pieces(1), "rail")]);
    for kind in [SinkKind::Landfilled, SinkKind::Consumed, SinkKind::Exported] {
        world.run("printer", vec![sink(powder, grams(7), kind)]);
    }
    let work = world.work(&[], vec![output("cover", pieces(1), 0, OutputRole::Product, 1)]);
    world.run("mill", vec![kerbholz_ledger::operation::Operation::Transform(work)]);
    (world, bracket)
}

fn of(world: &World, lot: Option<LotId>) -> Value {
    document(&world.state, world.genesis.network(), lot).unwrap()
}

fn events(document: &Value) -> &[Value] {
    document["epcisBody"]["eventList"].as_array().unwrap()
}

fn steps(document: &Value) -> Vec<&str> {
    events(document).iter().map(|event| event["bizStep"].as_str().unwrap()).collect()
}

#[test]
fn every_entry_is_an_event_in_its_order() {
    let (world, bracket) = history();
    assert_eq!(
        steps(&of(&world, None)),
        [
            "commissioning",
            "commissioning",
            "creating_class_instance",
            "transporting",
            "receiving",
            "repackaging",
            "destroying",
            "decommissioning",
            "shipping",
            "creating_class_instance",
            "transporting",
        ]
    );
    assert_eq!(
        steps(&of(&world, Some(bracket))),
        [
            "commissioning",
            "commissioning",
            "creating_class_instance",
            "transporting",
            "receiving",
            "destroying",
            "decommissioning",
            "shipping"
        ],
        "of the lot's history only"
    );
    let nobody = document(&world.state, world.genesis.network(), Some(LotId::new([1; 32])));
    assert!(matches!(nobody, Err(ExportError::Read(_))));
}

/// What our own reading of the standard asks of every event.
#[test]
fn events_have_the_form_of_events() {
    let (world, _) = history();
    let document = of(&world, None);
    let urn = |value: &Value| value.as_str().unwrap().starts_with("urn:kerbholz:");
    let utc = |value: &Value| value.as_str().unwrap().ends_with('Z');
    assert_eq!(
        (&document["type"], &document["schemaVersion"]),
        (&json!("EPCISDocument"), &json!("2.0"))
    );
    assert!(utc(&document["creationDate"]));
    let mut ids = BTreeSet::new();
    for event in events(&document) {
        assert!(urn(&event["eventID"]) && ids.insert(event["eventID"].to_string()), "{event}");
        assert!(utc(&event["eventTime"]) && utc(&event["recordTime"]), "{event}");
        assert_eq!(event["eventTimeZoneOffset"], "+00:00");
        let lists: &[&str] = match event["type"].as_str().unwrap() {
            "ObjectEvent" => {
                assert!(["ADD", "OBSERVE", "DELETE"].contains(&event["action"].as_str().unwrap()));
                &["quantityList"]
            }
            "TransformationEvent" => {
                assert!(urn(&event["transformationID"]) && event.get("action").is_none());
                &["inputQuantityList", "outputQuantityList"]
            }
            other => panic!("{other}"),
        };
        for element in lists.iter().filter_map(|list| event.get(*list)) {
            for element in element.as_array().unwrap() {
                assert!(urn(&element["epcClass"]) && element["quantity"].is_u64(), "{element}");
                let code = |uom: &Value| (2..=3).contains(&uom.as_str().unwrap().len());
                assert!(element.get("uom").is_none_or(code), "{element}");
            }
        }
    }
}

/// Read in order, the events are a history: nothing is used before it is there, or more of it than
/// there is.
#[test]
fn events_add_up_to_the_stock() {
    let (world, _) = history();
    let document = of(&world, None);
    let mut stock: BTreeMap<String, u64> = BTreeMap::new();
    for event in events(&document) {
        let (comes, goes) = match event["action"].as_str() {
            None => ("outputQuantityList", "inputQuantityList"),
            Some("ADD") => ("quantityList", ""),
            Some("DELETE") => ("", "quantityList"),
            Some(_) => ("", ""),
        };
        let elements = |list: &str| {
            let list = event.get(list).and_then(Value::as_array).cloned().unwrap_or_default();
            list.into_iter().map(|one| {
                (one["epcClass"].as_str().unwrap().to_owned(), one["quantity"].as_u64().unwrap())
            })
        };
        for (lot, amount) in elements(goes) {
            let left = stock.get_mut(&lot).unwrap_or_else(|| panic!("{lot} is not there yet"));
            *left = left.checked_sub(amount).unwrap();
        }
        for (lot, amount) in elements(comes) {
            assert_eq!(stock.insert(lot, amount), None);
        }
    }
    each(&world.state, Table::Lot, |key, row: LotRow| {
        let lot = format!("urn:kerbholz:{}:lot:{}", world.genesis.network(), hex::encode(key));
        assert_eq!(stock.remove(&lot), Some(row.quantity.amount), "{lot}");
        Ok::<_, ReadError>(())
    })
    .unwrap();
    assert!(stock.is_empty());
}

/// `^(?!X)` says the same as "not `^X`", which the validator's regular expressions can say as well.
fn without_lookahead(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let pattern = fields.get("pattern").and_then(Value::as_str);
            let inner = pattern.and_then(|text| text.strip_prefix("^(?!")?.strip_suffix(')'));
            if let Some(inner) = inner.map(str::to_owned) {
                fields.remove("pattern");
                fields.insert("not".into(), json!({ "pattern": format!("^{inner}") }));
            }
            fields.values_mut().for_each(without_lookahead);
        }
        Value::Array(items) => items.iter_mut().for_each(without_lookahead),
        _ => {}
    }
}

#[test]
fn events_are_valid_against_the_published_schema() {
    let Some(path) = std::env::var_os(SCHEMA) else {
        eprintln!("SKIPPED: {SCHEMA} does not name GS1's EPCIS-JSON-Schema.json");
        return;
    };
    let mut schema = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    without_lookahead(&mut schema);
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.enable_format_assertions();
    compiler.add_resource("file:///epcis.json", schema).unwrap();
    let index = compiler.compile("file:///epcis.json", &mut schemas).unwrap();
    let wrong = |value: &Value| schemas.validate(value, index).err().map(|e| format!("{e:#}"));
    let (world, bracket) = history();
    for lot in [None, Some(bracket)] {
        let document = of(&world, lot);
        assert_eq!(wrong(&document), None, "{document:#}");
    }
    // The schema was really asked.
    let mut bent = of(&world, None);
    bent["epcisBody"]["eventList"][0]["bizStep"] = json!("comissioning");
    assert!(wrong(&bent).is_some());
}
