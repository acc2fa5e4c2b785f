//! What machines have spent of their allowances.

use crate::quantity::{Milliseconds, Minor};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// What a machine has spent in a period. The next period's takes its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpentRow {
    /// The length of the period.
    pub period: Milliseconds,
    /// Its number, counted from 1970.
    pub number: u64,
    /// Held by orders placed in it, less what they did not cost; ascending by currency.
    pub money: Vec<(String, Minor)>,
    /// Climate impact of orders placed in it, ng CO2e: as predicted, or as completed.
    pub climate: i128,
}

impl SpentRow {
    /// Nothing yet.
    pub const fn new(period: Milliseconds, number: u64) -> Self {
        Self { period, number, money: Vec::new(), climate: 0 }
    }

    /// How much of a currency.
    pub fn money(&self, currency: &str) -> Minor {
        let found = self.money.iter().find(|(code, _)| code == currency);
        found.map_or(Minor::ZERO, |(_, spent)| *spent)
    }

    /// Sets how much of a currency.
    pub fn set_money(&mut self, currency: &str, spent: Minor) {
        match self.money.binary_search_by(|(code, _)| code.as_str().cmp(currency)) {
            Ok(at) => {
                if let Some((_, sum)) = self.money.get_mut(at) {
                    *sum = spent;
                }
            }
            Err(at) => self.money.insert(at, (currency.into(), spent)),
        }
    }
}

/// What an open order counts for in its buyer's allowance; gone when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservedRow {
    /// The length of the period that it counts in.
    pub period: Milliseconds,
    /// The number of that period.
    pub number: u64,
    /// How much climate impact, ng CO2e; none where the allowance did not ask.
    pub climate: Option<i128>,
}
