//! A document held against the receipt in it: are its figures the proven ones?
//!
//! That the receipt itself holds, [`Receipt::verify`] says.

use super::figures::{Figures, figures};
use super::{CarbonFootprint, FOOTPRINT_SCHEMA, PactError, ProductFootprint, RECEIPT_SCHEMA, lot};
use kerbholz_client::receipt::{Receipt, ReceiptError};
use kerbholz_ledger::codec;
use kerbholz_ledger::footprint::Footprint;
use kerbholz_ledger::id::{LotId, NetworkId};
use kerbholz_ledger::receipt::ProofError;
use kerbholz_ledger::rows::{LotRow, Table, key};
use serde_json::{Map, Value, json};

/// What a receipt says of the document that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The figures are the proven ones.
    AsBooked,
    /// The lot was restated since, as the document says: the receipt proves what it is, how much of it
    /// there is and its first figures, which are not these.
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
    let parsed: Value = serde_json::from_slice(bytes).map_err(|error| malformed(&error))?;
    if parsed.get("data").is_some() {
        let several = "it has all versions of one: export the newest alone, without --versions";
        return Err(malformed(&several));
    }
    let document: ProductFootprint =
        serde_json::from_value(parsed).map_err(|error| malformed(&error))?;
    let mut extensions = document.extensions.iter();
    let extension = extensions.find(|one| one.data_schema == RECEIPT_SCHEMA);
    let text = extension.and_then(|one| one.data.get("receipt")?.as_str());
    let receipt = hex::decode(text.ok_or(DocumentError::NoReceipt)?);
    let receipt = Receipt::decode(&receipt.map_err(|error| malformed(&error))?)?;
    Ok((document, receipt))
}

/// Compares a document with the receipt in it, which must be of this network: everything that follows
/// from the lot as it was booked. What the company says (standards, ids, country), and what is looked
/// up elsewhere on the ledger (who made it, when), is not proven by the receipt of one transaction.
///
/// # Errors
/// [`DocumentError`], naming the first figure that is not the proven one.
pub fn compare(
    document: &ProductFootprint,
    receipt: &Receipt,
    network: NetworkId,
) -> Result<Standing, DocumentError> {
    let mut extensions = document.extensions.iter();
    let extension = extensions.find(|one| one.data_schema == FOOTPRINT_SCHEMA);
    let malformed = |what: &str| DocumentError::Malformed(what.into());
    let data = &extension.ok_or_else(|| malformed("its dimensions are missing"))?.data;
    let id = data.get("lot").and_then(|id| id.as_str()?.parse::<LotId>().ok());
    let id = id.ok_or_else(|| malformed("it names no lot"))?;
    let (row, footprint) = proven(receipt, id)?.ok_or(DocumentError::OtherLot)?;
    // An earlier footprint need not have a document that this one could name.
    let number = data.get("number").and_then(Value::as_u64).unwrap_or(0);
    let restated = number > 0 || !document.preceding_pf_ids.is_empty();

    let mut proven_data = super::dimensions(network, id, number, &row, &footprint);
    let mut proven_pcf = document.pcf.clone();
    let pcf = &mut proven_pcf;
    (pcf.declared_unit_of_measurement, pcf.declared_unit_amount) = lot::declared_unit(&row);
    pcf.product_mass_per_declared_unit = lot::mass(&row);
    if restated {
        for figures in ["dimensions", "assessmentReports"] {
            proven_data[figures] = data.get(figures).cloned().unwrap_or_default();
        }
    } else {
        put(pcf, figures(id, &footprint)?);
        let proven = super::footprint_id(network, id, number, &footprint);
        same("the id", &document.id.clone().into(), &proven.into())?;
    }
    same("the product", &document.product_name_company.clone().into(), &row.product.into())?;
    same("", data, &proven_data)?;
    same("", &json!(document.pcf), &json!(proven_pcf))?;
    Ok(if restated { Standing::Restated } else { Standing::AsBooked })
}

/// Puts the figures into a document in the place of its own.
fn put(pcf: &mut CarbonFootprint, proven: Figures) {
    pcf.pcf_excluding_biogenic_uptake = proven.excluding;
    pcf.pcf_including_biogenic_uptake = proven.including;
    pcf.fossil_ghg_emissions = proven.fossil;
    pcf.land_use_change_ghg_emissions = proven.land_use;
    pcf.biogenic_non_co2_emissions = proven.biogenic_other;
    pcf.biogenic_co2_uptake = proven.uptake;
    pcf.aircraft_ghg_emissions = proven.aircraft;
    pcf.fossil_carbon_content = proven.fossil_carbon;
    pcf.biogenic_carbon_content = proven.biogenic_carbon;
    pcf.primary_data_share = proven.primary_share;
}

/// Whether what is found is what is proven; else the first place, by name, where it is not.
fn same(place: &str, found: &Value, proven: &Value) -> Result<(), DocumentError> {
    if found == proven {
        return Ok(());
    }
    if let (Value::Object(found), Value::Object(proven)) = (found, proven) {
        for name in found.keys().chain(proven.keys()) {
            let place = format!("{place} {name}");
            let of = |map: &Map<String, Value>| map.get(name).cloned().unwrap_or_default();
            same(place.trim_start(), &of(found), &of(proven))?;
        }
    }
    let text = |value: &Value| match value {
        Value::Null => "absent".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let (figure, found, proven) = (place.to_owned(), text(found), text(proven));
    Err(DocumentError::Differs { figure, found, proven })
}

/// The lot, and the footprint of all of it, after the transaction that made it.
fn proven(receipt: &Receipt, id: LotId) -> Result<Option<(LotRow, Footprint)>, ProofError> {
    let made = receipt.proof.executed.id;
    let row = receipt.proof.lot(id)?.filter(|row| row.transaction == made);
    let Some(row) = row else { return Ok(None) };
    if row.uses == 0 {
        let footprint = row.footprint.clone();
        return Ok(Some((row, footprint)));
    }
    // Something was taken of it at once.
    let whole = key(Table::Whole, &[id.as_bytes()]);
    let mut writes = receipt.proof.executed.writes.iter();
    let value = writes.find(|write| *write.key == *whole).and_then(|write| write.value.as_ref());
    let whole = value.map(|value| codec::decode_trusted(value).map_err(|_| ProofError::Row));
    Ok(whole.transpose()?.map(|whole| (row, whole)))
}
