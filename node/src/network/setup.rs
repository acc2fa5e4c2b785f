//! From a configuration to a swarm: who the others are, who may connect, what is kept.

use std::collections::{BTreeMap, BTreeSet};

use kerbholz_client::transport;
use kerbholz_client::transport::streams::Streams;
use kerbholz_client::wire::{PeerKey, Protocol, Protocols, keypair};
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::swarm::NetworkBehaviour;
use libp2p::{Multiaddr, PeerId, Swarm};

use super::config::{NetworkConfig, NetworkError, NetworkLimits};

/// What the swarm does: refuse connections above the limits, and carry streams.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub(super) limits: connection_limits::Behaviour,
    pub(super) streams: Streams,
}

/// The other authorities, with their peer ids and addresses.
pub(super) type Others = BTreeMap<PeerKey, (PeerId, Vec<Multiaddr>)>;

pub(super) fn other_authorities(
    config: &NetworkConfig,
    own: PeerKey,
) -> Result<Others, NetworkError> {
    let mut others = Others::new();
    for authority in config.authorities.iter().filter(|authority| authority.key != own) {
        let entry = (authority.key.to_peer_id()?, authority.addresses.clone());
        if others.insert(authority.key, entry).is_some() {
            return Err(NetworkError::DuplicateAuthority(authority.key));
        }
    }
    Ok(others)
}

pub(super) fn check_resume(config: &NetworkConfig) -> Result<(), NetworkError> {
    let bytes_max = Protocol::Blocks.answer_max();
    match config.resume.iter().find(|(_, bytes)| bytes.len() > bytes_max) {
        Some((peer, bytes)) => {
            Err(NetworkError::Resume { peer: *peer, bytes: bytes.len(), bytes_max })
        }
        None => Ok(()),
    }
}

pub(super) fn swarm(
    config: &NetworkConfig,
    others: &Others,
) -> Result<Swarm<Behaviour>, NetworkError> {
    let NetworkLimits { connections_max, connections_pending_max, idle_timeout, .. } =
        config.limits;
    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(connections_pending_max))
        .with_max_established_incoming(Some(connections_max));
    let mut limits = connection_limits::Behaviour::new(limits);
    for (peer, _) in others.values() {
        limits.bypass_peer_id(peer);
    }
    let keep: BTreeSet<PeerId> = others.values().map(|(peer, _)| *peer).collect();
    let streams = Streams::server(Protocols::new(&config.network), move |peer| keep.contains(peer));
    let behaviour = Behaviour { limits, streams };
    Ok(transport::swarm(keypair(&config.seed), behaviour, idle_timeout)?)
}
