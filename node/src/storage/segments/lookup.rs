//! Finding commits and blocks: in the index of the open segment, or in those of closed ones. Single
//! ones are looked up in the file; for runs of them an index is read whole, and kept for a while.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use kerbholz_consensus::{AuthorityIndex, BlockRef, CommitHeader, Round};

use super::super::error::StorageError;
use super::super::frame::{FRAME_HEADER, Kind};
use super::super::{RawBlock, StoredCommit};
use super::format::{Index, key, path};
use super::scan::{decode_block, read_record};
use super::table::{Lookup, Table};
use super::{Closed, Segments};

/// How many indexes of closed segments are kept in memory.
const CACHED_INDEXES: usize = 2;

/// Where a block lies in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Location {
    pub(super) segment: u64,
    pub(super) offset: u64,
}

/// Indexes of closed segments by first commit, the most recently used last.
pub(super) type IndexCache = Mutex<VecDeque<(u64, Arc<Index>)>>;

impl Segments {
    /// The commit with its blocks.
    pub(in super::super) fn commit(
        &self,
        index: u64,
    ) -> Result<Option<StoredCommit>, StorageError> {
        let Some((header, path, offset, mut next)) = self.read_header(index)? else {
            return Ok(None);
        };
        let damaged = |what: &str| StorageError::damaged(&path, offset, what);
        let mut blocks = Vec::new();
        for reference in &header.blocks {
            let body = read_record(&path, next, Kind::Block)?;
            next += (FRAME_HEADER + body.len()) as u64;
            let block = decode_block(&body).filter(|block| block.reference == *reference);
            blocks.push(block.ok_or_else(|| damaged("another block than the commit lists"))?);
        }
        Ok(Some(StoredCommit { header, blocks }))
    }

    /// The commit's header.
    pub(in super::super) fn header(
        &self,
        index: u64,
    ) -> Result<Option<CommitHeader>, StorageError> {
        Ok(self.read_header(index)?.map(|(header, ..)| header))
    }

    /// The header with its file, its offset, and where the next record begins.
    fn read_header(
        &self,
        index: u64,
    ) -> Result<Option<(CommitHeader, PathBuf, u64, u64)>, StorageError> {
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
        let next = offset + (FRAME_HEADER + body.len()) as u64;
        Ok(Some((header, path, offset, next)))
    }

    fn commit_location(&self, index: u64) -> Result<Option<(u64, u64)>, StorageError> {
        let of = |first: u64, offset: Option<u64>| offset.map(|offset| (first, offset));
        if let Some(open) = &self.open
            && index >= open.first
        {
            let position = usize::try_from(index - open.first).ok();
            let offset = position.and_then(|position| open.index.commits.get(position));
            return Ok(of(open.first, offset.copied()));
        }
        let position = self.closed.partition_point(|closed| closed.first <= index);
        match position.checked_sub(1).and_then(|position| self.closed.get(position)) {
            None => Ok(None),
            Some(closed) => {
                let offset = self.look_up(closed)?.commit(index - closed.first)?;
                Ok(of(closed.first, offset))
            }
        }
    }

    /// Where the block with this reference lies, if a commit holds it.
    pub(in super::super) fn locate(
        &self,
        reference: &BlockRef,
    ) -> Result<Option<Location>, StorageError> {
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
                && let Some(offset) = self.look_up(closed)?.block(&key)?
            {
                return Ok(Some(Location { segment: closed.first, offset }));
            }
        }
        Ok(None)
    }

    /// The index of a closed segment, for single entries. The first time it is read whole, to see
    /// that it is sound.
    fn look_up(&self, closed: &Closed) -> Result<Lookup, StorageError> {
        let path = path(&self.directory, closed.first);
        let table = match closed.table.get() {
            Some(table) => *table,
            None => {
                let table = Table::check(&path, closed.trailer.close)?;
                *closed.table.get_or_init(|| table)
            }
        };
        table.open(path)
    }

    /// Reads the block at a location.
    pub(in super::super) fn read(&self, location: Location) -> Result<RawBlock, StorageError> {
        let path = path(&self.directory, location.segment);
        let body = read_record(&path, location.offset, Kind::Block)?;
        decode_block(&body).ok_or_else(|| {
            StorageError::damaged(&path, location.offset, "a block without its reference")
        })
    }

    /// The block with this reference, if a commit holds it.
    pub(in super::super) fn block(
        &self,
        reference: &BlockRef,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        let Some(location) = self.locate(reference)? else { return Ok(None) };
        let block = self.read(location)?;
        if block.reference != *reference {
            let path = path(&self.directory, location.segment);
            let what = "another block than the index says";
            return Err(StorageError::damaged(&path, location.offset, what));
        }
        Ok(Some(block.bytes))
    }

    /// Where the committed blocks of an author after a round of the newest epoch are: the lowest
    /// `limit` by round.
    pub(in super::super) fn after(
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
        let epoch = self.closed.partition_point(|closed| closed.epoch < self.epoch());
        for (position, closed) in self.closed.iter().enumerate().skip(epoch) {
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

    /// Where the newest committed block of an author is, of a round of the newest epoch greater
    /// than `above`.
    pub(in super::super) fn newest_of(
        &self,
        author: AuthorityIndex,
        above: Round,
    ) -> Result<Option<(Round, Location)>, StorageError> {
        let mut newest: Option<(Round, Location)> = None;
        let mut gather = |segment: u64, index: &Index| {
            let floor = newest.map_or(above, |(round, _)| round);
            let range = (author, floor, [0xff; 16])..=(author, Round(u64::MAX), [0xff; 16]);
            if let Some(((_, round, _), offset)) = index.blocks.range(range).next_back()
                && *round > floor
            {
                newest = Some((*round, Location { segment, offset: *offset }));
            }
            newest.map_or(above, |(round, _)| round)
        };
        let mut floor = match &self.open {
            Some(open) => gather(open.first, &open.index),
            None => above,
        };
        let of_epoch = self.closed.iter().rev().take_while(|closed| closed.epoch == self.epoch());
        for closed in of_epoch {
            // Somebody without blocks must not make us read the whole epoch again and again.
            let absent = closed.authors.get().is_some_and(|authors| !authors.contains(author));
            if closed.trailer.rounds.1 > floor.0 && !absent {
                let index = self.index(closed)?;
                closed.authors.get_or_init(|| index.authors());
                floor = gather(closed.first, &index);
            }
        }
        Ok(newest)
    }

    /// The index of a closed segment, from memory or from its close record.
    pub(super) fn index(&self, closed: &Closed) -> Result<Arc<Index>, StorageError> {
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
}
