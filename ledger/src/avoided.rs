//! Avoided burdens: what a product or a service saves elsewhere, recorded beside its footprint.
//!
//! They are computed by a factor, like any burden, and shown next to the lot or order. They are never
//! a part of it: no sum of the books contains them, and nothing is netted.

use crate::factor::FactorRef;
use crate::id::{LotId, OrderId};
use crate::operation::Evidence;
use crate::quantity::Quantity;
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// What an avoided burden stands beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beside {
    /// A lot.
    Lot(LotId),
    /// An order.
    Order(OrderId),
}

impl Beside {
    /// The id.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        match self {
            Self::Lot(lot) => lot.as_bytes(),
            Self::Order(order) => order.as_bytes(),
        }
    }
}

/// `RecordAvoided`: signed by the lot's owner, or a party of the order; or by its organisation. What is
/// displaced (fuel not burnt, scrap not melted from ore, an offset bought) is named by its own factor
/// and amount: the burden that does not arise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AvoidedBurden {
    /// Beside what.
    pub beside: Beside,
    /// What is avoided, and against which alternative. 1 to 256 bytes.
    pub what: String,
    /// The factor of what does not arise; it must hold now.
    pub factor: FactorRef,
    /// How much of it; the unit must be the factor's.
    pub amount: Quantity,
    /// Proof: derived with it, default without.
    pub evidence: Option<Evidence>,
}
