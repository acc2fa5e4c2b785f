//! The network of a node: bytes in, bytes out, over libp2p.
//!
//! The only part of the node that knows libp2p. It keeps one connection to every other authority and
//! one ordered stream of own blocks in each direction on it, answers fetches and clients' requests
//! by asking the driver, and feeds subscribers. What the bytes mean is not known here.
//!
//! ```text
//!            NetworkHandle::send, fetch, set_resume          NetworkEvents::recv
//!                        │                                          ▲
//!   link (1 per peer) ◄──┴──► hub (owns the swarm) ──► serve (1 task per inbound stream)
//! ```
//!
//! * **Who may what.** Anyone may connect and use the API and events within a budget; blocks and
//!   fetches are for authorities. A stranger that tries is refused and counted.
//! * **What bounds memory.** Every queue has its limit in [`NetworkLimits`]. When the driver does
//!   not take events, readers stop reading and peers feel it through their connections.
//! * **What is lost.** Frames are kept nowhere: after [`NetworkEvent::PeerDown`] whatever was queued
//!   is gone, and the resume bytes of the next [`NetworkEvent::PeerUp`] say from where to repeat.
//!
//! Read on: [`kerbholz_client::wire`] for what is on a stream, `hub` for connections, `link` for
//! block streams, `serve` for what others ask of us.

mod budget;
mod config;
mod events;
mod handle;
mod hub;
mod link;
mod listen;
mod queue;
mod serve;
mod setup;
mod shared;
mod stats;
#[cfg(test)]
mod tests;

pub use config::{NetworkConfig, NetworkError, NetworkLimits};
pub use events::{EventSink, NetworkEvent, NetworkEvents, Reply};
pub use handle::{FetchError, NetworkHandle};
pub use kerbholz_client::transport::redial::RedialDelays;
pub use kerbholz_client::wire::{Authority, PeerKey};
pub use libp2p::Multiaddr;
pub(crate) use listen::check_free;
pub use queue::PushError;
pub use stats::{NetworkStats, PeerStats};

/// The network of one node.
pub struct Network;

impl Network {
    /// Listens, starts to dial the other authorities, and returns once all listen addresses are
    /// known.
    ///
    /// The network stops when [`NetworkHandle::shutdown`] is called or the [`NetworkEvents`] are
    /// dropped. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`NetworkError`]: a port in use, an address that cannot be listened on, a key that is none,
    /// a limit of zero. Nothing keeps running then.
    pub async fn start(
        config: NetworkConfig,
    ) -> Result<(NetworkHandle, NetworkEvents), NetworkError> {
        let (hub, handle, events) = hub::Hub::new(config).await?;
        tokio::spawn(hub.run());
        Ok((handle, events))
    }
}
