//! Rows beside the ledger's: what is kept, for how long, and what receipts are made of.

use super::*;
use kerbholz_client::committees::Committees;
use kerbholz_client::ledger::committee::{Candidate, CommitteeChange, CommitteeVote};
use kerbholz_client::ledger::execute::{self, EventBody, Item};
use kerbholz_client::ledger::genesis::{
    Accounting, GENESIS_VERSION, Genesis, GenesisAuthority, GenesisMember,
};
use kerbholz_client::ledger::keys::Keypair;
use kerbholz_client::ledger::memory::Memory;
use kerbholz_client::ledger::operation::Operation;
use kerbholz_client::ledger::quantity::{CommitIndex, Timestamp};
use kerbholz_client::ledger::transaction::{Envelope, TRANSACTION_VERSION};
use kerbholz_consensus::{AuthorityIndex, CommitDigest, Committee, Signer, Statement, Vote};

/// A commit in which one transaction became final.
fn commit(rows: &mut Memory, commit: u64) {
    let (id, leaf) = (TransactionId::new([commit as u8; 32]), commit);
    let commit = CommitIndex::new(commit);
    let body = EventBody::Final { result: Ok(()) };
    let event = Event { commit, index: 0, time: Timestamp::ZERO, transaction: id, body };
    let effects = Effects {
        commit,
        writes: vec![],
        executed: vec![Executed { id, leaf, result: Ok(()), writes: vec![] }],
        events: vec![event],
        log_leaves: leaf + 1,
        log_root: Digest::new([0; 32]),
        state_digest: Digest::new([0; 32]),
        next_committee: None,
    };
    let bytes: &[u8] = &[7];
    let writes = writes(rows, &effects, &BTreeMap::from([(id, bytes)])).unwrap();
    rows.apply(&writes);
}

fn kept(rows: &Memory) -> Vec<u64> {
    let events = events(rows, 0, usize::MAX).unwrap();
    events.iter().map(|event| event.commit.get()).collect()
}

#[test]
fn old_events_go_a_few_at_a_time_and_receipts_stay() {
    let mut rows = Memory::default();
    let late = EVENT_COMMITS_KEPT + 6;
    (1..=6).for_each(|number| commit(&mut rows, number));
    commit(&mut rows, EVENT_COMMITS_KEPT + 1);
    assert_eq!(kept(&rows), [1, 2, 3, 4, 5, 6, EVENT_COMMITS_KEPT + 1], "all recent enough");
    commit(&mut rows, late);
    assert_eq!(kept(&rows), [5, 6, EVENT_COMMITS_KEPT + 1, late]);
    commit(&mut rows, late + 1);
    assert_eq!(kept(&rows), [EVENT_COMMITS_KEPT + 1, late, late + 1]);
    let found = receivable(&rows, TransactionId::new([1; 32])).unwrap().unwrap();
    assert_eq!((found.executed.leaf, found.transaction), (1, vec![7]));
}

#[test]
fn events_are_read_by_commits_from_a_place_on() {
    let mut rows = Memory::default();
    // Numbers whose little-endian order is another one.
    for number in [1, 2, 256, 257, 65_536] {
        commit(&mut rows, number);
    }
    let read = |from, commits| -> Vec<u64> {
        let events = events(&rows, from, commits).unwrap();
        events.iter().map(|event| event.commit.get()).collect()
    };
    assert_eq!(read(0, 3), [1, 2, 256]);
    assert_eq!(read(3, 2), [256, 257]);
    assert_eq!(read(258, 9), [65_536]);
    assert_eq!(read(65_537, 9), [0; 0]);
}

/// Two votes of one authority each: by what the rows hold, anybody can follow from the genesis.
#[test]
fn the_ends_of_epochs_are_proved_from_rows() {
    let mut chain = Chain::begin();
    let mut known = Committees::of_genesis(&chain.genesis).unwrap();
    assert_eq!(epoch_ends(&chain.rows, Epoch::ZERO).unwrap(), Some(vec![]));
    for (epoch, name) in ["second", "third"].into_iter().enumerate() {
        let key = Keypair::from_seed(&[epoch as u8; 32]);
        let next = Keypair::from_seed(&[epoch as u8 + 1; 32]);
        let by =
            Candidate::new(chain.genesis.network(), name.into(), vec!["/dns4/x".into()], &next);
        let change = CommitteeChange::Replace { key: key.public(), by };
        let vote = CommitteeVote { epoch: Epoch::new(epoch as u64), change: Some(change) };
        chain.commit(&key, Operation::VoteCommittee(vote));
        let ended = Epoch::new(epoch as u64 + 1);
        assert_eq!(epoch_ends(&chain.rows, ended).unwrap(), None, "no checkpoint yet");
        let checkpoint = chain.checkpoint(known.current(), epoch as u8);
        // One of another commit closes nothing.
        let mut other = checkpoint.clone();
        other.statement.index += 1;
        assert_eq!(closed_write(&chain.rows, &other).unwrap(), None);
        let write = closed_write(&chain.rows, &checkpoint).unwrap().unwrap();
        chain.rows.apply(&[write]);
        let ends = epoch_ends(&chain.rows, ended).unwrap().unwrap();
        known.advance(&ends[epoch]).unwrap();
    }
    assert_eq!(known.authorities()[0].name, "third");
    let epochs =
        (1..4).map(|commit| query::epoch_of(&chain.rows, CommitIndex::new(commit)).unwrap());
    assert_eq!(epochs.map(Epoch::get).collect::<Vec<_>>(), [0, 1, 2]);
}

/// A ledger of one authority, executed into rows.
struct Chain {
    genesis: Genesis,
    rows: Memory,
    effects: Effects,
}

impl Chain {
    fn begin() -> Self {
        let key = |seed| Keypair::from_seed(&[seed; 32]).public();
        let first = GenesisAuthority { name: "first".into(), key: key(0) };
        let name = "anybody".into();
        let genesis = Genesis {
            version: GENESIS_VERSION,
            name: "rows".into(),
            created_at: Timestamp::ZERO,
            authorities: vec![first],
            organisations: vec![GenesisMember { name, owner_key: key(9), signing_key: key(9) }],
            publishers: vec![],
            auditors: Vec::new(),
            currencies: vec![],
            accounting: Accounting::default(),
        };
        let effects = execute::genesis(&genesis).unwrap();
        let mut rows = Memory::default();
        rows.apply(&effects.writes);
        Self { genesis, rows, effects }
    }

    fn commit(&mut self, signer: &Keypair, operation: Operation) {
        let transaction = Envelope {
            version: TRANSACTION_VERSION,
            network: self.genesis.network(),
            signer: signer.public(),
            created_at: Timestamp::ZERO,
            expires_at: Timestamp::new(1),
            operations: vec![operation],
        }
        .sign(signer);
        let index = CommitIndex::new(self.effects.commit.get() + 1);
        let items = vec![Item::Transaction(transaction)];
        let commit = execute::Commit { index, time: Timestamp::ZERO, items };
        self.effects = execute::execute(&commit, &self.rows).unwrap();
        self.rows.apply(&self.effects.writes);
        let writes = writes(&self.rows, &self.effects, &BTreeMap::new()).unwrap();
        self.rows.apply(&writes);
    }

    /// The checkpoint of the last commit, by the one authority of that seed.
    fn checkpoint(&self, committee: &Committee, seed: u8) -> Checkpoint {
        let index = self.effects.commit.get();
        let statement = Statement {
            index,
            commit_digest: CommitDigest([index as u8; 32]),
            log_root: *self.effects.log_root.as_bytes(),
            state_digest: *self.effects.state_digest.as_bytes(),
        };
        let vote = Vote::sign(statement, committee, &Signer::from_seed(&[seed; 32]));
        Checkpoint { statement, signatures: vec![(AuthorityIndex(0), vote.signature)] }
    }
}
