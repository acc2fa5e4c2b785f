//! Factor sets: emission factors with their sources, as people write them and as the ledger takes
//! them.
//!
//! One reader for TOML and CSV, whatever the set is for: `kerbholz factor publish`, `dev`, the demo
//! and the scenarios. It finds *everything* that is wrong with a file, and says where, before anything
//! is published. The formats are explained in `docs/factors.md`; the set that is built in is
//! `docs/factors/default.csv`, and there is no second copy of its figures.
//!
//! `from_toml` and `from_csv` read cells, `check` makes factors of them, `export` writes published
//! ones as a file again.

mod check;
mod export;
mod from_csv;
mod from_toml;
mod impact;
mod sheet;

pub use export::{climate_of, csv, written};
pub(crate) use impact::unknown_dimension;
pub use impact::{dimension_named, impact};

use crate::written::{Problem, Problems, Reason, Text};
use check::Checker;
use kerbholz_ledger::factor::Factor;
use sheet::{Cell, Record, Sheet};
use std::collections::BTreeMap;

/// The set that is built in: its name and text, for [`FactorFile::parse`].
pub const DEFAULT: (&str, &str) =
    ("docs/factors/default.csv", include_str!("../../docs/factors/default.csv"));

/// Longest name of a set on the ledger, in bytes.
const NAME_MAX: usize = 64;

/// A factor set that can be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactorFile {
    /// The set's name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// The factors, ascending by code, none twice: ready to publish.
    pub factors: Vec<Factor>,
    /// What a reader should know about each, by code; only where there is something to say.
    pub notes: BTreeMap<String, String>,
}

impl FactorFile {
    /// Reads a factor file: CSV where its name ends so, else TOML.
    ///
    /// # Errors
    /// [`Problems`]: everything that is wrong, each with its place.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problems> {
        let text = Text { file, text };
        let mut problems = Vec::new();
        let is_csv = file.rsplit_once('.').is_some_and(|(_, end)| end.eq_ignore_ascii_case("csv"));
        let read = if is_csv { from_csv::read } else { from_toml::read };
        let sheet = read(&text, &mut problems);
        let set = set(&text, &sheet, &mut problems);
        if let Some(set) = set.filter(|_| problems.is_empty()) {
            return Ok(set);
        }
        problems.sort_by_key(|problem| (problem.line, problem.column));
        // What several factors take from one place is wrong once.
        problems.dedup();
        Err(Problems(problems))
    }

    /// The factor of this code.
    pub fn get(&self, code: &str) -> Option<&Factor> {
        let index = self.factors.binary_search_by(|factor| factor.code.as_str().cmp(code)).ok()?;
        self.factors.get(index)
    }
}

fn set(text: &Text<'_>, sheet: &Sheet, problems: &mut Vec<Problem>) -> Option<FactorFile> {
    let name = headline(text, &sheet.name, "name", problems, |name| {
        let fits = (1..=NAME_MAX).contains(&name.len());
        fits.then(|| name.to_owned()).ok_or("a set's name has 1 to 64 bytes")
    });
    let version = headline(text, &sheet.version, "version", problems, |version| {
        version.parse::<u32>().map_err(|_| "a version is a whole number, e.g. 1")
    });
    if sheet.records.is_empty() {
        let reason = "there is no factor: a set has at least one".to_owned();
        problems.push(text.error(&(0..0), Reason::Rule(reason)));
    }
    let mut factors: BTreeMap<String, Factor> = BTreeMap::new();
    let mut notes = BTreeMap::new();
    let mut bases: BTreeMap<&str, &Record> = BTreeMap::new();
    for record in &sheet.records {
        let code = record.fields.get("code");
        if let Some(code) = code.filter(|code| bases.contains_key(code.text.as_str())) {
            let reason = Reason::Duplicate { kind: "factor", name: code.text.clone() };
            problems.push(text.error(&code.span, reason));
        }
        let whole = whole(text, record, &bases, problems);
        let factor = Checker { text, problems }.factor(&whole);
        if let Some(code) = code {
            bases.entry(&code.text).or_insert(record);
            // A note is the factor's own: it says what makes it another than the one it is like.
            notes.extend(record.text("note").map(|note| (code.text.clone(), note.to_owned())));
            factors.extend(factor.map(|factor| (code.text.clone(), factor)));
        }
    }
    let factors = factors.into_values().collect();
    Some(FactorFile { name: name?, version: version?, factors, notes })
}

/// What stands once for the whole set.
fn headline<T>(
    text: &Text<'_>,
    cell: &Option<Cell>,
    called: &str,
    problems: &mut Vec<Problem>,
    read: impl Fn(&str) -> Result<T, &'static str>,
) -> Option<T> {
    let (span, found) = match cell {
        Some(cell) => (cell.span.clone(), read(&cell.text).map_err(str::to_owned)),
        None => (0..0, Err(format!("the set has no `{called}`: a set is named and versioned"))),
    };
    found.map_err(|reason| problems.push(text.error(&span, Reason::Rule(reason)))).ok()
}

/// A factor with what it takes from the one it is `like`.
fn whole(
    text: &Text<'_>,
    record: &Record,
    bases: &BTreeMap<&str, &Record>,
    problems: &mut Vec<Problem>,
) -> Record {
    let Some(like) = record.fields.get("like") else { return record.clone() };
    match bases.get(like.text.as_str()) {
        Some(base) if !base.fields.contains_key("like") => return record.completed_by(base),
        Some(_) => {
            let reason = format!("`{}` is itself like another: name that one", like.text);
            problems.push(text.error(&like.span, Reason::Rule(reason)));
        }
        None => {
            let hint = ": it must stand above".to_owned();
            let reason = Reason::Unknown { kind: "factor", name: like.text.clone(), hint };
            problems.push(text.error(&like.span, reason));
        }
    }
    record.clone()
}

#[cfg(test)]
mod tests;
