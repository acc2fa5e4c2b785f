//! How quantities, footprints and times are shown.

use super::*;
use proptest::prelude::*;

#[test]
fn quantities_are_shown_in_the_largest_unit_that_fits() {
    let table = [
        (0, Unit::Joule, "0 J"),
        (3_599, Unit::Joule, "3599 J"),
        (3_600, Unit::Joule, "1 Wh"),
        (6_480_000, Unit::Joule, "1.8 kWh"),
        (999, Unit::Milligram, "999 mg"),
        (120_000, Unit::Milligram, "120 g"),
        (1_234_567, Unit::Milligram, "1.235 kg"),
        (1_999_999, Unit::Milligram, "2 kg"),
        (12, Unit::Piece, "12 piece"),
        (5_000_000, Unit::KilogramMetre, "5 tkm"),
        (u64::MAX, Unit::Second, "5124095576030431.004 h"),
    ];
    for (amount, unit, shown) in table {
        assert_eq!(quantity(Quantity::new(amount, unit)), shown);
    }
}

#[test]
fn components_keep_their_substance_and_sign() {
    let table = [
        (Dimension::Climate, 342_060_000_000, "342.06 g CO2e"),
        (Dimension::BiogenicUptake, -1_833_000_000_000, "-1.833 kg CO2e"),
        (Dimension::AbioticDepletion, 87, "87 ng Sb-eq"),
        (Dimension::Energy, 3_600_000, "1 kWh"),
        (Dimension::Climate, i128::MAX, "170141183460469231731687.304 t CO2e"),
    ];
    for (dimension, value, shown) in table {
        assert_eq!(component(dimension, value), shown);
    }
}

#[test]
fn times_are_utc_and_absurd_ones_do_no_harm() {
    assert_eq!(time(Timestamp::new(1_700_000_000_000)), "2023-11-14T22:13:20Z");
    assert_eq!(time(Timestamp::ZERO), "never");
    assert_eq!(time(Timestamp::new(u64::MAX)), "18446744073709551615 ms");
}

proptest! {
    #[test]
    fn every_amount_can_be_shown(value: i128, amount: u64, millis: u64) {
        for dimension in Dimension::ALL {
            prop_assert_eq!(component(*dimension, value).starts_with('-'), value < 0);
        }
        for unit in Unit::ALL {
            prop_assert!(!quantity(Quantity::new(amount, *unit)).is_empty());
        }
        prop_assert!(!time(Timestamp::new(millis)).is_empty());
    }

    /// What is shown is what was meant, to half a thousandth of the unit shown.
    #[test]
    fn shown_masses_are_near(milligrams in 0..1_000_000_000_000_u64) {
        let shown = quantity(Quantity::new(milligrams, Unit::Milligram));
        let read = crate::cli::amount::register(&shown).unwrap();
        let off = read.amount.abs_diff(milligrams);
        prop_assert!(off.saturating_mul(1_000) <= milligrams, "{shown} is off by {off} mg");
    }
}

#[test]
fn what_is_not_declared_is_no_zero() {
    use kerbholz_client::ledger::footprint::DimensionSet;
    for (undeclared, value, shown) in [
        (false, 1_500, "1.5 L"),
        (false, 0, "0 mL"),
        (true, 1_500, "at least 1.5 L"),
        (true, 0, "not declared"),
    ] {
        let mut footprint = Footprint::ZERO;
        footprint.set(Dimension::Water, value);
        if undeclared {
            footprint.undeclared = DimensionSet::of(&[Dimension::Water]);
        }
        assert_eq!(declared(&footprint, Dimension::Water), shown);
    }
}
