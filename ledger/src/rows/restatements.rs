//! Restatements, and the differences that are on their way downstream.

use crate::factor::FactorRef;
use crate::footprint::Footprint;
use crate::id::{LotId, MemberId, TransactionId, TransformationId};
use crate::operation::Evidence;
use crate::quantity::{Quantity, Timestamp};
use crate::restatement::{Restatement, RestatementState};
use alloc::{boxed::Box, vec::Vec};
use serde::{Deserialize, Serialize};

/// A restatement, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestatementRow {
    /// What is to be corrected, how and why.
    pub restatement: Restatement,
    /// Who asked for it: who booked the source, or its organisation.
    pub by: MemberId,
    /// Where it stands.
    pub state: RestatementState,
    /// The source as it was: when it was corrected, or (before) when the correction was proposed.
    pub before: SourceBooking,
    /// The source as corrected; computed anew when it is countersigned.
    pub after: SourceBooking,
    /// Who decided: the auditor, or who withdrew it; `None` while it waits, and where it was too
    /// small to need anybody.
    pub decided_by: Option<MemberId>,
    /// When it was asked for.
    pub proposed_at: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// The transaction that asked for it.
    pub transaction: TransactionId,
}

/// What a source books, and by which figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceBooking {
    /// The factor; `None` for an imported footprint.
    pub factor: Option<FactorRef>,
    /// What the factor is applied to; `None` for an imported footprint.
    pub amount: Option<Quantity>,
    /// Proof.
    pub evidence: Option<Evidence>,
    /// What was booked in: of the whole lot, or of the activity.
    pub footprint: Footprint,
}

/// A difference that waits to go on downstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkRow {
    /// Where it waits.
    pub at: WorkAt,
    /// The difference, with the sets as they shall be. The sets of one for a transformation's own
    /// activities mean nothing: they follow from the activities.
    pub change: Footprint,
}

/// Where a difference waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkAt {
    /// At a lot, for the whole of it.
    Lot(LotId),
    /// At a lot of which some takings have had their share.
    Within {
        /// The lot.
        lot: LotId,
        /// The first taking that has not had its share.
        next: u32,
        /// How much there was of the lot before that taking.
        amount: u64,
        /// What that much carried, without the difference.
        before: Box<Footprint>,
    },
    /// At an input of a transformation, or at its activities.
    Transformation(TransformationId),
}

/// What an entry was booked with, kept aside when a restatement first changes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookedRow {
    /// Of a lot or sink: its footprint. Of a transformation: those of its inputs, then those of its
    /// activities.
    pub footprints: Vec<Footprint>,
}
