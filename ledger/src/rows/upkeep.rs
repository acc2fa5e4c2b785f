//! Who keeps the ledger going, and by which periods it is accounted for.

use crate::id::MemberId;
use crate::quantity::{Milliseconds, Timestamp};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The rules of the ledger's own footprint; not there where none is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpkeepRow {
    /// The length of an accounting period; never zero.
    pub period: Milliseconds,
    /// The organisations whose machines book upkeep.
    pub operators: Vec<MemberId>,
}

impl UpkeepRow {
    /// The accounting period that a moment lies in, counted from 1970.
    pub fn number(&self, at: Timestamp) -> u64 {
        at.get().checked_div(self.period.get()).unwrap_or(0)
    }

    /// Where a period begins; the next one's begin is its end.
    pub const fn begin(&self, number: u64) -> Timestamp {
        Timestamp::new(number.saturating_mul(self.period.get()))
    }
}
