//! The envelope around operations, its signature, and the types that prove it was checked.

use crate::codec::{self, DecodeError};
use crate::id::{NetworkId, TransactionId, hash};
use crate::keys::{BadSignature, Keypair, PublicKey, Signature};
use crate::operation::Operation;
use crate::quantity::{Milliseconds, Timestamp};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The version of the transaction format that this code writes and reads.
pub const TRANSACTION_VERSION: u8 = 1;
/// Most bytes of a signed transaction.
pub const TRANSACTION_BYTES_MAX: usize = 64 * 1024;
/// Most operations in one transaction.
pub const OPERATIONS_MAX: usize = 64;
/// Longest life of a transaction, from `created_at` to `expires_at`.
pub const LIFETIME_MAX: Milliseconds = Milliseconds::new(24 * 60 * 60 * 1000);
/// How far ahead of a commit's time `created_at` may lie: clocks differ.
pub const CLOCK_SKEW_MAX: Milliseconds = Milliseconds::new(5 * 60 * 1000);

const SIGNATURE_DOMAIN: &str = "kerbholz/transaction/1";

/// What a member asks the ledger to do. All operations apply, or none does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// [`TRANSACTION_VERSION`].
    pub version: u8,
    /// The network it is for.
    pub network: NetworkId,
    /// The key that signs: a member's signing key, or its owner key where that is asked for.
    pub signer: PublicKey,
    /// When it was made; distinguishes two otherwise equal transactions.
    pub created_at: Timestamp,
    /// The first moment at which it no longer applies; at most [`LIFETIME_MAX`] after creation.
    pub expires_at: Timestamp,
    /// One to [`OPERATIONS_MAX`] operations, applied in order.
    pub operations: Vec<Operation>,
}

impl Envelope {
    /// The id: BLAKE3 of the canonical bytes, without the signature.
    pub fn id(&self) -> TransactionId {
        TransactionId::new(hash("kerbholz/transaction-id", &[&codec::encode(self)]))
    }

    /// Signs the envelope. The key must be the one named in `signer` for the result to verify.
    pub fn sign(self, key: &Keypair) -> Transaction {
        let bytes = codec::encode(&self);
        let id = self.id();
        let signature = key.sign(SIGNATURE_DOMAIN, &bytes);
        Transaction { id, signed: UnverifiedTransaction { envelope: self, signature } }
    }
}

/// A decoded transaction whose signature nobody has checked yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnverifiedTransaction {
    envelope: Envelope,
    signature: Signature,
}

impl UnverifiedTransaction {
    /// Decodes canonical bytes.
    ///
    /// # Errors
    /// [`DecodeError`] when there are more than [`TRANSACTION_BYTES_MAX`], or they are malformed or
    /// not canonical.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode::<Self, TRANSACTION_BYTES_MAX>(bytes)
    }

    /// The id it has if its signature is good.
    pub fn id(&self) -> TransactionId {
        self.envelope.id()
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`BadSignature`] when it is not the signer's.
    pub fn verify(self) -> Result<Transaction, BadSignature> {
        let bytes = codec::encode(&self.envelope);
        self.envelope.signer.verify(SIGNATURE_DOMAIN, &bytes, &self.signature)?;
        Ok(Transaction { id: self.envelope.id(), signed: self })
    }
}

/// A transaction whose signature was checked (or made) by this process: the type is the proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    id: TransactionId,
    signed: UnverifiedTransaction,
}

impl Transaction {
    /// The id.
    pub const fn id(&self) -> TransactionId {
        self.id
    }

    /// What was signed.
    pub const fn envelope(&self) -> &Envelope {
        &self.signed.envelope
    }

    /// Canonical bytes, envelope and signature: what is submitted.
    pub fn bytes(&self) -> Vec<u8> {
        codec::encode(&self.signed)
    }
}
