//! The Kerbholz node: the only crate with sockets, disk, clock and threads.

pub mod network;
pub mod scenario;
pub mod storage;
