//! Invariants over random histories: several machines of two organisations do whatever comes to
//! their mind, much of it refused. [`World::commit`] judges every single step (trial balance,
//! sources, proofs); here is what must hold beyond a step.

use super::table::BOOKKEEPING;
use super::table::Table as Names;
use super::world::*;
use crate::execute::{EventBody, Item, execute, execute_with};
use crate::footprint::{Dimension, DimensionSet, Footprint};
use crate::id::{LotId, MemberId, OrderId, RestatementId};
use crate::operation::*;
use crate::order::{CarbonPrice, FailureBearer, OrderState, OrderTerms, Settlement};
use crate::quantity::{Milligrams, Milliseconds, Minor, Quantity, Timestamp, Unit};
use crate::query;
use crate::restatement::{Correction, Restatement, RestatementDecision, Source};
use crate::rows::{LotRow, MeterRow, Origin, Table, key, read};
use crate::transaction::Transaction;
use crate::transformation::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::vec::Vec;

const MACHINES: [&str; 4] = ["printer", "mill", "press", "box"];
const METERS: [&str; 2] = ["meter", "gauge"];

/// What somebody tries to do; the numbers choose among what there is.
#[derive(Clone, Debug)]
pub struct Try {
    pub verb: u8,
    pub who: u8,
    pub lots: [u8; 2],
    pub order: u8,
    pub share: u16,
    pub amount: u32,
}

pub fn tries(length: usize) -> impl Strategy<Value = Vec<Try>> {
    let one = (any::<u8>(), any::<u8>(), any::<[u8; 2]>(), any::<u8>(), any::<u16>(), 0..5000_u32)
        .prop_map(|(verb, who, lots, order, share, amount)| Try {
            verb,
            who,
            lots,
            order,
            share,
            amount,
        });
    prop::collection::vec(one, 1..length)
}

/// What a history has brought about so far.
pub struct History {
    pub world: World,
    pub lots: Vec<LotId>,
    orders: Vec<OrderId>,
    restatements: Vec<RestatementId>,
    /// How many of the verbs may happen: those at the end restate.
    verbs: u8,
}

/// Every verb but those that restate.
pub const BOOKING: u8 = 16;
/// Every verb.
pub const ALL: u8 = 21;

impl History {
    pub fn begin(verbs: u8, steps: usize) -> Self {
        let mut world = World::new();
        world.apply("agency", std::vec![second_version()]);
        world.steps = steps;
        let mut names = Names::new(world);
        super::table::check_in(
            &mut names,
            "issue by=bank to=rail amount=20000  -> ok
             issue by=bank to=maker amount=20000 -> ok",
        );
        let (lots, orders, restatements) = (Vec::new(), Vec::new(), Vec::new());
        Self { world: names.world, lots, orders, restatements, verbs }
    }

    fn lot(&self, choice: u8) -> Option<(LotId, LotRow)> {
        let id = *self.lots.get(usize::from(choice) % self.lots.len().max(1))?;
        Some((id, query::lot(&self.world.state, id).expect("lot").expect("lot")))
    }

    /// A portion of a lot that is mostly there.
    fn portion(&self, choice: u8, share: u16) -> Option<Portion> {
        let (lot, row) = self.lot(choice)?;
        let part = u128::from(row.quantity.amount) * u128::from(share) / 60_000;
        let amount = u64::try_from(part).expect("a part");
        Some(Portion { lot, quantity: Quantity::new(amount, row.quantity.unit) })
    }

    /// The operation of a try, and whose key signs it: mostly, but not always, the right one.
    fn operation(&self, one: &Try) -> Option<(&'static str, Operation)> {
        let choice = usize::from(one.who);
        let anybody = MACHINES[choice % 4];
        let portion = || self.portion(one.lots[0], one.share);
        let owner = || Some(self.name_of(self.lot(one.lots[0])?.1.owner, anybody, choice));
        // One of the latest three, so that orders get somewhere before their deadlines.
        let order = self.orders.iter().rev().take(3).cycle().nth(one.order.into()).copied();
        let step = || Some(OrderStep { order: order? });
        let party = |provider: bool| {
            let row = query::order(&self.world.state, order?).expect("order")?;
            let id = if provider { row.terms.provider } else { row.buyer };
            Some(self.name_of(id, anybody, choice))
        };
        Some(match one.verb % self.verbs {
            0 | 1 => (anybody, declare(one)),
            2 => self.reading(one),
            3 => {
                let to = member(MACHINES[usize::from(one.order) % 4]);
                (owner()?, Operation::TransferLot(LotTransfer { portion: portion()?, to }))
            }
            4 if one.order.is_multiple_of(2) => self.keep(one)?,
            4 => {
                let metered = matches!(self.lot(one.lots[0])?.1.origin, Origin::Reading { .. });
                let kind = if metered { SinkKind::Upkeep } else { SinkKind::Scrapped };
                (owner()?, Operation::SinkLot(LotSink { portion: portion()?, kind }))
            }
            5 => (owner()?, Operation::Transform(self.transformation(one, portion()?)?)),
            6 | 7 => (owner().unwrap_or(anybody), self.place(one)),
            8 => (party(true)?, Operation::AcceptOrder(step()?)),
            9 => (party(true)?, Operation::StartOrder(step()?)),
            10 => (party(false)?, Operation::ConfirmOrder(step()?)),
            11..=13 => match query::order(&self.world.state, order?).expect("order")?.state {
                OrderState::Placed => (party(true)?, Operation::AcceptOrder(step()?)),
                OrderState::Accepted => (party(true)?, Operation::StartOrder(step()?)),
                OrderState::Completed => (party(false)?, Operation::ConfirmOrder(step()?)),
                _ => (party(true)?, self.complete(one, order?)?),
            },
            14 => (party(false)?, Operation::CancelOrder(step()?)),
            15 => (party(true)?, Operation::RejectOrder(step()?)),
            20 => {
                let waiting = self.restatements.iter().rev().take(2).cycle();
                let restatement = *waiting.clone().nth(one.order.into())?;
                let approve = !one.share.is_multiple_of(4);
                let decision = RestatementDecision { restatement, approve };
                ("auditor", Operation::DecideRestatement(decision))
            }
            _ => self.restate(one)?,
        })
    }

    /// Books a part of one of the latest readings as upkeep: the operator's as a rule, whose machine
    /// may, or the other company's, whose may not.
    fn keep(&self, one: &Try) -> Option<(&'static str, Operation)> {
        let read = |id: &LotId| {
            let row = query::lot(&self.world.state, *id).expect("lot")?;
            matches!(row.origin, Origin::Reading { .. }).then_some((*id, row))
        };
        let latest: Vec<_> = self.lots.iter().rev().filter_map(read).take(4).collect();
        let (lot, row) = latest.get(usize::from(one.lots[0]) % latest.len().max(1))?;
        // Half of the time all that is left of it.
        let part = row.quantity.amount / (1 + u64::from(one.share % 4 / 2));
        let portion = Portion { lot: *lot, quantity: Quantity::new(part, row.quantity.unit) };
        let by = self.name_of(row.owner, "mill", usize::from(one.who));
        Some((by, Operation::SinkLot(LotSink { portion, kind: SinkKind::Upkeep })))
    }

    /// A restatement of the source that a lot comes from, by whoever may.
    fn restate(&self, one: &Try) -> Option<(&'static str, Operation)> {
        let (mut id, mut row) = self.lot(one.lots[0])?;
        while let Origin::Part { lot } = row.origin {
            (id, row) = (lot, query::lot(&self.world.state, lot).expect("lot")?);
        }
        let factor =
            |code| if one.share.is_multiple_of(2) { factor_ref(code) } else { second_ref(code) };
        let amount = u64::from(one.amount) + 1;
        let (source, correction) = match row.origin {
            Origin::Made { transformation, .. } => {
                let amount = Quantity::new(amount, Unit::KilogramMetre);
                let correction = Correction::Amount { amount, factor: factor("haul") };
                (Source::Activity { transformation, activity: 0 }, correction)
            }
            Origin::Reading { .. } => (Source::Lot(id), Correction::Factor(factor("grid"))),
            _ => {
                let code = ["powder", "proxy", "bare", "powder", "large"][one.who as usize % 5];
                (Source::Lot(id), Correction::Factor(factor(code)))
            }
        };
        let evidence = one.share.is_multiple_of(3).then(|| super::table::evidence("text/plain"));
        let owner = member("printer") == row.owner || member("mill") == row.owner;
        let by = if owner || one.order == 0 { "maker" } else { "rail" };
        let reason = "better known".into();
        let restatement = Restatement { source, correction, reason, evidence };
        Some((by, Operation::Restate(restatement)))
    }

    /// Seven times of eight the name of that member, else anybody's.
    fn name_of(&self, id: MemberId, anybody: &'static str, choice: usize) -> &'static str {
        let found = MACHINES.into_iter().find(|name| member(name) == id);
        if choice >= 32 { found.unwrap_or(anybody) } else { anybody }
    }

    fn reading(&self, one: &Try) -> (&'static str, Operation) {
        let meter = METERS[usize::from(one.who) % 2];
        let row = meter_row(&self.world, meter);
        let from = row.register + u64::from(one.share == 0);
        // The gauge's register is short: it overflows again and again.
        let to = from + u64::from(one.amount) * 1000;
        let end = row.kind.register_end.expect("an end");
        let overflowed = to >= end;
        let reading = Reading {
            meter: member(meter),
            overflowed,
            evidence: None,
            register_from: from,
            register_to: if overflowed { to - end } else { to },
            from: row.read_until.max(Timestamp::new(BEGIN)),
            to: Timestamp::new(self.world.time),
            factor: factor_ref("grid"),
        };
        let host = ["printer", "press"][usize::from(one.who) % 2];
        let by = if one.share.is_multiple_of(4) { host } else { meter };
        (by, Operation::SubmitReading(reading))
    }

    fn transformation(&self, one: &Try, first: Portion) -> Option<Transformation> {
        let second = self.portion(one.lots[1], one.share / 2);
        let inputs: Vec<Portion> = core::iter::once(first).chain(second).collect();
        let mass = inputs.iter().map(|portion| {
            let row = query::lot(&self.world.state, portion.lot).expect("lot").expect("lot");
            let mass = u128::from(row.mass.get()) * u128::from(portion.quantity.amount);
            u64::try_from(mass / u128::from(row.quantity.amount.max(1))).expect("a mass")
        });
        let mass: u64 = mass.sum();
        let waste = mass / 3;
        let output = |product: &str, amount, mass, role, weight| Output {
            product: product.into(),
            quantity: Quantity::new(amount, Unit::Piece),
            mass: Milligrams::new(mass),
            role,
            weight,
        };
        let pieces = u64::from(one.amount % 7) + 1;
        Some(Transformation {
            inputs,
            activities: std::vec![Activity {
                name: "haul".into(),
                factor: factor_ref("haul"),
                amount: Quantity::new(u64::from(one.amount) + 1, Unit::KilogramMetre),
                evidence: None,
            }],
            outputs: std::vec![
                output("bracket", pieces, mass - waste, OutputRole::Product, 5),
                output("plate", 3, 0, OutputRole::ByProduct, u64::from(one.order)),
                output("chips", 1, waste, OutputRole::Waste, 1),
            ],
            allocation: AllocationRule::Economic,
            exempted_ppm: 0,
            mass_tolerance_ppm: 20_000,
            from: Timestamp::new(self.world.time),
            to: Timestamp::new(self.world.time),
            evidence: None,
        })
    }

    fn place(&self, one: &Try) -> Operation {
        let price = u64::from(one.amount);
        let provided = self.portion(one.lots[0], one.share / 2);
        Operation::PlaceOrder(OrderTerms {
            provider: member(MACHINES[usize::from(one.order) % 4]),
            service: "anything".into(),
            specification: None,
            product: "bracket".into(),
            quantity: Quantity::new(u64::from(one.amount % 7) + 1, Unit::Piece),
            settlement: Settlement::Account { currency: "EUR".into() },
            price: Minor::new(price),
            hold: Minor::new(price + price / 2),
            cancel_fee: Minor::new(price / 3),
            carbon_price: Some(CarbonPrice { per_kilogram: Minor::new(u64::from(one.share)) }),
            predicted_climate: Some(i128::from(one.share) << 20),
            climate_cap: None,
            required: DimensionSet::EMPTY,
            mass_tolerance_ppm: 1_000_000,
            accept_by: Timestamp::new(self.world.time + 10 * STEP),
            deliver_by: Timestamp::new(self.world.time + 20 * STEP),
            confirm_within: Milliseconds::new(5 * STEP),
            failure: FailureBearer::Buyer,
            provided: provided.filter(|portion| portion.quantity.amount > 0).into_iter().collect(),
            parent: self.orders.last().copied().filter(|_| one.share.is_multiple_of(5)),
            confirmer: None,
        })
    }

    fn complete(&self, one: &Try, order: OrderId) -> Option<Operation> {
        let row = query::order(&self.world.state, order).expect("order")?;
        // Something of the provider's own, a little of it.
        let stock = query::lots_of(&self.world.state, row.terms.provider, None, 50).expect("lots");
        let lot = *stock.ids.get(usize::from(one.lots[0]) % stock.ids.len().max(1))?;
        let unit = query::lot(&self.world.state, lot).expect("lot")?.quantity.unit;
        let little = Portion { lot, quantity: Quantity::new(1, unit) };
        let mut transformation = self.transformation(one, little)?;
        transformation.inputs.truncate(1);
        transformation.inputs.extend(row.provided.iter().filter_map(|lot| {
            let quantity = query::lot(&self.world.state, *lot).expect("lot")?.quantity;
            (quantity.amount > 0).then_some(Portion { lot: *lot, quantity })
        }));
        let outcome = match one.share % 4 {
            0 => Outcome::Failed,
            1 => Outcome::Partial,
            _ => Outcome::Complete,
        };
        match outcome {
            Outcome::Complete => transformation.outputs[0].quantity = row.terms.quantity,
            Outcome::Partial => {}
            Outcome::Failed => {
                transformation
                    .outputs
                    .iter_mut()
                    .for_each(|output| output.role = OutputRole::Waste);
            }
        }
        transformation.mass_tolerance_ppm = 1_000_000;
        Some(Operation::CompleteOrder(Completion { order, outcome, transformation }))
    }

    /// Signs what is tried, unless there is nothing to try it on.
    pub fn sign(&mut self, one: &Try) -> Option<Transaction> {
        let (by, operation) = self.operation(one)?;
        Some(self.world.sign(&keypair(by), std::vec![operation]))
    }

    /// Tries something in a commit of its own.
    pub fn go(&mut self, one: &Try) {
        let Some(transaction) = self.sign(one) else { return };
        let before = rows_without(&self.world.state, BOOKKEEPING);
        let commit = self.world.next(std::vec![Item::Transaction(transaction.clone())]);
        let again = execute_with(&commit, &self.world.state, self.world.steps);
        let effects = self.world.commit(commit.items);
        assert_eq!(Ok(&effects), again.as_ref(), "the same twice is not the same");
        let refused = effects.executed.iter().all(|executed| executed.result.is_err());
        if refused {
            let after = rows_without(&self.world.state, BOOKKEEPING);
            assert!(before == after, "a refused transaction changed something");
        }
        self.learn(&transaction);
    }

    pub fn learn(&mut self, transaction: &Transaction) {
        let id = transaction.id();
        let restatement = RestatementId::of(id, 0);
        let row = query::restatement(&self.world.state, restatement).expect("restatement");
        self.restatements.extend(row.map(|_| restatement));
        let lots = (0..4).map(|output| LotId::of(id, 0, output));
        let state = &self.world.state;
        self.lots.extend(lots.filter(|lot| query::lot(state, *lot).expect("lot").is_some()));
        let order = OrderId::of(id, 0);
        self.orders.extend(query::order(state, order).expect("order").map(|_| order));
    }
}

fn meter_row(world: &World, name: &str) -> MeterRow {
    let key = key(Table::Meter, &[member(name).as_bytes()]);
    read(&world.state, &key).expect("meter").expect("meter")
}

fn declare(one: &Try) -> Operation {
    let amount = u64::from(one.amount);
    let quantity = Quantity::new(amount, Unit::Milligram);
    Operation::DeclareLot(LotDeclaration {
        product: ["powder", "ingot"][usize::from(one.order) % 2].into(),
        quantity,
        mass: Milligrams::new(amount + u64::from(one.share == 1)),
        footprint: DeclaredFootprint::Factor(factor_ref(["powder", "proxy"][amount as usize % 2])),
        evidence: None,
    })
}

/// Every unit that a meter's register counted is in exactly one lot that a reading made.
fn every_reading_is_booked_once(world: &World) {
    for name in METERS {
        let mut booked = 0;
        let mut starts = BTreeSet::new();
        let turns = |lot: &LotRow| lot.created_at;
        for (key, value) in world.state.rows().filter(|(key, _)| key[0] == Table::Lot as u8) {
            let lot: LotRow = crate::codec::decode_trusted(value).expect("lot");
            if let Origin::Reading { meter, register_from, .. } = lot.origin
                && meter == member(name)
            {
                booked += lot.original;
                assert!(starts.insert((turns(&lot), register_from)), "read twice: {key:?}");
            }
        }
        let row = meter_row(world, name);
        let passed = row.overflows * row.kind.register_end.expect("an end");
        assert_eq!(booked, passed + row.register);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_tried_the_books_balance(tries in tries(60)) {
        let mut history = History::begin(ALL, 3);
        for one in &tries {
            history.go(one);
        }
        every_reading_is_booked_once(&history.world);
        super::upkeep::each_period_adds_up(&history.world);
        // Time passes until nothing is open: all holds end, and the books still balance.
        history.world.wait(100 * STEP);
        history.world.wait(100 * STEP);
        let balance = crate::balance::check(&history.world.state).expect("balance");
        prop_assert_eq!(balance.currencies[0].money.held, Minor::ZERO);
    }

    #[test]
    fn one_commit_or_many_make_the_same_state(tries in tries(40)) {
        let mut history = History::begin(BOOKING, 1);
        let mut signed = Vec::new();
        let begin = history.world.clone();
        for one in &tries {
            if let Some(transaction) = history.sign(one) {
                let mut next = history.world.next(std::vec![Item::Transaction(transaction.clone())]);
                next.time = Timestamp::new(begin.time);
                let effects = execute(&next, &history.world.state).expect("execute");
                history.world.state.apply(&effects.writes);
                history.world.commit += 1;
                history.learn(&transaction);
                signed.push(transaction);
            }
        }
        let mut next = begin.next(signed.into_iter().map(Item::Transaction).collect());
        next.time = Timestamp::new(begin.time);
        let effects = execute(&next, &begin.state).expect("execute");
        let mut state = begin.state.clone();
        state.apply(&effects.writes);
        let skip = [Table::Ledger, Table::Transaction];
        prop_assert_eq!(rows_without(&state, &skip), rows_without(&history.world.state, &skip));
        let many = query::ledger(&history.world.state).expect("ledger");
        prop_assert_eq!(effects.log_root, many.log_root);
    }

    #[test]
    fn a_share_never_exceeds_and_all_takes_all(
        values in prop::collection::vec(any::<i64>(), crate::footprint::DIMENSIONS),
        shift in 0..60_u32,
        whole in 1..u64::MAX,
        part in any::<u64>(),
    ) {
        let footprint = footprint(&values, shift);
        let part = part % (whole + 1);
        let share = footprint.share(part, whole).expect("share");
        let rest = footprint.checked_sub(&share).expect("rest");
        prop_assert_eq!(rest.checked_add(&share).expect("sum"), footprint.clone());
        prop_assert_eq!(footprint.share(whole, whole).expect("all"), footprint.clone());
        for dimension in Dimension::ALL {
            let (share, all) = (share.get(*dimension), footprint.get(*dimension));
let within = if all >= 0 { 0..=all } else { all..=0 };
            prop_assert!(within.contains(&share), "{share} of {all}");
        }
        prop_assert!(footprint.share(1, 0).is_err() && footprint.share(2, 1).is_err());
    }

    #[test]
    fn allocation_gives_away_exactly_everything(
        values in prop::collection::vec(any::<i64>(), crate::footprint::DIMENSIONS),
        shift in 0..60_u32,
        weights in prop::collection::vec(any::<u64>(), 1..9),
    ) {
        let footprint = footprint(&values, shift);
        let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
        prop_assume!(total > 0);
        let parts = footprint.allocate(&weights).expect("allocate");
        let mut sum = Footprint::ZERO;
        for (part, weight) in parts.iter().zip(&weights) {
            sum = sum.checked_add(part).expect("sum");
            if *weight == 0 {
                prop_assert!(part.is_zero());
            }
        }
        prop_assert_eq!(sum.values(), footprint.values());
        prop_assert!(footprint.allocate(&[0, 0]).is_err());
    }
}

fn footprint(values: &[i64], shift: u32) -> Footprint {
    let mut footprint = Footprint::ZERO;
    for (dimension, value) in Dimension::ALL.iter().zip(values) {
        footprint.set(*dimension, i128::from(*value) << shift);
    }
    footprint
}

#[test]
fn the_random_histories_reach_what_matters() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut states = BTreeSet::new();
    let mut refusals = BTreeSet::new();
    for _ in 0..30 {
        let tries = tries(80).new_tree(&mut runner).expect("tries").current();
        let mut history = History::begin(ALL, 9);
        for one in &tries {
            history.go(one);
        }
        for event in history.world.log.iter().flat_map(|(_, effects)| &effects.events) {
            if let EventBody::Order { state, .. } = event.body {
                states.insert(state);
            }
        }
        for (_, value) in
            history.world.state.rows().filter(|(key, _)| key[0] == Table::Transaction as u8)
        {
            let row: crate::rows::TransactionRow =
                crate::codec::decode_trusted(value).expect("transaction");
            refusals.extend(row.result.err().map(|rejection| rejection.code));
        }
    }
    assert!(states.len() >= 8, "orders only came to {states:?}");
    assert!(refusals.len() >= 10, "only refused for {refusals:?}");
}
