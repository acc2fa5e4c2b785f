//! The Kerbholz SDK.
