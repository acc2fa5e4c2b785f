//! What the world tells the machine, and what the machine wants done (§8).

use alloc::{boxed::Box, vec::Vec};

use crate::{
    block::Block,
    certificate::CertifiedCommits,
    checkpoint::{Checkpoint, Statement, Vote},
    commit::Commit,
    evidence::Evidence,
    types::{AuthorityIndex, BlockRef, Instant, Round, Timestamp},
};

/// The two clocks a call is made at. They never mix: one paces, the other is written into blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Never goes backwards while the process lives.
    pub monotonic: Instant,
    /// The wall clock, which may do anything.
    pub wall: Timestamp,
}

/// A timer. Setting one replaces the same timer's earlier instant; a spurious firing does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The proposer's.
    Proposal,
    /// The fetcher's.
    Fetch,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A verified block arrived unasked, by `from`'s stream or pushed.
    BlockReceived {
        /// Who sent it; not necessarily its author.
        from: AuthorityIndex,
        /// The block.
        block: Block,
    },
    /// The answer to an [`Action::Fetch`]. References that are missing from it are asked elsewhere.
    FetchAnswered {
        /// Who answered.
        from: AuthorityIndex,
        /// The verified blocks it sent.
        blocks: Vec<Block>,
    },
    /// An [`Action::Fetch`] failed or timed out.
    FetchFailed {
        /// Who did not answer.
        from: AuthorityIndex,
    },
    /// The answer to an [`Action::FetchCommits`], verified for this epoch's committee.
    CommitsAnswered {
        /// Who answered.
        from: AuthorityIndex,
        /// Certified commits that begin at the one asked for.
        commits: CertifiedCommits,
    },
    /// An [`Action::FetchCommits`] failed, timed out, brought what proves nothing, or the peer has
    /// nothing certified beyond what was asked for.
    CommitsFailed {
        /// Who has nothing.
        from: AuthorityIndex,
    },
    /// The answer to an [`Action::AskOwn`].
    OwnAnswered {
        /// Who answered.
        from: AuthorityIndex,
        /// Index of the newest commit it has.
        commit: u64,
        /// The newest block of this epoch by us that it knows, verified: accepted, waiting for
        /// parents, or on its disk.
        newest: Option<Block>,
    },
    /// An [`Action::AskOwn`] failed or timed out.
    OwnFailed {
        /// Who did not answer.
        from: AuthorityIndex,
    },
    /// A peer asks for blocks: what it asks for did not come to it by itself. Answering is the
    /// caller's business.
    BlocksAsked {
        /// Who asks.
        by: AuthorityIndex,
        /// For what.
        references: Vec<BlockRef>,
    },
    /// A timer set by [`Action::SetTimer`] is due.
    Timer(Timer),
    /// Items for own blocks. What is not taken comes back in [`Action::PayloadRefused`]. While an
    /// epoch closes nothing is taken and nothing comes back: the caller keeps what it offers and
    /// offers it again to the machine of the next epoch.
    PayloadOffered(Vec<Vec<u8>>),
    /// A peer's connection stands and it said where it is.
    PeerConnected {
        /// Who.
        peer: AuthorityIndex,
        /// The highest round of our blocks it says it has; [`Round::GENESIS`] when none.
        has_of_ours: Round,
        /// The highest round of its own blocks.
        own_round: Round,
        /// Index of its newest commit, in whichever epoch it is.
        commit: u64,
    },
    /// A peer's connection ended; what was asked of it will be asked elsewhere.
    PeerDisconnected {
        /// Who.
        peer: AuthorityIndex,
    },
    /// A commit was executed, and its results are durable. Every commit is reported, in order; one
    /// behind the commit that closes the epoch is discarded by the caller and never reported.
    Executed {
        /// Index of the commit.
        index: u64,
        /// Root of the transaction log after it.
        log_root: [u8; 32],
        /// Digest of the state after it.
        state_digest: [u8; 32],
        /// Whether to vote for it: yes for a commit with payload, and once after a restart for the
        /// newest executed commit above the newest checkpoint.
        vote: bool,
        /// Whether the ledger says that this commit is the last one of its epoch (§10.2). Reported
        /// again after a restart until [`Action::EpochClosed`] came.
        closes: bool,
    },
}

/// What to do, one after the other: each before the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Append the block to the write-ahead log. A durable one must be on the disk, with all that
    /// was appended before it, when the next action is performed.
    Persist {
        /// The block.
        block: Block,
        /// Own blocks are; accepted blocks of others are not.
        durable: bool,
    },
    /// Append this own block to the stream of every connected peer.
    Broadcast(Block),
    /// Start `to`'s stream with every own block above `after`, out of storage, ascending.
    Stream {
        /// To whom.
        to: AuthorityIndex,
        /// The highest round it has already.
        after: Round,
    },
    /// Push blocks that `to` seems to lack; best effort.
    Send {
        /// To whom.
        to: AuthorityIndex,
        /// The blocks, parents first.
        blocks: Vec<Block>,
    },
    /// Ask `from` for blocks; exactly one [`Event::FetchAnswered`] or [`Event::FetchFailed`]
    /// follows. Never two at a time to one peer.
    Fetch {
        /// Whom.
        from: AuthorityIndex,
        /// For what.
        references: Vec<BlockRef>,
        /// For the chain of own parents behind each of them as well, as far as it is above this
        /// round: in the answer each block precedes its own parent.
        chains_above: Option<Round>,
    },
    /// Ask `from` for certified commits above index `after`; exactly one [`Event::CommitsAnswered`]
    /// or [`Event::CommitsFailed`] follows. Never two at a time to one peer.
    FetchCommits {
        /// Whom.
        from: AuthorityIndex,
        /// The newest commit that is here already.
        after: u64,
    },
    /// Ask `from` for the newest block by us that it knows, and for its newest commit; exactly one
    /// [`Event::OwnAnswered`] or [`Event::OwnFailed`] follows. Never two at a time to one peer.
    AskOwn {
        /// Whom.
        from: AuthorityIndex,
    },
    /// Not all blocks signed with our key are on the disk: mark, durably and before the next
    /// action, that the log is lost (§8.5). The mark is [`Recovery::lost_log`] of the next start.
    ///
    /// [`Recovery::lost_log`]: crate::Recovery::lost_log
    LogLost {
        /// One that we have not made, or made no more.
        newer: BlockRef,
    },
    /// Call back with [`Event::Timer`] at this instant.
    SetTimer {
        /// Which.
        timer: Timer,
        /// When.
        at: Instant,
    },
    /// The next commit: append it to the ledger and execute it.
    Commit(Commit),
    /// A quorum signed the outcome of a commit that was executed here.
    Checkpoint(Checkpoint),
    /// The commit that closes the epoch is checkpointed: the machine has nothing more to do and is
    /// to be dropped. Comes once. Own payload that no commit up to the closing one ordered,
    /// queued or in blocks, is not given back: the caller keeps every item until it was executed
    /// or refused, and offers the rest to the next epoch's machine.
    EpochClosed {
        /// The closing commit's.
        checkpoint: Checkpoint,
    },
    /// Own payload whose block can no longer be committed: offer it again.
    PayloadReturned(Vec<Vec<u8>>),
    /// Offered items that were not taken, each with the reason.
    PayloadRefused(Vec<(Vec<u8>, RefusalReason)>),
    /// An authority did what no honest one does; the evidence convinces third parties.
    Fault {
        /// Who.
        authority: AuthorityIndex,
        /// What.
        offence: Offence,
    },
    /// Nothing is signed any more; an operator must look.
    Halt(HaltReason),
}

/// Why an offered item was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusalReason {
    /// It can never be in a block.
    #[error("the item is empty or longer than {max} bytes", max = crate::ITEM_BYTES_MAX)]
    Length,
    /// The queue is full; offer it again later, or at another authority.
    #[error("the authority's queue is full; try again later or at another authority")]
    QueueFull,
    /// The node has stopped signing.
    #[error("the authority has stopped; try another authority")]
    Halted,
}

/// What an authority did wrong, with the evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offence {
    /// Two blocks of one round.
    Equivocation {
        /// The one seen first.
        first: Block,
        /// The other.
        second: Block,
    },
    /// A vote that contradicts what was executed here.
    Divergence {
        /// What it says.
        vote: Box<Vote>,
        /// What we executed.
        executed: Box<Statement>,
    },
}

impl Offence {
    /// What convinces third parties of an equivocation, without the payloads.
    pub fn evidence(&self) -> Option<Evidence> {
        match self {
            Self::Equivocation { first, second } => Evidence::new(first, second),
            Self::Divergence { .. } => None,
        }
    }
}

/// Why a node stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HaltReason {
    /// A proposal is final and skipped at once: more than `f` authorities are faulty. The faults
    /// reported before say who.
    Contradiction {
        /// The proposal.
        proposal: BlockRef,
    },
    /// A quorum signed another outcome than ours: our state is damaged or our software differs.
    StateDiverged {
        /// What the quorum signed.
        checkpoint: Box<Checkpoint>,
        /// What we executed.
        executed: Box<Statement>,
    },
    /// Somebody sent a block signed with our key that we have not made, and we had signed since we
    /// started: the key is in use elsewhere, or our log is an old copy. [`Action::LogLost`] came
    /// before.
    ForeignOwnBlock(Block),
}
