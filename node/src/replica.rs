//! Consensus and mempool glued together, still without input or output: what a simulator can run.
//!
//! [`open`](Opened::open) starts a replica from a storage, together with the executor that belongs
//! to it. From then on whoever drives it - [`crate::driver`] in a node, the simulator in tests -
//! does the same few things, in this order and one at a time:
//!
//! 1. Performs [`Opened::first`].
//! 2. Tells the replica what happened ([`Replica::handle`], [`Replica::submit`]), with the time.
//! 3. Performs the actions it returns, each before the next: `Persist` is
//!    [`Storage::append_blocks`], `Commit` and `Checkpoint` are jobs for [`Executor::perform`], the
//!    others concern the network and timers.
//! 4. Gives every outcome of a job to [`Replica::executed`], and goes on at 3.
//!
//! It has stopped for good after a [`HaltReason`](kerbholz_consensus::HaltReason) other than that
//! its key is in use elsewhere. A restart, after a crash at any point, is to open the same storage.
//!
//! [`Storage::append_blocks`]: crate::storage::Storage::append_blocks
//! [`Executor::perform`]: crate::executor::Executor::perform

mod opening;

pub use self::opening::{OpenError, Opened, Start};
use crate::mempool::{Mempool, NotTaken};
use kerbholz_client::ledger::id::TransactionId;
use kerbholz_client::ledger::keys::PublicKey;
use kerbholz_client::ledger::transaction::UnverifiedTransaction;
use kerbholz_consensus::{Action, AuthorityIndex, Block, Consensus, Event, Now};

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
    /// Around a consensus machine that was recovered from storage, with the actions it began with.
    /// `waiting` is the payload of own blocks that no stored commit holds (see [`payload_of`]): it
    /// is waited for again, and offered again should its block fall out of the DAG. Returns what is
    /// to be performed first.
    pub fn recover(
        now: Now,
        consensus: Consensus,
        first: Vec<Action>,
        waiting: &[Vec<u8>],
    ) -> (Self, Vec<Action>) {
        let mut mempool = Mempool::default();
        for item in waiting {
            let known = UnverifiedTransaction::decode(item).ok().map(UnverifiedTransaction::verify);
            if let Some(Ok(known)) = known {
                // What finds no place in the book is still ordered, if its block is.
                let _ = mempool.take(known.id(), known.envelope().signer);
            }
        }
        let mut replica = Self { consensus, mempool };
        let first = replica.settle(now, first);
        (replica, first)
    }

    /// Something happened to consensus.
    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Action> {
        let actions = self.consensus.handle(now, event);
        self.settle(now, actions)
    }

    /// A client's transaction, decoded and its signature checked: whether it was taken, and what is
    /// to be done in either case.
    pub fn submit(
        &mut self,
        now: Now,
        id: TransactionId,
        signer: PublicKey,
        bytes: Vec<u8>,
    ) -> (Result<(), NotTaken>, Vec<Action>) {
        if let Err(reason) = self.mempool.take(id, signer) {
            return (Err(reason), Vec::new());
        }
        let actions = self.handle(now, Event::PayloadOffered(vec![bytes]));
        // Consensus may have refused it; the rest of what it wants is to be done all the same.
        let taken = if self.mempool.contains(&id) { Ok(()) } else { Err(NotTaken::Full) };
        (taken, actions)
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
        let mut again = Vec::new();
        for action in actions {
            match action {
                Action::PayloadReturned(items) => {
                    again.extend(items.into_iter().filter(|item| self.waits(item)));
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
        // Only now: what follows from offering it follows from all of the actions above.
        if !again.is_empty() {
            rest.extend(self.handle(now, Event::PayloadOffered(again)));
        }
        rest
    }

    fn waits(&self, item: &[u8]) -> bool {
        UnverifiedTransaction::decode(item).is_ok_and(|known| self.mempool.contains(&known.id()))
    }
}

/// The payload of an authority's blocks.
pub fn payload_of(author: AuthorityIndex, blocks: &[Block]) -> Vec<Vec<u8>> {
    let own = blocks.iter().filter(|block| block.author() == author);
    own.flat_map(|block| block.payload().map(<[u8]>::to_vec)).collect()
}

#[cfg(test)]
mod tests;
