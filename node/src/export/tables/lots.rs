//! What exists and what has left: lots, sinks, and differences on their way.

use super::super::schema::{Cell, unit_word};
use super::{Books, Visit, footprint, id, record, values};
use crate::export::ExportError;
use kerbholz_ledger::balance::each;
use kerbholz_ledger::id::{LotId, TransactionId};
use kerbholz_ledger::rows::{LotRow, Origin, ReadError, SinkRow, Table, WorkAt, WorkRow, sink_key};

/// The table of lots.
pub(super) fn lots(books: &Books<'_>, visit: Visit<'_>) -> Result<(), ExportError> {
    each(books.state, Table::Lot, |key, lot: LotRow| {
        let lot_id = LotId::new(id(key)?);
        let head = [
            Cell::text(lot_id),
            Cell::text(&lot.product),
            Cell::text(unit_word(lot.quantity.unit)),
            Cell::Number(lot.quantity.amount),
            Cell::Number(lot.original),
            Cell::Number(lot.mass.get()),
            Cell::Number(lot.original_mass.get()),
        ];
        let middle = [
            books.restated_row(Table::Lot, lot_id.as_bytes())?,
            Cell::text(lot.transaction),
            Cell::Time(lot.created_at),
            Cell::Number(lot.sequence),
        ];
        let cells = head
            .into_iter()
            .chain(books.member(lot.owner))
            .chain([Cell::some(lot.held_for, Cell::text)])
            .chain(origin(&lot.origin))
            .chain(middle)
            .chain(footprint(&lot.footprint));
        visit(record(Some(lot.created_at), cells))
    })
}

/// Where it comes from: the word, then what it names.
fn origin(origin: &Origin) -> [Cell; 6] {
    let mut cells = [const { Cell::None }; 6];
    match origin {
        Origin::Reading { meter, .. } => {
            cells[0] = Cell::text("reading");
            cells[1] = Cell::text(meter);
        }
        Origin::Declared { .. } => cells[0] = Cell::text("declared"),
        Origin::Made { transformation, output, role } => {
            cells[0] = Cell::text("made");
            cells[2] = Cell::text(transformation);
            cells[3] = Cell::Number(u64::from(*output));
            cells[4] = Cell::word(role);
        }
        Origin::Part { lot } => {
            cells[0] = Cell::text("part");
            cells[5] = Cell::text(lot);
        }
    }
    cells
}

/// A sink in its table's key: the lot, the transaction, and which of its operations.
pub(in crate::export) fn sink_of(key: &[u8]) -> Result<(LotId, TransactionId, u32), ReadError> {
    let damaged = || ReadError(format!("key {} of a sink", hex::encode(key)));
    let (lot, rest) = key.split_first_chunk::<32>().ok_or_else(damaged)?;
    let (transaction, operation) = rest.split_first_chunk::<32>().ok_or_else(damaged)?;
    let operation = operation.try_into().map_err(|_| damaged())?;
    Ok((LotId::new(*lot), TransactionId::new(*transaction), u32::from_be_bytes(operation)))
}

/// The name of a sink.
pub(super) fn sink_name(transaction: TransactionId, operation: u32) -> Cell {
    Cell::Text(format!("{transaction}:{operation}"))
}

/// The table of sinks.
pub(super) fn sinks(books: &Books<'_>, visit: Visit<'_>) -> Result<(), ExportError> {
    each(books.state, Table::Sink, |key, sink: SinkRow| {
        let (lot, transaction, operation) = sink_of(key)?;
        let quantity = sink.taken.portion.quantity;
        let head = [
            sink_name(transaction, operation),
            Cell::word(&sink.kind),
            Cell::text(lot),
            Cell::text(&sink.taken.product),
            Cell::text(unit_word(quantity.unit)),
            Cell::Number(quantity.amount),
            Cell::Number(sink.taken.mass.get()),
        ];
        let tail = [
            books.restated(&sink_key(lot, transaction, operation))?,
            Cell::text(transaction),
            Cell::Number(u64::from(operation)),
            Cell::Time(sink.time),
        ];
        let cells = head.into_iter().chain(books.member(sink.machine)).chain(tail);
        visit(record(Some(sink.time), cells.chain(footprint(&sink.taken.footprint))))
    })
}

/// The table of differences on their way.
pub(super) fn in_transit(books: &Books<'_>, visit: Visit<'_>) -> Result<(), ExportError> {
    each(books.state, Table::Work, |key, work: WorkRow| {
        let damaged = || ReadError(format!("key {} of work", hex::encode(key)));
        let (place, slot) = key.split_first_chunk::<8>().ok_or_else(damaged)?;
        let slot: [u8; 4] = slot.try_into().map_err(|_| damaged())?;
        let (kind, at) = match work.at {
            WorkAt::Lot(lot) | WorkAt::Within { lot, .. } => ("lot", Cell::text(lot)),
            WorkAt::Transformation(id) => ("transformation", Cell::text(id)),
        };
        let head = [
            Cell::text(kind),
            at,
            Cell::Number(u64::from_be_bytes(*place)),
            Cell::Number(u64::from(u32::from_be_bytes(slot))),
        ];
        visit(record(None, head.into_iter().chain(values(&work.change))))
    })
}
