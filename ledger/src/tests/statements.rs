//! Statements: the same books by organisation, period, product, meter and provider; all views add up
//! to what the trial balance says.

use super::properties::{ALL, History, Try, tries};
use super::table::{Table, check_in};
use super::world::*;
use crate::footprint::{DIMENSIONS, Dimension, Footprint};
use crate::id::MemberId;
use crate::operation::SinkKind;
use crate::quantity::{Milliseconds, Unit};
use crate::query;
use crate::rows::Read;
use crate::rows::{Table as Rows, key};
use crate::statement::{Flows, Statement, statement};
use crate::upkeep::Upkeep;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::vec::Vec;

fn sum<'a>(footprints: impl Iterator<Item = &'a Footprint>) -> [i128; DIMENSIONS] {
    let mut sum = Footprint::ZERO;
    for footprint in footprints {
        sum = sum.checked_add(footprint).expect("sum");
    }
    *sum.values()
}

/// Everything that must hold of a statement when nothing is in transit.
fn judge(of: &Statement, settled: bool) {
    let flows = || of.flows.values();
    let received = sum(flows().map(|flows| &flows.received));
    assert_eq!(received, sum(flows().map(|flows| &flows.handed_over)));
    assert_eq!(sum(of.stock.values()), *of.balance.stock.values());
    assert_eq!(sum(flows().map(|flows| &flows.booked_out)), *of.balance.sinks.values());
    if settled {
        assert_eq!(sum(flows().map(|flows| &flows.booked_in)), *of.balance.sources.values());
        let mut closing: BTreeMap<MemberId, Footprint> = BTreeMap::new();
        for ((organisation, _), flows) in &of.flows {
            let sum = closing.entry(*organisation).or_default();
            *sum = sum.checked_add(&flows.net().expect("net")).expect("sum");
        }
        for (organisation, footprint) in &closing {
            let stock = of.stock.get(organisation).cloned().unwrap_or_default();
            assert_eq!(footprint.values(), stock.values());
        }
        assert!(of.stock.keys().all(|organisation| closing.contains_key(organisation)));
    }
    let route = of.balance.routes.iter().find(|(kind, _)| *kind == SinkKind::Upkeep);
    let upkeep = sum(of.upkeep.iter().map(|period| &period.total));
    assert_eq!(upkeep, *route.map_or(&Footprint::ZERO, |(_, footprint)| footprint).values());
    assert!(of.upkeep.is_sorted_by(|one, next| one.to <= next.from));
    for meter in of.meters.values() {
        let claimed = meter.drawn + meter.base_load + meter.booked_out;
        assert_eq!(meter.counted, claimed + meter.unclaimed);
    }
    for product in &of.balance.products {
        let entered = |made: bool| -> u128 {
            let of = of.products.iter().filter(|(key, _)| {
                (&key.product, key.unit, key.made) == (&product.product, product.unit, made)
            });
            of.map(|(_, entered)| entered.quantity).sum()
        };
        assert_eq!(entered(false), product.quantities.booked_in, "{}", product.product);
        assert_eq!(entered(true), product.quantities.made, "{}", product.product);
    }
}

fn whatever_happened_adds_up(tries: &[Try], period: u64) {
    let mut history = History::begin(ALL, 3);
    for one in tries {
        history.go(one);
    }
    let period = Milliseconds::new(period);
    judge(&statement(&history.world.state, period).expect("statement"), false);
    let waiting = |world: &World| {
        let prefix = key(Rows::Work, &[]);
        !world.state.scan(&prefix, &prefix, 1).expect("state").is_empty()
    };
    while waiting(&history.world) {
        history.world.wait(STEP);
    }
    judge(&statement(&history.world.state, period).expect("statement"), true);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn statements_add_up_whatever_happened(tries in tries(60), period in 0..20_000_u64) {
        whatever_happened_adds_up(&tries, period);
    }
}

#[test]
fn what_changes_hands_stands_with_both() {
    let mut table = Table::new(World::new());
    check_in(
        &mut table,
        "issue    by=bank to=rail amount=100000                               -> ok
         declare  powder amount=1kg factor=proxy                              -> ok
         place    o by=press predicted=4000000000000                          -> ok
         accept   o by=printer                                                -> ok
         start    o by=printer                                                -> ok
         complete o in=powder:500g out=bracket:10pc:500g as=part              -> ok",
    );
    let all = Milliseconds::ZERO;
    let held = statement(&table.world.state, all).expect("statement");
    let kilograms = |footprint: &Footprint| footprint.get(Dimension::Climate) / 1_000_000_000;
    let account = |of: &Statement, name: &str| -> Vec<i128> {
        let none = Flows::default();
        let flows = of.flows.get(&(member(name), 0)).unwrap_or(&none);
        let stock = of.stock.get(&member(name)).cloned().unwrap_or_default();
        [&flows.booked_in, &flows.received, &flows.handed_over, &flows.booked_out, &stock]
            .map(kilograms)
            .to_vec()
    };
    // In grams: 7 kg of powder, half of it in the part.
    assert_eq!(account(&held, "maker"), [7_000, 0, 0, 0, 7_000]);
    assert_eq!(account(&held, "rail"), [0, 0, 0, 0, 0]);
    check_in(
        &mut table,
        "confirm  o by=press                                                  -> ok
         sink     by=press of=part:4pc                                        -> ok",
    );
    let of = statement(&table.world.state, all).expect("statement");
    judge(&of, true);
    assert_eq!(account(&of, "maker"), [7_000, 0, 3_500, 0, 3_500]);
    assert_eq!(account(&of, "rail"), [0, 3_500, 0, 1_400, 2_100]);
    let accuracy = of.accuracy[&member("printer")];
    assert_eq!((accuracy.orders, accuracy.within_a_tenth), (1, 0));
    assert_eq!((accuracy.predicted, accuracy.realised), (4_000_000_000_000, 3_500_000_000_000));
    assert_eq!(accuracy.missed_by, 500_000_000_000);
    let made: Vec<_> = of.products.iter().filter(|(key, _)| key.made).collect();
    let (key, entered) = made[0];
    assert_eq!((key.product.as_str(), key.unit, made.len()), ("bracket", Unit::Piece, 1));
    assert_eq!((entered.quantity, entered.mass_mg, entered.lots), (10, 500_000, 1));
    assert_eq!((of.sources, of.open[&Dimension::Energy].sources), (1, 1));
    assert_eq!(of.open[&Dimension::Energy].climate, 7_000_000_000_000);
    assert_eq!(query::ledger(&table.world.state).expect("ledger").sources, of.balance.sources);
}

#[test]
fn what_no_work_draws_shows() {
    let mut table = Table::new(World::new());
    check_in(
        &mut table,
        "reading  power by=meter from=0 to=3600000                             -> ok
         declare powder amount=1kg factor=powder                              -> ok
         transform in=powder:1kg,power:1000000J out=part:1pc:1kg:product:1 as=part -> ok
         sink by=printer of=power:600000J kind=base                           -> ok
         transfer handed by=printer of=power:1000000J to=mill                 -> ok
         sink by=mill of=handed:400000J                                       -> ok",
    );
    let of = statement(&table.world.state, Milliseconds::ZERO).expect("statement");
    let meter = &of.meters[&member("meter")];
    let account = [meter.counted, meter.drawn, meter.base_load, meter.booked_out, meter.unclaimed];
    assert_eq!(account, [3_600_000, 1_000_000, 600_000, 400_000, 1_600_000]);
    assert_eq!((meter.readings, meter.host), (1, member("printer")));
    let climate = |footprint: &Footprint| footprint.get(Dimension::Climate);
    assert_eq!(climate(&meter.footprint), 400_000_000_000);
    // What is rounded down goes with what is taken later, or stays.
    assert_eq!(climate(&meter.base_load_footprint), 66_666_666_666);
    assert_eq!(climate(&meter.unclaimed_footprint), 177_777_777_779);
}

/// What the ledger took itself stands with its periods, the sinks and the meter.
#[test]
fn what_the_ledger_took_itself_is_in_its_books() {
    let mut table = Table::new(World::new());
    check_in(
        &mut table,
        "reading a by=meter from=0 to=1003           -> ok
         sink    by=printer of=a:1003J kind=upkeep   -> ok",
    );
    table.world.wait(HOUR);
    check_in(
        &mut table,
        "reading b by=meter from=1003 to=1010        -> ok
         sink    by=printer of=b:5J kind=upkeep      -> ok",
    );
    let of = statement(&table.world.state, Milliseconds::ZERO).expect("statement");
    judge(&of, true);
    let energy = |footprint: &Footprint| footprint.get(Dimension::Energy);
    let period = |period: &Upkeep| (period.transactions, energy(&period.total));
    // Making the world took seven transactions.
    assert_eq!(of.upkeep.iter().map(period).collect::<Vec<_>>(), [(9, 1003), (2, 5)]);
    let meter = &of.meters[&member("meter")];
    assert_eq!((meter.counted, meter.booked_out, meter.unclaimed), (1010, 1008, 2));
}
