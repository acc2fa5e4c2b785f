//! An authority's node, put together: storage, executor, consensus, network, service for clients.

use crate::api::Service;
use crate::config::NodeConfig;
use crate::driver::{Directory, Driver, DriverError, Faults, Inputs, Peers, Standing};
use crate::executor::{SharedStorage, lock};
use crate::files::{self, FileError};
use crate::network::{
    Multiaddr, Network as Libp2p, NetworkConfig, NetworkError, NetworkEvents, NetworkHandle,
    check_free,
};
use crate::replica::{OpenError, Opened, Replica, Start};
use crate::storage::{self, DiskStorage, SignAfter, Storage, StorageError};
use crate::upkeep;
use kerbholz_client::ledger::keys::Keypair;
use kerbholz_client::network::{Network, NetworkFileError, committee};
use kerbholz_client::session::now;
use kerbholz_consensus::{CommitteeError, Instant, Now, Round, Signer, Timestamp};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc as sync_mpsc};
use tokio::sync::{mpsc, watch};

/// Commits that may wait for the executor before consensus waits for it.
const JOBS_MAX: usize = 1_024;
/// Submissions and requests that may wait for the driver and the service.
const WAITING_MAX: usize = 256;
/// Requests of clients that are served at once: most of them only wait for finality.
const REQUESTS_MAX: usize = 2_048;

/// Why a node did not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A file of the configuration.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file of the network.
    #[error(transparent)]
    NetworkFile(#[from] NetworkFileError),
    /// The genesis makes no committee.
    #[error("the genesis makes no committee: {0}")]
    Committee(#[from] CommitteeError),
    /// The configuration names another authority than the key is.
    #[error("the key in {path} is not that of {name:?} in the genesis: is it another's folder?")]
    NotMyKey {
        /// The key file.
        path: PathBuf,
        /// The name in the configuration.
        name: String,
    },
    /// An address to listen on is none.
    #[error("cannot listen on {address:?}: {reason}")]
    Address {
        /// The address.
        address: String,
        /// Why not.
        reason: String,
    },
    /// The data directory.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// What the data directory holds is nothing to start from.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// An operator speaks of a loss that there was not.
    #[error(
        "nothing was lost: the log in {path} is whole, and reaches to round {round} of epoch {epoch}. \
         Start the node; it needs nobody's word"
    )]
    NothingLost {
        /// The data directory.
        path: PathBuf,
        /// Its newest epoch.
        epoch: u64,
        /// The newest own round in it.
        round: u64,
    },
    /// The network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The event loop.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// Runs an authority until `stop` becomes true. Calls `ready` once it listens, with its addresses.
///
/// # Errors
/// [`NodeError`]: why it did not start, or could not go on. What was acknowledged is on disk.
pub async fn run(
    config: NodeConfig,
    stop: watch::Receiver<bool>,
    ready: impl FnOnce(&[Multiaddr]),
) -> Result<(), NodeError> {
    let (network, key) = identity(&config)?;
    let start = tokio::time::Instant::now();
    let addresses = free_addresses(&config)?;
    let signer = Signer::from_seed(&key.seed());
    let mut directory = Directory::new(network.all_addresses().clone(), signer.public_key());
    let (storage, opened) = tokio::task::block_in_place(|| open(&config, &network, signer))?;
    let Opened { replica, executor, first } = opened;
    let rows = lock(&storage).rows();
    let peers = directory.peers(&*rows, replica.committee()).map_err(DriverError::from)?;
    let (handle, events) = listen(addresses, &network, key.seed(), peers, &replica).await?;
    ready(&handle.addresses());

    let (jobs, job_queue) = sync_mpsc::sync_channel(JOBS_MAX);
    let (clients, requests) = mpsc::channel(WAITING_MAX);
    let (submissions, submitted) = mpsc::channel(WAITING_MAX);
    let (standing, standing_seen) = watch::channel(Standing::default());
    let (done_sender, done) = mpsc::unbounded_channel();
    let service = Service {
        name: config.name.clone(),
        network_id: network.id(),
        rows: rows.clone(),
        storage: Arc::clone(&storage),
        progress: executor.progress(),
        standing: standing_seen,
        submissions,
        network: handle.clone(),
    };
    let worker = std::thread::Builder::new()
        .name("executor".into())
        .spawn(move || executor.run(&job_queue, &done_sender))
        .map_err(NodeError::Thread)?;
    let serving = tokio::spawn(service.run(requests));
    let _keeping = upkeep::start(network.genesis(), &config);
    let driver = Driver {
        replica,
        storage,
        rows,
        network: handle.clone(),
        directory,
        jobs,
        clients,
        standing,
        start,
        timers: BTreeMap::new(),
        faults: Faults::default(),
        behind: BTreeMap::new(),
        forgotten: Round::GENESIS,
        stopped: false,
    };
    let driven =
        driver.run(Inputs { network: events, submissions: submitted, done, stop }, first).await;
    serving.abort();
    handle.shutdown().await;
    // The jobs have ended with the driver: the executor finishes what it has and makes it durable.
    match tokio::task::block_in_place(|| worker.join()) {
        // The executor's error is the cause of the driver's, if it has one.
        Ok(worked) => worked.map_err(DriverError::from)?,
        Err(_) => return Err(DriverError::Gone("executor").into()),
    }
    Ok(driven?)
}

/// The storage of the data directory, and the replica that starts from it.
fn open(
    config: &NodeConfig,
    network: &Network,
    signer: Signer,
) -> Result<(SharedStorage, Opened), NodeError> {
    let first = committee(network.genesis())?;
    let disk = DiskStorage::open(&config.data, first.config(), signer.public_key())?;
    let storage: SharedStorage = Arc::new(Mutex::new(Box::new(disk)));
    let start = Start { genesis: network.genesis(), signer, parameters: config.pace.parameters() };
    let begin = Now { monotonic: Instant(0), wall: Timestamp(now().get()) };
    let opened = Opened::open(begin, &storage, start)?;
    Ok((storage, opened))
}

/// Takes an operator's word above what the authority has certainly signed nothing: the data
/// directory is marked as one that has lost its log, and the word is believed of this loss only
/// (§8.5). The node must not run.
///
/// # Errors
/// [`NodeError`]; nothing has changed then. [`NodeError::NothingLost`] if the log is not known to
/// be lost and reaches farther.
pub fn sign_after(config: &NodeConfig, word: SignAfter) -> Result<(), NodeError> {
    let (network, key) = identity(config)?;
    let first = committee(network.genesis())?;
    let signer = Signer::from_seed(&key.seed());
    let mut disk = DiskStorage::open(&config.data, first.config(), signer.public_key())?;
    let found = disk.recover();
    let epoch = found.epochs.last().map_or(0, storage::Epoch::number);
    let round = found.own_last.map_or(Round::GENESIS, |own| own.reference.round);
    if !found.lost_log && word.of(epoch).is_some_and(|word| word <= round) {
        let path = config.data.clone();
        return Err(NodeError::NothingLost { path, epoch, round: round.0 });
    }
    Ok(disk.log_lost_after(word)?)
}

/// The network and the authority's key. A name of the genesis with another key is the folder of one
/// authority with the key of another; who is not in the genesis may be voted in.
fn identity(config: &NodeConfig) -> Result<(Network, Keypair), NodeError> {
    let network = Network::open(&config.network)?;
    let key = files::read_key(&config.key)?;
    let public = key.public();
    let mut authorities = network.genesis().authorities.iter();
    match authorities.find(|authority| authority.name == config.name) {
        Some(authority) if authority.key != public => {
            Err(NodeError::NotMyKey { path: config.key.clone(), name: config.name.clone() })
        }
        _ => Ok((network, key)),
    }
}

/// Where to listen: nobody else does. Found out before anything is written.
fn free_addresses(config: &NodeConfig) -> Result<Vec<Multiaddr>, NodeError> {
    let mut addresses = Vec::new();
    for address in &config.listen {
        let parsed: Result<Multiaddr, _> = address.parse();
        addresses.push(parsed.map_err(|error| NodeError::Address {
            address: address.clone(),
            reason: error.to_string(),
        })?);
    }
    check_free(&addresses)?;
    Ok(addresses)
}

async fn listen(
    listen: Vec<Multiaddr>,
    network: &Network,
    seed: [u8; 32],
    peers: Peers,
    replica: &Replica,
) -> Result<(NetworkHandle, NetworkEvents), NodeError> {
    let resume = peers.hellos(replica);
    let Peers { authorities, former } = peers;
    let mut settings = NetworkConfig {
        former,
        resume,
        ..NetworkConfig::new(seed, *network.id().as_bytes(), listen, authorities)
    };
    settings.limits.requests_in_flight_max = REQUESTS_MAX;
    Ok(Libp2p::start(settings).await?)
}
