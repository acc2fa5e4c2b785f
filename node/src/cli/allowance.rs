//! `kerbholz machine allow` and `allowance`: what a machine may spend.

use super::amount::{self, Price};
use super::context::Context;
use super::error::CliError;
use super::find::Members;
use super::output::Report;
use super::view;
use clap::Args;
use kerbholz_client::ledger::allowance::{Allowance, ClimateAllowance, MoneyAllowance};
use kerbholz_client::ledger::footprint::Dimension;
use kerbholz_client::ledger::id::MemberId;
use kerbholz_client::ledger::quantity::{Milliseconds, Minor};
use kerbholz_client::ledger::rows::{MemberKind, SpentRow};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// What to allow.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  kerbholz machine allow press --per-order \"100.00 EUR\" --per-period \"500.00 EUR\" --as stamping\n  \
    kerbholz machine allow --all --per-period \"500.00 EUR\" --period 7d --as stamping\n  \
    kerbholz machine allow press --remove --as stamping\n\n\
    Money counts by what an order holds, and once it has ended by what was paid; climate by the order's cap \
    or else its prediction, then by what it came to. A currency that is not named must not be spent; a \
    machine without any allowance may spend all that its organisation has."
)]
pub struct AllowArgs {
    /// The machine
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    machine: Option<String>,
    /// Every machine that has no allowance of its own
    #[arg(long)]
    all: bool,
    /// Its organisation
    #[arg(long = "as", value_name = "ORGANISATION")]
    by: String,
    /// Most that one order may hold; once for each currency
    #[arg(long, value_name = "PRICE", value_parser = amount::price)]
    per_order: Vec<Price>,
    /// Most that the orders of a period may come to; once for each currency
    #[arg(long, value_name = "PRICE", value_parser = amount::price)]
    per_period: Vec<Price>,
    /// Most climate impact of one order, e.g. "2 kg CO2e"
    #[arg(long, value_name = "MASS", value_parser = amount::climate)]
    climate_per_order: Option<i128>,
    /// Most climate impact of the orders of a period
    #[arg(long, value_name = "MASS", value_parser = amount::climate)]
    climate_per_period: Option<i128>,
    /// How long a period is
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = amount::span)]
    period: Duration,
    /// Take away what was set
    #[arg(long)]
    remove: bool,
}

/// Whose allowance to show.
#[derive(Args)]
#[command(after_help = "Example:\n  kerbholz machine allowance press")]
pub struct AllowanceArgs {
    /// The machine
    machine: String,
}

/// Sets an allowance.
pub async fn set(context: &Context, args: AllowArgs) -> Result<Report, CliError> {
    let organisation = context.organisation(&args.by).await?;
    let members = Members::load(&organisation).await?;
    let machine = args.machine.as_deref().map(|name| members.machine(name)).transpose()?;
    let whom = args.machine.clone().unwrap_or_else(|| "machines without one of their own".into());
    let allowance = if args.remove { None } else { Some(allowance(&args)?) };
    organisation.set_allowance(machine, allowance.clone()).await?;
    context.keep_seen(&organisation);
    let text = match &allowance {
        None => format!("Took away the allowance of {whom}"),
        Some(allowance) => format!("Allowed {whom}:\n{}", describe(allowance)),
    };
    let json = json!({ "machine": machine, "allowance": allowance.as_ref().map(document) });
    Ok(Report::new(text, json))
}

fn allowance(args: &AllowArgs) -> Result<Allowance, CliError> {
    let mut money: BTreeMap<String, MoneyAllowance> = BTreeMap::new();
    let orders = args.per_order.iter().map(|price| (price, true));
    for (price, order) in orders.chain(args.per_period.iter().map(|price| (price, false))) {
        let currency = price.currency.clone();
        let fresh = MoneyAllowance { currency, per_order: None, per_period: None };
        let granted = money.entry(price.currency.clone()).or_insert(fresh);
        let most = if order { &mut granted.per_order } else { &mut granted.per_period };
        if most.replace(Minor::new(price.minor)).is_some() {
            return Err(CliError::Usage(format!("{} is named twice", price.currency)));
        }
    }
    let period = u64::try_from(args.period.as_millis()).unwrap_or(u64::MAX);
    let climate =
        ClimateAllowance { per_order: args.climate_per_order, per_period: args.climate_per_period };
    let money = money.into_values().collect();
    Ok(Allowance { period: Milliseconds::new(period), money, climate })
}

fn period(length: Milliseconds) -> String {
    humantime::format_duration(Duration::from_millis(length.get())).to_string()
}

fn describe(allowance: &Allowance) -> String {
    let length = period(allowance.period);
    let mut lines = Vec::new();
    let mut say = |of: &str, order: Option<String>, sum: Option<String>| {
        let order = order.unwrap_or_else(|| "any amount".into());
        let sum = sum.unwrap_or_else(|| "any amount".into());
        lines.push(format!("{of:<8} {order} per order, {sum} in {length}"));
    };
    for money in &allowance.money {
        let text =
            |most: Option<Minor>| most.map(|most| amount::money(most.get(), &money.currency));
        say(&money.currency, text(money.per_order), text(money.per_period));
    }
    if allowance.climate.is_some() {
        let text = |most: Option<i128>| most.map(|most| view::component(Dimension::Climate, most));
        say("climate", text(allowance.climate.per_order), text(allowance.climate.per_period));
    }
    if allowance.money.is_empty() {
        lines.push("no money".into());
    }
    lines.join("\n")
}

fn document(allowance: &Allowance) -> Value {
    let text = |most: Option<i128>| most.map(|most| most.to_string());
    json!({
        "period_ms": allowance.period, "money": allowance.money,
        "climate_per_order": text(allowance.climate.per_order),
        "climate_per_period": text(allowance.climate.per_period),
    })
}

/// Shows what a machine may spend, and has spent.
pub async fn show(context: &Context, args: &AllowanceArgs) -> Result<Report, CliError> {
    let session = context.reader()?;
    let members = Members::load(&session).await?;
    let (id, row) = members.find(&args.machine, &[MemberKind::Machine])?;
    let own = session.allowance(row.organisation, Some(id)).await?;
    let general = session.allowance(row.organisation, None).await?;
    let (whose, allowance) = match (own, general) {
        (Some(own), _) => ("its own", Some(own)),
        (None, Some(general)) => ("of all machines of its organisation", Some(general)),
        (None, None) => ("none: it may spend all that its organisation has", None),
    };
    let spent = session.spent(id).await?;
    let mut text = format!("{}, allowance {whose}", row.name);
    if let Some(allowance) = &allowance {
        text += &format!("\n{}", describe(allowance));
    }
    if let Some(spent) = &spent {
        text += &format!("\n{}", describe_spent(spent));
    }
    Ok(Report::new(text, json(id, allowance.as_ref(), spent.as_ref())))
}

fn describe_spent(spent: &SpentRow) -> String {
    let begin = spent.number.saturating_mul(spent.period.get());
    let begin = view::time(kerbholz_client::ledger::quantity::Timestamp::new(begin));
    let mut sums: Vec<String> =
        spent.money.iter().map(|(code, sum)| amount::money(sum.get(), code)).collect();
    sums.push(view::component(Dimension::Climate, spent.climate));
    format!("since {begin}, in a period of {}: {}", period(spent.period), sums.join(", "))
}

fn json(id: MemberId, allowance: Option<&Allowance>, spent: Option<&SpentRow>) -> Value {
    let spent = spent.map(|spent| {
        let money = spent.money.iter();
        let money = money.map(|(code, sum)| json!({ "currency": code, "minor": sum }));
        json!({
            "period_ms": spent.period, "number": spent.number,
            "money": money.collect::<Vec<_>>(), "climate": spent.climate.to_string(),
        })
    });
    json!({ "machine": id, "allowance": allowance.map(document), "spent": spent })
}
