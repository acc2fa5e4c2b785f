//! The block log: torn, damaged, trimmed, refused where it forgot an own block.

use super::*;
use crate::storage::append::testing::Disk;
use crate::storage::testing::{GENESIS, copy, flip, truncate, world};
use proptest::prelude::*;
use std::sync::atomic::Ordering::SeqCst;

struct Log {
    root: tempfile::TempDir,
}

impl Log {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("wal")).unwrap();
        fs::write(root.path().join("wal/WATERMARK"), Watermark::initial_file()).unwrap();
        Self { root }
    }

    fn open(&self) -> Result<(Wal, Vec<StoredBlock>, Vec<Damage>), StorageError> {
        Wal::open(Wal::examine(&self.wal(), GENESIS)?)
    }

    fn wal(&self) -> PathBuf {
        self.root.path().join("wal")
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files = crate::storage::testing::files(&self.wal());
        files.retain(|file| file.extension().is_some());
        files
    }

    fn copy(&self) -> Self {
        let root = tempfile::tempdir().unwrap();
        copy(self.root.path(), root.path());
        Self { root }
    }
}

/// Both blocks of each round, own first, one append per round.
fn append(wal: &mut Wal, rounds: std::ops::RangeInclusive<u64>) {
    for round in rounds {
        wal.append(&[world().stored(0, round), world().stored(1, round)], 0).unwrap();
    }
}

fn rounds(blocks: &[StoredBlock]) -> Vec<(u64, bool)> {
    blocks.iter().map(|block| (block.reference.round.0, block.own)).collect()
}

/// Three files of two or three rounds each.
fn three_files() -> Log {
    let log = Log::new();
    let (mut wal, ..) = log.open().unwrap();
    wal.set_target(1_200);
    append(&mut wal, 1..=6);
    drop(wal);
    assert_eq!(log.files().len(), 3);
    log
}

#[test]
fn blocks_are_found_after_an_abrupt_end() {
    let log = three_files();
    let (wal, blocks, lost) = log.open().unwrap();
    let expected: Vec<_> =
        (1..=6).flat_map(|round| [world().stored(0, round), world().stored(1, round)]).collect();
    assert_eq!((&blocks, lost), (&expected, vec![]));
    for block in &blocks {
        assert_eq!(wal.block(&block.reference).unwrap().as_ref(), Some(&block.bytes));
    }
    assert_eq!(wal.own_last().unwrap().unwrap().bytes, world().stored(0, 6).bytes);
    let after: Vec<_> = wal.own_after(Round(4)).map(|block| block.round.0).collect();
    assert_eq!(after, [5, 6]);
}

#[test]
fn a_file_goes_when_everything_in_it_is_committed_or_forgotten() {
    let log = three_files();
    let (mut wal, blocks, _) = log.open().unwrap();
    let references: Vec<_> = blocks.iter().map(|block| block.reference).collect();
    wal.committed(&references[1..]);
    wal.recycle().unwrap();
    assert_eq!(log.files().len(), 3, "one block of round 1 is still live");
    wal.forget_through(Round(1));
    wal.recycle().unwrap();
    assert_eq!(log.files().len(), 1);
    assert_eq!(wal.block(&references[0]).unwrap(), None);
    drop(wal);
    let (_, blocks, lost) = log.open().unwrap();
    assert!(lost.is_empty() && blocks.iter().all(|block| block.reference.round.0 >= 5));
}

#[test]
fn the_newest_own_block_is_never_recycled() {
    let log = Log::new();
    let (mut wal, ..) = log.open().unwrap();
    wal.set_target(600);
    wal.append(&[world().stored(0, 1)], 0).unwrap();
    for round in 2..=9 {
        let block = world().stored(1, round);
        wal.append(std::slice::from_ref(&block), 0).unwrap();
        wal.forget_through(block.reference.round);
        wal.recycle().unwrap();
        assert!(log.files().len() <= 2);
    }
    assert_eq!(wal.own_last().unwrap().unwrap().reference, world().stored(0, 1).reference);
    drop(wal);
    let (wal, ..) = log.open().unwrap();
    assert_eq!(wal.own_last().unwrap().unwrap().reference, world().stored(0, 1).reference);
}

#[test]
fn a_log_that_ended_between_two_files_goes_on() {
    let log = three_files();
    fs::remove_file(&log.files()[2]).unwrap();
    fs::write(log.wal().join("WATERMARK"), Watermark::initial_file()).unwrap();
    let (mut wal, before, lost) = log.open().unwrap();
    assert!(lost.is_empty());
    append(&mut wal, 7..=7);
    assert_eq!(log.files().len(), 3);
    drop(wal);
    let (_, after, _) = log.open().unwrap();
    assert_eq!(rounds(&after[before.len()..]), [(7, true), (7, false)]);
}

#[test]
fn a_file_that_is_missing_is_named() {
    let log = three_files();
    for file in log.files().iter().take(2) {
        let copied = log.copy();
        let missing = copied.wal().join(file.file_name().unwrap());
        fs::remove_file(&missing).unwrap();
        match copied.open() {
            Err(StorageError::Missing { path, .. }) => assert_eq!(path, missing),
            other => panic!("{:?}", other.map(|(_, blocks, lost)| (rounds(&blocks), lost))),
        }
    }
    fs::remove_file(&log.files()[2]).unwrap();
    assert!(matches!(log.open(), Err(StorageError::Lost { .. })));
}

#[test]
fn a_file_cut_exactly_behind_a_record_is_seen_unless_it_is_the_last() {
    let log = three_files();
    let (wal, ..) = log.open().unwrap();
    let place = wal.live[&world().stored(0, 2).reference];
    drop(wal);
    let file = path(&log.wal(), place.file);
    truncate(&file, place.offset);
    match log.open() {
        Err(StorageError::Damaged { path, offset, .. }) => {
            assert_eq!((path, offset), (file, place.offset));
        }
        _ => panic!("own blocks were lost"),
    }
}

#[test]
fn an_older_own_block_does_not_lower_the_mark() {
    let log = Log::new();
    let (mut wal, ..) = log.open().unwrap();
    wal.append(&[world().stored(0, 3)], 5).unwrap();
    wal.append(&[world().stored(0, 2)], 4).unwrap();
    assert_eq!((wal.marks().own_round, wal.marks().commit), (3, 5));
    assert_eq!(wal.own_last().unwrap().unwrap().reference.round, Round(3));
}

#[test]
fn a_damaged_foreign_block_is_dropped_and_the_others_kept() {
    let log = three_files();
    let (wal, ..) = log.open().unwrap();
    let foreign = world().stored(1, 1).reference;
    let offset = wal.live[&foreign].offset;
    drop(wal);
    flip(&log.files()[0], offset as usize + FRAME_HEADER + 50, 1);
    for lost_expected in [1, 0] {
        let (mut wal, blocks, lost) = log.open().unwrap();
        assert_eq!(lost.len(), lost_expected);
        assert!(lost.iter().all(|damage| damage.offset == offset));
        assert_eq!(blocks.len(), 11);
        assert!(blocks.iter().all(|block| block.reference != foreign));
        for block in &blocks {
            assert_eq!(wal.block(&block.reference).unwrap().as_ref(), Some(&block.bytes));
        }
        wal.recycle().unwrap();
    }
}

#[test]
fn a_damaged_own_block_is_refused_and_left_as_it_is() {
    let log = three_files();
    for round in [1, 3, 6] {
        let copied = log.copy();
        let (wal, ..) = copied.open().unwrap();
        let place = wal.live[&world().stored(0, round).reference];
        drop(wal);
        let file = path(&copied.wal(), place.file);
        flip(&file, place.offset as usize + FRAME_HEADER + 50, 1);
        let damaged = fs::read(&file).unwrap();
        match copied.open() {
            Err(StorageError::Damaged { path, offset, .. }) => {
                assert_eq!((path, offset), (file.clone(), place.offset));
            }
            _ => panic!("round {round} was lost"),
        }
        assert_eq!(fs::read(&file).unwrap(), damaged);
    }
}

#[test]
fn a_full_disk_loses_nothing_and_the_append_can_be_repeated() {
    let log = Log::new();
    let (mut wal, ..) = log.open().unwrap();
    append(&mut wal, 1..=1);
    let before = fs::read(&log.files()[0]).unwrap();
    let disk = Disk::below(wal.active());
    for bytes in [0, 1, 100] {
        disk.left.store(bytes, SeqCst);
        let error = wal.append(&[world().stored(0, 2)], 0).unwrap_err();
        assert!(matches!(error, StorageError::Full { .. }));
        assert_eq!(fs::read(&log.files()[0]).unwrap(), before);
        assert_eq!(wal.block(&world().stored(0, 2).reference).unwrap(), None);
        assert_eq!(wal.marks().own_round, 1);
    }
    disk.left.store(usize::MAX, SeqCst);
    append(&mut wal, 2..=2);
    drop(wal);
    assert_eq!(log.open().unwrap().1.len(), 4);
}

#[test]
fn own_blocks_are_synced_and_those_of_others_are_not() {
    let log = Log::new();
    let (mut wal, ..) = log.open().unwrap();
    let disk = Disk::below(wal.active());
    wal.append(&[world().stored(1, 1), world().stored(1, 2)], 0).unwrap();
    assert_eq!((disk.syncs.load(SeqCst), wal.marks().own_round), (0, 0));
    wal.append(&[world().stored(1, 3), world().stored(0, 1)], 7).unwrap();
    assert_eq!((disk.syncs.load(SeqCst), wal.marks().own_round), (1, 1));
    assert_eq!(wal.marks().commit, 7);
}

#[test]
fn an_own_block_whose_sync_failed_is_not_marked_as_durable() {
    let log = Log::new();
    let (mut wal, ..) = log.open().unwrap();
    let disk = Disk::below(wal.active());
    disk.broken.store(true, SeqCst);
    assert!(wal.append(&[world().stored(0, 1)], 0).is_err());
    disk.broken.store(false, SeqCst);
    let refused = wal.append(&[world().stored(0, 1)], 0);
    assert!(matches!(refused, Err(StorageError::Failed { .. })));
    assert_eq!((wal.marks().own_round, wal.own_last().unwrap()), (0, None));
    drop(wal);
    assert_eq!(log.open().unwrap().1, []);
}

#[test]
fn an_idle_network_does_not_grow_the_log() {
    let log = Log::new();
    let (mut wal, ..) = log.open().unwrap();
    wal.set_target(2_000);
    for round in (1..=12).cycle().take(600) {
        append(&mut wal, round..=round);
        wal.committed([&world().stored(0, round).reference, &world().stored(1, round).reference]);
        wal.recycle().unwrap();
        let length: u64 = log.files().iter().map(|file| fs::metadata(file).unwrap().len()).sum();
        assert!(length < 6_000, "{length} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// One changed byte, or any truncation: an own block is never lost without an error, and what
    /// is given is what was written.
    #[test]
    fn no_own_block_is_lost_silently(
        file in 0usize..3,
        place in any::<prop::sample::Index>(),
        mask in 1u8..,
        cut in any::<bool>(),
    ) {
        static LOG: std::sync::OnceLock<Log> = std::sync::OnceLock::new();
        let log = LOG.get_or_init(three_files).copy();
        let path = log.files().swap_remove(file);
        let length = fs::metadata(&path).unwrap().len() as usize;
        let place = place.index(length);
        if cut { truncate(&path, place as u64) } else { flip(&path, place, mask) }
        match log.open() {
            Err(error) => {
                let named = error.to_string().contains(path.to_str().unwrap());
                prop_assert!(named || matches!(error, StorageError::Lost { .. }), "{}", error);
            }
            Ok((_, blocks, lost)) => {
                let own: Vec<_> = blocks.iter().filter(|block| block.own).collect();
                prop_assert_eq!(own.len(), 6);
                for block in &blocks {
                    let author = block.reference.author.0;
                    prop_assert_eq!(block, &world().stored(author, block.reference.round.0));
                }
                // Cut exactly behind a record of the last file it is as if it had never been.
                prop_assert!(!lost.is_empty() || (cut && file == 2));
                prop_assert!(blocks.len() < 12 || !lost.is_empty());
            }
        }
    }
}
