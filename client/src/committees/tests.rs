//! Chains of committees made by executing votes, and each way in which one can be forged.

use super::*;
use crate::receipt::{Receipt, ReceiptError};
use kerbholz_consensus::{Signer, Statement, Vote};
use kerbholz_ledger::committee::{Candidate, CommitteeChange, CommitteeVote, quorum};
use kerbholz_ledger::execute::{self, Commit, Executed, Item};
use kerbholz_ledger::genesis::{Accounting, GENESIS_VERSION, GenesisAuthority, GenesisMember};
use kerbholz_ledger::keys::Keypair;
use kerbholz_ledger::memory::Memory;
use kerbholz_ledger::operation::Operation;
use kerbholz_ledger::quantity::{CommitIndex, Timestamp};
use kerbholz_ledger::query;
use kerbholz_ledger::transaction::{Envelope, TRANSACTION_VERSION};
use proptest::prelude::*;
use std::sync::LazyLock;

const TIME: Timestamp = Timestamp::new(1_700_000_000_000);

pub(crate) fn seed(name: &str) -> [u8; 32] {
    let mut seed = [b'.'; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    seed
}

fn keypair(name: &str) -> Keypair {
    Keypair::from_seed(&seed(name))
}

fn genesis(authorities: &[&str]) -> Genesis {
    let authority =
        |name: &&str| GenesisAuthority { name: (*name).into(), key: keypair(name).public() };
    let key = keypair("bank").public();
    Genesis {
        version: GENESIS_VERSION,
        name: "changing".into(),
        created_at: TIME,
        authorities: authorities.iter().map(authority).collect(),
        organisations: vec![GenesisMember {
            name: "bank".into(),
            owner_key: key,
            signing_key: key,
        }],
        publishers: vec![],
        auditors: Vec::new(),
        currencies: vec![],
        accounting: Accounting::default(),
    }
}

/// A network that executes nothing but votes. Who signs what is up to the test.
pub(crate) struct World {
    pub(crate) genesis: Genesis,
    state: Memory,
    /// As the network itself has it: not from proofs.
    pub(crate) committees: Committees,
    votes: Vec<Executed>,
    statement: Statement,
}

impl World {
    fn new(authorities: &[&str]) -> Self {
        let genesis = genesis(authorities);
        let mut state = Memory::default();
        let effects = execute::genesis(&genesis).unwrap();
        state.apply(&effects.writes);
        let committees = Committees::of_genesis(&genesis).unwrap();
        let statement = Statement {
            index: 0,
            commit_digest: CommitDigest::NONE,
            log_root: *effects.log_root.as_bytes(),
            state_digest: *effects.state_digest.as_bytes(),
        };
        Self { genesis, state, committees, votes: vec![], statement }
    }

    /// A commit in which some vote for the same; whether it closed the epoch.
    fn vote(&mut self, voters: &[&str], change: &CommitteeChange) -> bool {
        let epoch = query::ledger(&self.state).unwrap().epoch;
        let transaction = |voter: &&str| {
            let key = keypair(voter);
            let vote = CommitteeVote { epoch, change: Some(change.clone()) };
            Envelope {
                version: TRANSACTION_VERSION,
                network: self.genesis.network(),
                signer: key.public(),
                created_at: TIME,
                expires_at: Timestamp::new(TIME.get() + 1_000),
                operations: vec![Operation::VoteCommittee(vote)],
            }
            .sign(&key)
        };
        let items = voters.iter().map(transaction).map(Item::Transaction).collect();
        let index = self.statement.index + 1;
        let commit = Commit { index: CommitIndex::new(index), time: TIME, items };
        let effects = execute::execute(&commit, &self.state).unwrap();
        assert!(effects.executed.iter().all(|done| done.result.is_ok()), "{effects:?}");
        self.state.apply(&effects.writes);
        self.votes.extend(effects.executed);
        self.statement = Statement {
            index,
            commit_digest: CommitDigest([u8::try_from(index).unwrap(); 32]),
            log_root: *effects.log_root.as_bytes(),
            state_digest: *effects.state_digest.as_bytes(),
        };
        effects.next_committee.is_some()
    }

    /// A quorum votes for a change; the proof of it, signed by the committee that it ends.
    fn change(&mut self, change: &CommitteeChange) -> EpochEnd {
        let names: Vec<String> =
            self.committees.authorities().iter().map(|one| one.name.clone()).collect();
        let voters: Vec<&str> =
            names.iter().map(String::as_str).take(quorum(names.len())).collect();
        assert!(self.vote(&voters, change));
        let end = EpochEnd {
            proof: self.proof(self.votes.len() - 1),
            checkpoint: self.signed(self.committees.epoch(), self.statement),
        };
        let row = query::committee(&self.state).unwrap();
        self.committees.decided(row, self.statement.commit_digest).unwrap();
        end
    }

    fn proof(&self, vote: usize) -> Proof {
        let leaves = self.votes.len() as u64;
        Proof::of(&self.state, self.votes[vote].clone(), None, leaves).unwrap()
    }

    /// A statement signed by all of a committee.
    fn signed(&self, epoch: Epoch, statement: Statement) -> Checkpoint {
        let known = &self.committees.known[epoch.get() as usize];
        self.sign(&known.committee, &known.row.authorities, statement)
    }

    fn sign(&self, by: &Committee, names: &[Authority], statement: Statement) -> Checkpoint {
        let signatures = by.authorities().zip(names).map(|(index, authority)| {
            let signer = Signer::from_seed(&seed(&authority.name));
            (index, Vote::sign(statement, by, &signer).signature)
        });
        Checkpoint { statement, signatures: signatures.collect() }
    }

    /// A receipt of the last vote, by the newest committee.
    fn receipt(&self, epochs: Vec<EpochEnd>) -> Receipt {
        let checkpoint = self.signed(self.committees.epoch(), self.statement);
        Receipt { epochs, proof: self.proof(self.votes.len() - 1), checkpoint }
    }

    fn candidate(&self, name: &str) -> Candidate {
        let addresses = vec![format!("/dns4/{name}/tcp/1")];
        Candidate::new(self.genesis.network(), name.into(), addresses, &keypair(name))
    }
}

/// Four authorities: e joins, a leaves, f takes b's place; then f votes for something.
pub(crate) struct Story {
    pub(crate) world: World,
    pub(crate) ends: Vec<EpochEnd>,
    receipt: Receipt,
}

fn story() -> Story {
    let mut world = World::new(&["a", "b", "c", "d"]);
    let (add, remove) = (CommitteeChange::Add(world.candidate("e")), keypair("a").public());
    let replace = CommitteeChange::Replace { key: keypair("b").public(), by: world.candidate("f") };
    let remove = CommitteeChange::Remove(remove);
    let ends = [add, remove, replace].map(|change| world.change(&change)).to_vec();
    let last = CommitteeChange::Add(world.candidate("g"));
    assert!(!world.vote(&["f"], &last));
    let receipt = world.receipt(ends.clone());
    Story { world, ends, receipt }
}

pub(crate) static STORY: LazyLock<Story> = LazyLock::new(story);

#[test]
fn a_receipt_of_a_later_epoch_needs_nothing_but_the_genesis() {
    let Story { world, receipt, .. } = &*STORY;
    let decoded = Receipt::decode(&receipt.encode()).unwrap();
    assert_eq!(decoded, *receipt);
    let committees = decoded.verify(&world.genesis).unwrap();
    assert_eq!(committees.epoch(), Epoch::new(3));
    let names: Vec<_> = committees.authorities().iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["f", "c", "d", "e"]);
    assert_eq!(committees.current().domain(), world.committees.current().domain());
    assert_eq!(committees.current().config().previous, CommitDigest([3; 32]));
}

/// What becomes of a forged receipt.
fn verdict(forge: impl FnOnce(&mut Receipt, &World)) -> ReceiptError {
    let Story { world, receipt, .. } = &*STORY;
    let mut forged = receipt.clone();
    forge(&mut forged, world);
    forged.verify(&world.genesis).expect_err("a forged receipt verifies")
}

/// The epoch whose end is not proved, and why.
fn broken(forge: impl FnOnce(&mut Receipt, &World)) -> (u64, EpochEndError) {
    match verdict(forge) {
        ReceiptError::EpochEnd { epoch, source } => (epoch, source),
        other => panic!("{other}"),
    }
}

#[test]
fn an_epoch_left_out_or_put_in_is_noticed() {
    for left_out in 0..3 {
        let error = verdict(|receipt, _| _ = receipt.epochs.remove(left_out));
        match error {
            ReceiptError::EpochEnd { epoch, source: EpochEndError::Checkpoint(_) } => {
                assert_eq!(epoch, left_out as u64);
            }
            ReceiptError::Checkpoint(_) => assert_eq!(left_out, 2, "the last one"),
            other => panic!("{other}"),
        }
    }
    let twice = broken(|receipt, _| receipt.epochs.insert(1, receipt.epochs[0].clone()));
    assert!(matches!(twice, (1, EpochEndError::Checkpoint(_))), "{twice:?}");
    // The committee of the last epoch signs for a commit of the one before.
    let late = verdict(|receipt, world| {
        let statement = Statement { index: 3, ..world.statement };
        receipt.checkpoint = world.signed(Epoch::new(3), statement);
    });
    assert!(matches!(late, ReceiptError::Superfluous), "{late}");
}

#[test]
fn a_committee_that_was_not_decided_is_noticed() {
    // Whoever holds the receipt puts a key of theirs into the row.
    let changed = broken(|receipt, world| {
        let row = receipt.epochs[1].proof.executed.writes.first_mut().unwrap();
        let mut committee = receipt_row(row.value.as_deref().unwrap());
        committee.authorities[0] = world.genesis.committee().authorities[0].clone();
        row.value = Some(kerbholz_ledger::codec::encode(&committee).into());
    });
    assert!(matches!(changed, (1, EpochEndError::NotInLog)), "{changed:?}");
    // Another vote of the same log, one that decided nothing.
    let other = broken(|receipt, world| {
        let votes = 3;
        let executed = world.votes[1].clone();
        receipt.epochs[0].proof = Proof::of(&world.state, executed, None, votes).unwrap();
    });
    assert!(matches!(other, (0, EpochEndError::NoCommittee)), "{other:?}");
    let shown = broken(|receipt, _| receipt.epochs[0].proof.transaction = Some(vec![1]));
    assert!(matches!(shown, (0, EpochEndError::NotMinimal)), "{shown:?}");
    let cut = broken(|receipt, _| _ = receipt.epochs[0].proof.inclusion.path.pop());
    assert!(matches!(cut, (0, EpochEndError::Proof(_))), "{cut:?}");
    let few = broken(|receipt, _| receipt.epochs[2].checkpoint.signatures.truncate(2));
    assert!(matches!(few, (2, EpochEndError::Checkpoint(_))), "{few:?}");
}

fn receipt_row(value: &[u8]) -> CommitteeRow {
    kerbholz_ledger::codec::decode_trusted(value).unwrap()
}

/// The first committee, all of it, does what it may not.
#[test]
fn a_past_committee_cannot_decide_again_or_elsewhere() {
    // It signs a later commit as its last: the log is right, the commit is not.
    let later = broken(|receipt, world| {
        let end = &mut receipt.epochs[0];
        end.proof = world.proof(2);
        end.checkpoint = world.signed(Epoch::ZERO, world.statement);
    });
    let expected = EpochEndError::NotClosing { decided_in: 1, signed: 4 };
    assert_eq!((later.0, later.1.to_string()), (0, expected.to_string()));
    // It signs another digest for its last commit: the next committee's domain is another one then.
    let elsewhere = broken(|receipt, world| {
        let mut statement = receipt.epochs[0].checkpoint.statement;
        statement.commit_digest = CommitDigest([77; 32]);
        receipt.epochs[0].checkpoint = world.signed(Epoch::ZERO, statement);
    });
    assert!(matches!(elsewhere, (1, EpochEndError::Checkpoint(_))), "{elsewhere:?}");
    // The second shows the first one's end as its own.
    let again = broken(|receipt, world| {
        let end = &mut receipt.epochs[1];
        end.proof = world.proof(2);
        end.checkpoint = world.signed(Epoch::new(1), world.statement);
    });
    assert!(matches!(again, (1, EpochEndError::Epoch { .. })), "{again:?}");
}

/// What a past committee signs beyond its end deceives only who does not know of the end.
#[test]
fn a_commit_belongs_to_the_committee_of_its_index() {
    let Story { world, ends, .. } = &*STORY;
    let mut known = Committees::of_genesis(&world.genesis).unwrap();
    let beyond = world.signed(Epoch::ZERO, world.statement);
    known.verify(&beyond).expect("nothing of an end is known yet");
    for end in ends {
        known.advance(end).unwrap();
    }
    assert!(known.verify(&beyond).is_err());
    known.verify(&world.signed(Epoch::new(3), world.statement)).unwrap();
    let epochs: Vec<u64> = (0..6).map(|index| known.epoch_of_commit(index).get()).collect();
    assert_eq!(epochs, [0, 0, 1, 2, 3, 3]);
    // Each end is by the committee that it ends.
    for end in ends {
        known.verify(&end.checkpoint).unwrap();
    }
    let error = known.advance(&ends[2]).expect_err("an end twice");
    assert!(matches!(error, EpochEndError::Checkpoint(_)));
    assert_eq!(known.epoch(), Epoch::new(3));
}

/// The chain of a network of one authority that another one joined: frozen.
#[test]
fn the_bytes_of_an_epochs_end_are_frozen() {
    let mut world = World::new(&["a"]);
    let add = CommitteeChange::Add(world.candidate("b"));
    let end = world.change(&add);
    let mut known = Committees::of_genesis(&world.genesis).unwrap();
    known.advance(&end).unwrap();
    let expected: String = include_str!("golden.hex").split_whitespace().collect();
    assert_eq!(hex::encode(kerbholz_ledger::codec::encode(&end)), expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_bit_of_a_chain_can_be_changed(position in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let Story { world, receipt, .. } = &*STORY;
        let mut bytes = receipt.encode();
        let position = position.index(bytes.len());
        bytes[position] ^= 1 << bit;
        let verdict = Receipt::decode(&bytes).and_then(|receipt| receipt.verify(&world.genesis));
        prop_assert!(verdict.is_err(), "byte {} bit {}", position, bit);
    }
}
