//! The real program, for everything that needs no network: what it prints, how it ends, and that it
//! leaves nothing half-written.
#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn kerbholz(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kerbholz"))
        .current_dir(folder)
        .env_remove("KERBHOLZ_DIR")
        .args(arguments)
        .output()
        .unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The error that a command with `--json` printed.
fn error(output: &Output) -> (String, String) {
    assert_eq!(stdout(output), "", "an error prints nothing to stdout");
    let document: Value = serde_json::from_str(stderr(output).trim()).unwrap();
    let field = |name: &str| document["error"][name].as_str().unwrap().to_owned();
    (field("code"), field("message"))
}

fn init(folder: &Path) -> Output {
    let arguments = ["init", "--dir", "net", "--organisation", "forge", "--publisher", "agency"];
    kerbholz(folder, &[arguments.as_slice(), &["--json"]].concat())
}

#[test]
fn init_makes_a_network_once() {
    let folder = tempfile::tempdir().unwrap();
    let made = init(folder.path());
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    let document: Value = serde_json::from_str(&stdout(&made)).unwrap();
    assert_eq!(document["authorities"].as_array().unwrap().len(), 4);
    let key = folder.path().join("net/members/forge.key");
    assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);

    let genesis = fs::read(folder.path().join("net/genesis.json")).unwrap();
    let again = init(folder.path());
    assert_eq!(code(&again), 6);
    assert_eq!(error(&again).0, "file");
    assert_eq!(fs::read(folder.path().join("net/genesis.json")).unwrap(), genesis);
}

#[test]
fn init_refuses_what_makes_no_network() {
    let folder = tempfile::tempdir().unwrap();
    let table: &[(&[&str], i32)] = &[
        (&["init"], 2),
        (&["init", "--organisation", "a", "--organisation", "a"], 2),
        (&["init", "--organisation", "../a"], 2),
        (&["init", "--organisation", "a", "--authorities", "0"], 2),
        (&["init", "--organisation", "a", "--port", "65534"], 2),
        (&["init", "--organisation", "a", "--host", "example"], 2),
    ];
    for (arguments, expected) in table {
        let output = kerbholz(folder.path(), arguments);
        assert_eq!(code(&output), *expected, "{arguments:?}: {}", stderr(&output));
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// What an export would replace, or cannot say, is found before the ledger is read.
#[test]
fn exports_refuse_before_they_read() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("there"), "mine").unwrap();
    let ledger = ["no-data", "--genesis", "no-genesis.json"];
    let pact = ["--lot", "bracket", "--out", "new.json"];
    let table: &[(&str, &[&str], i32, &str)] = &[
        ("csv", &["--out", "there"], 6, "exists already"),
        ("parquet", &["--out", "there", "--force"], 6, "is no export"),
        ("epcis", &["--out", "there"], 6, "exists already"),
        ("pact", &pact, 2, "--standard"),
        ("pact", &[&pact[..], &["--standard", ""]].concat(), 2, "it has a name"),
        ("pact", &[&pact[..], &["--standard", "a", "--company-id", "b"]].concat(), 2, "no URN"),
        ("pact", &[&pact[..], &["--standard", "a", "--country", "de"]].concat(), 2, "no country"),
        (
            "pact",
            &[&pact[..], &["--standard", "a", "--assessment-report", "4"]].concat(),
            2,
            "not in 5..=6",
        ),
    ];
    for (what, rest, expected, says) in table {
        let output = kerbholz(folder.path(), &[&["export", what], &ledger[..], rest].concat());
        assert_eq!(code(&output), *expected, "{what} {rest:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(says), "{what} {rest:?}: {}", stderr(&output));
    }
    assert_eq!(fs::read_to_string(folder.path().join("there")).unwrap(), "mine");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn keys_are_made_once_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let made = kerbholz(folder.path(), &["key", "new", "a.key", "--json"]);
    assert_eq!(code(&made), 0);
    let shown = kerbholz(folder.path(), &["key", "show", "a.key", "--json"]);
    assert_eq!(stdout(&made), stdout(&shown));
    let again = kerbholz(folder.path(), &["key", "new", "a.key", "--json"]);
    assert_eq!((code(&again), error(&again).0.as_str()), (6, "file"));

    fs::write(folder.path().join("b.key"), "not a key").unwrap();
    let bad = kerbholz(folder.path(), &["key", "show", "b.key", "--json"]);
    assert_eq!(code(&bad), 6);
    assert!(error(&bad).1.contains("kerbholz key new"), "the error says what to do");
}

#[test]
fn a_place_that_cannot_be_written_is_a_file_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "in the way").unwrap();
    let table: &[&[&str]] = &[
        &["init", "--dir", "file/net", "--organisation", "a"],
        &["key", "new", "file/a.key"],
        &["dev", "--dir", "file/dev"],
    ];
    for arguments in table {
        let output = kerbholz(folder.path(), arguments);
        assert_eq!(code(&output), 6, "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("file"), "{arguments:?} names the file");
    }
}

/// Found out before anything is made of it: a port in use, and words about a network that is there.
#[test]
fn dev_makes_no_network_it_cannot_run_and_changes_none() {
    let folder = tempfile::tempdir().unwrap();
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    let dev = ["dev", "--dir", "try", "--json", "--authorities", "1", "--port", port.as_str()];
    let in_use = kerbholz(folder.path(), &dev);
    assert_eq!(code(&in_use), 1);
    assert!(error(&in_use).1.contains(&format!("{port} is in use")), "{}", stderr(&in_use));
    let made: Vec<_> = fs::read_dir(folder.path().join("try")).unwrap().collect();
    assert_eq!(made.len(), 1, "only its lock: {made:?}");

    assert_eq!(code(&init(folder.path())), 0);
    let before = fs::read(folder.path().join("net/authorities/authority-0/node.toml")).unwrap();
    for (option, value, word) in
        [("--port", port.as_str(), "listens on"), ("--authorities", "7", "with 4 authorities")]
    {
        let there = kerbholz(folder.path(), &["dev", "--dir", "net", "--json", option, value]);
        assert_eq!(code(&there), 2, "{}", stderr(&there));
        assert!(error(&there).1.contains(word), "{}", stderr(&there));
    }
    let after = fs::read(folder.path().join("net/authorities/authority-0/node.toml")).unwrap();
    assert_eq!(before, after);
}

#[test]
fn wrong_usage_is_exit_code_2_and_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let place = ["order", "place", "bracket", "--from", "printer", "--as", "press", "--quantity"];
    let table: &[(Vec<&str>, &str)] = &[
        (vec!["--frobnicate"], "--frobnicate"),
        (vec!["frobnicate"], "frobnicate"),
        (vec!["key"], "Usage"),
        ([place.as_slice(), &["1 stone"]].concat(), "stone"),
        ([place.as_slice(), &["1 piece", "--price", "1.001 EUR"]].concat(), "25.00 EUR"),
        ([place.as_slice(), &["1 piece", "--accept-within", "soon"]].concat(), "2h"),
        ([place.as_slice(), &["1 piece", "--require", "beauty"]].concat(), "beauty"),
        (vec!["order", "complete", "latest", "--as", "a", "--make", "bracket"], "mass=100 g"),
    ];
    for (arguments, word) in table {
        let output = kerbholz(folder.path(), arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(word), "{arguments:?}: {}", stderr(&output));
    }
    let json = kerbholz(folder.path(), &["frobnicate", "--json"]);
    assert_eq!((code(&json), error(&json).0.as_str()), (2, "usage"));
}

#[test]
fn a_folder_without_a_network_is_a_file_error() {
    let folder = tempfile::tempdir().unwrap();
    let output = kerbholz(folder.path(), &["order", "list", "--dir", "nowhere", "--json"]);
    assert_eq!(code(&output), 6);
    assert!(error(&output).1.contains("kerbholz init"), "the error says what to do");
    let node = kerbholz(folder.path(), &["node", "--dir", "nowhere", "--json"]);
    assert_eq!((code(&node), error(&node).0.as_str()), (6, "file"));
}

#[test]
fn a_network_that_does_not_run_is_exit_code_4() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path());
    let output =
        kerbholz(folder.path(), &["order", "list", "--dir", "net", "--timeout", "1s", "--json"]);
    assert_eq!(code(&output), 4);
    let (code, message) = error(&output);
    assert_eq!(code, "unreachable");
    assert!(message.contains("kerbholz dev"), "the error says what to do");
}

#[test]
fn what_is_no_receipt_does_not_verify() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path());
    let verify = |file: &str| {
        let genesis = "net/genesis.json";
        kerbholz(folder.path(), &["receipt", "verify", file, "--genesis", genesis, "--json"])
    };
    fs::write(folder.path().join("empty"), "").unwrap();
    fs::write(folder.path().join("noise"), [7; 1_000]).unwrap();
    for file in ["empty", "noise"] {
        let output = verify(file);
        assert_eq!((code(&output), error(&output).0.as_str()), (5, "unverified"), "{file}");
    }
    let missing = verify("missing");
    assert_eq!((code(&missing), error(&missing).0.as_str()), (6, "file"));
    fs::write(folder.path().join("net/genesis.json"), "{}").unwrap();
    let genesis = verify("noise");
    assert_eq!((code(&genesis), error(&genesis).0.as_str()), (6, "file"));
}

#[test]
fn help_and_completions_print_to_stdout() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["--help"][..], &["order", "--help"], &["completions", "bash"]] {
        let output = kerbholz(folder.path(), arguments);
        assert_eq!(code(&output), 0, "{arguments:?}");
        assert!(stdout(&output).contains("kerbholz"), "{arguments:?}");
    }
}

/// A node that cannot listen must not have taken its log for lost by then.
#[test]
fn a_port_in_use_is_found_out_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(code(&init(folder.path())), 0);
    let home = folder.path().join("net/authorities/authority-0");
    let config = fs::read_to_string(home.join("node.toml")).unwrap();
    let (_, port) = config.split_once("/tcp/").unwrap();
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    let _held = std::net::TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    fs::remove_dir_all(home.join("data")).unwrap();
    let refused =
        kerbholz(folder.path(), &["node", "--dir", "net/authorities/authority-0", "--json"]);
    assert_eq!(code(&refused), 1, "{}", stderr(&refused));
    assert!(stderr(&refused).contains("is in use"), "{}", stderr(&refused));
    assert!(!home.join("data").exists());
}
