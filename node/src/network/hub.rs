//! The hub owns the swarm: connections, dialling, and the decision about every inbound stream.
//!
//! It never waits for anything but its next event. Work on a stream happens in a task of its own,
//! and all tasks belong to the hub: when it ends, they end. `hub/authorities.rs`: who they are, and
//! how that changes.

mod authorities;
mod flapping;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kerbholz_client::transport;
use kerbholz_client::transport::redial::{Redial, RedialDelays};
use kerbholz_client::transport::streams::Inbound;
use kerbholz_client::wire::{PeerKey, Protocol};
use libp2p::futures::StreamExt;
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinError, JoinSet};

use super::budget::Budget;
use super::config::{NetworkConfig, NetworkError};
use super::events::NetworkEvents;
use super::handle::NetworkHandle;
use super::link;
use super::listen;
use super::serve::{Outcome, Visit};
use super::setup::{self, Behaviour, BehaviourEvent, Kept, Peers};
use super::shared::{Command, Context, Shared, lock};

use self::authorities::Authority;
use self::flapping::Line;

/// Requests from other tasks that wait for the hub.
const COMMANDS_MAX: usize = 64;
/// Refusals being sent at once; beyond, streams are dropped without a word.
const REFUSALS_MAX: usize = 32;
/// How often forgettable budgets are forgotten.
const PRUNE_PERIOD: Duration = Duration::from_secs(10);

/// Says that the network has stopped, however it comes to its end.
struct Stopped(Arc<Shared>);

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.stopped.send_replace(true);
    }
}

pub(super) struct Hub {
    local: PeerId,
    delays: RedialDelays,
    kept: Kept,
    swarm: Swarm<Behaviour>,
    early: Vec<SwarmEvent<BehaviourEvent>>,
    context: Context,
    commands: mpsc::Receiver<Command>,
    redial: Redial,
    authorities: BTreeMap<PeerId, Authority>,
    budgets: BTreeMap<PeerId, Budget>,
    links: JoinSet<()>,
    visits: JoinSet<Outcome>,
    refusals: Arc<Semaphore>,
    // Last, so that it is dropped when everything else is.
    stopped: Stopped,
}

impl Hub {
    /// Checks the configuration, listens, and prepares everything that [`Hub::run`] needs.
    pub(super) async fn new(
        config: NetworkConfig,
    ) -> Result<(Self, NetworkHandle, NetworkEvents), NetworkError> {
        config.limits.check()?;
        let limits = config.limits;
        let own = PeerKey::of_seed(&config.seed);
        let local = own.to_peer_id()?;
        let peers = Peers::new(&config.authorities, &config.former, own)?;
        setup::check_resume(&config.resume)?;
        let kept = Kept::default();
        let mut swarm = setup::swarm(&config, &kept)?;
        let early = listen::listen(&mut swarm, &config.listen).await?;

        let (command_sender, commands) = mpsc::channel(COMMANDS_MAX);
        let (events, signals) = mpsc::channel(limits.events_max);
        let shared = Arc::new(Shared::new(limits, command_sender));
        *lock(&shared.addresses) = swarm.listeners().cloned().collect();
        *lock(&shared.resume) = config.resume;
        let context = Context { shared: shared.clone(), events };
        let mut hub = Self {
            local,
            delays: config.delays,
            kept,
            swarm,
            early,
            context,
            commands,
            redial: Redial::new([], config.delays),
            authorities: BTreeMap::new(),
            budgets: BTreeMap::new(),
            links: JoinSet::new(),
            visits: JoinSet::new(),
            refusals: Arc::new(Semaphore::new(REFUSALS_MAX)),
            stopped: Stopped(shared.clone()),
        };
        hub.set_authorities(peers);
        let handle = NetworkHandle { shared: shared.clone(), own };
        Ok((hub, handle, NetworkEvents { signals, shared }))
    }

    /// Runs until the shutdown is asked for or the driver drops its events.
    pub(super) async fn run(mut self) {
        for event in std::mem::take(&mut self.early) {
            self.on_swarm_event(event);
        }
        let mut prune = tokio::time::interval(PRUNE_PERIOD);
        let events = self.context.events.clone();
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm_event(event),
                Some(command) = self.commands.recv() => match command {
                    Command::Open { peer, connection, protocol, reply } => {
                        let streams = &mut self.swarm.behaviour_mut().streams;
                        streams.open(peer, connection, protocol, reply);
                    }
                    Command::Authorities { peers, done } => {
                        self.set_authorities(peers);
                        let _ = done.send(());
                    }
                    Command::Shutdown => {
                        self.drain().await;
                        break;
                    }
                },
                (peer, addresses) = self.redial.next() => self.dial(peer, &addresses),
                Some(outcome) = self.visits.join_next() => self.on_outcome(outcome),
                // Links end by themselves only with the network; a removed one is aborted.
                Some(_) = self.links.join_next() => {}
                _ = prune.tick() => self.prune(),
                () = events.closed() => break,
            }
        }
        let addresses = lock(&self.context.shared.addresses).clone();
        let Self { swarm, stopped, links, visits, .. } = self;
        drop((swarm, links, visits));
        listen::released(&addresses).await;
        drop(stopped);
    }

    fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Streams(inbound)) => self.on_stream(inbound),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, .. } => {
                self.on_connected(peer_id, connection_id);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                self.on_closed(&peer_id, connection_id);
                tracing::debug!(peer = %peer_id, ?cause, "connection closed");
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                self.context.shared.counters.connections_refused.add(1);
                tracing::debug!(from = %send_back_addr, %error, "connection refused");
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), error, .. } => {
                if matches!(error, DialError::WrongPeerId { .. }) {
                    tracing::warn!(%peer, %error, "an authority's address leads to another peer");
                } else {
                    tracing::debug!(%peer, %error, "authority not reached");
                }
                self.redial.lost(&peer);
            }
            SwarmEvent::NewListenAddr { .. } | SwarmEvent::ExpiredListenAddr { .. } => {
                let addresses = self.swarm.listeners().cloned().collect();
                *lock(&self.context.shared.addresses) = addresses;
            }
            _ => {}
        }
    }

    fn on_connected(&mut self, peer: PeerId, connection: ConnectionId) {
        self.count_connections();
        let Ok(key) = PeerKey::from_peer_id(&peer) else {
            self.context.shared.counters.connections_refused.add(1);
            self.swarm.close_connection(connection);
            return;
        };
        let shared = &self.context.shared;
        let budget = self.budgets.entry(peer).or_insert_with(|| {
            let counters = lock(&shared.peers).entry(key).or_default().clone();
            Budget::new(key, counters, &shared.limits)
        });
        budget.connections.push_back(connection);
        let Some(authority) = self.authorities.get_mut(&peer) else {
            if budget.connections.len() > shared.limits.connections_per_peer_max {
                shared.counters.connections_refused.add(1);
                let oldest = budget.connections.pop_front();
                oldest.map(|connection| self.swarm.close_connection(connection));
            }
            return;
        };
        match authority.flapping.began(Instant::now()) {
            Line::Connected => tracing::info!(peer = %key, "authority connected"),
            Line::Cause => tracing::warn!(
                peer = %key,
                "connections to this authority end as soon as they begin: two nodes seem to run with \
                 one key, this authority's or our own; stop one of them"
            ),
            Line::None => {}
        }
        self.redial.connected(&peer);
        // The newest wins: the peer knows better than we whether its last connection is dead.
        if let Some(last) = authority.connection.send_replace(Some(connection)) {
            self.swarm.close_connection(last);
        }
    }

    fn on_closed(&mut self, peer: &PeerId, connection: ConnectionId) {
        self.count_connections();
        if let Some(budget) = self.budgets.get_mut(peer) {
            budget.connections.retain(|other| *other != connection);
        }
        let Some(authority) = self.authorities.get(peer) else { return };
        let current = authority.connection.send_if_modified(|current| {
            let current_closed = *current == Some(connection);
            if current_closed {
                *current = None;
            }
            current_closed
        });
        if current {
            // By its key, as when it connected: that is what the genesis calls it.
            let key = PeerKey::from_peer_id(peer)
                .map_or_else(|_| peer.to_string(), |key| key.to_string());
            if !authority.flapping.is_flapping() {
                tracing::info!(peer = key, "authority disconnected");
            }
            self.redial.lost(peer);
        }
    }

    fn count_connections(&self) {
        let established = self.swarm.network_info().connection_counters().num_established();
        self.context.shared.counters.connections.set(u64::from(established));
    }

    fn dial(&mut self, peer: PeerId, addresses: &[Multiaddr]) {
        match self.swarm.dial(transport::dial_options(peer, addresses)) {
            // The condition is false when we are connected or about to be.
            Ok(()) | Err(DialError::DialPeerConditionFalse(_)) => {}
            Err(error) => {
                tracing::debug!(%peer, %error, "authority cannot be dialled");
                self.redial.lost(&peer);
            }
        }
    }

    /// Decides about a stream before a byte of it is read.
    fn on_stream(&mut self, Inbound { peer, protocol, stream }: Inbound) {
        // The connection was counted before, unless it is closing or its key is none.
        let Some(budget) = self.budgets.get_mut(&peer) else { return };
        let context = self.context.clone();
        let (key, counters) = (budget.key, budget.counters.clone());
        let authority = self.authorities.get_mut(&peer);
        match (protocol, authority) {
            (Protocol::Blocks | Protocol::Fetch, None) => {
                if budget.may_warn(Instant::now()) {
                    let what = "a stranger opened an authorities' stream";
                    tracing::warn!(peer = %key, %protocol, "{what}");
                }
                self.context.shared.counters.streams_refused.add(1);
                self.fault(&peer);
            }
            (Protocol::Blocks, Some(authority)) => {
                let task = link::receive(context, peer, key, counters, stream);
                let task = self.visits.spawn(task);
                if let Some(last) = authority.receiving.replace(task) {
                    last.abort();
                }
            }
            (Protocol::Fetch | Protocol::Api | Protocol::Events, _) => {
                let place = budget.admit(protocol, Instant::now());
                let subscriptions = &context.shared.subscriptions;
                let shared_place = match protocol {
                    Protocol::Events => subscriptions.clone().try_acquire_owned().ok(),
                    _ => None,
                };
                let admitted = place.is_some();
                let Some(place) = place.or_else(|| self.refusals.clone().try_acquire_owned().ok())
                else {
                    self.context.shared.counters.requests_refused.add(1);
                    return;
                };
                let visit = Visit { context, peer, key, counters, protocol, stream, _place: place };
                match (protocol, shared_place) {
                    _ if !admitted => self.visits.spawn(visit.refuse()),
                    (Protocol::Events, None) => self.visits.spawn(visit.refuse()),
                    (_, Some(shared_place)) => self.visits.spawn(visit.publish(shared_place)),
                    (_, None) => self.visits.spawn(visit.answer()),
                };
            }
        }
    }

    fn on_outcome(&mut self, outcome: Result<Outcome, JoinError>) {
        match outcome {
            Ok(Outcome::Done) => {}
            Ok(Outcome::Fault(peer)) => self.fault(&peer),
            Ok(Outcome::Silent(peer)) => {
                tracing::info!(%peer, "authority silent; its connection is closed");
                self.disconnect(peer);
            }
            Err(error) if error.is_cancelled() => {}
            Err(error) => tracing::error!(%error, "a network task failed; this is a bug"),
        }
    }

    /// Counts what a peer did wrong; a stranger that goes on is disconnected. An authority is not:
    /// without its blocks we would be worse off than with its faults.
    fn fault(&mut self, peer: &PeerId) {
        let Some(budget) = self.budgets.get_mut(peer) else { return };
        budget.counters.faults.add(1);
        let faults = budget.counters.faults.get();
        let limit = self.context.shared.limits.faults_max;
        if faults.is_multiple_of(limit.max(1)) && !self.authorities.contains_key(peer) {
            if budget.may_warn(Instant::now()) {
                tracing::warn!(peer = %budget.key, faults, "a faulty peer is disconnected");
            }
            self.disconnect(*peer);
        }
    }

    fn disconnect(&mut self, peer: PeerId) {
        // An error means that it is not connected any more.
        let _ = self.swarm.disconnect_peer_id(peer);
    }

    /// Forgets what need not be remembered about peers that have left.
    fn prune(&mut self) {
        let now = Instant::now();
        let authorities = &self.authorities;
        let shared = &self.context.shared;
        self.budgets.retain(|peer, budget| {
            let forget = budget.is_forgettable(now) && !authorities.contains_key(peer);
            if forget {
                lock(&shared.peers).remove(&budget.key);
                lock(&shared.departed).add(budget.counters.snapshot());
            }
            !forget
        });
    }

    /// Lets queued frames leave, then closes the connections; both within the shutdown timeout.
    async fn drain(&mut self) {
        let shared = self.context.shared.clone();
        shared.stopping.send_replace(true);
        // Closing the queues makes every link write what it has, and end.
        lock(&shared.routes).clear();
        let (swarm, links) = (&mut self.swarm, &mut self.links);
        let drained = async {
            while !links.is_empty() {
                tokio::select! {
                    _ = swarm.select_next_some() => {}
                    _ = links.join_next() => {}
                }
            }
            let peers: Vec<_> = swarm.connected_peers().copied().collect();
            for peer in peers {
                let _ = swarm.disconnect_peer_id(peer);
            }
            while swarm.network_info().num_peers() > 0 {
                swarm.select_next_some().await;
            }
        };
        if tokio::time::timeout(shared.limits.shutdown_timeout, drained).await.is_err() {
            tracing::warn!("a peer did not take the last frames in time");
        }
    }
}
