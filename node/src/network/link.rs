//! Block streams: one to every other authority, and one from each.
//!
//! The stream's *receiver* speaks first: its hello says what it has, so that the sender resumes from
//! there after any interruption. Then the sender speaks, and the receiver's half stays silent. A
//! frame of length zero is a sign of life; silence means that the peer is gone.

use std::sync::Arc;

use kerbholz_client::transport::redial::RedialDelays;
use kerbholz_client::transport::streams::OpenError;
use kerbholz_client::wire::frame::{self, FrameError};
use kerbholz_client::wire::{PeerKey, Protocol};
use libp2p::futures::io::{BufReader, BufWriter};
use libp2p::futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::swarm::ConnectionId;
use libp2p::{PeerId, Stream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::config::NetworkLimits;
use super::events::{NetworkEvent, Signal};
use super::queue::{QueueReceiver, queue};
use super::serve::Outcome;
use super::shared::{Context, lock};
use super::stats::PeerCounters;

/// Small frames are written and read together.
const BUFFER_BYTES: usize = 64 << 10;

/// Why a block stream to a peer ended.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("no stream: {0}")]
    Open(#[from] OpenError),
    #[error("no hello: {0}")]
    Hello(FrameError),
    #[error("the peer closed the stream")]
    Closed,
    #[error("the peer spoke after its hello")]
    OutOfTurn,
    #[error("the peer does not take what we send")]
    Stalled,
    #[error("the queue overflowed")]
    Overflow,
    #[error("the connection was closed or replaced")]
    Replaced,
    #[error("the stream failed: {0}")]
    Io(#[from] std::io::Error),
}

/// The way to one authority, over all its connections.
pub(super) struct Link {
    pub(super) context: Context,
    pub(super) key: PeerKey,
    pub(super) peer: PeerId,
    pub(super) delays: RedialDelays,
    pub(super) connection: watch::Receiver<Option<ConnectionId>>,
    pub(super) counters: Arc<PeerCounters>,
}

impl Link {
    /// Keeps a stream open whenever there is a connection, until the network stops.
    pub(super) async fn run(mut self) {
        let mut stopping = self.context.shared.stopping.subscribe();
        let mut delays = self.delays.sequence();
        let mut warned = false;
        loop {
            let connection = tokio::select! {
                connection = connected(&mut self.connection) => connection,
                _ = stopping.wait_for(|stopping| *stopping) => None,
            };
            let Some(connection) = connection else { return };
            match self.session(connection, &mut stopping).await {
                Ok(()) => return,
                Err((error, true)) => {
                    tracing::debug!(peer = %self.key, %error, "the block stream to the peer ended");
                    delays = self.delays.sequence();
                    warned = false;
                }
                Err((LinkError::Replaced | LinkError::Open(OpenError::Gone), false)) => {}
                Err((error, false)) if warned => {
                    tracing::debug!(peer = %self.key, %error, "no block stream to the peer");
                }
                Err((error, false)) => {
                    tracing::warn!(
                        peer = %self.key, %error,
                        "the authority is connected but takes no blocks from us: a candidate waits for \
                         the votes that add it; otherwise the other may be behind by an epoch, or has \
                         another genesis or version"
                    );
                    warned = true;
                }
            }
            // On the same connection not at once; on a new one there is no reason to wait.
            let delay = delays.next().unwrap_or(self.delays.longest);
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = replaced(&mut self.connection, connection) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }

    /// One stream from hello to end. `Ok` when the network stops; otherwise why the stream ended,
    /// and whether the peer had said hello.
    async fn session(
        &mut self,
        connection: ConnectionId,
        stopping: &mut watch::Receiver<bool>,
    ) -> Result<(), (LinkError, bool)> {
        let limits = self.context.shared.limits;
        let greeting = async {
            let mut stream =
                self.context.shared.open(self.peer, connection, Protocol::Blocks).await?;
            let hello = frame::read(&mut stream, Protocol::Blocks.answer_max()).await;
            let hello = hello.map_err(LinkError::Hello)?.ok_or(LinkError::Closed)?;
            Ok((stream, hello))
        };
        let greeted = tokio::select! {
            greeted = timeout(limits.io_timeout, greeting) => greeted,
            _ = stopping.wait_for(|stopping| *stopping) => return Ok(()),
        };
        let (stream, resume) =
            greeted.unwrap_or(Err(LinkError::Stalled)).map_err(|error| (error, false))?;
        self.counters.received(resume.len());
        let (route, frames) = queue(limits.queue_frames_max, limits.queue_bytes_max);
        let up = Signal::Up { peer: self.key, resume, route };
        // The driver is gone only when the network is: nothing is left to be done then.
        if self.context.events.send(up).await.is_err() {
            return Ok(());
        }
        let result = self.pump(stream, frames, connection).await;
        if *stopping.borrow_and_update() {
            return Ok(());
        }
        let down = Signal::Other(NetworkEvent::PeerDown { peer: self.key });
        let _ = self.context.events.send(down).await;
        // The queue is closed from outside when the network stops, or when it overflowed.
        Err((result.err().unwrap_or(LinkError::Overflow), true))
    }

    async fn pump(
        &mut self,
        stream: Stream,
        mut frames: QueueReceiver,
        connection: ConnectionId,
    ) -> Result<(), LinkError> {
        let (mut reader, writer) = stream.split();
        let mut writer = BufWriter::with_capacity(BUFFER_BYTES, writer);
        let overflow = frames.overflow();
        let limits = &self.context.shared.limits;
        tokio::select! {
            result = send_frames(&mut writer, &mut frames, &self.counters, limits) => result,
            error = out_of_turn(&mut reader) => Err(error),
            () = overflow => Err(LinkError::Overflow),
            () = replaced(&mut self.connection, connection) => Err(LinkError::Replaced),
        }
    }
}

/// The next connection; `None` when there will be none.
async fn connected(connection: &mut watch::Receiver<Option<ConnectionId>>) -> Option<ConnectionId> {
    connection.wait_for(Option::is_some).await.ok().and_then(|connection| *connection)
}

/// Waits until `connection` is no longer the current one.
async fn replaced(current: &mut watch::Receiver<Option<ConnectionId>>, connection: ConnectionId) {
    // An error means that the hub is gone, and the connection with it.
    let _ = current.wait_for(|current| *current != Some(connection)).await;
}

/// Writes what is queued; `Ok` when the queue's other end is closed and everything is written.
async fn send_frames<W: AsyncWrite + Unpin>(
    writer: &mut W,
    frames: &mut QueueReceiver,
    counters: &PeerCounters,
    limits: &NetworkLimits,
) -> Result<(), LinkError> {
    loop {
        let mut next = match timeout(limits.heartbeat, frames.next()).await {
            Ok(Some(frame)) => Some(frame),
            Ok(None) => {
                let closed = timeout(limits.io_timeout, writer.close()).await;
                return closed.map_err(|_| LinkError::Stalled)?.map_err(Into::into);
            }
            Err(_) => Some(Arc::from([])),
        };
        while let Some(frame) = next {
            let parts = [&*frame];
            let write = frame::write(writer, &parts, Protocol::Blocks.request_max());
            timeout(limits.io_timeout, write).await.map_err(|_| LinkError::Stalled)??;
            counters.sent(frame.len());
            next = frames.try_next();
        }
        timeout(limits.io_timeout, writer.flush()).await.map_err(|_| LinkError::Stalled)??;
    }
}

/// Waits for the receiver to close its half, which is all it may do.
async fn out_of_turn<R: AsyncRead + Unpin>(reader: &mut R) -> LinkError {
    match reader.read(&mut [0]).await {
        Ok(0) => LinkError::Closed,
        Ok(_) => LinkError::OutOfTurn,
        Err(error) => LinkError::Io(error),
    }
}

/// Receives the block stream of an authority: says hello, then hands frames to the driver. While
/// the driver does not take them, nothing is read, and the sender notices.
pub(super) async fn receive(
    context: Context,
    peer: PeerId,
    key: PeerKey,
    counters: Arc<PeerCounters>,
    mut stream: Stream,
) -> Outcome {
    let limits = context.shared.limits;
    let hello = lock(&context.shared.resume).get(&key).cloned().unwrap_or_default();
    let greeting = async {
        frame::write(&mut stream, &[&hello], Protocol::Blocks.answer_max()).await?;
        stream.flush().await
    };
    match timeout(limits.io_timeout, greeting).await {
        Ok(Ok(())) => counters.sent(hello.len()),
        Ok(Err(error)) => {
            tracing::debug!(peer = %key, %error, "the hello could not be sent");
            return Outcome::Done;
        }
        Err(_) => return Outcome::Silent(peer),
    }
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, stream);
    let places = Arc::new(Semaphore::new(limits.frames_waiting_max));
    loop {
        // Only then read on: what waits here takes no memory, and keeps no other peer waiting.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return Outcome::Done };
        let read = frame::read(&mut reader, Protocol::Blocks.request_max());
        match timeout(limits.silence_max, read).await {
            Ok(Ok(Some(bytes))) => {
                counters.received(bytes.len());
                if bytes.is_empty() {
                    continue;
                }
                let frame = Signal::Frame { from: key, bytes, place };
                if context.events.send(frame).await.is_err() {
                    return Outcome::Done;
                }
            }
            Ok(Ok(None)) => return Outcome::Done,
            Ok(Err(error)) if error.is_fault() => {
                tracing::warn!(peer = %key, %error, "an authority broke the block protocol");
                return Outcome::Fault(peer);
            }
            Ok(Err(error)) => {
                tracing::debug!(peer = %key, %error, "the block stream of the peer ended");
                return Outcome::Done;
            }
            Err(_) => return Outcome::Silent(peer),
        }
    }
}
