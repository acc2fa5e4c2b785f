//! How amounts and rows are shown: readable for people, exact for programs.

use super::amount as written;
use super::find::Members;
use kerbholz_client::did::did_key;
use kerbholz_client::ledger::footprint::{Dimension, Footprint, GwpSet};
use kerbholz_client::ledger::id::{LotId, MemberId, OrderId};
use kerbholz_client::ledger::operation::SinkKind;
use kerbholz_client::ledger::order::{OrderState, Settlement};
use kerbholz_client::ledger::quantity::{Quantity, Timestamp, Unit};
use kerbholz_client::ledger::rows::{LotRow, MemberKind, MemberRow, OrderRow, Origin};
use serde_json::{Value, json};
use std::time::{Duration, UNIX_EPOCH};

/// Units for people: symbol and how many base units it is, the largest first.
type Scale = &'static [(&'static str, u128)];

const ENERGY: Scale = &[
    ("GWh", 3_600_000_000_000),
    ("MWh", 3_600_000_000),
    ("kWh", 3_600_000),
    ("Wh", 3_600),
    ("J", 1),
];
const MASS: Scale = &[("t", 1_000_000_000), ("kg", 1_000_000), ("g", 1_000), ("mg", 1)];
const NANOGRAMS: Scale = &[
    ("t", 1_000_000_000_000_000),
    ("kg", 1_000_000_000_000),
    ("g", 1_000_000_000),
    ("mg", 1_000_000),
    ("µg", 1_000),
    ("ng", 1),
];
const VOLUME: Scale = &[("m3", 1_000_000), ("L", 1_000), ("mL", 1)];
const LENGTH: Scale = &[("km", 1_000_000), ("m", 1_000), ("mm", 1)];
const TRANSPORT: Scale = &[("tkm", 1_000_000), ("kg·m", 1)];
const DATA: Scale = &[("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000), ("B", 1)];
const PIECES: Scale = &[("piece", 1)];
const SECONDS: Scale = &[("h", 3_600), ("min", 60), ("s", 1)];

const fn scale(unit: Unit) -> Scale {
    match unit {
        Unit::Joule => ENERGY,
        Unit::Milligram => MASS,
        Unit::Millilitre => VOLUME,
        Unit::Piece => PIECES,
        Unit::Millimetre => LENGTH,
        Unit::KilogramMetre => TRANSPORT,
        Unit::Byte => DATA,
        Unit::Second => SECONDS,
    }
}

/// A number of base units in the largest unit of which there is at least one, to three decimals,
/// rounded half away from zero.
fn scaled(value: i128, scale: Scale) -> String {
    let size = value.unsigned_abs();
    let fits = scale.iter().find(|(_, factor)| size >= *factor);
    let Some((symbol, factor)) = fits.or(scale.last()) else { return value.to_string() };
    let sign = if value < 0 { "-" } else { "" };
    let (whole, rest) = (size / factor, size % factor);
    let thousandths = (rest * 1_000 + factor / 2) / factor;
    let (whole, thousandths) = (whole + thousandths / 1_000, thousandths % 1_000);
    let decimals = format!("{thousandths:03}");
    match decimals.trim_end_matches('0') {
        "" => format!("{sign}{whole} {symbol}"),
        decimals => format!("{sign}{whole}.{decimals} {symbol}"),
    }
}

/// A quantity for people.
pub fn quantity(quantity: Quantity) -> String {
    scaled(i128::from(quantity.amount), scale(quantity.unit))
}

/// An amount of a unit by its symbol, for people.
pub fn amount(amount: u64, symbol: &str) -> String {
    let unit = Unit::ALL.iter().find(|unit| unit.symbol() == symbol);
    unit.map_or_else(|| format!("{amount} {symbol}"), |unit| quantity(Quantity::new(amount, *unit)))
}

/// A quantity for programs.
pub fn quantity_json(quantity: Quantity) -> Value {
    json!({ "amount": quantity.amount, "unit": quantity.unit.symbol() })
}

/// A component of a footprint for people.
pub fn component(dimension: Dimension, value: i128) -> String {
    let unit = dimension.unit();
    match unit {
        "J" => scaled(value, ENERGY),
        "mg" => scaled(value, MASS),
        "mL" => scaled(value, VOLUME),
        _ => {
            let substance = unit.strip_prefix("ng").unwrap_or(unit);
            format!("{}{substance}", scaled(value, NANOGRAMS))
        }
    }
}

/// A footprint for programs: numbers as text, as they may be larger than JSON's readers can take.
pub fn footprint(footprint: &Footprint) -> Value {
    let dimension = |dimension: &Dimension| {
        json!({
            "dimension": dimension.name(),
            "unit": dimension.unit(),
            "value": footprint.get(*dimension).to_string(),
            "declared": footprint.declared(*dimension).is_some(),
        })
    };
    let sets = [(GwpSet::Unstated, "unstated"), (GwpSet::Ar5, "ar5"), (GwpSet::Ar6, "ar6")];
    let sets = sets.iter().filter(|(set, _)| footprint.gwp_sets.contains(*set));
    json!({
        "dimensions": Dimension::ALL.iter().map(dimension).collect::<Vec<_>>(),
        "gwp_sets": sets.map(|(_, name)| *name).collect::<Vec<_>>(),
        "gwp_mixed": footprint.gwp_sets.is_mixed(),
    })
}

/// A component of a footprint for people. What is not declared is no zero: what is known of it is a
/// lower bound.
pub fn declared(footprint: &Footprint, dimension: Dimension) -> String {
    match (footprint.declared(dimension), footprint.get(dimension)) {
        (Some(value), _) => component(dimension, value),
        (None, 0) => "not declared".into(),
        (None, known) => format!("at least {}", component(dimension, known)),
    }
}

/// The climate figure for people, or that there is none.
pub fn climate(footprint: &Footprint) -> String {
    match footprint.declared(Dimension::Climate) {
        Some(value) => component(Dimension::Climate, value),
        None => "not declared".into(),
    }
}

/// A time, in UTC.
pub fn time(time: Timestamp) -> String {
    if time == Timestamp::ZERO {
        return "never".into();
    }
    match UNIX_EPOCH.checked_add(Duration::from_millis(time.get())) {
        // The formatter knows years to 9999; what a stranger wrote may lie beyond.
        Some(at) if time.get() < 253_402_300_800_000 => {
            humantime::format_rfc3339_seconds(at).to_string()
        }
        _ => format!("{} ms", time.get()),
    }
}

/// The name of an order's state.
pub const fn state(state: OrderState) -> &'static str {
    match state {
        OrderState::Placed => "placed",
        OrderState::Accepted => "accepted",
        OrderState::Rejected => "rejected",
        OrderState::Cancelled => "cancelled",
        OrderState::Expired => "expired",
        OrderState::Started => "started",
        OrderState::Completed => "completed",
        OrderState::Settled => "settled",
        OrderState::Failed => "failed",
    }
}

/// What became of a lot that left the ledger.
pub const fn sink(kind: SinkKind) -> &'static str {
    match kind {
        SinkKind::Consumed => "consumed",
        SinkKind::Scrapped => "scrapped",
        SinkKind::Disposed => "disposed of",
        SinkKind::RecycledOut => "recycled out",
        SinkKind::Exported => "exported",
        SinkKind::BaseLoad => "base load",
        SinkKind::Landfilled => "landfilled",
        SinkKind::Incinerated => "incinerated",
        SinkKind::EnergyRecovered => "energy recovered",
        SinkKind::Treated => "treated",
        SinkKind::Upkeep => "upkeep",
    }
}

/// The name of a kind of member.
pub const fn kind(kind: MemberKind) -> &'static str {
    match kind {
        MemberKind::Organisation => "organisation",
        MemberKind::Machine => "machine",
        MemberKind::Meter => "meter",
        MemberKind::Publisher => "publisher",
        MemberKind::Auditor => "auditor",
    }
}

/// A member for programs.
pub fn member(id: MemberId, row: &MemberRow) -> Value {
    json!({
        "member": id, "name": row.name, "kind": kind(row.kind), "organisation": row.organisation,
        "owner_key": row.owner_key, "signing_key": row.signing_key,
        "did": did_key(&row.signing_key), "owner_did": did_key(&row.owner_key),
        "revoked_from": row.revoked_from.map(|commit| commit.get()),
    })
}

/// The currency an order is paid in.
pub fn currency(settlement: &Settlement) -> &str {
    match settlement {
        Settlement::Account { currency } | Settlement::External { currency } => currency,
    }
}

/// An order for programs.
pub fn order(id: OrderId, row: &OrderRow) -> Value {
    let terms = &row.terms;
    let completed = row.completed.as_ref().map(|completed| {
        json!({
            "outcome": completed.outcome, "amount": completed.amount,
            "transformation": completed.transformation, "products": completed.products,
            "footprint": footprint(&completed.footprint),
        })
    });
    json!({
        "order": id, "state": state(row.state), "buyer": row.buyer, "provider": terms.provider,
        "service": terms.service, "product": terms.product,
        "quantity": quantity_json(terms.quantity),
        "currency": currency(&terms.settlement), "price_minor": terms.price.get(),
        "hold_minor": terms.hold.get(), "paid_minor": row.paid.map(|paid| paid.get()),
        "predicted_climate_ng": terms.predicted_climate.map(|value| value.to_string()),
        "climate_cap_ng": terms.climate_cap.map(|value| value.to_string()),
        "required": terms.required.iter().map(Dimension::name).collect::<Vec<_>>(),
        "placed_at": time(row.placed_at), "changed_at": time(row.changed_at),
        "deadline": row.deadline.map(time), "parent": terms.parent, "provided": row.provided,
        "transaction": row.transaction, "completed": completed,
    })
}

/// An order for people.
pub fn order_text(id: OrderId, row: &OrderRow, members: &Members) -> String {
    let terms = &row.terms;
    let currency = currency(&terms.settlement);
    let mut lines = vec![
        format!("order      {id}"),
        format!("state      {}, since {}", state(row.state), time(row.changed_at)),
        format!("product    {} {}", quantity(terms.quantity), terms.product),
        format!("service    {}", terms.service),
        format!("buyer      {}", members.name(row.buyer)),
        format!("provider   {}", members.name(terms.provider)),
        format!("price      {}", written::money(terms.price.get(), currency)),
    ];
    if let Some(paid) = row.paid {
        lines.push(format!("paid       {}", written::money(paid.get(), currency)));
    }
    if let Some(deadline) = row.deadline {
        lines.push(format!("deadline   {}", time(deadline)));
    }
    if let Some(parent) = terms.parent {
        lines.push(format!("serves     {parent}"));
    }
    for lot in &row.provided {
        lines.push(format!("provided   {lot}"));
    }
    if let Some(completed) = &row.completed {
        for lot in &completed.products {
            lines.push(format!("made       {lot}"));
        }
        lines.push(format!("climate    {}", climate(&completed.footprint)));
    }
    lines.join("\n")
}

/// A lot for programs.
pub fn lot(id: LotId, row: &LotRow) -> Value {
    json!({
        "lot": id, "product": row.product, "quantity": quantity_json(row.quantity),
        "original": row.original, "mass_mg": row.mass.get(), "owner": row.owner,
        "held_for": row.held_for, "origin": row.origin, "transaction": row.transaction,
        "created_at": time(row.created_at), "footprint": footprint(&row.footprint),
    })
}

/// Where a lot comes from, for people.
pub fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Reading { factor, .. } => format!("metered, {}", factor.code),
        Origin::Declared { factor: Some(factor), .. } => format!("declared, {}", factor.code),
        Origin::Declared { factor: None, .. } => "declared, a supplier's figures".into(),
        Origin::Made { transformation, .. } => format!("made in {}", transformation.short()),
        Origin::Part { lot } => format!("part of {}", lot.short()),
    }
}

#[cfg(test)]
mod tests;
