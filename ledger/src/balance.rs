//! The trial balance: does every sum that execution keeps equal what is really there?
//!
//! An oracle: it scans lots, sinks, transformations and accounts, adds them up itself and compares.
//! It shares no bookkeeping with [`crate::execute()`]; replay and tests judge by it.

mod flows;

use crate::codec;
use crate::footprint::{Dimension, Footprint, Overflow};
use crate::id::LotId;
use crate::operation::SinkKind;
use crate::quantity::{Minor, Unit};
use crate::rows::{
    AccountRow, CurrencyRow, LedgerRow, LotRow, Origin, ProductRow, Read, ReadError, SinkRow,
    Table, TransformationRow, WorkRow, key, read,
};
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use serde::{Serialize, de::DeserializeOwned};

/// The balance, as the ledger keeps it and as it was found to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrialBalance {
    /// Everything booked in, per dimension.
    pub sources: Footprint,
    /// Everything in lots.
    pub stock: Footprint,
    /// Everything booked out.
    pub sinks: Footprint,
    /// Of it what was booked out in each way, those ways that something went.
    pub routes: Vec<(SinkKind, Footprint)>,
    /// Differences of restatements that are on their way downstream.
    pub in_transit: Footprint,
    /// Quantities by product and unit.
    pub products: Vec<ProductBalance>,
    /// Money by currency.
    pub currencies: Vec<CurrencyBalance>,
    /// How many lots there are, emptied ones included.
    pub lots: u64,
}

/// The quantities of one product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProductBalance {
    /// The product.
    pub product: String,
    /// What it is counted in.
    pub unit: Unit,
    /// Its quantities.
    pub quantities: ProductRow,
}

/// The money of one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CurrencyBalance {
    /// The currency.
    pub currency: String,
    /// Its sums.
    pub money: CurrencyRow,
}

/// The first difference that was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BalanceError {
    /// The state cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A sum does not fit.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// A dimension's total is not the sum of its parts.
    #[error("{what} of {} is {kept} {}, but adds up to {found}", dimension.name(), dimension.unit())]
    Dimension {
        /// Sources, stock, sinks or in transit.
        what: &'static str,
        /// The dimension.
        dimension: Dimension,
        /// What the ledger row says.
        kept: i128,
        /// What the rows add up to.
        found: i128,
    },
    /// What was taken of a lot is not what its takings say.
    #[error(
        "{} of lot {lot} at taking {taking} is {kept} {}, but comes to {found}",
        dimension.name(),
        dimension.unit()
    )]
    Flow {
        /// The lot.
        lot: LotId,
        /// Which taking; one above the last for what remains.
        taking: u32,
        /// The dimension.
        dimension: Dimension,
        /// What the taking's place (or the lot, for what remains) holds.
        kept: i128,
        /// What follows from the whole lot and the takings before.
        found: i128,
    },
    /// A product's quantities are not those of its lots.
    #[error("{what} of {product} is {kept} {unit}, but adds up to {found}")]
    Product {
        /// Which quantity.
        what: &'static str,
        /// The product.
        product: String,
        /// Its unit.
        unit: Unit,
        /// What the product row says.
        kept: u128,
        /// What the rows add up to.
        found: u128,
    },
    /// A currency's sums are not those of its accounts.
    #[error("{what} of {currency} is {kept}, but adds up to {found}")]
    Money {
        /// Which sum.
        what: &'static str,
        /// The currency.
        currency: String,
        /// What the currency row says.
        kept: u128,
        /// What the accounts add up to.
        found: u128,
    },
}

/// Adds everything up and compares.
///
/// # Errors
/// [`BalanceError`], naming the first difference.
pub fn check(state: &dyn Read) -> Result<TrialBalance, BalanceError> {
    let ledger: LedgerRow = read(state, &key(Table::Ledger, &[]))?
        .ok_or_else(|| ReadError("there is no genesis".into()))?;
    let mut sums = Sums::default();
    each(state, Table::Work, |_, work: WorkRow| sums.work(&work))?;
    each(state, Table::Lot, |id, lot: LotRow| sums.lot(id, &lot))?;
    each(state, Table::Sink, |_, sink: SinkRow| sums.sink(&sink))?;
    each(state, Table::Transformation, |_, row: TransformationRow| sums.transformation(&row))?;
    sums.compare_footprints(&ledger)?;
    let products = sums.compare_products(state)?;
    let currencies = compare_money(state)?;
    flows::check(state)?;
    let LedgerRow { sources, stock, sinks, in_transit, .. } = ledger;
    let (routes, lots) = (sums.routes.into_iter().collect(), sums.lots);
    Ok(TrialBalance { sources, stock, sinks, routes, in_transit, products, currencies, lots })
}

/// Goes through a table, row by row: the key without the table's byte, and the row.
///
/// # Errors
/// What `visit` returns, or [`ReadError`] when a row cannot be read.
pub fn each<T: DeserializeOwned, E: From<ReadError>>(
    state: &dyn Read,
    table: Table,
    mut visit: impl FnMut(&[u8], T) -> Result<(), E>,
) -> Result<(), E> {
    const PAGE: usize = 256;
    let prefix = key(table, &[]);
    let mut from = prefix.clone();
    loop {
        let page = state.scan(&prefix, &from, PAGE)?;
        let last = page.len() < PAGE;
        for (key, value) in page {
            let row = codec::decode_trusted(&value)
                .map_err(|error| ReadError(alloc::format!("row {}: {error}", hex::encode(&key))))?;
            visit(key.get(1..).unwrap_or_default(), row)?;
            from = key;
            from.push(0);
        }
        if last {
            return Ok(());
        }
    }
}

type Thing = (String, Unit);

#[derive(Default)]
struct Sums {
    lots: u64,
    stock: Footprint,
    sinks: Footprint,
    routes: BTreeMap<SinkKind, Footprint>,
    in_transit: Footprint,
    products: BTreeMap<Thing, ProductRow>,
}

fn add(sum: &mut u128, amount: u64) -> Result<(), BalanceError> {
    *sum = sum.checked_add(u128::from(amount)).ok_or(Overflow)?;
    Ok(())
}

impl Sums {
    fn product(&mut self, product: &str, unit: Unit) -> &mut ProductRow {
        self.products.entry((product.into(), unit)).or_default()
    }

    fn lot(&mut self, id: &[u8], lot: &LotRow) -> Result<(), BalanceError> {
        if lot.quantity.amount == 0 && !lot.footprint.is_zero() {
            let text = alloc::format!("lot {} is empty but carries footprint", hex::encode(id));
            return Err(ReadError(text).into());
        }
        self.lots += 1;
        self.stock = self.stock.checked_add(&lot.footprint)?;
        let product = self.product(&lot.product, lot.quantity.unit);
        add(&mut product.stock, lot.quantity.amount)?;
        match lot.origin {
            Origin::Reading { .. } | Origin::Declared { .. } => {
                add(&mut product.booked_in, lot.original)
            }
            Origin::Made { .. } => add(&mut product.made, lot.original),
            Origin::Part { .. } => Ok(()),
        }
    }

    fn sink(&mut self, sink: &SinkRow) -> Result<(), BalanceError> {
        self.sinks = self.sinks.checked_add(&sink.taken.footprint)?;
        let route = self.routes.entry(sink.kind).or_default();
        *route = route.checked_add(&sink.taken.footprint)?;
        let product = self.product(&sink.taken.product, sink.taken.portion.quantity.unit);
        add(&mut product.booked_out, sink.taken.portion.quantity.amount)
    }

    fn transformation(&mut self, row: &TransformationRow) -> Result<(), BalanceError> {
        for taken in &row.inputs {
            let product = self.product(&taken.product, taken.portion.quantity.unit);
            add(&mut product.used, taken.portion.quantity.amount)?;
        }
        Ok(())
    }

    fn work(&mut self, work: &WorkRow) -> Result<(), BalanceError> {
        self.in_transit = self.in_transit.checked_add(&work.change)?;
        Ok(())
    }

    fn compare_footprints(&self, ledger: &LedgerRow) -> Result<(), BalanceError> {
        let sources = self.stock.checked_add(&self.sinks)?.checked_add(&self.in_transit)?;
        for (what, kept, found) in [
            ("stock", &ledger.stock, &self.stock),
            ("sinks", &ledger.sinks, &self.sinks),
            ("in transit", &ledger.in_transit, &self.in_transit),
            ("sources", &ledger.sources, &sources),
        ] {
            for dimension in Dimension::ALL.iter().copied() {
                let (kept, found) = (kept.get(dimension), found.get(dimension));
                if kept != found {
                    return Err(BalanceError::Dimension { what, dimension, kept, found });
                }
            }
        }
        Ok(())
    }

    fn compare_products(&mut self, state: &dyn Read) -> Result<Vec<ProductBalance>, BalanceError> {
        let mut found = core::mem::take(&mut self.products);
        let mut balances = Vec::new();
        each(state, Table::Product, |key, kept: ProductRow| {
            let (product, unit) = product_of(key)?;
            let found = found.remove(&(product.clone(), unit)).unwrap_or_default();
            compare_product(&product, unit, &kept, &found)?;
            balances.push(ProductBalance { product, unit, quantities: kept });
            Ok::<_, BalanceError>(())
        })?;
        match found.into_iter().next() {
            None => Ok(balances),
            Some(((product, unit), found)) => {
                compare_product(&product, unit, &ProductRow::default(), &found)?;
                Ok(balances)
            }
        }
    }
}

fn compare_product(
    product: &str,
    unit: Unit,
    kept: &ProductRow,
    found: &ProductRow,
) -> Result<(), BalanceError> {
    let entered = found.booked_in.checked_add(found.made).ok_or(Overflow)?;
    let left = found.used.checked_add(found.booked_out).ok_or(Overflow)?;
    let accounted = left.checked_add(found.stock).ok_or(Overflow)?;
    for (what, kept, found) in [
        ("booked in", kept.booked_in, found.booked_in),
        ("made", kept.made, found.made),
        ("stock", kept.stock, found.stock),
        ("used", kept.used, found.used),
        ("booked out", kept.booked_out, found.booked_out),
        ("booked in and made", entered, accounted),
    ] {
        if kept != found {
            return Err(BalanceError::Product { what, product: product.into(), unit, kept, found });
        }
    }
    Ok(())
}

/// The product and unit in a key of the product table.
pub(crate) fn product_of(key: &[u8]) -> Result<Thing, ReadError> {
    let damaged = || ReadError(alloc::format!("product row {}", hex::encode(key)));
    let (unit, name) = key.split_last().ok_or_else(damaged)?;
    let name = core::str::from_utf8(name).map_err(|_| damaged())?;
    let unit = Unit::ALL.iter().copied().find(|known| *known as u8 == *unit);
    Ok((name.into(), unit.ok_or_else(damaged)?))
}

fn compare_money(state: &dyn Read) -> Result<Vec<CurrencyBalance>, BalanceError> {
    let mut accounts: BTreeMap<Vec<u8>, (u128, u128)> = BTreeMap::new();
    each(state, Table::Account, |key, account: AccountRow| {
        let code = key.get(32..).unwrap_or_default().to_vec();
        let (available, held) = accounts.entry(code).or_default();
        add(available, account.available.get())?;
        add(held, account.held.get())
    })?;
    let mut balances = Vec::new();
    each(state, Table::Currency, |key, money: CurrencyRow| {
        let currency = String::from_utf8_lossy(key).into_owned();
        let (available, held) = accounts.remove(key).unwrap_or_default();
        let wide = |minor: Minor| u128::from(minor.get());
        let spread = available + held + wide(money.redeemed);
        for (what, kept, found) in [
            ("available", wide(money.available), available),
            ("held", wide(money.held), held),
            ("issued", wide(money.issued), spread),
        ] {
            if kept != found {
                return Err(BalanceError::Money { what, currency, kept, found });
            }
        }
        balances.push(CurrencyBalance { currency, money });
        Ok::<_, BalanceError>(())
    })?;
    match accounts.into_iter().next() {
        None => Ok(balances),
        Some((code, (available, held))) => {
            let currency = String::from_utf8_lossy(&code).into_owned();
            let (what, found) = ("issued", available + held);
            Err(BalanceError::Money { what, currency, kept: 0, found })
        }
    }
}
