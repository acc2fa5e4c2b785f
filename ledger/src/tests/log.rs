//! The transaction log: every leaf of every size proves, and nothing else does.

use crate::id::{Digest, TransactionId};
use crate::log::{Inclusion, InclusionError, append, empty_root, leaf, node_key, prove};
use crate::memory::Memory;
use crate::rows::Write;
use crate::{codec, rows::ReadError};
use proptest::prelude::*;
use std::vec::Vec;

fn digest(number: u64) -> Digest {
    leaf(
        TransactionId::new([3; 32]),
        &Ok(()),
        Digest::new(*blake3::hash(&number.to_le_bytes()).as_bytes()),
    )
}

/// A log of so many leaves, grown in steps of at most `step`; its root after every step.
fn log(leaves: u64, step: u64) -> (Memory, Vec<(u64, Digest)>) {
    let mut state = Memory::default();
    let mut roots = Vec::new();
    let mut size = 0;
    while size < leaves {
        let to = leaves.min(size + step);
        let grown = append(&state, size, (size..to).map(digest).collect()).expect("append");
        let writes = grown
            .nodes
            .iter()
            .map(|(position, node)| Write::set(node_key(*position), codec::encode(node)));
        state.apply(&writes.collect::<Vec<_>>());
        roots.push((grown.leaves, grown.root));
        size = to;
    }
    (state, roots)
}

#[test]
fn every_leaf_of_every_size_proves() {
    let (state, roots) = log(40, 1);
    for (leaves, root) in roots {
        for leaf in 0..leaves {
            let inclusion = prove(&state, leaf, leaves).expect("prove");
            assert_eq!(inclusion.root_for(digest(leaf)), Ok(root), "leaf {leaf} of {leaves}");
            assert_ne!(inclusion.root_for(digest(leaf + 1)), Ok(root));
        }
        assert!(prove(&state, leaves, leaves).is_err());
    }
    assert!(matches!(prove(&state, 40, 41), Err(ReadError(_))));
}

#[test]
fn steps_do_not_matter_and_sizes_do() {
    let (_, single) = log(23, 1);
    let (_, many) = log(23, 23);
    let (_, some) = log(23, 5);
    assert_eq!(single.last(), many.last());
    assert_eq!(single.last(), some.last());
    let mut roots: Vec<Digest> = single.into_iter().map(|(_, root)| root).collect();
    roots.push(empty_root());
    roots.sort_unstable();
    roots.dedup();
    assert_eq!(roots.len(), 24);
}

proptest! {
    #[test]
    fn a_changed_proof_proves_nothing_and_never_panics(
        leaves in 1..300_u64,
        leaf in any::<u64>(),
        change in 0..7_u8,
        place in any::<usize>(),
        number in any::<u64>(),
    ) {
        let (state, roots) = log(leaves, leaves);
        let root = roots[0].1;
        let leaf = leaf % leaves;
        let good = prove(&state, leaf, leaves).expect("prove");
        let mut bad = good.clone();
        let place = place % (bad.path.len() + 1);
        match change {
            0 => bad.leaf = number,
            1 => bad.leaves = number,
            2 => bad.leaf = number % leaves,
            3 => bad.path.truncate(place),
            4 => bad.path.insert(place, digest(number)),
            5 => bad.path.iter_mut().skip(place).take(1).for_each(|node| *node = digest(number)),
            _ => bad.path.rotate_left(place),
        }
        if bad != good {
            prop_assert_ne!(bad.root_for(digest(leaf)), Ok(root));
        }
    }

    #[test]
    fn any_numbers_are_answered(
        leaf in any::<u64>(),
        leaves in any::<u64>(),
        count in 0..130_usize,
    ) {
        let path = (0..count as u64).map(digest).collect();
        let _ = Inclusion { leaf, leaves, path }.root_for(digest(0));
    }
}

#[test]
fn what_cannot_be_a_proof_says_why() {
    let path = Vec::new();
    let outside = Inclusion { leaf: 5, leaves: 5, path: path.clone() };
    assert_eq!(outside.root_for(digest(0)), Err(InclusionError::OutOfRange { leaf: 5, leaves: 5 }));
    let huge = Inclusion { leaf: 0, leaves: u64::MAX, path: path.clone() };
    assert!(matches!(huge.root_for(digest(0)), Err(InclusionError::OutOfRange { .. })));
    let short = Inclusion { leaf: 0, leaves: 5, path };
    assert_eq!(
        short.root_for(digest(0)),
        Err(InclusionError::PathLength { actual: 0, expected: 3 })
    );
}
