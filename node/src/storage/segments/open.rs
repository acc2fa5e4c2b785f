//! Opening the ledger for appending: the closed segments are checked by both ends, the last one is
//! read whole and cut back to its last complete entry.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use kerbholz_consensus::{Checkpoint, CommitteeConfig};

use super::super::Damage;
use super::super::append::AppendFile;
use super::super::directory::numbered;
use super::super::epoch::Epoch;
use super::super::error::{At, StorageError};
use super::super::frame::{FileHeader, Kind};
use super::format::{EXTENSION, Ends, Index, MAGIC, Trailer, path, read_ends};
use super::scan::{SegmentScan, Step, read_epoch, read_record};
use super::{Closed, Open, SEGMENT_TARGET, Segments};

/// The ledger, read but not touched.
pub(in super::super) struct Examined {
    segments: Segments,
    tail: Option<Tail>,
}

impl Examined {
    /// Every epoch, from 0 on.
    pub(in super::super) fn epochs(&self) -> &[Epoch] {
        &self.segments.epochs
    }

    /// Refuses a ledger that lacks what was acknowledged: commits up to this one.
    pub(in super::super) fn check_reach(&self, commit_min: u64) -> Result<(), StorageError> {
        self.segments
            .check_reach(commit_min, self.tail.as_ref().and_then(|tail| tail.torn.as_ref()))
    }
}

impl Segments {
    /// Reads the ledger in `directory` of the network with this first epoch. Changes nothing.
    pub(in super::super) fn examine(
        directory: &Path,
        genesis: &CommitteeConfig,
    ) -> Result<Examined, StorageError> {
        let mut segments = Self {
            directory: directory.into(),
            epochs: vec![Epoch::first(genesis)],
            closed: Vec::new(),
            open: None,
            last_commit: 0,
            checkpoint: None,
            target: SEGMENT_TARGET,
            cache: Mutex::new(VecDeque::new()),
        };
        let numbers = numbered(directory, EXTENSION)?;
        let mut tail = None;
        for (position, number) in numbers.iter().enumerate() {
            let path = path(directory, *number);
            let ends = read_ends(&path)?;
            segments.check_header(&path, &ends.header)?;
            segments.admit_epoch(&path, *number, &ends)?;
            match ends.trailer {
                Some(trailer) => segments.admit(*number, trailer),
                None if position + 1 == numbers.len() => tail = Some(Tail::read(&path, &ends)?),
                None => {
                    let what = "the segment is not closed, though another one follows";
                    return Err(StorageError::damaged(&path, ends.length, what));
                }
            }
        }
        segments.last_commit = tail.as_ref().map_or(segments.last_commit, |tail| tail.last_commit);
        Ok(Examined { segments, tail })
    }

    /// Opens the ledger for appending. Whoever does so has [checked its
    /// reach](Examined::check_reach): an incomplete entry at its end is cut off and reported.
    pub(in super::super) fn open(
        examined: Examined,
    ) -> Result<(Self, Option<Damage>), StorageError> {
        let Examined { mut segments, tail } = examined;
        let torn = tail.as_ref().and_then(|tail| tail.torn.clone());
        segments.open = tail.map(Tail::resume).transpose()?;
        segments.opened()?;
        segments.checkpoint = segments.read_checkpoint()?;
        Ok((segments, torn))
    }

    /// The newest checkpoint: in the open segment, or the one on which the segment before it ends.
    fn read_checkpoint(&self) -> Result<Option<Checkpoint>, StorageError> {
        let open = self.open.as_ref().filter(|open| open.checkpoint > 0);
        let open = open.map(|open| (open.first, open.checkpoint));
        let closed = self.closed.last().map(|closed| (closed.first, closed.trailer.checkpoint));
        let Some((segment, offset)) = open.or(closed) else { return Ok(None) };
        let path = path(&self.directory, segment);
        let body = read_record(&path, offset, Kind::Checkpoint)?;
        Checkpoint::decode(&body)
            .map(Some)
            .map_err(|fault| StorageError::damaged(&path, offset, format!("a checkpoint: {fault}")))
    }

    fn admit(&mut self, first: u64, trailer: Trailer) {
        self.last_commit = trailer.last;
        let epoch = self.epoch();
        self.closed.push(Closed::new(first, epoch, trailer));
    }

    /// Takes in the epoch that begins with a segment, if one does.
    fn admit_epoch(&mut self, path: &Path, first: u64, ends: &Ends) -> Result<(), StorageError> {
        let found = read_epoch(path, ends.length, ends.trailer.is_some())?;
        let Some(config) = found else { return Ok(()) };
        let newest = self.epochs.last().map(|epoch| &epoch.config);
        let fits = newest.is_some_and(|newest| {
            config.network == newest.network && config.epoch == newest.epoch.saturating_add(1)
        });
        if !fits {
            let what = format!("epoch {} where another one belongs", config.epoch);
            return Err(StorageError::damaged(path, FileHeader::LENGTH as u64, what));
        }
        self.epochs.push(Epoch { config, base: first.saturating_sub(1) });
        Ok(())
    }

    fn check_header(&self, path: &Path, header: &FileHeader) -> Result<(), StorageError> {
        let first = self.last_commit + 1;
        let previous = self.closed.last().map_or([0; 32], |closed| closed.trailer.hash);
        let expected = FileHeader { magic: MAGIC, genesis: self.genesis(), first, previous };
        let name = self::path(&self.directory, first);
        if path != name {
            return Err(StorageError::Missing { path: name, what: "a segment of the ledger" });
        }
        if *header == expected {
            return Ok(());
        }
        if header.genesis != self.genesis() {
            return Err(StorageError::OtherNetwork {
                path: path.into(),
                found: hex::encode(header.genesis),
                expected: hex::encode(self.genesis()),
            });
        }
        let what = "the header does not continue the segment before it";
        Err(StorageError::damaged(path, 0, what))
    }

    /// Refuses a ledger that lacks what was acknowledged.
    fn check_reach(&self, commit_min: u64, torn: Option<&Damage>) -> Result<(), StorageError> {
        if self.last_commit >= commit_min {
            return Ok(());
        }
        let advice = format!(
            "commit {commit_min} was recorded, but only commits up to {} can be read - restore \
             the ledger directory from a backup or from another authority",
            self.last_commit
        );
        Err(match torn {
            Some(damage) => StorageError::damaged(
                &damage.path,
                damage.offset,
                format!("{}: {advice}", damage.what),
            ),
            None => StorageError::Lost { path: self.directory.clone(), what: advice },
        })
    }
}

/// The last segment, not closed.
struct Tail {
    path: PathBuf,
    first: u64,
    /// Where its last complete entry ends, and the commits and blocks up to there.
    good: u64,
    index: Index,
    checkpoint: u64,
    last_commit: u64,
    /// What follows the last complete entry, if anything.
    torn: Option<Damage>,
}

impl Tail {
    fn read(path: &Path, ends: &Ends) -> Result<Self, StorageError> {
        let mut scan = SegmentScan::open(path)?;
        let fault = loop {
            match scan.step() {
                Ok(Step::Entry(_)) => {}
                Ok(Step::End) => break None,
                Ok(Step::Torn { offset }) => {
                    break Some((offset, "the file ends inside an entry".into()));
                }
                // The trailer was not found at the end of the file.
                Ok(Step::Closed(_)) => break Some((ends.length, "bytes follow the end".into())),
                Err(StorageError::Damaged { offset, what, .. }) => break Some((offset, what)),
                Err(error) => return Err(error),
            }
        };
        let last_commit = scan.last_commit();
        let (good, index, checkpoint) = scan.into_content();
        let torn = fault.map(|(offset, what)| Damage { path: path.into(), offset, what });
        let (path, first) = (path.into(), ends.header.first);
        Ok(Self { path, first, good, index, checkpoint, last_commit, torn })
    }

    /// Cuts off the torn end and goes on behind it.
    fn resume(self) -> Result<Open, StorageError> {
        if let Some(torn) = &self.torn {
            let (offset, what) = (torn.offset, &torn.what);
            tracing::warn!(path = %self.path.display(), offset, what, "cut off the ledger's end");
        }
        let file = AppendFile::open(&self.path, self.good)?;
        let hasher = hash_file(&self.path).at(&self.path, "read")?;
        let (first, index, checkpoint) = (self.first, self.index, self.checkpoint);
        Ok(Open { first, file, hasher, index, checkpoint })
    }
}

fn hash_file(path: &Path) -> io::Result<blake3::Hasher> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; 1 << 20];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hasher),
            read => hasher.update(&chunk[..read]),
        };
    }
}
