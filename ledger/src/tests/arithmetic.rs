//! The arithmetic of footprints: rounding, sharing out, evidence tiers, what is not declared.

use super::world::factor;
use crate::factor::{DERIVED_DIMENSIONS, Standing};
use crate::footprint::{
    Dimension, DimensionSet, EvidenceTier, Footprint, GwpSet, Overflow, mul_div_half_even,
};
use crate::quantity::{Quantity, Unit};
use std::vec::Vec;

#[test]
fn a_factor_rounds_half_to_even() {
    for (value, amount, reference, expected) in [
        (1, 1, 2, 0),
        (3, 1, 2, 2),
        (5, 1, 2, 2),
        (-1, 1, 2, 0),
        (-3, 1, 2, -2),
        (7, 1, 3, 2),
        (8, 1, 3, 3),
        (-7, 1, 3, -2),
        (-8, 1, 3, -3),
        (10, 3, 10, 3),
        (i128::MAX, u64::MAX, u64::MAX, i128::MAX),
    ] {
        let result = mul_div_half_even(value, amount, reference);
        assert_eq!(result, Ok(expected), "{value} x {amount} / {reference}");
    }
    assert_eq!(mul_div_half_even(i128::MAX, 2, 1), Err(Overflow));
    assert_eq!(mul_div_half_even(1, 1, 0), Err(Overflow));
}

fn climate(value: i128) -> Footprint {
    let mut footprint = Footprint::ZERO;
    footprint.set(Dimension::Climate, value);
    footprint
}

#[test]
fn what_is_left_over_goes_to_the_largest_remainders_then_to_the_first() {
    let shares = |value, weights: &[u64]| {
        let parts = climate(value).allocate(weights).expect("allocate");
        parts.iter().map(|part| part.get(Dimension::Climate)).collect::<Vec<_>>()
    };
    assert_eq!(shares(10, &[1, 1, 1]), [4, 3, 3]);
    assert_eq!(shares(11, &[1, 1, 1]), [4, 4, 3]);
    assert_eq!(shares(1, &[3, 3, 4]), [0, 0, 1]);
    assert_eq!(shares(2, &[3, 3, 4]), [1, 0, 1]);
    assert_eq!(shares(-10, &[1, 1, 1]), [-3, -3, -4]);
    assert_eq!(shares(7, &[0, 5, 0]), [0, 7, 0]);
    assert_eq!(shares(i128::MIN, &[u64::MAX, 0]), [i128::MIN, 0]);
}

#[test]
fn sums_that_do_not_fit_are_refused() {
    assert_eq!(climate(i128::MAX).checked_add(&climate(1)), Err(Overflow));
    assert_eq!(climate(i128::MIN).checked_sub(&climate(1)), Err(Overflow));
}

#[test]
fn not_declared_is_carried_and_never_zero() {
    let kilogram = Quantity::new(1_000_000, Unit::Milligram);
    let one = factor("one", kilogram, &[(Dimension::Climate, 10), (Dimension::Water, 0)]);
    let mut two = factor("two", kilogram, &[(Dimension::Climate, 10), (Dimension::Energy, 5)]);
    two.gwp_set = GwpSet::Ar5;
    let book =
        |of: &crate::factor::Factor| of.apply(2_000_000, EvidenceTier::Derived).expect("fits");
    let (one, two) = (book(&one), book(&two));
    assert_eq!(one.declared(Dimension::Water), Some(0));
    assert_eq!(one.declared(Dimension::Energy), None);
    assert!(DERIVED_DIMENSIONS.iter().all(|dimension| one.declared(dimension).is_some()));
    let sum = one.checked_add(&two).expect("fits");
    assert_eq!(sum.declared(Dimension::Climate), Some(40));
    assert_eq!((sum.declared(Dimension::Water), sum.declared(Dimension::Energy)), (None, None));
    assert_eq!(sum.get(Dimension::Energy), 10);
    assert!(sum.gwp_sets.is_mixed() && !one.gwp_sets.is_mixed());
    // A part of something not declared is not declared, and neither is what remains of it.
    let part = sum.share(1, 3).expect("fits");
    assert_eq!(part.declared(Dimension::Water), None);
    assert_eq!(sum.checked_sub(&part).expect("fits").undeclared, sum.undeclared);
}

#[test]
fn a_figure_that_is_not_to_be_relied_on_is_a_default_whoever_measured() {
    let piece = Quantity::new(1, Unit::Piece);
    for (standing, tier) in [
        (Standing::Verified, Dimension::ClimateMeasured),
        (Standing::Quoted, Dimension::ClimateMeasured),
        (Standing::Unverified, Dimension::ClimateDefault),
        (Standing::Proxy, Dimension::ClimateDefault),
    ] {
        let mut one = factor("one", piece, &[(Dimension::Climate, 10)]);
        one.standing = standing;
        let footprint = one.apply(3, EvidenceTier::Measured).expect("fits");
        assert_eq!(footprint.get(tier), 30, "{standing:?}");
        let ratings = [
            Dimension::ClimateByTechnologyRating,
            Dimension::ClimateByGeographyRating,
            Dimension::ClimateByTimeRating,
        ];
        assert_eq!(ratings.map(|rating| footprint.get(rating)), [30, 60, 90]);
    }
}

#[test]
fn a_set_of_dimensions_is_a_set() {
    let some = DimensionSet::of(&[Dimension::Energy, Dimension::ClimateByTimeRating]);
    assert_eq!(some.iter().count(), 2);
    assert_eq!(some.union(some.complement()), DimensionSet::ALL);
    assert!(some.intersection(some.complement()).is_empty());
    assert!(some.is_valid() && DimensionSet::ALL.is_valid());
    let outside: DimensionSet = serde_json::from_str("8388608").expect("a number");
    assert!(!outside.is_valid(), "bit 23 is no dimension");
}
