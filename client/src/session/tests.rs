//! A session without a network: what it signs.

use super::*;
use kerbholz_ledger::genesis::{
    Accounting, GENESIS_VERSION, Genesis, GenesisAuthority, GenesisMember,
};
use kerbholz_ledger::id::OrderId;
use kerbholz_ledger::operation::OrderStep;
use std::collections::{BTreeMap, BTreeSet};

fn network() -> Network {
    let key = |seed: u8| Keypair::from_seed(&[seed; 32]).public();
    let genesis = Genesis {
        version: GENESIS_VERSION,
        name: "test".into(),
        created_at: Timestamp::ZERO,
        authorities: vec![GenesisAuthority { name: "authority".into(), key: key(1) }],
        organisations: vec![GenesisMember {
            name: "maker".into(),
            owner_key: key(2),
            signing_key: key(2),
        }],
        publishers: Vec::new(),
        auditors: Vec::new(),
        currencies: Vec::new(),
        accounting: Accounting::default(),
    };
    let address = "/ip4/127.0.0.1/tcp/9".parse().unwrap();
    Network::new(genesis, BTreeMap::from([("authority".into(), vec![address])])).unwrap()
}

/// Two machines' orders may well be equal: each must be executed, not only the first.
#[tokio::test]
async fn equal_operations_at_the_same_moment_are_different_transactions() {
    let session = Session::open(&network(), &Keypair::from_seed(&[3; 32])).unwrap();
    let order = OrderId::new([7; 32]);
    let operations = vec![Operation::StartOrder(OrderStep { order })];
    let ids: BTreeSet<_> = (0..1_000).map(|_| session.sign(operations.clone()).id()).collect();
    assert_eq!(ids.len(), 1_000);
}

#[tokio::test]
async fn what_is_too_large_to_be_sent_is_refused_as_too_large() {
    let session = Session::open(&network(), &Keypair::from_seed(&[3; 32])).unwrap();
    let order = OrderId::new([7; 32]);
    for operations in [2_000, 8_000] {
        let operations = vec![Operation::StartOrder(OrderStep { order }); operations];
        let error = session.submit(operations).await.unwrap_err();
        let too_large = matches!(error, ClientError::Refused(Refusal::Rejected(Code::TooLarge)));
        assert!(too_large, "{error}");
    }
}
