//! The Kerbholz node: the only crate with sockets, disk, clock and threads.

pub mod config;
pub mod files;
pub mod network;
pub mod process;
pub mod scenario;
pub mod setup;
pub mod storage;
