//! The Kerbholz SDK: a machine's way to the ledger.
//!
//! A [`Machine`] connects to the network with its key, orders services of other machines, performs
//! those it is ordered, and waits for what it does to be final. [`Organisation`], [`Meter`] and
//! [`Publisher`] are the other members' ways; all of them are a [`Session`]. A [`receipt::Receipt`]
//! proves offline what happened. `examples/spare_part.rs` shows it in a page.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`roles`], [`session`], [`order`], [`events`], [`receipt`], [`error`] | what an integrator uses |
//! | [`network`] | the files that describe a network |
//! | [`did`] | members as decentralised identifiers |
//! | [`committees`] | who its authorities are, epoch by epoch, proved from the genesis |
//! | [`protocol`], [`wire`], [`transport`], [`connection`] | the contract with the nodes |

pub mod committees;
pub mod connection;
pub mod did;
pub mod error;
pub mod events;
pub mod evidence;
pub mod network;
pub mod order;
pub mod protocol;
pub mod receipt;
pub mod roles;
pub mod session;
pub mod transport;
pub mod wire;

pub use error::ClientError;
pub use kerbholz_consensus as consensus;
pub use kerbholz_ledger as ledger;
pub use network::Network;
pub use roles::{Machine, Meter, MeterSpecification, Organisation, Publisher};
pub use session::{Applied, Session};
