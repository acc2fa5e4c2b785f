//! Where one part's footprint comes from: the order tree, and the flows between its orders.

use super::units;
use kerbholz_ledger::footprint::{Dimension, Footprint};
use kerbholz_ledger::id::{LotId, TransformationId};
use kerbholz_ledger::memory::Memory;
use kerbholz_ledger::query;
use kerbholz_ledger::rows::{LotRow, Origin, Taken, TransformationRow};
use serde::Serialize;
use std::collections::BTreeMap;

/// Most steps from the part to a source.
const DEPTH_MAX: usize = 64;

/// A branch of the order tree: a lot with what went into it, or a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Branch {
    /// What it is.
    pub what: String,
    /// How much of it, for people.
    pub quantity: String,
    /// By whom and how it came to be.
    pub how: String,
    /// Climate footprint that came this way, ng CO2e.
    pub climate: i128,
    /// The climate figure for people.
    pub readable: String,
    /// What it was made from.
    pub from: Vec<Branch>,
}

/// Flows of footprint between the steps of one part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Flows {
    /// The steps and sources, each once.
    pub nodes: Vec<Node>,
    /// From one to another, with the value of every dimension.
    pub links: Vec<Link>,
}

/// A step or a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// What it is called; unique.
    pub name: String,
    /// `source`, `order` or `product`.
    pub kind: &'static str,
}

/// A flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// From which node.
    pub source: usize,
    /// To which node.
    pub target: usize,
    /// By dimension, in the order of the dimensions.
    pub values: Vec<i128>,
}

/// The replayed ledger, read backwards from a lot.
pub struct Upstream<'a> {
    state: &'a Memory,
    births: &'a BTreeMap<LotId, LotRow>,
}

impl<'a> Upstream<'a> {
    /// Reads this state; `births` are the lots as they were made.
    pub const fn new(state: &'a Memory, births: &'a BTreeMap<LotId, LotRow>) -> Self {
        Self { state, births }
    }

    fn transformation(&self, id: TransformationId) -> Option<TransformationRow> {
        query::transformation(self.state, id).ok().flatten()
    }

    fn member(&self, id: kerbholz_ledger::id::MemberId) -> String {
        let row = query::member(self.state, id).ok().flatten();
        row.map_or_else(|| id.to_string(), |row| row.name)
    }

    /// A machine with its organisation.
    fn machine(&self, id: kerbholz_ledger::id::MemberId) -> String {
        let row = query::member(self.state, id).ok().flatten();
        row.map_or_else(
            || id.to_string(),
            |row| format!("{} of {}", row.name, self.member(row.organisation)),
        )
    }

    fn service(&self, row: &TransformationRow) -> String {
        let order = row.order.and_then(|id| query::order(self.state, id).ok().flatten());
        order.map_or_else(|| "transformation".to_owned(), |order| order.terms.service)
    }

    /// The lot that a part was taken from, through all hands.
    fn whole(&self, mut lot: LotId) -> Option<(LotId, &'a LotRow)> {
        for _ in 0..DEPTH_MAX {
            let row = self.births.get(&lot)?;
            match &row.origin {
                Origin::Part { lot: from } => lot = *from,
                _ => return Some((lot, row)),
            }
        }
        None
    }

    /// The order tree of a lot.
    pub fn tree(&self, lot: LotId) -> Option<Branch> {
        let row = self.births.get(&lot)?;
        let quantity = (i128::from(row.original), row.quantity.unit.symbol());
        Some(self.branch(lot, quantity, &row.footprint, 0))
    }

    fn branch(
        &self,
        lot: LotId,
        (amount, unit): (i128, &str),
        footprint: &Footprint,
        depth: usize,
    ) -> Branch {
        let climate = footprint.get(Dimension::Climate);
        let mut branch = Branch {
            what: "unknown lot".into(),
            quantity: units::readable(unit, amount).replace(".00 ", " "),
            how: String::new(),
            climate,
            readable: units::readable(Dimension::Climate.unit(), climate),
            from: Vec::new(),
        };
        let Some((_, row)) = self.whole(lot) else { return branch };
        branch.what.clone_from(&row.product);
        match &row.origin {
            Origin::Reading { meter, .. } => branch.how = format!("{} read", self.member(*meter)),
            Origin::Declared { factor, .. } => {
                let factor = factor.as_ref().map_or("imported", |factor| factor.code.as_str());
                branch.how = format!("declared by {}, {factor}", self.member(row.owner));
            }
            Origin::Made { transformation, .. } if depth < DEPTH_MAX => {
                let Some(made) = self.transformation(*transformation) else { return branch };
                branch.how = format!("{}, {}", self.service(&made), self.machine(made.machine));
                branch.from = self.sources_of(&made, depth);
            }
            Origin::Made { .. } | Origin::Part { .. } => {}
        }
        branch
    }

    fn sources_of(&self, made: &TransformationRow, depth: usize) -> Vec<Branch> {
        let input = |taken: &Taken| {
            let quantity =
                (i128::from(taken.portion.quantity.amount), taken.portion.quantity.unit.symbol());
            self.branch(taken.portion.lot, quantity, &taken.footprint, depth + 1)
        };
        let mut from: Vec<Branch> = made.inputs.iter().map(input).collect();
        for booked in &made.activities {
            let activity = &booked.activity;
            let climate = booked.footprint.get(Dimension::Climate);
            let (amount, unit) = (activity.amount.amount, activity.amount.unit.symbol());
            from.push(Branch {
                what: activity.name.clone(),
                quantity: units::readable(unit, i128::from(amount)),
                how: activity.factor.code.clone(),
                climate,
                readable: units::readable(Dimension::Climate.unit(), climate),
                from: Vec::new(),
            });
        }
        from
    }

    /// The flows into a lot, from all its sources.
    pub fn flows(&self, lot: LotId) -> Flows {
        let mut flows = Flows::default();
        let Some(row) = self.births.get(&lot) else { return flows };
        let product = flows.node(format!("{}, delivered", row.product), "product");
        let mut known = BTreeMap::new();
        self.flow(&mut flows, &mut known, lot, product, &row.footprint, 0);
        flows
    }

    fn flow(
        &self,
        flows: &mut Flows,
        known: &mut BTreeMap<TransformationId, usize>,
        lot: LotId,
        target: usize,
        footprint: &Footprint,
        depth: usize,
    ) {
        let Some((_, row)) = self.whole(lot) else { return };
        let source = match &row.origin {
            Origin::Made { transformation, .. } if depth < DEPTH_MAX => {
                if let Some(node) = known.get(transformation) {
                    *node
                } else {
                    let Some(made) = self.transformation(*transformation) else { return };
                    let name = format!("{} · {}", self.service(&made), self.member(made.machine));
                    let node = flows.node(name, "order");
                    known.insert(*transformation, node);
                    for taken in &made.inputs {
                        let (lot, footprint) = (taken.portion.lot, &taken.footprint);
                        self.flow(flows, known, lot, node, footprint, depth + 1);
                    }
                    for booked in &made.activities {
                        let activity = &booked.activity;
                        let name = format!("{} · {}", activity.name, activity.factor.code);
                        let from = flows.node(name, "source");
                        flows.link(from, node, &booked.footprint);
                    }
                    node
                }
            }
            Origin::Reading { meter, .. } => {
                flows.node(format!("{} · {}", row.product, self.member(*meter)), "source")
            }
            Origin::Declared { factor, .. } => {
                let factor = factor.as_ref().map_or("imported", |factor| factor.code.as_str());
                flows.node(format!("{} · {factor}", row.product), "source")
            }
            Origin::Made { .. } | Origin::Part { .. } => return,
        };
        flows.link(source, target, footprint);
    }
}

impl Flows {
    /// A new node; a name that is there already gets a number.
    fn node(&mut self, name: String, kind: &'static str) -> usize {
        let taken = |name: &str, nodes: &[Node]| nodes.iter().any(|node| node.name == name);
        let mut unique = name.clone();
        let mut number = 2;
        while taken(&unique, &self.nodes) {
            unique = format!("{name} ({number})");
            number += 1;
        }
        self.nodes.push(Node { name: unique, kind });
        self.nodes.len() - 1
    }

    fn link(&mut self, source: usize, target: usize, footprint: &Footprint) {
        self.links.push(Link { source, target, values: footprint.values().to_vec() });
    }
}
