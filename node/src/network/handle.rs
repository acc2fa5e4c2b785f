//! What the driver may ask of the network.

use std::collections::BTreeMap;
use std::sync::Arc;

use kerbholz_client::transport::streams::OpenError;
use kerbholz_client::wire::exchange::{self, ExchangeError};
use kerbholz_client::wire::{Authority, PeerKey, Protocol};
use libp2p::Multiaddr;
use tokio::sync::oneshot;

use super::config::NetworkError;
use super::queue::{PushError, QueueSender};
use super::setup::{self, Peers};
use super::shared::{Command, Shared, lock};
use super::stats::NetworkStats;

/// The driver's handle; clones share the network.
#[derive(Clone)]
pub struct NetworkHandle {
    pub(super) shared: Arc<Shared>,
    pub(super) own: PeerKey,
}

/// Why a fetch brought nothing. All of them mean: ask another authority, or this one later.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The key is not one of the present authorities, or it is this node.
    #[error("{0} is not another authority of this network")]
    Unknown(PeerKey),
    /// There is no connection to the authority now.
    #[error("the authority is not connected")]
    NotConnected,
    /// The authority did not answer in time.
    #[error("the authority did not answer in time")]
    Timeout,
    /// No stream could be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The authority refused, or answered with something that is no answer.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
}

impl NetworkHandle {
    /// The addresses listened on, with the actual ports.
    #[must_use]
    pub fn addresses(&self) -> Vec<Multiaddr> {
        lock(&self.shared.addresses).clone()
    }

    /// Queues a frame of the own block stream for an authority. Never waits.
    ///
    /// # Errors
    /// [`PushError`]; none needs a reaction but [`PushError::TooLarge`], which is a bug of the
    /// caller. An overflow is followed by `PeerDown` and, with a resume position, `PeerUp`.
    pub fn send(&self, peer: PeerKey, frame: Arc<[u8]>) -> Result<(), PushError> {
        // An empty frame would read as a sign of life.
        if frame.is_empty() || frame.len() > Protocol::Blocks.request_max() {
            return Err(PushError::TooLarge);
        }
        let mut routes = lock(&self.shared.routes);
        let route = routes.get_mut(&peer).ok_or(PushError::Closed)?;
        let result = route.push(frame);
        match result {
            Ok(()) => {}
            Err(PushError::Overflow) => {
                self.shared.counters.queues_overflowed.add(1);
                routes.remove(&peer);
            }
            Err(_) => {
                routes.remove(&peer);
            }
        }
        result
    }

    /// Whether many more frames can be queued for an authority; also if none can, for then
    /// [`Self::send`] says so.
    #[must_use]
    pub fn has_room(&self, peer: PeerKey) -> bool {
        lock(&self.shared.routes).get(&peer).is_none_or(QueueSender::has_room)
    }

    /// Sets what we tell `peer` when it opens its block stream to us: what we have of its blocks.
    ///
    /// # Errors
    /// [`PushError::TooLarge`] above [`Protocol::answer_max`] of the blocks protocol (1 KiB).
    pub fn set_resume(&self, peer: PeerKey, bytes: Vec<u8>) -> Result<(), PushError> {
        if bytes.len() > Protocol::Blocks.answer_max() {
            return Err(PushError::TooLarge);
        }
        lock(&self.shared.resume).insert(peer, bytes);
        Ok(())
    }

    /// Sets who the authorities are from now on, who was one before, and what each is told of us
    /// when it opens its block stream. New ones are dialled; connections to former ones stay, but
    /// no blocks are streamed to them. *Every* block stream from another is closed: its opener opens
    /// it again and hears the new position.
    ///
    /// # Errors
    /// [`NetworkError`], of an authority's key or a position that is too long; nothing has changed
    /// then.
    pub async fn set_authorities(
        &self,
        authorities: &[Authority],
        former: &[PeerKey],
        resume: BTreeMap<PeerKey, Vec<u8>>,
    ) -> Result<(), NetworkError> {
        let peers = Peers::new(authorities, former, self.own)?;
        setup::check_resume(&resume)?;
        *lock(&self.shared.resume) = resume;
        let (done, is_done) = oneshot::channel();
        // The hub is gone only when the network stops: then nothing matters any more.
        if self.shared.commands.send(Command::Authorities { peers, done }).await.is_ok() {
            let _ = is_done.await;
        }
        Ok(())
    }

    /// Asks an authority for blocks, within the fetch timeout.
    ///
    /// # Errors
    /// [`FetchError`].
    pub async fn fetch(&self, peer: PeerKey, request: &[u8]) -> Result<Vec<u8>, FetchError> {
        let contact = lock(&self.shared.contacts).get(&peer).cloned();
        let contact = contact.ok_or(FetchError::Unknown(peer))?;
        let connection = (*contact.connection.borrow()).ok_or(FetchError::NotConnected)?;
        let fetch = async {
            // The semaphore is never closed; a place is waited for within the same deadline.
            let _place = contact.fetches.acquire().await.map_err(|_| FetchError::NotConnected)?;
            let mut stream = self.shared.open(contact.peer, connection, Protocol::Fetch).await?;
            contact.counters.sent(request.len());
            let answer = exchange::ask(&mut stream, Protocol::Fetch, request).await?;
            contact.counters.received(answer.len() + 1);
            Ok(answer)
        };
        let timeout = self.shared.limits.fetch_timeout;
        tokio::time::timeout(timeout, fetch).await.unwrap_or(Err(FetchError::Timeout))
    }

    /// A snapshot of the counters.
    #[must_use]
    pub fn stats(&self) -> NetworkStats {
        let contacts = lock(&self.shared.contacts);
        let connected =
            contacts.iter().filter(|(_, contact)| contact.connection.borrow().is_some());
        NetworkStats {
            authorities_connected: connected.map(|(key, _)| *key).collect(),
            ..self.shared.stats()
        }
    }

    /// Sends what is queued (within the shutdown timeout), closes all connections and listeners,
    /// and returns when the ports are free. Calling it again returns at once.
    pub async fn shutdown(&self) {
        let mut stopped = self.shared.stopped.subscribe();
        // An error means that the network has stopped or is about to.
        let _ = self.shared.commands.send(Command::Shutdown).await;
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
}
