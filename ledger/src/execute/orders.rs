//! Orders up to their start: place, accept, reject, cancel, start; and how an order ends.

use super::EventBody;
use super::allowances;
use super::lots::Take;
use super::money;
use super::transformations::PPM_MAX;
use super::work::{Checked, Signer, Work, ensure, ensure_text, order_key};
use crate::id::{MemberId, OrderId};
use crate::order::{OrderState, OrderTerms, Settlement};
use crate::quantity::{Minor, Timestamp};
use crate::rejection::Code;
use crate::rows::{MemberKind, OrderRow, Read, Table, key};
use crate::transformation::FAN_MAX;
use alloc::vec::Vec;

const NAME_MAX: usize = 64;

pub(super) fn place(work: &mut Work<'_>, signer: &Signer, terms: &OrderTerms) -> Checked<()> {
    signer.require(&[MemberKind::Machine])?;
    let provided = check_placing(work, signer, terms)?;
    allowances::place(work, signer, terms)?;
    if let Settlement::Account { currency } = &terms.settlement {
        money::hold(work, signer.row.organisation, currency, terms.hold)?;
    }

    let id = work.moment.order();
    let mut lots = Vec::with_capacity(provided.len());
    for (index, take) in provided.into_iter().enumerate() {
        lots.push(work.take_part(take, signer.id, Some(id), index)?);
    }
    for member in [signer.id, terms.provider] {
        work.state.mark(key(Table::OrderByMember, &[member.as_bytes(), id.as_bytes()]));
    }
    if let Some(parent) = terms.parent {
        work.state.mark(key(Table::OrderByParent, &[parent.as_bytes(), id.as_bytes()]));
    }
    let mut order = OrderRow {
        terms: terms.clone(),
        buyer: signer.id,
        state: OrderState::Placed,
        transaction: work.moment.transaction,
        placed_at: work.moment.time,
        changed_at: work.moment.time,
        deadline: None,
        provided: lots,
        completed: None,
        flags: Vec::new(),
        paid: None,
    };
    move_to(work, id, &mut order, OrderState::Placed, Some(terms.accept_by));
    Ok(())
}

fn check_placing(work: &Work<'_>, signer: &Signer, terms: &OrderTerms) -> Checked<Vec<Take>> {
    ensure_text(&terms.service, NAME_MAX)?;
    ensure_text(&terms.product, NAME_MAX)?;
    let (Settlement::Account { currency } | Settlement::External { currency }) = &terms.settlement;
    ensure_text(currency, money::CURRENCY_MAX)?;
    ensure(terms.provided.len() <= FAN_MAX, Code::FieldInvalid)?;
    ensure(terms.quantity.amount > 0, Code::ZeroAmount)?;
    for member in core::iter::once(terms.provider).chain(terms.confirmer) {
        work.active(member, &[MemberKind::Machine])?;
    }
    let provided = work.check_takes(signer.id, &terms.provided, None)?;
    check_terms(work, signer.id, terms)?;
    if let Some(parent) = terms.parent {
        let parent = work.order(parent)?;
        let serves = parent.terms.provider == signer.id && !parent.state.is_final();
        ensure(serves, Code::ParentInvalid)?;
    }
    Ok(provided)
}

fn check_terms(work: &Work<'_>, buyer: MemberId, terms: &OrderTerms) -> Checked<()> {
    let negative = |value: Option<i128>| value.is_some_and(|value| value < 0);
    let consistent = terms.provider != buyer
        && terms.hold >= terms.price
        && terms.cancel_fee <= terms.price
        && (terms.carbon_price.is_none() || terms.predicted_climate.is_some())
        && !negative(terms.predicted_climate)
        && !negative(terms.climate_cap)
        && terms.required.is_valid()
        && terms.mass_tolerance_ppm <= PPM_MAX
        && terms.accept_by <= terms.deliver_by;
    ensure(consistent, Code::TermsInvalid)?;
    ensure(terms.accept_by > work.moment.time, Code::DeadlinePassed)
}

/// Who takes a step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Party {
    Provider,
    Buyer,
    /// The buyer or the confirming machine.
    Receiver,
}

/// The order, if it is in one of these states, the signer is that party, and its deadline has not
/// passed: an order whose deadline has passed waits only for the ledger to end it.
pub(super) fn check_step(
    work: &Work<'_>,
    signer: &Signer,
    id: OrderId,
    states: &[OrderState],
    party: Party,
) -> Checked<OrderRow> {
    signer.require(&[MemberKind::Machine])?;
    let order = work.order(id)?;
    ensure(states.contains(&order.state), Code::WrongState)?;
    let is_buyer = order.buyer == signer.id;
    match party {
        Party::Provider => ensure(order.terms.provider == signer.id, Code::NotProvider)?,
        Party::Buyer => ensure(is_buyer, Code::NotBuyer)?,
        Party::Receiver => {
            let confirms = order.terms.confirmer == Some(signer.id);
            ensure(is_buyer || confirms, Code::NotBuyer)?;
        }
    }
    let passed = order.deadline.is_some_and(|deadline| deadline <= work.moment.time);
    ensure(!passed, Code::DeadlinePassed)?;
    Ok(order)
}

pub(super) fn accept(work: &mut Work<'_>, signer: &Signer, id: OrderId) -> Checked<()> {
    let mut order = check_step(work, signer, id, &[OrderState::Placed], Party::Provider)?;
    let deadline = order.terms.deliver_by;
    move_to(work, id, &mut order, OrderState::Accepted, Some(deadline));
    Ok(())
}

pub(super) fn start(work: &mut Work<'_>, signer: &Signer, id: OrderId) -> Checked<()> {
    let mut order = check_step(work, signer, id, &[OrderState::Accepted], Party::Provider)?;
    let deadline = order.terms.deliver_by;
    move_to(work, id, &mut order, OrderState::Started, Some(deadline));
    Ok(())
}

pub(super) fn reject(work: &mut Work<'_>, signer: &Signer, id: OrderId) -> Checked<()> {
    let mut order = check_step(work, signer, id, &[OrderState::Placed], Party::Provider)?;
    end(work, id, &mut order, OrderState::Rejected, Minor::ZERO)
}

pub(super) fn cancel(work: &mut Work<'_>, signer: &Signer, id: OrderId) -> Checked<()> {
    let states = [OrderState::Placed, OrderState::Accepted, OrderState::Started];
    let mut order = check_step(work, signer, id, &states, Party::Buyer)?;
    let free = order.state == OrderState::Placed;
    let fee = if free { Minor::ZERO } else { order.terms.cancel_fee };
    end(work, id, &mut order, OrderState::Cancelled, fee)
}

/// Ends an order: posts what is paid and releases the rest of the hold, gives the buyer back what
/// remains of the lots it provided, and sets the final state.
pub(super) fn end(
    work: &mut Work<'_>,
    id: OrderId,
    order: &mut OrderRow,
    state: OrderState,
    paid: Minor,
) -> Checked<()> {
    if let Settlement::Account { currency } = &order.terms.settlement {
        let payer = work.member(order.buyer)?.organisation;
        let payee = work.member(order.terms.provider)?.organisation;
        money::post(work, (payer, payee), currency, order.terms.hold, paid)?;
    }
    for lot in &order.provided {
        work.hand_over(*lot, order.buyer)?;
    }
    allowances::end(work, id, order, paid)?;
    order.paid = Some(paid);
    move_to(work, id, order, state, None);
    Ok(())
}

/// Sets an order's state and deadline, and says so.
pub(super) fn move_to(
    work: &mut Work<'_>,
    id: OrderId,
    order: &mut OrderRow,
    state: OrderState,
    deadline: Option<Timestamp>,
) {
    if let Some(old) = order.deadline {
        work.state.remove(deadline_key(old, id));
    }
    if let Some(new) = deadline {
        work.state.mark(deadline_key(new, id));
    }
    order.deadline = deadline;
    order.state = state;
    order.changed_at = work.moment.time;
    work.state.put(order_key(id), order);
    let (buyer, provider) = (order.buyer, order.terms.provider);
    work.events.push(EventBody::Order { order: id, state, buyer, provider });
}

fn deadline_key(deadline: Timestamp, order: OrderId) -> Vec<u8> {
    key(Table::Deadline, &[&deadline.get().to_be_bytes(), order.as_bytes()])
}

/// The first `limit` orders whose deadline is not after `time`, oldest first.
pub(super) fn due(
    state: &dyn Read,
    time: Timestamp,
    limit: usize,
) -> Result<Vec<(Timestamp, OrderId)>, crate::rows::ReadError> {
    let prefix = key(Table::Deadline, &[]);
    let mut due = Vec::new();
    for (key, _) in state.scan(&prefix, &prefix, limit)? {
        let parts = key.get(1..).and_then(|rest| rest.split_first_chunk::<8>());
        let Some((deadline, rest)) = parts else { continue };
        let Ok(order) = <[u8; 32]>::try_from(rest) else { continue };
        let deadline = Timestamp::new(u64::from_be_bytes(*deadline));
        if deadline > time {
            break;
        }
        due.push((deadline, OrderId::new(order)));
    }
    Ok(due)
}
