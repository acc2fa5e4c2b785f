//! `Consensus::handle` under arbitrary sequences of events: no panic, commits in order and equal on
//! two machines, one signed block per round, durable before sent, sizes bounded.
#![no_main]

use kerbholz_fuzz::world::{Plan, World};

libfuzzer_sys::fuzz_target!(|plan: Plan| World::run(&plan));
