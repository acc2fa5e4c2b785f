//! The `VERSION` file: format, network and node of a data directory.

use std::fs;
use std::path::Path;

use kerbholz_consensus::PublicKey;

use super::super::append::create_whole;
use super::super::error::{At, StorageError};
use super::super::frame::{FORMAT_VERSION, check_format};
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
/// [`StorageError::EarlierVersion`], [`StorageError::Damaged`].
pub fn read_genesis(data_directory: &Path) -> Result<[u8; 32], StorageError> {
    Ok(read(data_directory)?.genesis)
}

/// Refuses a directory whose `VERSION` file names another network or node than it should.
pub(super) fn check(path: &Path, found: Identity, expected: Identity) -> Result<(), StorageError> {
    let path = path.join(VERSION);
    if found.genesis != expected.genesis {
        let (found, expected) = (hex::encode(found.genesis), hex::encode(expected.genesis));
        return Err(StorageError::OtherNetwork { path, found, expected });
    }
    if found.key != expected.key {
        let (found, expected) = (found.key.to_string(), expected.key.to_string());
        return Err(StorageError::OtherAuthority { path, found, expected });
    }
    Ok(())
}

/// Whose the directory is, by its `VERSION` file.
pub(super) fn read(data_directory: &Path) -> Result<Identity, StorageError> {
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
    if let Some(found) = format {
        check_format(&path, found)?;
    }
    let field = |line: usize, name: &str| {
        let mut bytes = [0; 32];
        let value = lines.get(line)?.strip_prefix(name)?;
        hex::decode_to_slice(value, &mut bytes).is_ok().then_some(bytes)
    };
    let genesis = field(2, "genesis ").unwrap_or_default();
    let key = PublicKey(field(3, "authority ").unwrap_or_default());
    let identity = Identity { genesis, key };
    // Rendering again and comparing leaves no byte unchecked.
    if text(identity) == content {
        return Ok(identity);
    }
    Err(StorageError::damaged(&path, 0, "the VERSION file does not check"))
}

const TITLE: &str = "kerbholz data directory";

pub(super) fn text(identity: Identity) -> String {
    let (genesis, key) = (hex::encode(identity.genesis), identity.key);
    let body = format!("{TITLE}\nformat {FORMAT_VERSION}\ngenesis {genesis}\nauthority {key}\n");
    let checksum = crc32fast::hash(body.as_bytes());
    format!("{body}checksum {checksum:08x}\n")
}
