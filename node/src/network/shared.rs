//! What the tasks of one network share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kerbholz_client::transport::streams::{OpenError, OpenReply};
use kerbholz_client::wire::{PeerKey, Protocol};
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId, Stream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::config::NetworkLimits;
use super::events::Signal;
use super::queue::QueueSender;
use super::setup::Peers;
use super::stats::{Counters, NetworkStats, PeerCounterMap, PeerCounters, PeerStats};

pub(super) struct Shared {
    pub(super) limits: NetworkLimits,
    pub(super) counters: Counters,
    pub(super) peers: Mutex<PeerCounterMap>,
    pub(super) departed: Mutex<PeerStats>,
    /// The addresses listened on, as the system reports them.
    pub(super) addresses: Mutex<Vec<Multiaddr>>,
    /// Hello bytes for each authority's block stream.
    pub(super) resume: Mutex<BTreeMap<PeerKey, Vec<u8>>>,
    /// How to reach each authority with a request.
    pub(super) contacts: Mutex<BTreeMap<PeerKey, Arc<Contact>>>,
    /// The open queues to authorities, as far as the driver has been told of them.
    pub(super) routes: Mutex<BTreeMap<PeerKey, QueueSender>>,
    pub(super) commands: mpsc::Sender<Command>,
    /// Places for API requests, of all peers together.
    pub(super) requests: Arc<Semaphore>,
    /// Bytes of requests, of all peers together.
    pub(super) request_bytes: Arc<Semaphore>,
    /// Bytes of API answers, of all peers together.
    pub(super) answer_bytes: Arc<Semaphore>,
    /// Places for subscriptions, of all peers together.
    pub(super) subscriptions: Arc<Semaphore>,
    /// Turns true when the network begins to stop.
    pub(super) stopping: watch::Sender<bool>,
    /// Turns true when nothing of the network runs any more and its ports are free.
    pub(super) stopped: watch::Sender<bool>,
}

/// What every task of the network carries.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) shared: Arc<Shared>,
    /// Not in [`Shared`], which outlives the tasks: the driver sees the end of the events when the
    /// last task is gone.
    pub(super) events: mpsc::Sender<Signal>,
}

/// How to reach one authority with a request.
pub(super) struct Contact {
    pub(super) peer: PeerId,
    pub(super) connection: watch::Receiver<Option<ConnectionId>>,
    pub(super) counters: Arc<PeerCounters>,
    pub(super) fetches: Semaphore,
}

/// What other tasks ask of the hub.
pub(super) enum Command {
    Authorities { peers: Peers, done: oneshot::Sender<()> },
    Open { peer: PeerId, connection: ConnectionId, protocol: Protocol, reply: OpenReply },
    Shutdown,
}

/// No invariant spans more than one entry of the maps, so a panic elsewhere leaves them usable.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(limits: NetworkLimits, commands: mpsc::Sender<Command>) -> Self {
        Self {
            limits,
            counters: Counters::default(),
            peers: Mutex::default(),
            departed: Mutex::default(),
            addresses: Mutex::default(),
            resume: Mutex::default(),
            contacts: Mutex::default(),
            routes: Mutex::default(),
            commands,
            requests: Arc::new(Semaphore::new(limits.requests_in_flight_max)),
            request_bytes: Arc::new(Semaphore::new(limits.request_bytes_in_flight_max)),
            answer_bytes: Arc::new(Semaphore::new(limits.answer_bytes_in_flight_max)),
            subscriptions: Arc::new(Semaphore::new(limits.subscriptions_max)),
            stopping: watch::Sender::new(false),
            stopped: watch::Sender::new(false),
        }
    }

    pub(super) async fn open(
        &self,
        peer: PeerId,
        connection: ConnectionId,
        protocol: Protocol,
    ) -> Result<Stream, OpenError> {
        let (reply, opened) = oneshot::channel();
        let command = Command::Open { peer, connection, protocol, reply };
        self.commands.send(command).await.map_err(|_| OpenError::Gone)?;
        opened.await.map_err(|_| OpenError::Gone)?
    }

    pub(super) fn stats(&self) -> NetworkStats {
        let peers = lock(&self.peers).iter().map(|(key, peer)| (*key, peer.snapshot())).collect();
        let counters = &self.counters;
        NetworkStats {
            connections: counters.connections.get(),
            authorities_connected: BTreeSet::new(),
            connections_refused: counters.connections_refused.get(),
            streams_refused: counters.streams_refused.get(),
            requests_refused: counters.requests_refused.get(),
            queues_overflowed: counters.queues_overflowed.get(),
            subscribers_dropped: counters.subscribers_dropped.get(),
            peers,
            departed: *lock(&self.departed),
        }
    }
}
