//! Numbers and names as people read them, rounded for reading only.

use super::Operand;
use crate::measure::Ratio;
use crate::scenario::Tag;
use kerbholz_ledger::footprint::Dimension;

pub(super) fn whole(value: i128) -> Ratio {
    Ratio::new(value, 1).unwrap_or(Ratio::ONE)
}

pub(super) fn describe(tag: &Tag) -> String {
    let stage = tag.stage.to_string();
    tag.component.as_ref().map_or(stage.clone(), |component| format!("{stage} ({component})"))
}

pub(super) fn name(operand: &Operand) -> String {
    let mut words = vec![operand.variant.clone()];
    if operand.avoided {
        words.push("avoided".to_owned());
    }
    words.extend(operand.part.stage.map(|stage| stage.to_string()));
    words.extend(operand.part.component.clone());
    if operand.per != Ratio::ONE {
        words.push(format!("per {}", decimal(operand.per)));
    }
    words.join(" ")
}

#[expect(clippy::cast_precision_loss, reason = "rounded for reading only")]
pub(super) fn float(ratio: Ratio) -> f64 {
    ratio.numerator() as f64 / ratio.denominator() as f64
}

pub(super) fn decimal(ratio: Ratio) -> String {
    rounded(float(ratio))
}

pub(super) fn rounded(value: f64) -> String {
    if value.abs() < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

pub(super) fn percent(ratio: Ratio) -> String {
    format!("{:.1} %", float(ratio) * 100.0)
}

/// An amount with a readable prefix: `84.0 g CO2e` of `ng CO2e`.
pub(super) fn amount(value: Ratio, dimension: Dimension) -> String {
    let value = float(value);
    let Some(substance) = dimension.unit().strip_prefix("ng ") else {
        return format!("{value:.0} {}", dimension.unit());
    };
    let prefixes = [(1e12, "kg"), (1e9, "g"), (1e6, "mg"), (1e3, "µg")];
    let (scale, prefix) =
        prefixes.into_iter().find(|(scale, _)| value.abs() >= *scale).unwrap_or((1.0, "ng"));
    format!("{:.1} {prefix} {substance}", value / scale)
}
