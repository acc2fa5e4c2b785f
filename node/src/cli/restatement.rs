//! `kerbholz restatement`: corrections of what a source booked, and their countersigning.

use super::amount::{self, Share};
use super::context::Context;
use super::error::CliError;
use super::find::{self, Members};
use super::imported;
use super::lot::evidence;
use super::output::{Report, table};
use super::view;
use clap::{ArgGroup, Args, Subcommand};
use kerbholz_client::ledger::footprint::Dimension;
use kerbholz_client::ledger::id::{LotId, RestatementId};
use kerbholz_client::ledger::quantity::Quantity;
use kerbholz_client::ledger::restatement::{Correction, Restatement, RestatementState, Source};
use kerbholz_client::ledger::rows::{Origin, RestatementRow, Table};
use kerbholz_client::session::Session;
use serde_json::{Value, json};
use std::path::PathBuf;

/// What can be done with restatements.
#[derive(Subcommand)]
pub enum RestatementCommand {
    /// Correct a reading, a declared lot or an activity
    Propose(ProposeArgs),
    /// List all restatements, newest first
    #[command(after_help = "Example:\n  kerbholz restatement list")]
    List,
    /// Show a restatement: the source as it was and as corrected
    #[command(after_help = "Example:\n  kerbholz restatement show 3f2a")]
    Show {
        /// Its id, or the beginning of one
        restatement: String,
    },
    /// Countersign a restatement that waits, as an auditor
    #[command(after_help = "Example:\n  kerbholz restatement approve 3f2a --as auditor")]
    Approve(DecideArgs),
    /// Refuse a restatement that waits, or take an own one back
    #[command(after_help = "Example:\n  kerbholz restatement refuse 3f2a --as printer")]
    Refuse(DecideArgs),
}

/// Which source, and what is right.
#[derive(Args)]
#[command(
    group = ArgGroup::new("source").required(true).args(["lot", "made"]),
    after_help = "Examples:\n  kerbholz restatement propose --lot \"PA12 powder\" --factor set@2:material.PA12 \\\n      \
    --reason \"wrong grade\" --as printer\n  kerbholz restatement propose --made bracket --activity 0 --amount \"12 tkm\" \\\n      \
    --factor transport.lorry --reason \"odometer\" --as printer"
)]
pub struct ProposeArgs {
    /// The lot of a reading, or a declared lot
    #[arg(long)]
    lot: Option<String>,
    /// A lot that was made with the activity that is wrong
    #[arg(long, value_name = "LOT", requires = "activity")]
    made: Option<String>,
    /// Which activity of its making, counted from 0
    #[arg(long, value_name = "NUMBER")]
    activity: Option<u32>,
    /// The right amount of the activity
    #[arg(long, value_parser = amount::quantity, requires = "activity")]
    amount: Option<Quantity>,
    /// The right factor: its code, or SET@VERSION:CODE
    #[arg(long, value_name = "CODE", required_unless_present = "imported")]
    factor: Option<String>,
    /// A file of the supplier's right figures, as for `kerbholz lot declare`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["factor", "made", "amount"])]
    imported: Option<PathBuf>,
    /// Why
    #[arg(long)]
    reason: String,
    /// A document that proves it; its hash is recorded
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
    /// Who booked the source, or its organisation
    #[arg(long = "as", value_name = "MEMBER")]
    by: String,
}

/// Which one, and who decides.
#[derive(Args)]
pub struct DecideArgs {
    /// Its id, or the beginning of one
    restatement: String,
    /// The auditor, or who asked for it
    #[arg(long = "as", value_name = "MEMBER")]
    by: String,
}

/// Does it.
pub async fn run(context: &Context, command: RestatementCommand) -> Result<Report, CliError> {
    match command {
        RestatementCommand::Propose(args) => propose(context, args).await,
        RestatementCommand::List => list(context).await,
        RestatementCommand::Show { restatement } => show(context, &restatement).await,
        RestatementCommand::Approve(args) => decide(context, &args, true).await,
        RestatementCommand::Refuse(args) => decide(context, &args, false).await,
    }
}

async fn propose(context: &Context, args: ProposeArgs) -> Result<Report, CliError> {
    let evidence = args.evidence.as_deref().map(evidence).transpose()?;
    let session = context.session_of(Some(&args.by))?;
    let (by, _) = session.member().await?;
    let text = args.lot.as_ref().or(args.made.as_ref()).cloned().unwrap_or_default();
    let share = Share { lot: text, amount: None };
    let (lot, row) = find::lot(&session, Some(by), None, &share).await?;
    let source = match (args.activity, &row.origin) {
        (None, _) => Source::Lot(lot),
        (Some(activity), Origin::Made { transformation, .. }) => {
            Source::Activity { transformation: *transformation, activity }
        }
        (Some(_), _) => {
            let text =
                format!("lot {} was not made on the ledger: leave --activity out", lot.short());
            return Err(CliError::Usage(text));
        }
    };
    let correction = if let Some(file) = &args.imported {
        let whole = Quantity::new(row.original, row.quantity.unit);
        Correction::Imported(Box::new(imported::read(file, whole, row.original_mass)?))
    } else {
        let code = args.factor.as_deref().unwrap_or_default();
        let (factor, _) = find::factor(&session, code).await?;
        match args.amount {
            Some(amount) => Correction::Amount { amount, factor },
            None => Correction::Factor(factor),
        }
    };
    let restatement = Restatement { source, correction, reason: args.reason, evidence };
    let id = session.restate(restatement).await?;
    context.keep_seen(&session);
    let row = session.restatement(id).await?;
    Ok(Report::new(text_of(id, &row), json_of(id, &row)))
}

async fn decide(context: &Context, args: &DecideArgs, approve: bool) -> Result<Report, CliError> {
    let session = context.session_of(Some(&args.by))?;
    let id = find::restatement(&session, &args.restatement).await?;
    session.decide(id, approve).await?;
    context.keep_seen(&session);
    let row = session.restatement(id).await?;
    Ok(Report::new(text_of(id, &row), json_of(id, &row)))
}

async fn show(context: &Context, restatement: &str) -> Result<Report, CliError> {
    let session = context.reader()?;
    let id = find::restatement(&session, restatement).await?;
    let row = session.restatement(id).await?;
    Ok(Report::new(text_of(id, &row), json_of(id, &row)))
}

async fn list(context: &Context) -> Result<Report, CliError> {
    let session: Session = context.reader()?;
    let members = Members::load(&session).await?;
    let mut rows = find::scan::<RestatementRow>(&session, Table::Restatement).await?;
    rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.proposed_at));
    let line = |(id, row): &([u8; 32], RestatementRow)| {
        vec![
            RestatementId::new(*id).short(),
            state(row.state).to_owned(),
            source(row.restatement.source),
            members.name(row.by),
            view::time(row.proposed_at),
        ]
    };
    let lines = rows.iter().map(line).collect();
    let text = table(&["restatement", "state", "source", "by", "asked for"], lines, &[]);
    let json: Vec<Value> =
        rows.iter().map(|(id, row)| json_of(RestatementId::new(*id), row)).collect();
    Ok(Report::new(text, json!(json)))
}

const fn state(state: RestatementState) -> &'static str {
    match state {
        RestatementState::Proposed => "waits for an auditor",
        RestatementState::Applied => "applied",
        RestatementState::Refused => "refused",
        RestatementState::Withdrawn => "withdrawn",
    }
}

fn source(source: Source) -> String {
    match source {
        Source::Lot(lot) => format!("lot {}", LotId::short(&lot)),
        Source::Activity { transformation, activity } => {
            format!("activity {activity} of {}", transformation.short())
        }
    }
}

/// The source's figures as they were and as corrected, those that differ.
fn text_of(id: RestatementId, row: &RestatementRow) -> String {
    let (before, after) = (&row.before.footprint, &row.after.footprint);
    let show = |value: Option<i128>| value.map_or("not declared".into(), |value| value.to_string());
    let changed = |dimension: &&Dimension| {
        before.get(**dimension) != after.get(**dimension)
            || before.declared(**dimension) != after.declared(**dimension)
    };
    let line = |dimension: &Dimension| {
        let (before, after) = (before.declared(*dimension), after.declared(*dimension));
        let unit = dimension.unit().to_owned();
        vec![dimension.name().to_owned(), show(before), show(after), unit]
    };
    let lines = Dimension::ALL.iter().filter(changed).map(line).collect();
    let what = source(row.restatement.source);
    let head = format!("Restatement {id} of {what}: {}", state(row.state));
    let reason = &row.restatement.reason;
    let figures = table(&["dimension", "as it was", "as corrected", "unit"], lines, &[1, 2]);
    format!("{head}\nreason  {reason}\n\n{figures}")
}

fn json_of(id: RestatementId, row: &RestatementRow) -> Value {
    json!({
        "restatement": id, "state": row.state, "source": row.restatement.source,
        "reason": row.restatement.reason, "by": row.by, "decided_by": row.decided_by,
        "before": view::footprint(&row.before.footprint),
        "after": view::footprint(&row.after.footprint),
        "proposed_at": view::time(row.proposed_at), "changed_at": view::time(row.changed_at),
    })
}
