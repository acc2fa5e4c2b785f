//! Connections to one authority that end as soon as they begin: two nodes with one key take them from
//! each other, at both of their ends.

use std::time::{Duration, Instant};

/// A connection that is followed by the next one within this time has not lived.
const YOUNG: Duration = Duration::from_secs(5);
/// So many of them in a row are no accident.
const IN_A_ROW: u32 = 5;
/// How often the cause is named.
const PERIOD: Duration = Duration::from_secs(60);

/// How the connections to an authority have fared.
#[derive(Debug, Default)]
pub(super) struct Flapping {
    began: Option<Instant>,
    in_a_row: u32,
    named: Option<Instant>,
}

/// What is worth a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// That it is connected.
    Connected,
    /// Why it is again and again.
    Cause,
    /// Nothing new.
    None,
}

impl Flapping {
    /// A connection began.
    pub(super) fn began(&mut self, now: Instant) -> Line {
        let before = self.began.replace(now);
        let is_young = before.is_some_and(|before| now.duration_since(before) < YOUNG);
        self.in_a_row = if is_young { self.in_a_row.saturating_add(1) } else { 0 };
        if !self.is_flapping() {
            return Line::Connected;
        }
        if self.named.is_some_and(|named| now.duration_since(named) < PERIOD) {
            return Line::None;
        }
        self.named = Some(now);
        Line::Cause
    }

    /// Whether the end of a connection is worth no line.
    pub(super) const fn is_flapping(&self) -> bool {
        self.in_a_row >= IN_A_ROW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_itself_is_named_once_a_minute() {
        let start = Instant::now();
        let mut flapping = Flapping::default();
        let mut lines = |from_ms: u64, until_ms: u64, step_ms: usize| {
            let times = (from_ms..until_ms).step_by(step_ms);
            let lines = times.map(|ms| flapping.began(start + Duration::from_millis(ms)));
            let (mut connected, mut cause) = (0, 0);
            for line in lines {
                connected += u32::from(line == Line::Connected);
                cause += u32::from(line == Line::Cause);
            }
            (connected, cause)
        };
        // A new connection ten times a second for two minutes.
        assert_eq!(lines(0, 120_000, 100), (5, 2));
        // Then one now and then.
        assert_eq!(lines(130_000, 190_000, 6_000), (10, 0));
    }
}
