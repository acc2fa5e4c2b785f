//! The ledger's own footprint: what its authorities used in an accounting period, and what of it
//! falls to each transaction of that period.
//!
//! Operators book it like everything else: a meter's reading makes a lot of energy with the
//! footprint of its supply, and a sink of kind [`SinkKind::Upkeep`](crate::operation::SinkKind)
//! books that lot out. A restatement of the reading comes through to the sink, and so to the shares.

use crate::balance::each;
use crate::footprint::{Dimension, Footprint, Overflow};
use crate::quantity::Timestamp;
use crate::rows::{
    Read, ReadError, SinkRow, Table, UpkeepRow, key, read, upkeep_count_key, upkeep_sink_key,
};
use alloc::{collections::BTreeSet, vec::Vec};

/// What an accounting period took, as it is known now: operators may still book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upkeep {
    /// The number of the period.
    pub period: u64,
    /// Its begin.
    pub from: Timestamp,
    /// Its end: the begin of the next one.
    pub to: Timestamp,
    /// How many transactions were executed in it, applied or refused.
    pub transactions: u64,
    /// What operators have booked for it.
    pub sinks: Vec<SinkRow>,
    /// The footprint of all that.
    pub total: Footprint,
}

/// What falls to each transaction of a period: `transactions * each + rest` is the period's total.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shares {
    /// What falls to each, rounded down.
    pub each: Footprint,
    /// What cannot be shared out in whole units: less than one per transaction in each dimension.
    pub rest: Footprint,
}

impl Upkeep {
    /// Shares the total out over the transactions; `None` where there were none.
    ///
    /// # Errors
    /// [`Overflow`] never, for totals that the ledger booked.
    pub fn shares(&self) -> Result<Option<Shares>, Overflow> {
        if self.transactions == 0 {
            return Ok(None);
        }
        let each = self.total.share(1, self.transactions)?;
        let mut rest = self.total.clone();
        for dimension in Dimension::ALL {
            let shared = each.get(*dimension).checked_mul(i128::from(self.transactions));
            let left = shared.and_then(|shared| self.total.get(*dimension).checked_sub(shared));
            rest.set(*dimension, left.ok_or(Overflow)?);
        }
        Ok(Some(Shares { each, rest }))
    }
}

/// The rules; `None` where the ledger keeps no account of itself.
///
/// # Errors
/// [`ReadError`] when the storage fails or a row is damaged.
pub fn rules(state: &dyn Read) -> Result<Option<UpkeepRow>, ReadError> {
    read(state, &key(Table::Upkeep, &[]))
}

/// The accounting periods that had transactions or bookings, ascending.
///
/// # Errors
/// [`ReadError`] when the storage fails or a row is damaged.
pub fn periods(state: &dyn Read) -> Result<Vec<Upkeep>, ReadError> {
    fn number(key: &[u8]) -> Result<u64, ReadError> {
        let first = key.first_chunk().copied().map(u64::from_be_bytes);
        first.ok_or_else(|| ReadError("the key of an accounting period is too short".into()))
    }
    let mut numbers = BTreeSet::new();
    each(state, Table::UpkeepCount, |key, _: u64| {
        numbers.insert(number(key)?);
        Ok::<_, ReadError>(())
    })?;
    each(state, Table::UpkeepSink, |key, ()| {
        numbers.insert(number(key)?);
        Ok::<_, ReadError>(())
    })?;
    let periods = numbers.into_iter().map(|number| upkeep(state, number).transpose());
    periods.flatten().collect()
}

/// An accounting period; `None` where the ledger keeps no account of itself.
///
/// # Errors
/// [`ReadError`] when the storage fails or a row is damaged.
pub fn upkeep(state: &dyn Read, period: u64) -> Result<Option<Upkeep>, ReadError> {
    /// Rows read at a time.
    const PAGE: usize = 256;
    let Some(rules) = rules(state)? else { return Ok(None) };
    let transactions = read(state, &upkeep_count_key(period))?.unwrap_or(0);
    let (mut sinks, mut total): (Vec<SinkRow>, _) = (Vec::new(), Footprint::ZERO);
    let prefix = upkeep_sink_key(period, &[]);
    let mut from = prefix.clone();
    loop {
        let rows = state.scan(&prefix, &from, PAGE)?;
        for (mark, _) in &rows {
            let rest = mark.get(prefix.len()..).unwrap_or_default();
            let sink: Option<SinkRow> = read(state, &key(Table::Sink, &[rest]))?;
            let sink = sink.ok_or_else(|| ReadError("a sink of kind upkeep is missing".into()))?;
            let sum = total.checked_add(&sink.taken.footprint);
            total = sum.map_err(|overflow| ReadError(alloc::format!("upkeep: {overflow}")))?;
            sinks.push(sink);
        }
        match rows.last() {
            Some((last, _)) if rows.len() == PAGE => {
                from.clone_from(last);
                from.push(0);
            }
            _ => break,
        }
    }
    let (from, to) = (rules.begin(period), rules.begin(period.saturating_add(1)));
    Ok(Some(Upkeep { period, from, to, transactions, sinks, total }))
}
