//! The tables that are exported: their columns, and what each holds. Names and types are a format
//! (`docs/formats.md`); `tests/schema.txt` holds them.
//!
//! All numbers are exact integers in the unit that the column's name ends with.

use kerbholz_ledger::footprint::Dimension;
use kerbholz_ledger::quantity::Timestamp;
use serde::Serialize;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text: names, ids in hexadecimal, and the words that the ledger's enumerations have in JSON.
    Text,
    /// An integer from 0 to 2^64 - 1.
    Number,
    /// An integer of up to 128 bits, with its sign.
    Wide,
    /// A point in time, in milliseconds.
    Time,
    /// Yes or no.
    Flag,
}

/// A value, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// There is none.
    None,
    /// See [`Kind::Text`].
    Text(String),
    /// See [`Kind::Number`].
    Number(u64),
    /// See [`Kind::Wide`].
    Wide(i128),
    /// See [`Kind::Time`].
    Time(Timestamp),
    /// See [`Kind::Flag`].
    Flag(bool),
}

impl Cell {
    /// What kind of value it is, if it is one.
    pub const fn kind(&self) -> Option<Kind> {
        match self {
            Self::None => None,
            Self::Text(_) => Some(Kind::Text),
            Self::Number(_) => Some(Kind::Number),
            Self::Wide(_) => Some(Kind::Wide),
            Self::Time(_) => Some(Kind::Time),
            Self::Flag(_) => Some(Kind::Flag),
        }
    }

    /// The text of an id or name.
    pub fn text(value: impl ToString) -> Self {
        Self::Text(value.to_string())
    }

    /// The word that JSON has for a value of an enumeration.
    pub fn word<T: Serialize>(value: &T) -> Self {
        Self::Text(word(value))
    }

    /// A value that may be missing.
    pub fn some<T>(value: Option<T>, cell: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::None, cell)
    }
}

/// The word that JSON has for a value of an enumeration without fields.
pub(super) fn word<T: Serialize>(value: &T) -> String {
    let word = serde_json::to_value(value).unwrap_or_default();
    word.as_str().unwrap_or_default().to_owned()
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The time of the commit that made it, by which it is put into a month; `None` in tables
    /// without one.
    pub at: Option<Timestamp>,
    /// Its cells, one for each column.
    pub cells: Vec<Cell>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Whether a row may have no value in it.
    pub optional: bool,
}

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// What exists: every lot, with the footprint of what remains of it.
    Lots,
    /// Where footprint went: into transformations and out of them, into parts of lots, into sinks.
    Flows,
    /// What was booked in.
    Sources,
    /// What was booked out.
    Sinks,
    /// Differences of restatements that are on their way.
    InTransit,
    /// Orders.
    Orders,
    /// Published factors.
    Factors,
}

impl Table {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Lots,
        Self::Flows,
        Self::Sources,
        Self::Sinks,
        Self::InTransit,
        Self::Orders,
        Self::Factors,
    ];

    /// The name of its file or folder.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lots => "lots",
            Self::Flows => "flows",
            Self::Sources => "sources",
            Self::Sinks => "sinks",
            Self::InTransit => "in_transit",
            Self::Orders => "orders",
            Self::Factors => "factors",
        }
    }

    /// Its columns.
    pub fn columns(self) -> Vec<Column> {
        let text = match self {
            Self::Lots => LOTS,
            Self::Flows => FLOWS,
            Self::Sources => SOURCES,
            Self::Sinks => SINKS,
            Self::InTransit => IN_TRANSIT,
            Self::Orders => ORDERS,
            Self::Factors => FACTORS,
        };
        let mut columns: Vec<Column> = text.split_whitespace().map(column).collect();
        // An order has a footprint once it is completed, a factor in the dimensions it declares.
        let optional = matches!(self, Self::Orders | Self::Factors);
        columns.extend(Dimension::ALL.iter().map(|dimension| Column {
            name: dimension_column(*dimension),
            kind: Kind::Wide,
            optional,
        }));
        columns
    }
}

/// A column as it is written below: `name`, then `:` and the kind where it is not text, then `?`
/// where a value may be missing.
fn column(text: &str) -> Column {
    let (text, optional) = text.strip_suffix('?').map_or((text, false), |text| (text, true));
    let (name, kind) = text.split_once(':').unwrap_or((text, ""));
    let kind = match kind {
        "number" => Kind::Number,
        "wide" => Kind::Wide,
        "time" => Kind::Time,
        "flag" => Kind::Flag,
        _ => Kind::Text,
    };
    Column { name: name.to_owned(), kind, optional }
}

const LOTS: &str = "lot product unit amount:number original_amount:number mass_milligrams:number \
    original_mass_milligrams:number owner owner_name organisation organisation_name \
    held_for_order? origin meter? transformation? output:number? role? part_of_lot? restated:flag \
    transaction created_at:time sequence:number undeclared gwp_sets";

const FLOWS: &str = "from_kind from_id to_kind to_id place:number? product unit amount:number \
    mass_milligrams:number machine machine_name organisation organisation_name order? transaction \
    committed_at:time undeclared gwp_sets";

const SOURCES: &str = "kind lot? transformation? activity:number? name unit amount:number \
    mass_milligrams:number? meter? factor_set? factor_code? evidence? machine machine_name \
    organisation organisation_name order? from:time? to:time? restated:flag transaction \
    committed_at:time undeclared gwp_sets";

const SINKS: &str = "sink kind lot product unit amount:number mass_milligrams:number machine \
    machine_name organisation organisation_name restated:flag transaction operation:number \
    committed_at:time undeclared gwp_sets";

const IN_TRANSIT: &str = "at_kind at_id sequence:number slot:number";

const ORDERS: &str = "order state buyer buyer_name buyer_organisation provider provider_name \
    provider_organisation service product unit amount:number specification? parent_order? \
    settlement currency price_minor_units:number hold_minor_units:number \
    cancel_fee_minor_units:number carbon_price_minor_units_per_kilogram_co2e:number? \
    paid_minor_units:number? predicted_climate_nanograms_co2e:wide? \
    climate_cap_nanograms_co2e:wide? delivered_climate_nanograms_co2e:wide? outcome? \
    transformation? made_amount:number? flags:number transaction placed_at:time changed_at:time \
    accept_by:time deliver_by:time undeclared? gwp_sets?";

const FACTORS: &str = "set set_name version:number publisher publisher_name code per_amount:number \
    per_unit gwp_set technology_rating:number geography_rating:number time_rating:number region \
    valid_from:time valid_until:time source licence standing";

/// The name of a dimension's column: what JSON calls it, and its unit.
pub fn dimension_column(dimension: Dimension) -> String {
    let unit = match dimension.unit() {
        "J" => "joules",
        "mg" => "milligrams",
        "mL" => "millilitres",
        "ng CO2e" => "nanograms_co2e",
        "ng C" => "nanograms_carbon",
        "ng Sb-eq" => "nanograms_antimony_eq",
        "ng 1,4-DCB-eq" => "nanograms_dichlorobenzene_eq",
        "ng SO2-eq" => "nanograms_sulfur_dioxide_eq",
        other => other,
    };
    format!("{}_{unit}", word(&dimension))
}

/// A unit in which amounts are counted, as the tables write it.
pub fn unit_word(unit: kerbholz_ledger::quantity::Unit) -> &'static str {
    use kerbholz_ledger::quantity::Unit;
    match unit {
        Unit::Joule => "joule",
        Unit::Milligram => "milligram",
        Unit::Millilitre => "millilitre",
        Unit::Piece => "piece",
        Unit::Millimetre => "millimetre",
        Unit::KilogramMetre => "kilogram_metre",
        Unit::Byte => "byte",
        Unit::Second => "second",
    }
}
