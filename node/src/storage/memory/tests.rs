//! The storage in memory loses what the disk may lose, and answers like it.

use super::super::testing::{OWN, genesis, key, memory, world};
use super::*;

fn row(key: u8, value: Option<u8>) -> Write {
    Write { key: vec![key].into(), value: value.map(|value| vec![value].into()) }
}

#[test]
fn a_crash_loses_exactly_what_was_not_synced() {
    let mut storage = memory();
    storage.append_blocks(&[world().stored(1, 1)]).unwrap();
    storage.append_blocks(&[world().stored(0, 1)]).unwrap();
    storage.append_blocks(&[world().stored(1, 2)]).unwrap();
    storage.append_ledger(&world().entries(1, 1)).unwrap();
    storage.append_blocks(&[world().stored(1, 3), world().stored(0, 2)]).unwrap();
    storage.append_blocks(&[world().stored(1, 4)]).unwrap();
    storage.plug().pull();
    let found = storage.recover();
    let kept: Vec<_> = found.blocks.iter().map(|block| block.reference).collect();
    let expected = [(1, 2), (1, 3), (0, 2)];
    assert_eq!(kept, expected.map(|(author, round)| world().stored(author, round).reference));
    assert_eq!(found.own_last.unwrap().reference, world().stored(0, 2).reference);
    assert_eq!(found.last_commit, 1);
    assert!(found.rebuild.is_some());
}

#[test]
fn a_crash_takes_the_rows_back_to_the_last_sync() {
    let mut storage = memory();
    storage.append_ledger(&world().entries(1, 3)).unwrap();
    storage.apply(1, &[row(1, Some(1)), row(2, Some(1))]).unwrap();
    storage.sync_state().unwrap();
    storage.apply(2, &[row(1, Some(2)), row(3, Some(2))]).unwrap();
    storage.apply(3, &[row(1, Some(3)), row(2, None)]).unwrap();
    let rows = storage.rows();
    assert_eq!(rows.scan(&[], &[], 9).unwrap(), [(vec![1], vec![3]), (vec![3], vec![2])]);
    storage.crash();
    assert_eq!(rows.scan(&[], &[], 9).unwrap(), [(vec![1], vec![1]), (vec![2], vec![1])]);
    assert_eq!(storage.recover().applied_commit, Some(1));
    assert_eq!(storage.recover().checkpoint, Some(world().checkpoint(3)));
}

/// What both kinds of storage answer to the same questions after the same calls.
fn answers(storage: &mut dyn Storage) -> Vec<String> {
    for round in 1..=6 {
        storage.append_blocks(&[world().stored(1, round), world().stored(0, round)]).unwrap();
    }
    storage.append_ledger(&world().entries(1, 4)).unwrap();
    storage.apply(4, &[row(7, Some(1)), row(8, Some(2)), row(7, None)]).unwrap();
    storage.forget_through(Round(5)).unwrap();
    let mut answers = Vec::new();
    for round in 1..=7 {
        for author in 0..2 {
            let reference = world().stored(author, round).reference;
            answers.push(format!("{:?}", storage.block(&reference).unwrap()));
        }
        answers.push(format!("{:?}", storage.commit(round).unwrap()));
        answers.push(format!("{:?}", storage.own_blocks_after(Round(round), 2).unwrap()));
    }
    answers.push(format!("{:?} {:?}", storage.last_commit(), storage.checkpoint()));
    answers.push(format!("{:?}", storage.rows().scan(&[], &[], 9).unwrap()));
    answers.push(format!("{:?}", storage.append_ledger(&world().entries(6, 6)).is_err()));
    answers
}

#[test]
fn memory_and_disk_answer_alike() {
    let root = tempfile::tempdir().unwrap();
    let mut disk = super::super::DiskStorage::open(root.path(), genesis(), key(OWN.0)).unwrap();
    assert_eq!(answers(&mut disk), answers(&mut memory()));
}

#[test]
fn forgetting_synced_blocks_syncs_no_others() {
    let mut storage = memory();
    storage.append_blocks(&[world().stored(1, 1), world().stored(0, 1)]).unwrap();
    storage.append_blocks(&[world().stored(1, 2)]).unwrap();
    storage.forget_through(Round(1)).unwrap();
    storage.crash();
    assert_eq!(storage.recover().blocks, []);
}
