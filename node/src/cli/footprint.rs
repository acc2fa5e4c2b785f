//! `kerbholz footprint`: what a lot or an order cost, in every dimension.

use super::amount::Share;
use super::context::Context;
use super::error::CliError;
use super::find::{self, Members};
use super::output::{Report, table};
use super::view;
use clap::Args;
use kerbholz_client::ClientError;
use kerbholz_client::ledger::factor::DERIVED_DIMENSIONS;
use kerbholz_client::ledger::footprint::{Dimension, Footprint};
use kerbholz_client::ledger::rows::MemberKind;
use serde_json::json;

/// Of what.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  kerbholz footprint latest\n  kerbholz footprint bracket --as press"
)]
pub struct FootprintArgs {
    /// An order or a lot: its id or the beginning of one, `latest`, or a product
    what: String,
    /// Whose lots a product's name refers to, or whose latest order
    #[arg(long = "as", value_name = "MEMBER")]
    owner: Option<String>,
}

/// Shows it.
pub async fn run(context: &Context, args: FootprintArgs) -> Result<Report, CliError> {
    let session = context.reader()?;
    let owner = match &args.owner {
        None => None,
        Some(name) => {
            let kinds = [MemberKind::Machine, MemberKind::Organisation];
            Some(Members::load(&session).await?.find(name, &kinds)?.0)
        }
    };
    let order = match find::order(&session, owner, &args.what).await {
        Ok(found) => Some(found),
        // It may be a lot: what is wrong is said when it is none either.
        Err(CliError::Usage(reason)) if args.what == "latest" => {
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
        let json = json!({ "order": id, "footprint": view::footprint(&completed.footprint) });
        return Ok(Report::new(format!("{title}\n\n{}", text(&completed.footprint)), json));
    }
    let share = Share { lot: args.what, amount: None };
    let (id, lot) = find::lot(&session, owner, None, &share).await?;
    let (left, product) = (view::quantity(lot.quantity), &lot.product);
    let title = format!("Footprint of lot {}: {left} {product}", id.short());
    let json = json!({ "lot": id, "footprint": view::footprint(&lot.footprint) });
    Ok(Report::new(format!("{title}\n\n{}", text(&lot.footprint)), json))
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
