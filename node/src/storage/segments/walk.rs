//! Reads headers up to a checkpoint without the blocks between them. Nothing is kept in memory for
//! it: each answer walks the records it is made of.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use kerbholz_consensus::{Checkpoint, CommitHeader};

use super::super::certified::Answer;
use super::super::error::{At, StorageError};
use super::super::frame::{FRAME_HEADER, FileHeader, FrameHeader, Kind};
use super::super::{Certified, Limits};
use super::Segments;
use super::format::{Index, key, path};
use super::scan::read_record;

impl Segments {
    /// See [`Storage::certified`](super::super::Storage::certified).
    pub(in super::super) fn certified(
        &self,
        after: u64,
        limits: Limits,
    ) -> Result<Option<Certified>, StorageError> {
        let Some(mut answer) = Answer::begin(after, self.checkpoint(), limits) else {
            return Ok(None);
        };
        for closed in self.closed.iter().filter(|closed| closed.trailer.last > after) {
            let (index, path) = (self.index(closed)?, path(&self.directory, closed.first));
            let walk = Walk::new(path, closed.first, closed.trailer.close, &index)?;
            if !walk.read(&mut answer)? {
                return Ok(answer.finish());
            }
        }
        if let Some(open) = &self.open {
            let path = path(&self.directory, open.first);
            Walk::new(path, open.first, open.file.length(), &open.index)?.read(&mut answer)?;
        }
        Ok(answer.finish())
    }
}

/// Goes through the records of one segment, from header to header.
struct Walk<'a> {
    path: PathBuf,
    file: File,
    first: u64,
    /// Where the records end.
    end: u64,
    index: &'a Index,
}

impl<'a> Walk<'a> {
    fn new(path: PathBuf, first: u64, end: u64, index: &'a Index) -> Result<Self, StorageError> {
        let file = File::open(&path).at(&path, "open")?;
        Ok(Self { path, file, first, end, index })
    }

    /// Adds what the answer lacks; false if it is full, or the epoch ends.
    fn read(mut self, answer: &mut Answer) -> Result<bool, StorageError> {
        let position = usize::try_from(answer.next().saturating_sub(self.first)).ok();
        let commit = position.and_then(|position| self.index.commits.get(position));
        // A commit before this segment may have its checkpoint at the beginning of this one.
        let mut offset = match commit {
            Some(offset) if answer.is_empty() => *offset,
            _ => FileHeader::LENGTH as u64,
        };
        while offset < self.end {
            match self.step(offset, answer)? {
                Some(next) if !answer.is_full() => offset = next,
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Takes in the record at `offset`; where the next one is that matters, `None` at the end of
    /// the epoch.
    fn step(&mut self, offset: u64, answer: &mut Answer) -> Result<Option<u64>, StorageError> {
        let header = self.header(offset)?;
        let next = offset + (FRAME_HEADER + header.length) as u64;
        let damaged = |what: &str| StorageError::damaged(&self.path, offset, what);
        match header.kind {
            Kind::Checkpoint => {
                let body = read_record(&self.path, offset, Kind::Checkpoint)?;
                let found = Checkpoint::decode(&body).map_err(|f| damaged(&f.to_string()))?;
                answer.checkpoint(found);
                Ok(Some(next))
            }
            Kind::Commit => {
                let body = read_record(&self.path, offset, Kind::Commit)?;
                let found = CommitHeader::decode(&body).map_err(|f| damaged(&f.to_string()))?;
                if found.index != answer.next() {
                    return Err(damaged("another commit than the index says"));
                }
                let last = found.blocks.last();
                let last = last.and_then(|block| self.index.blocks.get(&key(block)).copied());
                answer.commit(found, body.len());
                let Some(last) = last.filter(|last| *last >= next) else {
                    return Ok(Some(next));
                };
                Ok(Some(last + (FRAME_HEADER + self.header(last)?.length) as u64))
            }
            // Before it may stand the checkpoint of the commit that closes the epoch.
            Kind::Epoch => Ok(None),
            _ => Err(damaged("a record that does not belong here")),
        }
    }

    fn header(&mut self, offset: u64) -> Result<FrameHeader, StorageError> {
        let mut bytes = [0; FRAME_HEADER];
        self.file.seek(SeekFrom::Start(offset)).at(&self.path, "read")?;
        self.file.read_exact(&mut bytes).at(&self.path, "read")?;
        FrameHeader::decode(bytes, offset).ok_or_else(|| {
            let what = "the header of a record does not match its checksum";
            StorageError::damaged(&self.path, offset, what)
        })
    }
}
