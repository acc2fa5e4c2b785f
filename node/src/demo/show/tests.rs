//! Lines and trees, by drawings.

use super::*;
use crate::demo::flows::Branch;

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
