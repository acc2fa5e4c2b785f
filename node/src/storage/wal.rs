//! The write-ahead log of one epoch: accepted blocks that no commit holds yet.
//!
//! Own blocks are durable before [`Wal::append`] returns, because a node that forgets one could
//! sign another for the same round. Blocks of others are not synced: they can be fetched again.
//! A file is deleted once everything in it is committed or below the garbage-collection round.
//! What happens to damaged files at the start is decided in [`recovery`].

mod recovery;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use kerbholz_consensus::{AuthorityIndex, BlockRef, Round};

use self::recovery::{Found, Recovered};
use super::append::{AppendFile, create_whole, sync_directory};
use super::directory::{WATERMARK, numbered_name};
use super::error::{At, StorageError};
use super::frame::{self, FRAME_HEADER, FileHeader, Kind};
use super::watermark::{Marks, Watermark};
use super::{Damage, RawBlock, StoredBlock, decode_reference, encode_reference};

const MAGIC: [u8; 8] = *b"KBHZ-WAL";
const EXTENSION: &str = "wal";
/// A file that has reached this length, in bytes, is ended and the next one begun.
const FILE_TARGET: u64 = 4 << 20;

/// Where a record lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    file: u64,
    offset: u64,
    /// Length of the record with its header, in bytes.
    length: usize,
    own: bool,
}

/// The write-ahead log, opened for appending.
pub(super) struct Wal {
    directory: PathBuf,
    genesis: [u8; 32],
    watermark: Watermark,
    active: AppendFile,
    active_number: u64,
    /// The active file has its end record: the next append begins a new file.
    ended: bool,
    /// Blocks that are neither committed nor forgotten, in order of round.
    live: BTreeMap<BlockRef, Place>,
    /// Number of live blocks in each file.
    files: BTreeMap<u64, usize>,
    /// Kept even when committed: it is what the watermark's own round is checked against.
    newest_own: Option<(BlockRef, Place)>,
    target: u64,
}

/// A log that was read but not touched: what [`Wal::open`] needs.
pub(super) struct Examined {
    directory: PathBuf,
    genesis: [u8; 32],
    watermark: Watermark,
    found: Found,
}

impl Examined {
    /// Whose blocks the log holds as its own node's, if it holds any.
    pub(super) fn author(&self) -> Option<AuthorityIndex> {
        self.found.newest_own().map(|block| block.reference.author)
    }
}

/// An opened log with its blocks, and what could not be read.
pub(super) type Opened = (Wal, Vec<StoredBlock>, Vec<Damage>);

impl Wal {
    /// Reads the log and judges whether it may be opened. Changes nothing.
    pub(super) fn examine(directory: &Path, genesis: [u8; 32]) -> Result<Examined, StorageError> {
        let watermark = Watermark::open(&directory.join(WATERMARK))?;
        let found = recovery::examine(directory, genesis, watermark.marks())?;
        Ok(Examined { directory: directory.into(), genesis, watermark, found })
    }

    /// Opens the log, repairing what a crash may have torn; also gives the blocks it holds, in
    /// the order of their appending, and what could not be read of foreign blocks.
    pub(super) fn open(examined: Examined) -> Result<Opened, StorageError> {
        let Examined { directory, genesis, watermark, found } = examined;
        let (directory, marks) = (directory.as_path(), watermark.marks());
        let Recovered { blocks, last, lost } = found.repair(directory, genesis)?;
        let (active_number, length, ended) = match last {
            Some(last) => last,
            None => {
                let header = header(genesis, marks.first_wal).encode();
                create_whole(&path(directory, marks.first_wal), &header)?;
                (marks.first_wal, header.len() as u64, false)
            }
        };
        let mut wal = Self {
            directory: directory.into(),
            genesis,
            watermark,
            active: AppendFile::open(&path(directory, active_number), length)?,
            active_number,
            ended,
            live: BTreeMap::new(),
            files: (marks.first_wal..=active_number).map(|number| (number, 0)).collect(),
            newest_own: None,
            target: FILE_TARGET,
        };
        let mut stored = Vec::with_capacity(blocks.len());
        for (block, file, offset) in blocks {
            let length = FRAME_HEADER + PREFIX + block.bytes.len();
            let own = block.own;
            if wal.note(block.reference, Place { file, offset, length, own }) {
                stored.push(block);
            }
        }
        Ok((wal, stored, lost))
    }

    /// What this log and the ledger hold durably.
    pub(super) fn marks(&self) -> Marks {
        self.watermark.marks()
    }

    /// Appends accepted blocks with one write. If an own block is among them, everything appended
    /// so far is durable on return, and so is the mark that it exists. `commit` is the index of
    /// the newest commit that is durable in the segments; the mark carries it along.
    pub(super) fn append(
        &mut self,
        blocks: &[StoredBlock],
        commit: u64,
    ) -> Result<(), StorageError> {
        self.make_room()?;
        let mut bytes = Vec::new();
        let mut places = Vec::with_capacity(blocks.len());
        for block in blocks {
            let offset = self.active.length() + bytes.len() as u64;
            let kind = if block.own { Kind::OwnBlock } else { Kind::ForeignBlock };
            frame::encode(&mut bytes, offset, kind, &[&prefix(&block.reference), &block.bytes])?;
            let length = FRAME_HEADER + PREFIX + block.bytes.len();
            let place = Place { file: self.active_number, offset, length, own: block.own };
            places.push((block.reference, place));
        }
        let own_round = blocks.iter().filter(|block| block.own).map(|b| b.reference.round.0).max();
        if own_round.is_some() {
            self.active.append_durably(&bytes)?;
        } else {
            self.active.append(&bytes)?;
        }
        for (reference, place) in places {
            self.note(reference, place);
        }
        let Some(own_round) = own_round else { return Ok(()) };
        let marks = self.watermark.marks();
        let own_round = own_round.max(marks.own_round);
        self.watermark.raise(Marks { own_round, commit: commit.max(marks.commit), ..marks })
    }

    /// The block, if it is neither committed nor forgotten.
    pub(super) fn block(&self, reference: &BlockRef) -> Result<Option<Vec<u8>>, StorageError> {
        self.live.get(reference).map(|place| self.read(reference, *place)).transpose()
    }

    /// The newest own block, committed or not.
    pub(super) fn own_last(&self) -> Result<Option<RawBlock>, StorageError> {
        let Some((reference, place)) = self.newest_own else { return Ok(None) };
        let bytes = self.read(&reference, place)?;
        Ok(Some(RawBlock { reference, bytes }))
    }

    /// The newest live block of an author.
    pub(super) fn newest_of(&self, author: AuthorityIndex) -> Option<&BlockRef> {
        self.live.keys().rev().find(|block| block.author == author)
    }

    /// References of live own blocks after `round`, ascending.
    pub(super) fn own_after(&self, round: Round) -> impl Iterator<Item = &BlockRef> {
        let newer = self.live.iter().filter(move |(block, _)| block.round > round);
        newer.filter(|(_, place)| place.own).map(|(block, _)| block)
    }

    /// Says that these blocks are durable in the ledger segments.
    pub(super) fn committed<'a>(&mut self, blocks: impl IntoIterator<Item = &'a BlockRef>) {
        for block in blocks {
            self.release(block);
        }
    }

    /// Says that blocks of this round and below can never be committed any more.
    pub(super) fn forget_through(&mut self, round: Round) {
        while let Some((block, _)) = self.live.first_key_value() {
            if block.round > round {
                break;
            }
            let block = *block;
            self.release(&block);
        }
    }

    /// Deletes the oldest files as far as nothing live is in them.
    pub(super) fn recycle(&mut self) -> Result<(), StorageError> {
        let dead = |(number, live): &(&u64, &usize)| **number != self.active_number && **live == 0;
        let Some(last) = self.files.iter().take_while(dead).last().map(|(number, _)| *number)
        else {
            return Ok(());
        };
        if let Some((reference, place)) = self.newest_own
            && place.file <= last
        {
            // Carried over, so that the watermark still finds it.
            let bytes = self.read(&reference, place)?;
            let commit = self.marks().commit;
            self.append(&[StoredBlock { reference, own: true, bytes }], commit)?;
            self.release(&reference);
        }
        // Twice, so that both slots agree that the files may be gone.
        for _ in 0..2 {
            self.watermark.raise(Marks { first_wal: last + 1, ..self.marks() })?;
        }
        let keep = self.files.split_off(&(last + 1));
        for number in std::mem::replace(&mut self.files, keep).into_keys() {
            let path = path(&self.directory, number);
            fs::remove_file(&path).at(&path, "delete")?;
        }
        sync_directory(&self.directory)
    }

    /// Begins a new file if the active one has reached its length.
    fn make_room(&mut self) -> Result<(), StorageError> {
        if !self.ended && self.active.length() < self.target {
            return Ok(());
        }
        if !self.ended {
            let mut end = Vec::new();
            frame::encode(&mut end, self.active.length(), Kind::End, &[])?;
            self.active.append_durably(&end)?;
            self.ended = true;
        }
        let number = self.active_number + 1;
        let path = path(&self.directory, number);
        let header = header(self.genesis, number).encode();
        create_whole(&path, &header)?;
        self.active = AppendFile::open(&path, header.len() as u64)?;
        self.active_number = number;
        self.files.insert(number, 0);
        self.ended = false;
        Ok(())
    }

    /// Remembers where a block lies; false if it was known already.
    fn note(&mut self, reference: BlockRef, place: Place) -> bool {
        if place.own && self.newest_own.is_none_or(|(own, _)| own.round <= reference.round) {
            self.newest_own = Some((reference, place));
        }
        if self.live.contains_key(&reference) {
            return false;
        }
        self.live.insert(reference, place);
        *self.files.entry(place.file).or_default() += 1;
        true
    }

    fn release(&mut self, block: &BlockRef) {
        if let Some(place) = self.live.remove(block)
            && let Some(live) = self.files.get_mut(&place.file)
        {
            *live -= 1;
        }
    }

    fn read(&self, reference: &BlockRef, place: Place) -> Result<Vec<u8>, StorageError> {
        let path = path(&self.directory, place.file);
        let mut bytes = vec![0; place.length];
        File::open(&path)
            .and_then(|mut file| {
                file.seek(SeekFrom::Start(place.offset))?;
                file.read_exact(&mut bytes)
            })
            .at(&path, "read")?;
        let damaged = |what| StorageError::damaged(&path, place.offset, what);
        let header = bytes
            .first_chunk()
            .and_then(|header| frame::FrameHeader::decode(*header, place.offset));
        let body = header
            .filter(|header| header.matches(&bytes[FRAME_HEADER..]))
            .and_then(|_| decode_body(&bytes[FRAME_HEADER..]))
            .ok_or_else(|| damaged("a block does not match its checksum"))?;
        if body.0 != *reference {
            return Err(damaged("another block than was written here"));
        }
        Ok(body.1.to_vec())
    }

    #[cfg(test)]
    pub(super) fn set_target(&mut self, bytes: u64) {
        self.target = bytes;
    }

    #[cfg(test)]
    pub(super) fn active(&mut self) -> &mut AppendFile {
        &mut self.active
    }
}

fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(numbered_name(number, EXTENSION))
}

fn header(genesis: [u8; 32], number: u64) -> FileHeader {
    FileHeader { magic: MAGIC, genesis, first: number, previous: [0; 32] }
}

/// Length of a block's reference in front of its bytes.
const PREFIX: usize = super::REFERENCE_LENGTH;

fn prefix(reference: &BlockRef) -> [u8; PREFIX] {
    encode_reference(reference)
}

/// Splits a record's body into reference and block.
fn decode_body(body: &[u8]) -> Option<(BlockRef, &[u8])> {
    let (reference, bytes) = body.split_first_chunk()?;
    Some((decode_reference(reference), bytes))
}

#[cfg(test)]
mod tests;
