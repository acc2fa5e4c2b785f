//! Limits: guard rails that an organisation sets for its own machines, or the network for all.
//!
//! Limits are judged when an order is completed, by what the completion books: a later restatement
//! changes no count, and no flag goes away. Work that has failed is never refused, only flagged: what
//! was emitted must be booked.

use crate::codec;
use crate::footprint::Dimension;
use crate::id::{Digest, MemberId, hash};
use crate::quantity::{Milliseconds, Quantity};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Most limits of one organisation, and of the network.
pub const LIMITS_MAX: usize = 16;

/// A cap on one dimension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// What people call it. 1 to 64 bytes; no other limit of who sets it has this name.
    pub name: String,
    /// What is counted.
    pub scope: LimitScope,
    /// The dimension.
    pub dimension: Dimension,
    /// Most of it, in the dimension's unit. Not negative.
    pub cap: i128,
    /// What happens above it.
    pub action: LimitAction,
}

/// What a limit counts, and over how much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitScope {
    /// An intensity: what so much of a product may carry when it is delivered.
    Product {
        /// The product. 1 to 64 bytes.
        product: String,
        /// How much of it; not zero.
        per: Quantity,
    },
    /// A total: what a machine's completed orders may put into their outputs in one period.
    Machine {
        /// The machine; each machine for itself where none is named. The network names none.
        machine: Option<MemberId>,
        /// The period's length; not zero. Periods are counted from 1970 on.
        period: Milliseconds,
    },
    /// A total: what an organisation's completed orders for others may put into their outputs in one
    /// period. Orders within it are not counted: what they make is counted when it is delivered.
    Organisation {
        /// The period's length; not zero.
        period: Milliseconds,
    },
}

/// What happens to a completion above a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitAction {
    /// It is refused: the work can be completed as failed, or in the next period.
    Refuse,
    /// The order carries a flag for good.
    Flag,
}

/// `SetLimits`: signed by an organisation's signing key. Takes the place of all limits that it set
/// before; the counts of those that stay the same in every field go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitList {
    /// The limits, ascending by name; at most [`LIMITS_MAX`].
    pub limits: Vec<Limit>,
}

/// Something about an order that everybody who looks at it is shown, for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// It went above a limit.
    AboveLimit {
        /// Who set the limit; the network where nobody is named.
        by: Option<MemberId>,
        /// The limit.
        limit: Limit,
        /// What was counted, in the dimension's unit: of the products, or in the period so far.
        found: i128,
    },
    /// A limit could not be judged: something did not declare its dimension.
    Undeclared {
        /// Who set the limit; the network where nobody is named.
        by: Option<MemberId>,
        /// The limit.
        limit: Limit,
    },
    /// Its climate figures use warming potentials of more than one assessment report.
    MixedReports,
}

impl Limit {
    /// Whether its fields make sense by themselves.
    pub fn is_valid(&self) -> bool {
        let named = |text: &String| (1..=64).contains(&text.len());
        let scope = match &self.scope {
            LimitScope::Product { product, per } => named(product) && per.amount > 0,
            LimitScope::Machine { period, .. } | LimitScope::Organisation { period } => {
                *period > Milliseconds::ZERO
            }
        };
        named(&self.name) && scope && self.cap >= 0
    }

    /// What its counts are kept under.
    pub fn id(&self, by: Option<MemberId>) -> Digest {
        let by = by.map_or([0; 32], |by| *by.as_bytes());
        Digest::new(hash("kerbholz/limit", &[&by, &codec::encode(self)]))
    }
}

/// Whether a list is as long as it may be, and ascends by name.
pub fn is_valid_list(limits: &[Limit]) -> bool {
    limits.len() <= LIMITS_MAX
        && limits.iter().all(Limit::is_valid)
        && limits.windows(2).all(|pair| pair[0].name < pair[1].name)
}
