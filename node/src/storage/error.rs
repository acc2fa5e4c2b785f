//! What storage can refuse, and what the operator should do about it. Every error names its path.

use std::io;
use std::path::{Path, PathBuf};

/// Why storage refused. Nothing was half-written: what was there before the call is still there.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The operating system refused.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was being done, as a verb.
        action: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The disk, the quota or the file size limit is exhausted. The file ends at its last good
    /// record, and the same call may be repeated once there is space.
    #[error(
        "{}: no space left while trying to {action}; nothing recorded was lost - free some space \
         on this disk, then start the node again",
        path.display()
    )]
    Full {
        /// The file.
        path: PathBuf,
        /// What was being done, as a verb.
        action: &'static str,
    },
    /// An earlier write or sync of this file failed in a way that leaves its content unknown to us.
    #[error(
        "{}: an earlier write to this file failed and could not be undone; restart the node, it \
         will check the file and continue from the last good record",
        path.display()
    )]
    Failed {
        /// The file.
        path: PathBuf,
    },
    /// Another process holds the directory.
    #[error("{}: another node uses this directory; stop it, or choose another directory", path.display())]
    InUse {
        /// The data directory.
        path: PathBuf,
    },
    /// The data was written by a newer version of Kerbholz.
    #[error(
        "{}: written in format {found}, and this program reads format {supported} only; use a \
         newer kerbholz",
        path.display()
    )]
    NewerVersion {
        /// The file that says so.
        path: PathBuf,
        /// The format found.
        found: u64,
        /// The format this program reads.
        supported: u64,
    },
    /// The data was written by an earlier build of Kerbholz, whose ledgers cannot be gone on with.
    #[error(
        "{}: written in format {found} by an earlier build, and this program reads format \
         {supported} only; set the network up anew in another folder (kerbholz init), and keep the \
         earlier build to read this one - nothing in it was changed",
        path.display()
    )]
    EarlierVersion {
        /// The file that says so.
        path: PathBuf,
        /// The format found.
        found: u64,
        /// The format this program reads.
        supported: u64,
    },
    /// The directory or file belongs to another network.
    #[error("{}: belongs to another network (genesis {found}, not {expected})", path.display())]
    OtherNetwork {
        /// The file that says so.
        path: PathBuf,
        /// Genesis digest found, in hexadecimal.
        found: String,
        /// Genesis digest of this network, in hexadecimal.
        expected: String,
    },
    /// The directory is another node's. Signing on would be done without knowing what this one has
    /// signed already.
    #[error(
        "{}: holds the blocks of the node with key {found}, not of the one with key {expected}; \
         give each node its own directory",
        path.display()
    )]
    OtherAuthority {
        /// The file or directory that says so.
        path: PathBuf,
        /// Key of the node whose directory it is.
        found: String,
        /// Key of the node that should use it.
        expected: String,
    },
    /// A new directory was to be made where one is.
    #[error("{}: there is a data directory already; choose another place", path.display())]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// Something lies here that Kerbholz did not put there.
    #[error("{}: not part of a Kerbholz data directory; move it away or choose an empty directory", path.display())]
    Unknown {
        /// The entry found.
        path: PathBuf,
    },
    /// Who wants to read a ledger named a folder without one.
    #[error(
        "{}: no ledger here: name an authority's data directory (authorities/NAME/data) or a copy \
         of its ledger folder",
        path.display()
    )]
    NoLedger {
        /// The folder.
        path: PathBuf,
    },
    /// A file that must be there is not.
    #[error("{}: missing: {what}; restore it from a backup", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What it holds.
        what: &'static str,
    },
    /// Recorded bytes changed. They are never served, and never silently dropped.
    #[error("{}: damaged at byte {offset}: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damaged record begins, counted from the start of the file.
        offset: u64,
        /// What is damaged there.
        what: String,
    },
    /// The files contradict each other, so that acknowledged data must be gone.
    #[error("{}: {what}", path.display())]
    Lost {
        /// Where it should be.
        path: PathBuf,
        /// What is missing, and what to do.
        what: String,
    },
    /// The caller offered a commit that does not follow the last one.
    #[error("commit {offered} does not follow commit {last}")]
    OutOfOrder {
        /// Index offered.
        offered: u64,
        /// Index of the last commit recorded.
        last: u64,
    },
    /// The caller offered an epoch that cannot begin here.
    #[error("epoch {epoch} cannot begin after commit {last}: {why}")]
    NoEpoch {
        /// Number of the epoch offered.
        epoch: u64,
        /// Index of the last commit recorded.
        last: u64,
        /// Why not.
        why: String,
    },
    /// A record is larger than the format allows.
    #[error("a record of {length} bytes is larger than {limit} bytes")]
    TooLarge {
        /// Length offered, in bytes.
        length: usize,
        /// Limit, in bytes.
        limit: usize,
    },
    /// The derived rows cannot be used; rebuild them from the ledger segments.
    #[error("{}: the derived state is damaged ({what}); restart the node, it rebuilds the state from the ledger", path.display())]
    State {
        /// Directory of the state store.
        path: PathBuf,
        /// What it said.
        what: String,
    },
}

impl StorageError {
    /// The error of a failed system call, told apart by whether space ran out.
    pub(super) fn io(path: &Path, action: &'static str, source: io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        match source.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => Self::Full { path: path.into(), action },
            _ => Self::Io { path: path.into(), action, source },
        }
    }

    pub(super) fn damaged(path: &Path, offset: u64, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.into(), offset, what: what.into() }
    }
}

/// Attaches path and action to an I/O result.
pub(super) trait At<T> {
    fn at(self, path: &Path, action: &'static str) -> Result<T, StorageError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, path: &Path, action: &'static str) -> Result<T, StorageError> {
        self.map_err(|source| StorageError::io(path, action, source))
    }
}
