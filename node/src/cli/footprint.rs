//! `kerbholz footprint`: what a lot or an order cost, in every dimension; where it comes from, and
//! what it comes to in the books.

mod balance;
mod books;
mod explain;
pub mod restated;
mod tree;
mod what_if;

use super::amount::Share;
use super::context::Context;
use super::error::CliError;
use super::find::{self, Members};
use super::output::{Output, Report, table};
use super::view;
use clap::{Args, Subcommand};
use kerbholz_client::ClientError;
use kerbholz_client::ledger::factor::DERIVED_DIMENSIONS;
use kerbholz_client::ledger::footprint::{Dimension, Footprint};
use kerbholz_client::ledger::quantity::Quantity;
use kerbholz_client::ledger::rows::MemberKind;
use serde_json::json;

/// Of what.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  kerbholz footprint latest\n  kerbholz footprint bracket --as press"
)]
pub struct FootprintArgs {
    #[command(subcommand)]
    command: Option<FootprintCommand>,
    /// An order or a lot: its id or the beginning of one, `latest`, or a product
    #[arg(required = true)]
    what: Option<String>,
    /// Whose lots a product's name refers to, or whose latest order
    #[arg(long = "as", value_name = "MEMBER")]
    owner: Option<String>,
}

/// What more there is to know.
#[derive(Subcommand)]
pub enum FootprintCommand {
    /// Show where a lot's footprint comes from, down to readings and factors, largest first
    Explain(explain::ExplainArgs),
    /// Add up the books: by dimension, organisation, period, product, meter, evidence, provider
    Balance(balance::BalanceArgs),
    /// Show what the books would say under other factors, without changing anything
    WhatIf(what_if::WhatIfArgs),
}

/// Shows it.
pub async fn run(
    context: &Context,
    args: FootprintArgs,
    output: &Output,
) -> Result<Report, CliError> {
    match args.command {
        Some(FootprintCommand::Explain(args)) => explain::run(context, args, output).await,
        Some(FootprintCommand::Balance(args)) => balance::run(context, args, output).await,
        Some(FootprintCommand::WhatIf(args)) => what_if::run(context, args, output).await,
        None => show(context, args.what.unwrap_or_default(), args.owner).await,
    }
}

async fn show(context: &Context, what: String, owner: Option<String>) -> Result<Report, CliError> {
    let session = context.reader()?;
    let owner = match &owner {
        None => None,
        Some(name) => {
            let kinds = [MemberKind::Machine, MemberKind::Organisation];
            Some(Members::load(&session).await?.find(name, &kinds)?.0)
        }
    };
    let order = match find::order(&session, owner, &what).await {
        Ok(found) => Some(found),
        // It may be a lot: what is wrong is said when it is none either.
        Err(CliError::Usage(reason)) if what == "latest" => {
            return Err(CliError::Usage(reason));
        }
        Err(CliError::Usage(_) | CliError::Client(ClientError::Unknown(_))) => None,
        Err(error) => return Err(error),
    };
    if let Some((id, order)) = order {
        let completed = order.completed.ok_or_else(|| {
            let state = view::state(order.state);
            CliError::Usage(format!("order {} is {state}: nothing was made yet", id.short()))
        })?;
        let title = format!("Footprint of order {}: {}", id.short(), order.terms.product);
        let both = restated::order(&session, &completed).await?;
        let json = json!({
            "order": id, "footprint": view::footprint(&completed.footprint),
            "restated": restated::json(both.as_ref()),
        });
        let mut text = format!("{title}\n\n{}", text(&completed.footprint));
        if let Some(both) = &both {
            let both = restated::text(both);
            text.push_str(&format!(
                "\n\nRestated since: above is what was booked, and paid by. What differs:\n\n{both}"
            ));
        }
        return Ok(Report::new(text, json));
    }
    let share = Share { lot: what, amount: None };
    let (id, lot) = find::lot(&session, owner, None, &share).await?;
    let (left, product) = (view::quantity(lot.quantity), &lot.product);
    let title = format!("Footprint of lot {}: {left} {product}", id.short());
    let both = restated::lot(&session, id, &lot).await?;
    let json = json!({
        "lot": id, "footprint": view::footprint(&lot.footprint),
        "restated": restated::json(both.as_ref()),
    });
    let mut text = format!("{title}\n\n{}", text(&lot.footprint));
    if let Some(both) = &both {
        let whole = view::quantity(Quantity::new(lot.original, lot.quantity.unit));
        let both = restated::text(both);
        text.push_str(&format!(
            "\n\nRestated. Of the whole lot ({whole}), what differs:\n\n{both}"
        ));
    }
    Ok(Report::new(text, json))
}

/// A footprint for people: all dimensions, then how well climate is known.
pub fn text(footprint: &Footprint) -> String {
    let counted = Dimension::ALL.iter().filter(|one| !DERIVED_DIMENSIONS.contains(**one));
    let rows = counted.map(|dimension| {
        let value = footprint.get(*dimension);
        let (shown, exact) = match (footprint.declared(*dimension), value) {
            (Some(value), _) => {
                (view::component(*dimension, value), format!("{value} {}", dimension.unit()))
            }
            (None, 0) => ("not declared".into(), String::new()),
            (None, value) => {
                let known = view::component(*dimension, value);
                (format!("not declared (known: {known})"), format!("{value} {}", dimension.unit()))
            }
        };
        vec![dimension.name().to_owned(), shown, exact]
    });
    let mut text = table(&["dimension", "value", "exactly"], rows.collect(), &[1, 2]);
    let climate = footprint.get(Dimension::Climate);
    if climate > 0 {
        text.push_str(&quality(footprint, climate));
    }
    if footprint.gwp_sets.is_mixed() {
        text.push_str(
            "\n\nAttention: its climate figures use the warming potentials of more than one IPCC \
             report.",
        );
    }
    text
}

fn quality(footprint: &Footprint, climate: i128) -> String {
    // Tenths of a share, rounded half up.
    let tenths = |dimension, scale: i128| {
        let value = footprint.get(dimension).saturating_mul(10 * scale);
        let tenths = value.saturating_add(climate / 2) / climate;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    let percent = |dimension| format!("{} %", tenths(dimension, 100));
    let rating = |dimension| tenths(dimension, 1);
    format!(
        "\n\nEvidence for climate: measured {}, derived {}, default {}\n\
         Data quality (1 best to 5): technology {}, geography {}, time {}",
        percent(Dimension::ClimateMeasured),
        percent(Dimension::ClimateDerived),
        percent(Dimension::ClimateDefault),
        rating(Dimension::ClimateByTechnologyRating),
        rating(Dimension::ClimateByGeographyRating),
        rating(Dimension::ClimateByTimeRating),
    )
}
