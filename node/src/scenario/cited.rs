//! Figures with where they are from: the citation, how far it can be relied on, its range in the
//! literature.

use crate::measure::Measure;
use kerbholz_ledger::factor::Standing;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Where a figure comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Citation {
    /// Author, year, title.
    pub cite: String,
    /// URL or DOI; empty where there is none.
    #[serde(default)]
    pub url: String,
    /// What was looked at, and how much of it.
    pub seen: String,
    /// Licence of what is used; empty where single figures are quoted.
    #[serde(default)]
    pub licence: String,
}

/// A figure: cited, or computed of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// As written, e.g. `83 MJ/kg`.
    pub text: String,
    /// Exactly.
    pub measure: Measure,
    /// Where it is from; `None` where it is computed.
    pub cited: Option<Cited>,
    /// The figures that it is computed of.
    pub from: BTreeSet<String>,
    /// What is computed is rounded up to a multiple of this.
    pub round_up: Option<Measure>,
    /// How it was derived or chosen.
    pub note: String,
}

/// Where a figure is from, and how far it may be off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cited {
    /// A key of the sources.
    pub source: String,
    /// How far it can be relied on.
    pub standing: Standing,
    /// Its range in the literature.
    pub range: Option<Range<Measure>>,
    /// Why it is no matter of opinion, e.g. since it defines the functional unit.
    pub fixed: Option<String>,
}

/// The range of a figure or factor in the literature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range<T> {
    /// The low end, as written.
    pub low: String,
    /// The high end, as written.
    pub high: String,
    /// Both, exactly.
    pub ends: (T, T),
    /// A key of the sources.
    pub source: String,
    /// How far it can be relied on.
    pub standing: Standing,
    /// What was varied, or who differs.
    pub note: String,
}
