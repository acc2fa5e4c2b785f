//! Rows that a node keeps beside the ledger's: for receipts, for events, for its newest checkpoint.
//!
//! They are derived like all rows and live in the same store, in tables the ledger never uses.

mod statement;

use kerbholz_client::committees::EpochEnd;
use kerbholz_client::ledger::codec;
use kerbholz_client::ledger::execute::{Effects, Event, Executed};
use kerbholz_client::ledger::id::{Digest, TransactionId};
use kerbholz_client::ledger::quantity::{CommitIndex, Epoch};
use kerbholz_client::ledger::query;
use kerbholz_client::ledger::receipt::Proof;
use kerbholz_client::ledger::rows::{Read, ReadError, Write, committee_key};
use kerbholz_client::receipt::Receipt;
use kerbholz_consensus::Checkpoint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Transaction id to [`Receivable`].
const RECEIVABLE: u8 = 0xe0;
/// Commit (big endian) to its events.
const EVENTS: u8 = 0xe1;
/// One row: [`Covered`].
const COVERED: u8 = 0xe2;
/// One row: [`Outcome`].
const OUTCOME: u8 = 0xe3;

/// Epoch (big endian) that has ended to [`Ended`].
const ENDED: u8 = 0xe4;
/// Epoch (big endian) that has ended to the checkpoint of its last commit.
const CLOSED: u8 = 0xe5;

// The byte 0xe6 begins the rows of statements: their keys are the protocol's.

/// Commits whose events are kept for those who resume; the ledger itself keeps everything.
pub const EVENT_COMMITS_KEPT: u64 = 100_000;

/// What a receipt needs besides the checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receivable {
    /// The entry of the transaction log, with the rows it changed.
    pub executed: Executed,
    /// The transaction as submitted; empty for a deadline.
    #[serde(with = "serde_bytes")]
    pub transaction: Vec<u8>,
}

/// The newest checkpoint, and how far the transaction log reached at its commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covered {
    /// The checkpoint.
    pub checkpoint: Checkpoint,
    /// Leaves of the transaction log at its commit.
    pub leaves: u64,
}

/// What the newest commit that changed anything came to: what consensus votes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The commit.
    pub commit: u64,
    /// Root of the transaction log after it.
    pub log_root: Digest,
    /// Digest of the state after it.
    pub state_digest: Digest,
}

/// How an epoch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ended {
    /// The vote that decided.
    transaction: TransactionId,
    /// Leaves of the transaction log after the commit.
    leaves: u64,
}

fn key(table: u8, id: &[u8]) -> Vec<u8> {
    [&[table], id].concat()
}

fn read<T: serde::de::DeserializeOwned>(
    rows: &dyn Read,
    key: &[u8],
) -> Result<Option<T>, ReadError> {
    kerbholz_client::ledger::rows::read(rows, key)
}

/// The rows that a commit adds (one for each entry of the log, one for its events, one for each
/// account that was moved), and the removal
/// of events that need no longer be kept.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn writes(
    rows: &dyn Read,
    effects: &Effects,
    transactions: &BTreeMap<TransactionId, &[u8]>,
) -> Result<Vec<Write>, ReadError> {
    /// Removing more than one for each one added keeps the number bounded.
    const REMOVED_AT_ONCE: usize = 4;
    let mut writes = Vec::new();
    for executed in &effects.executed {
        writes.push(receivable_write(executed, transactions.get(&executed.id).copied()));
    }
    writes.extend(ended_write(effects));
    writes.extend(statement::writes(rows, effects)?);
    if !effects.events.is_empty() {
        let commit = effects.commit.get();
        let key = |commit: u64| key(EVENTS, &commit.to_be_bytes());
        writes.push(Write::set(key(commit), codec::encode(&effects.events)));
        let kept_from = key(commit.saturating_sub(EVENT_COMMITS_KEPT));
        let oldest = rows.scan(&[EVENTS], &[EVENTS], REMOVED_AT_ONCE)?;
        let expired = oldest.into_iter().map(|(key, _)| key).filter(|key| *key < kept_from);
        writes.extend(expired.map(Write::remove));
    }
    Ok(writes)
}

/// The row of what a receipt needs of an entry of the log; of a deadline there are no bytes.
pub fn receivable_write(executed: &Executed, transaction: Option<&[u8]>) -> Write {
    let transaction = transaction.unwrap_or_default().to_vec();
    let row = Receivable { executed: executed.clone(), transaction };
    let key = key(RECEIVABLE, executed.id.as_bytes());
    Write::set(key, codec::encode(&row))
}

/// Which vote ended the epoch, if the commit was its last.
pub fn ended_write(effects: &Effects) -> Option<Write> {
    let next = effects.next_committee.as_ref()?;
    let row_key = committee_key(next.epoch);
    let decides = |done: &&Executed| done.writes.iter().any(|write| *write.key == row_key);
    let transaction = effects.executed.iter().find(decides)?.id;
    let ended = Ended { transaction, leaves: effects.log_leaves };
    let epoch = next.epoch.checked_sub(Epoch::new(1))?;
    Some(Write::set(key(ENDED, &epoch.get().to_be_bytes()), codec::encode(&ended)))
}

/// The row of the checkpoint that closed an epoch, if this is the one of the epoch before the
/// present one.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn closed_write(rows: &dyn Read, checkpoint: &Checkpoint) -> Result<Option<Write>, ReadError> {
    let committee = query::committee(rows)?;
    let Some(epoch) = committee.epoch.checked_sub(Epoch::new(1)) else { return Ok(None) };
    if committee.decided_in.get() != checkpoint.statement.index {
        return Ok(None);
    }
    Ok(Some(closing_write(epoch, checkpoint)))
}

/// The row of the checkpoint that closed this epoch.
pub fn closing_write(epoch: Epoch, checkpoint: &Checkpoint) -> Write {
    Write::set(key(CLOSED, &epoch.get().to_be_bytes()), codec::encode(checkpoint))
}

/// Whether the checkpoint that closed this epoch is among the rows.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn is_closed(rows: &dyn Read, epoch: Epoch) -> Result<bool, ReadError> {
    Ok(rows.get(&key(CLOSED, &epoch.get().to_be_bytes()))?.is_some())
}

/// The proof of how each epoch before this one ended; `None` when a checkpoint is not there yet.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn epoch_ends(rows: &dyn Read, before: Epoch) -> Result<Option<Vec<EpochEnd>>, ReadError> {
    (0..before.get()).map(|epoch| epoch_end(rows, Epoch::new(epoch))).collect()
}

/// The proof of how an epoch ended; `None` when it has not, or its checkpoint is not there yet.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn epoch_end(rows: &dyn Read, epoch: Epoch) -> Result<Option<EpochEnd>, ReadError> {
    let epoch = epoch.get().to_be_bytes();
    let checkpoint: Option<Checkpoint> = read(rows, &key(CLOSED, &epoch))?;
    let ended: Option<Ended> = read(rows, &key(ENDED, &epoch))?;
    let (Some(checkpoint), Some(ended)) = (checkpoint, ended) else { return Ok(None) };
    let Some(vote) = receivable(rows, ended.transaction)? else { return Ok(None) };
    let proof = Proof::of(rows, vote.executed, None, ended.leaves)?;
    Ok(Some(EpochEnd { proof, checkpoint }))
}

/// The row of the newest checkpoint.
pub fn covered_write(covered: &Covered) -> Write {
    Write::set(key(COVERED, &[]), codec::encode(covered))
}

/// The row of the newest commit worth a vote.
pub fn outcome_write(effects: &Effects) -> Write {
    let outcome = Outcome {
        commit: effects.commit.get(),
        log_root: effects.log_root,
        state_digest: effects.state_digest,
    };
    Write::set(key(OUTCOME, &[]), codec::encode(&outcome))
}

/// The newest commit worth a vote.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn outcome(rows: &dyn Read) -> Result<Option<Outcome>, ReadError> {
    read(rows, &key(OUTCOME, &[]))
}

/// The newest checkpoint.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn covered(rows: &dyn Read) -> Result<Option<Covered>, ReadError> {
    read(rows, &key(COVERED, &[]))
}

/// What a receipt of a transaction needs.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn receivable(rows: &dyn Read, id: TransactionId) -> Result<Option<Receivable>, ReadError> {
    read(rows, &key(RECEIVABLE, id.as_bytes()))
}

/// The receipt of a transaction, if the newest checkpoint covers it.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn receipt(rows: &dyn Read, id: TransactionId) -> Result<Option<Receipt>, ReadError> {
    let Some(found) = receivable(rows, id)? else { return Ok(None) };
    let Some(covered) = covered(rows)? else { return Ok(None) };
    if found.executed.leaf >= covered.leaves {
        return Ok(None);
    }
    let transaction = (!found.transaction.is_empty()).then_some(found.transaction);
    let proof = Proof::of(rows, found.executed, transaction, covered.leaves)?;
    let commit = CommitIndex::new(covered.checkpoint.statement.index);
    let epoch = query::epoch_of(rows, commit)?;
    let Some(epochs) = epoch_ends(rows, epoch)? else { return Ok(None) };
    Ok(Some(Receipt { epochs, proof, checkpoint: covered.checkpoint }))
}

/// Events of up to `commits` commits with events, from commit `from` on.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn events(rows: &dyn Read, from: u64, commits: usize) -> Result<Vec<Event>, ReadError> {
    let found = rows.scan(&[EVENTS], &key(EVENTS, &from.to_be_bytes()), commits)?;
    let mut events = Vec::new();
    for (key, value) in found {
        let some: Vec<Event> = codec::decode_trusted(&value)
            .map_err(|error| ReadError(format!("row {}: {error}", hex::encode(key))))?;
        events.extend(some);
    }
    Ok(events)
}

#[cfg(test)]
mod tests;
