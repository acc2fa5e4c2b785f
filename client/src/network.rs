//! What a client must know of a network: the genesis, and where its authorities listen.
//!
//! Both are files in one folder, `genesis.json` (agreed on, hashed into the network's id) and
//! `addresses.json` (changes with every move of a machine, proves nothing). `committee.json` remembers
//! who came after the authorities of the genesis; whoever writes it has proved it
//! ([`crate::committees`]).

use kerbholz_consensus::{CommitDigest, Committee, CommitteeConfig, CommitteeError, PublicKey};
use kerbholz_ledger::committee::Authority;
use kerbholz_ledger::genesis::{Genesis, GenesisError};
use kerbholz_ledger::id::NetworkId;
use kerbholz_ledger::keys::Keypair;
use kerbholz_ledger::rows::CommitteeRow;
use libp2p::Multiaddr;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// File name of the genesis in a network's folder.
pub const GENESIS_FILE: &str = "genesis.json";
/// File name of the addresses in a network's folder.
pub const ADDRESSES_FILE: &str = "addresses.json";
/// File name of the newest committee that is known, in a network's folder.
pub const COMMITTEE_FILE: &str = "committee.json";
/// Most bytes of each file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A network to talk to.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    genesis: Genesis,
    id: NetworkId,
    addresses: BTreeMap<String, Vec<Multiaddr>>,
    authorities: Vec<Contact>,
}

/// An authority to talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: kerbholz_ledger::keys::PublicKey,
    /// Where it listens.
    pub addresses: Vec<Multiaddr>,
}

/// Why a network's files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NetworkFileError {
    /// A file cannot be read.
    #[error("{path}: {source}: is this the folder of a network (see `kerbholz init`)?")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: {reason}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Line, column and reason.
        reason: String,
    },
    /// The genesis contradicts itself.
    #[error("{path}: {source}")]
    Genesis {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: GenesisError,
    },
    /// An authority cannot be reached.
    #[error("{path}: no address for the authority {name:?} of the genesis: add one")]
    NoAddress {
        /// Which file.
        path: PathBuf,
        /// Which authority.
        name: String,
    },
}

impl Network {
    /// A network of a validated genesis, with addresses by authority name.
    ///
    /// # Errors
    /// [`GenesisError`] when the genesis contradicts itself.
    pub fn new(
        genesis: Genesis,
        addresses: BTreeMap<String, Vec<Multiaddr>>,
    ) -> Result<Self, GenesisError> {
        genesis.validate()?;
        Ok(Self::of(genesis, addresses, None))
    }

    fn of(
        genesis: Genesis,
        addresses: BTreeMap<String, Vec<Multiaddr>>,
        known: Option<CommitteeRow>,
    ) -> Self {
        let committee = known.unwrap_or_else(|| genesis.committee());
        // What the folder's owner says of an address counts more than what was once voted on.
        let reached = |one: &Authority| match addresses.get(&one.name) {
            Some(addresses) => addresses.clone(),
            None => one.addresses.iter().filter_map(|address| address.parse().ok()).collect(),
        };
        let contact = |one: Authority| {
            let addresses = reached(&one);
            Contact { name: one.name, key: one.key, addresses }
        };
        let contacts = committee.authorities.into_iter().map(contact);
        let authorities = contacts.filter(|contact| !contact.addresses.is_empty()).collect();
        let id = genesis.network();
        Self { genesis, id, addresses, authorities }
    }

    /// Reads `genesis.json`, `addresses.json` and, if there is one, `committee.json` of a folder.
    ///
    /// # Errors
    /// [`NetworkFileError`] names the file and what is wrong with it.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, NetworkFileError> {
        let folder = folder.as_ref();
        let genesis = read_genesis(&folder.join(GENESIS_FILE))?;
        let path = folder.join(ADDRESSES_FILE);
        let addresses: BTreeMap<String, Vec<Multiaddr>> = read_json(&path)?;
        for authority in &genesis.authorities {
            if addresses.get(&authority.name).is_none_or(Vec::is_empty) {
                return Err(NetworkFileError::NoAddress { path, name: authority.name.clone() });
            }
        }
        let known = folder.join(COMMITTEE_FILE);
        let known = if known.exists() { Some(read_json(&known)?) } else { None };
        Ok(Self::of(genesis, addresses, known))
    }

    /// The genesis.
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The network's id.
    pub const fn id(&self) -> NetworkId {
        self.id
    }

    /// The authorities to talk to: those of the newest committee that is known here, of whom an
    /// address is known. A position in this list is what sessions call an authority by.
    pub fn authorities(&self) -> &[Contact] {
        &self.authorities
    }

    /// The same network, to talk to other authorities: to those of an earlier epoch, say.
    #[must_use]
    pub fn with_authorities(&self, authorities: Vec<Authority>) -> Self {
        let committee = CommitteeRow { authorities, ..self.genesis.committee() };
        Self::of(self.genesis.clone(), self.addresses.clone(), Some(committee))
    }

    /// Where an authority listens, by its name in the addresses' file.
    pub fn addresses(&self, authority: &str) -> &[Multiaddr] {
        self.addresses.get(authority).map_or(&[], Vec::as_slice)
    }

    /// Where every authority listens, by name.
    pub const fn all_addresses(&self) -> &BTreeMap<String, Vec<Multiaddr>> {
        &self.addresses
    }
}

/// The committee that a genesis names: who signs blocks and checkpoints in its first epoch.
///
/// # Errors
/// [`CommitteeError`] when the authorities' keys make no committee.
pub fn committee(genesis: &Genesis) -> Result<Committee, CommitteeError> {
    next_committee(genesis.network(), &genesis.committee(), CommitDigest::NONE)
}

/// The committee that the ledger decided for an epoch, which follows the commit of digest `closing`:
/// the commit that [`CommitteeRow::decided_in`] names.
///
/// # Errors
/// [`CommitteeError`] when the authorities' keys make no committee.
pub fn next_committee(
    network: NetworkId,
    decided: &CommitteeRow,
    closing: CommitDigest,
) -> Result<Committee, CommitteeError> {
    let key = |authority: &Authority| PublicKey(*authority.key.as_bytes());
    Committee::new(CommitteeConfig {
        network: kerbholz_consensus::NetworkId(*network.as_bytes()),
        epoch: decided.epoch.get(),
        authorities: decided.authorities.iter().map(key).collect(),
        gc_depth: Committee::GC_DEPTH,
        previous: closing,
    })
}

/// Reads and validates a genesis file: all that a verifier of receipts needs.
///
/// # Errors
/// [`NetworkFileError`] names the file and what is wrong with it.
pub fn read_genesis(path: &Path) -> Result<Genesis, NetworkFileError> {
    let genesis: Genesis = read_json(path)?;
    genesis
        .validate()
        .map_err(|source| NetworkFileError::Genesis { path: path.to_owned(), source })?;
    Ok(genesis)
}

/// Reads a key file: 64 hexadecimal digits, as `kerbholz key new` and `machine enrol` write them.
///
/// # Errors
/// [`NetworkFileError`] names the file and what is wrong with it.
pub fn read_key(path: &Path) -> Result<Keypair, NetworkFileError> {
    let read = |source| NetworkFileError::Read { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(read)?;
    let mut seed = [0; 32];
    hex::decode_to_slice(text.trim(), &mut seed).map_err(|_| NetworkFileError::Malformed {
        path: path.to_owned(),
        reason: "a key file holds 64 hexadecimal digits".to_owned(),
    })?;
    Ok(Keypair::from_seed(&seed))
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, NetworkFileError> {
    let read = |source| NetworkFileError::Read { path: path.to_owned(), source };
    let malformed = |reason: String| NetworkFileError::Malformed { path: path.to_owned(), reason };
    if std::fs::metadata(path).map_err(read)?.len() > FILE_BYTES_MAX {
        return Err(malformed(format!("longer than {FILE_BYTES_MAX} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(read)?;
    serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))
}

#[cfg(test)]
mod tests;
