//! The committee of each epoch, and the votes to change it.

use crate::committee::{Authority, CommitteeChange};
use crate::keys::PublicKey;
use crate::quantity::{CommitIndex, Epoch};
use serde::{Deserialize, Serialize};

/// The committee of an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitteeRow {
    /// Which epoch.
    pub epoch: Epoch,
    /// The last commit of the epoch before, in which this committee was decided; 0 (genesis) for the
    /// first. The epoch's own first commit is the one after it.
    pub decided_in: CommitIndex,
    /// The authorities in order: an authority's index is its position.
    pub authorities: alloc::vec::Vec<Authority>,
}

impl CommitteeRow {
    /// Whether it is the key of one of its authorities.
    pub fn has(&self, key: &PublicKey) -> bool {
        self.authorities.iter().any(|authority| authority.key == *key)
    }
}

/// An authority's vote in an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteRow {
    /// What it voted for.
    pub change: CommitteeChange,
    /// In which commit.
    pub commit: CommitIndex,
}
