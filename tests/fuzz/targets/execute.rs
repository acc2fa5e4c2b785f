//! Arbitrary operations of a member, well signed: each is executed or refused, and the books balance.
#![no_main]

use kerbholz_client::ledger::codec;
use kerbholz_client::ledger::operation::Operation;
use kerbholz_fuzz::ledger::Ledger;

libfuzzer_sys::fuzz_target!(|input: Vec<(u8, Vec<u8>)>| {
    let mut ledger = Ledger::new();
    for (by, bytes) in input.iter().take(8) {
        let Ok(operations) = codec::decode::<Vec<Operation>, 65_536>(bytes) else { return };
        ledger.execute(*by, operations);
    }
});
