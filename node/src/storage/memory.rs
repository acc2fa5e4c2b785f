//! [`Storage`] in memory, for the simulator: [`MemoryStorage::crash`] loses exactly what was not
//! synced, as a power cut would. Whoever gave the storage away pulls its [`Plug`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kerbholz_consensus::{AuthorityIndex, BlockRef, Checkpoint, Round};
use kerbholz_ledger::rows::{Read, ReadError, Row, Write};

use super::error::StorageError;
use super::{LedgerEntry, RawBlock, Recovered, SharedRows, Storage, StoredBlock, StoredCommit};

type Table = BTreeMap<Vec<u8>, Vec<u8>>;

/// A disk in memory.
pub struct MemoryStorage {
    own: AuthorityIndex,
    /// Accepted, neither committed nor forgotten, in the order of their appending.
    blocks: Vec<StoredBlock>,
    /// How many of them, from the front, are synced.
    synced_blocks: usize,
    own_last: Option<RawBlock>,
    commits: Vec<StoredCommit>,
    checkpoint: Option<Checkpoint>,
    committed: BTreeMap<BlockRef, Vec<u8>>,
    rows: MemoryRows,
    applied: Option<u64>,
    /// What the rows and `applied` were at the last sync, as far as they have changed since.
    undo: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    synced_applied: Option<u64>,
    plug: Plug,
}

/// The plug of a [`MemoryStorage`] that somebody else holds.
#[derive(Clone, Debug, Default)]
pub struct Plug(Arc<AtomicBool>);

impl Plug {
    /// Cuts the power: what was not synced is gone when the storage is next asked what it finds at
    /// the start. Nobody may use it in between.
    pub fn pull(&self) {
        self.0.store(true, SeqCst);
    }
}

#[derive(Clone, Default)]
struct MemoryRows(Arc<RwLock<Table>>);

impl MemoryStorage {
    /// An empty disk of the authority `own`.
    pub fn new(own: AuthorityIndex) -> Self {
        Self {
            own,
            blocks: Vec::new(),
            synced_blocks: 0,
            own_last: None,
            commits: Vec::new(),
            checkpoint: None,
            committed: BTreeMap::new(),
            rows: MemoryRows::default(),
            applied: None,
            undo: BTreeMap::new(),
            synced_applied: None,
            plug: Plug::default(),
        }
    }

    /// The plug, to be kept when the storage is given away.
    pub fn plug(&self) -> Plug {
        self.plug.clone()
    }

    /// Pulls the plug: what was not synced is gone. [`Storage::recover`] then says what is left.
    pub fn crash(&mut self) {
        self.blocks.truncate(self.synced_blocks);
        let mut rows = self.rows.write();
        for (key, value) in std::mem::take(&mut self.undo) {
            match value {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
        self.applied = self.synced_applied;
    }

    /// Keeps the blocks that `keep` says, and the boundary between synced and not.
    fn retain(&mut self, keep: impl Fn(&BlockRef) -> bool) {
        let synced = self.blocks.iter().take(self.synced_blocks);
        self.synced_blocks = synced.filter(|block| keep(&block.reference)).count();
        self.blocks.retain(|block| keep(&block.reference));
    }
}

impl Storage for MemoryStorage {
    fn recover(&mut self) -> Recovered {
        if self.plug.0.swap(false, SeqCst) {
            self.crash();
        }
        let last_commit = self.last_commit();
        let rebuild = (self.applied.is_none() && last_commit > 0)
            .then(|| "there is no state, but a ledger".to_owned());
        Recovered {
            last_commit,
            applied_commit: self.applied,
            rebuild,
            blocks: self.blocks.clone(),
            own_last: self.own_last.clone(),
            checkpoint: self.checkpoint.clone(),
            lost: Vec::new(),
        }
    }

    fn append_blocks(&mut self, blocks: &[StoredBlock]) -> Result<(), StorageError> {
        for block in blocks {
            if !self.blocks.iter().any(|known| known.reference == block.reference) {
                self.blocks.push(block.clone());
            }
        }
        let own = blocks.iter().filter(|block| block.own);
        if let Some(own) = own.max_by_key(|block| block.reference.round) {
            self.synced_blocks = self.blocks.len();
            let newest = self.own_last.as_ref().map(|last| last.reference.round);
            if newest.is_none_or(|newest| newest < own.reference.round) {
                let (reference, bytes) = (own.reference, own.bytes.clone());
                self.own_last = Some(RawBlock { reference, bytes });
            }
        }
        Ok(())
    }

    fn append_ledger(&mut self, entries: &[LedgerEntry]) -> Result<(), StorageError> {
        super::segments::check_order(entries, self.last_commit())?;
        for entry in entries {
            match entry {
                LedgerEntry::Commit(commit) => {
                    let blocks = commit.blocks().iter();
                    self.committed.extend(blocks.map(|b| (b.reference, b.bytes.clone())));
                    self.commits.push(commit.clone());
                }
                LedgerEntry::Checkpoint(checkpoint) => self.checkpoint = Some(checkpoint.clone()),
            }
        }
        let committed = std::mem::take(&mut self.committed);
        self.retain(|block| !committed.contains_key(block));
        self.committed = committed;
        Ok(())
    }

    fn last_commit(&self) -> u64 {
        self.commits.len() as u64
    }

    fn apply(&mut self, commit: u64, writes: &[Write]) -> Result<(), StorageError> {
        let mut rows = self.rows.write();
        for Write { key, value } in writes {
            let old = match value {
                Some(value) => rows.insert(key.clone(), value.clone()),
                None => rows.remove(key),
            };
            self.undo.entry(key.clone()).or_insert(old);
        }
        self.applied = Some(commit);
        Ok(())
    }

    fn sync_state(&mut self) -> Result<(), StorageError> {
        self.undo.clear();
        self.synced_applied = self.applied;
        Ok(())
    }

    fn forget_through(&mut self, round: Round) -> Result<(), StorageError> {
        self.retain(|block| block.round > round);
        Ok(())
    }

    fn rows(&self) -> SharedRows {
        Arc::new(self.rows.clone())
    }

    fn block(&self, reference: &BlockRef) -> Result<Option<Vec<u8>>, StorageError> {
        let live = self.blocks.iter().find(|block| block.reference == *reference);
        let live = live.map(|block| &block.bytes);
        Ok(live.or_else(|| self.committed.get(reference)).cloned())
    }

    fn own_blocks_after(&self, round: Round, limit: usize) -> Result<Vec<RawBlock>, StorageError> {
        let live = self.blocks.iter().filter(|block| block.own);
        let live = live.map(|block| (block.reference, &block.bytes));
        let committed = self.committed.iter().map(|(reference, bytes)| (*reference, bytes));
        let own: BTreeMap<BlockRef, &Vec<u8>> = live
            .chain(committed)
            .filter(|(block, _)| block.author == self.own && block.round > round)
            .collect();
        let blocks = own.into_iter().take(limit);
        Ok(blocks.map(|(reference, bytes)| RawBlock { reference, bytes: bytes.clone() }).collect())
    }

    fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    fn commit(&self, index: u64) -> Result<Option<StoredCommit>, StorageError> {
        let position = index.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        Ok(position.and_then(|position| self.commits.get(position)).cloned())
    }
}

impl MemoryRows {
    // A poisoned lock only says that a reader panicked: the table is whole after every statement.
    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Read for MemoryRows {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.read().get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, ReadError> {
        let rows = self.read();
        let start = prefix.max(from).to_vec();
        let matching = rows.range(start..).take_while(|(key, _)| key.starts_with(prefix));
        Ok(matching.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

#[cfg(test)]
mod tests;
