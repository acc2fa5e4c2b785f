//! Allowances: what a machine may spend of its organisation's money, and order of footprint.
//!
//! Counted is what is committed to: the hold when an order is placed, corrected when it ends by what
//! was paid; the cap or prediction of its climate, corrected by what the completion says. A machine
//! has one row of counts, of the present period only.

use super::work::{Checked, Signer, Work, ensure};
use crate::allowance::{Allowance, AllowanceSetting};
use crate::footprint::Overflow;
use crate::id::{MemberId, OrderId};
use crate::order::{OrderTerms, Settlement};
use crate::quantity::{Minor, Timestamp};
use crate::rejection::Code;
use crate::rows::{
    MemberKind, OrderRow, ReservedRow, SpentRow, allowance_key, read, reserved_key, spent_key,
};
use alloc::string::String;

pub(super) fn set(work: &mut Work<'_>, signer: &Signer, setting: &AllowanceSetting) -> Checked<()> {
    signer.require(&[MemberKind::Organisation])?;
    if let Some(machine) = setting.machine {
        let row = work.member(machine)?;
        ensure(row.organisation == signer.id, Code::NotInOrganisation)?;
        ensure(row.kind == MemberKind::Machine, Code::WrongKind)?;
    }
    let row_key = allowance_key(signer.id, setting.machine);
    match &setting.allowance {
        Some(allowance) => {
            ensure(allowance.is_valid(), Code::AllowanceInvalid)?;
            work.state.put(row_key, allowance);
        }
        None => work.state.remove(row_key),
    }
    Ok(())
}

/// The allowance that a machine falls under: its own, else its organisation's for all, else none.
fn allowance_of(
    work: &Work<'_>,
    organisation: MemberId,
    machine: MemberId,
) -> Checked<Option<Allowance>> {
    let own = read(&work.state, &allowance_key(organisation, Some(machine)))?;
    match own {
        Some(own) => Ok(Some(own)),
        None => Ok(read(&work.state, &allowance_key(organisation, None))?),
    }
}

/// The counts of the period that a moment lies in; none yet where the row is of another one.
fn spent(
    work: &Work<'_>,
    machine: MemberId,
    allowance: &Allowance,
    at: Timestamp,
) -> Checked<SpentRow> {
    let (period, number) = (allowance.period, allowance.number(at));
    let row: Option<SpentRow> = read(&work.state, &spent_key(machine))?;
    let row = row.filter(|row| row.period == period && row.number == number);
    Ok(row.unwrap_or_else(|| SpentRow::new(period, number)))
}

fn currency_of(terms: &OrderTerms) -> &String {
    let (Settlement::Account { currency } | Settlement::External { currency }) = &terms.settlement;
    currency
}

/// What an order may come to in climate, as it stands at placing: its cap, else its prediction.
const fn reserved(terms: &OrderTerms) -> Option<i128> {
    match terms.climate_cap {
        Some(cap) => Some(cap),
        None => terms.predicted_climate,
    }
}

/// Refuses an order that the buyer's allowance does not cover, and counts one that it does.
pub(super) fn place(work: &mut Work<'_>, signer: &Signer, terms: &OrderTerms) -> Checked<()> {
    let organisation = signer.row.organisation;
    let Some(allowance) = allowance_of(work, organisation, signer.id)? else { return Ok(()) };
    let mut row = spent(work, signer.id, &allowance, work.moment.time)?;
    if terms.hold > Minor::ZERO {
        let code = currency_of(terms);
        let granted = allowance.money.iter().find(|money| money.currency == *code);
        let granted = granted.ok_or(Code::CurrencyNotAllowed)?;
        let fits = |most: Option<Minor>, sum: Minor| most.is_none_or(|most| sum <= most);
        ensure(fits(granted.per_order, terms.hold), Code::OrderAboveAllowance)?;
        let sum = row.money(code).checked_add(terms.hold).ok_or(Overflow)?;
        ensure(fits(granted.per_period, sum), Code::PeriodAboveAllowance)?;
        row.set_money(code, sum);
    }
    let (climate, mut counted) = (allowance.climate, None);
    if climate.is_some() {
        let wanted = reserved(terms).ok_or(Code::PredictionMissing)?;
        ensure(climate.fits_order(wanted), Code::OrderAboveAllowance)?;
        row.climate = row.climate.checked_add(wanted).ok_or(Overflow)?;
        ensure(climate.fits_period(row.climate), Code::PeriodAboveAllowance)?;
        counted = Some(wanted);
    }
    let mark = ReservedRow { period: row.period, number: row.number, climate: counted };
    work.state.put(reserved_key(work.moment.order()), &mark);
    work.state.put(spent_key(signer.id), &row);
    Ok(())
}

/// Corrects what was counted of an order that has ended: by what was paid, and by what it came to.
/// Nothing is refused here. The counts of an earlier period are gone, and nothing is left to correct.
pub(super) fn end(work: &mut Work<'_>, id: OrderId, order: &OrderRow, paid: Minor) -> Checked<()> {
    let mark_key = reserved_key(id);
    let Some(mark) = read::<ReservedRow>(&work.state, &mark_key)? else { return Ok(()) };
    work.state.remove(mark_key);
    let row: Option<SpentRow> = read(&work.state, &spent_key(order.buyer))?;
    let same = |row: &SpentRow| (row.period, row.number) == (mark.period, mark.number);
    let Some(mut row) = row.filter(same) else { return Ok(()) };
    if order.terms.hold > Minor::ZERO {
        let code = currency_of(&order.terms);
        let unpaid = order.terms.hold.checked_sub(paid).unwrap_or(Minor::ZERO);
        let left = row.money(code).checked_sub(unpaid).unwrap_or(Minor::ZERO);
        row.set_money(code, left);
    }
    if let Some(wanted) = mark.climate {
        let came_to = order.completed.as_ref().map_or(0, |completed| completed.climate);
        let change = came_to.saturating_sub(wanted);
        row.climate = row.climate.saturating_add(change).max(0);
    }
    work.state.put(spent_key(order.buyer), &row);
    Ok(())
}
