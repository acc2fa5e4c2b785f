//! Predicted against realised footprints, by provider.

use super::Books;
use crate::footprint::{Overflow, mul_div_floor};
use crate::id::MemberId;
use crate::transformation::Outcome;
use alloc::collections::BTreeMap;

/// How well the predictions of a provider's machine were met, by what was delivered when it was booked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accuracy {
    /// Orders that were made, in whole or in part, and had a prediction.
    pub orders: u64,
    /// Orders that were made without a prediction.
    pub unpredicted: u64,
    /// Orders that failed.
    pub failed: u64,
    /// What was predicted for what was made, ng CO2e; in proportion where less was made.
    pub predicted: i128,
    /// What it came to, ng CO2e.
    pub realised: i128,
    /// The sum of the differences without their signs, ng CO2e: errors that cancel out in the sums do not here.
    pub missed_by: i128,
    /// Orders that came within a tenth of what was predicted.
    pub within_a_tenth: u64,
}

pub(super) fn add_up(books: &Books) -> Result<BTreeMap<MemberId, Accuracy>, Overflow> {
    let mut providers: BTreeMap<MemberId, Accuracy> = BTreeMap::new();
    for order in books.orders.values() {
        let Some(completed) = &order.completed else { continue };
        let account = providers.entry(order.terms.provider).or_default();
        if completed.outcome == Outcome::Failed {
            account.failed += 1;
            continue;
        }
        let Some(predicted) = order.terms.predicted_climate else {
            account.unpredicted += 1;
            continue;
        };
        let ordered = order.terms.quantity.amount;
        let predicted = mul_div_floor(predicted, completed.amount, ordered)?;
        let missed = completed.climate.checked_sub(predicted).ok_or(Overflow)?;
        let missed = missed.checked_abs().ok_or(Overflow)?;
        let add = |sum: i128, value: i128| sum.checked_add(value).ok_or(Overflow);
        account.orders += 1;
        account.predicted = add(account.predicted, predicted)?;
        account.realised = add(account.realised, completed.climate)?;
        account.missed_by = add(account.missed_by, missed)?;
        let tenth = missed.checked_mul(10).ok_or(Overflow)? <= predicted.saturating_abs();
        account.within_a_tenth += u64::from(tenth);
    }
    Ok(providers)
}
