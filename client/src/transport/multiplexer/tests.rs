//! Two ends of a connection, moved by hand.

use super::*;
use libp2p::core::muxing::StreamMuxerExt;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Bytes = Arc<Mutex<VecDeque<u8>>>;

/// One end of a pipe without bounds. It wakes nobody: who moves the ends, asks them.
struct Pipe {
    from: Bytes,
    to: Bytes,
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match io::Read::read(&mut *self.from.lock().unwrap(), bytes) {
            Ok(0) => Poll::Pending,
            read => Poll::Ready(read),
        }
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.to.lock().unwrap().extend(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Both ends of a connection, and of a stream on it.
struct Ends {
    client: Multiplexed<Pipe>,
    server: Multiplexed<Pipe>,
    sender: Stream,
    receiver: Stream,
}

fn ends(config: &Multiplexing) -> (Multiplexed<Pipe>, Multiplexed<Pipe>) {
    let (there, back) = (Bytes::default(), Bytes::default());
    let client = Pipe { from: back.clone(), to: there.clone() };
    let server = Pipe { from: there, to: back };
    let client = config.clone().upgrade_outbound(client, "").into_inner().unwrap();
    let server = config.clone().upgrade_inbound(server, "").into_inner().unwrap();
    (client, server)
}

fn now<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(ready) => Some(ready),
        Poll::Pending => None,
    }
}

impl Ends {
    /// With a peer that takes its time to answer, which Yamux measures by the system's clock: a
    /// longer time makes windows grow.
    fn of_a_slow_peer(config: &Multiplexing, delay: Duration) -> Self {
        let cx = &mut Context::from_waker(Waker::noop());
        let (mut client, mut server) = ends(config);
        let mut sender = now(client.poll_outbound_unpin(cx)).unwrap().unwrap();
        assert!(Pin::new(&mut sender).poll_write(cx, &[0]).is_ready());
        assert!(client.poll_unpin(cx).is_pending());
        let receiver = now(server.poll_inbound_unpin(cx)).unwrap().unwrap();
        assert!(server.poll_unpin(cx).is_pending());
        std::thread::sleep(delay);
        let mut ends = Self { client, server, sender, receiver };
        ends.exchange();
        ends
    }

    fn exchange(&mut self) {
        let cx = &mut Context::from_waker(Waker::noop());
        for _ in 0..2 {
            assert!(self.client.poll_unpin(cx).is_pending());
            assert!(self.server.poll_unpin(cx).is_pending());
        }
    }

    /// Sends as much as goes; how many bytes that was.
    fn send(&mut self) -> usize {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut sent = 0;
        let chunk = [7; 16 << 10];
        loop {
            match Pin::new(&mut self.sender).poll_write(cx, &chunk) {
                Poll::Ready(written) => sent += written.unwrap(),
                Poll::Pending => {
                    let before = sent;
                    self.exchange();
                    if let Poll::Ready(written) = Pin::new(&mut self.sender).poll_write(cx, &chunk)
                    {
                        sent += written.unwrap();
                    }
                    if sent == before {
                        return sent;
                    }
                }
            }
        }
    }

    fn receive(&mut self) {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut bytes = vec![0; 64 << 10];
        while Pin::new(&mut self.receiver).poll_read(cx, &mut bytes).is_ready() {}
        self.exchange();
    }
}

/// The most that a peer got into a stream that nobody read from for a moment.
fn most_unread(config: &Multiplexing, delay: Duration) -> usize {
    let mut ends = Ends::of_a_slow_peer(config, delay);
    let sent = |ends: &mut Ends| {
        let sent = ends.send();
        ends.receive();
        sent
    };
    (0..8).map(|_| sent(&mut ends)).max().unwrap()
}

#[test]
fn a_window_does_not_grow_whatever_a_peer_does() {
    // Left alone, Yamux lets it, once its peer is slow enough for how busy this machine is.
    let mut delay = Duration::from_millis(10);
    while most_unread(&Multiplexing(Config::default()), delay) <= 4 * WINDOW_BYTES {
        delay *= 2;
        assert!(delay < Duration::from_secs(20), "windows of Yamux do not grow any more");
    }
    assert!(most_unread(&Multiplexing::new(), delay) <= WINDOW_BYTES);
}

#[test]
fn streams_that_nobody_takes_are_few_even_if_they_are_reset() {
    let cx = &mut Context::from_waker(Waker::noop());
    let (mut client, mut server) = ends(&Multiplexing::new());
    let mut open = || {
        let mut stream = now(client.poll_outbound_unpin(cx)).unwrap().unwrap();
        assert!(Pin::new(&mut stream).poll_write(cx, &[0]).is_ready());
        assert!(client.poll_unpin(cx).is_pending());
        drop(stream);
        assert!(client.poll_unpin(cx).is_pending());
        (0..2).all(|_| server.poll_unpin(cx).is_pending()) && client.poll_unpin(cx).is_pending()
    };
    let opened = (0..4 * STREAMS_PER_CONNECTION_MAX).take_while(|_| open()).count();
    assert_eq!((opened, server.waiting.len()), (STREAMS_PER_CONNECTION_MAX, opened));
}
