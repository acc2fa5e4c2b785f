//! Money and allowances: what is refused, what is counted, and the same once more by a model.

use super::table::{Table, check, check_in};
use super::world::*;
use crate::balance;
use crate::query;
use crate::rejection::Code;
use crate::rows::{Read, Table as Rows};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

pub const REFUSALS: &str = "
    pay      by=press                                        -> wrong_signer
    pay      by=bank key=owner                               -> wrong_signer
    pay      by=bank currency=long17                         -> field_invalid
    pay      by=bank memo=long129                            -> field_invalid
    pay      by=bank amount=0                                -> zero_amount
    pay      by=bank to=nobody                               -> unknown_member
    pay      by=bank to=press                                -> wrong_kind
    pay      by=bank to=bank                                 -> transfer_to_self
    pay      by=bank currency=XXX                            -> unknown_currency
    pay      by=bank amount=1                                -> insufficient_funds
    issue    by=bank to=bank amount=1000                     -> ok
    pay      by=bank to=rail amount=1001                     -> insufficient_funds
    pay      by=bank to=rail amount=900                      -> ok
    account  bank                                            -> 100 available, 0 held
    account  rail                                            -> 900 available, 0 held
    # What is held is not there to be given.
    place    o by=press price=600                            -> ok
    pay      by=rail to=maker amount=301                     -> insufficient_funds
    pay      by=rail to=maker amount=300                     -> ok

    allow    press by=press eur=1:                           -> wrong_signer
    allow    press by=rail key=owner eur=1:                  -> wrong_signer
    allow    nobody by=rail eur=1:                           -> unknown_member
    allow    press by=maker eur=1:                           -> not_in_organisation
    allow    gauge by=rail eur=1:                            -> wrong_kind
    allow    press by=rail eur=1: period=0                   -> allowance_invalid
    allow    press by=rail eur=1: long=1:                    -> allowance_invalid
    allow    press by=rail eur=1: lower=1:                   -> allowance_invalid
    allow    press by=rail eur=1: many=1                     -> allowance_invalid
    allow    press by=rail climate=-1:                       -> allowance_invalid
    allow    press by=rail climate=:-1                       -> allowance_invalid
    issue    by=bank to=rail amount=100000                   -> ok
    allow    any by=rail eur=100:150 period=3600000000       -> ok
    place    p by=press price=101                            -> order_above_allowance
    place    p by=press price=100 currency=USD external=1    -> currency_not_allowed
    # An order outside the ledger's money counts as well.
    place    p by=press price=100 external=1                 -> ok
    place    q by=press price=51                             -> period_above_allowance
    # The box falls under the same rule, and has its own count.
    place    q by=box price=60 hold=100                      -> ok
    spent    press                                           -> 100 EUR, 0 of climate
    spent    box                                             -> 100 EUR, 0 of climate
    # An order for nothing is no matter of money.
    place    r by=press price=0                              -> ok
    # What an order did not cost may be spent again.
    reject   p by=printer                                    -> ok
    spent    press                                           -> 0 EUR, 0 of climate
    # Its own allowance stands above the general one.
    allow    press by=rail eur=:30 climate=1000:1500 period=3600000000 -> ok
    place    s by=press price=20                             -> prediction_missing
    place    s by=press price=20 predicted=1001              -> order_above_allowance
    place    s by=press price=20 predicted=900               -> ok
    place    t by=press predicted=1 cap=601                  -> period_above_allowance
    place    t by=press predicted=900 cap=600                -> ok
    spent    press                                           -> 20 EUR, 1500 of climate
    # The order of before the allowance was counted by nothing, and gives nothing back.
    reject   o by=printer                                    -> ok
    spent    press                                           -> 20 EUR, 1500 of climate
    accept   s by=printer                                    -> ok
    start    s by=printer                                    -> ok
    complete s out=bracket:10pc:0g                           -> ok
    confirm  s by=press                                      -> ok
    spent    press                                           -> 20 EUR, 600 of climate
    cancel   t by=press                                      -> ok
    spent    press                                           -> 20 EUR, 0 of climate
    allow    press by=rail nothing=1                         -> ok
    allow    any by=rail nothing=1                           -> ok
    place    u by=press price=9999                           -> ok
";

pub fn refusals() -> BTreeSet<Code> {
    check(REFUSALS)
}

#[test]
fn money_and_allowances() {
    check(REFUSALS);
}

/// The rules once more, without the code that they are written for.
#[derive(Default)]
struct Model {
    available: BTreeMap<&'static str, u64>,
    held: BTreeMap<&'static str, u64>,
    issued: u64,
    redeemed: u64,
    orders: Vec<Order>,
    allowances: BTreeMap<(&'static str, Option<&'static str>), Granted>,
    /// Period, money, climate.
    spent: BTreeMap<&'static str, (u64, u64, i128)>,
}

#[derive(Clone)]
struct Order {
    buyer: &'static str,
    provider: &'static str,
    hold: u64,
    price: u64,
    fee: u64,
    state: &'static str,
    /// The period in which it counts, and how much climate.
    counted: Option<(u64, Option<i128>)>,
}

#[derive(Clone, Copy)]
struct Granted {
    money: Option<(Option<u64>, Option<u64>)>,
    climate: (Option<i128>, Option<i128>),
}

const PERIOD: u64 = 20_000;
const MACHINES: [&str; 4] = ["printer", "mill", "press", "box"];
const FIRMS: [&str; 3] = ["bank", "maker", "rail"];

fn firm_of(machine: &str) -> &'static str {
    if ["printer", "mill"].contains(&machine) { "maker" } else { "rail" }
}

impl Model {
    fn of(&self, firm: &str) -> (u64, u64) {
        let sum = |sums: &BTreeMap<&str, u64>| sums.get(firm).copied().unwrap_or(0);
        (sum(&self.available), sum(&self.held))
    }

    fn issue(&mut self, to: &'static str, amount: u64) -> &'static str {
        if amount == 0 {
            return "zero_amount";
        }
        *self.available.entry(to).or_default() += amount;
        self.issued += amount;
        "ok"
    }

    fn pay(&mut self, by: &'static str, to: &'static str, amount: u64) -> &'static str {
        if amount == 0 {
            return "zero_amount";
        }
        if by == to {
            return "transfer_to_self";
        }
        if self.of(by).0 < amount {
            return "insufficient_funds";
        }
        *self.available.entry(by).or_default() -= amount;
        *self.available.entry(to).or_default() += amount;
        "ok"
    }

    fn redeem(&mut self, by: &'static str, amount: u64) -> &'static str {
        if amount == 0 {
            return "zero_amount";
        }
        if self.of(by).0 < amount {
            return "insufficient_funds";
        }
        *self.available.entry(by).or_default() -= amount;
        self.redeemed += amount;
        "ok"
    }

    fn place(&mut self, mut order: Order, predicted: Option<i128>, now: u64) -> &'static str {
        let firm = firm_of(order.buyer);
        let own = self.allowances.get(&(firm, Some(order.buyer)));
        let granted = own.or_else(|| self.allowances.get(&(firm, None))).copied();
        let period = now / PERIOD;
        let stands = self.spent.get(order.buyer).copied().unwrap_or_default();
        let (mut money, mut climate) =
            if stands.0 == period { (stands.1, stands.2) } else { (0, 0) };
        if let Some(granted) = granted {
            let over = |most: Option<u64>, sum: u64| most.is_some_and(|most| sum > most);
            if order.hold > 0 {
                let Some((per_order, per_period)) = granted.money else {
                    return "currency_not_allowed";
                };
                if over(per_order, order.hold) {
                    return "order_above_allowance";
                }
                money += order.hold;
                if over(per_period, money) {
                    return "period_above_allowance";
                }
            }
            let mut counts = None;
            if granted.climate != (None, None) {
                let Some(predicted) = predicted else { return "prediction_missing" };
                if granted.climate.0.is_some_and(|most| predicted > most) {
                    return "order_above_allowance";
                }
                climate += predicted;
                if granted.climate.1.is_some_and(|most| climate > most) {
                    return "period_above_allowance";
                }
                counts = Some(predicted);
            }
            order.counted = Some((period, counts));
        }
        if self.of(firm).0 < order.hold {
            return "insufficient_funds";
        }
        if order.counted.is_some() {
            self.spent.insert(order.buyer, (period, money, climate));
        }
        *self.available.entry(firm).or_default() -= order.hold;
        *self.held.entry(firm).or_default() += order.hold;
        self.orders.push(order);
        "ok"
    }

    /// The order ends, and so much is paid. What was made had no climate impact at all.
    fn end(&mut self, which: usize, paid: u64, state: &'static str) -> &'static str {
        let order = &mut self.orders[which];
        order.state = state;
        let order = order.clone();
        *self.held.entry(firm_of(order.buyer)).or_default() -= order.hold;
        *self.available.entry(firm_of(order.buyer)).or_default() += order.hold - paid;
        *self.available.entry(firm_of(order.provider)).or_default() += paid;
        if let Some((period, climate)) = order.counted {
            let row = self.spent.entry(order.buyer).or_default();
            if row.0 == period {
                row.1 -= order.hold - paid;
                row.2 -= climate.unwrap_or(0);
            }
        }
        "ok"
    }

    fn step(&mut self, which: usize, step: &str) -> &'static str {
        let order = &self.orders[which];
        let (fee, price) = (order.fee, order.price);
        match (step, order.state) {
            ("accept", "placed") => self.to(which, "accepted"),
            ("start", "accepted") => self.to(which, "started"),
            ("complete", "started") => self.to(which, "completed"),
            ("reject", "placed") => self.end(which, 0, "rejected"),
            ("cancel", "placed") => self.end(which, 0, "cancelled"),
            ("cancel", "accepted" | "started") => self.end(which, fee, "cancelled"),
            ("confirm", "completed") => self.end(which, price, "settled"),
            _ => "wrong_state",
        }
    }

    fn to(&mut self, which: usize, state: &'static str) -> &'static str {
        self.orders[which].state = state;
        "ok"
    }
}

#[derive(Clone, Debug)]
struct Attempt {
    verb: u8,
    who: usize,
    whom: usize,
    amount: u64,
    most: [Option<u64>; 4],
}

fn attempts() -> impl Strategy<Value = Vec<Attempt>> {
    let most = prop::array::uniform4(prop::option::of(0..60_u64));
    let one = (any::<u8>(), 0..4_usize, 0..8_usize, 0..50_u64, most);
    let one =
        one.prop_map(|(verb, who, whom, amount, most)| Attempt { verb, who, whom, amount, most });
    prop::collection::vec(one, 1..150)
}

struct Played {
    table: Table,
    model: Model,
}

impl Played {
    /// Says a line to the ledger; its answer must be the model's.
    fn says(&mut self, line: &str, expected: &str) {
        check_in(&mut self.table, &format!("{line} -> {expected}"));
    }

    fn go(&mut self, one: &Attempt) {
        let (firm, other) = (FIRMS[one.who % 3], FIRMS[one.whom % 3]);
        let machine = MACHINES[one.who];
        let now = self.table.world.time + STEP;
        let amount = one.amount;
        match one.verb % 16 {
            0 | 1 => {
                let expected = self.model.issue(other, amount);
                self.says(&format!("issue by=bank to={other} amount={amount}"), expected);
            }
            2 | 3 => {
                let expected = self.model.pay(firm, other, amount);
                self.says(&format!("pay by={firm} to={other} amount={amount}"), expected);
            }
            4 => {
                let expected = self.model.redeem(firm, amount);
                self.says(&format!("redeem by={firm} amount={amount}"), expected);
            }
            5 | 6 => self.allow(one),
            7..=9 => {
                let provider = MACHINES[(one.who + 1 + one.whom % 3) % 4];
                let (price, fee) = (amount, amount / 3);
                let hold = amount + amount / 2;
                let predicted = one.most[0].map(i128::from);
                let (state, counted) = ("placed", None);
                let order = Order { buyer: machine, provider, hold, price, fee, state, counted };
                let words = predicted.map(|it| format!("predicted={it}")).unwrap_or_default();
                let name = self.model.orders.len();
                let expected = self.model.place(order, predicted, now);
                let line = format!(
                    "place o{name} by={machine} to={provider} price={price} hold={hold} fee={fee} {words}"
                );
                self.says(&line, expected);
            }
            10..=14 if !self.model.orders.is_empty() => {
                let which = self.model.orders.len() - 1 - one.whom % self.model.orders.len().min(4);
                let steps = ["accept", "start", "complete", "confirm", "reject", "cancel"];
                let step = match (one.who, self.model.orders[which].state) {
                    (1.., "placed") => "accept",
                    (1.., "accepted") => "start",
                    (1.., "started") => "complete",
                    (1.., "completed") => "confirm",
                    _ => steps[one.amount as usize % 6],
                };
                let order = &self.model.orders[which];
                let buys = ["confirm", "cancel"].contains(&step);
                let by = if buys { order.buyer } else { order.provider };
                let made = if step == "complete" { "out=bracket:10pc:0g" } else { "" };
                let expected = self.model.step(which, step);
                self.says(&format!("{step} o{which} by={by} {made}"), expected);
            }
            _ => _ = self.table.world.wait(1000 + amount * 200),
        }
        self.compare();
    }

    fn allow(&mut self, one: &Attempt) {
        let machine = MACHINES[one.who];
        let firm = firm_of(machine);
        let machine = (!one.whom.is_multiple_of(3)).then_some(machine);
        let name = machine.unwrap_or("any");
        if one.amount.is_multiple_of(5) {
            self.model.allowances.remove(&(firm, machine));
            return self.says(&format!("allow {name} by={firm} nothing=1"), "ok");
        }
        let [per_order, per_period, climate, climates] = one.most;
        let money = (!one.amount.is_multiple_of(7)).then_some((per_order, per_period));
        let whole = |most: Option<u64>| most.map(i128::from);
        let climate = if one.amount.is_multiple_of(3) {
            (whole(climate), whole(climates))
        } else {
            (None, None)
        };
        self.model.allowances.insert((firm, machine), Granted { money, climate });
        let text = |most: Option<i128>| most.map(|most| most.to_string()).unwrap_or_default();
        let mut line = format!("allow {name} by={firm} period={PERIOD}");
        if let Some((per_order, per_period)) = money {
            line += &format!(" eur={}:{}", text(whole(per_order)), text(whole(per_period)));
        }
        line += &format!(" climate={}:{}", text(climate.0), text(climate.1));
        self.says(&line, "ok");
    }

    fn compare(&self) {
        let state = &self.table.world.state;
        for firm in FIRMS {
            let row = query::account(state, member(firm), "EUR").expect("account");
            assert_eq!((row.available.get(), row.held.get()), self.model.of(firm), "{firm}");
        }
        let currency = balance::check(state).expect("balance");
        let currency = currency.currencies.iter().find(|one| one.currency == "EUR").expect("EUR");
        let (issued, redeemed) = (currency.money.issued.get(), currency.money.redeemed.get());
        assert_eq!((issued, redeemed), (self.model.issued, self.model.redeemed));
        let total: u64 = FIRMS.iter().map(|firm| self.model.of(firm)).map(|(a, h)| a + h).sum();
        assert_eq!(issued, total + redeemed);
        for machine in MACHINES {
            let expected = match self.model.spent.get(machine) {
                Some((_, money, climate)) => format!("{money}, {climate}"),
                None => String::new(),
            };
            let row = self.table.spent(machine);
            let found = row.map(|row| format!("{}, {}", row.money("EUR").get(), row.climate));
            assert_eq!(found.unwrap_or_default(), expected, "{machine}");
        }
        // One row for each machine, one for each open order that counts, and nothing else.
        let count = |table: Rows| state.scan(&[table as u8], &[], 9999).expect("scan").len();
        assert!(count(Rows::Spent) <= MACHINES.len());
        let open = |order: &&Order| {
            order.counted.is_some()
                && ["placed", "accepted", "started", "completed"].contains(&order.state)
        };
        assert_eq!(count(Rows::Reserved), self.model.orders.iter().filter(open).count());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn money_and_allowances_are_what_the_model_says(attempts in attempts()) {
        let mut played = Played { table: Table::new(World::new()), model: Model::default() };
        for one in &attempts {
            played.go(one);
        }
    }
}
