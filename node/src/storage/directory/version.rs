//! The `VERSION` file: format, network and node of a data directory.

use std::fs;
use std::path::Path;

use kerbholz_consensus::PublicKey;

use super::super::append::create_whole;
use super::super::error::{At, StorageError};
use super::super::frame::{FORMAT_OLDEST, FORMAT_VERSION};
use super::Identity;

pub(super) const VERSION: &str = "VERSION";

pub(super) fn exists(data_directory: &Path) -> Result<bool, StorageError> {
    data_directory.join(VERSION).try_exists().at(data_directory, "open")
}

pub(super) fn write(data_directory: &Path, identity: Identity) -> Result<(), StorageError> {
    create_whole(&data_directory.join(VERSION), text(identity).as_bytes())
}

/// The genesis digest that a data directory, or a copy of one, was made for. Reads only.
///
/// # Errors
///
/// [`StorageError::Missing`] without a `VERSION` file, [`StorageError::NewerVersion`],
/// [`StorageError::Damaged`].
pub fn read_genesis(data_directory: &Path) -> Result<[u8; 32], StorageError> {
    Ok(read(data_directory)?.genesis)
}

/// What a `VERSION` file says.
pub(super) struct Version {
    pub(super) format: u64,
    genesis: [u8; 32],
    /// Absent in format 1.
    key: Option<PublicKey>,
}

impl Version {
    pub(super) fn check(&self, path: &Path, identity: Identity) -> Result<(), StorageError> {
        let path = path.join(VERSION);
        if self.genesis != identity.genesis {
            let (found, expected) = (hex::encode(self.genesis), hex::encode(identity.genesis));
            return Err(StorageError::OtherNetwork { path, found, expected });
        }
        match self.key.filter(|key| *key != identity.key) {
            None => Ok(()),
            Some(found) => {
                let (found, expected) = (found.to_string(), identity.key.to_string());
                Err(StorageError::OtherAuthority { path, found, expected })
            }
        }
    }
}

pub(super) fn read(data_directory: &Path) -> Result<Version, StorageError> {
    let path = data_directory.join(VERSION);
    let content = match fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(StorageError::Missing { path, what: "the format and the network" });
        }
        read => read.at(&path, "read")?,
    };
    let content = String::from_utf8_lossy(&content);
    let lines: Vec<&str> = content.lines().collect();
    if lines.first() != Some(&TITLE) {
        return Err(StorageError::damaged(&path, 0, "not the VERSION file of a data directory"));
    }
    let format = lines.get(1).and_then(|line| line.strip_prefix("format ")?.parse::<u64>().ok());
    if let Some(found) = format.filter(|found| *found > u64::from(FORMAT_VERSION)) {
        let supported = FORMAT_VERSION.into();
        return Err(StorageError::NewerVersion { path, found, supported });
    }
    let field = |line: usize, name: &str| {
        let mut bytes = [0; 32];
        let value = lines.get(line)?.strip_prefix(name)?;
        hex::decode_to_slice(value, &mut bytes).is_ok().then_some(bytes)
    };
    let genesis = field(2, "genesis ").unwrap_or_default();
    // Rendering again and comparing leaves no byte unchecked.
    if text_1(genesis) == content {
        return Ok(Version { format: FORMAT_OLDEST.into(), genesis, key: None });
    }
    let key = PublicKey(field(3, "authority ").unwrap_or_default());
    if text(Identity { genesis, key }) == content {
        return Ok(Version { format: FORMAT_VERSION.into(), genesis, key: Some(key) });
    }
    Err(StorageError::damaged(&path, 0, "the VERSION file does not check"))
}

const TITLE: &str = "kerbholz data directory";

pub(super) fn text(identity: Identity) -> String {
    let (genesis, key) = (hex::encode(identity.genesis), identity.key);
    checked(format!("{TITLE}\nformat {FORMAT_VERSION}\ngenesis {genesis}\nauthority {key}\n"))
}

/// What format 1 wrote.
fn text_1(genesis: [u8; 32]) -> String {
    checked(format!("{TITLE}\nformat 1\ngenesis {}\n", hex::encode(genesis)))
}

fn checked(body: String) -> String {
    let checksum = crc32fast::hash(body.as_bytes());
    format!("{body}checksum {checksum:08x}\n")
}
