//! One signature rule (ZIP 215), the same alone and in a batch, with the edge cases on which
//! implementations differ (Chalkias, Garillot, Nikolaenko: "Taming the many EdDSAs", 2020).

use super::world::keypair;
use crate::keys::{PublicKey, Signature, signed_bytes};
use ed25519_zebra::batch;
use std::string::String;
use std::vec::Vec;

const DOMAIN: &str = "kerbholz/test";
const MESSAGE: &[u8] = b"a notch";

/// Every encoding of a point of small order: eight canonical, six not.
const SMALL_ORDER: [&str; 14] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

/// The order of the group, little endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Checks alone, in a batch of its own, and in a batch beside honest ones; all must say the same.
fn accepts(key: PublicKey, signature: Signature, message: &[u8]) -> bool {
    let alone = key.verify(DOMAIN, message, &signature).is_ok();
    for honest in [0, 3] {
        let mut verifier = batch::Verifier::new();
        for index in 0..honest {
            let pair = keypair(&std::format!("honest {index}"));
            queue(&mut verifier, pair.public(), pair.sign(DOMAIN, MESSAGE), MESSAGE);
        }
        queue(&mut verifier, key, signature, message);
        let batched = verifier.verify(rand::rng()).is_ok();
        assert_eq!(batched, alone, "{key} {signature} beside {honest} honest ones");
    }
    alone
}

fn queue(verifier: &mut batch::Verifier, key: PublicKey, signature: Signature, message: &[u8]) {
    let key = ed25519_zebra::VerificationKeyBytes::from(*key.as_bytes());
    let signature = ed25519_zebra::Signature::from(*signature.as_bytes());
    verifier.queue((key, signature, &signed_bytes(DOMAIN, message)));
}

fn bytes(text: &str) -> [u8; 32] {
    hex::decode(text).expect("hex").try_into().expect("32 bytes")
}

fn signature(r: [u8; 32], s: [u8; 32]) -> Signature {
    Signature::new([r, s].concat().try_into().expect("64 bytes"))
}

#[test]
fn points_of_small_order_are_accepted_alone_and_in_batches() {
    for key in SMALL_ORDER {
        for r in SMALL_ORDER {
            let key = PublicKey::new(bytes(key));
            assert!(accepts(key, signature(bytes(r), [0; 32]), MESSAGE), "{key} {r}");
        }
    }
}

#[test]
fn an_honest_signature_belongs_to_its_key_bytes_and_domain() {
    let pair = keypair("somebody");
    let good = pair.sign(DOMAIN, MESSAGE);
    assert!(accepts(pair.public(), good, MESSAGE));
    assert!(!accepts(pair.public(), good, b"another notch"));
    assert!(!accepts(keypair("somebody else").public(), good, MESSAGE));
    assert!(!accepts(pair.public(), pair.sign("kerbholz/other", MESSAGE), MESSAGE));
    // The domain ends where the message begins.
    assert!(!accepts(pair.public(), pair.sign("kerbholz/tes", b"t\0a notch"), MESSAGE));
}

#[test]
fn a_flipped_bit_anywhere_is_refused_alone_and_in_batches() {
    let pair = keypair("somebody");
    let good = pair.sign(DOMAIN, MESSAGE);
    for bit in (0..512).step_by(7) {
        let mut bad = *good.as_bytes();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(!accepts(pair.public(), Signature::new(bad), MESSAGE), "bit {bit}");
    }
}

#[test]
fn a_scalar_above_the_order_is_refused_so_nobody_else_can_alter_a_signature() {
    let pair = keypair("somebody");
    let good = *pair.sign(DOMAIN, MESSAGE).as_bytes();
    let mut bad = good;
    let mut carry = 0;
    for (digit, add) in bad[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*digit) + u16::from(add) + carry;
        *digit = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert!(!accepts(pair.public(), Signature::new(bad), MESSAGE));
    let zero = signature(bytes(SMALL_ORDER[0]), ORDER);
    assert!(!accepts(PublicKey::new(bytes(SMALL_ORDER[0])), zero, MESSAGE));
}

#[test]
fn a_key_that_is_no_point_is_refused() {
    // y = 2 is on no point of the curve.
    let mut key = [0; 32];
    key[0] = 2;
    let anything = keypair("somebody").sign(DOMAIN, MESSAGE);
    assert!(ed25519_zebra::VerificationKey::try_from(key).is_err());
    assert!(!accepts(PublicKey::new(key), anything, MESSAGE));
}

#[test]
fn a_secret_key_is_not_printed() {
    let pair = keypair("somebody");
    let secret = hex::encode(pair.seed());
    let printed: String = std::format!("{pair:?}");
    let words: Vec<&str> = printed.split(['(', ')']).collect();
    assert_eq!(words[0], "Keypair");
    assert!(!secret.contains(words[1]));
}
