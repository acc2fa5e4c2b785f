//! What a node hands back to the machine after a restart (§8.3).

use alloc::vec::Vec;

use crate::{
    block::Block,
    checkpoint::Checkpoint,
    commit::Commit,
    types::{Round, Timestamp},
};

/// Where an epoch begins: the commit that closed the one before. Its digest is the committee's
/// [`previous`](crate::CommitteeConfig::previous). Indices and time go on over epochs (§10.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Base {
    /// Index of the commit that closed the previous epoch; 0 in the first.
    pub index: u64,
    /// Its time; 0 in the first epoch.
    pub time: Timestamp,
}

/// What storage holds. All of it was verified when it was read.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// Where the epoch begins.
    pub base: Base,
    /// The newest commits of the epoch in order, without gaps, ending with the newest on disk: at
    /// least every commit whose leader's round is above [`Recovery::commits_above`] of the newest
    /// one's. More does no harm. Empty only when the epoch has no commit at all.
    pub commits: Vec<Commit>,
    /// Blocks of the write-ahead log, in any order. Committed ones do no harm, nor do those of
    /// other epochs.
    pub blocks: Vec<Block>,
    /// The newest own block ever made durable, wherever it is kept. Without it an authority could
    /// sign a second block for a round.
    pub own_last: Option<Block>,
    /// The newest checkpoint on disk, of this epoch or an earlier one.
    pub checkpoint: Option<Checkpoint>,
    /// Whether the log was lost: there was no data directory, or an empty one, and it was not the
    /// setup of the network that made it. Then nothing is signed until the others have said how far
    /// we were (§8.5). True until the first own block signed afterwards is durable; own blocks in
    /// the log until then were told by others.
    pub lost_log: bool,
    /// The operator's word that no own block was ever made above this round: signs above it
    /// without asking, whether the log was lost or is an old copy. Not to be given lightly: if it
    /// is wrong, this authority equivocates.
    pub sign_after: Option<Round>,
}

impl Recovery {
    /// Commits with leaders at or below this round are not needed once a commit led at
    /// `newest_leader` is on disk: all their blocks are below the garbage-collection round.
    pub fn commits_above(newest_leader: Round, gc_depth: u64) -> Round {
        newest_leader.minus(gc_depth)
    }
}
