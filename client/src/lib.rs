//! The Kerbholz SDK.

pub mod connection;
pub mod transport;
pub mod wire;
