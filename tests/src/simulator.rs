//! Whole networks from one number: every delay, crash, lie and transaction of a run follows from its
//! seed (`docs/assurance.md`, "Simulation").
//!
//! [`plan`] draws a run from a seed; [`world`] performs it; [`trace`] hashes what happened;
//! [`tally`] counts it. What is simulated is everything but sockets, disks and threads: the replica
//! (consensus and mempool), the executor with the ledger, the storage in memory.
#![expect(clippy::expect_used, reason = "a simulation ends where something is impossible")]

pub mod plan;
pub mod random;
pub mod tally;
pub mod trace;
pub mod world;

use crate::oracle::Violation;
use plan::{Options, Plan};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tally::Tally;
use world::World;

/// What became of one run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Hash of everything that happened.
    pub hash: [u8; 32],
    /// How often what happened.
    pub tally: Tally,
    /// What must not happen.
    pub violations: Vec<Violation>,
}

/// Runs a seed to its end, or to its first violation.
pub fn run(seed: u64, options: &Options, print: bool) -> Outcome {
    let plan = Plan::draw(seed, options);
    let ran = catch_unwind(AssertUnwindSafe(|| World::new(plan, print).run()));
    ran.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let violation = Violation { rule: "no panic", what: text.unwrap_or_default(), at_ms: 0 };
        Outcome { seed, hash: [0; 32], tally: Tally::default(), violations: vec![violation] }
    })
}
