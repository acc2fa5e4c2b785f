//! The small types everything else is made of: indices, rounds, times and digests.
//!
//! There is no `From<u64>`: a round never becomes a time by accident.

use core::{fmt, ops::RangeInclusive};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Declares a fixed number of bytes with a meaning: raw in binary formats, hexadecimal for people.
macro_rules! bytes_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $crate::types::write_hex(f, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $crate::types::write_hex(f, &self.0[..4])
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::types::serialize_bytes32(&self.0, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::types::deserialize_bytes32(deserializer).map(Self)
            }
        }
    };
}
pub(crate) use bytes_type;

pub(crate) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

pub(crate) fn serialize_bytes32<S: Serializer>(
    bytes: &[u8; 32],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.serialize_str(&hex::encode(bytes))
    } else {
        bytes.serialize(serializer)
    }
}

pub(crate) fn deserialize_bytes32<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<[u8; 32], D::Error> {
    if deserializer.is_human_readable() {
        let text = alloc::string::String::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(&text, &mut bytes).map_err(D::Error::custom)?;
        Ok(bytes)
    } else {
        <[u8; 32]>::deserialize(deserializer)
    }
}

bytes_type!(
    /// Names a network: the hash of its genesis file.
    NetworkId
);
bytes_type!(
    /// Binds a block or a vote to one network, epoch and committee (§1.1).
    Domain
);
bytes_type!(
    /// BLAKE3 of a block's header without its signature (§1.2).
    BlockDigest
);
bytes_type!(
    /// BLAKE3 of a commit: domain, index, previous digest, leader, time and block references (§4.3).
    CommitDigest
);

impl CommitDigest {
    /// What the first commit of a network names as its predecessor.
    pub const NONE: Self = Self([0; 32]);
}

/// An authority's position in its committee, from 0.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct AuthorityIndex(pub u16);

impl AuthorityIndex {
    /// The index as a position in a slice of the committee's length.
    pub fn position(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for AuthorityIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A round of the DAG. Round 0 holds the implicit genesis blocks.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Round(pub u64);

impl Round {
    /// The round of the genesis blocks.
    pub const GENESIS: Self = Self(0);

    /// The round `rounds` later; stays at the last round there is.
    pub fn plus(self, rounds: u64) -> Self {
        Self(self.0.saturating_add(rounds))
    }

    /// The round `rounds` earlier; stays at genesis.
    pub fn minus(self, rounds: u64) -> Self {
        Self(self.0.saturating_sub(rounds))
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Wall-clock time in milliseconds since the Unix epoch, as an authority states it in a block.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Timestamp(pub u64);

/// Monotonic time in milliseconds since any fixed start; for pacing only, never in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(pub u64);

impl Instant {
    /// This instant, `milliseconds` later.
    pub fn plus_ms(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }
}

/// Names a block: where it is in the DAG, and its digest. Ordered by (round, author, digest).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BlockRef {
    /// The round the block was made for.
    pub round: Round,
    /// Who signed it.
    pub author: AuthorityIndex,
    /// The digest of its header.
    pub digest: BlockDigest,
}

impl BlockRef {
    /// Spans every reference of a round.
    pub(crate) fn of_round(round: Round) -> RangeInclusive<Self> {
        let (first, last) = (AuthorityIndex(0), AuthorityIndex(u16::MAX));
        Self { round, author: first, digest: BlockDigest([0; 32]) }..=Self {
            round,
            author: last,
            digest: BlockDigest([0xff; 32]),
        }
    }

    /// Spans every reference of an author in a round: one, unless the author equivocates.
    pub(crate) fn of_slot(round: Round, author: AuthorityIndex) -> RangeInclusive<Self> {
        Self { round, author, digest: BlockDigest([0; 32]) }..=Self {
            round,
            author,
            digest: BlockDigest([0xff; 32]),
        }
    }
}

impl fmt::Debug for BlockRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}#{:?}", self.author, self.round, self.digest)
    }
}

impl fmt::Display for BlockRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
