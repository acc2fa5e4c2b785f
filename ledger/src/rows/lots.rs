//! Lots, where they come from and where they go: the flows of footprint.

use crate::avoided::AvoidedBurden;
use crate::factor::{DERIVED_DIMENSIONS, FactorRef};
use crate::footprint::{Dimension, DimensionSet, Footprint, Overflow};
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
        /// The factor; the present one, where it was restated.
        factor: FactorRef,
        /// Whether the host machine signed it and not the meter: then it is not measured.
        by_host: bool,
        /// Proof of a reading that the host signed.
        evidence: Option<Evidence>,
    },
    /// A declaration.
    Declared {
        /// The factor, `None` for an imported footprint; the present one, where it was restated.
        factor: Option<FactorRef>,
        /// Proof of the amount, or of the imported footprint.
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
    /// Mass of what there was.
    pub original_mass: Milligrams,
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
    /// Its place in the order in which footprint flows: what flows into it has a lower one, what
    /// takes of it a higher one.
    pub sequence: u64,
    /// How many takings there were: their [`UseRow`]s are numbered from 0.
    pub uses: u32,
}

/// A taking of a lot, in the order of takings. What it took follows from the whole lot's footprint
/// and the takings before it, so that none is kept here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UseRow {
    /// How much of the lot, in its unit.
    pub amount: u64,
    /// What it was taken for.
    pub by: UsedBy,
}

/// What a part of a lot was taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsedBy {
    /// An input of a transformation.
    Input {
        /// The transformation.
        transformation: TransformationId,
        /// Which of its inputs.
        input: u32,
        /// The transformation's place in the order.
        sequence: u64,
    },
    /// Another lot, handed over or held for an order.
    Part {
        /// The lot that it became.
        lot: LotId,
        /// That lot's place in the order.
        sequence: u64,
    },
    /// A sink.
    Sink {
        /// The transaction that booked it out.
        transaction: TransactionId,
        /// Which of its operations.
        operation: u32,
    },
}

/// A lot's part that went into a transformation or sink, with the footprint that went with it (as
/// restated, once a restatement has come here).
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

/// An activity with the footprint it booked; both as restated, where they were.
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
    /// The outputs' shares of the footprint, relative to one another.
    pub weights: Vec<u64>,
    /// The mass of the outputs of role waste in milligrams: booked in as waste.
    pub waste: u128,
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
    /// Its place in the order in which footprint flows; its outputs have the next ones.
    pub sequence: u64,
}

impl TransformationRow {
    /// The footprints of its inputs, then those of its activities, as they are now.
    pub fn footprints(&self) -> Vec<Footprint> {
        let inputs = self.inputs.iter().map(|taken| &taken.footprint);
        inputs.chain(self.activities.iter().map(|booked| &booked.footprint)).cloned().collect()
    }

    /// Everything that goes into the outputs: inputs, activities and waste, as they are now.
    ///
    /// # Errors
    /// [`Overflow`] when a sum does not fit.
    pub fn total(&self) -> Result<Footprint, Overflow> {
        let activities = self.activities.iter().map(|booked| &booked.footprint);
        let mut total = booked(activities, self.waste)?;
        for taken in &self.inputs {
            total = total.checked_add(&taken.footprint)?;
        }
        if self.inputs.is_empty() && self.activities.is_empty() {
            total.undeclared = MADE_OF_NOTHING;
        }
        Ok(total)
    }
}

/// Nobody has said what it cost, and not declared is not zero.
pub(crate) const MADE_OF_NOTHING: DimensionSet = DERIVED_DIMENSIONS.complement();

/// What a transformation books in: its activities, and the mass of its waste in milligrams.
pub(crate) fn booked<'a>(
    activities: impl Iterator<Item = &'a Footprint>,
    waste: u128,
) -> Result<Footprint, Overflow> {
    let mut booked = Footprint::ZERO;
    booked.set(Dimension::Waste, i128::try_from(waste).map_err(|_| Overflow)?);
    for activity in activities {
        booked = booked.checked_add(activity)?;
    }
    Ok(booked)
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

/// A recorded avoided burden.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AvoidedRow {
    /// What was recorded.
    pub burden: AvoidedBurden,
    /// Who recorded it.
    pub by: MemberId,
    /// The footprint that does not arise, by the factor. In no sum of the books.
    pub footprint: Footprint,
    /// The time of the commit.
    pub time: Timestamp,
}
