//! A damaged data directory: it is opened, repaired or refused, and read to its end.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use kerbholz_consensus::Round;
use kerbholz_fuzz::files::{Damaged, folder};
use kerbholz_fuzz::{committee, signer};
use kerbholz_node::storage::{DiskStorage, SegmentReader, Storage, StorageError};

#[derive(Arbitrary, Debug)]
enum Case {
    /// Another file of the block log.
    Log(Damaged),
    /// Another first segment of the ledger.
    Segment(Damaged),
    /// Any file, arbitrary.
    Any(u8, Vec<u8>),
    /// Any file, gone.
    Gone(u8),
}

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| folder("storage"));

fn open() -> Result<DiskStorage, StorageError> {
    let genesis = committee(4, 60).config().clone();
    DiskStorage::open(&FOLDER, &genesis, signer(0).public_key())
}

/// Every file of a folder but the state's, which are sled's own, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            found.push(path);
        } else if !path.ends_with("state") {
            found.extend(files(&path));
        }
    }
    found.sort();
    found
}

fn contents() -> Vec<(PathBuf, Vec<u8>)> {
    let read = |path: PathBuf| (path.clone(), fs::read(path).expect("a file"));
    files(&FOLDER).into_iter().map(read).collect()
}

libfuzzer_sys::fuzz_target!(|case: Case| {
    let _ = fs::remove_dir_all(&*FOLDER);
    drop(open().expect("a new data directory"));
    let files = files(&FOLDER);
    let with = |extension: &str| {
        let found = files.iter().find(|path| path.extension().is_some_and(|e| e == extension));
        let path = found.expect("a file of this kind").clone();
        let sound = fs::read(&path).expect("a sound file");
        (path, sound)
    };
    let any = |number: u8| files[usize::from(number) % files.len()].clone();
    let (path, bytes) = match &case {
        Case::Log(damaged) => {
            let (path, sound) = with("wal");
            (path, Some(damaged.file(&sound)))
        }
        Case::Segment(damaged) => {
            let (path, sound) = with("seg");
            (path, Some(damaged.file(&sound)))
        }
        Case::Any(number, bytes) => (any(*number), Some(bytes.clone())),
        Case::Gone(number) => (any(*number), None),
    };
    match &bytes {
        Some(bytes) => fs::write(&path, bytes).expect("a damaged file"),
        None => fs::remove_file(&path).expect("a file that was there"),
    }
    if let Ok(reader) = SegmentReader::open(&FOLDER) {
        for entry in reader {
            drop(entry);
        }
    }
    let before = contents();
    match open() {
        // Refused: then nothing was changed.
        Err(error) => assert_eq!(contents(), before, "{error}"),
        Ok(mut storage) => {
            let recovered = storage.recover();
            assert!(recovered.blocks.len() <= bytes.map_or(0, |bytes| bytes.len()));
            let _ = storage.own_blocks_after(Round(0), 8);
            drop(storage);
            open().expect("what was repaired opens again");
        }
    }
});
