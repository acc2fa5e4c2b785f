//! `kerbholz meter`: meters and their readings.

use super::amount;
use super::context::Context;
use super::error::CliError;
use super::find::{self, Members};
use super::machine::{enrolled, key_for};
use super::output::Report;
use super::view;
use clap::{Args, Subcommand};
use kerbholz_client::ledger::quantity::{Quantity, Timestamp};
use kerbholz_client::ledger::rows::{MemberKind, MeterRow, Table, key};
use kerbholz_client::session::now;
use kerbholz_client::{ClientError, Meter, MeterSpecification};
use serde_json::json;
use std::time::Duration;

/// What can be done with meters.
#[derive(Subcommand)]
pub enum MeterCommand {
    /// Enrol a meter of a machine, with a key of its own
    Enrol(EnrolArgs),
    /// Book what a register counted, as a lot of the machine
    Read(ReadArgs),
    /// Show a meter and its register, e.g. `kerbholz meter show printer-meter`
    Show {
        /// Name or id
        meter: String,
    },
}

/// Which meter.
#[derive(Args)]
#[command(
    after_help = "Example:\n  kerbholz meter enrol lathe-meter --of lathe --factor electricity.DE \
    --as printworks"
)]
pub struct EnrolArgs {
    /// What people call it; its key goes to DIR/members/NAME.key
    #[arg(value_parser = amount::name)]
    name: String,
    /// The machine that owns what it counts
    #[arg(long, value_name = "MACHINE")]
    of: String,
    /// The organisation of both
    #[arg(long = "as", value_name = "ORGANISATION")]
    by: String,
    /// What it counts
    #[arg(long, default_value = "electricity")]
    product: String,
    /// Code of the factor of its grid zone or contract
    #[arg(long, value_name = "CODE")]
    factor: String,
    /// Where its register stands; the unit is the register's
    #[arg(long, default_value = "0 J", value_parser = amount::register)]
    register: Quantity,
    /// Where its register starts again from 0, in the register's unit, e.g. "1000000 kWh"
    #[arg(long, value_name = "AMOUNT", value_parser = amount::register)]
    register_end: Option<Quantity>,
}

/// Which reading.
#[derive(Args)]
#[command(after_help = "Examples:\n  kerbholz meter read printer-meter --adds \"2 kWh\"\n  \
    kerbholz meter read printer-meter --register \"127.5 kWh\"")]
pub struct ReadArgs {
    /// The meter: its key signs
    meter: String,
    /// Where the register stands now
    #[arg(long, value_name = "AMOUNT", value_parser = amount::register, conflicts_with = "adds")]
    register: Option<Quantity>,
    /// By how much it moved on since the last reading
    #[arg(long, value_name = "AMOUNT", value_parser = amount::quantity)]
    #[arg(required_unless_present = "register")]
    adds: Option<Quantity>,
    /// How long ago the period of the first reading began; later ones follow on the last
    #[arg(long, default_value = "1h", value_parser = amount::span)]
    since: Duration,
}

/// Does it.
pub async fn run(context: &Context, command: MeterCommand) -> Result<Report, CliError> {
    match command {
        MeterCommand::Enrol(args) => enrol(context, args).await,
        MeterCommand::Read(args) => read(context, args).await,
        MeterCommand::Show { meter } => show(context, &meter).await,
    }
}

async fn enrol(context: &Context, args: EnrolArgs) -> Result<Report, CliError> {
    let organisation = context.organisation(&args.by).await?;
    let host = Members::load(&organisation).await?.machine(&args.of)?;
    let (factor, _) = find::factor(&organisation, &args.factor).await?;
    if args.register_end.is_some_and(|end| end.unit != args.register.unit) {
        let text = "the register ends in another unit than it counts: use the same for both";
        return Err(CliError::Usage(text.into()));
    }
    let path = context.key_file(&args.name);
    let key = key_for(&path)?;
    let meter = MeterSpecification {
        host,
        product: args.product,
        unit: args.register.unit,
        factor_code: factor.code,
        register: args.register.amount,
        register_end: args.register_end.map(|end| end.amount),
    };
    let id = organisation.enrol_meter(&args.name, &key, meter).await?;
    context.keep_seen(&organisation);
    Ok(enrolled(&args.name, id, &path))
}

/// A meter's row.
pub async fn row(meter: &Meter) -> Result<MeterRow, CliError> {
    let row = meter.row(key(Table::Meter, &[meter.id().as_bytes()])).await?;
    Ok(row.ok_or(ClientError::Unknown("meter"))?)
}

async fn read(context: &Context, args: ReadArgs) -> Result<Report, CliError> {
    let meter = context.meter(&args.meter).await?;
    let row = row(&meter).await?;
    let given = args.register.or(args.adds).unwrap_or(Quantity::new(0, row.kind.unit));
    if given.unit != row.kind.unit {
        let (counts, not) = (row.kind.unit, given.unit);
        return Err(CliError::Usage(format!("the register counts {counts}, not {not}")));
    }
    let to = match args.register {
        Some(register) => register.amount,
        None => {
            let to = row.register.saturating_add(given.amount);
            row.kind.register_end.and_then(|end| to.checked_sub(end)).unwrap_or(to)
        }
    };
    let end = now();
    let since = u64::try_from(args.since.as_millis()).unwrap_or(u64::MAX);
    let begin = match row.read_until {
        Timestamp::ZERO => Timestamp::new(end.get().saturating_sub(since)),
        last => last,
    };
    let (factor, _) = find::factor(&meter, &row.kind.factor_code).await?;
    let lot = meter.read(to, begin, end, factor).await?;
    context.keep_seen(&meter);
    let turn = row.kind.register_end.filter(|_| to < row.register).unwrap_or(0);
    let counted = turn.saturating_add(to).saturating_sub(row.register);
    let counted = Quantity::new(counted, row.kind.unit);
    let text = format!("Booked {} of {} as lot {lot}", view::quantity(counted), row.kind.product);
    let json = json!({
        "lot": lot, "product": row.kind.product, "quantity": view::quantity_json(counted),
        "register": to,
    });
    Ok(Report::new(text, json))
}

async fn show(context: &Context, meter: &str) -> Result<Report, CliError> {
    let session = context.reader()?;
    let members = Members::load(&session).await?;
    let (id, member) = members.find(meter, &[MemberKind::Meter])?;
    let row: Option<MeterRow> = session.row(key(Table::Meter, &[id.as_bytes()])).await?;
    let row = row.ok_or(ClientError::Unknown("meter"))?;
    let register = Quantity::new(row.register, row.kind.unit);
    let text = format!(
        "{} ({})\nof        {}\ncounts    {}\nfactor    {}\nregister  {}\nreadings  {}, until {}",
        member.name,
        id.short(),
        members.name(row.kind.host),
        row.kind.product,
        row.kind.factor_code,
        view::quantity(register),
        row.readings,
        view::time(row.read_until),
    );
    let json = json!({
        "member": id, "name": member.name, "host": row.kind.host, "product": row.kind.product,
        "factor": row.kind.factor_code, "register": view::quantity_json(register),
        "readings": row.readings, "read_until": view::time(row.read_until),
    });
    Ok(Report::new(text, json))
}
