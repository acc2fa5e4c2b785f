//! The ledger's own footprint: what operators book, what falls to each transaction, and that
//! nothing is lost between the two.

use super::table::{Table, check_in};
use super::world::*;
use crate::footprint::{Dimension, Footprint};
use crate::genesis::UpkeepRules;
use crate::operation::{LotSink, Operation, Portion, SinkKind};
use crate::quantity::{Quantity, Unit};
use crate::restatement::{Correction, Restatement, Source};
use crate::rows::{SinkRow, Table as Rows};
use crate::upkeep::{Upkeep, upkeep};
use std::vec::Vec;

/// The periods that have transactions or sinks.
fn periods(world: &World) -> Vec<Upkeep> {
    let of = |key: &[u8]| key.get(1..9).and_then(|number| number.try_into().ok());
    let tables = [Rows::UpkeepCount as u8, Rows::UpkeepSink as u8];
    let rows = world.state.rows().filter(|(key, _)| tables.contains(&key[0]));
    let mut numbers: Vec<u64> =
        rows.filter_map(|(key, _)| of(key)).map(u64::from_be_bytes).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let period = |number| upkeep(&world.state, number).expect("upkeep").expect("rules");
    numbers.into_iter().map(period).collect()
}

/// Every sink of kind upkeep is in one period, and the shares of a period add up to it.
pub fn each_period_adds_up(world: &World) {
    let (mut shared, mut booked) = (Footprint::ZERO, Footprint::ZERO);
    for period in periods(world) {
        shared = shared.checked_add(&period.total).expect("sum");
        let Some(shares) = period.shares().expect("shares") else { continue };
        for dimension in Dimension::ALL {
            let (each, rest) = (shares.each.get(*dimension), shares.rest.get(*dimension));
            let transactions = i128::from(period.transactions);
            assert_eq!(each * transactions + rest, period.total.get(*dimension));
            assert!((0..transactions).contains(&rest), "{rest} could be shared out");
        }
    }
    for (_, value) in world.state.rows().filter(|(key, _)| key[0] == Rows::Sink as u8) {
        let sink: SinkRow = crate::codec::decode_trusted(value).expect("sink");
        if sink.kind == SinkKind::Upkeep {
            booked = booked.checked_add(&sink.taken.footprint).expect("sum");
        }
    }
    assert_eq!(shared, booked);
}

#[test]
fn what_a_period_took_is_shared_out_over_its_transactions() {
    let mut table = Table::new(World::new());
    let before = periods(&table.world);
    assert_eq!((before.len(), before[0].transactions), (1, 7));
    check_in(
        &mut table,
        "reading  a by=meter from=0 to=1003                       -> ok
         sink     by=printer of=a:1003J kind=upkeep               -> ok
         sink     by=printer of=a:1J kind=upkeep                  -> not_enough",
    );
    let after = periods(&table.world);
    let shares = after[0].shares().expect("shares").expect("transactions");
    // A refused transaction took its share, too.
    assert_eq!((after[0].transactions, after[0].sinks.len()), (10, 1));
    let energy = |footprint: &Footprint| footprint.get(Dimension::Energy);
    assert_eq!(energy(&after[0].total), 1003);
    assert_eq!((energy(&shares.each), energy(&shares.rest)), (100, 3));
    assert_eq!(after[0].to.get() - after[0].from.get(), HOUR);

    // The next hour has a count of its own; what is read in it belongs to it.
    table.world.wait(HOUR);
    check_in(
        &mut table,
        "reading  b by=meter from=1003 to=1010                    -> ok
         sink     by=printer of=b:7J kind=upkeep                  -> ok",
    );
    let both = periods(&table.world);
    assert_eq!((both.len(), both[1].transactions, energy(&both[1].total)), (2, 2, 7));
    assert_eq!(both[0], after[0]);
    each_period_adds_up(&table.world);
}

/// A sum in the sink alone would miss what is corrected later.
#[test]
fn a_restated_reading_comes_through_to_the_shares() {
    let mut table = Table::new(World::new());
    table.world.apply("agency", std::vec![second_version()]);
    check_in(
        &mut table,
        "reading  a by=meter from=0 to=3600000                    -> ok
         sink     by=printer of=a:3600000J kind=upkeep            -> ok",
    );
    let climate = |world: &World| periods(world)[0].total.get(Dimension::Climate);
    let before = climate(&table.world);
    let restatement = Restatement {
        source: Source::Lot(table.lot_named("a")),
        correction: Correction::Factor(second_ref("grid")),
        reason: "the grid's mix is better known".into(),
        evidence: None,
    };
    table.world.apply("maker", std::vec![Operation::Restate(restatement)]);
    assert!(climate(&table.world) != before, "{before} as before");
    each_period_adds_up(&table.world);
}

/// Many bookings of one period are more than are read at a time.
#[test]
fn a_period_has_as_many_sinks_as_are_booked() {
    let mut table = Table::new(World::new());
    check_in(&mut table, "reading a by=meter from=0 to=600 -> ok");
    let (lot, mut world) = (table.lot_named("a"), table.world);
    let portion = Portion { lot, quantity: Quantity::new(1, Unit::Joule) };
    let sink = Operation::SinkLot(LotSink { portion, kind: SinkKind::Upkeep });
    for _ in 0..10 {
        world.apply("printer", std::vec![sink.clone(); 60]);
    }
    let period = &periods(&world)[0];
    assert_eq!((period.sinks.len(), period.total.get(Dimension::Energy)), (600, 600));
    each_period_adds_up(&world);
}

#[test]
fn a_network_without_operators_keeps_no_account_of_itself() {
    let mut file = genesis_file();
    file.accounting.upkeep = UpkeepRules::default();
    let world = World::of(&file);
    assert_eq!(upkeep(&world.state, 0), Ok(None));
    let tables = Rows::Upkeep as u8..=Rows::UpkeepSink as u8;
    assert!(world.state.rows().all(|(key, _)| !tables.contains(&key[0])));
}
