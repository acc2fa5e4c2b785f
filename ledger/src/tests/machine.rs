//! Long random histories, every commit of them judged by an [`Oracle`] that knows the log alone.
//!
//! `KERBHOLZ_OPERATIONS` says how many operations are tried in all (20,000 where it is not set), and
//! `KERBHOLZ_SEED` where the random numbers begin. A million, in release:
//!
//! ```text
//! KERBHOLZ_OPERATIONS=1000000 cargo test --release -p kerbholz-ledger machine -- --nocapture
//! ```

use super::oracle::{Books, Oracle, Values};
use super::properties::{ALL, History, Try};
use super::world::*;
use crate::balance;
use crate::execute::{Effects, Item, execute_with};
use crate::footprint::Footprint;
use crate::memory::Memory;
use crate::query;
use crate::rows::{LedgerRow, LotRow, Read, SinkRow, Table, WorkRow};
use crate::transaction::Transaction;
use crate::upkeep::upkeep;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::println;
use std::vec::Vec;

/// Operations of one history: enough for chains of some depth, few enough for the oracle.
const HISTORY: u64 = 250;

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name);
    text.map_or(default, |text| text.parse().expect("a number"))
}

/// The sums of the rows, kept by their changes.
#[derive(Default)]
struct Sums {
    stock: Values,
    sinks: Values,
    in_transit: Values,
}

fn change(sum: &mut Values, old: Option<&Footprint>, new: Option<&Footprint>) {
    for (sign, footprint) in [(-1, old), (1, new)] {
        let Some(footprint) = footprint else { continue };
        for (sum, value) in sum.of.iter_mut().zip(footprint.values()) {
            *sum += sign * value;
        }
    }
}

impl Sums {
    fn of(state: &Memory) -> Self {
        let mut sums = Self::default();
        for (key, value) in state.rows() {
            sums.row(key, None, Some(value));
        }
        sums
    }

    fn row(&mut self, key: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) {
        fn decode<T: serde::de::DeserializeOwned>(bytes: Option<&[u8]>) -> Option<T> {
            bytes.map(|bytes| crate::codec::decode_trusted(bytes).expect("row"))
        }
        let table = key[0];
        if table == Table::Lot as u8 {
            let (old, new) = (decode::<LotRow>(old), decode::<LotRow>(new));
            let (old, new) = (old.map(|row| row.footprint), new.map(|row| row.footprint));
            change(&mut self.stock, old.as_ref(), new.as_ref());
        } else if table == Table::Sink as u8 {
            let (old, new) = (decode::<SinkRow>(old), decode::<SinkRow>(new));
            let (old, new) = (old.map(|row| row.taken), new.map(|row| row.taken));
            let (old, new) = (old.map(|taken| taken.footprint), new.map(|taken| taken.footprint));
            change(&mut self.sinks, old.as_ref(), new.as_ref());
        } else if table == Table::Work as u8 {
            let (old, new) = (decode::<WorkRow>(old), decode::<WorkRow>(new));
            let (old, new) = (old.map(|row| row.change), new.map(|row| row.change));
            change(&mut self.in_transit, old.as_ref(), new.as_ref());
        }
    }

    fn commit(&mut self, before: &Memory, effects: &Effects) {
        for write in &effects.writes {
            let old = before.get(&write.key).expect("read");
            self.row(&write.key, old.as_deref(), write.value.as_deref());
        }
    }
}

/// A history under judgement.
struct Judged {
    history: History,
    oracle: Oracle,
    sums: Sums,
    applied: u64,
    restated: u64,
    in_transit: u64,
    /// Sinks of upkeep, and the hours that the ledger was kept going in.
    upkeep: usize,
    hours: usize,
}

impl Judged {
    fn begin(steps: usize) -> Self {
        // What made the world is part of the log, too.
        let mut oracle = Oracle::default();
        let history = History::begin(ALL, steps);
        for (commit, effects) in &history.world.log {
            oracle.commit(commit, effects);
        }
        let sums = Sums::of(&history.world.state);
        let (applied, restated, in_transit, upkeep, hours) = (0, 0, 0, 0, 0);
        Self { history, oracle, sums, applied, restated, in_transit, upkeep, hours }
    }

    fn ledger(&self) -> LedgerRow {
        query::ledger(&self.history.world.state).expect("ledger")
    }

    fn commit(&mut self, transactions: &[Transaction], whole: bool) {
        let items: Vec<_> = transactions.iter().cloned().map(Item::Transaction).collect();
        let world = &mut self.history.world;
        let commit = world.next(items);
        let effects = execute_with(&commit, &world.state, world.steps).expect("execute");
        self.sums.commit(&world.state, &effects);
        world.state.apply(&effects.writes);
        world.commit += 1;
        world.time += STEP;
        self.oracle.commit(&commit, &effects);
        transactions.iter().for_each(|transaction| self.history.learn(transaction));
        self.applied += effects.executed.iter().filter(|one| one.result.is_ok()).count() as u64;
        self.judge(whole);
    }

    /// Conservation always; all there is where nothing is under way.
    fn judge(&mut self, whole: bool) {
        let ledger = self.ledger();
        for (what, kept, found) in [
            ("stock", &ledger.stock, &self.sums.stock),
            ("sinks", &ledger.sinks, &self.sums.sinks),
            ("in transit", &ledger.in_transit, &self.sums.in_transit),
        ] {
            assert_eq!(kept.values(), &found.of, "{what}");
        }
        let settled = self.sums.in_transit.of == [0; _] && self.waits().is_none();
        self.in_transit += u64::from(!settled);
        if !whole {
            return;
        }
        let books = self.oracle.evaluate();
        assert_eq!(ledger.sources.values(), &books.sources.of, "sources");
        balance::check(&self.history.world.state).expect("balance");
        self.judge_upkeep(&books, settled);
        if settled {
            assert_eq!(ledger.stock.values(), &books.stock.of, "stock by the log");
            assert_eq!(ledger.sinks.values(), &books.sinks.of, "sinks by the log");
            for (id, expected) in &books.lots {
                let row = query::lot(&self.history.world.state, *id).expect("lot").expect("lot");
                let found = (row.quantity.amount, Values::read(&row.footprint));
                assert_eq!(&found, expected, "lot {id}");
            }
        }
    }

    /// Each hour of the ledger itself has its transactions and sinks, and its shares add up; there are
    /// no other hours.
    fn judge_upkeep(&mut self, books: &Books, settled: bool) {
        let state = &self.history.world.state;
        for (hour, expected) in &books.upkeep {
            let found = upkeep(state, *hour).expect("upkeep").expect("rules");
            let (transactions, sinks) = (expected.transactions, expected.sinks);
            assert_eq!((found.transactions, found.sinks.len()), (transactions, sinks));
            assert_eq!((found.from.get(), found.to.get()), (hour * HOUR, (hour + 1) * HOUR));
            if settled {
                assert_eq!(Values::read(&found.total), expected.total, "upkeep of hour {hour}");
            }
            let Some(shares) = found.shares().expect("shares") else { continue };
            let parts = shares.each.values().iter().zip(shares.rest.values());
            for ((each, rest), total) in parts.zip(found.total.values()) {
                let count = i128::from(transactions);
                assert_eq!((*each, *rest), (total.div_euclid(count), total.rem_euclid(count)));
            }
        }
        let rows = |table: Table| state.scan(&[table as u8], &[], usize::MAX).expect("scan").len();
        let sinks = books.upkeep.values().map(|hour| hour.sinks).sum();
        let hours = books.upkeep.values().filter(|hour| hour.transactions > 0).count();
        assert_eq!((rows(Table::UpkeepSink), rows(Table::UpkeepCount)), (sinks, hours));
        (self.upkeep, self.hours) = (sinks, hours);
    }

    fn waits(&self) -> Option<()> {
        let prefix = [Table::Work as u8];
        let rows = self.history.world.state.scan(&prefix, &prefix, 1).expect("scan");
        rows.first().map(|_| ())
    }

    /// Lets everything that is under way arrive, and then judges all there is.
    fn end(&mut self) {
        for _ in 0..1_000_000 {
            if self.waits().is_none() {
                break;
            }
            self.commit(&[], false);
        }
        assert!(self.waits().is_none(), "a difference does not arrive");
        self.judge(true);
        let state = &self.history.world.state;
        let rows = state.scan(&[Table::Restatement as u8], &[], usize::MAX).expect("scan");
        self.restated += rows.len() as u64;
    }
}

fn one(random: &mut SmallRng) -> Try {
    Try {
        verb: random.random(),
        who: random.random(),
        lots: random.random(),
        order: random.random(),
        share: random.random(),
        amount: random.random_range(0..5000),
    }
}

#[test]
fn every_commit_of_long_histories_balances_by_the_log_alone() {
    let operations = setting("KERBHOLZ_OPERATIONS", 20_000);
    let seed = setting("KERBHOLZ_SEED", 1);
    let (mut tried, mut applied, mut restated, mut under_way, mut number) = (0, 0, 0, 0, 0);
    let (mut upkeep, mut hours) = (0, 0);
    while tried < operations {
        let mut random = SmallRng::seed_from_u64(seed.wrapping_mul(1 << 32) + number);
        let steps = [1, 2, 5, 40, 512][number as usize % 5];
        let mut judged = Judged::begin(steps);
        let mut in_history = 0;
        while in_history < HISTORY {
            let together: usize = random.random_range(1..4);
            // Now and then so much time passes that the next hour begins, or one is left out.
            if random.random_range(0..40) == 0 {
                judged.history.world.time += random.random_range(0..3 * HOUR);
            }
            let mut transactions = Vec::new();
            for _ in 0..together {
                transactions.extend(judged.history.sign(&one(&mut random)));
                in_history += 1;
            }
            judged.commit(&transactions, random.random_range(0..8) == 0);
        }
        judged.end();
        tried += in_history;
        (applied, restated) = (applied + judged.applied, restated + judged.restated);
        (under_way, number) = (under_way + judged.in_transit, number + 1);
        (upkeep, hours) = (upkeep + judged.upkeep, hours + judged.hours);
    }
    println!(
        "{tried} operations tried in {number} histories from seed {seed}: {applied} applied, \
         {restated} restatements asked for, {under_way} commits with a difference under way, \
         {upkeep} sinks of upkeep in {hours} hours"
    );
    assert!(restated > operations / 1000, "restatements hardly came about");
    assert!(upkeep as u64 > operations / 1000, "upkeep was hardly booked");
    assert!(hours as u64 > 2 * number, "hours hardly passed");
    assert!(under_way > operations / 1000, "hardly anything was ever under way");
}
