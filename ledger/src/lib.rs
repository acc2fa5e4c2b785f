//! The Kerbholz ledger: a pure, deterministic state machine over transactions.
//!
//! `(state, commit) -> (state', effects)`: no clock, no input or output, no randomness, no floating
//! point, no iteration over unordered maps. Every authority and every auditor's replay executes the
//! same code with the same result. Start reading at [`operation`] (what can be asked for), then
//! [`execute()`] (what happens), [`footprint`] (what is counted) and [`rejection`] (what is refused).
#![no_std]
extern crate alloc;

pub mod allowance;
pub mod avoided;
pub mod balance;
pub mod bytes;
pub mod codec;
pub mod committee;
pub mod description;
pub mod directory;
pub mod execute;
pub mod explain;
pub mod factor;
pub mod footprint;
pub mod genesis;
pub mod governance;
pub mod id;
pub mod keys;
pub mod limit;
pub mod log;
pub mod memory;
pub mod operation;
pub mod order;
pub mod quantity;
pub mod query;
pub mod receipt;
pub mod rejection;
pub mod restatement;
pub mod rows;
pub mod statement;
pub mod transaction;
pub mod transformation;
pub mod upkeep;

pub use execute::execute;

#[cfg(test)]
extern crate std;
#[cfg(test)]
mod tests;
