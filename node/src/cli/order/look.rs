//! `kerbholz order show`, `list` and `watch`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::find::{self, Members};
use crate::cli::output::{Output, Report, table};
use crate::cli::{amount, upkeep, view};
use clap::Args;
use kerbholz_client::ClientError;
use kerbholz_client::ledger::execute::{Event, EventBody};
use kerbholz_client::ledger::quantity::CommitIndex;
use kerbholz_client::protocol::Subscription;
use serde_json::{Value, json};

/// Which order.
#[derive(Args)]
#[command(after_help = "Example:\n  kerbholz order show latest --as press")]
pub struct ShowArgs {
    /// Its id, the beginning of it, or `latest`
    order: String,
    /// Whose `latest` is meant
    #[arg(long = "as", value_name = "MACHINE")]
    by: Option<String>,
}

/// Which orders.
#[derive(Args)]
#[command(after_help = "Example:\n  kerbholz order list --as printer")]
pub struct ListArgs {
    /// Only those that this machine placed or performs
    #[arg(long = "as", value_name = "MACHINE")]
    by: Option<String>,
}

/// Which events.
#[derive(Args)]
#[command(after_help = "Example:\n  kerbholz order watch --as printer --json")]
pub struct WatchArgs {
    /// Only what concerns this machine
    #[arg(long = "as", value_name = "MACHINE")]
    by: Option<String>,
    /// From this commit on, 0 for all that is kept; from now on without it
    #[arg(long, value_name = "COMMIT")]
    from: Option<u64>,
}

/// Shows an order.
pub async fn show(context: &Context, args: ShowArgs) -> Result<Report, CliError> {
    let session = context.reader()?;
    let members = Members::load(&session).await?;
    let machine = args.by.as_deref().map(|name| members.machine(name)).transpose()?;
    let (id, order) = find::order(&session, machine, &args.order).await?;
    let mut text = view::order_text(id, &order, &members);
    if let Some(line) = upkeep::line(&session, order.placed_at).await? {
        text = format!("{text}\n{line}");
    }
    Ok(Report::new(text, view::order(id, &order)))
}

/// Lists orders.
pub async fn list(context: &Context, args: ListArgs) -> Result<Report, CliError> {
    let session = context.reader()?;
    let members = Members::load(&session).await?;
    let machine = args.by.as_deref().map(|name| members.machine(name)).transpose()?;
    let orders = find::orders_of(&session, machine).await?;
    let rows = orders.iter().map(|(id, order)| {
        let terms = &order.terms;
        vec![
            id.short(),
            view::state(order.state).into(),
            format!("{} {}", view::quantity(terms.quantity), terms.product),
            members.name(order.buyer),
            members.name(terms.provider),
            amount::money(terms.price.get(), view::currency(&terms.settlement)),
            order.completed.as_ref().map_or("-".into(), |made| view::climate(&made.footprint)),
            view::time(order.placed_at),
        ]
    });
    let header = ["order", "state", "product", "buyer", "provider", "price", "climate", "placed"];
    let text = table(&header, rows.collect(), &[5, 6]);
    let json: Vec<Value> = orders.iter().map(|(id, order)| view::order(*id, order)).collect();
    Ok(Report::new(text, json!({ "orders": json })))
}

/// Prints events as they happen.
pub async fn watch(
    context: &Context,
    args: WatchArgs,
    output: &Output,
) -> Result<Report, CliError> {
    let session = context.reader()?;
    let members = Members::load(&session).await?;
    let member = args.by.as_deref().map(|name| members.machine(name)).transpose()?;
    let commit = match args.from {
        Some(commit) => CommitIndex::new(commit),
        // Events of the commit that is known are not news.
        None => CommitIndex::new(session.info().await?.commit.get().saturating_add(1)),
    };
    let mut events = session.events(Subscription { commit, index: 0, member });
    output.remark("Watching orders; Ctrl-C ends it.");
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            stopped = tokio::signal::ctrl_c() => {
                return match stopped {
                    Ok(()) => Ok(Report::nothing()),
                    Err(error) => Err(CliError::Other(format!("cannot listen for Ctrl-C: {error}"))),
                };
            }
        };
        match event {
            Ok(event) => {
                if let Some(report) = describe(&event, &members) {
                    output.print(&report)?;
                }
            }
            Err(ClientError::Connection(error)) => {
                output.remark(&format!("{error}\nstill trying ..."));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn describe(event: &Event, members: &Members) -> Option<Report> {
    let EventBody::Order { order, state, buyer, provider } = &event.body else { return None };
    let (time, state) = (view::time(event.time), view::state(*state));
    let (from, by) = (members.name(*buyer), members.name(*provider));
    let text = format!("{time}  {}  {state:<9}  {from} -> {by}", order.short());
    let json = json!({
        "commit": event.commit.get(), "index": event.index, "time": time, "order": order,
        "state": state, "buyer": buyer, "provider": provider, "transaction": event.transaction,
    });
    Some(Report::new(text, json))
}
