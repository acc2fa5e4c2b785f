//! The form of the tables, and what stands in them for a small history.

use super::world::*;
use crate::export::schema::{Cell, Kind, Record, Table};
use crate::export::tables::read;
use crate::export::{fits, parquet};
use kerbholz_ledger::memory::Memory;
use kerbholz_ledger::operation::SinkKind;
use kerbholz_ledger::quantity::{Quantity, Unit};
use kerbholz_ledger::transformation::OutputRole;

pub fn rows(state: &Memory, table: Table) -> Vec<Record> {
    let mut rows = Vec::new();
    read(state, table, &mut |record| {
        rows.push(record);
        Ok(())
    })
    .unwrap();
    rows
}

/// A cell as text, by the name of its column.
fn cell(table: Table, record: &Record, name: &str) -> String {
    let place = table.columns().iter().position(|column| column.name == name).unwrap();
    match &record.cells[place] {
        Cell::None => "-".to_owned(),
        Cell::Text(text) => text.clone(),
        Cell::Number(number) => number.to_string(),
        Cell::Wide(number) => number.to_string(),
        Cell::Time(time) => time.get().to_string(),
        Cell::Flag(flag) => flag.to_string(),
    }
}

/// Everything once: sources of all kinds, an order, a part, a sink, a restatement.
pub fn history() -> World {
    let mut world = World::new();
    let powder = world.powder(5);
    let energy = world.read_meter(3);
    let inputs = [(powder, grams(120)), (energy, Quantity::new(3_600_000, Unit::Joule))];
    let outputs = vec![
        output("bracket", pieces(2), 100, OutputRole::Product, 1),
        output("spent powder", grams(20), 20, OutputRole::Waste, 0),
    ];
    let (_, bracket) = world.order(&inputs, outputs);
    world.run("press", vec![transfer(bracket, pieces(1), "rail")]);
    world.run("printer", vec![sink(powder, grams(7), SinkKind::Landfilled)]);
    world.restate(powder, 2, "powder");
    world
}

#[test]
fn the_form_of_the_tables_stays() {
    let written: Vec<String> = Table::ALL.iter().map(|table| parquet::message(*table)).collect();
    assert_eq!(written.join("\n"), include_str!("schema.txt"));
}

#[test]
fn the_manual_names_every_column() {
    let manual = include_str!("../../../../docs/formats.md");
    for table in Table::ALL {
        assert!(manual.contains(&format!("| `{}` |", table.name())), "{}", table.name());
        for column in table.columns() {
            let name = format!("`{}`", column.name);
            assert!(manual.contains(&name), "docs/formats.md does not mention {name}");
        }
    }
}

#[test]
fn every_cell_is_what_its_column_holds() {
    let world = history();
    for table in Table::ALL {
        let columns = table.columns();
        let rows = rows(&world.state, *table);
        assert!(!rows.is_empty() || *table == Table::InTransit, "{table:?}");
        for record in rows {
            assert_eq!(record.cells.len(), columns.len(), "{table:?}");
            for (cell, column) in record.cells.iter().zip(&columns) {
                assert!(fits(cell, column), "{table:?}: {column:?} holds {cell:?}");
            }
        }
    }
}

/// Some columns of a table, in order.
fn shown(world: &World, table: Table, columns: &[&str]) -> Vec<String> {
    let text = |row: &Record| {
        let cells = columns.iter().map(|column| cell(table, row, column));
        cells.collect::<Vec<_>>().join(" | ")
    };
    let mut shown: Vec<String> = rows(&world.state, table).iter().map(text).collect();
    shown.sort();
    shown
}

#[test]
fn what_happened_stands_in_the_tables() {
    let world = history();
    let shown = |table, columns: &[&str]| shown(&world, table, columns);
    let climate = "climate_nanograms_co2e";
    assert_eq!(
        shown(
            Table::Sources,
            &["kind", "name", "amount", "unit", "machine_name", "restated", climate]
        ),
        [
            "activity | transport | 1500000 | kilogram_metre | printer | false | 142530000000",
            "declared | PA12, \"fine\" powder | 5000000 | milligram | printer | true | \
             80000000000010",
            "reading | electricity | 10800000 | joule | printer | false | 1140000000000",
            "waste | waste | 20000 | milligram | printer | false | 0",
        ]
    );
    assert_eq!(
        shown(Table::Sinks, &["kind", "product", "amount", "organisation_name", climate]),
        ["landfilled | PA12, \"fine\" powder | 7000 | maker | 112000000000"]
    );
    assert_eq!(
        shown(Table::Flows, &["from_kind", "to_kind", "place", "product", "amount", climate]),
        [
            "lot | lot | - | bracket | 1 | 1221265000000",
            "lot | sink | - | PA12, \"fine\" powder | 7000 | 112000000000",
            "lot | transformation | 0 | PA12, \"fine\" powder | 120000 | 1920000000000",
            "lot | transformation | 1 | electricity | 3600000 | 380000000000",
            "transformation | lot | 0 | bracket | 2 | 2442530000000",
            "transformation | lot | 1 | spent powder | 20000 | 0",
        ]
    );
    assert_eq!(
        shown(
            Table::Orders,
            &["state", "buyer_name", "provider_name", "paid_minor_units", climate]
        ),
        ["settled | press | printer | 2500 | 1482530000000"],
        "an order's footprint is as booked"
    );
    assert_eq!(
        shown(Table::Lots, &["origin", "product", "amount", "owner_name", "restated", "role"]),
        [
            "declared | PA12, \"fine\" powder | 4873000 | printer | true | -",
            "made | bracket | 1 | press | true | product",
            "made | spent powder | 20000 | printer | false | waste",
            "part | bracket | 1 | rail | true | -",
            "reading | electricity | 7200000 | printer | false | -",
        ]
    );
    let factors = shown(Table::Factors, &["set_name", "version", "code", "per_unit", climate]);
    assert_eq!(factors.len(), 9);
    assert_eq!(factors[0], "base | 1 | grid | joule | 380000000000");
    let water = shown(Table::Factors, &["code", "water_millilitres"]);
    assert_eq!((water[0].as_str(), water[8].as_str()), ("grid | -", "powder | 12000"));
}

#[test]
fn dimensions_are_wide_and_everything_else_is_not() {
    for table in Table::ALL {
        for column in table.columns() {
            let unit = ["joules", "grams", "litres", "co2e", "carbon", "_eq"];
            let has_unit = unit.iter().any(|unit| column.name.ends_with(unit));
            assert!(column.kind != Kind::Wide || has_unit, "{}", column.name);
        }
    }
}
