//! The document: what the PACT Technical Specifications call a product footprint, as far as the
//! ledger has something to say. Properties that are absent are left out.

use super::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of the specifications that is implemented.
pub const SPEC_VERSION: &str = "3.0.3";
/// Names the extension with all dimensions.
pub const FOOTPRINT_SCHEMA: &str = "urn:kerbholz:pact-extension:footprint:1";
/// Names the extension with the receipt.
pub const RECEIPT_SCHEMA: &str = "urn:kerbholz:pact-extension:receipt:1";

/// Whether a footprint is the newest of its product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It is.
    Active,
    /// A restatement has put another one in its place.
    Deprecated,
}

/// A product footprint. Times are RFC 3339 in UTC, ids URNs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProductFootprint {
    /// A UUID; of other figures another one.
    pub id: String,
    /// [`SPEC_VERSION`].
    pub spec_version: String,
    /// The footprints of the same lot before it was restated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preceding_pf_ids: Vec<String>,
    /// When the lot came to have these figures.
    pub created: String,
    /// Whether it still has them.
    pub status: Status,
    /// The organisation whose machine made the lot, or brought it in.
    pub company_name: String,
    /// Ids of the organisation.
    pub company_ids: Vec<String>,
    /// What it is, in words.
    pub product_description: String,
    /// Ids of the lot.
    pub product_ids: Vec<String>,
    /// The name that its maker gave it.
    pub product_name_company: String,
    /// What a reader must know to judge the figures.
    pub comment: String,
    /// The figures.
    pub pcf: CarbonFootprint,
    /// All dimensions, and the receipt.
    pub extensions: Vec<Extension>,
}

/// The figures of a footprint: kilograms of CO2e (or of carbon) for the declared unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CarbonFootprint {
    /// The unit of measurement.
    pub declared_unit_of_measurement: String,
    /// How many of it: the whole lot.
    pub declared_unit_amount: Decimal,
    /// Kilograms; zero for energy and services.
    pub product_mass_per_declared_unit: Decimal,
    /// Begin of the earliest activity.
    pub reference_period_start: String,
    /// End of the latest.
    pub reference_period_end: String,
    /// Two letters; none: the world.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub geography_country: Option<String>,
    /// The sum without biogenic uptake.
    pub pcf_excluding_biogenic_uptake: Decimal,
    /// The sum with it.
    pub pcf_including_biogenic_uptake: Decimal,
    /// Of it fossil, aircraft included.
    pub fossil_ghg_emissions: Decimal,
    /// Of it land-use change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub land_use_change_ghg_emissions: Option<Decimal>,
    /// Of it neither.
    #[serde(default, rename = "biogenicNonCO2Emissions", skip_serializing_if = "Option::is_none")]
    pub biogenic_non_co2_emissions: Option<Decimal>,
    /// Zero or negative.
    #[serde(default, rename = "biogenicCO2Uptake", skip_serializing_if = "Option::is_none")]
    pub biogenic_co2_uptake: Option<Decimal>,
    /// Of the fossil part: aircraft, without radiative forcing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aircraft_ghg_emissions: Option<Decimal>,
    /// Fossil carbon in the product.
    pub fossil_carbon_content: Decimal,
    /// Biogenic carbon in the product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub biogenic_carbon_content: Option<Decimal>,
    /// `AR5`, `AR6`.
    pub ipcc_characterization_factors: Vec<String>,
    /// By which standards the company declares.
    pub cross_sectoral_standards: Vec<String>,
    /// What the completion says it left out.
    pub exempted_emissions_percent: Decimal,
    /// How the maker shared out over its outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation_rules_description: Option<String>,
    /// Per cent of climate that is of tier measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_data_share: Option<Decimal>,
    /// Whether packaging is in it, where the company says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packaging_emissions_included: Option<bool>,
    /// Never: the ledger books no captured carbon dioxide.
    #[serde(rename = "ccsTechnologicalCO2CaptureIncluded")]
    pub ccs_technological_co2_capture_included: bool,
}

/// What PACT has no field for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Extension {
    /// The version of PACT's model of extensions.
    pub spec_version: String,
    /// Which extension it is.
    pub data_schema: String,
    /// Its content.
    pub data: Value,
}
