//! `kerbholz factor`: emission factors, from a file to the ledger and back.

mod show;

use super::context::Context;
use super::error::CliError;
use super::find;
use super::output::{Output, Report, table};
use clap::Subcommand;
use kerbholz_client::ledger::codec;
use kerbholz_client::ledger::factor::Factor;
use kerbholz_client::ledger::footprint::EvidenceTier;
use kerbholz_client::ledger::id::FactorSetId;
use kerbholz_client::ledger::rows::{FactorSetRow, Table, key};
use kerbholz_client::session::now;
use kerbholz_client::{ClientError, Session};
use kerbholz_node::factors::{self, DEFAULT, FactorFile};
use kerbholz_node::files;
use serde_json::json;
use std::path::{Path, PathBuf};

/// What can be done with factors.
#[derive(Subcommand)]
pub enum FactorCommand {
    /// Check a factor file without a network: all that is wrong, each with line and column, e.g.
    /// `kerbholz factor check factors.csv`
    Check {
        /// A CSV or TOML file (docs/factors.md); the set that is built in if left out
        file: Option<PathBuf>,
    },
    /// Publish a factor set, e.g. `kerbholz factor publish factors.csv --as agency`
    Publish {
        /// A CSV or TOML file (docs/factors.md); the set that is built in if left out
        file: Option<PathBuf>,
        /// The publisher
        #[arg(long = "as", value_name = "PUBLISHER")]
        by: String,
    },
    /// List published factors, of the newest version of each set, e.g. `kerbholz factor list transport.`
    List {
        /// The versions that were superseded as well
        #[arg(long)]
        all: bool,
        /// Only factors whose code begins so, e.g. `electricity.`
        #[arg(value_name = "PREFIX", default_value = "")]
        prefix: String,
    },
    /// Show a factor whole, e.g. `kerbholz factor show electricity.DE`
    Show {
        /// Its code, or SET@VERSION:CODE
        factor: String,
    },
    /// Write a set as CSV, which `check` and `publish` read, e.g. `kerbholz factor export --out my.csv`
    Export {
        /// SET@VERSION, or SET for its newest; the set that is built in if left out
        set: Option<String>,
        /// The file to write; standard output if left out
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// Does it.
pub async fn run(
    context: &Context,
    command: FactorCommand,
    output: &Output,
) -> Result<Report, CliError> {
    match command {
        FactorCommand::Check { file } => Ok(checked(&read(file.as_deref())?)),
        FactorCommand::Publish { file, by } => publish(context, file.as_deref(), &by).await,
        FactorCommand::List { all, prefix } => list(context, all, &prefix).await,
        FactorCommand::Show { factor } => {
            let session = context.reader()?;
            let sets = Sets::load(&session).await?;
            let (reference, factor) = find::factor(&session, &factor).await?;
            show::one(&session, &sets, reference.set, &factor).await
        }
        FactorCommand::Export { set, out } => export(context, set, out.as_deref(), output).await,
    }
}

/// A factor file, or the one that is built in.
fn read(file: Option<&Path>) -> Result<FactorFile, CliError> {
    match file {
        None => Ok(FactorFile::parse(DEFAULT.0, DEFAULT.1)?),
        Some(file) => Ok(FactorFile::parse(&file.display().to_string(), &files::read_text(file)?)?),
    }
}

/// What there is to know about a file that is in order.
fn checked(set: &FactorFile) -> Report {
    let label = format!("{}@{}", set.name, set.version);
    let count = set.factors.len();
    let codes = |fits: &dyn Fn(&Factor) -> bool| -> Vec<&str> {
        let fitting = set.factors.iter().filter(|factor| fits(factor));
        fitting.map(|factor| factor.code.as_str()).collect()
    };
    let default = codes(&|factor| factor.tier(EvidenceTier::Measured) == EvidenceTier::Default);
    let today = now();
    let invalid = codes(&|factor| today < factor.valid_from || factor.valid_until <= today);
    let mut text = format!("In order: {label}, {count} factors");
    for (codes, what) in
        [(&default, "book as default (unverified or proxy)"), (&invalid, "are not valid today")]
    {
        if !codes.is_empty() {
            text.push_str(&format!("\n{} {what}: {}", codes.len(), codes.join(", ")));
        }
    }
    let json = json!({
        "label": label, "factors": count, "book_as_default": default, "not_valid_today": invalid,
    });
    Report::new(text, json)
}

async fn publish(context: &Context, file: Option<&Path>, by: &str) -> Result<Report, CliError> {
    let set = read(file)?;
    let publisher = context.publisher(by).await?;
    let sets = Sets::load(&publisher).await?;
    let (count, label) = (set.factors.len(), format!("{}@{}", set.name, set.version));
    let newest = sets.newest(|row| row.publisher == publisher.id() && row.name == set.name);
    if let Some((_, newest)) = newest.filter(|(_, newest)| newest.version >= set.version) {
        let (name, version) = (&newest.name, newest.version);
        return Err(CliError::Usage(format!(
            "{name}@{version} is published already, and what is published never changes: give the \
             file a version above {version}"
        )));
    }
    let id = publisher.publish(&set.name, set.version, set.factors).await?;
    context.keep_seen(&publisher);
    let supersedes = newest.map(|(_, row)| format!("{}@{}", row.name, row.version));
    let mut text = format!("Published {count} factors as {label}");
    if let Some(old) = &supersedes {
        text.push_str(&format!("; {old} is superseded, and what was booked by it stays"));
    }
    let json = json!({ "set": id, "label": label, "factors": count, "supersedes": supersedes });
    Ok(Report::new(text, json))
}

/// The published sets.
pub struct Sets(Vec<(FactorSetId, FactorSetRow)>);

impl Sets {
    async fn load(session: &Session) -> Result<Self, CliError> {
        let rows = find::scan::<FactorSetRow>(session, Table::FactorSet).await?;
        let mut sets: Vec<_> =
            rows.into_iter().map(|(id, row)| (FactorSetId::new(id), row)).collect();
        sets.sort_by(|(_, a), (_, b)| (&a.name, a.version).cmp(&(&b.name, b.version)));
        Ok(Self(sets))
    }

    fn get(&self, id: FactorSetId) -> Option<&FactorSetRow> {
        self.0.iter().find(|(other, _)| *other == id).map(|(_, row)| row)
    }

    fn newest(&self, fits: impl Fn(&FactorSetRow) -> bool) -> Option<(FactorSetId, &FactorSetRow)> {
        let fitting = self.0.iter().filter(|(_, row)| fits(row));
        fitting.max_by_key(|(_, row)| row.version).map(|(id, row)| (*id, row))
    }

    /// The version that supersedes a set, if one does: the newest of its publisher and name.
    fn superseding(&self, set: &FactorSetRow) -> Option<(FactorSetId, &FactorSetRow)> {
        self.newest(|row| row.publisher == set.publisher && row.name == set.name)
            .filter(|(_, newest)| newest.version > set.version)
    }

    /// The set that `NAME@VERSION` or `NAME` means.
    fn find(&self, text: &str) -> Result<(FactorSetId, &FactorSetRow), CliError> {
        let exact = |row: &FactorSetRow| text == format!("{}@{}", row.name, row.version);
        let found = self.newest(exact).or_else(|| self.newest(|row| row.name == text));
        found.ok_or_else(|| CliError::no_such("factor set", text, "kerbholz factor list --all"))
    }
}

/// The factors of a set, by code.
async fn factors_of(session: &Session, set: FactorSetId) -> Result<Vec<Factor>, CliError> {
    let rows = find::scan_bytes(session, key(Table::Factor, &[set.as_bytes()])).await?;
    let factors = rows.into_iter().map(|(_, value)| codec::decode_trusted(&value));
    factors.collect::<Result<_, _>>().map_err(|_| CliError::Client(ClientError::BadAnswer))
}

async fn list(context: &Context, all: bool, prefix: &str) -> Result<Report, CliError> {
    let session = context.reader()?;
    let sets = Sets::load(&session).await?;
    let (mut rows, mut documents) = (Vec::new(), Vec::new());
    let mut superseded = Vec::new();
    for (id, set) in &sets.0 {
        let newer = sets.superseding(set).map(|(_, newer)| show::label(newer));
        if let (Some(newer), false) = (&newer, all) {
            superseded.push(format!("{} is superseded by {newer}", show::label(set)));
            continue;
        }
        for factor in factors_of(&session, *id).await? {
            if factor.code.starts_with(prefix) {
                documents.push(show::document(set, newer.as_deref(), &factor));
                rows.push(show::row(set, newer.as_deref(), &factor));
            }
        }
    }
    let header = ["set", "code", "per", "climate", "region", "standing", "books as", "source"];
    let mut text = table(&header, rows, &[2, 3]);
    if !superseded.is_empty() {
        text.push_str(&format!("\n{}: see them with --all", superseded.join("; ")));
    }
    Ok(Report::new(text, json!({ "factors": documents })))
}

async fn export(
    context: &Context,
    set: Option<String>,
    out: Option<&Path>,
    output: &Output,
) -> Result<Report, CliError> {
    let (label, text) = match set {
        None => (DEFAULT.0.to_owned(), DEFAULT.1.to_owned()),
        Some(set) => {
            let session = context.reader()?;
            let sets = Sets::load(&session).await?;
            let (id, row) = sets.find(&set)?;
            let factors = factors_of(&session, id).await?;
            (show::label(row), factors::csv(&row.name, row.version, &factors))
        }
    };
    match out {
        Some(path) => {
            files::write(path, text.as_bytes(), false)?;
            let written = format!("Written: {} to {}", label, path.display());
            Ok(Report::new(written, json!({ "label": label, "file": path })))
        }
        None if output.is_json() => Ok(Report::new("", json!({ "label": label, "csv": text }))),
        None => {
            output.text(&text)?;
            Ok(Report::nothing())
        }
    }
}
