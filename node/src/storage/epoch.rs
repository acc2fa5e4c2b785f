//! Which committee a commit belongs to: each epoch with the commit that it builds on.

use kerbholz_consensus::{
    AuthorityIndex, Committee, CommitteeConfig, CommitteeError, PublicKey, Statement,
};

use super::InvalidRecord;

/// An epoch of the ledger (§10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Its committee and everything else its authorities agree on.
    pub config: CommitteeConfig,
    /// Index of the last commit before it: 0 for epoch 0.
    pub base: u64,
}

impl Epoch {
    /// The epoch with which a network begins.
    pub(super) fn first(genesis: &CommitteeConfig) -> Self {
        Self { config: genesis.clone(), base: 0 }
    }

    /// The epoch of a commit, among all epochs in order.
    pub fn of(epochs: &[Self], commit: u64) -> Option<&Self> {
        let position = epochs.partition_point(|epoch| epoch.base < commit);
        epochs.get(position.checked_sub(1)?)
    }

    /// Number of the epoch, from 0.
    pub fn number(&self) -> u64 {
        self.config.epoch
    }

    /// The epoch's committee.
    ///
    /// # Errors
    ///
    /// [`InvalidRecord`] if the record makes none, which cannot be once it was taken in.
    pub fn committee(&self) -> Result<Committee, InvalidRecord> {
        Committee::new(self.config.clone()).map_err(|error| self.invalid(&error))
    }

    /// The index of the holder of this key; `None` for one who only follows.
    pub fn index_of(&self, key: &PublicKey) -> Option<AuthorityIndex> {
        let position = self.config.authorities.iter().position(|authority| authority == key)?;
        u16::try_from(position).ok().map(AuthorityIndex)
    }

    fn invalid(&self, error: &CommitteeError) -> InvalidRecord {
        let what = format!("the committee of epoch {}", self.config.epoch);
        InvalidRecord { what, why: error.to_string() }
    }
}

/// Whether an epoch may begin after `last` commits of the epoch `before`, whose newest checkpoint
/// says this: only a certified commit closes an epoch (§10.3).
pub(super) fn follows(
    before: &CommitteeConfig,
    last: u64,
    checkpoint: Option<Statement>,
    config: &CommitteeConfig,
) -> Result<(), String> {
    let Some(closing) = checkpoint.filter(|statement| statement.index == last) else {
        return Err(format!("commit {last}, which would close the epoch, has no checkpoint"));
    };
    if config.epoch != before.epoch.saturating_add(1) {
        return Err(format!("epoch {} cannot follow epoch {}", config.epoch, before.epoch));
    }
    if config.network != before.network {
        return Err("it is of another network".into());
    }
    if config.previous != closing.commit_digest {
        return Err(format!("it does not build on commit {last}"));
    }
    Committee::new(config.clone()).map(drop).map_err(|error| error.to_string())
}
