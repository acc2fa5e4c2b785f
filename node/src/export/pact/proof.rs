//! A document held against the receipt in it: are its figures the proven ones?
//!
//! That the receipt itself holds, [`Receipt::verify`] says.

use super::figures::{Figures, figures};
use super::{PactError, ProductFootprint, RECEIPT_SCHEMA};
use crate::export::schema::word;
use kerbholz_client::receipt::{Receipt, ReceiptError};
use kerbholz_ledger::codec;
use kerbholz_ledger::footprint::{Dimension, Footprint};
use kerbholz_ledger::id::LotId;
use kerbholz_ledger::receipt::ProofError;
use kerbholz_ledger::rows::{Table, key};

/// What a receipt says of the document that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The figures are the proven ones.
    AsBooked,
    /// The lot was restated since, as the document says: the receipt proves the lot and its first
    /// figures, which are not these.
    Restated,
}

/// Why a document is not what its receipt proves.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It is no document of ours.
    #[error("not a product footprint that kerbholz exported: {0}")]
    Malformed(String),
    /// There is nothing to prove it.
    #[error("there is no receipt in it: export it again when a checkpoint covers the lot")]
    NoReceipt,
    /// The receipt cannot be read.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    /// A row of the receipt cannot be read.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// The receipt is about something else.
    #[error("the receipt in it is not about its lot: do not accept it")]
    OtherLot,
    /// A figure is another.
    #[error("{figure} is {found} in the document, but {proven} is proven: do not accept it")]
    Differs {
        /// Which.
        figure: String,
        /// In the document.
        found: String,
        /// By the receipt.
        proven: String,
    },
    /// The proven figures make no document.
    #[error(transparent)]
    Pact(#[from] PactError),
}

/// Reads a document and the receipt in it.
///
/// # Errors
/// [`DocumentError::Malformed`], [`DocumentError::NoReceipt`], [`DocumentError::Receipt`].
pub fn read(bytes: &[u8]) -> Result<(ProductFootprint, Receipt), DocumentError> {
    let malformed = |error: &dyn std::fmt::Display| DocumentError::Malformed(error.to_string());
    let document: ProductFootprint =
        serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    let mut extensions = document.extensions.iter();
    let extension = extensions.find(|one| one.data_schema == RECEIPT_SCHEMA);
    let text = extension.and_then(|one| one.data.get("receipt")?.as_str());
    let receipt = hex::decode(text.ok_or(DocumentError::NoReceipt)?);
    let receipt = Receipt::decode(&receipt.map_err(|error| malformed(&error))?)?;
    Ok((document, receipt))
}

/// Compares a document with its receipt.
///
/// # Errors
/// [`DocumentError`], naming the first figure that is not the proven one.
pub fn compare(document: &ProductFootprint, receipt: &Receipt) -> Result<Standing, DocumentError> {
    let data = document.extensions.first().map(|extension| &extension.data);
    let id = data.and_then(|data| data.get("lot")?.as_str()?.parse::<LotId>().ok());
    let id = id.ok_or_else(|| DocumentError::Malformed("it names no lot".into()))?;
    let (amount, proven) = proven(receipt, id)?.ok_or(DocumentError::OtherLot)?;
    let shown = data.and_then(|data| data.get("amount")).cloned().unwrap_or_default();
    same("the amount", &text(&shown), &amount.to_string())?;
    if !document.preceding_pf_ids.is_empty() {
        return Ok(Standing::Restated);
    }
    let dimensions = data.and_then(|data| data.get("dimensions"));
    for dimension in Dimension::ALL {
        let shown = dimensions.and_then(|all| all.get(word(dimension)));
        let shown = |field: &str| shown.and_then(|one| one.get(field)).cloned().unwrap_or_default();
        let declared = !proven.undeclared.contains(*dimension);
        let value = proven.get(*dimension).to_string();
        same(dimension.name(), &text(&shown("value")), &value)?;
        let what = format!("whether {} is declared", dimension.name());
        same(&what, &shown("declared").to_string(), &declared.to_string())?;
    }
    let Figures { excluding, including, fossil, land_use, .. } = figures(id, &proven)?;
    let pcf = &document.pcf;
    for (what, found, proven) in [
        ("the sum without uptake", Some(&pcf.pcf_excluding_biogenic_uptake), Some(&excluding)),
        ("the sum with uptake", Some(&pcf.pcf_including_biogenic_uptake), Some(&including)),
        ("the fossil part", Some(&pcf.fossil_ghg_emissions), Some(&fossil)),
        ("land-use change", pcf.land_use_change_ghg_emissions.as_ref(), land_use.as_ref()),
    ] {
        let shown = |figure: Option<&super::Decimal>| {
            figure.map_or("absent", super::Decimal::as_str).to_owned()
        };
        same(what, &shown(found), &shown(proven))?;
    }
    Ok(Standing::AsBooked)
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or("absent").to_owned()
}

fn same(figure: &str, found: &str, proven: &str) -> Result<(), DocumentError> {
    if found == proven {
        return Ok(());
    }
    let (figure, found, proven) = (figure.to_owned(), found.to_owned(), proven.to_owned());
    Err(DocumentError::Differs { figure, found, proven })
}

/// The amount and the footprint of the whole lot after the transaction that made it.
fn proven(receipt: &Receipt, id: LotId) -> Result<Option<(u64, Footprint)>, ProofError> {
    let made = receipt.proof.executed.id;
    let row = receipt.proof.lot(id)?.filter(|row| row.transaction == made);
    let Some(row) = row else { return Ok(None) };
    if row.uses == 0 {
        return Ok(Some((row.original, row.footprint)));
    }
    // Something was taken of it at once.
    let whole = key(Table::Whole, &[id.as_bytes()]);
    let mut writes = receipt.proof.executed.writes.iter();
    let value = writes.find(|write| *write.key == *whole).and_then(|write| write.value.as_ref());
    let whole = value.map(|value| codec::decode_trusted(value).map_err(|_| ProofError::Row));
    Ok(whole.transpose()?.map(|whole| (row.original, whole)))
}
