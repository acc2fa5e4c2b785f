//! The Kerbholz node: the only crate with sockets, disk, clock and threads.
//!
//! [`node`] puts an authority together; [`driver`] is its event loop around the pure [`replica`];
//! [`executor`] makes commits durable and executes them; [`api`] serves clients. [`setup`] makes a
//! new network.

pub mod api;
pub mod audit;
pub mod config;
pub mod demo;
pub mod driver;
pub mod executor;
pub mod explain;
pub mod export;
pub mod factors;
pub mod fetch;
pub mod files;
pub mod index;
pub mod measure;
pub mod mempool;
pub mod network;
pub mod node;
pub mod process;
pub mod replica;
pub mod scenario;
pub mod setup;
pub mod storage;
pub mod upkeep;
pub mod written;
