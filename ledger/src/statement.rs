//! Statements: what the books come to for each organisation, product, period, meter and provider.
//!
//! Everything is added up from rows, as restated, by [`statement`]; the sums that execution keeps are
//! judged by [`crate::balance::check()`] first. For every organisation and period
//! `opening + booked in + received = handed over + booked out + closing`, and the closing of the last
//! period is its stock (with what restatements still have on their way to it).

mod accuracy;
mod flows;
mod meters;

pub use accuracy::Accuracy;
pub use meters::MeterStatement;

use crate::balance::{self, BalanceError, TrialBalance, each};
use crate::footprint::{Dimension, Footprint, Overflow};
use crate::id::{LotId, MemberId, OrderId, TransformationId};
use crate::quantity::{Milliseconds, Timestamp, Unit};
use crate::rows::{
    LotRow, MemberRow, OrderRow, Read, ReadError, SinkRow, Table, TransformationRow,
};
use crate::upkeep::{self, Upkeep};
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use serde::Serialize;

/// The books, added up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The trial balance, checked.
    pub balance: TrialBalance,
    /// What went through each organisation in each period, ascending; periods without entries are
    /// left out.
    pub flows: BTreeMap<(MemberId, u64), Flows>,
    /// What each organisation holds.
    pub stock: BTreeMap<MemberId, Footprint>,
    /// What came to be of each product, by who made or brought it in, and when; ascending.
    pub products: BTreeMap<ProductKey, Entered>,
    /// Every meter that was read.
    pub meters: BTreeMap<MemberId, MeterStatement>,
    /// Of each dimension, which sources leave it open.
    pub open: BTreeMap<Dimension, Open>,
    /// How many sources there are.
    pub sources: u64,
    /// How well each provider's machines predict.
    pub accuracy: BTreeMap<MemberId, Accuracy>,
    /// What the ledger itself took, by its accounting periods, whose length is the genesis's; their
    /// totals are the sinks of kind upkeep.
    pub upkeep: Vec<Upkeep>,
}

/// What went through an organisation in a period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flows {
    /// By its readings, declared lots, activities and waste.
    pub booked_in: Footprint,
    /// In lots that others handed to it.
    pub received: Footprint,
    /// In lots that it handed to others.
    pub handed_over: Footprint,
    /// By its sinks.
    pub booked_out: Footprint,
}

/// A product that an organisation makes or brings in, in a period.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProductKey {
    /// What it is.
    pub product: String,
    /// What it is counted in.
    pub unit: Unit,
    /// Whose machine made it or brought it in.
    pub organisation: MemberId,
    /// The number of the period.
    pub period: u64,
    /// Whether it was made, and not read or declared.
    pub made: bool,
}

/// What came to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entered {
    /// How many lots.
    pub lots: u64,
    /// How much, in the product's unit.
    pub quantity: u128,
    /// Its mass in milligrams.
    pub mass_mg: u128,
    /// What it carried.
    pub footprint: Footprint,
}

/// A dimension that sources leave open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Open {
    /// How many do.
    pub sources: u64,
    /// What they book of climate, ng CO2e: how much they matter.
    pub climate: i128,
}

/// The number of the period of a moment; all time is one period where the length is zero.
pub fn period_of(time: Timestamp, length: Milliseconds) -> u64 {
    time.get().checked_div(length.get()).unwrap_or(0)
}

/// Adds everything up, in periods of this length.
///
/// # Errors
/// [`BalanceError`] when the books do not balance; then nothing else is worth adding up.
pub fn statement(state: &dyn Read, period: Milliseconds) -> Result<Statement, BalanceError> {
    let balance = balance::check(state)?;
    let books = Books::read(state)?;
    let mut statement = Statement {
        balance,
        flows: BTreeMap::new(),
        stock: BTreeMap::new(),
        products: BTreeMap::new(),
        meters: BTreeMap::new(),
        open: BTreeMap::new(),
        sources: 0,
        accuracy: BTreeMap::new(),
        upkeep: upkeep::periods(state)?,
    };
    flows::add_up(state, &books, period, &mut statement)?;
    statement.meters = meters::add_up(state, &books)?;
    statement.accuracy = accuracy::add_up(&books)?;
    Ok(statement)
}

/// What the sums are made of.
struct Books {
    organisations: BTreeMap<MemberId, MemberId>,
    lots: BTreeMap<LotId, LotRow>,
    transformations: BTreeMap<TransformationId, TransformationRow>,
    sinks: Vec<SinkRow>,
    orders: BTreeMap<OrderId, OrderRow>,
}

impl Books {
    fn read(state: &dyn Read) -> Result<Self, ReadError> {
        let mut books = Self {
            organisations: BTreeMap::new(),
            lots: BTreeMap::new(),
            transformations: BTreeMap::new(),
            sinks: Vec::new(),
            orders: BTreeMap::new(),
        };
        each(state, Table::Member, |key, row: MemberRow| {
            books.organisations.insert(MemberId::new(id(key)?), row.organisation);
            Ok::<_, ReadError>(())
        })?;
        each(state, Table::Lot, |key, row| {
            books.lots.insert(LotId::new(id(key)?), row);
            Ok::<_, ReadError>(())
        })?;
        each(state, Table::Transformation, |key, row| {
            books.transformations.insert(TransformationId::new(id(key)?), row);
            Ok::<_, ReadError>(())
        })?;
        each(state, Table::Sink, |_, row| {
            books.sinks.push(row);
            Ok::<_, ReadError>(())
        })?;
        each(state, Table::Order, |key, row| {
            books.orders.insert(OrderId::new(id(key)?), row);
            Ok::<_, ReadError>(())
        })?;
        Ok(books)
    }

    fn organisation(&self, of: MemberId) -> MemberId {
        self.organisations.get(&of).copied().unwrap_or(of)
    }

    fn lot(&self, id: LotId) -> Result<&LotRow, ReadError> {
        self.lots.get(&id).ok_or_else(|| ReadError(alloc::format!("lot {id} is missing")))
    }

    fn transformation(&self, id: TransformationId) -> Result<&TransformationRow, ReadError> {
        let missing = || ReadError(alloc::format!("transformation {id} is missing"));
        self.transformations.get(&id).ok_or_else(missing)
    }
}

fn add_up_error(_: Overflow) -> ReadError {
    ReadError("a footprint in the state does not add up".into())
}

fn id(key: &[u8]) -> Result<[u8; 32], ReadError> {
    key.try_into().map_err(|_| ReadError(alloc::format!("key {}", hex::encode(key))))
}
