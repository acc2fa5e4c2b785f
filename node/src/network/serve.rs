//! Answering: one task per request or subscription, from the first byte to the closed stream.
//!
//! Every step has a deadline, so a peer that stops reading or writing loses its place and nothing
//! else. Who is served at all was decided before (see `hub` and `budget`).

use std::sync::Arc;

use kerbholz_client::wire::exchange::{self, Status};
use kerbholz_client::wire::frame::{self, FrameError};
use kerbholz_client::wire::{PeerKey, Protocol};
use libp2p::futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{PeerId, Stream};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::timeout;

use super::events::{EventSink, NetworkEvent, Reply, Signal};
use super::queue::{QueueReceiver, queue};
use super::shared::Context;
use super::stats::PeerCounters;

/// What the hub has to know when a task ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing.
    Done,
    /// The peer broke the protocol.
    Fault(PeerId),
    /// The peer has gone without closing its connection.
    Silent(PeerId),
}

/// One inbound stream and whom it is from.
pub(super) struct Visit {
    pub(super) context: Context,
    pub(super) peer: PeerId,
    pub(super) key: PeerKey,
    pub(super) counters: Arc<PeerCounters>,
    pub(super) protocol: Protocol,
    pub(super) stream: Stream,
    /// The place in the peer's budget; it is free again when the visit ends.
    pub(super) _place: OwnedSemaphorePermit,
}

impl Visit {
    /// Serves a request of the fetch or API protocol.
    pub(super) async fn answer(mut self) -> Outcome {
        let limits = self.context.shared.limits;
        let (request, _bytes) = match timeout(limits.io_timeout, self.read_request()).await {
            Ok(Ok(request)) => request,
            Ok(Err(error)) => return self.bad_request(&error).await,
            Err(_) => return Outcome::Done,
        };
        // Fetches have places per authority; API requests of all peers share theirs, too.
        let shared_place = match self.protocol {
            Protocol::Api => match self.context.shared.requests.clone().try_acquire_owned() {
                Ok(place) => Some(place),
                Err(_) => return self.refuse().await,
            },
            _ => None,
        };
        let (answer, answered) = oneshot::channel();
        let reply = Reply { protocol: self.protocol, answer };
        let from = self.key;
        let event = match self.protocol {
            Protocol::Fetch => NetworkEvent::Fetch { from, bytes: request, reply },
            _ => NetworkEvent::Api { from, bytes: request, reply },
        };
        let driver = async {
            self.context.events.send(Signal::Other(event)).await.ok()?;
            answered.await.ok()
        };
        let answer = timeout(limits.answer_timeout, driver).await.ok().flatten();
        match answer.map(|bytes| (self.reserve(&bytes), bytes)) {
            Some((Some(_reserved), bytes)) => self.send_and_close(Status::Answer, &bytes).await,
            Some((None, bytes)) => {
                // Freed at once: waiting for room would only make everybody's answers pile up.
                drop(bytes);
                return self.refuse().await;
            }
            None => self.send_and_close(Status::Unavailable, &[]).await,
        }
        drop(shared_place);
        Outcome::Done
    }

    /// Takes the answer's bytes from what all API answers together may hold. Fetches are few.
    fn reserve(&self, answer: &[u8]) -> Option<OwnedSemaphorePermit> {
        let bytes = match self.protocol {
            Protocol::Api => u32::try_from(answer.len()).unwrap_or(u32::MAX),
            _ => 0,
        };
        self.context.shared.answer_bytes.clone().try_acquire_many_owned(bytes).ok()
    }

    /// Serves a subscription until the subscriber leaves, lags, or the driver ends it.
    pub(super) async fn publish(mut self, place: OwnedSemaphorePermit) -> Outcome {
        let limits = self.context.shared.limits;
        let request = match timeout(limits.io_timeout, self.read_request()).await {
            Ok(Ok((request, _))) => request,
            Ok(Err(error)) => return self.bad_request(&error).await,
            Err(_) => return Outcome::Done,
        };
        let (sender, events) = queue(limits.subscriber_events_max, limits.subscriber_bytes_max);
        let sink = EventSink { queue: sender };
        let event = NetworkEvent::Subscribe { from: self.key, bytes: request, sink };
        let sent = self.context.events.send(Signal::Other(event));
        if timeout(limits.answer_timeout, sent).await.is_err() {
            self.send_and_close(Status::Unavailable, &[]).await;
            return Outcome::Done;
        }
        self.forward(events).await;
        drop(place);
        Outcome::Done
    }

    async fn forward(self, mut events: QueueReceiver) {
        let Self { context, key, counters, stream, .. } = self;
        let limits = &context.shared.limits;
        let (mut reader, mut writer) = stream.split();
        let overflow = events.overflow();
        let overflow = std::pin::pin!(overflow);
        let mut overflow = overflow;
        loop {
            // A write is never abandoned half-way, or the last word below could not be read.
            let event = tokio::select! {
                biased;
                () = &mut overflow => {
                    tracing::debug!(peer = %key, "a subscriber is too slow and is dropped");
                    context.shared.counters.subscribers_dropped.add(1);
                    let last = send(&mut writer, Protocol::Events, Status::Lagged, &[]);
                    let _ = timeout(limits.io_timeout, last).await;
                    break;
                }
                // A subscriber has nothing to say: whatever it does now means that it leaves.
                _ = left(&mut reader) => return,
                event = timeout(limits.heartbeat, events.next()) => event,
            };
            let written = match event {
                Ok(Some(event)) => {
                    counters.sent(event.len() + 1);
                    let write = send(&mut writer, Protocol::Events, Status::Answer, &event);
                    timeout(limits.io_timeout, write).await
                }
                Ok(None) => break,
                Err(_) => timeout(limits.io_timeout, sign_of_life(&mut writer)).await,
            };
            if !matches!(written, Ok(Ok(()))) {
                return;
            }
        }
        let _ = timeout(limits.io_timeout, writer.close()).await;
    }

    /// Says that the budget is used up, without reading the request.
    pub(super) async fn refuse(mut self) -> Outcome {
        self.context.shared.counters.requests_refused.add(1);
        self.send_and_close(Status::Busy, &[]).await;
        Outcome::Done
    }

    /// Reads the request, and takes its bytes from what all requests together may hold.
    async fn read_request(&mut self) -> Result<(Vec<u8>, OwnedSemaphorePermit), FrameError> {
        let bytes_max = self.protocol.request_max();
        let bytes = frame::read_length(&mut self.stream, bytes_max).await?;
        let bytes = bytes.ok_or(FrameError::Truncated)?;
        let budget = self.context.shared.request_bytes.clone();
        // A request is at most 128 KiB, so the conversion is exact; the semaphore never closes.
        let held = budget.acquire_many_owned(u32::try_from(bytes).unwrap_or(u32::MAX)).await;
        let held = held.map_err(|_| FrameError::Truncated)?;
        let request = frame::read_body(&mut self.stream, bytes).await?;
        self.counters.received(bytes);
        Ok((request, held))
    }

    async fn bad_request(&mut self, error: &FrameError) -> Outcome {
        tracing::debug!(peer = %self.key, protocol = %self.protocol, %error, "no request");
        if !error.is_fault() {
            return Outcome::Done;
        }
        self.send_and_close(Status::TooLarge, &[]).await;
        Outcome::Fault(self.peer)
    }

    async fn send_and_close(&mut self, status: Status, payload: &[u8]) {
        self.counters.sent(payload.len() + 1);
        let write = async {
            send(&mut self.stream, self.protocol, status, payload).await?;
            self.stream.close().await
        };
        if let Ok(Err(error)) = timeout(self.context.shared.limits.io_timeout, write).await {
            tracing::debug!(peer = %self.key, protocol = %self.protocol, %error, "no answer sent");
        }
    }
}

async fn send<W: AsyncWrite + Unpin>(
    writer: &mut W,
    protocol: Protocol,
    status: Status,
    payload: &[u8],
) -> std::io::Result<()> {
    exchange::send_answer(writer, protocol, status, payload).await
}

async fn sign_of_life<W: AsyncWrite + Unpin>(writer: &mut W) -> std::io::Result<()> {
    frame::write(writer, &[], 0).await?;
    writer.flush().await
}

async fn left<R: AsyncRead + Unpin>(reader: &mut R) {
    let _ = reader.read(&mut [0]).await;
}
