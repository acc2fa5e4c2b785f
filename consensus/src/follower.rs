//! Follows an epoch by certified commits alone, as a member of nothing (§10.4).
//!
//! An authority that is not yet, or no more, in the committee runs this: it signs nothing, makes no
//! block and needs no stream. It is the machine without a key.

use alloc::vec::Vec;

use crate::{
    block::Block,
    committee::Committee,
    event::{Action, Event, Now},
    machine::{Consensus, RecoveryError, Status},
    parameters::Parameters,
    recovery::Recovery,
    types::BlockRef,
};

/// Takes in certified commits of one epoch and their blocks, and yields them one by one.
///
/// Events and actions are those of [`Consensus`]. Peers are named by their index in the epoch's
/// committee; one that is outside of it can be named by any other index below
/// [`AuthoritySet::CAPACITY`](crate::AuthoritySet::CAPACITY), since nobody's word is taken here.
/// What a follower wants: [`Action::FetchCommits`], [`Action::Fetch`], [`Action::SetTimer`],
/// [`Action::Persist`], [`Action::Commit`], [`Action::Checkpoint`], [`Action::EpochClosed`],
/// [`Action::Fault`] and [`Action::Halt`].
#[derive(Debug)]
pub struct Follower(Consensus);

impl Follower {
    /// Starts from storage as [`Consensus::recover`] does. What concerns own blocks in `recovery`
    /// is not looked at.
    ///
    /// # Errors
    /// A [`RecoveryError`] when parameters or stored data do not fit.
    pub fn recover(
        now: Now,
        parameters: Parameters,
        committee: Committee,
        recovery: Recovery,
    ) -> Result<(Self, Vec<Action>), RecoveryError> {
        let (machine, actions) = Consensus::follow(now, parameters, committee, recovery)?;
        Ok((Self(machine), actions))
    }

    /// Takes in what happened and says what to do, in order. Offered payload is refused.
    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Action> {
        self.0.handle(now, event)
    }

    /// The committee of the epoch that is followed.
    pub fn committee(&self) -> &Committee {
        self.0.committee()
    }

    /// A block above the collection round; older ones are in the ledger.
    pub fn block(&self, reference: &BlockRef) -> Option<&Block> {
        self.0.block(reference)
    }

    /// Numbers for operators and metrics.
    pub fn status(&self) -> Status {
        self.0.status()
    }
}
