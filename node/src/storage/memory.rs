//! [`Storage`] in memory, for the simulator: [`MemoryStorage::crash`] loses exactly what was not
//! synced, as a power cut would. Whoever gave the storage away pulls its [`Plug`].

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kerbholz_consensus::{
    AuthorityIndex, BlockRef, Checkpoint, CommitHeader, CommitteeConfig, Evidence, PublicKey, Round,
};
use kerbholz_ledger::bytes::Bytes;
use kerbholz_ledger::rows::{Read, ReadError, Row, Write};

use super::certified::Answer;
use super::epoch::Epoch;
use super::error::StorageError;
use super::evidence::Book;
use super::sign_after::SignAfter;
use super::{
    Certified, LedgerEntry, Limits, Offenders, RawBlock, Recovered, SharedRows, Storage,
    StoredBlock, StoredCommit,
};

type Table = BTreeMap<Bytes, Bytes>;

/// A disk in memory.
#[derive(Clone)]
pub struct MemoryStorage {
    key: PublicKey,
    /// In order, from 0; never empty.
    epochs: Vec<Epoch>,
    /// The node does not know what it has signed.
    lost_log: bool,
    sign_after: Option<SignAfter>,
    /// Blocks of the newest epoch, accepted, neither committed nor forgotten, in the order of
    /// their appending.
    blocks: Vec<StoredBlock>,
    /// How many of them, from the front, are synced.
    synced_blocks: usize,
    /// The same of the epoch before; all of them are synced.
    before: Vec<StoredBlock>,
    evidence: Book,
    own_last: Option<RawBlock>,
    commits: Vec<StoredCommit>,
    /// By the commit they are of.
    checkpoints: BTreeMap<u64, Checkpoint>,
    /// Committed blocks, each with its commit.
    committed: BTreeMap<BlockRef, (u64, Vec<u8>)>,
    rows: MemoryRows,
    applied: Option<u64>,
    /// What the rows and `applied` were at the last sync, as far as they have changed since.
    undo: BTreeMap<Bytes, Option<Bytes>>,
    synced_applied: Option<u64>,
    plug: Plug,
}

/// The plug of a [`MemoryStorage`] that somebody else holds.
#[derive(Clone, Default)]
pub struct Plug(Arc<Pulled>);

/// What befell the disk since it was last asked what it finds.
#[derive(Default)]
struct Pulled {
    power: AtomicBool,
    log: AtomicBool,
    everything: AtomicBool,
    copies: AtomicBool,
    puts_back: AtomicBool,
    copy: Mutex<Option<Box<MemoryStorage>>>,
}

impl Plug {
    /// Cuts the power: what was not synced is gone when the storage is next asked what it finds at
    /// the start. Nobody may use it in between.
    pub fn pull(&self) {
        self.0.power.store(true, SeqCst);
    }

    /// Cuts the power and replaces the disk by an empty one: see [`MemoryStorage::wipe`].
    pub fn wipe(&self) {
        self.0.everything.store(true, SeqCst);
    }

    /// Cuts the power, and keeps a copy of the disk as it then is.
    pub fn copy(&self) {
        self.pull();
        self.0.copies.store(true, SeqCst);
    }

    /// Cuts the power and puts the copy that was kept last in the place of the disk, if there is
    /// one.
    pub fn put_back(&self) {
        self.0.puts_back.store(true, SeqCst);
    }

    /// Cuts the power and loses the block log: see [`MemoryStorage::lose_log`].
    pub fn lose_log(&self) {
        self.pull();
        self.0.log.store(true, SeqCst);
    }
}

#[derive(Clone, Default)]
struct MemoryRows(Arc<RwLock<Table>>);

impl MemoryStorage {
    /// The disk of a node that has never signed anything, as the setup of a network makes it.
    pub fn found(genesis: &CommitteeConfig, key: PublicKey) -> Self {
        Self {
            key,
            epochs: vec![Epoch::first(genesis)],
            lost_log: false,
            sign_after: None,
            blocks: Vec::new(),
            synced_blocks: 0,
            before: Vec::new(),
            evidence: Book::default(),
            own_last: None,
            commits: Vec::new(),
            checkpoints: BTreeMap::new(),
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

    /// An empty disk that nobody set up: what the node has signed, if anything, is not known.
    pub fn empty(genesis: &CommitteeConfig, key: PublicKey) -> Self {
        Self { lost_log: true, ..Self::found(genesis, key) }
    }

    /// Replaces the disk by an empty one.
    pub fn wipe(&mut self) {
        let first = self.epochs.swap_remove(0);
        let plug = self.plug.clone();
        *self = Self { plug, ..Self::empty(&first.config, self.key) };
    }

    /// Another disk with the same on it.
    fn copy(&self) -> Self {
        let rows = self.rows.read().clone();
        Self { rows: MemoryRows(Arc::new(RwLock::new(rows))), ..self.clone() }
    }

    /// What befell the disk while it was not looked at.
    fn suffer(&mut self) {
        let pulled = Arc::clone(&self.plug.0);
        if pulled.power.swap(false, SeqCst) {
            self.crash();
        }
        if pulled.log.swap(false, SeqCst) {
            self.lose_log();
        }
        let mut copy = pulled.copy.lock().unwrap_or_else(PoisonError::into_inner);
        if pulled.puts_back.swap(false, SeqCst)
            && let Some(copy) = copy.take()
        {
            *self = *copy;
        }
        if pulled.copies.swap(false, SeqCst) {
            *copy = Some(Box::new(self.copy()));
        }
        drop(copy);
        if pulled.everything.swap(false, SeqCst) {
            self.wipe();
        }
    }

    /// Loses the block log, and nothing else.
    pub fn lose_log(&mut self) {
        self.lost_log = true;
        self.blocks.clear();
        self.synced_blocks = 0;
        self.own_last = None;
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

    /// What was not committed never will be, and own blocks of the new epoch there are none.
    fn begin_epoch(&mut self, config: &CommitteeConfig) {
        self.blocks.truncate(self.synced_blocks);
        self.before = std::mem::take(&mut self.blocks);
        self.synced_blocks = 0;
        self.own_last = None;
        self.epochs.push(Epoch { config: config.clone(), base: self.commits.len() as u64 });
    }

    /// Index of the last commit before the newest epoch.
    fn base(&self) -> u64 {
        self.epochs.last().map_or(0, |epoch| epoch.base)
    }

    /// An author's blocks of the newest epoch, with their bytes, in order of round.
    fn of_author(&self, author: AuthorityIndex) -> BTreeMap<BlockRef, &Vec<u8>> {
        let live = self.blocks.iter().map(|block| (block.reference, &block.bytes));
        let committed = self.committed.iter().filter(|(_, (commit, _))| *commit > self.base());
        let committed = committed.map(|(reference, (_, bytes))| (*reference, bytes));
        live.chain(committed).filter(|(block, _)| block.author == author).collect()
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
        self.suffer();
        let last_commit = self.last_commit();
        let rebuild = (self.applied.is_none() && last_commit > 0)
            .then(|| "there is no state, but a ledger".to_owned());
        Recovered {
            epochs: self.epochs.clone(),
            last_commit,
            applied_commit: self.applied,
            rebuild,
            blocks: self.blocks.clone(),
            own_last: self.own_last.clone(),
            own_before: self.before.iter().filter(|block| block.own).map(raw).collect(),
            checkpoint: self.checkpoint().cloned(),
            lost: Vec::new(),
            lost_log: self.lost_log,
            sign_after: self.sign_after,
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
                self.own_last = Some(raw(own));
            }
        }
        Ok(())
    }

    fn append_ledger(&mut self, entries: &[LedgerEntry]) -> Result<(), StorageError> {
        super::segments::check_order(entries, self.last_commit(), self.checkpoint(), &self.epochs)?;
        for entry in entries {
            match entry {
                LedgerEntry::Commit(commit) => {
                    let blocks = commit.blocks().iter();
                    let index = commit.index();
                    self.committed.extend(blocks.map(|b| (b.reference, (index, b.bytes.clone()))));
                    self.commits.push(commit.clone());
                    let listed: BTreeSet<_> = commit.header().blocks.iter().copied().collect();
                    self.retain(|block| !listed.contains(block));
                }
                LedgerEntry::Checkpoint(checkpoint) => {
                    self.checkpoints.insert(checkpoint.statement.index, checkpoint.clone());
                }
                LedgerEntry::Epoch(config) => self.begin_epoch(config),
            }
        }
        Ok(())
    }

    fn epochs(&self) -> &[Epoch] {
        &self.epochs
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
        let mut live = self.blocks.iter().chain(&self.before);
        let live = live.find(|block| block.reference == *reference).map(|block| &block.bytes);
        let committed = || self.committed.get(reference).map(|(_, bytes)| bytes);
        Ok(live.or_else(committed).cloned())
    }

    fn own_blocks_after(&self, round: Round, limit: usize) -> Result<Vec<RawBlock>, StorageError> {
        let own = self.epochs.last().and_then(|epoch| epoch.index_of(&self.key));
        let own = own.map(|own| self.of_author(own)).unwrap_or_default();
        let later = own.into_iter().filter(|(block, _)| block.round > round).take(limit);
        Ok(later.map(|(reference, bytes)| RawBlock { reference, bytes: bytes.clone() }).collect())
    }

    fn newest_of(
        &self,
        author: AuthorityIndex,
        above: Round,
    ) -> Result<Option<RawBlock>, StorageError> {
        let newest = self.of_author(author).pop_last();
        let newest = newest.filter(|(block, _)| block.round > above);
        Ok(newest.map(|(reference, bytes)| RawBlock { reference, bytes: bytes.clone() }))
    }

    fn log_lost(&mut self) -> Result<(), StorageError> {
        (self.lost_log, self.sign_after) = (true, None);
        Ok(())
    }

    fn log_lost_after(&mut self, word: SignAfter) -> Result<(), StorageError> {
        (self.lost_log, self.sign_after) = (true, Some(word));
        Ok(())
    }

    fn log_recovered(&mut self) -> Result<(), StorageError> {
        (self.lost_log, self.sign_after) = (false, None);
        Ok(())
    }

    fn keep_evidence(&mut self, evidence: &Evidence) -> Result<(), StorageError> {
        self.evidence.note(evidence, &self.epochs);
        Ok(())
    }

    fn offenders(&self) -> &Offenders {
        &self.evidence.offenders
    }

    fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoints.last_key_value().map(|(_, newest)| newest)
    }

    fn commit(&self, index: u64) -> Result<Option<StoredCommit>, StorageError> {
        let position = index.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        Ok(position.and_then(|position| self.commits.get(position)).cloned())
    }

    fn commit_header(&self, index: u64) -> Result<Option<CommitHeader>, StorageError> {
        Ok(self.commit(index)?.map(|commit| commit.header))
    }

    fn certified(&self, after: u64, limits: Limits) -> Result<Option<Certified>, StorageError> {
        let Some(mut answer) = Answer::begin(after, self.checkpoint(), limits) else {
            return Ok(None);
        };
        let epoch = Epoch::of(&self.epochs, after + 1).map(Epoch::number);
        for commit in self.commits.iter().skip(usize::try_from(after).unwrap_or(usize::MAX)) {
            let of = Epoch::of(&self.epochs, commit.index()).map(Epoch::number);
            if of != epoch || answer.is_full() {
                break;
            }
            let header = commit.header().clone();
            let length = header.encode().len();
            answer.commit(header, length);
            if let Some(checkpoint) = self.checkpoints.get(&commit.index()) {
                answer.checkpoint(checkpoint.clone());
            }
        }
        Ok(answer.finish())
    }
}

fn raw(block: &StoredBlock) -> RawBlock {
    RawBlock { reference: block.reference, bytes: block.bytes.clone() }
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
        Ok(self.read().get(key).map(|value| value.to_vec()))
    }

    fn view(&self, key: &[u8], see: &mut dyn FnMut(Option<&[u8]>)) -> Result<(), ReadError> {
        see(self.read().get(key).map(|value| &**value));
        Ok(())
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, ReadError> {
        let rows = self.read();
        let from = (Bound::Included(prefix.max(from)), Bound::Unbounded);
        let matching = rows.range::<[u8], _>(from).take_while(|(key, _)| key.starts_with(prefix));
        Ok(matching.take(limit).map(|(key, value)| (key.to_vec(), value.to_vec())).collect())
    }
}

#[cfg(test)]
mod tests;
