//! Checksummed framing shared by the write-ahead log and the ledger segments.
//!
//! A file begins with a [`FileHeader`] and continues with records. A record's header carries a
//! checksum of its own, so that a damaged length is told apart from a damaged body, and that
//! checksum covers the record's offset, so that a record copied elsewhere does not pass. Byte
//! layouts: `docs/formats.md`, "Data directory".

use std::cmp::Ordering;
use std::io::{self, Read};
use std::path::Path;

use super::error::StorageError;

/// The version of the file formats that this program reads and writes. Version 1 had no epochs, and
/// its ledgers begin from another genesis state: nothing in one could be checked.
pub const FORMAT_VERSION: u16 = 2;

/// Refuses the file at `path` unless it is of the version that this program reads.
pub(super) fn check_format(path: &Path, found: u64) -> Result<(), StorageError> {
    let supported = u64::from(FORMAT_VERSION);
    let path = path.into();
    match found.cmp(&supported) {
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(StorageError::NewerVersion { path, found, supported }),
        Ordering::Less => Err(StorageError::EarlierVersion { path, found, supported }),
    }
}
/// Longest body of a record, in bytes; checked before anything is allocated.
pub(super) const BODY_MAX: usize = 64 << 20;
/// Length of a record's header, in bytes.
pub(super) const FRAME_HEADER: usize = 16;

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Write-ahead log: a block that this node made and promised to remember.
    OwnBlock = 1,
    /// Write-ahead log: a block of another authority; it can be fetched again.
    ForeignBlock = 2,
    /// Write-ahead log: nothing follows, the next file continues.
    End = 3,
    /// Segment: a commit; its blocks follow.
    Commit = 16,
    /// Segment: a block of the commit before it.
    Block = 17,
    /// Segment: a checkpoint.
    Checkpoint = 18,
    /// Segment: nothing follows but the trailer, the next segment continues.
    Close = 19,
    /// Segment, before its first commit: a new epoch begins.
    Epoch = 20,
}

impl Kind {
    fn decode(byte: u8) -> Option<Self> {
        use Kind::{Block, Checkpoint, Close, Commit, End, Epoch, ForeignBlock, OwnBlock};
        [OwnBlock, ForeignBlock, End, Commit, Block, Checkpoint, Close, Epoch]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// How a record fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The file ends inside the record.
    Short,
    /// The header's checksum, kind or padding is wrong: nothing of it can be believed.
    Header,
    /// The header is sound, the body is not.
    Body {
        /// What the record held.
        kind: Kind,
        /// Where the next record begins.
        next: u64,
    },
}

impl Fault {
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Short => "the file ends inside a record",
            Self::Header => "the header of a record does not match its checksum",
            Self::Body { .. } => "the body of a record does not match its checksum",
        }
    }
}

/// A record's header, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) length: usize,
    pub(super) kind: Kind,
    body_checksum: u32,
}

impl FrameHeader {
    /// Reads the header of the record at `offset`; `None` if its checksum or content is wrong.
    pub(super) fn decode(bytes: [u8; FRAME_HEADER], offset: u64) -> Option<Self> {
        let [l0, l1, l2, l3, kind, _, _, _, h0, h1, h2, h3, b0, b1, b2, b3] = bytes;
        if header_checksum(&bytes, offset) != u32::from_le_bytes([h0, h1, h2, h3]) {
            return None;
        }
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let kind = Kind::decode(kind)?;
        let body_checksum = u32::from_le_bytes([b0, b1, b2, b3]);
        (length <= BODY_MAX).then_some(Self { length, kind, body_checksum })
    }

    pub(super) fn matches(&self, body: &[u8]) -> bool {
        crc32fast::hash(body) == self.body_checksum
    }

    fn end(&self, offset: u64) -> u64 {
        offset + (FRAME_HEADER + self.length) as u64
    }
}

fn header_checksum(header: &[u8; FRAME_HEADER], offset: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&offset.to_le_bytes());
    hasher.update(&header[..8]);
    hasher.update(&header[12..]);
    hasher.finalize()
}

/// Appends one record that will stand at `offset` of its file.
pub(super) fn encode(
    out: &mut Vec<u8>,
    offset: u64,
    kind: Kind,
    body: &[&[u8]],
) -> Result<(), StorageError> {
    let length: usize = body.iter().map(|part| part.len()).sum();
    if length > BODY_MAX {
        return Err(StorageError::TooLarge { length, limit: BODY_MAX });
    }
    let mut checksum = crc32fast::Hasher::new();
    body.iter().for_each(|part| checksum.update(part));
    let mut header = [0; FRAME_HEADER];
    // The limit above fits 32 bits.
    header[..4].copy_from_slice(&(length as u32).to_le_bytes());
    header[4] = kind as u8;
    header[12..].copy_from_slice(&checksum.finalize().to_le_bytes());
    let header_checksum = header_checksum(&header, offset);
    header[8..12].copy_from_slice(&header_checksum.to_le_bytes());
    out.extend_from_slice(&header);
    body.iter().for_each(|part| out.extend_from_slice(part));
    Ok(())
}

/// A sound record of a file in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) kind: Kind,
    pub(super) body: &'a [u8],
    /// Where the next record begins.
    pub(super) next: u64,
}

/// Reads the record at `offset` of a file held in memory; `None` at its end.
pub(super) fn parse(file: &[u8], offset: u64) -> Option<Result<Frame<'_>, Fault>> {
    let rest = file.get(usize::try_from(offset).ok()?..)?;
    if rest.is_empty() {
        return None;
    }
    Some(parse_rest(rest, offset))
}

fn parse_rest(rest: &[u8], offset: u64) -> Result<Frame<'_>, Fault> {
    let (header, rest) = rest.split_first_chunk().ok_or(Fault::Short)?;
    let header = FrameHeader::decode(*header, offset).ok_or(Fault::Header)?;
    let body = rest.get(..header.length).ok_or(Fault::Short)?;
    let next = header.end(offset);
    if header.matches(body) {
        Ok(Frame { kind: header.kind, body, next })
    } else {
        Err(Fault::Body { kind: header.kind, next })
    }
}

/// The first offset at or after `from` at which a sound record begins.
pub(super) fn resynchronise(file: &[u8], from: u64) -> Option<u64> {
    (from..file.len() as u64).find(|offset| matches!(parse(file, *offset), Some(Ok(_))))
}

/// Reads records one after the other with bounded memory.
pub(super) struct FrameStream<R> {
    source: R,
    offset: u64,
    length: u64,
}

impl<R: Read> FrameStream<R> {
    /// Reads on from `offset`, where `source` stands, up to `length`, the length of the file.
    pub(super) fn new(source: R, offset: u64, length: u64) -> Self {
        Self { source, offset, length }
    }

    /// Where the next record begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes that follow, unframed; what is beyond any sensible length is left out.
    pub(super) fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.source.by_ref().take(BODY_MAX as u64).read_to_end(&mut rest)?;
        Ok(rest)
    }

    /// The next record, its raw bytes replacing `raw`; `None` at the end of the file.
    pub(super) fn next(&mut self, raw: &mut Vec<u8>) -> io::Result<Option<Result<Kind, Fault>>> {
        raw.clear();
        let left = self.length.saturating_sub(self.offset);
        if left == 0 {
            return Ok(None);
        }
        if left < FRAME_HEADER as u64 {
            return Ok(Some(Err(Fault::Short)));
        }
        let mut bytes = [0; FRAME_HEADER];
        if !fill(&mut self.source, &mut bytes)? {
            return Ok(Some(Err(Fault::Short)));
        }
        let Some(header) = FrameHeader::decode(bytes, self.offset) else {
            return Ok(Some(Err(Fault::Header)));
        };
        if header.end(self.offset) > self.length {
            return Ok(Some(Err(Fault::Short)));
        }
        raw.extend_from_slice(&bytes);
        raw.resize(FRAME_HEADER + header.length, 0);
        if !fill(&mut self.source, &mut raw[FRAME_HEADER..])? {
            return Ok(Some(Err(Fault::Short)));
        }
        let next = header.end(self.offset);
        if !header.matches(&raw[FRAME_HEADER..]) {
            return Ok(Some(Err(Fault::Body { kind: header.kind, next })));
        }
        self.offset = next;
        Ok(Some(Ok(header.kind)))
    }
}

/// Fills `buffer`; false if the source ends before.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match source.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The first bytes of every file of the write-ahead log and of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileHeader {
    /// Eight characters that name the kind of file.
    pub(super) magic: [u8; 8],
    /// Digest of the network's genesis.
    pub(super) genesis: [u8; 32],
    /// Write-ahead log: number of the file. Segment: index of its first commit.
    pub(super) first: u64,
    /// Segment: hash of the segment before it, zero for the first. Write-ahead log: zero.
    pub(super) previous: [u8; 32],
}

impl FileHeader {
    /// Length in bytes.
    pub(super) const LENGTH: usize = 88;

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::LENGTH);
        out.extend_from_slice(&self.magic);
        out.extend_from_slice(&u32::from(FORMAT_VERSION).to_le_bytes());
        out.extend_from_slice(&self.genesis);
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.previous);
        let checksum = crc32fast::hash(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    /// Reads the header of the file at `path`, which must be of this kind.
    pub(super) fn decode(path: &Path, magic: [u8; 8], file: &[u8]) -> Result<Self, StorageError> {
        let damaged = |what: &str| StorageError::damaged(path, 0, what);
        let bytes: &[u8; Self::LENGTH] =
            file.first_chunk().ok_or_else(|| damaged("the file ends inside its header"))?;
        let mut fields = Fields(bytes);
        let found = fields.array::<8>().unwrap_or_default();
        let version = fields.u32().unwrap_or_default();
        if found != magic {
            return Err(damaged("the header does not name this kind of file"));
        }
        let checksum = crc32fast::hash(&bytes[..Self::LENGTH - 4]);
        if checksum.to_le_bytes() != bytes[Self::LENGTH - 4..] {
            return Err(damaged("the header of the file does not match its checksum"));
        }
        check_format(path, version.into())?;
        let header = (|| {
            let genesis = fields.array()?;
            let first = fields.u64()?;
            Some(Self { magic, genesis, first, previous: fields.array()? })
        })();
        header.ok_or_else(|| damaged("the file ends inside its header"))
    }
}

/// Reads fixed-width little-endian fields off the front of a slice.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests;
