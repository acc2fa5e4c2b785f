//! What people write on the command line, read exactly: amounts, prices, times, lots and outputs.

use kerbholz_client::ledger::footprint::{Dimension, DimensionSet};
use kerbholz_client::ledger::quantity::{Milligrams, Quantity, Unit};
use kerbholz_node::scenario;
use std::time::Duration;

/// Minor units in one of a currency: the ledger counts cents.
const MINOR: u64 = 100;
/// Decimal places of a price.
const DECIMALS: usize = 2;

/// An amount of money, e.g. `25.00 EUR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// The currency.
    pub currency: String,
    /// How many minor units.
    pub minor: u64,
}

/// A lot and how much of it, e.g. `PA12 powder:120 g`; all of it without an amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// An id, the beginning of one, or a product.
    pub lot: String,
    /// How much.
    pub amount: Option<Quantity>,
}

/// What came out, e.g. `bracket=1 piece,mass=100 g`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// What it is.
    pub product: String,
    /// How much.
    pub quantity: Quantity,
    /// Its mass.
    pub mass: Milligrams,
    /// Its share of the footprint, where one was given.
    pub weight: Option<u64>,
}

/// What was done, e.g. `transport=12 tkm@transport.truck`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// What kind of activity.
    pub name: String,
    /// How much.
    pub amount: Quantity,
    /// The factor's code.
    pub factor: String,
}

/// `0 kWh` or more: where a register stands.
pub fn register(text: &str) -> Result<Quantity, String> {
    // Scenario files may leave the number out; on the command line that is a slip.
    if !text.trim_start().starts_with(|first: char| first.is_ascii_digit()) {
        return Err(format!("{text:?} is no amount: write for example \"1.5 kg\""));
    }
    scenario::quantity(text).map_err(|error| error.to_string())
}

/// `1.5 kg`, `3.2 kWh`, `12 pieces`.
pub fn quantity(text: &str) -> Result<Quantity, String> {
    let quantity = register(text)?;
    if quantity.amount == 0 { Err("it must be more than nothing".into()) } else { Ok(quantity) }
}

/// `120 g`.
pub fn mass(text: &str) -> Result<Milligrams, String> {
    let quantity = register(text)?;
    if quantity.unit == Unit::Milligram {
        Ok(Milligrams::new(quantity.amount))
    } else {
        Err(format!("{text:?} is no mass: write for example \"120 g\""))
    }
}

/// `1.2 kg` or `1.2 kg CO2e`, in nanograms.
pub fn climate(text: &str) -> Result<i128, String> {
    let bare = text.trim_end().trim_end_matches("CO2e").trim_end();
    scenario::climate(&format!("{bare} CO2e")).map_err(|error| error.to_string())
}

/// `90s`, `15min`, `1h`, `1d`.
pub fn span(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write for example \"90s\", \"15min\", \"2h\" or \"1d\""))
}

/// `25.00 EUR`.
pub fn price(text: &str) -> Result<Price, String> {
    let wrong = || format!("{text:?} is no price: write for example \"25.00 EUR\"");
    let (number, currency) = text.trim().split_once(char::is_whitespace).ok_or_else(wrong)?;
    let currency = currency.trim().to_owned();
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "00"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > DECIMALS || currency.is_empty() {
        return Err(wrong());
    }
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    let cents: u64 = format!("{decimals:0<DECIMALS$}").parse().map_err(|_| wrong())?;
    let minor = whole.checked_mul(MINOR).and_then(|minor| minor.checked_add(cents));
    Ok(Price { currency, minor: minor.ok_or_else(wrong)? })
}

/// Minor units as people write them.
pub fn money(minor: u64, currency: &str) -> String {
    format!("{}.{:02} {currency}", minor / MINOR, minor % MINOR)
}

/// `LOT:AMOUNT`, or `LOT` for all of it.
pub fn share(text: &str) -> Result<Share, String> {
    match text.rsplit_once(':') {
        None => Ok(Share { lot: text.trim().to_owned(), amount: None }),
        Some((lot, amount)) => {
            Ok(Share { lot: lot.trim().to_owned(), amount: Some(quantity(amount)?) })
        }
    }
}

/// `PRODUCT=QUANTITY[,mass=MASS][,weight=NUMBER]`.
pub fn made(text: &str) -> Result<Made, String> {
    let wrong =
        || format!("{text:?} is no output: write for example \"bracket=1 piece,mass=100 g\"");
    let mut parts = text.split(',');
    let (product, amount) = parts.next().and_then(|part| part.split_once('=')).ok_or_else(wrong)?;
    let quantity = quantity(amount)?;
    let own_mass = if quantity.unit == Unit::Milligram { quantity.amount } else { 0 };
    let mut made = Made {
        product: product.trim().to_owned(),
        quantity,
        mass: Milligrams::new(own_mass),
        weight: None,
    };
    for part in parts {
        let (name, value) = part.split_once('=').ok_or_else(wrong)?;
        match name.trim() {
            "mass" => made.mass = mass(value)?,
            "weight" => made.weight = Some(value.trim().parse().map_err(|_| wrong())?),
            _ => return Err(wrong()),
        }
    }
    Ok(made)
}

/// `NAME=AMOUNT@FACTOR`.
pub fn done(text: &str) -> Result<Done, String> {
    let wrong = || {
        format!("{text:?} is no activity: write for example \"transport=12 tkm@transport.truck\"")
    };
    let (name, rest) = text.split_once('=').ok_or_else(wrong)?;
    let (amount, factor) = rest.split_once('@').ok_or_else(wrong)?;
    let (name, factor) = (name.trim().to_owned(), factor.trim().to_owned());
    if name.is_empty() || factor.is_empty() {
        return Err(wrong());
    }
    Ok(Done { name, amount: quantity(amount)?, factor })
}

/// `climate,energy,abiotic depletion`.
pub fn dimensions(text: &str) -> Result<DimensionSet, String> {
    let mut dimensions = Vec::new();
    for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let found = Dimension::ALL.iter().find(|dimension| dimension.name() == name);
        dimensions.push(*found.ok_or_else(|| {
            let names: Vec<&str> = Dimension::ALL.iter().map(|one| one.name()).collect();
            format!("{name:?} is no dimension: choose from {}", names.join("; "))
        })?);
    }
    Ok(DimensionSet::of(&dimensions))
}

/// A name for a member: it becomes a file name too.
pub fn name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=64).contains(&text.len()) && text.chars().all(fits) && !text.starts_with('.') {
        Ok(text.to_owned())
    } else {
        Err("a name has 1 to 64 letters, digits, `-`, `_` or `.`, and does not begin with `.`"
            .into())
    }
}

#[cfg(test)]
mod tests;
