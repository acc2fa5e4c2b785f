//! When to dial whom: at once, and after every loss or failure again, for ever.
//!
//! The delay grows exponentially between two bounds and is jittered, so that the peers of a
//! restarted authority do not all return in the same instant. A connection resets it.

use std::collections::BTreeMap;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use libp2p::futures::future::BoxFuture;
use libp2p::futures::stream::FuturesUnordered;
use libp2p::futures::{FutureExt, StreamExt};
use libp2p::{Multiaddr, PeerId};

use super::names;

/// Bounds of the delay between two attempts to reach a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedialDelays {
    /// The delay after the first failure.
    pub first: Duration,
    /// The delay that repeated failures approach.
    pub longest: Duration,
}

impl Default for RedialDelays {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), longest: Duration::from_secs(5) }
    }
}

impl RedialDelays {
    /// The endless, jittered sequence of delays.
    #[must_use]
    pub fn sequence(self) -> ExponentialBackoff {
        ExponentialBuilder::default()
            .with_min_delay(self.first)
            .with_max_delay(self.longest)
            .without_max_times()
            .with_jitter()
            .build()
    }
}

struct Target {
    addresses: Vec<Multiaddr>,
    /// Waited before every dial, besides its delay.
    patience: Duration,
    delays: ExponentialBackoff,
    /// Whether a dial is already scheduled: two losses reported at once are one redial.
    scheduled: bool,
}

/// The schedule of dials to a set of peers.
pub struct Redial {
    delays: RedialDelays,
    targets: BTreeMap<PeerId, Target>,
    due: FuturesUnordered<BoxFuture<'static, (PeerId, Vec<Multiaddr>)>>,
}

impl Redial {
    /// A schedule in which every peer is due at once.
    #[must_use]
    pub fn new(
        peers: impl IntoIterator<Item = (PeerId, Vec<Multiaddr>)>,
        delays: RedialDelays,
    ) -> Self {
        let mut redial = Self { delays, targets: BTreeMap::new(), due: FuturesUnordered::new() };
        for (peer, addresses) in peers {
            redial.insert(peer, addresses, Duration::ZERO);
        }
        redial
    }

    /// Adds a peer, which is due after `patience`: the time we give it to reach us, before this
    /// dial and before every later one. Of a peer that is known already the addresses are changed.
    pub fn insert(&mut self, peer: PeerId, addresses: Vec<Multiaddr>, patience: Duration) {
        if let Some(target) = self.targets.get_mut(&peer) {
            target.addresses = addresses;
            return;
        }
        self.due.push(after(patience, peer, addresses.clone()).boxed());
        let delays = self.delays.sequence();
        self.targets.insert(peer, Target { addresses, patience, delays, scheduled: true });
    }

    /// Dials a peer no more.
    pub fn remove(&mut self, peer: &PeerId) {
        self.targets.remove(peer);
    }

    /// Notes that `peer` is connected: the next loss is redialled quickly again.
    pub fn connected(&mut self, peer: &PeerId) {
        if let Some(target) = self.targets.get_mut(peer) {
            target.delays = self.delays.sequence();
        }
    }

    /// Notes that `peer` could not be reached or was lost; it becomes due again after its delay.
    /// Peers that are not dialled by us are ignored.
    pub fn lost(&mut self, peer: &PeerId) {
        let Some(target) = self.targets.get_mut(peer).filter(|target| !target.scheduled) else {
            return;
        };
        target.scheduled = true;
        let delay = target.delays.next().unwrap_or(self.delays.longest);
        let delay = delay + target.patience;
        self.due.push(after(delay, *peer, target.addresses.clone()).boxed());
    }

    /// Waits for the next peer to dial, and gives its addresses, names resolved. Pending for ever
    /// while nobody is due; may be dropped and called again.
    pub async fn next(&mut self) -> (PeerId, Vec<Multiaddr>) {
        loop {
            let Some((peer, addresses)) = self.due.next().await else {
                return std::future::pending().await;
            };
            // A peer that was removed meanwhile is not dialled; one that came back is, twice at
            // worst, and the second dial finds it connected.
            if let Some(target) = self.targets.get_mut(&peer) {
                target.scheduled = false;
                return (peer, addresses);
            }
        }
    }
}

/// Names are looked up just before the dial: what they stand for may have changed.
async fn after(
    delay: Duration,
    peer: PeerId,
    addresses: Vec<Multiaddr>,
) -> (PeerId, Vec<Multiaddr>) {
    tokio::time::sleep(delay).await;
    (peer, names::resolve(addresses).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_between_their_bounds_and_never_end() {
        let delays =
            RedialDelays { first: Duration::from_millis(100), longest: Duration::from_secs(2) };
        let sequence: Vec<_> = delays.sequence().take(100).collect();
        assert_eq!(sequence.len(), 100);
        // Jitter adds up to the current delay.
        assert!(sequence[0] >= delays.first && sequence[0] <= 2 * delays.first);
        assert!(sequence.iter().all(|delay| *delay <= 2 * delays.longest));
        assert!(sequence[99] >= delays.longest);
    }

    #[tokio::test]
    async fn a_lost_peer_is_due_once_per_loss() {
        let peer = PeerId::random();
        let delays =
            RedialDelays { first: Duration::from_millis(1), longest: Duration::from_millis(2) };
        let mut redial = Redial::new([(peer, Vec::new())], delays);
        assert_eq!(redial.next().await.0, peer);
        redial.lost(&peer);
        redial.lost(&peer);
        redial.lost(&PeerId::random());
        assert_eq!(redial.due.len(), 1);
        assert_eq!(redial.next().await.0, peer);
        assert!(redial.due.is_empty());
        redial.lost(&peer);
        assert_eq!(redial.next().await.0, peer);
    }

    #[tokio::test]
    async fn who_is_added_is_dialled_with_patience_and_who_is_removed_no_more() {
        let (one, other) = (PeerId::random(), PeerId::random());
        let (delay, patience) = (Duration::from_millis(1), Duration::from_millis(20));
        let delays = RedialDelays { first: delay, longest: delay };
        let mut redial = Redial::new([(one, Vec::new())], delays);
        let start = std::time::Instant::now();
        redial.insert(other, Vec::new(), patience);
        redial.remove(&one);
        assert_eq!(redial.next().await.0, other);
        assert!(start.elapsed() >= patience);
        redial.lost(&one);
        redial.lost(&other);
        assert_eq!(redial.next().await.0, other);
        assert!(start.elapsed() >= 2 * patience + delay);
    }
}
