//! Whom a folder says to talk to.

use super::*;
use kerbholz_ledger::genesis::{Accounting, GENESIS_VERSION, GenesisAuthority, GenesisMember};
use kerbholz_ledger::quantity::{CommitIndex, Epoch, Timestamp};
use std::fs;

fn key(name: &str) -> kerbholz_ledger::keys::PublicKey {
    let mut seed = [b'.'; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    Keypair::from_seed(&seed).public()
}

/// A folder with the authorities a and b in its genesis.
fn folder() -> tempfile::TempDir {
    let authority = |name: &str| GenesisAuthority { name: name.into(), key: key(name) };
    let genesis = Genesis {
        version: GENESIS_VERSION,
        name: "folder".into(),
        created_at: Timestamp::ZERO,
        authorities: vec![authority("a"), authority("b")],
        organisations: vec![GenesisMember {
            name: "c".into(),
            owner_key: key("c"),
            signing_key: key("c"),
        }],
        publishers: vec![],
        auditors: Vec::new(),
        currencies: vec![],
        accounting: Accounting::default(),
    };
    let folder = tempfile::tempdir().unwrap();
    let json = serde_json::to_string(&genesis).unwrap();
    fs::write(folder.path().join(GENESIS_FILE), json).unwrap();
    let addresses = r#"{ "a": ["/ip4/10.0.0.1/tcp/1"], "b": ["/ip4/10.0.0.2/tcp/1"] }"#;
    fs::write(folder.path().join(ADDRESSES_FILE), addresses).unwrap();
    folder
}

fn contacts(folder: &tempfile::TempDir) -> Vec<String> {
    let network = Network::open(folder).unwrap();
    let shown = |contact: &Contact| {
        assert_eq!(contact.key, key(&contact.name));
        let addresses: Vec<String> = contact.addresses.iter().map(ToString::to_string).collect();
        format!("{} {}", contact.name, addresses.join(" "))
    };
    network.authorities().iter().map(shown).collect()
}

#[test]
fn the_committee_of_the_genesis_until_another_one_is_known() {
    let folder = folder();
    assert_eq!(contacts(&folder), ["a /ip4/10.0.0.1/tcp/1", "b /ip4/10.0.0.2/tcp/1"]);
    let authority = |name: &str, addresses: &[&str]| Authority {
        name: name.into(),
        key: key(name),
        addresses: addresses.iter().map(|address| (*address).to_owned()).collect(),
    };
    let known = CommitteeRow {
        epoch: Epoch::new(2),
        decided_in: CommitIndex::new(9),
        authorities: vec![
            authority("b", &["/ip4/10.0.0.9/tcp/1"]),
            authority("d", &["/dns4/d/tcp/1", "nonsense"]),
            authority("e", &["nonsense"]),
        ],
    };
    let json = serde_json::to_string(&known).unwrap();
    fs::write(folder.path().join(COMMITTEE_FILE), json).unwrap();
    // The file of addresses is the user's own; an authority without any cannot be asked.
    assert_eq!(contacts(&folder), ["b /ip4/10.0.0.2/tcp/1", "d /dns4/d/tcp/1"]);
    fs::write(folder.path().join(COMMITTEE_FILE), "{").unwrap();
    assert!(matches!(Network::open(&folder), Err(NetworkFileError::Malformed { .. })));
}
