//! A scenario file as it is written: every field, nothing checked but its type. What the fields
//! mean is in `docs/scenarios/README.md`; [`super::build`] checks them and makes a
//! [`super::Scenario`].

use super::{Citation, SinkKind, Stage};
use kerbholz_ledger::factor::Standing;
use kerbholz_ledger::order::{FailureBearer, OrderState};
use kerbholz_ledger::transformation::{AllocationRule, Outcome, OutputRole};
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

pub(super) type Name = Spanned<String>;
pub(super) type Table<T> = BTreeMap<Name, T>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub title: String,
    pub question: String,
    pub functional_unit: String,
    pub study: Name,
    pub sources: BTreeMap<String, Citation>,
    #[serde(default)]
    pub figures: Table<Figure>,
    #[serde(default)]
    pub ranges: Table<Range>,
    #[serde(default)]
    pub documents: Table<Document>,
    pub organisations: Table<Organisation>,
    pub machines: Table<Machine>,
    #[serde(default)]
    pub meters: Table<Meter>,
    pub variants: Vec<Variant>,
    #[serde(default)]
    pub expectations: Vec<Expectation>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Figure {
    pub value: Name,
    pub source: Option<Name>,
    pub standing: Option<FigureStanding>,
    #[serde(default)]
    pub note: String,
    pub range: Option<Range>,
    pub fixed: Option<String>,
    pub round_up: Option<Name>,
}

impl Figure {
    /// Whether it says what only a cited figure has.
    pub const fn is_described(&self) -> bool {
        self.standing.is_some() || self.range.is_some() || self.fixed.is_some()
    }
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Range {
    pub low: Name,
    pub high: Name,
    /// For a factor's: the amount that the ends are per.
    pub per: Option<Name>,
    pub source: Name,
    pub standing: FigureStanding,
    #[serde(default)]
    pub note: String,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub title: String,
    pub content: String,
}

/// How far a figure can be relied on: as for a factor, or given by the study itself.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FigureStanding {
    Given,
    Verified,
    Quoted,
    Unverified,
    Proxy,
}

impl From<FigureStanding> for Standing {
    fn from(standing: FigureStanding) -> Self {
        match standing {
            // The study is the source, and the figure was read there.
            FigureStanding::Given | FigureStanding::Verified => Self::Verified,
            FigureStanding::Quoted => Self::Quoted,
            FigureStanding::Unverified => Self::Unverified,
            FigureStanding::Proxy => Self::Proxy,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Organisation {
    pub title: String,
    pub role: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Machine {
    pub organisation: Name,
    pub place: String,
    pub does: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Meter {
    pub machine: Name,
    pub factor: Name,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Variant {
    pub id: Name,
    pub title: String,
    pub product: Name,
    pub like: Option<Name>,
    #[serde(default)]
    pub figures: Table<Figure>,
    #[serde(default)]
    pub steps: Vec<Spanned<Step>>,
    pub avoided: Option<Avoided>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Avoided {
    pub what: String,
    pub factor: Name,
    pub amount: Name,
}

/// One step. Which of `declare`, `read`, `order` and `sink` is there says which kind it is.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub declare: Option<Name>,
    pub read: Option<Name>,
    pub order: Option<Name>,
    pub sink: Option<Name>,
    pub stage: Option<Stage>,
    pub component: Option<String>,
    // declare
    pub machine: Option<Name>,
    pub factor: Option<Name>,
    pub quantity: Option<Name>,
    pub mass: Option<Name>,
    pub product: Option<Name>,
    // read
    pub meter: Option<Name>,
    // order
    pub buyer: Option<Name>,
    pub provider: Option<Name>,
    pub parent: Option<Name>,
    pub service: Option<Name>,
    pub inputs: Option<Vec<Name>>,
    pub activities: Option<Vec<Activity>>,
    pub outputs: Option<Vec<Output>>,
    pub allocation: Option<Spanned<AllocationRule>>,
    pub price: Option<Name>,
    pub predicted: Option<Name>,
    pub mass_tolerance: Option<Name>,
    pub requires: Option<Vec<Name>>,
    pub specification: Option<Name>,
    pub confirmer: Option<Name>,
    pub outcome: Option<Spanned<Outcome>>,
    pub failure: Option<FailureBearer>,
    // sink
    pub kind: Option<Spanned<SinkKind>>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Activity {
    pub name: Name,
    pub factor: Name,
    pub amount: Name,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Output {
    pub lot: Name,
    pub product: Option<Name>,
    pub quantity: Name,
    pub mass: Option<Name>,
    pub role: Option<OutputRole>,
    pub weight: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expectation {
    pub id: Name,
    pub says: String,
    #[serde(default)]
    pub note: String,
    #[serde(default)]
    pub dimension: Option<Name>,
    pub check: Name,
    // share
    pub variants: Option<Vec<Name>>,
    pub part: Option<Vec<Part>>,
    // ratio, proportional, further
    pub of: Option<Operand>,
    pub over: Option<Operand>,
    pub at_least: Option<Name>,
    pub at_most: Option<Name>,
    pub by: Option<Name>,
    pub tolerance: Option<Name>,
    pub than_in: Option<Name>,
    // above
    pub above: Option<Vec<Operand>>,
    pub below: Option<Vec<Operand>>,
    // same-order
    pub among: Option<Vec<Operand>>,
    pub within: Option<Name>,
    // order
    pub variant: Option<Name>,
    pub order: Option<Name>,
    pub state: Option<OrderState>,
    pub confirmed_by: Option<Name>,
    pub paid: Option<Name>,
    pub serves: Option<Name>,
    pub specification: Option<Name>,
    /// What the study found, where it gives a figure.
    pub study: Option<Name>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    pub stage: Option<Stage>,
    pub component: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Operand {
    pub variant: Name,
    pub stage: Option<Stage>,
    pub component: Option<String>,
    #[serde(default)]
    pub avoided: bool,
    pub per: Option<Name>,
}
