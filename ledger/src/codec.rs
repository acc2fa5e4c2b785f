//! Canonical bytes: the one place that knows which encoding the ledger uses.
//!
//! The encoding is bincode 2 (standard configuration: little endian, variable-length integers) over
//! serde. bincode alone is neither bounded nor canonical, so [`decode`] adds both: a limit on bytes
//! and memory, and the rule that bytes which would not re-encode to themselves are refused.
//! `docs/formats.md` describes the layouts; golden vectors in the tests hold them.

use alloc::vec::Vec;
use bincode::error::EncodeError;
use serde::{Serialize, de::DeserializeOwned};

/// Why bytes were not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More bytes than this kind of value may have.
    #[error("{actual} bytes, at most {limit} are allowed: send less, or split it")]
    TooLong {
        /// Bytes received.
        actual: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The bytes do not describe a value of the expected type.
    #[error("the bytes do not describe a value of the expected type: check version and encoding")]
    Malformed,
    /// The bytes describe a value, but not in its one canonical form.
    #[error("the bytes are not in canonical form: encode the value again before sending it")]
    NotCanonical,
}

/// Encodes a value to its canonical bytes.
///
/// Every type of this crate that is encoded consists of sequences, structures, enumerations and
/// integers, whose encoding cannot fail; a failure therefore yields no bytes, which no decoder
/// accepts.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    Encoder::default().encode(value).to_vec()
}

/// Encodes one value after the other in the same place: writing to a slice is much faster than to
/// a vector that may have to grow with every byte.
#[derive(Default)]
pub(crate) struct Encoder(Vec<u8>);

impl Encoder {
    /// With room for so many bytes; it takes more where it must.
    pub(crate) fn with_room(bytes: usize) -> Self {
        Self(alloc::vec![0; bytes])
    }

    /// The canonical bytes of a value, until the next one.
    pub(crate) fn encode<T: Serialize>(&mut self, value: &T) -> &[u8] {
        let end = self.write(0, value);
        self.0.get(..end).unwrap_or_default()
    }

    /// The hash of a value's canonical bytes, as [`crate::id::hash`] has it of one part, without
    /// copying that part.
    pub(crate) fn hash<T: Serialize>(&mut self, domain: &str, value: &T) -> [u8; 32] {
        const LENGTH: usize = size_of::<u64>();
        let name = LENGTH..LENGTH + domain.len();
        let start = name.end + LENGTH;
        let end = self.write(start, value);
        self.0[..name.start].copy_from_slice(&(domain.len() as u64).to_le_bytes());
        self.0[name.clone()].copy_from_slice(domain.as_bytes());
        self.0[name.end..start].copy_from_slice(&((end - start) as u64).to_le_bytes());
        *blake3::hash(&self.0[..end]).as_bytes()
    }

    /// Writes the canonical bytes of a value from there on, and says where they end.
    fn write<T: Serialize>(&mut self, start: usize, value: &T) -> usize {
        /// Nearly all rows and transactions are shorter.
        const ROOM: usize = 2048;
        let config = bincode::config::standard();
        if self.0.len() <= start {
            self.0.resize(start + ROOM, 0);
        }
        loop {
            match bincode::serde::encode_into_slice(value, &mut self.0[start..], config) {
                Ok(length) => return start + length,
                Err(EncodeError::UnexpectedEnd) => self.0.resize(2 * self.0.len(), 0),
                Err(_) => return start,
            }
        }
    }
}

/// Decodes canonical bytes of at most `LIMIT` bytes.
///
/// # Errors
/// [`DecodeError`] when the bytes are too many, malformed, followed by others or not canonical.
pub fn decode<T: Serialize + DeserializeOwned, const LIMIT: usize>(
    bytes: &[u8],
) -> Result<T, DecodeError> {
    if bytes.len() > LIMIT {
        return Err(DecodeError::TooLong { actual: bytes.len(), limit: LIMIT });
    }
    let value = decode_trusted(bytes)?;
    if encode(&value) != bytes {
        return Err(DecodeError::NotCanonical);
    }
    Ok(value)
}

/// Decodes bytes that this node wrote itself (state rows): bounded, but not re-encoded.
///
/// # Errors
/// [`DecodeError::Malformed`] when the bytes are damaged.
pub fn decode_trusted<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    /// bincode counts memory, not wire bytes; 16 MiB bounds what a hostile length can reserve.
    const MEMORY_LIMIT: usize = 16 << 20;
    let config = bincode::config::standard().with_limit::<MEMORY_LIMIT>();
    match bincode::serde::decode_from_slice(bytes, config) {
        Ok((value, used)) if used == bytes.len() => Ok(value),
        _ => Err(DecodeError::Malformed),
    }
}

/// Declares a fixed-size byte type: bytes when encoded, lower-case hex for people (text, JSON).
macro_rules! byte_type {
    ($(#[$meta:meta])* $name:ident, $len:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Wraps raw bytes.
            pub const fn new(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// The first eight hex digits: enough for a person to tell two apart in a table.
            pub fn short(&self) -> alloc::string::String {
                hex::encode(&self.0[..4])
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl core::str::FromStr for $name {
            type Err = $crate::id::NotHex;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0; $len];
                hex::decode_to_slice(text, &mut bytes)
                    .map_err(|_| $crate::id::NotHex { digits: 2 * $len })?;
                Ok(Self(bytes))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                if to.is_human_readable() {
                    return to.serialize_str(&hex::encode(self.0));
                }
                // In one piece: byte by byte, ids were a fifth of the time of execution.
                to.serialize_bytes(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Bytes;
                impl<'de> serde::de::Visitor<'de> for Bytes {
                    type Value = $name;

                    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                        f.write_str(concat!(stringify!($len), " bytes"))
                    }

                    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<$name, E> {
                        let bytes = bytes.try_into();
                        bytes.map($name).map_err(|_| E::custom(concat!("not ", $len, " bytes")))
                    }
                }
                if from.is_human_readable() {
                    let text = <alloc::string::String as serde::Deserialize>::deserialize(from)?;
                    return text.parse().map_err(serde::de::Error::custom);
                }
                from.deserialize_bytes(Bytes)
            }
        }
    };
}
pub(crate) use byte_type;
