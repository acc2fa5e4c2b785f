//! Prints a random inventory as JSON, for `tests/lca/run`: `inventory SEED LOTS`.
#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use clap::Parser;
use tests::inventory::Inventory;

/// Prints random lots of the ledger, and the processes that they come from.
#[derive(Parser)]
struct Args {
    /// The same seed makes the same lots
    seed: u64,
    /// How many lots
    #[arg(default_value_t = 500)]
    lots: usize,
}

fn main() {
    let Args { seed, lots } = Args::parse();
    println!("{}", Inventory::random(seed, lots).to_json());
}
