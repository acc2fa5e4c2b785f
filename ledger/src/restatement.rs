//! Restatements: corrections of a source after the fact.
//!
//! A restatement computes the source's footprint anew, by the code that booked it, from other
//! figures. The difference follows the recorded flows downstream, until everything that carries a
//! part of the source carries what it would, had the source been right from the start. Quantities,
//! money and settled orders stay as they are. A material one ([`crate::genesis::Accounting`]) waits
//! for an auditor's countersignature.

use crate::factor::FactorRef;
use crate::id::{LotId, RestatementId, TransformationId};
use crate::operation::{Evidence, ImportedFootprint};
use crate::quantity::Quantity;
use alloc::{boxed::Box, string::String};
use serde::{Deserialize, Serialize};

/// A source, as a restatement names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The lot of a reading, or a declared lot.
    Lot(LotId),
    /// An activity of a transformation.
    Activity {
        /// The transformation.
        transformation: TransformationId,
        /// Which of its activities.
        activity: u32,
    },
}

/// The figures that a source should have been booked with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// Another factor, for a lot's quantity or mass or for an activity's amount. For a reading one
    /// with the code of its meter.
    Factor(FactorRef),
    /// Another amount of an activity, and another factor, too, if that unit asks for one. (The
    /// quantities of lots are what was handed over, and cannot be restated.)
    Amount {
        /// The amount.
        amount: Quantity,
        /// The factor.
        factor: FactorRef,
    },
    /// Another imported footprint of a declared lot.
    Imported(Box<ImportedFootprint>),
}

/// `Restate`: signed by who booked the source (the machine that declared the lot or did the work),
/// or by its organisation; for a reading by the meter's organisation.
///
/// A material restatement is recorded as proposed and changes nothing until an auditor
/// countersigns; any other applies at once. It is material when it changes a dimension by more than
/// the network's threshold, compared with what stands now or with what was first booked: slicing it
/// does not help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restatement {
    /// What is corrected.
    pub source: Source,
    /// How.
    pub correction: Correction,
    /// Why. 1 to 256 bytes.
    pub reason: String,
    /// Proof: takes the place of the source's own. Derived with it, default without; a reading that
    /// its meter signed stays measured.
    pub evidence: Option<Evidence>,
}

/// `DecideRestatement`: signed by an auditor, who countersigns or refuses; or by who proposed it,
/// who can only withdraw. The correction is computed anew: it must still change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestatementDecision {
    /// Which.
    pub restatement: RestatementId,
    /// Whether it applies.
    pub approve: bool,
}

/// Where a restatement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestatementState {
    /// Waits for an auditor.
    Proposed,
    /// Applied to the source; its difference is on its way downstream, or has arrived. Final.
    Applied,
    /// An auditor refused it. Final.
    Refused,
    /// Who proposed it took it back. Final.
    Withdrawn,
}
