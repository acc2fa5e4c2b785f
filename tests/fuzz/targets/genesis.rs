//! A genesis, as JSON and in canonical bytes: what is accepted makes a ledger, or says why not.
#![no_main]

use kerbholz_client::ledger::genesis::Genesis;
use kerbholz_client::ledger::{codec, execute};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let json = serde_json::from_slice::<Genesis>(bytes).ok();
    let canonical = codec::decode::<Genesis, 65_536>(bytes).ok();
    for genesis in json.into_iter().chain(canonical) {
        if genesis.validate().is_ok() {
            assert!(execute::genesis(&genesis).is_ok());
            let _ = kerbholz_client::network::committee(&genesis);
        }
    }
});
