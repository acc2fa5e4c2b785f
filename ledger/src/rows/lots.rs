//! Lots, where they come from and where they go: the flows of footprint.

use crate::factor::FactorRef;
use crate::footprint::Footprint;
use crate::id::{LotId, MemberId, OrderId, TransactionId, TransformationId};
use crate::operation::{Evidence, Portion, SinkKind};
use crate::quantity::{Milligrams, Quantity, Timestamp};
use crate::transformation::{Activity, AllocationRule, OutputRole};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Where a lot comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A meter's reading.
    Reading {
        /// The meter.
        meter: MemberId,
        /// Register at the begin.
        register_from: u64,
        /// Register at the end.
        register_to: u64,
        /// Begin of the period.
        from: Timestamp,
        /// End of the period.
        to: Timestamp,
        /// The factor.
        factor: FactorRef,
    },
    /// A declaration.
    Declared {
        /// The factor; `None` for an imported footprint.
        factor: Option<FactorRef>,
        /// Proof.
        evidence: Option<Evidence>,
    },
    /// An output of a transformation.
    Made {
        /// The transformation.
        transformation: TransformationId,
        /// Which output.
        output: u32,
        /// What it was to those who made it.
        role: OutputRole,
    },
    /// Part of another lot, handed over or held for an order.
    Part {
        /// The lot it was taken from.
        lot: LotId,
    },
}

/// A lot: a quantity of something, its owner, and the footprint it carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LotRow {
    /// What it is.
    pub product: String,
    /// How much remains.
    pub quantity: Quantity,
    /// How much there was.
    pub original: u64,
    /// Mass of what remains.
    pub mass: Milligrams,
    /// Who owns it.
    pub owner: MemberId,
    /// The order it is held for, if any.
    pub held_for: Option<OrderId>,
    /// The footprint of what remains.
    pub footprint: Footprint,
    /// Where it comes from.
    pub origin: Origin,
    /// The transaction that made it.
    pub transaction: TransactionId,
    /// The time of the commit that made it.
    pub created_at: Timestamp,
}

/// A lot's part that went into a transformation or sink, with the footprint that went with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// What.
    pub portion: Portion,
    /// Its product, so that a reader need not look the lot up.
    pub product: String,
    /// Its mass.
    pub mass: Milligrams,
    /// Its footprint.
    pub footprint: Footprint,
}

/// An activity with the footprint it booked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookedActivity {
    /// The activity.
    pub activity: Activity,
    /// What it booked in.
    pub footprint: Footprint,
}

/// A recorded transformation: the flows of footprint, for trees, audits and restatement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransformationRow {
    /// Who did it.
    pub machine: MemberId,
    /// For which order, if for one.
    pub order: Option<OrderId>,
    /// What went in.
    pub inputs: Vec<Taken>,
    /// What was booked directly.
    pub activities: Vec<BookedActivity>,
    /// What came out.
    pub outputs: Vec<LotId>,
    /// How the weights were chosen.
    pub allocation: AllocationRule,
    /// What was left out by cut-off, in millionths.
    pub exempted_ppm: u32,
    /// Begin of the work.
    pub from: Timestamp,
    /// End of the work.
    pub to: Timestamp,
    /// Proof.
    pub evidence: Option<Evidence>,
    /// The transaction that recorded it.
    pub transaction: TransactionId,
}

/// A recorded sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkRow {
    /// Who booked it.
    pub machine: MemberId,
    /// What became of it.
    pub kind: SinkKind,
    /// What it was.
    pub taken: Taken,
    /// The time of the commit.
    pub time: Timestamp,
}
