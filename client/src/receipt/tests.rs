//! A receipt made by hand, from one authority's genesis to the bytes: frozen, and attacked.

use super::*;
use kerbholz_consensus::{CommitDigest, Signer, Statement, Vote};
use kerbholz_ledger::execute::{self, Commit, Item};
use kerbholz_ledger::genesis::{
    Accounting, GENESIS_VERSION, GenesisAuthority, GenesisCurrency, GenesisMember,
};
use kerbholz_ledger::id::MemberId;
use kerbholz_ledger::keys::Keypair;
use kerbholz_ledger::memory::Memory;
use kerbholz_ledger::operation::{MoneyIssue, Operation};
use kerbholz_ledger::quantity::{CommitIndex, Minor, Timestamp};
use kerbholz_ledger::transaction::{Envelope, TRANSACTION_VERSION};
use proptest::prelude::*;
use std::sync::LazyLock;

const AUTHORITY_SEED: [u8; 32] = [1; 32];
const BANK_SEED: [u8; 32] = [2; 32];
const TIME: Timestamp = Timestamp::new(1_700_000_000_000);

fn genesis() -> Genesis {
    let key = |seed| Keypair::from_seed(seed).public();
    let bank = GenesisMember {
        name: "bank".into(),
        owner_key: key(&BANK_SEED),
        signing_key: key(&BANK_SEED),
    };
    Genesis {
        version: GENESIS_VERSION,
        name: "golden".into(),
        created_at: TIME,
        authorities: vec![GenesisAuthority { name: "one".into(), key: key(&AUTHORITY_SEED) }],
        organisations: vec![bank],
        publishers: vec![],
        auditors: Vec::new(),
        currencies: vec![GenesisCurrency { code: "EUR".into(), issuer: "bank".into() }],
        accounting: Accounting::default(),
    }
}

/// The receipt of the first transaction of that network: five euros to the bank itself.
fn receipt() -> Receipt {
    let genesis = genesis();
    let bank = Keypair::from_seed(&BANK_SEED);
    let to = MemberId::of(&bank.public());
    let issue = MoneyIssue { currency: "EUR".into(), to, amount: Minor::new(500) };
    let transaction = Envelope {
        version: TRANSACTION_VERSION,
        network: genesis.network(),
        signer: bank.public(),
        created_at: TIME,
        expires_at: Timestamp::new(TIME.get() + 1_000),
        operations: vec![Operation::IssueMoney(issue)],
    }
    .sign(&bank);
    let mut state = Memory::default();
    state.apply(&execute::genesis(&genesis).unwrap().writes);
    let commit = Commit {
        index: CommitIndex::new(1),
        time: TIME,
        items: vec![Item::Transaction(transaction.clone())],
    };
    let effects = execute::execute(&commit, &state).unwrap();
    state.apply(&effects.writes);
    let executed = effects.executed[0].clone();
    let proof = Proof::of(&state, executed, Some(transaction.bytes()), effects.log_leaves).unwrap();
    let statement = Statement {
        index: 1,
        commit_digest: CommitDigest([3; 32]),
        log_root: *effects.log_root.as_bytes(),
        state_digest: *effects.state_digest.as_bytes(),
    };
    let committee = crate::network::committee(&genesis).unwrap();
    let vote = Vote::sign(statement, &committee, &Signer::from_seed(&AUTHORITY_SEED));
    let signatures = vec![(committee.authorities().next().unwrap(), vote.signature)];
    Receipt { epochs: vec![], proof, checkpoint: Checkpoint { statement, signatures } }
}

static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| receipt().encode());

#[test]
fn a_receipt_verifies_and_survives_its_bytes() {
    let receipt = Receipt::decode(&BYTES).unwrap();
    assert_eq!(receipt, self::receipt());
    receipt.verify(&genesis()).unwrap();
}

#[test]
fn its_bytes_are_frozen() {
    let expected: String = include_str!("golden.hex").split_whitespace().collect();
    assert_eq!(hex::encode(&*BYTES), expected);
}

#[test]
fn another_genesis_is_another_network() {
    let other = Genesis { name: "other".into(), ..genesis() };
    assert!(matches!(receipt().verify(&other), Err(ReceiptError::Checkpoint(_))));
}

#[test]
fn no_byte_can_be_changed_or_be_missing() {
    for position in 0..BYTES.len() {
        for bit in [0x01, 0x80] {
            let mut bytes = BYTES.clone();
            bytes[position] ^= bit;
            let verdict = Receipt::decode(&bytes).and_then(|receipt| receipt.verify(&genesis()));
            assert!(verdict.is_err(), "byte {position} bit {bit:#x}");
        }
        assert!(Receipt::decode(&BYTES[..position]).is_err(), "cut at {position}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_receipt_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(receipt) = Receipt::decode(&bytes) {
            prop_assert!(receipt.verify(&genesis()).is_err());
        }
    }
}
