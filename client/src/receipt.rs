//! Receipts: proof that a transaction is in the ledger, with its result and the rows it changed,
//! verified offline with nothing but the genesis.

use crate::network::committee;
use kerbholz_consensus::{Checkpoint, CheckpointError, CommitteeError};
use kerbholz_ledger::codec::{self, DecodeError};
use kerbholz_ledger::genesis::Genesis;
use kerbholz_ledger::receipt::{PROOF_BYTES_MAX, Proof, ProofError};
use serde::{Deserialize, Serialize};

/// Most bytes of an encoded receipt.
pub const RECEIPT_BYTES_MAX: usize = PROOF_BYTES_MAX + Checkpoint::BYTES_MAX;

/// A transaction, what became of it, its place in the log, and a quorum's word for the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
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
    /// Verifies everything: the signatures of a quorum of the genesis' authorities, the path from
    /// the entry to the signed root, the transaction's signature, and the digest of its effects.
    ///
    /// # Errors
    /// [`ReceiptError`] names what does not hold.
    pub fn verify(&self, genesis: &Genesis) -> Result<(), ReceiptError> {
        let committee = committee(genesis)?;
        self.checkpoint.verify(&committee)?;
        let root = self.proof.log_root()?;
        if *root.as_bytes() != self.checkpoint.statement.log_root {
            return Err(ReceiptError::NotInLog);
        }
        Ok(())
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
