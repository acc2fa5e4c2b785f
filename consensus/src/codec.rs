//! The one place that knows the wire format: bincode 2, bounded and canonical (§1.3).
//!
//! bincode alone accepts trailing bytes and integers that are longer than they need be. Here a
//! value's bytes must be the bytes it encodes to, so that one value has one digest.

use alloc::vec::Vec;

use bincode::config::{self, Configuration, Limit};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Visitor};

use crate::fault::Fault;

/// Bounds what a decoder may claim before it has seen the bytes for it.
const MEMORY_MAX: usize = 64 << 20;

fn config() -> Configuration<config::LittleEndian, config::Varint, Limit<MEMORY_MAX>> {
    config::standard().with_limit::<MEMORY_MAX>()
}

/// The canonical bytes of `value`.
#[expect(clippy::expect_used, reason = "writing to memory a value whose lengths are all known")]
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, config()).expect("a plain struct encodes")
}

/// Decodes the canonical bytes of a value of at most `bytes_max` bytes.
///
/// # Errors
/// [`Fault::TooLong`] before anything is allocated; [`Fault::Malformed`] when the bytes are no
/// such value; [`Fault::NotCanonical`] when they are not the bytes the value encodes to.
pub(crate) fn decode<'a, T>(bytes: &'a [u8], bytes_max: usize) -> Result<T, Fault>
where
    T: Serialize + Deserialize<'a>,
{
    if bytes.len() > bytes_max {
        return Err(Fault::TooLong { bytes: bytes.len(), bytes_max });
    }
    let (value, consumed): (T, usize) =
        bincode::serde::borrow_decode_from_slice(bytes, config()).map_err(|_| Fault::Malformed)?;
    if consumed != bytes.len() || encode(&value) != bytes {
        return Err(Fault::NotCanonical);
    }
    Ok(value)
}

/// Bytes that are read without copying and written in one piece.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'a>(pub &'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Bytes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;
        impl<'de> Visitor<'de> for Borrow {
            type Value = &'de [u8];
            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<&'de [u8], E> {
                Ok(bytes)
            }
        }
        deserializer.deserialize_bytes(Borrow).map(Bytes)
    }
}
