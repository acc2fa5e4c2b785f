//! Linearisation: from a committed leader to an ordered list of blocks, and what is forgotten (§4).
//!
//! The result is a function of the leader, the blocks committed before and the garbage-collection
//! round, which itself follows from the leaders committed before. No clock, no arrival order.

use alloc::vec::Vec;

use crate::{
    block::Block,
    commit::{Commit, CommitHeader},
    committee::Committee,
    dag::Dag,
    recovery::Base,
    types::{BlockRef, CommitDigest, Round, Timestamp},
};

/// Where the chain of commits ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Index of the newest commit; the base's before the first.
    pub index: u64,
    pub digest: CommitDigest,
    pub time: Timestamp,
    /// Round of the newest committed leader; genesis before the first.
    pub leader_round: Round,
}

impl Head {
    /// Before the first commit of a committee's epoch, which begins at `base`.
    pub fn start(committee: &Committee, base: Base) -> Self {
        Self {
            index: base.index,
            digest: committee.config().previous,
            time: base.time,
            leader_round: Round::GENESIS,
        }
    }

    pub fn of(commit: &Commit) -> Self {
        Self {
            index: commit.index(),
            digest: commit.digest(),
            time: commit.time(),
            leader_round: commit.leader().round,
        }
    }
}

/// The commit a leader in the DAG makes as the next one; `None` when the leader is not in the DAG.
/// Nothing is changed.
pub(crate) fn linearise(dag: &Dag, head: &Head, leader: BlockRef) -> Option<Commit> {
    let time = head.time.max(median_time(dag, leader)?);
    let gc_round = dag.gc_round();
    let mut blocks: Vec<Block> = dag
        .history(leader, |entry| !entry.committed && entry.block.round() > gc_round)
        .map(|entry| entry.block.clone())
        .collect();
    blocks.sort_unstable_by_key(Block::reference);
    let references: Vec<BlockRef> = blocks.iter().map(Block::reference).collect();
    let header = CommitHeader {
        index: head.index + 1,
        previous: head.digest,
        leader,
        time,
        silenced: silenced(dag, &references),
        blocks: references,
    };
    Commit::new(header, blocks, dag.committee()).ok()
}

/// The lower median of the timestamps of the leader's parents in the round before it. With at
/// most `f` liars among at least `n - f` parents it lies between two honest clocks.
fn median_time(dag: &Dag, leader: BlockRef) -> Option<Timestamp> {
    let parents = dag.get(&leader)?.block.parents();
    let previous = leader.round.minus(1);
    let mut times: Vec<Timestamp> = parents
        .iter()
        .filter(|parent| parent.round == previous)
        .filter_map(|parent| Some(dag.get(parent)?.block.header().timestamp))
        .collect();
    times.sort_unstable();
    Some(times.get(times.len().saturating_sub(1) / 2).copied().unwrap_or_default())
}

/// Those of the sorted blocks that come after another block of their author and round.
fn silenced(dag: &Dag, sorted: &[BlockRef]) -> Vec<BlockRef> {
    let is_silenced = |at: usize, block: &BlockRef| {
        let same_slot =
            |other: &BlockRef| other.round == block.round && other.author == block.author;
        at.checked_sub(1).is_some_and(|before| same_slot(&sorted[before]))
            || dag.slot(block.round, block.author).any(|twin| twin.committed)
    };
    let numbered = sorted.iter().enumerate();
    numbered.filter(|(at, block)| is_silenced(*at, block)).map(|(_, block)| *block).collect()
}

/// Records a commit in the DAG and raises the garbage-collection round.
pub(crate) fn apply(dag: &mut Dag, head: &mut Head, commit: &Commit) {
    for block in &commit.header().blocks {
        dag.mark_committed(block);
    }
    *head = Head::of(commit);
    dag.raise_gc_round(head.leader_round.minus(dag.committee().gc_depth()));
}

#[cfg(test)]
mod tests;
