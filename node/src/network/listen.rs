//! Listening: on every configured address, or not at all, with an error that names the address.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use libp2p::core::transport::ListenerId;
use libp2p::futures::StreamExt;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, Swarm};

use super::config::NetworkError;

/// The system names a listener's addresses at once; this only bounds a system that does not.
const REPORT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a closed socket may hold its port.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);
const RELEASE_PAUSE: Duration = Duration::from_millis(10);

/// Listens on all `addresses` and waits until each has reported where it listens. What else
/// happened in the meantime is returned, for nothing may be lost.
pub(super) async fn listen<B: NetworkBehaviour>(
    swarm: &mut Swarm<B>,
    addresses: &[Multiaddr],
) -> Result<Vec<SwarmEvent<B::ToSwarm>>, NetworkError> {
    let mut silent = Vec::new();
    for address in addresses {
        // libp2p listens with SO_REUSEPORT: two nodes would share a port and each get a part of the
        // connections. An ordinary bind before tells.
        probe(address).map_err(|error| listen_error(address, &error))?;
        let listener = swarm
            .listen_on(address.clone())
            .map_err(|error| listen_error(address, &io::Error::other(error)))?;
        silent.push((listener, address.clone()));
    }
    let mut early = Vec::new();
    let reports = async {
        while !silent.is_empty() {
            let event = swarm.select_next_some().await;
            match &event {
                SwarmEvent::NewListenAddr { listener_id, .. } => {
                    silent.retain(|(listener, _)| listener != listener_id);
                }
                SwarmEvent::ListenerError { listener_id, error }
                | SwarmEvent::ListenerClosed { listener_id, reason: Err(error), .. } => {
                    if let Some(address) = address_of(&silent, listener_id) {
                        return Err(listen_error(address, error));
                    }
                }
                _ => {}
            }
            early.push(event);
        }
        Ok(())
    };
    match tokio::time::timeout(REPORT_TIMEOUT, reports).await {
        Ok(result) => result.map(|()| early),
        Err(_) => {
            let error = io::Error::from(io::ErrorKind::TimedOut);
            Err(addresses.first().map_or_else(
                || listen_error(&Multiaddr::empty(), &error),
                |address| listen_error(address, &error),
            ))
        }
    }
}

/// Checks that every address can be listened on now: before anything is written for a node that
/// then could not.
///
/// # Errors
/// [`NetworkError`] names the address.
pub(crate) fn check_free(addresses: &[Multiaddr]) -> Result<(), NetworkError> {
    addresses
        .iter()
        .try_for_each(|address| probe(address).map_err(|error| listen_error(address, &error)))
}

/// Waits until the ports of `addresses` can be bound again: QUIC closes its socket in a task of its
/// own, a moment after its endpoint is dropped.
pub(super) async fn released(addresses: &[Multiaddr]) {
    let released = async {
        while addresses.iter().any(|address| probe(address).is_err_and(|error| in_use(&error))) {
            tokio::time::sleep(RELEASE_PAUSE).await;
        }
    };
    if tokio::time::timeout(RELEASE_TIMEOUT, released).await.is_err() {
        tracing::warn!(?addresses, "a port is still in use after the network stopped");
    }
}

fn address_of<'a>(
    silent: &'a [(ListenerId, Multiaddr)],
    listener: &ListenerId,
) -> Option<&'a Multiaddr> {
    silent.iter().find(|(other, _)| other == listener).map(|(_, address)| address)
}

/// Binds and releases the address once.
fn probe(address: &Multiaddr) -> io::Result<()> {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next() {
        Some(Protocol::Ip4(ip)) => ip.into(),
        Some(Protocol::Ip6(ip)) => ip.into(),
        // Anything else is left to libp2p, which knows what it cannot listen on.
        _ => return Ok(()),
    };
    match parts.next() {
        Some(Protocol::Tcp(port)) => TcpListener::bind(SocketAddr::new(ip, port)).map(drop),
        Some(Protocol::Udp(port)) => UdpSocket::bind(SocketAddr::new(ip, port)).map(drop),
        _ => Ok(()),
    }
}

fn in_use(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

fn listen_error(address: &Multiaddr, error: &io::Error) -> NetworkError {
    let address = address.clone();
    if in_use(error) {
        NetworkError::PortInUse { address }
    } else {
        NetworkError::Listen { address, reason: error.to_string() }
    }
}
