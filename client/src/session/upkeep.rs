//! What a session reads of the ledger's own footprint.

use super::Session;
use crate::error::ClientError;
use kerbholz_ledger::codec;
use kerbholz_ledger::memory::Memory;
use kerbholz_ledger::rows::{
    SinkRow, Table, UpkeepRow, Write, key, upkeep_count_key, upkeep_sink_key,
};
use kerbholz_ledger::upkeep::{self, Upkeep};
use std::collections::BTreeSet;

/// Most sinks of a period, and most periods, that are read.
const MOST: usize = 100_000;

impl Session {
    /// By which periods the ledger accounts for itself; `None` where it does not.
    ///
    /// # Errors
    /// As [`Session::scan`].
    pub async fn upkeep_rules(&self) -> Result<Option<UpkeepRow>, ClientError> {
        self.row(key(Table::Upkeep, &[])).await
    }

    /// The accounting periods that have transactions, or for which something is booked.
    ///
    /// # Errors
    /// As [`Session::scan`].
    pub async fn upkeep_periods(&self) -> Result<BTreeSet<u64>, ClientError> {
        let mut numbers = BTreeSet::new();
        for table in [Table::UpkeepCount, Table::UpkeepSink] {
            for (rest, _) in self.scan_all(key(table, &[]), MOST).await? {
                let number = rest.first_chunk::<8>().ok_or(ClientError::BadAnswer)?;
                numbers.insert(u64::from_be_bytes(*number));
            }
        }
        Ok(numbers)
    }

    /// What the authorities used in a period, and how many transactions share it; `None` where the
    /// ledger keeps no account of itself.
    ///
    /// # Errors
    /// As [`Session::scan`]; [`ClientError::BadAnswer`] when the rows do not belong together.
    pub async fn upkeep(&self, period: u64) -> Result<Option<Upkeep>, ClientError> {
        let Some(rules) = self.upkeep_rules().await? else { return Ok(None) };
        let prefix = upkeep_sink_key(period, &[]);
        let marks = self.scan_all(prefix, MOST).await?;
        let keys: Vec<Vec<u8>> = marks.iter().map(|(rest, _)| key(Table::Sink, &[rest])).collect();
        let sinks: Vec<Option<SinkRow>> = self.rows(keys.clone()).await?;
        let mut writes = vec![Write::set(key(Table::Upkeep, &[]), codec::encode(&rules))];
        if let Some(count) = self.row::<u64>(upkeep_count_key(period)).await? {
            writes.push(Write::set(upkeep_count_key(period), codec::encode(&count)));
        }
        for ((rest, _), (key, sink)) in marks.into_iter().zip(keys.into_iter().zip(sinks)) {
            let sink = sink.ok_or(ClientError::BadAnswer)?;
            writes.push(Write::set(upkeep_sink_key(period, &rest), Vec::new()));
            writes.push(Write::set(key, codec::encode(&sink)));
        }
        let mut rows = Memory::default();
        rows.apply(&writes);
        upkeep::upkeep(&rows, period).map_err(|_| ClientError::BadAnswer)
    }
}
