//! A file that only grows by whole records: a failed append leaves it at its last good byte.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::error::{At, StorageError};

/// What an [`AppendFile`] asks of the system; tests put a disk that fills up behind it.
pub(super) trait RawFile: Send {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    fn sync_data(&mut self) -> io::Result<()>;
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

impl RawFile for File {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.seek(SeekFrom::Start(offset))?;
        self.write_all(bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// An append-only file.
pub(super) struct AppendFile {
    path: PathBuf,
    file: Box<dyn RawFile>,
    length: u64,
    failed: bool,
}

impl AppendFile {
    /// Opens an existing file and cuts it to `length`, its last good byte.
    pub(super) fn open(path: &Path, length: u64) -> Result<Self, StorageError> {
        let file = OpenOptions::new().write(true).open(path).at(path, "open")?;
        if file.metadata().at(path, "examine")?.len() != length {
            file.set_len(length).at(path, "cut off the torn end")?;
            file.sync_all().at(path, "sync")?;
        }
        Ok(Self { path: path.into(), file: Box::new(file), length, failed: false })
    }

    /// Length in bytes of what was appended completely.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Appends with one write call. On failure the file is cut back to where it ended.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.check()?;
        if let Err(source) = self.file.write_all_at(bytes, self.length) {
            self.failed = self.file.truncate(self.length).is_err();
            return Err(StorageError::io(&self.path, "append", source));
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Makes everything appended durable. After a failed sync the kernel may have dropped the
    /// pages, so a second sync would lie: the file takes nothing more until it is opened again.
    pub(super) fn sync(&mut self) -> Result<(), StorageError> {
        self.check()?;
        self.file.sync_data().map_err(|source| {
            self.failed = true;
            StorageError::io(&self.path, "sync", source)
        })
    }

    /// Appends and makes durable; if the sync fails, the append is undone as far as possible.
    pub(super) fn append_durably(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        let before = self.length;
        self.append(bytes)?;
        self.sync().inspect_err(|_| {
            self.length = before;
            // The file is marked as failed already; the check at the next start has the last word.
            let _ = self.file.truncate(before);
        })
    }

    fn check(&self) -> Result<(), StorageError> {
        if self.failed { Err(StorageError::Failed { path: self.path.clone() }) } else { Ok(()) }
    }
}

/// Creates `path` with `content`, durably and all at once: a crash leaves the whole file or none.
pub(super) fn create_whole(path: &Path, content: &[u8]) -> Result<(), StorageError> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(TEMPORARY);
    let temporary = path.with_file_name(name);
    let written = (|| {
        let mut file = File::create(&temporary).at(&temporary, "create")?;
        file.write_all(content).at(&temporary, "write")?;
        file.sync_all().at(&temporary, "sync")?;
        std::fs::rename(&temporary, path).at(path, "create")
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
        return written;
    }
    sync_directory(path.parent().unwrap_or(Path::new(".")))
}

/// Suffix of files under construction; a leftover is removed when the directory is opened.
pub(super) const TEMPORARY: &str = ".tmp";

/// Makes creations, renames and removals in a directory durable.
pub(super) fn sync_directory(path: &Path) -> Result<(), StorageError> {
    File::open(path).and_then(|directory| directory.sync_all()).at(path, "sync")
}

#[cfg(test)]
pub(super) mod testing {
    //! A disk that fills up, that fails, and that counts.

    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

    use super::*;

    /// The controls of a disk; they may be turned while the disk is in use.
    #[derive(Clone)]
    pub(in super::super) struct Disk {
        /// How many bytes it still takes; a write fills it up and is then refused.
        pub(in super::super) left: Arc<AtomicUsize>,
        /// Whether syncs fail.
        pub(in super::super) broken: Arc<AtomicBool>,
        /// How many syncs there were.
        pub(in super::super) syncs: Arc<AtomicUsize>,
    }

    struct DiskFile(File, Disk);

    impl Disk {
        /// Puts a disk behind an open file, with all the space there is.
        pub(in super::super) fn below(file: &mut AppendFile) -> Self {
            let left = Arc::new(AtomicUsize::new(usize::MAX));
            let disk = Self { left, broken: Arc::default(), syncs: Arc::default() };
            let inner = OpenOptions::new().write(true).open(&file.path).unwrap();
            file.file = Box::new(DiskFile(inner, disk.clone()));
            disk
        }
    }

    impl RawFile for DiskFile {
        fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
            let fits = bytes.len().min(self.1.left.load(SeqCst));
            self.1.left.fetch_sub(fits, SeqCst);
            self.0.write_all_at(&bytes[..fits], offset)?;
            if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn sync_data(&mut self) -> io::Result<()> {
            self.1.syncs.fetch_add(1, SeqCst);
            if self.1.broken.load(SeqCst) { Err(io::Error::other("broken")) } else { Ok(()) }
        }

        fn truncate(&mut self, length: u64) -> io::Result<()> {
            self.0.truncate(length)
        }
    }
}
