//! What the network is told at the start, checked once.

use std::collections::BTreeMap;
use std::time::Duration;

use kerbholz_client::transport::TransportError;
use kerbholz_client::transport::redial::RedialDelays;
use kerbholz_client::wire::{Authority, IdentityError, PeerKey, Protocol};
use libp2p::Multiaddr;

/// Configuration of [`super::Network::start`].
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// The ed25519 seed of the authority: its key is its identity on the network.
    pub seed: [u8; 32],
    /// The network's id; peers of another network share no protocol with us.
    pub network: [u8; 32],
    /// Where to listen, e.g. `/ip4/0.0.0.0/tcp/7001` and `/ip4/0.0.0.0/udp/7001/quic-v1`.
    /// Port 0 takes a free one, see [`super::NetworkHandle::addresses`].
    pub listen: Vec<Multiaddr>,
    /// The committee; the own entry is recognised and skipped. Later see
    /// [`super::NetworkHandle::set_authorities`].
    pub authorities: Vec<Authority>,
    /// Who was an authority once: they are not connected to, but may ask for blocks and be told
    /// where we are, so that they learn what became of them.
    pub former: Vec<PeerKey>,
    /// What we tell each authority when it opens its block stream to us: what we have of its
    /// blocks. Given here so that the first stream after a restart resumes, too; later see
    /// [`super::NetworkHandle::set_resume`]. An authority that is not listed gets an empty hello.
    pub resume: BTreeMap<PeerKey, Vec<u8>>,
    /// What bounds everything.
    pub limits: NetworkLimits,
    /// How quickly lost authorities are dialled again.
    pub delays: RedialDelays,
}

impl NetworkConfig {
    /// A configuration with the default limits and delays.
    #[must_use]
    pub fn new(
        seed: [u8; 32],
        network: [u8; 32],
        listen: Vec<Multiaddr>,
        authorities: Vec<Authority>,
    ) -> Self {
        Self {
            seed,
            network,
            listen,
            authorities,
            former: Vec::new(),
            resume: BTreeMap::new(),
            limits: NetworkLimits::default(),
            delays: RedialDelays::default(),
        }
    }
}

/// Every bound of the network. The limits of single messages belong to the protocol, see
/// [`Protocol::request_max`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkLimits {
    /// Events that wait for the driver; when they are full, nothing more is read from peers.
    pub events_max: usize,
    /// Frames of one authority among them: whatever it sends, the others' frames wait for a few of
    /// its at most, and take up no more memory.
    pub frames_waiting_max: usize,
    /// Connections of peers that are not authorities.
    pub connections_max: u32,
    /// Inbound connections that have not proved their identity yet.
    pub connections_pending_max: u32,
    /// Connections per peer that is not an authority; a further one closes the oldest, which may
    /// be left over from before a power cut. (An authority has one, the newest.)
    pub connections_per_peer_max: usize,
    /// Frames queued for one authority.
    pub queue_frames_max: usize,
    /// Bytes queued for one authority; one frame of the largest size must fit.
    pub queue_bytes_max: usize,
    /// Fetches of one authority served at once. Half as many are sent to one authority at once, for
    /// the answerer's place is free only a moment after its answer has arrived.
    pub fetches_per_peer_max: usize,
    /// API requests of one peer served at once.
    pub requests_per_peer_max: usize,
    /// API requests one peer may make per second, in the long run.
    pub requests_per_second: u32,
    /// API requests one peer may make in a burst.
    pub requests_burst: u32,
    /// API requests of all peers served at once.
    pub requests_in_flight_max: usize,
    /// Bytes of all API requests and fetches served at once.
    pub request_bytes_in_flight_max: usize,
    /// Bytes of all API answers being sent at once; beyond, the asker is told to come later.
    pub answer_bytes_in_flight_max: usize,
    /// Subscriptions of one peer.
    pub subscriptions_per_peer_max: usize,
    /// Subscriptions of all peers.
    pub subscriptions_max: usize,
    /// Events queued for one subscriber.
    pub subscriber_events_max: usize,
    /// Bytes queued for one subscriber.
    pub subscriber_bytes_max: usize,
    /// Faults (forbidden streams, oversize frames) after which a peer that is not an authority is
    /// disconnected.
    pub faults_max: u64,
    /// Time for reading one request or writing one answer, hello, frame or event.
    pub io_timeout: Duration,
    /// Time for the driver to answer a request.
    pub answer_timeout: Duration,
    /// Time for one own fetch, from the call to the whole answer.
    pub fetch_timeout: Duration,
    /// Silence after which a sign of life is sent on a long-lived stream.
    pub heartbeat: Duration,
    /// Silence after which an authority counts as gone.
    pub silence_max: Duration,
    /// Idle time after which the connection of a peer that is not an authority is closed.
    pub idle_timeout: Duration,
    /// Time for queued frames to leave at a shutdown.
    pub shutdown_timeout: Duration,
}

impl Default for NetworkLimits {
    fn default() -> Self {
        Self {
            events_max: 64,
            frames_waiting_max: 4,
            connections_max: 512,
            connections_pending_max: 64,
            connections_per_peer_max: 4,
            queue_frames_max: 4096,
            queue_bytes_max: 8 << 20,
            fetches_per_peer_max: 8,
            requests_per_peer_max: 64,
            requests_per_second: 200,
            requests_burst: 400,
            requests_in_flight_max: 1024,
            request_bytes_in_flight_max: 16 << 20,
            answer_bytes_in_flight_max: 32 << 20,
            subscriptions_per_peer_max: 4,
            subscriptions_max: 512,
            subscriber_events_max: 1024,
            subscriber_bytes_max: 2 << 20,
            faults_max: 8,
            io_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(10),
            fetch_timeout: Duration::from_secs(5),
            heartbeat: Duration::from_secs(3),
            silence_max: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(600),
            shutdown_timeout: Duration::from_secs(2),
        }
    }
}

impl NetworkLimits {
    /// Checks every relation between the limits.
    pub(super) fn check(&self) -> Result<(), NetworkError> {
        let at_least = [
            ("events_max", self.events_max, 1),
            ("frames_waiting_max", self.frames_waiting_max, 1),
            ("queue_frames_max", self.queue_frames_max, 1),
            ("queue_bytes_max", self.queue_bytes_max, Protocol::Blocks.request_max()),
            ("fetches_per_peer_max", self.fetches_per_peer_max, 1),
            ("requests_per_second", self.requests_per_second as usize, 1),
            ("requests_burst", self.requests_burst as usize, 1),
            (
                "request_bytes_in_flight_max",
                self.request_bytes_in_flight_max,
                Protocol::Api.request_max(),
            ),
            (
                "answer_bytes_in_flight_max",
                self.answer_bytes_in_flight_max,
                Protocol::Api.answer_max(),
            ),
            ("connections_per_peer_max", self.connections_per_peer_max, 1),
            ("subscriber_events_max", self.subscriber_events_max, 1),
            ("subscriber_bytes_max", self.subscriber_bytes_max, Protocol::Events.answer_max()),
            ("silence_max (ms)", millis(self.silence_max), 1 + millis(self.heartbeat)),
        ];
        for (name, value, least) in at_least {
            if value < least {
                return Err(NetworkError::Limit { name, value, least });
            }
        }
        let counted = [
            ("request_bytes_in_flight_max", self.request_bytes_in_flight_max),
            ("answer_bytes_in_flight_max", self.answer_bytes_in_flight_max),
        ];
        match counted.into_iter().find(|(_, value)| *value > u32::MAX as usize) {
            Some((name, value)) => Err(NetworkError::LimitTooLarge { name, value }),
            None => Ok(()),
        }
    }
}

fn millis(duration: Duration) -> usize {
    usize::try_from(duration.as_millis()).unwrap_or(usize::MAX)
}

/// Why the network could not start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// Another process (or another address of this node) uses the port.
    #[error("{address} is in use; stop the other process or choose another port")]
    PortInUse {
        /// The address as configured.
        address: Multiaddr,
    },
    /// The address is none that can be listened on here.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address as configured.
        address: Multiaddr,
        /// What the system says.
        reason: String,
    },
    /// An authority's key is not a key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// An authority is listed twice.
    #[error("the authority {0} is listed twice")]
    DuplicateAuthority(PeerKey),
    /// The resume bytes for an authority do not fit a hello.
    #[error("the resume position for {peer} has {bytes} bytes; at most {bytes_max} fit a hello")]
    Resume {
        /// For whom.
        peer: PeerKey,
        /// How many there are.
        bytes: usize,
        /// How many are possible.
        bytes_max: usize,
    },
    /// A limit is too small to work with.
    #[error("the network limit {name} is {value}; it must be at least {least}")]
    Limit {
        /// Which limit.
        name: &'static str,
        /// Its value.
        value: usize,
        /// The smallest value that works.
        least: usize,
    },
    /// A limit is larger than can be counted.
    #[error("the network limit {name} is {value}; it must be below 4 GiB")]
    LimitTooLarge {
        /// Which limit.
        name: &'static str,
        /// Its value.
        value: usize,
    },
    /// The encryption could not be set up.
    #[error(transparent)]
    Transport(#[from] TransportError),
}
