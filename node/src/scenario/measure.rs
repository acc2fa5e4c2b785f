//! Amounts as people write them (`14 g * 83 MJ/kg`), computed exactly and turned into whole base
//! units, or refused. No floating point: a measure is a fraction of integers and a product of
//! powers of the base units.

use super::error::Reason;
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

    /// The number, where it has no unit.
    pub fn plain(self) -> Option<Ratio> {
        (self.powers == NUMBER).then_some(self.ratio)
    }

    /// The unit in words, for messages.
    fn describe(self) -> String {
        match self.base() {
            Some((_, unit)) => unit.symbol().to_owned(),
            None if self.powers == NUMBER => "no unit".to_owned(),
            None => "a compound unit".to_owned(),
        }
    }
}

/// Whether a word is a unit, and so cannot name a figure.
pub(super) fn is_unit(word: &str) -> bool {
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
pub(super) struct Evaluated {
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

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Number(Ratio),
    Word(String),
    Operator(i8),
}

/// Computes a product or quotient of numbers, units and figures, e.g. `14 g * 83 MJ/kg`.
pub(super) fn evaluate(
    text: &str,
    figure: impl Fn(&str) -> Option<Measure>,
) -> Result<Evaluated, Reason> {
    let wrong = |why: &str| Reason::Amount { text: text.to_owned(), why: why.to_owned() };
    let tokens = tokens(text)?;
    let mut result = Evaluated {
        text: text.to_owned(),
        measure: Measure::number(Ratio::ONE),
        figures: BTreeSet::new(),
        literal: false,
    };
    let mut sign = 1;
    let mut expects_operand = true;
    let mut after_number = false;
    for token in tokens {
        let is_number = matches!(token, Token::Number(_));
        let operand = match token {
            Token::Operator(_) if expects_operand => {
                return Err(wrong("an operator stands where a number should"));
            }
            Token::Operator(operator) => {
                (sign, expects_operand, after_number) = (operator, true, false);
                continue;
            }
            Token::Number(_) if !expects_operand => {
                return Err(wrong("two numbers without `*` or `/` between them"));
            }
            Token::Number(ratio) => Measure::number(ratio),
            Token::Word(_) if !expects_operand && !after_number => {
                return Err(wrong("two words without `*` or `/` between them"));
            }
            Token::Word(word) => match Measure::unit(&word) {
                Some(unit) => {
                    result.literal |= after_number && unit.powers != NUMBER;
                    unit
                }
                None if after_number => return Err(Reason::unknown_unit(word, text)),
                None => {
                    let value = figure(&word).ok_or_else(|| Reason::Unknown {
                        kind: "unit or figure",
                        name: word.clone(),
                        hint: String::new(),
                    })?;
                    result.figures.insert(word);
                    value
                }
            },
        };
        // A unit right after its number belongs to it: `1 g / 2 kg` divides by two kilograms.
        result.measure = result
            .measure
            .combine(operand, sign)
            .ok_or_else(|| wrong("it does not fit, or divides by zero"))?;
        after_number = is_number;
        expects_operand = false;
    }
    if expects_operand { Err(wrong("a number is missing")) } else { Ok(result) }
}

fn tokens(text: &str) -> Result<Vec<Token>, Reason> {
    let wrong = |why: String| Reason::Amount { text: text.to_owned(), why };
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '*' | '/' | '%' => 1,
            '-' | '0'..='9' => number_length(rest),
            _ if first.is_alphabetic() => word_length(rest),
            _ => return Err(wrong(format!("`{first}` has no meaning here"))),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(match first {
            '*' => Token::Operator(1),
            '/' => Token::Operator(-1),
            '-' | '0'..='9' => Token::Number(
                decimal(token)
                    .ok_or_else(|| wrong(format!("`{token}` is not a decimal number")))?,
            ),
            _ => Token::Word(token.to_owned()),
        });
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
}

fn number_length(text: &str) -> usize {
    let mut previous = ' ';
    for (index, c) in text.char_indices() {
        let sign = c == '-' && (index == 0 || previous == 'e');
        let exponent = c == 'e'
            && text[index + 1..].starts_with(|next: char| next.is_ascii_digit() || next == '-');
        if !(c.is_ascii_digit() || c == '.' || c == '_' || sign || exponent) {
            return index;
        }
        previous = c;
    }
    text.len()
}

/// Reads `-12.5e-3` exactly.
fn decimal(text: &str) -> Option<Ratio> {
    let (mantissa, exponent) = match text.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: String = [whole, fraction].concat().replace('_', "");
    if whole.is_empty() || (mantissa.contains('.') && fraction.is_empty()) {
        return None;
    }
    let shift = exponent.checked_sub(i32::try_from(fraction.replace('_', "").len()).ok()?)?;
    let power = 10_i128.checked_pow(shift.unsigned_abs())?;
    let number = digits.parse::<i128>().ok()?;
    if shift < 0 { Ratio::new(number, power) } else { Ratio::new(number.checked_mul(power)?, 1) }
}

#[cfg(test)]
mod tests;
