//! What waits to be ordered: bounded, each transaction once, no signer more than its share.
//!
//! The bytes themselves wait in consensus's queue; this is the book about them. Pure.

use kerbholz_client::ledger::id::TransactionId;
use kerbholz_client::ledger::keys::PublicKey;
use std::collections::BTreeMap;

/// Most transactions that wait at one node.
pub const WAITING_MAX: usize = 20_000;
/// Most transactions of one signer that wait at one node.
pub const WAITING_PER_SIGNER_MAX: usize = 1_000;

/// Why a transaction is not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// It waits here already.
    Waiting,
    /// The node, or this signer's share of it, is full.
    Full,
}

/// The book of waiting transactions.
#[derive(Debug, Default)]
pub struct Mempool {
    waiting: BTreeMap<TransactionId, PublicKey>,
    per_signer: BTreeMap<PublicKey, usize>,
}

impl Mempool {
    /// Takes a transaction in.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn take(&mut self, id: TransactionId, signer: PublicKey) -> Result<(), NotTaken> {
        if self.waiting.contains_key(&id) {
            return Err(NotTaken::Waiting);
        }
        let of_signer = self.per_signer.get(&signer).copied().unwrap_or_default();
        if self.waiting.len() >= WAITING_MAX || of_signer >= WAITING_PER_SIGNER_MAX {
            return Err(NotTaken::Full);
        }
        self.waiting.insert(id, signer);
        self.per_signer.insert(signer, of_signer + 1);
        Ok(())
    }

    /// Lets a transaction go: it is final, or was not taken after all. Unknown ones are ignored.
    pub fn release(&mut self, id: &TransactionId) {
        let Some(signer) = self.waiting.remove(id) else { return };
        if let Some(count) = self.per_signer.get_mut(&signer) {
            *count -= 1;
            if *count == 0 {
                self.per_signer.remove(&signer);
            }
        }
    }

    /// Whether a transaction waits here.
    pub fn contains(&self, id: &TransactionId) -> bool {
        self.waiting.contains_key(id)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> TransactionId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        TransactionId::new(bytes)
    }

    #[test]
    fn a_signer_gets_its_share_and_gets_it_back() {
        let mut mempool = Mempool::default();
        let (a, b) = (PublicKey::new([1; 32]), PublicKey::new([2; 32]));
        for number in 0..WAITING_PER_SIGNER_MAX {
            mempool.take(id(number), a).unwrap();
        }
        assert_eq!(mempool.take(id(9_999), a), Err(NotTaken::Full));
        assert_eq!(mempool.take(id(0), b), Err(NotTaken::Waiting));
        mempool.take(id(9_999), b).unwrap();
        mempool.release(&id(0));
        mempool.release(&id(0));
        mempool.take(id(10_000), a).unwrap();
        assert_eq!(mempool.len(), WAITING_PER_SIGNER_MAX + 1);
    }

    #[test]
    fn the_whole_is_bounded() {
        let mut mempool = Mempool::default();
        for number in 0..WAITING_MAX {
            let mut signer = [0; 32];
            signer[0] = (number / WAITING_PER_SIGNER_MAX) as u8;
            mempool.take(id(number), PublicKey::new(signer)).unwrap();
        }
        assert_eq!(mempool.take(id(WAITING_MAX), PublicKey::new([9; 32])), Err(NotTaken::Full));
    }
}
