//! Two authorities' ledgers, held against one another: one must be the beginning of the other.

use super::error::{AuditError, Difference};
use crate::storage::{Ending, LedgerEntry, SegmentReader};
use kerbholz_consensus::{CommitDigest, Committee};
use serde::Serialize;
use std::path::Path;

/// Two ledgers with one history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// Commits of the first.
    pub commits: u64,
    /// Commits of the second.
    pub against: u64,
}

/// Compares commit by commit; `first` is the committee of the genesis. Reads headers only: the content
/// is [`super::replay`]'s affair.
///
/// # Errors
/// [`AuditError::Difference`] with the first commit that differs, [`AuditError::File`] when a file
/// cannot be read, [`AuditError::Cut`] when a ledger ends inside an entry.
pub fn compare(
    directory: &Path,
    against: &Path,
    first: &Committee,
) -> Result<Agreement, AuditError> {
    let (mut ours, mut theirs) = (Digests::open(directory, first)?, Digests::open(against, first)?);
    let mut agreement = Agreement { commits: 0, against: 0 };
    loop {
        let (a, b) = (ours.next()?, theirs.next()?);
        agreement.commits += u64::from(a.is_some());
        agreement.against += u64::from(b.is_some());
        match (a, b) {
            (None, None) => return Ok(agreement),
            (Some((index, a)), Some((_, b))) if a != b => {
                let what = format!("the commit in {}", against.display());
                return Err(Difference::at(index, what, a, b).into());
            }
            _ => {}
        }
    }
}

struct Digests {
    reader: SegmentReader,
    /// As recorded: digests of commits that were signed by others are others.
    committee: Committee,
}

impl Digests {
    fn open(directory: &Path, first: &Committee) -> Result<Self, AuditError> {
        Ok(Self { reader: SegmentReader::open(directory)?, committee: first.clone() })
    }

    fn next(&mut self) -> Result<Option<(u64, CommitDigest)>, AuditError> {
        for entry in self.reader.by_ref() {
            match entry? {
                LedgerEntry::Commit(commit) => {
                    return Ok(Some((commit.index(), commit.header().digest(&self.committee))));
                }
                LedgerEntry::Epoch(config) => self.committee = Committee::new(config)?,
                LedgerEntry::Checkpoint(_) => {}
            }
        }
        match self.reader.ending() {
            Some(Ending::Open { .. }) => Ok(None),
            Some(cut) => Err(AuditError::Cut(cut.clone())),
            None => Err(AuditError::Unended),
        }
    }
}
