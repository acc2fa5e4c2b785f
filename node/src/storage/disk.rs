//! [`Storage`] on disk: the data directory of a node.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use kerbholz_consensus::{AuthorityIndex, BlockRef, Checkpoint, Round};

use super::directory::DataDirectory;
use super::error::StorageError;
use super::segments::{Location, Segments};
use super::state::State;
use super::wal::Wal;
use super::watermark::Watermark;
use super::{
    LedgerEntry, RawBlock, Recovered, SharedRows, Storage, StoredBlock, StoredCommit, Write,
};

/// The data directory of a node, opened. Dropping it releases the directory at once; it needs no
/// orderly end, since every start treats the last end as a crash.
pub struct DiskStorage {
    own: AuthorityIndex,
    wal: Wal,
    segments: Segments,
    state: State,
    recovered: Recovered,
    /// Dropped last: it holds the lock.
    directory: DataDirectory,
}

impl DiskStorage {
    /// Opens, or creates, the data directory at `path` for the authority `own` of the network with
    /// this genesis digest, and repairs what a crash may have left.
    ///
    /// # Errors
    ///
    /// What [`DataDirectory::open`] refuses; [`StorageError::Damaged`], [`StorageError::Missing`]
    /// or [`StorageError::Lost`] if something that was acknowledged cannot be read. Nothing has
    /// been changed then.
    pub fn open(path: &Path, genesis: [u8; 32], own: AuthorityIndex) -> Result<Self, StorageError> {
        let directory = DataDirectory::open(path, genesis)?;
        let watermark = Watermark::open(&directory.watermark())?;
        let (state, rebuild) = State::open(&directory.state())?;
        let applied = state.applied_commit();
        // Rows are written after their commit is durable, so the ledger reaches at least there.
        let commit_min = watermark.marks().commit.max(applied.unwrap_or(0));
        let (segments, torn) = Segments::open(&directory.ledger(), genesis, commit_min)?;
        let (mut wal, blocks, mut lost) = Wal::open(&directory.wal(), genesis, watermark)?;
        lost.extend(torn);
        let own_last = wal.own_last()?;
        if let Some(block) = own_last.as_ref().filter(|block| block.reference.author != own) {
            let (found, expected) = (block.reference.author.0, own.0);
            return Err(StorageError::OtherAuthority { path: directory.wal(), found, expected });
        }
        let mut pending = Vec::new();
        for block in blocks {
            if segments.locate(&block.reference)?.is_some() {
                wal.committed([&block.reference]);
            } else {
                pending.push(block);
            }
        }
        let last_commit = segments.last_commit();
        let empty = (applied.is_none() && last_commit > 0)
            .then(|| "there is no state, but a ledger".to_owned());
        let recovered = Recovered {
            last_commit,
            applied_commit: applied,
            rebuild: rebuild.or(empty),
            blocks: pending,
            own_last,
            checkpoint: segments.checkpoint().cloned(),
            lost,
        };
        Ok(Self { own, wal, segments, state, recovered, directory })
    }

    /// The directory.
    pub fn directory(&self) -> &DataDirectory {
        &self.directory
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
        let appended = self.segments.append(entries);
        let last = self.segments.last_commit();
        for entry in entries {
            if let LedgerEntry::Commit(commit) = entry
                && commit.index() <= last
            {
                self.wal.committed(commit.blocks().iter().map(|block| &block.reference));
            }
        }
        appended?;
        self.wal.recycle()
    }

    fn last_commit(&self) -> u64 {
        self.segments.last_commit()
    }

    fn apply(&mut self, commit: u64, writes: &[Write]) -> Result<(), StorageError> {
        self.state.apply(commit, writes)
    }

    fn sync_state(&mut self) -> Result<(), StorageError> {
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
        match self.wal.block(reference)? {
            Some(bytes) => Ok(Some(bytes)),
            None => self.segments.block(reference),
        }
    }

    fn own_blocks_after(&self, round: Round, limit: usize) -> Result<Vec<RawBlock>, StorageError> {
        enum Place {
            Wal(BlockRef),
            Segment(Location),
        }
        let committed = self.segments.after(self.own, round, limit)?;
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

    fn checkpoint(&self) -> Option<&Checkpoint> {
        self.segments.checkpoint()
    }

    fn commit(&self, index: u64) -> Result<Option<StoredCommit>, StorageError> {
        self.segments.commit(index)
    }
}

#[cfg(test)]
mod tests;
