//! Where an export goes: a folder that appears whole, under its name, or not at all.

use super::ExportError;
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What every exported folder has in it: of which ledger it is. A folder without it is never replaced.
pub const MANIFEST: &str = "export.json";

/// A folder that is being filled under another name. Given up, it is removed.
pub struct Target {
    path: PathBuf,
    temporary: PathBuf,
    replace: bool,
}

impl Target {
    /// Begins a folder that will be at `path`.
    ///
    /// # Errors
    /// [`ExportError::Exists`] when there is something that may not be replaced,
    /// [`ExportError::Foreign`] when it is no export, [`ExportError::Io`].
    pub fn begin(path: &Path, replace: bool) -> Result<Self, ExportError> {
        may_be_made(path, replace)?;
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(ExportError::io(parent))?;
        }
        let temporary = beside(path, "partial");
        fs::create_dir(&temporary).map_err(ExportError::io(&temporary))?;
        Ok(Self { path: path.to_owned(), temporary, replace })
    }

    /// The folder to fill.
    pub fn folder(&self) -> &Path {
        &self.temporary
    }

    /// Gives the folder its name, with a document that says of which ledger it is.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn finish(self, document: &Value) -> Result<(), ExportError> {
        let path = self.temporary.join(MANIFEST);
        let written = File::create_new(&path).and_then(|mut file| {
            file.write_all(format!("{document:#}\n").as_bytes())?;
            file.sync_all()
        });
        written.map_err(ExportError::io(&path))?;
        sync_folders(&self.temporary)?;
        // Somebody may have been quicker.
        may_be_made(&self.path, self.replace)?;
        let old = beside(&self.path, "old");
        let replaced = self.path.exists();
        if replaced {
            fs::rename(&self.path, &old).map_err(ExportError::io(&self.path))?;
        }
        if let Err(error) = fs::rename(&self.temporary, &self.path) {
            if replaced {
                // The first error is the one that matters; the old export is beside it, whole.
                let _ = fs::rename(&old, &self.path);
            }
            return Err(ExportError::io(&self.path)(error));
        }
        if let Some(parent) = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync(parent)?;
        }
        if replaced {
            fs::remove_dir_all(&old).map_err(ExportError::io(&old))?;
        }
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // After it was finished there is nothing; a leftover that cannot be removed has a name that says so.
        let _ = fs::remove_dir_all(&self.temporary);
    }
}

/// Whether an export may be made here: there is nothing, or an earlier export that may be replaced.
///
/// # Errors
/// [`ExportError::Exists`] and [`ExportError::Foreign`].
pub fn may_be_made(path: &Path, replace: bool) -> Result<(), ExportError> {
    match fs::symlink_metadata(path) {
        Err(_) => Ok(()),
        Ok(_) if !replace => Err(ExportError::Exists(path.to_owned())),
        Ok(found) if found.is_dir() && path.join(MANIFEST).is_file() => Ok(()),
        Ok(_) => Err(ExportError::Foreign(path.to_owned())),
    }
}

/// A name beside a path that no other run uses.
fn beside(path: &Path, what: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.{what}", std::process::id()))
}

fn sync(folder: &Path) -> Result<(), ExportError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(ExportError::io(folder))
}

fn sync_folders(folder: &Path) -> Result<(), ExportError> {
    for entry in fs::read_dir(folder).map_err(ExportError::io(folder))? {
        let path = entry.map_err(ExportError::io(folder))?.path();
        if path.is_dir() {
            sync_folders(&path)?;
        }
    }
    sync(folder)
}
