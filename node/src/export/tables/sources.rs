//! What was booked in: readings, declared lots, activities, and the mass of waste.

use super::super::schema::{Cell, unit_word};
use super::{Books, Visit, footprint, id, record};
use crate::export::ExportError;
use kerbholz_ledger::balance::each;
use kerbholz_ledger::factor::FactorRef;
use kerbholz_ledger::footprint::{Dimension, Footprint};
use kerbholz_ledger::id::{LotId, MemberId, OrderId, TransactionId, TransformationId};
use kerbholz_ledger::operation::Evidence;
use kerbholz_ledger::quantity::{Timestamp, Unit};
use kerbholz_ledger::query;
use kerbholz_ledger::rows::{
    BookedRow, LotRow, Origin, ReadError, Table, TransformationRow, WorkRow, booked_key, key, read,
};

/// Where a difference waits that a restatement has booked on a lot's source, and that has not come to
/// the lot yet: `docs/formats.md`, rows, table 25.
const WAITING: u32 = 1;

/// The table of sources.
pub(super) fn sources(books: &Books<'_>, visit: Visit<'_>) -> Result<(), ExportError> {
    each(books.state, Table::Lot, |key, lot: LotRow| match &lot.origin {
        Origin::Reading { .. } | Origin::Declared { .. } => {
            lot_source(books, LotId::new(id(key)?), &lot, visit)
        }
        Origin::Made { .. } | Origin::Part { .. } => Ok(()),
    })?;
    each(books.state, Table::Transformation, |key, row: TransformationRow| {
        work_sources(books, TransformationId::new(id(key)?), &row, visit)
    })
}

/// The columns of a source, without the footprint.
struct Source<'r> {
    kind: &'static str,
    lot: Option<LotId>,
    transformation: Option<TransformationId>,
    activity: Option<u64>,
    name: &'r str,
    amount: (u64, Unit),
    mass: Option<u64>,
    meter: Option<MemberId>,
    factor: Option<&'r FactorRef>,
    evidence: Option<&'r Evidence>,
    machine: MemberId,
    order: Option<OrderId>,
    period: Option<(Timestamp, Timestamp)>,
    transaction: TransactionId,
    at: Timestamp,
}

impl Source<'_> {
    fn visit(
        self,
        books: &Books<'_>,
        restated: Cell,
        booked: &Footprint,
        visit: Visit<'_>,
    ) -> Result<(), ExportError> {
        let (amount, unit) = self.amount;
        let head = [
            Cell::text(self.kind),
            Cell::some(self.lot, Cell::text),
            Cell::some(self.transformation, Cell::text),
            Cell::some(self.activity, Cell::Number),
            Cell::text(self.name),
            Cell::text(unit_word(unit)),
            Cell::Number(amount),
            Cell::some(self.mass, Cell::Number),
            Cell::some(self.meter, Cell::text),
            Cell::some(self.factor, |factor| Cell::text(factor.set)),
            Cell::some(self.factor, |factor| Cell::text(&factor.code)),
            Cell::some(self.evidence, |evidence| Cell::text(evidence.hash)),
        ];
        let tail = [
            Cell::some(self.order, Cell::text),
            Cell::some(self.period, |(from, _)| Cell::Time(from)),
            Cell::some(self.period, |(_, to)| Cell::Time(to)),
            restated,
            Cell::text(self.transaction),
            Cell::Time(self.at),
        ];
        let cells = head.into_iter().chain(books.member(self.machine)).chain(tail);
        visit(record(Some(self.at), cells.chain(footprint(booked))))
    }
}

fn lot_source(
    books: &Books<'_>,
    id: LotId,
    lot: &LotRow,
    visit: Visit<'_>,
) -> Result<(), ExportError> {
    let mut booked = query::whole(books.state, id, lot)?;
    let waits = key(Table::Work, &[&lot.sequence.to_be_bytes(), &WAITING.to_be_bytes()]);
    if let Some(waiting) = read::<WorkRow>(books.state, &waits)? {
        let overflow = |_| ReadError(format!("the source of lot {id} does not add up"));
        booked = booked.changed_by(&waiting.change).map_err(overflow)?;
    }
    let source = Source {
        kind: "declared",
        lot: Some(id),
        transformation: None,
        activity: None,
        name: &lot.product,
        amount: (lot.original, lot.quantity.unit),
        mass: Some(lot.original_mass.get()),
        meter: None,
        factor: None,
        evidence: None,
        machine: lot.owner,
        order: None,
        period: None,
        transaction: lot.transaction,
        at: lot.created_at,
    };
    let source = match &lot.origin {
        Origin::Reading { meter, from, to, factor, evidence, .. } => Source {
            kind: "reading",
            meter: Some(*meter),
            factor: Some(factor),
            evidence: evidence.as_ref(),
            period: Some((*from, *to)),
            ..source
        },
        Origin::Declared { factor, evidence } => {
            Source { factor: factor.as_ref(), evidence: evidence.as_ref(), ..source }
        }
        Origin::Made { .. } | Origin::Part { .. } => source,
    };
    let restated = books.restated_row(Table::Lot, id.as_bytes())?;
    source.visit(books, restated, &booked, visit)
}

/// The activities of a transformation, and the mass of the waste it made.
fn work_sources(
    books: &Books<'_>,
    id: TransformationId,
    row: &TransformationRow,
    visit: Visit<'_>,
) -> Result<(), ExportError> {
    let at = books.time(row.transaction)?;
    let source = || Source {
        kind: "activity",
        lot: None,
        transformation: Some(id),
        activity: None,
        name: "",
        amount: (0, Unit::Milligram),
        mass: None,
        meter: None,
        factor: None,
        evidence: None,
        machine: row.machine,
        order: row.order,
        period: Some((row.from, row.to)),
        transaction: row.transaction,
        at,
    };
    let entry = key(Table::Transformation, &[id.as_bytes()]);
    let first: Option<BookedRow> = read(books.state, &booked_key(&entry))?;
    let inputs = row.inputs.len();
    for (place, booked) in row.activities.iter().enumerate() {
        let activity = &booked.activity;
        let source = Source {
            activity: Some(place as u64),
            name: &activity.name,
            amount: (activity.amount.amount, activity.amount.unit),
            factor: Some(&activity.factor),
            evidence: activity.evidence.as_ref(),
            ..source()
        };
        let before = first.as_ref().and_then(|first| first.footprints.get(inputs + place));
        let restated = before.is_some_and(|before| *before != booked.footprint);
        source.visit(books, Cell::Flag(restated), &booked.footprint, visit)?;
    }
    if row.waste > 0 {
        let too_much = |_| ReadError(format!("the waste of transformation {id} does not fit"));
        let mut booked = Footprint::ZERO;
        booked.set(Dimension::Waste, i128::try_from(row.waste).map_err(too_much)?);
        // The masses of at most 256 outputs may add up to more than a column of amounts holds.
        let amount = u64::try_from(row.waste).unwrap_or(u64::MAX);
        let amount = (amount, Unit::Milligram);
        let source = Source { kind: "waste", name: "waste", amount, ..source() };
        source.visit(books, Cell::Flag(false), &booked, visit)?;
    }
    Ok(())
}
