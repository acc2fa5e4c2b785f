//! Identifiers: 32-byte BLAKE3 hashes, each with its own domain, derived so that a client can
//! compute the id of what it creates before the ledger has seen it.

use crate::codec::byte_type;
use crate::keys::PublicKey;
use alloc::vec::Vec;

/// Text that should have been an identifier or key in hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {digits} hexadecimal digits: copy the whole identifier")]
pub struct NotHex {
    /// Digits an identifier of this type has.
    pub digits: usize,
}

byte_type!(
    /// The network: BLAKE3 of the canonical genesis.
    NetworkId, 32
);
byte_type!(
    /// A transaction: BLAKE3 of its canonical envelope, without the signature.
    TransactionId, 32
);
byte_type!(
    /// A member for life, whatever becomes of its keys: BLAKE3 of its first owner key.
    MemberId, 32
);
byte_type!(
    /// A lot: BLAKE3 of the transaction, operation and output that made it.
    LotId, 32
);
byte_type!(
    /// An order: BLAKE3 of the transaction and operation that placed it.
    OrderId, 32
);
byte_type!(
    /// A transformation: BLAKE3 of the transaction and operation that recorded it.
    TransformationId, 32
);
byte_type!(
    /// A restatement: BLAKE3 of the transaction and operation that asked for it.
    RestatementId, 32
);
byte_type!(
    /// A proposal: BLAKE3 of the transaction and operation that made it.
    ProposalId, 32
);
byte_type!(
    /// One published, immutable version of a factor set: BLAKE3 of publisher, name and version.
    FactorSetId, 32
);
byte_type!(
    /// A BLAKE3 hash of content outside the ledger: a design file, evidence, a footprint document.
    ContentHash, 32
);
byte_type!(
    /// A BLAKE3 hash of something inside the ledger: effects, state, log root.
    Digest, 32
);

/// Hashes `parts`, each preceded by its length, in the given domain.
pub(crate) fn hash(domain: &str, parts: &[&[u8]]) -> [u8; 32] {
    // In one piece: a hasher that is fed piece by piece takes longer, most of all for short pieces.
    let length = |part: &[u8]| size_of::<u64>() + part.len();
    let whole = length(domain.as_bytes()) + parts.iter().map(|part| length(part)).sum::<usize>();
    let mut bytes = Vec::with_capacity(whole);
    for part in core::iter::once(domain.as_bytes()).chain(parts.iter().copied()) {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    *blake3::hash(&bytes).as_bytes()
}

impl MemberId {
    /// The id of the member that was enrolled with this owner key.
    pub fn of(owner_key: &PublicKey) -> Self {
        Self::new(hash("kerbholz/member", &[owner_key.as_bytes()]))
    }
}

impl LotId {
    /// The id of output `output` of operation `operation` of a transaction.
    pub fn of(transaction: TransactionId, operation: u32, output: u32) -> Self {
        Self::new(hash(
            "kerbholz/lot",
            &[transaction.as_bytes(), &operation.to_le_bytes(), &output.to_le_bytes()],
        ))
    }
}

impl OrderId {
    /// The id of the order placed by operation `operation` of a transaction.
    pub fn of(transaction: TransactionId, operation: u32) -> Self {
        Self::new(hash("kerbholz/order", &[transaction.as_bytes(), &operation.to_le_bytes()]))
    }
}

impl TransformationId {
    /// The id of the transformation recorded by operation `operation` of a transaction.
    pub fn of(transaction: TransactionId, operation: u32) -> Self {
        Self::new(hash(
            "kerbholz/transformation",
            &[transaction.as_bytes(), &operation.to_le_bytes()],
        ))
    }
}

impl RestatementId {
    /// The id of the restatement asked for by operation `operation` of a transaction.
    pub fn of(transaction: TransactionId, operation: u32) -> Self {
        Self::new(hash("kerbholz/restatement", &[transaction.as_bytes(), &operation.to_le_bytes()]))
    }
}

impl ProposalId {
    /// The id of the proposal made by operation `operation` of a transaction.
    pub fn of(transaction: TransactionId, operation: u32) -> Self {
        Self::new(hash("kerbholz/proposal", &[transaction.as_bytes(), &operation.to_le_bytes()]))
    }
}

impl FactorSetId {
    /// The id of version `version` of the set that `publisher` calls `name`.
    pub fn of(publisher: MemberId, name: &str, version: u32) -> Self {
        Self::new(hash(
            "kerbholz/factor-set",
            &[publisher.as_bytes(), name.as_bytes(), &version.to_le_bytes()],
        ))
    }
}

impl ContentHash {
    /// The hash of some content.
    pub fn of(content: &[u8]) -> Self {
        Self::new(*blake3::hash(content).as_bytes())
    }
}
