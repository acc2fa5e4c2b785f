//! Commits that a quorum certifies: what a node that is far behind catches up with (§6.5).
//!
//! A checkpoint signs the digest of one commit, and by the chain of digests all before it. So a run
//! of headers that ends at a checkpointed commit needs no commit rule to be believed.

use alloc::vec::Vec;

use thiserror::Error;

use crate::{
    checkpoint::{Checkpoint, CheckpointError},
    codec,
    commit::CommitHeader,
    committee::Committee,
    fault::Fault,
    types::Domain,
};

/// Why headers and a checkpoint certify nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// The bytes are no headers with a checkpoint.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// There is no header, or more than [`CertifiedCommits::COMMITS_MAX`].
    #[error("1 to {max} commits can be certified at once, not {0}", max = CertifiedCommits::COMMITS_MAX)]
    Count(usize),
    /// A header does not name the one before it as its predecessor.
    #[error("commit {0} does not follow from the one before it")]
    Broken(u64),
    /// The checkpoint is not of the last header.
    #[error("the checkpoint of commit {checkpoint} does not certify commit {last}")]
    NotTheLast {
        /// Index of the commit the checkpoint signs.
        checkpoint: u64,
        /// Index of the last header.
        last: u64,
    },
    /// The checkpoint is not signed by a quorum of the committee.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// Consecutive commits of one epoch, without their blocks, the last one checkpointed: the type is
/// the proof. The blocks are named by digest, so they can come from anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedCommits {
    headers: Vec<CommitHeader>,
    checkpoint: Checkpoint,
    domain: Domain,
}

impl CertifiedCommits {
    /// How many commits may come at once. A server that has more sends those up to an earlier
    /// checkpoint.
    pub const COMMITS_MAX: usize = 4096;
    /// What they may have encoded, in bytes.
    pub const BYTES_MAX: usize = 8 << 20;

    /// Checks that the headers follow from each other and that the checkpoint is the last one's.
    ///
    /// # Errors
    /// A [`CertificateError`] says what is wrong.
    pub fn new(
        headers: Vec<CommitHeader>,
        checkpoint: Checkpoint,
        committee: &Committee,
    ) -> Result<Self, CertificateError> {
        if headers.is_empty() || headers.len() > Self::COMMITS_MAX {
            return Err(CertificateError::Count(headers.len()));
        }
        let mut previous = None;
        for header in &headers {
            let follows = previous.is_none_or(|(index, digest)| {
                header.index.checked_sub(1) == Some(index) && header.previous == digest
            });
            if !follows {
                return Err(CertificateError::Broken(header.index));
            }
            previous = Some((header.index, header.digest(committee)));
        }
        let signed = (checkpoint.statement.index, checkpoint.statement.commit_digest);
        if previous != Some(signed) {
            let last = previous.map_or(0, |(index, _)| index);
            return Err(CertificateError::NotTheLast { checkpoint: signed.0, last });
        }
        checkpoint.verify(committee)?;
        Ok(Self { headers, checkpoint, domain: committee.domain() })
    }

    /// The network and epoch whose committee certified them.
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// The headers, ascending without gaps.
    pub fn headers(&self) -> &[CommitHeader] {
        &self.headers
    }

    /// The quorum's word for the last header.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Index of the first commit.
    pub fn first(&self) -> u64 {
        self.headers.first().map_or(0, |header| header.index)
    }

    /// Index of the last commit, the checkpointed one.
    pub fn last(&self) -> u64 {
        self.checkpoint.statement.index
    }

    /// Headers and checkpoint.
    pub fn into_parts(self) -> (Vec<CommitHeader>, Checkpoint) {
        (self.headers, self.checkpoint)
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(&(&self.headers, &self.checkpoint))
    }

    /// Decodes canonical bytes and checks them.
    ///
    /// # Errors
    /// A [`CertificateError`] says what is wrong.
    pub fn decode(bytes: &[u8], committee: &Committee) -> Result<Self, CertificateError> {
        let (headers, checkpoint) = codec::decode(bytes, Self::BYTES_MAX)?;
        Self::new(headers, checkpoint, committee)
    }
}

#[cfg(test)]
mod tests;
