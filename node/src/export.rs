//! A ledger for other programs: tables as CSV and Parquet, product footprints, events.
//!
//! Everything is read from the state that a replay ([`crate::audit`]) has recomputed from a copy of
//! a ledger folder, so it works offline, and nobody's word is taken for it. [`schema`] says what the
//! tables are, [`mod@tables`] fills them, [`csv`] and [`parquet`] write them, and [`target`] sees to it
//! that a reader finds a whole export or none. `docs/formats.md` is the reference for readers.

pub mod csv;
pub mod epcis;
pub mod follow;
pub mod pact;
pub mod parquet;
pub mod schema;
pub mod tables;
pub mod target;
mod time;

pub use target::may_be_made;
pub use time::{month, time_text};

use crate::audit::Replay;
use kerbholz_ledger::genesis::Genesis;
use kerbholz_ledger::query;
use kerbholz_ledger::rows::{Read, ReadError};
use schema::{Cell, Record, Table};
use serde_json::{Value, json};
use std::io;
use std::path::{Path, PathBuf};
use target::Target;

/// Number of the form in which tables are exported: names of columns, types, folders.
pub const TABLES_FORMAT: u32 = 1;

/// Why something was not exported. Nothing is left behind then.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The operating system refused.
    #[error("{path}: {source}{}", full(source))]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is something already.
    #[error(
        "{0}: exists already: choose another place with --out, or replace an earlier export with \
         --force"
    )]
    Exists(PathBuf),
    /// There is something that no export has made.
    #[error("{0}: exists and is no export, so it is not replaced: choose another place with --out")]
    Foreign(PathBuf),
    /// A number that the file format cannot hold.
    #[error(
        "{column} of a row of {table} is {value}, which 38 decimal digits cannot hold: use CSV"
    )]
    TooWide {
        /// The table.
        table: &'static str,
        /// The column.
        column: String,
        /// The number.
        value: i128,
    },
    /// The state cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What was written does not add up to what the books say.
    #[error(
        "the exported {table} add up to {found} in {column}, but the books say {kept}: report this, \
         and do not use the export"
    )]
    Unbalanced {
        /// The table.
        table: &'static str,
        /// The column.
        column: String,
        /// The sum of what was written.
        found: i128,
        /// What the ledger keeps.
        kept: i128,
    },
    /// A lot has no product footprint.
    #[error("{0}")]
    NoFootprint(String),
    /// The encoder of a file format refused.
    #[error("{path}: {reason}")]
    Encoder {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

fn full(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull => ": free some space, or choose another place with --out",
        _ => "",
    }
}

impl ExportError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// How tables are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// Comma-separated values, one file for each table.
    Csv,
    /// Apache Parquet, one file for each table and month.
    Parquet,
}

/// Something that takes the rows of one table.
trait RowWriter {
    fn row(&mut self, record: Record) -> Result<(), ExportError>;
    fn finish(self: Box<Self>) -> Result<(), ExportError>;
}

/// Writes all tables into a new folder, with an `export.json` that says of which ledger they are.
/// Returns that document.
///
/// # Errors
/// [`ExportError`]; the folder is not there then, or is as it was.
pub fn tables(
    replayed: &Replay,
    genesis: &Genesis,
    format: TableFormat,
    out: &Path,
    replace: bool,
) -> Result<Value, ExportError> {
    let target = Target::begin(out, replace)?;
    let counts = write_tables(&replayed.state, format, target.folder())?;
    let report = &replayed.report;
    let ledger = query::ledger(&replayed.state)?;
    let document = json!({
        "format": TABLES_FORMAT, "network": report.network, "name": genesis.name,
        "commit": report.commits, "committed_at": time_text(ledger.time),
        "checkpoint": report.checkpoint, "log_root": report.log_root,
        "state_digest": report.state_digest, "rows": counts,
    });
    target.finish(&document)?;
    Ok(document)
}

/// Writes every table of a state into a folder, and compares their sums with the books. Returns how
/// many rows each has.
fn write_tables(
    state: &dyn Read,
    format: TableFormat,
    folder: &Path,
) -> Result<Value, ExportError> {
    let mut counts = serde_json::Map::new();
    let mut sums = tables::Sums::default();
    for table in Table::ALL.iter().copied() {
        let mut writer: Box<dyn RowWriter> = match format {
            TableFormat::Csv => Box::new(csv::CsvWriter::create(table, folder)?),
            TableFormat::Parquet => Box::new(parquet::ParquetWriter::create(table, folder)?),
        };
        let mut count = 0_u64;
        tables::read(state, table, &mut |record| {
            count += 1;
            sums.add(table, &record);
            writer.row(record)
        })?;
        writer.finish()?;
        counts.insert(table.name().to_owned(), count.into());
    }
    sums.compare(&query::ledger(state)?)?;
    Ok(counts.into())
}

/// Whether a cell is what its column may hold.
fn fits(cell: &Cell, column: &schema::Column) -> bool {
    cell.kind().map_or(column.optional, |kind| kind == column.kind)
}

#[cfg(test)]
mod tests;
