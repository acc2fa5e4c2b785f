//! The Kerbholz ledger: a pure, deterministic state machine over transactions.
#![no_std]
extern crate alloc;
