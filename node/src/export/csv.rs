//! Comma-separated values: a line of names, then a line for each row (RFC 4180, but lines end with a
//! line feed). What is missing is empty.

use super::schema::{Cell, Column, Record, Table};
use super::{ExportError, RowWriter, fits, time_text};
use csv_core::Writer;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Appends a line of these fields.
pub fn line<'c>(fields: impl IntoIterator<Item = &'c str>, out: &mut Vec<u8>) {
    let mut writer = Writer::new();
    for (index, field) in fields.into_iter().enumerate() {
        let begin = out.len();
        // Room for quotes, doubled quotes and the delimiter.
        out.resize(begin + 2 * field.len() + 8, 0);
        let mut end = begin;
        if index > 0 {
            end += writer.delimiter(&mut out[end..]).1;
        }
        end += writer.field(field.as_bytes(), &mut out[end..]).2;
        out.truncate(end);
    }
    let begin = out.len();
    out.resize(begin + 8, 0);
    let written = writer.terminator(&mut out[begin..]).1;
    out.truncate(begin + written);
}

/// Writes one table.
pub(super) struct CsvWriter {
    path: PathBuf,
    file: BufWriter<File>,
    columns: Vec<Column>,
    line: Vec<u8>,
}

impl CsvWriter {
    pub(super) fn create(table: Table, folder: &Path) -> Result<Self, ExportError> {
        let path = folder.join(format!("{}.csv", table.name()));
        let file = File::create_new(&path).map_err(ExportError::io(&path))?;
        let columns = table.columns();
        let mut writer = Self { path, file: BufWriter::new(file), columns, line: Vec::new() };
        line(writer.columns.iter().map(|column| column.name.as_str()), &mut writer.line);
        writer.put()?;
        Ok(writer)
    }

    fn put(&mut self) -> Result<(), ExportError> {
        self.file.write_all(&self.line).map_err(ExportError::io(&self.path))
    }
}

impl RowWriter for CsvWriter {
    fn row(&mut self, record: Record) -> Result<(), ExportError> {
        debug_assert!(record.cells.len() == self.columns.len());
        debug_assert!(record.cells.iter().zip(&self.columns).all(|(cell, at)| fits(cell, at)));
        let fields: Vec<String> = record.cells.into_iter().map(field).collect();
        self.line.clear();
        line(fields.iter().map(String::as_str), &mut self.line);
        self.put()
    }

    fn finish(mut self: Box<Self>) -> Result<(), ExportError> {
        let failed = ExportError::io(&self.path);
        self.file.flush().and_then(|()| self.file.get_ref().sync_all()).map_err(failed)
    }
}

fn field(cell: Cell) -> String {
    match cell {
        Cell::None => String::new(),
        Cell::Text(text) => text,
        Cell::Number(number) => number.to_string(),
        Cell::Wide(number) => number.to_string(),
        Cell::Time(time) => time_text(time),
        Cell::Flag(flag) => flag.to_string(),
    }
}
