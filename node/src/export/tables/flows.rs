//! Where footprint went: from lots into transformations, out of these into lots, from lots into parts
//! of them and into sinks.

use super::super::schema::{Cell, unit_word};
use super::lots::{sink_name, sink_of};
use super::{Books, Visit, footprint, id, record};
use crate::export::ExportError;
use kerbholz_ledger::balance::each;
use kerbholz_ledger::footprint::Footprint;
use kerbholz_ledger::id::{LotId, MemberId, OrderId, TransactionId, TransformationId};
use kerbholz_ledger::quantity::{Milligrams, Quantity, Timestamp};
use kerbholz_ledger::query;
use kerbholz_ledger::rows::{LotRow, Origin, ReadError, SinkRow, Table, TransformationRow};

/// The table of flows.
pub(super) fn flows(books: &Books<'_>, visit: Visit<'_>) -> Result<(), ExportError> {
    each(books.state, Table::Transformation, |key, row: TransformationRow| {
        through(books, TransformationId::new(id(key)?), &row, visit)
    })?;
    each(books.state, Table::Lot, |key, lot: LotRow| match &lot.origin {
        Origin::Part { lot: whole } => part(books, *whole, LotId::new(id(key)?), &lot, visit),
        _ => Ok(()),
    })?;
    each(books.state, Table::Sink, |key, sink: SinkRow| {
        let (lot, transaction, operation) = sink_of(key)?;
        let flow = Flow {
            from: ("lot", Cell::text(lot)),
            to: ("sink", sink_name(transaction, operation)),
            place: None,
            product: &sink.taken.product,
            quantity: sink.taken.portion.quantity,
            mass: sink.taken.mass,
            machine: sink.machine,
            order: None,
            transaction,
            at: sink.time,
        };
        flow.visit(books, &sink.taken.footprint, visit)
    })
}

/// What went into a transformation and what came out of it.
fn through(
    books: &Books<'_>,
    id: TransformationId,
    row: &TransformationRow,
    visit: Visit<'_>,
) -> Result<(), ExportError> {
    let at = books.time(row.transaction)?;
    for (place, taken) in row.inputs.iter().enumerate() {
        let flow = Flow {
            from: ("lot", Cell::text(taken.portion.lot)),
            to: ("transformation", Cell::text(id)),
            place: Some(place as u64),
            product: &taken.product,
            quantity: taken.portion.quantity,
            mass: taken.mass,
            machine: row.machine,
            order: row.order,
            transaction: row.transaction,
            at,
        };
        flow.visit(books, &taken.footprint, visit)?;
    }
    for (place, output) in row.outputs.iter().enumerate() {
        let missing = || ReadError(format!("there is no lot {output}"));
        let lot = query::lot(books.state, *output)?.ok_or_else(missing)?;
        let flow = Flow {
            from: ("transformation", Cell::text(id)),
            to: ("lot", Cell::text(output)),
            place: Some(place as u64),
            product: &lot.product,
            quantity: Quantity::new(lot.original, lot.quantity.unit),
            mass: lot.original_mass,
            machine: row.machine,
            order: row.order,
            transaction: row.transaction,
            at,
        };
        flow.visit(books, &query::whole(books.state, *output, &lot)?, visit)?;
    }
    Ok(())
}

/// What was handed over or held for an order.
fn part(
    books: &Books<'_>,
    whole: LotId,
    id: LotId,
    lot: &LotRow,
    visit: Visit<'_>,
) -> Result<(), ExportError> {
    let flow = Flow {
        from: ("lot", Cell::text(whole)),
        to: ("lot", Cell::text(id)),
        place: None,
        product: &lot.product,
        quantity: Quantity::new(lot.original, lot.quantity.unit),
        mass: lot.original_mass,
        machine: lot.owner,
        order: lot.held_for,
        transaction: lot.transaction,
        at: lot.created_at,
    };
    flow.visit(books, &query::whole(books.state, id, lot)?, visit)
}

/// A row without its footprint.
struct Flow<'r> {
    from: (&'static str, Cell),
    to: (&'static str, Cell),
    /// Which input or output.
    place: Option<u64>,
    product: &'r str,
    quantity: Quantity,
    mass: Milligrams,
    machine: MemberId,
    order: Option<OrderId>,
    transaction: TransactionId,
    at: Timestamp,
}

impl Flow<'_> {
    fn visit(
        self,
        books: &Books<'_>,
        carried: &Footprint,
        visit: Visit<'_>,
    ) -> Result<(), ExportError> {
        let head = [
            Cell::text(self.from.0),
            self.from.1,
            Cell::text(self.to.0),
            self.to.1,
            Cell::some(self.place, Cell::Number),
            Cell::text(self.product),
            Cell::text(unit_word(self.quantity.unit)),
            Cell::Number(self.quantity.amount),
            Cell::Number(self.mass.get()),
        ];
        let tail =
            [Cell::some(self.order, Cell::text), Cell::text(self.transaction), Cell::Time(self.at)];
        let cells = head.into_iter().chain(books.member(self.machine)).chain(tail);
        visit(record(Some(self.at), cells.chain(footprint(carried))))
    }
}
