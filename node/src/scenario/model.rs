//! What a scenario books, computed from its file alone: factor times amount, step by step. The
//! ledger is what counts; this is for asking what would be booked with other figures, and must agree
//! with the ledger to the last unit where none is changed.

use super::figures::recomputed;
use super::judge::Booked;
use super::{Booking, Figure, Scenario, Step, Variant};
use crate::factors::FactorFile;
use crate::measure::{Measure, Ratio, evaluate};
use kerbholz_ledger::factor::Factor;
use kerbholz_ledger::footprint::{Dimension, EvidenceTier, Footprint};
use std::collections::BTreeMap;

/// What is other than written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// A cited figure, wherever it has this name, this value and this source.
    Figure {
        /// Its name.
        name: String,
        /// Its value as written, and its source.
        written: (String, String),
        /// What it is instead.
        instead: Measure,
    },
    /// The climate impact of a factor.
    Factor {
        /// Its code.
        code: String,
        /// So many times what it is.
        times: Ratio,
    },
}

impl Change {
    /// The figure's value under this change.
    fn figure(&self, name: &str, figure: &Figure) -> Measure {
        match (self, &figure.cited) {
            (Self::Figure { name: changed, written: (text, source), instead }, Some(cited))
                if changed == name && *text == figure.text && *source == cited.source =>
            {
                *instead
            }
            _ => figure.measure,
        }
    }

    /// The factor under this change; `None` where it does not fit.
    fn factor(&self, factor: &Factor) -> Option<Factor> {
        match self {
            Self::Factor { code, times } if *code == factor.code => scaled(factor, *times),
            _ => Some(factor.clone()),
        }
    }
}

/// A factor with so many times the climate impact, exactly.
fn scaled(factor: &Factor, times: Ratio) -> Option<Factor> {
    const CLIMATE: &[Dimension] = &[
        Dimension::Climate,
        Dimension::ClimateFossil,
        Dimension::ClimateLandUse,
        Dimension::ClimateAircraft,
    ];
    let mut scaled = factor.clone();
    // Per so many times the reference, everything is whole.
    let by = times.denominator();
    scaled.reference.amount =
        u64::try_from(i128::from(factor.reference.amount).checked_mul(by)?).ok()?;
    for impact in &mut scaled.impacts {
        let times = if CLIMATE.contains(&impact.dimension) { times.numerator() } else { by };
        impact.value = impact.value.checked_mul(times)?;
    }
    Some(scaled)
}

impl Scenario {
    /// What every variant books under a change; `None` where a number does not fit.
    pub fn model(&self, factors: &FactorFile, change: &Change) -> Option<BTreeMap<String, Booked>> {
        let variants = self.variants.iter();
        variants
            .map(|variant| Some((variant.id.clone(), model(variant, factors, change)?)))
            .collect()
    }
}

fn model(variant: &Variant, factors: &FactorFile, change: &Change) -> Option<Booked> {
    let figures = recomputed(&variant.figures, |name, figure| change.figure(name, figure));
    let amount = |written: &str| {
        let value = evaluate(written, |name| figures.get(name).copied()).ok()?;
        value.measure.nearest().map(|(amount, _)| amount)
    };
    let mut booked = Booked::default();
    for step in &variant.steps {
        let Some(tag) = &step.tag else { continue };
        let own = footprint(step, factors, change, amount)?;
        let sum = booked.by_tag.entry(tag.clone()).or_default();
        *sum = sum.checked_add(&own).ok()?;
    }
    if let Some(avoided) = &variant.avoided {
        let factor = change.factor(factors.get(&avoided.factor)?)?;
        let tier = avoided.footprint.get(Dimension::ClimateDefault);
        let tier = if tier == 0 { EvidenceTier::Derived } else { EvidenceTier::Default };
        booked.avoided = Some(factor.apply(amount(&avoided.written)?, tier).ok()?);
    }
    Some(booked)
}

/// What a step books: its factors times their amounts, and the mass of its waste.
fn footprint(
    step: &Step,
    factors: &FactorFile,
    change: &Change,
    amount: impl Fn(&str) -> Option<u64>,
) -> Option<Footprint> {
    let mut sum = Footprint::ZERO;
    for booking in &step.books {
        let booked = match booking {
            Booking::Factor { code, amount: written } => {
                let factor = change.factor(factors.get(code)?)?;
                factor.apply(amount(written)?, step.tier).ok()?
            }
            Booking::Waste(mass) => {
                let mut waste = Footprint::ZERO;
                waste.set(Dimension::Waste, i128::from(amount(mass)?));
                waste
            }
        };
        sum = sum.checked_add(&booked).ok()?;
    }
    Some(sum)
}
