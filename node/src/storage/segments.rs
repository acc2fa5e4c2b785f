//! The ledger: committed blocks and checkpoints in the order of the commits.
//!
//! Segments are append-only and chained by hash; each closed one ends on a checkpoint and carries
//! an index of its commits and blocks. An epoch begins with a segment. [`Segments`] appends and
//! looks up (`segments/lookup.rs`), [`SegmentReader`] reads from first to last. What is read is checked; what does not check is named, never served.

mod format;
mod lookup;
mod open;
mod reader;
mod scan;
mod table;
mod walk;

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use kerbholz_consensus::{AuthoritySet, Checkpoint, CommitteeConfig};

use self::format::{Index, MAGIC, Trailer, key, path};
use self::lookup::IndexCache;
pub(super) use self::lookup::Location;
pub use self::reader::{Ending, SegmentReader};
use self::table::Table;
use super::append::{AppendFile, create_whole};
use super::epoch::{self, Epoch};
use super::error::{At, StorageError};
use super::frame::{self, FileHeader, Kind};
use super::{LedgerEntry, encode_reference};

/// A segment that has reached this length, in bytes, is closed at the next checkpoint.
const SEGMENT_TARGET: u64 = 16 << 20;
/// Entries are written at the latest when this many bytes have gathered.
const STAGE_MAX: usize = 4 << 20;
/// A closed segment.
#[derive(Debug)]
struct Closed {
    first: u64,
    epoch: u64,
    trailer: Trailer,
    /// Whose blocks it has, once somebody has looked.
    authors: OnceLock<AuthoritySet>,
    /// The shape of its index, once somebody has asked for something in it.
    table: OnceLock<Table>,
}

impl Closed {
    fn new(first: u64, epoch: u64, trailer: Trailer) -> Self {
        Self { first, epoch, trailer, authors: OnceLock::new(), table: OnceLock::new() }
    }
}

/// The segment that is being written.
struct Open {
    first: u64,
    file: AppendFile,
    hasher: blake3::Hasher,
    index: Index,
    /// Where the newest checkpoint in it begins, 0 for none.
    checkpoint: u64,
}

/// The ledger, opened for appending.
pub(super) struct Segments {
    directory: PathBuf,
    /// In order, from 0; the last one is that of the open segment.
    epochs: Vec<Epoch>,
    closed: Vec<Closed>,
    /// Absent only after the successor of a closed segment could not be created.
    open: Option<Open>,
    last_commit: u64,
    checkpoint: Option<Checkpoint>,
    target: u64,
    cache: IndexCache,
}

/// Entries that are encoded but not written.
#[derive(Default)]
struct Stage {
    bytes: Vec<u8>,
    index: Index,
    last_commit: Option<u64>,
    checkpoint: Option<(u64, Checkpoint)>,
}

impl Segments {
    /// Every epoch, from 0 on.
    pub(super) fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    /// Number of the newest epoch.
    fn epoch(&self) -> u64 {
        self.epochs.last().map_or(0, Epoch::number)
    }

    fn genesis(&self) -> [u8; 32] {
        self.epochs.first().map_or([0; 32], |epoch| epoch.config.network.0)
    }

    /// Index of the last commit that is durable, 0 for none.
    pub(super) fn last_commit(&self) -> u64 {
        self.last_commit
    }

    /// The newest checkpoint that is durable.
    pub(super) fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    /// Appends entries and makes them durable. On failure the entries that are in are whole, and
    /// [`last_commit`](Self::last_commit) says how far they reach.
    pub(super) fn append(&mut self, entries: &[LedgerEntry]) -> Result<(), StorageError> {
        check_order(entries, self.last_commit, self.checkpoint(), self.epochs())?;
        let mut stage = Stage::default();
        for entry in entries {
            if let LedgerEntry::Epoch(config) = entry {
                self.write(std::mem::take(&mut stage))?;
                self.begin_epoch(config)?;
                continue;
            }
            let open = self.opened()?;
            let start = open.file.length();
            let commits = !(open.index.commits.is_empty() && stage.index.commits.is_empty());
            stage.push(start, entry)?;
            let length = start + stage.bytes.len() as u64;
            // The next segment is named by its first commit, so this one needs a commit, too.
            let full =
                matches!(entry, LedgerEntry::Checkpoint(_)) && length >= self.target && commits;
            if full || stage.bytes.len() >= STAGE_MAX {
                self.write(std::mem::take(&mut stage))?;
            }
            if full {
                self.close()?;
            }
        }
        self.write(stage)
    }

    /// The open segment, begun if there is none.
    fn opened(&mut self) -> Result<&mut Open, StorageError> {
        if let Some(open) = self.open.take() {
            return Ok(self.open.insert(open));
        }
        let first = self.last_commit + 1;
        let previous = self.closed.last().map_or([0; 32], |closed| closed.trailer.hash);
        let header = FileHeader { magic: MAGIC, genesis: self.genesis(), first, previous };
        self.begin(first, &header.encode(), 0)
    }

    /// Makes a segment without commits the open one, in the place of any that is there.
    fn begin(
        &mut self,
        first: u64,
        content: &[u8],
        checkpoint: u64,
    ) -> Result<&mut Open, StorageError> {
        let path = path(&self.directory, first);
        create_whole(&path, content)?;
        let file = AppendFile::open(&path, content.len() as u64)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(content);
        Ok(self.open.insert(Open { first, file, hasher, index: Index::default(), checkpoint }))
    }

    /// Begins an epoch on the last commit, whose checkpoint is the newest entry. The one step that
    /// counts is the renaming of a whole file: a crash leaves either the old epoch or the new one.
    fn begin_epoch(&mut self, config: &CommitteeConfig) -> Result<(), StorageError> {
        if !self.opened()?.index.commits.is_empty() {
            self.close()?;
        }
        // What is open now holds no commit, but perhaps the checkpoint on which the epoch builds.
        let open = self.opened()?;
        let (first, checkpoint, length) = (open.first, open.checkpoint, open.file.length());
        let path = path(&self.directory, first);
        let kept = fs::read(&path).at(&path, "read")?;
        let kept = usize::try_from(length).ok().and_then(|length| kept.get(..length));
        let kept = kept.and_then(|kept| kept.get(FileHeader::LENGTH..)).unwrap_or_default();
        let previous = self.closed.last().map_or([0; 32], |closed| closed.trailer.hash);
        let header = FileHeader { magic: MAGIC, genesis: self.genesis(), first, previous };
        let mut content = [&header.encode(), kept].concat();
        let offset = content.len() as u64;
        frame::encode(&mut content, offset, Kind::Epoch, &[&config.encode()])?;
        self.begin(first, &content, checkpoint)?;
        self.epochs.push(Epoch { config: config.clone(), base: first.saturating_sub(1) });
        Ok(())
    }

    fn write(&mut self, stage: Stage) -> Result<(), StorageError> {
        if stage.bytes.is_empty() {
            return Ok(());
        }
        let open = self.opened()?;
        open.file.append_durably(&stage.bytes)?;
        open.hasher.update(&stage.bytes);
        open.index.extend(stage.index);
        if let Some((offset, checkpoint)) = stage.checkpoint {
            open.checkpoint = offset;
            self.checkpoint = Some(checkpoint);
        }
        self.last_commit = stage.last_commit.unwrap_or(self.last_commit);
        Ok(())
    }

    /// Closes the open segment, which ends on a checkpoint, and begins the next one, so that a
    /// missing file is seen.
    fn close(&mut self) -> Result<(), StorageError> {
        let last = self.last_commit;
        let open = self.opened()?;
        let close = open.file.length();
        let hash = open.hasher.finalize().into();
        let (rounds, checkpoint) = (open.index.rounds(), open.checkpoint);
        let trailer = Trailer { close, last, checkpoint, rounds, hash };
        let mut bytes = Vec::new();
        frame::encode(&mut bytes, close, Kind::Close, &[&open.index.encode()])?;
        bytes.extend_from_slice(&trailer.encode());
        open.file.append_durably(&bytes)?;
        let (first, epoch) = (open.first, self.epoch());
        self.closed.push(Closed::new(first, epoch, trailer));
        self.open = None;
        self.opened().map(|_| ())
    }

    #[cfg(test)]
    pub(super) fn set_target(&mut self, bytes: u64) {
        self.target = bytes;
    }

    #[cfg(test)]
    pub(super) fn active(&mut self) -> Option<&mut AppendFile> {
        self.open.as_mut().map(|open| &mut open.file)
    }
}

impl Stage {
    fn push(&mut self, start: u64, entry: &LedgerEntry) -> Result<(), StorageError> {
        let at = |bytes: &Vec<u8>| start + bytes.len() as u64;
        match entry {
            LedgerEntry::Commit(commit) => {
                let offset = at(&self.bytes);
                let header = commit.header.encode();
                frame::encode(&mut self.bytes, offset, Kind::Commit, &[&header])?;
                self.index.commits.push(offset);
                for block in &commit.blocks {
                    let offset = at(&self.bytes);
                    let body: [&[u8]; 2] = [&encode_reference(&block.reference), &block.bytes];
                    frame::encode(&mut self.bytes, offset, Kind::Block, &body)?;
                    self.index.blocks.insert(key(&block.reference), offset);
                }
                self.last_commit = Some(commit.header.index);
                Ok(())
            }
            LedgerEntry::Checkpoint(checkpoint) => {
                let offset = at(&self.bytes);
                self.checkpoint = Some((offset, checkpoint.clone()));
                frame::encode(&mut self.bytes, offset, Kind::Checkpoint, &[&checkpoint.encode()])
            }
            // It begins a file of its own.
            LedgerEntry::Epoch(_) => Ok(()),
        }
    }
}

/// Refuses entries out of order before anything is written.
pub(super) fn check_order<'a>(
    entries: &'a [LedgerEntry],
    mut last: u64,
    checkpoint: Option<&Checkpoint>,
    epochs: &'a [Epoch],
) -> Result<(), StorageError> {
    let mut checkpoint = checkpoint.map(|newest| newest.statement);
    let mut config = epochs.last().map(|epoch| &epoch.config);
    for entry in entries {
        let (offered, fits) = match entry {
            LedgerEntry::Commit(commit) => (commit.index(), commit.index() == last + 1),
            LedgerEntry::Checkpoint(newer) => {
                checkpoint = Some(newer.statement);
                let index = newer.statement.index;
                (index, index <= last)
            }
            LedgerEntry::Epoch(next) => {
                let epoch = next.epoch;
                if let Some(before) = config {
                    epoch::follows(before, last, checkpoint, next)
                        .map_err(|why| StorageError::NoEpoch { epoch, last, why })?;
                }
                config = Some(next);
                (last, true)
            }
        };
        if !fits {
            return Err(StorageError::OutOfOrder { offered, last });
        }
        last = last.max(offered);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
