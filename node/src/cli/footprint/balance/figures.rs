//! Shares and intensities, rounded for people.

use super::super::super::view;
use super::super::tree::share;
use kerbholz_client::ledger::quantity::{Quantity, Unit};

/// A share of a whole, for people.
pub(super) fn percent_of(part: u128, whole: u128) -> String {
    let signed = |value: u128| i128::try_from(value).unwrap_or(i128::MAX);
    share(signed(part), signed(whole))
}

/// How many base units intensities are per, and what that is called.
pub(super) const fn unit_of(unit: Unit) -> (i128, &'static str) {
    match unit {
        Unit::Joule => (3_600_000, "kWh"),
        Unit::Milligram => (1_000_000, "kg"),
        Unit::Millilitre => (1_000, "L"),
        Unit::Piece => (1, "piece"),
        Unit::Millimetre => (1_000, "m"),
        Unit::KilogramMetre => (1_000_000, "tkm"),
        Unit::Byte => (1_000_000_000, "GB"),
        Unit::Second => (3_600, "h"),
    }
}

/// `value * per / amount`, rounded half up; nothing where there is no amount, or it does not fit.
pub(super) fn intensity(value: i128, per: i128, amount: u128) -> Option<i128> {
    let amount = i128::try_from(amount).ok().filter(|amount| *amount > 0)?;
    value.checked_mul(per)?.checked_add(amount / 2).map(|twice| twice.div_euclid(amount))
}

/// A quantity that may be larger than any lot, for people.
pub(super) fn total_quantity(amount: u128, unit: Unit) -> String {
    match u64::try_from(amount) {
        Ok(amount) => view::quantity(Quantity::new(amount, unit)),
        Err(_) => format!("{amount} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intensities_are_per_unit_and_rounded() {
        for (value, per, amount, expected) in [
            (10, 1, 4, Some(3)),
            (9, 1, 4, Some(2)),
            (-10, 1, 4, Some(-2)),
            (342, 3_600_000, 7_200_000, Some(171)),
            (5, 1, 0, None),
            (i128::MAX, 3_600, 1, None),
        ] {
            assert_eq!(intensity(value, per, amount), expected, "{value} * {per} / {amount}");
        }
    }

    #[test]
    fn shares_have_a_decimal_and_a_sign() {
        for (value, whole, expected) in [
            (1, 3, "33.3 %"),
            (2, 3, "66.7 %"),
            (-1, 8, "-12.5 %"),
            (-1, -8, "12.5 %"),
            (0, 7, "0.0 %"),
            (1, 1_000_000, "0.0 %"),
            (1, 0, ""),
        ] {
            assert_eq!(share(value, whole), expected, "{value} of {whole}");
        }
        assert_eq!(percent_of(u128::MAX, u128::MAX), "100.0 %");
        assert_eq!(total_quantity(3_600_000, Unit::Joule), "1 kWh");
        assert_eq!(total_quantity(1 << 70, Unit::Piece), "1180591620717411303424 piece");
    }
}
