//! The rule and the order without a machine: what a DAG says by itself.

use alloc::vec::Vec;

use crate::{
    Base, Block, Commit, Committee, Round,
    dag::Dag,
    linear::{Head, apply, linearise},
    rule::{self, Decision},
};

/// Orders a DAG by inserting its blocks one after the other, committing as soon as possible. What
/// comes too late for the collection round is dropped, as a node drops it.
pub(crate) fn order(committee: &Committee, blocks: &[Block]) -> Vec<Commit> {
    let mut dag = Dag::new(committee.clone());
    let (mut head, mut slot) = (Head::start(committee, Base::default()), Round(1));
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
