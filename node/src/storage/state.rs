//! The derived state: rows in sled, which may be lost or damaged at any time without harm.
//!
//! sled's flush does not survive a power cut, and it may panic over a damaged file. So its files
//! are synced by us, it is opened on a thread of its own, and a fingerprint over all rows - kept
//! up to date in every batch, recomputed at every start - proves that the rows are those of one
//! commit. What does not check is moved aside, and the node executes the ledger again.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kerbholz_ledger::rows::{Read, ReadError, Row, Write};

use super::append::sync_directory;
use super::directory::{LOCK_ATTEMPTS, LOCK_PAUSE};
use super::error::{At, StorageError};
use super::frame::Fields;

/// Memory that the state store may use for its cache, in bytes. The process grows by about four
/// times as much, and by some 60 bytes for each row: sled keeps its page table in memory.
pub const STATE_CACHE_BYTES: u64 = 16 << 20;

/// First byte of our own key, and of every row's.
const META: &[u8] = &[0];
const ROW: u8 = 1;
const META_VERSION: u16 = 1;
const META_LENGTH: usize = 38;

/// What the rows stand for; written with every batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Meta {
    commit: u64,
    rows: u64,
    fingerprint: u128,
}

impl Meta {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(META_LENGTH);
        out.extend_from_slice(&META_VERSION.to_le_bytes());
        out.extend_from_slice(&self.commit.to_le_bytes());
        out.extend_from_slice(&self.rows.to_le_bytes());
        out.extend_from_slice(&self.fingerprint.to_le_bytes());
        let checksum = crc32fast::hash(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let version = fields.u16()?;
        let (commit, rows) = (fields.u64()?, fields.u64()?);
        let fingerprint = u128::from_le_bytes(fields.array()?);
        let sound = version == META_VERSION
            && fields.u32()? == crc32fast::hash(&bytes[..META_LENGTH - 4])
            && fields.0.is_empty();
        sound.then_some(Self { commit, rows, fingerprint })
    }

    fn add(&mut self, key: &[u8], value: &[u8]) {
        self.rows = self.rows.wrapping_add(1);
        self.fingerprint = self.fingerprint.wrapping_add(row_hash(key, value));
    }

    fn remove(&mut self, key: &[u8], value: &[u8]) {
        self.rows = self.rows.wrapping_sub(1);
        self.fingerprint = self.fingerprint.wrapping_sub(row_hash(key, value));
    }
}

/// A sum of hashes can follow single changes. It guards against accidents, not against someone who
/// writes into the database: they could as well replace the program.
fn row_hash(key: &[u8], value: &[u8]) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes()).update(key).update(value);
    let mut half = [0; 16];
    half.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    u128::from_le_bytes(half)
}

/// The state store, opened for writing.
pub(super) struct State {
    rows: Rows,
    /// `None` before the first batch.
    meta: Option<Meta>,
}

/// Read access to the rows; cheap to clone.
#[derive(Clone)]
pub(super) struct Rows {
    path: Arc<Path>,
    tree: sled::Db,
    /// Set once sled has panicked: nothing it says after that counts.
    damaged: Arc<AtomicBool>,
}

impl State {
    /// Opens the state in `directory`, with an empty one in its place if it is lost or damaged;
    /// then also says why.
    pub(super) fn open(directory: &Path) -> Result<(Self, Option<String>), StorageError> {
        let reason = match open_checked(directory)? {
            Ok(state) => return Ok((state, None)),
            Err(reason) => reason,
        };
        let aside = directory.with_extension("damaged");
        tracing::warn!(path = %directory.display(), reason, "the state is moved aside");
        match fs::remove_dir_all(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StorageError::io(&aside, "remove", error));
            }
            _ => {}
        }
        fs::rename(directory, &aside).at(directory, "move the damaged state aside")?;
        sync_directory(directory.parent().unwrap_or(Path::new(".")))?;
        match open_checked(directory)? {
            Ok(state) => Ok((state, Some(reason))),
            Err(what) => Err(StorageError::State { path: directory.into(), what }),
        }
    }

    /// The commit that the rows stand for; `None` before the first batch.
    pub(super) fn applied_commit(&self) -> Option<u64> {
        self.meta.map(|meta| meta.commit)
    }

    pub(super) fn rows(&self) -> Rows {
        self.rows.clone()
    }

    /// Changes rows in one atomic batch. The last write of a key counts.
    pub(super) fn apply(&mut self, commit: u64, writes: &[Write]) -> Result<(), StorageError> {
        let last: BTreeMap<&[u8], Option<&[u8]>> =
            writes.iter().map(|write| (&*write.key, write.value.as_deref())).collect();
        let mut meta = Meta { commit, ..self.meta.unwrap_or_default() };
        let rows = &self.rows;
        rows.guarded(|tree| {
            let mut batch = sled::Batch::default();
            for (key, value) in last {
                let stored = row_key(key);
                if let Some(old) = tree.get(&stored)? {
                    meta.remove(key, &old);
                }
                match value {
                    Some(value) => {
                        meta.add(key, value);
                        batch.insert(stored, value);
                    }
                    None => batch.remove(stored),
                }
            }
            batch.insert(META, meta.encode());
            tree.apply_batch(batch)
        })?;
        self.meta = Some(meta);
        Ok(())
    }

    /// Makes the rows durable, with what sled's own flush leaves out.
    pub(super) fn sync(&mut self) -> Result<(), StorageError> {
        self.rows.guarded(|tree| tree.flush().map(|_| ()))?;
        sync_tree(&self.rows.path)
    }
}

impl Rows {
    /// Runs an operation of sled; neither its errors nor its panics go further than an error.
    fn guarded<T>(
        &self,
        operation: impl FnOnce(&sled::Db) -> sled::Result<T>,
    ) -> Result<T, StorageError> {
        let state = |what: String| StorageError::State { path: self.path.to_path_buf(), what };
        if self.damaged.load(Ordering::Acquire) {
            return Err(state("an earlier operation failed".into()));
        }
        let result = catch_unwind(AssertUnwindSafe(|| operation(&self.tree)));
        match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(sled::Error::Io(error))) if is_full(&error) => {
                Err(StorageError::io(&self.path, "write the state", error))
            }
            Ok(Err(error)) => Err(state(error.to_string())),
            Err(_) => {
                self.damaged.store(true, Ordering::Release);
                Err(state("the store panicked".into()))
            }
        }
    }
}

impl Read for Rows {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        self.guarded(|tree| Ok(tree.get(row_key(key))?.map(|value| value.to_vec())))
            .map_err(|error| ReadError(error.to_string()))
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, ReadError> {
        let rows = self.guarded(|tree| {
            let start = row_key(prefix.max(from));
            let prefix = row_key(prefix);
            let mut rows = Vec::new();
            for row in tree.range(start..).take(limit) {
                let (key, value) = row?;
                if !key.starts_with(&prefix) {
                    break;
                }
                rows.push((key.get(1..).unwrap_or_default().to_vec(), value.to_vec()));
            }
            Ok(rows)
        });
        rows.map_err(|error| ReadError(error.to_string()))
    }
}

fn row_key(key: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(1 + key.len());
    stored.push(ROW);
    stored.extend_from_slice(key);
    stored
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Opens and checks the store. The inner error is a reason to give the store up; the outer one
/// would come back with any store.
fn open_checked(directory: &Path) -> Result<Result<State, String>, StorageError> {
    for _ in 0..LOCK_ATTEMPTS {
        match open_once(directory)? {
            // We hold the directory, so this is sled's own last handle, going on another thread.
            Err(error) if is_locked(&error) => std::thread::sleep(LOCK_PAUSE),
            Err(error) => return judge(directory, error).map(Err),
            Ok(Err(reason)) => return Ok(Err(reason)),
            Ok(Ok(state)) => {
                sync_tree(directory)?;
                sync_directory(directory.parent().unwrap_or(Path::new(".")))?;
                return Ok(Ok(state));
            }
        }
    }
    Err(StorageError::InUse { path: directory.into() })
}

/// Opens the store on a thread of its own, where a panic ends.
fn open_once(directory: &Path) -> Result<sled::Result<Result<State, String>>, StorageError> {
    let path: PathBuf = directory.into();
    let opening = std::thread::Builder::new().name("state-open".into()).spawn(move || {
        let config =
            sled::Config::new().path(&path).cache_capacity(STATE_CACHE_BYTES).flush_every_ms(None);
        let tree = config.open()?;
        let checked = check(&tree)?;
        let rows = Rows { path: path.into(), tree, damaged: Arc::default() };
        Ok(checked.map(|meta| State { rows, meta }))
    });
    let opened = opening.at(directory, "start a thread for")?.join();
    Ok(opened.unwrap_or_else(|_| Ok(Err("the store panicked while it was opened".into()))))
}

fn is_locked(error: &sled::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

/// Whether the files are to blame, with the reason, or the system.
fn judge(directory: &Path, error: sled::Error) -> Result<String, StorageError> {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    let of_system = |error: &io::Error| {
        is_full(error) || [PermissionDenied, ReadOnlyFilesystem].contains(&error.kind())
    };
    match error {
        sled::Error::Io(error) if of_system(&error) => {
            Err(StorageError::io(directory, "open the state", error))
        }
        error => Ok(error.to_string()),
    }
}

/// Recomputes the fingerprint over all rows.
fn check(tree: &sled::Tree) -> sled::Result<Result<Option<Meta>, String>> {
    let mut found = Meta::default();
    let mut stored = None;
    for row in tree.iter() {
        let (key, value) = row?;
        match key.split_first() {
            Some((&ROW, key)) => found.add(key, &value),
            Some((_, [])) if *key == *META => stored = Some(Meta::decode(&value)),
            _ => return Ok(Err("a key that does not belong there".into())),
        }
    }
    Ok(match stored {
        None if found.rows == 0 => Ok(None),
        None => Err("rows without the commit they stand for".into()),
        Some(Some(meta)) if (Meta { commit: meta.commit, ..found }) == meta => Ok(Some(meta)),
        Some(_) => Err("the rows do not match their fingerprint".into()),
    })
}

/// Syncs every file below a directory, and the directories.
fn sync_tree(directory: &Path) -> Result<(), StorageError> {
    for entry in fs::read_dir(directory).at(directory, "list the directory")? {
        let path = entry.at(directory, "list the directory")?.path();
        if path.is_dir() {
            sync_tree(&path)?;
            continue;
        }
        match File::open(&path).and_then(|file| file.sync_all()) {
            // sled replaces its snapshots on a thread of its own.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            synced => synced.at(&path, "sync")?,
        }
    }
    sync_directory(directory)
}

#[cfg(test)]
mod tests;
