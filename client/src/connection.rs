//! A connection to a network: requests and subscriptions, whichever authority happens to be up.
//!
//! A [`Connection`] keeps connections to all configured authorities and dials lost ones again. A
//! request goes to one of them, and to the next when that one fails; what is sent must therefore be
//! safe to send twice (a transaction is: the ledger executes it once and answers with the first
//! result). Nothing waits without a deadline, and an error says what happened at each authority.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use kerbholz_client::connection::{Connection, ConnectionConfig};
//! # let (seed, network, authorities) = ([0; 32], [0; 32], Vec::new());
//! let connection = Connection::open(ConnectionConfig::new(seed, network, authorities))?;
//! let answer = connection.request(b"a request".to_vec()).await?;
//! let mut events = connection.subscribe(|last| last.unwrap_or_default().to_vec());
//! let event = events.next().await?;
//! # Ok(()) }
//! ```
//!
//! Bytes only: [`crate::wire`] has the protocols. Never open one with the seed of an authority
//! whose node runs: it would take the place of that node's connections.

mod error;
mod subscription;
mod task;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libp2p::swarm::ConnectionId;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

pub use self::error::{Attempts, ConnectionError, Failure};
pub use self::subscription::{Event, Subscription};
use self::task::{Command, LinkState, Task};
use crate::transport::redial::RedialDelays;
use crate::transport::streams::OpenError;
use crate::wire::exchange;
use crate::wire::{Authority, PeerKey, Protocol};

/// Configuration of [`Connection::open`].
#[derive(Clone, Debug)]
pub struct ConnectionConfig {
    /// The ed25519 seed of the member: its key is its identity on the network.
    pub seed: [u8; 32],
    /// The network's id; authorities of another network share no protocol with us.
    pub network: [u8; 32],
    /// The authorities to use; their position is their index in this API.
    pub authorities: Vec<Authority>,
    /// How long everything may take.
    pub timeouts: Timeouts,
    /// How quickly lost authorities are dialled again.
    pub delays: RedialDelays,
}

impl ConnectionConfig {
    /// A configuration with the default timeouts and delays.
    #[must_use]
    pub fn new(seed: [u8; 32], network: [u8; 32], authorities: Vec<Authority>) -> Self {
        let (timeouts, delays) = (Timeouts::default(), RedialDelays::default());
        Self { seed, network, authorities, timeouts, delays }
    }
}

/// How long everything may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// One attempt at one authority, from opening the stream to the whole answer. Longer than the
    /// 10 s that a node gives itself, so that its "unavailable" arrives.
    pub attempt: Duration,
    /// A request over all its attempts; also how long a subscription may be without an authority
    /// before it says so.
    pub overall: Duration,
    /// How long a transaction is tried to be made final, or a receipt to be had, by as many requests
    /// as it takes.
    pub finality: Duration,
    /// Silence after which a subscribed authority counts as gone. Nodes give a sign of life every
    /// few seconds.
    pub silence: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(12),
            overall: Duration::from_secs(30),
            finality: Duration::from_secs(60),
            silence: Duration::from_secs(15),
        }
    }
}

/// An answer and who gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The index of the authority in the configuration.
    pub authority: usize,
    /// What it answered.
    pub bytes: Vec<u8>,
}

/// A connection to a network. Clones share it; it ends when the last clone and the last
/// [`Subscription`] are dropped.
#[derive(Clone)]
pub struct Connection {
    inner: Arc<Inner>,
}

struct Inner {
    authorities: Vec<PeerKey>,
    timeouts: Timeouts,
    delays: RedialDelays,
    commands: mpsc::Sender<Command>,
    links: watch::Receiver<Vec<LinkState>>,
    /// The authority that answered last; it is asked first.
    favourite: AtomicUsize,
}

impl Connection {
    /// Starts to connect to all authorities and returns at once. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// A configuration that cannot work: no authority, one listed twice, a key that is none, an
    /// authority without an address.
    pub fn open(config: ConnectionConfig) -> Result<Self, ConnectionError> {
        let ConnectionConfig { seed, network, authorities, timeouts, delays } = config;
        if authorities.is_empty() {
            return Err(ConnectionError::NoAuthorities);
        }
        let mut seen = BTreeSet::new();
        for authority in &authorities {
            if !seen.insert(authority.key) {
                return Err(ConnectionError::DuplicateAuthority(authority.key));
            }
            if authority.addresses.is_empty() {
                return Err(ConnectionError::NoAddress(authority.key));
            }
        }
        let keys = authorities.iter().map(|authority| authority.key).collect();
        let (task, (commands, links)) = Task::new(&seed, &network, authorities, delays)?;
        tokio::spawn(task.run());
        let favourite = AtomicUsize::new(0);
        let inner = Inner { authorities: keys, timeouts, delays, commands, links, favourite };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The keys of the authorities, by index.
    #[must_use]
    pub fn authorities(&self) -> &[PeerKey] {
        &self.inner.authorities
    }

    /// The indices of the authorities that are connected now.
    #[must_use]
    pub fn connected(&self) -> Vec<usize> {
        self.inner.connected(0).into_iter().map(|(authority, _)| authority).collect()
    }

    /// Waits until `count` authorities are connected.
    ///
    /// # Errors
    /// [`ConnectionError::NoAnswer`] after the overall timeout, with the reason for each authority
    /// that is not connected.
    pub async fn wait_connected(&self, count: usize) -> Result<(), ConnectionError> {
        let enough = |links: &Vec<LinkState>| {
            links.iter().filter(|link| link.connection.is_some()).count() >= count
        };
        let mut links = self.inner.links.clone();
        let overall = self.inner.timeouts.overall;
        match timeout(overall, links.wait_for(enough)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(ConnectionError::Closed),
            Err(_) => Err(self.inner.no_answer(overall, BTreeMap::new(), None)),
        }
    }

    /// Asks the authority that answered last, and the others when it fails.
    ///
    /// # Errors
    /// [`ConnectionError::TooLarge`] at once, [`ConnectionError::NoAnswer`] after the overall
    /// timeout. The request may have been acted upon even then.
    pub async fn request(&self, request: Vec<u8>) -> Result<Answer, ConnectionError> {
        let favourite = self.inner.favourite.load(Ordering::Relaxed);
        self.request_preferring(favourite, request).await
    }

    /// Asks `authority` first, and the others when it fails.
    ///
    /// # Errors
    /// As [`Self::request`], and [`ConnectionError::UnknownAuthority`].
    pub async fn request_preferring(
        &self,
        authority: usize,
        request: Vec<u8>,
    ) -> Result<Answer, ConnectionError> {
        self.inner.check_index(authority)?;
        let answer = self.inner.request(authority, None, &request).await?;
        self.inner.favourite.store(answer.authority, Ordering::Relaxed);
        Ok(answer)
    }

    /// Asks `authority` and nobody else; repeats until it answers or the overall timeout passes.
    ///
    /// # Errors
    /// As [`Self::request`], and [`ConnectionError::UnknownAuthority`].
    pub async fn request_at(
        &self,
        authority: usize,
        request: Vec<u8>,
    ) -> Result<Answer, ConnectionError> {
        self.inner.check_index(authority)?;
        self.inner.request(authority, Some(authority), &request).await
    }

    /// Subscribes to events, and again at another authority whenever the subscription breaks.
    ///
    /// `position` turns the last event (none at the start) into the bytes that tell an authority
    /// where to continue. It is called once at the start and once per event, in order.
    #[must_use]
    pub fn subscribe(
        &self,
        position: impl FnMut(Option<&[u8]>) -> Vec<u8> + Send + 'static,
    ) -> Subscription {
        Subscription::start(self.clone(), Box::new(position))
    }
}

impl Inner {
    fn check_index(&self, authority: usize) -> Result<(), ConnectionError> {
        let count = self.authorities.len();
        if authority < count {
            Ok(())
        } else {
            Err(ConnectionError::UnknownAuthority { authority, count })
        }
    }

    /// The connected authorities, `first` and what follows it first.
    fn connected(&self, first: usize) -> Vec<(usize, ConnectionId)> {
        let links = self.links.borrow();
        let count = links.len();
        (0..count)
            .map(|offset| (first + offset) % count)
            .filter_map(|index| Some((index, links[index].connection?)))
            .collect()
    }

    /// Asks the connected authorities in turn (or `only` one) until one answers.
    async fn request(
        &self,
        first: usize,
        only: Option<usize>,
        request: &[u8],
    ) -> Result<Answer, ConnectionError> {
        let (bytes, bytes_max) = (request.len(), Protocol::Api.request_max());
        if bytes > bytes_max {
            return Err(ConnectionError::TooLarge { bytes, bytes_max });
        }
        let started = Instant::now();
        let mut failures = BTreeMap::new();
        let mut delays = self.delays.sequence();
        let mut links = self.links.clone();
        let attempts = async {
            loop {
                links.mark_unchanged();
                for (authority, connection) in self.connected(first) {
                    if only.is_some_and(|only| only != authority) {
                        continue;
                    }
                    match self.attempt(authority, connection, request).await {
                        Ok(bytes) => return Ok(Some(Answer { authority, bytes })),
                        Err(failure) => {
                            tracing::debug!(authority, %failure, "an authority did not answer");
                            failures.insert(authority, failure);
                        }
                    }
                }
                if failures.len() == self.authorities.len() && failures.values().all(is_final) {
                    return Ok(None);
                }
                // Everyone failed or nobody is there: a new connection or some time may help.
                let delay = delays.next().unwrap_or(self.delays.longest);
                if let Ok(Err(_)) = timeout(delay, links.changed()).await {
                    return Err(ConnectionError::Closed);
                }
            }
        };
        let answer = timeout(self.timeouts.overall, attempts).await.unwrap_or(Ok(None))?;
        answer.ok_or_else(|| self.no_answer(started.elapsed(), failures, only))
    }

    async fn attempt(
        &self,
        authority: usize,
        connection: ConnectionId,
        request: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let deadline = Instant::now() + self.timeouts.attempt;
        let mut stream = self.open(authority, connection, Protocol::Api).await?;
        let ask = exchange::ask(&mut stream, Protocol::Api, request);
        let answer = tokio::time::timeout_at(deadline, ask).await;
        Ok(answer.map_err(|_| Failure::Timeout)??)
    }

    /// Opens a stream. An authority that does not even negotiate is dialled anew: its connection
    /// may be dead without having been closed.
    async fn open(
        &self,
        authority: usize,
        connection: ConnectionId,
        protocol: Protocol,
    ) -> Result<libp2p::Stream, Failure> {
        let (reply, opened) = oneshot::channel();
        let command = Command::Open { authority, connection, protocol, reply };
        self.commands.send(command).await.map_err(|_| OpenError::Gone)?;
        match timeout(self.timeouts.attempt, opened).await {
            Ok(Ok(Ok(stream))) => Ok(stream),
            Ok(Ok(Err(OpenError::Timeout))) | Err(_) => {
                let _ = self.commands.send(Command::Close { connection }).await;
                Err(Failure::Timeout)
            }
            Ok(Ok(Err(error))) => Err(error.into()),
            Ok(Err(_)) => Err(OpenError::Gone.into()),
        }
    }

    /// The error for a passed deadline: for each authority what happened to the request there, or
    /// why it is not connected.
    fn no_answer(
        &self,
        waited: Duration,
        mut failures: BTreeMap<usize, Failure>,
        only: Option<usize>,
    ) -> ConnectionError {
        let links = self.links.borrow();
        let asked = (0..links.len()).filter(|index| only.is_none_or(|only| only == *index));
        let attempts = asked
            .map(|index| {
                let failure = failures.remove(&index).unwrap_or_else(|| match &links[index] {
                    LinkState { connection: Some(_), .. } => Failure::Timeout,
                    LinkState { problem, .. } => Failure::NotConnected(problem.clone()),
                });
                (self.authorities[index], failure)
            })
            .collect();
        ConnectionError::NoAnswer { waited, attempts: Attempts(attempts) }
    }
}

/// Whether asking the same authority again cannot help.
fn is_final(failure: &Failure) -> bool {
    matches!(failure, Failure::Open(OpenError::Unsupported(_)))
}
