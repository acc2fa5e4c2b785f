//! What must be in the logs at least. A torn end of a file looks the same whether its records
//! were never acknowledged or were durable once; the watermark tells the two apart.
//!
//! The file has two slots that are written in turn, each only after what it vouches for is
//! durable, so one of them is always whole. Layout: `docs/formats.md`, "Data directory".

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use super::error::{At, StorageError};
use super::frame::Fields;

const MAGIC: [u8; 8] = *b"KBHZMARK";
/// One slot per disk sector, so that a torn write spoils one slot only.
const SLOT: usize = 512;
const CONTENT: usize = 44;

/// What the logs hold durably. Each field only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// Round of the newest own block, 0 for none.
    pub(super) own_round: u64,
    /// Number of the first file of the write-ahead log.
    pub(super) first_wal: u64,
    /// Index of a commit that the segments hold, 0 for none.
    pub(super) commit: u64,
}

/// The watermark file.
pub(super) struct Watermark {
    path: PathBuf,
    marks: Marks,
    written: u64,
    failed: bool,
}

impl Watermark {
    /// Content of the file in a new data directory.
    pub(super) fn initial_file() -> Vec<u8> {
        let marks = Marks { first_wal: 1, ..Marks::default() };
        let mut file = vec![0; 2 * SLOT];
        file[..CONTENT].copy_from_slice(&encode(0, marks));
        file[SLOT..SLOT + CONTENT].copy_from_slice(&encode(1, marks));
        file
    }

    /// Reads the newest sound slot.
    pub(super) fn open(path: &Path) -> Result<Self, StorageError> {
        let file = match fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let what = "what the logs must hold at least";
                return Err(StorageError::Missing { path: path.into(), what });
            }
            read => read.at(path, "read")?,
        };
        let slots = [file.get(..CONTENT), file.get(SLOT..SLOT + CONTENT)];
        let sound: Vec<_> = slots.into_iter().flatten().filter_map(decode).collect();
        if sound.len() < 2 {
            tracing::warn!(path = %path.display(), "one slot of the watermark is torn or damaged");
        }
        let newest = sound.into_iter().max_by_key(|(written, _)| *written);
        let (written, marks) =
            newest.ok_or_else(|| StorageError::damaged(path, 0, "both slots of the watermark"))?;
        Ok(Self { path: path.into(), marks, written, failed: false })
    }

    pub(super) fn marks(&self) -> Marks {
        self.marks
    }

    /// Raises the marks durably. What they vouch for must be durable already.
    pub(super) fn raise(&mut self, marks: Marks) -> Result<(), StorageError> {
        if self.failed {
            return Err(StorageError::Failed { path: self.path.clone() });
        }
        let written = self.written + 1;
        let slot = (written % 2) * SLOT as u64;
        let result = write_slot(&self.path, slot, &encode(written, marks));
        match result {
            Ok(()) => (self.marks, self.written) = (marks, written),
            // The other slot is whole, but a retry would overwrite it if we counted on.
            Err(_) => self.failed = true,
        }
        result
    }
}

fn write_slot(path: &Path, offset: u64, content: &[u8]) -> Result<(), StorageError> {
    use std::io::{Seek, SeekFrom, Write};
    let mut file = OpenOptions::new().write(true).open(path).at(path, "open")?;
    file.seek(SeekFrom::Start(offset))
        .and_then(|_| file.write_all(content))
        .and_then(|()| file.sync_data())
        .at(path, "write")
}

fn encode(written: u64, marks: Marks) -> [u8; CONTENT] {
    let mut out = [0; CONTENT];
    out[..8].copy_from_slice(&MAGIC);
    out[8..16].copy_from_slice(&written.to_le_bytes());
    out[16..24].copy_from_slice(&marks.own_round.to_le_bytes());
    out[24..32].copy_from_slice(&marks.first_wal.to_le_bytes());
    out[32..40].copy_from_slice(&marks.commit.to_le_bytes());
    let checksum = crc32fast::hash(&out[..40]);
    out[40..].copy_from_slice(&checksum.to_le_bytes());
    out
}

fn decode(slot: &[u8]) -> Option<(u64, Marks)> {
    let mut fields = Fields(slot);
    let magic: [u8; 8] = fields.array()?;
    let written = fields.u64()?;
    let (own_round, first_wal, commit) = (fields.u64()?, fields.u64()?, fields.u64()?);
    let sound = magic == MAGIC && fields.u32()? == crc32fast::hash(&slot[..40]);
    sound.then_some((written, Marks { own_round, first_wal, commit }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watermark_file_is_frozen() {
        let file = Watermark::initial_file();
        assert_eq!(file.len(), 1024);
        assert_eq!(
            hex::encode(&file[512..556]),
            "4b42485a4d41524b01000000000000000000000000000000".to_owned()
                + "01000000000000000000000000000000dbf7a232"
        );
    }
}
