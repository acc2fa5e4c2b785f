//! What an outcome hangs on, by arithmetic that can be done by hand; and that the model books what the
//! steps say.

use super::*;
use crate::factors::DEFAULT;
use crate::scenario::fixtures::{SCENARIO, changed, factors, parse};
use crate::scenario::shipped;
use kerbholz_ledger::footprint::Dimension;

/// The verdicts of a scenario, weighed.
fn weighed(scenario: &Scenario, factors: &FactorFile) -> Vec<Verdict> {
    let booked = scenario.model(factors, &Change::None).unwrap();
    let mut verdicts = scenario.judge(&booked);
    scenario.weigh(factors, &mut verdicts);
    verdicts
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6
}

#[test]
fn the_share_of_material_hangs_most_on_its_factor() {
    // 7 kg of 8.1: 86.4 %. With a tenth less 6.3 of 7.4, with a tenth more 7.7 of 8.8.
    let scenario = parse(SCENARIO).unwrap();
    let verdict = weighed(&scenario, &factors()).remove(0);
    assert!(near(verdict.judged.unwrap().value, 7.0 / 8.1));
    let most = verdict.most_sensitive.unwrap();
    assert_eq!((most.of.as_str(), most.value.as_str()), ("powder", "7 kg CO2e per 1 kg"));
    assert_eq!((most.source.as_str(), most.standing), ("Table 2025", Standing::Proxy));
    assert!(near(most.varied.0.value, 6.3 / 7.4) && near(most.varied.1.value, 7.7 / 8.8));
    assert!(near(most.change, (7.0 / 8.1 - 6.3 / 7.4) / (7.0 / 8.1)));
    assert_eq!(most.range, None);
    assert!(verdict.could_change.is_empty());
}

#[test]
fn a_range_that_contains_another_outcome_is_named() {
    // From 1 kg CO2e (1 of 2.1: 47.6 %) to 14.
    let range = "[ranges]\npowder = { low = \"1 kg CO2e\", high = \"14 kg CO2e\", per = \"1 kg\", source = \"paper\", standing = \"unverified\", note = \"who differs\" }\n[organisations.maker]";
    let scenario = parse(&changed(SCENARIO, "[organisations.maker]", range)).unwrap();
    let verdict = weighed(&scenario, &factors()).remove(0);
    assert_eq!(verdict.outcome, Judgement::Holds);
    let found = verdict.could_change.first().unwrap();
    let range = found.range.as_ref().unwrap();
    assert_eq!((range.low.as_str(), range.high.as_str()), ("1 kg CO2e", "14 kg CO2e"));
    assert_eq!((range.source.as_str(), range.standing), ("Paper 2014", Standing::Unverified));
    assert!(near(range.judged.0.value, 1.0 / 2.1) && near(range.judged.1.value, 14.0 / 15.1));
    assert_eq!(range.outcomes, (Judgement::DoesNotHold, Judgement::Holds));
}

#[test]
fn what_is_fixed_is_not_varied_and_what_is_computed_follows() {
    let check = "check = \"amount\"\nof = { variant = \"small\", stage = \"material\" }\nat_least = \"1 kg CO2e\"";
    let old = &SCENARIO[SCENARIO.find("check = \"share\"").unwrap()..];
    let text = changed(SCENARIO, old, check);
    let computed = "wasted = { value = \"20 %\", source = \"paper\", standing = \"given\" }\npowder = { value = \"part / (100 % - wasted)\" }";
    let text = changed(
        &text,
        "powder = { value = \"1 kg\", source = \"paper\", standing = \"given\" }",
        computed,
    );
    let all = |text: &str| -> Vec<String> {
        let scenario = parse(text).unwrap();
        let inputs = scenario.inputs(&factors());
        inputs.into_iter().map(|input| input.of).collect()
    };
    let part = "part = { value = \"0.8 kg\", source = \"paper\", standing = \"given\"";
    assert!(all(&text).contains(&"part".to_owned()));
    assert!(
        !all(&text).contains(&"powder".to_owned())
            || all(&text).iter().filter(|of| *of == "powder").count() == 2
    );
    let fixed = changed(&text, part, &format!("{part}, fixed = \"defines the part\""));
    let fixed_inputs = all(&fixed);
    // `large` has a part of its own, which is not fixed.
    assert_eq!(fixed_inputs.iter().filter(|of| *of == "part").count(), 1);

    // 20 % wasted: 0.8 / 0.8 = 1 kg, 7 kg CO2e. 22 %: 0.8 / 0.78.
    let scenario = parse(&text).unwrap();
    let input = scenario.inputs(&factors()).into_iter().find(|input| input.of == "wasted").unwrap();
    let booked = scenario.model(&factors(), &input.higher).unwrap();
    let climate = booked["small"].by_tag.values().map(|one| one.get(Dimension::Climate)).max();
    let expected = 7.0 * 0.8 / 0.78;
    assert!((climate.unwrap() as f64 / 1e12 - expected).abs() < 1e-4);
}

/// Everything that is built in: each outcome that is a number hangs on a figure, and says on which.
#[test]
fn every_number_that_is_judged_hangs_on_a_figure_with_a_source() {
    let factors = FactorFile::parse(DEFAULT.0, DEFAULT.1).unwrap();
    for (file, text) in shipped::SCENARIOS {
        let scenario = Scenario::parse(file, text, &factors).unwrap();
        for verdict in weighed(&scenario, &factors) {
            let exact = verdict
                .judged
                .is_none_or(|judged| near(judged.value, 0.6) || near(judged.value, 0.5));
            let most = verdict.most_sensitive.as_ref();
            assert!(exact || most.is_some(), "{} hangs on nothing", verdict.id);
            assert!(most.is_none_or(|most| !most.source.is_empty()), "{}", verdict.id);
        }
    }
}

/// The table of docs/scenarios/README.md, which people read instead of computing it.
#[test]
fn the_readme_says_what_each_result_hangs_on() {
    let readme = include_str!("../../../../docs/scenarios/README.md");
    let outcome = |of: Judgement| if of == Judgement::Holds { "yes" } else { "no" };
    let ends = |one: &Sensitivity| {
        let range = one.range.as_ref().map(|range| range.outcomes);
        range.map_or(String::new(), |(low, high)| format!("{}, {}", outcome(low), outcome(high)))
    };
    let factors = FactorFile::parse(DEFAULT.0, DEFAULT.1).unwrap();
    for (file, text) in shipped::DEMO {
        let scenario = Scenario::parse(file, text, &factors).unwrap();
        for verdict in weighed(&scenario, &factors) {
            let Some(most) = &verdict.most_sensitive else { continue };
            let row = readme.lines().filter(|line| line.contains(" | `"));
            let mut row = row.filter(|line| line.starts_with(&format!("| {} ", verdict.id)));
            let row = row.next().unwrap_or_else(|| panic!("no row for {}", verdict.id));
            let [_, _, of, _, at_ends, others, _] = row.split('|').collect::<Vec<_>>()[..] else {
                panic!("{row}")
            };
            assert_eq!(of.trim(), format!("`{}`", most.of));
            assert!(at_ends.trim().starts_with(&ends(most)), "{} {row}", ends(most));
            let expected = verdict.could_change.iter().filter(|one| one.of != most.of);
            let expected: Vec<_> = expected.map(|one| (one.of.clone(), ends(one))).collect();
            let said = others.split(';').map(str::trim).filter(|other| !other.is_empty());
            let said = said.map(|other| {
                let (name, ends) = other.rsplit_once(": ").unwrap();
                (name.split('`').nth(1).unwrap().to_owned(), ends.to_owned())
            });
            assert_eq!(said.collect::<Vec<_>>(), expected, "{row}");
        }
    }
}
