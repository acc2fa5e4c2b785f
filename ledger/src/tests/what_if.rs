//! What the books would say under other factors is what they say once every source was restated, one
//! by one and for real.

use super::properties::{ALL, BOOKING, History, Try, tries};
use super::table::{Table as Names, check_in};
use super::world::*;
use crate::execute::{KeptBecause, what_if};
use crate::factor::{Factor, FactorRef};
use crate::footprint::Dimension;
use crate::id::{LotId, RestatementId, TransformationId};
use crate::operation::{Evidence, Operation};
use crate::query;
use crate::rejection::Code;
use crate::restatement::{Correction, Restatement, RestatementDecision, Source};
use crate::rows::{LotRow, Origin, Table, TransformationRow};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec::Vec;

fn second_factors() -> Vec<Factor> {
    match second_version() {
        Operation::PublishFactors(set) => set.factors,
        _ => Vec::new(),
    }
}

/// Restates a source to the second version of its factor, with an auditor's word.
fn restate(world: &mut World, source: Source, factor: &FactorRef, evidence: Option<Evidence>) {
    let correction = Correction::Factor(second_ref(&factor.code));
    let reason = "what if".into();
    let operation = Operation::Restate(Restatement { source, correction, reason, evidence });
    for by in ["maker", "rail"] {
        let transaction = world.sign(&keypair(by), std::vec![operation.clone()]);
        world.commit(std::vec![crate::execute::Item::Transaction(transaction.clone())]);
        let restatement = RestatementId::of(transaction.id(), 0);
        if query::restatement(&world.state, restatement).expect("state").is_some() {
            let decision = RestatementDecision { restatement, approve: true };
            let decision = std::vec![Operation::DecideRestatement(decision)];
            // Refused where it was too small to need it.
            let decision = world.sign(&keypair("auditor"), decision);
            world.commit(std::vec![crate::execute::Item::Transaction(decision)]);
        }
    }
}

fn all<T: serde::de::DeserializeOwned>(world: &World, table: Table) -> Vec<([u8; 32], T)> {
    let mut rows = Vec::new();
    crate::balance::each(&world.state, table, |id, row: T| {
        rows.push((id.try_into().expect("an id"), row));
        Ok::<_, crate::rows::ReadError>(())
    })
    .expect("state");
    rows
}

fn restate_everything(world: &mut World) {
    let lots: Vec<([u8; 32], LotRow)> = all(world, Table::Lot);
    for (id, lot) in lots {
        let source = Source::Lot(LotId::new(id));
        match lot.origin {
            Origin::Reading { factor, evidence, .. }
            | Origin::Declared { factor: Some(factor), evidence } => {
                restate(world, source, &factor, evidence);
            }
            _ => {}
        }
    }
    let made: Vec<([u8; 32], TransformationRow)> = all(world, Table::Transformation);
    for (id, row) in made {
        let transformation = TransformationId::new(id);
        for (booked, activity) in row.activities.into_iter().zip(0..) {
            let source = Source::Activity { transformation, activity };
            restate(world, source, &booked.activity.factor, booked.activity.evidence);
        }
    }
    while !query::ledger(&world.state).expect("ledger").in_transit.is_zero() {
        world.wait(STEP);
    }
    // Sets may still be on their way when the sums are not.
    (0..50).for_each(|_| drop(world.wait(STEP)));
}

fn agrees_with_restating(tries: &[Try], verbs: u8) {
    let mut history = History::begin(verbs, 4);
    for one in tries {
        history.go(one);
    }
    let before = history.world.state.clone();
    let found = what_if(&before, &second_factors()).expect("what if");
    assert!(before == history.world.state, "it changed something");
    restate_everything(&mut history.world);
    let state = &history.world.state;
    let would_be: BTreeMap<LotId, _> =
        found.lots.iter().map(|lot| (lot.lot, &lot.whole.would_be)).collect();
    for lot in &history.lots {
        let row = query::lot(state, *lot).expect("state").expect("a lot");
        let whole = query::whole(state, *lot, &row).expect("whole");
        match would_be.get(lot) {
            Some(footprint) => assert_eq!(**footprint, whole),
            None => {
                let was = query::lot(&before, *lot).expect("state").expect("a lot");
                let was = query::whole(&before, *lot, &was).expect("whole");
                // A restatement from before may still have been on its way.
                assert!(verbs == ALL || was == whole);
            }
        }
    }
    let ledger = query::ledger(state).expect("ledger");
    assert_eq!(found.sources.would_be.values(), ledger.sources.values());
    assert_eq!(found.stock.would_be.values(), ledger.stock.values());
    assert_eq!(found.sinks.would_be.values(), ledger.sinks.values());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn it_agrees_with_restating_for_real(tries in tries(40)) {
        agrees_with_restating(&tries, BOOKING);
    }

    #[test]
    fn it_agrees_after_restatements_too(tries in tries(40)) {
        agrees_with_restating(&tries, ALL);
    }
}

#[test]
fn it_says_what_stays_and_why() {
    let mut table = Names::new(World::new());
    check_in(
        &mut table,
        "declare  powder amount=1kg factor=powder                             -> ok
         declare  own    amount=1kg imported=plain                            -> ok
         declare  resin  amount=1kg factor=proxy                              -> ok
         declare  bare   amount=1kg factor=bare                               -> ok
         transform in=powder:1kg does=haul:5kgm:haul out=part:1pc:1kg:product:1 as=part -> ok",
    );
    let mut factors = second_factors();
    factors.retain(|factor| factor.code != "bare");
    for factor in &mut factors {
        match factor.code.as_str() {
            "proxy" => factor.valid_until = factor.valid_from,
            "haul" => factor.reference.unit = crate::quantity::Unit::Piece,
            _ => {}
        }
    }
    let found = what_if(&table.world.state, &factors).expect("what if");
    let mut kept: Vec<_> =
        found.kept.iter().map(|kept| (kept.why, kept.code.clone().unwrap_or_default())).collect();
    kept.sort();
    assert_eq!(
        kept,
        [
            (KeptBecause::NoSuchCode, "bare".to_string()),
            (KeptBecause::Imported, String::new()),
            (KeptBecause::Refused(Code::UnitMismatch), "haul".to_string()),
            (KeptBecause::Refused(Code::FactorNotValidThen), "proxy".to_string()),
        ]
    );
    assert_eq!(found.replaced, 1);
    let lots: Vec<LotId> = found.lots.iter().map(|lot| lot.lot).collect();
    assert_eq!(lots, [table.lots["powder"], table.lots["part"]]);
    let climate = |of: &crate::execute::Difference| {
        of.would_be.get(Dimension::Climate) - of.is.get(Dimension::Climate)
    };
    // Half as much again of 8.000000000001 kg, rounded as the booking rounds.
    assert_eq!(climate(&found.lots[1].whole), climate(&found.sources));
    assert_ne!(climate(&found.sources), 0);
}
