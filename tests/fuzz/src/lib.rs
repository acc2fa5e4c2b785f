//! What the fuzz targets share. `tests/fuzz/run` builds and runs them; `targets/` says what each one
//! asserts; `src/bin/seeds.rs` writes the corpora they begin with.

pub mod exchange;
pub mod files;
pub mod ledger;
pub mod world;

use kerbholz_consensus::{Committee, CommitteeConfig, NetworkId, Signer};

/// The signer of authority `index`.
pub fn signer(index: u16) -> Signer {
    let mut seed = [7; 32];
    seed[..2].copy_from_slice(&index.to_le_bytes());
    Signer::from_seed(&seed)
}

/// A committee of `n`, with the keys that also the golden vectors are signed with.
pub fn committee(n: u16, gc_depth: u16) -> Committee {
    let authorities = (0..n).map(|index| signer(index).public_key()).collect();
    let network = NetworkId([1; 32]);
    let previous = kerbholz_consensus::CommitDigest::NONE;
    Committee::new(CommitteeConfig { network, epoch: 0, authorities, gc_depth, previous })
        .expect("a committee")
}

/// What is decoded encodes to the same bytes: there is one encoding of everything.
pub fn canonical<T, E>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, E>,
    encode: impl Fn(&T) -> Vec<u8>,
) -> Option<T> {
    let value = decode(bytes).ok()?;
    assert_eq!(encode(&value), bytes, "two encodings of one value");
    Some(value)
}
