//! The data directory as a whole: created all at once or not at all, held by one process, of one
//! network and one format version. Layout: `docs/formats.md`, "Data directory".

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::append::{TEMPORARY, create_whole, sync_directory};
use super::error::{At, StorageError};
use super::frame::FORMAT_VERSION;
use super::watermark::Watermark;

const VERSION: &str = "VERSION";
const LOCK: &str = "LOCK";
const WATERMARK: &str = "WATERMARK";
const WAL: &str = "wal";
const LEDGER: &str = "ledger";
const STATE: &str = "state";
/// What a new directory may hold: our own, and what a fresh file system puts there.
const EXPECTED_IN_NEW: [&str; 6] = [LOCK, WATERMARK, WAL, LEDGER, STATE, "lost+found"];

/// An opened data directory. While it lives, no other process can open it.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    genesis: [u8; 32],
    /// Held for its lock, which the system releases however the process ends.
    _lock: File,
}

impl DataDirectory {
    /// Opens the data directory at `path` for the network with this genesis digest, creating it
    /// if it does not exist or is empty.
    ///
    /// # Errors
    ///
    /// [`StorageError::InUse`], [`NewerVersion`](StorageError::NewerVersion),
    /// [`OtherNetwork`](StorageError::OtherNetwork), [`Unknown`](StorageError::Unknown) if the
    /// directory holds something else, [`Io`](StorageError::Io) if it cannot be written.
    pub fn open(path: &Path, genesis: [u8; 32]) -> Result<Self, StorageError> {
        let exists = path.join(VERSION).try_exists().at(path, "open")?;
        if exists {
            check_version(path, genesis)?;
        } else {
            check_empty(path)?;
            create_directories(path)?;
        }
        let lock = lock(path)?;
        // Looked at again under the lock: two processes may have started together.
        if path.join(VERSION).try_exists().at(path, "open")? {
            check_version(path, genesis)?;
        } else {
            check_empty(path)?;
            create(path, genesis)?;
        }
        remove_temporary(path)?;
        for part in [WAL, LEDGER] {
            let part = path.join(part);
            if !part.is_dir() {
                return Err(StorageError::Missing { path: part, what: "part of the ledger's log" });
            }
            remove_temporary(&part)?;
        }
        Ok(Self { path: path.into(), genesis, _lock: lock })
    }

    /// Where the directory is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Digest of the network's genesis.
    pub fn genesis(&self) -> [u8; 32] {
        self.genesis
    }

    pub(super) fn watermark(&self) -> PathBuf {
        self.path.join(WATERMARK)
    }

    pub(super) fn wal(&self) -> PathBuf {
        self.path.join(WAL)
    }

    pub(super) fn ledger(&self) -> PathBuf {
        ledger_directory(&self.path)
    }

    pub(super) fn state(&self) -> PathBuf {
        self.path.join(STATE)
    }
}

/// Where the segments of a data directory, or of a copy of one, are.
pub(super) fn ledger_directory(data_directory: &Path) -> PathBuf {
    data_directory.join(LEDGER)
}

/// The genesis digest that a data directory, or a copy of one, was made for. Reads only.
///
/// # Errors
///
/// [`StorageError::Missing`] without a `VERSION` file, [`StorageError::NewerVersion`],
/// [`StorageError::Damaged`].
pub fn read_genesis(data_directory: &Path) -> Result<[u8; 32], StorageError> {
    let path = data_directory.join(VERSION);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(StorageError::Missing { path, what: "the format and the network" });
        }
        read => read.at(&path, "read")?,
    };
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines();
    let (title, version, genesis) = (lines.next(), lines.next(), lines.next());
    if title != Some(TITLE) {
        return Err(StorageError::damaged(&path, 0, "not the VERSION file of a data directory"));
    }
    let version = version.and_then(|line| line.strip_prefix("format ")?.parse::<u64>().ok());
    if let Some(found) = version.filter(|found| *found > u64::from(FORMAT_VERSION)) {
        let supported = FORMAT_VERSION.into();
        return Err(StorageError::NewerVersion { path, found, supported });
    }
    let mut digest = [0; 32];
    let decoded = genesis
        .and_then(|line| line.strip_prefix("genesis "))
        .is_some_and(|hex| hex::decode_to_slice(hex, &mut digest).is_ok());
    // Rendering again and comparing leaves no byte unchecked.
    if !decoded || version_text(digest) != text {
        return Err(StorageError::damaged(&path, 0, "the VERSION file does not check"));
    }
    Ok(digest)
}

const TITLE: &str = "kerbholz data directory";

fn version_text(genesis: [u8; 32]) -> String {
    let body = format!("{TITLE}\nformat {FORMAT_VERSION}\ngenesis {}\n", hex::encode(genesis));
    let checksum = crc32fast::hash(body.as_bytes());
    format!("{body}checksum {checksum:08x}\n")
}

fn check_version(path: &Path, genesis: [u8; 32]) -> Result<(), StorageError> {
    let found = read_genesis(path)?;
    if found == genesis {
        return Ok(());
    }
    Err(StorageError::OtherNetwork {
        path: path.join(VERSION),
        found: hex::encode(found),
        expected: hex::encode(genesis),
    })
}

/// Refuses a directory without `VERSION` that holds anything but an unfinished creation.
fn check_empty(path: &Path) -> Result<(), StorageError> {
    for name in entries(path)? {
        if is_temporary(&name) {
            continue;
        }
        let entry = path.join(&name);
        if !EXPECTED_IN_NEW.iter().any(|expected| OsStr::new(expected) == name) {
            return Err(StorageError::Unknown { path: entry });
        }
        // Creation writes VERSION last and nothing into these before: data without it lost it.
        if [WAL, LEDGER, STATE].iter().any(|part| OsStr::new(part) == name)
            && !entries(&entry)?.is_empty()
        {
            let path = path.join(VERSION);
            return Err(StorageError::Missing { path, what: "the format and the network" });
        }
    }
    Ok(())
}

fn create_directories(path: &Path) -> Result<(), StorageError> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path).at(path, "create the directory")?;
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_directory(parent),
        _ => sync_directory(Path::new(".")),
    }
}

fn create(path: &Path, genesis: [u8; 32]) -> Result<(), StorageError> {
    for part in [WAL, LEDGER] {
        let part = path.join(part);
        fs::create_dir_all(&part).at(&part, "create the directory")?;
    }
    create_whole(&path.join(WATERMARK), &Watermark::initial_file())?;
    create_whole(&path.join(VERSION), version_text(genesis).as_bytes())
}

fn lock(path: &Path) -> Result<File, StorageError> {
    let file = path.join(LOCK);
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&file)
        .at(&file, "write into the directory")?;
    for attempt in 0..=LOCK_ATTEMPTS {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if attempt < LOCK_ATTEMPTS => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => break,
            Err(TryLockError::Error(source)) => {
                return Err(StorageError::io(&file, "lock", source));
            }
        }
    }
    Err(StorageError::InUse { path: path.into() })
}

/// How often a lock that is held is tried again: a node that is just ending, or a process that it
/// was about to start, may hold it a little longer.
pub(super) const LOCK_ATTEMPTS: usize = 50;
/// How long to wait between attempts.
pub(super) const LOCK_PAUSE: Duration = Duration::from_millis(10);

fn is_temporary(name: &OsStr) -> bool {
    name.to_string_lossy().ends_with(TEMPORARY)
}

fn remove_temporary(path: &Path) -> Result<(), StorageError> {
    for name in entries(path)?.into_iter().filter(|name| is_temporary(name)) {
        let leftover = path.join(name);
        fs::remove_file(&leftover).at(&leftover, "remove the unfinished file")?;
    }
    Ok(())
}

/// The names in a directory, sorted; none if it does not exist.
pub(super) fn entries(path: &Path) -> Result<Vec<std::ffi::OsString>, StorageError> {
    let listing = match fs::read_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing.at(path, "list the directory")?,
    };
    let mut names = Vec::new();
    for entry in listing {
        names.push(entry.at(path, "list the directory")?.file_name());
    }
    names.sort();
    Ok(names)
}

/// The numbers of the files `<20 digits>.<extension>` in a directory, ascending. Anything else in
/// it is refused by name: it is not ours, or a file of ours was renamed.
pub(super) fn numbered(path: &Path, extension: &str) -> Result<Vec<u64>, StorageError> {
    let number = |name: &OsStr| {
        let stem = name.to_str()?.strip_suffix(extension)?.strip_suffix('.')?;
        let number = stem.parse().ok()?;
        (numbered_name(number, extension).as_str() == name).then_some(number)
    };
    entries(path)?
        .into_iter()
        .filter(|name| !is_temporary(name))
        .map(|name| number(&name).ok_or_else(|| StorageError::Unknown { path: path.join(&name) }))
        .collect()
}

pub(super) fn numbered_name(number: u64, extension: &str) -> String {
    format!("{number:020}.{extension}")
}

#[cfg(test)]
mod tests;
