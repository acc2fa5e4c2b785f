//! The task behind a connection: it owns the swarm, dials, and opens streams on request.

use std::collections::BTreeMap;
use std::time::Duration;

use libp2p::futures::StreamExt;
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, TransportError, multiaddr};
use tokio::sync::{mpsc, watch};

use super::error::ConnectionError;
use crate::transport;
use crate::transport::redial::{Redial, RedialDelays};
use crate::transport::streams::{Inbound, OpenReply, Streams};
use crate::wire::{Authority, PeerKey, Protocol, Protocols, keypair};

/// Streams wanted at once; whoever comes later waits a moment.
const COMMANDS_MAX: usize = 16;
/// The behaviour keeps its connections, so this is never reached.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// What requests ask of the task.
pub(super) enum Command {
    Open { authority: usize, connection: ConnectionId, protocol: Protocol, reply: OpenReply },
    Close { connection: ConnectionId },
}

/// What is known about the connection to one authority.
#[derive(Clone, Debug, Default)]
pub(super) struct LinkState {
    pub(super) connection: Option<ConnectionId>,
    /// Why it is not connected, as far as known.
    pub(super) problem: Option<String>,
}

pub(super) struct Task {
    swarm: Swarm<Streams>,
    redial: Redial,
    commands: mpsc::Receiver<Command>,
    links: watch::Sender<Vec<LinkState>>,
    peers: Vec<PeerId>,
    indices: BTreeMap<PeerId, usize>,
}

type Channels = (mpsc::Sender<Command>, watch::Receiver<Vec<LinkState>>);

impl Task {
    pub(super) fn new(
        seed: &[u8; 32],
        network: &[u8; 32],
        authorities: Vec<Authority>,
        delays: RedialDelays,
    ) -> Result<(Self, Channels), ConnectionError> {
        let streams = Streams::client(Protocols::new(network));
        let swarm = transport::swarm(keypair(seed), streams, IDLE_TIMEOUT)?;
        let mut targets = Vec::new();
        for authority in authorities {
            targets.push((authority.key.to_peer_id()?, authority.addresses));
        }
        let peers: Vec<_> = targets.iter().map(|(peer, _)| *peer).collect();
        let indices = peers.iter().enumerate().map(|(index, peer)| (*peer, index)).collect();
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let (links, watched) = watch::channel(vec![LinkState::default(); peers.len()]);
        let redial = Redial::new(targets, delays);
        Ok((Self { swarm, redial, commands, links, peers, indices }, (sender, watched)))
    }

    /// Runs until nobody can ask for anything any more.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm_event(event),
                (peer, addresses) = self.redial.next() => self.dial(peer, &addresses),
                command = self.commands.recv() => match command {
                    Some(Command::Open { authority, connection, protocol, reply }) => {
                        let peer = self.peers[authority];
                        self.swarm.behaviour_mut().open(peer, connection, protocol, reply);
                    }
                    Some(Command::Close { connection }) => {
                        self.swarm.close_connection(connection);
                    }
                    None => return,
                },
            }
        }
    }

    fn on_swarm_event(&mut self, event: SwarmEvent<Inbound>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, .. } => {
                self.redial.connected(&peer_id);
                self.update(&peer_id, |link| {
                    *link = LinkState { connection: Some(connection_id), problem: None };
                });
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                let problem = cause.map_or_else(|| "closed".to_owned(), |cause| cause.to_string());
                self.update(&peer_id, |link| {
                    if link.connection == Some(connection_id) {
                        *link = LinkState { connection: None, problem: Some(problem) };
                    }
                });
                self.redial.lost(&peer_id);
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), error, .. } => {
                self.not_reached(&peer, &error);
            }
            _ => {}
        }
    }

    fn dial(&mut self, peer: PeerId, addresses: &[Multiaddr]) {
        match self.swarm.dial(transport::dial_options(peer, addresses)) {
            // The condition is false when we are connected or about to be.
            Ok(()) | Err(DialError::DialPeerConditionFalse(_)) => {}
            Err(error) => self.not_reached(&peer, &error),
        }
    }

    fn not_reached(&mut self, peer: &PeerId, error: &DialError) {
        tracing::debug!(%peer, %error, "authority not reached");
        let problem = describe(error);
        self.update(peer, |link| link.problem = Some(problem));
        self.redial.lost(peer);
    }

    fn update(&self, peer: &PeerId, change: impl FnOnce(&mut LinkState)) {
        if let Some(index) = self.indices.get(peer) {
            self.links.send_modify(|links| change(&mut links[*index]));
        }
    }
}

/// The error in words for a user: libp2p's spans several lines and names its internals.
fn describe(error: &DialError) -> String {
    match error {
        DialError::WrongPeerId { obtained, address } => {
            let obtained = PeerKey::from_peer_id(obtained)
                .map_or_else(|_| obtained.to_string(), |key| key.to_string());
            let address = without_peer(address);
            format!("{address} answers as another identity, {obtained}; check the configured key")
        }
        DialError::LocalPeerId { address } => {
            let address = without_peer(address);
            format!("{address} is this member itself; use a key of its own for the client")
        }
        DialError::Transport(errors) => {
            let errors = errors.iter().map(|(address, error)| {
                let address = without_peer(address);
                match error {
                    TransportError::MultiaddrNotSupported(_) => {
                        format!("{address}: no such host, or an address of an unknown kind")
                    }
                    error => format!("{address}: {}", innermost(error).to_string().to_lowercase()),
                }
            });
            errors.collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    }
}

/// libp2p appends the expected peer id to what it dials; the key is named anyway.
fn without_peer(address: &Multiaddr) -> Multiaddr {
    address.iter().filter(|part| !matches!(part, multiaddr::Protocol::P2p(_))).collect()
}

fn innermost<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> &'a (dyn std::error::Error + 'static) {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}
