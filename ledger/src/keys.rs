//! Keys and signatures: ed25519, with one rule for what a valid signature is.
//!
//! Signing and key handling are ed25519-dalek's. Verification is ZIP 215 (cofactored, as in
//! ed25519-zebra): the only rule under which checking alone and checking in a batch accept the same
//! set, so that no two authorities can disagree about a signature.

use crate::codec::byte_type;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};

byte_type!(
    /// An ed25519 public key (compressed Edwards point); also the member's libp2p peer identity.
    PublicKey, 32
);
byte_type!(
    /// An ed25519 signature (R, then s).
    Signature, 64
);

/// A signature that the rule does not accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not belong to this key and these bytes: sign again with the right key")]
pub struct BadSignature;

impl PublicKey {
    /// Checks `signature` over `domain` and `message` by ZIP 215.
    ///
    /// # Errors
    /// [`BadSignature`] when the key is not a curve point or the signature does not verify.
    pub fn verify(
        &self,
        domain: &str,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), BadSignature> {
        let key =
            ed25519_zebra::VerificationKey::try_from(*self.as_bytes()).map_err(|_| BadSignature)?;
        let signature = ed25519_zebra::Signature::from(*signature.as_bytes());
        key.verify(&signature, &signed_bytes(domain, message)).map_err(|_| BadSignature)
    }
}

impl PublicKey {
    /// Whether this is no key that one party alone can sign for: no point of the curve, or one of
    /// small order, for which ZIP 215 accepts signatures that anybody can make. Such a key may check
    /// signatures consistently, but must not belong to a member.
    pub fn is_weak(&self) -> bool {
        !VerifyingKey::from_bytes(self.as_bytes()).is_ok_and(|key| !key.is_weak())
    }
}

/// What is really signed: the domain keeps a signature of one kind from being used as another.
pub fn signed_bytes(domain: &str, message: &[u8]) -> alloc::vec::Vec<u8> {
    let mut bytes = alloc::vec::Vec::with_capacity(domain.len() + 1 + message.len());
    bytes.extend_from_slice(domain.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(message);
    bytes
}

/// A secret key and its public key. Wiped from memory when dropped; never printed.
#[derive(Clone)]
pub struct Keypair(SigningKey);

impl Keypair {
    /// The key pair of a 32-byte secret seed (from a secure random source; the caller's affair).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey::new(self.0.verifying_key().to_bytes())
    }

    /// The secret seed, for storing it.
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Signs `message` in `domain`.
    pub fn sign(&self, domain: &str, message: &[u8]) -> Signature {
        Signature::new(self.0.sign(&signed_bytes(domain, message)).to_bytes())
    }
}

impl core::fmt::Debug for Keypair {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Keypair({})", self.public().short())
    }
}
