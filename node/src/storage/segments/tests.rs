//! The ledger's segments: appended, read back, damaged in every byte.

mod certified;

use super::*;
use crate::storage::append::testing::Disk;
use crate::storage::frame::FRAME_HEADER;
use crate::storage::testing::{OWN, World, copy, files, flip, genesis, truncate, world};
use crate::storage::{RawBlock, StoredCommit};
use kerbholz_consensus::{AuthorityIndex, BlockRef, Round};
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;

/// A ledger of nine commits in two closed segments and an open one, and its length.
fn ledger(directory: &Path) -> Segments {
    let mut segments = open(directory, 0).unwrap();
    segments.set_target(1);
    segments.append(&world().entries(1, 6)).unwrap();
    segments.append(&world().entries(7, 8)).unwrap();
    segments
}

fn open(directory: &Path, commit_min: u64) -> Result<Segments, StorageError> {
    let examined = Segments::examine(directory, genesis())?;
    examined.check_reach(commit_min)?;
    Segments::open(examined).map(|(segments, _)| segments)
}

/// Everything a reader gives, and how it ended.
fn read(directory: &Path) -> (Vec<LedgerEntry>, Result<Ending, StorageError>) {
    let mut reader = match SegmentReader::open(directory) {
        Ok(reader) => reader,
        Err(error) => return (vec![], Err(error)),
    };
    let mut entries = Vec::new();
    for entry in &mut reader {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(error) => return (entries, Err(error)),
        }
    }
    (entries, Ok(reader.ending().unwrap().clone()))
}

fn segment_files(directory: &Path) -> Vec<PathBuf> {
    let files = files(directory);
    assert_eq!(files.len(), 3);
    files
}

#[test]
fn what_is_appended_is_read_in_order_and_by_index() {
    let root = tempfile::tempdir().unwrap();
    let segments = ledger(root.path());
    let check = |segments: &Segments| {
        assert_eq!(segments.last_commit(), 8);
        assert_eq!(segments.checkpoint(), Some(&world().checkpoint(6)));
        for index in 1..=8 {
            let commit = segments.commit(index).unwrap().unwrap();
            assert_eq!(commit.verify(&world().committee).unwrap(), *world().commit_at(index));
        }
        assert_eq!(segments.commit(0).unwrap(), None);
        assert_eq!(segments.commit(9).unwrap(), None);
    };
    check(&segments);
    drop(segments);
    check(&open(root.path(), 8).unwrap());
    let (entries, ending) = read(root.path());
    assert_eq!(entries, world().entries(1, 8));
    assert!(matches!(ending.unwrap(), Ending::Open { .. }));
}

#[test]
fn every_committed_block_is_found_by_its_reference() {
    let root = tempfile::tempdir().unwrap();
    let segments = ledger(root.path());
    for round in 1..=12 {
        for block in world().round(round) {
            let found = segments.block(&block.reference()).unwrap();
            assert_eq!(found.as_deref(), (round <= 8).then_some(block.bytes()));
            let mut twin = block.reference();
            twin.digest.0[0] ^= 1;
            assert_eq!(segments.block(&twin).unwrap(), None);
        }
    }
}

/// Anybody may ask for blocks that never were, of any round, as often as they are answered.
#[test]
fn a_made_up_reference_costs_no_reading_of_indexes() {
    let root = tempfile::tempdir().unwrap();
    let segments = ledger(root.path());
    let round = |closed: &Closed| closed.trailer.rounds.0;
    let old: Vec<u64> = segments.closed.iter().map(round).collect();
    assert_eq!(old.len(), 2);
    let made_up = |round: u64, fill: u8| {
        let mut reference = world().round(round)[0].reference();
        reference.digest.0 = [fill; 32];
        segments.locate(&reference).unwrap()
    };
    for round in &old {
        assert_eq!(made_up(*round, 0), None);
    }
    // From now on the index as a whole is not looked at: what is wrong with it does not show.
    for (file, closed) in segment_files(root.path()).iter().zip(&segments.closed) {
        flip(file, closed.trailer.close as usize + FRAME_HEADER - 1, 1);
        assert!(segments.index(closed).is_err());
    }
    for round in old {
        for fill in 0..=u8::MAX {
            assert_eq!(made_up(round, fill), None);
        }
        assert!(segments.locate(&world().round(round)[0].reference()).unwrap().is_some());
    }
    assert_eq!(segments.commit(1).unwrap().unwrap().index(), 1);
    assert_eq!(segments.cache.lock().unwrap().len(), 0);
    // But the first time it is.
    assert!(matches!(open(root.path(), 0).unwrap().commit(1), Err(StorageError::Damaged { .. })));
}

#[test]
fn an_authors_blocks_after_a_round_come_lowest_first() {
    let root = tempfile::tempdir().unwrap();
    let segments = ledger(root.path());
    let after = |author, round, limit| {
        let found = segments.after(AuthorityIndex(author), Round(round), limit).unwrap();
        for (round, location) in &found {
            let reference = segments.read(*location).unwrap().reference;
            assert_eq!((reference.round, reference.author.0), (*round, author));
        }
        found.into_iter().map(|(round, _)| round.0).collect::<Vec<_>>()
    };
    assert_eq!(after(0, 0, 100), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(after(1, 2, 3), [3, 4, 5]);
    assert_eq!(after(1, 6, 1), [7]);
    assert_eq!(after(1, 8, 100), [0; 0]);
    assert_eq!(after(2, 0, 100), [0; 0]);
}

#[test]
fn entries_out_of_order_are_refused_before_anything_is_written() {
    let root = tempfile::tempdir().unwrap();
    let mut segments = open(root.path(), 0).unwrap();
    let wrong = [
        vec![world().entry(2)],
        vec![world().entry(1), world().entry(1)],
        vec![world().entry(1), LedgerEntry::Checkpoint(world().checkpoint(2))],
    ];
    for entries in wrong {
        assert!(matches!(segments.append(&entries), Err(StorageError::OutOfOrder { .. })));
    }
    assert_eq!(segments.last_commit(), 0);
    assert_eq!(read(root.path()).0, []);
}

#[test]
fn a_closed_segment_is_frozen() {
    let root = tempfile::tempdir().unwrap();
    let world = World::new(1, 1);
    let mut segments = open(root.path(), 0).unwrap();
    segments.set_target(1);
    segments.append(&[world.entry(1), LedgerEntry::Checkpoint(world.checkpoint(1))]).unwrap();
    let bytes = fs::read(path(root.path(), 1)).unwrap();
    assert_eq!(hex::encode(bytes), include_str!("golden_segment.txt").trim());
}

/// Each of the files, every byte: the reader names the file, and gives only what was written.
#[test]
fn a_reader_finds_every_flipped_byte() {
    let root = tempfile::tempdir().unwrap();
    drop(ledger(root.path()));
    let all = world().entries(1, 8);
    for path in segment_files(root.path()) {
        let whole = fs::read(&path).unwrap();
        for position in 0..whole.len() {
            flip(&path, position, 1 << (position % 8));
            let (entries, ending) = read(root.path());
            assert!(all.starts_with(&entries), "{} byte {position}", path.display());
            let error = ending.expect_err("found").to_string();
            assert!(error.contains(path.to_str().unwrap()), "byte {position}: {error}");
            fs::write(&path, &whole).unwrap();
        }
    }
}

#[test]
fn a_reader_finds_every_truncation_that_the_format_can_show() {
    let root = tempfile::tempdir().unwrap();
    drop(ledger(root.path()));
    let all = world().entries(1, 8);
    let paths = segment_files(root.path());
    for (number, path) in paths.iter().enumerate() {
        let whole = fs::read(path).unwrap();
        let mut whole_ends = 0;
        for length in 0..whole.len() {
            truncate(path, length as u64);
            let (entries, ending) = read(root.path());
            assert!(all.starts_with(&entries) && entries.len() < all.len());
            match ending {
                Err(error) => assert!(error.to_string().contains(path.to_str().unwrap())),
                Ok(Ending::Torn { path: torn, .. }) => assert_eq!(torn, paths[2]),
                // After the header, and after the commit before the last: as if it were younger.
                Ok(Ending::Open { .. }) => whole_ends += 1,
                Ok(ending) => panic!("{ending}"),
            }
            fs::write(path, &whole).unwrap();
        }
        assert_eq!(whole_ends, if number == 2 { 2 } else { 0 });
    }
}

#[test]
fn a_reader_finds_every_missing_file() {
    let root = tempfile::tempdir().unwrap();
    drop(ledger(root.path()));
    for path in segment_files(root.path()) {
        let whole = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        match read(root.path()).1 {
            Ok(Ending::SuccessorMissing { path: missing }) => assert_eq!(missing, path),
            Err(error) => assert!(error.to_string().contains(path.to_str().unwrap()), "{error}"),
            Ok(ending) => panic!("{ending}"),
        }
        fs::write(&path, &whole).unwrap();
    }
}

#[test]
fn segments_of_another_ledger_do_not_fit() {
    let root = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    drop(ledger(root.path()));
    let mut segments = open(other.path(), 0).unwrap();
    segments.set_target(1);
    let other_world = World::new(1, 6);
    segments.append(&other_world.entries(1, 6)).unwrap();
    let second = path(root.path(), 4);
    fs::copy(path(other.path(), 4), &second).unwrap();
    let error = read(root.path()).1.unwrap_err();
    assert!(error.to_string().contains("does not continue"), "{error}");
    assert!(open(root.path(), 0).is_err());
}

/// Cut or spoilt anywhere behind what was acknowledged, the ledger goes on; before it, it refuses
/// and changes nothing.
#[test]
fn the_torn_end_is_cut_off_but_never_what_was_acknowledged() {
    let root = tempfile::tempdir().unwrap();
    drop(ledger(root.path()));
    let last = path(root.path(), 7);
    let whole = fs::read(&last).unwrap();
    for length in (FileHeader::LENGTH..whole.len()).step_by(7) {
        for zeros in [0, 9] {
            let mut torn = whole[..length].to_vec();
            torn.resize(length + zeros, 0);
            fs::write(&last, &torn).unwrap();
            assert!(open(root.path(), 8).is_err(), "cut to {length}");
            assert_eq!(fs::read(&last).unwrap(), torn);
            let mut segments = open(root.path(), 6).unwrap();
            assert!(segments.last_commit() < 8);
            let from = segments.last_commit() + 1;
            segments.append(&world().entries(from, 8)).unwrap();
            drop(segments);
            assert_eq!(fs::read(&last).unwrap(), whole);
        }
    }
}

#[test]
fn a_close_that_a_crash_tore_is_repeated() {
    let root = tempfile::tempdir().unwrap();
    let mut segments = open(root.path(), 0).unwrap();
    segments.append(&world().entries(1, 3)).unwrap();
    let open_length = fs::metadata(path(root.path(), 1)).unwrap().len();
    segments.set_target(1);
    segments.append(&[LedgerEntry::Checkpoint(world().checkpoint(3))]).unwrap();
    drop(segments);
    fs::remove_file(path(root.path(), 4)).unwrap();
    let closed = fs::metadata(path(root.path(), 1)).unwrap().len();
    for length in open_length..closed {
        let copied = tempfile::tempdir().unwrap();
        copy(root.path(), copied.path());
        truncate(&path(copied.path(), 1), length);
        let mut segments = open(copied.path(), 3).unwrap();
        segments.append(&world().entries(4, 4)).unwrap();
        assert!(matches!(read(copied.path()).1, Ok(Ending::Open { .. })));
    }
}

#[test]
fn a_full_disk_loses_nothing_and_the_append_can_be_repeated() {
    let root = tempfile::tempdir().unwrap();
    let mut segments = ledger(root.path());
    let before = fs::read(path(root.path(), 7)).unwrap();
    let disk = Disk::below(segments.active().unwrap());
    for bytes in [0, 1, 20, 100] {
        disk.left.store(bytes, SeqCst);
        let error = segments.append(&world().entries(9, 9)).unwrap_err();
        assert!(matches!(error, StorageError::Full { .. }));
        assert!(error.to_string().contains("free some space"));
        assert_eq!(segments.last_commit(), 8);
        assert_eq!(fs::read(path(root.path(), 7)).unwrap(), before);
    }
    disk.left.store(usize::MAX, SeqCst);
    segments.append(&world().entries(9, 9)).unwrap();
    assert_eq!(segments.commit(9).unwrap().unwrap().index(), 9);
}

#[test]
fn a_damaged_record_is_named_when_it_is_looked_up() {
    let root = tempfile::tempdir().unwrap();
    let segments = ledger(root.path());
    let block = world().round(2)[1].reference();
    let offset = segments.locate(&block).unwrap().unwrap().offset as usize;
    flip(&path(root.path(), 1), offset + FRAME_HEADER + 60, 4);
    for error in [segments.block(&block).unwrap_err(), segments.commit(2).unwrap_err()] {
        assert!(matches!(error, StorageError::Damaged { offset: at, .. } if at as usize == offset));
    }
}

#[test]
fn a_batch_of_commits_is_durable_with_one_sync() {
    let root = tempfile::tempdir().unwrap();
    let mut segments = ledger(root.path());
    let disk = Disk::below(segments.active().unwrap());
    segments.set_target(SEGMENT_TARGET);
    segments.append(&world().entries(9, 12)).unwrap();
    assert_eq!(disk.syncs.load(SeqCst), 1);
}

/// After a failed sync the kernel may have dropped the pages: a second one would lie.
#[test]
fn after_a_failed_sync_nothing_is_taken_until_the_next_start() {
    let root = tempfile::tempdir().unwrap();
    let mut segments = ledger(root.path());
    let disk = Disk::below(segments.active().unwrap());
    disk.broken.store(true, SeqCst);
    let failed = segments.append(&world().entries(9, 9));
    assert!(matches!(failed, Err(StorageError::Io { action: "sync", .. })));
    disk.broken.store(false, SeqCst);
    let refused = segments.append(&world().entries(9, 9));
    assert!(matches!(refused, Err(StorageError::Failed { .. })));
    assert_eq!(segments.last_commit(), 8);
    drop(segments);
    let mut segments = open(root.path(), 8).unwrap();
    segments.append(&world().entries(9, 9)).unwrap();
}

/// Rewritten with right checksums: what a close record claims is compared with what was read.
#[test]
fn a_close_record_that_lies_is_found() {
    let root = tempfile::tempdir().unwrap();
    let mut segments = open(root.path(), 0).unwrap();
    segments.set_target(1);
    segments.append(&world().entries(1, 3)).unwrap();
    let file = path(root.path(), 1);
    let whole = fs::read(&file).unwrap();
    let (content, trailer) = whole.split_at(whole.len() - Trailer::LENGTH);
    let truth = Trailer::decode(trailer).unwrap();
    let mut lies = [truth; 5];
    lies[0].hash[0] ^= 1;
    lies[1].last += 1;
    lies[2].rounds.1 += 1;
    lies[3].checkpoint -= 1;
    lies[4].close -= 1;
    for lie in lies {
        fs::write(&file, [content, &lie.encode()].concat()).unwrap();
        let error = read(root.path()).1.unwrap_err().to_string();
        assert!(error.contains("the trailer describes another content"), "{lie:?}: {error}");
    }
    let mut index = segments.index(&segments.closed[0]).unwrap().as_ref().clone();
    index.commits[1] += 1;
    let mut lie = whole[..truth.close as usize].to_vec();
    frame::encode(&mut lie, truth.close, Kind::Close, &[&index.encode()]).unwrap();
    lie.extend_from_slice(trailer);
    fs::write(&file, lie).unwrap();
    let error = read(root.path()).1.unwrap_err().to_string();
    assert!(error.contains("the index describes another content"), "{error}");
}

#[test]
fn a_segment_must_end_on_a_checkpoint() {
    let root = tempfile::tempdir().unwrap();
    let mut segments = open(root.path(), 0).unwrap();
    segments.append(&world().entries(1, 4)).unwrap();
    segments.close().unwrap();
    let error = read(root.path()).1.unwrap_err().to_string();
    assert!(error.contains("not on a checkpoint"), "{error}");
}

#[test]
fn a_checkpoint_before_its_commit_is_found() {
    let root = tempfile::tempdir().unwrap();
    let mut segments = open(root.path(), 0).unwrap();
    segments.append(&world().entries(1, 2)).unwrap();
    let mut stage = Stage::default();
    let offset = segments.opened().unwrap().file.length();
    stage.push(offset, &LedgerEntry::Checkpoint(world().checkpoint(3))).unwrap();
    segments.write(stage).unwrap();
    let error = read(root.path()).1.unwrap_err().to_string();
    assert!(error.contains("a checkpoint of a commit that is not before it"), "{error}");
}

/// A block may be committed after one of a higher round, in a later segment.
#[test]
fn blocks_that_were_committed_late_are_found_in_their_place() {
    let root = tempfile::tempdir().unwrap();
    let mut segments = open(root.path(), 0).unwrap();
    segments.set_target(1);
    for (index, rounds) in [(1, vec![1, 3]), (2, vec![5]), (3, vec![2, 4])] {
        let raw = |round: &u64| RawBlock {
            reference: BlockRef { author: OWN, ..world().round(*round)[0].reference() },
            bytes: vec![*round as u8; 9],
        };
        let blocks: Vec<_> = rounds.iter().map(raw).collect();
        let mut header = world().commit_at(index).header().clone();
        header.blocks = blocks.iter().map(|block| block.reference).collect();
        let checkpoint = LedgerEntry::Checkpoint(world().checkpoint(index));
        let commit = LedgerEntry::Commit(StoredCommit { header, blocks });
        segments.append(&[commit, checkpoint]).unwrap();
    }
    for (limit, expected) in [(1, vec![1]), (2, vec![1, 2]), (9, vec![1, 2, 3, 4, 5])] {
        let found = segments.after(OWN, Round(0), limit).unwrap();
        assert_eq!(found.iter().map(|(round, _)| round.0).collect::<Vec<_>>(), expected);
    }
}
