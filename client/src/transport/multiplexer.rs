//! Yamux as libp2p takes it, with receive windows that stay as they are.
//!
//! A window is what a peer may send on a stream before anybody reads. Yamux lets it grow with the time
//! an answer takes, which the peer decides, and never shrinks it: up to 1 GiB for a connection, which
//! libp2p's own adapter does not let one change. Here each stream has 256 KiB for ever.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::iter;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use libp2p::futures::{AsyncRead, AsyncWrite};
use yamux::{Config, Connection, ConnectionError, Mode, Stream};

use super::STREAMS_PER_CONNECTION_MAX;

/// Window of a stream, in bytes: fixed by Yamux's protocol for the beginning.
const WINDOW_BYTES: usize = 256 << 10;

/// Makes a multiplexed connection of an encrypted one.
#[derive(Clone, Debug)]
pub(super) struct Multiplexing(Config);

impl Multiplexing {
    /// For at most [`STREAMS_PER_CONNECTION_MAX`] streams with windows that never grow.
    pub(super) fn new() -> Self {
        let mut config = Config::default();
        config.set_max_num_streams(STREAMS_PER_CONNECTION_MAX);
        // Nothing is left that a window could grow by.
        config.set_max_connection_receive_window(Some(STREAMS_PER_CONNECTION_MAX * WINDOW_BYTES));
        Self(config)
    }
}

impl UpgradeInfo for Multiplexing {
    type Info = &'static str;
    type InfoIter = iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        iter::once("/yamux/1.0.0")
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> InboundConnectionUpgrade<C> for Multiplexing {
    type Output = Multiplexed<C>;
    type Error = Infallible;
    type Future = Ready<Result<Multiplexed<C>, Infallible>>;

    fn upgrade_inbound(self, connection: C, _: Self::Info) -> Self::Future {
        ready(Ok(Multiplexed::new(Connection::new(connection, self.0, Mode::Server))))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> OutboundConnectionUpgrade<C> for Multiplexing {
    type Output = Multiplexed<C>;
    type Error = Infallible;
    type Future = Ready<Result<Multiplexed<C>, Infallible>>;

    fn upgrade_outbound(self, connection: C, _: Self::Info) -> Self::Future {
        ready(Ok(Multiplexed::new(Connection::new(connection, self.0, Mode::Client))))
    }
}

/// A connection with many streams.
pub(super) struct Multiplexed<C> {
    connection: Connection<C>,
    /// Streams of the peer's that nobody wanted yet.
    waiting: VecDeque<Stream>,
    /// Who wants one.
    wanting: Option<Waker>,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Multiplexed<C> {
    const fn new(connection: Connection<C>) -> Self {
        Self { connection, waiting: VecDeque::new(), wanting: None }
    }

    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Stream, ConnectionError>> {
        let next = self.connection.poll_next_inbound(cx);
        next.map(|next| next.unwrap_or(Err(ConnectionError::Closed)))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> StreamMuxer for Multiplexed<C> {
    type Substream = Stream;
    type Error = ConnectionError;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Stream, ConnectionError>> {
        if let Some(stream) = self.waiting.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        let next = self.next(cx);
        self.wanting = next.is_pending().then(|| cx.waker().clone());
        next
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Stream, ConnectionError>> {
        self.connection.poll_new_outbound(cx)
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ConnectionError>> {
        self.connection.poll_close(cx)
    }

    /// Moves what is on the way on all streams, which Yamux does only when it is asked for a new one.
    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, ConnectionError>> {
        match self.next(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(stream)) => {
                // Yamux counts them until they are dropped, and closes the connection when they are
                // too many.
                self.waiting.push_back(stream);
                if let Some(wanting) = self.wanting.take() {
                    wanting.wake();
                }
                // There may be more, but others want to move, too.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests;
