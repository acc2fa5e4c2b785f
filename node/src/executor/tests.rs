//! What the state is after a start, whatever the ledger and the state were before it.

use super::*;
use crate::storage::testing::world;
use crate::storage::{MemoryStorage, testing};
use kerbholz_client::ledger::codec;
use kerbholz_client::ledger::genesis::{
    Accounting, GENESIS_VERSION, GenesisAuthority, GenesisCurrency, GenesisMember,
};
use kerbholz_client::ledger::governance::Activation;
use kerbholz_client::ledger::keys::Keypair;
use kerbholz_client::ledger::rows::{ActivationRow, Table, key};
use kerbholz_consensus::CommitHeader;

fn genesis() -> Genesis {
    let key = |seed: u8| Keypair::from_seed(&[seed; 32]).public();
    let name = "maker".to_owned();
    Genesis {
        version: GENESIS_VERSION,
        name: "test".into(),
        created_at: Timestamp::ZERO,
        authorities: vec![GenesisAuthority { name: "authority".into(), key: key(1) }],
        organisations: vec![GenesisMember { name, owner_key: key(2), signing_key: key(2) }],
        publishers: Vec::new(),
        auditors: Vec::new(),
        currencies: vec![GenesisCurrency { code: "EUR".into(), issuer: "maker".into() }],
        accounting: Accounting::default(),
    }
}

fn storage(storage: MemoryStorage) -> SharedStorage {
    Arc::new(Mutex::new(Box::new(storage)))
}

fn open(storage: &SharedStorage, applied: Option<u64>) -> Executor {
    let committee = world().committee.clone();
    Executor::open(Arc::clone(storage), committee, &genesis(), applied).unwrap()
}

fn index_of(done: &Done) -> u64 {
    match done {
        Done::Commit(executed) => executed.index,
        Done::Epoch(next) => panic!("epoch {:?}", next.committee.config()),
    }
}

/// Commit of the newest checkpoint that has a row, and the leaves it covers.
fn covered(executor: &Executor) -> Option<(u64, u64)> {
    let covered = index::covered(&*executor.rows).unwrap()?;
    Some((covered.checkpoint.statement.index, covered.leaves))
}

#[test]
fn a_state_that_is_rebuilt_has_the_newest_checkpoint() {
    let mut disk = testing::memory();
    // Two unreadable transactions in each commit but the first; checkpoints of 3 and 6.
    disk.append_ledger(&world().entries(1, 8)).unwrap();
    let executor = open(&storage(disk), None);
    assert_eq!(covered(&executor), Some((6, 10)));
    let progress = *executor.progress.borrow();
    assert_eq!((progress.commit, progress.checkpoint, progress.transactions), (8, 6, 14));
    let last = executor.last_done().unwrap().unwrap();
    assert!(matches!(last, Done::Commit(last) if last.vote && last.index == 8));
}

#[test]
fn a_checkpoint_on_disk_that_has_no_row_gets_one_at_the_start() {
    let mut disk = testing::memory();
    disk.append_ledger(&[1, 2, 3, 4, 5].map(|index| world().entry(index))).unwrap();
    let storage = storage(disk);
    assert_eq!(covered(&open(&storage, None)), None);
    let checkpoint = LedgerEntry::Checkpoint(world().checkpoint(5));
    lock(&storage).append_ledger(&[checkpoint]).unwrap();
    assert_eq!(covered(&open(&storage, Some(5))), Some((5, 8)));
}

#[test]
fn a_checkpoint_after_a_restart_covers_what_was_executed_before() {
    let mut disk = testing::memory();
    disk.append_ledger(&world().entries(1, 5)).unwrap();
    // Then one without payload: all of its blocks are silenced.
    let sixth = world().commit_at(6);
    let silenced = sixth.header().blocks.clone();
    let header = CommitHeader { silenced, ..sixth.header().clone() };
    let empty = Commit::new(header, sixth.blocks().to_vec(), &world().committee).unwrap();
    disk.append_ledger(&[LedgerEntry::Commit(StoredCommit::from(&empty))]).unwrap();
    let storage = storage(disk);
    open(&storage, None);
    let mut executor = open(&storage, Some(6));
    assert_eq!(index_of(&executor.last_done().unwrap().unwrap()), 5);
    assert_eq!(covered(&executor), Some((3, 4)));
    executor.cover(world().checkpoint(5)).unwrap();
    assert_eq!(covered(&executor), Some((5, 8)));
    executor.cover(world().checkpoint(4)).unwrap();
    assert_eq!(covered(&executor), Some((5, 8)), "never backwards");
}

#[test]
fn jobs_are_done_in_one_call_and_in_order() {
    let storage = storage(testing::memory());
    let mut executor = open(&storage, None);
    let commit = |index| Job::Commit(world().commit_at(index).clone());
    let jobs = vec![commit(1), commit(2), commit(3), Job::Checkpoint(world().checkpoint(3))];
    let outcomes = executor.perform(jobs).unwrap();
    assert_eq!(outcomes.iter().map(index_of).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(covered(&executor), Some((3, 4)));
    assert_eq!(lock(&storage).last_commit(), 3);
    let missing = executor.perform(vec![commit(5)]).unwrap_err();
    assert!(matches!(missing, ExecuteError::Storage(_)), "{missing}");
}

/// Decided by vote, here put into the state as if it had been.
fn activate(storage: &SharedStorage, from: u64) {
    let activation = Activation { version: 2, from: CommitIndex::new(from) };
    let row = ActivationRow { activation, before: 1 };
    let write = Write::set(key(Table::Activation, &[]), codec::encode(&row));
    lock(storage).apply(0, &[write]).unwrap();
}

#[test]
fn software_stops_before_a_version_that_it_does_not_know_and_a_later_one_goes_on() {
    let storage = storage(testing::memory());
    let mut executor = open(&storage, None);
    activate(&storage, 3);
    let jobs = (1..=4).map(|index| Job::Commit(world().commit_at(index).clone())).collect();
    let stops = executor.perform(jobs).unwrap_err();
    let at_three = |error: &ExecuteError| {
        matches!(error, ExecuteError::Outdated { commit: 3, version: 2, known: 1 })
    };
    assert!(at_three(&stops), "{stops}");
    assert_eq!(query::ledger(&*executor.rows).unwrap().commit.get(), 2);
    // What was ordered is in the ledger, and waits for software that knows it.
    assert_eq!(lock(&storage).last_commit(), 4);
    let committee = || world().committee.clone();
    let open = |known| {
        let storage = Arc::clone(&storage);
        Executor::open_knowing(storage, committee(), &genesis(), Some(2), known)
    };
    let stops = open(1).err().unwrap();
    assert!(at_three(&stops), "{stops}");
    let mut executor = open(2).unwrap();
    let ledger = query::ledger(&*executor.rows).unwrap();
    assert_eq!((ledger.commit.get(), ledger.version), (4, 2));
    let done = executor.perform(vec![Job::Commit(world().commit_at(5).clone())]).unwrap();
    assert_eq!(done.iter().map(index_of).collect::<Vec<_>>(), [5]);
}
