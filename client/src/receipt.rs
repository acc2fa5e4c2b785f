//! Receipts: proof that a transaction is in the ledger, with its result and the rows it changed,
//! verified offline with nothing but the genesis.

use crate::committees::{Committees, EpochEnd, EpochEndError};
use kerbholz_consensus::{Checkpoint, CheckpointError, CommitteeError};
use kerbholz_ledger::codec::{self, DecodeError};
use kerbholz_ledger::genesis::Genesis;
use kerbholz_ledger::receipt::{PROOF_BYTES_MAX, Proof, ProofError};
use serde::{Deserialize, Serialize};

/// Most bytes of an encoded receipt.
pub const RECEIPT_BYTES_MAX: usize = 2 * PROOF_BYTES_MAX;

/// A transaction, what became of it, its place in the log, and a quorum's word for the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// How each committee before the one that signed handed over to the next, from the genesis on;
    /// empty in the first epoch.
    pub epochs: Vec<EpochEnd>,
    /// The entry of the transaction log and its path to the log's root.
    pub proof: Proof,
    /// The quorum-signed root.
    pub checkpoint: Checkpoint,
}

/// Why a receipt proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// The bytes are no receipt.
    #[error("not a receipt: {0}")]
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
    /// More changes of committee than it takes.
    #[error(
        "the receipt shows changes of committee after its checkpoint: they do not belong to it"
    )]
    Superfluous,
    /// The checkpoint is not signed by a quorum of the network's authorities.
    #[error("the checkpoint is not this network's: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The entry is damaged.
    #[error("the entry does not prove itself: {0}")]
    Proof(#[from] ProofError),
    /// The entry is not in the log that the checkpoint signs.
    #[error("the entry is not in the log that the authorities signed")]
    NotInLog,
}

impl Receipt {
    /// Verifies everything: that each committee from the genesis' on has decided the next, the
    /// signatures of a quorum of the last, the path from the entry to the signed root, the
    /// transaction's signature, and the digest of its effects. Returns the committees, of which the
    /// last one signed.
    ///
    /// # Errors
    /// [`ReceiptError`] names what does not hold.
    pub fn verify(&self, genesis: &Genesis) -> Result<Committees, ReceiptError> {
        let mut committees = Committees::of_genesis(genesis)?;
        for end in &self.epochs {
            let epoch = committees.epoch().get();
            let unproved = |source| ReceiptError::EpochEnd { epoch, source };
            committees.advance(end).map_err(unproved)?;
        }
        if committees.epoch_of_commit(self.checkpoint.statement.index) != committees.epoch() {
            return Err(ReceiptError::Superfluous);
        }
        self.checkpoint.verify(committees.current())?;
        let root = self.proof.log_root()?;
        if *root.as_bytes() != self.checkpoint.statement.log_root {
            return Err(ReceiptError::NotInLog);
        }
        Ok(committees)
    }

    /// Canonical bytes: what is kept in a receipt file.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Decodes canonical bytes. What is decoded is not verified.
    ///
    /// # Errors
    /// [`ReceiptError::Decode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ReceiptError> {
        Ok(codec::decode::<Self, RECEIPT_BYTES_MAX>(bytes)?)
    }
}

#[cfg(test)]
mod tests;
