//! Keys and signatures: signing by `ed25519-dalek`, verification by one predicate, ZIP 215.
//!
//! Implementations of Ed25519 disagree about torsion points and non-canonical encodings
//! (Chalkias, Garillot, Nikolaenko, "Taming the many EdDSAs"). Whether a block is valid must not
//! depend on who asks, so the only verification in this crate is `ed25519-zebra`'s (§1.4).

use core::fmt;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use ed25519_zebra::VerificationKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::types::{bytes_type, write_hex};

bytes_type!(
    /// An authority's Ed25519 public key, as encoded.
    PublicKey
);

impl PublicKey {
    /// The key ready to verify with, or `None` when the bytes are no point of the curve.
    pub(crate) fn parse(&self) -> Option<Verifier> {
        VerificationKey::try_from(self.0).ok().map(Verifier)
    }

    /// Whether the key has small order, so that under ZIP 215 anybody can sign for it.
    pub(crate) fn is_weak(&self) -> bool {
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| key.is_weak())
    }
}

/// A decompressed public key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verifier(VerificationKey);

impl Verifier {
    /// Whether `signature` is this key's over `message`, by ZIP 215.
    pub(crate) fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_zebra::Signature::from_bytes(&signature.0);
        self.0.verify(&signature, message).is_ok()
    }
}

/// An Ed25519 signature, as encoded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0[..4])
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.serialize_str(&hex::encode(self.0));
        }
        // Serde knows arrays up to 32 bytes: a signature travels as its halves R and S.
        let mut halves = ([0u8; 32], [0u8; 32]);
        halves.0.copy_from_slice(&self.0[..32]);
        halves.1.copy_from_slice(&self.0[32..]);
        halves.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut bytes = [0; 64];
        if deserializer.is_human_readable() {
            let text = alloc::string::String::deserialize(deserializer)?;
            hex::decode_to_slice(&text, &mut bytes).map_err(D::Error::custom)?;
        } else {
            let (r, s) = <([u8; 32], [u8; 32])>::deserialize(deserializer)?;
            bytes[..32].copy_from_slice(&r);
            bytes[32..].copy_from_slice(&s);
        }
        Ok(Self(bytes))
    }
}

/// An authority's signing key. It shows nothing of itself and erases itself when dropped; a copy is
/// for the machine of the next epoch.
#[derive(Clone)]
pub struct Signer(SigningKey);

impl Signer {
    /// The signer of a 32-byte Ed25519 seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs `message`.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

impl From<SigningKey> for Signer {
    fn from(key: SigningKey) -> Self {
        Self(key)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer of {}", self.public_key())
    }
}
