//! What the demo found, as data: computed from the replayed ledger, the clients' clocks and the
//! processes' counters. `--json` writes it, [`super::show`] and [`super::report`] present it.

use super::authorities::Measured;
use super::examine::{Examined, LedgerFinding, ReceiptFinding};
use super::flows::{Branch, Flows, Upstream};
use super::interruption::Interruption;
use super::player::{Made, Played};
use super::stories::{Stories, Story, orders};
use super::timing::Finality;
use super::{Acted, DemoError};
use crate::audit;
use crate::scenario::{Booked, Stage, Tag, Variant, Verdict};
use kerbholz_ledger::footprint::{Dimension, Footprint};
use kerbholz_ledger::id::{LotId, OrderId};
use kerbholz_ledger::query;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Power of one busy processor core, for the stated model, in watts.
pub const WATTS_PER_CORE: f64 = 15.0;

/// Everything.
#[derive(Clone, Debug, Serialize)]
pub struct Findings {
    /// Whether every check passed.
    pub ok: bool,
    /// Version of the program.
    pub version: &'static str,
    /// The dimensions, in the order of all lists of values.
    pub dimensions: Vec<DimensionName>,
    /// The scenarios.
    pub scenarios: Vec<ScenarioFinding>,
    /// The trial balance: sources = stock + sinks, to the last unit.
    pub balance: Vec<BalanceLine>,
    /// The same for quantities of products.
    pub products: Vec<kerbholz_ledger::balance::ProductBalance>,
    /// Money: issued = available + held + redeemed.
    pub money: Vec<kerbholz_ledger::balance::CurrencyBalance>,
    /// What the network did.
    pub network: NetworkFinding,
    /// The killed authority.
    pub interruption: Interruption,
    /// Whose data was replayed.
    pub replayed: String,
    /// What the replay found.
    pub replay: audit::Report,
    /// The receipt that was verified offline.
    pub receipt: ReceiptFinding,
    /// The authorities' ledgers, one history.
    pub ledgers: Vec<LedgerFinding>,
    /// Where the data lies, if it was kept.
    pub data: Option<PathBuf>,
    /// How long everything took, in seconds.
    pub seconds: f64,
    /// How long the machines played, in seconds.
    pub playing_seconds: f64,
}

/// A dimension's name and unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DimensionName {
    /// The name.
    pub name: &'static str,
    /// The unit of its integers.
    pub unit: &'static str,
}

/// A line of the trial balance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BalanceLine {
    /// The dimension.
    pub dimension: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Booked in.
    pub sources: i128,
    /// In lots.
    pub stock: i128,
    /// Booked out.
    pub sinks: i128,
    /// What is missing: zero.
    pub difference: i128,
}

/// A scenario that was played.
#[derive(Clone, Debug, Serialize)]
pub struct ScenarioFinding {
    /// Its file.
    pub file: String,
    /// What it is about.
    pub title: String,
    /// The question.
    pub question: String,
    /// What is compared.
    pub functional_unit: String,
    /// The study, cited.
    pub study: String,
    /// The variants.
    pub variants: Vec<VariantFinding>,
    /// The study's expectations, judged by what the ledger booked.
    pub expectations: Vec<Verdict>,
}

/// A variant that was played. Lists of values are in the order of the dimensions; `None` is not
/// declared.
#[derive(Clone, Debug, Serialize)]
pub struct VariantFinding {
    /// The study's short name.
    pub id: String,
    /// What it is.
    pub title: String,
    /// Everything that was booked for it.
    pub footprint: Vec<Option<i128>>,
    /// The same where not all sources declare it: what is declared, a lower bound.
    pub known: Vec<i128>,
    /// What of it the delivered product carries; the rest went into sinks.
    pub product: Vec<Option<i128>>,
    /// Shares of climate by evidence tier: measured, derived, default.
    pub tiers: [f64; 3],
    /// Climate-weighted data quality (technology, geography, time), 1 best to 5.
    pub quality: [f64; 3],
    /// Whether climate figures by several assessment reports, or by unstated ones, went in.
    pub gwp_mixed: bool,
    /// By stage and component.
    pub parts: Vec<PartFinding>,
    /// What it saves elsewhere; never netted.
    pub avoided: Option<AvoidedFinding>,
    /// Orders settled.
    pub orders: usize,
    /// What they cost, in minor units.
    pub price_minor: u64,
    /// The delivered lot.
    pub lot: String,
    /// Where its footprint comes from.
    pub tree: Option<Branch>,
    /// The same as flows.
    pub flows: Flows,
}

/// A part of a variant's footprint.
#[derive(Clone, Debug, Serialize)]
pub struct PartFinding {
    /// The stage.
    pub stage: Stage,
    /// The component, if the scenario names one.
    pub component: Option<String>,
    /// Its footprint.
    pub footprint: Vec<Option<i128>>,
}

/// An avoided burden.
#[derive(Clone, Debug, Serialize)]
pub struct AvoidedFinding {
    /// What is avoided.
    pub what: String,
    /// Its footprint.
    pub footprint: Vec<Option<i128>>,
}

/// What the network did.
#[derive(Clone, Debug, Serialize)]
pub struct NetworkFinding {
    /// Finality while all four ran.
    pub finality_all: Finality,
    /// Finality while one was down.
    pub finality_one_down: Finality,
    /// What each authority used.
    pub authorities: Vec<Measured>,
    /// Processor time of all authorities, in seconds.
    pub cpu_seconds: f64,
    /// Power assumed for one busy core, in watts: a stated model, no measurement.
    pub watts_per_core_modelled: f64,
    /// Energy by that model, in joules.
    pub joules_modelled: f64,
    /// The same for one transaction.
    pub joules_per_transaction_modelled: f64,
}

/// Puts everything together.
///
/// # Errors
/// [`DemoError::Missing`] when the replayed ledger lacks what the machines were told is in it.
pub fn assemble(
    stories: &Stories,
    acted: Acted,
    examined: Examined,
    authorities: Vec<Measured>,
    took: Duration,
) -> Result<Findings, DemoError> {
    let mut scenarios = Vec::new();
    for (index, story) in stories.stories.iter().enumerate() {
        let played = acted.played.iter().filter(|played| played.place.0 == index);
        scenarios.push(scenario(story, played, &examined)?);
    }
    let report = &examined.replay.report;
    let balance = balance(&report.balance);
    let (finality_all, finality_one_down) = acted.timing.finality();
    #[expect(clippy::cast_precision_loss, reason = "milliseconds and counts, for people")]
    let network = {
        let cpu_ms: u64 = authorities.iter().map(|authority| authority.cpu_ms).sum();
        let cpu_seconds = cpu_ms as f64 / 1_000.0;
        let joules = cpu_seconds * WATTS_PER_CORE;
        NetworkFinding {
            finality_all,
            finality_one_down,
            authorities,
            cpu_seconds,
            watts_per_core_modelled: WATTS_PER_CORE,
            joules_modelled: joules,
            joules_per_transaction_modelled: joules / (report.transactions.max(1) as f64),
        }
    };
    Ok(Findings {
        ok: balance.iter().all(|line| line.difference == 0),
        version: env!("CARGO_PKG_VERSION"),
        dimensions: Dimension::ALL
            .iter()
            .map(|d| DimensionName { name: d.name(), unit: d.unit() })
            .collect(),
        scenarios,
        balance,
        products: report.balance.products.clone(),
        money: report.balance.currencies.clone(),
        network,
        interruption: acted.interruption,
        replayed: examined.authority,
        replay: examined.replay.report,
        receipt: examined.receipt,
        ledgers: examined.ledgers,
        data: None,
        seconds: took.as_secs_f64(),
        playing_seconds: acted.playing.as_secs_f64(),
    })
}

fn balance(balance: &kerbholz_ledger::balance::TrialBalance) -> Vec<BalanceLine> {
    let line = |dimension: &Dimension| {
        let of = |footprint: &Footprint| footprint.get(*dimension);
        let (sources, stock, sinks) =
            (of(&balance.sources), of(&balance.stock), of(&balance.sinks));
        let difference = sources.saturating_sub(stock).saturating_sub(sinks);
        let (dimension, unit) = (dimension.name(), dimension.unit());
        BalanceLine { dimension, unit, sources, stock, sinks, difference }
    };
    Dimension::ALL.iter().map(line).collect()
}

fn scenario<'p>(
    story: &Story,
    played: impl Iterator<Item = &'p Played>,
    examined: &Examined,
) -> Result<ScenarioFinding, DemoError> {
    let scenario = &story.scenario;
    let mut variants = Vec::new();
    let mut booked = BTreeMap::new();
    for played in played {
        let variant = &scenario.variants[played.place.1];
        let of = booked_by(variant, played, examined)?;
        variants.push(finding(variant, played, &of, examined)?);
        booked.insert(variant.id.clone(), of);
    }
    let study = scenario.sources.get(&scenario.study);
    Ok(ScenarioFinding {
        file: story.file.clone(),
        title: scenario.title.clone(),
        question: scenario.question.clone(),
        functional_unit: scenario.functional_unit.clone(),
        study: study.map(|citation| citation.cite.clone()).unwrap_or_default(),
        variants,
        expectations: scenario.judge(&booked),
    })
}

fn overflow(variant: &Variant) -> DemoError {
    DemoError::Missing(format!("a sum that fits, for {}", variant.id))
}

/// What each step booked, by what it counts under.
fn booked_by(variant: &Variant, played: &Played, of: &Examined) -> Result<Booked, DemoError> {
    let mut booked = Booked::default();
    for (step, made) in variant.steps.iter().zip(&played.made) {
        let Some(tag) = &step.tag else { continue };
        let footprint = match made {
            Made::Source(lot) => birth(of, *lot)?.clone(),
            Made::Order(order) => booked_by_order(of, *order)?,
            Made::Nothing => continue,
        };
        let sum = booked.by_tag.entry(tag.clone()).or_default();
        *sum = sum.checked_add(&footprint).map_err(|_| overflow(variant))?;
    }
    Ok(booked)
}

fn birth(of: &Examined, lot: LotId) -> Result<&Footprint, DemoError> {
    let row = of.births.get(&lot);
    row.map(|row| &row.footprint).ok_or_else(|| DemoError::Missing(format!("lot {lot}")))
}

/// What an order's completion booked itself: all that went into its outputs, less its inputs.
fn booked_by_order(of: &Examined, id: OrderId) -> Result<Footprint, DemoError> {
    let missing = || DemoError::Missing(format!("order {id}, completed"));
    let state = &of.replay.state;
    let order = query::order(state, id).ok().flatten().ok_or_else(missing)?;
    let completed = order.completed.ok_or_else(missing)?;
    let row = query::transformation(state, completed.transformation).ok().flatten();
    let row = row.ok_or_else(missing)?;
    let mut booked = Footprint::ZERO;
    for activity in &row.activities {
        booked = booked.checked_add(&activity.footprint).map_err(|_| missing())?;
    }
    let mut own = completed.footprint;
    for input in &row.inputs {
        own = own.checked_sub(&input.footprint).map_err(|_| missing())?;
    }
    // The sets of what is not declared are the activities'; the values include booked waste.
    for dimension in Dimension::ALL {
        booked.set(*dimension, own.get(*dimension));
    }
    Ok(booked)
}

fn values(footprint: &Footprint) -> Vec<Option<i128>> {
    Dimension::ALL.iter().map(|dimension| footprint.declared(*dimension)).collect()
}

fn finding(
    variant: &Variant,
    played: &Played,
    booked: &Booked,
    examined: &Examined,
) -> Result<VariantFinding, DemoError> {
    let mut total = Footprint::ZERO;
    for footprint in booked.by_tag.values() {
        total = total.checked_add(footprint).map_err(|_| overflow(variant))?;
    }
    let part = |(tag, footprint): (&Tag, &Footprint)| PartFinding {
        stage: tag.stage,
        component: tag.component.clone(),
        footprint: values(footprint),
    };
    let share = |dimension| ratio(total.get(dimension), total.get(Dimension::Climate));
    let upstream = Upstream::new(&examined.replay.state, &examined.births);
    Ok(VariantFinding {
        id: variant.id.clone(),
        title: variant.title.clone(),
        footprint: values(&total),
        known: total.values().to_vec(),
        product: values(birth(examined, played.product)?),
        tiers: [Dimension::ClimateMeasured, Dimension::ClimateDerived, Dimension::ClimateDefault]
            .map(share),
        quality: [
            Dimension::ClimateByTechnologyRating,
            Dimension::ClimateByGeographyRating,
            Dimension::ClimateByTimeRating,
        ]
        .map(share),
        gwp_mixed: total.gwp_sets.is_mixed(),
        parts: booked.by_tag.iter().map(part).collect(),
        avoided: variant.avoided.as_ref().map(|avoided| AvoidedFinding {
            what: avoided.what.clone(),
            footprint: values(&avoided.footprint),
        }),
        orders: orders(variant).count(),
        price_minor: orders(variant).map(|order| order.price.get()).sum(),
        lot: played.product.to_string(),
        tree: upstream.tree(played.product),
        flows: upstream.flows(played.product),
    })
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
fn ratio(part: i128, whole: i128) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
