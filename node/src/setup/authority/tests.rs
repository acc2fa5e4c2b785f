//! The files of a new authority: complete, its own, and believed only as they were made.

use super::*;
use crate::setup::Setup;
use kerbholz_ledger::keys::Keypair;
use std::net::{IpAddr, Ipv4Addr};

fn network(folder: &Path) -> Network {
    let setup = Setup {
        name: "rail".into(),
        authorities: 1,
        host: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: None,
        pace: Pace::Lan,
        organisations: vec!["forge".into()],
        publishers: vec![],
        auditors: vec![],
        material_climate: None,
        currency: "EUR".into(),
        accounting_period: crate::setup::DAY,
    };
    setup.create(folder).unwrap();
    Network::open(folder).unwrap()
}

fn foundry() -> NewAuthority {
    NewAuthority {
        name: "foundry".into(),
        addresses: vec!["/dns4/foundry.example/tcp/7001".into()],
        listen: vec!["/ip4/0.0.0.0/tcp/7001".into()],
        pace: Pace::Wan,
    }
}

#[test]
fn a_new_authority_has_all_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let network = network(folder.path());
    let (path, candidate) = foundry().create(&network, folder.path()).unwrap();
    assert_eq!(read_candidate(&path, &network).unwrap(), candidate);
    let home = authority_folder(folder.path(), "foundry");
    let config = NodeConfig::read(&home).unwrap();
    assert_eq!((config.name.as_str(), config.pace), ("foundry", Pace::Wan));
    assert_eq!(config.listen, foundry().listen);
    let key = files::read_key(&config.key).unwrap();
    assert_eq!(key.public(), candidate.key);
    let first = committee(network.genesis()).unwrap();
    let public = PublicKey(*key.public().as_bytes());
    drop(DiskStorage::open(&config.data, first.config(), public).unwrap());
    // Never a second one in its place.
    let again = foundry().create(&network, folder.path());
    assert!(matches!(again, Err(SetupError::File(FileError::Exists(_)))), "{again:?}");
    let taken = NewAuthority { name: "authority-0".into(), ..foundry() };
    let taken = taken.create(&network, folder.path());
    assert!(matches!(taken, Err(SetupError::File(FileError::Exists(_)))), "{taken:?}");
}

#[test]
fn an_interrupted_attempt_is_finished_with_the_same_key() {
    let folder = tempfile::tempdir().unwrap();
    let network = network(folder.path());
    let key = Keypair::from_seed(&[7; 32]);
    let home = authority_folder(folder.path(), "foundry");
    files::write_key(&home.join("key"), &key).unwrap();
    let (_, candidate) = foundry().create(&network, folder.path()).unwrap();
    assert_eq!(candidate.key, key.public());
}

#[test]
fn a_candidate_that_was_changed_or_is_for_another_network_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let network = network(folder.path());
    let (path, candidate) = foundry().create(&network, folder.path()).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = self::network(elsewhere.path());
    assert!(matches!(read_candidate(&path, &other), Err(FileError::Malformed { .. })));
    let mut changed = candidate;
    changed.addresses[0] = "/dns4/elsewhere.example/tcp/7001".into();
    files::write(&path, json(&changed).as_bytes(), false).unwrap();
    assert!(matches!(read_candidate(&path, &network), Err(FileError::Malformed { .. })));
    // Another file by mistake: where it is none, and what to do.
    files::write(&path, b"{\n  \"name\": 7\n}", false).unwrap();
    let error = read_candidate(&path, &network).unwrap_err().to_string();
    let words = ["candidate.json: ", "line 2", "as `kerbholz authority new` made it"];
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
    let nowhere = NewAuthority { name: "no".into(), addresses: vec![], ..foundry() };
    assert!(nowhere.create(&network, folder.path()).is_err());
}
