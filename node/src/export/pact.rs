//! Product footprints of lots in the form of the PACT Technical Specifications, version 3.
//!
//! A lot is the product, all of it the declared unit: nothing is divided, so every figure is exact and
//! the parts add up. What the ledger does not know (a company's registered ids, by which standard it
//! declares) is asked for; what PACT has no field for stands in an extension, with all dimensions
//! as exact integers; a second extension proves them. `docs/footprint.md` says how each figure is
//! mapped, `docs/formats/pact-product-footprint.schema.json` is the schema.
//!
//! The types here are our own. The notice that the specification's licence asks for is [`NOTICE`].

mod decimal;
mod document;
mod figures;
mod lot;
pub mod proof;

pub use decimal::Decimal;
pub use document::{
    CarbonFootprint, Extension, FOOTPRINT_SCHEMA, ProductFootprint, RECEIPT_SCHEMA, SPEC_VERSION,
    Status,
};

use super::ExportError;
use super::follow::{Followed, Version};
use super::time_text;
use crate::index;
use kerbholz_ledger::codec;
use kerbholz_ledger::footprint::{Dimension, Footprint, GwpSet};
use kerbholz_ledger::id::{ContentHash, LotId, NetworkId};
use kerbholz_ledger::rows::{LotRow, ReadError};
use lot::Product;
use serde_json::{Value, json};

/// Whose specification this implements, and what its licence has every implementation say.
pub const NOTICE: &str = include_str!("pact/notice.txt");

/// What a company says that the ledger does not know.
#[derive(Clone, Debug, Default)]
pub struct Statement {
    /// The standards by which it declares, e.g. `ISO14067`. At least one.
    pub standards: Vec<String>,
    /// Its registered ids, as URNs; the member's id on the ledger follows.
    pub company_ids: Vec<String>,
    /// The product's registered ids, as URNs; the lot's id on the ledger follows.
    pub product_ids: Vec<String>,
    /// The country that the footprint is representative for, as two letters.
    pub country: Option<String>,
    /// Whether packaging is among what was booked.
    pub packaging: Option<bool>,
    /// The assessment report (5, 6) behind figures whose sources do not state theirs.
    pub assessment_report: Option<u8>,
}

/// Why a lot has no product footprint.
#[derive(Debug, thiserror::Error)]
pub enum PactError {
    /// There is no such lot.
    #[error("there is no lot {0}")]
    NoLot(LotId),
    /// Its climate figure is not known.
    #[error(
        "the climate figure of lot {0} is not declared by everything upstream, and not declared is \
         not zero: have the source restated with a factor that declares it \
         (kerbholz restatement propose)"
    )]
    NoClimate(LotId),
    /// Its climate figure is below zero, which PACT has no room for.
    #[error("the climate figure of lot {0} is negative, for which PACT has no field")]
    Negative(LotId),
    /// Nobody says by which report its warming potentials are.
    #[error(
        "no source of lot {0} says which assessment report its warming potentials are from: say so \
         with --assessment-report"
    )]
    NoReport(LotId),
    /// The state cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<PactError> for ExportError {
    fn from(error: PactError) -> Self {
        match error {
            PactError::Read(error) => Self::Read(error),
            error => Self::NoFootprint(error.to_string()),
        }
    }
}

/// All product footprints that a lot has had, oldest first: the last is active, those before it are
/// deprecated.
///
/// # Errors
/// [`PactError`], which says what to do.
pub fn footprints(
    followed: &Followed,
    network: NetworkId,
    id: LotId,
    statement: &Statement,
) -> Result<Vec<ProductFootprint>, PactError> {
    let product = Product::of(&followed.state, id)?;
    let versions = followed.lots.get(&id).map(Vec::as_slice).unwrap_or_default();
    let name =
        |(number, one): (usize, &Version)| footprint_id(network, id, number as u64, &one.footprint);
    let ids: Vec<String> = versions.iter().enumerate().map(name).collect();
    let mut documents: Vec<ProductFootprint> = Vec::new();
    for (number, (version, own)) in versions.iter().zip(&ids).enumerate() {
        let last = number + 1 == versions.len();
        let head = Head {
            number,
            id: own.clone(),
            before: ids.get(..number).unwrap_or_default().to_vec(),
            status: if last { Status::Active } else { Status::Deprecated },
        };
        match document(followed, network, &product, version, head, statement) {
            Ok(document) => documents.push(document),
            // Figures of the past that have no document do not stand in the way of the present ones.
            Err(error) if last => return Err(error),
            Err(_) => {}
        }
    }
    let made: Vec<String> = documents.iter().map(|one| one.id.clone()).collect();
    for document in &mut documents {
        document.preceding_pf_ids.retain(|id| made.contains(id));
    }
    Ok(documents)
}

/// What says which version a document is.
struct Head {
    /// How many the lot had before.
    number: usize,
    id: String,
    before: Vec<String>,
    status: Status,
}

fn document(
    followed: &Followed,
    network: NetworkId,
    product: &Product,
    version: &Version,
    head: Head,
    statement: &Statement,
) -> Result<ProductFootprint, PactError> {
    let footprint = &version.footprint;
    let figures = figures::figures(product.id, footprint)?;
    let reports = figures::reports(product.id, footprint, statement.assessment_report)?;
    let (unit, amount) = lot::declared_unit(&product.row);
    let company = format!("urn:kerbholz:{network}:member:{}", product.company);
    let lot_id = format!("urn:kerbholz:{network}:lot:{}", product.id);
    let numbered = dimensions(network, product.id, head.number as u64, &product.row, footprint);
    let pcf = CarbonFootprint {
        declared_unit_of_measurement: unit,
        declared_unit_amount: amount,
        product_mass_per_declared_unit: lot::mass(&product.row),
        reference_period_start: time_text(product.period.0),
        reference_period_end: time_text(product.period.1),
        geography_country: statement.country.clone(),
        pcf_excluding_biogenic_uptake: figures.excluding,
        pcf_including_biogenic_uptake: figures.including,
        fossil_ghg_emissions: figures.fossil,
        land_use_change_ghg_emissions: figures.land_use,
        biogenic_non_co2_emissions: figures.biogenic_other,
        biogenic_co2_uptake: figures.uptake,
        aircraft_ghg_emissions: figures.aircraft,
        fossil_carbon_content: figures.fossil_carbon,
        biogenic_carbon_content: figures.biogenic_carbon,
        ipcc_characterization_factors: reports,
        cross_sectoral_standards: statement.standards.clone(),
        exempted_emissions_percent: product.exempted(),
        allocation_rules_description: product.allocation(),
        primary_data_share: figures.primary_share,
        packaging_emissions_included: statement.packaging,
        ccs_technological_co2_capture_included: false,
    };
    Ok(ProductFootprint {
        id: head.id,
        spec_version: SPEC_VERSION.to_owned(),
        preceding_pf_ids: head.before,
        created: time_text(version.at),
        status: head.status,
        company_name: product.company_name.clone(),
        company_ids: with(&statement.company_ids, company),
        product_description: product.description(),
        product_ids: with(&statement.product_ids, lot_id),
        product_name_company: product.row.product.clone(),
        comment: comment(footprint, product),
        pcf,
        extensions: extensions(followed, network, product, numbered)?,
    })
}

/// The given ones, each once, and then our own.
fn with(given: &[String], own: String) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for one in given.iter().cloned().chain([own]) {
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all
}

/// The id of a lot's footprint of this number: the form of a random UUID, which the specification asks
/// for, of a hash of network, lot, number and figures. Whoever exports it from this ledger comes to the
/// same id.
fn footprint_id(network: NetworkId, lot: LotId, number: u64, footprint: &Footprint) -> String {
    let parts = [
        b"kerbholz/pact-footprint".as_slice(),
        network.as_bytes(),
        lot.as_bytes(),
        &number.to_le_bytes(),
        &codec::encode(footprint),
    ];
    let hash = ContentHash::of(&parts.concat());
    let mut id = [0; 16];
    id.copy_from_slice(hash.as_bytes().first_chunk::<16>().unwrap_or(&[0; 16]));
    id[6] = (id[6] & 0x0f) | 0x40;
    id[8] = (id[8] & 0x3f) | 0x80;
    let digits = hex::encode(id);
    let (a, rest) = digits.split_at(8);
    let (b, rest) = rest.split_at(4);
    let (c, rest) = rest.split_at(4);
    let (d, e) = rest.split_at(4);
    format!("{a}-{b}-{c}-{d}-{e}")
}

/// What a reader must know to judge the figures.
fn comment(footprint: &Footprint, product: &Product) -> String {
    let mut remarks = vec![format!("Read from a ledger: {}.", product.origin_text())];
    let missing = |dimension| footprint.undeclared.contains(dimension);
    if missing(Dimension::ClimateFossil) || missing(Dimension::ClimateLandUse) {
        let text = "Not everything upstream declares its fossil and its land-use part: what is not \
                    known to be something else is counted as fossil.";
        remarks.push(text.to_owned());
    }
    if missing(Dimension::BiogenicUptake) {
        let text = "Biogenic uptake is not declared by everything upstream: none is counted.";
        remarks.push(text.to_owned());
    }
    if missing(Dimension::FossilCarbonContent) {
        let text = "The fossil carbon content is not declared by everything upstream: at least \
                    this much.";
        remarks.push(text.to_owned());
    }
    if footprint.gwp_sets.contains(GwpSet::Unstated) {
        let text = "Some sources do not say by which assessment report their figures are.";
        remarks.push(text.to_owned());
    }
    if footprint.gwp_sets.is_mixed() {
        remarks.push("Figures by several assessment reports were added up.".to_owned());
    }
    remarks.join(" ")
}

fn extensions(
    followed: &Followed,
    network: NetworkId,
    product: &Product,
    dimensions: Value,
) -> Result<Vec<Extension>, PactError> {
    let mut extensions = vec![Extension {
        spec_version: "2.0.0".into(),
        data_schema: FOOTPRINT_SCHEMA.to_owned(),
        data: dimensions,
    }];
    let transaction = product.row.transaction;
    if let Some(receipt) = index::receipt(&followed.state, transaction)? {
        extensions.push(Extension {
            spec_version: "2.0.0".into(),
            data_schema: RECEIPT_SCHEMA.to_owned(),
            data: json!({
                "network": network, "transaction": transaction,
                "proves": "the lot as it was booked", "encoding": "hex",
                "receipt": hex::encode(receipt.encode()),
            }),
        });
    }
    Ok(extensions)
}

/// Every dimension as the ledger has it: exact integers as text; a lower bound where something
/// upstream did not declare it.
fn dimensions(
    network: NetworkId,
    lot: LotId,
    number: u64,
    row: &LotRow,
    footprint: &Footprint,
) -> Value {
    let dimension = |dimension: &Dimension| {
        let declared = !footprint.undeclared.contains(*dimension);
        let value = footprint.get(*dimension).to_string();
        let name = super::schema::word(dimension);
        (name, json!({ "value": value, "unit": dimension.unit(), "declared": declared }))
    };
    let dimensions: serde_json::Map<String, Value> = Dimension::ALL.iter().map(dimension).collect();
    json!({
        "network": network, "lot": lot, "number": number, "transaction": row.transaction,
        "amount": row.original.to_string(), "unit": super::schema::unit_word(row.quantity.unit),
        "massMilligrams": row.original_mass.get().to_string(),
        "assessmentReports": super::tables::reports(footprint), "dimensions": dimensions,
    })
}

#[cfg(test)]
mod tests;
