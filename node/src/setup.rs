//! Making a new network: keys, genesis, addresses and one folder for each authority.
//!
//! ```text
//! DIR/genesis.json                    what everybody agrees on
//! DIR/addresses.json                  where the authorities listen
//! DIR/authorities/NAME/node.toml      an authority's configuration
//! DIR/authorities/NAME/key            its key: move the folder to its machine, and keep it there
//! DIR/authorities/NAME/data/          its data: empty, and made here, so that it may sign at once
//! DIR/members/NAME.key                the keys of organisations and publishers
//! ```

mod authority;

pub use authority::{CANDIDATE_FILE, NewAuthority, read_candidate};

use crate::config::{CONFIG_FILE, NodeConfig, Pace, upkeep_file};
use crate::files::{self, FileError};
use crate::network::{Multiaddr, NetworkError, check_free};
use crate::storage::{DiskStorage, StorageError};
use kerbholz_client::network::{ADDRESSES_FILE, GENESIS_FILE, committee};
use kerbholz_client::session::now;
use kerbholz_consensus::{CommitteeError, PublicKey};
use kerbholz_ledger::factor::Impact;
use kerbholz_ledger::footprint::Dimension;
use kerbholz_ledger::genesis::{
    Accounting, GENESIS_VERSION, Genesis, GenesisAuthority, GenesisCurrency, GenesisError,
    GenesisMember, UpkeepRules,
};
use kerbholz_ledger::keys::Keypair;
use kerbholz_ledger::quantity::Milliseconds;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

/// Name of the folder for an authority's data, in the authority's.
const DATA: &str = "data";

/// What a new network is to be like.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What people call it.
    pub name: String,
    /// How many authorities.
    pub authorities: u16,
    /// Where they listen.
    pub host: IpAddr,
    /// The first one's port; the others follow. `None`: any that are free now.
    pub port: Option<u16>,
    /// How far they are apart.
    pub pace: Pace,
    /// The first organisations, by name.
    pub organisations: Vec<String>,
    /// The first publishers of factors, by name.
    pub publishers: Vec<String>,
    /// The first auditors, by name.
    pub auditors: Vec<String>,
    /// From which change of a source's climate on a restatement needs an auditor, ng CO2e; `None`:
    /// none does.
    pub material_climate: Option<u64>,
    /// The currency that the first organisation issues.
    pub currency: String,
    /// The length of the periods by which what the authorities use is accounted for. All of the first
    /// organisations may run authorities.
    pub accounting_period: Milliseconds,
}

/// The usual accounting period: a day.
pub const DAY: Milliseconds = Milliseconds::new(24 * 60 * 60 * 1000);

/// Why no network was made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// What was asked for makes no genesis.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The genesis makes no committee.
    #[error("the genesis makes no committee: {0}")]
    Committee(#[from] CommitteeError),
    /// A data directory.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A name that cannot be part of a file's name.
    #[error("the name {0:?} cannot name a key file: leave out slashes and a leading dot")]
    Name(String),
    /// The ports do not suffice.
    #[error("ports {first} and following do not suffice for {count} authorities: begin lower")]
    Ports {
        /// The first.
        first: u16,
        /// How many are needed.
        count: u16,
    },
    /// A port is taken.
    #[error(transparent)]
    InUse(#[from] NetworkError),
    /// No free port.
    #[error("no free port on {host}: {source}")]
    NoPort {
        /// Where.
        host: IpAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// The folder of an authority.
pub fn authority_folder(network: &Path, name: &str) -> PathBuf {
    network.join("authorities").join(name)
}

/// The key file of a member.
pub fn member_key(network: &Path, name: &str) -> PathBuf {
    network.join("members").join(format!("{name}.key"))
}

impl Setup {
    /// Makes the network in a folder. `genesis.json` is written last: where it exists, all else does.
    ///
    /// # Errors
    /// [`SetupError`]; a folder that holds a network already is refused before anything is written.
    pub fn create(&self, folder: &Path) -> Result<Genesis, SetupError> {
        let genesis_file = folder.join(GENESIS_FILE);
        if genesis_file.exists() {
            return Err(FileError::Exists(genesis_file).into());
        }
        let mut names = self.organisations.iter().chain(&self.publishers).chain(&self.auditors);
        if let Some(name) = names.find(|name| name.starts_with('.') || name.contains(['/', '\\'])) {
            return Err(SetupError::Name(name.clone()));
        }
        let ports = self.ports()?;
        let mut keys: Vec<(PathBuf, Keypair)> = Vec::new();
        let genesis = self.genesis(folder, &mut keys)?;
        genesis.validate()?;
        let committee = committee(&genesis)?;
        // An organisation and a publisher of one name would share a file.
        let mut paths = BTreeSet::new();
        if let Some((path, _)) = keys.iter().find(|(path, _)| path.exists() || !paths.insert(path))
        {
            return Err(FileError::Exists(path.clone()).into());
        }
        for (path, key) in &keys {
            files::write_key(path, key)?;
        }
        let mut addresses = BTreeMap::new();
        for (authority, port) in genesis.authorities.iter().zip(ports) {
            let listen = self.listen(port);
            let config = NodeConfig {
                name: authority.name.clone(),
                network: "../..".into(),
                key: "key".into(),
                data: DATA.into(),
                listen: listen.clone(),
                pace: self.pace,
                upkeep: upkeep_file(),
                energy: None,
            };
            let path = authority_folder(folder, &authority.name).join(CONFIG_FILE);
            files::write(&path, config_text(&config).as_bytes(), false)?;
            addresses.insert(authority.name.clone(), listen);
            // A directory that a node does not find was lost: only this one was never signed by.
            let data = authority_folder(folder, &authority.name).join(DATA);
            DiskStorage::found(&data, committee.config(), PublicKey(*authority.key.as_bytes()))?;
        }
        files::write(&folder.join(ADDRESSES_FILE), json(&addresses).as_bytes(), false)?;
        files::write(&genesis_file, json(&genesis).as_bytes(), false)?;
        Ok(genesis)
    }

    /// Checks that the authorities can listen here now, if all are to run on this machine.
    ///
    /// # Errors
    /// [`SetupError::InUse`] names the address, [`SetupError::Ports`] that there are too few.
    pub fn check_ports(&self) -> Result<(), SetupError> {
        for port in self.ports()? {
            let addresses = self.listen(port);
            // They were made a moment ago: none is refused.
            let addresses: Vec<Multiaddr> =
                addresses.iter().filter_map(|address| address.parse().ok()).collect();
            check_free(&addresses)?;
        }
        Ok(())
    }

    fn genesis(
        &self,
        folder: &Path,
        keys: &mut Vec<(PathBuf, Keypair)>,
    ) -> Result<Genesis, FileError> {
        let mut authorities = Vec::new();
        for index in 0..self.authorities {
            let name = format!("authority-{index}");
            let key = files::new_key()?;
            let public = key.public();
            keys.push((authority_folder(folder, &name).join("key"), key));
            authorities.push(GenesisAuthority { name, key: public });
        }
        let mut members = |names: &[String]| -> Result<Vec<GenesisMember>, FileError> {
            let mut members = Vec::new();
            for name in names {
                let key = files::new_key()?;
                let public = key.public();
                keys.push((member_key(folder, name), key));
                let name = name.clone();
                members.push(GenesisMember { name, owner_key: public, signing_key: public });
            }
            Ok(members)
        };
        let organisations = members(&self.organisations)?;
        let publishers = members(&self.publishers)?;
        let auditors = members(&self.auditors)?;
        let threshold =
            |climate: u64| Impact { dimension: Dimension::Climate, value: i128::from(climate) };
        let materiality = self.material_climate.map(threshold).into_iter().collect();
        let issuer = self.organisations.first().cloned().unwrap_or_default();
        Ok(Genesis {
            version: GENESIS_VERSION,
            name: self.name.clone(),
            created_at: now(),
            authorities,
            organisations,
            publishers,
            auditors,
            currencies: vec![GenesisCurrency { code: self.currency.clone(), issuer }],
            accounting: Accounting {
                materiality,
                limits: Vec::new(),
                upkeep: UpkeepRules {
                    period: self.accounting_period,
                    operators: self.organisations.clone(),
                },
            },
        })
    }

    fn listen(&self, port: u16) -> Vec<String> {
        let family = if self.host.is_ipv4() { "ip4" } else { "ip6" };
        let host = self.host;
        vec![format!("/{family}/{host}/tcp/{port}"), format!("/{family}/{host}/udp/{port}/quic-v1")]
    }

    fn ports(&self) -> Result<Vec<u16>, SetupError> {
        let count = self.authorities;
        match self.port {
            Some(first) => match first.checked_add(count) {
                Some(end) => Ok((first..end).collect()),
                None => Err(SetupError::Ports { first, count }),
            },
            None => free_ports(self.host, count)
                .map_err(|source| SetupError::NoPort { host: self.host, source }),
        }
    }
}

/// Ports that are free for TCP and UDP at this moment. All are held until the last is found, so
/// that none is found twice.
fn free_ports(host: IpAddr, count: u16) -> Result<Vec<u16>, std::io::Error> {
    const ATTEMPTS: usize = 1_000;
    let mut held = Vec::new();
    for _ in 0..ATTEMPTS {
        if held.len() == usize::from(count) {
            break;
        }
        let tcp = TcpListener::bind(SocketAddr::new(host, 0))?;
        let port = tcp.local_addr()?.port();
        if let Ok(udp) = UdpSocket::bind(SocketAddr::new(host, port)) {
            held.push((port, tcp, udp));
        }
    }
    Ok(held.into_iter().map(|(port, _, _)| port).collect())
}

fn config_text(config: &NodeConfig) -> String {
    let body = toml::to_string(config).unwrap_or_default();
    format!(
        "# An authority of a Kerbholz network. Start it with: kerbholz node --dir THIS_FOLDER\n\n{body}"
    )
}

fn json<T: serde::Serialize>(value: &T) -> String {
    // Structures of strings and numbers cannot fail to serialise.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Storage as _;
    use kerbholz_client::network::Network;

    fn setup(port: Option<u16>) -> Setup {
        Setup {
            name: "test".into(),
            authorities: 4,
            host: [127, 0, 0, 1].into(),
            port,
            pace: Pace::Lan,
            organisations: vec!["maker".into(), "buyer".into()],
            publishers: vec!["factors".into()],
            auditors: vec![],
            material_climate: None,
            currency: "EUR".into(),
            accounting_period: DAY,
        }
    }

    #[test]
    fn a_new_network_can_be_opened() {
        let folder = tempfile::tempdir().unwrap();
        let genesis = setup(None).create(folder.path()).unwrap();
        let network = Network::open(folder.path()).unwrap();
        assert_eq!(network.genesis(), &genesis);
        assert_eq!(committee(&genesis).unwrap().size(), 4);
        for authority in &genesis.authorities {
            let folder = authority_folder(folder.path(), &authority.name);
            let config = NodeConfig::read(&folder).unwrap();
            assert_eq!(files::read_key(&config.key).unwrap().public(), authority.key);
            assert_eq!(config.name, authority.name);
            assert_eq!(network.addresses(&authority.name).len(), 2);
            let key = PublicKey(*authority.key.as_bytes());
            let committee = committee(&genesis).unwrap();
            let mut disk = DiskStorage::open(&config.data, committee.config(), key).unwrap();
            assert!(!disk.recover().lost_log, "it may sign at once");
        }
        let key = files::read_key(&member_key(folder.path(), "buyer")).unwrap();
        assert_eq!(key.public(), genesis.organisations[1].owner_key);
    }

    #[test]
    fn a_network_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        setup(None).create(folder.path()).unwrap();
        let error = setup(None).create(folder.path()).unwrap_err();
        assert!(matches!(error, SetupError::File(FileError::Exists(_))));
    }

    #[test]
    fn what_makes_no_genesis_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let twice = Setup { organisations: vec!["a".into(), "a".into()], ..setup(None) };
        assert!(matches!(twice.create(folder.path()), Err(SetupError::Genesis(_))));
        for name in ["../x", "a/b", ".hidden", "a\\b"] {
            let outside = Setup { publishers: vec![name.into()], ..setup(None) };
            assert!(matches!(outside.create(folder.path()), Err(SetupError::Name(_))), "{name}");
        }
        let ports = setup(Some(u16::MAX - 1));
        assert!(matches!(ports.create(folder.path()), Err(SetupError::Ports { .. })));
        let both = Setup { publishers: vec!["buyer".into()], ..setup(None) };
        let error = both.create(folder.path()).unwrap_err();
        assert!(matches!(error, SetupError::File(FileError::Exists(_))), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
