//! Shapes by hand, and random DAGs against an oracle that shares no code with the rule.

use alloc::{format, string::String, vec::Vec};

use proptest::prelude::*;

use self::oracle::{Verdict, oracle};
use super::*;
use crate::{
    Block, Committee,
    testing::{
        Random, committee,
        drawing::{Drawing, shapes},
        random::random_dag,
    },
};

mod oracle;

fn dag_of(committee: &Committee, blocks: &[Block]) -> Dag {
    let mut dag = Dag::new(committee.clone());
    for block in blocks {
        assert_eq!(dag.missing(block).count(), 0, "drawn before its parents");
        dag.insert(block.clone());
    }
    dag
}

/// What the rule says of these blocks, in the notation of `tests/shapes.md`.
fn decisions(drawing: &Drawing, blocks: &[Block]) -> Vec<String> {
    let dag = dag_of(&drawing.committee, blocks);
    let said = |(round, decision)| {
        let said = match decision {
            Decision::Commit(leader) => drawing.name(&leader),
            Decision::Skip => "-".into(),
            Decision::Conflict(_) => "!".into(),
            Decision::Undecided => panic!("round {} is not decided", round),
        };
        if direct(&dag, round) == Decision::Undecided { format!("({said})") } else { said }
    };
    decide(&dag, Round(1)).into_iter().map(said).collect()
}

/// Without the brackets: two nodes may decide alike in different ways.
fn bare(decisions: &[String]) -> Vec<&str> {
    decisions.iter().map(|said| said.trim_matches(['(', ')'])).collect()
}

#[test]
fn every_shape_is_decided_as_drawn() {
    let shapes = shapes(include_str!("tests/shapes.md"));
    assert!(shapes.len() > 50, "{}", shapes.len());
    for shape in shapes {
        let (name, drawing) = (&shape.name, &shape.drawing);
        let said = decisions(drawing, &drawing.blocks);
        let text = if said.is_empty() { "nothing".into() } else { said.join(" ") };
        assert_eq!([text], shape.expected[..], "{name}");
        if said.iter().any(|said| said == "!") {
            // More than f faults: there is nothing left that the parts could agree on.
            continue;
        }
        for grown in 0..drawing.blocks.len() {
            let part = decisions(drawing, &drawing.blocks[..grown]);
            assert!(bare(&said).starts_with(&bare(&part)), "{name}: {grown} blocks say {part:?}");
        }
        let (committee, blocks) = (&drawing.committee, &drawing.blocks);
        assert_eq!(ours(committee, blocks), oracle(committee, blocks), "{name}");
    }
}

fn ours(committee: &Committee, blocks: &[Block]) -> Vec<Verdict> {
    let dag = dag_of(committee, blocks);
    let verdict = |(_, decision)| match decision {
        Decision::Commit(leader) => Verdict::Commit(leader),
        Decision::Skip => Verdict::Skip,
        other => panic!("{other:?}"),
    };
    decide(&dag, Round(1)).into_iter().map(verdict).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_rule_is_the_oracles(seed in any::<u64>(), n in 1u16..=10) {
        let committee = committee(n);
        let blocks = random_dag(&committee, 9, &mut Random(seed));
        prop_assert_eq!(ours(&committee, &blocks), oracle(&committee, &blocks));
    }

    /// What a part of the DAG decides, the whole decides alike: decisions are irrevocable, and two
    /// nodes with different parts never contradict each other.
    #[test]
    fn decisions_are_irrevocable(seed in any::<u64>(), n in 1u16..=10) {
        let committee = committee(n);
        let random = &mut Random(seed);
        let blocks = random_dag(&committee, 12, random);
        let whole = ours(&committee, &blocks);
        let mut part: Vec<Block> = Vec::new();
        for block in &blocks {
            let has = |parent: &BlockRef| {
                parent.round.0 == 0 || part.iter().any(|b| b.reference() == *parent)
            };
            if block.parents().iter().all(has) && !random.chance(8) {
                part.push(block.clone());
                let decided = ours(&committee, &part);
                prop_assert!(whole.starts_with(&decided), "{:?} {:?}", whole, decided);
            }
        }
    }
}

/// The random DAGs are worth something: every kind of decision occurs, and so do twins.
#[test]
fn random_dags_show_every_kind_of_decision() {
    let kinds = ["commit", "skip", "commit by anchor", "skip by anchor", "twin", "twin committed"];
    let mut counts = [0; 6];
    for seed in 0..200 {
        let committee = committee(4 + seed as u16 % 7);
        let blocks = random_dag(&committee, 12, &mut Random(seed));
        let dag = dag_of(&committee, &blocks);
        for (round, decision) in decide(&dag, Round(1)) {
            let is_direct = direct(&dag, round) != Decision::Undecided;
            let is_commit = matches!(decision, Decision::Commit(_));
            counts[usize::from(!is_commit) + 2 * usize::from(!is_direct)] += 1;
            let twins = dag.slot(round, committee.leader(round)).count() > 1;
            counts[4] += usize::from(twins);
            counts[5] += usize::from(twins && is_commit);
        }
    }
    for (kind, count) in kinds.iter().zip(counts) {
        assert!(count > 20, "{kind}: {count} of {counts:?}");
    }
}
