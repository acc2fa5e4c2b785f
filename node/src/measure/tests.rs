//! Amounts: what they come to, what is refused, and that they are exact.

use super::*;
use proptest::prelude::*;

fn value(text: &str) -> Result<Evaluated, Reason> {
    evaluate(text, |name| match name {
        "shell" => evaluate("14 g", |_| None).ok().map(|value| value.measure),
        "energy" => evaluate("107.39 MJ/kg", |_| None).ok().map(|value| value.measure),
        _ => None,
    })
}

#[test]
fn amounts_in_base_units() {
    let cases = [
        ("1 kWh", 3_600_000, Unit::Joule),
        ("0.34206 MWh", 1_231_416_000, Unit::Joule),
        ("1.5 kg", 1_500_000, Unit::Milligram),
        ("1e3 g", 1_000_000, Unit::Milligram),
        ("12_000 mg", 12_000, Unit::Milligram),
        ("2 L", 2_000, Unit::Millilitre),
        ("1 m3", 1_000_000, Unit::Millilitre),
        ("3 pieces", 3, Unit::Piece),
        ("8943 km", 8_943_000_000, Unit::Millimetre),
        ("1 tkm", 1_000_000, Unit::KilogramMetre),
        ("12 kg*km", 12_000, Unit::KilogramMetre),
        ("9000 km * shell", 126_000, Unit::KilogramMetre),
        ("2 GB", 2_000_000_000, Unit::Byte),
        ("shell / (100 % - 30 %)", 20_000, Unit::Milligram),
        ("shell / (1 - 30 %) - shell", 6_000, Unit::Milligram),
        ("1 kg - 2 * (100 g + 50 g)", 700_000, Unit::Milligram),
        ("-1 * -2 kg", 2_000_000, Unit::Milligram),
        ("1.5 h", 5_400, Unit::Second),
        ("shell * energy", 1_503_460, Unit::Joule),
        ("shell / 70 %", 20_000, Unit::Milligram),
        ("14 g / 0.7", 20_000, Unit::Milligram),
        ("3 kWh / 2 kg * shell", 75_600, Unit::Joule),
    ];
    for (text, amount, unit) in cases {
        let quantity = value(text).and_then(|value| value.quantity());
        assert_eq!(quantity, Ok(Quantity::new(amount, unit)), "{text}");
    }
}

#[test]
fn what_is_no_amount() {
    let cases = [
        ("", "a number is missing"),
        ("kg kg", "two words"),
        ("1 2 kg", "two numbers"),
        ("1 kg kg", "two words"),
        ("1 shell", "unknown unit"),
        ("* 2 kg", "an operator"),
        ("2 kg *", "a number is missing"),
        ("1. kg", "not a decimal number"),
        (".5 kg", "has no meaning here"),
        ("1,5 kg", "write a decimal point"),
        ("1-2 kg", "no unit and mg cannot be added up"),
        ("(1 kg", "a parenthesis is not closed"),
        ("1 kg)", "a parenthesis closes that none has opened"),
        ("((((((((((((((((((1 kg))))))))))))))))))", "too many parentheses"),
        ("() kg", "an operator"),
        ("1 kg -", "a number is missing"),
        ("1 - inf", "it is no number"),
        ("1 kg / 0", "divides by zero"),
        ("1e99 kg", "not a decimal number"),
        ("9e37 kg", "does not fit"),
        ("sand", "unknown unit or figure `sand`"),
        ("1 kg/piece", "in a compound unit"),
        ("12", "in no unit"),
        ("-1 kg", "negative"),
        ("1e16 kg", "too large"),
        ("0.5 mg", "not a whole number of mg"),
        ("1 g / 3", "not a whole number of mg"),
    ];
    for (text, says) in cases {
        let reason = value(text).and_then(|value| value.quantity());
        let said = reason.map_or_else(|reason| reason.to_string(), |quantity| quantity.to_string());
        assert!(said.contains(says), "{text}: {said}");
    }
}

#[test]
fn what_an_amount_is_made_of() {
    let made = value("shell * 9000 km").unwrap();
    assert!(made.literal && made.figures.contains("shell"));
    let made = value("2 * shell / 70 %").unwrap();
    assert!(!made.literal, "a plain number or a share needs no citation");
    assert_eq!(value("30 %").unwrap().ppm(), Ok(300_000));
    assert_eq!(value("25 ppm").unwrap().ppm(), Ok(25));
    assert!(value("0.5 ppm").unwrap().ppm().is_err());
    assert!(value("-1 %").unwrap().ppm().is_err());
}

proptest! {
    #[test]
    fn decimals_are_read_exactly(digits in 0_u64..10_000_000_000, places in 0_u32..7) {
        let scale = 10_u64.pow(places);
        let width = places as usize;
        let text = if places == 0 {
            format!("{digits} kg")
        } else {
            format!("{}.{:0width$} kg", digits / scale, digits % scale)
        };
        let quantity = value(&text).unwrap().quantity();
        // A kilogram is 10^6 mg: up to six places, everything is whole.
        prop_assert_eq!(quantity, Ok(Quantity::new(digits * (1_000_000 / scale), Unit::Milligram)));
    }

    #[test]
    fn multiplying_and_dividing_by_the_same_changes_nothing(
        grams in 1_u32..1_000_000,
        by in 1_u32..1_000_000,
    ) {
        let there_and_back = format!("{grams} g * {by} kWh/kg / {by} kWh * 1 kg");
        let same = format!("{grams} g");
        prop_assert_eq!(
            value(&there_and_back).unwrap().measure,
            value(&same).unwrap().measure
        );
    }

    #[test]
    fn a_ratio_is_in_lowest_terms_and_keeps_its_value(a in -1_000_i128..1_000, b in 1_i128..1_000) {
        let ratio = Ratio::new(a * 12, b * 12).unwrap();
        prop_assert_eq!(ratio, Ratio::new(a, b).unwrap());
        prop_assert_eq!(ratio.numerator() * b, a * ratio.denominator());
        prop_assert!(ratio.denominator() > 0);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}") {
        let _ = value(&text).and_then(|value| value.quantity());
    }
}
