//! Factor sets as tables of comma-separated values (RFC 4180): one factor a row, the first row names
//! the columns. What spreadsheets make of it is read, too: a byte-order mark, semicolons or tabs
//! instead of commas.

use super::sheet::{Cell, Record, Sheet, field};
use crate::written::{Problem, Reason, Span, Text};
use csv_core::{ReadFieldResult, Reader, ReaderBuilder};

/// Reads the cells; what cannot be read joins the problems.
pub(super) fn read(text: &Text<'_>, problems: &mut Vec<Problem>) -> Sheet {
    let mut rows = rows(text.text).into_iter();
    let Some(header) = rows.next() else {
        let reason = "the file is empty: its first line names the columns, see docs/factors.md";
        problems.push(text.error(&(0..0), Reason::Rule(reason.to_owned())));
        return Sheet::default();
    };
    let columns = columns(text, header, problems);
    let mut sheet = Sheet::default();
    for row in rows.filter(|row| row.iter().any(|cell| !cell.text.is_empty())) {
        if row.len() > columns.len() {
            let extra = row[columns.len()].span.clone();
            let (cells, named) = (row.len(), columns.len());
            let reason = format!("{cells} cells, but {named} columns: quote cells with commas");
            problems.push(text.error(&extra, Reason::Rule(reason)));
        }
        let record = record(text, &columns, row, &mut sheet, problems);
        sheet.records.push(record);
    }
    sheet
}

/// What stands in a column.
enum Column {
    Set,
    Version,
    Field(&'static str),
    Dimension(Cell),
    /// A problem already.
    Unknown,
}

fn columns(text: &Text<'_>, header: Vec<Cell>, problems: &mut Vec<Problem>) -> Vec<Column> {
    let mut seen: Vec<String> = Vec::new();
    let mut columns = Vec::new();
    for cell in header {
        let column = match cell.text.as_str() {
            "set" => Column::Set,
            "version" => Column::Version,
            name => match field(name) {
                Some(name) => Column::Field(name),
                None if super::impact::dimension_named(name).is_some() => {
                    Column::Dimension(cell.clone())
                }
                None => {
                    let name = cell.text.clone();
                    let hint = ": docs/factors.md lists the columns".to_owned();
                    let reason = Reason::Unknown { kind: "column", name, hint };
                    problems.push(text.error(&cell.span, reason));
                    Column::Unknown
                }
            },
        };
        if seen.contains(&cell.text) {
            let reason = Reason::Duplicate { kind: "column", name: cell.text.clone() };
            problems.push(text.error(&cell.span, reason));
        }
        seen.push(cell.text);
        columns.push(column);
    }
    columns
}

fn record(
    text: &Text<'_>,
    columns: &[Column],
    row: Vec<Cell>,
    sheet: &mut Sheet,
    problems: &mut Vec<Problem>,
) -> Record {
    let span = row.first().map(|cell| cell.span.clone()).unwrap_or_default();
    let mut record = Record { span, ..Record::default() };
    for (column, cell) in columns.iter().zip(row).filter(|(_, cell)| !cell.text.is_empty()) {
        match column {
            Column::Set => same(text, &mut sheet.name, cell, "set", problems),
            Column::Version => same(text, &mut sheet.version, cell, "version", problems),
            Column::Field(name) => drop(record.fields.insert(name, cell)),
            Column::Dimension(name) => {
                // A mistake in the name's use belongs to the row, not to the header.
                let name = Cell { text: name.text.clone(), span: cell.span.clone() };
                record.impacts.push((name, cell));
            }
            Column::Unknown => {}
        }
    }
    record
}

/// Name and version stand in every row, and say the same.
fn same(
    text: &Text<'_>,
    all: &mut Option<Cell>,
    cell: Cell,
    column: &str,
    problems: &mut Vec<Problem>,
) {
    match all {
        None => *all = Some(cell),
        Some(first) if first.text == cell.text => {}
        Some(first) => {
            let (here, first) = (&cell.text, &first.text);
            let reason = format!(
                "`{column}` is `{here}` here and `{first}` above: a file is one version of one set"
            );
            problems.push(text.error(&cell.span, Reason::Rule(reason)));
        }
    }
}

/// The rows with their cells, each where it stands.
fn rows(text: &str) -> Vec<Vec<Cell>> {
    // A byte-order mark is no part of the first column's name.
    let begin = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut reader = reader(&text[begin..]);
    let mut input = &text.as_bytes()[begin..];
    let (mut rows, mut row) = (Vec::new(), Vec::new());
    let (mut at, mut field_begin) = (begin, begin);
    let mut field = Vec::new();
    // Big enough for any field, so that none is read in pieces.
    let mut output = vec![0; input.len().saturating_add(1)];
    loop {
        let (result, read, written) = reader.read_field(input, &mut output);
        input = input.get(read..).unwrap_or_default();
        at += read;
        field.extend_from_slice(output.get(..written).unwrap_or_default());
        match result {
            // No more input: the reader is called again with none, and ends the field.
            ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => {}
            ReadFieldResult::Field { record_end } => {
                row.push(cell(text, field_begin, at, &field));
                field.clear();
                field_begin = at;
                if record_end {
                    rows.push(std::mem::take(&mut row));
                }
            }
            ReadFieldResult::End => return rows,
        }
    }
}

/// A cell; its place is that of its first character, not of a line end left over before it.
fn cell(text: &str, begin: usize, end: usize, bytes: &[u8]) -> Cell {
    let raw = text.get(begin..end).unwrap_or_default();
    let blank = raw.len() - raw.trim_start_matches(['\r', '\n', ' ', '"']).len();
    let begin = if blank < raw.len() { begin + blank } else { begin };
    let text = String::from_utf8_lossy(bytes).trim().to_owned();
    Cell { text, span: Span { start: begin, end: end.max(begin) } }
}

/// A reader for the delimiter that the first line uses.
fn reader(text: &str) -> Reader {
    let first = text.lines().next().unwrap_or_default();
    let delimiters = [b',', b';', b'\t'];
    let count = |delimiter: &u8| first.bytes().filter(|byte| byte == delimiter).count();
    // The first of equals: a single column has none, and any will do.
    let delimiter = delimiters.into_iter().rev().max_by_key(count).unwrap_or(b',');
    ReaderBuilder::new().delimiter(delimiter).build()
}
