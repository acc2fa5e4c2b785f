//! What people type, as tables: read exactly, or refused.

use super::*;
use proptest::prelude::*;

#[test]
fn amounts_are_read_exactly() {
    let table = [
        ("1.5 kg", 1_500_000, Unit::Milligram),
        ("3.2 kWh", 11_520_000, Unit::Joule),
        ("12 pieces", 12, Unit::Piece),
        ("1 piece", 1, Unit::Piece),
        ("0.1 Wh", 360, Unit::Joule),
        ("12 tkm", 12_000_000, Unit::KilogramMetre),
    ];
    for (text, amount, unit) in table {
        assert_eq!(quantity(text), Ok(Quantity::new(amount, unit)), "{text}");
    }
    for text in ["", "12", "kg", "1.5 stones", "0 kg", "-1 kg", "0.0001 mg", "1 kg 2", "1e40 kg"] {
        assert!(quantity(text).is_err(), "{text:?}");
    }
}

#[test]
fn prices_have_a_currency_and_at_most_two_decimals() {
    let table = [
        ("25.00 EUR", 2_500, "EUR"),
        ("25 EUR", 2_500, "EUR"),
        ("0.1 EUR", 10, "EUR"),
        ("0.07 CHF", 7, "CHF"),
        ("0 EUR", 0, "EUR"),
    ];
    for (text, minor, currency) in table {
        assert_eq!(price(text), Ok(Price { currency: currency.into(), minor }), "{text}");
    }
    let huge = format!("{} EUR", u64::MAX);
    for text in ["", "25", "EUR", "25.001 EUR", "-1 EUR", "1. EUR", ".5 EUR", "1,5 EUR", &huge] {
        assert!(price(text).is_err(), "{text:?}");
    }
    assert_eq!(money(2_507, "EUR"), "25.07 EUR");
}

#[test]
fn times_have_a_unit() {
    assert_eq!(span("90s"), Ok(Duration::from_secs(90)));
    assert_eq!(span("1h 30min"), Ok(Duration::from_secs(5_400)));
    assert_eq!(span("1d"), Ok(Duration::from_secs(86_400)));
    for text in ["", "90", "1 fortnight", "-1h"] {
        assert!(span(text).is_err(), "{text:?}");
    }
}

#[test]
fn shares_name_a_lot_and_perhaps_an_amount() {
    let all = Share { lot: "0123ab".into(), amount: None };
    assert_eq!(share("0123ab"), Ok(all));
    let some = Quantity::new(120_000, Unit::Milligram);
    assert_eq!(
        share("PA12 powder:120 g"),
        Ok(Share { lot: "PA12 powder".into(), amount: Some(some) })
    );
    assert!(share("PA12 powder:much").is_err());
}

#[test]
fn outputs_weigh_what_they_say() {
    let bracket = Made {
        product: "bracket".into(),
        quantity: Quantity::new(1, Unit::Piece),
        mass: Milligrams::new(100_000),
        weight: None,
    };
    assert_eq!(made("bracket=1 piece,mass=100 g"), Ok(bracket.clone()));
    assert_eq!(
        made("bracket=1 piece, mass=100 g, weight=3"),
        Ok(Made { weight: Some(3), ..bracket })
    );
    assert_eq!(made("powder=20 g").map(|made| made.mass), Ok(Milligrams::new(20_000)));
    for text in ["bracket", "bracket=1", "bracket=1 piece,mass=1 J", "bracket=1 piece,colour=red"] {
        assert!(made(text).is_err(), "{text:?}");
    }
}

#[test]
fn activities_name_a_factor() {
    let truck = Done {
        name: "transport".into(),
        amount: Quantity::new(12_000_000, Unit::KilogramMetre),
        factor: "transport.truck".into(),
    };
    assert_eq!(done("transport=12 tkm@transport.truck"), Ok(truck));
    for text in ["transport", "transport=12 tkm", "=12 tkm@x", "transport=12 tkm@", "a=b@c"] {
        assert!(done(text).is_err(), "{text:?}");
    }
}

#[test]
fn climate_is_a_mass_with_or_without_its_substance() {
    assert_eq!(climate("1.2 kg"), Ok(1_200_000_000_000));
    assert_eq!(climate("1.2 kg CO2e"), Ok(1_200_000_000_000));
    assert!(climate("1.2 kWh").is_err());
    assert!(climate("much").is_err());
}

#[test]
fn dimensions_have_names() {
    let both = DimensionSet::of(&[Dimension::Energy, Dimension::AbioticDepletion]);
    assert_eq!(dimensions("energy, abiotic depletion"), Ok(both));
    assert_eq!(dimensions(""), Ok(DimensionSet::EMPTY));
    assert!(dimensions("energie").is_err());
}

#[test]
fn names_can_be_file_names() {
    for text in ["press", "printer-meter", "a.b_c"] {
        assert_eq!(name(text), Ok(text.to_owned()));
    }
    for text in ["", ".hidden", "a/b", "../a", "zwei worte", &"a".repeat(65)] {
        assert!(name(text).is_err(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn money_is_read_as_it_is_written(minor: u64) {
        let currency = "EUR".to_owned();
        prop_assert_eq!(price(&money(minor, "EUR")), Ok(Price { currency, minor }));
    }

    #[test]
    fn nothing_that_is_typed_panics(text in ".{0,40}", number in "-?[0-9]{0,42}(\\.[0-9]{0,42})?") {
        let numbered = format!("{number} kg");
        for text in [&text, &numbered, &format!("a={numbered}@{text}"), &format!("{text}:{numbered}")] {
            let _ = (quantity(text), mass(text), climate(text), price(text), span(text));
            let _ = (share(text), made(text), done(text), dimensions(text), name(text));
        }
    }
}
