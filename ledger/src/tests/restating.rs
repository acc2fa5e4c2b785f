//! Restatements: what they come to, step by step, and that in the end the books are those of a
//! history in which the source was right from the start.

use super::table::{Table, check_in};
use super::world::*;
use crate::avoided::Beside;
use crate::balance;
use crate::footprint::{Dimension, EvidenceTier};
use crate::limit::{Limit, LimitAction, LimitScope};
use crate::operation::SinkKind;
use crate::quantity::{Quantity, Timestamp, Unit};
use crate::query;
use std::vec::Vec;

#[test]
fn a_difference_follows_its_lot() {
    let mut table = Table::new(World::new());
    // 7 kg CO2e per kilogram against a little more than 8.
    check_in(
        &mut table,
        "declare  powder amount=1kg factor=proxy                              -> ok
         transfer gift by=printer of=powder:250g to=press                     -> ok
         sink     by=press of=gift:125g                                       -> ok
         transform in=powder:500g out=part:1pc:400g:product:3,plate:1pc:100g:byproduct:1 as=part,plate -> ok
         footprint powder                                                     -> 1750000000000
         restate  r lot=powder factor=powder                                  -> ok
         restatement r                                                        -> applied
         transit                                                              -> 0
         footprint powder                                                     -> 2000000000001
         whole    powder booked=1                                               -> 7000000000000
         whole    powder                                                      -> 8000000000001
         whole    gift booked=1                                                 -> 1750000000000
         whole    gift                                                        -> 2000000000000
         footprint gift                                                       -> 1000000000000
         whole    part booked=1                                                 -> 2625000000000
         whole    part                                                        -> 3000000000000
         whole    plate                                                       -> 1000000000000
         footprint part of=Energy                                             -> 33750000",
    );
}

/// Above a threshold an auditor decides; money stays as it was agreed.
#[test]
fn money_stays_as_it_was_agreed() {
    let mut table = Table::new(World::new());
    check_in(
        &mut table,
        "issue    by=bank to=rail amount=100000                               -> ok
         declare  powder amount=1kg factor=proxy                              -> ok
         place    o by=press price=1000 hold=9000 carbon=100 predicted=7000000000000 -> ok
         accept   o by=printer                                                -> ok
         start    o by=printer                                                -> ok
         complete o in=powder:1kg out=bracket:10pc:1kg as=part                -> ok
         restate  r lot=powder factor=bare                                    -> ok
         restatement r                                                        -> proposed
         whole    part                                                        -> 7000000000000
         decide   r by=auditor                                                -> ok
         whole    part                                                        -> not declared
         confirm  o by=press                                                  -> ok
         order    o                                                           -> settled, paid 1000",
    );
}

/// Of ten bytes each: many takings, few steps, and others take while the difference is under way.
#[test]
fn a_difference_takes_its_time() {
    let mut world = World::new();
    world.steps = 2;
    let mut table = Table::new(world);
    check_in(&mut table, "declare powder amount=1kg factor=proxy -> ok");
    for part in 0..8 {
        check_in(&mut table, &std::format!("transfer p{part} of=powder:100g to=press -> ok"));
    }
    check_in(
        &mut table,
        "restate  r lot=powder factor=powder                                  -> ok
         transit                                                              -> 1000000000001
         whole    p0                                                          -> 700000000000
         transfer late of=powder:100g to=press                                -> ok
         whole    late                                                        -> 700000000000
         whole    powder                                                      -> 8000000000001
         wait                                                                 -> 1 executed
         whole    p0                                                          -> 700000000000",
    );
    let mut commits = 0;
    while table.world.wait(STEP).executed.len() == 1 {
        commits += 1;
        assert!(commits < 100, "a difference does not arrive");
    }
    check_in(
        &mut table,
        "transit                                                              -> 0
         whole    p0                                                          -> 800000000000
         whole    late                                                        -> 800000000000
         footprint powder                                                     -> 800000000001
         whole    late booked=1                                               -> 700000000000",
    );
}

/// Two ways lead from a source to one part: their differences meet before they go on.
#[test]
fn differences_of_two_ways_meet() {
    let mut world = World::new();
    world.steps = 1;
    let mut table = Table::new(world);
    check_in(
        &mut table,
        "declare  ore amount=1kg factor=proxy                                 -> ok
         transform in=ore:400g out=rod:1pc:400g as=rod                        -> ok
         transform in=ore:600g out=tube:1pc:600g as=tube                      -> ok
         transform in=rod:1pc,tube:1pc out=frame:1pc:1kg as=frame             -> ok
         restate  r lot=ore factor=powder                                     -> ok",
    );
    let (mut commits, mut arrived) = (0, 0);
    let mut before = query::lot(&table.world.state, table.lots["frame"]).expect("lot");
    while table.world.wait(STEP).executed.len() == 1 {
        let now = query::lot(&table.world.state, table.lots["frame"]).expect("lot");
        arrived += u32::from(now != before);
        before = now;
        commits += 1;
        assert!(commits < 100, "a difference does not arrive");
    }
    assert_eq!(arrived, 1, "the frame was gone through more than once");
    check_in(&mut table, "whole frame -> 8000000000001\n whole frame booked=1 -> 7000000000000");
}

#[test]
fn limits_flag_and_count() {
    let mut table = Table::new(World::new());
    check_in(
        &mut table,
        "declare  powder amount=10kg factor=proxy                             -> ok
         limits   by=maker machine=any:1000000000000000:7000000000000:flag organisation=1000000000000000:10000000000000:refuse -> ok
         place    o1 by=press amount=1pc                                      -> ok
         accept   o1                                                          -> ok
         start    o1                                                          -> ok
         complete o1 in=powder:1kg out=bracket:1pc:1kg                        -> ok
         order    o1                                                          -> completed
         place    o2 by=press amount=1pc                                      -> ok
         accept   o2                                                          -> ok
         start    o2                                                          -> ok
         complete o2 in=powder:1kg out=bracket:1pc:1kg                        -> limit_exceeded
         complete o2 in=powder:200g out=bracket:1pc:200g                      -> ok
         order    o2                                                          -> completed, above b at 8400000000000
         place    o3 by=mill amount=1pc                                       -> ok
         accept   o3                                                          -> ok
         start    o3                                                          -> ok
         complete o3 in=powder:1kg out=bracket:1pc:1kg                        -> ok
         order    o3                                                          -> completed, above b at 15400000000000
         confirm  o3 by=mill                                                  -> ok
         order    o3                                                          -> settled, paid 0, above b at 15400000000000",
    );
    let flagged = query::flagged_of(&table.world.state, member("maker"), None, 9).expect("flagged");
    assert_eq!(flagged.ids.len(), 2);
    let limits = query::limits(&table.world.state, Some(member("maker"))).expect("limits");
    let count = |limit, of| {
        let (by, now) = (Some(member("maker")), Timestamp::new(table.world.time));
        query::limit_count(&table.world.state, by, limit, member(of), now).expect("count")
    };
    assert_eq!(count(&limits[0], "printer"), 15_400_000_000_000);
    // What the mill ordered stays in the organisation.
    assert_eq!(count(&limits[1], "maker"), 8_400_000_000_000);
}

/// The network's limits bind everybody; what cannot be judged is said, and so is what is mixed.
#[test]
fn flags_say_what_is_doubtful() {
    let per = Quantity::new(1, Unit::Piece);
    let limit = Limit {
        name: "bracket".into(),
        scope: LimitScope::Product { product: "bracket".into(), per },
        dimension: Dimension::Acidification,
        cap: 0,
        action: LimitAction::Flag,
    };
    let mut table = Table::new(World::limited(std::vec![limit]));
    check_in(
        &mut table,
        "declare  powder                                                      -> ok
         declare  theirs imported=default                                     -> ok
         place    o by=press amount=1pc                                       -> ok
         accept   o                                                           -> ok
         start    o                                                           -> ok
         complete o in=powder:500g,theirs:500g out=bracket:1pc:1kg            -> ok
         order    o                                                           -> completed, bracket undeclared, mixed reports",
    );
}

#[test]
fn what_is_avoided_is_shown_beside() {
    let mut table = Table::new(World::new());
    check_in(
        &mut table,
        "declare  powder amount=1kg factor=proxy                              -> ok
         avoid    lot=powder amount=2kg factor=proxy                          -> ok
         sink     of=powder:1kg kind=landfill                                 -> ok",
    );
    let beside = Beside::Lot(table.lots["powder"]);
    let burdens = query::avoided(&table.world.state, beside, 9).expect("avoided");
    assert_eq!(burdens.len(), 1);
    assert_eq!(burdens[0].footprint.get(Dimension::Climate), 14_000_000_000_000);
    let balance = balance::check(&table.world.state).expect("balance");
    assert_eq!(balance.sources.get(Dimension::Climate), 7_000_000_000_000);
    let routes: Vec<_> = balance.routes.iter().map(|(route, _)| *route).collect();
    assert_eq!(routes, [SinkKind::Landfilled]);
}

/// Where a rating is missing, the average is not declared; the figure itself is.
#[test]
fn a_missing_rating_is_not_the_best_one() {
    let mut one = factor("one", Quantity::new(1, Unit::Milligram), &[(Dimension::Climate, 5)]);
    one.quality.time = 0;
    let footprint = one.apply(3, EvidenceTier::Derived).expect("applied");
    assert_eq!(footprint.declared(Dimension::ClimateByTimeRating), None);
    assert_eq!(footprint.declared(Dimension::ClimateByTechnologyRating), Some(15));
    assert_eq!(footprint.declared(Dimension::Climate), Some(15));
}

/// The machine's own key makes no measurement.
#[test]
fn a_reading_signed_by_the_host_is_not_measured() {
    let mut table = Table::new(World::new());
    check_in(
        &mut table,
        "reading  a by=meter from=0 to=3600000                                -> ok
         reading  b by=printer from=3600000 to=7200000                        -> ok
         reading  c by=printer from=7200000 to=10800000 evidence=image/png    -> ok
         footprint a of=ClimateMeasured                                       -> 400000000000
         footprint b of=ClimateDefault                                        -> 400000000000
         footprint c of=ClimateDerived                                        -> 400000000000",
    );
}
