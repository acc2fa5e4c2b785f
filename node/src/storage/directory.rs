//! The data directory as a whole: created all at once or not at all, held by one process, of one
//! network, one node and one format version. Layout: `docs/formats.md`, "Data directory".

mod version;

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use kerbholz_consensus::PublicKey;

use self::version::VERSION;
pub use self::version::read_genesis;
use super::append::{TEMPORARY, create_whole, sync_directory};
use super::error::{At, StorageError};
use super::sign_after::SignAfter;
use super::watermark::Watermark;

const LOCK: &str = "LOCK";
const LOST_LOG: &str = "LOST-LOG";
const LOGS: &str = "log";
const LEDGER: &str = "ledger";
const STATE: &str = "state";
const EVIDENCE: &str = "evidence";
/// In the folder of each epoch's block log.
pub(super) const WATERMARK: &str = "WATERMARK";
/// What a new directory may hold: our own, and what a fresh file system puts there.
const EXPECTED_IN_NEW: [&str; 6] = [LOCK, LOST_LOG, LOGS, LEDGER, STATE, "lost+found"];

/// Whose a data directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// Digest of the network's genesis.
    pub(super) genesis: [u8; 32],
    /// The key of the node that signs by what it holds.
    pub(super) key: PublicKey,
}

/// An opened data directory. While it lives, no other process can open it.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    identity: Identity,
    /// Held for its lock, which the system releases however the process ends.
    _lock: File,
}

impl DataDirectory {
    /// Opens the data directory at `path`, or creates it if it does not exist or is empty. The
    /// blocks signed with this key may then have been lost: it is marked so, before anything else.
    pub(super) fn open(path: &Path, identity: Identity) -> Result<Self, StorageError> {
        let lock = prepare(path)?;
        if version::exists(path)? {
            version::check(path, version::read(path)?, identity)?;
        } else {
            check_empty(path)?;
            create_whole(&path.join(LOST_LOG), LOST_LOG_TEXT)?;
            create(path, identity)?;
        }
        let ledger = path.join(LEDGER);
        if !ledger.is_dir() {
            return Err(StorageError::Missing { path: ledger, what: "the ledger" });
        }
        Ok(Self { path: path.into(), identity, _lock: lock })
    }

    /// Removes what a crash left half made.
    pub(super) fn remove_unfinished(&self) -> Result<(), StorageError> {
        [self.path.clone(), self.path.join(LOGS), self.ledger()]
            .iter()
            .try_for_each(|folder| remove_temporary(folder))
    }

    /// Creates the data directory of a key that has signed nothing yet, as the setup of a network
    /// does.
    pub(super) fn found(path: &Path, identity: Identity) -> Result<Self, StorageError> {
        let lock = prepare(path)?;
        if version::exists(path)? {
            return Err(StorageError::Exists { path: path.into() });
        }
        check_empty(path)?;
        remove_file(&path.join(LOST_LOG))?;
        create(path, identity)?;
        remove_temporary(path)?;
        Ok(Self { path: path.into(), identity, _lock: lock })
    }

    /// Where the directory is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Digest of the network's genesis.
    pub fn genesis(&self) -> [u8; 32] {
        self.identity.genesis
    }

    /// Whether it is unknown what was signed, and the operator's word about it.
    pub(super) fn lost_log(&self) -> Result<Option<Option<SignAfter>>, StorageError> {
        let path = self.path.join(LOST_LOG);
        match fs::read(&path) {
            Ok(text) => Ok(Some(word_in(&text))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).at(&path, "read"),
        }
    }

    /// Marks that it is unknown what was signed; durable on return.
    pub(super) fn mark_log_lost(&self, word: Option<SignAfter>) -> Result<(), StorageError> {
        let mut text = LOST_LOG_TEXT.to_vec();
        if let Some(word) = word {
            text.extend(format!("{SIGN_AFTER}{word}\n").into_bytes());
        }
        create_whole(&self.path.join(LOST_LOG), &text)
    }

    /// Marks that it is known again; durable on return.
    pub(super) fn unmark_log_lost(&self) -> Result<(), StorageError> {
        remove_file(&self.path.join(LOST_LOG))?;
        sync_directory(&self.path)
    }

    /// The epochs that have a block log, ascending.
    pub(super) fn logs(&self) -> Result<Vec<u64>, StorageError> {
        let logs = self.path.join(LOGS);
        let number = |name: &OsStr| {
            let number = name.to_str()?.parse().ok()?;
            (epoch_name(number).as_str() == name).then_some(number)
        };
        let names = entries(&logs)?.into_iter();
        let names = names.filter(|name| !is_aside(name) && !is_temporary(name));
        names
            .map(|name| {
                number(&name).ok_or_else(|| StorageError::Unknown { path: logs.join(&name) })
            })
            .collect()
    }

    /// Where the block log of an epoch is.
    pub(super) fn log(&self, epoch: u64) -> PathBuf {
        self.path.join(LOGS).join(epoch_name(epoch))
    }

    /// Creates the empty block log of an epoch, all at once. One that is there stays.
    pub(super) fn create_log(&self, epoch: u64) -> Result<(), StorageError> {
        create_log(&self.path, epoch)
    }

    /// Moves what is left of an epoch's block log aside, for inspection.
    pub(super) fn set_log_aside(&self, epoch: u64) -> Result<(), StorageError> {
        let log = self.log(epoch);
        if !log.try_exists().at(&log, "open")? {
            return Ok(());
        }
        let aside = log.with_extension(ASIDE);
        remove_directory(&aside)?;
        fs::rename(&log, &aside).at(&log, "move the rest of the block log aside")?;
        sync_directory(&self.path.join(LOGS))
    }

    /// Deletes the block log of an epoch that is over.
    pub(super) fn remove_log(&self, epoch: u64) -> Result<(), StorageError> {
        let log = self.log(epoch);
        // Its mark goes first otherwise, and a crash would leave a log that looks damaged.
        let doomed = log.with_extension("tmp");
        fs::rename(&log, &doomed).at(&log, "delete the block log")?;
        remove_directory(&doomed)?;
        sync_directory(&self.path.join(LOGS))
    }

    pub(super) fn ledger(&self) -> PathBuf {
        ledger_directory(&self.path)
    }

    pub(super) fn evidence(&self) -> PathBuf {
        self.path.join(EVIDENCE)
    }

    pub(super) fn state(&self) -> PathBuf {
        self.path.join(STATE)
    }
}

/// The operator's word in a mark. One that cannot be read is none: then the others are asked.
fn word_in(mark: &[u8]) -> Option<SignAfter> {
    let lines = std::str::from_utf8(mark).ok()?.lines();
    lines.filter_map(|line| line.strip_prefix(SIGN_AFTER)).find_map(|word| word.parse().ok())
}

/// What the mark says to people.
const LOST_LOG_TEXT: &[u8] =
    b"This node does not know which blocks it has signed, and asks the other authorities first.\n";
/// What its operator's word stands behind, in a line of the mark.
const SIGN_AFTER: &str = "sign-after ";
/// Extension of a block log that was given up.
const ASIDE: &str = "lost";

fn epoch_name(epoch: u64) -> String {
    format!("{epoch:020}")
}

fn is_aside(name: &OsStr) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == ASIDE)
}

/// Where the segments of a data directory, or of a copy of one, are.
pub(super) fn ledger_directory(data_directory: &Path) -> PathBuf {
    data_directory.join(LEDGER)
}

/// Creates the folder if it is not there, refuses one that is another's, and locks it.
fn prepare(path: &Path) -> Result<File, StorageError> {
    if version::exists(path)? {
        version::read(path)?;
    } else {
        check_empty(path)?;
        create_directories(path)?;
    }
    lock(path)
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
        // Creation writes VERSION last and next to nothing before: data without it lost it.
        let is = |part: &str| OsStr::new(part) == name;
        let holds = if is(LOGS) {
            let begun = entries(&entry.join(epoch_name(0)))?;
            begun.iter().any(|file| file != WATERMARK)
        } else {
            (is(LEDGER) || is(STATE)) && !entries(&entry)?.is_empty()
        };
        if holds {
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

fn create(path: &Path, identity: Identity) -> Result<(), StorageError> {
    for part in [LOGS, LEDGER] {
        let part = path.join(part);
        fs::create_dir_all(&part).at(&part, "create the directory")?;
    }
    create_log(path, 0)?;
    version::write(path, identity)
}

fn create_log(data_directory: &Path, epoch: u64) -> Result<(), StorageError> {
    let logs = data_directory.join(LOGS);
    let log = logs.join(epoch_name(epoch));
    if log.try_exists().at(&log, "open")? {
        return Ok(());
    }
    let unfinished = log.with_extension("tmp");
    remove_directory(&unfinished)?;
    fs::create_dir_all(&unfinished).at(&unfinished, "create the directory")?;
    create_whole(&unfinished.join(WATERMARK), &Watermark::initial_file())?;
    fs::rename(&unfinished, &log).at(&log, "create")?;
    sync_directory(&logs)?;
    sync_directory(data_directory)
}

fn remove_file(path: &Path) -> Result<(), StorageError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.at(path, "delete"),
    }
}

fn remove_directory(path: &Path) -> Result<(), StorageError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.at(path, "delete"),
    }
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
        if leftover.is_dir() {
            remove_directory(&leftover)?;
        } else {
            fs::remove_file(&leftover).at(&leftover, "remove the unfinished file")?;
        }
    }
    Ok(())
}

/// The names in a directory, sorted; none if it does not exist.
pub(super) fn entries(path: &Path) -> Result<Vec<std::ffi::OsString>, StorageError> {
    let listing = match fs::read_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
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
/// it but a watermark is refused by name: it is not ours, or a file of ours was renamed.
pub(super) fn numbered(path: &Path, extension: &str) -> Result<Vec<u64>, StorageError> {
    let number = |name: &OsStr| {
        let stem = name.to_str()?.strip_suffix(extension)?.strip_suffix('.')?;
        let number = stem.parse().ok()?;
        (numbered_name(number, extension).as_str() == name).then_some(number)
    };
    entries(path)?
        .into_iter()
        .filter(|name| !is_temporary(name) && name != WATERMARK)
        .map(|name| number(&name).ok_or_else(|| StorageError::Unknown { path: path.join(&name) }))
        .collect()
}

pub(super) fn numbered_name(number: u64, extension: &str) -> String {
    format!("{number:020}.{extension}")
}

#[cfg(test)]
mod tests;
