//! A scenario: the footprint table, the avoided burden, and the study's expectations.

use super::{Paint, heading, line, paragraph, put, row, table, verdict, wrapped};
use crate::demo::findings::{DimensionName, ScenarioFinding, VariantFinding};
use crate::demo::units;
use kerbholz_ledger::footprint::Dimension;

/// Columns of the first column, and of each variant.
const FIRST: u16 = 34;
const EACH: u16 = 14;

pub(super) fn show(
    out: &mut String,
    scenario: &ScenarioFinding,
    dimensions: &[DimensionName],
    width: u16,
    paint: Paint,
) {
    heading(out, &scenario.title, paint);
    paragraph(out, &scenario.functional_unit, width, |text| paint.dim(text));
    let fit = usize::from((width.saturating_sub(FIRST) / EACH).max(2));
    let tables = scenario.variants.len().div_ceil(fit).max(1);
    for variants in scenario.variants.chunks(scenario.variants.len().div_ceil(tables).max(1)) {
        out.push('\n');
        footprints(out, variants, dimensions, width);
    }
    out.push('\n');
    for variant in &scenario.variants {
        for (index, text) in wrapped(&variant.title, usize::from(width) - 16).iter().enumerate() {
            let id = if index == 0 { variant.id.as_str() } else { "" };
            line(out, &paint.dim(&format!("{id:<12}{text}")));
        }
    }
    undeclared(out, scenario, dimensions, width, paint);
    avoided(out, scenario, width);
    agreement(out, scenario, width, paint);
    expectations(out, scenario, width, paint);
}

/// Rows are dimensions; each row has one unit.
fn footprints(
    out: &mut String,
    variants: &[VariantFinding],
    dimensions: &[DimensionName],
    width: u16,
) {
    let ids = variants.iter().map(|variant| variant.id.as_str());
    let mut footprints = table(["footprint"].into_iter().chain(ids));
    for (index, dimension) in dimensions.iter().enumerate() {
        // The ratings are shown as averages below.
        if dimension.name.contains(" x ") {
            continue;
        }
        let values = variants.iter().map(|v| (v.footprint[index].is_some(), v.known[index]));
        let values: Vec<(bool, i128)> = values.collect();
        let largest = values.iter().map(|(_, value)| value.abs()).max();
        let Some(largest) = largest.filter(|largest| *largest > 0) else { continue };
        let scale = units::scale(dimension.unit, largest);
        let mut cells = vec![format!("{}, {}", dimension.name, scale.name)];
        cells.extend(values.iter().map(|(declared, value)| match (declared, value) {
            (true, value) => units::scaled(*value, &scale),
            (false, 0) => "n/d".to_owned(),
            (false, value) if *value < 0 => format!("≤ {}", units::scaled(*value, &scale)),
            (false, value) => format!("≥ {}", units::scaled(*value, &scale)),
        }));
        row(&mut footprints, &cells);
    }
    for (place, tier) in ["measured", "derived", "default"].into_iter().enumerate() {
        let share = |variant: &VariantFinding| format!("{:.0} %", 100.0 * variant.tiers[place]);
        let cells = std::iter::once(format!("evidence: {tier}"));
        row(&mut footprints, &cells.chain(variants.iter().map(share)).collect::<Vec<_>>());
    }
    let quality = |variant: &VariantFinding| {
        let [technology, geography, time] = variant.quality;
        format!("{technology:.1}/{geography:.1}/{time:.1}")
    };
    let cells = std::iter::once("quality (tech/geo/time, 1-5)".to_owned());
    row(&mut footprints, &cells.chain(variants.iter().map(quality)).collect::<Vec<_>>());
    put(out, &mut footprints, width);
}

/// What no variant declares, and what is zero everywhere: said, not hidden.
fn undeclared(
    out: &mut String,
    scenario: &ScenarioFinding,
    dimensions: &[DimensionName],
    width: u16,
    paint: Paint,
) {
    let mut nowhere = Vec::new();
    let mut zero = Vec::new();
    for (index, dimension) in dimensions.iter().enumerate() {
        let variants = || scenario.variants.iter();
        if variants().any(|variant| variant.known[index] != 0) {
            continue;
        }
        if variants().all(|variant| variant.footprint[index].is_none()) {
            nowhere.push(dimension.name);
        } else {
            zero.push(dimension.name);
        }
    }
    out.push('\n');
    let bound = "≥ (or ≤): some source does not declare it; what is declared adds up to so much.";
    paragraph(out, bound, width, |text| paint.dim(text));
    let meters = "Every meter here is simulated: its readings book as default, never as measured.";
    paragraph(out, meters, width, |text| paint.dim(text));
    for (what, names) in
        [("Not declared (n/d), so not known", nowhere), ("Zero where declared", zero)]
    {
        if !names.is_empty() {
            let text = format!("{what}: {}.", names.join("; "));
            paragraph(out, &text, width, |text| paint.dim(text));
        }
    }
}

fn avoided(out: &mut String, scenario: &ScenarioFinding, width: u16) {
    for variant in &scenario.variants {
        let Some(avoided) = &variant.avoided else { continue };
        let climate = Dimension::Climate as usize;
        let Some(value) = avoided.footprint[climate] else { continue };
        let value = units::readable(Dimension::Climate.unit(), value);
        let text = format!(
            "{} avoids {value}: {} (beside the footprint, never netted into it)",
            variant.id, avoided.what,
        );
        paragraph(out, &text, width, str::to_owned);
    }
}

/// Whether the ledger booked what the file computes.
fn agreement(out: &mut String, scenario: &ScenarioFinding, width: u16, paint: Paint) {
    let text = match scenario.as_computed {
        None => return,
        Some(true) => "The ledger booked, to the last unit, what the file computes.",
        Some(false) => {
            "The ledger booked something else than the file computes: is the published factor set \
             another one?"
        }
    };
    paragraph(out, text, width, |text| paint.dim(text));
}

fn expectations(out: &mut String, scenario: &ScenarioFinding, width: u16, paint: Paint) {
    if scenario.expectations.is_empty() {
        return;
    }
    out.push('\n');
    line(out, &paint.bold("What the study expects"));
    for verdict in &scenario.expectations {
        verdict::show(out, verdict, width, paint);
    }
}
