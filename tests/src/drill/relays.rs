//! Relays on loopback: between two authorities, what one sends to the other can be held up.
//!
//! A relay stands in for a network that nobody here may change. What is held up is not lost but waits, as
//! in the buffers of a long outage: TCP gets through it all the same once the way is free.

use super::ground::Place;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What is forwarded at once, in bytes.
const PIECE: usize = 4 << 10;

/// How things are on the way from one authority to another.
#[derive(Clone, Copy, Default)]
struct Way {
    cut: bool,
    /// 0 is as fast as it goes.
    kilobits_per_second: u32,
}

/// What became of the pieces on a way.
#[derive(Default)]
struct Counts {
    held: AtomicU64,
    delayed: AtomicU64,
}

/// All relays of a network.
pub struct Relays {
    ways: BTreeMap<(usize, usize), (watch::Sender<Way>, Arc<Counts>)>,
    listening: JoinSet<()>,
}

impl Relays {
    pub(super) fn new(authorities: usize) -> Self {
        let pairs = (0..authorities).flat_map(|from| (0..authorities).map(move |to| (from, to)));
        let ways = pairs.map(|pair| (pair, Default::default())).collect();
        Self { ways, listening: JoinSet::new() }
    }

    /// The address at which `from` reaches `to`.
    pub(super) async fn between(&mut self, from: usize, to: usize, listens: &Place) -> Place {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        let ends = |pair| {
            let (way, counts) = &self.ways[&pair];
            (way.subscribe(), Arc::clone(counts))
        };
        let (forth, back) = (ends((from, to)), ends((to, from)));
        self.listening.spawn(listen(listener, listens.clone(), forth, back));
        (at.ip().to_string(), at.port())
    }

    pub(super) fn cut(&mut self, from: usize, to: usize) {
        self.ways[&(from, to)].0.send_modify(|way| way.cut = true);
    }

    pub(super) fn slow(&mut self, authority: usize, kilobits_per_second: u32) {
        for (way, counts) in self.of(authority) {
            counts.delayed.store(0, Relaxed);
            way.send_modify(|way| way.kilobits_per_second = kilobits_per_second);
        }
    }

    /// The ways from an authority and to it.
    fn of(&self, authority: usize) -> impl Iterator<Item = &(watch::Sender<Way>, Arc<Counts>)> {
        let touches = move |(from, to): &(usize, usize)| *from == authority || *to == authority;
        self.ways.iter().filter(move |(pair, _)| touches(pair)).map(|(_, way)| way)
    }

    /// How many pieces were held up up to now.
    pub(super) fn lost(&self) -> u64 {
        self.ways.values().map(|(_, counts)| counts.held.load(Relaxed)).sum()
    }

    /// How many pieces waited on the ways of an authority since they are narrow.
    pub(super) fn delayed(&self, authority: usize) -> u64 {
        self.of(authority).map(|(_, counts)| counts.delayed.load(Relaxed)).sum()
    }

    pub(super) fn heal(&mut self) {
        for (way, _) in self.ways.values() {
            way.send_replace(Way::default());
        }
    }
}

/// The end of a way that pieces come out of.
type End = (watch::Receiver<Way>, Arc<Counts>);

async fn listen(listener: TcpListener, to: Place, forth: End, back: End) {
    let mut forwarding = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        let to = (to.0.clone(), to.1);
        let (forth, back) = (forth.clone(), back.clone());
        forwarding.spawn(async move {
            // Nobody listens there: the connection ends, as it would without us.
            let Ok(far) = TcpStream::connect(to).await else { return };
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            let there = forward(near_in, far_out, forth);
            let here = forward(far_in, near_out, back);
            // When one direction ends, so does the other: both ends are to notice.
            tokio::select! { () = there => {}, () = here => {} }
        });
        while forwarding.try_join_next().is_some() {}
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, (mut way, counts): End) {
    let mut piece = [0; PIECE];
    while let Ok(bytes @ 1..) = from.read(&mut piece).await {
        if way.borrow().cut {
            counts.held.fetch_add(1, Relaxed);
        }
        let Ok(state) = way.wait_for(|way| !way.cut).await.map(|way| *way) else { return };
        if state.kilobits_per_second > 0 {
            counts.delayed.fetch_add(1, Relaxed);
            let milliseconds = 8 * bytes as u64 / u64::from(state.kilobits_per_second);
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        }
        if to.write_all(&piece[..bytes]).await.is_err() {
            return;
        }
    }
}
