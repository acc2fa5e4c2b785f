//! How an order comes to its end: completion, confirmation, settlement, expiry.

use super::limits;
use super::orders::{Party, check_step, end, move_to};
use super::transformations::{self, Draft, apply_draft};
use super::work::{Checked, Signer, Work, ensure};
use crate::footprint::{Dimension, DimensionSet, Overflow, mul_div_floor};
use crate::id::OrderId;
use crate::order::{FailureBearer, OrderState, OrderTerms};
use crate::quantity::Minor;
use crate::rejection::Code;
use crate::rows::{CompletedOrder, OrderRow, Table, key};
use crate::transformation::{Completion, Outcome, OutputRole};
use alloc::vec::Vec;
use ethnum::I256;

/// Nanograms in a kilogram.
const KILOGRAM: u64 = 1_000_000_000_000;

pub(super) fn complete(
    work: &mut Work<'_>,
    signer: &Signer,
    completion: &Completion,
) -> Checked<()> {
    let id = completion.order;
    let mut order = check_step(work, signer, id, &[OrderState::Started], Party::Provider)?;
    let transformation = &completion.transformation;
    let tolerance = transformation.mass_tolerance_ppm.min(order.terms.mass_tolerance_ppm);
    let mut draft = transformations::check(work, signer.id, transformation, Some(id), tolerance)?;
    let amount = check_outcome(&order.terms, completion)?;
    let climate = climate_of_products(completion, &draft)?;
    check_footprint(&order.terms, &draft, amount, climate)?;
    let judgement = limits::judge(work, signer, &order, completion, &draft, amount)?;

    let failed = completion.outcome == Outcome::Failed;
    for (lot, output) in draft.outputs.iter_mut().zip(&transformation.outputs) {
        if output.role == OutputRole::Product {
            lot.held_for = Some(id);
        }
        if failed && order.terms.failure == FailureBearer::Buyer {
            lot.owner = order.buyer;
        }
    }
    let (made_by, footprint) = (draft.id, draft.total.clone());
    let lots = apply_draft(work, signer.id, transformation, Some(id), draft)?;
    order.flags = judgement.count(work);
    if !order.flags.is_empty() {
        let organisation = signer.row.organisation;
        work.state.mark(key(Table::Flagged, &[organisation.as_bytes(), id.as_bytes()]));
    }
    let roles = transformation.outputs.iter().map(|output| output.role);
    let products = lots.into_iter().zip(roles);
    let products = products.filter(|(_, role)| *role == OutputRole::Product);
    order.completed = Some(CompletedOrder {
        outcome: completion.outcome,
        transformation: made_by,
        amount,
        footprint,
        climate,
        products: products.map(|(lot, _)| lot).collect(),
    });
    if failed {
        return end(work, id, &mut order, OrderState::Failed, Minor::ZERO);
    }
    let deadline = work.moment.time.saturating_add(order.terms.confirm_within);
    move_to(work, id, &mut order, OrderState::Completed, Some(deadline));
    Ok(())
}

/// How much of the product was made, if that is what the outcome says.
fn check_outcome(terms: &OrderTerms, completion: &Completion) -> Checked<u64> {
    let outputs = &completion.transformation.outputs;
    let mut made = 0_u64;
    for output in outputs.iter().filter(|output| output.role == OutputRole::Product) {
        let same = output.product == terms.product && output.quantity.unit == terms.quantity.unit;
        ensure(same, Code::ProductMismatch)?;
        made = made.checked_add(output.quantity.amount).ok_or(Overflow)?;
    }
    let ordered = terms.quantity.amount;
    let holds = match completion.outcome {
        Outcome::Complete => made == ordered,
        Outcome::Partial => 0 < made && made < ordered,
        Outcome::Failed => outputs.iter().all(|output| output.role == OutputRole::Waste),
    };
    ensure(holds, Code::WrongQuantity)?;
    Ok(made)
}

/// The climate footprint of everything that was made for the buyer.
fn climate_of_products(completion: &Completion, draft: &Draft) -> Checked<i128> {
    let mut climate = 0_i128;
    for (lot, output) in draft.outputs.iter().zip(&completion.transformation.outputs) {
        if output.role == OutputRole::Product {
            let share = lot.footprint.get(Dimension::Climate);
            climate = climate.checked_add(share).ok_or(Overflow)?;
        }
    }
    Ok(climate)
}

/// No order closes without its footprint, however it ends; the cap is for products, in proportion.
/// What a cap or a price is put on must be declared: nothing said is not nothing emitted.
fn check_footprint(terms: &OrderTerms, draft: &Draft, amount: u64, climate: i128) -> Checked<()> {
    let compared = amount > 0 && (terms.climate_cap.is_some() || terms.carbon_price.is_some());
    let judged: &[Dimension] = if compared { &[Dimension::Climate] } else { &[] };
    let required = terms.required.union(DimensionSet::of(judged));
    let missing = draft.total.undeclared.intersection(required);
    ensure(missing.is_empty(), Code::MissingDimension)?;
    let Some(cap) = terms.climate_cap else { return Ok(()) };
    let cap = mul_div_floor(cap, amount, terms.quantity.amount)?;
    ensure(climate <= cap, Code::CapExceeded)
}

pub(super) fn confirm(work: &mut Work<'_>, signer: &Signer, id: OrderId) -> Checked<()> {
    let order = check_step(work, signer, id, &[OrderState::Completed], Party::Receiver)?;
    settle(work, id, order)
}

/// Ends an order whose deadline has passed: a completed one is settled, any other expires.
pub(super) fn pass_deadline(work: &mut Work<'_>, id: OrderId) -> Checked<()> {
    let mut order = work.order(id)?;
    match order.state {
        OrderState::Completed => settle(work, id, order),
        _ => end(work, id, &mut order, OrderState::Expired, Minor::ZERO),
    }
}

/// Lots and money change hands, by the footprint that was delivered: a restatement since then
/// changes no price.
fn settle(work: &mut Work<'_>, id: OrderId, mut order: OrderRow) -> Checked<()> {
    let completed = order.completed.as_ref();
    let (amount, climate) = completed.map_or((0, 0), |made| (made.amount, made.climate));
    let products = completed.map_or_else(Vec::new, |made| made.products.clone());
    let due = price_due(&order.terms, amount, climate)?;

    for product in products {
        work.hand_over(product, order.buyer)?;
    }
    end(work, id, &mut order, OrderState::Settled, due)
}

/// What the buyer owes for `amount` with this climate footprint: the price in proportion, rounded
/// down, plus the carbon bonus or less the malus, rounded towards zero; never below nothing, never
/// above the hold.
fn price_due(terms: &OrderTerms, amount: u64, climate: i128) -> Checked<Minor> {
    let ordered = terms.quantity.amount;
    let price = mul_div_floor(i128::from(terms.price.get()), amount, ordered)?;
    let mut due = I256::from(price);
    if let (Some(carbon), Some(predicted)) = (terms.carbon_price, terms.predicted_climate) {
        let saved = I256::from(mul_div_floor(predicted, amount, ordered)?) - I256::from(climate);
        due += saved * I256::from(carbon.per_kilogram.get()) / I256::from(KILOGRAM);
    }
    let due = due.clamp(I256::ZERO, I256::from(terms.hold.get()));
    Ok(Minor::new(u64::try_from(due).map_err(|_| Overflow)?))
}
