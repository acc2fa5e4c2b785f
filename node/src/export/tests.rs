//! The tables hold what the ledger holds: exactly, in both formats, whatever happened.

mod random;
mod tables;
mod target;
pub(super) mod world;
