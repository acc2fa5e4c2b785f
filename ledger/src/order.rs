//! Orders: the terms two machines agree on, and the states an order goes through.
//!
//! ```text
//! PLACED -> ACCEPTED -> STARTED -> COMPLETED -> SETTLED
//!   |rejected  |cancelled   |cancelled  (failed: settled at once, at the failure terms)
//!   |cancelled |expired     |expired
//!   |expired
//! ```

use crate::footprint::DimensionSet;
use crate::id::{ContentHash, MemberId, OrderId};
use crate::operation::Portion;
use crate::quantity::{Milliseconds, Minor, Quantity, Timestamp};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// How an order is paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settlement {
    /// From the buyer's organisation's account to the provider's, in this currency.
    Account {
        /// The currency.
        currency: String,
    },
    /// Outside the ledger, which only records what is owed.
    External {
        /// The currency of the obligation.
        currency: String,
    },
}

/// A bonus or malus for the climate footprint of what is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarbonPrice {
    /// Minor units per kilogram CO2e. A provider that stays below the prediction earns it for every
    /// kilogram saved, one that exceeds it loses it; rounded towards zero.
    pub per_kilogram: Minor,
}

/// Who keeps the footprint of a failed completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureBearer {
    /// The provider: scrap lots stay with it.
    Provider,
    /// The buyer: scrap lots go to it.
    Buyer,
}

/// `PlaceOrder`: signed by the buyer, a machine. Holds `hold` of its organisation's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderTerms {
    /// The machine that is to perform it.
    pub provider: MemberId,
    /// The service's name, e.g. `laser sintering`. 1 to 64 bytes.
    pub service: String,
    /// Hash of the specification (design file and parameters), if any.
    pub specification: Option<ContentHash>,
    /// The product that is delivered. 1 to 64 bytes.
    pub product: String,
    /// How much of it; not zero.
    pub quantity: Quantity,
    /// How it is paid.
    pub settlement: Settlement,
    /// The price for the whole quantity.
    pub price: Minor,
    /// What is held: at least the price and the cancel fee; the rest bounds the carbon bonus.
    pub hold: Minor,
    /// Owed when the buyer cancels after acceptance; at most the price.
    pub cancel_fee: Minor,
    /// Bonus and malus.
    pub carbon_price: Option<CarbonPrice>,
    /// Predicted climate footprint of the whole quantity, ng CO2e. Needed for a carbon price.
    pub predicted_climate: Option<i128>,
    /// Most climate footprint of the whole quantity, ng CO2e: a completion whose products are above
    /// it (in proportion, when partial) is refused.
    pub climate_cap: Option<i128>,
    /// Dimensions that the completion must declare, however it ends, or it is refused. With a cap or
    /// a carbon price, what is delivered must declare climate in any case.
    pub required: DimensionSet,
    /// Largest difference of mass in and mass out, in millionths of mass in.
    pub mass_tolerance_ppm: u32,
    /// Until when the provider may accept.
    pub accept_by: Timestamp,
    /// Until when it must be completed.
    pub deliver_by: Timestamp,
    /// After completion the order settles by itself when so much time has passed.
    pub confirm_within: Milliseconds,
    /// Who keeps the footprint of a failure.
    pub failure: FailureBearer,
    /// Lots of the buyer that the provider may use for this order; held until it ends.
    pub provided: Vec<Portion>,
    /// The order that this one serves, if any; its provider is this one's buyer.
    pub parent: Option<OrderId>,
    /// A machine whose word confirms delivery, beside the buyer's.
    pub confirmer: Option<MemberId>,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Waits for the provider.
    Placed,
    /// The provider took it on.
    Accepted,
    /// The provider declined. Final.
    Rejected,
    /// The buyer withdrew. Final.
    Cancelled,
    /// A deadline passed. Final.
    Expired,
    /// The provider works.
    Started,
    /// Made; waits for confirmation.
    Completed,
    /// Delivered and paid. Final.
    Settled,
    /// Failed; its footprint is booked. Final.
    Failed,
}

impl OrderState {
    /// Whether nothing can happen to it any more.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Rejected | Self::Cancelled | Self::Expired | Self::Settled | Self::Failed
        )
    }
}
