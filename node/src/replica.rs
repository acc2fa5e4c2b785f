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
//! It has stopped for good after a [`HaltReason`] other than that
//! its key is in use elsewhere. A restart, after a crash at any point, is to open the same storage.
//!
//! [`Storage::append_blocks`]: crate::storage::Storage::append_blocks
//! [`Executor::perform`]: crate::executor::Executor::perform

mod hello;
mod machine;
mod opening;
mod peers;
mod signing;

pub use self::hello::Hello;
pub use self::machine::Machine;
pub use self::opening::{OpenError, Opened, Start};
use crate::executor::{SharedStorage, lock};
use crate::fetch::{FetchAnswer, FetchRequest, OwnNewest};
use crate::mempool::{Mempool, NotTaken};
use crate::storage::{SignAfter, StorageError, StoredBlock};
use kerbholz_client::ledger::id::TransactionId;
use kerbholz_client::ledger::quantity::Timestamp;
use kerbholz_client::ledger::transaction::{Transaction, UnverifiedTransaction};
use kerbholz_consensus::{
    Action, AuthorityIndex, Base, Block, Checkpoint, Committee, Event, HaltReason, Now, Parameters,
    PublicKey, Recovery, RecoveryError, RefusalReason, Round, Signer, Status,
};
use std::collections::BTreeMap;

/// Transactions that are offered to consensus again at once.
const OFFERED_AGAIN_MAX: usize = 1_024;

/// An authority's replica of the agreement, over all epochs.
pub struct Replica {
    signer: Signer,
    parameters: Parameters,
    machine: Machine,
    mempool: Mempool,
    /// What the peers with an open stream said last.
    greetings: BTreeMap<PublicKey, Hello>,
    /// At or below this round nothing can be committed any more, by the commits on disk that a
    /// checkpoint covers.
    collected: Round,
    /// The same of each commit that was executed and that no checkpoint covers.
    uncertified: BTreeMap<u64, Round>,
    /// Whether nothing was signed yet since the log was lost (§8.5).
    lost_log: bool,
    /// Whether a block of our key was met that we have not made, after we signed since the start: then
    /// nothing is signed in any epoch until somebody has looked (§8.5).
    stopped: bool,
    /// The operator's word about this loss.
    sign_after: Option<SignAfter>,
}

/// The outcome of a job of the executor, on its way back.
#[derive(Clone, Debug)]
pub enum Done {
    /// A commit was executed.
    Commit(Executed),
    /// The next epoch began.
    Epoch(Box<NextEpoch>),
}

/// The outcome of executing a commit.
#[derive(Clone, Debug)]
pub struct Executed {
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
    /// Whether it is the last of its epoch (§10.2).
    pub closes: bool,
    /// The transactions that are final now.
    pub transactions: Vec<TransactionId>,
}

/// An epoch that began: the ledger says so, durably.
#[derive(Clone, Debug)]
pub struct NextEpoch {
    /// Its committee.
    pub committee: Committee,
    /// The commit that closed the epoch before.
    pub base: Base,
    /// The checkpoint of that commit.
    pub checkpoint: Checkpoint,
    /// What its authorities are called, in order.
    pub names: Vec<String>,
}

impl Replica {
    /// Something happened to consensus, in the present epoch.
    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Action> {
        let actions = self.machine.handle(now, event);
        self.settle(now, actions)
    }

    /// A peer answered, or did not; `epoch` is that in which it was asked.
    pub fn answered(&mut self, now: Now, epoch: u64, answer: Event) -> Vec<Action> {
        // Who is meant by an index is another matter in another epoch.
        if epoch == self.epoch() { self.handle(now, answer) } else { Vec::new() }
    }

    /// A client's transaction: whether it was taken, and what is to be done in either case. What
    /// was taken is waited for until it is executed, whatever becomes of the block it is put in.
    pub fn submit(
        &mut self,
        now: Now,
        transaction: &Transaction,
    ) -> (Result<(), NotTaken>, Vec<Action>) {
        let Status { signing, closing, .. } = self.machine.status();
        // Who does not sign sends its clients elsewhere, also with what waits here already.
        if !signing && !closing {
            return (Err(NotTaken::Full), Vec::new());
        }
        let bytes = transaction.bytes();
        if let Err(reason) = self.mempool.take(transaction, &bytes) {
            return (Err(reason), Vec::new());
        }
        if closing {
            // For the next epoch, like everything else that waits.
            return (Ok(()), Vec::new());
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

    /// A job of the executor is done, and its results are durable.
    ///
    /// # Errors
    /// [`RecoveryError`] when no machine can be made for a new epoch.
    pub fn executed(&mut self, now: Now, done: Done) -> Result<Vec<Action>, RecoveryError> {
        match done {
            Done::Commit(executed) => Ok(self.commit_executed(now, executed)),
            Done::Epoch(next) => self.enter(now, *next),
        }
    }

    fn commit_executed(&mut self, now: Now, executed: Executed) -> Vec<Action> {
        let Executed { index, time, leader, log_root, state_digest, vote, closes, transactions } =
            executed;
        transactions.iter().for_each(|id| self.mempool.release(id));
        self.mempool.expire(time);
        let gc_depth = self.machine.committee().gc_depth();
        self.uncertified.insert(index, leader.minus(gc_depth));
        let executed = Event::Executed { index, log_root, state_digest, vote, closes };
        let mut actions = self.handle(now, executed);
        actions.extend(self.offer_again(now));
        actions
    }

    /// Starts the machine of the next epoch: rounds begin anew, and so do the streams; what waits is
    /// offered again in the order in which it came (§10.3).
    fn enter(&mut self, now: Now, next: NextEpoch) -> Result<Vec<Action>, RecoveryError> {
        let NextEpoch { committee, base, checkpoint, names } = next;
        let was_member = self.machine.own().is_some();
        let (epoch, lost_log) = (committee.config().epoch, self.lost_log);
        let sign_after = self.sign_after.and_then(|word| word.of(epoch));
        let checkpoint = Some(checkpoint);
        let recovery = Recovery { base, checkpoint, lost_log, sign_after, ..Recovery::default() };
        let signer = Some(&self.signer).filter(|_| !self.stopped);
        if let Some(signer) = signer {
            signing::report(&names, &committee, &signer.public_key(), &recovery);
        }
        let parameters = self.parameters.clone();
        let (machine, first) = Machine::recover(now, parameters, committee, signer, recovery)?;
        self.machine = machine;
        self.collected = Round::GENESIS;
        self.uncertified.clear();
        self.mempool.hold_all();
        let member = self.machine.own().is_some();
        tracing::info!(epoch, commit = base.index, member, "a new epoch begins");
        if was_member && !member && !self.stopped {
            tracing::warn!(
                epoch,
                "this authority is no member of the committee any more: it follows the ledger and \
                 signs nothing"
            );
        }
        let mut actions = self.settle(now, first);
        actions.extend(self.greet_all(now));
        actions.extend(self.offer_again(now));
        Ok(actions)
    }

    /// A quorum executed this commit and all before it: whoever has not can follow certified commits.
    fn certified(&mut self, index: u64) {
        let later = self.uncertified.split_off(&index.saturating_add(1));
        let certified = std::mem::replace(&mut self.uncertified, later);
        self.collected = certified.into_values().fold(self.collected, Round::max);
    }

    /// Through which round storage may forget blocks that no commit holds: those that can never be
    /// committed, and that nobody needs any more to decide what we have decided. Who is a commit
    /// behind cannot accept what we have built on them without having them, and perhaps nobody else
    /// has them. An own block is kept until what it carries is executed or in a newer one, since
    /// only that survives a crash.
    pub fn forget_through(&self) -> Round {
        match self.mempool.lowest_block() {
            Some(lowest) if self.signs() => self.collected.min(lowest.minus(1)),
            _ => self.collected,
        }
    }

    /// Appends an accepted block to the block log: what [`Action::Persist`] wants.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn persist(
        &mut self,
        storage: &SharedStorage,
        block: &Block,
        durable: bool,
    ) -> Result<(), StorageError> {
        let mut storage = lock(storage);
        storage.append_blocks(&[StoredBlock::new(block, durable)])?;
        // The first block that was signed since the log was lost is on the disk: from now on the
        // log says what was signed.
        if durable && self.lost_log && self.signs() {
            storage.log_recovered()?;
            (self.lost_log, self.sign_after) = (false, None);
            tracing::info!(round = block.round().0, "signs again after the loss of its log");
        }
        Ok(())
    }

    /// Another authority asks for something: consensus learns which blocks do not come to it by
    /// themselves. The answer is [`answer`](Self::answer)'s.
    pub fn asked(&mut self, now: Now, asker: &PublicKey, request: &FetchRequest) -> Vec<Action> {
        let Some(by) = self.committee().index_of(asker) else { return Vec::new() };
        match request {
            FetchRequest::Blocks(references) | FetchRequest::Chains { references, .. } => {
                self.handle(now, Event::BlocksAsked { by, references: references.clone() })
            }
            FetchRequest::Commits { .. } | FetchRequest::Own { .. } => Vec::new(),
        }
    }

    /// The answer to what another authority asks.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn answer(
        &self,
        storage: &SharedStorage,
        asker: &PublicKey,
        request: &FetchRequest,
    ) -> Result<FetchAnswer, StorageError> {
        match request {
            FetchRequest::Blocks(_)
            | FetchRequest::Commits { .. }
            | FetchRequest::Chains { .. } => request.answer(storage),
            FetchRequest::Own { epoch } => {
                let author = self.committee().index_of(asker);
                let author = author.filter(|_| *epoch == self.epoch());
                let newest = author.map(|author| self.newest_of(storage, author)).transpose()?;
                Ok(FetchAnswer::Own(newest))
            }
        }
    }

    /// The newest block by an authority that is known here: accepted ones are on the disk, those
    /// that wait for parents only with consensus.
    fn newest_of(
        &self,
        storage: &SharedStorage,
        author: AuthorityIndex,
    ) -> Result<OwnNewest, StorageError> {
        let commit = self.machine.status().commit_index;
        let known = self.machine.newest_of(author);
        let above = known.map_or(Round::GENESIS, Block::round);
        let stored = lock(storage).newest_of(author, above)?;
        let block = stored.map(|stored| stored.bytes);
        let block = block.or_else(|| known.map(|block| block.bytes().to_vec()));
        Ok(OwnNewest { commit, block })
    }

    /// How many transactions wait to be ordered.
    pub fn waiting(&self) -> usize {
        self.mempool.len()
    }

    /// The machine of the present epoch, for looking at.
    pub const fn consensus(&self) -> &Machine {
        &self.machine
    }

    /// The committee of the present epoch.
    pub fn committee(&self) -> &Committee {
        self.machine.committee()
    }

    /// The present epoch.
    pub fn epoch(&self) -> u64 {
        self.committee().config().epoch
    }

    /// Whether nothing was signed yet since the log was lost (§8.5).
    pub const fn lost_log(&self) -> bool {
        self.lost_log
    }

    fn signs(&self) -> bool {
        self.machine.status().signing
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
                Action::Checkpoint(checkpoint) => {
                    self.certified(checkpoint.statement.index);
                    rest.push(Action::Checkpoint(checkpoint));
                }
                Action::Persist { block, durable } => {
                    if durable {
                        self.in_own_block(&block);
                    }
                    rest.push(Action::Persist { block, durable });
                }
                Action::Halt(reason) => {
                    self.stopped |= matches!(reason, HaltReason::ForeignOwnBlock(_));
                    rest.push(Action::Halt(reason));
                }
                Action::LogLost { newer } => {
                    (self.lost_log, self.sign_after) = (true, None);
                    rest.push(Action::LogLost { newer });
                }
                Action::Stream { to, .. } | Action::Send { to, .. } if !self.streams_to(to) => {}
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
