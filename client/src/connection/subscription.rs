//! A subscription that outlives the authorities it is served by.

use std::collections::BTreeMap;

use libp2p::swarm::ConnectionId;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Connection, ConnectionError, Failure};
use crate::wire::Protocol;
use crate::wire::exchange::{self, ExchangeError};

/// Events that wait for the subscriber. Beyond, nothing is read, and the authority drops us in the
/// end; the subscription then continues from the last event that was handed over.
const EVENTS_MAX: usize = 16;

/// An event and who sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The index of the authority in the configuration.
    pub authority: usize,
    /// What it sent.
    pub bytes: Vec<u8>,
}

/// A stream of events. Dropping it ends the subscription.
pub struct Subscription {
    events: mpsc::Receiver<Result<Event, ConnectionError>>,
}

type Position = Box<dyn FnMut(Option<&[u8]>) -> Vec<u8> + Send>;

impl Subscription {
    pub(super) fn start(connection: Connection, position: Position) -> Self {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        tokio::spawn(async move {
            let mut follower = Follower::new(connection, position, sender.clone());
            tokio::select! {
                () = follower.run() => {}
                () = sender.closed() => {}
            }
        });
        Self { events }
    }

    /// Waits for the next event. May be dropped and called again without losing one.
    ///
    /// There is no deadline while an authority serves the subscription: it gives signs of life, and
    /// there may just be nothing to tell.
    ///
    /// # Errors
    /// [`ConnectionError::NoAnswer`] each time no authority served the subscription for the overall
    /// timeout. The subscription keeps trying: calling again is the right thing to do.
    pub async fn next(&mut self) -> Result<Event, ConnectionError> {
        self.events.recv().await.unwrap_or(Err(ConnectionError::Closed))
    }
}

/// Follows the events at one authority after the other.
struct Follower {
    connection: Connection,
    position: Position,
    sender: mpsc::Sender<Result<Event, ConnectionError>>,
    /// Where the next authority is asked to continue.
    resume: Vec<u8>,
    failures: BTreeMap<usize, Failure>,
    /// When the subscription was last known to be served.
    served: Instant,
}

impl Follower {
    fn new(
        connection: Connection,
        mut position: Position,
        sender: mpsc::Sender<Result<Event, ConnectionError>>,
    ) -> Self {
        let resume = position(None);
        let (failures, served) = (BTreeMap::new(), Instant::now());
        Self { connection, position, sender, resume, failures, served }
    }

    /// Ends when the subscriber or the connection's task is gone.
    async fn run(&mut self) {
        let inner = self.connection.inner.clone();
        let mut links = inner.links.clone();
        let mut delays = inner.delays.sequence();
        let mut first = inner.favourite.load(std::sync::atomic::Ordering::Relaxed);
        loop {
            links.mark_unchanged();
            for (authority, connection) in inner.connected(first) {
                let before = self.served;
                let failure = self.follow(authority, connection).await;
                tracing::debug!(authority, %failure, "the subscription ended");
                self.failures.insert(authority, failure);
                if self.served > before {
                    // It had worked: start a new round, with the next authority first.
                    delays = inner.delays.sequence();
                    first = (authority + 1) % inner.authorities.len();
                    break;
                }
            }
            let deadline = self.served + inner.timeouts.overall;
            if Instant::now() >= deadline {
                let error = inner.no_answer(
                    self.served.elapsed(),
                    std::mem::take(&mut self.failures),
                    None,
                );
                if self.sender.send(Err(error)).await.is_err() {
                    return;
                }
                self.served = Instant::now();
            }
            let pause = Instant::now() + delays.next().unwrap_or(inner.delays.longest);
            if let Ok(Err(_)) = timeout_at(pause, links.changed()).await {
                return;
            }
        }
    }

    /// Follows one authority until it fails.
    async fn follow(&mut self, authority: usize, connection: ConnectionId) -> Failure {
        match self.try_follow(authority, connection).await {
            Ok(never) => match never {},
            Err(failure) => failure,
        }
    }

    async fn try_follow(
        &mut self,
        authority: usize,
        connection: ConnectionId,
    ) -> Result<std::convert::Infallible, Failure> {
        let inner = self.connection.inner.clone();
        let timeouts = inner.timeouts;
        let mut stream = inner.open(authority, connection, Protocol::Events).await?;
        let request = exchange::send_request(&mut stream, Protocol::Events, &self.resume);
        let sent = timeout(timeouts.attempt, request).await.map_err(|_| Failure::Timeout)?;
        sent.map_err(ExchangeError::Send)?;
        loop {
            let event = exchange::read_answer(&mut stream, Protocol::Events);
            let event = timeout(timeouts.silence, event).await.map_err(|_| Failure::Silent)??;
            let bytes = event.ok_or(Failure::Ended)?;
            self.served = Instant::now();
            self.failures.clear();
            if bytes.is_empty() {
                continue;
            }
            self.resume = (self.position)(Some(&bytes));
            // When the subscriber is gone, `Subscription::start` ends this future.
            let _ = self.sender.send(Ok(Event { authority, bytes })).await;
            self.served = Instant::now();
        }
    }
}
