//! `kerbholz avoided`: what a lot or an order saves elsewhere, recorded beside its footprint and never in it.

use super::amount::{self, Share};
use super::context::Context;
use super::error::CliError;
use super::find::{self, Members};
use super::lot::evidence;
use super::output::{Report, table};
use super::view;
use clap::{ArgGroup, Args, Subcommand};
use kerbholz_client::ClientError;
use kerbholz_client::Session;
use kerbholz_client::ledger::avoided::{AvoidedBurden, Beside};
use kerbholz_client::ledger::codec;
use kerbholz_client::ledger::id::MemberId;
use kerbholz_client::ledger::quantity::Quantity;
use kerbholz_client::ledger::rows::{AvoidedRow, Table, key};
use serde_json::{Value, json};
use std::path::PathBuf;

/// What can be done with avoided burdens.
#[derive(Subcommand)]
pub enum AvoidedCommand {
    /// Record what does not arise elsewhere because of a lot or an order
    Declare(DeclareArgs),
    /// Show what was recorded beside a lot or an order
    #[command(after_help = "Examples:\n  kerbholz avoided show --lot bracket --as press\n  \
        kerbholz avoided show --order latest")]
    Show(BesideArgs),
}

/// Beside what.
#[derive(Args)]
#[command(group = ArgGroup::new("beside").required(true).args(["lot", "order"]))]
pub struct BesideArgs {
    /// The lot: its id, the beginning of one, or a product
    #[arg(long)]
    lot: Option<String>,
    /// The order: its id, the beginning of one, or `latest`
    #[arg(long)]
    order: Option<String>,
    /// The lot's owner or a party of the order, or its organisation; for `show`, whose names are meant
    #[arg(long = "as", value_name = "MEMBER")]
    by: Option<String>,
}

/// What is avoided.
#[derive(Args)]
#[command(
    after_help = "Example:\n  kerbholz avoided declare --lot bracket --what \"sheet steel bracket, \
    1.4 kg\" \\\n      --factor material.steel --amount \"1.4 kg\" --as press"
)]
pub struct DeclareArgs {
    #[command(flatten)]
    beside: BesideArgs,
    /// What is avoided, and against which alternative
    #[arg(long)]
    what: String,
    /// The factor of what does not arise: its code, or SET@VERSION:CODE
    #[arg(long, value_name = "CODE")]
    factor: String,
    /// How much of it does not arise
    #[arg(long, value_parser = amount::quantity)]
    amount: Quantity,
    /// A document that proves it; its hash is recorded
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
}

/// Does it.
pub async fn run(context: &Context, command: AvoidedCommand) -> Result<Report, CliError> {
    match command {
        AvoidedCommand::Declare(args) => declare(context, args).await,
        AvoidedCommand::Show(args) => show(context, args).await,
    }
}

async fn beside(
    session: &Session,
    args: &BesideArgs,
    member: Option<MemberId>,
) -> Result<(Beside, String), CliError> {
    if let Some(order) = &args.order {
        let (id, row) = find::order(session, member, order).await?;
        return Ok((Beside::Order(id), format!("order {}: {}", id.short(), row.terms.product)));
    }
    let lot = args.lot.clone().unwrap_or_default();
    let (id, row) = find::lot(session, member, None, &Share { lot, amount: None }).await?;
    Ok((Beside::Lot(id), format!("lot {}: {}", id.short(), row.product)))
}

async fn declare(context: &Context, args: DeclareArgs) -> Result<Report, CliError> {
    let by = args.beside.by.as_deref();
    let by = by.ok_or_else(|| CliError::Usage("say who declares it: --as MEMBER".into()))?;
    let evidence = args.evidence.as_deref().map(evidence).transpose()?;
    let session = context.session_of(Some(by))?;
    let (member, _) = session.member().await?;
    let (beside, name) = beside(&session, &args.beside, Some(member)).await?;
    let (factor, _) = find::factor(&session, &args.factor).await?;
    let (what, amount) = (args.what, args.amount);
    let text = format!("Recorded beside {name}: {what}. No footprint contains it.");
    session.record_avoided(AvoidedBurden { beside, what, factor, amount, evidence }).await?;
    context.keep_seen(&session);
    Ok(Report::new(text, json!({ "beside": beside, "recorded": true })))
}

/// The burdens recorded beside a lot or order, the earliest first.
pub async fn recorded(session: &Session, beside: Beside) -> Result<Vec<AvoidedRow>, CliError> {
    let rows = find::scan_bytes(session, key(Table::Avoided, &[beside.as_bytes()])).await?;
    let rows = rows.into_iter().map(|(_, value)| codec::decode_trusted::<AvoidedRow>(&value));
    let rows: Result<Vec<_>, _> = rows.collect();
    let mut rows = rows.map_err(|_| CliError::Client(ClientError::BadAnswer))?;
    rows.sort_by_key(|row| row.time);
    Ok(rows)
}

async fn show(context: &Context, args: BesideArgs) -> Result<Report, CliError> {
    let session = context.reader()?;
    let members = Members::load(&session).await?;
    let member = match &args.by {
        Some(name) => Some(members.find(name, super::lot::OWNERS)?.0),
        None => None,
    };
    let (beside, name) = beside(&session, &args, member).await?;
    let burdens = recorded(&session, beside).await?;
    let documents: Vec<Value> = burdens.iter().map(|row| document(row, &members)).collect();
    let json = json!({ "beside": beside, "avoided": documents });
    if burdens.is_empty() {
        return Ok(Report::new(format!("Nothing is recorded beside {name}."), json));
    }
    let rows = burdens.iter().map(|row| {
        vec![
            row.burden.what.clone(),
            view::quantity(row.burden.amount),
            row.burden.factor.code.clone(),
            view::climate(&row.footprint),
            if row.burden.evidence.is_some() { "with evidence" } else { "" }.to_owned(),
            members.name(row.by),
        ]
    });
    let header = ["what does not arise", "amount", "factor", "climate", "proof", "by"];
    let shown = table(&header, rows.collect(), &[1, 3]);
    Ok(Report::new(format!("Beside {name}, in no footprint:\n\n{shown}"), json))
}

fn document(row: &AvoidedRow, members: &Members) -> Value {
    json!({
        "what": row.burden.what, "factor": row.burden.factor.code,
        "amount": view::quantity_json(row.burden.amount), "by": members.name(row.by),
        "time": view::time(row.time), "evidence": row.burden.evidence,
        "footprint": view::footprint(&row.footprint),
    })
}
