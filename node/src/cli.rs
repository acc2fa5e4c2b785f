//! The command line: what can be typed, and the way from there to a report and an exit code.
//!
//! Every command is a function from its arguments to a [`output::Report`] or a [`CliError`]; only
//! [`output`] prints. [`context`] finds the network, keys and ids that arguments name, [`amount`]
//! reads what people write, [`view`] shows rows. `docs/cli.md` is the manual.

mod allowance;
mod amount;
mod audit;
mod authority;
mod avoided;
mod context;
mod demo;
mod dev;
mod error;
mod evidence;
mod export;
mod factor;
mod find;
mod footprint;
mod imported;
mod key;
mod limit;
mod lot;
mod machine;
mod member;
mod meter;
mod money;
mod network;
mod order;
mod output;
mod proposal;
mod receipt;
mod restatement;
mod scenario;
mod status;
#[cfg(test)]
mod tests;
mod upkeep;
mod view;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use context::Context;
use error::CliError;
use output::{Output, Report};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const ABOUT: &str = "\
A ledger for machines that order from machines, with the footprint of every order.

Start here:
  kerbholz demo              everything in a minute, on this machine
  kerbholz dev               a local network to try things with
  kerbholz order place ...   the line that `dev` prints: order a part
  kerbholz order --help      accept, start, complete, confirm
  kerbholz footprint ORDER   what it cost in energy, material and climate
  kerbholz receipt --help    a proof of it that needs no network";

const AFTER: &str = "\
Names: a member is named by its name or its id; `--as NAME` signs with DIR/members/NAME.key.
Ids may be cut to 6 or more digits where they stay unambiguous; ORDER may be `latest`, and LOT the
name of a product, which means the oldest of your lots that has enough of it.
Amounts have their unit: \"1.5 kg\", \"3.2 kWh\", \"12 pieces\", \"25.00 EUR\", \"2h\".

Exit codes: 0 done, 1 failed for another reason, 2 wrong usage, 3 rejected by the ledger,
4 no authority reached or no answer in time, 5 verification failed, 6 a file or data directory,
7 the network has activated a protocol version that this program does not know.
With --json, one JSON document on stdout, and errors as one on stderr.";

/// Everything that can be typed.
#[derive(Parser)]
#[command(name = "kerbholz", version, about = ABOUT, after_help = AFTER, max_term_width = 100)]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Args, Clone, Debug)]
pub struct Global {
    /// The network's folder (for `node`: the authority's)
    #[arg(
        long,
        global = true,
        help_heading = "Everywhere",
        value_name = "DIR",
        env = "KERBHOLZ_DIR"
    )]
    #[arg(default_value = "kerbholz-data/dev")]
    dir: PathBuf,
    /// Print JSON for programs
    #[arg(long, global = true, help_heading = "Everywhere")]
    json: bool,
    /// How long to try to reach an authority; what it took is waited for a minute, or as long if longer
    #[arg(long, global = true, help_heading = "Everywhere", value_name = "TIME")]
    #[arg(default_value = "10s", value_parser = amount::span)]
    timeout: Duration,
}

#[derive(Subcommand)]
enum Command {
    /// Show the main job: machines order, authorities agree, footprints are booked and audited
    Demo(demo::DemoArgs),
    /// Keep a local network up, with two machines to try things with
    Dev(dev::DevArgs),
    /// Make the files of a new network
    Init(network::InitArgs),
    /// Run an authority
    Node(network::NodeArgs),
    /// Show how the authorities are, e.g. `kerbholz status --json`
    Status,
    /// List authorities, make new ones, and vote on their committee
    #[command(subcommand)]
    Authority(authority::AuthorityCommand),
    /// Propose to the authorities, vote on proposals, and show what governance has set
    #[command(subcommand)]
    Proposal(Box<proposal::ProposalCommand>),
    /// Become a member, find members, and replace their owner keys
    #[command(subcommand)]
    Member(member::MemberCommand),
    /// Make or show a key file
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Enrol, describe and revoke machines, change their keys, and set what they may spend
    #[command(subcommand)]
    Machine(machine::MachineCommand),
    /// Enrol meters and book what they counted
    #[command(subcommand)]
    Meter(meter::MeterCommand),
    /// Check, publish, list, show and export emission factors
    #[command(subcommand)]
    Factor(factor::FactorCommand),
    /// Issue, give and redeem money, and show accounts and statements
    #[command(subcommand)]
    Money(money::MoneyCommand),
    /// Place orders, and everything that follows
    #[command(subcommand)]
    Order(Box<order::OrderCommand>),
    /// Declare, list, hand over and book out lots
    #[command(subcommand)]
    Lot(lot::LotCommand),
    /// Show the footprint of a lot or an order, and explain it
    Footprint(footprint::FootprintArgs),
    /// Correct what a source booked, countersign corrections, and list them
    #[command(subcommand)]
    Restatement(Box<restatement::RestatementCommand>),
    /// Record what a lot or an order saves elsewhere, beside its footprint, and show it
    #[command(subcommand)]
    Avoided(avoided::AvoidedCommand),
    /// Set and show an organisation's limits
    #[command(subcommand)]
    Limit(limit::LimitCommand),
    /// Show and book what keeping the ledger costs
    #[command(subcommand)]
    Upkeep(upkeep::UpkeepCommand),
    /// Get and verify receipts
    #[command(subcommand)]
    Receipt(receipt::ReceiptCommand),
    /// List the authorities that signed two blocks of one round, and get the proof
    #[command(subcommand)]
    Evidence(evidence::EvidenceCommand),
    /// List, check, compute and play scenario files
    #[command(subcommand)]
    Scenario(scenario::ScenarioCommand),
    /// Recompute a ledger from its blocks, as an auditor does
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Write a ledger for other programs: tables, product footprints, events
    #[command(subcommand)]
    Export(export::ExportCommand),
    /// Print shell completions, e.g. `kerbholz completions bash`
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Runs the program: parses, executes, prints, and says how it ended.
pub fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    match Cli::try_parse_from(&arguments) {
        Ok(cli) => execute(cli),
        Err(error) if json && error.use_stderr() => {
            let text = error.render().to_string();
            Output::new(json).fail(&CliError::Usage(text.trim_end().to_owned()))
        }
        Err(error) => {
            // Nothing can be done about a closed terminal.
            let _ = error.print();
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => ExitCode::from(error::USAGE),
            }
        }
    }
}

fn execute(cli: Cli) -> ExitCode {
    let output = Output::new(cli.global.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return output.fail(&CliError::Other(format!("cannot start threads: {error}")));
        }
    };
    let result = runtime.block_on(dispatch(cli, &output));
    // A connection's task may still be dialling; nobody waits for it.
    runtime.shutdown_timeout(Duration::from_millis(200));
    match result.and_then(|report| output.print(&report)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output.fail(&error),
    }
}

async fn dispatch(cli: Cli, output: &Output) -> Result<Report, CliError> {
    let Cli { global, command } = cli;
    let context = Context::new(&global);
    if !matches!(command, Command::Node(_)) {
        network::log(false, "off");
    }
    match command {
        Command::Demo(args) => demo::run(args, output).await,
        Command::Audit(command) => audit::run(command, output),
        Command::Export(command) => export::run(command, output),
        Command::Dev(args) => dev::run(&context, args, output).await,
        Command::Init(args) => network::init(&context, args),
        Command::Node(args) => network::node(&context, args, output).await,
        Command::Status => status::run(&context).await,
        Command::Authority(command) => authority::run(&context, command).await,
        Command::Proposal(command) => proposal::run(&context, *command).await,
        Command::Member(command) => member::run(&context, command).await,
        Command::Key(command) => key::run(command),
        Command::Machine(command) => machine::run(&context, command).await,
        Command::Meter(command) => meter::run(&context, command).await,
        Command::Factor(command) => factor::run(&context, command, output).await,
        Command::Money(command) => money::run(&context, command).await,
        Command::Order(command) => order::run(&context, *command, output).await,
        Command::Lot(command) => lot::run(&context, command).await,
        Command::Footprint(args) => footprint::run(&context, args, output).await,
        Command::Restatement(command) => restatement::run(&context, *command).await,
        Command::Avoided(command) => avoided::run(&context, command).await,
        Command::Limit(command) => limit::run(&context, command).await,
        Command::Upkeep(command) => upkeep::run(&context, command).await,
        Command::Receipt(command) => receipt::run(&context, command).await,
        Command::Scenario(command) => scenario::run(&context, command, output).await,
        Command::Evidence(command) => evidence::run(&context, command).await,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "kerbholz", &mut script);
            Ok(Report::text_only(String::from_utf8_lossy(&script).into_owned()))
        }
    }
}
