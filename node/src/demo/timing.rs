//! Finality as the clients see it: from submission to the answer that it is final.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The longest finality that is told apart: two minutes, in microseconds.
const MICROS_MAX: u64 = 120_000_000;

/// How many authorities run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// All four.
    #[default]
    All,
    /// Three: one was killed and has not caught up.
    OneDown,
}

/// Finality of one phase, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Finality {
    /// Transactions measured.
    pub transactions: u64,
    /// Half of them were final within.
    pub p50_ms: f64,
    /// 99 of 100 were final within.
    pub p99_ms: f64,
    /// All were final within.
    pub max_ms: f64,
}

#[derive(Default)]
struct Inner {
    phase: Phase,
    all: Option<Histogram<u64>>,
    one_down: Option<Histogram<u64>>,
}

/// Shared by all players.
#[derive(Clone, Default)]
pub struct Timing(Arc<Mutex<Inner>>);

impl Timing {
    fn with<T>(&self, action: impl FnOnce(&mut Inner) -> T) -> T {
        // Nobody panics while holding it; and a histogram is whole after every call.
        action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The phase now.
    pub fn phase(&self) -> Phase {
        self.with(|inner| inner.phase)
    }

    /// From now on another phase.
    pub fn enter(&self, phase: Phase) {
        self.with(|inner| inner.phase = phase);
    }

    /// Records a transaction that was submitted in a phase; it counts as *one down* if one was down
    /// at its begin or its end.
    pub fn record(&self, begun: Phase, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.with(|inner| {
            let all = begun == Phase::All && inner.phase == Phase::All;
            let histogram = if all { &mut inner.all } else { &mut inner.one_down };
            if histogram.is_none() {
                *histogram = Histogram::new_with_bounds(1, MICROS_MAX, 3).ok();
            }
            if let Some(histogram) = histogram {
                histogram.saturating_record(micros);
            }
        });
    }

    /// Transactions recorded.
    pub fn count(&self) -> u64 {
        let len = |histogram: &Option<Histogram<u64>>| histogram.as_ref().map_or(0, Histogram::len);
        self.with(|inner| len(&inner.all) + len(&inner.one_down))
    }

    /// What was measured: while all ran, and while one was down.
    pub fn finality(&self) -> (Finality, Finality) {
        self.with(|inner| (summary(inner.all.as_ref()), summary(inner.one_down.as_ref())))
    }
}

fn summary(histogram: Option<&Histogram<u64>>) -> Finality {
    let Some(histogram) = histogram else { return Finality::default() };
    #[expect(clippy::cast_precision_loss, reason = "microseconds, for people")]
    let ms = |micros: u64| micros as f64 / 1_000.0;
    Finality {
        transactions: histogram.len(),
        p50_ms: ms(histogram.value_at_quantile(0.5)),
        p99_ms: ms(histogram.value_at_quantile(0.99)),
        max_ms: ms(histogram.max()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_begun_or_ended_with_one_down_counts_as_one_down() {
        let timing = Timing::default();
        timing.record(Phase::All, Duration::from_millis(100));
        timing.enter(Phase::OneDown);
        timing.record(Phase::All, Duration::from_millis(200));
        timing.enter(Phase::All);
        timing.record(Phase::OneDown, Duration::from_millis(400));
        let (all, one_down) = timing.finality();
        assert_eq!((all.transactions, one_down.transactions, timing.count()), (1, 2, 3));
        assert!((99.0..101.0).contains(&all.p50_ms), "{all:?}");
        assert!((199.0..201.0).contains(&one_down.p50_ms), "{one_down:?}");
        assert!((399.0..401.0).contains(&one_down.max_ms), "{one_down:?}");
    }
}
