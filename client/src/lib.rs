//! The Kerbholz SDK.

pub mod transport;
pub mod wire;
