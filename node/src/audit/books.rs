//! The books, kept a second time: after every commit, what its changes add up to is compared with
//! what the ledger says.
//!
//! Like [`kerbholz_ledger::balance`] an oracle that shares no bookkeeping with execution. That one
//! adds up everything from the start; this one adds what a commit changed, so that balances hold
//! after *every* commit at a cost in proportion to the commit.

use kerbholz_ledger::balance::BalanceError;
use kerbholz_ledger::execute::Effects;
use kerbholz_ledger::footprint::{Dimension, Footprint, Overflow};
use kerbholz_ledger::memory::Memory;
use kerbholz_ledger::quantity::{Minor, Unit};
use kerbholz_ledger::rows::{
    AccountRow, CurrencyRow, LedgerRow, LotRow, Origin, ProductRow, Read, ReadError, SinkRow,
    Table, TransformationRow, WorkRow, Write,
};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};

type Product = (String, Unit);

/// The sums so far.
#[derive(Default)]
pub(super) struct Books {
    stock: Footprint,
    sinks: Footprint,
    in_transit: Footprint,
    products: BTreeMap<Product, ProductRow>,
    /// Available and held in all accounts, by currency.
    money: BTreeMap<Vec<u8>, (u128, u128)>,
}

/// What a commit has touched, and must agree.
#[derive(Default)]
struct Touched {
    products: BTreeSet<Product>,
    currencies: BTreeSet<Vec<u8>>,
}

fn decode<T: DeserializeOwned>(bytes: Option<&[u8]>) -> Result<Option<T>, ReadError> {
    let row = bytes.map(kerbholz_ledger::codec::decode_trusted).transpose();
    row.map_err(|error| ReadError(format!("a row: {error}")))
}

fn replace(sum: &mut u128, old: u64, new: u64) -> Result<(), BalanceError> {
    let less = sum.checked_sub(u128::from(old)).ok_or(Overflow)?;
    *sum = less.checked_add(u128::from(new)).ok_or(Overflow)?;
    Ok(())
}

impl Books {
    /// Books what a commit changed, and compares. `before` is the state without it.
    pub(super) fn commit(
        &mut self,
        before: &Memory,
        effects: &Effects,
    ) -> Result<(), BalanceError> {
        let mut touched = Touched::default();
        for write in &effects.writes {
            let old = before.get(&write.key)?;
            self.book(write, old.as_deref(), &mut touched)?;
        }
        let after =
            |key: &[u8]| match effects.writes.binary_search_by(|write| (*write.key).cmp(key)) {
                Ok(place) => Ok(effects.writes[place].value.as_ref().map(|value| value.to_vec())),
                Err(_) => before.get(key),
            };
        if let Some(ledger) = decode::<LedgerRow>(after(&[Table::Ledger as u8])?.as_deref())? {
            self.compare_footprints(&ledger)?;
        }
        for product in touched.products {
            let (name, unit) = (product.0.as_bytes(), product.1 as u8);
            let key = [&[Table::Product as u8], name, &[unit]].concat();
            let kept = decode::<ProductRow>(after(&key)?.as_deref())?.unwrap_or_default();
            self.compare_product(&product, &kept)?;
        }
        for currency in touched.currencies {
            let key = [&[Table::Currency as u8], currency.as_slice()].concat();
            if let Some(kept) = decode::<CurrencyRow>(after(&key)?.as_deref())? {
                self.compare_money(&currency, &kept)?;
            }
        }
        Ok(())
    }

    fn book(
        &mut self,
        write: &Write,
        old: Option<&[u8]>,
        touched: &mut Touched,
    ) -> Result<(), BalanceError> {
        let new = write.value.as_deref();
        match write.key.first().copied() {
            Some(table) if table == Table::Lot as u8 => {
                self.lot(decode(old)?.as_ref(), decode(new)?.as_ref(), touched)
            }
            Some(table) if table == Table::Sink as u8 => {
                let Some(sink) = decode::<SinkRow>(new)? else { return Ok(()) };
                self.sinks = self.sinks.checked_add(&sink.taken.footprint)?;
                if let Some(old) = decode::<SinkRow>(old)? {
                    // A restatement has come to it.
                    self.sinks = self.sinks.checked_sub(&old.taken.footprint)?;
                    return Ok(());
                }
                let product = (sink.taken.product, sink.taken.portion.quantity.unit);
                let row = self.products.entry(product.clone()).or_default();
                touched.products.insert(product);
                replace(&mut row.booked_out, 0, sink.taken.portion.quantity.amount)
            }
            Some(table) if table == Table::Work as u8 => {
                if let Some(old) = decode::<WorkRow>(old)? {
                    self.in_transit = self.in_transit.checked_sub(&old.change)?;
                }
                if let Some(new) = decode::<WorkRow>(new)? {
                    self.in_transit = self.in_transit.checked_add(&new.change)?;
                }
                Ok(())
            }
            Some(table) if table == Table::Transformation as u8 && old.is_none() => {
                let made = decode::<TransformationRow>(new)?;
                for taken in made.into_iter().flat_map(|made| made.inputs) {
                    let product = (taken.product, taken.portion.quantity.unit);
                    let row = self.products.entry(product.clone()).or_default();
                    touched.products.insert(product);
                    replace(&mut row.used, 0, taken.portion.quantity.amount)?;
                }
                Ok(())
            }
            Some(table) if table == Table::Account as u8 => {
                let currency = write.key.get(33..).unwrap_or_default().to_vec();
                let (old, new) = (decode::<AccountRow>(old)?, decode::<AccountRow>(new)?);
                let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
                let (available, held) = self.money.entry(currency.clone()).or_default();
                touched.currencies.insert(currency);
                replace(available, old.available.get(), new.available.get())?;
                replace(held, old.held.get(), new.held.get())
            }
            _ => Ok(()),
        }
    }

    fn lot(
        &mut self,
        old: Option<&LotRow>,
        new: Option<&LotRow>,
        touched: &mut Touched,
    ) -> Result<(), BalanceError> {
        let amount = |lot: Option<&LotRow>| lot.map_or(0, |lot| lot.quantity.amount);
        if let Some(lot) = old {
            self.stock = self.stock.checked_sub(&lot.footprint)?;
        }
        if let Some(lot) = new {
            self.stock = self.stock.checked_add(&lot.footprint)?;
        }
        let Some(lot) = new.or(old) else { return Ok(()) };
        let product = (lot.product.clone(), lot.quantity.unit);
        let row = self.products.entry(product.clone()).or_default();
        touched.products.insert(product);
        replace(&mut row.stock, amount(old), amount(new))?;
        match lot.origin {
            _ if old.is_some() => Ok(()),
            Origin::Reading { .. } | Origin::Declared { .. } => {
                replace(&mut row.booked_in, 0, lot.original)
            }
            Origin::Made { .. } => replace(&mut row.made, 0, lot.original),
            Origin::Part { .. } => Ok(()),
        }
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

    fn compare_product(&self, of: &Product, kept: &ProductRow) -> Result<(), BalanceError> {
        let found = self.products.get(of).copied().unwrap_or_default();
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
                let (product, unit) = of.clone();
                return Err(BalanceError::Product { what, product, unit, kept, found });
            }
        }
        Ok(())
    }

    fn compare_money(&self, currency: &[u8], kept: &CurrencyRow) -> Result<(), BalanceError> {
        let (available, held) = self.money.get(currency).copied().unwrap_or_default();
        let wide = |minor: Minor| u128::from(minor.get());
        let mut spread = [available, held, wide(kept.redeemed)].into_iter();
        let spread = spread.try_fold(0, u128::checked_add).ok_or(Overflow)?;
        for (what, kept, found) in [
            ("available", wide(kept.available), available),
            ("held", wide(kept.held), held),
            ("issued", wide(kept.issued), spread),
        ] {
            if kept != found {
                let currency = String::from_utf8_lossy(currency).into_owned();
                return Err(BalanceError::Money { what, currency, kept, found });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
