//! Headers up to a checkpoint, wherever checkpoints stand and segments end.

use super::super::super::{Certified, Limits};
use super::*;
use proptest::prelude::*;

/// A ledger of twelve commits, in segments of this length. `delays` says how many commits later the
/// checkpoint of each one came, if it has one.
fn ledger(directory: &Path, delays: &[Option<usize>], target: u64) -> Segments {
    let mut segments = open(directory, 0).unwrap();
    segments.set_target(target);
    for index in 1..=12 {
        segments.append(&[world().entry(index)]).unwrap();
        for of in 1..=index {
            let delay = delays[of as usize - 1];
            let due = delay.map(|delay| (of as usize + delay).min(12));
            let newer = segments.checkpoint().is_none_or(|newest| newest.statement.index < of);
            if due == Some(index as usize) && newer {
                segments.append(&[LedgerEntry::Checkpoint(world().checkpoint(of))]).unwrap();
            }
        }
    }
    segments
}

/// The commits of the checkpoints in a ledger.
fn checkpoints(directory: &Path) -> Vec<u64> {
    let entries = read(directory).0.into_iter();
    let checkpoint = |entry| match entry {
        LedgerEntry::Checkpoint(checkpoint) => Some(checkpoint.statement.index),
        _ => None,
    };
    entries.filter_map(checkpoint).collect()
}

fn length(index: u64) -> usize {
    world().commit_at(index).header().encode().len()
}

fn fits(after: u64, last: u64, limits: Limits) -> bool {
    let bytes: usize = (after + 1..=last).map(length).sum();
    (last - after) as usize <= limits.commits && bytes <= limits.bytes
}

/// That an answer is what a laggard can use: consecutive, and certified to its end.
fn check(after: u64, (headers, checkpoint): &Certified) {
    let expected = (after + 1..).map(|index| world().commit_at(index).header().clone());
    assert_eq!(*headers, expected.take(headers.len()).collect::<Vec<_>>());
    let last = headers.last().unwrap().index;
    assert_eq!(*checkpoint, world().checkpoint(last));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_answer_is_certified_and_leads_on(
        delays in prop::collection::vec(prop::option::weighted(0.6, 0usize..4), 12),
        late in any::<bool>(),
        target in prop::sample::select(vec![1u64, 1_500, 1 << 20]),
        commits in 1usize..14,
        bytes in prop::sample::select(vec![1usize, 400, 1_000, usize::MAX]),
    ) {
        let root = tempfile::tempdir().unwrap();
        let prompt = delays.iter().map(|delay| delay.map(|_| 0)).collect::<Vec<_>>();
        let segments = ledger(root.path(), if late { &delays } else { &prompt }, target);
        let all = checkpoints(root.path());
        let limits = Limits { commits, bytes };
        for segments in [segments, open(root.path(), 0).unwrap()] {
            for after in 0..=13 {
                let beyond = all.iter().copied().filter(|index| *index > after);
                let first = beyond.clone().min();
                let farthest = beyond.filter(|last| fits(after, *last, limits)).max().or(first);
                let answer = segments.certified(after, limits).unwrap();
                prop_assert_eq!(answer.is_some(), first.is_some(), "after {}", after);
                let Some(answer) = answer else { continue };
                check(after, &answer);
                let last = answer.1.statement.index;
                prop_assert!(Some(last) == first || fits(after, last, limits));
                // A checkpoint that came late may lie behind what fits.
                prop_assert!(Some(last) == farthest || late, "{} of {:?}", last, farthest);
            }
        }
    }

    #[test]
    fn the_newest_block_of_an_author_is_found_in_any_segment(
        target in prop::sample::select(vec![1u64, 1_500, 1 << 20]),
        left_out in prop::collection::vec(any::<bool>(), 12),
        above in 0u64..14,
    ) {
        let root = tempfile::tempdir().unwrap();
        let mut segments = open(root.path(), 0).unwrap();
        segments.set_target(target);
        for index in 1..=12 {
            let LedgerEntry::Commit(mut commit) = world().entry(index) else { unreachable!() };
            if left_out[index as usize - 1] {
                commit.header.blocks.retain(|block| block.author == OWN);
                commit.blocks.retain(|block| block.reference.author == OWN);
            }
            let checkpoint = LedgerEntry::Checkpoint(world().checkpoint(index));
            segments.append(&[LedgerEntry::Commit(commit), checkpoint]).unwrap();
        }
        let of = |author| {
            let found = segments.newest_of(AuthorityIndex(author), Round(above)).unwrap();
            found.map(|(round, location)| {
                let reference = segments.read(location).unwrap().reference;
                assert_eq!((reference.author.0, reference.round), (author, round));
                round.0
            })
        };
        let there = || (1..=12).filter(|round| !left_out[*round as usize - 1]);
        prop_assert_eq!(of(1), there().max().filter(|round| *round > above));
        prop_assert_eq!(of(0), Some(12).filter(|round| *round > above));
        prop_assert_eq!(of(2), None);
        // Once more, now that it is known who is where.
        prop_assert_eq!(of(1), there().max().filter(|round| *round > above));
        prop_assert_eq!(of(2), None);
    }
}

/// Blocks may be as large as they like, and damaged: an answer reads none of them.
#[test]
fn no_block_is_read_for_an_answer() {
    let root = tempfile::tempdir().unwrap();
    let segments = ledger(root.path(), &[Some(0); 12], 1_500);
    for round in 1..=12 {
        for block in world().round(round) {
            let location = segments.locate(&block.reference()).unwrap().unwrap();
            let path = path(root.path(), location.segment);
            flip(&path, location.offset as usize + FRAME_HEADER + 60, 1);
        }
    }
    let limits = Limits { commits: 5, bytes: usize::MAX };
    for after in 0..12 {
        let answer = segments.certified(after, limits).unwrap().unwrap();
        check(after, &answer);
        assert_eq!(answer.0.len() as u64, 5.min(12 - after));
        assert_eq!(segments.header(after + 1).unwrap().as_ref(), answer.0.first());
    }
    assert!(segments.commit(3).is_err(), "what was damaged is not served");
}
