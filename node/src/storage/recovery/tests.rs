//! What consensus gets back after a start.

use super::super::testing::{World, memory, world};
use super::super::{MemoryStorage, Storage};
use super::*;
use kerbholz_consensus::Round;

fn found(storage: &mut MemoryStorage) -> (Recovered, Result<Recovery, RecoveryError>) {
    let found = storage.recover();
    let recovery = recovery(storage, &found).map(|start| start.recovery);
    (found, recovery)
}

#[test]
fn consensus_gets_the_commits_it_needs_and_the_blocks_that_no_commit_holds() {
    let mut storage = memory();
    assert!(found(&mut storage).1.unwrap().commits.is_empty());
    storage.append_ledger(&world().entries(1, 11)).unwrap();
    storage.append_blocks(&[world().stored(1, 12), world().stored(0, 12)]).unwrap();
    let start = found(&mut storage).1.unwrap();
    let depth = world().committee.gc_depth();
    let first = Recovery::commits_above(Round(11), depth).0 + 1;
    let indexes: Vec<_> = start.commits.iter().map(|commit| commit.index()).collect();
    assert_eq!(indexes, (first..=11).collect::<Vec<_>>());
    assert_eq!(start.blocks, [world().round(12)[1].clone(), world().round(12)[0].clone()]);
    assert_eq!(start.own_last.as_ref(), Some(&world().round(12)[0]));
    assert_eq!(start.checkpoint, Some(world().checkpoint(9)));
}

#[test]
fn records_of_another_committee_are_refused_unless_they_can_be_fetched_again() {
    let other = World::new(1, 2);
    let mut storage = memory();
    let mut foreign = other.stored(0, 2);
    foreign.own = false;
    storage.append_blocks(&[foreign]).unwrap();
    assert!(found(&mut storage).1.unwrap().blocks.is_empty());
    storage.append_blocks(&[other.stored(0, 1)]).unwrap();
    assert!(matches!(found(&mut storage).1, Err(RecoveryError::Invalid(_))));
    let mut storage = memory();
    storage.append_ledger(&other.entries(1, 1)).unwrap();
    assert!(matches!(found(&mut storage).1, Err(RecoveryError::Invalid(_))));
}
