//! The ledger: committed blocks and checkpoints in the order of the commits.
//!
//! Segments are append-only and chained by hash; each closed one ends on a checkpoint and carries
//! an index of its commits and blocks. [`Segments`] appends and looks up, [`SegmentReader`] reads
//! from first to last. What is read is checked; what does not check is named, never served.

mod format;
mod open;
mod reader;
mod scan;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use kerbholz_consensus::{AuthorityIndex, BlockRef, Checkpoint, CommitHeader, Round};

use self::format::{Index, MAGIC, Trailer, key, path};
pub use self::reader::{Ending, SegmentReader};
use self::scan::{decode_block, read_record};
use super::append::{AppendFile, create_whole};
use super::error::StorageError;
use super::frame::{self, FRAME_HEADER, FileHeader, Kind};
use super::{LedgerEntry, RawBlock, StoredCommit, encode_reference};

/// A segment that has reached this length, in bytes, is closed at the next checkpoint.
const SEGMENT_TARGET: u64 = 16 << 20;
/// Entries are written at the latest when this many bytes have gathered.
const STAGE_MAX: usize = 4 << 20;
/// How many indexes of closed segments are kept in memory.
const CACHED_INDEXES: usize = 2;

/// A closed segment.
#[derive(Clone, Copy, Debug)]
struct Closed {
    first: u64,
    trailer: Trailer,
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

/// Where a block lies in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Location {
    segment: u64,
    offset: u64,
}

/// Indexes of closed segments by first commit, the most recently used last.
type IndexCache = Mutex<VecDeque<(u64, Arc<Index>)>>;

/// The ledger, opened for appending.
pub(super) struct Segments {
    directory: PathBuf,
    genesis: [u8; 32],
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
        check_order(entries, self.last_commit)?;
        let mut stage = Stage::default();
        for entry in entries {
            let start = self.opened()?.file.length();
            stage.push(start, entry)?;
            let length = start + stage.bytes.len() as u64;
            let full = matches!(entry, LedgerEntry::Checkpoint(_)) && length >= self.target;
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
        let header = FileHeader { magic: MAGIC, genesis: self.genesis, first, previous }.encode();
        let path = path(&self.directory, first);
        create_whole(&path, &header)?;
        let file = AppendFile::open(&path, header.len() as u64)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&header);
        Ok(self.open.insert(Open { first, file, hasher, index: Index::default(), checkpoint: 0 }))
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
        let first = open.first;
        self.closed.push(Closed { first, trailer });
        self.open = None;
        self.opened().map(|_| ())
    }

    /// The commit with its blocks.
    pub(super) fn commit(&self, index: u64) -> Result<Option<StoredCommit>, StorageError> {
        if index == 0 || index > self.last_commit {
            return Ok(None);
        }
        let Some((segment, offset)) = self.commit_location(index)? else { return Ok(None) };
        let path = path(&self.directory, segment);
        let damaged = |what: &str| StorageError::damaged(&path, offset, what);
        let body = read_record(&path, offset, Kind::Commit)?;
        let header = CommitHeader::decode(&body).map_err(|fault| damaged(&fault.to_string()))?;
        if header.index != index {
            return Err(damaged("another commit than the index says"));
        }
        let mut next = offset + (FRAME_HEADER + body.len()) as u64;
        let mut blocks = Vec::new();
        for reference in &header.blocks {
            let body = read_record(&path, next, Kind::Block)?;
            next += (FRAME_HEADER + body.len()) as u64;
            let block = decode_block(&body).filter(|block| block.reference == *reference);
            blocks.push(block.ok_or_else(|| damaged("another block than the commit lists"))?);
        }
        Ok(Some(StoredCommit { header, blocks }))
    }

    fn commit_location(&self, index: u64) -> Result<Option<(u64, u64)>, StorageError> {
        let place = |first: u64, table: &Index| {
            let position = usize::try_from(index.checked_sub(first)?).ok()?;
            Some((first, *table.commits.get(position)?))
        };
        if let Some(open) = &self.open
            && index >= open.first
        {
            return Ok(place(open.first, &open.index));
        }
        let position = self.closed.partition_point(|closed| closed.first <= index);
        match position.checked_sub(1).and_then(|position| self.closed.get(position)) {
            None => Ok(None),
            Some(closed) => Ok(place(closed.first, &*self.index(closed)?)),
        }
    }

    /// Where the block with this reference lies, if a commit holds it.
    pub(super) fn locate(&self, reference: &BlockRef) -> Result<Option<Location>, StorageError> {
        let key = key(reference);
        if let Some(open) = &self.open
            && let Some(offset) = open.index.blocks.get(&key)
        {
            return Ok(Some(Location { segment: open.first, offset: *offset }));
        }
        let round = reference.round.0;
        for closed in self.closed.iter().rev() {
            let (low, high) = closed.trailer.rounds;
            if (low..=high).contains(&round)
                && let Some(offset) = self.index(closed)?.blocks.get(&key)
            {
                return Ok(Some(Location { segment: closed.first, offset: *offset }));
            }
        }
        Ok(None)
    }

    /// Reads the block at a location.
    pub(super) fn read(&self, location: Location) -> Result<RawBlock, StorageError> {
        let path = path(&self.directory, location.segment);
        let body = read_record(&path, location.offset, Kind::Block)?;
        decode_block(&body).ok_or_else(|| {
            StorageError::damaged(&path, location.offset, "a block without its reference")
        })
    }

    /// The block with this reference, if a commit holds it.
    pub(super) fn block(&self, reference: &BlockRef) -> Result<Option<Vec<u8>>, StorageError> {
        let Some(location) = self.locate(reference)? else { return Ok(None) };
        let block = self.read(location)?;
        if block.reference != *reference {
            let path = path(&self.directory, location.segment);
            let what = "another block than the index says";
            return Err(StorageError::damaged(&path, location.offset, what));
        }
        Ok(Some(block.bytes))
    }

    /// Where the committed blocks of an author after a round are: the lowest `limit` by round.
    pub(super) fn after(
        &self,
        author: AuthorityIndex,
        round: Round,
        limit: usize,
    ) -> Result<Vec<(Round, Location)>, StorageError> {
        let mut found = Vec::new();
        let mut gather = |segment: u64, index: &Index| {
            let range = (author, round, [0xff; 16])..=(author, Round(u64::MAX), [0xff; 16]);
            let newer = index.blocks.range(range).filter(|((_, at, _), _)| *at > round);
            found.extend(
                newer
                    .take(limit)
                    .map(|((_, at, _), offset)| (*at, Location { segment, offset: *offset })),
            );
            found.sort_by_key(|(at, _)| *at);
            found.truncate(limit);
            found.last().filter(|_| found.len() == limit).map(|(at, _)| at.0)
        };
        for (position, closed) in self.closed.iter().enumerate() {
            if closed.trailer.rounds.1 <= round.0 {
                continue;
            }
            // A block may be committed later than one of a higher round, so the rounds of
            // segments overlap: enough is found only when all later ones begin above it.
            let enough = gather(closed.first, &*self.index(closed)?);
            let mut later = self.closed.iter().skip(position + 1);
            if enough.is_some_and(|last| later.all(|later| later.trailer.rounds.0 > last)) {
                break;
            }
        }
        if let Some(open) = &self.open {
            gather(open.first, &open.index);
        }
        Ok(found)
    }

    /// The index of a closed segment, from memory or from its close record.
    fn index(&self, closed: &Closed) -> Result<Arc<Index>, StorageError> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(position) = cache.iter().position(|(first, _)| *first == closed.first)
            && let Some(hit) = cache.remove(position)
        {
            let index = hit.1.clone();
            cache.push_back(hit);
            return Ok(index);
        }
        let path = path(&self.directory, closed.first);
        let body = read_record(&path, closed.trailer.close, Kind::Close)?;
        let index = Arc::new(Index::decode(&body).ok_or_else(|| {
            StorageError::damaged(&path, closed.trailer.close, "the index of the segment")
        })?);
        if cache.len() >= CACHED_INDEXES {
            cache.pop_front();
        }
        cache.push_back((closed.first, index.clone()));
        Ok(index)
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
        }
    }
}

/// Refuses entries out of order before anything is written.
pub(super) fn check_order(entries: &[LedgerEntry], mut last: u64) -> Result<(), StorageError> {
    for entry in entries {
        let (offered, fits) = match entry {
            LedgerEntry::Commit(commit) => (commit.index(), commit.index() == last + 1),
            LedgerEntry::Checkpoint(checkpoint) => {
                let index = checkpoint.statement.index;
                (index, index <= last)
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
