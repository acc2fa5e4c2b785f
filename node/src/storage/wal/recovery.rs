//! What the write-ahead log does about torn and damaged files when it is opened.
//!
//! The rule: **an own block that was acknowledged is never silently lost.** Damaged bytes are
//! dropped, and reported, when they held only what was never acknowledged or what can be fetched
//! again:
//!
//! * a record whose sound header says that it held a foreign block;
//! * any other damage that no sound own block follows, if the newest sound own block reaches the
//!   watermark: own blocks are synced one by one, so nothing after it was ever acknowledged.
//!
//! Everything else is refused with the name of the file.

use std::fs;
use std::path::Path;

use super::super::append::create_whole;
use super::super::directory::numbered;
use super::super::error::{At, StorageError};
use super::super::frame::{self, Fault, FileHeader, Kind};
use super::super::watermark::Marks;
use super::super::{Damage, StoredBlock, encode_reference};
use super::{EXTENSION, MAGIC, decode_body, header, path};

/// What an operator can do. A backup would be worse: it lacks what was signed since.
const ASK_OTHERS: &str = "move the folder of this log away, and start the node again: it then asks \
                          the other authorities what it has signed";

/// What is left of the log.
pub(super) struct Recovered {
    /// Blocks with the number of their file and the offset of their record.
    pub(super) blocks: Vec<(StoredBlock, u64, u64)>,
    /// Number and good length of the last file, and whether it has its end record.
    pub(super) last: Option<(u64, u64, bool)>,
    pub(super) lost: Vec<Damage>,
}

/// A stretch of a file that does not read.
struct Gap {
    offset: u64,
    what: &'static str,
    /// A sound header says that only a foreign block was here.
    foreign: bool,
}

struct Scan {
    number: u64,
    blocks: Vec<(StoredBlock, u64)>,
    gaps: Vec<Gap>,
    /// Where the last sound record ends.
    good: u64,
    ended: bool,
}

/// The files of the log as they are, found good enough to be repaired.
pub(super) struct Found {
    scans: Vec<Scan>,
    /// Numbers of files that were given up, but are still there.
    over: Vec<u64>,
}

/// Reads the log and refuses what may not be repaired. Changes nothing.
pub(super) fn examine(
    directory: &Path,
    genesis: [u8; 32],
    marks: Marks,
) -> Result<Found, StorageError> {
    let mut numbers = numbered(directory, EXTENSION)?;
    let over = numbers.extract_if(.., |number| *number < marks.first_wal).collect();
    check_gapless(directory, &numbers, marks)?;
    let mut scans = Vec::new();
    for number in &numbers {
        scans.push(scan(directory, genesis, *number, numbers.last() == Some(number))?);
    }
    judge(directory, &scans, marks)?;
    Ok(Found { scans, over })
}

impl Found {
    /// The newest own block; of two of a round, the one that was appended last.
    pub(super) fn newest_own(&self) -> Option<&StoredBlock> {
        let blocks = self.scans.iter().flat_map(|scan| &scan.blocks).map(|(block, _)| block);
        blocks.filter(|block| block.own).max_by_key(|block| block.reference.round)
    }

    /// Drops what does not read, and deletes what was given up.
    pub(super) fn repair(
        mut self,
        directory: &Path,
        genesis: [u8; 32],
    ) -> Result<Recovered, StorageError> {
        for number in self.over {
            let path = path(directory, number);
            fs::remove_file(&path).at(&path, "delete")?;
        }
        let mut lost = Vec::new();
        let last_number = self.scans.last().map(|scan| scan.number);
        for scan in &mut self.scans {
            let path = path(directory, scan.number);
            for gap in &scan.gaps {
                let (offset, what) = (gap.offset, gap.what);
                tracing::warn!(path = %path.display(), offset, what, "dropped from the block log");
                lost.push(Damage { path: path.clone(), offset, what: what.into() });
            }
            let is_last = last_number == Some(scan.number);
            // A torn tail needs no rewriting: whoever appends cuts it off first.
            let only_tail = is_last && scan.gaps.iter().all(|gap| gap.offset >= scan.good);
            if !(scan.gaps.is_empty() || only_tail) {
                rewrite(&path, genesis, scan, !is_last)?;
            }
        }
        let last = self.scans.last().map(|scan| (scan.number, scan.good, scan.ended));
        let blocks = self.scans.into_iter().flat_map(|scan| {
            scan.blocks.into_iter().map(move |(block, offset)| (block, scan.number, offset))
        });
        Ok(Recovered { blocks: blocks.collect(), last, lost })
    }
}

/// Refuses a log that lacks a file.
fn check_gapless(directory: &Path, numbers: &[u64], marks: Marks) -> Result<(), StorageError> {
    if numbers.is_empty() && marks == (Marks { first_wal: 1, ..Marks::default() }) {
        return Ok(());
    }
    let end = numbers.last().map_or(marks.first_wal, |last| *last);
    match (marks.first_wal..=end).find(|number| numbers.binary_search(number).is_err()) {
        None => Ok(()),
        Some(number) => Err(StorageError::Missing {
            path: path(directory, number),
            what: "part of the block log, which may hold own blocks",
        }),
    }
}

fn scan(
    directory: &Path,
    genesis: [u8; 32],
    number: u64,
    last: bool,
) -> Result<Scan, StorageError> {
    let path = path(directory, number);
    let file = fs::read(&path).at(&path, "read")?;
    let found = FileHeader::decode(&path, MAGIC, &file)?;
    if found != header(genesis, number) {
        let what = "the header names another file or another network";
        return Err(StorageError::damaged(&path, 0, what));
    }
    let mut offset = FileHeader::LENGTH as u64;
    let mut scan = Scan { number, blocks: vec![], gaps: vec![], good: offset, ended: false };
    while let Some(result) = frame::parse(&file, offset) {
        if scan.ended {
            scan.gap(offset, "bytes follow the end of the log file", false);
            break;
        }
        match result {
            Ok(frame) => {
                if scan.take(offset, frame.kind, frame.body) {
                    scan.good = frame.next;
                } else {
                    scan.gap(offset, "a record that does not belong into a log file", false);
                }
                offset = frame.next;
            }
            Err(fault @ Fault::Body { kind, next }) => {
                scan.gap(offset, fault.describe(), kind == Kind::ForeignBlock);
                offset = next;
            }
            Err(fault) => {
                scan.gap(offset, fault.describe(), false);
                offset = frame::resynchronise(&file, offset + 1).unwrap_or(file.len() as u64);
            }
        }
    }
    if !scan.ended && !last {
        scan.gap(file.len() as u64, "the file ends without its end record", false);
    }
    Ok(scan)
}

impl Scan {
    fn gap(&mut self, offset: u64, what: &'static str, foreign: bool) {
        self.gaps.push(Gap { offset, what, foreign });
    }

    /// Takes in a sound record; false if it makes no sense here.
    fn take(&mut self, offset: u64, kind: Kind, body: &[u8]) -> bool {
        let own = match kind {
            Kind::OwnBlock => true,
            Kind::ForeignBlock => false,
            Kind::End => {
                self.ended = true;
                return true;
            }
            _ => return false,
        };
        let Some((reference, bytes)) = decode_body(body) else { return false };
        self.blocks.push((StoredBlock { reference, own, bytes: bytes.to_vec() }, offset));
        true
    }
}

/// Refuses damage that may have held an acknowledged own block.
fn judge(directory: &Path, scans: &[Scan], marks: Marks) -> Result<(), StorageError> {
    let own = || {
        let blocks = scans.iter().flat_map(|scan| {
            scan.blocks.iter().map(move |(block, offset)| (block, (scan.number, *offset)))
        });
        blocks.filter(|(block, _)| block.own)
    };
    let newest_position = own().map(|(_, position)| position).max();
    let newest_round = own().map(|(block, _)| block.reference.round.0).max().unwrap_or(0);
    let reaches_mark = newest_round >= marks.own_round;
    for scan in scans {
        for gap in scan.gaps.iter().filter(|gap| !gap.foreign) {
            if newest_position > Some((scan.number, gap.offset)) || !reaches_mark {
                let what = format!(
                    "{}; own blocks that were sent may be lost with it - {ASK_OTHERS}",
                    gap.what
                );
                return Err(StorageError::damaged(&path(directory, scan.number), gap.offset, what));
            }
        }
    }
    if reaches_mark {
        return Ok(());
    }
    let what = format!(
        "the own block of round {} was sent, but the newest one here is of round {newest_round}: \
         signing again could contradict it - {ASK_OTHERS}",
        marks.own_round
    );
    Err(StorageError::Lost { path: directory.into(), what })
}

/// Replaces a file by one that holds only its sound records.
fn rewrite(path: &Path, genesis: [u8; 32], scan: &mut Scan, end: bool) -> Result<(), StorageError> {
    let mut file = header(genesis, scan.number).encode();
    for (block, offset) in &mut scan.blocks {
        *offset = file.len() as u64;
        let kind = if block.own { Kind::OwnBlock } else { Kind::ForeignBlock };
        frame::encode(
            &mut file,
            *offset,
            kind,
            &[&encode_reference(&block.reference), &block.bytes],
        )?;
    }
    if end {
        let offset = file.len() as u64;
        frame::encode(&mut file, offset, Kind::End, &[])?;
    }
    (scan.good, scan.ended) = (file.len() as u64, end);
    create_whole(path, &file)
}
