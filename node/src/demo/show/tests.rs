//! Lines and trees, by drawings.

use super::*;
use crate::demo::flows::Branch;
use kerbholz_ledger::footprint::{DIMENSIONS, Dimension};

fn branch(what: &str, climate: i128, from: Vec<Branch>) -> Branch {
    Branch {
        what: what.into(),
        quantity: "1 piece".into(),
        how: "made".into(),
        climate,
        readable: units::readable("ng CO2e", climate),
        from,
    }
}

#[test]
fn a_tree_is_drawn_with_its_figures_in_a_column() {
    let leaf = |what| branch(what, 1_000_000_000, vec![]);
    let part = branch(
        "part",
        3_000_000_000_000,
        vec![branch("blank", 2_000_000_000, vec![leaf("ore"), leaf("power")]), leaf("transport")],
    );
    let mut out = String::new();
    tree::show(&mut out, &part, 60, Paint::new(false));
    let expected = "\x20 1 piece part  made                          3.00 kg CO₂e
  ├ 1 piece blank  made                        2.00 g CO₂e
  │ ├ 1 piece ore  made                        1.00 g CO₂e
  │ └ 1 piece power  made                      1.00 g CO₂e
  └ 1 piece transport  made                    1.00 g CO₂e
";
    assert_eq!(out, expected);
}

#[test]
fn a_tree_that_is_too_wide_shortens_how_and_never_the_figure() {
    let mut deep = branch("part", 1_000_000_000, vec![]);
    deep.how = "a very long way of telling how this came to be, word by word".into();
    let mut out = String::new();
    tree::show(&mut out, &deep, 50, Paint::new(false));
    assert!(out.contains('…') && out.contains("1.00 g CO₂e"), "{out}");
    assert!(out.trim_end().chars().count() <= 52, "{out}");
}

#[test]
fn text_is_wrapped_at_spaces() {
    assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
    assert_eq!(wrapped("unbreakable", 4), ["unbreakable"]);
    assert_eq!(wrapped("", 4), [""]);
}

#[test]
fn colour_is_only_where_it_is_wanted() {
    assert_eq!(Paint::new(false).green("ok"), "ok");
    assert_eq!(Paint::new(true).green("ok"), "\x1b[32mok\x1b[0m");
}

fn variant(id: &str) -> crate::demo::findings::VariantFinding {
    let mut footprint = vec![Some(0); DIMENSIONS];
    footprint[Dimension::Climate as usize] = Some(12_345_678_901_234);
    footprint[Dimension::Energy as usize] = None;
    footprint[Dimension::HumanToxicity as usize] = None;
    let mut known: Vec<i128> = footprint.iter().map(|value| value.unwrap_or(0)).collect();
    known[Dimension::Energy as usize] = 83_000_000;
    crate::demo::findings::VariantFinding {
        id: id.into(),
        title: "A variant with quite a long title, as they are when somebody has to say where a \
                part is made, how it travels, and who collects it in the end"
            .into(),
        product: footprint.clone(),
        footprint,
        known,
        tiers: [0.25, 0.25, 0.5],
        quality: [1.0, 2.0, 3.0],
        gwp_mixed: false,
        parts: vec![],
        avoided: None,
        orders: 1,
        price_minor: 100,
        lot: None,
        tree: None,
        flows: crate::demo::flows::Flows::default(),
    }
}

/// What is not declared is never shown as zero, and no line is wider than the page.
#[test]
fn a_footprint_table_fits_its_page_and_says_what_is_not_known() {
    let dimensions: Vec<_> =
        Dimension::ALL.iter().map(|d| DimensionName { name: d.name(), unit: d.unit() }).collect();
    let scenario = ScenarioFinding {
        file: "a.toml".into(),
        title: "A scenario".into(),
        question: "Which?".into(),
        functional_unit: "One part".into(),
        study: "A study".into(),
        as_computed: None,
        variants: ["FZ1", "FZ2-min", "FZ2-max", "FZ3-min", "FZ3-max", "FZ4-min", "FZ4-max"]
            .map(variant)
            .into(),
        expectations: vec![],
    };
    for width in [72, 90, 110, 118, 120] {
        let mut out = String::new();
        scenario::show(&mut out, &scenario, &dimensions, width, Paint::new(false));
        for text in out.lines() {
            assert!(text.chars().count() <= usize::from(width), "{width}: {text}");
        }
        assert!(out.contains("≥ 83.0") && out.contains("12.3"), "{out}");
        let unknown = out.lines().find(|text| text.contains("Not declared (n/d)")).unwrap();
        assert!(unknown.contains("human toxicity"), "{unknown}");
        assert!(!out.lines().any(|text| text.trim_start().starts_with("human toxicity,")), "{out}");
    }
}
