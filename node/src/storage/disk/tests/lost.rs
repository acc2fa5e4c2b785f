//! Whether a node knows what it has signed: founded, found empty, robbed of its log, of format 1.

use super::super::super::directory::read_genesis;
use super::*;

/// A directory that format 1 wrote: five rounds, four commits, and an own block of round 6.
fn format_1() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for line in include_str!("../format_1.txt").lines() {
        let (name, bytes) = line.split_once(' ').unwrap();
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, hex::decode(bytes).unwrap()).unwrap();
    }
    root
}

fn lost_log(path: &Path) -> bool {
    open(path).unwrap().recover().lost_log
}

#[test]
fn only_a_directory_that_was_founded_may_sign_at_once() {
    let root = tempfile::tempdir().unwrap();
    let (founded, found) = (root.path().join("founded"), root.path().join("found"));
    DiskStorage::found(&founded, genesis(), key(OWN.0)).unwrap();
    assert!(!lost_log(&founded));
    assert!(lost_log(&found), "created where there was none");
    fs::create_dir(root.path().join("empty")).unwrap();
    assert!(lost_log(&root.path().join("empty")));
    // It stays so until somebody says otherwise.
    assert!(lost_log(&found));
    open(&found).unwrap().log_recovered().unwrap();
    assert!(!lost_log(&found));
    let again = DiskStorage::found(&founded, genesis(), key(OWN.0));
    assert!(matches!(again, Err(StorageError::Exists { .. })), "{again:?}");
    fs::remove_dir_all(&founded).unwrap();
    assert!(lost_log(&founded));
}

/// A founding that a crash stopped is no founding, however far it came.
#[test]
fn a_directory_that_was_half_made_is_made_as_a_lost_one() {
    let root = tempfile::tempdir().unwrap();
    DiskStorage::found(root.path(), genesis(), key(OWN.0)).unwrap();
    fs::remove_file(root.path().join("VERSION")).unwrap();
    assert!(lost_log(root.path()));
    let half = tempfile::tempdir().unwrap();
    fs::write(half.path().join("LOST-LOG"), "").unwrap();
    assert!(lost_log(half.path()));
}

#[test]
fn a_log_that_has_vanished_in_part_or_whole_is_a_lost_log() {
    let log = format!("log/{:020}", 0);
    type Loss = fn(&Path);
    let losses: [(&str, Loss); 5] = [
        ("", |log| fs::remove_dir_all(log.parent().unwrap()).unwrap()),
        ("", |log| fs::remove_dir_all(log).unwrap()),
        ("WATERMARK", |file| fs::remove_file(file).unwrap()),
        ("00000000000000000001.wal", |file| fs::remove_file(file).unwrap()),
        // Cut behind a whole record: nothing looks damaged.
        ("00000000000000000001.wal", |file| super::super::super::testing::truncate(file, 88)),
    ];
    for (name, lose) in losses {
        let root = tempfile::tempdir().unwrap();
        DiskStorage::found(root.path(), genesis(), key(OWN.0)).unwrap();
        fill(&mut open(root.path()).unwrap());
        lose(&root.path().join(&log).join(name));
        for _ in 0..2 {
            let found = open(root.path()).unwrap().recover();
            assert_eq!((found.lost_log, found.own_last, found.last_commit), (true, None, 6));
        }
        let mut storage = open(root.path()).unwrap();
        storage.append_blocks(&[world().stored(0, 9)]).unwrap();
        storage.log_recovered().unwrap();
        drop(storage);
        let found = open(root.path()).unwrap().recover();
        assert_eq!((found.lost_log, rounds(&found)), (false, vec![(9, 0)]), "{name}");
    }
}

#[test]
fn a_directory_of_format_1_is_epoch_0_and_keeps_everything() {
    let root = format_1();
    for _ in 0..2 {
        let mut storage = open(root.path()).unwrap();
        let found = storage.recover();
        assert_eq!((found.last_commit, found.lost_log, found.lost.len()), (4, false, 0));
        assert_eq!(rounds(&found), [(5, 1), (5, 0), (6, 0)]);
        let start = recovery(&storage, &found).unwrap();
        assert_eq!(start.recovery.own_last.as_ref(), Some(&world().round(6)[0]));
        assert_eq!(start.committee.config(), genesis());
        drop(storage);
        assert_eq!(read_genesis(root.path()).unwrap(), GENESIS);
    }
    let names: Vec<_> = files(root.path())
        .iter()
        .map(|file| file.strip_prefix(root.path()).unwrap().display().to_string())
        .filter(|name| !name.starts_with("state"))
        .collect();
    let expected = [
        "LOCK",
        "VERSION",
        "ledger/00000000000000000001.seg",
        "ledger/00000000000000000004.seg",
        "log/00000000000000000000/00000000000000000001.wal",
        "log/00000000000000000000/WATERMARK",
    ];
    assert_eq!(names, expected);
    // Its files go on in the new format.
    let mut storage = open(root.path()).unwrap();
    storage.append_ledger(&world().entries(5, 6)).unwrap();
    let next = world().next(6, vec![0, 1], 1);
    storage.append_ledger(&[next.beginning(), next.entry(7)]).unwrap();
    drop(storage);
    let entries = SegmentReader::open(root.path()).unwrap().map(Result::unwrap);
    assert_eq!(entries.count(), 7 + 2 + 1);
}

#[test]
fn a_migration_that_a_crash_stopped_is_finished() {
    let log = format!("log/{:020}", 0);
    type Step = fn(&Path, &Path);
    let steps: [Step; 2] = [
        |root, log| {
            fs::create_dir_all(log.parent().unwrap()).unwrap();
            fs::rename(root.join("wal"), log).unwrap();
        },
        |root, log| fs::rename(root.join("WATERMARK"), log.join("WATERMARK")).unwrap(),
    ];
    for done in 0..=steps.len() {
        let root = format_1();
        for step in &steps[..done] {
            step(root.path(), &root.path().join(&log));
        }
        let found = open(root.path()).unwrap().recover();
        assert_eq!((found.lost_log, rounds(&found).len()), (false, 3), "after step {done}");
    }
}

#[test]
fn a_directory_of_format_1_is_still_that_of_one_authority() {
    let root = format_1();
    let refused = DiskStorage::open(root.path(), genesis(), key(1)).map(drop);
    assert!(matches!(refused, Err(StorageError::OtherAuthority { .. })), "{refused:?}");
    assert!(!lost_log(root.path()), "its own node still opens it");
}

#[test]
fn a_log_that_format_1_lost_is_a_lost_log() {
    for part in ["wal", "WATERMARK"] {
        let root = format_1();
        let path = root.path().join(part);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        assert!(lost_log(root.path()), "{part}");
        assert!(lost_log(root.path()), "{part}");
        assert!(!root.path().join("WATERMARK").exists());
    }
}
