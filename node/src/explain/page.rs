//! An explanation as a page that works offline: one file, with everything in it.
//!
//! The page is `assets/explain.html`; the chart library is the one of the demo's page.

use super::Document;
use crate::demo::report;

const PAGE: &str = include_str!("../../assets/explain.html");
/// Most nodes that are drawn: more cannot be read.
const NODES_MAX: usize = 60;
/// Most entries that are listed; the page says how many there are.
const ENTRIES_MAX: usize = 400;

/// The page of a document. Of large ones it shows the largest entries and flows, and the rest as sums.
///
/// # Errors
/// [`serde_json::Error`] when the document cannot be written.
pub fn page(document: &Document) -> Result<String, serde_json::Error> {
    let mut shown = document.clone();
    shown.graph = document.graph.pruned(NODES_MAX);
    let all = shown.entries.len();
    shown.entries.truncate(ENTRIES_MAX);
    let mut json = serde_json::to_value(&shown)?;
    json["entries_all"] = all.into();
    json["version"] = env!("CARGO_PKG_VERSION").into();
    Ok(report::filled(PAGE, &json.to_string()))
}
