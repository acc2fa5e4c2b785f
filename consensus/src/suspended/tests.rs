//! Blocks that wait for parents: what is released, and what is given up at the bound (§6.2).

use alloc::vec::Vec;

use super::*;
use crate::testing::{block, committee};

/// A block of authority 1 on parents nobody has.
fn orphan(round: u64) -> Block {
    let parent =
        |author: usize| BlockRef { round: Round(round - 1), ..committee(4).genesis()[author] };
    block(&committee(4), 1, round, &[parent(1), parent(0), parent(2)], &[])
}

fn put(suspended: &mut Suspended, round: u64, solicited: bool) -> Evicted {
    let block = orphan(round);
    let missing = block.parents().iter().copied().collect();
    suspended.insert(block, missing, solicited)
}

fn rounds(evicted: &Evicted) -> Vec<u64> {
    evicted.blocks.iter().map(|block| block.round.0).collect()
}

#[test]
fn the_farthest_future_goes_first_and_what_was_asked_for_last() {
    let mut suspended = Suspended::new(4, 2, usize::MAX / 8);
    for (round, solicited, evicted) in [
        (10, false, &[][..]),
        (12, false, &[]),
        (11, false, &[12]),
        (20, false, &[20]),
        (30, true, &[11]),
        (31, true, &[10]),
        (32, true, &[]),
        (9, false, &[9]),
    ] {
        assert_eq!(rounds(&put(&mut suspended, round, solicited)), evicted, "round {round}");
    }
    let all: Vec<u64> = (33..45).flat_map(|r| rounds(&put(&mut suspended, r, true))).collect();
    assert_eq!(all, (38..45).collect::<Vec<_>>());
    assert_eq!(suspended.len(), 8, "four times the bound for what was asked for");
}

#[test]
fn an_evicted_block_leaves_no_parent_behind() {
    let mut suspended = Suspended::new(4, 1, usize::MAX / 8);
    put(&mut suspended, 10, false);
    let evicted = put(&mut suspended, 11, false);
    let parents: BTreeSet<BlockRef> = orphan(11).parents().iter().copied().collect();
    assert_eq!(evicted.orphans, Vec::from_iter(parents));
    assert!(orphan(11).parents().iter().all(|parent| !suspended.needs(parent)));
    assert!(orphan(10).parents().iter().all(|parent| suspended.needs(parent)));
}

#[test]
fn bytes_are_bounded_too() {
    let bytes = orphan(10).bytes().len();
    let mut suspended = Suspended::new(4, 100, 2 * bytes);
    assert_eq!(rounds(&put(&mut suspended, 10, false)), []);
    assert_eq!(rounds(&put(&mut suspended, 11, false)), []);
    assert_eq!(rounds(&put(&mut suspended, 12, false)), [12]);
}

#[test]
fn a_block_is_released_by_its_last_parent() {
    let mut suspended = Suspended::new(4, 10, usize::MAX / 8);
    put(&mut suspended, 10, false);
    let parents = orphan(10).parents().to_vec();
    assert!(suspended.resolve(&parents[0]).is_empty());
    assert!(suspended.resolve(&parents[2]).is_empty());
    assert_eq!(suspended.resolve(&parents[1]), [orphan(10)]);
    assert_eq!(suspended.len(), 0);
}

#[test]
fn collection_drops_what_is_below_and_releases_what_is_above() {
    let mut suspended = Suspended::new(4, 10, usize::MAX / 8);
    put(&mut suspended, 10, false);
    put(&mut suspended, 11, false);
    assert_eq!(suspended.collect(Round(10)), [orphan(11)]);
    assert_eq!(suspended.len(), 0);
}
