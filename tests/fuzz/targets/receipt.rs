//! A receipt file and the proof in it: what verifies was signed by a quorum that this fuzzer lacks.
#![no_main]

use kerbholz_client::ledger::receipt::Proof;
use kerbholz_client::receipt::Receipt;
use kerbholz_fuzz::canonical;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    canonical(bytes, Receipt::decode, Receipt::encode);
    let Some(proof) = canonical(bytes, Proof::decode, Proof::encode) else { return };
    let (_, _) = (proof.log_root(), proof.orders());
    let (_, _) = (proof.lots(), proof.transformations());
});
