//! Holds docs/architecture.md: who may depend on whom, and what the pure crates must not contain.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn manifest(name: &str) -> toml::Table {
    let path = root().join(name).join("Cargo.toml");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn dependencies(name: &str) -> BTreeSet<String> {
    manifest(name)
        .get("dependencies")
        .and_then(|table| table.as_table())
        .map(|table| table.keys().cloned().collect())
        .unwrap_or_default()
}

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.clone(), fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

/// Lines of code that contain one of the words, outside comments, tests and doc text.
fn offending(folder: &str, words: &[&str]) -> Vec<String> {
    let mut offending = Vec::new();
    for (path, text) in sources(&root().join(folder).join("src")) {
        if path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let tokens: BTreeSet<&str> =
                code.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            if let Some(word) = words.iter().find(|word| tokens.contains(*word)) {
                offending.push(format!("{}:{}: {word}", path.display(), number + 1));
            }
        }
    }
    offending
}

#[test]
fn pure_crates_use_pure_crates_only() {
    let both = ["bincode", "blake3", "ed25519-dalek", "ed25519-zebra", "hex", "serde", "thiserror"];
    let ledger = ["ckb-merkle-mountain-range", "ethnum", "serde_bytes"];
    let allowed: BTreeSet<_> = both.iter().chain(&ledger).map(|name| (*name).to_owned()).collect();
    let extra: Vec<_> = dependencies("ledger").difference(&allowed).cloned().collect();
    assert!(extra.is_empty(), "ledger must not depend on {extra:?}");
    let allowed: BTreeSet<_> = both.iter().map(|name| (*name).to_owned()).collect();
    let extra: Vec<_> = dependencies("consensus").difference(&allowed).cloned().collect();
    assert!(extra.is_empty(), "consensus must not depend on {extra:?}");
}

#[test]
fn dependencies_point_one_way() {
    let order = ["ledger", "consensus", "client", "node"];
    let forbidden = [
        ("ledger", vec!["consensus", "client", "node", "tests"]),
        ("consensus", vec!["ledger", "client", "node", "tests"]),
        ("client", vec!["node", "tests"]),
        ("node", vec!["tests"]),
    ];
    for (name, others) in forbidden {
        assert!(order.contains(&name));
        for other in others {
            assert!(
                !dependencies(name).contains(&format!("kerbholz-{other}")),
                "{name} must not depend on {other}"
            );
        }
    }
    assert!(!dependencies("client").contains("sled"), "the client must not know the storage");
}

#[test]
fn pure_crates_are_no_std_and_deterministic() {
    for name in ["ledger", "consensus"] {
        let text = fs::read_to_string(root().join(name).join("src/lib.rs")).unwrap();
        assert!(text.contains("#![no_std]"), "{name} must be #![no_std]");
        let words = ["f32", "f64", "HashMap", "HashSet", "std", "Instant", "SystemTime"];
        let found = offending(name, &words);
        assert!(found.is_empty(), "in a pure crate: {found:#?}");
    }
}

#[test]
fn libraries_stay_in_their_corner() {
    for (word, corner) in [("libp2p", "network"), ("sled", "storage")] {
        let found: Vec<_> = offending("node", &[word])
            .into_iter()
            .filter(|place| !place.contains(&format!("src/{corner}")))
            .collect();
        assert!(found.is_empty(), "{word} outside node/src/{corner}: {found:#?}");
    }
}

#[test]
fn top_level_is_the_card() {
    let allowed = [
        "CHANGELOG.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "client",
        "consensus",
        "docs",
        "ledger",
        "node",
        "target",
        "tests",
        "kerbholz-data",
    ];
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name.starts_with('.') || allowed.contains(&name.as_str()),
            "{name}: a new top-level entry needs a decision record, and a line here"
        );
    }
}
