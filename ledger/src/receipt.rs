//! Receipts: what became of a transaction, provable offline.
//!
//! A [`Proof`] leads from a transaction (or deadline), its result and the rows it changed to a root
//! of the transaction log. The client joins it with a checkpoint, in which the authorities have
//! signed that root; then nothing but the genesis file is needed to verify it.

use crate::codec::{self, DecodeError};
use crate::execute::{Executed, effects_digest};
use crate::id::TransformationId;
use crate::id::{Digest, LotId, OrderId, TransactionId};
use crate::log::{self, Inclusion, InclusionError};
use crate::rejection::Code;
use crate::rows::{
    CommitteeRow, LotRow, OrderRow, Read, ReadError, Table, TransformationRow, Write,
};
use crate::transaction::UnverifiedTransaction;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Most bytes of an encoded proof. A transaction of 64 KiB that does nothing but split a lot into
/// as many lots as fit makes about half of it.
pub const PROOF_BYTES_MAX: usize = 8 << 20;

/// What a transaction did, and the way to the log's root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The entry of the log, with the rows it changed.
    pub executed: Executed,
    /// The signed transaction; `None` for a deadline, which nobody signed.
    #[serde(with = "serde_bytes")]
    pub transaction: Option<Vec<u8>>,
    /// The way to the root.
    pub inclusion: Inclusion,
}

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The bytes are no proof.
    #[error("the receipt cannot be read: {0}")]
    Decode(DecodeError),
    /// The transaction in it cannot be read.
    #[error("the transaction in the receipt cannot be read: {0}")]
    Transaction(DecodeError),
    /// The transaction's signature is not its signer's.
    #[error("the transaction in the receipt is not signed by its signer: somebody changed it")]
    Signature,
    /// The transaction is not the one that was executed.
    #[error("the receipt is about {executed}, but shows the transaction {shown}: do not accept it")]
    OtherTransaction {
        /// The id in the log's entry.
        executed: TransactionId,
        /// The id of the transaction shown.
        shown: TransactionId,
    },
    /// The path is for another leaf than the entry's.
    #[error("the entry is leaf {executed} of the log, but the path is for leaf {proved}")]
    OtherLeaf {
        /// The entry's leaf.
        executed: u64,
        /// The path's leaf.
        proved: u64,
    },
    /// Rows are out of order, twice, or there although nothing was changed.
    #[error("the rows in the receipt are not those of one transaction: the receipt is damaged")]
    Rows,
    /// The path leads nowhere.
    #[error(transparent)]
    Inclusion(#[from] InclusionError),
    /// A row cannot be read.
    #[error("a row in the receipt cannot be read: it is of another version, or damaged")]
    Row,
}

impl Proof {
    /// Proves an entry in the log as it was when it had `leaves` leaves.
    ///
    /// # Errors
    /// [`ReadError`] when the log has no such leaf or the storage fails.
    pub fn of(
        state: &dyn Read,
        executed: Executed,
        transaction: Option<Vec<u8>>,
        leaves: u64,
    ) -> Result<Self, ReadError> {
        let inclusion = log::prove(state, executed.leaf, leaves)?;
        Ok(Self { executed, transaction, inclusion })
    }

    /// Decodes a proof of at most [`PROOF_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`ProofError::Decode`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ProofError> {
        codec::decode::<Self, PROOF_BYTES_MAX>(bytes).map_err(ProofError::Decode)
    }

    /// Its canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Checks that everything in the proof belongs together, and computes the root of the log in
    /// which it stands. The proof is good when that is a root that the authorities have signed.
    ///
    /// # Errors
    /// [`ProofError`], one for each way in which it can be wrong.
    pub fn log_root(&self) -> Result<Digest, ProofError> {
        let Executed { id, leaf, result, writes } = &self.executed;
        if let Some(bytes) = &self.transaction {
            self.check_transaction(bytes)?;
        }
        let ascending = writes.windows(2).all(|pair| pair[0].key < pair[1].key);
        if !ascending || (result.is_err() && !writes.is_empty()) {
            return Err(ProofError::Rows);
        }
        if *leaf != self.inclusion.leaf {
            let (executed, proved) = (*leaf, self.inclusion.leaf);
            return Err(ProofError::OtherLeaf { executed, proved });
        }
        let digest = log::leaf(*id, result, effects_digest(writes));
        Ok(self.inclusion.root_for(digest)?)
    }

    fn check_transaction(&self, bytes: &[u8]) -> Result<(), ProofError> {
        let executed = self.executed.id;
        let unreadable = match self.executed.result {
            Err(rejection) => rejection.code <= Code::BadSignature,
            Ok(()) => false,
        };
        // What was no valid transaction stands in the log under the hash of its bytes.
        let bytes_hash = TransactionId::new(*blake3::hash(bytes).as_bytes());
        if unreadable && bytes_hash == executed {
            return Ok(());
        }
        let shown = UnverifiedTransaction::decode(bytes).map_err(ProofError::Transaction)?;
        let shown = shown.verify().map_err(|_| ProofError::Signature)?.id();
        if shown != executed {
            return Err(ProofError::OtherTransaction { executed, shown });
        }
        Ok(())
    }

    /// The orders among the proven rows.
    ///
    /// # Errors
    /// [`ProofError::Row`] when a row cannot be read.
    pub fn orders(&self) -> Result<Vec<(OrderId, OrderRow)>, ProofError> {
        self.rows(Table::Order, OrderId::new)
    }

    /// The lots among the proven rows.
    ///
    /// # Errors
    /// [`ProofError::Row`] when a row cannot be read.
    pub fn lots(&self) -> Result<Vec<(LotId, LotRow)>, ProofError> {
        self.rows(Table::Lot, LotId::new)
    }

    /// The transformations among the proven rows.
    ///
    /// # Errors
    /// [`ProofError::Row`] when a row cannot be read.
    pub fn transformations(
        &self,
    ) -> Result<Vec<(TransformationId, TransformationRow)>, ProofError> {
        self.rows(Table::Transformation, TransformationId::new)
    }

    /// The committee that was decided, if the proven rows hold one: the next epoch's.
    ///
    /// # Errors
    /// [`ProofError::Row`] when the row cannot be read.
    pub fn committee(&self) -> Result<Option<CommitteeRow>, ProofError> {
        let of_table = |write: &&Write| write.key.first() == Some(&(Table::Committee as u8));
        let found = self.executed.writes.iter().find(of_table);
        let value = found.and_then(|write| write.value.as_ref());
        value.map(|value| codec::decode_trusted(value).map_err(|_| ProofError::Row)).transpose()
    }

    /// An order among the proven rows, if it is there.
    ///
    /// # Errors
    /// [`ProofError::Row`] when a row cannot be read.
    pub fn order(&self, id: OrderId) -> Result<Option<OrderRow>, ProofError> {
        let found = self.orders()?.into_iter().find(|(order, _)| *order == id);
        Ok(found.map(|(_, row)| row))
    }

    /// A lot among the proven rows, if it is there.
    ///
    /// # Errors
    /// [`ProofError::Row`] when a row cannot be read.
    pub fn lot(&self, id: LotId) -> Result<Option<LotRow>, ProofError> {
        let found = self.lots()?.into_iter().find(|(lot, _)| *lot == id);
        Ok(found.map(|(_, row)| row))
    }

    fn rows<I, T: DeserializeOwned>(
        &self,
        table: Table,
        id: fn([u8; 32]) -> I,
    ) -> Result<Vec<(I, T)>, ProofError> {
        let of_table = |write: &&Write| write.key.first() == Some(&(table as u8));
        let mut rows = Vec::new();
        for write in self.executed.writes.iter().filter(of_table) {
            let Some(value) = &write.value else { continue };
            let key = write.key.get(1..).and_then(|key| <[u8; 32]>::try_from(key).ok());
            let row = codec::decode_trusted(value).map_err(|_| ProofError::Row)?;
            rows.push((id(key.ok_or(ProofError::Row)?), row));
        }
        Ok(rows)
    }
}
