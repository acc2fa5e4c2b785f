//! What one peer may use: concurrent streams per protocol, a rate of requests, a number of faults.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kerbholz_client::wire::{PeerKey, Protocol};
use libp2p::swarm::ConnectionId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::config::NetworkLimits;
use super::stats::PeerCounters;

/// How often a log says of one peer that it does wrong: a candidate that waits for the votes on it
/// tries again and again.
const WARNING_PERIOD: Duration = Duration::from_secs(60);

/// The budget of a peer, kept while it is connected and until its rate has recovered, so that a
/// reconnection does not renew it.
pub(super) struct Budget {
    pub(super) key: PeerKey,
    /// Open connections of the peer, oldest first.
    pub(super) connections: VecDeque<ConnectionId>,
    pub(super) counters: Arc<PeerCounters>,
    fetches: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    subscriptions: Arc<Semaphore>,
    rate: Rate,
    warnings: Rate,
}

impl Budget {
    pub(super) fn new(key: PeerKey, counters: Arc<PeerCounters>, limits: &NetworkLimits) -> Self {
        Self {
            key,
            connections: VecDeque::new(),
            counters,
            fetches: Arc::new(Semaphore::new(limits.fetches_per_peer_max)),
            requests: Arc::new(Semaphore::new(limits.requests_per_peer_max)),
            subscriptions: Arc::new(Semaphore::new(limits.subscriptions_per_peer_max)),
            rate: Rate::new(limits.requests_per_second, limits.requests_burst),
            warnings: Rate::every(WARNING_PERIOD),
        }
    }

    /// Whether what the peer does wrong may be said again: once in [`WARNING_PERIOD`].
    pub(super) fn may_warn(&mut self, now: Instant) -> bool {
        self.warnings.admit(now)
    }

    /// Takes a place for one stream, or `None` when the budget is used up. Block streams need no
    /// place: the newest replaces the last.
    pub(super) fn admit(
        &mut self,
        protocol: Protocol,
        now: Instant,
    ) -> Option<OwnedSemaphorePermit> {
        let places = match protocol {
            Protocol::Blocks | Protocol::Fetch => &self.fetches,
            Protocol::Api => &self.requests,
            Protocol::Events => &self.subscriptions,
        };
        let permit = places.clone().try_acquire_owned().ok()?;
        let rated = matches!(protocol, Protocol::Api | Protocol::Events);
        (!rated || self.rate.admit(now)).then_some(permit)
    }

    /// Whether forgetting the budget would not give the peer anything.
    pub(super) fn is_forgettable(&self, now: Instant) -> bool {
        let recovered = self.rate.is_recovered(now) && self.warnings.is_recovered(now);
        self.connections.is_empty() && recovered
    }
}

/// The generic cell rate algorithm (ITU-T I.371): one instant instead of a counter and a timer.
struct Rate {
    /// When the requests admitted so far would have arrived at exactly the permitted rate.
    expected: Option<Instant>,
    period: Duration,
    tolerance: Duration,
}

impl Rate {
    fn new(per_second: u32, burst: u32) -> Self {
        let period = Duration::from_secs(1) / per_second.max(1);
        Self { expected: None, period, tolerance: period * burst.saturating_sub(1) }
    }

    fn every(period: Duration) -> Self {
        Self { expected: None, period, tolerance: Duration::ZERO }
    }

    fn admit(&mut self, now: Instant) -> bool {
        let expected = self.expected.map_or(now, |expected| expected.max(now));
        let admitted = expected.duration_since(now) <= self.tolerance;
        if admitted {
            self.expected = Some(expected + self.period);
        }
        admitted
    }

    fn is_recovered(&self, now: Instant) -> bool {
        self.expected.is_none_or(|expected| expected <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_admitted_and_then_the_rate() {
        let start = Instant::now();
        let mut rate = Rate::new(10, 3);
        let at = |ms| start + Duration::from_millis(ms);
        // (milliseconds, admitted)
        let table = [
            (0, true),
            (0, true),
            (0, true),
            (0, false),
            (99, false),
            (100, true),
            (100, false),
            (1000, true),
        ];
        for (ms, admitted) in table {
            assert_eq!(rate.admit(at(ms)), admitted, "at {ms} ms");
        }
        assert!(!rate.is_recovered(at(1000)));
        assert!(rate.is_recovered(at(1100)));
    }

    #[test]
    fn a_log_is_not_filled_by_one_peer_that_reconnects() {
        let mut budget = Budget::new(PeerKey([0; 32]), Arc::default(), &NetworkLimits::default());
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let table = [(0, true), (0, false), (59, false), (60, true), (61, false)];
        for (seconds, warns) in table {
            assert_eq!(budget.may_warn(at(seconds)), warns, "at {seconds} s");
        }
        assert!(!budget.is_forgettable(at(100)), "or the next connection would warn at once");
        assert!(budget.is_forgettable(at(120)));
    }

    #[test]
    fn places_come_back_when_their_streams_end() {
        let limits = NetworkLimits { requests_per_peer_max: 2, ..NetworkLimits::default() };
        let mut budget = Budget::new(PeerKey([0; 32]), Arc::default(), &limits);
        let now = Instant::now();
        let first = budget.admit(Protocol::Api, now);
        let second = budget.admit(Protocol::Api, now);
        assert!(first.is_some() && second.is_some());
        assert!(budget.admit(Protocol::Api, now).is_none());
        assert!(budget.admit(Protocol::Fetch, now).is_some(), "protocols have places of their own");
        drop(first);
        assert!(budget.admit(Protocol::Api, now).is_some());
    }
}
