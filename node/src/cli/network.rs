//! `kerbholz init` and `node`: a network's files, an authority's process.

use super::amount;
use super::context::Context;
use super::error::CliError;
use super::output::{Output, Report};
use clap::{Args, ValueEnum};
use kerbholz_client::ledger::quantity::Milliseconds;
use kerbholz_node::config::{CONFIG_FILE, NodeConfig, Pace};
use kerbholz_node::setup::{Setup, authority_folder};
use serde_json::json;
use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tracing_subscriber::EnvFilter;

/// What a new network is to be like.
#[derive(Args)]
#[command(after_help = "Example:\n  kerbholz init --dir rail --name rail --organisation forge \
    --organisation printworks --publisher agency\n  kerbholz node --dir rail/authorities/authority-0")]
pub struct InitArgs {
    /// What people call the network
    #[arg(long, default_value = "kerbholz")]
    name: String,
    /// How many authorities; with 3f+1 of them, f may fail
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=128))]
    authorities: u16,
    /// Where they listen
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Port of the first authority, the others follow; any free ones without it
    #[arg(long)]
    port: Option<u16>,
    /// How far the authorities are apart
    #[arg(long, value_enum, default_value_t = PaceArg::Lan)]
    pace: PaceArg,
    /// The first organisations; the first of them issues the currency
    #[arg(long = "organisation", required = true, value_parser = amount::name)]
    organisations: Vec<String>,
    /// The first publishers of emission factors
    #[arg(long = "publisher", value_parser = amount::name)]
    publishers: Vec<String>,
    /// The first auditors
    #[arg(long = "auditor", value_parser = amount::name)]
    auditors: Vec<String>,
    /// From which change of a source on a restatement needs an auditor, in kg CO2e; none does without
    #[arg(long, value_name = "KILOGRAMS", requires = "auditors")]
    material: Option<u64>,
    /// The currency
    #[arg(long, default_value = "EUR")]
    currency: String,
    /// The length of the periods by which the authorities' own energy is accounted for
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = amount::span)]
    accounting_period: Duration,
}

fn milliseconds(span: Duration) -> Milliseconds {
    Milliseconds::new(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

/// Nanograms in a kilogram.
const KILOGRAM: u64 = 1_000_000_000_000;

/// How far authorities are apart.
#[derive(Clone, Copy, ValueEnum)]
pub enum PaceArg {
    /// One machine or one building
    Lan,
    /// Anywhere
    Wan,
}

impl From<PaceArg> for Pace {
    fn from(pace: PaceArg) -> Self {
        match pace {
            PaceArg::Lan => Self::Lan,
            PaceArg::Wan => Self::Wan,
        }
    }
}

/// Makes the files of a new network.
pub fn init(context: &Context, args: InitArgs) -> Result<Report, CliError> {
    let setup = Setup {
        name: args.name,
        authorities: args.authorities,
        host: args.host,
        port: args.port,
        pace: args.pace.into(),
        organisations: args.organisations,
        publishers: args.publishers,
        auditors: args.auditors,
        material_climate: args.material.map(|kilograms| kilograms.saturating_mul(KILOGRAM)),
        currency: args.currency,
        accounting_period: milliseconds(args.accounting_period),
    };
    let genesis = setup.create(context.dir())?;
    let names: Vec<&str> = genesis.authorities.iter().map(|one| one.name.as_str()).collect();
    let folders: Vec<String> = names
        .iter()
        .map(|name| authority_folder(context.dir(), name).display().to_string())
        .collect();
    let text = format!(
        "Made the network {:?} ({}) in {}.\nStart its authorities, each where it belongs:\n  \
         kerbholz node --dir {}",
        genesis.name,
        genesis.network().short(),
        context.dir().display(),
        folders.join("\n  kerbholz node --dir "),
    );
    let json = json!({
        "network": genesis.network(), "name": genesis.name, "dir": context.dir(),
        "authorities": folders,
    });
    Ok(Report::new(text, json))
}

/// How to run an authority.
#[derive(Args)]
#[command(
    after_help = "Example:\n  kerbholz node --dir kerbholz-data/dev/authorities/authority-0\n\n\
    SIGINT or SIGTERM stop it cleanly. What it logs, to stderr, is chosen by KERBHOLZ_LOG \
    (e.g. `debug`, or `warn,kerbholz_node=debug`)."
)]
pub struct NodeArgs {
    /// Log as JSON, one object a line
    #[arg(long)]
    log_json: bool,
    /// Stop when stdin ends: how a supervisor makes sure that nothing outlives it
    #[arg(long)]
    exit_with_parent: bool,
}

/// Runs the authority whose folder is given, until it is told to stop.
pub async fn node(context: &Context, args: NodeArgs, output: &Output) -> Result<Report, CliError> {
    log(args.log_json, "info");
    let config = authority_config(context)?;
    let (stop, stopped) = watch::channel(false);
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = stdin_ends(), if args.exit_with_parent => {}
        }
        // A node that has ended already needs no telling.
        let _ = stop.send(true);
        std::future::pending::<()>().await;
    });
    let name = config.name.clone();
    let ready = |addresses: &[kerbholz_node::network::Multiaddr]| {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let text = format!("{name} listens on {}", addresses.join(" and "));
        let json = json!({ "ready": true, "name": name, "addresses": addresses });
        // Whoever reads may be gone; the authority is needed all the same.
        let _ = output.print(&Report::new(text, json));
    };
    kerbholz_node::node::run(config, stopped, ready).await?;
    Ok(Report::nothing())
}

/// The configuration of the authority whose folder is given.
pub(super) fn authority_config(context: &Context) -> Result<NodeConfig, CliError> {
    let path = context.dir().join(CONFIG_FILE);
    if !path.exists() {
        return Err(CliError::NoAuthority { path });
    }
    Ok(NodeConfig::read(context.dir())?)
}

/// The arrivals of a signal.
pub(super) fn listen(kind: SignalKind) -> Result<tokio::signal::unix::Signal, CliError> {
    signal(kind).map_err(|error| CliError::Other(format!("cannot listen for signals: {error}")))
}

/// Waits until stdin ends. The thread that reads it dies with the process.
async fn stdin_ends() {
    let (ended, wait) = oneshot::channel();
    std::thread::spawn(move || {
        // Whatever goes wrong with stdin, nobody holds it any more.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = ended.send(());
    });
    // The thread cannot end without sending.
    let _ = wait.await;
}

/// Logs to stderr what `KERBHOLZ_LOG` names, or `otherwise`.
pub fn log(json: bool, otherwise: &str) {
    let filter = EnvFilter::try_from_env("KERBHOLZ_LOG");
    let filter = filter.unwrap_or_else(|_| EnvFilter::new(otherwise));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // Fails only where a subscriber is set already: then that one is used.
    let _ = if json { builder.json().try_init() } else { builder.try_init() };
}
