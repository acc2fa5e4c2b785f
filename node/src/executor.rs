//! The executor makes commits durable, executes them and publishes the outcome.
//!
//! ```text
//! driver ── Commit ──► check signatures in parallel ─► append to the ledger segments (durable)
//!                       ─► ledger::execute ─► one atomic batch of rows ─► Done ──► driver
//! ```
//!
//! [`Executor::perform`] does it in one call, which is all a simulator needs; [`Executor::run`] is
//! the same as a thread of a node. The ledger segments are the truth: rows that a crash loses are
//! made again from them at start.

mod epochs;
mod jobs;

pub use self::jobs::{Job, check};
use self::jobs::{Prepared, item_id, items};
use crate::index::{self, Covered};
use crate::replica::{Done, Executed};
use crate::storage::{
    Epoch, InvalidRecord, LedgerEntry, RawBlock, SharedRows, Storage, StorageError, StoredCommit,
};
use kerbholz_client::ledger::execute::{self, Commit as LedgerCommit, Effects, Item};
use kerbholz_client::ledger::genesis::Genesis;
use kerbholz_client::ledger::governance::PROTOCOL_VERSION;
use kerbholz_client::ledger::id::TransactionId;
use kerbholz_client::ledger::quantity::{CommitIndex, Timestamp};
use kerbholz_client::ledger::query;
use kerbholz_client::ledger::rows::{CommitteeRow, ReadError, Write};
use kerbholz_client::ledger::transaction::TRANSACTION_BYTES_MAX;
use kerbholz_consensus::{Block, Checkpoint, Commit, Committee, CommitteeError, Round};
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
    /// The committee that was voted makes none.
    #[error("the committee that the authorities voted for makes none: {0}")]
    Committee(#[from] CommitteeError),
    /// The authorities have activated a version of the protocol that is younger than this software.
    #[error(
        "commit {commit} is executed by protocol version {version}, and this software knows versions \
         up to {known}: install a release that knows it, and start again; everything before that \
         commit is executed and kept"
    )]
    Outdated {
        /// The first commit of that version that is not executed.
        commit: u64,
        /// The version.
        version: u32,
        /// The newest version known here.
        known: u32,
    },
    /// A commit that the ledger reaches beyond is not there.
    #[error("commit {0} is missing from the ledger segments, which reach beyond it")]
    Missing(u64),
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
    /// That of the present epoch.
    committee: Committee,
    /// The next one, once a commit has closed the present epoch: nothing is executed any more until
    /// the next one has begun.
    next: Option<CommitteeRow>,
    progress: watch::Sender<Progress>,
    /// Leaves of the log after recent commits worth a vote, until a checkpoint covers them.
    leaves: BTreeMap<u64, u64>,
    synced: u64,
    /// The newest version of the protocol that this software executes.
    known: u32,
}

impl Executor {
    /// Brings the state up to the ledger segments: genesis, then whatever was not yet applied.
    /// `committee` is that of the newest epoch in the ledger.
    ///
    /// # Errors
    /// [`ExecuteError`].
    pub fn open(
        storage: SharedStorage,
        committee: Committee,
        genesis: &Genesis,
        applied: Option<u64>,
    ) -> Result<Self, ExecuteError> {
        Self::open_knowing(storage, committee, genesis, applied, PROTOCOL_VERSION)
    }

    /// As software that knows the protocol up to this version.
    fn open_knowing(
        storage: SharedStorage,
        committee: Committee,
        genesis: &Genesis,
        applied: Option<u64>,
        known: u32,
    ) -> Result<Self, ExecuteError> {
        let (rows, epochs) = {
            let storage = lock(&storage);
            (storage.rows(), storage.epochs().to_vec())
        };
        let (progress, _) = watch::channel(Progress::default());
        let leaves = BTreeMap::new();
        let next = None;
        let mut executor =
            Self { storage, rows, committee, next, progress, leaves, synced: 0, known };
        let applied = match applied {
            Some(commit) => commit,
            None => {
                lock(&executor.storage).apply(0, &execute::genesis(genesis)?.writes)?;
                0
            }
        };
        executor.catch_up(&epochs, applied)?;
        executor.restore_closings(&epochs)?;
        executor.next = executor.decided_next()?;
        Ok(executor)
    }

    fn catch_up(&mut self, epochs: &[Epoch], applied: u64) -> Result<(), ExecuteError> {
        let (last, checkpoint) = {
            let storage = lock(&self.storage);
            (storage.last_commit(), storage.checkpoint().cloned())
        };
        let checkpointed = checkpoint.as_ref().map_or(0, |newest| newest.statement.index);
        for index in applied + 1..=last {
            let commit = self.stored(epochs, index)?;
            let items = items(&commit);
            self.execute(&commit, items)?;
            if index < checkpointed {
                self.leaves.clear();
            }
        }
        let ledger = query::ledger(&*self.rows)?;
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

    fn stored(&self, epochs: &[Epoch], index: u64) -> Result<Commit, ExecuteError> {
        let stored = lock(&self.storage).commit(index)?.ok_or(ExecuteError::Missing(index))?;
        let epoch = Epoch::of(epochs, index).ok_or(ExecuteError::Missing(index))?;
        // Committees are made once per epoch, not per commit, as far as possible.
        let committee = if epoch.number() == self.committee.config().epoch {
            self.committee.clone()
        } else {
            epoch.committee()?
        };
        Ok(verify_commit(&stored, &committee)?)
    }

    /// The outcome of the last commit of the epoch worth a vote, for consensus to vote on again after
    /// a restart, and to close the epoch if it is over.
    ///
    /// # Errors
    /// [`ReadError`] when the storage fails.
    pub fn last_done(&self) -> Result<Option<Done>, ReadError> {
        let base = self.base();
        let outcome = index::outcome(&*self.rows)?.filter(|outcome| outcome.commit > base);
        Ok(outcome.map(|outcome| {
            Done::Commit(Executed {
                index: outcome.commit,
                time: Timestamp::ZERO,
                leader: Round::GENESIS,
                log_root: *outcome.log_root.as_bytes(),
                state_digest: *outcome.state_digest.as_bytes(),
                vote: true,
                closes: self.closed_by(outcome.commit),
                transactions: Vec::new(),
            })
        }))
    }

    /// Whether a transaction was executed.
    ///
    /// # Errors
    /// [`ReadError`] when the storage fails.
    pub fn is_final(&self, id: TransactionId) -> Result<bool, ReadError> {
        Ok(query::transaction(&*self.rows, id)?.is_some())
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

    /// Performs jobs in their order: as many as possible are made durable by one sync, then executed.
    /// Returns the outcomes; each is to be given to [`Replica::executed`].
    ///
    /// [`Replica::executed`]: crate::replica::Replica::executed
    ///
    /// # Errors
    /// [`ExecuteError`]: the node must stop. A part may have been performed; the next start finds it.
    pub fn perform(&mut self, jobs: Vec<Job>) -> Result<Vec<Done>, ExecuteError> {
        let mut outcomes = Vec::new();
        let mut batch = Vec::new();
        for job in jobs {
            let job = Prepared::from(job);
            let is_last = job.may_close();
            batch.push(job);
            if is_last {
                self.perform_batch(std::mem::take(&mut batch), &mut outcomes)?;
            }
        }
        self.perform_batch(batch, &mut outcomes)?;
        Ok(outcomes)
    }

    /// Performs jobs of which only the last can close the epoch.
    fn perform_batch(
        &mut self,
        mut batch: Vec<Prepared>,
        outcomes: &mut Vec<Done>,
    ) -> Result<(), ExecuteError> {
        if self.next.is_some() {
            // What was decided beyond the closing commit is of no epoch, and never was in the ledger.
            batch.retain(|job| !matches!(job, Prepared::Commit(..)));
        }
        let entries: Vec<LedgerEntry> = batch.iter().filter_map(Prepared::entry).collect();
        lock(&self.storage).append_ledger(&entries)?;
        for job in batch {
            match job {
                Prepared::Commit(commit, items) => {
                    outcomes.push(Done::Commit(self.execute(&commit, items)?));
                }
                Prepared::Checkpoint(checkpoint) => self.cover(checkpoint)?,
                Prepared::Close(checkpoint) => outcomes.extend(self.close(checkpoint)?),
            }
        }
        Ok(())
    }

    fn execute(&mut self, commit: &Commit, items: Vec<Item>) -> Result<Executed, ExecuteError> {
        let version = execute::version_of(&*self.rows, CommitIndex::new(commit.index()))?;
        if version > self.known {
            let (commit, known) = (commit.index(), self.known);
            return Err(ExecuteError::Outdated { commit, version, known });
        }
        let payload = commit.payload().map(|(_, item)| item);
        let bytes: BTreeMap<TransactionId, &[u8]> =
            items.iter().map(item_id).zip(payload).collect();
        let effects = execute::execute_knowing(
            &LedgerCommit {
                index: CommitIndex::new(commit.index()),
                time: Timestamp::new(commit.time().0),
                items,
            },
            &*self.rows,
            self.known,
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
        self.next.clone_from(&effects.next_committee);
        Ok(Executed {
            index: commit.index(),
            time: Timestamp::new(commit.time().0),
            leader: commit.leader().round,
            log_root: *effects.log_root.as_bytes(),
            state_digest: *effects.state_digest.as_bytes(),
            vote,
            closes: self.next.is_some(),
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

#[cfg(test)]
mod tests;

const _: () = assert!(TRANSACTION_BYTES_MAX <= kerbholz_consensus::ITEM_BYTES_MAX);
