//! The lot behind a product footprint: what it is, whose, how much, from when.

use super::{Decimal, PactError};
use crate::export::schema::{unit_word, word};
use crate::export::tables::Books;
use kerbholz_ledger::id::{LotId, MemberId};
use kerbholz_ledger::memory::Memory;
use kerbholz_ledger::quantity::{Timestamp, Unit};
use kerbholz_ledger::query::{self, Bounds};
use kerbholz_ledger::rows::{LotRow, Origin, ReadError, TransformationRow};

/// How far upstream the reference period is looked for.
const UPSTREAM: Bounds = Bounds { depth: 1_000, lots: 10_000 };

/// A lot as a product.
pub(super) struct Product {
    pub(super) id: LotId,
    pub(super) row: LotRow,
    /// The organisation whose machine made it or brought it in.
    pub(super) company: MemberId,
    pub(super) company_name: String,
    machine: String,
    origin: &'static str,
    made_by: Option<TransformationRow>,
    /// From the begin of the earliest activity to the end of the latest.
    pub(super) period: (Timestamp, Timestamp),
}

impl Product {
    pub(super) fn of(state: &Memory, id: LotId) -> Result<Self, PactError> {
        let books = Books::of(state)?;
        let row = query::lot(state, id)?.ok_or(PactError::NoLot(id))?;
        let first = origin_of(state, &row)?;
        let (origin, made_by) = match &first.origin {
            Origin::Reading { .. } => ("metered", None),
            Origin::Made { transformation, .. } => {
                ("made", query::transformation(state, *transformation)?)
            }
            Origin::Declared { .. } | Origin::Part { .. } => ("brought in", None),
        };
        let machine = made_by.as_ref().map_or(first.owner, |made| made.machine);
        let company = books.organisation(machine);
        Ok(Self {
            id,
            company,
            company_name: books.name(company).to_owned(),
            machine: books.name(machine).to_owned(),
            origin,
            made_by,
            period: period(state, id)?,
            row,
        })
    }

    /// What its completion says it left out, in per cent.
    pub(super) fn exempted(&self) -> Decimal {
        Decimal::of(self.made_by.as_ref().map_or(0, |made| i128::from(made.exempted_ppm)), 4)
    }

    /// By which rule its maker shared out.
    pub(super) fn allocation(&self) -> Option<String> {
        let made = self.made_by.as_ref().filter(|made| made.outputs.len() > 1)?;
        let rule = word(&made.allocation).replace('_', " ");
        Some(format!("{rule}, over {} outputs by stated weights", made.outputs.len()))
    }

    pub(super) fn description(&self) -> String {
        let unit = unit_word(self.row.quantity.unit).replace('_', " ");
        format!("{}: {} {unit}, {}", self.row.product, self.row.original, self.origin_text())
    }

    pub(super) fn origin_text(&self) -> String {
        format!("{} by {} of {}", self.origin, self.machine, self.company_name)
    }
}

/// PACT's unit and how many of it all there ever was of a lot is, exactly. What has no unit there, or
/// no finite decimal in it, is one piece: the lot.
pub(super) fn declared_unit(row: &LotRow) -> (String, Decimal) {
    let amount = i128::from(row.original);
    let exact = |unit: &str, places| (unit.to_owned(), Decimal::of(amount, places));
    match row.quantity.unit {
        Unit::Joule => exact("megajoule", 6),
        Unit::Milligram => exact("kilogram", 6),
        Unit::Millilitre => exact("liter", 3),
        Unit::Piece => exact("piece", 0),
        Unit::KilogramMetre => exact("ton kilometer", 6),
        // 3600 is 9 * 400: nine seconds are a quarter of a hundredth of an hour.
        Unit::Second if amount % 9 == 0 => ("hour".to_owned(), Decimal::of(amount / 9 * 25, 4)),
        Unit::Second | Unit::Millimetre | Unit::Byte => ("piece".to_owned(), Decimal::of(1, 0)),
    }
}

/// The mass of all that, in kilograms.
pub(super) fn mass(row: &LotRow) -> Decimal {
    match row.quantity.unit {
        Unit::Joule | Unit::KilogramMetre | Unit::Second | Unit::Byte => Decimal::of(0, 0),
        _ => Decimal::of(i128::from(row.original_mass.get()), 6),
    }
}

/// The lot that a part is a part of, however often it was handed on.
fn origin_of(state: &Memory, row: &LotRow) -> Result<LotRow, ReadError> {
    let mut row = row.clone();
    while let Origin::Part { lot } = row.origin {
        let missing = || ReadError(format!("there is no lot {lot}"));
        row = query::lot(state, lot)?.ok_or_else(missing)?;
    }
    Ok(row)
}

/// When everything upstream happened: at least a millisecond.
fn period(state: &Memory, id: LotId) -> Result<(Timestamp, Timestamp), ReadError> {
    let (mut from, mut to) = (Timestamp::new(u64::MAX), Timestamp::ZERO);
    for lot in query::upstream(state, id, UPSTREAM)? {
        let (begin, end) = match (&lot.lot.origin, &lot.made_by) {
            (Origin::Reading { from, to, .. }, _) => (*from, *to),
            (Origin::Part { .. }, _) => continue,
            (_, Some(made)) => (made.from, made.to),
            _ => (lot.lot.created_at, lot.lot.created_at),
        };
        (from, to) = (from.min(begin), to.max(end));
    }
    let last = Timestamp::new(from.get().saturating_add(1));
    Ok((from, to.max(last)))
}
