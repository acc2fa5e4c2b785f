//! The machine of an epoch: a member's, which signs, or a follower's.

use kerbholz_consensus::{
    Action, AuthorityIndex, Block, BlockRef, Committee, Consensus, Event, Follower, Now,
    Parameters, Recovery, RecoveryError, Round, Signer, Status,
};

/// What this node is in an epoch.
#[derive(Debug)]
pub enum Machine {
    /// One of its authorities.
    Member(Box<Consensus>),
    /// Nothing: not yet, or no more.
    Follower(Box<Follower>),
}

impl Machine {
    /// The machine of an epoch: that of a member if there is a key to sign with, and it is one's.
    ///
    /// # Errors
    /// [`RecoveryError`].
    pub(super) fn recover(
        now: Now,
        parameters: Parameters,
        committee: Committee,
        signer: Option<&Signer>,
        recovery: Recovery,
    ) -> Result<(Self, Vec<Action>), RecoveryError> {
        let member = |signer: &&Signer| committee.index_of(&signer.public_key()).is_some();
        if let Some(signer) = signer.filter(member).cloned() {
            let (consensus, first) =
                Consensus::recover(now, parameters, committee, signer, recovery)?;
            Ok((Self::Member(Box::new(consensus)), first))
        } else {
            let (follower, first) = Follower::recover(now, parameters, committee, recovery)?;
            Ok((Self::Follower(Box::new(follower)), first))
        }
    }

    pub(super) fn handle(&mut self, now: Now, event: Event) -> Vec<Action> {
        match self {
            Self::Member(consensus) => consensus.handle(now, event),
            Self::Follower(follower) => follower.handle(now, event),
        }
    }

    /// The committee of the epoch.
    pub fn committee(&self) -> &Committee {
        match self {
            Self::Member(consensus) => consensus.committee(),
            Self::Follower(follower) => follower.committee(),
        }
    }

    /// Which member this node is.
    pub fn own(&self) -> Option<AuthorityIndex> {
        match self {
            Self::Member(consensus) => Some(consensus.own()),
            Self::Follower(_) => None,
        }
    }

    /// The highest round from which this author's stream may go on.
    pub fn has_of(&self, author: AuthorityIndex) -> Round {
        match self {
            Self::Member(consensus) => consensus.has_of(author),
            Self::Follower(_) => Round::GENESIS,
        }
    }

    /// The newest block by an author that is known above the collection round, accepted or not.
    pub fn newest_of(&self, author: AuthorityIndex) -> Option<&Block> {
        match self {
            Self::Member(consensus) => consensus.newest_of(author),
            Self::Follower(_) => None,
        }
    }

    /// The round of the newest own block.
    pub fn own_round(&self) -> Round {
        match self {
            Self::Member(consensus) => consensus.own_round(),
            Self::Follower(_) => Round::GENESIS,
        }
    }

    /// Whether the block is here already: its bytes need not be checked again.
    pub fn knows(&self, reference: &BlockRef) -> bool {
        match self {
            Self::Member(consensus) => consensus.knows(reference),
            Self::Follower(follower) => follower.block(reference).is_some(),
        }
    }

    /// An accepted block above the collection round.
    pub fn block(&self, reference: &BlockRef) -> Option<&Block> {
        match self {
            Self::Member(consensus) => consensus.block(reference),
            Self::Follower(follower) => follower.block(reference),
        }
    }

    /// Numbers for operators and metrics.
    pub fn status(&self) -> Status {
        match self {
            Self::Member(consensus) => consensus.status(),
            Self::Follower(follower) => follower.status(),
        }
    }
}
