//! The other authorities: who is connected to, who may ask for blocks, and how that changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use libp2p::PeerId;
use libp2p::swarm::ConnectionId;
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

use super::super::link::Link;
use super::super::setup::Peers;
use super::super::shared::{Contact, lock};
use super::Hub;
use super::flapping::Flapping;
use kerbholz_client::wire::PeerKey;

/// Of two authorities the one with the lower peer id dials: were both to, they could end with one
/// connection closed by each. The other one waits so many of the longest delays and then dials, too:
/// who was removed, or does not know yet that somebody joined, dials nobody.
const PATIENCE: u32 = 4;

/// The hub's view of one other authority, present or former.
pub(super) struct Authority {
    pub(super) connection: watch::Sender<Option<ConnectionId>>,
    /// The task that reads its block stream.
    pub(super) receiving: Option<AbortHandle>,
    pub(super) flapping: Flapping,
    /// The task that writes ours; none for a former authority.
    link: Option<AbortHandle>,
}

impl Hub {
    /// Makes these the authorities, and closes every block stream from another, to be opened again.
    pub(super) fn set_authorities(&mut self, peers: Peers) {
        let present: BTreeSet<PeerId> = peers.authorities.values().map(|(peer, _)| *peer).collect();
        let known: BTreeSet<PeerId> =
            present.iter().chain(peers.former.values()).copied().collect();
        self.keep(&known);
        let gone: Vec<PeerId> =
            self.authorities.keys().filter(|peer| !present.contains(*peer)).copied().collect();
        for peer in gone {
            self.retire(&peer);
        }
        self.authorities.retain(|peer, _| known.contains(peer));
        for authority in self.authorities.values_mut() {
            if let Some(receiving) = authority.receiving.take() {
                receiving.abort();
            }
        }
        lock(&self.context.shared.contacts).retain(|key, _| peers.authorities.contains_key(key));
        lock(&self.context.shared.routes).retain(|key, _| peers.authorities.contains_key(key));
        for peer in peers.former.values() {
            self.authority(*peer);
        }
        let longest = self.delays.longest * PATIENCE;
        for (key, (peer, addresses)) in peers.authorities {
            self.connect(key, peer);
            let patience = if self.local < peer { Default::default() } else { longest };
            self.redial.insert(peer, addresses, patience);
        }
    }

    /// Whose connections are kept when idle, and not counted as a stranger's.
    fn keep(&mut self, known: &BTreeSet<PeerId>) {
        let mut kept = lock(&self.kept);
        let limits = &mut self.swarm.behaviour_mut().limits;
        kept.difference(known).for_each(|peer| limits.remove_peer_id(peer));
        known.difference(&kept).for_each(|peer| limits.bypass_peer_id(peer));
        kept.clone_from(known);
    }

    /// Streams no blocks to a peer any more, and does not dial it.
    fn retire(&mut self, peer: &PeerId) {
        self.redial.remove(peer);
        let link = self.authorities.get_mut(peer).and_then(|authority| authority.link.take());
        if let Some(link) = link {
            link.abort();
        }
    }

    /// The entry of an authority. Who becomes one may be connected already.
    fn authority(&mut self, peer: PeerId) -> &mut Authority {
        let newest = self.budgets.get(&peer).and_then(|budget| budget.connections.back());
        self.authorities.entry(peer).or_insert_with(|| {
            let (connection, _) = watch::channel(newest.copied());
            Authority { connection, receiving: None, flapping: Flapping::default(), link: None }
        })
    }

    /// Keeps a block stream open to an authority, and lets it be asked.
    fn connect(&mut self, key: PeerKey, peer: PeerId) {
        let shared = Arc::clone(&self.context.shared);
        let (delays, context) = (self.delays, self.context.clone());
        let counters = lock(&shared.peers).entry(key).or_default().clone();
        let authority = self.authority(peer);
        if authority.link.is_some() {
            return;
        }
        let connection = authority.connection.subscribe();
        let contact = Contact {
            peer,
            connection: connection.clone(),
            counters: counters.clone(),
            fetches: Semaphore::new(shared.limits.fetches_per_peer_max.div_ceil(2)),
        };
        lock(&shared.contacts).insert(key, Arc::new(contact));
        let link = Link { context, key, peer, delays, connection, counters };
        let link = self.links.spawn(link.run());
        if let Some(authority) = self.authorities.get_mut(&peer) {
            authority.link = Some(link);
        }
    }
}
