//! [`Storage`] on disk: the data directory of a node.

mod opening;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use kerbholz_consensus::{
    AuthorityIndex, BlockRef, Checkpoint, CommitHeader, CommitteeConfig, Evidence, PublicKey, Round,
};

use super::directory::{DataDirectory, Identity};
use super::epoch::Epoch;
use super::error::StorageError;
use super::evidence::Book;
use super::segments::{Location, Segments, check_order};
use super::sign_after::SignAfter;
use super::state::State;
use super::wal::Wal;
use super::{
    Certified, LedgerEntry, Limits, Offenders, RawBlock, Recovered, SharedRows, Storage,
    StoredBlock, StoredCommit, Write,
};

/// The data directory of a node, opened. Dropping it releases the directory at once; it needs no
/// orderly end, since every start treats the last end as a crash.
pub struct DiskStorage {
    key: PublicKey,
    /// The block log of the newest epoch.
    wal: Wal,
    /// That of the epoch before, from which nothing is committed any more.
    before: Option<Wal>,
    segments: Segments,
    state: State,
    evidence: Book,
    recovered: Recovered,
    /// Dropped last: it holds the lock.
    directory: DataDirectory,
}

impl DiskStorage {
    /// Creates the data directory of a node that has never signed anything, as the setup of a
    /// network does: it may sign at once.
    ///
    /// # Errors
    ///
    /// [`StorageError::Exists`] if there is one; else as [`open`](Self::open).
    pub fn found(
        path: &Path,
        genesis: &CommitteeConfig,
        key: PublicKey,
    ) -> Result<(), StorageError> {
        DataDirectory::found(path, Identity { genesis: genesis.network.0, key }).map(drop)
    }

    /// Opens the data directory at `path` of the node with this key, in the network with this
    /// first epoch, and repairs what a crash may have left. A directory that is missing or empty,
    /// or whose block log has vanished, is made good and says so in [`Recovered::lost_log`].
    ///
    /// # Errors
    ///
    /// [`StorageError::InUse`], [`NewerVersion`](StorageError::NewerVersion),
    /// [`EarlierVersion`](StorageError::EarlierVersion),
    /// [`OtherNetwork`](StorageError::OtherNetwork),
    /// [`OtherAuthority`](StorageError::OtherAuthority), [`Unknown`](StorageError::Unknown) if
    /// the directory holds something else; [`StorageError::Damaged`], [`StorageError::Missing`] or
    /// [`StorageError::Lost`] if something that was acknowledged cannot be read. Nothing that was
    /// recorded has been changed then.
    pub fn open(
        path: &Path,
        genesis: &CommitteeConfig,
        key: PublicKey,
    ) -> Result<Self, StorageError> {
        let directory = DataDirectory::open(path, Identity { genesis: genesis.network.0, key })?;
        opening::open(directory, genesis, key)
    }

    /// The directory.
    pub fn directory(&self) -> &DataDirectory {
        &self.directory
    }

    /// Who this node is in the newest epoch; `None` if it only follows.
    fn own(&self) -> Option<AuthorityIndex> {
        self.segments.epochs().last()?.index_of(&self.key)
    }

    /// Appends commits and checkpoints, and releases the blocks of the commits that are in.
    fn append_run(&mut self, entries: &[LedgerEntry]) -> Result<(), StorageError> {
        let appended = self.segments.append(entries);
        let last = self.segments.last_commit();
        for entry in entries {
            if let LedgerEntry::Commit(commit) = entry
                && commit.index() <= last
            {
                self.wal.committed(commit.blocks().iter().map(|block| &block.reference));
            }
        }
        appended
    }

    /// Begins an epoch: its log is there before the ledger says so, and counts only after.
    fn begin_epoch(&mut self, entry: &LedgerEntry, epoch: u64) -> Result<(), StorageError> {
        self.directory.create_log(epoch)?;
        let genesis = self.directory.genesis();
        let (wal, ..) = Wal::open(Wal::examine(&self.directory.log(epoch), genesis)?)?;
        self.segments.append(std::slice::from_ref(entry))?;
        self.before = Some(std::mem::replace(&mut self.wal, wal));
        for over in self.directory.logs()?.into_iter().filter(|log| log + 1 < epoch) {
            self.directory.remove_log(over)?;
        }
        Ok(())
    }
}

impl Storage for DiskStorage {
    fn recover(&mut self) -> Recovered {
        std::mem::take(&mut self.recovered)
    }

    fn append_blocks(&mut self, blocks: &[StoredBlock]) -> Result<(), StorageError> {
        self.wal.append(blocks, self.segments.last_commit())
    }

    fn append_ledger(&mut self, entries: &[LedgerEntry]) -> Result<(), StorageError> {
        let (last, checkpoint) = (self.segments.last_commit(), self.segments.checkpoint());
        check_order(entries, last, checkpoint, self.segments.epochs())?;
        for run in entries.split_inclusive(|entry| matches!(entry, LedgerEntry::Epoch(_))) {
            match run.split_last() {
                Some((entry @ LedgerEntry::Epoch(config), before)) => {
                    self.append_run(before)?;
                    self.begin_epoch(entry, config.epoch)?;
                }
                _ => self.append_run(run)?,
            }
        }
        self.wal.recycle()
    }

    fn epochs(&self) -> &[Epoch] {
        self.segments.epochs()
    }

    fn last_commit(&self) -> u64 {
        self.segments.last_commit()
    }

    fn apply(&mut self, commit: u64, writes: &[Write]) -> Result<(), StorageError> {
        self.state.apply(commit, writes)
    }

    fn sync_state(&mut self) -> Result<(), StorageError> {
        self.evidence.sync(&self.directory.evidence(), self.directory.genesis())?;
        self.state.sync()
    }

    fn forget_through(&mut self, round: Round) -> Result<(), StorageError> {
        self.wal.forget_through(round);
        self.wal.recycle()
    }

    fn rows(&self) -> SharedRows {
        Arc::new(self.state.rows())
    }

    fn block(&self, reference: &BlockRef) -> Result<Option<Vec<u8>>, StorageError> {
        for log in [Some(&self.wal), self.before.as_ref()].into_iter().flatten() {
            if let Some(bytes) = log.block(reference)? {
                return Ok(Some(bytes));
            }
        }
        self.segments.block(reference)
    }

    fn own_blocks_after(&self, round: Round, limit: usize) -> Result<Vec<RawBlock>, StorageError> {
        enum Place {
            Wal(BlockRef),
            Segment(Location),
        }
        let Some(own) = self.own() else { return Ok(Vec::new()) };
        let committed = self.segments.after(own, round, limit)?;
        let mut places: BTreeMap<Round, Place> =
            committed.into_iter().map(|(at, place)| (at, Place::Segment(place))).collect();
        for reference in self.wal.own_after(round).take(limit) {
            places.entry(reference.round).or_insert(Place::Wal(*reference));
        }
        let mut blocks = Vec::new();
        for place in places.into_values().take(limit) {
            match place {
                Place::Segment(location) => blocks.push(self.segments.read(location)?),
                Place::Wal(reference) => {
                    let bytes = self.wal.block(&reference)?;
                    blocks.extend(bytes.map(|bytes| RawBlock { reference, bytes }));
                }
            }
        }
        Ok(blocks)
    }

    fn newest_of(
        &self,
        author: AuthorityIndex,
        above: Round,
    ) -> Result<Option<RawBlock>, StorageError> {
        let live = self.wal.newest_of(author).filter(|block| block.round > above);
        let floor = live.map_or(above, |block| block.round);
        if let Some((_, location)) = self.segments.newest_of(author, floor)? {
            return self.segments.read(location).map(Some);
        }
        let Some(reference) = live.copied() else { return Ok(None) };
        Ok(self.wal.block(&reference)?.map(|bytes| RawBlock { reference, bytes }))
    }

    fn log_lost(&mut self) -> Result<(), StorageError> {
        self.directory.mark_log_lost(None)
    }

    fn log_lost_after(&mut self, word: SignAfter) -> Result<(), StorageError> {
        self.directory.mark_log_lost(Some(word))
    }

    fn log_recovered(&mut self) -> Result<(), StorageError> {
        self.directory.unmark_log_lost()
    }

    fn keep_evidence(&mut self, evidence: &Evidence) -> Result<(), StorageError> {
        match self.evidence.note(evidence, self.segments.epochs()) {
            Some(key) => {
                let (directory, genesis) = (self.directory.evidence(), self.directory.genesis());
                self.evidence.write(key, &directory, genesis)
            }
            None => Ok(()),
        }
    }

    fn offenders(&self) -> &Offenders {
        &self.evidence.offenders
    }

    fn checkpoint(&self) -> Option<&Checkpoint> {
        self.segments.checkpoint()
    }

    fn commit(&self, index: u64) -> Result<Option<StoredCommit>, StorageError> {
        self.segments.commit(index)
    }

    fn commit_header(&self, index: u64) -> Result<Option<CommitHeader>, StorageError> {
        self.segments.header(index)
    }

    fn certified(&self, after: u64, limits: Limits) -> Result<Option<Certified>, StorageError> {
        self.segments.certified(after, limits)
    }
}

#[cfg(test)]
mod tests;
