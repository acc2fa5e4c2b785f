//! Single entries of a closed segment's index, found by bisection in its file. To ask for a block
//! that never was costs no more than to ask for one that is there: anybody may ask.

use std::cmp::Ordering;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::super::error::{At, StorageError};
use super::super::frame::{FRAME_HEADER, Fields, Kind};
use super::format::{ENTRY_LENGTH, Key, decode_entry};
use super::scan::read_record;

/// Length of a number in an encoded index, in bytes.
const NUMBER: u64 = 8;

/// The shape of an index, whose record was read and matched its checksum once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    /// Where the encoded index begins in the file.
    start: u64,
    commits: u64,
    blocks: u64,
}

impl Table {
    /// Checks the index in the close record at this offset.
    pub(super) fn check(path: &Path, close: u64) -> Result<Self, StorageError> {
        let body = read_record(path, close, Kind::Close)?;
        Self::of(close + FRAME_HEADER as u64, &body)
            .ok_or_else(|| StorageError::damaged(path, close, "the index of the segment"))
    }

    fn of(start: u64, body: &[u8]) -> Option<Self> {
        let commits = Fields(body).u64()?;
        let skipped = usize::try_from(commits.checked_add(1)?.checked_mul(NUMBER)?).ok()?;
        let mut rest = Fields(body.get(skipped..)?);
        let blocks = rest.u64()?;
        let length = usize::try_from(blocks).ok()?.checked_mul(ENTRY_LENGTH)?;
        (rest.0.len() == length).then_some(Self { start, commits, blocks })
    }

    /// Opens the segment's file to look things up.
    pub(super) fn open(self, path: PathBuf) -> Result<Lookup, StorageError> {
        let file = File::open(&path).at(&path, "open")?;
        Ok(Lookup { table: self, path, file })
    }
}

/// A segment's file with the shape of its index.
pub(super) struct Lookup {
    table: Table,
    path: PathBuf,
    file: File,
}

impl Lookup {
    /// Where the commit at this position of the segment begins.
    pub(super) fn commit(&self, position: u64) -> Result<Option<u64>, StorageError> {
        if position >= self.table.commits {
            return Ok(None);
        }
        let number: [u8; 8] = self.read(self.table.start + NUMBER * (1 + position))?;
        Ok(Some(u64::from_le_bytes(number)))
    }

    /// Where the block with this key begins, if the segment has it.
    pub(super) fn block(&self, key: &Key) -> Result<Option<u64>, StorageError> {
        let first = self.table.start + NUMBER * (2 + self.table.commits);
        let (mut low, mut high) = (0, self.table.blocks);
        while low < high {
            let middle = low + (high - low) / 2;
            let entry: [u8; ENTRY_LENGTH] = self.read(first + middle * ENTRY_LENGTH as u64)?;
            let Some((found, offset)) = decode_entry(&mut Fields(&entry)) else { break };
            match found.cmp(key) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(Some(offset)),
            }
        }
        Ok(None)
    }

    fn read<const N: usize>(&self, offset: u64) -> Result<[u8; N], StorageError> {
        let mut bytes = [0; N];
        self.file.read_exact_at(&mut bytes, offset).at(&self.path, "read")?;
        Ok(bytes)
    }
}
