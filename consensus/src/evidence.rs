//! Evidence of equivocation: two signed headers of one author and round (§6.6).
//!
//! It convinces anybody who has the committee, without the payloads, and can be kept and exported.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    block::{Block, Header, header_is_signed},
    codec,
    committee::Committee,
    fault::Fault,
    keys::Signature,
    types::{AuthorityIndex, BlockRef, Round},
};

/// A header as its author signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedHeader {
    /// The header.
    pub header: Header,
    /// The author's signature over the header's digest.
    pub signature: Signature,
}

/// Two different headers of one author and round. An honest authority signs one block per round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The one with the lesser digest, so that one pair of blocks is one piece of evidence.
    pub first: SignedHeader,
    /// The other.
    pub second: SignedHeader,
}

/// Why two headers prove nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EvidenceError {
    /// The bytes are no evidence, or a header is not of this committee, or a signature is wrong.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The headers are of different authors or rounds.
    #[error("{first} and {second} are not of one author and round")]
    DifferentSlots {
        /// One block.
        first: BlockRef,
        /// The other.
        second: BlockRef,
    },
    /// Both headers are the same one, or not in the order of their digests.
    #[error("the headers are not two different ones in the order of their digests")]
    NotOrdered,
}

impl Evidence {
    /// What encoded evidence may have at most, in bytes.
    pub const BYTES_MAX: usize = 64 << 10;

    /// The evidence in two blocks; `None` unless they are different ones of one author and round.
    pub fn new(one: &Block, other: &Block) -> Option<Self> {
        let same_slot = one.author() == other.author() && one.round() == other.round();
        let signed = |block: &Block| SignedHeader {
            header: block.header().clone(),
            signature: *block.signature(),
        };
        let (one_digest, other_digest) = (one.reference().digest, other.reference().digest);
        match one_digest.cmp(&other_digest) {
            _ if !same_slot => None,
            core::cmp::Ordering::Equal => None,
            core::cmp::Ordering::Less => Some(Self { first: signed(one), second: signed(other) }),
            core::cmp::Ordering::Greater => {
                Some(Self { first: signed(other), second: signed(one) })
            }
        }
    }

    /// Who did it.
    pub fn author(&self) -> AuthorityIndex {
        self.first.header.author
    }

    /// In which round.
    pub fn round(&self) -> Round {
        self.first.header.round
    }

    /// Checks that an authority of the committee signed both headers and that they are two blocks of
    /// one round.
    ///
    /// # Errors
    /// An [`EvidenceError`] says what is wrong.
    pub fn verify(&self, committee: &Committee) -> Result<(), EvidenceError> {
        let (first, second) = (self.first.header.reference(), self.second.header.reference());
        if (first.author, first.round) != (second.author, second.round) {
            return Err(EvidenceError::DifferentSlots { first, second });
        }
        if first.digest >= second.digest {
            return Err(EvidenceError::NotOrdered);
        }
        for SignedHeader { header, signature } in [&self.first, &self.second] {
            header_is_signed(header, signature, committee)?;
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
