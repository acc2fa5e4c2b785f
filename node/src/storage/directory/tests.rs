//! Which data directories are opened, and which are left alone.

use super::*;
use crate::storage::testing::{GENESIS, files};

const IDENTITY: Identity = Identity { genesis: GENESIS, key: PublicKey([7; 32]) };

fn open(path: &Path) -> Result<DataDirectory, StorageError> {
    DataDirectory::open(path, IDENTITY)
}

#[test]
fn a_directory_is_created_with_its_parents_and_opened_again() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a/b/data");
    drop(open(&path).unwrap());
    assert_eq!(read_genesis(&path).unwrap(), GENESIS);
    drop(open(&path).unwrap());
    let names: Vec<_> = entries(&path).unwrap();
    assert_eq!(names, ["LOCK", "LOST-LOG", "VERSION", "ledger", "log"]);
}

#[test]
fn the_version_file_is_frozen() {
    let (genesis, key) = ("09".repeat(32), "07".repeat(32));
    let expected =
        format!("kerbholz data directory\nformat 2\ngenesis {genesis}\nauthority {key}\nchecksum ");
    let root = tempfile::tempdir().unwrap();
    version::write(root.path(), IDENTITY).unwrap();
    let text = fs::read_to_string(root.path().join(VERSION)).unwrap();
    assert_eq!(text.strip_prefix(&expected), Some("51226956\n"));
}

#[test]
fn a_second_node_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let first = open(root.path()).unwrap();
    assert!(matches!(open(root.path()), Err(StorageError::InUse { .. })));
    drop(first);
    assert!(open(root.path()).is_ok());
}

#[test]
fn another_network_is_refused_and_both_are_named() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path()).unwrap());
    let error = DataDirectory::open(root.path(), Identity { genesis: [8; 32], ..IDENTITY })
        .unwrap_err()
        .to_string();
    assert!(error.contains(&"09".repeat(32)) && error.contains(&"08".repeat(32)), "{error}");
}

#[test]
fn a_newer_format_is_refused_whatever_follows() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path()).unwrap());
    let version = root.path().join(VERSION);
    fs::write(&version, "kerbholz data directory\nformat 3\nand more that we do not know\n")
        .unwrap();
    let refused = open(root.path());
    assert!(matches!(refused, Err(StorageError::NewerVersion { found: 3, supported: 2, .. })));
}

/// What builds wrote that had no epochs: refused before a byte of it changes, to nodes and auditors.
#[test]
fn an_earlier_format_is_refused_with_what_to_do_and_left_alone() {
    let root = tempfile::tempdir().unwrap();
    for part in ["ledger", "wal"] {
        fs::create_dir(root.path().join(part)).unwrap();
    }
    let version = root.path().join(VERSION);
    let genesis = "09".repeat(32);
    let text = format!("kerbholz data directory\nformat 1\ngenesis {genesis}\nchecksum 0afc3e71\n");
    fs::write(&version, &text).unwrap();
    fs::write(root.path().join("WATERMARK"), "mark").unwrap();
    let before = entries(root.path()).unwrap();
    let audited = crate::storage::SegmentReader::open(root.path()).map(drop);
    for refused in [open(root.path()).map(drop), read_genesis(root.path()).map(drop), audited] {
        let Err(error @ StorageError::EarlierVersion { found: 1, supported: 2, .. }) = refused
        else {
            panic!("{refused:?}");
        };
        let said = error.to_string();
        assert!(said.contains("earlier build") && said.contains("kerbholz init"), "{said}");
    }
    assert_eq!(entries(root.path()).unwrap(), before);
    assert_eq!(fs::read_to_string(&version).unwrap(), text);
}

#[test]
fn every_byte_of_the_version_file_is_checked() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path()).unwrap());
    let version = root.path().join(VERSION);
    let whole = fs::read(&version).unwrap();
    for position in 0..whole.len() {
        let mut changed = whole.clone();
        changed[position] ^= 1;
        fs::write(&version, &changed).unwrap();
        assert!(open(root.path()).is_err(), "byte {position}");
        fs::write(&version, &whole[..position]).unwrap();
        assert!(open(root.path()).is_err(), "cut to {position}");
    }
    fs::write(&version, &whole).unwrap();
    assert!(open(root.path()).is_ok());
}

#[test]
fn what_is_not_ours_is_named_and_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let letter = root.path().join("letter.txt");
    fs::write(&letter, "dear").unwrap();
    match open(root.path()) {
        Err(StorageError::Unknown { path }) => assert_eq!(path, letter),
        other => panic!("{other:?}"),
    }
    assert_eq!(files(root.path()), [letter]);
}

#[test]
fn data_without_its_version_is_refused() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path()).unwrap());
    fs::remove_file(root.path().join(VERSION)).unwrap();
    fs::write(root.path().join("log/00000000000000000000/00000000000000000001.wal"), "x").unwrap();
    assert!(matches!(open(root.path()), Err(StorageError::Missing { .. })));
}

#[test]
fn a_creation_that_a_crash_stopped_is_finished() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join(LOGS)).unwrap();
    fs::write(root.path().join("VERSION.tmp"), "half").unwrap();
    open(root.path()).unwrap().remove_unfinished().unwrap();
    assert!(!root.path().join("VERSION.tmp").exists());
    assert_eq!(read_genesis(root.path()).unwrap(), GENESIS);
}

#[test]
fn a_place_that_cannot_be_written_is_an_error_with_its_path() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let below = file.join("data");
    let error = open(&below).unwrap_err();
    assert!(matches!(error, StorageError::Io { .. }));
    assert!(error.to_string().contains("file/data"), "{error}");
}

#[test]
fn only_numbered_files_are_ours() {
    let root = tempfile::tempdir().unwrap();
    for name in ["00000000000000000007.seg", "00000000000000000010.seg"] {
        fs::write(root.path().join(name), "").unwrap();
    }
    assert_eq!(numbered(root.path(), "seg").unwrap(), [7, 10]);
    fs::write(root.path().join("7.seg"), "").unwrap();
    assert!(matches!(numbered(root.path(), "seg"), Err(StorageError::Unknown { .. })));
}
