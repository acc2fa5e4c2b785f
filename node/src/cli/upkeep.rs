//! `kerbholz upkeep`: what keeping the ledger costs, and its share for each transaction.

use super::context::Context;
use super::error::CliError;
use super::find::{self, Members};
use super::footprint;
use super::meter;
use super::output::{Report, table};
use super::view;
use clap::{Args, Subcommand};
use kerbholz_client::ledger::factor::FactorRef;
use kerbholz_client::ledger::footprint::{Dimension, EvidenceTier, Footprint};
use kerbholz_client::ledger::id::{LotId, MemberId};
use kerbholz_client::ledger::operation::SinkKind;
use kerbholz_client::ledger::quantity::{Quantity, Timestamp, Unit};
use kerbholz_client::ledger::rows::{MeterRow, Origin, Table, TransactionRow, UpkeepRow, key};
use kerbholz_client::ledger::upkeep::{Shares, Upkeep};
use kerbholz_client::session::now;
use kerbholz_client::{ClientError, Machine, Meter, Session};
use kerbholz_node::config::NodeConfig;
use kerbholz_node::setup::authority_folder;
use kerbholz_node::upkeep::{Account, Basis, Used};
use serde_json::{Value, json};

/// What can be done about the ledger's own footprint.
#[derive(Subcommand)]
pub enum UpkeepCommand {
    /// Show what an authority's node has used, by accounting period, e.g. `kerbholz upkeep used authority-0`
    Used {
        /// The authority's name: DIR/authorities/NAME has its account
        authority: String,
    },
    /// Book what an authority's node used in the periods that have ended
    Book(BookArgs),
    /// Show the last accounting periods, or one in full
    Show(ShowArgs),
    /// Show a transaction's share, e.g. `kerbholz upkeep share 3f2a9c`
    Share {
        /// Its id, or the beginning of one
        transaction: String,
    },
}

/// Which authority's.
#[derive(Args)]
#[command(
    after_help = "Example:\n  kerbholz upkeep book authority-0 --meter watch-0 --as rack\n\nThe \
    meter is one of its own, of the machine that books; where the energy is modelled, its factor is one \
    that books as default, e.g. electricity.DE.modelled. Repeat it at will: what is booked is not \
    booked again."
)]
pub struct BookArgs {
    /// The authority's name: DIR/authorities/NAME has its account
    authority: String,
    /// The meter whose register stands for what the node used: its key signs
    #[arg(long)]
    meter: String,
    /// The meter's machine, of an organisation that runs authorities
    #[arg(long = "as", value_name = "MACHINE")]
    by: String,
}

/// Which periods.
#[derive(Args)]
#[command(after_help = "Examples:\n  kerbholz upkeep show\n  kerbholz upkeep show --period 20777")]
pub struct ShowArgs {
    /// One period in full, by its number
    #[arg(long, value_name = "NUMBER")]
    period: Option<u64>,
    /// How many periods
    #[arg(long, default_value_t = 10, value_name = "COUNT")]
    last: usize,
}

/// Does it.
pub async fn run(context: &Context, command: UpkeepCommand) -> Result<Report, CliError> {
    match command {
        UpkeepCommand::Used { authority } => used(context, &authority),
        UpkeepCommand::Book(args) => book(context, args).await,
        UpkeepCommand::Show(args) => show(context, args).await,
        UpkeepCommand::Share { transaction } => share(context, &transaction).await,
    }
}

fn account(context: &Context, authority: &str) -> Result<Account, CliError> {
    let config = NodeConfig::read(&authority_folder(context.dir(), authority))?;
    Ok(Account::read(&config.upkeep)?)
}

fn used(context: &Context, authority: &str) -> Result<Report, CliError> {
    let account = account(context, authority)?;
    let rows = account.periods.iter().map(|used| {
        vec![
            used.period.to_string(),
            view::time(used.from),
            view::time(used.to),
            energy(used.joules()),
            format!("{} of {} s", seconds(used.own_ms), seconds(used.busy_ms)),
            basis(&used.basis),
        ]
    });
    let header = ["period", "from", "to", "energy", "processor time", "known by"];
    let mut text = table(&header, rows.collect(), &[3]);
    if account.periods.is_empty() {
        text = "Nothing yet: the node keeps it as it runs, where the processor counts its energy \
                or node.toml states a power (docs/operating.md)."
            .into();
    }
    Ok(Report::new(text, json!({ "periods": account.periods })))
}

/// To a tenth, rounded down.
fn seconds(milliseconds: u64) -> String {
    format!("{}.{}", milliseconds / 1_000, milliseconds / 100 % 10)
}

fn energy(joules: u64) -> String {
    view::quantity(Quantity::new(joules, Unit::Joule))
}

fn basis(basis: &Basis) -> String {
    match basis {
        Basis::Counters(zones) => format!("counters: {}", zones.join(", ")),
        Basis::Model(model) => format!("model: {} W, {}", model.watts, model.source),
    }
}

/// What can no longer change is read from the meter; then all that it read is booked out. A run that
/// was interrupted between the two is finished by the next.
async fn book(context: &Context, args: BookArgs) -> Result<Report, CliError> {
    let account = account(context, &args.authority)?;
    let meter = context.meter(&args.meter).await?;
    let machine = context.machine(&args.by).await?;
    let row = meter::row(&meter).await?;
    let rules = machine.upkeep_rules().await?.ok_or_else(no_rules)?;
    if row.kind.host != machine.id() || row.kind.unit != Unit::Joule {
        let text = "the meter must be one of this machine, and count energy".into();
        return Err(CliError::Usage(text));
    }
    let (factor, figures) = find::factor(&meter, &row.kind.factor_code).await?;
    let measured = figures.tier(EvidenceTier::Measured) == EvidenceTier::Measured;
    let current = rules.number(now());
    let ended = account.periods.iter().filter(|used| used.period < current && used.joules() > 0);
    for used in ended.filter(|used| used.from >= row.read_until) {
        check_tier(used, measured, &row)?;
        read(&meter, used, factor.clone()).await?;
    }
    let booked = sink(&machine, meter.id(), &rules).await?;
    context.keep_seen(&machine);
    let total = booked.iter().map(|(_, joules)| joules).sum();
    let text = format!("Booked {} of {} as upkeep", energy(total), args.authority);
    let lots: Vec<Value> =
        booked.iter().map(|(lot, joules)| json!({ "lot": lot, "joules": joules })).collect();
    Ok(Report::new(text, json!({ "joules": total, "lots": lots })))
}

/// A model is no measurement: its meter must say so.
fn check_tier(used: &Used, measured: bool, row: &MeterRow) -> Result<(), CliError> {
    let code = &row.kind.factor_code;
    match used.basis {
        Basis::Model(_) if measured => Err(CliError::Usage(format!(
            "what the node used in period {} is modelled, but {code} books as measured: enrol a meter \
             with a factor like {code}.modelled for it",
            used.period
        ))),
        _ => Ok(()),
    }
}

async fn read(meter: &Meter, used: &Used, factor: FactorRef) -> Result<(), CliError> {
    let register = meter::row(meter).await?.register.saturating_add(used.joules());
    meter.read(register, used.from, used.to, factor).await?;
    Ok(())
}

/// Books out what the meter read and nobody has taken, with the joules of each.
async fn sink(
    machine: &Machine,
    of: MemberId,
    rules: &UpkeepRow,
) -> Result<Vec<(LotId, u64)>, CliError> {
    let mut booked = Vec::new();
    for (id, lot) in machine.lots_of(machine.id()).await? {
        let Origin::Reading { meter, from, to, .. } = &lot.origin else { continue };
        let whole = *to <= rules.begin(rules.number(*from).saturating_add(1));
        if *meter != of || lot.held_for.is_some() || !whole {
            continue;
        }
        machine.sink(id, lot.quantity, SinkKind::Upkeep).await?;
        booked.push((id, lot.quantity.amount));
    }
    Ok(booked)
}

fn no_rules() -> CliError {
    CliError::Usage("this network's genesis names no operators: no upkeep is kept".into())
}

async fn show(context: &Context, args: ShowArgs) -> Result<Report, CliError> {
    let session = context.reader()?;
    if let Some(number) = args.period {
        let upkeep = session.upkeep(number).await?.ok_or_else(no_rules)?;
        let members = Members::load(&session).await?;
        return Ok(Report::new(period_text(&upkeep, &members)?, period(&upkeep)?));
    }
    let numbers = session.upkeep_periods().await?;
    let skipped = numbers.len().saturating_sub(args.last);
    let (mut rows, mut documents) = (Vec::new(), Vec::new());
    for number in numbers.iter().skip(skipped) {
        let upkeep = session.upkeep(*number).await?.ok_or_else(no_rules)?;
        let [total_energy, total_climate, energy, climate] = match upkeep.sinks.is_empty() {
            // Nothing booked is not nothing used.
            true => std::array::from_fn(|_| "-".to_owned()),
            false => {
                let [energy, climate] = each(&upkeep)?;
                let total = |dimension| component(&upkeep.total, dimension);
                [total(Dimension::Energy), total(Dimension::Climate), energy, climate]
            }
        };
        rows.push(vec![
            number.to_string(),
            view::time(upkeep.from),
            upkeep.transactions.to_string(),
            total_energy,
            total_climate,
            energy,
            climate,
        ]);
        documents.push(period(&upkeep)?);
    }
    let header =
        ["period", "from", "transactions", "energy", "climate", "energy each", "climate each"];
    let text = table(&header, rows, &[2, 3, 4, 5, 6]);
    Ok(Report::new(text, json!({ "periods": documents })))
}

/// What falls to each transaction: energy, where a joule is too coarse, and climate.
fn each(upkeep: &Upkeep) -> Result<[String; 2], CliError> {
    let Some(shares) = shares(upkeep)? else { return Ok(["-".into(), "-".into()]) };
    let joules = upkeep.total.get(Dimension::Energy);
    let millijoules = joules.saturating_mul(1_000) / i128::from(upkeep.transactions).max(1);
    let energy = match shares.each.declared(Dimension::Energy) {
        Some(0) => format!("{millijoules} mJ"),
        _ => component(&shares.each, Dimension::Energy),
    };
    Ok([energy, component(&shares.each, Dimension::Climate)])
}

fn component(footprint: &Footprint, dimension: Dimension) -> String {
    view::declared(footprint, dimension)
}

fn shares(upkeep: &Upkeep) -> Result<Option<Shares>, CliError> {
    upkeep.shares().map_err(|error| CliError::Other(error.to_string()))
}

fn period(upkeep: &Upkeep) -> Result<Value, CliError> {
    // Nothing booked is not nothing used.
    let known = !upkeep.sinks.is_empty();
    let shares = shares(upkeep)?.filter(|_| known);
    let sinks = upkeep.sinks.iter().map(|sink| {
        json!({
            "machine": sink.machine, "lot": sink.taken.portion.lot,
            "joules": sink.taken.portion.quantity.amount,
            "footprint": view::footprint(&sink.taken.footprint),
        })
    });
    Ok(json!({
        "period": upkeep.period, "from": view::time(upkeep.from), "to": view::time(upkeep.to),
        "transactions": upkeep.transactions,
        "total": known.then(|| view::footprint(&upkeep.total)),
        "each": shares.as_ref().map(|shares| view::footprint(&shares.each)),
        "rest": shares.as_ref().map(|shares| view::footprint(&shares.rest)),
        "booked": sinks.collect::<Vec<_>>(),
    }))
}

fn period_text(upkeep: &Upkeep, members: &Members) -> Result<String, CliError> {
    let Upkeep { period, from, to, transactions, .. } = upkeep;
    let mut text = format!(
        "Accounting period {period}, {} to {}\ntransactions  {transactions}\nbookings      {}\n",
        view::time(*from),
        view::time(*to),
        upkeep.sinks.len(),
    );
    for sink in &upkeep.sinks {
        let taken = &sink.taken;
        text.push_str(&format!(
            "  {} by {}, {}\n",
            view::quantity(taken.portion.quantity),
            members.name(sink.machine),
            view::climate(&taken.footprint),
        ));
    }
    if upkeep.sinks.is_empty() {
        text.push_str("\nWhat it took is not known: nothing is booked for it.");
        return Ok(text);
    }
    text.push_str(&format!("\nTogether\n\n{}\n", footprint::text(&upkeep.total)));
    if let Some(shares) = shares(upkeep)? {
        text.push_str(&format!(
            "\nEach transaction\n\n{}\n\nNot shared out, being less than one unit each: {} and {}.",
            footprint::text(&shares.each),
            view::component(Dimension::Energy, shares.rest.get(Dimension::Energy)),
            view::component(Dimension::Climate, shares.rest.get(Dimension::Climate)),
        ));
    }
    Ok(text)
}

async fn share(context: &Context, transaction: &str) -> Result<Report, CliError> {
    let session = context.reader()?;
    let id = find::transaction(&session, transaction).await?;
    let row: Option<TransactionRow> =
        session.row(key(Table::Transaction, &[id.as_bytes()])).await?;
    let row = row.ok_or(ClientError::Unknown("transaction"))?;
    let rules = session.upkeep_rules().await?.ok_or_else(no_rules)?;
    let upkeep = session.upkeep(rules.number(row.time)).await?.ok_or_else(no_rules)?;
    let shares = shares(&upkeep)?;
    let shares = shares.ok_or_else(|| CliError::Other("its period has no transactions".into()))?;
    let known = (!upkeep.sinks.is_empty()).then_some(&shares.each);
    let text = format!(
        "Share of transaction {} in accounting period {}, of {} transactions{}",
        id.short(),
        upkeep.period,
        upkeep.transactions,
        known.map_or(": not known, nothing is booked for it yet".to_owned(), |share| {
            format!("\n\n{}", footprint::text(share))
        }),
    );
    let json = json!({
        "transaction": id, "period": upkeep.period, "transactions": upkeep.transactions,
        "bookings": upkeep.sinks.len(), "share": known.map(view::footprint),
    });
    Ok(Report::new(text, json))
}

/// The line that an order shows: what a transaction of the period in which it was placed took.
pub async fn line(session: &Session, at: Timestamp) -> Result<Option<String>, CliError> {
    let Some(rules) = session.upkeep_rules().await? else { return Ok(None) };
    let Some(upkeep) = session.upkeep(rules.number(at)).await? else { return Ok(None) };
    if upkeep.sinks.is_empty() {
        return Ok(None);
    }
    let [energy, climate] = each(&upkeep)?;
    Ok(Some(format!("upkeep     {energy}, {climate} for each transaction of the ledger then")))
}
