//! Rows that a node keeps beside the ledger's: for receipts, for events, for its newest checkpoint.
//!
//! They are derived like all rows and live in the same store, in tables the ledger never uses.

use kerbholz_client::ledger::codec;
use kerbholz_client::ledger::execute::{Effects, Event, Executed};
use kerbholz_client::ledger::id::{Digest, TransactionId};
use kerbholz_client::ledger::rows::{Read, ReadError, Write};
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

fn key(table: u8, id: &[u8]) -> Vec<u8> {
    [&[table], id].concat()
}

fn read<T: serde::de::DeserializeOwned>(
    rows: &dyn Read,
    key: &[u8],
) -> Result<Option<T>, ReadError> {
    kerbholz_client::ledger::rows::read(rows, key)
}

/// The rows that a commit adds (one for each entry of the log, one for its events), and the removal
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
        let transaction = transactions.get(&executed.id).map(|bytes| bytes.to_vec());
        let row =
            Receivable { executed: executed.clone(), transaction: transaction.unwrap_or_default() };
        let key = key(RECEIVABLE, executed.id.as_bytes());
        writes.push(Write { key, value: Some(codec::encode(&row)) });
    }
    if !effects.events.is_empty() {
        let commit = effects.commit.get();
        let value = Some(codec::encode(&effects.events));
        writes.push(Write { key: key(EVENTS, &commit.to_be_bytes()), value });
        let kept_from = key(EVENTS, &commit.saturating_sub(EVENT_COMMITS_KEPT).to_be_bytes());
        let oldest = rows.scan(&[EVENTS], &[EVENTS], REMOVED_AT_ONCE)?;
        let expired = oldest.into_iter().map(|(key, _)| key).filter(|key| *key < kept_from);
        writes.extend(expired.map(|key| Write { key, value: None }));
    }
    Ok(writes)
}

/// The row of the newest checkpoint.
pub fn covered_write(covered: &Covered) -> Write {
    Write { key: key(COVERED, &[]), value: Some(codec::encode(covered)) }
}

/// The row of the newest commit worth a vote.
pub fn outcome_write(effects: &Effects) -> Write {
    let outcome = Outcome {
        commit: effects.commit.get(),
        log_root: effects.log_root,
        state_digest: effects.state_digest,
    };
    Write { key: key(OUTCOME, &[]), value: Some(codec::encode(&outcome)) }
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
mod tests {
    use super::*;
    use kerbholz_client::ledger::execute::EventBody;
    use kerbholz_client::ledger::memory::Memory;
    use kerbholz_client::ledger::quantity::{CommitIndex, Timestamp};

    /// A commit in which one transaction became final.
    fn commit(rows: &mut Memory, commit: u64) {
        let (id, leaf) = (TransactionId::new([commit as u8; 32]), commit);
        let commit = CommitIndex::new(commit);
        let body = EventBody::Final { result: Ok(()) };
        let event = Event { commit, index: 0, time: Timestamp::ZERO, transaction: id, body };
        let effects = Effects {
            commit,
            writes: vec![],
            executed: vec![Executed { id, leaf, result: Ok(()), writes: vec![] }],
            events: vec![event],
            log_leaves: leaf + 1,
            log_root: Digest::new([0; 32]),
            state_digest: Digest::new([0; 32]),
            next_committee: None,
        };
        let bytes: &[u8] = &[7];
        let writes = writes(rows, &effects, &BTreeMap::from([(id, bytes)])).unwrap();
        rows.apply(&writes);
    }

    fn kept(rows: &Memory) -> Vec<u64> {
        let events = events(rows, 0, usize::MAX).unwrap();
        events.iter().map(|event| event.commit.get()).collect()
    }

    #[test]
    fn old_events_go_a_few_at_a_time_and_receipts_stay() {
        let mut rows = Memory::default();
        let late = EVENT_COMMITS_KEPT + 6;
        (1..=6).for_each(|number| commit(&mut rows, number));
        commit(&mut rows, EVENT_COMMITS_KEPT + 1);
        assert_eq!(kept(&rows), [1, 2, 3, 4, 5, 6, EVENT_COMMITS_KEPT + 1], "all recent enough");
        commit(&mut rows, late);
        assert_eq!(kept(&rows), [5, 6, EVENT_COMMITS_KEPT + 1, late]);
        commit(&mut rows, late + 1);
        assert_eq!(kept(&rows), [EVENT_COMMITS_KEPT + 1, late, late + 1]);
        let found = receivable(&rows, TransactionId::new([1; 32])).unwrap().unwrap();
        assert_eq!((found.executed.leaf, found.transaction), (1, vec![7]));
    }

    #[test]
    fn events_are_read_by_commits_from_a_place_on() {
        let mut rows = Memory::default();
        // Numbers whose little-endian order is another one.
        for number in [1, 2, 256, 257, 65_536] {
            commit(&mut rows, number);
        }
        let read = |from, commits| -> Vec<u64> {
            let events = events(&rows, from, commits).unwrap();
            events.iter().map(|event| event.commit.get()).collect()
        };
        assert_eq!(read(0, 3), [1, 2, 256]);
        assert_eq!(read(3, 2), [256, 257]);
        assert_eq!(read(258, 9), [65_536]);
        assert_eq!(read(65_537, 9), [0; 0]);
    }
}
