//! Nodes and strangers for the tests.

use std::net::TcpListener;
use std::time::Duration;

use kerbholz_client::transport;
use kerbholz_client::transport::streams::{OpenError, Streams};
use kerbholz_client::wire::{Protocol, Protocols, keypair};
use libp2p::futures::StreamExt;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, Stream};
use tokio::sync::{mpsc, oneshot};

use crate::network::*;

pub(super) const NETWORK: [u8; 32] = [7; 32];
/// Far above what anything takes on loopback: reaching it is a failure, not a measurement.
const DEADLINE: Duration = Duration::from_secs(30);

/// Waits, but not for ever.
pub(super) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {DEADLINE:?} for {what}"),
    }
}

/// Polls a condition that no event announces.
pub(super) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    within(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// A committee whose addresses are fixed, so that its members can be restarted on the same port.
pub(super) struct Committee {
    pub(super) seeds: Vec<[u8; 32]>,
    pub(super) authorities: Vec<Authority>,
    pub(super) limits: NetworkLimits,
    pub(super) delays: RedialDelays,
}

pub(super) struct Node {
    pub(super) key: PeerKey,
    pub(super) handle: NetworkHandle,
    pub(super) events: NetworkEvents,
}

impl Committee {
    pub(super) fn new(size: u8) -> Self {
        // All ports are held until the last one is known, so they differ.
        let listeners: Vec<_> =
            (0..size).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let seeds: Vec<_> = (1..=size).map(|index| [index; 32]).collect();
        let authorities = seeds
            .iter()
            .zip(&listeners)
            .map(|(seed, listener)| Authority {
                key: PeerKey::of_seed(seed),
                addresses: vec![tcp(listener.local_addr().unwrap().port())],
            })
            .collect();
        // Quickly again, but who is to be dialled does not dial itself, however slow this machine:
        // both at once would close each other's connections.
        let delays = RedialDelays { first: Duration::from_millis(10), longest: DEADLINE };
        Self { seeds, authorities, limits: NetworkLimits::default(), delays }
    }

    pub(super) fn key(&self, index: usize) -> PeerKey {
        self.authorities[index].key
    }

    pub(super) fn config(&self, index: usize) -> NetworkConfig {
        NetworkConfig {
            limits: self.limits,
            delays: self.delays,
            ..NetworkConfig::new(
                self.seeds[index],
                NETWORK,
                self.authorities[index].addresses.clone(),
                self.authorities.clone(),
            )
        }
    }

    pub(super) async fn start(&self, index: usize) -> Node {
        let (handle, events) = Network::start(self.config(index)).await.unwrap();
        Node { key: self.key(index), handle, events }
    }

    /// Starts all, and waits until every pair is up in both directions.
    pub(super) async fn mesh(&self) -> Vec<Node> {
        let mut nodes = Vec::new();
        for index in 0..self.seeds.len() {
            nodes.push(self.start(index).await);
        }
        for node in &mut nodes {
            for _ in 1..self.seeds.len() {
                node.up().await;
            }
        }
        nodes
    }
}

impl Node {
    pub(super) async fn event(&mut self) -> NetworkEvent {
        within("an event", self.events.recv()).await.expect("the network runs")
    }

    pub(super) async fn up(&mut self) -> (PeerKey, Vec<u8>) {
        match self.event().await {
            NetworkEvent::PeerUp { peer, resume } => (peer, resume),
            event => panic!("{event:?} instead of PeerUp"),
        }
    }

    pub(super) async fn down(&mut self) -> PeerKey {
        match self.event().await {
            NetworkEvent::PeerDown { peer } => peer,
            event => panic!("{event:?} instead of PeerDown"),
        }
    }

    /// The next frame; the own streams may come up before or after it.
    pub(super) async fn frame(&mut self) -> (PeerKey, Vec<u8>) {
        loop {
            match self.event().await {
                NetworkEvent::Frame { from, bytes } => return (from, bytes),
                NetworkEvent::PeerUp { .. } => {}
                event => panic!("{event:?} instead of Frame"),
            }
        }
    }

    pub(super) async fn request(&mut self) -> (PeerKey, Vec<u8>, Reply) {
        match self.event().await {
            NetworkEvent::Api { from, bytes, reply }
            | NetworkEvent::Fetch { from, bytes, reply } => (from, bytes, reply),
            event => panic!("{event:?} instead of a request"),
        }
    }

    pub(super) async fn subscription(&mut self) -> (PeerKey, Vec<u8>, EventSink) {
        match self.event().await {
            NetworkEvent::Subscribe { from, bytes, sink } => (from, bytes, sink),
            event => panic!("{event:?} instead of Subscribe"),
        }
    }

    pub(super) fn send(&self, peer: PeerKey, frame: &[u8]) {
        self.handle.send(peer, frame.into()).unwrap();
    }

    pub(super) fn address(&self) -> Multiaddr {
        self.handle.addresses()[0].clone()
    }

    /// Ends as a crash does: nothing is sent any more. Returns when the port is free.
    pub(super) async fn crash(self) {
        drop(self.events);
        within("the end", self.handle.shutdown()).await;
    }
}

pub(super) fn tcp(port: u16) -> Multiaddr {
    format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
}

/// A peer that speaks the protocols but follows no rules.
pub(super) struct Stranger {
    pub(super) key: PeerKey,
    open: mpsc::Sender<(Protocol, oneshot::Sender<Result<Stream, OpenError>>)>,
    pub(super) closed: oneshot::Receiver<()>,
}

impl Stranger {
    pub(super) async fn connect(seed: [u8; 32], target: PeerKey, address: Multiaddr) -> Self {
        let streams = Streams::client(Protocols::new(&NETWORK));
        let mut swarm = transport::swarm(keypair(&seed), streams, DEADLINE).unwrap();
        let peer = target.to_peer_id().unwrap();
        swarm.dial(transport::dial_options(peer, &[address])).unwrap();
        let connection = within("a connection", async {
            loop {
                match swarm.select_next_some().await {
                    SwarmEvent::ConnectionEstablished { connection_id, .. } => break connection_id,
                    SwarmEvent::OutgoingConnectionError { error, .. } => panic!("{error}"),
                    _ => {}
                }
            }
        })
        .await;
        let (open, mut wanted) =
            mpsc::channel::<(Protocol, oneshot::Sender<Result<Stream, OpenError>>)>(8);
        let (closed_sender, closed) = oneshot::channel();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    event = swarm.select_next_some() => {
                        if matches!(event, SwarmEvent::ConnectionClosed { .. }) {
                            break;
                        }
                    }
                    wish = wanted.recv() => match wish {
                        Some((protocol, reply)) => {
                            swarm.behaviour_mut().open(peer, connection, protocol, reply);
                        }
                        None => return,
                    }
                }
            }
            let _ = closed_sender.send(());
        });
        Self { key: PeerKey::of_seed(&seed), open, closed }
    }

    pub(super) async fn open(&self, protocol: Protocol) -> Result<Stream, OpenError> {
        let (reply, opened) = oneshot::channel();
        self.open.send((protocol, reply)).await.map_err(|_| OpenError::Gone)?;
        within("a stream", opened).await.unwrap_or(Err(OpenError::Gone))
    }
}
