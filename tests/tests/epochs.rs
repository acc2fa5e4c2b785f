//! A committee of real processes changes: one joins, one is removed, one is replaced, all are killed
//! in the middle of a vote. Who joined is needed for every further decision, who was removed follows,
//! and in the end all ledgers are one.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by panicking")]

use kerbholz_client::ledger::id::MemberId;
use kerbholz_client::ledger::operation::{MoneyIssue, Operation};
use kerbholz_client::ledger::quantity::Minor;
use kerbholz_client::network::read_key;
use kerbholz_client::{Network, Session};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tests::drill::{program, until};

/// How many lines of each authority's log a failure shows.
const LAST_WORDS: usize = 20;

/// A network in a folder, and its running authorities.
struct Consortium {
    folder: tempfile::TempDir,
    running: BTreeMap<&'static str, Child>,
}

impl Drop for Consortium {
    fn drop(&mut self) {
        self.running.values_mut().for_each(|child| drop(child.kill()));
        if std::thread::panicking() {
            for name in
                ["authority-0", "authority-1", "authority-2", "authority-3", "fifth", "sixth"]
            {
                let log = std::fs::read_to_string(self.folder().join(format!("{name}.log")));
                let log = log.unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                eprintln!(
                    "{name}:\n{}",
                    lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n")
                );
            }
        }
    }
}

impl Consortium {
    fn found() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let network = Self { folder, running: BTreeMap::new() };
        network.kerbholz(&["init", "--organisation", "forge", "--authorities", "4"]);
        network
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn home(&self, name: &str) -> PathBuf {
        self.folder().join("authorities").join(name)
    }

    /// Runs a command, which must succeed, and gives what it prints with `--json`.
    fn kerbholz(&self, arguments: &[&str]) -> Value {
        let mut command = Command::new(program());
        command.args(arguments).arg("--json").arg("--dir").arg(self.folder());
        let output = command.stderr(Stdio::piped()).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    fn start(&mut self, names: &[&'static str]) {
        for name in names {
            let log = self.folder().join(format!("{name}.log"));
            let log = File::options().create(true).append(true).open(log).unwrap();
            let mut child = Command::new(program())
                .args(["node", "--exit-with-parent", "--dir"])
                .arg(self.home(name))
                .env("KERBHOLZ_LOG", "info")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(log)
                .spawn()
                .unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            assert!(lines.next().is_some(), "{name} ended before it listened");
            std::thread::spawn(move || lines.for_each(drop));
            self.running.insert(name, child);
        }
    }

    fn kill(&mut self, names: &[&'static str]) {
        for name in names {
            let mut child = self.running.remove(name).unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Makes the folder of somebody who wants to join; the candidate's file.
    fn candidate(&self, name: &str) -> String {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = format!("/ip4/127.0.0.1/tcp/{port}");
        self.kerbholz(&["authority", "new", name, "--at", &at]);
        self.home(name).join("candidate.json").to_str().unwrap().to_owned()
    }

    /// These authorities vote for a change, one after the other; what the last one is told.
    fn vote(&self, voters: &[&str], change: &[&str]) -> Value {
        let mut outcome = Value::Null;
        for voter in voters {
            let by = ["--as", voter];
            outcome = self.kerbholz(&[["authority", "vote"].as_slice(), change, &by].concat());
        }
        outcome
    }

    /// The epoch in which the authorities are, by the ledger of one that a client knows.
    fn epoch(&self) -> u64 {
        self.kerbholz(&["authority", "list"])["epoch"].as_u64().unwrap()
    }

    /// A transaction becomes final, whatever has to happen for that.
    async fn order(&self) {
        let network = Network::open(self.folder()).unwrap();
        let forge = read_key(&self.folder().join("members/forge.key")).unwrap();
        let session = Session::open(&network, &forge).unwrap();
        let issue = MoneyIssue {
            currency: "EUR".into(),
            to: MemberId::of(&forge.public()),
            amount: Minor::new(1),
        };
        let transaction = session.sign(vec![Operation::IssueMoney(issue)]);
        until("a transaction becomes final", async || {
            session.submit_signed(&transaction).await.is_ok()
        })
        .await;
    }

    /// Waits until these have begun an epoch. Until then a quorum of the epoch before is needed.
    async fn entered(&self, names: &[&str], epoch: u64) {
        let line = format!("a new epoch begins epoch={epoch} ");
        for name in names {
            until("an epoch begins", async || self.log(name).contains(&line)).await;
        }
    }

    /// What the log of an authority says.
    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder().join(format!("{name}.log"))).unwrap()
    }

    /// Replays the ledger of one, and compares it with that of another.
    fn audit(&self, name: &str, other: &str) -> Value {
        let data = |name| self.home(name).join("data").to_str().unwrap().to_owned();
        let genesis = self.folder().join("genesis.json");
        self.kerbholz(&[
            "audit",
            "replay",
            &data(name),
            "--genesis",
            genesis.to_str().unwrap(),
            "--against",
            &data(other),
        ])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committee_changes_and_keeps_one_ledger() {
    let [a, b, c, d] = ["authority-0", "authority-1", "authority-2", "authority-3"];
    let mut network = Consortium::found();
    network.start(&[a, b, c, d]);
    network.order().await;

    // Four of five decide from now on: without one of the first four, only with the fifth.
    let candidate = network.candidate("fifth");
    let decided = network.vote(&[a, b, c], &["--add", &candidate]);
    assert_eq!(decided["decided"], true, "{decided}");
    network.start(&["fifth"]);
    network.entered(&[a, b, c, "fifth"], 1).await;
    network.kill(&[d]);
    network.order().await;
    assert_eq!(network.epoch(), 1);

    // All die after two of four votes; the votes are on the ledger.
    network.vote(&[a, c], &["--remove", b]);
    network.kill(&[a, b, c, "fifth"]);
    network.start(&["fifth", c, b, a]);
    network.vote(&["fifth"], &["--remove", b]);
    network.start(&[d]);
    let decided = network.vote(&[d], &["--remove", b]);
    assert_eq!(decided["decided"], true, "{decided}");

    // Three of four decide, and the second is none of them. It follows, and says so.
    network.entered(&[a, c, d, "fifth"], 2).await;
    network.kill(&[a]);
    network.order().await;
    until("the second knows", async || network.log(b).contains("no member of the committee")).await;
    network.start(&[a]);

    // Another takes the place of the fourth, which is away for good.
    network.kill(&[d]);
    let candidate = network.candidate("sixth");
    network.start(&["sixth"]);
    let decided = network.vote(&[a, c, "fifth"], &["--replace", d, &candidate]);
    assert_eq!(decided["decided"], true, "{decided}");
    network.entered(&[a, c, "fifth", "sixth"], 3).await;
    network.kill(&[a]);
    network.order().await;
    network.start(&[a]);
    // The fourth comes back once more, and learns what became of it.
    network.start(&[d]);
    network.order().await;
    until("the fourth knows", async || network.log(d).contains("no member of the committee")).await;
    assert_eq!(network.epoch(), 3);

    let all = [a, b, c, d, "fifth", "sixth"];
    network.kill(&all);
    for one in all {
        let report = network.audit(one, c);
        assert_eq!(report["epochs"], 4, "{one}: {report}");
    }
}
