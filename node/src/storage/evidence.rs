//! Evidence of equivocation, kept for people and courts (§6.6): the first pieces against each
//! authority, and how many there were.
//!
//! An authority that equivocates in every round must not fill the disk of the others, so no more
//! than [`EVIDENCE_KEPT`] pieces are kept of each. It is named by its key, since its index is
//! another one in another epoch. Layout of the files: `docs/formats.md`, "Evidence".

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use kerbholz_consensus::{Evidence, PublicKey};

use super::Damage;
use super::append::create_whole;
use super::directory::entries;
use super::epoch::Epoch;
use super::error::{At, StorageError};
use super::frame::{FORMAT_VERSION, Fields};

/// Pieces of evidence that are kept against one authority.
pub const EVIDENCE_KEPT: usize = 16;
const MAGIC: [u8; 8] = *b"KBHZ-EVD";
const EXTENSION: &str = "evidence";

/// What is known of an authority that did what no honest one does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offender {
    /// How often it was seen. What was not made durable when the power failed is missing.
    pub seen: u64,
    /// The first pieces of evidence, each with the epoch it is of.
    pub kept: Vec<(u64, Evidence)>,
}

/// Offenders by their keys.
pub type Offenders = BTreeMap<PublicKey, Offender>;

/// All evidence of a node, in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    pub(super) offenders: Offenders,
    /// Of whom the disk does not have everything.
    stale: BTreeSet<PublicKey>,
}

impl Book {
    /// Takes in evidence of the newest epoch, or of the one before; against whom it is new and to
    /// be made durable. What proves nothing is left out.
    pub(super) fn note(&mut self, evidence: &Evidence, epochs: &[Epoch]) -> Option<PublicKey> {
        let mut proved = epochs.iter().rev().take(2).filter(|epoch| {
            epoch.committee().is_ok_and(|committee| evidence.verify(&committee).is_ok())
        });
        let Some(epoch) = proved.next() else {
            tracing::warn!(author = %evidence.author(), "evidence of no epoch is left out");
            return None;
        };
        let key = *epoch.config.authorities.get(evidence.author().position())?;
        let offender = self.offenders.entry(key).or_default();
        if offender.kept.iter().any(|(_, known)| known == evidence) {
            return None;
        }
        offender.seen = offender.seen.saturating_add(1);
        self.stale.insert(key);
        if offender.kept.len() < EVIDENCE_KEPT {
            offender.kept.push((epoch.number(), evidence.clone()));
            return Some(key);
        }
        None
    }

    /// Makes what is known of an authority durable.
    pub(super) fn write(
        &mut self,
        key: PublicKey,
        directory: &Path,
        genesis: [u8; 32],
    ) -> Result<(), StorageError> {
        let Some(offender) = self.offenders.get(&key) else { return Ok(()) };
        fs::create_dir_all(directory).at(directory, "create the directory")?;
        create_whole(&path(directory, key), &encode(offender, key, genesis))?;
        self.stale.remove(&key);
        Ok(())
    }

    /// Makes durable what is not.
    pub(super) fn sync(&mut self, directory: &Path, genesis: [u8; 32]) -> Result<(), StorageError> {
        while let Some(key) = self.stale.first().copied() {
            self.write(key, directory, genesis)?;
        }
        Ok(())
    }

    /// Reads what is in the directory. A damaged file is left where it is, until there is something
    /// to write in its place.
    pub(super) fn open(
        directory: &Path,
        genesis: [u8; 32],
    ) -> Result<(Self, Vec<Damage>), StorageError> {
        let (mut book, mut lost) = (Self::default(), Vec::new());
        for name in entries(directory)? {
            let path = directory.join(&name);
            if path.extension().is_none_or(|extension| extension != EXTENSION) {
                continue;
            }
            let bytes = fs::read(&path).at(&path, "read")?;
            match decode(&bytes, genesis).filter(|(key, _)| self::path(directory, *key) == path) {
                Some((key, offender)) => drop(book.offenders.insert(key, offender)),
                None => {
                    let what = "the evidence against an authority".into();
                    lost.push(Damage { path, offset: 0, what });
                }
            }
        }
        Ok((book, lost))
    }
}

fn path(directory: &Path, key: PublicKey) -> PathBuf {
    directory.join(format!("{key}.{EXTENSION}"))
}

fn encode(offender: &Offender, key: PublicKey, genesis: [u8; 32]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&u32::from(FORMAT_VERSION).to_le_bytes());
    out.extend_from_slice(&genesis);
    out.extend_from_slice(&key.0);
    out.extend_from_slice(&offender.seen.to_le_bytes());
    out.extend_from_slice(&(offender.kept.len() as u64).to_le_bytes());
    for (epoch, evidence) in &offender.kept {
        let bytes = evidence.encode();
        out.extend_from_slice(&epoch.to_le_bytes());
        out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        out.extend_from_slice(&bytes);
    }
    let checksum = crc32fast::hash(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

/// `None` for anything that was not written for this network.
fn decode(bytes: &[u8], genesis: [u8; 32]) -> Option<(PublicKey, Offender)> {
    let (body, checksum) = bytes.split_last_chunk()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let mut fields = Fields(body);
    let head = fields.array() == Some(MAGIC)
        && fields.u32() == Some(FORMAT_VERSION.into())
        && fields.array() == Some(genesis);
    let key = PublicKey(fields.array().filter(|_| head)?);
    let mut offender = Offender { seen: fields.u64()?, kept: Vec::new() };
    for _ in 0..fields.u64()? {
        let epoch = fields.u64()?;
        let length = usize::try_from(fields.u64()?).ok()?;
        let (evidence, rest) = fields.0.split_at_checked(length)?;
        offender.kept.push((epoch, Evidence::decode(evidence).ok()?));
        fields.0 = rest;
    }
    fields.0.is_empty().then_some((key, offender))
}

#[cfg(test)]
mod tests;
