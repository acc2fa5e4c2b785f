//! Where footprint came in, changed hands and went out, by organisation and period.

use super::{Books, Entered, Flows, ProductKey, Statement, period_of};
use crate::balance::BalanceError;
use crate::footprint::{Dimension, Footprint, Overflow};
use crate::id::MemberId;
use crate::quantity::{Milliseconds, Timestamp};
use crate::query;
use crate::rows::{LotRow, Origin, Read, ReadError, TransformationRow, booked};

pub(super) fn add_up(
    state: &dyn Read,
    books: &Books,
    period: Milliseconds,
    into: &mut Statement,
) -> Result<(), BalanceError> {
    let mut sums = Sums { books, period, into };
    for (id, lot) in &books.lots {
        let whole = query::whole(state, *id, lot)?;
        sums.lot(lot, &whole)?;
    }
    for row in books.transformations.values() {
        sums.transformation(row)?;
    }
    for sink in &books.sinks {
        let by = books.organisation(sink.machine);
        add(&mut sums.at(by, sink.time).booked_out, &sink.taken.footprint)?;
    }
    Ok(())
}

fn add(sum: &mut Footprint, footprint: &Footprint) -> Result<(), Overflow> {
    *sum = sum.checked_add(footprint)?;
    Ok(())
}

struct Sums<'a> {
    books: &'a Books,
    period: Milliseconds,
    into: &'a mut Statement,
}

impl Sums<'_> {
    fn at(&mut self, organisation: MemberId, time: Timestamp) -> &mut Flows {
        let period = period_of(time, self.period);
        self.into.flows.entry((organisation, period)).or_default()
    }

    /// From one organisation to another; nothing where they are the same.
    fn hand_over(
        &mut self,
        from: MemberId,
        to: MemberId,
        time: Timestamp,
        footprint: &Footprint,
    ) -> Result<(), Overflow> {
        let (from, to) = (self.books.organisation(from), self.books.organisation(to));
        if from != to {
            add(&mut self.at(from, time).handed_over, footprint)?;
            add(&mut self.at(to, time).received, footprint)?;
        }
        Ok(())
    }

    fn lot(&mut self, lot: &LotRow, whole: &Footprint) -> Result<(), BalanceError> {
        let owner = self.books.organisation(lot.owner);
        add(self.into.stock.entry(owner).or_default(), &lot.footprint)?;
        match &lot.origin {
            Origin::Reading { .. } | Origin::Declared { .. } => {
                add(&mut self.at(owner, lot.created_at).booked_in, whole)?;
                self.source(whole)?;
                self.entered(lot, lot.owner, whole, false)?;
            }
            Origin::Made { transformation, .. } => {
                let made = self.books.transformation(*transformation)?;
                let time = self.handed_over_at(lot, made);
                self.hand_over(made.machine, lot.owner, time, whole)?;
                self.entered(lot, made.machine, whole, true)?;
            }
            Origin::Part { lot: from } => {
                let from = self.books.lot(*from)?.owner;
                self.hand_over(from, lot.owner, lot.created_at, whole)?;
            }
        }
        Ok(())
    }

    /// A product changes hands when its order is settled; what failed, when it was made.
    fn handed_over_at(&self, lot: &LotRow, made: &TransformationRow) -> Timestamp {
        let order = made.order.and_then(|order| self.books.orders.get(&order));
        order.map_or(lot.created_at, |order| order.changed_at)
    }

    fn transformation(&mut self, row: &TransformationRow) -> Result<(), BalanceError> {
        let time = match row.outputs.first() {
            Some(lot) => self.books.lot(*lot)?.created_at,
            None => return Err(ReadError("a transformation made nothing".into()).into()),
        };
        let by = self.books.organisation(row.machine);
        let own = booked(row.activities.iter().map(|booked| &booked.footprint), row.waste)?;
        add(&mut self.at(by, time).booked_in, &own)?;
        for activity in &row.activities {
            self.source(&activity.footprint)?;
        }
        for taken in &row.inputs {
            let from = self.books.lot(taken.portion.lot)?.owner;
            self.hand_over(from, row.machine, time, &taken.footprint)?;
        }
        Ok(())
    }

    /// Counts what a source leaves open. Waste is counted by the ledger, and leaves nothing open.
    fn source(&mut self, footprint: &Footprint) -> Result<(), Overflow> {
        self.into.sources += 1;
        for dimension in footprint.undeclared.iter() {
            let open = self.into.open.entry(dimension).or_default();
            open.sources += 1;
            let climate = footprint.get(Dimension::Climate);
            open.climate = open.climate.checked_add(climate).ok_or(Overflow)?;
        }
        Ok(())
    }

    fn entered(
        &mut self,
        lot: &LotRow,
        by: MemberId,
        whole: &Footprint,
        made: bool,
    ) -> Result<(), Overflow> {
        let key = ProductKey {
            product: lot.product.clone(),
            unit: lot.quantity.unit,
            organisation: self.books.organisation(by),
            period: period_of(lot.created_at, self.period),
            made,
        };
        let entered: &mut Entered = self.into.products.entry(key).or_default();
        entered.lots += 1;
        entered.quantity =
            entered.quantity.checked_add(u128::from(lot.original)).ok_or(Overflow)?;
        let mass = u128::from(lot.original_mass.get());
        entered.mass_mg = entered.mass_mg.checked_add(mass).ok_or(Overflow)?;
        add(&mut entered.footprint, whole)
    }
}

impl Flows {
    /// What these flows leave with the organisation.
    ///
    /// # Errors
    /// [`Overflow`] when a sum does not fit.
    pub fn net(&self) -> Result<Footprint, Overflow> {
        let came = self.booked_in.checked_add(&self.received)?;
        came.checked_sub(&self.handed_over)?.checked_sub(&self.booked_out)
    }
}
