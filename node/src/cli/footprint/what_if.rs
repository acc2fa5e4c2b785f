//! `kerbholz footprint what-if`: what the books would say under another factor set. Nothing is changed.

use super::super::context::Context;
use super::super::error::CliError;
use super::super::output::{Output, Report, table};
use super::super::view;
use super::books::{self, CopyArgs};
use super::explain::dimension;
use super::tree::share;
use clap::Args;
use kerbholz_client::ledger::execute::{
    Difference, Kept, KeptBecause, LotDifference, WhatIf, what_if,
};
use kerbholz_client::ledger::footprint::Dimension;
use kerbholz_client::ledger::restatement::Source;
use kerbholz_node::factors::FactorFile;
use kerbholz_node::files;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Most lots that are listed; with `--json` all are.
const LOTS_LISTED: usize = 20;

/// Under which factors, and what of it is shown.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  kerbholz footprint what-if --factors new.csv\n  kerbholz footprint what-if --factors new.csv \
    --lot bracket --as press\n  kerbholz footprint what-if --factors new.csv --data copy/data --genesis genesis.json"
)]
pub struct WhatIfArgs {
    /// The factors, as for `kerbholz factor publish`: each stands for those of its code in all sets
    #[arg(long, value_name = "FILE")]
    factors: PathBuf,
    /// Only this lot: its id, the beginning of one, or a product
    #[arg(long)]
    lot: Option<String>,
    /// Whose lots a product's name refers to
    #[arg(long = "as", value_name = "MEMBER", requires = "lot")]
    owner: Option<String>,
    /// The dimension of the list of lots, as `kerbholz footprint` names it
    #[arg(long, value_name = "DIMENSION", default_value = "climate", value_parser = dimension)]
    by: Dimension,
    #[command(flatten)]
    copy: CopyArgs,
}

/// Computes and shows it.
pub async fn run(context: &Context, args: WhatIfArgs, output: &Output) -> Result<Report, CliError> {
    let name = args.factors.display().to_string();
    let set = FactorFile::parse(&name, &files::read_text(&args.factors)?)?;
    let state = books::state(context, &args.copy, output).await?;
    let lot = match &args.lot {
        None => None,
        Some(text) => Some(books::lot_in(&state, args.owner.as_deref(), text)?),
    };
    let mut found = what_if(&state, &set.factors)?;
    if let Some(lot) = lot {
        found.lots.retain(|changed| changed.lot == lot);
    }
    let label = format!("{}@{}", set.name, set.version);
    let text = match lot {
        None => text(&found, &label, args.by),
        Some(lot) => match found.lots.first() {
            None => format!("Lot {} would stay as it is under {label}.", lot.short()),
            Some(changed) => {
                let whole = dimensions(&changed.whole);
                format!(
                    "Lot {} {}, the whole, under {label}\n{whole}",
                    lot.short(),
                    changed.product
                )
            }
        },
    };
    Ok(Report::new(text, document(&found, &label)))
}

fn text(found: &WhatIf, label: &str, by: Dimension) -> String {
    let mut parts = vec![format!(
        "Under {label}: {} sources by its factors, {} as they are; {} lots would carry something else.\n\
         Nothing is changed: this is computed.",
        found.replaced,
        found.kept.len(),
        found.lots.len(),
    )];
    for (title, difference) in
        [("ALL SOURCES", &found.sources), ("IN STOCK", &found.stock), ("BOOKED OUT", &found.sinks)]
    {
        if difference.is != difference.would_be {
            parts.push(format!("{title}\n{}", dimensions(difference)));
        }
    }
    if !found.lots.is_empty() {
        parts.push(format!("LOTS, BY {}\n{}", by.name().to_uppercase(), lots(&found.lots, by)));
    }
    if !found.kept.is_empty() {
        parts.push(format!("COULD NOT BE REPLACED\n{}", kept(&found.kept)));
    }
    parts.join("\n\n")
}

/// Every dimension that would differ.
fn dimensions(of: &Difference) -> String {
    let rows = Dimension::ALL.iter().filter_map(|one| {
        let (is, would_be) = (of.is.get(*one), of.would_be.get(*one));
        let open = of.is.declared(*one).is_some() != of.would_be.declared(*one).is_some();
        (is != would_be || open).then(|| {
            vec![
                one.name().to_owned(),
                view::declared(&of.is, *one),
                view::declared(&of.would_be, *one),
                signed(*one, would_be.saturating_sub(is)),
                change(is, would_be),
            ]
        })
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return "Only the assessment reports would be others.".to_owned();
    }
    table(&["dimension", "is", "would be", "difference", "change"], rows, &[1, 2, 3, 4])
}

fn signed(dimension: Dimension, difference: i128) -> String {
    let sign = if difference > 0 { "+" } else { "" };
    format!("{sign}{}", view::component(dimension, difference))
}

fn change(is: i128, would_be: i128) -> String {
    let difference = would_be.saturating_sub(is);
    let sign = if difference > 0 { "+" } else { "" };
    if is == 0 {
        "new".to_owned()
    } else {
        format!("{sign}{}", share(difference, is.saturating_abs()))
    }
}

/// The lots that would change most.
fn lots(lots: &[LotDifference], by: Dimension) -> String {
    let difference =
        |lot: &LotDifference| lot.whole.would_be.get(by).saturating_sub(lot.whole.is.get(by));
    let mut sorted: Vec<&LotDifference> = lots.iter().collect();
    sorted.sort_by_key(|lot| std::cmp::Reverse(difference(lot).unsigned_abs()));
    let rows = sorted.iter().take(LOTS_LISTED).map(|lot| {
        let (is, would_be) = (lot.whole.is.get(by), lot.whole.would_be.get(by));
        vec![
            lot.lot.short(),
            lot.product.clone(),
            view::component(by, is),
            view::component(by, would_be),
            signed(by, difference(lot)),
            change(is, would_be),
        ]
    });
    let header = ["lot", "product", "is", "would be", "difference", "change"];
    let mut text = table(&header, rows.collect(), &[2, 3, 4, 5]);
    if lots.len() > LOTS_LISTED {
        text.push_str(&format!("\nand {} more: see --json", lots.len() - LOTS_LISTED));
    }
    text
}

/// What stays, by reason and code, with the climate that it booked.
fn kept(kept: &[Kept]) -> String {
    let mut groups: BTreeMap<(KeptBecause, &str), (u64, i128)> = BTreeMap::new();
    for one in kept {
        let code = one.code.as_deref().unwrap_or("");
        let (count, climate) = groups.entry((one.why, code)).or_default();
        *count += 1;
        *climate = climate.saturating_add(one.footprint.get(Dimension::Climate));
    }
    let rows = groups.into_iter().map(|((why, code), (count, climate))| {
        vec![
            code.to_owned(),
            reason(why),
            count.to_string(),
            view::component(Dimension::Climate, climate),
        ]
    });
    table(&["factor", "why", "sources", "climate they book"], rows.collect(), &[2, 3])
}

fn reason(why: KeptBecause) -> String {
    match why {
        KeptBecause::NoSuchCode => "the file has no factor of this code".to_owned(),
        KeptBecause::Imported => "a supplier's own figures: there is no factor".to_owned(),
        KeptBecause::Refused(code) => format!("booking refuses it: {}", code.name()),
    }
}

fn document(found: &WhatIf, label: &str) -> Value {
    let difference = |of: &Difference| json!({ "is": view::footprint(&of.is), "would_be": view::footprint(&of.would_be) });
    let lots: Vec<Value> = found
        .lots
        .iter()
        .map(|lot| {
            json!({ "lot": lot.lot, "product": lot.product, "whole": difference(&lot.whole) })
        })
        .collect();
    let kept: Vec<Value> = found
        .kept
        .iter()
        .map(|kept| {
            let source = match kept.source {
                Source::Lot(lot) => json!({ "lot": lot }),
                Source::Activity { transformation, activity } => {
                    json!({ "transformation": transformation, "activity": activity })
                }
            };
            json!({
                "source": source, "what": kept.what, "factor": kept.code, "why": reason(kept.why),
                "footprint": view::footprint(&kept.footprint),
            })
        })
        .collect();
    json!({
        "factors": label, "replaced": found.replaced, "sources": difference(&found.sources),
        "stock": difference(&found.stock), "sinks": difference(&found.sinks), "lots": lots,
        "kept": kept,
    })
}
