//! What the node may look at: to answer peers, and to show operators.

use super::{Consensus, Mode};
use crate::{
    block::Block,
    committee::Committee,
    types::{AuthorityIndex, BlockRef, Round},
};

/// Numbers for operators and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The round of the proposer.
    pub round: Round,
    /// The newest own block's round.
    pub own_round: Round,
    /// The highest round in which a quorum has accepted blocks.
    pub quorum_round: Round,
    /// At or below it nothing can be committed any more.
    pub gc_round: Round,
    /// Round of the newest committed leader.
    pub leader_round: Round,
    /// Index of the newest commit.
    pub commit_index: u64,
    /// Index of the newest checkpoint.
    pub checkpoint_index: u64,
    /// Accepted blocks in memory.
    pub blocks_accepted: usize,
    /// Valid blocks that wait for parents.
    pub blocks_suspended: usize,
    /// Parents that are asked for, or will be.
    pub blocks_wanted: usize,
    /// Payload items that wait for an own block.
    pub queue_items: usize,
    /// Whether the node signs blocks.
    pub signing: bool,
    /// Whether certified commits wait to be applied.
    pub catching_up: bool,
    /// Whether the commit that closes the epoch was executed.
    pub closing: bool,
}

impl Consensus {
    /// The committee of the epoch.
    pub fn committee(&self) -> &Committee {
        &self.committee
    }

    /// Which authority this is.
    pub fn own(&self) -> AuthorityIndex {
        self.own
    }

    /// The round of the newest own block: what a node says of itself in its hello.
    pub fn own_round(&self) -> Round {
        self.pacemaker.own_last().round
    }

    /// The highest round from which `author`'s stream may go on: what a node says to a peer in its
    /// hello. Everything below is accepted or of no use; gaps are fetched.
    pub fn has_of(&self, author: AuthorityIndex) -> Round {
        let newest = self.dag.newest(author, Round(u64::MAX)).map(|newest| newest.round);
        newest.unwrap_or_default().max(self.dag.gc_round())
    }

    /// Whether the block is here already: its bytes need not be checked again.
    pub fn knows(&self, reference: &BlockRef) -> bool {
        self.dag.contains(reference)
            || self.suspended.contains(reference)
            || self.catch_up.holds(reference)
    }

    /// The newest block by `author` that is known here above the collection round, accepted or
    /// waiting for parents: what a node answers an [`AskOwn`](crate::Action::AskOwn) with, if its
    /// disk has no newer one.
    pub fn newest_of(&self, author: AuthorityIndex) -> Option<&Block> {
        let accepted = self.dag.newest(author, Round(u64::MAX));
        let accepted = accepted.and_then(|newest| self.block(&newest));
        let waiting = self.suspended.newest(author);
        accepted.into_iter().chain(waiting).max_by_key(|block| block.round())
    }

    /// An accepted block above the collection round; older ones are in the ledger.
    pub fn block(&self, reference: &BlockRef) -> Option<&Block> {
        self.dag.get(reference).map(|entry| &entry.block)
    }

    /// Numbers for operators and metrics.
    pub fn status(&self) -> Status {
        Status {
            round: self.pacemaker.round(),
            own_round: self.own_round(),
            quorum_round: self.dag.quorum_round(),
            gc_round: self.dag.gc_round(),
            leader_round: self.head.leader_round,
            commit_index: self.closing.unwrap_or(self.head.index),
            checkpoint_index: self.tally.checkpoint(),
            blocks_accepted: self.dag.len(),
            blocks_suspended: self.suspended.len(),
            blocks_wanted: self.fetcher.len(),
            queue_items: self.queue.len(),
            signing: matches!(self.mode, Mode::Live),
            catching_up: self.catch_up.is_applying(),
            closing: self.closing.is_some(),
        }
    }
}
