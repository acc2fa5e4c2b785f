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

/// Key, R and s of signatures over [`MESSAGE`] that their maker bent: a point of order eight, times
/// 0 to 7, added to R, and to the key in every other one. These are what dalek's single check refuses
/// and its batch check sometimes accepts.
const BENT: &[(&str, &str, &str)] = &[
    (
        "44160a557c136335fb21a729373f5ef89ecb95077feaa66a71590d063bacc610",
        "b31b20f50426242514d81b383548bd90de72fd0b8cf2382a88f9f52ce5076b23",
        "8bfac0f01ea544497c489f2e6c8c2bc989dd3afcfd093cac33894ca340d3a60d",
    ),
    (
        "ff6f43ab4e72e31b78049fcc5f97455becdd0ea428c1fd6c7a0fc66e991c7cb9",
        "4c261951fba9f4ba7ece40431f212269f58becc2473c54cecda0e8f1e6f9d253",
        "43919bc39549040c6cc0a70d8989deca49924e30e93bcc6735cd341c0d430e0c",
    ),
    (
        "44160a557c136335fb21a729373f5ef89ecb95077feaa66a71590d063bacc610",
        "4c261951fba9f4ba7ece40431f212269f58becc2473c54cecda0e8f1e6f9d253",
        "9499ef4fefff4cbffd70a09e4be76fc29c1aa9a9a260876d06d188e25ee73b03",
    ),
    (
        "ff6f43ab4e72e31b78049fcc5f97455becdd0ea428c1fd6c7a0fc66e991c7cb9",
        "e23a112f799f9eed9800e373bdabe72d1429ba74455b1a22ac1001d4cc60abbb",
        "9b2c10b41bf3292c3cc27bd75edf4ccd3729102ca68d31bef5ccae39b0651a0c",
    ),
    (
        "44160a557c136335fb21a729373f5ef89ecb95077feaa66a71590d063bacc610",
        "e23a112f799f9eed9800e373bdabe72d1429ba74455b1a22ac1001d4cc60abbb",
        "c47d8355336d74259572b43f67281808ea3f72431a0bc2b416f12405f7a16e0f",
    ),
    (
        "ff6f43ab4e72e31b78049fcc5f97455becdd0ea428c1fd6c7a0fc66e991c7cb9",
        "186ed2bdbd1a36f6437c5168b0221914018ea4f32a1c3fcd1c1794d64fbd596e",
        "54b536439da33e8986d0abf9f704c9ef1692ada3211514937a4cc0b7d216670b",
    ),
    (
        "44160a557c136335fb21a729373f5ef89ecb95077feaa66a71590d063bacc610",
        "186ed2bdbd1a36f6437c5168b0221914018ea4f32a1c3fcd1c1794d64fbd596e",
        "792e05734aa6face32003aba94b53353e499e3ada55d879632d6a07af37a8c0f",
    ),
    (
        "ff6f43ab4e72e31b78049fcc5f97455becdd0ea428c1fd6c7a0fc66e991c7cb9",
        "3ae4df0afbd9dbdaeb27e4c7cab7426f218d02f4730dc7d577060ad31af894dc",
        "c040953cbcc50710c5d71053d09ecdb47e2132760108fe0db10abb3dbb665600",
    ),
    (
        "44160a557c136335fb21a729373f5ef89ecb95077feaa66a71590d063bacc610",
        "3ae4df0afbd9dbdaeb27e4c7cab7426f218d02f4730dc7d577060ad31af894dc",
        "e35826767609f9f4c5a5edaa05be8a9a61045e0a51e2f5abe07c9ad9a3adcc07",
    ),
    (
        "ff6f43ab4e72e31b78049fcc5f97455becdd0ea428c1fd6c7a0fc66e991c7cb9",
        "a1d9e6ae04560b458131bfbce0dedd960a74133db8c3ab31325f170e19062dac",
        "47a8646f907a53cf5f79e23667aeb5188ff932a9fc978c42554c7b38f833c803",
    ),
    (
        "44160a557c136335fb21a729373f5ef89ecb95077feaa66a71590d063bacc610",
        "a1d9e6ae04560b458131bfbce0dedd960a74133db8c3ab31325f170e19062dac",
        "6b1e9022b568acbf77943905aa13916730ce06a6f46b4bd1842afe5c7c955103",
    ),
    (
        "ff6f43ab4e72e31b78049fcc5f97455becdd0ea428c1fd6c7a0fc66e991c7cb9",
        "0bc5eed08660611267ff1c8c425418d2ebd6458bbaa4e5dd53effe2b339f5444",
        "e2b3b61cdbaa6134e7ea54eae06ddddad29ba369e3408de2ef833d883ddc820b",
    ),
    (
        "44160a557c136335fb21a729373f5ef89ecb95077feaa66a71590d063bacc610",
        "0bc5eed08660611267ff1c8c425418d2ebd6458bbaa4e5dd53effe2b339f5444",
        "12ed024868c1acfca9b22b56ae72724167beaa7a47798bd745194d8dbc926d05",
    ),
    (
        "ff6f43ab4e72e31b78049fcc5f97455becdd0ea428c1fd6c7a0fc66e991c7cb9",
        "d5912d4242e5c909bc83ae974fdde6ebfe715b0cd5e3c032e3e86b29b042a691",
        "490a3aa640538052f9105270379c318ad56d4fe8c7a44b92aad4c9b5aa503b03",
    ),
    (
        "44160a557c136335fb21a729373f5ef89ecb95077feaa66a71590d063bacc610",
        "d5912d4242e5c909bc83ae974fdde6ebfe715b0cd5e3c032e3e86b29b042a691",
        "1bd417ca2470ba2c7e2089c05ec0580bfe01ef0ec60a948325a08c9bee486904",
    ),
];

#[test]
fn what_its_maker_bent_is_accepted_alone_and_in_batches() {
    for (key, r, s) in BENT {
        let key = PublicKey::new(bytes(key));
        assert!(accepts(key, signature(bytes(r), bytes(s)), MESSAGE), "{key} {r}");
        assert!(!accepts(key, signature(bytes(r), bytes(s)), b"another notch"), "{key} {r}");
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
