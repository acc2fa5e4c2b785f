//! A hostile authority: a real key and the node's own network layer in the hands of somebody who wants
//! the others to run out of memory.
//!
//! It makes proper blocks of the rounds as they pass, or nobody would listen to it for long: for a
//! while one of each, which it shows to one peer only, then three of each. Between them, as fast as
//! its peers read:
//!
//! * **far future**: blocks of rounds that nobody will reach;
//! * **fabricated parents**: blocks near enough to be kept, on blocks that do not exist;
//! * **bombs**: the tip of a long chain of such blocks; who asks for the block below gets it, and
//!   finds that the next one is missing;
//! * **noise**: bytes that are no block.
//!
//! `cargo run --release -p tests --bin hostile` sets it on a network and measures the others.
#![expect(clippy::unwrap_used, reason = "what fails here fails a measurement, by panicking")]

mod forge;

pub use forge::Trick;

use crate::hostile::forge::Forge;
use kerbholz_client::Network;
use kerbholz_client::ledger::keys::Keypair;
use kerbholz_client::network::committee;
use kerbholz_consensus::{Committee, PublicKey, UnverifiedBlock};
use kerbholz_node::fetch::{FetchAnswer, FetchRequest};
use kerbholz_node::network::{
    Authority, Network as Libp2p, NetworkConfig, NetworkEvent, NetworkEvents, NetworkHandle,
    PeerKey,
};
use kerbholz_node::replica::Hello;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// What may wait in the queue to one peer, in bytes: enough to keep it busy, too little to overflow.
const QUEUED_MAX: u64 = 3 << 20;
/// How many frames go out before it looks again at what came in.
const BURST: usize = 64;
/// How long it waits for something to come in when no peer reads on.
const PAUSE: Duration = Duration::from_millis(1);
/// How long it makes one block of each round, and then three.
const PHASE: Duration = Duration::from_secs(15);
/// Most bytes of an answer to a fetch.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// What it did, by trick: how often.
pub type Deeds = BTreeMap<Trick, u64>;

/// The hostile authority.
pub struct Hostile {
    committee: Committee,
    forge: Forge,
    handle: NetworkHandle,
    events: NetworkEvents,
    /// To each peer that listens: bytes queued since the network began, less than what it counts.
    peers: BTreeMap<PeerKey, u64>,
    deeds: Deeds,
}

impl Hostile {
    /// Takes its place in the network. `network` says where the others are, `listen` where it is.
    pub async fn start(network: &Network, key: &Keypair, listen: &[String]) -> Self {
        let committee = committee(network.genesis()).unwrap();
        let own = committee.index_of(&PublicKey(*key.public().as_bytes())).unwrap();
        let authorities = network.genesis().authorities.iter().map(|authority| Authority {
            key: PeerKey(*authority.key.as_bytes()),
            addresses: network.addresses(&authority.name).to_vec(),
        });
        let listen = listen.iter().map(|address| address.parse().unwrap()).collect();
        let authorities: Vec<Authority> = authorities.collect();
        // To everybody it says that it has nothing yet.
        let hello = |authority: &Authority| (authority.key, Hello::default().encode());
        let resume = authorities.iter().map(hello).collect();
        let settings = NetworkConfig {
            resume,
            ..NetworkConfig::new(key.seed(), *network.id().as_bytes(), listen, authorities)
        };
        let (handle, events) = Libp2p::start(settings).await.unwrap();
        let forge = Forge::new(committee.clone(), own, &key.seed());
        Self { committee, forge, handle, events, peers: BTreeMap::new(), deeds: Deeds::new() }
    }

    /// Is hostile until told to stop.
    pub async fn run(mut self, stop: watch::Receiver<bool>) -> Deeds {
        let begin = Instant::now();
        while !*stop.borrow() {
            self.forge.set_double(begin.elapsed().as_secs() / PHASE.as_secs() % 2 == 1);
            let until = Instant::now() + PAUSE;
            let mut seen = 0;
            while let Ok(Some(event)) = timeout_at(until, self.events.recv()).await {
                self.see(event);
                seen += 1;
                if seen >= BURST {
                    break;
                }
            }
            self.act();
            // The stack below has to run, too.
            tokio::task::yield_now().await;
        }
        self.handle.shutdown().await;
        self.deeds
    }

    fn see(&mut self, event: NetworkEvent) {
        match event {
            NetworkEvent::PeerUp { peer, .. } => {
                let sent = self.sent(&peer);
                self.peers.insert(peer, sent);
            }
            NetworkEvent::PeerDown { peer } => {
                self.peers.remove(&peer);
            }
            NetworkEvent::Frame { bytes, .. } => {
                let block = UnverifiedBlock::decode(&bytes);
                if let Ok(block) = block.and_then(|block| block.verify(&self.committee)) {
                    self.forge.note(&block);
                }
            }
            NetworkEvent::Fetch { bytes, reply, .. } => {
                let Ok(FetchRequest::Blocks(wanted)) = FetchRequest::decode(&bytes) else { return };
                let mut blocks = Vec::new();
                let mut size = 0;
                for bytes in wanted.iter().filter_map(|reference| self.forge.block(reference)) {
                    size += bytes.len();
                    if size <= ANSWER_BYTES_MAX {
                        blocks.push(bytes.to_vec());
                    }
                }
                *self.deeds.entry(Trick::Answer).or_default() += blocks.len() as u64;
                // Who asked may be gone.
                let _ = reply.send(FetchAnswer::Blocks(blocks).encode());
            }
            // It serves nobody.
            NetworkEvent::Api { .. } | NetworkEvent::Subscribe { .. } => {}
        }
    }

    /// Sends each peer what it takes, never the same to two of them.
    fn act(&mut self) {
        let peers: Vec<PeerKey> = self.peers.keys().copied().collect();
        for peer in peers {
            let sent = self.sent(&peer);
            for _ in 0..BURST {
                let queued = self.peers.get(&peer).copied().unwrap_or_default();
                if queued.saturating_sub(sent) > QUEUED_MAX {
                    break;
                }
                let (trick, bytes) = self.forge.next();
                if self.handle.send(peer, Arc::from(bytes.as_slice())).is_err() {
                    break;
                }
                *self.deeds.entry(trick).or_default() += 1;
                self.peers.insert(peer, queued.max(sent) + bytes.len() as u64 + 4);
            }
        }
    }

    fn sent(&self, peer: &PeerKey) -> u64 {
        self.handle.stats().peers.get(peer).map(|peer| peer.bytes_sent).unwrap_or_default()
    }
}
