//! `kerbholz demo`: everything in a minute. The work is done by [`kerbholz_node::demo`].

use super::error::CliError;
use super::output::{Output, Report};
use clap::Args;
use kerbholz_node::demo::screen::Screen;
use kerbholz_node::demo::show::{Page, show};
use kerbholz_node::demo::{self, Options, report};
use kerbholz_node::files;
use std::io::IsTerminal;
use std::path::PathBuf;

const AFTER: &str = "\
Four authorities run as processes of their own; machines of four organisations play the scenarios;
one authority is killed and comes back; then an auditor replays its data and verifies a receipt.

  kerbholz demo                                  the tables
  kerbholz demo --report demo.html               and a page with the flows of each part
  kerbholz demo --json demo.json                 and the same for programs
  kerbholz demo --data DIR --only FZ1            one variant, and keep the network's data
  kerbholz audit replay DIR/authorities/authority-0/data --genesis DIR/genesis.json";

/// What to show.
#[derive(Args)]
#[command(after_help = AFTER)]
pub struct DemoArgs {
    /// With --json: the file to write; standard output if left out
    #[arg(value_name = "FILE", requires = "json")]
    file: Option<PathBuf>,
    /// Play the scenario files of a folder (and its factors.csv or factors.toml, if any) instead of those built in
    #[arg(long, value_name = "DIR")]
    scenarios: Option<PathBuf>,
    /// Keep the network's data here
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Write a page to look at, complete in one file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Play only these variants
    #[arg(long, value_name = "VARIANT", num_args = 1..)]
    only: Vec<String>,
}

/// Runs the demo and presents what it found.
pub async fn run(args: DemoArgs, output: &Output) -> Result<Report, CliError> {
    let program = std::env::current_exe()
        .map_err(|error| CliError::Other(format!("cannot find this program's file: {error}")))?;
    let DemoArgs { file, scenarios, data, report: page, only } = args;
    let options = Options { scenarios, data, only, program };
    let findings = demo::run(&options, &Screen::stderr()).await?;
    let json = serde_json::to_string(&findings)
        .map_err(|error| CliError::Other(format!("the findings cannot be written: {error}")))?;
    if let Some(path) = &page {
        files::write(path, report::page(&json).as_bytes(), false)?;
    }
    match &file {
        None if output.is_json() => output.text(&json)?,
        None => output.text(&show(&findings, terminal()))?,
        Some(path) => {
            files::write(path, json.as_bytes(), false)?;
            output.text(&show(&findings, terminal()))?;
        }
    }
    for path in page.iter().chain(&file) {
        output.remark(&format!("Written: {}", path.display()));
    }
    if findings.ok {
        Ok(Report::nothing())
    } else {
        Err(CliError::Other("a balance is not zero: see the trial balance".into()))
    }
}

/// The page that standard output is.
pub fn terminal() -> Page {
    let is_terminal = std::io::stdout().is_terminal();
    let columns = comfy_table::Table::new().width().filter(|_| is_terminal);
    let colour = is_terminal && std::env::var_os("NO_COLOR").is_none();
    Page { width: columns.unwrap_or(110), colour }
}
