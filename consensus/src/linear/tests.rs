//! Order, time, twins and collection; and agreement over random DAGs.

use alloc::{collections::BTreeMap, vec, vec::Vec};

use proptest::prelude::*;

use super::*;
use crate::{
    Committee,
    rule::{self, Decision},
    testing::{Random, committee, committee_with, drawing::Drawing, random::random_dag},
};

/// Orders a DAG by inserting its blocks one after the other, committing as soon as possible. What
/// comes too late for the collection round is dropped, as a node drops it.
fn order(committee: &Committee, blocks: &[Block]) -> Vec<Commit> {
    let mut dag = Dag::new(committee.clone());
    let (mut head, mut slot) = (Head::START, Round(1));
    let mut commits = Vec::new();
    let mut waiting: Vec<Block> = Vec::new();
    for block in blocks {
        waiting.push(block.clone());
        loop {
            let before = waiting.len();
            waiting.retain(|block| {
                let ready = dag.missing(block).next().is_none();
                if ready {
                    dag.insert(block.clone());
                }
                !ready
            });
            for (round, decision) in rule::decide(&dag, slot) {
                if let Decision::Commit(leader) = decision {
                    let commit = linearise(&dag, &head, leader).unwrap();
                    apply(&mut dag, &mut head, &commit);
                    commits.push(commit);
                }
                slot = round.plus(1);
            }
            dag.prune(dag.gc_round());
            if waiting.len() == before {
                break;
            }
        }
    }
    commits
}

fn digests(commits: &[Commit]) -> Vec<CommitDigest> {
    commits.iter().map(Commit::digest).collect()
}

fn names(drawing: &Drawing, commit: &Commit) -> Vec<alloc::string::String> {
    commit.header().blocks.iter().map(|block| drawing.name(block)).collect()
}

#[test]
fn a_commit_orders_its_leaders_history_by_round_and_author() {
    let committee = committee(4);
    let drawing = Drawing::new(
        &committee,
        "1: A B C D | 2: A B C D>BCD | 3: A>ABC B C D | 4: A B C D | 5: A B C D | 6: A B C D",
    );
    let commits = order(&committee, &drawing.blocks);
    assert_eq!(names(&drawing, &commits[0]), ["A1"]);
    let mut second = names(&drawing, &commits[1]);
    assert_eq!(second.pop().as_deref(), Some("B2"), "the leader is last");
    second.sort();
    assert_eq!(second, ["B1", "C1", "D1"]);
    for commit in &commits {
        assert!(commit.header().blocks.is_sorted());
        assert_eq!(commit.header().blocks.last(), Some(&commit.leader()));
    }
    assert_eq!(commits[0].header().previous, CommitDigest::NONE);
    assert_eq!(commits[1].header().previous, commits[0].digest());
}

/// The lower median of the parents' clocks: of 1000 each in a drawing, whatever the leader says.
#[test]
fn time_is_a_median_and_never_goes_back() {
    let committee = committee(4);
    let drawing = Drawing::new(
        &committee,
        "1: A B C D | 2: A B C D | 3: A B C D | 4: A B C D | 5: A B C D | 6: A B C D",
    );
    let commits = order(&committee, &drawing.blocks);
    let times: Vec<u64> = commits.iter().map(|commit| commit.time().0).collect();
    assert_eq!(times, [0, 1_000, 2_000, 3_000]);
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

#[test]
fn what_falls_below_the_collection_round_is_never_committed() {
    let committee = committee_with(4, 8);
    // D's first block is seen by nobody for long; then D's next block brings it along.
    let text = |late: u64| {
        let mut text = alloc::string::String::from("1: A B C D");
        for round in 2..=late + 5 {
            let blocks = match round {
                round if round == late => "A>ABC B>ABC C>ABC D>ABCD1".into(),
                round if round == late + 1 => "A B C D".into(),
                2 => alloc::string::String::from("A>ABC B>ABC C>ABC"),
                _ => "A B C".into(),
            };
            text += &alloc::format!(" | {round}: {blocks}");
        }
        text
    };
    for (late, kept) in [(4, true), (6, true), (20, false)] {
        let drawing = Drawing::new(&committee, &text(late));
        let commits = order(&committee, &drawing.blocks);
        let lost = drawing.named("D1");
        let has = commits.iter().any(|commit| commit.header().blocks.contains(&lost));
        assert_eq!(has, kept, "brought along at round {late}");
        let bringer = drawing.named(&alloc::format!("D{late}"));
        assert!(commits.iter().any(|commit| commit.header().blocks.contains(&bringer)));
    }
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
    fn ledgers_are_prefixes(seed in any::<u64>(), n in 4u16..=7) {
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
    fn ledgers_are_closed_and_pass_the_audit(seed in any::<u64>(), n in 4u16..=7) {
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
    let once = linearise(&dag, &Head::START, leader);
    assert_eq!(once, linearise(&dag, &Head::START, leader));
    assert_eq!(linearise(&dag, &Head::START, dag.committee().genesis()[0]), None);
    let expected = vec![leader];
    assert_eq!(once.unwrap().header().blocks, expected);
}
