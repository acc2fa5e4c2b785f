//! The flows of an explanation with everything that only passes on drawn together: sources, the steps
//! of work, and the lot.

use super::{Key, Names, Shares, key_of};
use kerbholz_ledger::explain::{Explanation, View, What};
use kerbholz_ledger::footprint::Dimension;
use kerbholz_ledger::rows::{Origin, ReadError};
use serde::Serialize;
use std::collections::BTreeMap;

/// Flows of footprint from sources to a lot. No flow leads backwards.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Graph {
    /// The lot, the steps and the sources.
    pub nodes: Vec<Node>,
    /// What went from one to another.
    pub links: Vec<Link>,
}

/// A step, a source, or the lot.
#[derive(Clone, Debug, Serialize)]
pub struct Node {
    /// What it is called; not unique.
    pub name: String,
    /// `lot`, `step`, or the kind of a source.
    pub kind: &'static str,
    /// Whose it is.
    pub organisation: String,
    /// What of the lot's footprint came through it.
    pub share: Shares,
}

/// A flow.
#[derive(Clone, Debug, Serialize)]
pub struct Link {
    /// From which node.
    pub source: usize,
    /// To which node.
    pub target: usize,
    /// What of the lot's footprint went this way.
    pub share: Shares,
}

/// The end of what a place only passes on: through the hands of owners, and from a lot to its making.
fn origin(of: &Explanation, mut place: usize) -> usize {
    while let Some(at) = of.places.get(place) {
        let What::Lot(_, lot) = &at.what else { break };
        let passes = matches!(lot.origin, Origin::Part { .. } | Origin::Made { .. });
        let Some(from) = at.from.first().filter(|_| passes) else { break };
        place = from.place;
    }
    place
}

pub(super) fn graph(
    names: &mut Names<'_>,
    booked: &Explanation,
    restated: &Explanation,
) -> Result<Graph, ReadError> {
    let mut graph = Graph::default();
    let mut known: BTreeMap<Key, usize> = BTreeMap::new();
    let mut links: BTreeMap<(usize, usize), Shares> = BTreeMap::new();
    for (view, of) in [(View::AsRestated, restated), (View::AsBooked, booked)] {
        for (index, place) in of.places.iter().enumerate() {
            let is_step = matches!(place.what, What::Transformation(..));
            if index > 0 && !is_step {
                continue;
            }
            let target = node(&mut graph, &mut known, names, of, index)?;
            if let Some(node) = graph.nodes.get_mut(target) {
                node.share.add(view, &place.share)?;
            }
            for flow in &place.from {
                let from = origin(of, flow.place);
                let source = node(&mut graph, &mut known, names, of, from)?;
                links.entry((source, target)).or_default().add(view, &flow.share)?;
                let is_source = of.places.get(from).is_some_and(|at| at.from.is_empty());
                if let Some(node) = graph.nodes.get_mut(source).filter(|_| is_source) {
                    node.share.add(view, &flow.share)?;
                }
            }
        }
    }
    let links = links.into_iter();
    graph.links = links.map(|((source, target), share)| Link { source, target, share }).collect();
    Ok(graph)
}

/// The node of a place; a new one where it has none yet.
fn node(
    graph: &mut Graph,
    known: &mut BTreeMap<Key, usize>,
    names: &mut Names<'_>,
    of: &Explanation,
    place: usize,
) -> Result<usize, ReadError> {
    let missing = || ReadError("an explanation names a place that it has not".to_owned());
    let key = key_of(of, place).ok_or_else(missing)?;
    if let Some(node) = known.get(&key) {
        return Ok(*node);
    }
    let at = of.places.get(place).ok_or_else(missing)?;
    let (name, kind, organisation) = match &at.what {
        What::Lot(_, lot) if place == 0 => {
            (lot.product.clone(), "lot", names.organisation(lot.owner)?)
        }
        What::Transformation(id, row) if !at.from.is_empty() => {
            (names.step(*id, row)?, "step", names.organisation(row.machine)?)
        }
        _ => {
            let label = names.source(of, place, View::AsRestated)?;
            (label.name(), label.kind, label.organisation)
        }
    };
    graph.nodes.push(Node { name, kind, organisation, share: Shares::default() });
    known.insert(key, graph.nodes.len() - 1);
    Ok(graph.nodes.len() - 1)
}

impl Graph {
    /// This graph with the `most` largest nodes, by their largest share of any dimension; the
    /// flows from the others come from one node of kind `smaller`.
    #[must_use]
    pub fn pruned(&self, most: usize) -> Self {
        if self.nodes.len() <= most {
            return self.clone();
        }
        let Some(root) = self.nodes.iter().find(|node| node.kind == "lot") else {
            return self.clone();
        };
        // In millionths of the lot's.
        let size = |node: &Node| {
            let of = |dimension: &Dimension| {
                let whole = root.share.size(*dimension).max(1);
                node.share.size(*dimension).saturating_mul(1_000_000) / whole
            };
            Dimension::ALL.iter().map(of).max().unwrap_or(0)
        };
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        order.sort_by_cached_key(|index| {
            let node = &self.nodes[*index];
            (node.kind != "lot", std::cmp::Reverse(size(node)))
        });
        let kept: BTreeMap<usize, usize> =
            order.into_iter().take(most).enumerate().map(|(new, old)| (old, new)).collect();
        let mut nodes: Vec<(usize, usize)> = kept.iter().map(|(old, new)| (*new, *old)).collect();
        nodes.sort_unstable();
        let mut pruned = Self {
            nodes: nodes.iter().map(|(_, old)| self.nodes[*old].clone()).collect(),
            links: Vec::new(),
        };
        let smaller = pruned.nodes.len();
        let mut links: BTreeMap<(usize, usize), Shares> = BTreeMap::new();
        let mut rest = Shares::default();
        for link in &self.links {
            let Some(target) = kept.get(&link.target) else { continue };
            let source = kept.get(&link.source).copied().unwrap_or(smaller);
            for view in [View::AsBooked, View::AsRestated] {
                let share = link.share.of(view);
                // They are parts of what fits.
                let _ = links.entry((source, *target)).or_default().add(view, share);
                if source == smaller {
                    let _ = rest.add(view, share);
                }
            }
        }
        let organisation = String::new();
        let name = format!("{} smaller flows", self.nodes.len() - smaller);
        pruned.nodes.push(Node { name, kind: "smaller", organisation, share: rest });
        let links = links.into_iter();
        pruned.links =
            links.map(|((source, target), share)| Link { source, target, share }).collect();
        pruned
    }
}
