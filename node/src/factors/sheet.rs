//! A factor set as it is written, whichever format it is written in: cells with their places, nothing
//! checked. [`super::from_toml`] and [`super::from_csv`] fill it, [`super::check`] reads it.

use crate::written::Span;
use std::collections::BTreeMap;

/// What is written somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    /// The text, without quotes and surrounding blanks.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// A whole file.
#[derive(Clone, Debug, Default)]
pub(super) struct Sheet {
    /// The set's name.
    pub name: Option<Cell>,
    /// Its version.
    pub version: Option<Cell>,
    /// The factors, in the order of the file.
    pub records: Vec<Record>,
}

/// One factor.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    /// Where it begins.
    pub span: Span,
    /// What is written in its fields, by the names of [`FIELDS`]; empty cells are not there.
    pub fields: BTreeMap<&'static str, Cell>,
    /// Dimensions with what a reference amount adds to them; a plain `0` declares a zero.
    pub impacts: Vec<(Cell, Cell)>,
}

impl Record {
    /// The text of a field.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(|cell| cell.text.as_str())
    }

    /// Where to say that something is missing.
    pub fn begin(&self) -> &Span {
        self.fields.get("code").map_or(&self.span, |code| &code.span)
    }

    /// This factor with what it does not say itself taken from another.
    pub fn completed_by(&self, base: &Self) -> Self {
        let mut whole = self.clone();
        let says_climate = self.impacts.iter().any(|(name, _)| name.text == "climate");
        let is_part = |name: &str| says_climate && matches!(name, CLIMATE_TTW | CLIMATE_WTT);
        for (name, cell) in &base.fields {
            if !is_part(name) {
                whole.fields.entry(name).or_insert_with(|| cell.clone());
            }
        }
        for (name, amount) in &base.impacts {
            if !self.impacts.iter().any(|(own, _)| own.text == name.text) {
                whole.impacts.push((name.clone(), amount.clone()));
            }
        }
        whole
    }
}

/// Climate impact of the use itself.
pub(super) const CLIMATE_TTW: &str = "climate_ttw";
/// Climate impact of providing the fuel.
pub(super) const CLIMATE_WTT: &str = "climate_wtt";

/// The fields of a factor besides its dimensions, with what to write where one that must be there is
/// missing (empty: it may be left out). The order is that of exported files.
pub(super) const FIELDS: &[(&str, &str)] = &[
    ("code", "a name such as `electricity.DE`"),
    ("like", ""),
    ("per", "the amount that the impacts are per, e.g. 1 kWh"),
    (CLIMATE_TTW, ""),
    (CLIMATE_WTT, ""),
    ("technology", "how well the technology fits, from 1 (best) to 5"),
    ("geography", "how well the region fits, from 1 (best) to 5"),
    ("time", "how well the year fits, from 1 (best) to 5"),
    ("gwp", "the report behind the warming potentials: ar5, ar6, or unstated"),
    ("region", "where it applies, e.g. DE or GLO"),
    ("valid_from", "the first day it may be used for, e.g. 2025-01-01"),
    ("valid_until", "the first day it may no longer be used for"),
    ("source", "who published the figure, and where"),
    ("source_id", ""),
    ("year", ""),
    ("url", ""),
    ("licence", "under which licence the figure may be used"),
    ("standing", "how far it can be relied on: verified, quoted, unverified or proxy"),
    ("note", ""),
];

/// The name of a field, where there is one of that name.
pub(super) fn field(name: &str) -> Option<&'static str> {
    FIELDS.iter().map(|(field, _)| *field).find(|field| *field == name)
}
