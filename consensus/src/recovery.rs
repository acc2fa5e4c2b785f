//! What a node hands back to the machine after a restart (§8.3).

use alloc::vec::Vec;

use crate::{block::Block, checkpoint::Checkpoint, commit::Commit, types::Round};

/// What storage holds. All of it was verified when it was read.
#[derive(Clone, Debug, Default)]
pub struct Recovery {
    /// The newest commits in order, without gaps, ending with the newest on disk: at least every
    /// commit whose leader's round is above [`Recovery::commits_above`] of the newest one's. More
    /// does no harm. Empty only when there is no commit at all.
    pub commits: Vec<Commit>,
    /// Blocks of the write-ahead log, in any order. Committed ones do no harm.
    pub blocks: Vec<Block>,
    /// The newest own block ever made durable, wherever it is kept. Without it an authority could
    /// sign a second block for a round.
    pub own_last: Option<Block>,
    /// The newest checkpoint on disk.
    pub checkpoint: Option<Checkpoint>,
}

impl Recovery {
    /// Commits with leaders at or below this round are not needed once a commit led at
    /// `newest_leader` is on disk: all their blocks are below the garbage-collection round.
    pub fn commits_above(newest_leader: Round, gc_depth: u64) -> Round {
        newest_leader.minus(gc_depth)
    }
}
