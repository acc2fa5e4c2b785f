//! Reads a ledger from first to last without writing, locking or needing anything else of the
//! data directory: what an auditor does with a copy, and a node that rebuilds its state.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use kerbholz_consensus::{CommitteeConfig, NetworkId, Statement};

use super::super::LedgerEntry;
use super::super::directory::{entries, ledger_directory, numbered, read_genesis};
use super::super::epoch::follows;
use super::super::error::StorageError;
use super::format::{EXTENSION, Trailer, path};
use super::scan::{SegmentScan, Step};

/// How a ledger ends. None of these is an error, but only [`Ending::Open`] is how a node that was
/// stopped leaves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// After a complete entry. Whether later ones are missing only other authorities can tell:
    /// compare the last checkpoint with theirs.
    Open {
        /// The last segment.
        path: PathBuf,
    },
    /// Inside an entry: a copy that was taken while the node wrote, a crash, or a truncation. All
    /// entries before it are whole.
    Torn {
        /// The last segment.
        path: PathBuf,
        /// Where the incomplete entry begins.
        offset: u64,
    },
    /// After a segment that says that another one follows, which is not there.
    SuccessorMissing {
        /// The segment that should follow.
        path: PathBuf,
    },
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open { path } => write!(f, "{}: ends after a whole entry", path.display()),
            Self::Torn { path, offset } => {
                write!(f, "{}: ends in a torn record at byte {offset}", path.display())
            }
            Self::SuccessorMissing { path } => {
                write!(f, "{}: missing, though the segment before it is closed", path.display())
            }
        }
    }
}

/// Streams the entries of a ledger in order; one commit is in memory at a time.
///
/// An `Err` names file, offset and what is damaged, and nothing follows it. After `None`,
/// [`ending`](Self::ending) says how the ledger ends.
pub struct SegmentReader {
    directory: PathBuf,
    genesis: [u8; 32],
    /// First commits of the segments not opened yet, in descending order.
    left: Vec<u64>,
    current: Option<SegmentScan>,
    /// Last commit and hash of the segment before the current one.
    previous: (u64, [u8; 32]),
    /// What the next epoch must build on.
    last_commit: u64,
    checkpoint: Option<Statement>,
    epoch: Option<CommitteeConfig>,
    position: (PathBuf, u64),
    ending: Option<Ending>,
    failed: bool,
}

impl SegmentReader {
    /// Opens the ledger of a data directory, or a copied `ledger` directory alone.
    ///
    /// # Errors
    ///
    /// [`StorageError::NoLedger`] if the folder is neither, [`StorageError::Missing`] if its ledger
    /// has no segment; what [`read_genesis`] says of a `VERSION` that is damaged or of another
    /// format.
    pub fn open(data_directory: &Path) -> Result<Self, StorageError> {
        let nested = ledger_directory(data_directory);
        let (directory, expected) = if nested.is_dir() {
            (nested, Some(read_genesis(data_directory)?))
        } else if holds_segments(data_directory)? {
            (data_directory.to_path_buf(), None)
        } else {
            return Err(StorageError::NoLedger { path: data_directory.to_path_buf() });
        };
        let mut left = numbered(&directory, EXTENSION)?;
        left.reverse();
        let Some(first) = left.last() else {
            return Err(StorageError::Missing { path: path(&directory, 1), what: "the ledger" });
        };
        let position = (path(&directory, *first), 0);
        let mut reader = Self {
            directory,
            genesis: expected.unwrap_or_default(),
            left,
            current: None,
            previous: (0, [0; 32]),
            last_commit: 0,
            checkpoint: None,
            epoch: None,
            position,
            ending: None,
            failed: false,
        };
        let scan = reader.open_next()?;
        reader.genesis = expected.unwrap_or_else(|| scan.header().genesis);
        reader.check_header(&scan)?;
        reader.current = Some(scan);
        Ok(reader)
    }

    /// Digest of the genesis of the network whose ledger this is.
    pub fn genesis(&self) -> [u8; 32] {
        self.genesis
    }

    /// File and offset of the entry given last, for messages about its content.
    pub fn position(&self) -> (&Path, u64) {
        (&self.position.0, self.position.1)
    }

    /// How the ledger ends; known once the reader has given `None`.
    pub fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    fn open_next(&mut self) -> Result<SegmentScan, StorageError> {
        let number = self.left.pop().unwrap_or(1);
        SegmentScan::open(&path(&self.directory, number))
    }

    /// Whether the segment is the one that must come here.
    fn check_header(&self, scan: &SegmentScan) -> Result<(), StorageError> {
        let header = scan.header();
        let (last, hash) = self.previous;
        if header.genesis != self.genesis {
            return Err(StorageError::OtherNetwork {
                path: scan.path().into(),
                found: hex::encode(header.genesis),
                expected: hex::encode(self.genesis),
            });
        }
        let expected = path(&self.directory, last.saturating_add(1));
        if scan.path() != expected {
            let what = "the segment that must come next in the ledger";
            return Err(StorageError::Missing { path: expected, what });
        }
        if header.first != last.saturating_add(1) || header.previous != hash {
            let what = "the header does not continue the segment before it";
            return Err(StorageError::damaged(scan.path(), 0, what));
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<Option<LedgerEntry>, StorageError> {
        while let Some(scan) = &mut self.current {
            let step = scan.step()?;
            self.position = (scan.path().into(), scan.entry_offset());
            match step {
                Step::Entry(entry) => {
                    self.check_entry(&entry)?;
                    return Ok(Some(entry));
                }
                Step::Closed(trailer) => self.turn_page(trailer)?,
                Step::Torn { offset } => self.finish(Some(offset))?,
                Step::End => self.finish(None)?,
            }
        }
        Ok(None)
    }

    /// Whether an epoch begins where one may.
    fn check_entry(&mut self, entry: &LedgerEntry) -> Result<(), StorageError> {
        match entry {
            LedgerEntry::Commit(commit) => self.last_commit = commit.index(),
            LedgerEntry::Checkpoint(newest) => self.checkpoint = Some(newest.statement),
            LedgerEntry::Epoch(config) => {
                // Of the first epoch nothing else is known here; its own name must do.
                let first = CommitteeConfig {
                    network: NetworkId(self.genesis),
                    epoch: 0,
                    ..config.clone()
                };
                let before = self.epoch.as_ref().unwrap_or(&first);
                follows(before, self.last_commit, self.checkpoint, config)
                    .map_err(|why| StorageError::damaged(&self.position.0, self.position.1, why))?;
                self.epoch = Some(config.clone());
            }
        }
        Ok(())
    }

    fn turn_page(&mut self, trailer: Trailer) -> Result<(), StorageError> {
        self.previous = (trailer.last, trailer.hash);
        self.current = None;
        if self.left.is_empty() {
            let path = path(&self.directory, trailer.last.saturating_add(1));
            self.ending = Some(Ending::SuccessorMissing { path });
            return Ok(());
        }
        let scan = self.open_next()?;
        self.check_header(&scan)?;
        self.current = Some(scan);
        Ok(())
    }

    /// The current segment ends without being closed, which only the last one may.
    fn finish(&mut self, torn: Option<u64>) -> Result<(), StorageError> {
        let (path, offset) = self.position.clone();
        if !self.left.is_empty() {
            let what = "the file ends without being closed, though another segment follows";
            return Err(StorageError::damaged(&path, offset, what));
        }
        self.current = None;
        self.ending = Some(match torn {
            Some(offset) => Ending::Torn { path, offset },
            None => Ending::Open { path },
        });
        Ok(())
    }
}

fn holds_segments(directory: &Path) -> Result<bool, StorageError> {
    let segment = |name: &OsString| Path::new(name).extension().is_some_and(|e| e == EXTENSION);
    Ok(entries(directory)?.iter().any(segment))
}

impl Iterator for SegmentReader {
    type Item = Result<LedgerEntry, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let entry = self.advance().transpose();
        self.failed = matches!(entry, Some(Err(_)));
        entry
    }
}
