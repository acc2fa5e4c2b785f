//! Members as decentralised identifiers: the `did:key` of an ed25519 key (W3C Credentials Community
//! Group, "The did:key Method v0.7").
//!
//! A `did:key` names a key, not a member: a member has one for its signing key, and another for its
//! owner key, and gets new ones with new keys. Its member id stays.

use kerbholz_ledger::keys::PublicKey;
use multibase::Base;

/// The multicodec of an ed25519 public key, 0xed, as an unsigned varint.
const ED25519: [u8; 2] = [0xed, 0x01];
const SCHEME: &str = "did:key:";

/// Text that is no `did:key` of an ed25519 key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no did:key of an ed25519 key: such a one begins with did:key:z6Mk")]
pub struct NotDidKey(pub String);

/// The `did:key` of a key.
pub fn did_key(key: &PublicKey) -> String {
    let bytes = [ED25519.as_slice(), key.as_bytes()].concat();
    format!("{SCHEME}{}", multibase::encode(Base::Base58Btc, bytes))
}

/// The key that a `did:key` names.
///
/// # Errors
/// [`NotDidKey`] when it is of another kind, or not written as it must be.
pub fn key_of_did(text: &str) -> Result<PublicKey, NotDidKey> {
    let wrong = || NotDidKey(text.to_owned());
    let value = text.strip_prefix(SCHEME).ok_or_else(wrong)?;
    let (base, bytes) = multibase::decode(value).map_err(|_| wrong())?;
    let key = bytes.strip_prefix(&ED25519).ok_or_else(wrong)?;
    match (base, <[u8; 32]>::try_from(key)) {
        (Base::Base58Btc, Ok(key)) => Ok(PublicKey::new(key)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kerbholz_ledger::keys::Keypair;

    /// From the method's own document: the example of an ed25519 key.
    const EXAMPLE: &str = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";

    #[test]
    fn a_key_and_its_identifier_are_one() {
        let key = key_of_did(EXAMPLE).unwrap();
        let bytes = "2e6fcce36701dc791488e0d0b1745cc1e33a4c1c9fcc41c63bd343dbbe0970e6";
        assert_eq!(key.to_string(), bytes);
        assert_eq!(did_key(&key), EXAMPLE);
        let own = Keypair::from_seed(&[7; 32]).public();
        assert!(did_key(&own).starts_with("did:key:z6Mk"));
        assert_eq!(key_of_did(&did_key(&own)), Ok(own));
    }

    #[test]
    fn what_is_no_identifier_of_such_a_key_is_refused() {
        let key = EXAMPLE.strip_prefix("did:key:").unwrap();
        let cut = &EXAMPLE[..EXAMPLE.len() - 1];
        // x25519, and the same bytes in base64.
        let other = "did:key:z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc";
        let base64 = "did:key:m7QEub8zjZwHceRSI4NCxdFzB4zpMHJ/MQcY700Pbvglw5g";
        for bad in ["", "did:key:", "did:web:example.org", key, cut, other, base64] {
            assert!(key_of_did(bad).is_err(), "{bad}");
        }
    }
}
