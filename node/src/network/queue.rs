//! A queue of byte frames, bounded by number and bytes, that never makes its producer wait.
//!
//! A producer that outruns the consumer breaks the queue: what was queued is lost, both sides are
//! told, and the protocol above starts over from a known position.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, mpsc};

/// Why a frame was not queued. It is not retried: the position is agreed anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The frame exceeds what the protocol allows in one frame.
    #[error("the frame is longer than the protocol allows")]
    TooLarge,
    /// The queue is full: the receiver is too slow, and its stream is closed.
    #[error("the receiver is too slow; its stream is closed")]
    Overflow,
    /// There is no open stream.
    #[error("the receiver has no open stream")]
    Closed,
}

struct Gauge {
    bytes: AtomicUsize,
    bytes_max: usize,
    overflow: Notify,
    taken: Notify,
}

/// The producer's end.
pub(super) struct QueueSender {
    frames: Option<mpsc::Sender<Arc<[u8]>>>,
    gauge: Arc<Gauge>,
}

/// The consumer's end.
pub(super) struct QueueReceiver {
    frames: mpsc::Receiver<Arc<[u8]>>,
    gauge: Arc<Gauge>,
}

/// A queue for at most `frames_max` frames of together at most `bytes_max` bytes.
pub(super) fn queue(frames_max: usize, bytes_max: usize) -> (QueueSender, QueueReceiver) {
    let (sender, receiver) = mpsc::channel(frames_max);
    let gauge = Arc::new(Gauge {
        bytes: AtomicUsize::new(0),
        bytes_max,
        overflow: Notify::new(),
        taken: Notify::new(),
    });
    (
        QueueSender { frames: Some(sender), gauge: gauge.clone() },
        QueueReceiver { frames: receiver, gauge },
    )
}

impl QueueSender {
    /// Queues a frame, or breaks the queue.
    pub(super) fn push(&mut self, frame: Arc<[u8]>) -> Result<(), PushError> {
        let frames = self.frames.as_ref().ok_or(PushError::Closed)?;
        let length = frame.len();
        // Only this end adds, so the sum cannot pass the limit between the check and the addition.
        let fits = self.gauge.bytes.load(Ordering::Acquire) + length <= self.gauge.bytes_max;
        let result = if fits {
            self.gauge.bytes.fetch_add(length, Ordering::AcqRel);
            frames.try_send(frame).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => PushError::Overflow,
                mpsc::error::TrySendError::Closed(_) => PushError::Closed,
            })
        } else {
            Err(PushError::Overflow)
        };
        if let Err(error) = result {
            if error == PushError::Overflow {
                self.gauge.overflow.notify_one();
            }
            self.frames = None;
        }
        result
    }

    /// Whether at least half of the queue is free.
    pub(super) fn has_room(&self) -> bool {
        let bytes = self.gauge.bytes.load(Ordering::Acquire);
        let of_frames = |frames: &mpsc::Sender<_>| frames.capacity() >= frames.max_capacity() / 2;
        self.frames.as_ref().is_some_and(of_frames) && bytes <= self.gauge.bytes_max / 2
    }

    /// Waits until a frame of so many bytes fits (or, if it never will, until the queue is empty),
    /// or nobody takes frames any more.
    pub(super) async fn room(&self, bytes: usize) {
        let Some(frames) = &self.frames else { return };
        loop {
            let queued = self.gauge.bytes.load(Ordering::Acquire);
            let fits = queued == 0 || queued + bytes <= self.gauge.bytes_max;
            if fits && frames.capacity() > 0 {
                return;
            }
            // A frame taken since the check has left its notice.
            tokio::select! {
                () = self.gauge.taken.notified() => {}
                () = frames.closed() => return,
            }
        }
    }

    /// Waits until no frame can be queued any more.
    pub(super) async fn closed(&self) {
        if let Some(frames) = &self.frames {
            frames.closed().await;
        }
    }

    /// Whether no frame can be queued any more.
    pub(super) fn is_closed(&self) -> bool {
        self.frames.as_ref().is_none_or(mpsc::Sender::is_closed)
    }
}

impl QueueReceiver {
    /// The next frame, or `None` when the producer is done. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Option<Arc<[u8]>> {
        let frame = self.frames.recv().await?;
        self.taken(&frame);
        Some(frame)
    }

    /// The next frame if one waits.
    pub(super) fn try_next(&mut self) -> Option<Arc<[u8]>> {
        let frame = self.frames.try_recv().ok()?;
        self.taken(&frame);
        Some(frame)
    }

    fn taken(&self, frame: &[u8]) {
        self.gauge.bytes.fetch_sub(frame.len(), Ordering::AcqRel);
        self.gauge.taken.notify_one();
    }

    /// A future that is ready once the queue overflowed.
    pub(super) fn overflow(&self) -> impl Future<Output = ()> + Send + use<> {
        let gauge = self.gauge.clone();
        async move { gauge.overflow.notified().await }
    }
}

#[cfg(test)]
mod tests {
    use libp2p::futures::FutureExt;

    use super::*;

    fn frame(bytes: usize) -> Arc<[u8]> {
        vec![0; bytes].into()
    }

    #[tokio::test]
    async fn bytes_and_frames_are_bounded() {
        // (frames_max, bytes_max, pushes, result of the last push)
        let table = [
            (2, 10, [5, 5].as_slice(), Ok(())),
            (2, 10, &[5, 6], Err(PushError::Overflow)),
            (2, 10, &[1, 1, 1], Err(PushError::Overflow)),
            (9, 10, &[11, 1], Err(PushError::Closed)),
        ];
        for (frames_max, bytes_max, pushes, expected) in table {
            let (mut sender, receiver) = queue(frames_max, bytes_max);
            let last = pushes.iter().map(|bytes| sender.push(frame(*bytes))).last().unwrap();
            assert_eq!(last, expected, "{pushes:?}");
            assert_eq!(receiver.overflow().now_or_never().is_some(), expected.is_err());
            assert_eq!(sender.is_closed(), expected.is_err());
        }
    }

    #[tokio::test]
    async fn there_is_room_while_half_is_free() {
        // (frames_max, bytes_max, pushes, room afterwards)
        let table = [
            (4, 100, [10, 10].as_slice(), true),
            (4, 100, &[1, 1, 1], false),
            (9, 10, &[6], false),
        ];
        for (frames_max, bytes_max, pushes, expected) in table {
            let (mut sender, mut receiver) = queue(frames_max, bytes_max);
            pushes.iter().for_each(|bytes| sender.push(frame(*bytes)).unwrap());
            assert_eq!(sender.has_room(), expected, "{pushes:?}");
            receiver.next().await.unwrap();
            assert!(sender.has_room());
        }
    }

    #[tokio::test]
    async fn a_producer_that_waits_for_room_never_overflows() {
        for (frames_max, bytes_max) in [(1, 100), (100, 10), (2, 10)] {
            let (mut sender, mut receiver) = queue(frames_max, bytes_max);
            let producer = async move {
                for _ in 0..50 {
                    sender.room(7).await;
                    sender.push(frame(7)).unwrap();
                }
            };
            let consumer = async move {
                let mut taken = 0;
                while receiver.next().await.is_some() {
                    taken += 1;
                }
                taken
            };
            assert_eq!(tokio::join!(producer, consumer), ((), 50));
        }
    }

    #[tokio::test]
    async fn who_waits_for_room_in_vain_is_told() {
        let (mut sender, receiver) = queue(1, 10);
        sender.push(frame(1)).unwrap();
        assert!(sender.room(1).now_or_never().is_none());
        drop(receiver);
        sender.room(1).await;
        sender.closed().await;
        assert_eq!(sender.push(frame(1)), Err(PushError::Closed));
    }

    #[tokio::test]
    async fn taking_a_frame_makes_room() {
        let (mut sender, mut receiver) = queue(9, 10);
        for _ in 0..3 {
            sender.push(frame(10)).unwrap();
            assert_eq!(receiver.next().await.unwrap().len(), 10);
            assert!(receiver.try_next().is_none());
        }
        drop(sender);
        assert!(receiver.next().await.is_none());
    }
}
