//! Which figure an outcome hangs on: each cited figure and each factor is varied alone, by the same
//! share, and over its range in the literature where the file gives one; everything else stays. The
//! program computes it, so that nobody has to guess which figure to look up better.

use super::judge::{Booked, Judged, Judgement, Verdict};
use super::model::Change;
use super::{Range, Scenario};
use crate::factors::FactorFile;
use crate::measure::Ratio;
use kerbholz_ledger::factor::Standing;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// By what share figures are varied, in per cent.
pub const VARIED_BY_PERCENT: i128 = 10;
/// What changes less than this share of the judged number does not change it.
const NOTICEABLE: f64 = 1e-6;

/// What becomes of a judged number when one figure is another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sensitivity {
    /// The figure's name, or the factor's code.
    pub of: String,
    /// Its value, as written.
    pub value: String,
    /// Where it is from.
    pub source: String,
    /// How far it can be relied on.
    pub standing: Standing,
    /// The judged number with the figure lower, and higher, by `VARIED_BY_PERCENT`.
    pub varied: (Judged, Judged),
    /// By how much the judged number changes at most, as a share of it.
    pub change: f64,
    /// The same over the figure's range in the literature.
    pub range: Option<RangeEffect>,
}

/// What becomes of a judged number over a figure's range in the literature.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RangeEffect {
    /// The low end, as written.
    pub low: String,
    /// The high end, as written.
    pub high: String,
    /// Where the range is from.
    pub source: String,
    /// How far it can be relied on.
    pub standing: Standing,
    /// What was varied, or who differs.
    pub note: String,
    /// The judged number at both ends.
    pub judged: (Judged, Judged),
    /// How the expectation comes out at both ends.
    pub outcomes: (Judgement, Judgement),
}

/// A figure or factor that is varied.
struct Input {
    of: String,
    value: String,
    source: String,
    standing: Standing,
    lower: Change,
    higher: Change,
    /// The ends of the range, and what is said of it.
    range: Option<(Change, Change, Said)>,
}

/// What a file says of a range.
struct Said {
    low: String,
    high: String,
    source: String,
    standing: Standing,
    note: String,
}

impl Said {
    fn of<T>(range: &Range<T>, scenario: &Scenario) -> Self {
        Self {
            low: range.low.clone(),
            high: range.high.clone(),
            source: scenario.cite(&range.source),
            standing: range.standing,
            note: range.note.clone(),
        }
    }
}

impl Scenario {
    /// Says for each verdict which figure it is most sensitive to, and which could change it.
    pub fn weigh(&self, factors: &FactorFile, verdicts: &mut [Verdict]) {
        let judged: Vec<Option<Judged>> = verdicts.iter().map(|verdict| verdict.judged).collect();
        let mut found: Vec<Vec<Sensitivity>> = verdicts.iter().map(|_| Vec::new()).collect();
        for input in self.inputs(factors) {
            let Some(lower) = self.rejudged(factors, &input.lower) else { continue };
            let Some(higher) = self.rejudged(factors, &input.higher) else { continue };
            let range = input.range.as_ref().and_then(|(low, high, said)| {
                Some((self.rejudged(factors, low)?, self.rejudged(factors, high)?, said))
            });
            for (index, judged) in judged.iter().enumerate() {
                let of = |verdicts: &[Verdict]| verdicts.get(index).and_then(|v| v.judged);
                let Some((base, varied)) = judged.zip(of(&lower).zip(of(&higher))) else {
                    continue;
                };
                let range = range
                    .as_ref()
                    .and_then(|(low, high, said)| effect(low.get(index)?, high.get(index)?, said));
                let off = |judged: &Judged| ((judged.value - base.value) / base.value).abs();
                let change = off(&varied.0).max(off(&varied.1));
                let of_range = range
                    .as_ref()
                    .map_or(0.0, |range| off(&range.judged.0).max(off(&range.judged.1)));
                if change.max(of_range) > NOTICEABLE {
                    found[index].push(Sensitivity {
                        of: input.of.clone(),
                        value: input.value.clone(),
                        source: input.source.clone(),
                        standing: input.standing,
                        varied,
                        change,
                        range,
                    });
                }
            }
        }
        for (verdict, mut found) in verdicts.iter_mut().zip(found) {
            found.sort_by(|a, b| b.change.total_cmp(&a.change));
            let outcome = verdict.outcome;
            verdict.most_sensitive = found.first().cloned();
            found.retain(|one| {
                one.range
                    .as_ref()
                    .is_some_and(|range| range.outcomes.0 != outcome || range.outcomes.1 != outcome)
            });
            verdict.could_change = found;
        }
    }

    /// The verdicts under a change.
    fn rejudged(&self, factors: &FactorFile, change: &Change) -> Option<Vec<Verdict>> {
        let booked: BTreeMap<String, Booked> = self.model(factors, change)?;
        Some(self.judge(&booked))
    }

    /// Every cited figure that is not fixed, and every factor, once.
    fn inputs(&self, factors: &FactorFile) -> Vec<Input> {
        let mut inputs = self.figure_inputs();
        let codes: BTreeSet<&str> = self.variants.iter().flat_map(used_factors).collect();
        inputs.extend(codes.into_iter().filter_map(|code| self.factor_input(code, factors)));
        inputs
    }

    fn figure_inputs(&self) -> Vec<Input> {
        let mut seen = BTreeSet::new();
        let mut inputs = Vec::new();
        for (name, figure) in self.variants.iter().flat_map(|variant| &variant.figures) {
            let Some(cited) = figure.cited.as_ref().filter(|cited| cited.fixed.is_none()) else {
                continue;
            };
            let written = (figure.text.clone(), cited.source.clone());
            if !seen.insert((name.clone(), written.clone())) {
                continue;
            }
            let instead = |instead| {
                let (name, written) = (name.clone(), written.clone());
                Change::Figure { name, written, instead }
            };
            let varied = |times| figure.measure.times(times).map(instead);
            let Some((lower, higher)) = varied(percent(-1)).zip(varied(percent(1))) else {
                continue;
            };
            inputs.push(Input {
                of: name.clone(),
                value: figure.text.clone(),
                source: self.cite(&cited.source),
                standing: cited.standing,
                lower,
                higher,
                range: cited.range.as_ref().map(|range| {
                    (instead(range.ends.0), instead(range.ends.1), Said::of(range, self))
                }),
            });
        }
        inputs
    }

    fn factor_input(&self, code: &str, factors: &FactorFile) -> Option<Input> {
        let factor = factors.get(code)?;
        let times = |times| Change::Factor { code: code.to_owned(), times };
        let range = self.ranges.get(code);
        let per = crate::factors::climate_of(factor)?;
        Some(Input {
            of: code.to_owned(),
            value: per,
            source: factor.source.clone(),
            standing: factor.standing,
            lower: times(percent(-1)),
            higher: times(percent(1)),
            range: range
                .map(|range| (times(range.ends.0), times(range.ends.1), Said::of(range, self))),
        })
    }

    /// The citation of a source.
    fn cite(&self, key: &str) -> String {
        self.sources.get(key).map_or_else(|| key.to_owned(), |citation| citation.cite.clone())
    }
}

fn used_factors(variant: &super::Variant) -> impl Iterator<Item = &str> {
    let bookings = variant.steps.iter().flat_map(|step| &step.books);
    let booked = bookings.filter_map(|booking| match booking {
        super::Booking::Factor { code, .. } => Some(code.as_str()),
        super::Booking::Waste(_) => None,
    });
    booked.chain(variant.avoided.iter().map(|avoided| avoided.factor.as_str()))
}

/// One, and so many times the varied share more.
fn percent(sign: i128) -> Ratio {
    Ratio::new(100 + sign * VARIED_BY_PERCENT, 100).unwrap_or(Ratio::ONE)
}

fn effect(low: &Verdict, high: &Verdict, said: &Said) -> Option<RangeEffect> {
    Some(RangeEffect {
        low: said.low.clone(),
        high: said.high.clone(),
        source: said.source.clone(),
        standing: said.standing,
        note: said.note.clone(),
        judged: (low.judged?, high.judged?),
        outcomes: (low.outcome, high.outcome),
    })
}

#[cfg(test)]
mod tests;
