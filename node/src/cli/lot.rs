//! `kerbholz lot`: what machines own, where it comes from and where it goes.

use super::amount::{self, Share};
use super::context::Context;
use super::error::CliError;
use super::find::{self, Members};
use super::footprint::restated;
use super::imported;
use super::output::{Report, table};
use super::view;
use clap::{Args, Subcommand, ValueEnum};
use kerbholz_client::Session;
use kerbholz_client::ledger::id::{ContentHash, LotId, MemberId};
use kerbholz_client::ledger::operation::{
    DeclaredFootprint, Evidence, LotDeclaration, Operation, SinkKind,
};
use kerbholz_client::ledger::quantity::{Milligrams, Quantity, Unit};
use kerbholz_client::ledger::rows::{LotRow, MemberKind, Origin, Table};
use kerbholz_node::files::FileError;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Most lots of a tree, and most steps upstream.
const TREE_LOTS_MAX: usize = 1_000;
const TREE_DEPTH_MAX: usize = 64;

/// What can be done with lots.
#[derive(Subcommand)]
pub enum LotCommand {
    /// Bring in something made outside the ledger
    Declare(DeclareArgs),
    /// List lots of which something remains, e.g. `kerbholz lot list --as printer`
    List {
        /// Only this member's
        #[arg(long = "as", value_name = "MEMBER")]
        owner: Option<String>,
    },
    /// Show a lot, e.g. `kerbholz lot show "PA12 powder" --as printer`
    Show {
        /// The lot
        lot: String,
        /// Whose lots a product's name refers to
        #[arg(long = "as", value_name = "MEMBER")]
        owner: Option<String>,
    },
    /// Hand a lot over, e.g. `kerbholz lot transfer "PA12 powder:1 kg" --to lathe --as printer`
    Transfer {
        /// The lot, with `:AMOUNT` where it is not all of it
        #[arg(value_parser = amount::share)]
        lot: Share,
        /// Who gets it
        #[arg(long, value_name = "MEMBER")]
        to: String,
        /// The machine that owns it
        #[arg(long = "as", value_name = "MACHINE")]
        by: String,
    },
    /// Book a lot out, e.g. `kerbholz lot sink "spent powder" --kind disposed --as printer`
    Sink {
        /// The lot, with `:AMOUNT` where it is not all of it
        #[arg(value_parser = amount::share)]
        lot: Share,
        /// What becomes of it
        #[arg(long, value_enum, default_value_t = SinkArg::Consumed)]
        kind: SinkArg,
        /// The machine that owns it
        #[arg(long = "as", value_name = "MACHINE")]
        by: String,
    },
    /// Show everything that went into a lot, e.g. `kerbholz lot tree bracket --as press`
    Tree {
        /// The lot
        lot: String,
        /// Whose lots a product's name refers to
        #[arg(long = "as", value_name = "MEMBER")]
        owner: Option<String>,
    },
}

/// What is brought in.
#[derive(Args)]
#[command(after_help = format!("Examples:\n  kerbholz lot declare \"PA12 powder\" --quantity \"5 kg\" \
    --factor material.PA12_powder --as printer\n  kerbholz lot declare \"PA12 powder\" --quantity \"5 kg\" \
    --imported supplier.toml --evidence supplier.pdf --as printer\n\n{}", imported::EXAMPLE))]
pub struct DeclareArgs {
    /// What it is
    product: String,
    /// How much
    #[arg(long, value_parser = amount::quantity)]
    quantity: Quantity,
    /// Its mass, where the quantity is none
    #[arg(long, value_parser = amount::mass)]
    mass: Option<Milligrams>,
    /// The factor: its code, or SET@VERSION:CODE
    #[arg(long, value_name = "CODE", required_unless_present = "imported")]
    factor: Option<String>,
    /// A file of the supplier's own figures, in the place of a factor
    #[arg(long, value_name = "FILE", conflicts_with = "factor")]
    imported: Option<PathBuf>,
    /// A document that proves amount or origin; its hash is recorded
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
    /// The machine that will own it
    #[arg(long = "as", value_name = "MACHINE")]
    by: String,
}

/// What becomes of a lot that leaves the ledger.
#[derive(Clone, Copy, ValueEnum)]
pub enum SinkArg {
    /// Used up by its owner
    Consumed,
    /// Became scrap
    Scrapped,
    /// Disposed of, nobody says how
    Disposed,
    /// Given to recycling outside the ledger
    RecycledOut,
    /// Sold or handed on outside the ledger
    Exported,
    /// Energy that no order drew
    BaseLoad,
    /// Disposed of in a landfill
    Landfilled,
    /// Disposed of by burning, without use of the heat
    Incinerated,
    /// Disposed of by burning for heat or power
    EnergyRecovered,
    /// Disposed of by chemical or biological treatment
    Treated,
    /// Energy that an authority used (`kerbholz upkeep book` does it all)
    Upkeep,
}

impl From<SinkArg> for SinkKind {
    fn from(kind: SinkArg) -> Self {
        match kind {
            SinkArg::Consumed => Self::Consumed,
            SinkArg::Scrapped => Self::Scrapped,
            SinkArg::Disposed => Self::Disposed,
            SinkArg::RecycledOut => Self::RecycledOut,
            SinkArg::Exported => Self::Exported,
            SinkArg::BaseLoad => Self::BaseLoad,
            SinkArg::Landfilled => Self::Landfilled,
            SinkArg::Incinerated => Self::Incinerated,
            SinkArg::EnergyRecovered => Self::EnergyRecovered,
            SinkArg::Treated => Self::Treated,
            SinkArg::Upkeep => Self::Upkeep,
        }
    }
}

/// Does it.
pub async fn run(context: &Context, command: LotCommand) -> Result<Report, CliError> {
    match command {
        LotCommand::Declare(args) => declare(context, args).await,
        LotCommand::List { owner } => list(context, owner.as_deref()).await,
        LotCommand::Show { lot, owner } => show(context, lot, owner.as_deref()).await,
        LotCommand::Transfer { lot, to, by } => transfer(context, &lot, &to, &by).await,
        LotCommand::Sink { lot, kind, by } => sink(context, &lot, kind.into(), &by).await,
        LotCommand::Tree { lot, owner } => tree(context, lot, owner.as_deref()).await,
    }
}

/// The hash of a document, as evidence.
pub fn evidence(path: &Path) -> Result<Evidence, CliError> {
    let content =
        std::fs::read(path).map_err(|source| FileError::Io { path: path.to_owned(), source })?;
    let media_type = "application/octet-stream".to_owned();
    Ok(Evidence { hash: ContentHash::of(&content), media_type, location: None })
}

async fn declare(context: &Context, args: DeclareArgs) -> Result<Report, CliError> {
    let evidence = args.evidence.as_deref().map(evidence).transpose()?;
    let machine = context.machine(&args.by).await?;
    let own = if args.quantity.unit == Unit::Milligram { args.quantity.amount } else { 0 };
    let mass = args.mass.unwrap_or(Milligrams::new(own));
    let footprint = match (&args.imported, &args.factor) {
        (Some(file), _) => {
            DeclaredFootprint::Imported(Box::new(imported::read(file, args.quantity, mass)?))
        }
        (None, factor) => {
            let code = factor.as_deref().unwrap_or_default();
            DeclaredFootprint::Factor(find::factor(&machine, code).await?.0)
        }
    };
    let (product, quantity) = (args.product.clone(), args.quantity);
    let declared = LotDeclaration { product, quantity, mass, footprint, evidence };
    let lot = machine.submit(vec![Operation::DeclareLot(declared)]).await?.lot(0, 0);
    context.keep_seen(&machine);
    let text = format!("Declared {} {} as lot {lot}", view::quantity(args.quantity), args.product);
    let quantity = view::quantity_json(args.quantity);
    Ok(Report::new(text, json!({ "lot": lot, "product": args.product, "quantity": quantity })))
}

/// Somebody who can own lots.
pub const OWNERS: &[MemberKind] = &[MemberKind::Machine, MemberKind::Organisation];

async fn owner_of(session: &Session, name: Option<&str>) -> Result<Option<MemberId>, CliError> {
    match name {
        Some(name) => Ok(Some(Members::load(session).await?.find(name, OWNERS)?.0)),
        None => Ok(None),
    }
}

async fn list(context: &Context, owner: Option<&str>) -> Result<Report, CliError> {
    let session = context.reader()?;
    let members = Members::load(&session).await?;
    let lots = match owner {
        Some(name) => session.lots_of(members.find(name, OWNERS)?.0).await?,
        None => {
            let rows = find::scan::<LotRow>(&session, Table::Lot).await?;
            let left = rows.into_iter().filter(|(_, row)| row.quantity.amount > 0);
            let mut lots: Vec<_> = left.map(|(id, row)| (LotId::new(id), row)).collect();
            lots.sort_by_key(|(id, row)| (row.created_at, *id));
            lots
        }
    };
    let rows = lots.iter().map(|(id, row)| {
        vec![
            id.short(),
            row.product.clone(),
            view::quantity(row.quantity),
            members.name(row.owner),
            view::climate(&row.footprint),
            view::origin(&row.origin),
            row.held_for.map(|order| order.short()).unwrap_or_default(),
        ]
    });
    let header = ["lot", "product", "quantity", "owner", "climate", "origin", "held for"];
    let text = table(&header, rows.collect(), &[2, 4]);
    let json: Vec<Value> = lots.iter().map(|(id, row)| view::lot(*id, row)).collect();
    Ok(Report::new(text, json!({ "lots": json })))
}

async fn show(context: &Context, lot: String, owner: Option<&str>) -> Result<Report, CliError> {
    let session = context.reader()?;
    let owner = owner_of(&session, owner).await?;
    let (id, row) = find::lot(&session, owner, None, &Share { lot, amount: None }).await?;
    let members = Members::load(&session).await?;
    let mut lines = vec![
        format!("lot       {id}"),
        format!("product   {}", row.product),
        format!("quantity  {} of {}", view::quantity(row.quantity), {
            view::quantity(Quantity::new(row.original, row.quantity.unit))
        }),
        format!("owner     {}", members.name(row.owner)),
        format!("origin    {}, {}", view::origin(&row.origin), view::time(row.created_at)),
        format!("climate   {}", view::climate(&row.footprint)),
    ];
    if row.mass > Milligrams::ZERO {
        let mass = view::quantity(Quantity::new(row.mass.get(), Unit::Milligram));
        lines.push(format!("mass      {mass}"));
    }
    if let Some(order) = row.held_for {
        lines.push(format!("held for  {order}"));
    }
    let both = restated::lot(&session, id, &row).await?;
    if let Some(both) = &both {
        let (booked, restated) = (view::climate(&both.as_booked), view::climate(&both.as_restated));
        lines.push(format!("restated  the whole lot: {booked} as booked, {restated} as restated"));
    }
    let mut json = view::lot(id, &row);
    json["restated"] = restated::json(both.as_ref());
    Ok(Report::new(lines.join("\n"), json))
}

async fn transfer(context: &Context, lot: &Share, to: &str, by: &str) -> Result<Report, CliError> {
    let machine = context.machine(by).await?;
    let receiver = owner_of(&machine, Some(to)).await?.unwrap_or(machine.id());
    let portion = find::portion(&machine, Some(machine.id()), None, lot).await?;
    let received = machine.transfer(portion.lot, portion.quantity, receiver).await?;
    context.keep_seen(&machine);
    let text = format!("{to} received lot {received}");
    Ok(Report::new(text, json!({ "lot": received, "from": portion.lot, "to": receiver })))
}

async fn sink(
    context: &Context,
    lot: &Share,
    kind: SinkKind,
    by: &str,
) -> Result<Report, CliError> {
    let machine = context.machine(by).await?;
    let portion = find::portion(&machine, Some(machine.id()), None, lot).await?;
    let applied = machine.sink(portion.lot, portion.quantity, kind).await?;
    context.keep_seen(&machine);
    let text = format!("Booked lot {} out", portion.lot.short());
    let json =
        json!({ "lot": portion.lot, "amount": portion.quantity.amount, "transaction": applied.id });
    Ok(Report::new(text, json))
}

async fn tree(context: &Context, lot: String, owner: Option<&str>) -> Result<Report, CliError> {
    let session = context.reader()?;
    let owner = owner_of(&session, owner).await?;
    let (root, _) = find::lot(&session, owner, None, &Share { lot, amount: None }).await?;
    let members = Members::load(&session).await?;
    let (mut lines, mut documents) = (Vec::new(), Vec::new());
    // What goes into the lot at hand: the lot, and how much of it, the deepest last on the stack.
    let mut stack: Vec<(LotId, usize, Option<String>)> = vec![(root, 0, None)];
    while let Some((id, depth, taken)) = stack.pop() {
        if lines.len() >= TREE_LOTS_MAX || depth > TREE_DEPTH_MAX {
            lines.push(
                "... (more than can be shown: go on with `lot tree` from a lot above)".into(),
            );
            break;
        }
        let row = session.lot(id).await?;
        let whole = view::quantity(Quantity::new(row.original, row.quantity.unit));
        let taken = taken.unwrap_or(whole);
        lines.push(format!(
            "{}{taken} {} ({}, {}) {}",
            "  ".repeat(depth),
            row.product,
            members.name(row.owner),
            view::origin(&row.origin),
            id.short(),
        ));
        documents.push(json!({ "depth": depth, "lot": view::lot(id, &row) }));
        match &row.origin {
            Origin::Part { lot } => stack.push((*lot, depth + 1, Some(taken))),
            Origin::Made { transformation, .. } => {
                let made = session.transformation(*transformation).await?;
                for input in made.inputs.iter().rev() {
                    let amount = input.portion.quantity;
                    stack.push((input.portion.lot, depth + 1, Some(view::quantity(amount))));
                }
                for booked in &made.activities {
                    let (activity, climate) = (&booked.activity, view::climate(&booked.footprint));
                    let amount = view::quantity(activity.amount);
                    let indent = "  ".repeat(depth + 1);
                    lines.push(format!("{indent}{amount} {}, {climate}", activity.name));
                }
            }
            Origin::Reading { .. } | Origin::Declared { .. } => {}
        }
    }
    Ok(Report::new(lines.join("\n"), json!({ "root": root, "tree": documents })))
}
