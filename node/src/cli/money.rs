//! `kerbholz money`: issuing it, and who has how much.

use super::amount::{self, Price};
use super::context::Context;
use super::error::CliError;
use super::find::Members;
use super::output::{Report, table};
use clap::Subcommand;
use kerbholz_client::ledger::rows::{AccountRow, CurrencyRow, MemberKind, Table, key};
use serde_json::json;

/// What can be done with money.
#[derive(Subcommand)]
pub enum MoneyCommand {
    /// Issue money, e.g. `kerbholz money issue "500.00 EUR" --to forge --as forge`
    Issue {
        /// How much
        #[arg(value_parser = amount::price)]
        amount: Price,
        /// The organisation that receives it
        #[arg(long, value_name = "ORGANISATION")]
        to: String,
        /// The organisation that issues the currency
        #[arg(long = "as", value_name = "ORGANISATION")]
        by: String,
    },
    /// Show all accounts, e.g. `kerbholz money show`
    Show,
}

/// Does it.
pub async fn run(context: &Context, command: MoneyCommand) -> Result<Report, CliError> {
    match command {
        MoneyCommand::Issue { amount: Price { currency, minor }, to, by } => {
            let issuer = context.organisation(&by).await?;
            let members = Members::load(&issuer).await?;
            let (receiver, row) = members.find(&to, &[MemberKind::Organisation])?;
            issuer.issue(receiver, &currency, minor).await?;
            context.keep_seen(&issuer);
            let text = format!("Issued {} to {}", amount::money(minor, &currency), row.name);
            let json = json!({ "to": receiver, "currency": currency, "amount_minor": minor });
            Ok(Report::new(text, json))
        }
        MoneyCommand::Show => show(context).await,
    }
}

async fn show(context: &Context) -> Result<Report, CliError> {
    let session = context.reader()?;
    let members = Members::load(&session).await?;
    let currencies = session.currencies().await?;
    let (mut rows, mut documents) = (Vec::new(), Vec::new());
    for (code, _) in currencies {
        for (id, member) in members.iter().filter(|(_, row)| row.kind == MemberKind::Organisation) {
            let parts = [id.as_bytes().as_slice(), code.as_bytes()];
            let account: AccountRow =
                session.row(key(Table::Account, &parts)).await?.unwrap_or_default();
            let (available, held) = (account.available.get(), account.held.get());
            rows.push(vec![
                member.name.clone(),
                amount::money(available, &code),
                amount::money(held, &code),
            ]);
            documents.push(json!({
                "organisation": id, "name": member.name, "currency": code,
                "available_minor": available, "held_minor": held,
            }));
        }
    }
    let text = table(&["organisation", "available", "held"], rows, &[1, 2]);
    Ok(Report::new(text, json!({ "accounts": documents })))
}

/// What was issued of a currency ever, in minor units.
pub async fn issued(session: &kerbholz_client::Session, code: &str) -> Result<u64, CliError> {
    let row: Option<CurrencyRow> = session.row(key(Table::Currency, &[code.as_bytes()])).await?;
    Ok(row.map_or(0, |row| row.issued.get()))
}
