//! The contract of the network protocols: names, limits, frames, identities.
//!
//! Everything here is about bytes on a stream; what the bytes mean is decided by those who send and
//! receive them. Both sides of the network use this module, so a limit or a name exists once.
//!
//! | protocol | opened by | on the stream |
//! | --- | --- | --- |
//! | `/kerbholz/<network>/blocks/2` | an authority, for its own blocks | ← hello, → frame, → frame, … |
//! | `/kerbholz/<network>/fetch/2` | an authority | → request, ← answer |
//! | `/kerbholz/<network>/api/1` | anyone | → request, ← answer |
//! | `/kerbholz/<network>/events/1` | anyone | → resume position, ← event, ← event, … |
//!
//! `<network>` is the first eight bytes of the network id in hexadecimal: peers of another network
//! share no protocol with us and notice it while they negotiate the stream.
//!
//! Read on: [`frame`] for how bytes are delimited, [`exchange`] for requests and answers,
//! [`crate::transport`] for how streams are opened.

pub mod exchange;
pub mod frame;
#[cfg(test)]
mod tests;

use core::fmt;

use libp2p::identity::{Keypair, PublicKey, ed25519};
use libp2p::{Multiaddr, PeerId, StreamProtocol};

/// Bytes of a network id that appear in the protocol names.
const NETWORK_PREFIX_BYTES: usize = 8;

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// The long-lived, ordered stream of one authority's own blocks.
    Blocks,
    /// One request of an authority for what it misses, and the answer.
    Fetch,
    /// One request of a client, and the answer.
    Api,
    /// A subscription to events.
    Events,
}

impl Protocol {
    /// All protocols, in the order of their declaration.
    pub const ALL: [Self; 4] = [Self::Blocks, Self::Fetch, Self::Api, Self::Events];

    /// The longest frame the opener of the stream may send, in bytes.
    ///
    /// It is checked against the length prefix, before anything is allocated.
    #[must_use]
    pub const fn request_max(self) -> usize {
        match self {
            Self::Blocks => 1 << 20,
            Self::Fetch => 16 << 10,
            Self::Api => 128 << 10,
            Self::Events => 4 << 10,
        }
    }

    /// The longest payload the acceptor of the stream may send in one frame, in bytes; the status
    /// byte before it is not counted.
    #[must_use]
    pub const fn answer_max(self) -> usize {
        match self {
            Self::Blocks => 1 << 10,
            // As many certified commits as one answer may have, and room for what frames them.
            // Blocks are at most 4 MiB.
            Self::Fetch => (8 << 20) + (64 << 10),
            Self::Api => 4 << 20,
            Self::Events => 1 << 20,
        }
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::Blocks => "blocks/2",
            Self::Fetch => "fetch/2",
            Self::Api => "api/1",
            Self::Events => "events/1",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.suffix())
    }
}

/// The protocol names of one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protocols {
    names: [StreamProtocol; 4],
}

impl Protocols {
    /// The names for the network with this id.
    #[must_use]
    pub fn new(network: &[u8; 32]) -> Self {
        let prefix = hex::encode(&network[..NETWORK_PREFIX_BYTES]);
        let names = Protocol::ALL.map(|protocol| {
            let name = format!("/kerbholz/{prefix}/{}", protocol.suffix());
            #[expect(clippy::expect_used, reason = "the name starts with a slash, always")]
            StreamProtocol::try_from_owned(name).expect("a protocol name starts with a slash")
        });
        Self { names }
    }

    /// The name under which `protocol` is negotiated.
    #[must_use]
    pub fn name(&self, protocol: Protocol) -> StreamProtocol {
        self.names[protocol as usize].clone()
    }

    /// All names, for offering them to a peer.
    #[must_use]
    pub fn names(&self) -> Vec<StreamProtocol> {
        self.names.to_vec()
    }

    /// The protocol a negotiated name stands for.
    #[must_use]
    pub fn find(&self, name: &StreamProtocol) -> Option<Protocol> {
        Protocol::ALL.into_iter().find(|protocol| &self.names[*protocol as usize] == name)
    }
}

/// The ed25519 public key of a member as the network's identity of a peer.
///
/// A connection proves possession of the key (Noise over TCP, TLS 1.3 over QUIC), so a `PeerKey`
/// that comes out of this layer is authenticated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey(pub [u8; 32]);

/// Why a key or peer id could not be converted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The 32 bytes are not a point of the curve.
    #[error("{0} is not an ed25519 public key; check the genesis file or the configuration")]
    NotAKey(PeerKey),
    /// The peer uses a key type other than ed25519, or an id that does not contain its key.
    #[error("the peer id {0} does not contain an ed25519 key; members of Kerbholz always have one")]
    NotEd25519(PeerId),
}

impl PeerKey {
    /// The key that belongs to a signing seed.
    #[must_use]
    pub fn of_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519::Keypair::from(secret_key(seed)).public().to_bytes())
    }

    /// The libp2p peer id of this key (the key itself, in libp2p's encoding).
    ///
    /// # Errors
    /// [`IdentityError::NotAKey`] when the bytes are not a point of the curve.
    pub fn to_peer_id(self) -> Result<PeerId, IdentityError> {
        let key = ed25519::PublicKey::try_from_bytes(&self.0)
            .map_err(|_| IdentityError::NotAKey(self))?;
        Ok(PublicKey::from(key).to_peer_id())
    }

    /// The key inside a libp2p peer id.
    ///
    /// # Errors
    /// [`IdentityError::NotEd25519`] for any other kind of identity.
    pub fn from_peer_id(peer: &PeerId) -> Result<Self, IdentityError> {
        // Identity multihash (code 0): the digest is the key itself (libp2p peer-id specification).
        let hash = peer.as_ref();
        let key = (hash.code() == 0)
            .then(|| PublicKey::try_decode_protobuf(hash.digest()).ok())
            .flatten()
            .and_then(|key| key.try_into_ed25519().ok())
            .ok_or(IdentityError::NotEd25519(*peer))?;
        Ok(Self(key.to_bytes()))
    }
}

impl fmt::Display for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PeerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerKey({})", hex::encode(&self.0[..4]))
    }
}

/// The libp2p key pair of a signing seed: the member's key *is* the peer's identity.
#[must_use]
pub fn keypair(seed: &[u8; 32]) -> Keypair {
    Keypair::from(ed25519::Keypair::from(secret_key(seed)))
}

fn secret_key(seed: &[u8; 32]) -> ed25519::SecretKey {
    // The conversion wipes what it is given; the caller keeps its seed.
    let mut seed = *seed;
    #[expect(clippy::expect_used, reason = "any 32 bytes are an ed25519 seed (RFC 8032, 5.1.5)")]
    ed25519::SecretKey::try_from_bytes(&mut seed).expect("32 bytes are a seed")
}

/// An authority and where to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Its member key.
    pub key: PeerKey,
    /// Its addresses, most preferred first, e.g. `/ip4/192.0.2.1/tcp/7001`,
    /// `/ip4/192.0.2.1/udp/7001/quic-v1` or `/dns4/press.example.org/tcp/7001`.
    pub addresses: Vec<Multiaddr>,
}
