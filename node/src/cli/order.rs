//! `kerbholz order`: from placing an order to its confirmation, and looking at orders.
//!
//! What is agreed on is in [`place`], what was done in [`complete`], lists and events in [`look`].

mod complete;
mod look;
mod place;

use super::context::Context;
use super::error::CliError;
use super::find;
use super::output::{Output, Report};
use super::view;
use clap::{Args, Subcommand};
use kerbholz_client::ledger::id::OrderId;
use kerbholz_client::ledger::transformation::Outcome;
use kerbholz_client::{Applied, Machine};
use serde_json::json;

/// What can be done with orders.
#[derive(Subcommand)]
#[command(after_help = "The way of an order:\n  place (buyer) -> accept -> start -> complete \
    (provider) -> confirm (buyer)\n  reject (provider) and cancel (buyer) end it early, fail \
    (provider) books what a failure took.")]
pub enum OrderCommand {
    /// Order something of another machine
    Place(Box<place::PlaceArgs>),
    /// Take an order on, as its provider
    #[command(after_help = "Example:\n  kerbholz order accept latest --as printer")]
    Accept(StepArgs),
    /// Decline an order, as its provider
    #[command(after_help = "Example:\n  kerbholz order reject latest --as printer")]
    Reject(StepArgs),
    /// Withdraw an order, as its buyer; after acceptance for the cancel fee
    #[command(after_help = "Example:\n  kerbholz order cancel latest --as press")]
    Cancel(StepArgs),
    /// Begin the work, as the provider
    #[command(after_help = "Example:\n  kerbholz order start latest --as printer")]
    Start(StepArgs),
    /// Report what was made and what it took, as the provider
    Complete(complete::CompleteArgs),
    /// Report that nothing usable was made, and what it took
    Fail(complete::FailArgs),
    /// Take delivery, as the buyer: lots and money change hands
    #[command(after_help = "Example:\n  kerbholz order confirm latest --as press")]
    Confirm(StepArgs),
    /// Show an order
    Show(look::ShowArgs),
    /// List orders, oldest first
    List(look::ListArgs),
    /// Print what happens to orders, as it happens, until Ctrl-C
    Watch(look::WatchArgs),
}

/// Which order, and who acts.
#[derive(Args)]
pub struct StepArgs {
    /// Its id, the beginning of it, or `latest`: the newest that this machine takes part in
    order: String,
    /// The machine that acts
    #[arg(long = "as", value_name = "MACHINE")]
    by: String,
}

/// A step that needs to name only the order.
#[derive(Clone, Copy)]
enum Step {
    Accept,
    Reject,
    Cancel,
    Start,
    Confirm,
}

/// Does it.
pub async fn run(
    context: &Context,
    command: OrderCommand,
    output: &Output,
) -> Result<Report, CliError> {
    match command {
        OrderCommand::Place(args) => place::run(context, *args).await,
        OrderCommand::Accept(args) => step(context, args, Step::Accept).await,
        OrderCommand::Reject(args) => step(context, args, Step::Reject).await,
        OrderCommand::Cancel(args) => step(context, args, Step::Cancel).await,
        OrderCommand::Start(args) => step(context, args, Step::Start).await,
        OrderCommand::Confirm(args) => step(context, args, Step::Confirm).await,
        OrderCommand::Complete(args) => complete::run(context, args).await,
        OrderCommand::Fail(args) => complete::fail(context, args).await,
        OrderCommand::Show(args) => look::show(context, args).await,
        OrderCommand::List(args) => look::list(context, args).await,
        OrderCommand::Watch(args) => look::watch(context, args, output).await,
    }
}

async fn step(context: &Context, args: StepArgs, step: Step) -> Result<Report, CliError> {
    let machine = context.machine(&args.by).await?;
    let (order, _) = find::order(&machine, Some(machine.id()), &args.order).await?;
    let applied = match step {
        Step::Accept => machine.accept(order).await?,
        Step::Reject => machine.reject(order).await?,
        Step::Cancel => machine.cancel(order).await?,
        Step::Start => machine.start(order).await?,
        Step::Confirm => machine.confirm(order).await?,
    };
    done(context, &machine, order, &applied).await
}

/// Says where the order stands now.
async fn done(
    context: &Context,
    machine: &Machine,
    order: OrderId,
    applied: &Applied,
) -> Result<Report, CliError> {
    context.keep_seen(machine);
    let row = machine.order(order).await?;
    let state = view::state(row.state);
    let milliseconds = applied.finality.as_millis();
    let mut text = format!("Order {} is {state} (final after {milliseconds} ms)", order.short());
    let products = row.completed.as_ref().map_or(&[] as &[_], |completed| &completed.products);
    for lot in products {
        text.push_str(&format!("\nmade lot {lot}"));
    }
    if let Some(completed) = &row.completed {
        let how = if completed.outcome == Outcome::Failed { "lost" } else { "footprint" };
        text.push_str(&format!("\n{how} {}", view::climate(&completed.footprint)));
    }
    let json = json!({
        "order": order, "state": state, "transaction": applied.id,
        "commit": applied.row.commit.get(), "finality_ms": milliseconds as u64,
        "products": products,
    });
    Ok(Report::new(text, json))
}
