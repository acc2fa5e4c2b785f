//! `kerbholz factor`: emission factors.

use super::context::Context;
use super::error::CliError;
use super::find;
use super::output::{Report, table};
use super::view;
use clap::Subcommand;
use kerbholz_client::ledger::codec;
use kerbholz_client::ledger::factor::{Factor, Standing};
use kerbholz_client::ledger::footprint::Dimension;
use kerbholz_client::ledger::rows::{FactorSetRow, Table, key};
use kerbholz_node::files;
use kerbholz_node::scenario::FactorFile;
use serde_json::{Value, json};
use std::path::PathBuf;

/// What can be done with factors.
#[derive(Subcommand)]
pub enum FactorCommand {
    /// Publish a factor set, e.g. `kerbholz factor publish factors.toml --as agency`
    Publish {
        /// A file like docs/scenarios/factors.toml
        file: PathBuf,
        /// The publisher
        #[arg(long = "as", value_name = "PUBLISHER")]
        by: String,
    },
    /// List all published factors, e.g. `kerbholz factor list --json`
    List,
}

/// Does it.
pub async fn run(context: &Context, command: FactorCommand) -> Result<Report, CliError> {
    match command {
        FactorCommand::Publish { file, by } => {
            let text = files::read_text(&file)?;
            let set = FactorFile::parse(&file.display().to_string(), &text)?;
            let publisher = context.publisher(&by).await?;
            let (count, label) = (set.factors.len(), format!("{}@{}", set.name, set.version));
            let id = publisher.publish(&set.name, set.version, set.factors).await?;
            context.keep_seen(&publisher);
            let text = format!("Published {count} factors as {label}");
            Ok(Report::new(text, json!({ "set": id, "label": label, "factors": count })))
        }
        FactorCommand::List => list(context).await,
    }
}

async fn list(context: &Context) -> Result<Report, CliError> {
    let session = context.reader()?;
    let (mut rows, mut documents) = (Vec::new(), Vec::new());
    for (id, set) in find::scan::<FactorSetRow>(&session, Table::FactorSet).await? {
        let label = format!("{}@{}", set.name, set.version);
        for (_, value) in find::scan_bytes(&session, key(Table::Factor, &[&id])).await? {
            let factor: Factor = codec::decode_trusted(&value)
                .map_err(|_| CliError::Client(kerbholz_client::ClientError::BadAnswer))?;
            documents.push(document(&label, &factor));
            rows.push(row(&label, factor));
        }
    }
    let header = ["set", "code", "per", "climate", "region", "standing", "source"];
    Ok(Report::new(table(&header, rows, &[2, 3]), json!({ "factors": documents })))
}

fn climate(factor: &Factor) -> Option<i128> {
    let found = factor.impacts.iter().find(|impact| impact.dimension == Dimension::Climate);
    found.map(|impact| impact.value)
}

const fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Verified => "verified",
        Standing::Quoted => "quoted",
        Standing::Unverified => "unverified",
        Standing::Proxy => "proxy",
    }
}

fn row(label: &str, factor: Factor) -> Vec<String> {
    let value = climate(&factor);
    vec![
        label.to_owned(),
        factor.code,
        view::quantity(factor.reference),
        value.map_or_else(|| "-".into(), |value| view::component(Dimension::Climate, value)),
        factor.region,
        standing(factor.standing).into(),
        factor.source,
    ]
}

fn document(label: &str, factor: &Factor) -> Value {
    let impacts = factor.impacts.iter().map(|impact| {
        json!({
            "dimension": impact.dimension.name(), "unit": impact.dimension.unit(),
            "value": impact.value.to_string(),
        })
    });
    json!({
        "set": label, "code": factor.code, "per": view::quantity_json(factor.reference),
        "impacts": impacts.collect::<Vec<_>>(), "region": factor.region,
        "standing": standing(factor.standing), "source": factor.source,
        "licence": factor.licence, "valid_from": view::time(factor.valid_from),
        "valid_until": view::time(factor.valid_until),
    })
}
