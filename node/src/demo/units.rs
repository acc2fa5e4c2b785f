//! Exact integers of the ledger, rounded to three digits in units that people read.

/// A unit for reading: what one of it is in the ledger's unit, and its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    /// How many of the ledger's unit it is.
    pub per: f64,
    /// Its name.
    pub name: String,
}

/// The steps of a family of units, descending.
fn steps(unit: &str) -> (&'static [(f64, &'static str)], &str) {
    const MASS: &[(f64, &str)] = &[(1e9, "t"), (1e6, "kg"), (1e3, "g"), (1.0, "mg")];
    const ENERGY: &[(f64, &str)] = &[(1e9, "GJ"), (1e6, "MJ"), (1e3, "kJ"), (1.0, "J")];
    const VOLUME: &[(f64, &str)] = &[(1e6, "m³"), (1e3, "L"), (1.0, "mL")];
    const NANO: &[(f64, &str)] =
        &[(1e15, "t"), (1e12, "kg"), (1e9, "g"), (1e6, "mg"), (1e3, "µg"), (1.0, "ng")];
    const TRANSPORT: &[(f64, &str)] = &[(1e6, "t·km"), (1e3, "kg·km"), (1.0, "kg·m")];
    match unit {
        "mg" => (MASS, ""),
        "J" => (ENERGY, ""),
        "mL" => (VOLUME, ""),
        "kg·m" => (TRANSPORT, ""),
        _ => match unit.strip_prefix("ng") {
            Some(of) => (NANO, of),
            None => (&[], unit),
        },
    }
}

/// The unit in which this largest value reads best.
#[expect(clippy::cast_precision_loss, reason = "rounded for reading only")]
pub fn scale(unit: &str, largest: i128) -> Scale {
    let magnitude = largest.unsigned_abs() as f64;
    let (steps, of) = steps(unit);
    let fitting = steps.iter().find(|(per, _)| magnitude >= *per).or(steps.last());
    match fitting {
        Some((per, name)) => {
            Scale { per: *per, name: format!("{name}{}", of.replace("CO2", "CO₂")) }
        }
        None => Scale { per: 1.0, name: unit.to_owned() },
    }
}

/// A value in a scale, to three digits.
#[expect(clippy::cast_precision_loss, reason = "rounded for reading only")]
pub fn scaled(value: i128, scale: &Scale) -> String {
    number(value as f64 / scale.per)
}

/// A value with the unit in which it reads best.
pub fn readable(unit: &str, value: i128) -> String {
    let scale = scale(unit, value);
    format!("{} {}", scaled(value, &scale), scale.name)
}

/// A number to three digits, thousands set apart.
pub fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 {
        return "0".to_owned();
    }
    if magnitude < 0.001 {
        return format!("{value:.1e}");
    }
    let decimals = match magnitude {
        m if m >= 100.0 => 0,
        m if m >= 10.0 => 1,
        m if m >= 1.0 => 2,
        _ => 3,
    };
    grouped(&format!("{value:.decimals$}"))
}

/// Sets the thousands of a decimal number apart.
fn grouped(text: &str) -> String {
    let (whole, rest) = text.split_once('.').map_or((text, None), |(w, r)| (w, Some(r)));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut out = sign.to_owned();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(rest) = rest {
        out.push('.');
        out.push_str(rest);
    }
    out
}

/// Bytes, for people.
#[expect(clippy::cast_precision_loss, reason = "rounded for reading only")]
pub fn bytes(value: u64) -> String {
    let value = value as f64;
    match value {
        v if v >= 1024.0 * 1024.0 => format!("{} MiB", number(v / (1024.0 * 1024.0))),
        v if v >= 1024.0 => format!("{} KiB", number(v / 1024.0)),
        v => format!("{v} B"),
    }
}

/// Money in minor units.
pub fn money(minor: u64, currency: &str) -> String {
    format!("{}.{:02} {currency}", grouped(&(minor / 100).to_string()), minor % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_in_the_unit_that_suits_them() {
        for (unit, value, text) in [
            ("ng CO2e", 12_345_678_901_234, "12.3 kg CO₂e"),
            ("ng CO2e", 0, "0 ng CO₂e"),
            ("ng Sb-eq", 8_515, "8.52 µg Sb-eq"),
            ("J", 83_000_000, "83.0 MJ"),
            ("mg", 1_250_000, "1.25 kg"),
            ("mg", -1_250, "-1.25 g"),
            ("kg·m", 8_860_000, "8.86 t·km"),
            ("piece", 1, "1.00 piece"),
            ("ng CO2e", 4_734_000_000_000_000_000, "4,734 t CO₂e"),
        ] {
            assert_eq!(readable(unit, value), text);
        }
        assert_eq!(money(1_234_567, "EUR"), "12,345.67 EUR");
        assert_eq!(bytes(150 << 20), "150 MiB");
    }
}
