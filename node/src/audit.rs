//! Replay: what an auditor does with a copy of an authority's data and the genesis file.
//!
//! Nothing in the copy is believed. From the blocks alone it recomputes signatures, the chain of
//! commits, every transaction's result, every balance, the committee of each epoch, the log's root
//! and the state's digest, and compares with what a quorum of authorities signed. [`replay`] ends with a [`Replay`] - or with an
//! [`AuditError`] that names the first difference, or the file that is damaged and where. It reads
//! through [`SegmentReader`]: no lock, no write, nothing derived.
//!
//! [`compare()`] holds two authorities' ledgers against one another.

mod books;
mod chain;
mod compare;
mod epochs;
mod error;

pub use chain::Outcome;
pub use compare::{Agreement, compare};
pub use error::{AuditError, Difference};

use crate::storage::{Ending, LedgerEntry, SegmentReader};
use books::Books;
use chain::Chain;
use epochs::Epochs;
use kerbholz_consensus::{Checkpoint, CheckpointError, Commit, Committee, CommitteeConfig};
use kerbholz_ledger::balance::{self, BalanceError, TrialBalance};
use kerbholz_ledger::execute::{self, Effects, Item};
use kerbholz_ledger::genesis::Genesis;
use kerbholz_ledger::governance::PROTOCOL_VERSION;
use kerbholz_ledger::id::NetworkId;
use kerbholz_ledger::memory::Memory;
use kerbholz_ledger::quantity::{CommitIndex, Timestamp};
use rayon::prelude::*;
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

/// Entries whose signatures are checked at once, in parallel.
const BATCH: usize = 256;
/// What a replay found, when everything agrees.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The network.
    pub network: NetworkId,
    /// Commits replayed.
    pub commits: u64,
    /// Blocks in them.
    pub blocks: u64,
    /// Bytes of blocks.
    pub block_bytes: u64,
    /// Entries of the transaction log: transactions and passed deadlines.
    pub transactions: u64,
    /// Of them recorded as refused.
    pub rejected: u64,
    /// Epochs, the present one included: the committee changed once less.
    pub epochs: u64,
    /// Checkpoints verified.
    pub checkpoints: u64,
    /// Commit of the last checkpoint: up to here a quorum vouches for every byte.
    pub checkpoint: u64,
    /// Commits after it, which rest on their blocks' signatures and the commit chain alone.
    pub commits_after_checkpoint: u64,
    /// Up to this round of the present epoch's DAG the blocks themselves prove which leaders are final.
    pub decided_through_round: u64,
    /// Commits with changes after which every balance they touched was compared.
    pub balances_checked: u64,
    /// How often all lots were added up from nothing; always at the end.
    pub balances_added_up: u64,
    /// Digest of the last commit.
    pub commit_digest: String,
    /// Root of the transaction log.
    pub log_root: String,
    /// Digest of the state.
    pub state_digest: String,
    /// The final balance, all differences zero.
    pub balance: TrialBalance,
    /// How the copy ends.
    pub ending: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Transactions per second.
    pub transactions_per_second: f64,
}

/// A replayed ledger: the report, and the state to ask questions of.
pub struct Replay {
    /// What was found.
    pub report: Report,
    /// The state after the last commit.
    pub state: Memory,
    /// What each commit made, in order, to hold against another authority's.
    pub outcomes: Vec<Outcome>,
}

/// Who watches a replay.
pub trait Observer {
    /// A commit was executed and nothing was found wrong.
    fn executed(&mut self, effects: &Effects);

    /// So many bytes of blocks were replayed so far.
    fn advanced(&mut self, bytes: u64);

    /// What consensus had ordered of the commit that was just executed.
    fn ordered(&mut self, _: &Commit, _: &Effects) {}

    /// A checkpoint agreed with what was replayed.
    fn certified(&mut self, _: &Checkpoint) {}
}

/// Nobody watches.
impl Observer for () {
    fn executed(&mut self, _: &Effects) {}
    fn advanced(&mut self, _: u64) {}
}

/// Recomputes the ledger in a data directory (or a copied `ledger` directory) from its blocks.
///
/// # Errors
/// [`AuditError`]: the first difference, or the damaged file.
pub fn replay(
    directory: &Path,
    genesis: &Genesis,
    observer: &mut dyn Observer,
) -> Result<Replay, AuditError> {
    let begin = Instant::now();
    let mut reader = SegmentReader::open(directory)?;
    if reader.genesis() != *genesis.network().as_bytes() {
        let (expected, found) = (genesis.network().to_string(), hex::encode(reader.genesis()));
        return Err(Difference::at(0, "the network of the data", expected, found).into());
    }
    let mut audit = Audit::begin(genesis)?;
    loop {
        let (entries, failure) = next_batch(&mut reader);
        if entries.is_empty() && failure.is_none() {
            break;
        }
        audit.batch(entries, observer)?;
        if let Some(error) = failure {
            return Err(error);
        }
    }
    let ending = match reader.ending() {
        Some(whole @ Ending::Open { .. }) => whole.to_string(),
        Some(cut) => return Err(AuditError::Cut(cut.clone())),
        None => return Err(AuditError::Unended),
    };
    audit.finish(begin, ending)
}

fn next_batch(reader: &mut SegmentReader) -> (Vec<LedgerEntry>, Option<AuditError>) {
    let mut entries = Vec::with_capacity(BATCH);
    while entries.len() < BATCH {
        match reader.next() {
            Some(Ok(entry)) => {
                // What follows is signed by another committee, which is not known yet.
                let ends = matches!(entry, LedgerEntry::Epoch(_));
                entries.push(entry);
                if ends {
                    break;
                }
            }
            Some(Err(error)) => return (entries, Some(error.into())),
            None => break,
        }
    }
    (entries, None)
}

/// An entry whose signatures were checked, or why they do not hold.
enum Checked {
    /// The commit's index; then it with its transactions.
    Commit(u64, Result<(Commit, Vec<Item>), Difference>),
    Checkpoint(Checkpoint, Result<(), CheckpointError>),
    /// The epoch that begins, as recorded.
    Epoch(CommitteeConfig),
}

fn check(entry: LedgerEntry, committee: &Committee) -> Checked {
    match entry {
        LedgerEntry::Commit(stored) => Checked::Commit(
            stored.index(),
            stored
                .verify(committee)
                .map(|commit| {
                    let payload: Vec<&[u8]> = commit.payload().map(|(_, item)| item).collect();
                    let items = payload.par_iter().map(|bytes| Item::decode(bytes)).collect();
                    (commit, items)
                })
                .map_err(|invalid| {
                    Difference::at(stored.index(), invalid.what, "a valid record", invalid.why)
                }),
        ),
        LedgerEntry::Checkpoint(checkpoint) => {
            let verdict = checkpoint.verify(committee);
            Checked::Checkpoint(checkpoint, verdict)
        }
        LedgerEntry::Epoch(config) => Checked::Epoch(config),
    }
}

/// A replay under way.
struct Audit {
    network: NetworkId,
    epochs: Epochs,
    state: Memory,
    chain: Chain,
    books: Books,
    blocks: u64,
    block_bytes: u64,
    rejected: u64,
    checkpoints: u64,
    balances_checked: u64,
    balances_added_up: u64,
    executed_since_balance: u64,
    lots: u64,
}

impl Audit {
    fn begin(genesis: &Genesis) -> Result<Self, AuditError> {
        let epochs = Epochs::begin(genesis)?;
        let first = execute::genesis(genesis)?;
        let mut state = Memory::default();
        state.apply(&first.writes);
        let chain = Chain::new(epochs.committee(), &first);
        Ok(Self {
            network: genesis.network(),
            epochs,
            state,
            chain,
            books: Books::default(),
            blocks: 0,
            block_bytes: 0,
            rejected: 0,
            checkpoints: 0,
            balances_checked: 0,
            balances_added_up: 0,
            executed_since_balance: 0,
            lots: 0,
        })
    }

    fn batch(
        &mut self,
        entries: Vec<LedgerEntry>,
        observer: &mut dyn Observer,
    ) -> Result<(), AuditError> {
        let committee = self.epochs.committee();
        let checked: Vec<Checked> =
            entries.into_par_iter().map(|entry| check(entry, committee)).collect();
        for entry in checked {
            match entry {
                Checked::Commit(index, commit) => {
                    self.epochs.may_commit(index)?;
                    let (commit, items) = commit?;
                    self.commit(&commit, items, observer)?;
                }
                Checked::Checkpoint(checkpoint, verdict) => {
                    self.chain.checkpoint(&checkpoint, verdict)?;
                    self.checkpoints += 1;
                    observer.certified(&checkpoint);
                }
                Checked::Epoch(recorded) => {
                    let (last, covered) = (self.chain.last(), self.chain.covered());
                    let committee = self.epochs.next(&recorded, last, covered)?;
                    self.chain.begin_epoch(committee)?;
                }
            }
        }
        observer.advanced(self.block_bytes);
        Ok(())
    }

    fn commit(
        &mut self,
        commit: &Commit,
        items: Vec<Item>,
        observer: &mut dyn Observer,
    ) -> Result<(), AuditError> {
        self.chain.follows(commit)?;
        let index = commit.index();
        let ordered = execute::Commit {
            index: CommitIndex::new(index),
            time: Timestamp::new(commit.time().0),
            items,
        };
        let version = execute::version_of(&self.state, ordered.index)?;
        if version > PROTOCOL_VERSION {
            return Err(AuditError::Outdated { commit: index, version });
        }
        let effects = execute::execute(&ordered, &self.state)
            .map_err(|error| Difference::at(index, "execution", "a result", error.0))?;
        if !effects.executed.is_empty() {
            self.books
                .commit(&self.state, &effects)
                .map_err(|error| out_of_balance(index, &error))?;
            self.balances_checked += 1;
        }
        self.state.apply(&effects.writes);
        self.blocks += commit.blocks().len() as u64;
        self.block_bytes += commit.blocks().iter().map(|b| b.bytes().len() as u64).sum::<u64>();
        self.rejected += effects.executed.iter().filter(|done| done.result.is_err()).count() as u64;
        self.chain.executed(commit, &effects);
        self.epochs.executed(commit.digest(), &effects);
        self.executed_since_balance += effects.executed.len() as u64;
        // Each time the ledger has grown by about as much again: the cost stays in proportion.
        if self.executed_since_balance > self.lots.max(1_000) {
            self.balance()?;
        }
        observer.executed(&effects);
        observer.ordered(commit, &effects);
        Ok(())
    }

    fn balance(&mut self) -> Result<TrialBalance, AuditError> {
        let balance = balance::check(&self.state);
        let balance = balance.map_err(|error| out_of_balance(self.chain.last(), &error))?;
        self.balances_added_up += 1;
        self.executed_since_balance = 0;
        self.lots = balance.lots;
        Ok(balance)
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn finish(mut self, begin: Instant, ending: String) -> Result<Replay, AuditError> {
        let balance = self.balance()?;
        let decided_through_round = self.chain.decided_through();
        let outcomes = self.chain.into_outcomes();
        let last = outcomes.last().cloned().unwrap_or_default();
        let covered = outcomes.iter().rev().find(|outcome| outcome.covered);
        let checkpoint = covered.map_or(0, |outcome| outcome.index);
        let seconds = begin.elapsed().as_secs_f64();
        let report = Report {
            network: self.network,
            commits: last.index,
            blocks: self.blocks,
            block_bytes: self.block_bytes,
            transactions: last.leaves,
            rejected: self.rejected,
            epochs: self.epochs.number() + 1,
            checkpoints: self.checkpoints,
            checkpoint,
            commits_after_checkpoint: last.index - checkpoint,
            decided_through_round,
            balances_checked: self.balances_checked,
            balances_added_up: self.balances_added_up,
            commit_digest: last.digest.to_string(),
            log_root: hex::encode(last.log_root),
            state_digest: hex::encode(last.state_digest),
            balance,
            ending,
            seconds,
            transactions_per_second: last.leaves as f64 / seconds.max(f64::EPSILON),
        };
        Ok(Replay { report, state: self.state, outcomes })
    }
}

fn out_of_balance(commit: u64, error: &BalanceError) -> Difference {
    Difference::at(commit, "the trial balance", "sums that agree", error)
}

#[cfg(test)]
mod tests;
