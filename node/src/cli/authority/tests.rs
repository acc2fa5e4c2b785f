//! What is typed and what is shown. That votes change the committee is the ledger's affair.

use super::*;
use crate::cli::Cli;
use clap::Parser;
use kerbholz_client::ledger::quantity::CommitIndex;

fn key(name: u8) -> Keypair {
    Keypair::from_seed(&[name; 32])
}

fn committee() -> CommitteeRow {
    let authority = |name: &str| Authority {
        name: name.into(),
        key: key(name.as_bytes()[0]).public(),
        addresses: vec![],
    };
    CommitteeRow {
        epoch: Epoch::new(3),
        decided_in: CommitIndex::new(70),
        authorities: ["a", "b", "c", "d"].map(authority).to_vec(),
    }
}

#[test]
fn a_vote_is_for_exactly_one_thing() {
    let line = |words: &str| {
        let words = format!("kerbholz authority vote --as authority-0 {words}");
        Cli::try_parse_from(words.split_whitespace()).is_ok()
    };
    for good in ["--add f", "--remove x", "--replace x f", "--withdraw"] {
        assert!(line(good), "{good}");
    }
    for bad in ["", "--add f --remove x", "--replace x", "--add f --withdraw", "--replace x f g"] {
        assert!(!line(bad), "{bad}");
    }
    assert!(Cli::try_parse_from(["kerbholz", "authority", "vote", "--withdraw"]).is_err());
}

#[test]
fn an_authority_is_found_by_name_or_key() {
    let expected = key(b'c').public();
    assert_eq!(find(&committee(), "c").unwrap(), expected);
    assert_eq!(find(&committee(), &expected.to_string()).unwrap(), expected);
    assert!(matches!(find(&committee(), "e"), Err(CliError::Usage(_))));
}

#[test]
fn proposals_name_who_votes_for_them_and_how_many_it_takes() {
    let empty = votes_report(&committee(), &[]);
    assert_eq!(empty.text, "Nobody has voted in epoch 3. A change takes 3 votes.");
    let proposals = [
        Proposal {
            change: CommitteeChange::Remove(key(b'd').public()),
            votes: vec![key(b'a').public(), key(b'b').public()],
        },
        Proposal {
            change: CommitteeChange::Replace {
                key: key(b'a').public(),
                by: Candidate::new(
                    kerbholz_client::ledger::id::NetworkId::new([1; 32]),
                    "e".into(),
                    vec!["/dns4/e/tcp/1".into()],
                    &key(b'e'),
                ),
            },
            votes: vec![key(b'c').public()],
        },
    ];
    let report = votes_report(&committee(), &proposals);
    let lines: Vec<Vec<&str>> =
        report.text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1], ["remove", "d", "2", "of", "3", "a,", "b"]);
    let short = key(b'e').public().short();
    let key = format!("{short})");
    let expected = ["replace", "a", "by", "e", "(key", key.as_str(), "1", "of", "3", "c"];
    assert_eq!(lines[2], expected);
    assert_eq!((&report.json["epoch"], &report.json["quorum"]), (&json!(3), &json!(3)));
    assert_eq!(report.json["proposals"][0]["by"], json!(["a", "b"]));
}

#[test]
fn a_node_listens_where_its_name_leads() {
    for (at, expected) in [
        ("/dns4/node.example/tcp/7001", "/ip4/0.0.0.0/tcp/7001"),
        ("/dns/node.example/udp/7001/quic-v1", "/ip4/0.0.0.0/udp/7001/quic-v1"),
        ("/dns6/node.example/tcp/7001", "/ip6/::/tcp/7001"),
        ("/ip4/10.0.0.7/tcp/7001", "/ip4/10.0.0.7/tcp/7001"),
    ] {
        assert_eq!(listen_for(&at.parse().unwrap()), expected);
    }
}
