//! What the demo found, for a terminal.

mod network;
mod paint;
mod scenario;
mod tree;
mod verdict;

pub use paint::Paint;

use super::findings::{BalanceLine, DimensionName, Findings, ScenarioFinding};
use super::units;
use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, LineStyle, Table};
use kerbholz_ledger::footprint::Dimension;
use std::fmt::Write;

/// Narrowest and widest page.
const WIDTHS: (u16, u16) = (72, 120);
/// From this width on columns stand farther apart.
const ROOMY: u16 = 96;

/// How to show.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Columns of the terminal.
    pub width: u16,
    /// Whether to use colours.
    pub colour: bool,
}

/// Everything, in the order of the story.
pub fn show(findings: &Findings, page: Page) -> String {
    let width = page.width.clamp(WIDTHS.0, WIDTHS.1);
    let paint = Paint::new(page.colour);
    let mut out = String::new();
    for scenario in &findings.scenarios {
        scenario::show(&mut out, scenario, &findings.dimensions, width, paint);
    }
    if let Some(variant) = findings.scenarios.first().and_then(|first| first.variants.first()) {
        heading(&mut out, &format!("The order tree of {}", variant.id), paint);
        line(
            &mut out,
            &paint.dim("Each part with its climate footprint, read from the replayed ledger."),
        );
        out.push('\n');
        if let Some(tree) = &variant.tree {
            tree::show(&mut out, tree, width, paint);
        }
    }
    trial_balance(&mut out, findings, width, paint);
    network::show(&mut out, findings, width, paint);
    checks(&mut out, findings, width, paint);
    out
}

/// Scenarios alone: those of a network that goes on.
pub fn scenarios(findings: &[ScenarioFinding], page: Page) -> String {
    let width = page.width.clamp(WIDTHS.0, WIDTHS.1);
    let name = |d: &Dimension| DimensionName { name: d.name(), unit: d.unit() };
    let dimensions: Vec<DimensionName> = Dimension::ALL.iter().map(name).collect();
    let mut out = String::new();
    for finding in findings {
        scenario::show(&mut out, finding, &dimensions, width, Paint::new(page.colour));
    }
    out
}

fn heading(out: &mut String, text: &str, paint: Paint) {
    out.push('\n');
    line(out, &paint.bold(text));
}

/// A line, indented like everything.
fn line(out: &mut String, text: &str) {
    out.push_str("  ");
    out.push_str(text);
    out.push('\n');
}

/// A text in as many lines as it takes.
fn paragraph(out: &mut String, text: &str, width: u16, paint: impl Fn(&str) -> String) {
    for text in wrapped(text, usize::from(width) - 4) {
        line(out, &paint(&text));
    }
}

/// A table without lines but one below its header; the first column is left-aligned.
fn table<'a>(header: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING.header_separator(LineStyle::none().fill('─').junction('─')));
    table.force_no_tty();
    let header = header.into_iter().enumerate().map(|(index, text)| cell(index, text));
    table.set_header(header.collect::<Vec<_>>());
    table
}

fn cell(index: usize, text: &str) -> Cell {
    let alignment = if index == 0 { CellAlignment::Left } else { CellAlignment::Right };
    Cell::new(text).set_alignment(alignment)
}

fn row(table: &mut Table, cells: &[String]) {
    let cells = cells.iter().enumerate().map(|(index, text)| cell(index, text));
    table.add_row(cells.collect::<Vec<_>>());
}

/// Columns stand closer together on a narrow page.
fn put(out: &mut String, table: &mut Table, width: u16) {
    // Between two columns there is one blank already.
    let padding = u16::from(width >= ROOMY);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if index == 0 { 0 } else { padding }, padding));
    }
    for text in table.lines() {
        line(out, text.trim_end());
    }
}

/// Breaks a text at spaces into lines of at most so many columns.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().map_or(0, |line| line.chars().count());
        if last > 0 && last + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else if let Some(line) = lines.last_mut() {
            if last > 0 {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

fn trial_balance(out: &mut String, findings: &Findings, width: u16, paint: Paint) {
    heading(out, "The trial balance", paint);
    line(
        out,
        &paint.dim("Booked in = in stock + booked out, in every dimension, to the last unit."),
    );
    out.push('\n');
    let mut balance = table(["dimension", "booked in", "in stock", "booked out", "off by"]);
    let moved = |line: &&BalanceLine| line.sources != 0 || line.stock != 0 || line.sinks != 0;
    for line in findings.balance.iter().filter(moved) {
        let value = |value| match value {
            0 => "0".to_owned(),
            value => units::readable(line.unit, value),
        };
        row(
            &mut balance,
            &[
                line.dimension.to_owned(),
                value(line.sources),
                value(line.stock),
                value(line.sinks),
                line.difference.to_string(),
            ],
        );
    }
    put(out, &mut balance, width);
    let still = findings.balance.iter().filter(|line| !moved(line)).map(|line| line.dimension);
    let still = still.collect::<Vec<_>>().join("; ");
    if !still.is_empty() {
        paragraph(out, &format!("Nothing booked in: {still}."), width, |text| paint.dim(text));
    }
    products(out, findings, width);
    money(out, findings, width);
}

fn money(out: &mut String, findings: &Findings, width: u16) {
    for money in &findings.money {
        let shown =
            |minor: kerbholz_ledger::quantity::Minor| units::money(minor.get(), &money.currency);
        out.push('\n');
        let row = &money.money;
        let text = format!(
            "Money: {} issued = {} available + {} held + {} redeemed.",
            shown(row.issued),
            shown(row.available),
            shown(row.held),
            shown(row.redeemed),
        );
        paragraph(out, &text, width, str::to_owned);
    }
}

fn products(out: &mut String, findings: &Findings, width: u16) {
    out.push('\n');
    let mut products =
        table(["product", "unit", "booked in", "made", "used", "booked out", "in stock"]);
    for product in &findings.products {
        let quantities = &product.quantities;
        let cells = [
            quantities.booked_in,
            quantities.made,
            quantities.used,
            quantities.booked_out,
            quantities.stock,
        ];
        let mut cells: Vec<String> = cells.map(|value| value.to_string()).into();
        cells.insert(0, product.unit.symbol().to_owned());
        cells.insert(0, product.product.clone());
        row(&mut products, &cells);
    }
    put(out, &mut products, width);
}

fn checks(out: &mut String, findings: &Findings, width: u16, paint: Paint) {
    heading(out, "What was proved", paint);
    let interruption = &findings.interruption;
    let ledgers: Vec<String> = findings
        .ledgers
        .iter()
        .map(|ledger| format!("{} {}", ledger.authority, ledger.commits))
        .collect();
    let replay = &findings.replay;
    let mut proved = vec![
        format!(
            "{} was killed after {} steps; the others made {} commits without it, and it caught \
             up in {:.1} s.",
            interruption.authority,
            interruption.killed_after_steps,
            interruption.commits_without,
            seconds(interruption.caught_up_ms),
        ),
        format!("All four authorities have one history (commits: {}).", ledgers.join(", ")),
        format!(
            "An auditor recomputed {} commits and {} transactions from the blocks of {}, with {} \
             checkpoints: no difference.",
            replay.commits, replay.transactions, findings.replayed, replay.checkpoints,
        ),
        format!(
            "A receipt of {} bytes proves a delivery offline: {} authorities signed checkpoint {}.",
            findings.receipt.bytes, findings.receipt.signatures, findings.receipt.checkpoint,
        ),
    ];
    if findings.ok {
        proved.push("Every balance is zero.".to_owned());
    }
    for text in proved {
        for (index, part) in wrapped(&text, usize::from(width) - 6).iter().enumerate() {
            let mark = if index == 0 { paint.green("✓") } else { " ".to_owned() };
            line(out, &format!("{mark} {part}"));
        }
    }
    if !findings.ok {
        line(out, &paint.red("✗ A balance is not zero: see the trial balance."));
    }
    out.push('\n');
    let place = match &findings.data {
        Some(data) => format!("The data lies in {}.", data.display()),
        None => "The data was in a temporary folder and is removed; --data DIR keeps it.".into(),
    };
    line(out, &paint.dim(&place));
    let _ = writeln!(out, "  {}", paint.dim(&format!("Took {:.1} s.", findings.seconds)));
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds, for people")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

#[cfg(test)]
mod tests;
