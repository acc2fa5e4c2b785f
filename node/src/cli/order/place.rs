//! `kerbholz order place`: the terms of an order.

use crate::cli::amount::{self, Price, Share};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::find::{self, Members};
use crate::cli::output::Report;
use crate::cli::{lot, view};
use clap::Args;
use kerbholz_client::Machine;
use kerbholz_client::ledger::footprint::DimensionSet;
use kerbholz_client::ledger::order::FailureBearer;
use kerbholz_client::ledger::quantity::{Milliseconds, Quantity};
use kerbholz_client::order::Order;
use kerbholz_client::session::now;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// What is agreed on.
#[derive(Args)]
#[command(
    after_help = "Example:\n  kerbholz order place bracket --quantity \"1 piece\" --from printer \
    --as press --price \"25.00 EUR\""
)]
pub struct PlaceArgs {
    /// What is to be delivered
    product: String,
    /// How much of it
    #[arg(long, value_parser = amount::quantity)]
    quantity: Quantity,
    /// The machine that is to make it
    #[arg(long, value_name = "MACHINE")]
    from: String,
    /// The machine that orders
    #[arg(long = "as", value_name = "MACHINE")]
    by: String,
    /// What is done, e.g. "laser sintering"
    #[arg(long)]
    service: Option<String>,
    /// A file with design and parameters; its hash goes into the terms
    #[arg(long, value_name = "FILE")]
    specification: Option<PathBuf>,
    /// What it costs, e.g. "25.00 EUR", paid from account to account at confirmation
    #[arg(long, value_parser = amount::price)]
    price: Option<Price>,
    /// The price is paid outside the ledger, which only records it
    #[arg(long, requires = "price")]
    paid_outside: bool,
    /// Owed when the order is cancelled after acceptance
    #[arg(long, value_parser = amount::price, requires = "price")]
    cancel_fee: Option<Price>,
    /// Bonus or malus for each kilogram CO2e below or above the prediction
    #[arg(long, value_parser = amount::price, requires_all = ["price", "predicted", "hold"])]
    carbon_price: Option<Price>,
    /// The most that may be paid with a carbon price; held until the order ends
    #[arg(long, value_parser = amount::price, requires = "carbon_price")]
    hold: Option<Price>,
    /// Predicted climate footprint, e.g. "1.2 kg"
    #[arg(long, value_name = "MASS", value_parser = amount::climate)]
    predicted: Option<i128>,
    /// Most climate footprint: a completion above it is refused
    #[arg(long, value_name = "MASS", value_parser = amount::climate)]
    cap: Option<i128>,
    /// Dimensions that must be declared, e.g. "climate,energy,water"
    #[arg(long, value_name = "NAMES", value_parser = amount::dimensions)]
    #[arg(default_value = "climate")]
    require: DimensionSet,
    /// A lot of the buyer's that may be used, as LOT:AMOUNT; may be repeated
    #[arg(long, value_name = "LOT:AMOUNT", value_parser = amount::share)]
    provide: Vec<Share>,
    /// The order that this one serves
    #[arg(long, value_name = "ORDER")]
    parent: Option<String>,
    /// A machine whose word confirms delivery, beside the buyer's
    #[arg(long, value_name = "MACHINE")]
    confirmer: Option<String>,
    /// How long the provider may take to accept
    #[arg(long, value_name = "TIME", value_parser = amount::span, default_value = "1h")]
    accept_within: Duration,
    /// How long the provider may take to complete
    #[arg(long, value_name = "TIME", value_parser = amount::span, default_value = "1d")]
    deliver_within: Duration,
    /// After how long a completed order settles by itself
    #[arg(long, value_name = "TIME", value_parser = amount::span, default_value = "1d")]
    confirm_within: Duration,
    /// Largest difference of mass in and out, in millionths
    #[arg(long, value_name = "PPM", default_value_t = 1_000)]
    mass_tolerance_ppm: u32,
    /// The buyer keeps the footprint of a failure, not the provider
    #[arg(long)]
    buyer_bears_failure: bool,
}

/// Places it.
pub async fn run(context: &Context, args: PlaceArgs) -> Result<Report, CliError> {
    let specification = match &args.specification {
        Some(path) => Some(lot::evidence(path)?.hash),
        None => None,
    };
    let machine = context.machine(&args.by).await?;
    let members = Members::load(&machine).await?;
    let mut order = Order::of(&args.product, args.quantity)
        .from(members.machine(&args.from)?)
        .require(args.require)
        .mass_tolerance_ppm(args.mass_tolerance_ppm);
    if let Some(service) = &args.service {
        order = order.service(service);
    }
    if let Some(hash) = specification {
        order = order.specification(hash);
    }
    if let Some(confirmer) = &args.confirmer {
        order = order.confirmer(members.machine(confirmer)?);
    }
    if args.buyer_bears_failure {
        order = order.failure(FailureBearer::Buyer);
    }
    if let Some(cap) = args.cap {
        order = order.climate_cap(cap);
    }
    let order = prices(order, &args)?;
    let order = deadlines(order, &args)?;
    let order = references(order, &args, &machine).await?;

    let id = machine.place(order).await?;
    context.keep_seen(&machine);
    let text = format!(
        "Placed order {id}\nThe provider goes on with: kerbholz order accept {} --as {}",
        id.short(),
        args.from
    );
    let quantity = view::quantity_json(args.quantity);
    let json =
        json!({ "order": id, "state": "placed", "product": args.product, "quantity": quantity });
    Ok(Report::new(text, json))
}

fn prices(mut order: Order, args: &PlaceArgs) -> Result<Order, CliError> {
    if let Some(predicted) = args.predicted {
        order = order.predicted(predicted);
    }
    let Some(price) = &args.price else { return Ok(order) };
    let others = [&args.cancel_fee, &args.carbon_price, &args.hold];
    if others.into_iter().flatten().any(|other| other.currency != price.currency) {
        return Err(CliError::Usage(format!("all of an order's prices are in {}", price.currency)));
    }
    order = if args.paid_outside {
        order.price_outside(&price.currency, price.minor)
    } else {
        order.price(&price.currency, price.minor)
    };
    if let Some(fee) = &args.cancel_fee {
        order = order.cancel_fee(fee.minor);
    }
    if let (Some(carbon), Some(predicted), Some(hold)) =
        (&args.carbon_price, args.predicted, &args.hold)
    {
        order = order.carbon_price(carbon.minor, predicted, hold.minor);
    }
    Ok(order)
}

fn deadlines(order: Order, args: &PlaceArgs) -> Result<Order, CliError> {
    if args.accept_within > args.deliver_within {
        let reason = "--accept-within may not be longer than --deliver-within";
        return Err(CliError::Usage(reason.into()));
    }
    let span =
        |time: Duration| Milliseconds::new(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    let now = now();
    Ok(order.deadlines(
        now.saturating_add(span(args.accept_within)),
        now.saturating_add(span(args.deliver_within)),
        span(args.confirm_within),
    ))
}

/// What the terms name of what is on the ledger already.
async fn references(
    mut order: Order,
    args: &PlaceArgs,
    machine: &Machine,
) -> Result<Order, CliError> {
    if let Some(parent) = &args.parent {
        order = order.parent(find::order(machine, Some(machine.id()), parent).await?.0);
    }
    for share in &args.provide {
        let portion = find::portion(machine, Some(machine.id()), None, share).await?;
        order = order.provide(portion.lot, portion.quantity);
    }
    Ok(order)
}
