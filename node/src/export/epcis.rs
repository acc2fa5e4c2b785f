//! What happened to lots, as events of EPCIS 2.0 in JSON (GS1; ISO/IEC 19987).
//!
//! A lot is a class of its own with a quantity, named by a URN of the ledger; machines have no place, so
//! events say when, what and who, and not where. What EPCIS has no word for (footprints, masses, the
//! ledger's own ids) stands in fields of the prefix `kerbholz:`. `docs/footprint.md` says which
//! entry of the books becomes which event.

mod events;

use super::tables::{Books, id};
use super::{ExportError, time_text};
use events::Events;
use kerbholz_ledger::balance::each;
use kerbholz_ledger::id::{LotId, NetworkId, OrderId, TransformationId};
use kerbholz_ledger::query::{self, Bounds};
use kerbholz_ledger::rows::{LotRow, OrderRow, Read, ReadError, SinkRow, Table, TransformationRow};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// How far upstream the history of a lot reaches.
const UPSTREAM: Bounds = Bounds { depth: 1_000, lots: 100_000 };
/// The terms of EPCIS in JSON-LD.
const CONTEXT: &str = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld";

/// All events of a ledger, or those of the history of a lot, ascending by time.
///
/// # Errors
/// [`ExportError::Read`], also when there is no such lot.
pub fn document(
    state: &dyn Read,
    network: NetworkId,
    lot: Option<LotId>,
) -> Result<Value, ExportError> {
    let ledger = query::ledger(state)?;
    let of = lot.map(|lot| history(state, lot)).transpose()?;
    let concerns = |lot: LotId| of.as_ref().is_none_or(|lots| lots.contains(&lot));
    let books = Books::of(state)?;
    let mut events = Events::new(&books, network);
    each(state, Table::Lot, |key, row: LotRow| {
        let lot = LotId::new(id(key)?);
        if concerns(lot) { events.lot(lot, &row) } else { Ok(()) }
    })?;
    each(state, Table::Transformation, |key, row: TransformationRow| {
        let transformation = TransformationId::new(id(key)?);
        if row.outputs.iter().any(|lot| concerns(*lot)) {
            events.transformation(transformation, &row)
        } else {
            Ok(())
        }
    })?;
    each(state, Table::Order, |key, row: OrderRow| {
        let order = OrderId::new(id(key)?);
        let products = row.completed.iter().flat_map(|done| &done.products);
        let products: Vec<LotId> = products.copied().filter(|lot| concerns(*lot)).collect();
        events.delivery(order, &row, &products)
    })?;
    each(state, Table::Sink, |key, row: SinkRow| {
        if concerns(row.taken.portion.lot) { events.sink(key, &row) } else { Ok(()) }
    })?;
    Ok(json!({
        "@context": [CONTEXT, { "kerbholz": "urn:kerbholz:epcis:" }],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": time_text(ledger.time),
        "epcisBody": { "eventList": events.finish() },
    }))
}

/// The lot and everything upstream of it.
fn history(state: &dyn Read, lot: LotId) -> Result<BTreeSet<LotId>, ReadError> {
    let lots: BTreeSet<LotId> =
        query::upstream(state, lot, UPSTREAM)?.into_iter().map(|found| found.id).collect();
    if lots.is_empty() { Err(ReadError(format!("there is no lot {lot}"))) } else { Ok(lots) }
}

#[cfg(test)]
mod tests;
