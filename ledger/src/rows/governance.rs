//! Proposals, and what governance keeps beside them.

use crate::committee::{Authority, quorum};
use crate::governance::{Activation, Ballot, Proposal, ProposalState};
use crate::keys::PublicKey;
use crate::quantity::{CommitIndex, Epoch, Timestamp};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The newest activation of a protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivationRow {
    /// What was decided.
    pub activation: Activation,
    /// The version that is active until then.
    pub before: u32,
}

impl ActivationRow {
    /// The version by which a commit is executed.
    pub fn version_of(&self, commit: CommitIndex) -> u32 {
        if self.activation.from <= commit { self.activation.version } else { self.before }
    }
}

/// A proposal and the votes on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalRow {
    /// What was proposed.
    pub proposal: Proposal,
    /// The authority that proposed it.
    pub proposer: PublicKey,
    /// The epoch it was proposed in.
    pub epoch: Epoch,
    /// When it was proposed.
    pub opened_at: Timestamp,
    /// Where it stands.
    pub state: ProposalState,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// One of each authority that voted, in the order of their first votes. Those of authorities
    /// that have left the committee stay, and count no more.
    pub ballots: Vec<Ballot>,
}

impl ProposalRow {
    /// Approvals and rejections by authorities of a committee.
    pub fn count(&self, committee: &[Authority]) -> (usize, usize) {
        let counts =
            |ballot: &&Ballot| committee.iter().any(|authority| authority.key == ballot.voter);
        let votes = self.ballots.iter().filter(counts);
        let approvals = votes.clone().filter(|ballot| ballot.approve).count();
        (approvals, votes.count() - approvals)
    }

    /// What the votes of a committee make of it.
    pub fn outcome(&self, committee: &[Authority]) -> ProposalState {
        let (approvals, rejections) = self.count(committee);
        let needed = quorum(committee.len());
        if approvals >= needed {
            ProposalState::Passed
        } else if rejections > committee.len().saturating_sub(needed) {
            ProposalState::Failed
        } else {
            ProposalState::Open
        }
    }
}
