//! What can go wrong with a connection, and what to do about it.

use core::fmt;
use std::time::Duration;

use crate::transport::TransportError;
use crate::transport::streams::OpenError;
use crate::wire::exchange::ExchangeError;
use crate::wire::{IdentityError, PeerKey};

/// Why a connection cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The configuration names no authority.
    #[error("no authority is configured; name at least one with its key and address")]
    NoAuthorities,
    /// An authority is listed twice.
    #[error("the authority {0} is listed twice; remove one entry")]
    DuplicateAuthority(PeerKey),
    /// An authority has no address.
    #[error("the authority {0} has no address; add one, e.g. /ip4/192.0.2.1/tcp/7001")]
    NoAddress(PeerKey),
    /// A key is not a key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The encryption could not be set up.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// There is no authority with this index.
    #[error("there is no authority {authority}; the configuration has {count}, counted from 0")]
    UnknownAuthority {
        /// The index asked for.
        authority: usize,
        /// How many there are.
        count: usize,
    },
    /// The request does not fit the protocol; it was not sent.
    #[error("the request has {bytes} bytes; at most {bytes_max} can be sent at once")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// No authority answered in time. The request may have been acted upon: asking again with the
    /// same bytes is safe.
    #[error(
        "no authority answered within {waited:.1?}; check that they run and can be reached:{attempts}"
    )]
    NoAnswer {
        /// How long was tried.
        waited: Duration,
        /// What happened at each authority.
        attempts: Attempts,
    },
    /// The connection's task has ended, because its runtime is shutting down.
    #[error("the connection is closed; open a new one")]
    Closed,
}

/// What happened at each authority, last.
#[derive(Debug)]
pub struct Attempts(pub Vec<(PeerKey, Failure)>);

impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (key, failure) in &self.0 {
            write!(f, "\n  {key}: {failure}")?;
        }
        Ok(())
    }
}

/// Why one authority gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It is not connected; why the last attempt to reach it failed, if one did.
    #[error("not connected{}", reason(.0))]
    NotConnected(Option<String>),
    /// It did not answer in time.
    #[error("no answer in time")]
    Timeout,
    /// It gave no sign of life on a subscription.
    #[error("no sign of life")]
    Silent,
    /// It ended the subscription.
    #[error("it ended the subscription")]
    Ended,
    /// No stream could be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It refused, or answered with something that is no answer.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
}

fn reason(problem: &Option<String>) -> String {
    problem.as_ref().map(|problem| format!(" ({problem})")).unwrap_or_default()
}
