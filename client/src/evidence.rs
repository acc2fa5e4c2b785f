//! Accusations: proof that an authority signed two blocks of one round, verified offline with
//! nothing but the genesis (`docs/protocol.md`, §6.6).

use crate::committees::{Committees, EpochEnd, EpochEndError};
use crate::receipt::RECEIPT_BYTES_MAX;
use kerbholz_consensus::{BlockRef, CommitteeError, Evidence, EvidenceError};
use kerbholz_ledger::codec::{self, DecodeError};
use kerbholz_ledger::committee::Authority;
use kerbholz_ledger::genesis::Genesis;
use kerbholz_ledger::keys::PublicKey;
use serde::{Deserialize, Serialize};

/// Most bytes of an encoded accusation.
pub const ACCUSATION_BYTES_MAX: usize = RECEIPT_BYTES_MAX + Evidence::BYTES_MAX;

/// Two signed headers, and who was an authority when they were signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accusation {
    /// How each committee before the one of the accused handed over to the next, from the genesis
    /// on; empty in the first epoch.
    pub epochs: Vec<EpochEnd>,
    /// The two headers.
    pub evidence: Evidence,
}

/// What a verified accusation proves: this authority is faulty, or its key was stolen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Who it is.
    pub authority: Authority,
    /// The epoch in which it was an authority.
    pub epoch: u64,
    /// The two blocks that it signed for one round.
    pub blocks: [BlockRef; 2],
}

/// Why an accusation proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum AccusationError {
    /// The bytes are none.
    #[error("not evidence: {0}")]
    Decode(#[from] DecodeError),
    /// The genesis makes no committee.
    #[error("the genesis makes no committee: {0}")]
    Committee(#[from] CommitteeError),
    /// A change of committee is not proved.
    #[error("the end of epoch {epoch} is not proved: {source}")]
    EpochEnd {
        /// Which epoch.
        epoch: u64,
        /// Why not.
        source: EpochEndError,
    },
    /// The headers prove nothing against an authority of that epoch.
    #[error("it proves nothing against an authority of epoch {epoch}: {source}")]
    Evidence {
        /// Which epoch.
        epoch: u64,
        /// Why not.
        source: Box<EvidenceError>,
    },
}

impl Accusation {
    /// Verifies everything: that each committee from the genesis' on has decided the next, and that
    /// an authority of the last signed both headers, which are of one round.
    ///
    /// # Errors
    /// [`AccusationError`] names what does not hold.
    pub fn verify(&self, genesis: &Genesis) -> Result<Verdict, AccusationError> {
        let mut committees = Committees::of_genesis(genesis)?;
        for end in &self.epochs {
            let epoch = committees.epoch().get();
            let unproved = |source| AccusationError::EpochEnd { epoch, source };
            committees.advance(end).map_err(unproved)?;
        }
        let epoch = committees.epoch().get();
        let nothing = |source: EvidenceError| {
            let source = Box::new(source);
            AccusationError::Evidence { epoch, source }
        };
        self.evidence.verify(committees.current()).map_err(nothing)?;
        let author = self.evidence.author();
        // A header that verifies is of an author in the committee.
        let authority = committees.authorities().get(author.position()).cloned();
        let fault = kerbholz_consensus::Fault::UnknownAuthority(author);
        let authority = authority.ok_or_else(|| nothing(fault.into()))?;
        let blocks = [&self.evidence.first, &self.evidence.second];
        let blocks = blocks.map(|signed| signed.header.reference());
        Ok(Verdict { authority, epoch, blocks })
    }

    /// Canonical bytes: what is kept in a file.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Decodes canonical bytes. What is decoded is not verified.
    ///
    /// # Errors
    /// [`AccusationError::Decode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, AccusationError> {
        Ok(codec::decode::<Self, ACCUSATION_BYTES_MAX>(bytes)?)
    }
}

/// An authority against which a node has evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offender {
    /// Its key: its place and its name may be others' in another epoch.
    pub key: PublicKey,
    /// How often the node has seen it sign two blocks of one round.
    pub seen: u64,
    /// Epoch and round of each piece of evidence that the node keeps, in the order in which they
    /// were found.
    pub kept: Vec<(u64, u64)>,
}

#[cfg(test)]
mod tests;
