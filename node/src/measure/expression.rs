//! Expressions: numbers with units, figures by name, and what `+ - * / ( )` make of them.

use super::{Evaluated, Measure, NUMBER, Ratio};
use crate::written::Reason;
use std::collections::BTreeSet;

/// Most digits of a number: what surely fits.
const DIGITS_MAX: usize = 30;

/// Words that mean no number, whatever their case.
const NO_NUMBERS: &[&str] = &["nan", "inf", "infinity"];

/// Computes numbers with units, figures, and what `+ - * / ( )` make of them, e.g.
/// `shell / (100 % - waste) * 83 MJ/kg`.
pub(crate) fn evaluate(
    text: &str,
    figure: impl Fn(&str) -> Option<Measure>,
) -> Result<Evaluated, Reason> {
    let mut parser = Parser {
        text,
        tokens: tokens(text)?,
        at: 0,
        figure: &figure,
        figures: BTreeSet::new(),
        literal: false,
    };
    let measure = parser.sum(0)?;
    let Parser { figures, literal, .. } = match parser.next() {
        None => parser,
        Some(Token::Number(_)) => return Err(parser.wrong(TWO_NUMBERS)),
        Some(Token::Word(_)) => return Err(parser.wrong(TWO_WORDS)),
        Some(_) => return Err(parser.wrong("a parenthesis closes that none has opened")),
    };
    Ok(Evaluated { text: text.to_owned(), measure, figures, literal })
}

const TWO_NUMBERS: &str = "two numbers without `*` or `/` between them";
const TWO_WORDS: &str = "two words without `*` or `/` between them";
const TOO_LARGE: &str = "it does not fit, or divides by zero";
/// Most parentheses in one another.
const DEPTH_MAX: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Number(Ratio),
    Word(String),
    Sign(char),
}

struct Parser<'p> {
    text: &'p str,
    tokens: Vec<Token>,
    at: usize,
    figure: &'p dyn Fn(&str) -> Option<Measure>,
    figures: BTreeSet<String>,
    literal: bool,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    /// The next token, where it is one of these signs.
    fn sign(&mut self, signs: &str) -> Option<char> {
        match self.tokens.get(self.at) {
            Some(Token::Sign(sign)) if signs.contains(*sign) => {
                self.at += 1;
                Some(*sign)
            }
            _ => None,
        }
    }

    fn wrong(&self, why: &str) -> Reason {
        Reason::Amount { text: self.text.to_owned(), why: why.to_owned() }
    }

    fn sum(&mut self, depth: usize) -> Result<Measure, Reason> {
        let mut sum = self.product(depth)?;
        while let Some(sign) = self.sign("+-") {
            let term = self.product(depth)?;
            if term.powers != sum.powers {
                let (here, there) = (sum.describe(), term.describe());
                return Err(self.wrong(&format!("{here} and {there} cannot be added up")));
            }
            sum = sum.plus(term, sign).ok_or_else(|| self.wrong(TOO_LARGE))?;
        }
        Ok(sum)
    }

    fn product(&mut self, depth: usize) -> Result<Measure, Reason> {
        let mut product = self.operand(depth)?;
        while let Some(sign) = self.sign("*/") {
            let operand = self.operand(depth)?;
            let sign = if sign == '*' { 1 } else { -1 };
            product = product.combine(operand, sign).ok_or_else(|| self.wrong(TOO_LARGE))?;
        }
        Ok(product)
    }

    fn operand(&mut self, depth: usize) -> Result<Measure, Reason> {
        match self.next() {
            None => Err(self.wrong("a number is missing")),
            Some(Token::Number(number)) => self.number(number),
            Some(Token::Word(word)) => self.word(word),
            Some(Token::Sign('(')) if depth < DEPTH_MAX => {
                let inner = self.sum(depth + 1)?;
                self.sign(")").ok_or_else(|| self.wrong("a parenthesis is not closed"))?;
                Ok(inner)
            }
            Some(Token::Sign('(')) => Err(self.wrong("too many parentheses in one another")),
            Some(Token::Sign(_)) => Err(self.wrong("an operator stands where a number should")),
        }
    }

    /// A unit right after its number belongs to it: `1 g / 2 kg` divides by two kilograms.
    fn number(&mut self, number: Ratio) -> Result<Measure, Reason> {
        let number = Measure::number(number);
        let Some(Token::Word(word)) = self.tokens.get(self.at).cloned() else { return Ok(number) };
        self.at += 1;
        self.no_number(&word)?;
        let unit = Measure::unit(&word).ok_or_else(|| Reason::unknown_unit(word, self.text))?;
        self.literal |= unit.powers != NUMBER;
        number.combine(unit, 1).ok_or_else(|| self.wrong(TOO_LARGE))
    }

    fn word(&mut self, word: String) -> Result<Measure, Reason> {
        self.no_number(&word)?;
        if let Some(unit) = Measure::unit(&word) {
            return Ok(unit);
        }
        let value = (self.figure)(&word).ok_or_else(|| Reason::Unknown {
            kind: "unit or figure",
            name: word.clone(),
            hint: String::new(),
        })?;
        self.figures.insert(word);
        Ok(value)
    }

    fn no_number(&self, word: &str) -> Result<(), Reason> {
        if NO_NUMBERS.contains(&word.to_ascii_lowercase().as_str()) {
            return Err(self.wrong("it is no number: leave out what is not declared"));
        }
        Ok(())
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, Reason> {
    let wrong = |why: String| Reason::Amount { text: text.to_owned(), why };
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        // After an operator a minus belongs to the number that follows.
        let after_operand =
            matches!(tokens.last(), Some(Token::Number(_) | Token::Word(_) | Token::Sign(')')));
        let is_number =
            first.is_ascii_digit() || (first == '-' && !after_operand && number_length(rest) > 1);
        let length = match first {
            _ if is_number => number_length(rest),
            '*' | '/' | '+' | '-' | '(' | ')' | '%' => 1,
            _ if first.is_alphabetic() => word_length(rest),
            ',' => return Err(wrong("write a decimal point, and no commas".to_owned())),
            _ => return Err(wrong(format!("`{first}` has no meaning here"))),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(match first {
            _ if is_number => {
                Token::Number(decimal(token).ok_or_else(|| wrong(not_decimal(token)))?)
            }
            '*' | '/' | '+' | '-' | '(' | ')' => Token::Sign(first),
            _ => Token::Word(token.to_owned()),
        });
        rest = after.trim_start();
    }
    Ok(tokens)
}

/// What is wrong with a number that cannot be read.
fn not_decimal(token: &str) -> String {
    let digits = token.bytes().filter(u8::is_ascii_digit).count();
    if digits > DIGITS_MAX {
        format!("`{token}` has {digits} digits: at most {DIGITS_MAX} can be kept exactly")
    } else {
        format!("`{token}` is not a decimal number")
    }
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
