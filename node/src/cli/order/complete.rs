//! `kerbholz order complete` and `fail`: what was made, and what it took.

use super::done;
use crate::cli::amount::{self, Done, Made, Share};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::output::Report;
use crate::cli::{find, lot};
use clap::Args;
use kerbholz_client::Machine;
use kerbholz_client::ledger::id::OrderId;
use kerbholz_client::ledger::quantity::Timestamp;
use kerbholz_client::ledger::rows::OrderRow;
use kerbholz_client::ledger::transformation::OutputRole;
use kerbholz_client::order::Work;
use kerbholz_client::session::now;
use std::path::PathBuf;
use std::time::Duration;

/// What every report of work has.
#[derive(Args)]
pub struct WorkArgs {
    /// Its id, the beginning of it, or `latest`: the newest that this machine takes part in
    order: String,
    /// The machine that reports: the order's provider
    #[arg(long = "as", value_name = "MACHINE")]
    by: String,
    /// A lot that was used, as LOT:AMOUNT (all of it without an amount); may be repeated
    #[arg(long = "use", value_name = "LOT:AMOUNT", value_parser = amount::share)]
    used: Vec<Share>,
    /// Waste that came out, as "PRODUCT=AMOUNT" or "PRODUCT=AMOUNT,mass=MASS"; may be repeated
    #[arg(long, value_name = "WASTE", value_parser = amount::made)]
    waste: Vec<Made>,
    /// What a factor accounts for, as "NAME=AMOUNT@FACTOR"; may be repeated
    #[arg(long, value_name = "ACTIVITY", value_parser = amount::done)]
    activity: Vec<Done>,
    /// A document that proves the activities; its hash is recorded
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
    /// How long the work took, up to now
    #[arg(long, value_name = "TIME", value_parser = amount::span, default_value = "0s")]
    took: Duration,
    /// Largest difference of mass in and out, in millionths
    #[arg(long, value_name = "PPM", default_value_t = 1_000)]
    mass_tolerance_ppm: u32,
}

/// What was made.
#[derive(Args)]
#[command(
    after_help = "Example:\n  kerbholz order complete latest --as printer --use \"PA12 powder:120 g\" \
    --use \"electricity:1.8 kWh\" --make \"bracket=1 piece,mass=100 g\" --waste \"spent powder=20 g\""
)]
pub struct CompleteArgs {
    #[command(flatten)]
    work: WorkArgs,
    /// What was made for the order, as "PRODUCT=AMOUNT,mass=MASS,weight=SHARE"; the last two may
    /// be left out
    #[arg(long, value_name = "PRODUCT", value_parser = amount::made, required = true)]
    make: Vec<Made>,
    /// What useful came out beside it, with its share of the footprint as weight
    #[arg(long, value_name = "PRODUCT", value_parser = amount::made)]
    by_product: Vec<Made>,
    /// Less than what was ordered was made
    #[arg(long)]
    partial: bool,
}

/// What failed.
#[derive(Args)]
#[command(
    after_help = "Example:\n  kerbholz order fail latest --as printer --use \"PA12 powder:120 g\" \
    --waste \"scrap=120 g\""
)]
pub struct FailArgs {
    #[command(flatten)]
    work: WorkArgs,
}

/// Reports what was made.
pub async fn run(context: &Context, args: CompleteArgs) -> Result<Report, CliError> {
    let (machine, id, order) = open(context, &args.work).await?;
    let mut work = if args.partial { Work::partial() } else { Work::finished() };
    for made in args.make {
        work = output(work, made, OutputRole::Product, 1);
    }
    for made in args.by_product {
        work = output(work, made, OutputRole::ByProduct, 0);
    }
    report(context, &machine, (id, order), args.work, work).await
}

/// Reports a failure.
pub async fn fail(context: &Context, args: FailArgs) -> Result<Report, CliError> {
    if args.work.waste.is_empty() {
        let reason = "a failure leaves something: say what with --waste \"scrap=120 g\"";
        return Err(CliError::Usage(reason.into()));
    }
    let (machine, id, order) = open(context, &args.work).await?;
    report(context, &machine, (id, order), args.work, Work::failed()).await
}

async fn open(
    context: &Context,
    args: &WorkArgs,
) -> Result<(Machine, OrderId, OrderRow), CliError> {
    let machine = context.machine(&args.by).await?;
    let (id, order) = find::order(&machine, Some(machine.id()), &args.order).await?;
    Ok((machine, id, order))
}

fn output(work: Work, made: Made, role: OutputRole, weight: u64) -> Work {
    let weight = made.weight.unwrap_or(weight);
    work.output(&made.product, made.quantity, made.mass, role, weight)
}

async fn report(
    context: &Context,
    machine: &Machine,
    (id, order): (OrderId, OrderRow),
    args: WorkArgs,
    mut work: Work,
) -> Result<Report, CliError> {
    for waste in args.waste {
        work = match waste.weight {
            Some(weight) => output(work, waste, OutputRole::Waste, weight),
            None => work.wasted(&waste.product, waste.quantity, waste.mass),
        };
    }
    for share in &args.used {
        let owner = Some(machine.id());
        let portion = find::portion(machine, owner, Some((id, &order)), share).await?;
        work = work.used(portion.lot, portion.quantity);
    }
    let evidence = args.evidence.as_deref().map(lot::evidence).transpose()?;
    for Done { name, amount, factor } in args.activity {
        let (factor, _) = find::factor(machine, &factor).await?;
        work = match &evidence {
            Some(evidence) => work.did_with_evidence(&name, factor, amount, evidence.clone()),
            None => work.did(&name, factor, amount),
        };
    }
    let took = u64::try_from(args.took.as_millis()).unwrap_or(u64::MAX);
    let end = now();
    let begin = Timestamp::new(end.get().saturating_sub(took));
    let work = work.period(begin, end).mass_tolerance_ppm(args.mass_tolerance_ppm);
    let applied = machine.complete(id, work).await?;
    done(context, machine, id, &applied).await
}
