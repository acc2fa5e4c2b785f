//! Figures: cited ones, with their range in the literature where there is one, and those that are
//! computed of others.

use super::names::find;
use super::raw::{self, Name};
use super::{Citation, Cited, Figure, Range};
use crate::measure::{Evaluated, Measure, Ratio, evaluate, is_unit};
use crate::written::{Problem, Reason, Text};
use std::collections::{BTreeMap, BTreeSet};

/// The figures in force, as written: a variant's own instead of those it is like, and those instead
/// of the file's.
pub(super) type InForce<'r> = BTreeMap<String, (&'r Name, &'r raw::Figure)>;

/// What all figures in force come to.
pub(super) fn figures(
    text: &Text<'_>,
    written: &InForce<'_>,
    sources: &BTreeMap<String, Citation>,
) -> Result<BTreeMap<String, Figure>, Problem> {
    let mut figures = BTreeMap::new();
    let mut computed = Vec::new();
    for (name, (at, raw)) in written {
        if is_unit(name) {
            let reason = format!("a figure cannot be called `{name}`: that is a unit");
            return Err(text.error(&at.span(), Reason::Rule(reason)));
        }
        match &raw.source {
            Some(source) => {
                figures.insert(name.clone(), cited(text, at, raw, source, sources)?);
            }
            None => computed.push((name, *at, *raw)),
        }
    }
    // Those that need others come after them.
    while !computed.is_empty() {
        let before = computed.len();
        let mut later = Vec::new();
        for (name, at, raw) in computed {
            let value = evaluate(raw.value.get_ref(), |name| {
                figures.get(name).map(|figure: &Figure| figure.measure)
            });
            match value {
                Ok(value) => {
                    figures.insert(name.clone(), computed_figure(text, at, raw, value)?);
                }
                Err(Reason::Unknown { name: other, .. }) if written.contains_key(&other) => {
                    later.push((name, at, raw));
                }
                Err(reason) => return Err(text.error(&raw.value.span(), reason)),
            }
        }
        if let Some((name, at, _)) = later.first().filter(|_| later.len() == before) {
            let reason = format!("the figure `{name}` is computed of itself: cite one of them");
            return Err(text.error(&at.span(), Reason::Rule(reason)));
        }
        computed = later;
    }
    Ok(figures)
}

/// A figure that is computed of others; one that names none, or brings in a number with a unit, has
/// to be cited.
fn computed_figure(
    text: &Text<'_>,
    at: &Name,
    raw: &raw::Figure,
    value: Evaluated,
) -> Result<Figure, Problem> {
    if value.literal || value.figures.is_empty() || raw.is_described() {
        return Err(text.error(&at.span(), Reason::MissingCitation(at.get_ref().clone())));
    }
    let round_up = raw.round_up.as_ref().map(|step| amount(text, step)).transpose()?;
    let measure = rounded_up(value.measure, round_up).ok_or_else(|| {
        let reason = "it cannot be rounded up to that".to_owned();
        text.error(&at.span(), Reason::Rule(reason))
    })?;
    Ok(Figure {
        text: raw.value.get_ref().clone(),
        measure,
        cited: None,
        from: value.figures,
        round_up,
        note: raw.note.clone(),
    })
}

fn cited(
    text: &Text<'_>,
    at: &Name,
    raw: &raw::Figure,
    source: &Name,
    sources: &BTreeMap<String, Citation>,
) -> Result<Figure, Problem> {
    find(text, "source", sources, source)?;
    let standing = raw.standing.ok_or_else(|| {
        let reason =
            "a cited figure has a `standing`: given, verified, quoted, unverified or proxy";
        text.error(&at.span(), Reason::Rule(reason.to_owned()))
    })?;
    let measure = amount(text, &raw.value)?;
    let range = raw.range.as_ref().map(|raw| range(text, raw, measure, sources)).transpose()?;
    let cited = Cited {
        source: source.get_ref().clone(),
        standing: standing.into(),
        range,
        fixed: raw.fixed.clone(),
    };
    Ok(Figure {
        text: raw.value.get_ref().clone(),
        measure,
        cited: Some(cited),
        from: BTreeSet::new(),
        round_up: None,
        note: raw.note.clone(),
    })
}

/// A measure, or the next multiple of a step above it.
fn rounded_up(measure: Measure, step: Option<Measure>) -> Option<Measure> {
    let Some(step) = step else { return Some(measure) };
    let times = measure.over(step)?;
    let (n, d) = (times.numerator(), times.denominator());
    let whole = n.checked_add(d)?.checked_sub(1)?.div_euclid(d);
    step.times(Ratio::new(whole, 1)?)
}

fn amount(text: &Text<'_>, written: &Name) -> Result<Measure, Problem> {
    evaluate(written.get_ref(), |_| None)
        .map(|value| value.measure)
        .map_err(|reason| text.error(&written.span(), reason))
}

/// A range of a figure: of its kind, from low to high.
fn range(
    text: &Text<'_>,
    raw: &raw::Range,
    of: Measure,
    sources: &BTreeMap<String, Citation>,
) -> Result<Range<Measure>, Problem> {
    find(text, "source", sources, &raw.source)?;
    let (from, to) = (amount(text, &raw.low)?, amount(text, &raw.high)?);
    for (end, at) in [(from, &raw.low), (to, &raw.high)] {
        if end.over(of).is_none() && !of.is_zero() {
            let (text_of, found) = (at.get_ref().clone(), end.describe());
            let reason = Reason::Unit { text: text_of, found, wanted: of.describe() };
            return Err(text.error(&at.span(), reason));
        }
    }
    let ascends = to.over(from).is_none_or(|ratio| ratio.numerator() > ratio.denominator());
    if !ascends {
        let reason = "a range goes from `low` to a greater `high`".to_owned();
        return Err(text.error(&raw.high.span(), Reason::Rule(reason)));
    }
    Ok(Range {
        low: raw.low.get_ref().clone(),
        high: raw.high.get_ref().clone(),
        ends: (from, to),
        source: raw.source.get_ref().clone(),
        standing: raw.standing.into(),
        note: raw.note.clone(),
    })
}

/// What figures come to when cited ones are changed: the computed ones follow.
pub(super) fn recomputed(
    figures: &BTreeMap<String, Figure>,
    changed: impl Fn(&str, &Figure) -> Measure,
) -> BTreeMap<String, Measure> {
    let mut values = BTreeMap::new();
    for (name, figure) in figures.iter().filter(|(_, figure)| figure.cited.is_some()) {
        values.insert(name.clone(), changed(name, figure));
    }
    // Every pass computes at least one, as there is no cycle; else nothing is left to compute.
    loop {
        let mut more = Vec::new();
        for (name, figure) in figures.iter().filter(|(name, _)| !values.contains_key(*name)) {
            let value = evaluate(&figure.text, |name| values.get(name).copied());
            let value = value.ok().and_then(|value| rounded_up(value.measure, figure.round_up));
            more.extend(value.map(|value| (name.clone(), value)));
        }
        if more.is_empty() {
            return values;
        }
        values.extend(more);
    }
}
