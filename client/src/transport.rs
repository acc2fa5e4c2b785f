//! The libp2p machinery that both sides of the network share.
//!
//! [`swarm`] builds TCP + Noise + Yamux and QUIC for an identity; [`streams`] opens and accepts
//! streams; [`redial`] decides when a lost peer is dialled again. What is sent is described in
//! [`crate::wire`]; who may send it is decided by the node.

mod multiplexer;
mod names;
pub mod redial;
pub mod streams;

use std::num::NonZeroU8;
use std::time::Duration;

use libp2p::identity::Keypair;
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId, Swarm, SwarmBuilder, noise, tcp};

use self::multiplexer::Multiplexing;

/// Streams a peer may have open on one connection. An authority needs two for blocks and one per
/// fetch in flight; the bound keeps a peer's receive windows (256 KiB each) within 16 MiB.
const STREAMS_PER_CONNECTION_MAX: usize = 64;
/// Bytes QUIC may buffer for one connection before the peer has to wait.
const QUIC_CONNECTION_BYTES_MAX: u32 = 8 << 20;
/// Bytes QUIC may buffer for one stream.
const QUIC_STREAM_BYTES_MAX: u32 = 4 << 20;
/// How often either side of a QUIC connection says that it is there.
const QUIC_SIGN_OF_LIFE: Duration = Duration::from_secs(1);
/// Silence after which a QUIC connection is dead. A killed process does not say goodbye, and who
/// restarts in its place knows nothing of its connections: until the other side has noticed,
/// nothing passes between the two. (TCP hears of it from the operating system at once.)
const QUIC_SILENCE_MAX: Duration = Duration::from_secs(4);

/// The transport could not be set up for this identity.
#[derive(Debug, thiserror::Error)]
#[error("the network's encryption could not be set up: {0}")]
pub struct TransportError(String);

/// Builds a swarm that speaks TCP (with Noise and Yamux) and QUIC as `keypair`.
///
/// It runs on tokio and does nothing until it is polled. A connection without open streams is
/// closed after `idle_timeout`, unless the behaviour wants to keep it.
///
/// # Errors
/// [`TransportError`] when the identity cannot be used for Noise.
pub fn swarm<B: NetworkBehaviour>(
    keypair: Keypair,
    behaviour: B,
    idle_timeout: Duration,
) -> Result<Swarm<B>, TransportError> {
    let builder = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, Multiplexing::new)
        .map_err(|error| TransportError(error.to_string()))?
        .with_quic_config(|mut config| {
            config.max_concurrent_stream_limit = STREAMS_PER_CONNECTION_MAX as u32;
            config.max_stream_data = QUIC_STREAM_BYTES_MAX;
            config.max_connection_data = QUIC_CONNECTION_BYTES_MAX;
            config.keep_alive_interval = QUIC_SIGN_OF_LIFE;
            config.max_idle_timeout = QUIC_SILENCE_MAX.as_millis() as u32;
            config
        })
        .with_behaviour(|_| behaviour)
        .map_err(|error| TransportError(error.to_string()))?;
    Ok(builder
        .with_swarm_config(|config| {
            config
                .with_idle_connection_timeout(idle_timeout)
                .with_max_negotiating_inbound_streams(STREAMS_PER_CONNECTION_MAX)
        })
        .build())
}

/// How to dial `peer`: its addresses in order of preference, from a fresh local port.
///
/// A fresh port, because redialling from the listening port meets the remains of the last
/// connection between the same two ports.
#[must_use]
pub fn dial_options(peer: PeerId, addresses: &[Multiaddr]) -> DialOpts {
    DialOpts::peer_id(peer)
        .addresses(addresses.to_vec())
        .condition(PeerCondition::DisconnectedAndNotDialing)
        .override_dial_concurrency_factor(NonZeroU8::MIN)
        .allocate_new_port()
        .build()
}

#[cfg(test)]
mod tests {
    use super::streams::Streams;
    use super::*;
    use crate::wire::{Protocols, keypair};
    use libp2p::futures::StreamExt;
    use libp2p::swarm::SwarmEvent;
    use tokio::runtime::{Builder, Runtime};
    use tokio::time::timeout;

    const LONGEST: Duration = Duration::from_secs(60);

    fn side(seed: u8) -> (Runtime, Swarm<Streams>) {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let streams = Streams::client(Protocols::new(&[0; 32]));
        let swarm = swarm(keypair(&[seed; 32]), streams, LONGEST).unwrap();
        (runtime, swarm)
    }

    /// Runs a side until it reports what is waited for.
    async fn event<B: NetworkBehaviour, T>(
        swarm: &mut Swarm<B>,
        mut wanted: impl FnMut(SwarmEvent<B::ToSwarm>) -> Option<T>,
    ) -> T {
        let wait = async {
            loop {
                if let Some(found) = wanted(swarm.select_next_some().await) {
                    return found;
                }
            }
        };
        timeout(LONGEST, wait).await.unwrap()
    }

    #[test]
    fn a_quic_peer_that_falls_silent_is_noticed_before_its_successor_gives_up() {
        let (listener_runtime, mut listener) = side(1);
        let address = listener_runtime.block_on(async {
            listener.listen_on("/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()).unwrap();
            event(&mut listener, |event| match event {
                SwarmEvent::NewListenAddr { address, .. } => Some(address),
                _ => None,
            })
            .await
        });
        let (dialler_runtime, mut dialler) = side(2);
        let peer = *listener.local_peer_id();
        let connected = std::thread::spawn(move || {
            listener_runtime.block_on(event(&mut listener, |event| {
                matches!(event, SwarmEvent::ConnectionEstablished { .. }).then_some(())
            }));
            // From here on nobody runs it: its socket is open, and silent.
            (listener_runtime, listener)
        });
        dialler_runtime.block_on(async {
            dialler.dial(dial_options(peer, &[address])).unwrap();
            event(&mut dialler, |event| {
                matches!(event, SwarmEvent::ConnectionEstablished { .. }).then_some(())
            })
            .await;
        });
        let _silent = connected.join().unwrap();
        dialler_runtime.block_on(async {
            let closed = event(&mut dialler, |event| {
                matches!(event, SwarmEvent::ConnectionClosed { .. }).then_some(())
            });
            // A node's requests, and with them its clients' patience, end after ten seconds.
            let noticed = timeout(2 * QUIC_SILENCE_MAX, closed).await;
            assert!(noticed.is_ok(), "not noticed within {:?}", 2 * QUIC_SILENCE_MAX);
        });
    }
}
