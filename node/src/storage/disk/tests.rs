//! The whole storage on a real disk: killed, damaged, mixed up.

mod epochs;
mod full;
mod lost;

use super::super::testing::{GENESIS, OWN, World, files, flip, genesis, key, world};
use super::super::{Recovered, SegmentReader, recovery};
use super::*;
use std::fs;

fn open(path: &Path) -> Result<DiskStorage, StorageError> {
    DiskStorage::open(path, genesis(), key(OWN.0))
}

fn row(key: u8, value: u8) -> Write {
    Write::set(vec![key], vec![value])
}

/// Blocks of eight rounds, of which six are committed and executed.
fn fill(storage: &mut dyn Storage) {
    for round in 1..=8 {
        storage.append_blocks(&[world().stored(1, round), world().stored(0, round)]).unwrap();
    }
    storage.append_ledger(&world().entries(1, 6)).unwrap();
    for commit in 1..=6 {
        storage.apply(commit, &[row(commit as u8, 1), row(0, commit as u8)]).unwrap();
    }
    storage.sync_state().unwrap();
}

fn rounds(found: &Recovered) -> Vec<(u64, u16)> {
    found.blocks.iter().map(|block| (block.reference.round.0, block.reference.author.0)).collect()
}

#[test]
fn a_node_that_was_killed_finds_everything_again() {
    let root = tempfile::tempdir().unwrap();
    let mut storage = open(root.path()).unwrap();
    let epochs = vec![Epoch::first(genesis())];
    let empty = Recovered { epochs, lost_log: true, ..Recovered::default() };
    assert_eq!(storage.recover(), empty);
    fill(&mut storage);
    drop(storage);
    let mut storage = open(root.path()).unwrap();
    let found = storage.recover();
    assert_eq!((found.last_commit, found.applied_commit), (6, Some(6)));
    assert_eq!((&found.rebuild, &found.lost), (&None, &vec![]));
    assert_eq!(rounds(&found), [(7, 1), (7, 0), (8, 1), (8, 0)]);
    let start = recovery(&storage, &found).unwrap().recovery;
    assert_eq!(start.commits.last(), Some(world().commit_at(6)));
    assert_eq!(start.own_last.as_ref(), Some(&world().round(8)[0]));
    assert_eq!(start.checkpoint, Some(world().checkpoint(6)));
    assert_eq!(storage.rows().get(&[0]).unwrap(), Some(vec![6]));
}

#[test]
fn the_directory_of_another_authority_is_refused() {
    let root = tempfile::tempdir().unwrap();
    fill(&mut open(root.path()).unwrap());
    match DiskStorage::open(root.path(), genesis(), key(1)).map(drop) {
        Err(StorageError::OtherAuthority { found, expected, .. }) => {
            assert_eq!([found, expected], [key(0).to_string(), key(1).to_string()]);
        }
        opened => panic!("{opened:?}"),
    }
    open(root.path()).unwrap();
}

#[test]
fn blocks_are_served_from_both_logs() {
    let root = tempfile::tempdir().unwrap();
    let mut storage = open(root.path()).unwrap();
    fill(&mut storage);
    for round in 1..=8 {
        for block in world().round(round) {
            let bytes = storage.block(&block.reference()).unwrap();
            assert_eq!(bytes.as_deref(), Some(block.bytes()));
        }
    }
    let own = |round, limit| {
        let blocks = storage.own_blocks_after(Round(round), limit).unwrap();
        assert!(blocks.iter().all(|block| block.reference.author == OWN));
        blocks.iter().map(|block| block.reference.round.0).collect::<Vec<_>>()
    };
    assert_eq!(own(0, 100), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(own(5, 2), [6, 7]);
    assert_eq!(own(8, 2), [0; 0]);
}

#[test]
fn a_lost_state_asks_for_a_rebuild() {
    let root = tempfile::tempdir().unwrap();
    let mut storage = open(root.path()).unwrap();
    fill(&mut storage);
    drop(storage);
    fs::remove_dir_all(root.path().join("state")).unwrap();
    let mut storage = open(root.path()).unwrap();
    let found = storage.recover();
    assert_eq!((found.last_commit, found.applied_commit), (6, None));
    assert!(found.rebuild.is_some());
    for commit in 1..=6 {
        assert!(storage.commit(commit).unwrap().is_some());
        storage.apply(commit, &[row(0, commit as u8)]).unwrap();
    }
    drop(storage);
    let found = open(root.path()).unwrap().recover();
    assert_eq!((found.applied_commit, found.rebuild), (Some(6), None));
}

#[test]
fn a_ledger_behind_its_state_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let mut storage = open(root.path()).unwrap();
    fill(&mut storage);
    drop(storage);
    let segment = files(&root.path().join("ledger")).pop().unwrap();
    let length = fs::metadata(&segment).unwrap().len() as usize;
    flip(&segment, length - 300, 1);
    match open(root.path()) {
        Err(StorageError::Damaged { path, what, .. }) => {
            assert_eq!(path, segment);
            assert!(what.contains("commit 6"), "{what}");
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("acknowledged commits were dropped"),
    }
}

#[test]
fn the_logs_of_a_stopped_node_are_read_without_its_state_or_lock() {
    let root = tempfile::tempdir().unwrap();
    let mut storage = open(root.path()).unwrap();
    fill(&mut storage);
    // The node still runs: the reader needs no lock.
    let reader = SegmentReader::open(root.path()).unwrap();
    assert_eq!(reader.genesis(), GENESIS);
    let entries: Result<Vec<_>, _> = reader.collect();
    assert_eq!(entries.unwrap(), world().entries(1, 6));
    drop(storage);
    let copied = tempfile::tempdir().unwrap();
    super::super::testing::copy(&root.path().join("ledger"), copied.path());
    let entries: Result<Vec<_>, _> = SegmentReader::open(copied.path()).unwrap().collect();
    assert_eq!(entries.unwrap().len(), 8);
}

#[test]
fn a_second_handle_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let _first = open(root.path()).unwrap();
    assert!(matches!(open(root.path()), Err(StorageError::InUse { .. })));
}

#[test]
fn committed_blocks_leave_the_block_log() {
    let root = tempfile::tempdir().unwrap();
    let mut storage = open(root.path()).unwrap();
    fill(&mut storage);
    storage.forget_through(Round(7)).unwrap();
    assert_eq!(storage.block(&world().stored(1, 7).reference).unwrap(), None);
    assert!(storage.block(&world().stored(1, 8).reference).unwrap().is_some());
}

/// Where the child process of the next test works; absent in the test itself.
const CHILD: &str = "KERBHOLZ_STORAGE_TEST_CHILD";

/// A node that is killed with SIGKILL while it writes has what it said it had.
#[test]
fn what_was_acknowledged_survives_a_kill() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let world = World::new(2, 60);
    if let Some(path) = std::env::var_os(CHILD) {
        return write_until_killed(&world, Path::new(&path));
    }
    for kill_after in [1, 8, 25] {
        let root = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "--nocapture",
                "storage::disk::tests::what_was_acknowledged_survives_a_kill",
            ])
            .env(CHILD, root.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let acknowledged: Vec<u64> = lines
            .filter_map(|line| line.unwrap().strip_prefix("done ")?.parse().ok())
            .take(kill_after)
            .collect();
        child.kill().unwrap();
        child.wait().unwrap();
        let done = *acknowledged.last().unwrap();
        let mut storage = open(root.path()).unwrap();
        let found = storage.recover();
        assert!(found.last_commit >= done, "{} of {done}", found.last_commit);
        // Killed before its first sync, the state may be empty; it is never of another commit.
        assert_eq!(found.rebuild.is_some(), found.applied_commit.is_none());
        let applied = found.applied_commit.unwrap_or(0);
        assert!(applied <= found.last_commit);
        let rows = storage.rows().scan(&[], &[], 100).unwrap();
        assert_eq!(rows.len() as u64, applied);
        let own = found.own_last.clone().unwrap().reference.round.0;
        assert!(own >= done);
        let start = recovery(&storage, &found).unwrap().recovery;
        assert_eq!(start.commits.last().unwrap().index(), found.last_commit);
        drop(storage);
        let mut reader = SegmentReader::open(root.path()).unwrap();
        let commits = reader.by_ref().filter(|entry| matches!(entry, Ok(LedgerEntry::Commit(_))));
        assert_eq!(commits.count() as u64, found.last_commit);
    }
}

fn write_until_killed(world: &World, path: &Path) {
    let mut storage = open(path).unwrap();
    for round in 1..=60 {
        storage.append_blocks(&[world.stored(1, round), world.stored(0, round)]).unwrap();
        storage.append_ledger(&world.entries(round, round)).unwrap();
        storage.apply(round, &[row(round as u8, 1)]).unwrap();
        if round % 5 == 0 {
            storage.sync_state().unwrap();
        }
        println!("done {round}");
    }
    // The kill comes while it writes, or here.
    loop {
        std::thread::park();
    }
}

/// Also when there is no state to contradict it: an own block carries the mark of the ledger along.
#[test]
fn a_ledger_behind_its_mark_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let mut storage = open(root.path()).unwrap();
    fill(&mut storage);
    storage.append_blocks(&[world().stored(0, 9)]).unwrap();
    drop(storage);
    fs::remove_dir_all(root.path().join("state")).unwrap();
    let segment = files(&root.path().join("ledger")).pop().unwrap();
    super::super::testing::truncate(&segment, 88);
    let error = open(root.path()).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("commit 6 was recorded"), "{error}");
}
