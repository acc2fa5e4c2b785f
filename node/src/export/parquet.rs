//! Apache Parquet: a folder for each table, in it one for each month (`month=2026-11`), in it one
//! file. No compression beyond dictionaries: the library's codecs are left out.
//!
//! Rows wait in memory, at most some 32,000 of a table; then the month with the most of them
//! becomes a row group of its file.

use super::schema::{Cell, Column, Kind, Record, Table};
use super::{ExportError, RowWriter, fits, month, time};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::TypePtr;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most rows of a table that wait in memory: some 100 MB.
const ROWS_WAITING_MAX: usize = 32_768;
/// The largest number that 38 decimal digits hold.
const DECIMAL_MAX: u128 = 99_999_999_999_999_999_999_999_999_999_999_999_999;

/// The schema of a table in Parquet's own notation.
pub fn message(table: Table) -> String {
    let mut message = format!("message {} {{\n", table.name());
    for Column { name, kind, optional } in table.columns() {
        let repetition = if optional { "optional" } else { "required" };
        let (physical, logical) = match kind {
            Kind::Text => ("binary", " (STRING)"),
            Kind::Number => ("int64", " (INTEGER(64,false))"),
            Kind::Wide => ("fixed_len_byte_array(16)", " (DECIMAL(38,0))"),
            Kind::Time => ("int64", " (TIMESTAMP(MILLIS,true))"),
            Kind::Flag => ("boolean", ""),
        };
        message.push_str(&format!("  {repetition} {physical} {name}{logical};\n"));
    }
    message.push_str("}\n");
    message
}

/// A month's file, and the rows that wait for it.
struct Part {
    path: PathBuf,
    writer: SerializedFileWriter<File>,
    rows: Vec<Vec<Cell>>,
}

/// Writes one table.
pub(super) struct ParquetWriter {
    table: Table,
    folder: PathBuf,
    schema: TypePtr,
    columns: Vec<Column>,
    parts: BTreeMap<Option<String>, Part>,
    waiting: usize,
}

fn failed(path: &Path) -> impl FnOnce(ParquetError) -> ExportError {
    let path = path.to_owned();
    move |error| match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(source) => ExportError::Io { path, source: *source },
            Err(source) => ExportError::Encoder { path, reason: source.to_string() },
        },
        other => ExportError::Encoder { path, reason: other.to_string() },
    }
}

impl ParquetWriter {
    pub(super) fn create(table: Table, folder: &Path) -> Result<Self, ExportError> {
        let folder = folder.join(table.name());
        fs::create_dir(&folder).map_err(ExportError::io(&folder))?;
        let schema = Arc::new(parse_message_type(&message(table)).map_err(failed(&folder))?);
        let columns = table.columns();
        let mut writer =
            Self { table, folder, schema, columns, parts: BTreeMap::new(), waiting: 0 };
        if !writer.has_months() {
            // Readers find the columns of a table even if it has no row.
            writer.part(None)?;
        }
        Ok(writer)
    }

    const fn has_months(&self) -> bool {
        !matches!(self.table, Table::InTransit | Table::Factors)
    }

    fn part(&mut self, month: Option<String>) -> Result<&mut Part, ExportError> {
        use std::collections::btree_map::Entry;
        match self.parts.entry(month) {
            Entry::Occupied(part) => Ok(part.into_mut()),
            Entry::Vacant(vacant) => {
                let folder = match vacant.key() {
                    Some(month) => self.folder.join(format!("month={month}")),
                    None => self.folder.clone(),
                };
                fs::create_dir_all(&folder).map_err(ExportError::io(&folder))?;
                let path = folder.join("part-0.parquet");
                let file = File::create_new(&path).map_err(ExportError::io(&path))?;
                let properties = Arc::new(WriterProperties::builder().build());
                let writer = SerializedFileWriter::new(file, self.schema.clone(), properties);
                let writer = writer.map_err(failed(&path))?;
                Ok(vacant.insert(Part { path, writer, rows: Vec::new() }))
            }
        }
    }
}

impl RowWriter for ParquetWriter {
    fn row(&mut self, record: Record) -> Result<(), ExportError> {
        debug_assert!(record.cells.len() == self.columns.len());
        debug_assert!(record.cells.iter().zip(&self.columns).all(|(cell, at)| fits(cell, at)));
        debug_assert!(record.at.is_some() == self.has_months());
        for (cell, column) in record.cells.iter().zip(&self.columns) {
            if let Cell::Wide(value) = cell
                && value.unsigned_abs() > DECIMAL_MAX
            {
                let (table, column) = (self.table.name(), column.name.clone());
                return Err(ExportError::TooWide { table, column, value: *value });
            }
        }
        self.part(record.at.map(month))?.rows.push(record.cells);
        self.waiting += 1;
        if self.waiting >= ROWS_WAITING_MAX
            && let Some(part) = self.parts.values_mut().max_by_key(|part| part.rows.len())
        {
            self.waiting -= part.rows.len();
            part.write(&self.columns)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), ExportError> {
        if self.parts.is_empty() {
            self.part(None)?;
        }
        for (_, mut part) in self.parts {
            part.write(&self.columns)?;
            let Part { path, mut writer, .. } = part;
            writer.finish().map_err(failed(&path))?;
            writer.inner().sync_all().map_err(ExportError::io(&path))?;
        }
        Ok(())
    }
}

impl Part {
    /// Writes the rows that wait as a row group.
    fn write(&mut self, columns: &[Column]) -> Result<(), ExportError> {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        let written = write_group(&mut self.writer, columns, &rows);
        written.map_err(failed(&self.path))
    }
}

fn write_group(
    writer: &mut SerializedFileWriter<File>,
    columns: &[Column],
    rows: &[Vec<Cell>],
) -> Result<(), ParquetError> {
    let mut group = writer.next_row_group()?;
    let mut index = 0;
    while let Some(mut column) = group.next_column()? {
        let cells: Vec<&Cell> = rows.iter().filter_map(|row| row.get(index)).collect();
        let optional = columns.get(index).is_some_and(|column| column.optional);
        write_column(&mut column, &cells, optional)?;
        column.close()?;
        index += 1;
    }
    group.close()?;
    Ok(())
}

fn write_column(
    column: &mut SerializedColumnWriter<'_>,
    cells: &[&Cell],
    optional: bool,
) -> Result<(), ParquetError> {
    let defined = |cell: &&Cell| i16::from(!matches!(cell, Cell::None));
    let levels: Option<Vec<i16>> = optional.then(|| cells.iter().map(defined).collect());
    let levels = levels.as_deref();
    let present = cells.iter();
    match column.untyped() {
        ColumnWriter::ByteArrayColumnWriter(column) => {
            let texts = present.filter_map(|cell| match cell {
                Cell::Text(text) => Some(ByteArray::from(text.as_str())),
                _ => None,
            });
            column.write_batch(&texts.collect::<Vec<_>>(), levels, None)
        }
        ColumnWriter::Int64ColumnWriter(column) => {
            let numbers = present.filter_map(|cell| match cell {
                // An unsigned number is kept as the signed one with the same bits.
                Cell::Number(number) => Some(number.cast_signed()),
                Cell::Time(at) => Some(time::within(*at).cast_signed()),
                _ => None,
            });
            column.write_batch(&numbers.collect::<Vec<_>>(), levels, None)
        }
        ColumnWriter::FixedLenByteArrayColumnWriter(column) => {
            let numbers = present.filter_map(|cell| match cell {
                Cell::Wide(number) => Some(FixedLenByteArray::from(number.to_be_bytes().to_vec())),
                _ => None,
            });
            column.write_batch(&numbers.collect::<Vec<_>>(), levels, None)
        }
        ColumnWriter::BoolColumnWriter(column) => {
            let flags = present.filter_map(|cell| match cell {
                Cell::Flag(flag) => Some(*flag),
                _ => None,
            });
            column.write_batch(&flags.collect::<Vec<_>>(), levels, None)
        }
        _ => Err(ParquetError::General("a column of a type that no table has".to_owned())),
    }?;
    Ok(())
}
