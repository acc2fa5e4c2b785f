//! `kerbholz limit`: the caps that an organisation sets for its own machines.

use super::context::Context;
use super::error::CliError;
use super::find::Members;
use super::output::{Report, table};
use super::view;
use clap::Subcommand;
use kerbholz_client::ledger::limit::{Limit, LimitAction, LimitScope};
use kerbholz_client::ledger::rows::{MemberKind, limits_key};
use kerbholz_node::files::FileError;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What can be done with limits.
#[derive(Subcommand)]
pub enum LimitCommand {
    /// Set all limits of an organisation from a TOML file, in the place of those before
    #[command(
        after_help = "Example:\n  kerbholz limit set limits.toml --as printworks\n\nA file:\n  [[limits]]\n  name = \"bracket\"\n  dimension = \"climate\"\n  \
        cap = 500_000_000_000 # ng CO2e\n  action = \"flag\" # or \"refuse\"\n  \
        scope.product = { product = \"bracket\", per = { amount = 1, unit = \"Piece\" } }\n  \
        # or scope.machine = { period = 86_400_000 }, scope.organisation = { period = 86_400_000 }"
    )]
    Set {
        /// The file
        file: PathBuf,
        /// The organisation
        #[arg(long = "as", value_name = "ORGANISATION")]
        by: String,
    },
    /// Show the limits of an organisation, or of the network
    #[command(after_help = "Example:\n  kerbholz limit show printworks")]
    Show {
        /// The organisation; the network without it
        organisation: Option<String>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitFile {
    limits: Vec<Limit>,
}

/// Does it.
pub async fn run(context: &Context, command: LimitCommand) -> Result<Report, CliError> {
    match command {
        LimitCommand::Set { file, by } => {
            let limits = read_limits(&file)?;
            let organisation = context.organisation(&by).await?;
            let count = limits.len();
            organisation.set_limits(limits).await?;
            context.keep_seen(&organisation);
            Ok(Report::new(format!("Set {count} limits of {by}"), json!({ "limits": count })))
        }
        LimitCommand::Show { organisation } => show(context, organisation.as_deref()).await,
    }
}

async fn show(context: &Context, organisation: Option<&str>) -> Result<Report, CliError> {
    let session = context.reader()?;
    let by = match organisation {
        None => None,
        Some(name) => {
            Some(Members::load(&session).await?.find(name, &[MemberKind::Organisation])?.0)
        }
    };
    let limits: Vec<Limit> = session.row(limits_key(by)).await?.unwrap_or_default();
    let line = |limit: &Limit| {
        let cap = format!("{} {}", limit.cap, limit.dimension.unit());
        let action = match limit.action {
            LimitAction::Refuse => "refuse",
            LimitAction::Flag => "flag",
        };
        vec![limit.name.clone(), scope(limit), cap, limit.dimension.name().into(), action.into()]
    };
    let lines = limits.iter().map(line).collect();
    let text = table(&["limit", "of", "cap", "dimension", "above it"], lines, &[2]);
    let json: Vec<Value> = limits.iter().map(limit_json).collect();
    Ok(Report::new(text, json!(json)))
}

/// The limits in a file.
pub fn read_limits(file: &Path) -> Result<Vec<Limit>, CliError> {
    let text = std::fs::read_to_string(file)
        .map_err(|source| FileError::Io { path: file.to_owned(), source })?;
    let read: LimitFile = toml::from_str(&text)
        .map_err(|error| CliError::Usage(format!("{}: {error}", file.display())))?;
    Ok(read.limits)
}

/// A limit for programs.
pub fn limit_json(limit: &Limit) -> Value {
    // Caps have 128 bits: a string, like all large figures.
    let (cap, dimension) = (limit.cap.to_string(), limit.dimension);
    json!({
        "name": limit.name, "scope": limit.scope, "dimension": dimension, "cap": cap,
        "action": limit.action,
    })
}

fn scope(limit: &Limit) -> String {
    match &limit.scope {
        LimitScope::Product { product, per } => format!("{} {product}", view::quantity(*per)),
        LimitScope::Machine { machine: None, period } => {
            format!("each machine in {} ms", period.get())
        }
        LimitScope::Machine { machine: Some(machine), period } => {
            format!("machine {} in {} ms", machine.short(), period.get())
        }
        LimitScope::Organisation { period } => format!("organisation in {} ms", period.get()),
    }
}
