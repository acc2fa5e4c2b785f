//! Everything a client and an authority say to one another, and authorities among themselves.
#![no_main]

use kerbholz_client::ledger::codec;
use kerbholz_client::ledger::execute::Event;
use kerbholz_client::protocol::{Answer, Call, Subscription};
use kerbholz_fuzz::canonical;
use kerbholz_node::fetch::{FetchAnswer, FetchRequest};

libfuzzer_sys::fuzz_target!(|input: (u8, Vec<u8>)| {
    let (which, bytes) = input;
    match which % 6 {
        0 => drop(canonical(&bytes, Call::decode, Call::encode)),
        1 => drop(canonical(&bytes, Answer::decode, Answer::encode)),
        2 => drop(canonical(&bytes, codec::decode::<Subscription, 4096>, codec::encode)),
        3 => drop(canonical(&bytes, codec::decode::<Event, { 1 << 20 }>, codec::encode)),
        4 => drop(canonical(&bytes, FetchRequest::decode, FetchRequest::encode)),
        _ => drop(canonical(&bytes, FetchAnswer::decode, FetchAnswer::encode)),
    }
});
