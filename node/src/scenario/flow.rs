//! Whose lots there are while a variant is played, and when its orders are placed.

use super::{Action, Order, Portion, Step};
use crate::written::Reason;
use kerbholz_ledger::quantity::Quantity;
use std::collections::{BTreeMap, BTreeSet};

/// A lot in stock.
#[derive(Clone, Debug)]
pub(super) struct Lot {
    /// The machine that owns it.
    pub owner: String,
    /// How much is left.
    pub quantity: Quantity,
    /// The mass of what is left, mg.
    pub mass: u64,
}

/// The lots of a variant. A name is used once, even when nothing is left of the lot.
#[derive(Debug, Default)]
pub(super) struct Stock {
    lots: BTreeMap<String, Lot>,
}

impl Stock {
    /// Puts a new lot into stock.
    pub fn add(&mut self, name: &str, lot: Lot) -> Result<(), Reason> {
        if lot.quantity.amount == 0 {
            return Err(Reason::Rule(format!("lot `{name}` is empty")));
        }
        if name.contains(" of ") {
            let reason = format!("a lot's name cannot have ` of ` in it: `{name}` would be a part");
            return Err(Reason::Rule(reason));
        }
        if self.lots.contains_key(name) {
            return Err(Reason::Duplicate { kind: "lot", name: name.to_owned() });
        }
        self.lots.insert(name.to_owned(), lot);
        Ok(())
    }

    /// The lot of this name.
    pub fn get(&self, name: &str) -> Result<&Lot, Reason> {
        self.lots.get(name).ok_or_else(|| Reason::Unknown {
            kind: "lot",
            name: name.to_owned(),
            hint: ": a lot is made by an earlier step".to_owned(),
        })
    }

    /// Takes a portion away and says its mass: the share of the mass, rounded down, or all of it
    /// with the rest.
    pub fn take(&mut self, portion: &Portion) -> Result<u64, Reason> {
        let Portion { lot: name, quantity } = portion;
        let left = self.get(name)?.clone();
        if quantity.unit != left.quantity.unit {
            return Err(Reason::Unit {
                text: format!("{quantity} of {name}"),
                found: quantity.unit.symbol().to_owned(),
                wanted: left.quantity.unit.symbol().to_owned(),
            });
        }
        if quantity.amount == 0 || quantity.amount > left.quantity.amount {
            let held = left.quantity;
            return Err(Reason::Rule(format!("{quantity} of `{name}` wanted, {held} there")));
        }
        let share =
            u128::from(left.mass) * u128::from(quantity.amount) / u128::from(left.quantity.amount);
        // At most the mass, as the part is at most the whole.
        let mass = u64::try_from(share).unwrap_or(left.mass);
        let amount = left.quantity.amount - quantity.amount;
        let rest =
            Lot { quantity: Quantity::new(amount, quantity.unit), mass: left.mass - mass, ..left };
        self.lots.insert(name.clone(), rest);
        Ok(mass)
    }

    /// The first lot, other than this one, of which something is left.
    pub fn left_over(&self, product: &str) -> Option<(&str, Quantity)> {
        let mut left = self
            .lots
            .iter()
            .filter(|(name, lot)| name.as_str() != product && lot.quantity.amount > 0);
        left.next().map(|(name, lot)| (name.as_str(), lot.quantity))
    }
}

/// A line and a column.
type At = (usize, usize);

/// Fills in when each order is placed: when the first order that serves it is reached, or itself.
///
/// # Errors
/// The line and the reason, where a parent is missing, is served by somebody else's machine, forms
/// a cycle, or is given lots that do not exist yet when it is placed.
pub(super) fn place_orders(steps: &mut [Step]) -> Result<(), (At, Reason)> {
    let orders: BTreeMap<String, (At, Order)> = steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Order(order) => {
                let at = (step.line, step.column);
                Some((order.name.clone(), (at, order.as_ref().clone())))
            }
            _ => None,
        })
        .collect();
    let mut placed = BTreeSet::new();
    let mut made = BTreeSet::new();
    for step in steps {
        if let Action::Order(order) = &mut step.action {
            let chain = chain(order, &orders)?;
            for name in chain.into_iter().rev().filter(|name| !placed.contains(name)) {
                if let Some((line, placing)) = orders.get(&name) {
                    provided_exist(placing, &made).map_err(|reason| (*line, reason))?;
                }
                order.place.push(name);
            }
            placed.extend(order.place.iter().cloned());
        }
        made.extend(lots_made(&step.action));
    }
    Ok(())
}

/// An order and the orders it serves, innermost first; an error is on the line of the order whose
/// parent is wrong.
fn chain(
    order: &Order,
    orders: &BTreeMap<String, (At, Order)>,
) -> Result<Vec<String>, (At, Reason)> {
    let mut chain = vec![order.name.clone()];
    let mut at = order;
    while let Some(parent) = &at.parent {
        let line = orders.get(&at.name).map_or((1, 1), |(line, _)| *line);
        let Some((_, next)) = orders.get(parent) else {
            let hint = ": a parent is an order of the same variant".to_owned();
            return Err((line, Reason::Unknown { kind: "order", name: parent.clone(), hint }));
        };
        if chain.contains(parent) {
            let reason = format!("order `{parent}` serves itself: break the cycle");
            return Err((line, Reason::Rule(reason)));
        }
        if next.provider != at.buyer {
            let (name, buyer, provider) = (&at.name, &at.buyer, &next.provider);
            let reason = format!(
                "`{name}` serves `{parent}`, so its buyer must be that one's provider \
                 `{provider}`, not `{buyer}`"
            );
            return Err((line, Reason::Rule(reason)));
        }
        chain.push(parent.clone());
        at = next;
    }
    Ok(chain)
}

fn provided_exist(order: &Order, made: &BTreeSet<String>) -> Result<(), Reason> {
    match order.provided.iter().find(|portion| !made.contains(&portion.lot)) {
        None => Ok(()),
        Some(portion) => Err(Reason::Rule(format!(
            "order `{}` is placed before its buyer's lot `{}` is made: let no order that serves it \
             come before that",
            order.name, portion.lot
        ))),
    }
}

fn lots_made(action: &Action) -> Vec<String> {
    match action {
        Action::Declare(declaration) => vec![declaration.lot.clone()],
        Action::Read(reading) => vec![reading.lot.clone()],
        Action::Order(order) => order.outputs.iter().map(|output| output.lot.clone()).collect(),
        Action::Sink(_) => Vec::new(),
    }
}
