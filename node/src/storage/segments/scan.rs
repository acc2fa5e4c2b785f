//! Reads one segment entry by entry, checking everything that can be checked without knowing what
//! a block means.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use kerbholz_consensus::{Checkpoint, CommitHeader, CommitteeConfig};

use super::super::error::{At, StorageError};
use super::super::frame::{FRAME_HEADER, Fault, FileHeader, FrameHeader, FrameStream, Kind};
use super::super::{LedgerEntry, REFERENCE_LENGTH, RawBlock, StoredCommit, decode_reference};
use super::format::{Index, MAGIC, Trailer, key};

/// What comes next in a segment.
#[derive(Debug)]
pub(super) enum Step {
    Entry(LedgerEntry),
    /// The close record and the trailer check; nothing follows.
    Closed(Trailer),
    /// The file ends inside an entry.
    Torn {
        offset: u64,
    },
    /// The file ends after an entry.
    End,
}

/// A segment being read.
pub(super) struct SegmentScan {
    path: PathBuf,
    header: FileHeader,
    stream: FrameStream<BufReader<File>>,
    raw: Vec<u8>,
    hasher: blake3::Hasher,
    index: Index,
    /// Where the last complete entry ends.
    good: u64,
    /// Where the entry given last begins.
    entry: u64,
    /// Index of the next commit.
    next: u64,
    /// Where the newest checkpoint begins, 0 for none, and whether it is the last entry.
    checkpoint: u64,
    ends_on_checkpoint: bool,
}

impl SegmentScan {
    pub(super) fn open(path: &Path) -> Result<Self, StorageError> {
        let file = File::open(path).at(path, "open")?;
        let length = file.metadata().at(path, "examine")?.len();
        let mut source = BufReader::with_capacity(64 << 10, file);
        let mut head = Vec::with_capacity(FileHeader::LENGTH);
        source.by_ref().take(FileHeader::LENGTH as u64).read_to_end(&mut head).at(path, "read")?;
        let header = FileHeader::decode(path, MAGIC, &head)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&head);
        let good = FileHeader::LENGTH as u64;
        Ok(Self {
            path: path.into(),
            stream: FrameStream::new(source, good, length),
            raw: Vec::new(),
            hasher,
            index: Index::default(),
            good,
            entry: good,
            next: header.first,
            checkpoint: 0,
            ends_on_checkpoint: false,
            header,
        })
    }

    pub(super) fn header(&self) -> &FileHeader {
        &self.header
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the entry given last begins.
    pub(super) fn entry_offset(&self) -> u64 {
        self.entry
    }

    /// Where the last complete entry ends, what was read up to there, and where the newest
    /// checkpoint begins.
    pub(super) fn into_content(self) -> (u64, Index, u64) {
        (self.good, self.index, self.checkpoint)
    }

    /// Index of the last commit read, or the one before the segment's first.
    pub(super) fn last_commit(&self) -> u64 {
        self.next.saturating_sub(1)
    }

    /// Reads the next entry.
    pub(super) fn step(&mut self) -> Result<Step, StorageError> {
        let offset = self.stream.offset();
        self.entry = offset;
        let step = match self.frame()? {
            None => return Ok(Step::End),
            Some(Err(Fault::Short)) => return Ok(Step::Torn { offset }),
            Some(Err(fault)) => return Err(self.damaged(offset, fault.describe())),
            Some(Ok(Kind::Commit)) => self.commit(offset)?,
            Some(Ok(Kind::Checkpoint)) => self.checkpoint(offset)?,
            Some(Ok(Kind::Epoch)) => self.epoch(offset)?,
            Some(Ok(Kind::Close)) => return self.close(offset),
            Some(Ok(_)) => return Err(self.damaged(offset, "a record that does not belong here")),
        };
        if matches!(step, Step::Entry(_)) {
            self.good = self.stream.offset();
        }
        Ok(step)
    }

    /// Reads one record into `raw`, and into the hash unless it is the close record.
    fn frame(&mut self) -> Result<Option<Result<Kind, Fault>>, StorageError> {
        let frame = self.stream.next(&mut self.raw).at(&self.path, "read")?;
        if let Some(Ok(kind)) = frame
            && kind != Kind::Close
        {
            self.hasher.update(&self.raw);
        }
        Ok(frame)
    }

    fn body(&self) -> &[u8] {
        self.raw.get(FRAME_HEADER..).unwrap_or_default()
    }

    fn commit(&mut self, offset: u64) -> Result<Step, StorageError> {
        let header = CommitHeader::decode(self.body())
            .map_err(|fault| self.damaged(offset, format!("the header of a commit: {fault}")))?;
        if header.index != self.next {
            let what = format!("commit {} where commit {} belongs", header.index, self.next);
            return Err(self.damaged(offset, what));
        }
        let mut blocks = Vec::new();
        let mut places = Vec::new();
        for reference in &header.blocks {
            let at = self.stream.offset();
            match self.frame()? {
                None | Some(Err(Fault::Short)) => return Ok(Step::Torn { offset }),
                Some(Err(fault)) => return Err(self.damaged(at, fault.describe())),
                Some(Ok(Kind::Block)) => {}
                Some(Ok(_)) => return Err(self.damaged(at, "a block of the commit is missing")),
            }
            let block = decode_block(self.body())
                .filter(|block| block.reference == *reference)
                .ok_or_else(|| self.damaged(at, "another block than the commit lists"))?;
            places.push((key(&block.reference), at));
            blocks.push(block);
        }
        self.index.commits.push(offset);
        self.index.blocks.extend(places);
        self.next = header.index.saturating_add(1);
        self.ends_on_checkpoint = false;
        Ok(Step::Entry(LedgerEntry::Commit(StoredCommit { header, blocks })))
    }

    fn checkpoint(&mut self, offset: u64) -> Result<Step, StorageError> {
        let checkpoint = Checkpoint::decode(self.body())
            .map_err(|fault| self.damaged(offset, format!("a checkpoint: {fault}")))?;
        if checkpoint.statement.index >= self.next {
            return Err(self.damaged(offset, "a checkpoint of a commit that is not before it"));
        }
        (self.checkpoint, self.ends_on_checkpoint) = (offset, true);
        Ok(Step::Entry(LedgerEntry::Checkpoint(checkpoint)))
    }

    fn epoch(&mut self, offset: u64) -> Result<Step, StorageError> {
        if !self.index.commits.is_empty() {
            return Err(self.damaged(offset, "an epoch that begins inside a segment"));
        }
        let config = CommitteeConfig::decode(self.body())
            .map_err(|fault| self.damaged(offset, format!("an epoch: {fault}")))?;
        self.ends_on_checkpoint = false;
        Ok(Step::Entry(LedgerEntry::Epoch(config)))
    }

    /// Checks the close record and the trailer behind it against everything read.
    fn close(&mut self, offset: u64) -> Result<Step, StorageError> {
        let index_matches = self.body() == self.index.encode();
        let trailer_offset = self.stream.offset();
        let rest = self.stream.rest().at(&self.path, "read")?;
        if rest.len() < Trailer::LENGTH {
            return Ok(Step::Torn { offset });
        }
        let trailer = Trailer::decode(&rest)
            .ok_or_else(|| self.damaged(trailer_offset, "the trailer does not check"))?;
        let expected = Trailer {
            close: offset,
            last: self.last_commit(),
            checkpoint: self.checkpoint,
            rounds: self.index.rounds(),
            hash: self.hasher.finalize().into(),
        };
        let complaint = if trailer != expected {
            "the trailer describes another content"
        } else if !index_matches {
            "the index describes another content"
        } else if !self.ends_on_checkpoint {
            "the segment is closed, but not on a checkpoint"
        } else {
            return Ok(Step::Closed(trailer));
        };
        Err(self.damaged(offset, complaint))
    }

    fn damaged(&self, offset: u64, what: impl Into<String>) -> StorageError {
        StorageError::damaged(&self.path, offset, what)
    }
}

/// Splits a block record's body.
pub(super) fn decode_block(body: &[u8]) -> Option<RawBlock> {
    let (reference, bytes) = body.split_first_chunk::<REFERENCE_LENGTH>()?;
    Some(RawBlock { reference: decode_reference(reference), bytes: bytes.to_vec() })
}

/// The epoch that begins with the segment at `path`, if one does. Only records before the first
/// commit are read. The first record of a segment that is not closed may be torn.
pub(super) fn read_epoch(
    path: &Path,
    length: u64,
    closed: bool,
) -> Result<Option<CommitteeConfig>, StorageError> {
    let mut file = File::open(path).at(path, "open")?;
    let mut offset = FileHeader::LENGTH as u64;
    while offset.saturating_add(FRAME_HEADER as u64) <= length {
        let mut header = [0; FRAME_HEADER];
        file.seek(SeekFrom::Start(offset)).at(path, "read")?;
        file.read_exact(&mut header).at(path, "read")?;
        let Some(header) = FrameHeader::decode(header, offset) else {
            let damaged = || StorageError::damaged(path, offset, Fault::Header.describe());
            return if closed { Err(damaged()) } else { Ok(None) };
        };
        match header.kind {
            Kind::Checkpoint => offset += (FRAME_HEADER + header.length) as u64,
            Kind::Epoch => {
                let body = read_record(path, offset, Kind::Epoch)?;
                return CommitteeConfig::decode(&body).map(Some).map_err(|fault| {
                    StorageError::damaged(path, offset, format!("an epoch: {fault}"))
                });
            }
            _ => break,
        }
    }
    Ok(None)
}

/// Reads the record at `offset` of the file at `path`, which must be of this kind; its body.
pub(super) fn read_record(path: &Path, offset: u64, kind: Kind) -> Result<Vec<u8>, StorageError> {
    let mut file = File::open(path).at(path, "open")?;
    let length = file.metadata().at(path, "examine")?.len();
    file.seek(SeekFrom::Start(offset)).at(path, "read")?;
    let mut raw = Vec::new();
    let found = FrameStream::new(file, offset, length).next(&mut raw).at(path, "read")?;
    match found {
        Some(Ok(found)) if found == kind => Ok(raw.split_off(FRAME_HEADER)),
        Some(Ok(_)) => Err(StorageError::damaged(path, offset, "a record of another kind")),
        Some(Err(fault)) => Err(StorageError::damaged(path, offset, fault.describe())),
        None => Err(StorageError::damaged(path, offset, Fault::Short.describe())),
    }
}
