//! Frames and answers on a stream: no more is taken than the protocol allows, and all of it ends.
#![no_main]

use kerbholz_client::wire::{Protocol, exchange, frame};
use libp2p::futures::executor::block_on;
use libp2p::futures::io::Cursor;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((which, stream)) = bytes.split_first() else { return };
    let protocol = Protocol::ALL[usize::from(*which) % Protocol::ALL.len()];
    let mut reader = Cursor::new(stream);
    while let Ok(Some(body)) = block_on(frame::read(&mut reader, protocol.request_max())) {
        assert!(body.len() <= protocol.request_max() && body.len() <= stream.len());
    }
    let _ = block_on(exchange::read_answer(&mut Cursor::new(stream), protocol));
});
