//! Order, time, twins and collection; and agreement over random DAGs.

use alloc::{borrow::ToOwned, collections::BTreeMap, format, string::String, vec, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::testing::{
    Random, committee, committee_with,
    drawing::{Drawing, Shape, shapes},
    order,
    random::random_dag,
};

fn digests(commits: &[Commit]) -> Vec<CommitDigest> {
    commits.iter().map(Commit::digest).collect()
}

/// A commit in the notation of `tests/shapes.md`.
fn described(drawing: &Drawing, commit: &Commit) -> String {
    let header = commit.header();
    let twin_of = |block: &BlockRef| {
        let same = |other: &&BlockRef| other.round == block.round && other.author == block.author;
        header.blocks.iter().filter(same).find(|other| *other != block)
    };
    let mut said: Vec<(Round, String)> = Vec::new();
    for block in &header.blocks {
        let name = drawing.name(block);
        let text = match (twin_of(block), header.silenced.contains(block)) {
            (Some(twin), false) => {
                let twin = drawing.name(twin);
                // `'` sorts before digits.
                format!("{}/{}", name.clone().max(twin.clone()), name.min(twin))
            }
            (Some(_), true) => continue,
            (None, true) => format!("[{name}]"),
            (None, false) => name,
        };
        said.push((block.round, text));
    }
    said.sort_by_key(|(round, text)| (*round, text.trim_start_matches('[').to_owned()));
    said.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(" ")
}

/// Whether a commit is what a line of a shape says: all of it, or its beginning `..` its end.
fn is_as_drawn(line: &str, blocks: &str, time: Timestamp) -> bool {
    let (drawn, drawn_time) = line.split_once(" @").map_or((line, None), |(b, t)| (b, Some(t)));
    let is_same = match drawn.split_once(" .. ") {
        Some((first, last)) => blocks.starts_with(first) && blocks.ends_with(last),
        None => blocks == drawn,
    };
    is_same && drawn_time.is_none_or(|drawn| drawn.parse() == Ok(time.0))
}

#[test]
fn every_shape_is_ordered_as_drawn() {
    let shapes = shapes(include_str!("tests/shapes.md"));
    assert!(shapes.len() > 15, "{}", shapes.len());
    for Shape { name, drawing, expected } in &shapes {
        let commits = order(&drawing.committee, &drawing.blocks);
        let said: Vec<(String, Timestamp)> =
            commits.iter().map(|commit| (described(drawing, commit), commit.time())).collect();
        let is_partial = expected[0] == "...";
        let lines = &expected[usize::from(is_partial)..];
        // Commits are left out at the beginning, or not at all.
        let left_out = said.len().saturating_sub(lines.len());
        assert!(is_partial || left_out == 0, "{name}: {said:?}");
        let compared = || said[left_out..].iter().zip(lines);
        let is_all = said.len() >= lines.len()
            && compared().all(|((blocks, time), line)| is_as_drawn(line, blocks, *time));
        assert!(is_all, "{name}: {said:#?}");
        let mut auditor = crate::Auditor::new(drawing.committee.clone());
        for commit in &commits {
            assert_eq!(auditor.check(commit), Ok(()), "{name}");
        }
    }
}

#[test]
fn a_commit_is_sorted_ends_with_its_leader_and_names_the_one_before() {
    let drawing = Drawing::new(&committee(4), "1-2: A B C D | 3: A>ABC B C D | 4-9: A B C D");
    let mut previous = CommitDigest::NONE;
    for commit in order(&drawing.committee, &drawing.blocks) {
        assert!(commit.header().blocks.is_sorted());
        assert_eq!(commit.header().blocks.last(), Some(&commit.leader()));
        assert_eq!(commit.header().previous, previous);
        previous = commit.digest();
    }
    assert_ne!(previous, CommitDigest::NONE);
}

#[test]
fn one_liar_cannot_move_the_median_beyond_the_honest() {
    let committee = committee(4);
    let genesis = committee.genesis();
    for (lie, expected) in [(0, 200), (u64::MAX, 200), (250, 200), (150, 150)] {
        let clocks = [100, 200, 300, lie];
        let mut dag = Dag::new(committee.clone());
        let mut first = Vec::new();
        for (author, clock) in (0u16..).zip(clocks) {
            let draft = crate::Draft {
                timestamp: Timestamp(clock),
                ..crate::testing::draft(1, &crate::testing::own_first(author, genesis), &[])
            };
            let signer = crate::testing::signer(author);
            let block = draft.sign(&committee, crate::AuthorityIndex(author), &signer).unwrap();
            first.push(block.reference());
            dag.insert(block);
        }
        let leader = crate::testing::block(&committee, 0, 2, &first, &[]);
        dag.insert(leader.clone());
        let expected = if lie == 0 { 100 } else { expected };
        assert_eq!(median_time(&dag, leader.reference()), Some(Timestamp(expected)), "{lie}");
    }
}

/// §4.5: both twins are ordered, one of them speaks.
#[test]
fn of_twins_only_the_first_in_order_speaks() {
    let committee = committee(4);
    let mut spoke = 0;
    for seed in 0..60 {
        let blocks = random_dag(&committee, 14, &mut Random(seed));
        let mut first: BTreeMap<(Round, crate::AuthorityIndex), BlockRef> = BTreeMap::new();
        for commit in order(&committee, &blocks) {
            let mut silenced = Vec::new();
            let mut payload = Vec::new();
            for block in commit.blocks() {
                let slot = (block.round(), block.author());
                if *first.entry(slot).or_insert(block.reference()) == block.reference() {
                    payload.extend(block.payload());
                } else {
                    silenced.push(block.reference());
                }
            }
            spoke += silenced.len();
            assert_eq!(commit.header().silenced, silenced, "seed {seed}");
            let delivered: Vec<&[u8]> = commit.payload().map(|(_, item)| item).collect();
            assert_eq!(delivered, payload, "seed {seed}");
        }
    }
    assert!(spoke > 20, "{spoke} twins were committed");
}

/// A causally closed random part of a DAG, in a random order of arrival.
fn part(blocks: &[Block], percent_lost: u64, random: &mut Random) -> Vec<Block> {
    let mut kept: Vec<Block> = Vec::new();
    for block in blocks {
        let has = |parent: &BlockRef| {
            parent.round.0 == 0 || kept.iter().any(|b| b.reference() == *parent)
        };
        if block.parents().iter().all(has) && !random.chance(percent_lost) {
            kept.push(block.clone());
        }
    }
    random.shuffle(&mut kept);
    kept
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever part of a DAG two nodes see, in whatever order, their ledgers are prefixes of one
    /// another: digests, and so leaders, times, lists and silenced twins.
    #[test]
    fn ledgers_are_prefixes(seed in any::<u64>(), n in 1u16..=10) {
        let committee = committee_with(n, 8);
        let random = &mut Random(seed);
        let blocks = random_dag(&committee, 24, random);
        let ledgers: Vec<Vec<CommitDigest>> = [0, 0, 1, 3]
            .iter()
            .map(|lost| digests(&order(&committee, &part(&blocks, *lost, random))))
            .chain([digests(&order(&committee, &blocks))])
            .collect();
        let longest = ledgers.iter().max_by_key(|ledger| ledger.len()).unwrap();
        for ledger in &ledgers {
            prop_assert!(longest.starts_with(ledger));
        }
        // The order of arrival changes nothing at all.
        prop_assert_eq!(&ledgers[0], &ledgers[1]);
        prop_assert_eq!(&ledgers[0], ledgers.last().unwrap());
    }

    /// Every block once, none before its parents above the collection round; and the auditor,
    /// who sees nothing but the commits, agrees.
    #[test]
    fn ledgers_are_closed_and_pass_the_audit(seed in any::<u64>(), n in 1u16..=10) {
        let committee = committee_with(n, 8);
        let blocks = random_dag(&committee, 24, &mut Random(seed));
        let commits = order(&committee, &blocks);
        let mut seen: Vec<BlockRef> = Vec::new();
        let mut gc_round = 0;
        for commit in &commits {
            for block in commit.blocks() {
                prop_assert!(!seen.contains(&block.reference()));
                for parent in block.parents() {
                    prop_assert!(parent.round.0 <= gc_round || seen.contains(parent));
                }
                seen.push(block.reference());
            }
            gc_round = commit.leader().round.0.saturating_sub(8);
        }
        let mut auditor = crate::Auditor::new(committee);
        for commit in &commits {
            prop_assert_eq!(auditor.check(commit), Ok(()));
        }
    }
}

#[test]
fn linearising_changes_nothing() {
    let committee = committee(4);
    let drawing = Drawing::new(&committee, "1: A B C D | 2: A B C D | 3: A B C D");
    let mut dag = Dag::new(committee);
    drawing.blocks.iter().for_each(|block| dag.insert(block.clone()));
    let leader = drawing.named("A1");
    let start = Head::start(dag.committee(), Base::default());
    let once = linearise(&dag, &start, leader);
    assert_eq!(once, linearise(&dag, &start, leader));
    assert_eq!(linearise(&dag, &start, dag.committee().genesis()[0]), None);
    let expected = vec![leader];
    assert_eq!(once.unwrap().header().blocks, expected);
}
