//! One event for each entry of the books.

use super::super::schema::{dimension_column, unit_word, word};
use super::super::tables::{Books, sink_of};
use super::super::time_text;
use kerbholz_ledger::footprint::{Dimension, Footprint};
use kerbholz_ledger::id::{LotId, MemberId, NetworkId, OrderId, TransformationId};
use kerbholz_ledger::operation::SinkKind;
use kerbholz_ledger::order::OrderState;
use kerbholz_ledger::quantity::{Quantity, Timestamp, Unit};
use kerbholz_ledger::query;
use kerbholz_ledger::rows::{LotRow, OrderRow, Origin, ReadError, SinkRow, TransformationRow};
use kerbholz_ledger::transformation::OutputRole;
use serde_json::{Map, Value, json};

/// Events as they are collected.
pub(super) struct Events<'b> {
    books: &'b Books<'b>,
    network: NetworkId,
    /// Each with its time and its lot's or transformation's place in the order of flows, by which those
    /// of one time are sorted.
    events: Vec<((Timestamp, u64), Value)>,
}

/// What all events have, and what most of them have.
struct Event {
    /// The last part of the event's id.
    name: String,
    kind: &'static str,
    at: Timestamp,
    recorded: Timestamp,
    place: u64,
    step: &'static str,
    fields: Map<String, Value>,
}

impl<'b> Events<'b> {
    pub(super) const fn new(books: &'b Books<'b>, network: NetworkId) -> Self {
        Self { books, network, events: Vec::new() }
    }

    /// The events, ascending by time.
    pub(super) fn finish(mut self) -> Vec<Value> {
        self.events.sort_by_key(|(order, _)| *order);
        self.events.into_iter().map(|(_, event)| event).collect()
    }

    fn urn(&self, kind: &str, id: impl std::fmt::Display) -> String {
        format!("urn:kerbholz:{}:{kind}:{id}", self.network)
    }

    fn quantity(&self, lot: LotId, quantity: Quantity) -> Value {
        let mut element = Map::new();
        element.insert("epcClass".into(), self.urn("lot", lot).into());
        element.insert("quantity".into(), quantity.amount.into());
        if let Some(code) = common_code(quantity.unit) {
            element.insert("uom".into(), code.into());
        }
        element.into()
    }

    /// An owner as EPCIS has parties.
    fn party(&self, kind: &str, member: MemberId) -> Value {
        let organisation = self.books.organisation(member);
        json!([{ "type": "owning_party", kind: self.urn("member", organisation) }])
    }

    fn row(&self, lot: LotId) -> Result<LotRow, ReadError> {
        let missing = || ReadError(format!("there is no lot {lot}"));
        query::lot(self.books.state, lot)?.ok_or_else(missing)
    }

    fn push(&mut self, event: Event) {
        let Event { name, kind, at, recorded, place, step, fields } = event;
        let mut value = Map::new();
        value.insert("type".into(), kind.into());
        value.insert("eventID".into(), self.urn("event", name).into());
        value.insert("eventTime".into(), time_text(at).into());
        value.insert("eventTimeZoneOffset".into(), "+00:00".into());
        value.insert("recordTime".into(), time_text(recorded).into());
        value.insert("bizStep".into(), step.into());
        value.extend(fields);
        self.events.push(((recorded, place), value.into()));
    }

    /// A lot that was brought in, or taken of another one; those that were made are part of their
    /// transformation.
    pub(super) fn lot(&mut self, id: LotId, row: &LotRow) -> Result<(), super::ExportError> {
        let whole = query::whole(self.books.state, id, row)?;
        let quantity = Quantity::new(row.original, row.quantity.unit);
        let mut fields = Map::new();
        let (kind, step, at) = match &row.origin {
            Origin::Made { .. } => return Ok(()),
            Origin::Part { lot } => {
                let from = self.row(*lot)?;
                let owner = self.party("source", from.owner);
                fields.insert("inputQuantityList".into(), json!([self.quantity(*lot, quantity)]));
                fields.insert("outputQuantityList".into(), json!([self.quantity(id, quantity)]));
                fields.insert("transformationID".into(), self.urn("part", id).into());
                fields.insert("sourceList".into(), owner);
                fields.insert("destinationList".into(), self.party("destination", row.owner));
                ("TransformationEvent", "repackaging", row.created_at)
            }
            Origin::Reading { to, .. } => ("ObjectEvent", "commissioning", *to),
            Origin::Declared { .. } => ("ObjectEvent", "commissioning", row.created_at),
        };
        if kind == "ObjectEvent" {
            fields.insert("action".into(), "ADD".into());
            fields.insert("disposition".into(), "active".into());
            fields.insert("quantityList".into(), json!([self.quantity(id, quantity)]));
        }
        fields.insert("kerbholz:carries".into(), json!([self.carries(id, row, &whole)]));
        let name = format!("lot:{id}");
        let (recorded, place) = (row.created_at, row.sequence);
        self.push(Event { name, kind, at, recorded, place, step, fields });
        Ok(())
    }

    /// Work, and the transport that was part of it.
    pub(super) fn transformation(
        &mut self,
        id: TransformationId,
        row: &TransformationRow,
    ) -> Result<(), super::ExportError> {
        let recorded = self.books.time(row.transaction)?;
        let inputs = row.inputs.iter().map(|taken| taken.portion);
        let inputs: Vec<Value> =
            inputs.map(|portion| self.quantity(portion.lot, portion.quantity)).collect();
        let (mut outputs, mut products, mut carries) = (Vec::new(), Vec::new(), Vec::new());
        for output in &row.outputs {
            let lot = self.row(*output)?;
            let quantity = self.quantity(*output, Quantity::new(lot.original, lot.quantity.unit));
            let waste = matches!(lot.origin, Origin::Made { role: OutputRole::Waste, .. });
            products.extend((!waste).then(|| quantity.clone()));
            outputs.push(quantity);
            let whole = query::whole(self.books.state, *output, &lot)?;
            carries.push(self.carries(*output, &lot, &whole));
        }
        let order = row.order.map(|order| self.order("prodorder", order));
        // Only what was hauled: of work without products that is the waste.
        let hauled = if products.is_empty() { &outputs } else { &products };
        self.transports(id, row, recorded, hauled, order.as_ref());
        let mut fields = Map::new();
        if !inputs.is_empty() {
            fields.insert("inputQuantityList".into(), inputs.into());
        }
        fields.insert("outputQuantityList".into(), outputs.into());
        fields.insert("transformationID".into(), self.urn("transformation", id).into());
        fields.insert("disposition".into(), "active".into());
        fields.extend(order.map(|order| ("bizTransactionList".to_owned(), order)));
        fields.insert("kerbholz:begin".into(), time_text(row.from).into());
        fields.insert("kerbholz:machine".into(), self.urn("member", row.machine).into());
        fields.insert("kerbholz:allocation".into(), word(&row.allocation).into());
        fields.insert("kerbholz:carries".into(), carries.into());
        self.push(Event {
            name: format!("transformation:{id}"),
            kind: "TransformationEvent",
            at: row.to,
            recorded,
            place: row.sequence,
            step: "creating_class_instance",
            fields,
        });
        Ok(())
    }

    /// The transport that was part of some work.
    fn transports(
        &mut self,
        id: TransformationId,
        row: &TransformationRow,
        recorded: Timestamp,
        hauled: &[Value],
        order: Option<&Value>,
    ) {
        for (number, booked) in row.activities.iter().enumerate() {
            let activity = &booked.activity;
            if activity.amount.unit != Unit::KilogramMetre {
                continue;
            }
            let mut fields = Map::new();
            fields.insert("action".into(), "OBSERVE".into());
            fields.insert("disposition".into(), "in_transit".into());
            fields.insert("quantityList".into(), hauled.into());
            fields.extend(order.map(|order| ("bizTransactionList".to_owned(), order.clone())));
            fields.insert(
                "kerbholz:transport".into(),
                json!({
                    "kerbholz:name": activity.name,
                    "kerbholz:kilogram_metres": activity.amount.amount.to_string(),
                    "kerbholz:factor": activity.factor.code,
                    "kerbholz:footprint": footprint(&booked.footprint),
                }),
            );
            self.push(Event {
                name: format!("transport:{id}:{number}"),
                kind: "ObjectEvent",
                at: row.to,
                recorded,
                place: row.sequence.saturating_add(1),
                step: "transporting",
                fields,
            });
        }
    }

    /// The products of an order that was confirmed, on their way from provider to buyer.
    pub(super) fn delivery(
        &mut self,
        id: OrderId,
        row: &OrderRow,
        products: &[LotId],
    ) -> Result<(), super::ExportError> {
        if row.state != OrderState::Settled || products.is_empty() {
            return Ok(());
        }
        let (mut list, mut place) = (Vec::new(), 0);
        for product in products {
            let lot = self.row(*product)?;
            list.push(self.quantity(*product, Quantity::new(lot.original, lot.quantity.unit)));
            place = place.max(lot.sequence);
        }
        let mut fields = Map::new();
        fields.insert("action".into(), "OBSERVE".into());
        fields.insert("disposition".into(), "in_progress".into());
        fields.insert("quantityList".into(), list.into());
        fields.insert("bizTransactionList".into(), self.order("po", id));
        fields.insert("sourceList".into(), self.party("source", row.terms.provider));
        fields.insert("destinationList".into(), self.party("destination", row.buyer));
        let at = row.changed_at;
        let (name, kind, step) = (format!("delivery:{id}"), "ObjectEvent", "receiving");
        self.push(Event { name, kind, at, recorded: at, place, step, fields });
        Ok(())
    }

    /// What left the ledger.
    pub(super) fn sink(&mut self, key: &[u8], row: &SinkRow) -> Result<(), super::ExportError> {
        let (lot, transaction, operation) = sink_of(key)?;
        let (step, disposition) = match row.kind {
            SinkKind::RecycledOut | SinkKind::Exported => ("shipping", "in_transit"),
            SinkKind::Consumed | SinkKind::BaseLoad | SinkKind::Upkeep => {
                ("decommissioning", "inactive")
            }
            _ => ("destroying", "destroyed"),
        };
        let mut fields = Map::new();
        fields.insert("action".into(), "DELETE".into());
        fields.insert("disposition".into(), disposition.into());
        let taken = self.quantity(lot, row.taken.portion.quantity);
        fields.insert("quantityList".into(), json!([taken]));
        fields.insert("kerbholz:way".into(), word(&row.kind).into());
        fields.insert("kerbholz:footprint".into(), footprint(&row.taken.footprint));
        self.push(Event {
            name: format!("sink:{transaction}:{operation}"),
            kind: "ObjectEvent",
            at: row.time,
            recorded: row.time,
            place: u64::MAX,
            step,
            fields,
        });
        Ok(())
    }

    fn order(&self, kind: &str, order: OrderId) -> Value {
        json!([{ "type": kind, "bizTransaction": self.urn("order", order) }])
    }

    /// What a lot is, and what it carried when it was whole.
    fn carries(&self, id: LotId, row: &LotRow, whole: &Footprint) -> Value {
        json!({
            "kerbholz:lot": self.urn("lot", id),
            "kerbholz:product": row.product,
            "kerbholz:unit": unit_word(row.quantity.unit),
            "kerbholz:mass_milligrams": row.original_mass.get().to_string(),
            "kerbholz:footprint": footprint(whole),
        })
    }
}

/// All dimensions as exact integers in text, and which of them are lower bounds.
fn footprint(footprint: &Footprint) -> Value {
    let mut fields: Map<String, Value> = Dimension::ALL
        .iter()
        .map(|one| {
            let name = format!("kerbholz:{}", dimension_column(*one));
            (name, footprint.get(*one).to_string().into())
        })
        .collect();
    let undeclared: Vec<String> = footprint.undeclared.iter().map(|one| word(&one)).collect();
    fields.insert("kerbholz:undeclared".into(), undeclared.into());
    fields.into()
}

/// The unit's code in UN/ECE recommendation 20; pieces have none in EPCIS.
const fn common_code(unit: Unit) -> Option<&'static str> {
    match unit {
        Unit::Joule => Some("JOU"),
        Unit::Milligram => Some("MGM"),
        Unit::Millilitre => Some("MLT"),
        Unit::Piece => None,
        Unit::Millimetre => Some("MMT"),
        Unit::KilogramMetre => Some("M94"),
        Unit::Byte => Some("AD"),
        Unit::Second => Some("SEC"),
    }
}
