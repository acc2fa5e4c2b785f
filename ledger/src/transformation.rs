//! Transformations: what goes in, what comes out, what it took. The second kind of entry.

use crate::factor::FactorRef;
use crate::id::OrderId;
use crate::operation::{Evidence, Portion};
use crate::quantity::{Milligrams, Quantity, Timestamp};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Most inputs, activities or outputs of one transformation.
pub const FAN_MAX: usize = 256;

/// An activity booked directly: process emissions, fuel burnt, a transport leg. A source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// What kind: e.g. `transport`, `process`. 1 to 64 bytes.
    pub name: String,
    /// The factor.
    pub factor: FactorRef,
    /// How much of it; the unit must be the factor's.
    pub amount: Quantity,
    /// Proof of the amount: derived with it, default without.
    pub evidence: Option<Evidence>,
}

/// What an output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputRole {
    /// What it was done for.
    Product,
    /// Useful as well.
    ByProduct,
    /// Of no use here; may be an input elsewhere. Its mass is booked as a source of the dimension
    /// waste, carried by the outputs that have weight.
    Waste,
}

/// A lot that comes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// What it is. 1 to 64 bytes.
    pub product: String,
    /// How much; not zero.
    pub quantity: Quantity,
    /// Its mass; equals the amount where the unit is milligram.
    pub mass: Milligrams,
    /// What it is to those who made it.
    pub role: OutputRole,
    /// Its share of the footprint, relative to the other outputs' weights.
    pub weight: u64,
}

/// By which rule the weights were chosen (stated, for the auditor).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AllocationRule {
    /// By mass, energy or another physical quantity.
    Physical,
    /// By value.
    Economic,
    /// The by-products' avoided burden is accounted for elsewhere.
    SystemExpansion,
}

/// Lots to lots. Refused when an input is not the signer's, when more is taken than there is, when
/// mass in and out differ by more than the tolerance, or when no output has weight. What is made with
/// neither inputs nor activities declares no dimension: not declared is not zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transformation {
    /// What goes in: material, parts, drawn energy, services. No lot twice.
    pub inputs: Vec<Portion>,
    /// What is booked directly.
    pub activities: Vec<Activity>,
    /// What comes out; at least one.
    pub outputs: Vec<Output>,
    /// How the weights were chosen.
    pub allocation: AllocationRule,
    /// The share of the footprint left out by cut-off, in millionths: stated, not hidden.
    pub exempted_ppm: u32,
    /// Largest difference of mass in and mass out, in millionths of mass in. Within an order, the
    /// order's terms bound it as well.
    pub mass_tolerance_ppm: u32,
    /// Begin of the work.
    pub from: Timestamp,
    /// End of the work; not before its begin, and not in the future.
    pub to: Timestamp,
    /// Proof.
    pub evidence: Option<Evidence>,
}

/// How the work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The ordered quantity was made.
    Complete,
    /// Less was made: the products' amounts say how much; price and prediction follow in proportion.
    Partial,
    /// Nothing usable was made: every output is waste, nothing is paid.
    Failed,
}

/// `CompleteOrder`: signed by the provider of a started order. The product lots are held for the order
/// until it is confirmed, and then the buyer's; by-products and waste stay with the provider. In a
/// failure every output is waste, and all of them go to who bears it by the terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// The order.
    pub order: OrderId,
    /// How it ended.
    pub outcome: Outcome,
    /// What it took and what came out.
    pub transformation: Transformation,
}
