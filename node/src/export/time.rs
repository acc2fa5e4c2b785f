//! Points in time as files write them.

use kerbholz_ledger::quantity::Timestamp;
use std::time::{Duration, SystemTime};

/// The last millisecond that a year of four digits has; what lies beyond means "without an end".
const LAST_MS: u64 = 253_402_300_799_999;

/// A point in time as RFC 3339 with milliseconds, in UTC. What lies beyond the year 9999 is written
/// as its last millisecond.
pub fn time_text(time: Timestamp) -> String {
    let since = Duration::from_millis(within(time));
    humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + since).to_string()
}

/// Milliseconds since 1970, at most the end of the year 9999.
pub(super) fn within(time: Timestamp) -> u64 {
    time.get().min(LAST_MS)
}

/// The calendar month of a point in time, in UTC: `2026-11`.
pub fn month(time: Timestamp) -> String {
    let mut text = time_text(time);
    text.truncate("2026-11".len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_whatever_they_are() {
        for (milliseconds, text, of) in [
            (0, "1970-01-01T00:00:00.000Z", "1970-01"),
            (1_795_132_800_123, "2026-11-20T00:00:00.123Z", "2026-11"),
            (LAST_MS, "9999-12-31T23:59:59.999Z", "9999-12"),
            (LAST_MS + 1, "9999-12-31T23:59:59.999Z", "9999-12"),
            (u64::MAX, "9999-12-31T23:59:59.999Z", "9999-12"),
        ] {
            let time = Timestamp::new(milliseconds);
            assert_eq!((time_text(time).as_str(), month(time).as_str()), (text, of));
        }
    }
}
