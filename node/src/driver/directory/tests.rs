//! Who is who after changes of the committee.

use super::*;
use kerbholz_client::ledger::keys;
use kerbholz_client::ledger::memory::Memory;
use kerbholz_client::ledger::quantity::{CommitIndex, Timestamp};
use kerbholz_client::ledger::rows::{
    CommitteeRow, LedgerRow, Row, Table, Write, committee_key, key as row_key,
};
use kerbholz_client::ledger::{codec, execute, genesis};
use kerbholz_consensus::{CommitDigest, CommitteeConfig, NetworkId, Signer};
use std::cell::RefCell;

fn key(seed: u8) -> PublicKey {
    Signer::from_seed(&[seed; 32]).public_key()
}

fn voted(name: &str, seed: u8, addresses: &[&str]) -> Voted {
    let addresses = addresses.iter().map(ToString::to_string).collect();
    Voted { name: name.into(), key: keys::PublicKey::new(key(seed).0), addresses }
}

fn put<T: serde::Serialize>(state: &mut Memory, key: Vec<u8>, row: &T) {
    state.apply(&[Write::set(key, codec::encode(row))]);
}

/// A state in which these epochs were decided.
fn state(epochs: &[Vec<Voted>]) -> Memory {
    let authority =
        genesis::GenesisAuthority { name: "first".into(), key: keys::PublicKey::new(key(1).0) };
    let member = genesis::GenesisMember {
        name: "maker".into(),
        owner_key: keys::PublicKey::new(key(99).0),
        signing_key: keys::PublicKey::new(key(99).0),
    };
    let genesis = genesis::Genesis {
        version: genesis::GENESIS_VERSION,
        name: "test".into(),
        created_at: Timestamp::ZERO,
        authorities: vec![authority],
        organisations: vec![member],
        publishers: vec![],
        auditors: Vec::new(),
        currencies: vec![genesis::GenesisCurrency { code: "EUR".into(), issuer: "maker".into() }],
        accounting: genesis::Accounting::default(),
    };
    let mut state = Memory::default();
    state.apply(&execute::genesis(&genesis).unwrap().writes);
    let newest = Epoch::new(epochs.len() as u64 - 1);
    let ledger = LedgerRow { epoch: newest, ..query::ledger(&state).unwrap() };
    put(&mut state, row_key(Table::Ledger, &[]), &ledger);
    for (epoch, authorities) in (0..).map(Epoch::new).zip(epochs) {
        let decided_in = CommitIndex::new(10 * epoch.get());
        let row = CommitteeRow { epoch, decided_in, authorities: authorities.clone() };
        put(&mut state, committee_key(epoch), &row);
    }
    state
}

fn committee(seeds: &[u8]) -> Committee {
    let config = CommitteeConfig {
        network: NetworkId([1; 32]),
        epoch: 0,
        authorities: seeds.iter().map(|seed| key(*seed)).collect(),
        gc_depth: Committee::GC_DEPTH,
        previous: CommitDigest::NONE,
    };
    Committee::new(config).unwrap()
}

fn address(port: u16) -> Multiaddr {
    format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
}

fn peer(seed: u8) -> PeerKey {
    PeerKey(key(seed).0)
}

#[test]
fn members_are_reached_by_file_and_vote_and_former_ones_are_known() {
    let (tcp5, quic5) = ("/ip4/127.0.0.1/tcp/5", "/ip4/127.0.0.1/udp/5/quic-v1");
    let epochs = [
        vec![voted("one", 1, &[]), voted("two", 2, &[]), voted("three", 3, &[])],
        vec![voted("one", 1, &[]), voted("two", 2, &[]), voted("five", 5, &[tcp5, "nonsense"])],
        vec![voted("one", 1, &[]), voted("five", 5, &[tcp5, quic5])],
    ];
    let by_name = [("one", 1), ("two", 2), ("three", 3), ("five", 55), ("five", 5)];
    let mut file: BTreeMap<String, Vec<Multiaddr>> = BTreeMap::new();
    for (name, port) in by_name {
        file.entry(name.into()).or_default().push(address(port));
    }
    let mut directory = Directory::new(file, key(1));
    let peers = directory.peers(&state(&epochs), &committee(&[1, 5])).unwrap();
    let five = vec![address(55), address(5), quic5.parse().unwrap()];
    assert_eq!(peers.authorities, [Authority { key: peer(5), addresses: five }]);
    assert_eq!(peers.former, [peer(2), peer(3)]);

    // While the state is ahead, the epoch before still has its committee; all are known.
    let peers = directory.peers(&state(&epochs), &committee(&[1, 2, 5])).unwrap();
    let addresses: Vec<usize> = peers.authorities.iter().map(|one| one.addresses.len()).collect();
    assert_eq!((addresses, peers.former), (vec![1, 3], vec![peer(3)]));
    // Nobody knows where a stranger is, and that is no reason to fail.
    let peers = directory.peers(&state(&epochs[..1]), &committee(&[1, 9])).unwrap();
    assert_eq!(peers.authorities, [Authority { key: peer(9), addresses: vec![] }]);
}

/// A state that notes which rows were asked for.
struct Noting(Memory, RefCell<Vec<Vec<u8>>>);

impl Read for Noting {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        self.1.borrow_mut().push(key.to_vec());
        self.0.get(key)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, ReadError> {
        self.0.scan(prefix, from, limit)
    }
}

#[test]
fn the_committee_of_an_epoch_is_read_once() {
    let mut epochs = vec![vec![voted("one", 1, &[]), voted("two", 2, &[])]];
    let mut directory = Directory::new(BTreeMap::new(), key(1));
    let mut read = |epochs: &[Vec<Voted>]| {
        let state = Noting(state(epochs), RefCell::default());
        let peers = directory.peers(&state, &committee(&[1, 3])).unwrap();
        let asked = state.1.into_inner().into_iter();
        let is_committee = |key: &Vec<u8>| (0..9).any(|at| *key == committee_key(Epoch::new(at)));
        (peers.authorities[0].addresses.len(), peers.former, asked.filter(is_committee).collect())
    };
    let rows = |epochs: std::ops::Range<u64>| -> Vec<Vec<u8>> {
        epochs.map(|epoch| committee_key(Epoch::new(epoch))).collect()
    };
    assert_eq!(read(&epochs), (0, vec![peer(2)], rows(0..1)));
    let (at, again) = ("/ip4/127.0.0.1/tcp/3", "/ip4/127.0.0.1/tcp/33");
    epochs.push(vec![voted("one", 1, &[]), voted("three", 3, &[at])]);
    epochs.push(vec![voted("four", 4, &[]), voted("three", 3, &[at, again])]);
    assert_eq!(read(&epochs), (2, vec![peer(4), peer(2)], rows(1..3)));
    assert_eq!(read(&epochs), (2, vec![peer(4), peer(2)], rows(0..0)));
}
