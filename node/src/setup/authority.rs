//! Making what a new authority needs on its machine, and what it shows to those who vote on it.
//!
//! ```text
//! DIR/authorities/NAME/node.toml       its configuration
//! DIR/authorities/NAME/key             its key
//! DIR/authorities/NAME/data/           its data: empty, and made together with the key
//! DIR/authorities/NAME/candidate.json  name, key, addresses and the key's word for them: public
//! ```

use super::{DATA, SetupError, authority_folder, config_text, json};
use crate::config::{CONFIG_FILE, NodeConfig, Pace, upkeep_file};
use crate::files::{self, FileError};
use crate::storage::DiskStorage;
use kerbholz_client::network::{Network, committee};
use kerbholz_consensus::PublicKey;
use kerbholz_ledger::committee::Candidate;
use std::path::{Path, PathBuf};

/// File name of what the others vote on, in an authority's folder.
pub const CANDIDATE_FILE: &str = "candidate.json";

/// Most bytes of such a file.
const CANDIDATE_BYTES_MAX: u64 = 64 << 10;

/// What a new authority is to be like.
#[derive(Clone, Debug)]
pub struct NewAuthority {
    /// What people call it.
    pub name: String,
    /// Where the others reach it, as multiaddresses.
    pub addresses: Vec<String>,
    /// Where it listens, as multiaddresses.
    pub listen: Vec<String>,
    /// How far the authorities are apart.
    pub pace: Pace,
}

impl NewAuthority {
    /// Makes the folder in that of the network. The candidate is written last: where it exists, all
    /// else does. What an interrupted attempt has left is used.
    ///
    /// # Errors
    /// [`SetupError`]; [`FileError::Exists`] when there is an authority of this name already.
    pub fn create(
        &self,
        network: &Network,
        folder: &Path,
    ) -> Result<(PathBuf, Candidate), SetupError> {
        let home = authority_folder(folder, &self.name);
        let path = home.join(CANDIDATE_FILE);
        let config_path = home.join(CONFIG_FILE);
        let named = network.genesis().authorities.iter().any(|one| one.name == self.name);
        if let Some(taken) = [&path, &config_path].into_iter().find(|path| path.exists() || named) {
            return Err(FileError::Exists(taken.clone()).into());
        }
        let key_path = home.join("key");
        let key = if key_path.exists() {
            files::read_key(&key_path)?
        } else {
            let key = files::new_key()?;
            files::write_key(&key_path, &key)?;
            key
        };
        let candidate =
            Candidate::new(network.id(), self.name.clone(), self.addresses.clone(), &key);
        if !candidate.is_well_formed() {
            let reason = "an authority has 1 to 8 addresses of at most 256 bytes".to_owned();
            return Err(FileError::Malformed { path, reason }.into());
        }
        let data = home.join(DATA);
        if !data.exists() {
            let config = committee(network.genesis())?;
            let public = PublicKey(*key.public().as_bytes());
            DiskStorage::found(&data, config.config(), public)?;
        }
        let config = NodeConfig {
            name: self.name.clone(),
            network: "../..".into(),
            key: "key".into(),
            data: DATA.into(),
            listen: self.listen.clone(),
            pace: self.pace,
            upkeep: upkeep_file(),
            energy: None,
        };
        files::write(&config_path, config_text(&config).as_bytes(), false)?;
        files::write(&path, json(&candidate).as_bytes(), false)?;
        Ok((path, candidate))
    }
}

/// Reads a candidate, and checks that it is one for this network.
///
/// # Errors
/// [`FileError`] names the file and what is wrong with it.
pub fn read_candidate(path: &Path, network: &Network) -> Result<Candidate, FileError> {
    let malformed = |reason: String| FileError::Malformed { path: path.to_owned(), reason };
    let failed = |source| FileError::Io { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > CANDIDATE_BYTES_MAX {
        return Err(malformed(format!("longer than {CANDIDATE_BYTES_MAX} bytes")));
    }
    let text = files::read_text(path)?;
    let candidate: Candidate = serde_json::from_str(&text).map_err(|error| {
        malformed(format!(
            "this is no candidate file: {error}. Ask for {CANDIDATE_FILE} as `kerbholz authority new` \
             made it"
        ))
    })?;
    if !candidate.is_well_formed() || candidate.verify(network.id()).is_err() {
        let reason = "its key has not signed this name and these addresses for this network: ask for \
                      the file as `kerbholz authority new` made it";
        return Err(malformed(reason.to_owned()));
    }
    Ok(candidate)
}

#[cfg(test)]
mod tests;
