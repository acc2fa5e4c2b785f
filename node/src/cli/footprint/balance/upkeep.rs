//! What the ledger itself took, beside the transactions that share it.

use super::super::super::error::CliError;
use super::super::super::output::table;
use super::super::super::view;
use super::Shown;
use super::figures::intensity;
use kerbholz_client::ledger::footprint::Footprint;
use kerbholz_client::ledger::statement::{Statement, period_of};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a period of the balance took.
#[derive(Default)]
struct Sum {
    transactions: u64,
    bookings: usize,
    total: Footprint,
}

impl Shown<'_> {
    /// By periods of the balance; nothing where nobody books upkeep, or one organisation is asked for.
    pub(super) fn upkeep(&self, of: &Statement) -> Result<String, CliError> {
        let booked = of.upkeep.iter().any(|period| !period.sinks.is_empty());
        if !booked || self.args.organisation.is_some() {
            return Ok(String::new());
        }
        let mut sums: BTreeMap<u64, Sum> = BTreeMap::new();
        for period in &of.upkeep {
            let sum = sums.entry(period_of(period.from, self.length)).or_default();
            sum.transactions += period.transactions;
            sum.bookings += period.sinks.len();
            sum.total = sum.total.checked_add(&period.total)?;
        }
        let rows = sums.iter().map(|(period, sum)| {
            let total = sum.total.get(self.args.by);
            let each = intensity(total, 1, u128::from(sum.transactions)).map(|value| {
                let mut each = sum.total.clone();
                each.set(self.args.by, value);
                self.figure(&each)
            });
            vec![
                self.begin(*period),
                sum.transactions.to_string(),
                sum.bookings.to_string(),
                self.figure(&sum.total),
                each.unwrap_or_default(),
            ]
        });
        let header = ["from", "transactions", "bookings", "total", "per transaction"];
        Ok(table(&header, rows.collect(), &[1, 2, 3, 4]))
    }

    /// By accounting periods, exact.
    pub(super) fn upkeep_documents(of: &Statement) -> Vec<Value> {
        let documents = of.upkeep.iter().map(|period| {
            json!({
                "period": period.period, "from": view::time(period.from),
                "to": view::time(period.to), "transactions": period.transactions,
                "bookings": period.sinks.len(), "footprint": view::footprint(&period.total),
            })
        });
        documents.collect()
    }
}
