//! Random histories, exported and read again by readers that share nothing with the writers: what
//! the files add up to is what the books say.

use super::world::*;
use crate::export::schema::{Table, dimension_column};
use crate::export::{TableFormat, write_tables};
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Field;
use csv_core::{ReadRecordResult, Reader};
use kerbholz_ledger::footprint::{DIMENSIONS, Dimension};
use kerbholz_ledger::id::LotId;
use kerbholz_ledger::memory::Memory;
use kerbholz_ledger::operation::SinkKind;
use kerbholz_ledger::quantity::Quantity;
use kerbholz_ledger::query;
use kerbholz_ledger::transformation::OutputRole;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

type Sums = BTreeMap<Table, [i128; DIMENSIONS]>;

/// The lines of a file, by column.
fn csv_rows(path: &Path) -> Vec<BTreeMap<String, String>> {
    let bytes = fs::read(path).unwrap();
    let (mut output, mut ends) = (vec![0; bytes.len() + 1], vec![0; bytes.len() + 1]);
    let (mut reader, mut at) = (Reader::new(), 0);
    let mut records: Vec<Vec<String>> = Vec::new();
    loop {
        let (result, read, _, fields) = reader.read_record(&bytes[at..], &mut output, &mut ends);
        at += read;
        match result {
            ReadRecordResult::Record => {
                let starts = std::iter::once(0).chain(ends[..fields].iter().copied());
                let fields = starts.zip(&ends[..fields]).map(|(from, to)| &output[from..*to]);
                let text = |field: &[u8]| String::from_utf8(field.to_vec()).unwrap();
                records.push(fields.map(text).collect());
            }
            ReadRecordResult::InputEmpty => {}
            ReadRecordResult::End => break,
            other => panic!("{other:?}"),
        }
    }
    let names = records.remove(0);
    let row = |record: Vec<String>| {
        assert_eq!(record.len(), names.len());
        names.iter().cloned().zip(record).collect()
    };
    records.into_iter().map(row).collect()
}

fn csv_sums(folder: &Path) -> Sums {
    let sums = |table: &Table| {
        let mut sums = [0; DIMENSIONS];
        for row in csv_rows(&folder.join(format!("{}.csv", table.name()))) {
            for (sum, dimension) in sums.iter_mut().zip(Dimension::ALL) {
                *sum += row[&dimension_column(*dimension)].parse::<i128>().unwrap_or(0);
            }
        }
        (*table, sums)
    };
    Table::ALL.iter().map(sums).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn parquet_sums(folder: &Path) -> Sums {
    let sums = |table: &Table| {
        let mut sums = [0_i128; DIMENSIONS];
        let files = files(&folder.join(table.name()));
        assert!(!files.is_empty(), "{table:?}");
        for path in files {
            let reader = SerializedFileReader::new(fs::File::open(path).unwrap()).unwrap();
            for row in reader.get_row_iter(None).unwrap() {
                let row = row.unwrap();
                let cells: BTreeMap<&String, &Field> = row.get_column_iter().collect();
                for (sum, dimension) in sums.iter_mut().zip(Dimension::ALL) {
                    match cells[&dimension_column(*dimension)] {
                        Field::Decimal(value) => {
                            assert_eq!((value.precision(), value.scale()), (38, 0));
                            *sum += i128::from_be_bytes(value.data().try_into().unwrap());
                        }
                        Field::Null => {}
                        other => panic!("{other:?}"),
                    }
                }
            }
        }
        (*table, sums)
    };
    Table::ALL.iter().map(sums).collect()
}

/// Exports a state both ways, and holds what the files add up to against the books and one another.
fn judge(state: &Memory) -> Sums {
    let folder = tempfile::tempdir().unwrap();
    let (csv, parquet) = (folder.path().join("csv"), folder.path().join("parquet"));
    for (format, folder) in [(TableFormat::Csv, &csv), (TableFormat::Parquet, &parquet)] {
        fs::create_dir(folder).unwrap();
        write_tables(state, format, folder).unwrap();
    }
    let sums = csv_sums(&csv);
    assert_eq!(sums, parquet_sums(&parquet));
    let ledger = query::ledger(state).unwrap();
    for (table, kept) in [
        (Table::Sources, &ledger.sources),
        (Table::Lots, &ledger.stock),
        (Table::Sinks, &ledger.sinks),
        (Table::InTransit, &ledger.in_transit),
    ] {
        assert_eq!(&sums[&table], kept.values(), "{table:?}");
    }
    for dimension in Dimension::ALL {
        let of = |table| sums[&table][*dimension as usize];
        let kept = of(Table::Lots) + of(Table::Sinks) + of(Table::InTransit);
        assert_eq!(of(Table::Sources), kept, "{dimension:?}");
    }
    sums
}

/// What somebody tries: a verb, a lot, how much of it.
type Try = (u8, u8, u16);

fn go(world: &mut World, lots: &mut Vec<LotId>, (verb, which, share): Try) {
    let Some(lot) = lots.get(usize::from(which) % lots.len().max(1)).copied() else {
        lots.push(world.powder(u64::from(share) % 9 + 1));
        return;
    };
    let row = query::lot(&world.state, lot).unwrap().unwrap();
    let part = u128::from(row.quantity.amount) * u128::from(share) / 65_535;
    let part = Quantity::new(u64::try_from(part).unwrap(), row.quantity.unit);
    let owner = ["printer", "mill", "press", "rail"];
    let owner = owner.into_iter().find(|name| member(name) == row.owner).unwrap_or("printer");
    match verb % 7 {
        0 => lots.push(world.powder(u64::from(share) % 9 + 1)),
        1 => lots.push(world.read_meter(u64::from(share) % 5 + 1)),
        2 => {
            let to = ["mill", "press", "rail"][usize::from(share) % 3];
            let (id, applied) = world.attempt(owner, vec![transfer(lot, part, to)]);
            lots.extend(applied.then(|| LotId::of(id, 0, 0)));
        }
        3 => {
            world.attempt(owner, vec![sink(lot, part, SinkKind::Incinerated)]);
        }
        4 | 5 => {
            let outputs = vec![
                output("plate", pieces(3), 40, OutputRole::Product, u64::from(which) + 1),
                output("cover", pieces(7), 10, OutputRole::ByProduct, 3),
                output("chips", grams(5), 5, OutputRole::Waste, 0),
            ];
            let work = world.work(&[(lot, part)], outputs);
            let operation = kerbholz_ledger::operation::Operation::Transform(work);
            let (id, applied) = world.attempt(owner, vec![operation]);
            lots.extend((0..3).filter(|_| applied).map(|place| LotId::of(id, 0, place)));
        }
        _ => {
            let version = u32::from(share) % 3 + 1;
            let code = if row.product == "electricity" { "grid" } else { "powder" };
            let restatement = kerbholz_ledger::restatement::Restatement {
                source: kerbholz_ledger::restatement::Source::Lot(lot),
                correction: kerbholz_ledger::restatement::Correction::Factor(factor_ref(
                    version, code,
                )),
                reason: "better known".into(),
                evidence: None,
            };
            let operation = kerbholz_ledger::operation::Operation::Restate(restatement);
            world.attempt("maker", vec![operation]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn exports_add_up_whatever_happened(
        tries in prop::collection::vec(any::<Try>(), 1..30),
    ) {
        let mut world = World::new();
        let mut lots = Vec::new();
        for one in tries {
            go(&mut world, &mut lots, one);
        }
        judge(&world.state);
    }
}

/// While a restatement is on its way, its difference stands in a table of its own.
#[test]
fn exports_add_up_while_a_restatement_is_on_its_way() {
    let mut world = World::new();
    let powder = world.powder(5);
    for _ in 0..6 {
        let some = (0..60).map(|_| transfer(powder, grams(1), "mill")).collect();
        world.run("printer", some);
    }
    world.restate(powder, 3, "powder");
    let climate = Dimension::Climate as usize;
    let waiting = judge(&world.state)[&Table::InTransit][climate];
    assert_ne!(waiting, 0, "360 takings are more than a commit gives their share");
    // The source is restated again before the first difference has gone on.
    world.restate(powder, 1, "powder");
    judge(&world.state);
    while !query::ledger(&world.state).unwrap().in_transit.is_zero() {
        world.now += 1_000;
        world.commit(vec![]);
    }
    let sums = judge(&world.state);
    assert_eq!(sums[&Table::Sources][climate], 5 * 8_000_000_000_001);
}

#[test]
fn months_are_folders() {
    let mut world = World::new();
    world.powder(1);
    world.now += 20 * DAY;
    world.powder(1);
    let folder = tempfile::tempdir().unwrap();
    write_tables(&world.state, TableFormat::Parquet, folder.path()).unwrap();
    for path in [
        "lots/month=2026-11/part-0.parquet",
        "lots/month=2026-12/part-0.parquet",
        "sinks/part-0.parquet",
        "factors/part-0.parquet",
    ] {
        let file = fs::File::open(folder.path().join(path)).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let rows = reader.metadata().file_metadata().num_rows();
        let expected = if path.starts_with("lots") {
            1
        } else if path.starts_with('s') {
            0
        } else {
            9
        };
        assert_eq!(rows, expected, "{path}");
    }
}
