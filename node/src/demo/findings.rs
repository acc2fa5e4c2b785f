//! What the demo found, as data: computed from the replayed ledger, the clients' clocks and the
//! processes' counters. `--json` writes it, [`super::show`] and [`super::report`] present it.

use super::authorities::Measured;
use super::books::Books;
use super::examine::{Examined, LedgerFinding, ReceiptFinding};
use super::flows::{Branch, Flows, Upstream};
use super::interruption::Interruption;
use super::player::Played;
use super::stories::{Stories, Story, orders};
use super::timing::Finality;
use super::{Acted, DemoError};
use crate::audit;
use crate::factors::FactorFile;
use crate::scenario::{Booked, Change, Stage, Tag, Variant, Verdict};
use kerbholz_ledger::footprint::{Dimension, Footprint};
use kerbholz_ledger::id::LotId;
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
    /// Whether what was booked is, to the last unit, what the file computes; `None` where nothing was
    /// booked.
    pub as_computed: Option<bool>,
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
    /// Orders placed.
    pub orders: usize,
    /// What was paid for them, in minor units.
    pub price_minor: u64,
    /// The delivered lot, where it was played.
    pub lot: Option<String>,
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
    let books = Books { state: &examined.replay.state, births: &examined.births };
    let mut scenarios = Vec::new();
    for (index, story) in stories.stories.iter().enumerate() {
        let played = acted.played.iter().filter(|played| played.place.0 == index);
        scenarios.push(scenario(story, &stories.factors, played, &books)?);
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
        ok: balance.iter().all(|line| line.difference == 0)
            && scenarios.iter().all(|scenario| scenario.as_computed != Some(false)),
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

/// What a scenario that was played came to.
///
/// # Errors
/// [`DemoError::Missing`] when the books lack what the machines were told is in them.
pub fn scenario<'p>(
    story: &Story,
    factors: &FactorFile,
    played: impl Iterator<Item = &'p Played>,
    books: &Books<'_>,
) -> Result<ScenarioFinding, DemoError> {
    let scenario = &story.scenario;
    let mut variants = Vec::new();
    let mut booked = BTreeMap::new();
    for played in played {
        let variant = &scenario.variants[played.place.1];
        let of = books.booked(variant, played)?;
        variants.push(finding(variant, &of, Some((played.product, books)))?);
        booked.insert(variant.id.clone(), of);
    }
    let model = scenario.model(factors, &Change::None).unwrap_or_default();
    let agrees = |(id, booked): (&String, &Booked)| {
        model.get(id).is_some_and(|model| model.by_tag == booked.by_tag)
    };
    let as_computed = booked.iter().all(agrees);
    Ok(assembled(story, factors, variants, &booked, Some(as_computed)))
}

/// What a scenario comes to by its file alone, without a ledger.
///
/// # Errors
/// [`DemoError::Missing`] when a sum does not fit.
pub fn computed(story: &Story, factors: &FactorFile) -> Result<ScenarioFinding, DemoError> {
    let scenario = &story.scenario;
    let overflow = || DemoError::Missing("a sum that fits".to_owned());
    let booked = scenario.model(factors, &Change::None).ok_or_else(overflow)?;
    let mut variants = Vec::new();
    for variant in &scenario.variants {
        if let Some(booked) = booked.get(&variant.id) {
            variants.push(finding(variant, booked, None)?);
        }
    }
    Ok(assembled(story, factors, variants, &booked, None))
}

fn assembled(
    story: &Story,
    factors: &FactorFile,
    variants: Vec<VariantFinding>,
    booked: &BTreeMap<String, Booked>,
    as_computed: Option<bool>,
) -> ScenarioFinding {
    let scenario = &story.scenario;
    let study = scenario.sources.get(&scenario.study);
    let mut expectations = scenario.judge(booked);
    scenario.weigh(factors, &mut expectations);
    ScenarioFinding {
        file: story.file.clone(),
        title: scenario.title.clone(),
        question: scenario.question.clone(),
        functional_unit: scenario.functional_unit.clone(),
        study: study.map(|citation| citation.cite.clone()).unwrap_or_default(),
        as_computed,
        variants,
        expectations,
    }
}

fn values(footprint: &Footprint) -> Vec<Option<i128>> {
    Dimension::ALL.iter().map(|dimension| footprint.declared(*dimension)).collect()
}

/// A variant, as booked or as computed; `delivered` where it was played.
fn finding(
    variant: &Variant,
    booked: &Booked,
    delivered: Option<(LotId, &Books<'_>)>,
) -> Result<VariantFinding, DemoError> {
    let overflow = || DemoError::Missing(format!("a sum that fits, for {}", variant.id));
    let total = booked.total().ok_or_else(overflow)?;
    let part = |(tag, footprint): (&Tag, &Footprint)| PartFinding {
        stage: tag.stage,
        component: tag.component.clone(),
        footprint: values(footprint),
    };
    let share = |dimension| ratio(total.get(dimension), total.get(Dimension::Climate));
    let upstream = delivered.map(|(lot, books)| (lot, Upstream::new(books.state, books.births)));
    let price = |order: &crate::scenario::Order| order.price.get();
    Ok(VariantFinding {
        id: variant.id.clone(),
        title: variant.title.clone(),
        footprint: values(&total),
        known: total.values().to_vec(),
        product: values(booked.product.as_ref().unwrap_or(&total)),
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
        price_minor: match delivered {
            Some(_) => booked.orders.values().map(|order| order.paid.get()).sum(),
            None => orders(variant).map(price).sum(),
        },
        lot: delivered.map(|(lot, _)| lot.to_string()),
        tree: upstream.as_ref().and_then(|(lot, upstream)| upstream.tree(*lot)),
        flows: upstream.map(|(lot, upstream)| upstream.flows(lot)).unwrap_or_default(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
fn ratio(part: i128, whole: i128) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
