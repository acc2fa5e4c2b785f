//! Small files that must never be half-written: keys, genesis, addresses, configurations.

use kerbholz_client::ledger::keys::Keypair;
use kerbholz_client::network::{self, NetworkFileError};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why a small file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is something already.
    #[error("{0}: exists already: choose another place, or remove it if you no longer need it")]
    Exists(PathBuf),
    /// It is no key file.
    #[error(
        "{0}: not a key file: it holds 64 hexadecimal digits (make one with `kerbholz key new`)"
    )]
    NotAKey(PathBuf),
    /// It is not what it should be.
    #[error("{path}: {reason}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Line, column and reason.
        reason: String,
    },
}

impl FileError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// Writes a file in one step: readers see the old content or the new one, also after a crash.
///
/// # Errors
/// [`FileError::Io`]; nothing is left behind.
pub fn write(path: &Path, content: &[u8], secret: bool) -> Result<(), FileError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(FileError::io(folder))?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    let result = write_synced(&temporary, content, secret)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| fs::File::open(folder)?.sync_all());
    result.map_err(|source| {
        // The error that matters is the first; a leftover that cannot be removed changes nothing.
        let _ = fs::remove_file(&temporary);
        FileError::Io { path: path.to_owned(), source }
    })
}

fn write_synced(path: &Path, content: &[u8], secret: bool) -> io::Result<()> {
    // A leftover would keep the permissions it has, whatever they are.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if secret {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Writes a file that must not exist yet.
///
/// # Errors
/// [`FileError::Exists`] and [`FileError::Io`].
pub fn write_new(path: &Path, content: &[u8], secret: bool) -> Result<(), FileError> {
    if path.exists() {
        return Err(FileError::Exists(path.to_owned()));
    }
    write(path, content, secret)
}

/// Makes a key from the operating system's random source.
///
/// # Errors
/// [`FileError::Io`] when there is no randomness to be had.
pub fn new_key() -> Result<Keypair, FileError> {
    let mut seed = [0; 32];
    rand::TryRng::try_fill_bytes(&mut rand::rngs::SysRng, &mut seed).map_err(|error| {
        FileError::Io { path: "the random source".into(), source: io::Error::other(error) }
    })?;
    Ok(Keypair::from_seed(&seed))
}

/// Writes a key to a file that only its owner may read.
///
/// # Errors
/// [`FileError::Exists`] and [`FileError::Io`].
pub fn write_key(path: &Path, key: &Keypair) -> Result<(), FileError> {
    write_new(path, format!("{}\n", hex::encode(key.seed())).as_bytes(), true)
}

/// Reads a key file.
///
/// # Errors
/// [`FileError::NotAKey`] and [`FileError::Io`].
pub fn read_key(path: &Path) -> Result<Keypair, FileError> {
    network::read_key(path).map_err(|error| match error {
        NetworkFileError::Read { path, source } => FileError::Io { path, source },
        _ => FileError::NotAKey(path.to_owned()),
    })
}

/// Reads a file as text.
///
/// # Errors
/// [`FileError::Io`].
pub fn read_text(path: &Path) -> Result<String, FileError> {
    fs::read_to_string(path).map_err(FileError::io(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        let key = new_key().unwrap();
        write_key(&path, &key).unwrap();
        assert_eq!(read_key(&path).unwrap().seed(), key.seed());
        assert!(matches!(write_key(&path, &key), Err(FileError::Exists(_))));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_is_its_owners_even_where_an_interrupted_write_left_a_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        fs::write(folder.path().join("a.key.new"), "half of a key, for all to read").unwrap();
        write_key(&path, &new_key().unwrap()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        for text in ["", "12", &"zz".repeat(32), &"12".repeat(33)] {
            fs::write(&path, text).unwrap();
            assert!(matches!(read_key(&path), Err(FileError::NotAKey(_))), "{text:?}");
        }
    }

    #[test]
    fn a_file_below_a_file_is_an_error_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, b"x", false).unwrap();
        assert!(matches!(write(&path.join("below"), b"y", false), Err(FileError::Io { .. })));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
