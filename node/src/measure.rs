//! Amounts as people write them (`14 g / (100 % - waste) * 83 MJ/kg`), computed exactly and turned
//! into whole base units, or refused. No floating point: a measure is a fraction of integers and a product of
//! powers of the base units.

mod expression;

pub(crate) use expression::evaluate;

use crate::written::Reason;
use kerbholz_ledger::quantity::{Quantity, Unit};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// Powers of: joule, milligram, millilitre, piece, millimetre, byte, second.
type Powers = [i8; 7];

const ENERGY: Powers = [1, 0, 0, 0, 0, 0, 0];
const MASS: Powers = [0, 1, 0, 0, 0, 0, 0];
const VOLUME: Powers = [0, 0, 1, 0, 0, 0, 0];
const PIECE: Powers = [0, 0, 0, 1, 0, 0, 0];
const LENGTH: Powers = [0, 0, 0, 0, 1, 0, 0];
const DATA: Powers = [0, 0, 0, 0, 0, 1, 0];
const TIME: Powers = [0, 0, 0, 0, 0, 0, 1];
const TRANSPORT: Powers = [0, 1, 0, 0, 1, 0, 0];
const NUMBER: Powers = [0; 7];

/// What people write, how many base units it is, and of which.
const SYMBOLS: &[(&str, i128, i128, Powers)] = &[
    ("J", 1, 1, ENERGY),
    ("kJ", 1_000, 1, ENERGY),
    ("MJ", 1_000_000, 1, ENERGY),
    ("GJ", 1_000_000_000, 1, ENERGY),
    ("Wh", 3_600, 1, ENERGY),
    ("kWh", 3_600_000, 1, ENERGY),
    ("MWh", 3_600_000_000, 1, ENERGY),
    ("mg", 1, 1, MASS),
    ("g", 1_000, 1, MASS),
    ("kg", 1_000_000, 1, MASS),
    ("t", 1_000_000_000, 1, MASS),
    ("mL", 1, 1, VOLUME),
    ("L", 1_000, 1, VOLUME),
    ("m3", 1_000_000, 1, VOLUME),
    ("piece", 1, 1, PIECE),
    ("pieces", 1, 1, PIECE),
    ("mm", 1, 1, LENGTH),
    ("cm", 10, 1, LENGTH),
    ("m", 1_000, 1, LENGTH),
    ("km", 1_000_000, 1, LENGTH),
    ("B", 1, 1, DATA),
    ("kB", 1_000, 1, DATA),
    ("MB", 1_000_000, 1, DATA),
    ("GB", 1_000_000_000, 1, DATA),
    ("s", 1, 1, TIME),
    ("min", 60, 1, TIME),
    ("h", 3_600, 1, TIME),
    ("tkm", 1_000_000_000_000_000, 1, TRANSPORT),
    ("%", 1, 100, NUMBER),
    ("ppm", 1, 1_000_000, NUMBER),
];

/// Milligram-millimetres in a kilogram-metre.
const PER_KILOGRAM_METRE: i128 = 1_000_000_000;

/// An exact fraction in lowest terms; the denominator is above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    numerator: i128,
    denominator: i128,
}

impl Ratio {
    /// One.
    pub const ONE: Self = Self { numerator: 1, denominator: 1 };
    /// Nothing.
    pub const ZERO: Self = Self { numerator: 0, denominator: 1 };

    /// The fraction, or `None` where the denominator is zero or a number does not fit.
    pub fn new(numerator: i128, denominator: i128) -> Option<Self> {
        let divisor = gcd(numerator.checked_abs()?, denominator.checked_abs()?);
        let sign = if denominator < 0 { -1 } else { 1 };
        let numerator = numerator.checked_div(divisor)?.checked_mul(sign)?;
        let denominator = denominator.checked_div(divisor)?.checked_mul(sign)?;
        (denominator != 0).then_some(Self { numerator, denominator })
    }

    /// The upper number.
    pub const fn numerator(self) -> i128 {
        self.numerator
    }

    /// The lower number, above zero.
    pub const fn denominator(self) -> i128 {
        self.denominator
    }

    /// The product, unless it does not fit.
    pub fn checked_mul(self, other: Self) -> Option<Self> {
        // Cancelling crosswise first keeps the products as small as they can be.
        let left = Self::new(self.numerator, other.denominator)?;
        let right = Self::new(other.numerator, self.denominator)?;
        Self::new(
            left.numerator.checked_mul(right.numerator)?,
            left.denominator.checked_mul(right.denominator)?,
        )
    }

    /// The sum, unless it does not fit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let left = self.numerator.checked_mul(other.denominator)?;
        let right = other.numerator.checked_mul(self.denominator)?;
        Self::new(left.checked_add(right)?, self.denominator.checked_mul(other.denominator)?)
    }

    /// The quotient, unless it does not fit or divides by zero.
    pub fn checked_div(self, other: Self) -> Option<Self> {
        self.checked_mul(Self::new(other.denominator, other.numerator)?)
    }

    /// Which of two is greater, unless a number does not fit.
    pub fn checked_cmp(self, other: Self) -> Option<Ordering> {
        let left = self.numerator.checked_mul(other.denominator)?;
        let right = other.numerator.checked_mul(self.denominator)?;
        Some(left.cmp(&right))
    }

    /// The number, where it is whole.
    pub fn whole(self) -> Option<i128> {
        (self.denominator == 1).then_some(self.numerator)
    }
}

fn gcd(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// An exact amount of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    ratio: Ratio,
    powers: Powers,
}

impl Measure {
    fn number(ratio: Ratio) -> Self {
        Self { ratio, powers: NUMBER }
    }

    fn unit(symbol: &str) -> Option<Self> {
        let (_, numerator, denominator, powers) =
            SYMBOLS.iter().find(|(name, ..)| *name == symbol)?;
        Some(Self { ratio: Ratio::new(*numerator, *denominator)?, powers: *powers })
    }

    /// Combines two measures, by multiplying (`sign` 1) or dividing (`sign` -1).
    fn combine(self, other: Self, sign: i8) -> Option<Self> {
        let ratio = if sign > 0 {
            self.ratio.checked_mul(other.ratio)?
        } else {
            self.ratio.checked_div(other.ratio)?
        };
        let mut powers = self.powers;
        for (power, with) in powers.iter_mut().zip(other.powers) {
            *power = power.checked_add(with.checked_mul(sign)?)?;
        }
        Some(Self { ratio, powers })
    }

    /// The sum or difference of two measures of the same kind.
    fn plus(self, other: Self, sign: char) -> Option<Self> {
        let sign = Ratio::new(if sign == '-' { -1 } else { 1 }, 1)?;
        let ratio = self.ratio.checked_add(other.ratio.checked_mul(sign)?)?;
        Some(Self { ratio, powers: self.powers })
    }

    /// Whether it is none at all.
    pub const fn is_zero(self) -> bool {
        self.ratio.numerator == 0
    }

    /// This many times as much, unless that does not fit.
    pub fn times(self, ratio: Ratio) -> Option<Self> {
        Some(Self { ratio: self.ratio.checked_mul(ratio)?, powers: self.powers })
    }

    /// How many times as much as another of the same kind.
    pub fn over(self, other: Self) -> Option<Ratio> {
        (self.powers == other.powers).then(|| self.ratio.checked_div(other.ratio))?
    }

    /// The base unit and how many of it, not necessarily a whole number.
    pub fn base(self) -> Option<(Ratio, Unit)> {
        let unit = match self.powers {
            ENERGY => Unit::Joule,
            MASS => Unit::Milligram,
            VOLUME => Unit::Millilitre,
            PIECE => Unit::Piece,
            LENGTH => Unit::Millimetre,
            DATA => Unit::Byte,
            TIME => Unit::Second,
            TRANSPORT => {
                let per = Ratio::new(1, PER_KILOGRAM_METRE)?;
                return Some((self.ratio.checked_mul(per)?, Unit::KilogramMetre));
            }
            _ => return None,
        };
        Some((self.ratio, unit))
    }

    /// The base unit and how many of it to the nearest whole number, none below zero.
    pub fn nearest(self) -> Option<(u64, Unit)> {
        let (ratio, unit) = self.base()?;
        let half = ratio.denominator / 2;
        let rounded = ratio.numerator.checked_add(half)?.div_euclid(ratio.denominator);
        Some((u64::try_from(rounded.max(0)).ok()?, unit))
    }

    /// The number, where it has no unit.
    pub fn plain(self) -> Option<Ratio> {
        (self.powers == NUMBER).then_some(self.ratio)
    }

    /// The unit in words, for messages.
    pub(crate) fn describe(self) -> String {
        match self.base() {
            Some((_, unit)) => unit.symbol().to_owned(),
            None if self.powers == NUMBER => "no unit".to_owned(),
            None => "a compound unit".to_owned(),
        }
    }
}

/// Whether a word is a unit, and so cannot name a figure.
pub(crate) fn is_unit(word: &str) -> bool {
    SYMBOLS.iter().any(|(symbol, ..)| *symbol == word)
}

impl Reason {
    /// After a number there is a word that is no unit.
    fn unknown_unit(name: String, text: &str) -> Self {
        let units: Vec<&str> = SYMBOLS.iter().map(|(symbol, ..)| *symbol).collect();
        let hint = format!(" in `{text}`: there is {}", units.join(", "));
        Self::Unknown { kind: "unit", name, hint }
    }
}

/// An amount with what it was computed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Evaluated {
    text: String,
    /// The amount.
    pub measure: Measure,
    /// The figures it names.
    pub figures: BTreeSet<String>,
    /// Whether it contains a number with a unit, which needs a citation of its own.
    pub literal: bool,
}

impl Evaluated {
    /// The amount as a whole number of base units.
    pub fn quantity(&self) -> Result<Quantity, Reason> {
        let (ratio, unit) = self.measure.base().ok_or_else(|| self.unfit("a base unit"))?;
        let whole = ratio
            .whole()
            .ok_or_else(|| Reason::NotWhole { text: self.text.clone(), unit: unit.symbol() })?;
        let amount = u64::try_from(whole).map_err(|_| Reason::Amount {
            text: self.text.clone(),
            why: "it is negative or too large".to_owned(),
        })?;
        Ok(Quantity::new(amount, unit))
    }

    /// The amount as a whole number of this base unit.
    pub fn quantity_in(&self, unit: Unit) -> Result<u64, Reason> {
        let quantity = self.quantity()?;
        if quantity.unit == unit { Ok(quantity.amount) } else { Err(self.unfit(unit.symbol())) }
    }

    /// A share as whole millionths.
    pub fn ppm(&self) -> Result<u32, Reason> {
        let million = Ratio { numerator: 1_000_000, denominator: 1 };
        let plain = self.measure.plain().ok_or_else(|| self.unfit("a share (% or ppm)"))?;
        plain
            .checked_mul(million)
            .and_then(Ratio::whole)
            .and_then(|ppm| u32::try_from(ppm).ok())
            .ok_or_else(|| Reason::NotWhole { text: self.text.clone(), unit: "ppm" })
    }

    fn unfit(&self, wanted: &str) -> Reason {
        Reason::Unit {
            text: self.text.clone(),
            found: self.measure.describe(),
            wanted: wanted.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
