//! Whether what the ledger booked is what the study expects: *holds*, *does not hold, because*, or
//! *cannot be judged, because*. Compared exactly; only the figures in the sentences are rounded.

use super::expectation::{Check, Expectation, Operand, Part};
use super::measure::Ratio;
use super::{Scenario, Tag};
use kerbholz_ledger::footprint::{Dimension, Footprint};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What a variant's steps booked, by what it counts under: for a reading or a declared lot the
/// footprint of the lot it made, for an order the footprints of its direct activities and the mass
/// of its waste. What lots carry into a step was booked by the steps before, so that all of it adds
/// up to what the product and the sunk lots carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Booked {
    /// The sources' footprints by tag.
    pub by_tag: BTreeMap<Tag, Footprint>,
}

/// How an expectation came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As the study found.
    Holds,
    /// Not with these figures.
    DoesNotHold,
    /// Something is not declared, not played, or zero.
    CannotBeJudged,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Holds => "holds",
            Self::DoesNotHold => "does not hold",
            Self::CannotBeJudged => "cannot be judged",
        })
    }
}

/// An expectation and how it came out.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Verdict {
    /// The expectation's short name.
    pub id: String,
    /// The finding, in words.
    pub says: String,
    /// How it came out.
    pub outcome: Outcome,
    /// The figures that decided it.
    pub because: String,
}

impl Scenario {
    /// Judges every expectation by what was booked, by variant.
    pub fn judge(&self, booked: &BTreeMap<String, Booked>) -> Vec<Verdict> {
        let bench = Bench { scenario: self, booked };
        self.expectations.iter().map(|expectation| bench.verdict(expectation)).collect()
    }
}

/// Why no judgement is possible.
struct Unjudged(String);

type Judgement = Result<(bool, String), Unjudged>;

struct Bench<'a> {
    scenario: &'a Scenario,
    booked: &'a BTreeMap<String, Booked>,
}

impl Bench<'_> {
    fn verdict(&self, expectation: &Expectation) -> Verdict {
        let (outcome, because) = match self.check(&expectation.check, expectation.dimension) {
            Ok((true, because)) => (Outcome::Holds, because),
            Ok((false, because)) => (Outcome::DoesNotHold, because),
            Err(Unjudged(because)) => (Outcome::CannotBeJudged, because),
        };
        let (id, says) = (expectation.id.clone(), expectation.says.clone());
        Verdict { id, says, outcome, because }
    }

    fn check(&self, check: &Check, dimension: Dimension) -> Judgement {
        match check {
            Check::Share { variants, part, at_least, at_most } => {
                self.share(variants, part, (*at_least, *at_most), dimension)
            }
            Check::Ratio { of, over, at_least, at_most } => {
                let ratio = self.ratio(of, over, dimension)?;
                let holds = within(ratio, (*at_least, *at_most))?;
                let (a, b) = (name(of), name(over));
                Ok((holds, format!("{a} is {} times {b}", decimal(ratio))))
            }
            Check::Above { above, below } => self.above(above, below, dimension),
            Check::SameOrder { among, within } => self.same_order(among, *within, dimension),
            Check::Proportional { of, over, by, tolerance } => {
                let ratio = self.ratio(of, over, dimension)?;
                let holds = near(ratio, *by, *tolerance)?;
                let (a, b, by) = (name(of), name(over), decimal(*by));
                Ok((holds, format!("{a} is {} times {b}; in proportion {by}", decimal(ratio))))
            }
            Check::Further { of, over, than_in } => {
                let here = self.ratio(of, over, dimension)?;
                let there = self.ratio(of, over, *than_in)?;
                let holds = compare(here, there)? == Ordering::Greater;
                let (a, b) = (name(of), name(over));
                let (here, there) = (decimal(here), decimal(there));
                let (this, that) = (dimension.name(), than_in.name());
                Ok((holds, format!("{a} is {here} times {b} in {this}, {there} times in {that}")))
            }
        }
    }

    fn share(
        &self,
        variants: &[String],
        parts: &[Part],
        bounds: (Option<Ratio>, Option<Ratio>),
        dimension: Dimension,
    ) -> Judgement {
        let mut holds = true;
        let mut because = Vec::new();
        for variant in variants {
            let part = self.sum(variant, dimension, |tag| parts.iter().any(|p| p.contains(tag)))?;
            let whole = self.sum(variant, dimension, |_| true)?;
            let share = divide(part, whole, || format!("{variant} has no {}", dimension.name()))?;
            holds &= within(share, bounds)?;
            because.push(format!("{variant} {}", percent(share)));
        }
        Ok((holds, because.join(", ")))
    }

    fn above(&self, above: &[Operand], below: &[Operand], dimension: Dimension) -> Judgement {
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
        Ok((holds, format!("{}; against {}", list(&above), list(&below))))
    }

    fn same_order(&self, among: &[Operand], times: Ratio, dimension: Dimension) -> Judgement {
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
        Ok((holds, because.join(", ")))
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
        let found = self.scenario.variants.iter().find(|candidate| candidate.id == variant);
        let avoided = found
            .and_then(|variant| variant.avoided.as_ref())
            .ok_or_else(|| Unjudged(format!("{variant} avoids nothing")))?;
        let value = avoided.footprint.declared(dimension).ok_or_else(|| {
            let (dimension, what) = (dimension.name(), &avoided.what);
            Unjudged(format!("{dimension} is not declared for {what}"))
        })?;
        Ok(whole(value))
    }

    fn sum(
        &self,
        variant: &str,
        dimension: Dimension,
        counts: impl Fn(&Tag) -> bool,
    ) -> Result<Ratio, Unjudged> {
        let booked = self
            .booked
            .get(variant)
            .ok_or_else(|| Unjudged(format!("{variant} was not played")))?;
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

fn whole(value: i128) -> Ratio {
    Ratio::new(value, 1).unwrap_or(Ratio::ONE)
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

fn describe(tag: &Tag) -> String {
    let stage = format!("{:?}", tag.stage).to_lowercase();
    tag.component.as_ref().map_or(stage.clone(), |component| format!("{stage} ({component})"))
}

fn name(operand: &Operand) -> String {
    let mut words = vec![operand.variant.clone()];
    if operand.avoided {
        words.push("avoided".to_owned());
    }
    words.extend(operand.part.stage.map(|stage| format!("{stage:?}").to_lowercase()));
    words.extend(operand.part.component.clone());
    if operand.per != Ratio::ONE {
        words.push(format!("per {}", decimal(operand.per)));
    }
    words.join(" ")
}

#[expect(clippy::cast_precision_loss, reason = "rounded for reading only")]
fn float(ratio: Ratio) -> f64 {
    ratio.numerator() as f64 / ratio.denominator() as f64
}

fn decimal(ratio: Ratio) -> String {
    let value = float(ratio);
    if value.abs() < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

fn percent(ratio: Ratio) -> String {
    format!("{:.1} %", float(ratio) * 100.0)
}

/// An amount with a readable prefix: `84.0 g CO2e` of `ng CO2e`.
fn amount(value: Ratio, dimension: Dimension) -> String {
    let value = float(value);
    let Some(substance) = dimension.unit().strip_prefix("ng ") else {
        return format!("{value:.0} {}", dimension.unit());
    };
    let prefixes = [(1e12, "kg"), (1e9, "g"), (1e6, "mg"), (1e3, "µg")];
    let (scale, prefix) =
        prefixes.into_iter().find(|(scale, _)| value.abs() >= *scale).unwrap_or((1.0, "ng"));
    format!("{:.1} {prefix} {substance}", value / scale)
}

#[cfg(test)]
mod tests;
