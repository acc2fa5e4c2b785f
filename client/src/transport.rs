//! The libp2p machinery that both sides of the network share.
//!
//! [`swarm`] builds TCP + Noise + Yamux and QUIC for an identity; [`streams`] opens and accepts
//! streams; [`redial`] decides when a lost peer is dialled again. What is sent is described in
//! [`crate::wire`]; who may send it is decided by the node.

mod names;
pub mod redial;
pub mod streams;

use std::num::NonZeroU8;
use std::time::Duration;

use libp2p::identity::Keypair;
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::{Multiaddr, PeerId, Swarm, SwarmBuilder, noise, tcp, yamux};

/// Streams a peer may have open on one connection. An authority needs two for blocks and one per
/// fetch in flight; the bound keeps a peer's receive windows (256 KiB each) within 16 MiB.
const STREAMS_PER_CONNECTION_MAX: usize = 64;
/// Bytes QUIC may buffer for one connection before the peer has to wait.
const QUIC_CONNECTION_BYTES_MAX: u32 = 8 << 20;
/// Bytes QUIC may buffer for one stream.
const QUIC_STREAM_BYTES_MAX: u32 = 4 << 20;

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
    let multiplexer = || {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(STREAMS_PER_CONNECTION_MAX);
        config
    };
    let builder = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, multiplexer)
        .map_err(|error| TransportError(error.to_string()))?
        .with_quic_config(|mut config| {
            config.max_concurrent_stream_limit = STREAMS_PER_CONNECTION_MAX as u32;
            config.max_stream_data = QUIC_STREAM_BYTES_MAX;
            config.max_connection_data = QUIC_CONNECTION_BYTES_MAX;
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
