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
//! 4. Gives every outcome of a job to [`Replica::executed`], and goes on at 3. Now and then storage
//!    may forget through [`Replica::forget_through`].
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
use kerbholz_client::ledger::quantity::Timestamp;
use kerbholz_client::ledger::transaction::{Transaction, UnverifiedTransaction};
use kerbholz_consensus::{Action, Block, Consensus, Event, Now, RefusalReason, Round};

/// Transactions that are offered to consensus again at once.
const OFFERED_AGAIN_MAX: usize = 1_024;

/// An authority's replica of the agreement.
pub struct Replica {
    consensus: Consensus,
    mempool: Mempool,
    /// At or below this round nothing can be committed any more, by the commits on disk.
    collected: Round,
}

/// The outcome of executing a commit, on its way back to consensus.
#[derive(Clone, Debug)]
pub struct Done {
    /// The commit.
    pub index: u64,
    /// Its time.
    pub time: Timestamp,
    /// The round of its leader.
    pub leader: Round,
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
    /// `logged` are blocks that no stored commit holds: the payload of own ones is waited for
    /// again, and offered again should its block fall out of the DAG. Returns what is to be
    /// performed first.
    pub fn recover(
        now: Now,
        consensus: Consensus,
        first: Vec<Action>,
        logged: &[Block],
    ) -> (Self, Vec<Action>) {
        let mut mempool = Mempool::default();
        for block in logged.iter().filter(|block| block.author() == consensus.own()) {
            for item in block.payload() {
                let known = UnverifiedTransaction::decode(item).ok().map(|known| known.verify());
                if let Some(Ok(known)) = known {
                    // What finds no place is still ordered, if its block is.
                    let _ = mempool.take(&known, item);
                    mempool.in_block(&known.id(), block.round());
                }
            }
        }
        let mut replica = Self { consensus, mempool, collected: Round::GENESIS };
        let first = replica.settle(now, first);
        (replica, first)
    }

    /// Something happened to consensus.
    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Action> {
        let actions = self.consensus.handle(now, event);
        self.settle(now, actions)
    }

    /// A client's transaction: whether it was taken, and what is to be done in either case. What
    /// was taken is waited for until it is executed, whatever becomes of the block it is put in.
    pub fn submit(
        &mut self,
        now: Now,
        transaction: &Transaction,
    ) -> (Result<(), NotTaken>, Vec<Action>) {
        // Who does not sign sends its clients elsewhere, also with what waits here already.
        if !self.signs() {
            return (Err(NotTaken::Full), Vec::new());
        }
        let bytes = transaction.bytes();
        if let Err(reason) = self.mempool.take(transaction, &bytes) {
            return (Err(reason), Vec::new());
        }
        let actions = self.handle(now, Event::PayloadOffered(vec![bytes]));
        // Consensus may have refused it; the rest of what it wants is to be done all the same.
        let id = transaction.id();
        if self.mempool.holds(&id) {
            self.mempool.release(&id);
        }
        let taken = if self.mempool.contains(&id) { Ok(()) } else { Err(NotTaken::Full) };
        (taken, actions)
    }

    /// A commit was executed, and its results are durable.
    pub fn executed(&mut self, now: Now, done: Done) -> Vec<Action> {
        let Done { index, time, leader, log_root, state_digest, vote, transactions } = done;
        transactions.iter().for_each(|id| self.mempool.release(id));
        self.mempool.expire(time);
        let gc_depth = self.consensus.committee().gc_depth();
        self.collected = self.collected.max(leader.minus(gc_depth));
        // The ledger has no way to end an epoch yet.
        let executed = Event::Executed { index, log_root, state_digest, vote, closes: false };
        let mut actions = self.handle(now, executed);
        actions.extend(self.offer_again(now));
        actions
    }

    /// Through which round storage may forget blocks that no commit holds: those that can never be
    /// committed. An own block is kept until what it carries is executed or in a newer one, since
    /// only that survives a crash.
    pub fn forget_through(&self) -> Round {
        match self.mempool.lowest_block() {
            Some(lowest) if self.signs() => self.collected.min(lowest.minus(1)),
            _ => self.collected,
        }
    }

    /// How many transactions wait to be ordered.
    pub fn waiting(&self) -> usize {
        self.mempool.len()
    }

    /// The consensus machine, for looking at.
    pub const fn consensus(&self) -> &Consensus {
        &self.consensus
    }

    fn signs(&self) -> bool {
        self.consensus.status().signing
    }

    /// Settles what concerns the mempool and leaves the rest to the driver: own payload that fell
    /// out of the DAG is offered again unless it became final otherwise.
    fn settle(&mut self, now: Now, actions: Vec<Action>) -> Vec<Action> {
        let mut rest = Vec::with_capacity(actions.len());
        let mut returned = false;
        for action in actions {
            match action {
                Action::PayloadReturned(items) => {
                    returned = true;
                    items.iter().filter_map(|item| id_of(item)).for_each(|id| {
                        self.mempool.hold(&id);
                    });
                }
                Action::PayloadRefused(items) => self.refused(items),
                Action::Persist { block, durable } => {
                    if durable {
                        self.in_own_block(&block);
                    }
                    rest.push(Action::Persist { block, durable });
                }
                other => rest.push(other),
            }
        }
        // Only now: what follows from offering it follows from all of the actions above.
        if returned {
            rest.extend(self.offer_again(now));
        }
        rest
    }

    fn refused(&mut self, items: Vec<(Vec<u8>, RefusalReason)>) {
        for (item, reason) in items {
            let Some(id) = id_of(&item) else { continue };
            tracing::debug!(%id, %reason, "not queued");
            match reason {
                // No block can ever hold it.
                RefusalReason::Length => self.mempool.release(&id),
                RefusalReason::QueueFull | RefusalReason::Halted => self.mempool.hold(&id),
            }
        }
    }

    fn in_own_block(&mut self, block: &Block) {
        for id in block.payload().filter_map(id_of) {
            self.mempool.in_block(&id, block.round());
        }
    }

    /// Offers what consensus does not have (any more). What is refused again waits for the next
    /// commit.
    fn offer_again(&mut self, now: Now) -> Vec<Action> {
        if !self.signs() {
            return Vec::new();
        }
        let items = self.mempool.offer(OFFERED_AGAIN_MAX);
        if items.is_empty() {
            return Vec::new();
        }
        self.handle(now, Event::PayloadOffered(items))
    }
}

fn id_of(item: &[u8]) -> Option<TransactionId> {
    UnverifiedTransaction::decode(item).ok().map(|known| known.id())
}

#[cfg(test)]
mod tests;
