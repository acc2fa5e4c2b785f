//! An explanation as a page that works offline: one file, with everything in it.
//!
//! The page is `assets/explain.html`; the chart library is the one of the demo's page.

use super::{Document, Group, Line, Shares};
use crate::demo::report;
use kerbholz_ledger::explain::View;
use kerbholz_ledger::footprint::{Dimension, Overflow};
use std::cmp::Reverse;

const PAGE: &str = include_str!("../../assets/explain.html");
/// Most nodes that are drawn: more cannot be read.
const NODES_MAX: usize = 60;
/// So many of the largest in each dimension are listed; the page says how many there are.
const LISTED: usize = 40;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// A sum does not fit.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// The document cannot be written.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// The page of a document. Of large ones it shows what is among the largest entries, groups and flows
/// of any dimension, and the rest as sums.
///
/// # Errors
/// [`PageError`].
pub fn page(document: &Document) -> Result<String, PageError> {
    let mut shown = document.clone();
    shown.graph = document.graph.pruned(NODES_MAX);
    let all = shown.entries.len();
    (shown.entries, _) = largest(shown.entries, |line: &Line| &line.share);
    for groups in [&mut shown.by_stage, &mut shown.by_organisation] {
        *groups = few(std::mem::take(groups))?;
    }
    let mut json = serde_json::to_value(&shown)?;
    json["entries_all"] = all.into();
    json["version"] = env!("CARGO_PKG_VERSION").into();
    Ok(report::filled(PAGE, &json.to_string()))
}

/// What is among the largest of any dimension, and what is not; in order.
fn largest<T>(items: Vec<T>, share: fn(&T) -> &Shares) -> (Vec<T>, Vec<T>) {
    let mut kept = vec![false; items.len()];
    for dimension in Dimension::ALL.iter().copied() {
        let size = |at: &usize| items.get(*at).map_or(0, |item| share(item).size(dimension));
        let mut order: Vec<usize> = (0..items.len()).filter(|at| size(at) > 0).collect();
        order.sort_by_key(|at| Reverse(size(at)));
        for at in order.into_iter().take(LISTED) {
            kept[at] = true;
        }
    }
    let (kept, rest): (Vec<_>, Vec<_>) = items.into_iter().zip(kept).partition(|(_, kept)| *kept);
    let bare = |items: Vec<(T, bool)>| items.into_iter().map(|(item, _)| item).collect();
    (bare(kept), bare(rest))
}

/// The largest groups, and the sum of the others as one.
fn few(groups: Vec<Group>) -> Result<Vec<Group>, Overflow> {
    let (mut groups, rest) = largest(groups, |group| &group.share);
    if !rest.is_empty() {
        let mut share = Shares::default();
        for other in &rest {
            for view in [View::AsBooked, View::AsRestated] {
                share.add(view, other.share.of(view))?;
            }
        }
        groups.push(Group { name: format!("{} others", rest.len()), share });
    }
    Ok(groups)
}
