//! Everything a client and an authority say to one another, and authorities among themselves.
#![no_main]

use kerbholz_client::evidence::Accusation;
use kerbholz_client::ledger::codec;
use kerbholz_client::ledger::execute::Event;
use kerbholz_client::protocol::{Answer, Call, Subscription};
use kerbholz_fuzz::canonical;
use kerbholz_node::fetch::{FetchAnswer, FetchRequest};
use kerbholz_node::replica::Hello;

libfuzzer_sys::fuzz_target!(|input: (u8, Vec<u8>)| {
    let (which, bytes) = input;
    match which % 8 {
        0 => drop(canonical(&bytes, Call::decode, Call::encode)),
        1 => drop(canonical(&bytes, Answer::decode, Answer::encode)),
        2 => drop(canonical(&bytes, codec::decode::<Subscription, 4096>, codec::encode)),
        3 => drop(canonical(&bytes, codec::decode::<Event, { 1 << 20 }>, codec::encode)),
        4 => drop(canonical(&bytes, FetchRequest::decode, FetchRequest::encode)),
        5 => drop(canonical(&bytes, FetchAnswer::decode, FetchAnswer::encode)),
        6 => {
            let hello = |bytes: &[u8]| Hello::decode(bytes).ok_or(());
            let hello = canonical(&bytes, hello, Hello::encode);
            assert_eq!(hello.is_some(), bytes.len() == Hello::BYTES);
        }
        _ => drop(canonical(&bytes, Accusation::decode, Accusation::encode)),
    }
});
