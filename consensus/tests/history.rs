//! What a machine keeps does not grow with its history (§8.4): counted in bytes that live on the heap.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod others;

use std::alloc::System;

use others::{Faulty, Network};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that are allocated now, by everything in this process.
fn live() -> i64 {
    let stats = HEAP.stats();
    stats.bytes_allocated as i64 - stats.bytes_deallocated as i64
}

/// The same after 5,000 rounds as after 1,000, give or take what one round more or less keeps. One
/// test, because others in this process would be counted too.
#[test]
fn the_heap_does_not_grow_with_history() {
    for faulty in [Faulty::None, Faulty::Mute, Faulty::Equivocating] {
        let before = live();
        let mut network = Network::new(4, faulty);
        network.rounds(1_000);
        let (early, commits) = (live() - before, network.commits);
        assert!(commits > 600, "{faulty:?}: {commits} commits");
        network.rounds(4_000);
        let late = live() - before;
        assert!(network.commits > 4 * commits, "{faulty:?}: {} commits", network.commits);
        assert!(network.checkpoints > 900 && network.ordered > 3 * 3_500, "{faulty:?}");
        println!("{faulty:?}: {early} bytes after 1,000 rounds, {late} after 5,000");
        assert!((late - early).abs() < 32 << 10, "{faulty:?}: {early}, then {late} bytes");
    }
}
