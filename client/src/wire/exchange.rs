//! Requests and answers: one request frame, one answer frame, then the stream is closed.
//!
//! An answer starts with a [`Status`] byte, so that a node which is too busy, or will not serve the
//! peer, says so instead of falling silent. Events use the same frames, many on one stream.
//! Deadlines are the caller's: every function here waits as long as the stream does.

use std::io;

use libp2p::futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Protocol;
use super::frame::{self, FrameError};

/// The first byte of an answer or event. Append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// The payload follows.
    Answer = 0,
    /// The peer's budget (concurrent requests, rate) is used up: ask later or elsewhere.
    Busy = 1,
    /// The request was longer than the protocol allows; asking again will not help.
    TooLarge = 2,
    /// The node cannot answer now (starting, stopping, overloaded): ask elsewhere.
    Unavailable = 3,
    /// The subscriber read too slowly and was dropped: subscribe again from the last event seen.
    Lagged = 4,
}

impl Status {
    const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Answer,
            1 => Self::Busy,
            2 => Self::TooLarge,
            3 => Self::Unavailable,
            4 => Self::Lagged,
            _ => return None,
        })
    }
}

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The stream closed without an answer: the peer refused it or went away.
    #[error("the peer closed the stream without an answer")]
    Closed,
    /// The peer said no.
    #[error("the peer refused: {0:?}")]
    Refused(Status),
    /// The peer sent a status this version does not know.
    #[error("the peer answered with the unknown status {0}; it may run a newer version")]
    UnknownStatus(u8),
    /// The answer could not be read.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The request could not be written.
    #[error("the request could not be sent: {0}")]
    Send(io::Error),
}

/// Sends `request` on a fresh stream and reads the answer.
///
/// # Errors
/// [`ExchangeError`]. Whether the peer acted on the request is unknown after all of them but
/// [`ExchangeError::Refused`].
pub async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    protocol: Protocol,
    request: &[u8],
) -> Result<Vec<u8>, ExchangeError> {
    send_request(stream, protocol, request).await.map_err(ExchangeError::Send)?;
    let answer = read_answer(stream, protocol).await?.ok_or(ExchangeError::Closed)?;
    Ok(answer)
}

/// Sends a request frame and flushes it.
///
/// # Errors
/// `InvalidInput` when the request is longer than the protocol allows; otherwise the stream's.
pub async fn send_request<W: AsyncWrite + Unpin>(
    stream: &mut W,
    protocol: Protocol,
    request: &[u8],
) -> io::Result<()> {
    frame::write(stream, &[request], protocol.request_max()).await?;
    stream.flush().await
}

/// Reads one answer or event. `None` is the end of the stream; an empty vector may also be a sign
/// of life on an event stream.
///
/// # Errors
/// [`ExchangeError`]; after one, the stream is of no further use.
pub async fn read_answer<R: AsyncRead + Unpin>(
    stream: &mut R,
    protocol: Protocol,
) -> Result<Option<Vec<u8>>, ExchangeError> {
    let Some(bytes) = frame::read_length(stream, 1 + protocol.answer_max()).await? else {
        return Ok(None);
    };
    let Some(payload) = bytes.checked_sub(1) else {
        return Ok(Some(Vec::new()));
    };
    let mut status = [0];
    stream.read_exact(&mut status).await.map_err(FrameError::from)?;
    match Status::from_byte(status[0]) {
        Some(Status::Answer) => Ok(Some(frame::read_body(stream, payload).await?)),
        Some(refusal) => Err(ExchangeError::Refused(refusal)),
        None => Err(ExchangeError::UnknownStatus(status[0])),
    }
}

/// Sends one answer or event and flushes it.
///
/// # Errors
/// `InvalidInput` when the payload is longer than the protocol allows; otherwise the stream's.
pub async fn send_answer<W: AsyncWrite + Unpin>(
    stream: &mut W,
    protocol: Protocol,
    status: Status,
    payload: &[u8],
) -> io::Result<()> {
    frame::write(stream, &[&[status as u8], payload], 1 + protocol.answer_max()).await?;
    stream.flush().await
}
