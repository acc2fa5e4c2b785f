//! What the ledger says about a variant that was played: which step booked what, what was delivered,
//! what left the ledger, and what became of the orders.

use super::DemoError;
use super::player::{Made, Played};
use crate::scenario::{Booked, OrderFact, Variant};
use kerbholz_client::Session;
use kerbholz_ledger::footprint::{Dimension, Footprint};
use kerbholz_ledger::id::{LotId, OrderId, TransformationId};
use kerbholz_ledger::memory::Memory;
use kerbholz_ledger::order::Settlement;
use kerbholz_ledger::quantity::Minor;
use kerbholz_ledger::query;
use kerbholz_ledger::rows::{
    LotRow, OrderRow, Read, SinkRow, Table, TransformationRow, Write, key,
};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Rows read at once, at most.
const ROWS_AT_ONCE: usize = 100_000;

/// The ledger as far as it is needed.
#[derive(Clone, Copy)]
pub struct Books<'a> {
    /// Its rows.
    pub state: &'a Memory,
    /// Lots as they were made.
    pub births: &'a BTreeMap<LotId, LotRow>,
}

impl Books<'_> {
    /// The footprint of a lot as it was made.
    ///
    /// # Errors
    /// [`DemoError::Missing`] when there is no such lot.
    pub fn birth(&self, lot: LotId) -> Result<&Footprint, DemoError> {
        let row = self.births.get(&lot);
        row.map(|row| &row.footprint).ok_or_else(|| DemoError::Missing(format!("lot {lot}")))
    }

    /// What each step booked by what it counts under, and what became of it all.
    ///
    /// # Errors
    /// [`DemoError::Missing`] when a row is not there, or a sum does not fit.
    pub fn booked(&self, variant: &Variant, played: &Played) -> Result<Booked, DemoError> {
        let overflow = || DemoError::Missing(format!("a sum that fits, for {}", variant.id));
        let mut booked = Booked::default();
        for (step, made) in variant.steps.iter().zip(&played.made) {
            let Some(tag) = &step.tag else { continue };
            let footprint = match made {
                Made::Source(lot) => self.birth(*lot)?.clone(),
                Made::Order(order) => self.booked_by_order(*order)?,
                Made::Nothing => continue,
            };
            let sum = booked.by_tag.entry(tag.clone()).or_default();
            *sum = sum.checked_add(&footprint).map_err(|_| overflow())?;
        }
        let product = self.birth(played.product)?.clone();
        let mut carried = product.clone();
        for lot in &played.sunk {
            for footprint in self.sunk(*lot)? {
                carried = carried.checked_add(&footprint).map_err(|_| overflow())?;
            }
        }
        (booked.product, booked.carried) = (Some(product), Some(carried));
        booked.avoided = variant.avoided.as_ref().map(|avoided| avoided.footprint.clone());
        for (name, (order, confirmed_by)) in &played.orders {
            let fact = self.fact(*order, confirmed_by.clone(), played)?;
            booked.orders.insert(name.clone(), fact);
        }
        Ok(booked)
    }

    /// The footprints that left the ledger with parts of a lot.
    fn sunk(&self, lot: LotId) -> Result<Vec<Footprint>, DemoError> {
        let missing = || DemoError::Missing(format!("what became of lot {lot}"));
        let prefix = key(Table::Sink, &[lot.as_bytes()]);
        let rows = self.state.scan(&prefix, &prefix, ROWS_AT_ONCE).map_err(|_| missing())?;
        let decoded = rows.iter().map(|(_, value)| {
            let row: Result<SinkRow, _> = kerbholz_ledger::codec::decode_trusted(value);
            row.map(|row| row.taken.footprint).map_err(|_| missing())
        });
        decoded.collect()
    }

    fn order(&self, id: OrderId) -> Result<OrderRow, DemoError> {
        let order = query::order(self.state, id).ok().flatten();
        order.ok_or_else(|| DemoError::Missing(format!("order {id}")))
    }

    fn fact(
        &self,
        id: OrderId,
        confirmed_by: Option<String>,
        played: &Played,
    ) -> Result<OrderFact, DemoError> {
        let row = self.order(id)?;
        let (Settlement::Account { currency } | Settlement::External { currency }) =
            &row.terms.settlement;
        let parent = row.terms.parent.and_then(|parent| {
            let named = played.orders.iter().find(|(_, (order, _))| *order == parent);
            named.map(|(name, _)| name.clone())
        });
        Ok(OrderFact {
            state: row.state,
            paid: row.paid.unwrap_or(Minor::ZERO),
            currency: currency.clone(),
            confirmed_by,
            serves: parent,
            specification: row.terms.specification,
        })
    }

    /// What an order's completion booked itself: all that went into its outputs, less its inputs.
    fn booked_by_order(&self, id: OrderId) -> Result<Footprint, DemoError> {
        let missing = || DemoError::Missing(format!("order {id}, completed"));
        let completed = self.order(id)?.completed.ok_or_else(missing)?;
        let row = query::transformation(self.state, completed.transformation).ok().flatten();
        let row = row.ok_or_else(missing)?;
        let mut booked = Footprint::ZERO;
        for activity in &row.activities {
            booked = booked.checked_add(&activity.footprint).map_err(|_| missing())?;
        }
        let mut own = completed.footprint;
        for input in &row.inputs {
            own = own.checked_sub(&input.footprint).map_err(|_| missing())?;
        }
        // The sets of what is not declared are the activities'; the values include booked waste.
        for dimension in Dimension::ALL {
            booked.set(*dimension, own.get(*dimension));
        }
        Ok(booked)
    }
}

/// What was read of a ledger that goes on elsewhere.
#[derive(Default)]
pub struct Excerpt {
    /// Its rows.
    pub state: Memory,
    /// Lots as they were made, as far as anybody kept them, else as they are.
    pub births: BTreeMap<LotId, LotRow>,
}

impl Excerpt {
    /// Reads what variants that were played left on the ledger.
    ///
    /// # Errors
    /// [`DemoError::Step`] when the network does not answer.
    pub async fn read(session: &Session, played: &[Played]) -> Result<Self, DemoError> {
        let failed = || DemoError::step("reading what was booked");
        let mut excerpt = Self::default();
        excerpt.table(session, key(Table::Member, &[])).await?;
        for played in played {
            excerpt.births.extend(played.born.clone());
            for (order, _) in played.orders.values() {
                let row = session.order(*order).await.map_err(failed())?;
                if let Some(completed) = &row.completed {
                    excerpt.transformation(session, completed.transformation).await?;
                }
                excerpt.put(key(Table::Order, &[order.as_bytes()]), &row);
            }
            for lot in &played.sunk {
                excerpt.table(session, key(Table::Sink, &[lot.as_bytes()])).await?;
            }
        }
        Ok(excerpt)
    }

    async fn table(&mut self, session: &Session, prefix: Vec<u8>) -> Result<(), DemoError> {
        let rows = session.scan_all(prefix.clone(), ROWS_AT_ONCE).await;
        let rows = rows.map_err(DemoError::step("reading what was booked"))?;
        let write = |(rest, value): (Vec<u8>, Vec<u8>)| {
            Write::set([prefix.as_slice(), rest.as_slice()].concat(), value)
        };
        self.state.apply(&rows.into_iter().map(write).collect::<Vec<_>>());
        Ok(())
    }

    async fn transformation(
        &mut self,
        session: &Session,
        id: TransformationId,
    ) -> Result<(), DemoError> {
        let failed = || DemoError::step("reading what was booked");
        let row: TransformationRow = session.transformation(id).await.map_err(failed())?;
        let inputs = row.inputs.iter().map(|taken| taken.portion.lot);
        for lot in inputs.chain(row.outputs.iter().copied()) {
            if let Entry::Vacant(vacant) = self.births.entry(lot) {
                vacant.insert(session.lot(lot).await.map_err(failed())?);
            }
        }
        self.put(key(Table::Transformation, &[id.as_bytes()]), &row);
        Ok(())
    }

    fn put<T: serde::Serialize>(&mut self, key: Vec<u8>, row: &T) {
        self.state.apply(&[Write::set(key, kerbholz_ledger::codec::encode(row))]);
    }

    /// As books.
    pub const fn books(&self) -> Books<'_> {
        Books { state: &self.state, births: &self.births }
    }
}
