//! What a study expects, as checks over what the ledger booked. [`super::expectation`] reads them,
//! [`super::judge`] judges them.

use super::{Stage, Tag};
use crate::measure::Ratio;
use kerbholz_ledger::footprint::Dimension;
use kerbholz_ledger::order::OrderState;
use kerbholz_ledger::quantity::Minor;

/// One finding of the study, and how to see whether it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// Its short name.
    pub id: String,
    /// The finding, in words.
    pub says: String,
    /// How the words were made into a check; may be empty.
    pub note: String,
    /// The dimension it is about.
    pub dimension: Dimension,
    /// The figure that the study found, where it gives one.
    pub study: Option<Ratio>,
    /// The check.
    pub check: Check,
}

/// A check over footprints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// In each of these variants, these parts make up a share of the whole within bounds.
    Share {
        /// The variants.
        variants: Vec<String>,
        /// The parts, added up.
        part: Vec<Part>,
        /// At least this share.
        at_least: Option<Ratio>,
        /// At most this share.
        at_most: Option<Ratio>,
    },
    /// One is within bounds a multiple of the other.
    Ratio {
        /// The one.
        of: Operand,
        /// The other.
        over: Operand,
        /// At least this many times.
        at_least: Option<Ratio>,
        /// At most this many times.
        at_most: Option<Ratio>,
    },
    /// Every one of the first is greater than every one of the second.
    Above {
        /// The greater ones.
        above: Vec<Operand>,
        /// The smaller ones.
        below: Vec<Operand>,
    },
    /// The greatest is at most so many times the smallest.
    SameOrder {
        /// What is compared.
        among: Vec<Operand>,
        /// So many times.
        within: Ratio,
    },
    /// One is a given multiple of the other, up to a tolerance.
    Proportional {
        /// The one.
        of: Operand,
        /// The other.
        over: Operand,
        /// The multiple.
        by: Ratio,
        /// Largest relative difference.
        tolerance: Ratio,
    },
    /// One is further above the other in the expectation's dimension than in this one.
    Further {
        /// The one.
        of: Operand,
        /// The other.
        over: Operand,
        /// The dimension to compare with.
        than_in: Dimension,
    },
    /// An amount is within bounds, in the dimension's unit.
    Amount {
        /// What is judged.
        of: Operand,
        /// At least so much.
        at_least: Option<Ratio>,
        /// At most so much.
        at_most: Option<Ratio>,
    },
    /// What the delivered lot carries is within bounds, in the dimension's unit.
    Delivered {
        /// The variant.
        variant: String,
        /// At least so much.
        at_least: Option<Ratio>,
        /// At most so much.
        at_most: Option<Ratio>,
    },
    /// What is delivered does not declare the dimension, and so does not show it as zero.
    Undeclared {
        /// The variant.
        variant: String,
    },
    /// In each of these variants, what was delivered and what left the ledger carry, in every
    /// dimension, exactly what was booked: nothing is lost, nothing is counted twice.
    Conserved {
        /// The variants.
        variants: Vec<String>,
    },
    /// What became of an order.
    Order(OrderCheck),
}

/// What an order is expected to have become; only what is said is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderCheck {
    /// The variant.
    pub variant: String,
    /// The order.
    pub order: String,
    /// Where it stands.
    pub state: Option<OrderState>,
    /// The machine that confirmed delivery.
    pub confirmed_by: Option<String>,
    /// What the buyer paid, and in which currency.
    pub paid: Option<(Minor, String)>,
    /// The order that it serves.
    pub serves: Option<String>,
    /// The document that said what to make.
    pub specification: Option<String>,
}

/// Part of a variant's footprint: of a stage, of a component, of both, or all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Only this stage.
    pub stage: Option<Stage>,
    /// Only this component.
    pub component: Option<String>,
}

impl Part {
    /// Whether what is counted under a tag belongs to it.
    pub fn contains(&self, tag: &Tag) -> bool {
        self.stage.is_none_or(|stage| stage == tag.stage)
            && (self.component.is_none() || self.component == tag.component)
    }
}

/// A figure that a check compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operand {
    /// The variant.
    pub variant: String,
    /// Which part of its footprint.
    pub part: Part,
    /// Its avoided burden instead.
    pub avoided: bool,
    /// Divided by this (for example years of use).
    pub per: Ratio,
}
