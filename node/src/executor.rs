//! The executor makes commits durable, executes them and publishes the outcome.
//!
//! ```text
//! driver ── Commit ──► append to the ledger segments (durable) ─► check signatures in parallel
//!                       ─► ledger::execute ─► one atomic batch of rows ─► Done ──► driver
//! ```
//!
//! [`Executor::perform`] does it in one call, which is all a simulator needs; [`Executor::run`] is
//! the same as a thread of a node. The ledger segments are the truth: rows that a crash loses are
//! made again from them at start.

use crate::index::{self, Covered};
use crate::replica::Done;
use crate::storage::{
    InvalidRecord, LedgerEntry, RawBlock, SharedRows, Storage, StorageError, StoredCommit,
};
use kerbholz_client::ledger::execute::{self, Commit as LedgerCommit, Effects, Item};
use kerbholz_client::ledger::genesis::Genesis;
use kerbholz_client::ledger::id::TransactionId;
use kerbholz_client::ledger::quantity::{CommitIndex, Timestamp};
use kerbholz_client::ledger::rows::{LedgerRow, ReadError, Table, Write, key};
use kerbholz_client::ledger::transaction::TRANSACTION_BYTES_MAX;
use kerbholz_consensus::{Block, Checkpoint, Commit, Committee, Round};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use tokio::sync::watch;

/// Commits between two times that the state is made durable: what a crash makes us execute again.
const SYNC_EVERY: u64 = 2_000;

/// Most jobs that one sync makes durable.
const JOBS_AT_ONCE: usize = 64;

/// The storage, shared by the driver (block log) and the executor (ledger, rows).
pub type SharedStorage = Arc<Mutex<Box<dyn Storage>>>;

/// Locks the storage. A panic of another holder cannot leave it half-changed: every method of
/// [`Storage`] changes all or nothing on disk.
pub fn lock(storage: &SharedStorage) -> MutexGuard<'_, Box<dyn Storage>> {
    storage.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a node cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The storage.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The state.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A stored commit that is none.
    #[error("{0}: the ledger segments are damaged; fetch them from another authority")]
    Invalid(#[from] InvalidRecord),
    /// A commit that the ledger reaches beyond is not there.
    #[error("commit {0} is missing from the ledger segments, which reach beyond it")]
    Missing(u64),
}

/// Something for the executor, in order.
#[derive(Debug)]
pub enum Job {
    /// The next commit.
    Commit(Commit),
    /// A quorum signed an executed commit.
    Checkpoint(Checkpoint),
}

/// How far the node has come, for those who wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The last commit executed.
    pub commit: u64,
    /// Its time.
    pub time: u64,
    /// Commit of the newest checkpoint.
    pub checkpoint: u64,
    /// Leaves of the transaction log.
    pub transactions: u64,
}

/// Executes commits on a storage.
pub struct Executor {
    storage: SharedStorage,
    rows: SharedRows,
    committee: Committee,
    progress: watch::Sender<Progress>,
    /// Leaves of the log after recent commits worth a vote, until a checkpoint covers them.
    leaves: BTreeMap<u64, u64>,
    synced: u64,
}

impl Executor {
    /// Brings the state up to the ledger segments: genesis, then whatever was not yet applied.
    ///
    /// # Errors
    /// [`ExecuteError`].
    pub fn open(
        storage: SharedStorage,
        committee: Committee,
        genesis: &Genesis,
        applied: Option<u64>,
    ) -> Result<Self, ExecuteError> {
        let rows = lock(&storage).rows();
        let (progress, _) = watch::channel(Progress::default());
        let leaves = BTreeMap::new();
        let mut executor = Self { storage, rows, committee, progress, leaves, synced: 0 };
        let applied = match applied {
            Some(commit) => commit,
            None => {
                lock(&executor.storage).apply(0, &execute::genesis(genesis)?.writes)?;
                0
            }
        };
        executor.catch_up(applied)?;
        Ok(executor)
    }

    fn catch_up(&mut self, applied: u64) -> Result<(), ExecuteError> {
        let (last, checkpoint) = {
            let storage = lock(&self.storage);
            (storage.last_commit(), storage.checkpoint().cloned())
        };
        let checkpointed = checkpoint.as_ref().map_or(0, |newest| newest.statement.index);
        for index in applied + 1..=last {
            let commit = self.stored(index)?;
            self.execute(&commit)?;
            if index < checkpointed {
                self.leaves.clear();
            }
        }
        let ledger: Option<LedgerRow> =
            kerbholz_client::ledger::rows::read(&*self.rows, &key(Table::Ledger, &[]))?;
        let ledger = ledger.ok_or_else(|| ReadError("there is no ledger row".into()))?;
        // Consensus votes on the newest outcome again, and the log has not grown since.
        if let Some(outcome) = index::outcome(&*self.rows)? {
            self.leaves.insert(outcome.commit, ledger.log_leaves);
        }
        let covered = index::covered(&*self.rows)?;
        let covered = covered.map_or(0, |covered| covered.checkpoint.statement.index);
        self.progress.send_replace(Progress {
            commit: last,
            time: ledger.time.get(),
            checkpoint: covered,
            transactions: ledger.log_leaves,
        });
        // The ledger's newest checkpoint has no row if the state was lost, or the node stopped
        // between the two.
        if let Some(checkpoint) = checkpoint.filter(|_| covered < checkpointed) {
            self.cover(checkpoint)?;
        }
        self.synced = last;
        Ok(())
    }

    fn stored(&self, index: u64) -> Result<Commit, ExecuteError> {
        let stored = lock(&self.storage).commit(index)?.ok_or(ExecuteError::Missing(index))?;
        Ok(verify_commit(&stored, &self.committee)?)
    }

    /// The outcome of the last commit worth a vote, for consensus to vote on again after a restart.
    ///
    /// # Errors
    /// [`ReadError`] when the storage fails.
    pub fn last_done(&self) -> Result<Option<Done>, ReadError> {
        Ok(index::outcome(&*self.rows)?.map(|outcome| Done {
            index: outcome.commit,
            time: Timestamp::ZERO,
            leader: Round::GENESIS,
            log_root: *outcome.log_root.as_bytes(),
            state_digest: *outcome.state_digest.as_bytes(),
            vote: true,
            transactions: Vec::new(),
        }))
    }

    /// How far it has come, for those who wait.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Works until the jobs end, and tells what is done.
    ///
    /// # Errors
    /// [`ExecuteError`]: the node must stop.
    pub fn run(
        mut self,
        jobs: &mpsc::Receiver<Job>,
        done: &tokio::sync::mpsc::UnboundedSender<Done>,
    ) -> Result<(), ExecuteError> {
        while let Ok(first) = jobs.recv() {
            let batch = std::iter::once(first).chain(jobs.try_iter().take(JOBS_AT_ONCE - 1));
            for outcome in self.perform(batch.collect())? {
                // The driver is gone only when the node stops.
                let _ = done.send(outcome);
            }
        }
        lock(&self.storage).sync_state()?;
        Ok(())
    }

    /// Performs jobs in their order: all are made durable by one sync, then executed. Returns the
    /// outcome of each commit; each is to be given to [`Replica::executed`].
    ///
    /// [`Replica::executed`]: crate::replica::Replica::executed
    ///
    /// # Errors
    /// [`ExecuteError`]: the node must stop. A part may have been performed; the next start finds it.
    pub fn perform(&mut self, jobs: Vec<Job>) -> Result<Vec<Done>, ExecuteError> {
        self.append(&jobs)?;
        let mut outcomes = Vec::new();
        for job in jobs {
            match job {
                Job::Commit(commit) => outcomes.push(self.execute(&commit)?),
                Job::Checkpoint(checkpoint) => self.cover(checkpoint)?,
            }
        }
        Ok(outcomes)
    }

    /// Makes jobs durable.
    fn append(&self, batch: &[Job]) -> Result<(), StorageError> {
        let entries: Vec<LedgerEntry> = batch.iter().map(ledger_entry).collect();
        lock(&self.storage).append_ledger(&entries)
    }

    fn execute(&mut self, commit: &Commit) -> Result<Done, ExecuteError> {
        let payload: Vec<&[u8]> = commit.payload().map(|(_, item)| item).collect();
        let items = check(&payload);
        let bytes: BTreeMap<TransactionId, &[u8]> =
            items.iter().map(item_id).zip(payload.iter().copied()).collect();
        let effects = execute::execute(
            &LedgerCommit {
                index: CommitIndex::new(commit.index()),
                time: Timestamp::new(commit.time().0),
                items,
            },
            &*self.rows,
        )?;
        let vote = commit.has_payload() || !effects.executed.is_empty();
        let mut writes = effects.writes.clone();
        writes.extend(index::writes(&*self.rows, &effects, &bytes)?);
        if vote {
            writes.push(index::outcome_write(&effects));
            self.leaves.insert(commit.index(), effects.log_leaves);
        }
        self.apply(commit.index(), &writes)?;
        self.publish(commit, &effects);
        Ok(Done {
            index: commit.index(),
            time: Timestamp::new(commit.time().0),
            leader: commit.leader().round,
            log_root: *effects.log_root.as_bytes(),
            state_digest: *effects.state_digest.as_bytes(),
            vote,
            transactions: bytes.into_keys().collect(),
        })
    }

    fn apply(&mut self, commit: u64, writes: &[Write]) -> Result<(), StorageError> {
        let mut storage = lock(&self.storage);
        storage.apply(commit, writes)?;
        if commit >= self.synced + SYNC_EVERY {
            storage.sync_state()?;
            self.synced = commit;
        }
        Ok(())
    }

    fn publish(&self, commit: &Commit, effects: &Effects) {
        self.progress.send_modify(|progress| {
            progress.commit = commit.index();
            progress.time = commit.time().0;
            progress.transactions = effects.log_leaves;
        });
    }

    /// Keeps the newest checkpoint as a row, for receipts.
    fn cover(&mut self, checkpoint: Checkpoint) -> Result<(), ExecuteError> {
        let index = checkpoint.statement.index;
        // An earlier commit than the newest one worth a vote at a restart may be unknown here; the
        // checkpoint of that one covers it.
        let Some(&leaves) = self.leaves.get(&index) else { return Ok(()) };
        self.leaves = self.leaves.split_off(&index);
        let commit = self.progress.borrow().commit;
        let covered = Covered { checkpoint, leaves };
        let mut writes = vec![index::covered_write(&covered)];
        writes.extend(index::closed_write(&*self.rows, &covered.checkpoint)?);
        lock(&self.storage).apply(commit, &writes)?;
        self.progress.send_modify(|progress| progress.checkpoint = index);
        Ok(())
    }
}

fn ledger_entry(job: &Job) -> LedgerEntry {
    match job {
        Job::Commit(commit) => LedgerEntry::Commit(commit.into()),
        Job::Checkpoint(checkpoint) => LedgerEntry::Checkpoint(checkpoint.clone()),
    }
}

/// Checks a stored commit: the signatures of its blocks in parallel, and that they are its blocks.
///
/// # Errors
/// [`InvalidRecord`] says what does not verify.
pub fn verify_commit(
    stored: &StoredCommit,
    committee: &Committee,
) -> Result<Commit, InvalidRecord> {
    let verify = |block: &RawBlock| block.verify(committee);
    let blocks = stored.blocks().par_iter().map(verify).collect::<Result<Vec<Block>, _>>()?;
    Commit::new(stored.header().clone(), blocks, committee).map_err(|error| InvalidRecord {
        what: format!("commit {}", stored.index()),
        why: error.to_string(),
    })
}

/// Decodes transactions and checks their signatures in parallel; the result keeps the order.
pub fn check(payload: &[&[u8]]) -> Vec<Item> {
    payload.par_iter().map(|bytes| Item::decode(bytes)).collect()
}

fn item_id(item: &Item) -> TransactionId {
    match item {
        Item::Transaction(transaction) => transaction.id(),
        Item::Invalid { id, .. } => *id,
    }
}

#[cfg(test)]
mod tests;

const _: () = assert!(TRANSACTION_BYTES_MAX <= kerbholz_consensus::ITEM_BYTES_MAX);
