//! `kerbholz export`: a ledger for other programs. The work is done by [`kerbholz_node::export`], on
//! what a replay of the ledger's own blocks comes to.

use super::audit::Watch;
use super::error::CliError;
use super::output::{Output, Report, table};
use clap::{Args, Subcommand};
use kerbholz_client::ledger::genesis::Genesis;
use kerbholz_client::ledger::id::LotId;
use kerbholz_client::ledger::quantity::Timestamp;
use kerbholz_client::ledger::query;
use kerbholz_client::network::read_genesis;
use kerbholz_node::audit::replay;
use kerbholz_node::export::follow::{Followed, Follower, Which};
use kerbholz_node::export::pact::{self, ProductFootprint, Statement};
use kerbholz_node::export::{self, ExportError, TableFormat, epcis};
use kerbholz_node::files::{self, FileError};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const AFTER_CSV: &str = "\
Example:
  kerbholz export csv rail/authorities/authority-0/data --genesis rail/genesis.json --out tables

One file for each table: lots, flows, sources, sinks, in_transit, orders, factors. Every number is \
an exact integer in the unit that its column's name ends with; docs/formats.md says what they are.";

const AFTER_PARQUET: &str = "\
Example:
  kerbholz export parquet rail/authorities/authority-0/data --genesis rail/genesis.json --out tables

The same tables as `kerbholz export csv`, each in a folder with one file for each month.";

const AFTER_PACT: &str = concat!(
    "\
Example:
  kerbholz export pact rail/authorities/authority-0/data --genesis rail/genesis.json --lot bracket \\
      --standard ISO14067 --assessment-report 5 --out bracket.json

The declared unit is the whole lot. All dimensions stand in an extension as exact integers; a \
second one has the receipt of the transaction that made the lot, where a checkpoint covers it.

",
    include_str!("../export/pact/notice.txt")
);

const AFTER_EPCIS: &str = "\
Examples:
  kerbholz export epcis rail/authorities/authority-0/data --genesis rail/genesis.json \\
      --out events.json
  kerbholz export epcis rail/authorities/authority-0/data --genesis rail/genesis.json \\
      --lot bracket --out bracket-events.json";

/// What can be exported.
#[derive(Subcommand)]
pub enum ExportCommand {
    /// All tables as comma-separated values
    #[command(after_help = AFTER_CSV)]
    Csv(TableArgs),
    /// All tables as Apache Parquet
    #[command(after_help = AFTER_PARQUET)]
    Parquet(TableArgs),
    /// The product footprint of a lot, in the form of PACT version 3
    #[command(after_help = AFTER_PACT)]
    Pact(Box<PactArgs>),
    /// What happened to lots, as events of EPCIS 2.0
    #[command(after_help = AFTER_EPCIS)]
    Epcis(EpcisArgs),
}

/// Of which ledger.
#[derive(Args)]
pub struct LedgerArgs {
    /// An authority's data directory, or a copy of its `ledger` folder; it is only read
    #[arg(value_name = "DIR")]
    data: PathBuf,
    /// The network's genesis.json
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
}

/// Which tables, and where to.
#[derive(Args)]
pub struct TableArgs {
    #[command(flatten)]
    ledger: LedgerArgs,
    /// The folder to make; it is there when all of it is
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace an earlier export
    #[arg(long)]
    force: bool,
}

/// Where a document goes.
#[derive(Args)]
pub struct FileArgs {
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace the file if there is one
    #[arg(long)]
    force: bool,
}

/// Which lot, and what its company says of it.
#[derive(Args)]
pub struct PactArgs {
    #[command(flatten)]
    ledger: LedgerArgs,
    /// Which: an id, its beginning, or a product (the newest lot of it)
    #[arg(long)]
    lot: String,
    #[command(flatten)]
    file: FileArgs,
    /// A standard by which your company declares it, e.g. ISO14067; more than one may be given
    #[arg(long = "standard", value_name = "NAME", required = true, value_parser = not_empty)]
    standards: Vec<String>,
    /// A registered id of the company, e.g. urn:lei:...
    #[arg(long = "company-id", value_name = "URN", value_parser = urn)]
    company_ids: Vec<String>,
    /// A registered id of the product, e.g. urn:gtin:...
    #[arg(long = "product-id", value_name = "URN", value_parser = urn)]
    product_ids: Vec<String>,
    /// The country it is representative for, e.g. DE; the world if left out
    #[arg(long, value_name = "CODE", value_parser = country)]
    country: Option<String>,
    /// Whether packaging is among what was booked
    #[arg(long, value_name = "true|false")]
    packaging: Option<bool>,
    /// The IPCC report behind figures whose sources do not name theirs
    #[arg(long, value_name = "5|6", value_parser = clap::value_parser!(u8).range(5..=6))]
    assessment_report: Option<u8>,
    /// Also what the lot's footprint was before it was restated
    #[arg(long)]
    versions: bool,
}

/// Which events.
#[derive(Args)]
pub struct EpcisArgs {
    #[command(flatten)]
    ledger: LedgerArgs,
    /// Only of this lot and of everything upstream of it: an id, its beginning, or a product
    #[arg(long, value_name = "LOT")]
    lot: Option<String>,
    #[command(flatten)]
    file: FileArgs,
}

fn not_empty(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("it has a name".to_owned()) } else { Ok(text.to_owned()) }
}

fn urn(text: &str) -> Result<String, String> {
    let mut parts = text.splitn(3, ':');
    let scheme = parts.next().is_some_and(|part| part.eq_ignore_ascii_case("urn"));
    let named = parts.next().is_some_and(|part| !part.is_empty());
    let rest = parts.next().is_some_and(|part| !part.is_empty());
    let wrong = || format!("{text:?} is no URN: write for example urn:lei:529900T8BM49AURSDO55");
    (scheme && named && rest).then(|| text.to_owned()).ok_or_else(wrong)
}

fn country(text: &str) -> Result<String, String> {
    let code = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    let wrong = || format!("{text:?} is no country: write two capital letters, for example DE");
    code.then(|| text.to_owned()).ok_or_else(wrong)
}

/// Does it.
pub fn run(command: ExportCommand, output: &Output) -> Result<Report, CliError> {
    match command {
        ExportCommand::Csv(args) => tables(&args, TableFormat::Csv, output),
        ExportCommand::Parquet(args) => tables(&args, TableFormat::Parquet, output),
        ExportCommand::Pact(args) => footprint(*args, output),
        ExportCommand::Epcis(args) => events(&args, output),
    }
}

fn tables(args: &TableArgs, format: TableFormat, output: &Output) -> Result<Report, CliError> {
    let TableArgs { ledger, out, force } = args;
    export::may_be_made(out, *force)?;
    let genesis = read_genesis(&ledger.genesis)?;
    let mut watch = Watch::new(output.is_json());
    let exported = tokio::task::block_in_place(|| {
        let replayed = replay(&ledger.data, &genesis, &mut watch)?;
        watch.say("writing");
        Ok::<_, CliError>(export::tables(&replayed, &genesis, format, out, *force)?)
    });
    watch.finish();
    let mut document = exported?;
    let counts = document["rows"].as_object().into_iter().flatten();
    let counts = counts.map(|(name, rows)| vec![name.clone(), rows.to_string()]).collect();
    let text = format!(
        "Wrote {} as of commit {}; the books add up.\n\n{}",
        out.display(),
        document["commit"],
        table(&["table", "rows"], counts, &[1]),
    );
    if let Value::Object(fields) = &mut document {
        fields.insert("out".to_owned(), out.display().to_string().into());
    }
    Ok(Report::new(text, document))
}

/// Replays a ledger and follows the lots that are named.
fn follow(
    ledger: &LedgerArgs,
    genesis: &Genesis,
    name: &str,
    output: &Output,
) -> Result<Followed, CliError> {
    let which = Which(name.to_owned());
    let mut watch = Watch::new(output.is_json());
    let mut follower = Follower::new(which, &mut watch);
    let replayed = tokio::task::block_in_place(|| replay(&ledger.data, genesis, &mut follower));
    let followed = replayed.map(|replayed| follower.finish(replayed));
    watch.finish();
    Ok(followed?)
}

/// The one lot that was meant: of several of a product the newest.
fn chosen(followed: &Followed, name: &str) -> Result<LotId, CliError> {
    let mut lots: Vec<(Timestamp, u64, LotId)> = Vec::new();
    for lot in followed.lots.keys() {
        let row = query::lot(&followed.state, *lot).map_err(ExportError::from)?;
        lots.extend(row.map(|row| (row.created_at, row.sequence, *lot)));
    }
    let by_id = lots.iter().all(|(.., lot)| Which::begins(*lot, name));
    match lots.iter().max() {
        None => Err(CliError::no_such("lot", name, "kerbholz export csv")),
        Some(_) if by_id && lots.len() > 1 => {
            let text = format!("{name} is the beginning of {} lots: give more of it", lots.len());
            Err(CliError::Usage(text))
        }
        Some((.., lot)) => Ok(*lot),
    }
}

fn footprint(args: PactArgs, output: &Output) -> Result<Report, CliError> {
    let PactArgs { lot: name, ledger, file, versions, .. } = &args;
    file.may_be_written()?;
    let genesis = read_genesis(&ledger.genesis)?;
    let followed = follow(ledger, &genesis, name, output)?;
    let lot = chosen(&followed, name)?;
    let statement = Statement {
        standards: args.standards.clone(),
        company_ids: args.company_ids.clone(),
        product_ids: args.product_ids.clone(),
        country: args.country.clone(),
        packaging: args.packaging,
        assessment_report: args.assessment_report,
    };
    let documents = pact::footprints(&followed, genesis.network(), lot, &statement)
        .map_err(ExportError::from)?;
    let newest = documents.last().ok_or_else(|| CliError::no_such("lot", name, "kerbholz lot"))?;
    match versions {
        true => file.write(&json!({ "data": documents }))?,
        false => file.write(&json!(newest))?,
    }
    Ok(said(newest, &file.out))
}

fn said(document: &ProductFootprint, out: &Path) -> Report {
    let (pcf, out) = (&document.pcf, out.display());
    let receipt = match document.extensions.len() {
        1 => "none: no checkpoint covers the lot yet",
        _ => "in the document",
    };
    let lines = [
        format!("Wrote {out}: {}.", document.product_description),
        String::new(),
        format!("footprint    {}, replaces {}", document.id, document.preceding_pf_ids.len()),
        format!("excluding    {} kg CO2e", pcf.pcf_excluding_biogenic_uptake.as_str()),
        format!("including    {} kg CO2e", pcf.pcf_including_biogenic_uptake.as_str()),
        format!(
            "for          {} {}",
            pcf.declared_unit_amount.as_str(),
            pcf.declared_unit_of_measurement
        ),
        format!("receipt      {receipt}"),
        String::new(),
        "By the PACT Technical Specifications, which are WBCSD's: `kerbholz export pact --help` has \
         its disclaimer."
            .to_owned(),
    ];
    let json = json!({
        "out": out.to_string(), "id": document.id, "replaces": document.preceding_pf_ids,
        "receipt": document.extensions.len() > 1,
    });
    Report::new(lines.join("\n"), json)
}

fn events(args: &EpcisArgs, output: &Output) -> Result<Report, CliError> {
    let EpcisArgs { ledger, lot, file } = args;
    file.may_be_written()?;
    let genesis = read_genesis(&ledger.genesis)?;
    let (state, lot) = match lot {
        Some(name) => {
            let followed = follow(ledger, &genesis, name, output)?;
            let lot = chosen(&followed, name)?;
            (followed.state, Some(lot))
        }
        None => {
            let mut watch = Watch::new(output.is_json());
            let replayed =
                tokio::task::block_in_place(|| replay(&ledger.data, &genesis, &mut watch));
            watch.finish();
            (replayed?.state, None)
        }
    };
    let document = epcis::document(&state, genesis.network(), lot)?;
    let count = document["epcisBody"]["eventList"].as_array().map_or(0, Vec::len);
    file.write(&document)?;
    let out = file.out.display().to_string();
    Ok(Report::new(
        format!("Wrote {count} events to {out}."),
        json!({ "out": out, "events": count }),
    ))
}

impl FileArgs {
    fn may_be_written(&self) -> Result<(), CliError> {
        match std::fs::symlink_metadata(&self.out) {
            Err(_) => Ok(()),
            Ok(_) if !self.force => Err(ExportError::Exists(self.out.clone()).into()),
            Ok(found) if found.is_file() => Ok(()),
            // A device or a folder is nobody's earlier export.
            Ok(_) => Err(ExportError::Foreign(self.out.clone()).into()),
        }
    }

    fn write(&self, document: &Value) -> Result<(), CliError> {
        self.may_be_written()?;
        let written = files::write(&self.out, format!("{document:#}\n").as_bytes(), false);
        written.map_err(|error| match error {
            FileError::Io { path, source } => ExportError::Io { path, source }.into(),
            other => other.into(),
        })
    }
}
