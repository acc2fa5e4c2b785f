//! From a configuration to a swarm: who the others are, who may connect, what is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use kerbholz_client::transport;
use kerbholz_client::transport::streams::Streams;
use kerbholz_client::wire::{Authority, PeerKey, Protocol, Protocols, keypair};
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::swarm::NetworkBehaviour;
use libp2p::{Multiaddr, PeerId, Swarm};

use super::config::{NetworkConfig, NetworkError, NetworkLimits};
use super::shared::lock;

/// What the swarm does: refuse connections above the limits, and carry streams.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub(super) limits: connection_limits::Behaviour,
    pub(super) streams: Streams,
}

/// Who the peers are that strangers are not.
pub(super) struct Peers {
    /// The other authorities, with their peer ids and addresses.
    pub(super) authorities: BTreeMap<PeerKey, (PeerId, Vec<Multiaddr>)>,
    /// Those who were authorities once.
    pub(super) former: BTreeMap<PeerKey, PeerId>,
}

/// The peer ids whose connections are kept and not counted.
pub(super) type Kept = Arc<Mutex<BTreeSet<PeerId>>>;

impl Peers {
    /// Checks the keys; `own` is skipped wherever it is.
    pub(super) fn new(
        authorities: &[Authority],
        former: &[PeerKey],
        own: PeerKey,
    ) -> Result<Self, NetworkError> {
        let mut peers = Self { authorities: BTreeMap::new(), former: BTreeMap::new() };
        for authority in authorities.iter().filter(|authority| authority.key != own) {
            let entry = (authority.key.to_peer_id()?, authority.addresses.clone());
            if peers.authorities.insert(authority.key, entry).is_some() {
                return Err(NetworkError::DuplicateAuthority(authority.key));
            }
        }
        for key in former.iter().filter(|key| **key != own) {
            if !peers.authorities.contains_key(key) {
                peers.former.insert(*key, key.to_peer_id()?);
            }
        }
        Ok(peers)
    }
}

pub(super) fn check_resume(resume: &BTreeMap<PeerKey, Vec<u8>>) -> Result<(), NetworkError> {
    let bytes_max = Protocol::Blocks.answer_max();
    match resume.iter().find(|(_, bytes)| bytes.len() > bytes_max) {
        Some((peer, bytes)) => {
            Err(NetworkError::Resume { peer: *peer, bytes: bytes.len(), bytes_max })
        }
        None => Ok(()),
    }
}

/// The swarm; whose connections it keeps is decided later, too.
pub(super) fn swarm(config: &NetworkConfig, kept: &Kept) -> Result<Swarm<Behaviour>, NetworkError> {
    let NetworkLimits { connections_max, connections_pending_max, idle_timeout, .. } =
        config.limits;
    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(connections_pending_max))
        .with_max_established_incoming(Some(connections_max));
    let limits = connection_limits::Behaviour::new(limits);
    let kept = Arc::clone(kept);
    let keep = move |peer: &PeerId| lock(&kept).contains(peer);
    let streams = Streams::server(Protocols::new(&config.network), keep);
    let behaviour = Behaviour { limits, streams };
    Ok(transport::swarm(keypair(&config.seed), behaviour, idle_timeout)?)
}
