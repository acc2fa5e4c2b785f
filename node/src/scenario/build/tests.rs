//! The shipped files, what is built of a file, and every way a file can be wrong.

use super::*;
use crate::factors::DEFAULT;
use crate::scenario::fixtures::{SCENARIO, changed, factors, line_of, parse};
use crate::scenario::{Action, Order, Stage, Step, shipped};
use kerbholz_ledger::quantity::{Minor, Quantity};

#[test]
fn the_shipped_scenarios_are_of_the_same_four_organisations() {
    let factors = FactorFile::parse(DEFAULT.0, DEFAULT.1).unwrap();
    let scenarios = shipped::DEMO.iter();
    let scenarios: Vec<_> =
        scenarios.map(|(file, text)| Scenario::parse(file, text, &factors).unwrap()).collect();
    let [b, a] = scenarios.as_slice() else { panic!("two scenarios are shipped") };
    assert_eq!(a.organisations, b.organisations);
    assert_eq!(a.organisations.len(), 4);
    for (name, machine) in &a.machines {
        assert!(b.machines.get(name).is_none_or(|same| same == machine), "{name} differs");
    }
    let ids = |scenario: &Scenario| -> Vec<String> {
        scenario.variants.iter().map(|variant| variant.id.clone()).collect()
    };
    assert_eq!(ids(a), ["H1", "H2", "H3-30", "H3-60", "H4-30", "H4-60", "H5", "H5-recycled"]);
    assert_eq!(ids(b), ["FZ1", "FZ2-min", "FZ2-max", "FZ3-min", "FZ3-max", "FZ4-min", "FZ4-max"]);
}

fn order<'s>(scenario: &'s Scenario, variant: usize, name: &str) -> &'s Order {
    scenario.variants[variant].order(name).unwrap()
}

#[test]
fn amounts_come_out_in_whole_base_units() {
    let scenario = parse(SCENARIO).unwrap();
    for (variant, kilograms) in [(0, 1), (1, 2)] {
        let haul = order(&scenario, variant, "haul");
        let expected = Quantity::new(kilograms * 1_000_000, Unit::KilogramMetre);
        assert_eq!(haul.activities[0].amount, expected);
        let print = order(&scenario, variant, "print");
        assert_eq!(print.outputs[0].mass.get(), kilograms * 800_000);
        assert_eq!(print.outputs[1].quantity, Quantity::new(kilograms * 200_000, Unit::Milligram));
        let Step { action: Action::Read(read), .. } = &scenario.variants[variant].steps[3] else {
            panic!("the fourth step is the reading");
        };
        assert_eq!(read.joules, kilograms * 7_200_000);
    }
    let print = order(&scenario, 0, "print");
    assert_eq!((print.price, print.currency.as_str()), (Minor::new(9_999), "EUR"));
    assert_eq!(print.predicted_climate, Some(8_000_000_000_000));
    assert_eq!(print.mass_tolerance_ppm, 1_000);
    assert_eq!((print.product.as_str(), print.quantity.amount), ("part", 1));
    assert_eq!((print.outputs[0].weight, print.outputs[1].weight), (1, 0));
}

#[test]
fn orders_are_placed_outermost_first_when_the_first_that_serves_them_is_reached() {
    let scenario = parse(SCENARIO).unwrap();
    let placed = |name| order(&scenario, 0, name).place.clone();
    assert_eq!(placed("haul"), ["print", "supply", "haul"]);
    assert!(placed("supply").is_empty() && placed("print").is_empty());
    // The buyer's own lot is provided; what the provider owns is not.
    let provided: Vec<_> = order(&scenario, 0, "haul").provided.iter().map(|p| &p.lot).collect();
    assert_eq!(provided, ["powder"]);
    assert!(order(&scenario, 0, "supply").provided.is_empty());
}

#[test]
fn steps_say_how_well_they_are_known_and_what_they_count_under() {
    let scenario = parse(SCENARIO).unwrap();
    let steps = &scenario.variants[0].steps;
    let tiers: Vec<_> = steps.iter().map(|step| step.tier).collect();
    use EvidenceTier::{Derived, Measured};
    assert_eq!(tiers[..4], [Derived, Derived, Derived, Measured]);
    let stages: Vec<_> = steps.iter().map(|step| step.tag.as_ref().map(|tag| tag.stage)).collect();
    let (material, transport) = (Some(Stage::Material), Some(Stage::Transport));
    let processing = Some(Stage::Processing);
    assert_eq!(stages, [material, transport, None, processing, processing, None]);
    assert_eq!(steps[1].sources, ["paper"]);
    assert_eq!(steps[0].line, line_of(SCENARIO, "declare ="));

    let guessed = changed(
        SCENARIO,
        r#""1000 km", source = "paper", standing = "quoted""#,
        r#""1000 km", source = "paper", standing = "unverified""#,
    );
    let scenario = parse(&guessed).unwrap();
    assert_eq!(scenario.variants[0].steps[1].tier, EvidenceTier::Default);
}

#[test]
fn an_avoided_burden_stands_beside_the_steps() {
    use kerbholz_ledger::footprint::Dimension;
    let scenario = parse(SCENARIO).unwrap();
    assert!(scenario.variants[0].avoided.is_none());
    let avoided = scenario.variants[1].avoided.as_ref().unwrap();
    assert_eq!(avoided.amount, Quantity::new(18_000_000, Unit::Joule));
    assert_eq!(avoided.footprint.get(Dimension::Climate), 2_500_000_000_000);
    assert_eq!(avoided.footprint.get(Dimension::ClimateDefault), 2_500_000_000_000);
}

/// What is exchanged, for what, on which line the error is to be, and what it must say.
const WRONG: &[(&str, &str, &str, &str)] = &[
    // Syntax and fields.
    ("title = \"Small\"", "title = \"Small", "title = \"Small", "basic string"),
    ("place = \"here\"", "place = \"here\", colour = \"red\"", "colour", "unknown field `colour`"),
    ("kind = \"disposed\"", "kind = \"lost\"", "kind = \"lost\"", "unknown variant `lost`"),
    ("stage = \"material\"", "stage = \"use\"", "stage = \"use\"", "unknown variant `use`"),
    (
        "kind = \"disposed\"",
        "kind = \"disposed\"\nprice = \"1.00 EUR\"",
        "sink =",
        "`price` does not belong to a `sink`",
    ),
    (
        "sink = \"spent\"",
        "sink = \"spent\"\nread = \"spent\"",
        "[[variants.steps]]\nsink",
        "one of `declare`, `read`, `order` or `sink`",
    ),
    ("service = \"printing\"\n", "", "order = \"print\"", "`print` has no `service`"),
    ("stage = \"processing\"\n", "", "read =", "say its `stage`"),
    (
        "service = \"printing\"\nstage = \"processing\"",
        "service = \"printing\"",
        "order = \"print\"",
        "say its `stage`",
    ),
    (
        "service = \"supply\"",
        "service = \"supply\"\nstage = \"transport\"",
        "order = \"supply\"",
        "books no footprint of its own",
    ),
    // Names.
    ("study = \"paper\"", "study = \"book\"", "study =", "unknown source `book`: there is paper"),
    ("organisation = \"user\"", "organisation = \"them\"", "them", "unknown organisation `them`"),
    (
        "provider = \"lorry\"",
        "provider = \"ship\"",
        "provider = \"ship\"",
        "unknown machine `ship`",
    ),
    ("meter = \"meter\"", "meter = \"clock\"", "meter = \"clock\"", "unknown meter `clock`"),
    ("factor = \"lorry\"", "factor = \"ship\"", "factor = \"ship\"", "unknown factor `ship`"),
    ("factor = \"power\" }\n[[", "factor = \"gas\" }\n[[", "gas", "unknown factor `gas`"),
    ("\"powder * way\"", "\"powder * road\"", "* road", "unknown unit or figure `road`"),
    ("like = \"small\"", "like = \"tiny\"", "like =", "unknown variant `tiny`: there is small"),
    ("parent = \"print\"", "parent = \"sale\"", "order = \"supply\"", "unknown order `sale`"),
    ("inputs = [\"powder in\",", "inputs = [\"sand\",", "sand", "unknown lot `sand`"),
    (
        "inputs = [\"powder\"]",
        "inputs = [\"powder there\"]",
        "inputs = [\"powder there\"]",
        "made by an earlier step",
    ),
    ("product = \"part\"", "product = \"whole\"", "product = \"whole\"", "unknown lot `whole`"),
    (
        "order = \"supply\"",
        "order = \"haul\"",
        "\norder = \"haul\"\nparent = \"print\"",
        "order `haul` exists already",
    ),
    (
        "lot = \"powder in\"",
        "lot = \"powder\"",
        "outputs = [{ lot = \"powder\"",
        "lot `powder` exists already",
    ),
    (
        "id = \"large\"",
        "id = \"small\"",
        "\nid = \"small\"\ntitle = \"large\"",
        "variant `small` exists already",
    ),
    ("way = {", "km = {", "km = {", "a figure cannot be called `km`"),
    // Figures and their ranges.
    (
        "way = {",
        "way = { value = \"2 * road\" }\nroad = { value = \"way / 2\" }\nold = {",
        "road = {",
        "is computed of itself",
    ),
    (
        "value = \"1000 km\", source = \"paper\", standing = \"quoted\"",
        "value = \"1000 km\", source = \"paper\"",
        "way =",
        "a cited figure has a `standing`",
    ),
    (
        "standing = \"quoted\" }",
        "standing = \"quoted\", range = { low = \"1 km\", high = \"1 kg\", source = \"paper\", standing = \"quoted\" } }",
        "way =",
        "`1 kg` is in mg, but mm is needed",
    ),
    (
        "standing = \"quoted\" }",
        "standing = \"quoted\", range = { low = \"2 km\", high = \"1 km\", source = \"paper\", standing = \"quoted\" } }",
        "way =",
        "from `low` to a greater `high`",
    ),
    (
        "[organisations.maker]",
        "[ranges]\ndust = { low = \"power\", high = \"powder\", source = \"paper\", standing = \"quoted\" }\n[organisations.maker]",
        "dust",
        "unknown factor `dust`",
    ),
    (
        "[organisations.maker]",
        "[ranges]\npowder = { low = \"power\", high = \"powder\", source = \"paper\", standing = \"quoted\" }\n[organisations.maker]",
        "low = \"power\"",
        "it is per another unit",
    ),
    (
        "[organisations.maker]",
        "[ranges]\npowder = { low = \"6 kg CO2e\", high = \"powder\", source = \"paper\", standing = \"quoted\" }\n[organisations.maker]",
        "6 kg CO2e",
        "say `per` which amount",
    ),
    // Citations.
    (
        "value = \"1000 km\", source = \"paper\"",
        "value = \"1000 km\"",
        "way =",
        "`way` has no citation",
    ),
    ("\"powder * way\"", "\"powder * 1000 km\"", "1000 km\" }]", "has no citation"),
    (
        "value = \"1000 km\", source = \"paper\"",
        "value = \"1000 km\", source = \"hearsay\"",
        "way =",
        "unknown source `hearsay`",
    ),
    ("amount = \"powder * way\"", "amount = \"powder * powder * way / powder\"", "[[never]]", ""),
    // Units.
    ("\"powder * way\"", "\"powder\"", "amount = \"powder\"", "is in mg, but kg·m is needed"),
    ("\"part * print_energy\"", "\"part\"", "quantity = \"part\"", "is in mg, but J is needed"),
    ("\"2.5 kWh/kg\"", "\"2.5 kW\"", "2.5 kW", "unknown unit"),
    ("\"2.5 kWh/kg\"", "\"1.0000001 kWh/kg\"", "part * print", "not a whole number of J"),
    ("mass = \"part\"", "mass = \"one\"", "mass = \"one\"", "is in piece, but mg is needed"),
    (
        "factor = \"power\" }\n[[",
        "factor = \"powder\" }\n[[",
        "factor = \"powder\" }",
        "is in mg, but J is needed",
    ),
    ("\"0.1 %\"", "\"0.1\"", "[[never]]", ""),
    ("\"0.1 %\"", "\"one\"", "mass_tolerance", "is in piece, but a share"),
    ("\"99.99 EUR\"", "\"99.9 EUR\"", "99.9 EUR", "a price is written like"),
    ("\"8 kg CO2e\"", "\"8 kg\"", "predicted", "a mass of CO2e"),
    (
        "lot = \"powder there\"",
        "lot = \"bag of powder\"",
        "bag of powder",
        "cannot have ` of ` in it",
    ),
    // Lots and mass.
    (
        "inputs = [\"powder\"]",
        "inputs = [\"2 * powder of powder\"]",
        "2 * powder",
        "2000000 mg of `powder` wanted, 1000000 mg there",
    ),
    (
        "inputs = [\"powder\"]",
        "inputs = [\"0.5 * powder of powder\"]",
        "order = \"haul\"",
        "mass does not balance: 500000 mg in, 1000000 mg out, tolerance 0 ppm",
    ),
    (
        "quantity = \"rest\"",
        "quantity = \"0.3 * part\"",
        "order = \"print\"",
        "1000000 mg in, 1040000 mg out, tolerance 1000 ppm",
    ),
    (
        "buyer = \"store\"\nprovider = \"lorry\"",
        "buyer = \"press\"\nprovider = \"lorry\"",
        "inputs = [\"powder\"]",
        "belongs to `store`, neither to the provider `lorry`",
    ),
    ("role = \"waste\"", "role = \"product\"", "lot = \"spent\"", "an order delivers one product"),
    ("role = \"waste\"", "role = \"by_product\"", "lot = \"spent\"", "needs a `weight`"),
    (
        "mass = \"part\" }",
        "mass = \"part\", role = \"waste\" }",
        "order = \"print\"",
        "no output is one",
    ),
    (
        "\n[[variants.steps]]\nsink = \"spent\"\nkind = \"disposed\"",
        "",
        "id = \"small\"",
        "200000 mg of `spent` are left over",
    ),
    ("sink = \"spent\"", "sink = \"part\"", "product = \"part\"", "nothing is left of the product"),
    // Orders and variants.
    (
        "service = \"printing\"",
        "service = \"printing\"\nparent = \"haul\"",
        "order = \"print\"",
        "order `haul` serves itself: break the cycle",
    ),
    (
        "parent = \"supply\"",
        "parent = \"print\"",
        "order = \"haul\"",
        "`haul` serves `print`, so its buyer must be that one's provider `printer`, not `store`",
    ),
    (
        "buyer = \"store\"\nprovider = \"lorry\"",
        "buyer = \"store\"\nprovider = \"store\"",
        "order = \"haul\"",
        "`store` orders of itself",
    ),
    (
        "inputs = [\"powder in\",",
        "inputs = [\"0.1 * powder of powder in\", \"powder in\",",
        "inputs = [\"0.1",
        "`powder in` goes in twice",
    ),
    (
        "service = \"haulage\"",
        "service = \"haulage, haulage, haulage, haulage, haulage, haulage, haulage, haulage\"",
        "service = \"haulage, h",
        "at most 64 bytes",
    ),
    ("name = \"transport\"", "name = \"\"", "name = \"\"", "at most 64 bytes"),
    (
        "like = \"small\"",
        "like = \"small\"\nsteps = [{ sink = \"part\" }]",
        "like =",
        "none of its own",
    ),
    (
        "saved = {",
        "unsaved = { value = \"1 kg\", source = \"paper\", standing = \"given\" }\nsaved = {",
        "unsaved",
        "no step names the figure `unsaved`",
    ),
    (
        "value = \"2.5 kWh/kg\", source = \"paper\", standing = \"verified\"",
        "value = \"2.5 kWh/kg\", source = \"paper\", standing = \"proxy\"",
        "read =",
        "would book an unverified figure as measured",
    ),
    // Expectations.
    ("check = \"share\"", "check = \"guess\"", "check =", "unknown check `guess`"),
    ("at_least = \"50 %\"", "", "id = \"E1\"", "say `at_least`, `at_most` or both"),
    ("at_least = \"50 %\"", "at_least = \"half\"", "at_least", "unknown unit or figure `half`"),
    ("at_least = \"50 %\"", "at_least = \"5 km\"", "at_least", "a number above zero without unit"),
    ("[\"small\", \"large\"]", "[\"small\", \"huge\"]", "huge", "unknown variant `huge`"),
    (
        "part = [{ stage = \"material\" }]",
        "part = [{ component = \"sea\" }]",
        "id = \"E1\"",
        "unknown part `sea`",
    ),
    ("check = \"share\"", "check = \"above\"", "id = \"E1\"", "a check `above` needs `above`"),
    ("id = \"E1\"", "id = \"E1\"\ndimension = \"beauty\"", "beauty", "unknown dimension `beauty`"),
];

#[test]
fn every_mistake_is_named_with_its_line() {
    for (from, to, at, says) in WRONG {
        let text = changed(SCENARIO, from, to);
        let result = parse(&text);
        if says.is_empty() {
            result.unwrap_or_else(|error| panic!("{to} is right, but: {error}"));
            continue;
        }
        let error = result.err().unwrap_or_else(|| panic!("{to} went unnoticed"));
        let said = error.to_string();
        assert!(said.contains(says), "{to}: {said}");
        // A needle of several lines stands for its second line.
        let start = text.find(at).unwrap_or_else(|| panic!("{to}: no {at}"));
        let skip = usize::from(at.starts_with('\n'));
        let line = 1 + text[..start + skip].matches('\n').count();
        assert_eq!((error.file.as_str(), error.line), ("small.toml", line), "{to}: {said}");
        assert!(said.starts_with(&format!("small.toml:{line}:{}: ", error.column)));
    }
}

#[test]
fn a_provided_lot_must_be_there_when_its_order_is_placed() {
    // `print` takes a lot of its buyer that is made only after `haul` has had `print` placed.
    let late = "[[variants.steps]]\ndeclare = \"insert\"\nmachine = \"press\"\nfactor = \"powder\"\n\
                quantity = \"part\"\nstage = \"material\"\n[[variants.steps]]\nread =";
    let text = changed(SCENARIO, "[[variants.steps]]\nread =", late);
    let text = changed(
        &text,
        "[\"powder in\", \"electricity\"]",
        "[\"powder in\", \"insert\", \"electricity\"]",
    );
    let error = parse(&text).unwrap_err();
    assert!(error.to_string().contains("before its buyer's lot `insert` is made"), "{error}");
    assert_eq!(error.line, line_of(&text, "order = \"print\""));
}

#[test]
fn a_variant_without_its_own_steps_takes_those_of_the_other_with_its_own_figures() {
    let scenario = parse(SCENARIO).unwrap();
    let (small, large) = (&scenario.variants[0], &scenario.variants[1]);
    assert_eq!(small.steps.len(), large.steps.len());
    // Each has the figures in force: its own, and the file's for the rest.
    assert_eq!(small.figures["powder"].text, "1 kg");
    assert_eq!(large.figures["powder"].text, "2 kg");
    assert_eq!(large.figures["way"].text, "1000 km");
}

#[test]
fn a_variant_has_the_figures_of_the_one_it_is_like_and_computes_anew_what_depends_on_them() {
    let text = changed(
        SCENARIO,
        "powder = { value = \"1 kg\", source = \"paper\", standing = \"given\" }",
        "wasted = { value = \"20 %\", source = \"paper\", standing = \"given\" }\npowder = { value = \"part / (100 % - wasted)\" }",
    );
    let text = changed(
        &text,
        "powder = { value = \"2 kg\", source = \"paper\", standing = \"given\" }\n",
        "",
    );
    let third = "[[variants]]\nid = \"third\"\ntitle = \"third\"\nproduct = \"part\"\nlike = \"large\"\n[variants.figures]\nwasted = { value = \"0 %\", source = \"paper\", standing = \"given\" }\n[[expectations]]";
    let text = changed(&text, "[[expectations]]", third);
    // Without waste, nothing is left of the powder but the part.
    let error = parse(&text).unwrap_err();
    assert!(error.to_string().contains("lot `spent` is empty"), "{error}");
    let scenario = parse(&changed(&text, "\"0 %\"", "\"36 %\"")).unwrap();
    let declared = |variant: usize| match &scenario.variants[variant].steps[0].action {
        Action::Declare(lot) => lot.quantity.amount,
        other => panic!("{other:?}"),
    };
    assert_eq!((declared(0), declared(1), declared(2)), (1_000_000, 2_000_000, 2_500_000));
    // What is computed is as well known as what it is computed of.
    assert_eq!(scenario.variants[0].steps[0].sources, ["paper"]);
    let guessed = changed(
        &text,
        "\"20 %\", source = \"paper\", standing = \"given\"",
        "\"20 %\", source = \"paper\", standing = \"proxy\"",
    );
    let guessed = parse(&changed(&guessed, "\"0 %\"", "\"36 %\"")).unwrap();
    assert_eq!(guessed.variants[0].steps[0].tier, EvidenceTier::Default);
}

/// An order that fails, with `print` made one, and the buyer bearing what it took.
#[test]
fn a_failed_order_says_what_was_ordered_and_leaves_waste() {
    let outputs = "outputs = [\n  { lot = \"part\", quantity = \"one\", mass = \"part\" },\n  { lot = \"spent\", quantity = \"rest\", role = \"waste\" },\n]";
    let failed = "outcome = \"failed\"\nproduct = \"part\"\nquantity = \"one\"\nfailure = \"buyer\"\noutputs = [{ lot = \"scrap\", quantity = \"rest\", role = \"waste\" }]";
    let text = changed(SCENARIO, outputs, failed);
    let text = changed(
        &text,
        "sink = \"spent\"\nkind = \"disposed\"",
        "read = \"part\"\nmeter = \"meter\"\nquantity = \"saved\"\nstage = \"processing\"",
    );
    // Who bears the failure has the scrap.
    let left = parse(&text).unwrap_err().to_string();
    assert!(left.contains("`scrap` are left over") || left.contains("unverified figure"), "{left}");
    for (from, to, says) in [
        ("outcome = \"failed\"", "", "`product` and `quantity` are for an order that fails"),
        ("outcome = \"failed\"", "outcome = \"partial\"", "complete or failed"),
        ("quantity = \"one\"\nfailure", "failure", "`print` has no `quantity`"),
        (
            "role = \"waste\" }]",
            "role = \"by_product\", weight = 1 }]",
            "what a failed order leaves is waste",
        ),
        ("failure = \"buyer\"", "failure = \"nobody\"", "unknown variant `nobody`"),
        ("failure = \"buyer\"", "confirmer = \"box\"", "unknown machine `box`"),
        ("failure = \"buyer\"", "specification = \"plan\"", "unknown document `plan`"),
        ("failure = \"buyer\"", "requires = [\"beauty\"]", "unknown dimension `beauty`"),
    ] {
        let error = parse(&changed(&text, from, to)).unwrap_err().to_string();
        assert!(error.contains(says), "{to}: {error}");
    }
}

#[test]
fn no_text_makes_the_parser_panic() {
    // Every prefix of a right file is a wrong one, or right: never a panic.
    let factors = factors();
    for end in (0..SCENARIO.len()).step_by(7) {
        let _ = Scenario::parse("cut.toml", &SCENARIO[..end], &factors);
    }
}
