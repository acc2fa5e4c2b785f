//! A transaction from the wire.
#![no_main]

use kerbholz_client::ledger::transaction::UnverifiedTransaction;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(transaction) = UnverifiedTransaction::decode(bytes) else { return };
    let id = transaction.id();
    if let Ok(transaction) = transaction.verify() {
        assert_eq!((transaction.bytes(), transaction.id()), (bytes.to_vec(), id));
    }
});
