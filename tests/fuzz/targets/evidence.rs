//! Evidence of an equivocation, as an operator exports it and anybody checks it.
#![no_main]

use kerbholz_consensus::Evidence;
use kerbholz_fuzz::{canonical, committee};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some(evidence) = canonical(bytes, Evidence::decode, Evidence::encode) else { return };
    if evidence.verify(&committee(4, 60)).is_ok() {
        assert_ne!(evidence.first.header.digest(), evidence.second.header.digest());
    }
});
