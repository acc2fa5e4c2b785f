//! `kerbholz audit`: recomputes a ledger from its blocks, verifies evidence. The work is done by
//! [`kerbholz_node::audit`] and [`kerbholz_client::evidence`].

use super::error::CliError;
use super::output::{Output, Report};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use kerbholz_client::network::{committee, read_genesis};
use kerbholz_ledger::execute::Effects;
use kerbholz_node::audit::{self, Agreement, AuditError, Observer, Replay, compare, replay};
use kerbholz_node::demo::units;
use serde::Serialize;
use std::path::{Path, PathBuf};

const AFTER_REPLAY: &str = "\
Example:
  kerbholz audit replay demo-data/authorities/authority-0/data --genesis demo-data/genesis.json

It takes no lock and writes nothing. Exit code 5 names the first difference, 6 a damaged file.";

/// What an auditor can do.
#[derive(Subcommand)]
pub enum AuditCommand {
    /// Recompute everything in a data directory (or a copy), and name the first difference
    #[command(after_help = AFTER_REPLAY)]
    Replay(ReplayArgs),
    /// Verify evidence against an authority offline, e.g. `kerbholz audit evidence
    /// authority-2.evidence --genesis genesis.json`
    Evidence {
        /// The evidence, as `kerbholz evidence get` wrote it
        file: PathBuf,
        /// The network's genesis file; all that is needed
        #[arg(long, value_name = "FILE")]
        genesis: PathBuf,
    },
}

/// What to replay.
#[derive(Args)]
pub struct ReplayArgs {
    /// An authority's data directory, or a copy of its `ledger` folder; it is only read
    #[arg(value_name = "DIR")]
    data: PathBuf,
    /// The network's genesis.json
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// Another authority's data: its ledger must have the same commits
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
}

/// What is printed with `--json`.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    report: &'a audit::Report,
    against: Option<Agreement>,
}

/// Runs a command.
pub fn run(command: AuditCommand, output: &Output) -> Result<Report, CliError> {
    match command {
        AuditCommand::Replay(args) => replay_ledger(args, output),
        AuditCommand::Evidence { file, genesis } => super::evidence::verify(&file, &genesis),
    }
}

fn replay_ledger(args: ReplayArgs, output: &Output) -> Result<Report, CliError> {
    let ReplayArgs { data, genesis, against } = args;
    let report = replayed(&data, &genesis, output)?.report;
    let genesis = read_genesis(&genesis)?;
    let against = match &against {
        None => None,
        Some(other) => {
            let committee = committee(&genesis).map_err(AuditError::from)?;
            Some(compare(&data, other, &committee)?)
        }
    };
    if output.is_json() {
        let document = Document { report: &report, against };
        let json = serde_json::to_string(&document)
            .map_err(|error| CliError::Other(format!("the report cannot be written: {error}")))?;
        output.text(&json)?;
    } else {
        output.text(&text(&report, against))?;
    }
    Ok(Report::nothing())
}

/// Replays a copy, and shows how far it is.
pub fn replayed(data: &Path, genesis: &Path, output: &Output) -> Result<Replay, CliError> {
    let genesis = read_genesis(genesis)?;
    let mut watch = Watch::new(output.is_json());
    let replayed = tokio::task::block_in_place(|| replay(data, &genesis, &mut watch));
    watch.finish();
    Ok(replayed?)
}

fn text(report: &audit::Report, against: Option<Agreement>) -> String {
    let mut lines = vec![
        format!("No difference in {} commits of network {}.", report.commits, report.network),
        String::new(),
        format!("transactions      {} ({} refused)", report.transactions, report.rejected),
        format!("blocks            {}, {}", report.blocks, units::bytes(report.block_bytes)),
        format!(
            "checkpoints       {}, the last on commit {} ({} commits after it)",
            report.checkpoints, report.checkpoint, report.commits_after_checkpoint
        ),
        format!(
            "order proven      by the blocks themselves up to round {} of epoch {}",
            report.decided_through_round,
            report.epochs.saturating_sub(1)
        ),
        format!(
            "balances          compared after {} commits, added up {} times: all zero",
            report.balances_checked, report.balances_added_up
        ),
        format!("epochs            {}", report.epochs),
        format!("lots              {}", report.balance.lots),
        format!("commit digest     {}", report.commit_digest),
        format!("log root          {}", report.log_root),
        format!("state digest      {}", report.state_digest),
        format!("end               {}", report.ending),
        format!(
            "took              {:.2} s, {} transactions per second",
            report.seconds,
            units::number(report.transactions_per_second)
        ),
    ];
    if let Some(Agreement { commits, against }) = against {
        let missing = match against.saturating_sub(commits) {
            0 => String::new(),
            missing => format!(", of which the last {missing} are missing here"),
        };
        lines.push(format!(
            "compared          {commits} commits here, {against} there: one history{missing}"
        ));
    }
    lines.join("\n")
}

/// A bar that shows how much was replayed.
pub struct Watch {
    bar: ProgressBar,
    commits: u64,
}

impl Watch {
    /// One that shows, or one that does not.
    pub fn new(quiet: bool) -> Self {
        let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} replayed {msg}  {elapsed}") {
            bar.set_style(style);
        }
        Self { bar, commits: 0 }
    }

    /// Says what is done after the replay.
    pub fn say(&self, what: &str) {
        self.bar.set_message(format!("{} commits, {what}", self.commits));
        self.bar.tick();
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Watch {
    fn executed(&mut self, _: &Effects) {
        self.commits += 1;
    }

    fn advanced(&mut self, bytes: u64) {
        self.bar.set_message(format!("{} commits, {}", self.commits, units::bytes(bytes)));
        self.bar.tick();
    }
}
