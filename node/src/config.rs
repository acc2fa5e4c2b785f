//! An authority's configuration, `node.toml`: read once, checked once.

use crate::files::{self, FileError};
use crate::upkeep::{PowerModel, UPKEEP_FILE};
use kerbholz_consensus::Parameters;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// File name of the configuration in an authority's folder.
pub const CONFIG_FILE: &str = "node.toml";

/// What an operator decides for one node. Paths are relative to the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// The authority's name in the genesis, or in the vote that adds it.
    pub name: String,
    /// The folder with `genesis.json` and `addresses.json`.
    pub network: PathBuf,
    /// The file with the authority's key.
    pub key: PathBuf,
    /// The folder for the node's data.
    pub data: PathBuf,
    /// Where to listen, as multiaddresses.
    pub listen: Vec<String>,
    /// How far the authorities are apart.
    pub pace: Pace,
    /// Where the node keeps what it uses.
    #[serde(default = "upkeep_file", skip_serializing_if = "is_upkeep_file")]
    pub upkeep: PathBuf,
    /// The machine's power, for where the processor does not count its energy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<PowerModel>,
}

/// Where the account is, unless it is said.
pub fn upkeep_file() -> PathBuf {
    UPKEEP_FILE.into()
}

fn is_upkeep_file(path: &Path) -> bool {
    path == upkeep_file()
}

/// Pacing for the distance between authorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pace {
    /// One machine or one building.
    Lan,
    /// Anywhere.
    Wan,
}

impl Pace {
    /// The consensus parameters of this pace.
    pub fn parameters(self) -> Parameters {
        match self {
            Self::Lan => Parameters::lan(),
            Self::Wan => Parameters::wan(),
        }
    }
}

impl NodeConfig {
    /// Reads `node.toml` of an authority's folder, and makes its paths absolute.
    ///
    /// # Errors
    /// [`FileError`] names the file, the line and the reason.
    pub fn read(folder: &Path) -> Result<Self, FileError> {
        let path = folder.join(CONFIG_FILE);
        let text = files::read_text(&path)?;
        let mut config: Self = toml::from_str(&text)
            .map_err(|error| FileError::Malformed { path, reason: error.to_string() })?;
        for path in [&mut config.network, &mut config.key, &mut config.data, &mut config.upkeep] {
            *path = folder.join(&path);
        }
        Ok(config)
    }
}
