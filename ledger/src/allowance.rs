//! Allowances: what an organisation lets each of its machines order.
//!
//! An allowance is judged when an order is placed, and refuses it. Money is counted by the hold (the
//! most an order can cost), and corrected when the order ends by what was paid. The footprint that a
//! buyer spends is that of what it orders: its climate, by the order's cap or else its prediction;
//! corrected at its end by what the completion came to. Only climate: it is the one dimension that
//! the terms of an order predict. Work is never refused for its buyer's allowance.

use crate::id::MemberId;
use crate::quantity::{Milliseconds, Minor, Timestamp};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Most currencies of an allowance.
pub const CURRENCIES_MAX: usize = 16;

/// What a machine may spend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowance {
    /// The length of a period; not zero. Periods are counted from 1970 on.
    pub period: Milliseconds,
    /// How much of which money, ascending by currency, none twice; a currency that is not listed must not
    /// be spent. At most [`CURRENCIES_MAX`].
    pub money: Vec<MoneyAllowance>,
    /// How much climate impact.
    pub climate: ClimateAllowance,
}

/// How much of a currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoneyAllowance {
    /// The currency. 1 to 16 bytes.
    pub currency: String,
    /// The most that one order may hold; as much as there is where nothing is said.
    pub per_order: Option<Minor>,
    /// The most that the orders of a period may hold, and have cost.
    pub per_period: Option<Minor>,
}

/// How much climate impact, in ng CO2e.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClimateAllowance {
    /// Of one order, by its cap or else its prediction. Not negative.
    pub per_order: Option<i128>,
    /// Of the orders of a period. Not negative.
    pub per_period: Option<i128>,
}

impl ClimateAllowance {
    /// Whether it asks for a cap or a prediction at all.
    pub const fn is_some(&self) -> bool {
        self.per_order.is_some() || self.per_period.is_some()
    }

    /// Whether one order may come to this.
    pub fn fits_order(&self, climate: i128) -> bool {
        self.per_order.is_none_or(|most| climate <= most)
    }

    /// Whether the orders of a period may come to this.
    pub fn fits_period(&self, climate: i128) -> bool {
        self.per_period.is_none_or(|most| climate <= most)
    }
}

impl Allowance {
    /// Whether its fields make sense by themselves.
    pub fn is_valid(&self) -> bool {
        let negative = |most: Option<i128>| most.is_some_and(|most| most < 0);
        self.period > Milliseconds::ZERO
            && self.money.len() <= CURRENCIES_MAX
            && self.money.iter().all(|money| (1..=16).contains(&money.currency.len()))
            && self.money.windows(2).all(|pair| pair[0].currency < pair[1].currency)
            && !negative(self.climate.per_order)
            && !negative(self.climate.per_period)
    }

    /// The number of the period that a moment lies in.
    pub fn number(&self, at: Timestamp) -> u64 {
        // A period is never zero.
        at.get().checked_div(self.period.get()).unwrap_or(0)
    }
}

/// `SetAllowance`: signed by an organisation's signing key. Takes the place of what was set before for
/// the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowanceSetting {
    /// Which machine; without one, every machine that has no allowance of its own. A machine that has
    /// neither may spend all that its organisation has.
    pub machine: Option<MemberId>,
    /// What it may spend; without one, what was set is taken away.
    pub allowance: Option<Allowance>,
}
