//! Factor sets as TOML: a table of sources, and a table for each factor.

use super::sheet::{CLIMATE_TTW, CLIMATE_WTT, Cell, Record, Sheet, field};
use crate::written::{Problem, Reason, Span, Text};
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

type Value<'i> = Spanned<DeValue<'i>>;

/// Reads the cells; what cannot be read joins the problems.
pub(super) fn read(text: &Text<'_>, problems: &mut Vec<Problem>) -> Sheet {
    let (document, errors) = DeTable::parse_recoverable(text.text);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        problems.push(text.error(&span, Reason::Syntax(error.message().to_owned())));
    }
    let mut reader = Reader { text, problems, sources: BTreeMap::new() };
    reader.sheet(document.get_ref())
}

struct Reader<'r, 't> {
    text: &'r Text<'t>,
    problems: &'r mut Vec<Problem>,
    /// The sources, by key: fields that a factor of that source has.
    sources: BTreeMap<String, BTreeMap<&'static str, Cell>>,
}

/// The tables of a file.
const TABLES: &str = "name, version, [sources] and [[factors]]";

impl Reader<'_, '_> {
    fn sheet(&mut self, document: &DeTable<'_>) -> Sheet {
        let mut sheet = Sheet::default();
        if let Some(sources) = document.get("sources") {
            self.sources(sources);
        }
        for (name, value) in document {
            match name.get_ref().as_ref() {
                "name" => sheet.name = self.cell(value),
                "version" => sheet.version = self.cell(value),
                "sources" => {}
                "factors" => match value.get_ref() {
                    DeValue::Array(factors) => {
                        sheet.records = factors.iter().filter_map(|f| self.record(f)).collect();
                    }
                    _ => self.rule(&value.span(), "write each factor as a table [[factors]]"),
                },
                _ => self.unknown("field", name, &format!(": a factor set has {TABLES}")),
            }
        }
        sheet
    }

    fn sources(&mut self, value: &Value<'_>) {
        let Some(sources) = self.table(value) else { return };
        for (key, value) in sources {
            let Some(source) = self.table(value) else { continue };
            let mut fields = BTreeMap::new();
            for (name, value) in source {
                let of_factor = match name.get_ref().as_ref() {
                    "cite" => "source",
                    "url" => "url",
                    "licence" => "licence",
                    "year" => "year",
                    // What was looked at: for the reader of the file.
                    "seen" => continue,
                    _ => {
                        self.unknown(
                            "field",
                            name,
                            ": a source has cite, url, licence, year, seen",
                        );
                        continue;
                    }
                };
                if let Some(cell) = self.cell(value) {
                    fields.insert(of_factor, cell);
                }
            }
            if !fields.contains_key("source") {
                self.rule(&key.span(), "a source has no `cite`: say who published the figures");
            }
            self.sources.insert(key.get_ref().to_string(), fields);
        }
    }

    fn record(&mut self, value: &Value<'_>) -> Option<Record> {
        let factor = self.table(value)?;
        let mut record = Record { span: value.span(), ..Record::default() };
        for (name, value) in factor {
            match name.get_ref().as_ref() {
                "impacts" => self.impacts(value, &mut record),
                "zero" => self.zeros(value, &mut record),
                "quality" => self.nested(value, &["technology", "geography", "time"], &mut record),
                "parts" => self.nested(value, &["ttw", "wtt"], &mut record),
                // Written in tables of their own.
                "technology" | "geography" | "time" | CLIMATE_TTW | CLIMATE_WTT => {
                    self.unknown("field", name, ": write it in `quality` or `parts`");
                }
                text => match field(text) {
                    Some(field) => {
                        if let Some(cell) = self.cell(value).filter(|cell| !cell.text.is_empty()) {
                            record.fields.insert(field, cell);
                        }
                    }
                    None => self.unknown("field", name, ": docs/factors.md lists the fields"),
                },
            }
        }
        self.cite(&mut record);
        Some(record)
    }

    /// Puts in what the file says about the source that a factor names.
    fn cite(&mut self, record: &mut Record) {
        let Some(key) = record.fields.remove("source") else { return };
        match self.sources.get(&key.text) {
            Some(fields) => {
                for (name, cell) in fields {
                    record.fields.entry(name).or_insert_with(|| cell.clone());
                }
            }
            None => {
                let hint = ": write it under [sources]".to_owned();
                let reason = Reason::Unknown { kind: "source", name: key.text.clone(), hint };
                self.problems.push(self.text.error(&key.span, reason));
                // So that what it would say is not missed once more.
                record.fields.entry("licence").or_insert_with(|| key.clone());
                record.fields.insert("source", key);
            }
        }
    }

    fn impacts(&mut self, value: &Value<'_>, record: &mut Record) {
        let Some(impacts) = self.table(value) else { return };
        for (name, value) in impacts {
            if let Some(cell) = self.cell(value) {
                record.impacts.push((named(name.get_ref(), name.span()), cell));
            }
        }
    }

    fn zeros(&mut self, value: &Value<'_>, record: &mut Record) {
        let DeValue::Array(zeros) = value.get_ref() else {
            return self.rule(&value.span(), "a list is needed here, e.g. zero = [\"waste\"]");
        };
        for value in zeros.iter() {
            if let Some(name) = self.cell(value) {
                let zero = Cell { text: "0".to_owned(), span: name.span.clone() };
                record.impacts.push((name, zero));
            }
        }
    }

    fn nested(&mut self, value: &Value<'_>, known: &[&str], record: &mut Record) {
        let Some(table) = self.table(value) else { return };
        for (name, value) in table {
            let text = name.get_ref().as_ref();
            let full = match text {
                "ttw" => Some(CLIMATE_TTW),
                "wtt" => Some(CLIMATE_WTT),
                _ => field(text),
            };
            match full.filter(|_| known.contains(&text)) {
                Some(full) => {
                    if let Some(cell) = self.cell(value) {
                        record.fields.insert(full, cell);
                    }
                }
                None => self.unknown("field", name, &format!(": there is {}", known.join(", "))),
            }
        }
    }

    fn table<'v, 'i>(&mut self, value: &'v Value<'i>) -> Option<&'v DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.rule(&value.span(), "a table is needed here: { name = \"value\", ... }");
        }
        table
    }

    /// What is written as text, as a whole number or as a date.
    fn cell(&mut self, value: &Value<'_>) -> Option<Cell> {
        let span = value.span();
        match value.get_ref() {
            DeValue::String(text) => Some(named(text.trim(), span)),
            DeValue::Integer(number) => Some(named(number.as_str(), span)),
            DeValue::Datetime(date) => Some(named(&date.to_string(), span)),
            DeValue::Float(number) => {
                let number = number.as_str();
                let reason = format!(
                    "`{number}` has no unit: write it as text with its unit, e.g. \"0.5 kg CO2e\""
                );
                self.rule(&span, &reason);
                None
            }
            _ => {
                self.rule(&span, "text is needed here, in quotes");
                None
            }
        }
    }

    fn rule(&mut self, span: &Span, reason: &str) {
        self.problems.push(self.text.error(span, Reason::Rule(reason.to_owned())));
    }

    fn unknown<S: AsRef<str>>(&mut self, kind: &'static str, name: &Spanned<S>, hint: &str) {
        let (span, name) = (name.span(), name.get_ref().as_ref().to_owned());
        let reason = Reason::Unknown { kind, name, hint: hint.to_owned() };
        self.problems.push(self.text.error(&span, reason));
    }
}

fn named(text: &str, span: Span) -> Cell {
    Cell { text: text.to_owned(), span }
}
