//! Orders and published factors.

use super::super::schema::{Cell, unit_word};
use super::{Books, Visit, id, record, sets, values};
use crate::export::ExportError;
use kerbholz_ledger::balance::each;
use kerbholz_ledger::factor::Factor;
use kerbholz_ledger::footprint::{DIMENSIONS, Dimension};
use kerbholz_ledger::id::{FactorSetId, MemberId, OrderId};
use kerbholz_ledger::order::Settlement;
use kerbholz_ledger::query;
use kerbholz_ledger::rows::{OrderRow, ReadError, Table};

/// The table of orders. The footprint is that of everything the completion put into its outputs, as
/// it was booked.
pub(super) fn orders(books: &Books<'_>, visit: Visit<'_>) -> Result<(), ExportError> {
    each(books.state, Table::Order, |key, order: OrderRow| {
        let order_id = OrderId::new(id(key)?);
        let parties = [order.buyer, order.terms.provider].map(|member| party(books, member));
        let head = [Cell::text(order_id), Cell::word(&order.state)].into_iter();
        let cells = head.chain(parties.into_iter().flatten()).chain(terms(&order));
        let done = order.completed.as_ref();
        let tail = [
            Cell::some(done, |done| Cell::Wide(done.climate)),
            Cell::some(done, |done| Cell::word(&done.outcome)),
            Cell::some(done, |done| Cell::text(done.transformation)),
            Cell::some(done, |done| Cell::Number(done.amount)),
            Cell::Number(order.flags.len() as u64),
            Cell::text(order.transaction),
            Cell::Time(order.placed_at),
            Cell::Time(order.changed_at),
            Cell::Time(order.terms.accept_by),
            Cell::Time(order.terms.deliver_by),
        ];
        let cells = cells.chain(tail);
        let at = Some(order.placed_at);
        match done {
            Some(done) => {
                visit(record(at, cells.chain(sets(&done.footprint)).chain(values(&done.footprint))))
            }
            None => visit(record(at, cells.chain([const { Cell::None }; 2 + DIMENSIONS]))),
        }
    })
}

fn party(books: &Books<'_>, member: MemberId) -> [Cell; 3] {
    let organisation = books.organisation(member);
    [Cell::text(member), Cell::text(books.name(member)), Cell::text(books.name(organisation))]
}

fn terms(order: &OrderRow) -> [Cell; 15] {
    let terms = &order.terms;
    let (settlement, currency) = match &terms.settlement {
        Settlement::Account { currency } => ("account", currency),
        Settlement::External { currency } => ("external", currency),
    };
    [
        Cell::text(&terms.service),
        Cell::text(&terms.product),
        Cell::text(unit_word(terms.quantity.unit)),
        Cell::Number(terms.quantity.amount),
        Cell::some(terms.specification, Cell::text),
        Cell::some(terms.parent, Cell::text),
        Cell::text(settlement),
        Cell::text(currency),
        Cell::Number(terms.price.get()),
        Cell::Number(terms.hold.get()),
        Cell::Number(terms.cancel_fee.get()),
        Cell::some(terms.carbon_price, |price| Cell::Number(price.per_kilogram.get())),
        Cell::some(order.paid, |paid| Cell::Number(paid.get())),
        Cell::some(terms.predicted_climate, Cell::Wide),
        Cell::some(terms.climate_cap, Cell::Wide),
    ]
}

/// The table of factors.
pub(super) fn factors(books: &Books<'_>, visit: Visit<'_>) -> Result<(), ExportError> {
    each(books.state, Table::Factor, |key, factor: Factor| {
        let set = FactorSetId::new(id(key.get(..32).unwrap_or_default())?);
        let missing = || ReadError(format!("there is no factor set {set}"));
        let row = query::factor_set(books.state, set)?.ok_or_else(missing)?;
        let cells = [
            Cell::text(set),
            Cell::text(&row.name),
            Cell::Number(u64::from(row.version)),
            Cell::text(row.publisher),
            Cell::text(books.name(row.publisher)),
            Cell::text(&factor.code),
            Cell::Number(factor.reference.amount),
            Cell::text(unit_word(factor.reference.unit)),
            Cell::word(&factor.gwp_set),
            Cell::Number(u64::from(factor.quality.technology)),
            Cell::Number(u64::from(factor.quality.geography)),
            Cell::Number(u64::from(factor.quality.time)),
            Cell::text(&factor.region),
            Cell::Time(factor.valid_from),
            Cell::Time(factor.valid_until),
            Cell::text(&factor.source),
            Cell::text(&factor.licence),
            Cell::word(&factor.standing),
        ];
        let impacts = Dimension::ALL.iter().map(|dimension| impact(&factor, *dimension));
        visit(record(None, cells.into_iter().chain(impacts)))
    })
}

/// What a factor declares of a dimension; a declared zero is one.
fn impact(factor: &Factor, dimension: Dimension) -> Cell {
    if !factor.declared.contains(dimension) {
        return Cell::None;
    }
    let found = factor.impacts.iter().find(|impact| impact.dimension == dimension);
    Cell::Wide(found.map_or(0, |impact| impact.value))
}
