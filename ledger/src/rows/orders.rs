//! Orders, and what became of them.

use crate::footprint::Footprint;
use crate::id::{LotId, MemberId, TransactionId, TransformationId};
use crate::limit::Flag;
use crate::order::{OrderState, OrderTerms};
use crate::quantity::{Minor, Timestamp};
use crate::transformation::Outcome;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRow {
    /// The terms.
    pub terms: OrderTerms,
    /// The machine that ordered.
    pub buyer: MemberId,
    /// Where it stands.
    pub state: OrderState,
    /// The transaction that placed it.
    pub transaction: TransactionId,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// When something happens to it by itself; `None` when it is final.
    pub deadline: Option<Timestamp>,
    /// The lots the buyer provided, held for it.
    pub provided: Vec<LotId>,
    /// What was made, once completed.
    pub completed: Option<CompletedOrder>,
    /// What everybody who looks at it is shown, for good.
    pub flags: Vec<Flag>,
    /// What the buyer paid or owes, once the order is final.
    pub paid: Option<Minor>,
}

/// What a completion made of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletedOrder {
    /// How it ended.
    pub outcome: Outcome,
    /// The transformation.
    pub transformation: TransformationId,
    /// How much of the product was made.
    pub amount: u64,
    /// The footprint of everything that the completion put into its outputs, as it was booked: no
    /// restatement changes what was agreed and paid by it. As restated it stands with the
    /// transformation.
    pub footprint: Footprint,
    /// Of it the products' climate, ng CO2e: what a cap, a carbon bonus and limits are judged by.
    pub climate: i128,
    /// The product lots for the buyer.
    pub products: Vec<LotId>,
}
