//! Counters, written by many tasks and read as one snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kerbholz_client::wire::PeerKey;

/// What happened on the network since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkStats {
    /// Open connections, of authorities and others.
    pub connections: u64,
    /// The authorities that are connected.
    pub authorities_connected: BTreeSet<PeerKey>,
    /// Connections refused or closed by a limit, or refused because their handshake failed.
    pub connections_refused: u64,
    /// Streams refused: opened by a stranger on a protocol for authorities.
    pub streams_refused: u64,
    /// Requests and subscriptions refused because a budget was used up.
    pub requests_refused: u64,
    /// Times an authority's stream was closed because its queue was full.
    pub queues_overflowed: u64,
    /// Subscribers dropped because they read too slowly.
    pub subscribers_dropped: u64,
    /// All authorities, and the other peers that are connected.
    pub peers: BTreeMap<PeerKey, PeerStats>,
    /// The sum over other peers that have left.
    pub departed: PeerStats,
}

/// What happened with one peer. Bytes are those of frames, without encryption and transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerStats {
    /// Bytes sent to the peer.
    pub bytes_sent: u64,
    /// Bytes received from the peer.
    pub bytes_received: u64,
    /// What the peer did wrong: streams it may not open, frames above the limit.
    pub faults: u64,
}

impl PeerStats {
    pub(super) fn add(&mut self, other: Self) {
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.faults += other.faults;
    }
}

#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) connections: Counter,
    pub(super) connections_refused: Counter,
    pub(super) streams_refused: Counter,
    pub(super) requests_refused: Counter,
    pub(super) queues_overflowed: Counter,
    pub(super) subscribers_dropped: Counter,
}

#[derive(Default)]
pub(super) struct PeerCounters {
    pub(super) bytes_sent: Counter,
    pub(super) bytes_received: Counter,
    pub(super) faults: Counter,
}

impl PeerCounters {
    pub(super) fn snapshot(&self) -> PeerStats {
        PeerStats {
            bytes_sent: self.bytes_sent.get(),
            bytes_received: self.bytes_received.get(),
            faults: self.faults.get(),
        }
    }

    /// Counts a frame with this payload as sent.
    pub(super) fn sent(&self, payload: usize) {
        self.bytes_sent.add(payload as u64 + 4);
    }

    /// Counts a frame with this payload as received.
    pub(super) fn received(&self, payload: usize) {
        self.bytes_received.add(payload as u64 + 4);
    }
}

pub(super) type PeerCounterMap = BTreeMap<PeerKey, Arc<PeerCounters>>;
