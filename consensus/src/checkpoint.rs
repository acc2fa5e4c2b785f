//! Votes on the outcome of executing a commit, and the checkpoints they make (§7).
//!
//! A checkpoint is what a client verifies offline: a quorum signed that after this commit the log
//! and the state were these. By the chain of commit digests it proves every earlier commit too.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    authority_set::AuthoritySet,
    codec,
    committee::Committee,
    fault::Fault,
    keys::{Signature, Signer},
    types::{AuthorityIndex, CommitDigest},
};

/// What a vote says: after executing this commit, log and state were these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Statement {
    /// The commit's index.
    pub index: u64,
    /// The commit's digest: an index alone could mean two commits.
    pub commit_digest: CommitDigest,
    /// Root of the transaction log after the commit.
    #[serde(with = "hex32")]
    pub log_root: [u8; 32],
    /// Digest of the state after the commit.
    #[serde(with = "hex32")]
    pub state_digest: [u8; 32],
}

/// Hexadecimal for people, raw bytes in binary formats.
mod hex32 {
    pub(super) use crate::types::{
        deserialize_bytes32 as deserialize, serialize_bytes32 as serialize,
    };
}

impl Statement {
    /// The message an authority signs: purpose, domain, then the four fields.
    pub fn signed_message(&self, committee: &Committee) -> [u8; 152] {
        let mut message = [0; 152];
        message[..16].copy_from_slice(b"kerbholz vote 1\0");
        message[16..48].copy_from_slice(&committee.domain().0);
        message[48..56].copy_from_slice(&self.index.to_le_bytes());
        message[56..88].copy_from_slice(&self.commit_digest.0);
        message[88..120].copy_from_slice(&self.log_root);
        message[120..].copy_from_slice(&self.state_digest);
        message
    }
}

/// One authority's signed statement. It travels in the author's block header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// What it says.
    pub statement: Statement,
    /// By the author of the block that carries it.
    pub signature: Signature,
}

impl Vote {
    /// Signs a statement.
    pub fn sign(statement: Statement, committee: &Committee, signer: &Signer) -> Self {
        let signature = signer.sign(&statement.signed_message(committee));
        Self { statement, signature }
    }
}

/// A quorum's signatures on one statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// What the authorities say.
    pub statement: Statement,
    /// Strictly ascending by authority.
    pub signatures: Vec<(AuthorityIndex, Signature)>,
}

/// Why a checkpoint proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// The authorities are not strictly ascending: one could count twice.
    #[error("the signatures are not in strictly ascending order of their authorities")]
    Unordered,
    /// A signature by nobody in the committee.
    #[error("authority {0} is not in the committee")]
    UnknownAuthority(AuthorityIndex),
    /// Too few signatures.
    #[error("{found} signatures, a quorum is {quorum}")]
    NoQuorum {
        /// How many there are.
        found: usize,
        /// How many are needed.
        quorum: usize,
    },
    /// A signature that does not verify.
    #[error("the signature of authority {0} does not verify")]
    BadSignature(AuthorityIndex),
}

impl Checkpoint {
    /// What an encoded checkpoint may have at most, in bytes.
    pub const BYTES_MAX: usize = 16 << 10;

    /// Checks that a quorum of the committee signed the statement.
    ///
    /// # Errors
    /// A [`CheckpointError`] says what is wrong.
    pub fn verify(&self, committee: &Committee) -> Result<(), CheckpointError> {
        if !self.signatures.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(CheckpointError::Unordered);
        }
        let message = self.statement.signed_message(committee);
        for (authority, signature) in &self.signatures {
            let verifier = committee
                .verifier(*authority)
                .map_err(|_| CheckpointError::UnknownAuthority(*authority))?;
            if !verifier.verify(&message, signature) {
                return Err(CheckpointError::BadSignature(*authority));
            }
        }
        let signers: AuthoritySet = self.signatures.iter().map(|(author, _)| *author).collect();
        if !committee.is_quorum(signers) {
            let (found, quorum) = (signers.len(), committee.quorum());
            return Err(CheckpointError::NoQuorum { found, quorum });
        }
        Ok(())
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Decodes canonical bytes. What is decoded is not verified.
    ///
    /// # Errors
    /// [`Fault::TooLong`], [`Fault::Malformed`] or [`Fault::NotCanonical`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        codec::decode(bytes, Self::BYTES_MAX)
    }
}

#[cfg(test)]
mod tests;
