//! How a factor is shown: what it adds to which dimension, what it does not declare, where it is from,
//! how far it can be relied on, and what superseded it.

use super::Sets;
use crate::cli::error::CliError;
use crate::cli::find::Members;
use crate::cli::output::Report;
use crate::cli::view;
use kerbholz_client::Session;
use kerbholz_client::ledger::factor::{DERIVED_DIMENSIONS, Factor, Standing};
use kerbholz_client::ledger::footprint::{Dimension, EvidenceTier, GwpSet};
use kerbholz_client::ledger::id::FactorSetId;
use kerbholz_client::ledger::rows::{FactorSetRow, Table, key};
use kerbholz_client::session::now;
use kerbholz_node::factors::written;
use serde_json::{Value, json};

/// What people call a version of a set.
pub fn label(set: &FactorSetRow) -> String {
    format!("{}@{}", set.name, set.version)
}

const fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Verified => "verified",
        Standing::Quoted => "quoted",
        Standing::Unverified => "unverified",
        Standing::Proxy => "proxy",
    }
}

/// The tier that the factor's use books as at best.
fn books_as(factor: &Factor) -> &'static str {
    match factor.tier(EvidenceTier::Measured) {
        EvidenceTier::Default => "default",
        EvidenceTier::Measured | EvidenceTier::Derived => "as evidenced",
    }
}

const fn report(set: GwpSet) -> &'static str {
    match set {
        GwpSet::Unstated => "unstated",
        GwpSet::Ar5 => "ar5",
        GwpSet::Ar6 => "ar6",
    }
}

fn value(factor: &Factor, dimension: Dimension) -> Option<i128> {
    let found = factor.impacts.iter().find(|impact| impact.dimension == dimension);
    factor.declared.contains(dimension).then(|| found.map_or(0, |impact| impact.value))
}

fn settable() -> impl Iterator<Item = Dimension> {
    let all = Dimension::ALL.iter().copied();
    all.filter(|dimension| !DERIVED_DIMENSIONS.contains(*dimension))
}

/// A line of the list.
pub fn row(set: &FactorSetRow, superseded_by: Option<&str>, factor: &Factor) -> Vec<String> {
    let (per, impacts) = written(factor);
    let climate = impacts.into_iter().find(|(dimension, _)| *dimension == Dimension::Climate);
    let set = superseded_by
        .map_or_else(|| label(set), |newer| format!("{} (superseded by {newer})", label(set)));
    vec![
        set,
        factor.code.clone(),
        per,
        climate.map_or_else(|| "-".into(), |(_, amount)| amount),
        factor.region.clone(),
        standing(factor.standing).into(),
        books_as(factor).into(),
        factor.source.clone(),
    ]
}

/// A factor for programs.
pub fn document(set: &FactorSetRow, superseded_by: Option<&str>, factor: &Factor) -> Value {
    let impacts = factor.impacts.iter().map(|impact| {
        json!({
            "dimension": impact.dimension.name(), "unit": impact.dimension.unit(),
            "value": impact.value.to_string(),
        })
    });
    let names = |declared: bool| -> Vec<&str> {
        let fitting = settable().filter(|d| value(factor, *d).is_some() == declared);
        fitting.map(Dimension::name).collect()
    };
    json!({
        "set": label(set), "superseded_by": superseded_by, "code": factor.code,
        "per": view::quantity_json(factor.reference), "impacts": impacts.collect::<Vec<_>>(),
        "declared": names(true), "not_declared": names(false), "gwp": report(factor.gwp_set),
        "quality": {
            "technology": factor.quality.technology, "geography": factor.quality.geography,
            "time": factor.quality.time,
        },
        "region": factor.region, "standing": standing(factor.standing),
        "books_as": books_as(factor), "source": factor.source, "licence": factor.licence,
        "valid_from": view::time(factor.valid_from), "valid_until": view::time(factor.valid_until),
    })
}

/// A factor, whole.
pub async fn one(
    session: &Session,
    sets: &Sets,
    id: FactorSetId,
    factor: &Factor,
) -> Result<Report, CliError> {
    let missing = || CliError::no_such("factor set", &id.short(), "kerbholz factor list --all");
    let set = sets.get(id).ok_or_else(missing)?;
    let newer = sets.superseding(set);
    let superseded = match newer {
        None => None,
        Some((newer, row)) => {
            let parts = [newer.as_bytes().as_slice(), factor.code.as_bytes()];
            let there: Option<Factor> = session.row(key(Table::Factor, &parts)).await?;
            let gone = if there.is_none() { ", which does not have it any more" } else { "" };
            Some(format!("{}{gone}", label(row)))
        }
    };
    let publisher = Members::load(session).await?.name(set.publisher);
    let newer = newer.map(|(_, row)| label(row));
    let mut json = document(set, newer.as_deref(), factor);
    json["publisher"] = json!(publisher);
    Ok(Report::new(text(set, superseded.as_deref(), &publisher, factor), json))
}

fn text(set: &FactorSetRow, superseded: Option<&str>, publisher: &str, factor: &Factor) -> String {
    let today = now();
    let validity = if today < factor.valid_from {
        ", not yet valid"
    } else if factor.valid_until <= today {
        ", no longer valid: new bookings by it are refused"
    } else {
        ""
    };
    let quality = factor.quality;
    let tier = match factor.standing {
        Standing::Verified => "read in the source: books as what its use is evidenced as",
        Standing::Quoted => "quoted by somebody else: books as what its use is evidenced as",
        Standing::Unverified => "nobody checked it: books as default, whatever its use is",
        Standing::Proxy => "stands for something else: books as default, whatever its use is",
    };
    let (per, impacts) = written(factor);
    let mut lines = vec![
        format!("{}:{}  published by {publisher}", label(set), factor.code),
        format!("per        {per}"),
    ];
    let mut zero = Vec::new();
    for (dimension, amount) in impacts {
        if amount == "0" {
            zero.push(dimension.name());
        } else {
            lines.push(format!("  {:<26} {amount}", dimension.name()));
        }
    }
    let none = settable().filter(|dimension| value(factor, *dimension).is_none());
    let none: Vec<&str> = none.map(Dimension::name).collect();
    for (what, names) in [("zero", zero), ("undeclared", none)] {
        if !names.is_empty() {
            lines.push(format!("{what:<10} {}", names.join("; ")));
        }
    }
    let (from, until) = (view::time(factor.valid_from), view::time(factor.valid_until));
    let ratings = (quality.technology, quality.geography, quality.time);
    lines.extend([
        format!("standing   {} - {tier}", standing(factor.standing)),
        format!("warming    {}", report(factor.gwp_set)),
        format!(
            "quality    technology {}, geography {}, time {} (1 best to 5)",
            ratings.0, ratings.1, ratings.2
        ),
        format!("region     {}", factor.region),
        format!("valid      {from} to {until}{validity}"),
        format!("source     {}", factor.source),
        format!("licence    {}", factor.licence),
    ]);
    if let Some(newer) = superseded {
        lines.push(format!("superseded by {newer}; what was booked by this one stays"));
    }
    lines.join("\n")
}
