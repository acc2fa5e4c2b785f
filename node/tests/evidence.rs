//! Evidence on its way from a node's disk to a file, and to whoever verifies it: the real program.
#![expect(clippy::unwrap_used, reason = "helpers of a test")]

use kerbholz_client::network::committee;
use kerbholz_consensus::{Draft, Evidence, PublicKey, Round, Signer, Timestamp};
use kerbholz_node::config::{NodeConfig, Pace};
use kerbholz_node::files;
use kerbholz_node::setup::{Setup, authority_folder};
use kerbholz_node::storage::{DiskStorage, Storage};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// Two authorities, of which the second has signed two blocks of one round, and the first knows.
fn network(folder: &Path) {
    let setup = Setup {
        name: "evidence".into(),
        authorities: 2,
        host: [127, 0, 0, 1].into(),
        port: None,
        pace: Pace::Lan,
        organisations: vec!["maker".into()],
        publishers: vec![],
        auditors: vec![],
        material_climate: None,
        currency: "EUR".into(),
        accounting_period: kerbholz_node::setup::DAY,
    };
    let genesis = setup.create(folder).unwrap();
    let committee = committee(&genesis).unwrap();
    let config = |number: usize| {
        NodeConfig::read(&authority_folder(folder, &genesis.authorities[number].name)).unwrap()
    };
    let signer = Signer::from_seed(&files::read_key(&config(1).key).unwrap().seed());
    let author = committee.index_of(&signer.public_key()).unwrap();
    let mut parents = committee.genesis().to_vec();
    parents.sort_by_key(|parent| (parent.author != author, parent.author));
    let [one, other] = [1, 2].map(|at| {
        let (parents, timestamp) = (parents.clone(), Timestamp(at));
        let draft = Draft { round: Round(1), timestamp, parents, ..Draft::default() };
        draft.sign(&committee, author, &signer).unwrap()
    });
    let key = PublicKey(*genesis.authorities[0].key.as_bytes());
    let mut disk = DiskStorage::open(&config(0).data, committee.config(), key).unwrap();
    disk.keep_evidence(&Evidence::new(&one, &other).unwrap()).unwrap();
}

/// The first authority. It ends with its stdin, so with the test, however that ends.
struct Node(Child);

impl Node {
    fn start(folder: &Path) -> Self {
        let mut node = Command::new(env!("CARGO_BIN_EXE_kerbholz"))
            .args(["node", "--exit-with-parent", "--dir"])
            .arg(authority_folder(folder, "authority-0"))
            .env("KERBHOLZ_LOG", "off")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(node.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
        assert!(ready.contains("listens on"), "{ready}");
        Self(node)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

fn kerbholz(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kerbholz"))
        .current_dir(folder)
        .args(["--dir", ".", "--timeout", "2s", "--json"])
        .args(arguments)
        .output()
        .unwrap()
}

fn document(output: &Output) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The exit code, and the reason for programs.
fn refused(output: &Output) -> (Option<i32>, String) {
    let document: Value = serde_json::from_slice(&output.stderr).unwrap();
    (output.status.code(), document["error"]["code"].as_str().unwrap().to_owned())
}

#[test]
fn an_equivocation_is_listed_exported_and_verified_by_others() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    network(folder);
    let node = Node::start(folder);
    let listed = document(&kerbholz(folder, &["evidence", "list"]));
    assert_eq!(listed["not_reached"][0], "authority-1");
    let found = &listed["evidence"][0];
    assert_eq!((&found["authority"], &found["seen"]), (&"authority-1".into(), &1.into()));
    assert_eq!((&found["kept"][0]["round"], &found["seen_by"]), (&1.into(), &"authority-0".into()));

    let get = |what: &str, rest: &[&str]| {
        kerbholz(folder, &[&["evidence", "get", what, "--out", "one.evidence"], rest].concat())
    };
    for (what, words) in [
        (
            "authority-0",
            "authority-0 kept no evidence against \"authority-0\"; not reached: authority-1",
        ),
        ("nobody", "no authority is or was called \"nobody\""),
    ] {
        let output = get(what, &[]);
        assert_eq!(refused(&output), (Some(2), "usage".into()), "it did nothing");
        let message = String::from_utf8(output.stderr).unwrap().replace("\\\"", "\"");
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(refused(&get("authority-1", &["--number", "1"])), (Some(2), "unknown".into()));
    assert!(!folder.join("one.evidence").exists());
    let key = found["key"].as_str().unwrap();
    let written = document(&get(&key[..8], &[]));
    assert_eq!(written["authority"], "authority-1");
    assert_eq!(refused(&get("authority-1", &[])), (Some(6), "file".into()), "it exists");
    drop(node);

    let audit =
        |file: &str| kerbholz(folder, &["audit", "evidence", file, "--genesis", "genesis.json"]);
    let proven = document(&audit("one.evidence"));
    assert_eq!((&proven["authority"], &proven["key"]), (&found["authority"], &found["key"]));
    assert_eq!((&proven["epoch"], &proven["round"]), (&0.into(), &1.into()));
    assert_ne!(proven["first"], proven["second"]);

    let whole = fs::read(folder.join("one.evidence")).unwrap();
    let mut forged = whole.clone();
    forged[60] ^= 1;
    for (name, bytes) in [("cut", &whole[..200]), ("empty", &[]), ("forged", &forged)] {
        fs::write(folder.join(name), bytes).unwrap();
        assert_eq!(refused(&audit(name)), (Some(5), "unverified".into()), "{name}");
    }
    assert_eq!(refused(&audit("missing")), (Some(6), "file".into()));
}
