//! Explanations: the shares of all sources add up to the lot, whatever happened to it, and each entry
//! is gone through once.

use super::properties::{ALL, History, Try, tries};
use super::table::{Table, check_in};
use super::world::*;
use crate::explain::{Explanation, View, What, explain};
use crate::footprint::{Dimension, EvidenceTier, Footprint};
use crate::id::LotId;
use crate::query;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec::Vec;

const BOTH: [View; 2] = [View::AsBooked, View::AsRestated];
const MANY: usize = 10_000;

fn told(story: &str) -> Table {
    let mut table = Table::new(World::new());
    check_in(&mut table, story);
    table
}

fn explained(table: &Table, lot: &str, view: View) -> Explanation {
    explain(&table.world.state, table.lots[lot], view, MANY).expect("state").expect("a lot")
}

/// What each source put in of a dimension: its product or what was done, and its tier.
fn shares(of: &Explanation, dimension: Dimension) -> BTreeMap<String, i128> {
    let mut shares = BTreeMap::new();
    for entry in of.entries() {
        let source = &of.places[entry.source];
        let name = match &source.what {
            What::Lot(_, lot) => lot.product.clone(),
            What::Activity { of: made, activity } => {
                let made = of.transformation(*made).expect("made");
                made.activities[*activity].activity.name.clone()
            }
            What::Waste { .. } => "waste".to_string(),
            What::InTransit { .. } => "in transit".to_string(),
            What::Transformation(..) => "closed".to_string(),
        };
        *shares.entry(name).or_insert(0) += entry.share.get(dimension);
    }
    shares.retain(|_, share| *share != 0);
    shares
}

#[test]
fn a_part_is_explained_by_what_went_into_it() {
    // 8.000000000001 kg CO2e per kg of powder, 0.1 kg per tkm, 0.4 kg per kWh read.
    let table = told(
        "declare  powder amount=1kg factor=powder                             -> ok
         declare  resin product=resin amount=1kg factor=proxy evidence=scale               -> ok
         transfer gift by=printer of=powder:500g to=mill                      -> ok
         transform by=mill in=gift:500g does=haul:3000000kgm:haul out=half:1pc:400g:product:1,dust:100g:100g:waste:0 as=half,dust -> ok
         transfer back by=mill of=half:1pc to=printer                         -> ok
         transform in=back:1pc,powder:250g,resin:100g out=a:1pc:600g:product:3,b:1pc:150g:byproduct:1 as=a,b -> ok",
    );
    let a = explained(&table, "a", View::AsRestated);
    let climate = shares(&a, Dimension::Climate);
    // Three quarters of 6.00..., 0.7 and 0.3 kg; the picogram goes the way of the largest remainder.
    let expected =
        [("haul", 225_000_000_000), ("powder", 4_500_000_000_000), ("resin", 525_000_000_000)];
    assert_eq!(climate, expected.map(|(name, share)| (name.to_string(), share)).into());
    assert_eq!(shares(&a, Dimension::Waste), [("waste".to_string(), 75_000)].into());
    assert_eq!(a.opened, 6);
    let powder = a.entries().into_iter().filter(|entry| {
        matches!(&a.places[entry.source].what, What::Lot(_, lot) if lot.product == "powder")
    });
    // Half of the kilogram came in at the mill, a quarter at the printer.
    let steps: Vec<_> =
        powder.map(|entry| (entry.step, entry.share.get(Dimension::Climate))).collect();
    assert_eq!(steps.len(), 2);
    assert_ne!(steps[0].0, steps[1].0);
    assert_eq!(steps.iter().map(|(_, share)| share).sum::<i128>(), 4_500_000_000_000);
    let tiers: Vec<_> = a.places.iter().filter_map(|place| place.tier).collect();
    assert!(tiers.iter().all(|tier| *tier == EvidenceTier::Default), "{tiers:?}");
}

#[test]
fn as_booked_and_as_restated_are_both_explained() {
    let table = told(
        "declare  powder amount=1kg factor=proxy                              -> ok
         declare  other  amount=1kg factor=powder                             -> ok
         transform in=powder:500g,other:500g out=part:1pc:1kg:product:1 as=part -> ok
         restate  r lot=powder factor=bare                                    -> ok
         decide   r by=auditor                                                -> ok
         transit                                                              -> 0",
    );
    let booked = explained(&table, "part", View::AsBooked);
    let restated = explained(&table, "part", View::AsRestated);
    let sums = |of: &Explanation| of.footprint().get(Dimension::Climate);
    assert_eq!((sums(&booked), sums(&restated)), (7_500_000_000_000, 4_000_000_000_000));
    assert!(restated.footprint().undeclared.contains(Dimension::Climate));
    let by = |of: &Explanation| {
        of.entries().iter().map(|entry| entry.share.get(Dimension::Climate)).collect::<Vec<_>>()
    };
    assert_eq!(by(&booked), [3_500_000_000_000, 4_000_000_000_000]);
    assert_eq!(by(&restated), [0, 4_000_000_000_000]);
}

#[test]
fn a_source_and_its_parts_explain_themselves() {
    let table = told(
        "declare  powder amount=1kg factor=proxy                              -> ok
         transfer one by=printer of=powder:500g to=press                      -> ok
         transfer two by=press of=one:250g to=mill                            -> ok",
    );
    for (lot, places) in [("powder", 1), ("one", 2), ("two", 3)] {
        let of = explained(&table, lot, View::AsRestated);
        let entries = of.entries();
        assert_eq!((entries.len(), of.places.len()), (1, places), "{lot}");
        assert_eq!(entries[0].share, of.footprint(), "{lot}");
        assert_eq!((entries[0].source, entries[0].step), (places - 1, None), "{lot}");
    }
    assert_eq!(explain(&table.world.state, LotId::new([7; 32]), View::AsRestated, 1), Ok(None));
}

/// Each rung doubles the number of ways down: 2^60 of them, and 121 lots.
#[test]
fn many_ways_are_gone_once() {
    let mut table = told(
        "declare  left0  amount=1kg factor=powder                             -> ok
         declare  right0 amount=1kg factor=proxy                              -> ok",
    );
    for rung in 0..60 {
        let next = rung + 1;
        check_in(
            &mut table,
            &std::format!(
                "transform in=left{rung}:1kg,right{rung}:1kg out=l:1kg:1kg:product:2,r:1kg:1kg:product:1 as=left{next},right{next} -> ok"
            ),
        );
    }
    let of = explained(&table, "left60", View::AsRestated);
    judge(&of, &whole(&table, "left60", View::AsRestated));
    assert_eq!(of.opened, 2 * 59 + 1 + 2);
    assert_eq!(of.places.len(), of.opened + 60);
    // Only as far as asked for: the rest is there, and is not opened.
    let near = explain(&table.world.state, table.lots["left60"], View::AsRestated, 9);
    let near = near.expect("state").expect("a lot");
    judge(&near, &whole(&table, "left60", View::AsRestated));
    assert_eq!(near.opened, 9);
    assert!(near.places.len() < 20);
}

fn whole(table: &Table, lot: &str, view: View) -> Footprint {
    let flows = query::lot_flows(&table.world.state, table.lots[lot]).expect("state");
    let flows = flows.expect("a lot");
    if view == View::AsBooked { flows.as_booked } else { flows.as_restated }
}

fn sum<'a>(
    footprints: impl Iterator<Item = &'a Footprint>,
) -> [i128; crate::footprint::DIMENSIONS] {
    let mut sum = Footprint::ZERO;
    for footprint in footprints {
        sum = sum.checked_add(footprint).expect("sum");
    }
    *sum.values()
}

/// All shares add up: of the entries to the lot, at each place what came in and what went out.
fn judge(of: &Explanation, whole: &Footprint) {
    assert_eq!(of.footprint(), whole);
    assert_eq!(sum(of.entries().iter().map(|entry| entry.share)), *whole.values());
    let mut out: BTreeMap<usize, Vec<&Footprint>> = BTreeMap::new();
    for (index, place) in of.places.iter().enumerate() {
        if !place.from.is_empty() {
            let shares = place.from.iter().map(|flow| &flow.share);
            assert_eq!(sum(shares), *place.share.values(), "into {:?}", place.what);
        }
        for flow in &place.from {
            assert_ne!(flow.place, index);
            out.entry(flow.place).or_default().push(&flow.share);
        }
    }
    for (index, place) in of.places.iter().enumerate().skip(1) {
        let given = out.remove(&index).expect("everything leads to the lot");
        assert_eq!(sum(given.into_iter()), *place.share.values(), "out of {:?}", place.what);
    }
    assert!(out.is_empty(), "nothing takes of the lot itself");
}

fn every_lot_is_explained(tries: &[Try], steps: usize, lots_max: usize) {
    let mut history = History::begin(ALL, steps);
    for one in tries {
        history.go(one);
    }
    let state = &history.world.state;
    for lot in &history.lots {
        let flows = query::lot_flows(state, *lot).expect("state").expect("a lot");
        for view in BOTH {
            let of = explain(state, *lot, view, lots_max).expect("state").expect("a lot");
            let whole = if view == View::AsBooked { &flows.as_booked } else { &flows.as_restated };
            judge(&of, whole);
            assert!(of.opened <= lots_max);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Also while restatements are on their way, and however few lots are opened.
    #[test]
    fn shares_add_up_whatever_happened(
        tries in tries(60),
        steps in 1..6_usize,
        lots_max in prop_oneof![Just(MANY), 1..4_usize],
    ) {
        every_lot_is_explained(&tries, steps, lots_max);
    }

    #[test]
    fn what_is_shared_out_in_proportion_adds_up(
        value in any::<i128>(),
        parts in prop::collection::vec(any::<i64>().prop_map(|part| i128::from(part) << 40), 1..9),
    ) {
        let value = value >> 2;
        for parts in [parts.clone(), parts.iter().map(|part| part.saturating_abs()).collect()] {
            let total: i128 = parts.iter().sum();
            let mixed = parts.iter().any(|part| *part < 0) && parts.iter().any(|part| *part > 0);
            match crate::footprint::in_proportion(value, &parts) {
                None => prop_assert!(mixed || total == 0),
                Some(shares) => {
                    prop_assert!(!mixed && total != 0);
                    prop_assert_eq!(shares.iter().sum::<i128>(), value);
                    for (share, part) in shares.iter().zip(&parts) {
                        // Within one of value * part / total, by 256 bits.
                        let exact = ethnum::I256::from(value) * ethnum::I256::from(*part);
                        let floor = exact.div_euclid(ethnum::I256::from(total));
                        let above = ethnum::I256::from(*share) - floor;
                        let fits = ethnum::I256::from(-1)..=ethnum::I256::from(1);
                        prop_assert!(fits.contains(&above), "{share} of {exact}");
                    }
                }
            }
        }
    }
}
