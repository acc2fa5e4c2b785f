//! Quantities: integers in base units, one type per unit where a unit is fixed.

use serde::{Deserialize, Serialize};

/// Declares an integer quantity in one fixed unit, with checked arithmetic only.
macro_rules! quantity_type {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);

            /// So many.
            pub const fn new(value: u64) -> Self {
                Self(value)
            }

            /// The number.
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The sum, unless it overflows.
            pub fn checked_add(self, other: Self) -> Option<Self> {
                self.0.checked_add(other.0).map(Self)
            }

            /// The difference, unless it would be negative.
            pub fn checked_sub(self, other: Self) -> Option<Self> {
                self.0.checked_sub(other.0).map(Self)
            }
        }
    };
}

quantity_type!(
    /// Mass in milligrams.
    Milligrams
);
quantity_type!(
    /// A point in time: milliseconds since 1970-01-01T00:00:00Z, leap seconds ignored. Inside the
    /// ledger time is what a commit says it is.
    Timestamp
);
quantity_type!(
    /// A span of time in milliseconds.
    Milliseconds
);
quantity_type!(
    /// An amount of money in minor units (cents) of some currency.
    Minor
);
quantity_type!(
    /// The number of a commit: 0 is genesis, then counting up without gaps.
    CommitIndex
);
quantity_type!(
    /// The number of an epoch: from 0, one more with every change of the committee.
    Epoch
);

impl Timestamp {
    /// This time plus a span, at most the end of time.
    pub fn saturating_add(self, span: Milliseconds) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

/// The base unit in which a product is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Unit {
    /// Energy: joule.
    Joule,
    /// Mass: milligram.
    Milligram,
    /// Volume: millilitre.
    Millilitre,
    /// Countable things: piece.
    Piece,
    /// Length: millimetre.
    Millimetre,
    /// Transport: kilogram moved by one metre (1 tonne-kilometre is 1,000,000 of them).
    KilogramMetre,
    /// Data: byte.
    Byte,
    /// Duration of a service: second.
    Second,
}

impl Unit {
    /// All of them, in the order of the format.
    pub const ALL: &[Self] = &[
        Self::Joule,
        Self::Milligram,
        Self::Millilitre,
        Self::Piece,
        Self::Millimetre,
        Self::KilogramMetre,
        Self::Byte,
        Self::Second,
    ];

    /// The symbol for tables and messages.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Joule => "J",
            Self::Milligram => "mg",
            Self::Millilitre => "mL",
            Self::Piece => "piece",
            Self::Millimetre => "mm",
            Self::KilogramMetre => "kg·m",
            Self::Byte => "B",
            Self::Second => "s",
        }
    }
}

impl core::fmt::Display for Unit {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.symbol())
    }
}

/// An amount of some product in its base unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Quantity {
    /// How many base units.
    pub amount: u64,
    /// The base unit.
    pub unit: Unit,
}

impl Quantity {
    /// So many of this unit.
    pub const fn new(amount: u64, unit: Unit) -> Self {
        Self { amount, unit }
    }
}

impl core::fmt::Display for Quantity {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} {}", self.amount, self.unit)
    }
}
