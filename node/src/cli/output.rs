//! The one place that prints: reports to stdout, errors to stderr, as text or as JSON.

use super::error::CliError;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Value, json};
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// What a command has to say, for people and for programs.
pub struct Report {
    /// For people.
    pub text: String,
    /// For programs: one document.
    pub json: Value,
}

impl Report {
    /// A report with both faces.
    pub fn new(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json }
    }

    /// Text whose form is its content, e.g. a script.
    pub fn text_only(text: String) -> Self {
        let json = json!({ "text": text });
        Self { text, json }
    }

    /// Nothing more to say: the command has printed line by line.
    pub fn nothing() -> Self {
        Self { text: String::new(), json: Value::Null }
    }
}

/// Where reports go.
#[derive(Clone, Copy)]
pub struct Output {
    json: bool,
}

impl Output {
    /// Text, or JSON.
    pub const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints a report, and ends it with a line end.
    ///
    /// # Errors
    /// [`CliError::Other`] when stdout cannot be written; a reader that went away is no error.
    pub fn print(&self, report: &Report) -> Result<(), CliError> {
        let text = match (&report.json, self.json) {
            (Value::Null, _) => return Ok(()),
            (json, true) => json.to_string(),
            (_, false) => report.text.trim_end().to_owned(),
        };
        self.text(&text)
    }

    /// Prints a text as it is, now.
    ///
    /// # Errors
    /// As [`Self::print`].
    pub fn text(&self, text: &str) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        match writeln!(stdout, "{}", text.trim_end()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(CliError::Other(format!("cannot write to stdout: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// Whether JSON is asked for.
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Says something beside the report, to people only.
    pub fn remark(&self, text: &str) {
        if !self.json {
            // Nothing can be done about a closed terminal.
            let _ = writeln!(io::stderr(), "{text}");
        }
    }

    /// Prints an error, and gives its exit code.
    pub fn fail(&self, error: &CliError) -> ExitCode {
        let text = if self.json {
            json!({ "error": { "code": error.code(), "message": error.to_string() } }).to_string()
        } else {
            format!("error: {error}")
        };
        let _ = writeln!(io::stderr(), "{text}");
        ExitCode::from(error.exit_code())
    }
}

/// Rows as a table. The columns named by index are numbers, and aligned to the right.
pub fn table(header: &[&str], rows: Vec<Vec<String>>, numbers: &[usize]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.iter().map(|name| name.to_uppercase()));
    for row in rows {
        table.add_row(row);
    }
    for index in numbers {
        if let Some(column) = table.column_mut(*index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    if let Some(column) = table.column_mut(0) {
        column.set_padding((0, 1));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}
