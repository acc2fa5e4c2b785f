//! `kerbholz money`: issuing, giving and redeeming it, who has how much, and what moved an account.

use super::amount::{self, Price};
use super::context::Context;
use super::error::CliError;
use super::find::Members;
use super::output::{Report, table};
use super::view;
use clap::{Args, Subcommand};
use kerbholz_client::ledger::rows::{AccountRow, CurrencyRow, MemberKind, Table, key};
use kerbholz_client::session::Movement;
use serde_json::{Value, json};

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
    /// Give money to another organisation, e.g. `kerbholz money transfer "50.00 EUR" --to forge --as printworks`
    Transfer {
        /// How much
        #[arg(value_parser = amount::price)]
        amount: Price,
        /// The organisation that receives it
        #[arg(long, value_name = "ORGANISATION")]
        to: String,
        /// The organisation that gives it
        #[arg(long = "as", value_name = "ORGANISATION")]
        by: String,
        /// What for; everybody can read it
        #[arg(long, value_name = "TEXT", default_value = "")]
        memo: String,
    },
    /// Give money back to its issuer, e.g. `kerbholz money redeem "50.00 EUR" --as printworks`
    Redeem {
        /// How much
        #[arg(value_parser = amount::price)]
        amount: Price,
        /// The organisation that gives it back
        #[arg(long = "as", value_name = "ORGANISATION")]
        by: String,
    },
    /// Show all accounts, e.g. `kerbholz money show`
    Show,
    /// Show an organisation's accounts, e.g. `kerbholz money balance printworks`
    Balance {
        /// The organisation
        organisation: String,
    },
    /// Show what moved an account, and what was left
    Statement(StatementArgs),
}

/// Which account.
#[derive(Args)]
#[command(after_help = "Example:\n  kerbholz money statement printworks EUR --limit 20\n\n\
    The authority that answers has the statement from its own execution of the ledger; it is not proved. \
    Receipts of the transactions are.")]
pub struct StatementArgs {
    /// The organisation
    organisation: String,
    /// The currency
    currency: String,
    /// At most so many movements
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: u32,
    /// Continue where another statement ended, which said `next`
    #[arg(long, value_name = "NEXT")]
    after: Option<String>,
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
        MoneyCommand::Transfer { amount: Price { currency, minor }, to, by, memo } => {
            let giver = context.organisation(&by).await?;
            let members = Members::load(&giver).await?;
            let (receiver, row) = members.find(&to, &[MemberKind::Organisation])?;
            giver.pay(receiver, &currency, minor, &memo).await?;
            context.keep_seen(&giver);
            let left = giver.account(giver.id(), &currency).await?.available.get();
            let (sum, left_text) =
                (amount::money(minor, &currency), amount::money(left, &currency));
            let text = format!("Gave {sum} to {}; {left_text} available", row.name);
            let json = json!({
                "to": receiver, "currency": currency, "amount_minor": minor,
                "available_minor": left,
            });
            Ok(Report::new(text, json))
        }
        MoneyCommand::Redeem { amount: Price { currency, minor }, by } => {
            let giver = context.organisation(&by).await?;
            giver.redeem(&currency, minor).await?;
            context.keep_seen(&giver);
            let left = giver.account(giver.id(), &currency).await?.available.get();
            let (sum, left_text) =
                (amount::money(minor, &currency), amount::money(left, &currency));
            let text = format!("Redeemed {sum}; {left_text} available");
            let json = json!({
                "currency": currency, "amount_minor": minor, "available_minor": left,
            });
            Ok(Report::new(text, json))
        }
        MoneyCommand::Show => show(context, None).await,
        MoneyCommand::Balance { organisation } => show(context, Some(&organisation)).await,
        MoneyCommand::Statement(args) => statement(context, args).await,
    }
}

async fn show(context: &Context, of: Option<&str>) -> Result<Report, CliError> {
    let session = context.reader()?;
    let members = Members::load(&session).await?;
    let of = of.map(|name| members.find(name, &[MemberKind::Organisation])).transpose()?;
    let (mut rows, mut documents) = (Vec::new(), Vec::new());
    for (code, _) in session.currencies().await? {
        let wanted = |id| of.is_none_or(|(of, _)| of == id);
        let organisations = members
            .iter()
            .filter(|(id, row)| row.kind == MemberKind::Organisation && wanted(*id))
            .collect::<Vec<_>>();
        let account = |id: kerbholz_client::ledger::id::MemberId| {
            key(Table::Account, &[id.as_bytes(), code.as_bytes()])
        };
        let accounts: Vec<Option<AccountRow>> =
            session.rows(organisations.iter().map(|(id, _)| account(*id)).collect()).await?;
        for ((id, member), account) in organisations.into_iter().zip(accounts) {
            let account = account.unwrap_or_default();
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

async fn statement(context: &Context, args: StatementArgs) -> Result<Report, CliError> {
    let session = context.reader()?;
    let members = Members::load(&session).await?;
    let (id, row) = members.find(&args.organisation, &[MemberKind::Organisation])?;
    let after = args.after.map(hex::decode).transpose();
    let after = after.map_err(|error| CliError::Usage(format!("--after: {error}")))?;
    let code = args.currency.as_str();
    let limit = args.limit.max(1);
    let page = session.statement(id, code, after.as_deref(), limit).await?;
    let line = |movement: &Movement| {
        let (before, entry) = (movement.entry.before, &movement.entry);
        let orders: Vec<String> = entry.orders.iter().map(|order| order.short()).collect();
        vec![
            view::time(movement.time),
            entry.transaction.short(),
            orders.join(" "),
            difference(before.available.get(), entry.after.available.get()),
            difference(before.held.get(), entry.after.held.get()),
            amount::money(entry.after.available.get(), code),
            amount::money(entry.after.held.get(), code),
        ]
    };
    let header = ["time", "transaction", "order", "available +/-", "held +/-", "available", "held"];
    let mut text = format!("{}, {code}\n", row.name);
    text += &table(&header, page.movements.iter().map(line).collect(), &[3, 4, 5, 6]);
    let full = page.movements.len() == limit as usize;
    let next = page.next.filter(|_| full).map(hex::encode);
    if let Some(next) = &next {
        text += &format!("\nThere may be more: --after {next}");
    }
    let documents: Vec<Value> = page.movements.iter().map(document).collect();
    let json = json!({
        "organisation": id, "currency": code, "movements": documents, "next": next,
    });
    Ok(Report::new(text, json))
}

/// `+12.50`, `-3.00`, or nothing.
fn difference(before: u64, after: u64) -> String {
    let sign = match after.cmp(&before) {
        std::cmp::Ordering::Less => "-",
        std::cmp::Ordering::Equal => return String::new(),
        std::cmp::Ordering::Greater => "+",
    };
    let text = amount::money(before.abs_diff(after), "");
    format!("{sign}{}", text.trim_end())
}

fn document(movement: &Movement) -> Value {
    let account =
        |row: AccountRow| json!({ "available_minor": row.available, "held_minor": row.held });
    let entry = &movement.entry;
    json!({
        "commit": movement.commit, "time": view::time(movement.time),
        "transaction": entry.transaction, "orders": entry.orders,
        "before": account(entry.before), "after": account(entry.after),
    })
}

/// What was issued of a currency ever, in minor units.
pub async fn issued(session: &kerbholz_client::Session, code: &str) -> Result<u64, CliError> {
    let row: Option<CurrencyRow> = session.row(key(Table::Currency, &[code.as_bytes()])).await?;
    Ok(row.map_or(0, |row| row.issued.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_a_sign() {
        let cases = [(0, 0, ""), (100, 350, "+2.50"), (350, 100, "-2.50"), (0, 5, "+0.05")];
        for (before, after, text) in cases {
            assert_eq!(difference(before, after), text);
        }
    }
}
