//! Every authority of the genesis is replaced by vote, one after the other, by real processes and from
//! the command line. Those of the genesis gone, clients go on with nothing but the genesis and what
//! they have proved; a receipt and a replay lead through all epochs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use kerbholz_client::network::{self, read_genesis};
use kerbholz_consensus::{Draft, Evidence, PublicKey, Round, Signer, Timestamp};
use kerbholz_node::files;
use kerbholz_node::storage::{DiskStorage, Storage};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tests::drill::program;

const AUTHORITIES: usize = 4;
/// How long anything may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running node; it ends with the test.
struct Node(Child);

impl Node {
    /// Starts the authority of this name, and waits until it listens.
    fn start(folder: &Path, name: &str) -> Self {
        let mut child = Command::new(program())
            .args(["node", "--json", "--exit-with-parent", "--dir"])
            .arg(home(folder, name))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert!(ready.contains("\"ready\":true"), "{name}: {ready:?}");
        Self(child)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a command of these words prints with `--json`; it must succeed.
fn kerbholz(folder: &Path, line: &str) -> Value {
    run(folder, &line.split_whitespace().collect::<Vec<_>>(), "60s")
}

fn issue(folder: &Path) {
    run(folder, &["money", "issue", "1.00 EUR", "--to", "forge", "--as", "forge"], "60s");
}

fn run(folder: &Path, words: &[&str], timeout: &str) -> Value {
    let output = Command::new(program())
        .args(words)
        .args(["--json", "--timeout", timeout])
        .env("KERBHOLZ_DIR", folder.join("net"))
        .current_dir(folder)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn names(committee: &Value) -> Vec<&str> {
    let authorities = committee["authorities"].as_array().unwrap();
    authorities.iter().map(|one| one["name"].as_str().unwrap()).collect()
}

/// A port that is free now, to be listened on in a moment.
fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn home(folder: &Path, name: &str) -> PathBuf {
    folder.join("net/authorities").join(name)
}

/// Lets a node that is down have seen two blocks of one round by another authority of its epoch.
fn equivocate(folder: &Path, offender: &str, witness: &str) {
    let key = |name| files::read_key(&home(folder, name).join("key")).unwrap();
    let genesis = read_genesis(&folder.join("net/genesis.json")).unwrap();
    let first = network::committee(&genesis).unwrap();
    let of_witness = PublicKey(*key(witness).public().as_bytes());
    let data = home(folder, witness).join("data");
    let mut disk = DiskStorage::open(&data, first.config(), of_witness).unwrap();
    let committee = disk.epochs().last().unwrap().committee().unwrap();
    let signer = Signer::from_seed(&key(offender).seed());
    let author = committee.index_of(&signer.public_key()).unwrap();
    let mut parents = committee.genesis().to_vec();
    parents.sort_by_key(|parent| (parent.author != author, parent.author));
    let [one, other] = [1, 2].map(|at| {
        let (parents, timestamp) = (parents.clone(), Timestamp(at));
        let draft = Draft { round: Round(1), timestamp, parents, ..Draft::default() };
        draft.sign(&committee, author, &signer).unwrap()
    });
    disk.keep_evidence(&Evidence::new(&one, &other).unwrap()).unwrap();
}

/// Who knows of the network no more than its genesis finds the present authorities, and they name
/// one that joined by a vote.
fn evidence_is_found_from_the_genesis_on(folder: &Path) {
    equivocate(folder, "new-0", "new-3");
    for file in ["committee.json", "seen"] {
        fs::remove_file(folder.join("net").join(file)).unwrap();
    }
    let _nodes = ["authority-0", "new-3"].map(|name| Node::start(folder, name));
    let listed = run(folder, &["evidence", "list"], "10s");
    assert_eq!(listed["evidence"].as_array().unwrap().len(), 1, "{listed}");
    let found = &listed["evidence"][0];
    let names = [&found["authority"], &found["seen_by"], &found["kept"][0]["epoch"]];
    assert_eq!(names, [&Value::from("new-0"), &Value::from("new-3"), &Value::from(4)]);
    assert_eq!(listed["not_reached"], Value::from(["new-0", "new-1", "new-2"].to_vec()));
    run(folder, &["evidence", "get", "new-0", "--out", "new-0.evidence"], "10s");
    let proven = kerbholz(folder, "audit evidence new-0.evidence --genesis net/genesis.json");
    assert_eq!((&proven["authority"], &proven["epoch"]), (&"new-0".into(), &4.into()));
}

/// Waits until every authority of the committee has this commit.
fn all_have(folder: &Path, commit: &Value) {
    let behind = |one: &Value| one["commit"].as_u64() < commit.as_u64();
    let begin = Instant::now();
    while kerbholz(folder, "status")["authorities"].as_array().unwrap().iter().any(behind) {
        assert!(begin.elapsed() < PATIENCE, "somebody stays behind");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn all_authorities_are_replaced_while_clients_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    kerbholz(folder, "init --organisation forge");
    let names_of_old = (0..AUTHORITIES).map(|index| format!("authority-{index}"));
    let old: Vec<Node> = names_of_old.map(|name| Node::start(folder, &name)).collect();
    issue(folder);

    let mut new = Vec::new();
    for index in 0..AUTHORITIES {
        let (before, after) = (format!("authority-{index}"), format!("new-{index}"));
        let at = format!("/ip4/127.0.0.1/tcp/{}", free_port());
        let made = kerbholz(folder, &format!("authority new {after} --at {at}"));
        let candidate = made["candidate"].as_str().unwrap().to_owned();
        new.push(Node::start(folder, &after));
        let committee = kerbholz(folder, "authority list");
        // The last ones vote: at first those of the genesis, in the end their successors.
        let voters: Vec<&str> =
            names(&committee).into_iter().filter(|name| *name != before).collect();
        for (votes, voter) in voters.iter().enumerate() {
            let line = format!("authority vote --replace {before} {candidate} --as {voter}");
            let voted = kerbholz(folder, &line);
            assert_eq!(voted["votes"], votes + 1);
            assert_eq!(voted["decided"], votes + 1 == voters.len());
        }
        let committee = kerbholz(folder, "authority list");
        assert_eq!(committee["epoch"], index + 1);
        assert_eq!(names(&committee)[index], after);
        issue(folder);
    }

    let decided = kerbholz(folder, "authority list")["decided_in"].clone();
    // Who begins with the genesis asks those of the genesis: they follow until all have caught up.
    all_have(folder, &decided);
    drop(old);
    issue(folder);

    let last = kerbholz(folder, "authority votes");
    assert_eq!(
        (&last["epoch"], &last["proposals"]),
        (&Value::from(4), &Value::from(Vec::<Value>::new()))
    );
    let vote = kerbholz(folder, "authority vote --remove new-0 --as new-3");
    let transaction = vote["transaction"].as_str().unwrap();
    kerbholz(folder, &format!("receipt get {transaction} --out vote.receipt"));
    all_have(folder, &vote["commit"]);
    drop(new);

    // Nobody is there any more.
    let receipt = kerbholz(folder, "receipt verify vote.receipt --genesis net/genesis.json");
    assert_eq!((&receipt["verified"], &receipt["epoch"]), (&Value::from(true), &Value::from(4)));
    let of = |name: &str| home(folder, name).join("data").display().to_string();
    let line = format!(
        "audit replay {} --genesis net/genesis.json --against {}",
        of("new-3"),
        of("authority-0")
    );
    let audit = kerbholz(folder, &line);
    assert_eq!((&audit["epochs"], &audit["rejected"]), (&Value::from(5), &Value::from(0)));
    assert!(audit["against"]["against"].as_u64() <= audit["against"]["commits"].as_u64());
    assert!(audit["against"]["against"].as_u64() >= decided.as_u64());
    evidence_is_found_from_the_genesis_on(folder);
}
