//! The commit rule: which leader blocks are final, decided by the DAG alone (§3).
//!
//! After Babel, Chursin, Danezis, Kichidis, Kokoris-Kogias, Koshy, Sonnino, Tian, "Mysticeti:
//! Reaching the Latency Limits with Uncertified DAGs" (arXiv 2310.14821), with one leader per
//! round. A decision, once made, is made by every larger DAG too: nothing here looks at what is
//! missing, only at what is there (§9).

use alloc::vec::Vec;

use crate::{
    authority_set::AuthoritySet,
    dag::{Dag, Entry},
    types::{BlockRef, Round},
};

/// How far above its slot an anchor is at least: beyond the rounds of votes and certificates.
const ANCHOR_DISTANCE: u64 = 3;

/// What is known about the leader slot of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// This proposal is final.
    Commit(BlockRef),
    /// No proposal of the slot can ever be final.
    Skip,
    /// Not yet known.
    Undecided,
    /// This proposal is final and skipped at once: more than `f` authorities are faulty. Two final
    /// proposals are such a case too, since the voters for one are against the other.
    Conflict(BlockRef),
}

/// The decided slots from `from` on, in order, up to the first undecided one.
pub(crate) fn decide(dag: &Dag, from: Round) -> Vec<(Round, Decision)> {
    let top = dag.highest_round().minus(1);
    let mut decisions: Vec<(Round, Decision)> = Vec::new();
    // Downwards, so that a slot's anchors are decided before it. `decisions` is descending.
    for round in (from.0..=top.0).rev().map(Round) {
        let decision = match direct(dag, round) {
            Decision::Undecided => indirect(dag, round, &decisions),
            decided => decided,
        };
        decisions.push((round, decision));
    }
    decisions.reverse();
    let decided = decisions.iter().take_while(|(_, d)| *d != Decision::Undecided).count();
    decisions.truncate(decided);
    decisions
}

/// Decides a slot by the two rounds above it (§3.2).
pub(crate) fn direct(dag: &Dag, round: Round) -> Decision {
    let committed = proposals(dag, round)
        .find(|&proposal| is_quorum(dag, round.plus(2), |entry| entry.certifies == Some(proposal)));
    match (committed, is_skipped(dag, round)) {
        (Some(proposal), false) => Decision::Commit(proposal),
        (None, true) => Decision::Skip,
        (None, false) => Decision::Undecided,
        (Some(proposal), true) => Decision::Conflict(proposal),
    }
}

/// Decides a slot by the first slot above that is not skipped, its anchor (§3.3).
fn indirect(dag: &Dag, round: Round, later: &[(Round, Decision)]) -> Decision {
    let lowest = round.plus(ANCHOR_DISTANCE);
    let anchor = later
        .iter()
        .rev()
        .filter(|(anchor, _)| *anchor >= lowest)
        .map(|(_, decision)| *decision)
        .find(|decision| *decision != Decision::Skip);
    let Some(Decision::Commit(anchor)) = anchor else { return Decision::Undecided };
    let certificates = round.plus(2);
    let certified = dag
        .history(anchor, |entry| entry.block.round() >= certificates)
        .filter(|entry| entry.block.round() == certificates)
        .find_map(|entry| entry.certifies);
    certified.map_or(Decision::Skip, Decision::Commit)
}

/// Whether no proposal of the slot can have a quorum of votes, whatever still arrives.
fn is_skipped(dag: &Dag, round: Round) -> bool {
    let votes = round.plus(1);
    dag.committee().is_quorum(dag.authors(votes))
        && proposals(dag, round)
            .all(|proposal| is_quorum(dag, votes, |entry| entry.vote != Some(proposal)))
}

/// Whether the next round can tell what becomes of the slot: a quorum votes for one proposal, or
/// the slot is skipped. The proposer waits for it (§5.2).
pub(crate) fn has_witness(dag: &Dag, round: Round) -> bool {
    is_skipped(dag, round)
        || proposals(dag, round)
            .any(|proposal| is_quorum(dag, round.plus(1), |entry| entry.vote == Some(proposal)))
}

fn proposals(dag: &Dag, round: Round) -> impl Iterator<Item = BlockRef> {
    dag.slot(round, dag.committee().leader(round)).map(|entry| entry.block.reference())
}

/// Whether a quorum of distinct authors has a block in `round` for which `holds`.
fn is_quorum(dag: &Dag, round: Round, holds: impl Fn(&Entry) -> bool) -> bool {
    let authors: AuthoritySet =
        dag.round(round).filter(|entry| holds(entry)).map(|entry| entry.block.author()).collect();
    dag.committee().is_quorum(authors)
}

#[cfg(test)]
mod tests;
