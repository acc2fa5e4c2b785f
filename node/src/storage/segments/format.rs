//! The records of a segment and its trailer. Layouts: `docs/formats.md`, "Ledger segments".

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use kerbholz_consensus::{AuthorityIndex, AuthoritySet, BlockRef, Round};

use super::super::directory::numbered_name;
use super::super::error::{At, StorageError};
use super::super::frame::{Fields, FileHeader};

/// First bytes of a segment.
pub(super) const MAGIC: [u8; 8] = *b"KBHZ-SEG";
const TRAILER_MAGIC: [u8; 8] = *b"KBHZ-END";
/// Extension of a segment's file name.
pub(super) const EXTENSION: &str = "seg";

/// Where the segment with this first commit lies.
pub(super) fn path(directory: &Path, first: u64) -> PathBuf {
    directory.join(numbered_name(first, EXTENSION))
}

/// What a block is looked up by: author, round, and enough of the digest to tell twins apart.
pub(super) type Key = (AuthorityIndex, Round, [u8; 16]);

pub(super) fn key(reference: &BlockRef) -> Key {
    let mut digest = [0; 16];
    digest.copy_from_slice(&reference.digest.0[..16]);
    (reference.author, reference.round, digest)
}

/// Where the commits and blocks of one segment are, as offsets in its file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    /// Of each commit, from the segment's first.
    pub(super) commits: Vec<u64>,
    pub(super) blocks: BTreeMap<Key, u64>,
}

impl Index {
    pub(super) fn extend(&mut self, other: Self) {
        self.commits.extend(other.commits);
        self.blocks.extend(other.blocks);
    }

    /// The lowest and the highest round of a block; (1, 0) if there is none.
    pub(super) fn rounds(&self) -> (u64, u64) {
        let rounds = || self.blocks.keys().map(|(_, round, _)| round.0);
        match (rounds().min(), rounds().max()) {
            (Some(low), Some(high)) => (low, high),
            _ => (1, 0),
        }
    }

    /// Whose blocks there are.
    pub(super) fn authors(&self) -> AuthoritySet {
        self.blocks.keys().map(|(author, ..)| *author).collect()
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out =
            Vec::with_capacity(16 + 8 * self.commits.len() + ENTRY_LENGTH * self.blocks.len());
        out.extend_from_slice(&(self.commits.len() as u64).to_le_bytes());
        self.commits.iter().for_each(|offset| out.extend_from_slice(&offset.to_le_bytes()));
        out.extend_from_slice(&(self.blocks.len() as u64).to_le_bytes());
        for ((author, round, digest), offset) in &self.blocks {
            out.extend_from_slice(&author.0.to_le_bytes());
            out.extend_from_slice(&round.0.to_le_bytes());
            out.extend_from_slice(digest);
            out.extend_from_slice(&offset.to_le_bytes());
        }
        out
    }

    /// `None` if the bytes are not an index.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let mut index = Self::default();
        for _ in 0..fields.u64()? {
            index.commits.push(fields.u64()?);
        }
        for _ in 0..fields.u64()? {
            let (key, offset) = decode_entry(&mut fields)?;
            index.blocks.insert(key, offset);
        }
        fields.0.is_empty().then_some(index)
    }
}

/// Length of the entry of a block in an encoded index, in bytes.
pub(super) const ENTRY_LENGTH: usize = 34;

/// Key and offset of a block.
pub(super) fn decode_entry(fields: &mut Fields<'_>) -> Option<(Key, u64)> {
    let author = AuthorityIndex(fields.u16()?);
    let key = (author, Round(fields.u64()?), fields.array()?);
    Some((key, fields.u64()?))
}

/// The last bytes of a closed segment: what a reader needs without reading the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trailer {
    /// Where the close record with the index begins.
    pub(super) close: u64,
    /// Index of the last commit.
    pub(super) last: u64,
    /// Where the checkpoint begins on which the segment ends.
    pub(super) checkpoint: u64,
    /// Lowest and highest round of a block.
    pub(super) rounds: (u64, u64),
    /// BLAKE3 of everything before the close record.
    pub(super) hash: [u8; 32],
}

impl Trailer {
    /// Length in bytes.
    pub(super) const LENGTH: usize = 84;

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::LENGTH);
        out.extend_from_slice(&TRAILER_MAGIC);
        for number in [self.close, self.last, self.checkpoint, self.rounds.0, self.rounds.1] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.hash);
        let checksum = crc32fast::hash(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    /// `None` if the bytes are not a trailer.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::LENGTH] = bytes.try_into().ok()?;
        let mut fields = Fields(bytes);
        let magic: [u8; 8] = fields.array()?;
        let (close, last, checkpoint) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let rounds = (fields.u64()?, fields.u64()?);
        let hash = fields.array()?;
        let sound =
            magic == TRAILER_MAGIC && fields.u32()? == crc32fast::hash(&bytes[..Self::LENGTH - 4]);
        sound.then_some(Self { close, last, checkpoint, rounds, hash })
    }
}

/// What stands at both ends of a segment.
pub(super) struct Ends {
    pub(super) header: FileHeader,
    /// Present in a closed segment.
    pub(super) trailer: Option<Trailer>,
    /// Length of the file, in bytes.
    pub(super) length: u64,
}

/// Reads header and trailer of a segment.
pub(super) fn read_ends(path: &Path) -> Result<Ends, StorageError> {
    let mut file = File::open(path).at(path, "open")?;
    let length = file.metadata().at(path, "examine")?.len();
    let mut head = Vec::with_capacity(FileHeader::LENGTH);
    (&file).take(FileHeader::LENGTH as u64).read_to_end(&mut head).at(path, "read")?;
    let header = FileHeader::decode(path, MAGIC, &head)?;
    let mut tail = Vec::with_capacity(Trailer::LENGTH);
    if length >= (FileHeader::LENGTH + Trailer::LENGTH) as u64 {
        file.seek(SeekFrom::Start(length - Trailer::LENGTH as u64)).at(path, "read")?;
        file.take(Trailer::LENGTH as u64).read_to_end(&mut tail).at(path, "read")?;
    }
    Ok(Ends { header, trailer: Trailer::decode(&tail), length })
}
