//! Scenario files: what the demo plays, as written in `docs/scenarios/*.toml`.
//!
//! A scenario says which machines of which organisations order what of one another, what goes in,
//! what comes out, and by which figures; the ledger computes the footprints. Reading is pure: text
//! in, [`Scenario`] out, or a [`crate::written::Problem`] with file, line, column and reason.
//! Amounts are exact integers in the ledger's base units; whatever does not come out whole, has no
//! citation, takes what is not there or loses mass is an error. [`Scenario::judge`] compares what
//! was booked with what the study expects. The format is explained in `docs/scenarios/README.md`.

mod build;
mod check;
mod cited;
mod expectation;
mod figures;
#[cfg(test)]
pub(crate) mod fixtures;
mod flow;
mod judge;
mod model;
mod names;
mod raw;
mod sensitivity;
pub mod shipped;
mod step;

pub use check::{Check, Expectation, Operand, OrderCheck, Part};
pub use cited::{Citation, Cited, Figure, Range};
pub use judge::{Booked, Judged, Judgement, OrderFact, Verdict};
pub use model::Change;
pub use sensitivity::{RangeEffect, Sensitivity};

use crate::factors;
use crate::measure;
use crate::measure::Ratio;
use crate::written::Reason;
use kerbholz_ledger::footprint::{Dimension, DimensionSet, EvidenceTier, Footprint};
use kerbholz_ledger::id::ContentHash;
pub use kerbholz_ledger::operation::SinkKind;
use kerbholz_ledger::order::FailureBearer;
use kerbholz_ledger::quantity::{Milligrams, Minor, Quantity};
use kerbholz_ledger::transformation::{AllocationRule, Outcome, OutputRole};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Reads an amount such as `1.5 kg` as a whole number of base units.
///
/// # Errors
/// [`Reason`]: what is no amount, has no known unit, or is not whole.
pub fn quantity(text: &str) -> Result<Quantity, Reason> {
    measure::evaluate(text, |_| None)?.quantity()
}

/// Reads a climate impact such as `1.2 kg CO2e` in nanograms.
///
/// # Errors
/// [`Reason`]: what is no mass of CO2e, or not whole.
pub fn climate(text: &str) -> Result<i128, Reason> {
    let not_whole = || Reason::NotWhole { text: text.to_owned(), unit: Dimension::Climate.unit() };
    factors::impact(Dimension::Climate, text)?.whole().ok_or_else(not_whole)
}

/// A scenario that can be played: every name resolved, every amount whole, every figure cited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// What it is about.
    pub title: String,
    /// The question it answers.
    pub question: String,
    /// What the variants are compared by.
    pub functional_unit: String,
    /// The study it retells: a key of `sources`.
    pub study: String,
    /// Where figures come from, by key.
    pub sources: BTreeMap<String, Citation>,
    /// Ranges of factors' climate impact in the literature, as multiples of it, by code.
    pub ranges: BTreeMap<String, Range<Ratio>>,
    /// Documents that orders name by hash: design files.
    pub documents: BTreeMap<String, Document>,
    /// The organisations, by name.
    pub organisations: BTreeMap<String, Organisation>,
    /// The machines, by name.
    pub machines: BTreeMap<String, Machine>,
    /// The meters, by name.
    pub meters: BTreeMap<String, Meter>,
    /// The variants, in the order of the file.
    pub variants: Vec<Variant>,
    /// What the study expects.
    pub expectations: Vec<Expectation>,
}

/// A document that is exchanged outside the ledger, and known to it by its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What it is.
    pub title: String,
    /// BLAKE3 of its content.
    pub hash: ContentHash,
}

/// A company in the scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organisation {
    /// Its name for people.
    pub title: String,
    /// What it does in the scenario.
    pub role: String,
}

/// A machine of an organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Whose.
    pub organisation: String,
    /// Where it stands (or what network it runs in).
    pub place: String,
    /// What it does.
    pub does: String,
}

/// A meter that counts a machine's electricity in joules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    /// The machine that owns what it books.
    pub machine: String,
    /// The code of the factor of its grid zone.
    pub factor: String,
}

/// One way of making the functional unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The study's short name, e.g. `FZ2-min`.
    pub id: String,
    /// What it is.
    pub title: String,
    /// The lot that is the functional unit, delivered.
    pub product: String,
    /// The figures in force: its own instead of those it is like, and those instead of the file's.
    pub figures: BTreeMap<String, Figure>,
    /// What happens, in the order in which it is booked.
    pub steps: Vec<Step>,
    /// What it saves elsewhere: shown beside its footprint, never netted into it.
    pub avoided: Option<Avoided>,
}

/// An avoided burden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Avoided {
    /// What is avoided.
    pub what: String,
    /// The factor's code.
    pub factor: String,
    /// How much of it.
    pub amount: Quantity,
    /// The same as written.
    pub written: String,
    /// Its footprint: factor times amount.
    pub footprint: Footprint,
}

/// A stage of the life cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Making the material.
    Material,
    /// Making the product of it.
    Processing,
    /// Moving either.
    Transport,
    /// Getting rid of waste.
    Disposal,
    /// What supports the work: computing, transmitting data, insuring.
    Service,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Material => "material",
            Self::Processing => "processing",
            Self::Transport => "transport",
            Self::Disposal => "disposal",
            Self::Service => "service",
        })
    }
}

/// What a source's footprint is counted under when hot spots are looked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag {
    /// The stage.
    pub stage: Stage,
    /// Finer, e.g. `air freight`.
    pub component: Option<String>,
}

/// One step of a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Line in the file.
    pub line: usize,
    /// Character in the line.
    pub column: usize,
    /// What the footprint it books is counted under; `None` where it books none.
    pub tag: Option<Tag>,
    /// The sources of the figures in it.
    pub sources: Vec<String>,
    /// How well its amounts are known. `Derived` wants evidence on the ledger, `Default` none.
    pub tier: EvidenceTier,
    /// What it books, as written: amounts that can be computed anew with other figures.
    pub books: Vec<Booking>,
    /// What happens.
    pub action: Action,
}

/// A source that a step books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Booking {
    /// A factor times an amount.
    Factor {
        /// Its code.
        code: String,
        /// The amount, as written.
        amount: String,
    },
    /// Waste, by its mass as written.
    Waste(String),
}

/// What a step does, in terms of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A machine brings in a lot from outside.
    Declare(Declaration),
    /// A meter's register moves on.
    Read(Reading),
    /// A machine has another do something.
    Order(Box<Order>),
    /// A lot leaves the ledger.
    Sink(Sink),
}

/// A lot brought in by a factor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// The lot's name in the variant.
    pub lot: String,
    /// Who brings it in.
    pub machine: String,
    /// What it is.
    pub product: String,
    /// How much.
    pub quantity: Quantity,
    /// Its mass.
    pub mass: Milligrams,
    /// The factor's code.
    pub factor: String,
}

/// A reading that makes an energy lot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The lot's name in the variant.
    pub lot: String,
    /// The meter.
    pub meter: String,
    /// By how many joules the register moves on.
    pub joules: u64,
}

/// Some of a lot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portion {
    /// The lot's name in the variant.
    pub lot: String,
    /// How much of it.
    pub quantity: Quantity,
}

/// An order with its completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its name in the variant.
    pub name: String,
    /// The machine that orders.
    pub buyer: String,
    /// The machine that does it.
    pub provider: String,
    /// What is ordered.
    pub service: String,
    /// The order that this one serves; it may complete later, but is placed first.
    pub parent: Option<String>,
    /// The orders to place when the player gets here and has not yet: outermost first, itself last.
    pub place: Vec<String>,
    /// What is delivered.
    pub product: String,
    /// How much of it.
    pub quantity: Quantity,
    /// The buyer's lots that go in, named in the terms.
    pub provided: Vec<Portion>,
    /// All that goes in: material, parts, drawn energy.
    pub inputs: Vec<Portion>,
    /// What is booked directly.
    pub activities: Vec<Activity>,
    /// What comes out.
    pub outputs: Vec<Output>,
    /// How the outputs' weights were chosen.
    pub allocation: AllocationRule,
    /// What it costs.
    pub price: Minor,
    /// In which currency.
    pub currency: String,
    /// What the provider predicted, ng CO2e.
    pub predicted_climate: Option<i128>,
    /// Largest difference of mass in and out, in millionths of mass in.
    pub mass_tolerance_ppm: u32,
    /// The dimensions that must be declared.
    pub required: DimensionSet,
    /// The document that says what is to be made: a key of the scenario's; else the scenario itself.
    pub specification: Option<String>,
    /// The machine that confirms delivery; the buyer if nobody else does.
    pub confirmer: Option<String>,
    /// How it ends: complete, or failed.
    pub outcome: Outcome,
    /// Who keeps what a failure leaves.
    pub failure: FailureBearer,
}

/// A direct activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// What kind, e.g. `transport`.
    pub name: String,
    /// The factor's code.
    pub factor: String,
    /// How much.
    pub amount: Quantity,
}

/// A lot that comes out of an order. Products go to the buyer, the rest stays with the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The lot's name in the variant.
    pub lot: String,
    /// What it is.
    pub product: String,
    /// How much.
    pub quantity: Quantity,
    /// Its mass.
    pub mass: Milligrams,
    /// Product, by-product or waste.
    pub role: OutputRole,
    /// Its share of the footprint, relative to the others'.
    pub weight: u64,
}

/// A lot leaves the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    /// Who gives it up.
    pub machine: String,
    /// The lot, and how much of it.
    pub portion: Portion,
    /// Where to.
    pub kind: SinkKind,
}

impl Variant {
    /// The order of this name.
    pub fn order(&self, name: &str) -> Option<&Order> {
        self.steps.iter().find_map(|step| match &step.action {
            Action::Order(order) if order.name == name => Some(order.as_ref()),
            _ => None,
        })
    }
}
