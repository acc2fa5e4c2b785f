//! Each kind of check with each outcome, and the shipped expectations over an independent sum of
//! factor times amount (the demo takes what the ledger booked instead).

use super::*;
use crate::factors::{DEFAULT, FactorFile};
use crate::scenario::fixtures::{SCENARIO, changed, factors, parse};
use crate::scenario::{Action, Variant, shipped};
use Judgement::{CannotBeJudged, DoesNotHold, Holds};
use kerbholz_ledger::footprint::EvidenceTier;

/// What the sources of a variant book, straight from the factors.
fn sources(scenario: &Scenario, variant: &Variant, factors: &FactorFile) -> Booked {
    let mut booked = Booked::default();
    for step in &variant.steps {
        let sources: Vec<(String, u64)> = match &step.action {
            Action::Declare(lot) => {
                let unit = factors.get(&lot.factor).unwrap().reference.unit;
                let by_mass = unit != lot.quantity.unit;
                let amount = if by_mass { lot.mass.get() } else { lot.quantity.amount };
                vec![(lot.factor.clone(), amount)]
            }
            Action::Read(read) => vec![(scenario.meters[&read.meter].factor.clone(), read.joules)],
            Action::Order(order) => order
                .activities
                .iter()
                .map(|activity| (activity.factor.clone(), activity.amount.amount))
                .collect(),
            Action::Sink(_) => Vec::new(),
        };
        for (code, amount) in sources {
            let footprint = factors.get(&code).unwrap().apply(amount, step.tier).unwrap();
            let sum = booked.by_tag.entry(step.tag.clone().unwrap()).or_default();
            *sum = sum.checked_add(&footprint).unwrap();
        }
    }
    booked.avoided = variant.avoided.as_ref().map(|avoided| {
        let factor = factors.get(&avoided.factor).unwrap();
        factor.apply(avoided.amount.amount, EvidenceTier::Derived).unwrap()
    });
    booked
}

fn all_sources(scenario: &Scenario, factors: &FactorFile) -> BTreeMap<String, Booked> {
    let of = |variant: &Variant| (variant.id.clone(), sources(scenario, variant, factors));
    scenario.variants.iter().map(of).collect()
}

/// `small` books 7 kg material, 1 kg processing, 0.1 kg transport; `large` twice that, and avoids
/// 2.5 kg.
const CHECKS: &[(&str, Judgement, &str)] = &[
    // share
    (
        "check = \"share\"\nvariants = [\"small\", \"large\"]\npart = [{ stage = \"material\" }]\nat_least = \"86 %\"",
        Holds,
        "small 86.4 %, large 86.4 %",
    ),
    (
        "check = \"share\"\nvariants = [\"small\"]\npart = [{ stage = \"material\" }]\nat_least = \"87 %\"",
        DoesNotHold,
        "small 86.4 %",
    ),
    (
        "check = \"share\"\nvariants = [\"small\"]\npart = [{ component = \"road\" }, { stage = \"processing\" }]\nat_most = \"14 %\"",
        Holds,
        "small 13.6 %",
    ),
    (
        "dimension = \"energy\"\ncheck = \"share\"\nvariants = [\"small\"]\npart = [{ stage = \"processing\" }]\nat_least = \"1 %\"",
        CannotBeJudged,
        "energy is not declared in small for material, transport (road)",
    ),
    // ratio
    (
        "check = \"ratio\"\nof = { variant = \"large\" }\nover = { variant = \"small\" }\nat_least = \"2\"\nat_most = \"2\"",
        Holds,
        "large is 2.00 times small",
    ),
    (
        "check = \"ratio\"\nof = { variant = \"large\", avoided = true }\nover = { variant = \"large\" }\nat_least = \"60\"",
        DoesNotHold,
        "large avoided is 0.15 times large",
    ),
    (
        "dimension = \"energy\"\ncheck = \"ratio\"\nof = { variant = \"large\", stage = \"processing\" }\nover = { variant = \"small\", stage = \"processing\" }\nat_most = \"2\"",
        Holds,
        "large processing is 2.00 times small processing",
    ),
    (
        "dimension = \"waste\"\ncheck = \"ratio\"\nof = { variant = \"small\", stage = \"material\" }\nover = { variant = \"large\", stage = \"material\" }\nat_least = \"1\"",
        CannotBeJudged,
        "large material has no waste",
    ),
    (
        "dimension = \"human_toxicity\"\ncheck = \"ratio\"\nof = { variant = \"large\", avoided = true }\nover = { variant = \"small\" }\nat_least = \"1\"",
        CannotBeJudged,
        "human toxicity is not declared for what large avoids",
    ),
    // above
    (
        "check = \"above\"\nabove = [{ variant = \"large\" }]\nbelow = [{ variant = \"small\" }]",
        Holds,
        "large 16.2 kg CO2e; against small 8.1 kg CO2e",
    ),
    (
        "check = \"above\"\nabove = [{ variant = \"small\" }, { variant = \"large\" }]\nbelow = [{ variant = \"small\" }]",
        DoesNotHold,
        "small 8.1 kg CO2e, large 16.2 kg CO2e; against small 8.1 kg CO2e",
    ),
    // same-order
    (
        "check = \"same-order\"\namong = [{ variant = \"small\" }, { variant = \"large\" }]\nwithin = \"2\"",
        Holds,
        "small 8.1 kg CO2e, large 16.2 kg CO2e",
    ),
    (
        "check = \"same-order\"\namong = [{ variant = \"small\" }, { variant = \"large\" }]\nwithin = \"1.9\"",
        DoesNotHold,
        "small 8.1 kg CO2e, large 16.2 kg CO2e",
    ),
    // proportional
    (
        "check = \"proportional\"\nof = { variant = \"small\" }\nover = { variant = \"large\" }\nby = \"0.5\"\ntolerance = \"1 %\"",
        Holds,
        "small is 0.50 times large; in proportion 0.50",
    ),
    (
        "check = \"proportional\"\nof = { variant = \"small\" }\nover = { variant = \"large\" }\nby = \"0.6\"\ntolerance = \"1 %\"",
        DoesNotHold,
        "small is 0.50 times large; in proportion 0.60",
    ),
    (
        "check = \"proportional\"\nof = { variant = \"large\", per = \"4\" }\nover = { variant = \"small\" }\nby = \"0.5\"\ntolerance = \"1 %\"",
        Holds,
        "large per 4.00 is 0.50 times small; in proportion 0.50",
    ),
    // amount
    (
        "check = \"amount\"\nof = { variant = \"small\", stage = \"transport\" }\nat_least = \"0.1 kg CO2e\"\nat_most = \"100 g CO2e\"",
        Holds,
        "small transport is 100.0 g CO2e",
    ),
    (
        "dimension = \"energy\"\ncheck = \"amount\"\nof = { variant = \"small\", stage = \"processing\" }\nat_most = \"1.9 kWh\"",
        DoesNotHold,
        "small processing is 7200000 J",
    ),
    // what only a ledger can say
    ("check = \"conserved\"\nvariants = [\"small\"]", CannotBeJudged, "small was not played"),
    (
        "check = \"undeclared\"\nvariant = \"small\"\ndimension = \"water\"",
        CannotBeJudged,
        "small was not played",
    ),
    (
        "check = \"delivered\"\nvariant = \"small\"\nat_most = \"1 kg CO2e\"",
        CannotBeJudged,
        "small was not played",
    ),
    (
        "check = \"order\"\nvariant = \"small\"\norder = \"print\"\nstate = \"settled\"",
        CannotBeJudged,
        "order print of small was not played",
    ),
    // beside the study's figure
    (
        "check = \"ratio\"\nof = { variant = \"large\", avoided = true }\nover = { variant = \"large\" }\nat_least = \"0.1\"\nstudy = \"0.5\"",
        Holds,
        "large avoided is 0.15 times large; the study's about 0.50 would take large to be 5.0 kg CO2e, 0.31 times what it is here",
    ),
    // further
    (
        "dimension = \"climate_measured\"\ncheck = \"further\"\nof = { variant = \"large\" }\nover = { variant = \"small\" }\nthan_in = \"climate\"",
        DoesNotHold,
        "large is 2.00 times small in climate, measured, 2.00 times in climate",
    ),
    (
        "dimension = \"climate_derived\"\ncheck = \"further\"\nof = { variant = \"small\", stage = \"transport\" }\nover = { variant = \"small\" }\nthan_in = \"climate\"",
        Holds,
        "small transport is 1.00 times small in climate, derived, 0.01 times in climate",
    ),
    (
        "dimension = \"human_toxicity\"\ncheck = \"further\"\nof = { variant = \"large\" }\nover = { variant = \"small\" }\nthan_in = \"climate\"",
        CannotBeJudged,
        "human toxicity is not declared in large for material, processing, transport (road)",
    ),
];

#[test]
fn every_check_holds_does_not_hold_or_cannot_be_judged() {
    let old = &SCENARIO[SCENARIO.find("check = \"share\"").unwrap()..];
    for (check, outcome, because) in CHECKS {
        let scenario = parse(&changed(SCENARIO, old, check)).unwrap();
        let verdicts = scenario.judge(&all_sources(&scenario, &factors()));
        assert_eq!(verdicts.len(), 1);
        let verdict = &verdicts[0];
        assert_eq!((verdict.outcome, verdict.because.as_str()), (*outcome, *because), "{check}");
        assert_eq!((verdict.id.as_str(), verdict.says.as_str()), ("E1", "material dominates"));
    }
}

#[test]
fn what_was_not_played_cannot_be_judged() {
    let scenario = parse(SCENARIO).unwrap();
    let mut booked = all_sources(&scenario, &factors());
    booked.remove("large");
    let verdicts = scenario.judge(&booked);
    assert_eq!(verdicts[0].outcome, CannotBeJudged);
    assert_eq!(verdicts[0].because, "large was not played");
}

/// Checks of what only a ledger knows; `@` begins one of an order of `small`.
const FACTS: &[(&str, Judgement, &str)] = &[
    (
        "@order = \"print\"\nstate = \"settled\"\npaid = \"99.99 EUR\"",
        Holds,
        "print is settled, was paid 99.99 EUR",
    ),
    ("@order = \"print\"\nstate = \"failed\"", DoesNotHold, "print is settled, not failed"),
    ("@order = \"print\"\nconfirmed_by = \"press\"", Holds, "print was confirmed by press"),
    (
        "@order = \"print\"\npaid = \"0.00 EUR\"",
        DoesNotHold,
        "print was paid 99.99 EUR, not 0.00 EUR",
    ),
    ("@order = \"supply\"\nserves = \"print\"", Holds, "supply serves print"),
    ("@order = \"print\"\nserves = \"haul\"", DoesNotHold, "print serves none, not haul"),
    (
        "check = \"conserved\"\nvariants = [\"small\"]",
        Holds,
        "small: 8.1 kg CO2e booked, delivered or sunk, to the last unit",
    ),
    (
        "check = \"conserved\"\nvariants = [\"large\"]",
        DoesNotHold,
        "large: what was booked is not what is carried in ",
    ),
    (
        "check = \"undeclared\"\nvariant = \"small\"\ndimension = \"water\"",
        Holds,
        "small: water not declared, 0 mL are known of it",
    ),
    (
        "check = \"undeclared\"\nvariant = \"small\"",
        DoesNotHold,
        "small declares climate: 8.1 kg CO2e",
    ),
    (
        "check = \"delivered\"\nvariant = \"small\"\nat_most = \"8.1 kg CO2e\"",
        Holds,
        "small delivers 8.1 kg CO2e",
    ),
    (
        "dimension = \"water\"\ncheck = \"delivered\"\nvariant = \"small\"\nat_most = \"1 L\"",
        CannotBeJudged,
        "water is not declared for what small delivers",
    ),
];

/// What a ledger says of `small`: its orders, what was delivered, and what was sunk.
#[test]
fn what_became_of_orders_and_lots_is_held_against_what_is_expected() {
    let old = &SCENARIO[SCENARIO.find("check = \"share\"").unwrap()..];
    let fact = |state, confirmed_by: Option<&str>, serves: Option<&str>| OrderFact {
        state,
        paid: Minor::new(9_999),
        currency: "EUR".to_owned(),
        confirmed_by: confirmed_by.map(str::to_owned),
        serves: serves.map(str::to_owned),
        specification: None,
    };
    for (check, outcome, because) in FACTS {
        let check = check.replace('@', "check = \"order\"\nvariant = \"small\"\n");
        let scenario = parse(&changed(SCENARIO, old, &check)).unwrap();
        let mut booked = all_sources(&scenario, &factors());
        for (id, booked) in &mut booked {
            let product = booked.total().unwrap();
            // Of `large` something is lost.
            let lost = if id == "large" { Footprint::ZERO } else { product.clone() };
            (booked.product, booked.carried) = (Some(product), Some(lost));
            let facts = [
                ("print", fact(OrderState::Settled, Some("press"), None)),
                ("supply", fact(OrderState::Settled, Some("printer"), Some("print"))),
            ];
            booked.orders = facts.map(|(name, fact)| (name.to_owned(), fact)).into();
        }
        let verdict = scenario.judge(&booked).remove(0);
        assert_eq!(verdict.outcome, *outcome, "{check}: {}", verdict.because);
        assert!(verdict.because.starts_with(because), "{check}: {}", verdict.because);
    }
}

#[test]
fn amounts_read_well() {
    let show = |nanograms| amount(whole(nanograms), Dimension::Climate);
    assert_eq!(show(0), "0.0 ng CO2e");
    assert_eq!(show(950), "950.0 ng CO2e");
    assert_eq!(show(8_100_000), "8.1 mg CO2e");
    assert_eq!(show(-1_833_000_000_000), "-1.8 kg CO2e");
    assert_eq!(amount(whole(7_200_000), Dimension::Energy), "7200000 J");
}

/// What the shipped figures say today. A figure that changes may change this table, and then also
/// the one in docs/scenarios/README.md.
#[test]
fn the_shipped_expectations() {
    let factors = FactorFile::parse(DEFAULT.0, DEFAULT.1).unwrap();
    let mut outcomes = BTreeMap::new();
    for (file, text) in shipped::DEMO {
        let scenario = Scenario::parse(file, text, &factors).unwrap();
        for verdict in scenario.judge(&all_sources(&scenario, &factors)) {
            outcomes.insert(verdict.id, verdict.outcome);
        }
    }
    let holds =
        ["A2", "A3", "A4", "A5", "A6", "A7", "A9", "A10", "B1", "B2", "B4", "B5", "B6", "B7", "B9"];
    let others =
        [("A1", DoesNotHold), ("A8", CannotBeJudged), ("B3", DoesNotHold), ("B8", DoesNotHold)];
    let expected = holds.into_iter().map(|id| (id, Holds)).chain(others);
    let expected: BTreeMap<_, _> = expected.map(|(id, outcome)| (id.to_owned(), outcome)).collect();
    assert_eq!(outcomes, expected);
}
/// The table of docs/scenarios/README.md, which people read instead of running the demo.
#[test]
fn the_readme_says_what_comes_out() {
    let readme = include_str!("../../../../docs/scenarios/README.md");
    let factors = FactorFile::parse(DEFAULT.0, DEFAULT.1).unwrap();
    for (file, text) in shipped::DEMO {
        let scenario = Scenario::parse(file, text, &factors).unwrap();
        for (id, booked) in all_sources(&scenario, &factors) {
            let grams = booked.by_tag.values().map(|footprint| footprint.get(Dimension::Climate));
            let grams = grams.sum::<i128>() as f64 / 1e9;
            let says = if grams < 1e3 {
                format!("{:.3}", grams / 1e3)
            } else {
                format!("{:.1}", grams / 1e3)
            };
            let row = id.split('-').next().unwrap();
            let row = readme.lines().find(|line| line.starts_with(&format!("| {row}")));
            let row = row.unwrap_or_else(|| panic!("the table has no row for {id}"));
            assert!(row.contains(&says) || row.contains("as FZ3"), "{id} is {says}: {row}");
        }
    }
}
