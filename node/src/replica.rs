//! Consensus and mempool glued together, still without input or output: what a simulator can run.
//!
//! The driver ([`crate::driver`]) feeds it and performs what it answers.

use crate::mempool::{Mempool, NotTaken};
use kerbholz_client::ledger::id::TransactionId;
use kerbholz_client::ledger::keys::PublicKey;
use kerbholz_client::ledger::transaction::UnverifiedTransaction;
use kerbholz_consensus::{Action, Consensus, Event, Now};

/// An authority's replica of the agreement.
pub struct Replica {
    consensus: Consensus,
    mempool: Mempool,
}

/// The outcome of executing a commit, on its way back to consensus.
#[derive(Clone, Debug)]
pub struct Done {
    /// The commit.
    pub index: u64,
    /// Root of the transaction log after it.
    pub log_root: [u8; 32],
    /// Digest of the state after it.
    pub state_digest: [u8; 32],
    /// Whether it changed anything worth a checkpoint.
    pub vote: bool,
    /// The transactions that are final now.
    pub transactions: Vec<TransactionId>,
}

impl Replica {
    /// Around a consensus machine that was recovered from storage.
    pub fn new(consensus: Consensus) -> Self {
        Self { consensus, mempool: Mempool::default() }
    }

    /// Something happened to consensus.
    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Action> {
        let actions = self.consensus.handle(now, event);
        self.settle(now, actions)
    }

    /// A client's transaction, decoded and its signature checked.
    ///
    /// # Errors
    /// [`NotTaken`]: it waits here already, or there is no room.
    pub fn submit(
        &mut self,
        now: Now,
        id: TransactionId,
        signer: PublicKey,
        bytes: Vec<u8>,
    ) -> Result<Vec<Action>, NotTaken> {
        self.mempool.take(id, signer)?;
        let actions = self.handle(now, Event::PayloadOffered(vec![bytes]));
        if self.mempool.contains(&id) { Ok(actions) } else { Err(NotTaken::Full) }
    }

    /// A commit was executed, and its results are durable.
    pub fn executed(&mut self, now: Now, done: Done) -> Vec<Action> {
        for id in &done.transactions {
            self.mempool.release(id);
        }
        let Done { index, log_root, state_digest, vote, .. } = done;
        self.handle(now, Event::Executed { index, log_root, state_digest, vote })
    }

    /// How many transactions wait to be ordered.
    pub fn waiting(&self) -> usize {
        self.mempool.len()
    }

    /// The consensus machine, for looking at.
    pub const fn consensus(&self) -> &Consensus {
        &self.consensus
    }

    /// Settles what concerns the mempool and leaves the rest to the driver: own payload that fell
    /// out of the DAG is offered again unless it became final otherwise; refused payload is let go.
    fn settle(&mut self, now: Now, actions: Vec<Action>) -> Vec<Action> {
        let mut rest = Vec::with_capacity(actions.len());
        for action in actions {
            match action {
                Action::PayloadReturned(items) => {
                    let waits = |item: &Vec<u8>| {
                        let known = UnverifiedTransaction::decode(item).map(|known| known.id());
                        known.is_ok_and(|id| self.mempool.contains(&id))
                    };
                    let items: Vec<_> = items.into_iter().filter(waits).collect();
                    if !items.is_empty() {
                        rest.extend(self.handle(now, Event::PayloadOffered(items)));
                    }
                }
                Action::PayloadRefused(items) => {
                    for (item, reason) in items {
                        if let Ok(known) = UnverifiedTransaction::decode(&item) {
                            tracing::debug!(id = %known.id(), %reason, "not queued");
                            self.mempool.release(&known.id());
                        }
                    }
                }
                other => rest.push(other),
            }
        }
        rest
    }
}
