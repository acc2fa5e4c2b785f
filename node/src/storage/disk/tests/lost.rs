//! Whether a node knows what it has signed: founded, found empty, robbed of its log.

use super::super::super::SignAfter;
use super::*;
use std::io::Write as _;
use std::path::PathBuf;

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

#[test]
fn a_log_that_was_found_to_be_an_old_copy_stays_so() {
    let root = tempfile::tempdir().unwrap();
    DiskStorage::found(root.path(), genesis(), key(OWN.0)).unwrap();
    open(root.path()).unwrap().log_lost().unwrap();
    assert!(lost_log(root.path()) && lost_log(root.path()));
    open(root.path()).unwrap().log_recovered().unwrap();
    assert!(!lost_log(root.path()));
}

/// What an operator says of a loss is kept with the mark, goes with it, and is not believed of the
/// next loss.
#[test]
fn an_operators_word_is_good_for_one_loss() {
    let root = tempfile::tempdir().unwrap();
    let word = SignAfter { epoch: 3, round: Round(17) };
    let said = || {
        let found = open(root.path()).unwrap().recover();
        (found.lost_log, found.sign_after)
    };
    DiskStorage::found(root.path(), genesis(), key(OWN.0)).unwrap();
    assert_eq!(said(), (false, None));
    type Step = fn(&mut DiskStorage) -> Result<(), StorageError>;
    let ends: [(Step, bool); 2] =
        [(|disk| disk.log_recovered(), false), (|disk| disk.log_lost(), true)];
    for (end, lost) in ends {
        open(root.path()).unwrap().log_lost_after(word).unwrap();
        assert_eq!((said(), said()), ((true, Some(word)), (true, Some(word))));
        end(&mut open(root.path()).unwrap()).unwrap();
        assert_eq!(said(), (lost, None));
    }
    // One that cannot be read is none.
    fs::write(root.path().join("LOST-LOG"), "sign-after 3\n").unwrap();
    assert_eq!(said(), (true, None));
    open(root.path()).unwrap().log_lost_after(word).unwrap();
    fs::remove_dir_all(root.path().join("log")).unwrap();
    assert_eq!(said(), (true, None), "the log was lost again");
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

/// The directory of one authority with the log and the ledger of another.
fn mixed_up(root: &Path) -> PathBuf {
    let (own, other) = (root.join("own"), root.join("other"));
    DiskStorage::found(&own, genesis(), key(OWN.0)).unwrap();
    fill(&mut open(&own).unwrap());
    DiskStorage::found(&other, genesis(), key(1)).unwrap();
    for part in ["log", "ledger"] {
        fs::remove_dir_all(other.join(part)).unwrap();
        fs::rename(own.join(part), other.join(part)).unwrap();
    }
    other
}

fn append(path: &Path, bytes: &[u8]) {
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

/// Not even by who moves folders about is a log taken for somebody else's.
#[test]
fn a_log_of_another_authority_is_refused() {
    let root = tempfile::tempdir().unwrap();
    match DiskStorage::open(&mixed_up(root.path()), genesis(), key(1)).map(drop) {
        Err(StorageError::OtherAuthority { found, expected, .. }) => {
            assert_eq!((found, expected), (key(OWN.0).to_string(), key(1).to_string()));
        }
        refused => panic!("{refused:?}"),
    }
}

/// It may be somebody's only copy: whatever could be repaired in it is left as it is.
#[test]
fn a_directory_that_is_refused_stays_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let directory = mixed_up(root.path());
    let log = directory.join(format!("log/{:020}", 0));
    // Each of these an opening would cut off, rewrite, delete or move aside.
    append(&log.join(format!("{:020}.wal", 1)), b"torn");
    append(&directory.join(format!("ledger/{:020}.seg", 1)), b"torn");
    fs::write(directory.join("VERSION.tmp"), "half made").unwrap();
    fs::create_dir_all(directory.join("log/00000000000000000007.tmp")).unwrap();
    fs::create_dir(directory.join("state")).unwrap();
    fs::write(directory.join("state/conf"), "no state").unwrap();
    let content = || -> Vec<(PathBuf, Vec<u8>)> {
        let files = files(&directory).into_iter();
        files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    };
    let before = content();
    let refused = DiskStorage::open(&directory, genesis(), key(1)).map(drop);
    assert!(matches!(refused, Err(StorageError::OtherAuthority { .. })), "{refused:?}");
    assert_eq!(content(), before);
    assert!(directory.join("log/00000000000000000007.tmp").is_dir());
    // The log's own authority gets all of it back.
    DiskStorage::found(&root.path().join("again"), genesis(), key(OWN.0)).unwrap();
    for part in ["log", "ledger"] {
        let target = root.path().join("again").join(part);
        fs::remove_dir_all(&target).unwrap();
        fs::rename(directory.join(part), target).unwrap();
    }
    let found = open(&root.path().join("again")).unwrap().recover();
    assert_eq!((found.last_commit, found.lost_log, found.lost.len()), (6, false, 2));
}
