//! Whether what the ledger booked is what the study expects: *holds*, *does not hold, because*, or
//! *cannot be judged, because*. Compared exactly; only the figures in the sentences are rounded.

mod ledger;
mod words;

use super::check::{Check, Expectation, Operand, Part};
use super::sensitivity::Sensitivity;
use super::{Scenario, Tag};
use crate::measure::Ratio;
use kerbholz_ledger::footprint::{Dimension, Footprint};
use kerbholz_ledger::id::ContentHash;
use kerbholz_ledger::order::OrderState;
use kerbholz_ledger::quantity::Minor;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use words::{amount, decimal, describe, float, name, percent, rounded, whole};

/// What a variant's steps booked, and what became of its orders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Booked {
    /// The sources' footprints by what they count under: for a reading or a declared lot the
    /// footprint of the lot it made, for an order the footprints of its direct activities and the
    /// mass of its waste. What lots carry into a step was booked by the steps before, so that all of
    /// it adds up to what the product and the sunk lots carry.
    pub by_tag: BTreeMap<Tag, Footprint>,
    /// What the variant saves elsewhere.
    pub avoided: Option<Footprint>,
    /// The footprint of what was delivered, where it was played.
    pub product: Option<Footprint>,
    /// What was delivered and what left the ledger carry together, where it was played.
    pub carried: Option<Footprint>,
    /// The orders by name, where they were played.
    pub orders: BTreeMap<String, OrderFact>,
}

impl Booked {
    /// All that was booked, unless a sum does not fit.
    pub fn total(&self) -> Option<Footprint> {
        let mut of = self.by_tag.values();
        of.try_fold(Footprint::ZERO, |sum, footprint| sum.checked_add(footprint).ok())
    }
}

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderFact {
    /// Where it stands.
    pub state: OrderState,
    /// What the buyer paid.
    pub paid: Minor,
    /// In which currency.
    pub currency: String,
    /// The machine that confirmed delivery, if one did.
    pub confirmed_by: Option<String>,
    /// The order that it serves.
    pub serves: Option<String>,
    /// The hash of what said what to make.
    pub specification: Option<ContentHash>,
}

/// How an expectation came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// As the study found.
    Holds,
    /// Not with these figures.
    DoesNotHold,
    /// Something is not declared, not played, or zero.
    CannotBeJudged,
}

impl std::fmt::Display for Judgement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Holds => "holds",
            Self::DoesNotHold => "does not hold",
            Self::CannotBeJudged => "cannot be judged",
        })
    }
}

/// An expectation and how it came out.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Verdict {
    /// The expectation's short name.
    pub id: String,
    /// The finding, in words.
    pub says: String,
    /// How the words were made into a check, and what explains a difference; may be empty.
    pub note: String,
    /// How it came out.
    pub outcome: Judgement,
    /// The figures that decided it.
    pub because: String,
    /// What was judged, where it is a number.
    pub judged: Option<Judged>,
    /// The figure that this number changes most with, if it changes with any.
    pub most_sensitive: Option<Sensitivity>,
    /// Figures whose range in the literature contains another outcome.
    pub could_change: Vec<Sensitivity>,
}

/// The number that an expectation is judged by.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Judged {
    /// The number.
    pub value: f64,
    /// Whether it is a share of one, else a multiple or an amount.
    pub is_share: bool,
}

impl std::fmt::Display for Judged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_share {
            write!(f, "{:.1} %", 100.0 * self.value)
        } else {
            f.write_str(&rounded(self.value))
        }
    }
}

impl Scenario {
    /// Judges every expectation by what was booked, by variant.
    pub fn judge(&self, booked: &BTreeMap<String, Booked>) -> Vec<Verdict> {
        let bench = Bench { scenario: self, booked };
        self.expectations.iter().map(|expectation| bench.verdict(expectation)).collect()
    }
}

/// Why no judgement is possible.
pub(super) struct Unjudged(String);

/// Whether it holds, the figures that say so, and the number that it is judged by.
type Finding = Result<(bool, String, Option<Judged>), Unjudged>;

fn multiple(ratio: Ratio) -> Option<Judged> {
    Some(Judged { value: float(ratio), is_share: false })
}

struct Bench<'a> {
    scenario: &'a Scenario,
    booked: &'a BTreeMap<String, Booked>,
}

impl Bench<'_> {
    fn verdict(&self, expectation: &Expectation) -> Verdict {
        let found = self.check(&expectation.check, expectation.dimension);
        let (outcome, mut because, judged) = match found {
            Ok((true, because, judged)) => (Judgement::Holds, because, judged),
            Ok((false, because, judged)) => (Judgement::DoesNotHold, because, judged),
            Err(Unjudged(because)) => (Judgement::CannotBeJudged, because, None),
        };
        because.extend(self.beside_the_study(expectation));
        Verdict {
            id: expectation.id.clone(),
            says: expectation.says.clone(),
            note: expectation.note.clone(),
            outcome,
            because,
            judged,
            most_sensitive: None,
            could_change: Vec::new(),
        }
    }

    fn check(&self, check: &Check, dimension: Dimension) -> Finding {
        match check {
            Check::Share { variants, part, at_least, at_most } => {
                self.share(variants, part, (*at_least, *at_most), dimension)
            }
            Check::Ratio { of, over, at_least, at_most } => {
                let ratio = self.ratio(of, over, dimension)?;
                let holds = within(ratio, (*at_least, *at_most))?;
                let (a, b) = (name(of), name(over));
                Ok((holds, format!("{a} is {} times {b}", decimal(ratio)), multiple(ratio)))
            }
            Check::Above { above, below } => self.above(above, below, dimension),
            Check::SameOrder { among, within } => self.same_order(among, *within, dimension),
            Check::Proportional { of, over, by, tolerance } => {
                let ratio = self.ratio(of, over, dimension)?;
                let holds = near(ratio, *by, *tolerance)?;
                let (a, b, by) = (name(of), name(over), decimal(*by));
                let because = format!("{a} is {} times {b}; in proportion {by}", decimal(ratio));
                Ok((holds, because, multiple(ratio)))
            }
            Check::Further { of, over, than_in } => {
                let here = self.ratio(of, over, dimension)?;
                let there = self.ratio(of, over, *than_in)?;
                let holds = compare(here, there)? == Ordering::Greater;
                let further = divide(here, there, || format!("{} is zero", name(of)))?;
                let (a, b) = (name(of), name(over));
                let (here, there) = (decimal(here), decimal(there));
                let (this, that) = (dimension.name(), than_in.name());
                let because = format!("{a} is {here} times {b} in {this}, {there} times in {that}");
                Ok((holds, because, multiple(further)))
            }
            Check::Amount { of, at_least, at_most } => {
                let value = self.value(of, dimension)?;
                let holds = within(value, (*at_least, *at_most))?;
                let because = format!("{} is {}", name(of), amount(value, dimension));
                Ok((holds, because, multiple(value)))
            }
            Check::Delivered { variant, at_least, at_most } => {
                self.delivered(variant, (*at_least, *at_most), dimension)
            }
            Check::Undeclared { variant } => self.undeclared(variant, dimension),
            Check::Conserved { variants } => self.conserved(variants),
            Check::Order(check) => self.order(check),
        }
    }

    fn share(
        &self,
        variants: &[String],
        parts: &[Part],
        bounds: (Option<Ratio>, Option<Ratio>),
        dimension: Dimension,
    ) -> Finding {
        let mut holds = true;
        let (mut because, mut shares) = (Vec::new(), Vec::new());
        for variant in variants {
            let part = self.sum(variant, dimension, |tag| parts.iter().any(|p| p.contains(tag)))?;
            let whole = self.sum(variant, dimension, |_| true)?;
            let share = divide(part, whole, || format!("{variant} has no {}", dimension.name()))?;
            holds &= within(share, bounds)?;
            because.push(format!("{variant} {}", percent(share)));
            shares.push(float(share));
        }
        // The one that is nearest to the bound, or furthest beyond it.
        let worst = if bounds.0.is_some() { f64::min } else { f64::max };
        let judged = shares.into_iter().reduce(worst);
        let judged = judged.map(|value| Judged { value, is_share: true });
        Ok((holds, because.join(", "), judged))
    }

    fn above(&self, above: &[Operand], below: &[Operand], dimension: Dimension) -> Finding {
        let value = |operand| Ok((operand, self.value(operand, dimension)?));
        let above: Vec<_> = above.iter().map(value).collect::<Result<_, Unjudged>>()?;
        let below: Vec<_> = below.iter().map(value).collect::<Result<_, Unjudged>>()?;
        let mut holds = true;
        for (_, greater) in &above {
            for (_, smaller) in &below {
                holds &= compare(*greater, *smaller)? == Ordering::Greater;
            }
        }
        let list = |values: &[(&Operand, Ratio)]| {
            let show = |(operand, value): &(&Operand, Ratio)| {
                format!("{} {}", name(operand), amount(*value, dimension))
            };
            values.iter().map(show).collect::<Vec<_>>().join(", ")
        };
        let floats = |values: &[(&Operand, Ratio)], least: fn(f64, f64) -> f64| {
            values.iter().map(|(_, value)| float(*value)).reduce(least).unwrap_or_default()
        };
        // The least of the greater ones over the greatest of the smaller ones.
        let value = floats(&above, f64::min) / floats(&below, f64::max);
        let judged = value.is_finite().then_some(Judged { value, is_share: false });
        Ok((holds, format!("{}; against {}", list(&above), list(&below)), judged))
    }

    fn same_order(&self, among: &[Operand], times: Ratio, dimension: Dimension) -> Finding {
        let mut holds = true;
        let mut because = Vec::new();
        let values: Vec<_> = among
            .iter()
            .map(|operand| self.value(operand, dimension))
            .collect::<Result<_, Unjudged>>()?;
        for (operand, value) in among.iter().zip(&values) {
            because.push(format!("{} {}", name(operand), amount(*value, dimension)));
            for other in &values {
                let ratio = divide(*value, *other, || format!("{} is zero", name(operand)))?;
                holds &= compare(ratio, times)? != Ordering::Greater;
            }
        }
        let floats = values.iter().map(|value| float(*value));
        let (least, most) = (floats.clone().reduce(f64::min), floats.reduce(f64::max));
        let judged = most.zip(least).map(|(most, least)| most / least);
        let judged = judged.map(|value| Judged { value, is_share: false });
        Ok((holds, because.join(", "), judged))
    }

    /// What the study's figure would take, where it gives one.
    fn beside_the_study(&self, expectation: &Expectation) -> Option<String> {
        let (study, Check::Ratio { of, over, .. }) = (expectation.study?, &expectation.check)
        else {
            return None;
        };
        let dimension = expectation.dimension;
        let (of, ours) = (self.value(of, dimension).ok()?, self.value(over, dimension).ok()?);
        let theirs = of.checked_div(study)?;
        let times = theirs.checked_div(ours)?;
        Some(format!(
            "; the study's about {} would take {} to be {}, {} times what it is here",
            decimal(study),
            name(over),
            amount(theirs, dimension),
            decimal(times),
        ))
    }

    fn played(&self, variant: &str) -> Result<&Booked, Unjudged> {
        self.booked.get(variant).ok_or_else(|| Unjudged(format!("{variant} was not played")))
    }

    fn ratio(&self, of: &Operand, over: &Operand, dimension: Dimension) -> Result<Ratio, Unjudged> {
        let (of, value) = (self.value(of, dimension)?, self.value(over, dimension)?);
        divide(of, value, || format!("{} has no {}", name(over), dimension.name()))
    }

    fn value(&self, operand: &Operand, dimension: Dimension) -> Result<Ratio, Unjudged> {
        let value = if operand.avoided {
            self.avoided(&operand.variant, dimension)?
        } else {
            self.sum(&operand.variant, dimension, |tag| operand.part.contains(tag))?
        };
        divide(value, operand.per, || format!("{} is per nothing", name(operand)))
    }

    fn avoided(&self, variant: &str, dimension: Dimension) -> Result<Ratio, Unjudged> {
        let avoided = self.played(variant)?.avoided.as_ref();
        let avoided = avoided.ok_or_else(|| Unjudged(format!("{variant} avoids nothing")))?;
        let value = avoided.declared(dimension).ok_or_else(|| {
            Unjudged(format!("{} is not declared for what {variant} avoids", dimension.name()))
        })?;
        Ok(whole(value))
    }

    fn sum(
        &self,
        variant: &str,
        dimension: Dimension,
        counts: impl Fn(&Tag) -> bool,
    ) -> Result<Ratio, Unjudged> {
        let booked = self.played(variant)?;
        let counted: Vec<_> = booked.by_tag.iter().filter(|(tag, _)| counts(tag)).collect();
        let undeclared: Vec<_> = counted
            .iter()
            .filter(|(_, footprint)| footprint.declared(dimension).is_none())
            .map(|(tag, _)| describe(tag))
            .collect();
        if !undeclared.is_empty() {
            return Err(Unjudged(format!(
                "{} is not declared in {variant} for {}",
                dimension.name(),
                undeclared.join(", ")
            )));
        }
        let mut sum: i128 = 0;
        for (_, footprint) in counted {
            let next = sum.checked_add(footprint.get(dimension));
            sum = next.ok_or_else(|| Unjudged("the sum does not fit".to_owned()))?;
        }
        Ok(whole(sum))
    }
}

fn divide(of: Ratio, over: Ratio, why: impl Fn() -> String) -> Result<Ratio, Unjudged> {
    of.checked_div(over).ok_or_else(|| Unjudged(why()))
}

fn compare(a: Ratio, b: Ratio) -> Result<Ordering, Unjudged> {
    a.checked_cmp(b).ok_or_else(|| Unjudged("the figures are too large to compare".to_owned()))
}

fn within(
    value: Ratio,
    (at_least, at_most): (Option<Ratio>, Option<Ratio>),
) -> Result<bool, Unjudged> {
    let mut holds = true;
    if let Some(bound) = at_least {
        holds &= compare(value, bound)? != Ordering::Less;
    }
    if let Some(bound) = at_most {
        holds &= compare(value, bound)? != Ordering::Greater;
    }
    Ok(holds)
}

/// Whether `value / by` is within `1 - tolerance ..= 1 + tolerance`.
fn near(value: Ratio, by: Ratio, tolerance: Ratio) -> Result<bool, Unjudged> {
    let relative = divide(value, by, || "the proportion is zero".to_owned())?;
    let (n, d) = (tolerance.numerator(), tolerance.denominator());
    let bound = |numerator: Option<i128>| numerator.and_then(|n| Ratio::new(n, d));
    within(relative, (bound(d.checked_sub(n)), bound(d.checked_add(n))))
}

#[cfg(test)]
mod tests;
