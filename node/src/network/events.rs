//! What the network tells the driver, and how the driver answers.

use std::sync::Arc;

use kerbholz_client::wire::{PeerKey, Protocol};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::queue::{PushError, QueueSender};
use super::shared::{Shared, lock};

/// One thing that happened. Events of one peer arrive in the order in which they happened.
#[derive(Debug)]
pub enum NetworkEvent {
    /// Frames sent to `peer` from now on arrive, in order, until [`Self::PeerDown`].
    PeerUp {
        /// The authority.
        peer: PeerKey,
        /// Its hello: what it has of our blocks. Send what follows it.
        resume: Vec<u8>,
    },
    /// The stream to `peer` is closed; what was queued may be lost. It is opened again by itself.
    PeerDown {
        /// The authority.
        peer: PeerKey,
    },
    /// A frame of an authority's block stream.
    Frame {
        /// The authority.
        from: PeerKey,
        /// At most [`Protocol::request_max`] bytes, never empty.
        bytes: Vec<u8>,
    },
    /// An authority asks for blocks.
    Fetch {
        /// The authority.
        from: PeerKey,
        /// The request.
        bytes: Vec<u8>,
        /// Where the answer goes.
        reply: Reply,
    },
    /// Anyone asks for anything.
    Api {
        /// Who asks; authenticated, but not necessarily a member.
        from: PeerKey,
        /// The request.
        bytes: Vec<u8>,
        /// Where the answer goes.
        reply: Reply,
    },
    /// Anyone wants to hear events.
    Subscribe {
        /// Who asks; authenticated, but not necessarily a member.
        from: PeerKey,
        /// From which position, as the subscriber puts it.
        bytes: Vec<u8>,
        /// Where the events go. Dropping it ends the subscription.
        sink: EventSink,
    },
}

/// The way back to who asked. Dropping it tells them to ask elsewhere.
#[derive(Debug)]
pub struct Reply {
    pub(super) protocol: Protocol,
    pub(super) answer: oneshot::Sender<Vec<u8>>,
}

impl Reply {
    /// Answers. Whether the asker still listens cannot be known and does not matter.
    ///
    /// # Errors
    /// [`PushError::TooLarge`] when the answer exceeds [`Protocol::answer_max`]; the asker is then
    /// told to ask elsewhere.
    pub fn send(self, bytes: Vec<u8>) -> Result<(), PushError> {
        if bytes.len() > self.protocol.answer_max() {
            return Err(PushError::TooLarge);
        }
        let _ = self.answer.send(bytes);
        Ok(())
    }

    /// The longest answer there may be, in bytes.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.protocol.answer_max()
    }
}

/// The way to a subscriber: a bounded queue that never makes the sender wait.
pub struct EventSink {
    pub(super) queue: QueueSender,
}

impl EventSink {
    /// Waits until an event of so many bytes can be queued, or the subscriber has left.
    pub async fn room(&self, bytes: usize) {
        self.queue.room(bytes).await;
    }

    /// Waits until the subscriber has left.
    pub async fn closed(&self) {
        self.queue.closed().await;
    }

    /// Queues an event at once; after [`Self::room`] there is a place for it.
    ///
    /// # Errors
    /// After [`PushError::Overflow`] (the subscriber reads too slowly and is told so) and
    /// [`PushError::Closed`] (it left) the sink is dead and should be dropped.
    pub fn send(&mut self, event: Arc<[u8]>) -> Result<(), PushError> {
        // An empty event would read as a sign of life.
        if event.is_empty() || event.len() > Protocol::Events.answer_max() {
            return Err(PushError::TooLarge);
        }
        self.queue.push(event)
    }

    /// Whether the subscriber has left.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }
}

impl std::fmt::Debug for EventSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventSink").field("closed", &self.is_closed()).finish()
    }
}

/// An event on its way to the driver, with what becomes effective when the driver takes it.
pub(super) enum Signal {
    Up {
        peer: PeerKey,
        resume: Vec<u8>,
        route: QueueSender,
    },
    /// A frame, and its place among those that one authority may have waiting.
    Frame {
        from: PeerKey,
        bytes: Vec<u8>,
        place: OwnedSemaphorePermit,
    },
    Other(NetworkEvent),
}

/// The receiving end of the events. Dropping it stops the network.
pub struct NetworkEvents {
    pub(super) signals: mpsc::Receiver<Signal>,
    pub(super) shared: Arc<Shared>,
}

impl NetworkEvents {
    /// Waits for the next event; `None` when the network has stopped. May be dropped and called
    /// again without losing an event.
    ///
    /// A peer's queue opens when its [`NetworkEvent::PeerUp`] is *taken* here: so a frame sent in
    /// ignorance of a reconnection can never overtake those that the resume position asks for.
    pub async fn recv(&mut self) -> Option<NetworkEvent> {
        let signal = self.signals.recv().await?;
        Some(match signal {
            Signal::Up { peer, resume, route } => {
                lock(&self.shared.routes).insert(peer, route);
                NetworkEvent::PeerUp { peer, resume }
            }
            Signal::Frame { from, bytes, place } => {
                drop(place);
                NetworkEvent::Frame { from, bytes }
            }
            // A queue closes by itself when its stream ends, whether the driver knows or not.
            Signal::Other(event) => event,
        })
    }
}
