//! What a peer did wrong. A fault is counted against its sender; it never stops the node.

use thiserror::Error;

use crate::types::{AuthorityIndex, Domain, Round};

/// Why bytes from a peer are no valid block, vote, commit or checkpoint.
///
/// Every verdict is a function of the bytes and the committee only (§1.4): every honest node
/// reaches the same one, for ever.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The frame exceeds the limit; nothing was decoded.
    #[error("{bytes} bytes exceed the limit of {bytes_max}")]
    TooLong {
        /// Length of the frame.
        bytes: usize,
        /// What it may be at most.
        bytes_max: usize,
    },
    /// The bytes do not decode.
    #[error("the bytes do not decode")]
    Malformed,
    /// The bytes decode, but are not the ones the value encodes to.
    #[error("the encoding is not canonical")]
    NotCanonical,
    /// More parents, votes or payload items than a block may have.
    #[error("the block has more parents, votes or payload items than allowed")]
    TooMany,
    /// A version of the format this software does not know.
    #[error("block version {0} is unknown; a newer release may know it")]
    UnknownVersion(u8),
    /// A block of another network, epoch or committee.
    #[error("the block belongs to domain {0}, which is not this network's current epoch")]
    WrongDomain(Domain),
    /// An authority index outside the committee.
    #[error("authority {0} is not in the committee")]
    UnknownAuthority(AuthorityIndex),
    /// Round 0 has only the implicit genesis blocks; the last rounds there are cannot be reached.
    #[error("no block can be made for round {0}")]
    RoundOutOfRange(Round),
    /// The first parent is not by the author.
    #[error("the first parent is not the author's own previous block")]
    NoOwnParent,
    /// The other parents are not strictly ascending by author, or name the author again.
    #[error("the parents are not in strictly ascending order of their authors")]
    ParentsUnordered,
    /// A parent's round is not below the block's, or too far below it.
    #[error("a parent of round {0} is out of reach")]
    ParentOutOfReach(Round),
    /// Fewer parents in the round just below than a quorum.
    #[error("{found} parents in the previous round, a quorum is {quorum}")]
    NoQuorum {
        /// Distinct authors among the parents of the previous round.
        found: usize,
        /// What is needed.
        quorum: usize,
    },
    /// A parent of round 0 that is none of the genesis blocks.
    #[error("a parent of round 0 is not a genesis block of this committee")]
    UnknownGenesis,
    /// A flag without a meaning is set.
    #[error("unknown flags {0:#010b}")]
    UnknownFlags(u8),
    /// The votes are not strictly ascending by commit index.
    #[error("the checkpoint votes are not in strictly ascending order of their commits")]
    VotesUnordered,
    /// A signature does not verify.
    #[error("the signature does not verify")]
    BadSignature,
    /// A checkpoint vote's signature does not verify.
    #[error("the signature of a checkpoint vote does not verify")]
    BadVote,
    /// The payload is not the one the header names.
    #[error("the payload is not the one the header names")]
    WrongPayload,
    /// The payload breaks a limit: its length, an item's length, or any payload in round 1.
    #[error("the payload breaks a limit")]
    PayloadLimit,
}
