//! Decimal numbers as text in plain notation: digits, a point where there is a fraction, no exponent.

use serde::{Deserialize, Serialize};

/// A decimal number; in JSON a string.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Decimal(String);

impl Decimal {
    /// `value` times ten to the power of minus `places`, exactly, without zeros that mean nothing.
    pub fn of(value: i128, places: usize) -> Self {
        let sign = if value < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", value.unsigned_abs(), width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        Self(format!("{sign}{whole}{point}{fraction}"))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
