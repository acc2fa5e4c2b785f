//! What waits to be executed: bounded, each transaction once, no signer more than its share. Pure.
//!
//! A transaction stays here with its bytes from the moment it is taken until it is executed or
//! refused, wherever else it may be meanwhile: in consensus's queue, in an own block, in a block
//! that can no longer be committed, in an epoch that ended. So whatever drops it, it can be offered
//! again.

use kerbholz_client::ledger::id::TransactionId;
use kerbholz_client::ledger::keys::PublicKey;
use kerbholz_client::ledger::quantity::Timestamp;
use kerbholz_client::ledger::transaction::Transaction;
use kerbholz_consensus::Round;
use std::collections::{BTreeMap, BTreeSet};

/// Most transactions that wait at one node.
pub const WAITING_MAX: usize = 20_000;
/// Most bytes of transactions that wait at one node: what consensus's queue holds, at most.
pub const WAITING_BYTES_MAX: usize = 64 << 20;
/// Most transactions of one signer that wait at one node.
pub const WAITING_PER_SIGNER_MAX: usize = 1_000;
/// Most bytes of transactions of one signer that wait at one node.
pub const WAITING_BYTES_PER_SIGNER_MAX: usize = 4 << 20;

/// Why a transaction is not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// It waits here already.
    Waiting,
    /// The node, or this signer's share of it, is full.
    Full,
}

/// The transactions that wait.
#[derive(Debug, Default)]
pub struct Mempool {
    waiting: BTreeMap<TransactionId, Waiting>,
    /// By arrival, from 1.
    order: BTreeMap<u64, TransactionId>,
    /// Places of those that consensus does not have, and shall be offered again.
    held: BTreeSet<u64>,
    /// Places by the round of the newest own block that holds them.
    in_blocks: BTreeSet<(Round, u64)>,
    of_signer: BTreeMap<PublicKey, Share>,
    all: Share,
    arrivals: u64,
}

#[derive(Debug)]
struct Waiting {
    place: u64,
    signer: PublicKey,
    expires_at: Timestamp,
    in_block: Option<Round>,
    bytes: Vec<u8>,
}

/// What is used of a bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    items: usize,
    bytes: usize,
}

impl Share {
    const fn fits(self, bytes: usize, items_max: usize, bytes_max: usize) -> bool {
        self.items < items_max && self.bytes + bytes <= bytes_max
    }

    const fn add(&mut self, bytes: usize) {
        self.items += 1;
        self.bytes += bytes;
    }

    const fn subtract(&mut self, bytes: usize) {
        self.items -= 1;
        self.bytes -= bytes;
    }
}

impl Mempool {
    /// Takes a transaction in; the caller offers its bytes to consensus.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn take(&mut self, transaction: &Transaction, bytes: &[u8]) -> Result<(), NotTaken> {
        let (id, envelope) = (transaction.id(), transaction.envelope());
        if self.waiting.contains_key(&id) {
            return Err(NotTaken::Waiting);
        }
        let signer = envelope.signer;
        let share = self.of_signer.get(&signer).copied().unwrap_or_default();
        let fits = self.all.fits(bytes.len(), WAITING_MAX, WAITING_BYTES_MAX)
            && share.fits(bytes.len(), WAITING_PER_SIGNER_MAX, WAITING_BYTES_PER_SIGNER_MAX);
        if !fits {
            return Err(NotTaken::Full);
        }
        self.arrivals += 1;
        let waiting = Waiting {
            place: self.arrivals,
            signer,
            expires_at: envelope.expires_at,
            in_block: None,
            bytes: bytes.to_vec(),
        };
        self.all.add(bytes.len());
        self.of_signer.entry(signer).or_default().add(bytes.len());
        self.order.insert(waiting.place, id);
        self.waiting.insert(id, waiting);
        Ok(())
    }

    /// Lets a transaction go: it was executed, or refused. Unknown ones are ignored.
    pub fn release(&mut self, id: &TransactionId) {
        let Some(waiting) = self.waiting.remove(id) else { return };
        let Waiting { place, signer, in_block, bytes, .. } = waiting;
        self.order.remove(&place);
        self.held.remove(&place);
        if let Some(round) = in_block {
            self.in_blocks.remove(&(round, place));
        }
        self.all.subtract(bytes.len());
        if let Some(share) = self.of_signer.get_mut(&signer) {
            share.subtract(bytes.len());
            if share.items == 0 {
                self.of_signer.remove(&signer);
            }
        }
    }

    /// Consensus does not have the transaction any more, or has not taken it: it is to be offered
    /// again. Unknown ones are ignored.
    pub fn hold(&mut self, id: &TransactionId) {
        if let Some(waiting) = self.waiting.get(id) {
            self.held.insert(waiting.place);
        }
    }

    /// Consensus has nothing any more: an epoch ended.
    pub fn hold_all(&mut self) {
        self.held = self.order.keys().copied().collect();
        // The new epoch counts rounds anew.
        self.in_blocks.clear();
        for waiting in self.waiting.values_mut() {
            waiting.in_block = None;
        }
    }

    /// Up to so many of those that are to be offered again, by arrival. They count as offered.
    pub fn offer(&mut self, limit: usize) -> Vec<Vec<u8>> {
        let mut offered = Vec::new();
        while offered.len() < limit
            && let Some(place) = self.held.pop_first()
        {
            let waiting = self.order.get(&place).and_then(|id| self.waiting.get(id));
            offered.extend(waiting.map(|waiting| waiting.bytes.clone()));
        }
        offered
    }

    /// Lets those go that are to be offered again and could only be rejected: at this time of the
    /// ledger they have expired. What consensus has is left to the ledger.
    pub fn expire(&mut self, time: Timestamp) {
        let ids = self.held.iter().filter_map(|place| self.order.get(place));
        let expired = |id: &&TransactionId| {
            self.waiting.get(*id).is_some_and(|waiting| waiting.expires_at <= time)
        };
        let expired: Vec<TransactionId> = ids.filter(expired).copied().collect();
        expired.iter().for_each(|id| self.release(id));
    }

    /// An own block of this round that holds the transaction is durable.
    pub fn in_block(&mut self, id: &TransactionId, round: Round) {
        let Some(waiting) = self.waiting.get_mut(id) else { return };
        if let Some(before) = waiting.in_block.replace(round) {
            self.in_blocks.remove(&(before, waiting.place));
        }
        self.in_blocks.insert((round, waiting.place));
    }

    /// The lowest round of an own block that must be kept: it holds a transaction that waits and is
    /// in no newer own block.
    pub fn lowest_block(&self) -> Option<Round> {
        self.in_blocks.first().map(|(round, _)| *round)
    }

    /// Whether a transaction waits here.
    pub fn contains(&self, id: &TransactionId) -> bool {
        self.waiting.contains_key(id)
    }

    /// Whether a transaction waits here and is to be offered again.
    pub fn holds(&self, id: &TransactionId) -> bool {
        self.waiting.get(id).is_some_and(|waiting| self.held.contains(&waiting.place))
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
mod tests;
