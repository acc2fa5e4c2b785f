//! What an explanation says to people and programs: every source of a lot's footprint with its share,
//! by the step where it came in, as booked and as restated.
//!
//! [`kerbholz_ledger::explain`] computes the shares; here they get names. [`Document`] is what
//! `kerbholz footprint explain --json` prints and what the page ([`page()`]) draws from. All of it is read
//! from rows that anybody may fetch, so that whoever asks computes, and no node has to.

mod graph;
mod label;
mod page;
#[cfg(test)]
mod tests;

pub use graph::{Graph, Link, Node};
pub use label::{FactorLabel, FirstBooked, Label, Names};
pub use page::{PageError, page};

use kerbholz_ledger::explain::{Entry, Explanation, View, What, explain};
use kerbholz_ledger::footprint::{Dimension, EvidenceTier, Footprint, Overflow};
use kerbholz_ledger::id::{LotId, TransactionId, TransformationId};
use kerbholz_ledger::quantity::{Quantity, Timestamp};
use kerbholz_ledger::rows::{LotRow, Read, ReadError};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;

/// Both views of an explained lot, to walk through, and the document made of them.
pub struct Explained {
    /// By the figures that were first booked.
    pub as_booked: Explanation,
    /// By the figures that stand.
    pub as_restated: Explanation,
    /// What there is to say.
    pub document: Document,
}

/// Where a lot's footprint comes from.
#[derive(Clone, Debug, Serialize)]
pub struct Document {
    /// The lot.
    pub lot: LotId,
    /// What it is.
    pub product: String,
    /// How much there was: all shares are of this.
    #[serde(serialize_with = "quantity")]
    pub whole: Quantity,
    /// How much of it remains.
    #[serde(serialize_with = "quantity")]
    pub remains: Quantity,
    /// Mass of the whole in milligrams.
    pub mass_mg: u64,
    /// Who owns what remains.
    pub owner: String,
    /// When it came to be, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// The transaction that made it.
    pub transaction: TransactionId,
    /// The dimensions, with their units.
    pub dimensions: Vec<DimensionName>,
    /// Whether the two views differ.
    pub restated: bool,
    /// The lot's footprint.
    pub footprint: Shares,
    /// Dimensions that some source does not declare, with those that do not, the largest first.
    pub undeclared: Vec<Undeclared>,
    /// Dimensions that some source did not declare when it was first booked.
    pub undeclared_as_booked: Vec<&'static str>,
    /// Whether climate figures by several IPCC reports were added up.
    pub gwp_mixed: bool,
    /// How many lots were gone through.
    pub lots: usize,
    /// Whether that was all of them. What was not opened is a source of kind `not opened`.
    pub complete: bool,
    /// Each source at each step where it came in. They add up to the footprint.
    pub entries: Vec<Line>,
    /// Sums of the entries by the step where they came in.
    pub by_stage: Vec<Group>,
    /// Sums by how well they are known.
    pub by_tier: Vec<Group>,
    /// Sums by who booked them.
    pub by_organisation: Vec<Group>,
    /// Sums by kind of source.
    pub by_kind: Vec<Group>,
    /// The flows, from the sources to the lot.
    pub graph: Graph,
}

/// A dimension and its unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DimensionName {
    /// Its name.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
}

/// A share of the lot's footprint, in both views.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// By the figures that were first booked.
    pub as_booked: Footprint,
    /// By the figures that stand.
    pub as_restated: Footprint,
}

impl Shares {
    /// The share in a view.
    pub const fn of(&self, view: View) -> &Footprint {
        match view {
            View::AsBooked => &self.as_booked,
            View::AsRestated => &self.as_restated,
        }
    }

    fn add(&mut self, view: View, share: &Footprint) -> Result<(), Overflow> {
        let sum = match view {
            View::AsBooked => &mut self.as_booked,
            View::AsRestated => &mut self.as_restated,
        };
        *sum = sum.checked_add(share)?;
        Ok(())
    }

    /// The larger of the two, without its sign.
    fn size(&self, dimension: Dimension) -> u128 {
        let size = |footprint: &Footprint| footprint.get(dimension).unsigned_abs();
        size(&self.as_booked).max(size(&self.as_restated))
    }
}

impl Serialize for Shares {
    /// By view, then by dimension those that are not zero: integers as text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let named = |footprint: &Footprint| -> BTreeMap<&'static str, String> {
            let values = Dimension::ALL.iter().map(|one| (one.name(), footprint.get(*one)));
            values
                .filter(|(_, value)| *value != 0)
                .map(|(name, it)| (name, it.to_string()))
                .collect()
        };
        let views = BTreeMap::from([
            ("as_booked", named(&self.as_booked)),
            ("as_restated", named(&self.as_restated)),
        ]);
        views.serialize(serializer)
    }
}

/// What a source put in at a step.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// What it is, and where it is from.
    #[serde(flatten)]
    pub source: Label,
    /// The step where it came in.
    pub stage: String,
    /// How much.
    pub share: Shares,
}

/// A sum of entries.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// What they have in common.
    pub name: String,
    /// Their sum.
    pub share: Shares,
}

/// A dimension that is not declared.
#[derive(Clone, Debug, Serialize)]
pub struct Undeclared {
    /// Which.
    pub dimension: &'static str,
    /// How many entries leave it open.
    pub entries: usize,
    /// What those entries are, the largest by climate first; at most eight.
    pub by: Vec<String>,
}

/// What a source is known by, whatever the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Lot(LotId),
    Transformation(TransformationId),
    Activity(TransformationId, usize),
    Waste(TransformationId),
    InTransit(TransformationId),
}

fn key_of(of: &Explanation, place: usize) -> Option<Key> {
    let made = |place: usize| match &of.places.get(place)?.what {
        What::Transformation(id, _) => Some(*id),
        _ => None,
    };
    Some(match &of.places.get(place)?.what {
        What::Lot(id, _) => Key::Lot(*id),
        What::Transformation(id, _) => Key::Transformation(*id),
        What::Activity { of: at, activity } => Key::Activity(made(*at)?, *activity),
        What::Waste { of: at } => Key::Waste(made(*at)?),
        What::InTransit { of: at } => Key::InTransit(made(*at)?),
    })
}

/// Explains a lot; `None` when there is no such lot.
///
/// # Errors
/// [`ReadError`] when the state lacks a row, or does not add up.
pub fn explained(
    state: &dyn Read,
    lot: LotId,
    lots_max: usize,
) -> Result<Option<Explained>, ReadError> {
    let Some(as_booked) = explain(state, lot, View::AsBooked, lots_max)? else { return Ok(None) };
    let Some(as_restated) = explain(state, lot, View::AsRestated, lots_max)? else {
        return Ok(None);
    };
    let mut names = Names::new(state);
    names.learn(&as_restated);
    let entries = entries(&mut names, &as_booked, &as_restated)?;
    let graph = graph::graph(&mut names, &as_booked, &as_restated)?;
    let Some(What::Lot(_, row)) = as_restated.places.first().map(|place| &place.what) else {
        return Ok(None);
    };
    let document = document(&mut names, (lot, row), &as_restated, &as_booked, entries, graph)?;
    Ok(Some(Explained { as_booked, as_restated, document }))
}

fn document(
    names: &mut Names<'_>,
    (lot, row): (LotId, &LotRow),
    restated: &Explanation,
    booked: &Explanation,
    entries: Vec<Line>,
    graph: Graph,
) -> Result<Document, ReadError> {
    let footprint =
        Shares { as_booked: booked.footprint().clone(), as_restated: restated.footprint().clone() };
    let by = |of: fn(&Line) -> String| groups(&entries, |line, _| of(line));
    Ok(Document {
        lot,
        product: row.product.clone(),
        whole: Quantity::new(row.original, row.quantity.unit),
        remains: row.quantity,
        mass_mg: row.original_mass.get(),
        owner: names.machine(row.owner)?,
        created_at_ms: Timestamp::get(row.created_at),
        transaction: row.transaction,
        dimensions: Dimension::ALL
            .iter()
            .map(|one| DimensionName { name: one.name(), unit: one.unit() })
            .collect(),
        restated: footprint.as_booked != footprint.as_restated
            || entries
                .iter()
                .any(|line| line.share.as_booked.values() != line.share.as_restated.values()),
        undeclared: undeclared(&footprint.as_restated, &entries),
        undeclared_as_booked: footprint.as_booked.undeclared.iter().map(Dimension::name).collect(),
        gwp_mixed: footprint.as_restated.gwp_sets.is_mixed(),
        lots: restated.opened,
        complete: entries.iter().all(|line| line.source.kind != label::NOT_OPENED),
        by_stage: by(|line| line.stage.clone())?,
        by_tier: groups(&entries, |line, view| {
            line.source.tier_in(view).map_or("unknown", tier).to_owned()
        })?,
        by_organisation: by(|line| line.source.organisation.clone())?,
        by_kind: by(|line| line.source.kind.to_owned())?,
        footprint,
        entries,
        graph,
    })
}

/// The name of an evidence tier.
pub const fn tier(tier: EvidenceTier) -> &'static str {
    match tier {
        EvidenceTier::Measured => "measured",
        EvidenceTier::Derived => "derived",
        EvidenceTier::Default => "default",
    }
}

/// The entries of both views, named and joined; the largest by climate first.
fn entries(
    names: &mut Names<'_>,
    booked: &Explanation,
    restated: &Explanation,
) -> Result<Vec<Line>, ReadError> {
    let mut lines: BTreeMap<(Option<Key>, Option<Key>), Line> = BTreeMap::new();
    for (view, of) in [(View::AsRestated, restated), (View::AsBooked, booked)] {
        for Entry { source, step, share } in of.entries() {
            let key = (key_of(of, source), step.and_then(|step| key_of(of, step)));
            let line = match lines.entry(key) {
                Place::Occupied(line) => {
                    let line = line.into_mut();
                    line.source.was(names.source(of, source, view)?);
                    line
                }
                Place::Vacant(none) => none.insert(Line {
                    source: names.source(of, source, view)?,
                    stage: names.stage(of, step)?,
                    share: Shares::default(),
                }),
            };
            line.share.add(view, share)?;
        }
    }
    let mut lines: Vec<Line> = lines.into_values().collect();
    lines.sort_by_cached_key(|line| std::cmp::Reverse(line.share.size(Dimension::Climate)));
    Ok(lines)
}

/// Sums of lines by something they have in common; the largest by climate first.
fn groups(lines: &[Line], of: impl Fn(&Line, View) -> String) -> Result<Vec<Group>, ReadError> {
    let mut sums: BTreeMap<String, Shares> = BTreeMap::new();
    for line in lines {
        for view in [View::AsBooked, View::AsRestated] {
            sums.entry(of(line, view)).or_default().add(view, line.share.of(view))?;
        }
    }
    let mut groups: Vec<Group> =
        sums.into_iter().map(|(name, share)| Group { name, share }).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.share.size(Dimension::Climate)));
    Ok(groups)
}

fn undeclared(footprint: &Footprint, lines: &[Line]) -> Vec<Undeclared> {
    const NAMED_MAX: usize = 8;
    let of = |dimension: Dimension| {
        let open = |line: &&Line| line.share.as_restated.undeclared.contains(dimension);
        let mut by: Vec<String> = Vec::new();
        for line in lines.iter().filter(open) {
            let name = line.source.name();
            if by.len() < NAMED_MAX && !by.contains(&name) {
                by.push(name);
            }
        }
        Undeclared { dimension: dimension.name(), entries: lines.iter().filter(open).count(), by }
    };
    footprint.undeclared.iter().map(of).collect()
}

fn quantity<S: Serializer>(quantity: &Quantity, serializer: S) -> Result<S::Ok, S::Error> {
    label::Amount::from(*quantity).serialize(serializer)
}
