//! Resolving what a scenario file names: sources, figures, factors, machines, meters.

use super::raw::Name;
use super::{Cited, Document, Figure, Machine, Meter};
use crate::factors::FactorFile;
use crate::measure::{Evaluated, evaluate};
use crate::written::{Problem, Reason, Span, Text};
use kerbholz_ledger::factor::{Factor, Standing};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// What the names in a file stand for.
pub(super) struct Names<'a> {
    pub text: Text<'a>,
    pub factors: &'a FactorFile,
    pub machines: &'a BTreeMap<String, Machine>,
    pub meters: &'a BTreeMap<String, Meter>,
    pub documents: &'a BTreeMap<String, Document>,
    /// The figures in force: the file's, overridden by the variant's.
    pub figures: BTreeMap<String, Figure>,
    /// The figures that something has named so far.
    pub used: RefCell<BTreeSet<String>>,
}

/// The value of a name in a table, or an error that lists what there is.
pub(super) fn find<'t, T>(
    text: &Text<'_>,
    kind: &'static str,
    table: &'t BTreeMap<String, T>,
    name: &Name,
) -> Result<&'t T, Problem> {
    table.get(name.get_ref()).ok_or_else(|| {
        let known: Vec<_> = table.keys().map(String::as_str).collect();
        let hint = match known.len() {
            0 => String::new(),
            1..=12 => format!(": there is {}", known.join(", ")),
            many => format!(": none of the {many} there are"),
        };
        let name_owned = name.get_ref().clone();
        text.error(&name.span(), Reason::Unknown { kind, name: name_owned, hint })
    })
}

impl Names<'_> {
    /// An error at a place.
    pub fn error(&self, span: &Span, reason: Reason) -> Problem {
        self.text.error(span, reason)
    }

    /// A machine's name, if there is such a machine.
    pub fn machine(&self, name: &Name) -> Result<String, Problem> {
        find(&self.text, "machine", self.machines, name).map(|_| name.get_ref().clone())
    }

    /// A meter's name and the meter.
    pub fn meter(&self, name: &Name) -> Result<(String, &Meter), Problem> {
        find(&self.text, "meter", self.meters, name).map(|meter| (name.get_ref().clone(), meter))
    }

    /// A factor.
    pub fn factor(&self, code: &Name) -> Result<&Factor, Problem> {
        self.factors.get(code.get_ref()).ok_or_else(|| {
            let hint = format!(": the factor file {} does not have it", self.factors.name);
            let name = code.get_ref().clone();
            self.error(&code.span(), Reason::Unknown { kind: "factor", name, hint })
        })
    }

    /// An amount in which every number with a unit comes from a cited figure.
    pub fn amount(&self, name: &Name) -> Result<Evaluated, Problem> {
        self.evaluate(name.get_ref(), &name.span())
    }

    /// The same for part of a text.
    pub fn evaluate(&self, text: &str, span: &Span) -> Result<Evaluated, Problem> {
        let value = evaluate(text, |figure| self.figures.get(figure).map(|figure| figure.measure))
            .map_err(|reason| self.error(span, reason))?;
        if value.literal {
            return Err(self.error(span, Reason::MissingCitation(text.to_owned())));
        }
        self.use_figures(&value.figures);
        Ok(value)
    }

    /// Remembers that these figures are used, and those that they are computed of.
    fn use_figures(&self, figures: &BTreeSet<String>) {
        for name in figures {
            self.used.borrow_mut().insert(name.clone());
            // A variant may compute it of others than the one before did.
            if let Some(figure) = self.figures.get(name) {
                self.use_figures(&figure.from);
            }
        }
    }

    /// These figures and those that they are computed of, as far as they are cited.
    fn all_cited<'f>(&self, figures: impl IntoIterator<Item = &'f String>) -> Vec<&Cited> {
        let mut cited = Vec::new();
        for figure in figures.into_iter().filter_map(|name| self.figures.get(name)) {
            cited.extend(&figure.cited);
            cited.extend(self.all_cited(&figure.from));
        }
        cited
    }

    /// Whether every one of these figures was read in its source or quoted from it.
    pub fn all_known<'f>(&self, figures: impl IntoIterator<Item = &'f String>) -> bool {
        let known =
            |cited: &&Cited| matches!(cited.standing, Standing::Verified | Standing::Quoted);
        self.all_cited(figures).iter().all(known)
    }

    /// The keys of the sources of these figures, each once.
    pub fn cited<'f>(&self, figures: impl IntoIterator<Item = &'f String>) -> Vec<String> {
        let keys = self.all_cited(figures).into_iter().map(|cited| cited.source.clone());
        keys.collect::<BTreeSet<_>>().into_iter().collect()
    }
}
