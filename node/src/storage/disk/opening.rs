//! Opening a data directory: which logs belong to which epoch, what a crash left between them, and
//! what to do when the block log is gone.

use std::collections::BTreeSet;

use kerbholz_consensus::{AuthorityIndex, CommitteeConfig, PublicKey};

use super::super::directory::{DataDirectory, WATERMARK};
use super::super::epoch::Epoch;
use super::super::error::StorageError;
use super::super::evidence::Book;
use super::super::segments::Segments;
use super::super::state::State;
use super::super::wal::{self, Wal};
use super::super::watermark::Watermark;
use super::super::{RawBlock, Recovered, StoredBlock};
use super::DiskStorage;

/// See [`DiskStorage::open`].
pub(super) fn open(
    directory: DataDirectory,
    genesis: &CommitteeConfig,
    key: PublicKey,
) -> Result<DiskStorage, StorageError> {
    // All of it is looked at before any of it is touched: a directory that is refused stays as it is.
    let ledger = Segments::examine(&directory.ledger(), genesis)?;
    ledger.check_reach(commit_mark(&directory)?)?;
    let newest = ledger.epochs().last().cloned().unwrap_or_else(|| Epoch::first(genesis));
    check_logs(&directory, newest.number())?;
    let log = examine_log(&directory, newest.number())?;
    let author = log.as_ref().ok().and_then(wal::Examined::author);
    check_author(&directory, &newest, key, author)?;

    directory.remove_unfinished()?;
    let (state, rebuild) = State::open(&directory.state())?;
    let applied = state.applied_commit();
    // Rows are written after their commit is durable, so the ledger reaches at least there.
    ledger.check_reach(applied.unwrap_or(0))?;
    let (segments, torn) = Segments::open(ledger)?;
    settle_logs(&directory, newest.number())?;
    let (mut wal, blocks, mut lost) = open_log(&directory, log, &segments, newest.number())?;
    lost.extend(torn);
    let own_last = wal.own_last()?;
    let blocks = uncommitted(&mut wal, &segments, blocks)?;
    let before = open_before(&directory, &segments, newest.number())?;
    let (before, own_before) = before.map_or((None, Vec::new()), |(wal, own)| (Some(wal), own));
    let (evidence, damaged) = Book::open(&directory.evidence(), directory.genesis())?;
    lost.extend(damaged);
    let last_commit = segments.last_commit();
    let empty = (applied.is_none() && last_commit > 0)
        .then(|| "there is no state, but a ledger".to_owned());
    let mark = directory.lost_log()?;
    let recovered = Recovered {
        epochs: segments.epochs().to_vec(),
        last_commit,
        applied_commit: applied,
        rebuild: rebuild.or(empty),
        blocks,
        own_last,
        own_before,
        checkpoint: segments.checkpoint().cloned(),
        lost,
        lost_log: mark.is_some(),
        sign_after: mark.flatten(),
    };
    Ok(DiskStorage { key, wal, before, segments, state, evidence, recovered, directory })
}

/// Up to where the logs say that the ledger reaches.
fn commit_mark(directory: &DataDirectory) -> Result<u64, StorageError> {
    let mut commit = 0;
    for epoch in directory.logs()? {
        match Watermark::open(&directory.log(epoch).join(WATERMARK)) {
            Ok(watermark) => commit = watermark.marks().commit.max(commit),
            Err(StorageError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(commit)
}

/// Refuses blocks of an epoch that the ledger does not know.
fn check_logs(directory: &DataDirectory, newest: u64) -> Result<(), StorageError> {
    for epoch in directory.logs()?.into_iter().filter(|epoch| *epoch > newest) {
        let mark = Watermark::open(&directory.log(epoch).join(WATERMARK))?;
        if mark.marks().own_round > 0 {
            let what = format!(
                "blocks of epoch {epoch} were signed, but the ledger knows only epochs up to \
                 {newest} - restore the ledger directory from a backup or from another authority"
            );
            return Err(StorageError::Lost { path: directory.ledger(), what });
        }
    }
    Ok(())
}

/// Deletes the logs of epochs that are over, and one that was made for an epoch that a crash kept
/// from beginning.
fn settle_logs(directory: &DataDirectory, newest: u64) -> Result<(), StorageError> {
    let is_needed = |epoch: u64| epoch == newest || epoch + 1 == newest;
    for epoch in directory.logs()?.into_iter().filter(|epoch| !is_needed(*epoch)) {
        directory.remove_log(epoch)?;
    }
    Ok(())
}

/// Reads the block log of an epoch. The inner error says why it is not all there.
fn examine_log(
    directory: &DataDirectory,
    epoch: u64,
) -> Result<Result<wal::Examined, StorageError>, StorageError> {
    match Wal::examine(&directory.log(epoch), directory.genesis()) {
        Err(error @ (StorageError::Missing { .. } | StorageError::Lost { .. })) => Ok(Err(error)),
        examined => examined.map(Ok),
    }
}

/// Opens the block log of an epoch with the blocks in it. If it is not all there, nobody knows any
/// more what was signed: this is marked first, then a new log is begun.
fn open_log(
    directory: &DataDirectory,
    examined: Result<wal::Examined, StorageError>,
    segments: &Segments,
    epoch: u64,
) -> Result<wal::Opened, StorageError> {
    let examined = match examined {
        Ok(examined) => examined,
        Err(error) => {
            let (log, commit) = (directory.log(epoch), segments.last_commit());
            let path = log.display();
            tracing::warn!(%path, commit, %error, "the log of what this node has signed is lost");
            directory.mark_log_lost(None)?;
            directory.set_log_aside(epoch)?;
            directory.create_log(epoch)?;
            Wal::examine(&log, directory.genesis())?
        }
    };
    Wal::open(examined)
}

/// The log of the epoch before, and the own blocks in it that no commit holds. Nothing depends on
/// it but the convenience of those whose transactions are in them.
fn open_before(
    directory: &DataDirectory,
    segments: &Segments,
    newest: u64,
) -> Result<Option<(Wal, Vec<RawBlock>)>, StorageError> {
    let Some(epoch) = newest.checked_sub(1) else { return Ok(None) };
    if !directory.logs()?.contains(&epoch) {
        return Ok(None);
    }
    let opened = Wal::examine(&directory.log(epoch), directory.genesis()).and_then(Wal::open);
    let (mut wal, blocks, _) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            tracing::warn!(%error, epoch, "transactions that waited when the epoch ended are lost");
            return Ok(None);
        }
    };
    let own = uncommitted(&mut wal, segments, blocks)?.into_iter().filter(|block| block.own);
    let own = own.map(|block| RawBlock { reference: block.reference, bytes: block.bytes });
    Ok(Some((wal, own.collect())))
}

/// Refuses a block log that is another authority's, put here by hand.
fn check_author(
    directory: &DataDirectory,
    epoch: &Epoch,
    key: PublicKey,
    author: Option<AuthorityIndex>,
) -> Result<(), StorageError> {
    let Some(author) = author else { return Ok(()) };
    let of = epoch.config.authorities.get(author.position());
    if of == Some(&key) {
        return Ok(());
    }
    let found = of.map_or_else(|| format!("of authority {author}"), ToString::to_string);
    let path = directory.log(epoch.number());
    Err(StorageError::OtherAuthority { path, found, expected: key.to_string() })
}

/// The blocks of a log that no commit holds; the others are released.
fn uncommitted(
    wal: &mut Wal,
    segments: &Segments,
    blocks: Vec<StoredBlock>,
) -> Result<Vec<StoredBlock>, StorageError> {
    let mut pending = Vec::new();
    let mut committed = BTreeSet::new();
    for block in blocks {
        if segments.locate(&block.reference)?.is_some() {
            committed.insert(block.reference);
        } else {
            pending.push(block);
        }
    }
    wal.committed(&committed);
    Ok(pending)
}
