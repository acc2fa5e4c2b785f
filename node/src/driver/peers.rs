//! What goes to other authorities, and what comes from them.
//!
//! Peers are keys, whatever the epoch; indices mean something within the present one only.

use super::{Driver, DriverError};
use crate::executor::lock;
use crate::fetch::{Asked, FetchRequest};
use crate::network::{NetworkHandle, PeerKey, Reply};
use crate::replica::Hello;
use crate::storage::StorageError;
use kerbholz_consensus::{
    Action, AuthorityIndex, Block, Event, Fault, PublicKey, Round, UnverifiedBlock,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{block_in_place, spawn_blocking};

/// How many own blocks are read at once for a peer's stream.
const STREAM_BLOCKS_AT_ONCE: usize = 64;
/// How long the streams that are being brought up leave the loop to others.
const PAUSE: Duration = Duration::from_millis(5);

/// The outcome of a request to a peer, and the epoch in which it was asked.
pub(super) struct Answered {
    epoch: u64,
    event: Event,
}

/// Between two steps of bringing streams up.
pub(super) async fn pause() {
    tokio::time::sleep(PAUSE).await;
}

impl Driver {
    pub(super) fn peer_up(&mut self, peer: PeerKey, hello: &[u8]) -> Vec<Action> {
        let Some(hello) = Hello::decode(hello) else {
            tracing::warn!(%peer, "an authority greets in another version of the protocol");
            return Vec::new();
        };
        let Hello { epoch, commit, .. } = hello;
        tracing::debug!(%peer, epoch, commit, "an authority greets");
        self.replica.peer_up(self.now(), PublicKey(peer.0), hello)
    }

    pub(super) fn peer_down(&mut self, peer: PeerKey) -> Vec<Action> {
        self.behind.remove(&peer);
        self.replica.peer_down(self.now(), &PublicKey(peer.0))
    }

    pub(super) fn frame(&mut self, from: PeerKey, bytes: &[u8]) -> Vec<Action> {
        let committee = self.replica.committee();
        let Some(from) = committee.index_of(&PublicKey(from.0)) else { return Vec::new() };
        let block = UnverifiedBlock::decode(bytes);
        // Several authorities push the same one: its signature is checked once.
        let is_known = |block: &UnverifiedBlock| self.replica.consensus().knows(&block.reference());
        if block.as_ref().is_ok_and(is_known) {
            return Vec::new();
        }
        match block.and_then(|block| block.verify(committee)) {
            Ok(block) => self.replica.handle(self.now(), Event::BlockReceived { from, block }),
            // Two do not enter an epoch at the same moment.
            Err(fault @ Fault::WrongDomain(_)) => {
                tracing::debug!(authority = %from, %fault, "a block of another epoch");
                Vec::new()
            }
            Err(fault) => {
                if let Some(times) = self.faults.count(from, "a bad block") {
                    tracing::warn!(authority = %from, %fault, times, "refused a block");
                }
                Vec::new()
            }
        }
    }

    /// Answers in a task of its own: reading may take long, and only the newest own block is known
    /// to consensus alone.
    pub(super) fn serve(&mut self, from: PeerKey, bytes: &[u8], reply: Reply) -> Vec<Action> {
        let Ok(request) = FetchRequest::decode(bytes) else { return Vec::new() };
        let asker = PublicKey(from.0);
        let actions = self.replica.asked(self.now(), &asker, &request);
        let storage = Arc::clone(&self.storage);
        let answer = match &request {
            FetchRequest::Own { .. } => {
                Some(block_in_place(|| self.replica.answer(&storage, &asker, &request)))
            }
            FetchRequest::Blocks(_)
            | FetchRequest::Commits { .. }
            | FetchRequest::Chains { .. } => None,
        };
        spawn_blocking(move || {
            // A damaged old block is no reason to stop: whoever asks finds it elsewhere.
            match answer.unwrap_or_else(|| request.answer(&storage)) {
                Err(error) => tracing::error!(%error, "could not read what was asked for"),
                Ok(answer) => {
                    if let Err(error) = reply.send(answer.encode()) {
                        tracing::warn!(%error, "could not answer an authority");
                    }
                }
            }
        });
        actions
    }

    /// Asks a peer, in a task of its own.
    pub(super) fn ask(
        &self,
        from: AuthorityIndex,
        request: FetchRequest,
        answers: &mpsc::UnboundedSender<Answered>,
    ) {
        let committee = self.replica.committee().clone();
        let peer = committee.key(from).map(|key| PeerKey(key.0));
        let (network, answers) = (self.network.clone(), answers.clone());
        let epoch = self.replica.epoch();
        let asked = Asked { committee, own: self.replica.consensus().own(), from, request };
        tokio::spawn(async move {
            let answer = match peer {
                Some(peer) => fetch(&network, peer, &asked.request).await,
                None => None,
            };
            let event = block_in_place(|| asked.event(answer.as_deref()));
            // The driver is gone only when the node stops.
            let _ = answers.send(Answered { epoch, event });
        });
    }

    pub(super) fn answered(&mut self, Answered { epoch, event }: Answered) -> Vec<Action> {
        match &event {
            Event::OwnAnswered { from, commit, newest } => {
                let newest = newest.as_ref().map_or(0, |block| block.round().0);
                tracing::info!(authority = %from, newest, commit, "told what it knows of our blocks");
            }
            Event::OwnFailed { from } => {
                tracing::debug!(authority = %from, "did not say what it knows of our blocks");
            }
            _ => {}
        }
        self.replica.answered(self.now(), epoch, event)
    }

    /// Tells an authority's next stream where to begin.
    pub(super) fn set_resume(&self, authority: AuthorityIndex) {
        if Some(authority) != self.replica.consensus().own()
            && let Some(key) = self.replica.committee().key(authority)
        {
            let hello = self.replica.hello(&key).encode();
            if let Err(error) = self.network.set_resume(PeerKey(key.0), hello) {
                tracing::warn!(%error, "could not set where a stream resumes");
            }
        }
    }

    pub(super) fn set_resumes(&self) {
        self.replica.committee().authorities().for_each(|authority| self.set_resume(authority));
    }

    pub(super) fn broadcast(&self, block: &Block) {
        let bytes: Arc<[u8]> = block.bytes().into();
        for key in self.replica.streamed() {
            let peer = PeerKey(key.0);
            // A stream that is being brought up comes to this block by itself.
            if !self.behind.contains_key(&peer) {
                self.push(peer, Arc::clone(&bytes));
            }
        }
    }

    pub(super) fn send(&self, to: AuthorityIndex, blocks: &[Block]) {
        let Some(key) = self.replica.committee().key(to) else { return };
        blocks.iter().for_each(|block| self.push(PeerKey(key.0), block.bytes().into()));
    }

    /// Queues a frame. What a closed or overflowing stream loses, its next beginning repeats.
    fn push(&self, to: PeerKey, bytes: Arc<[u8]>) {
        if let Err(error) = self.network.send(to, bytes) {
            tracing::trace!(peer = %to, %error, "frame not queued");
        }
    }

    /// Begins a peer's stream. What lies at the collection round and below is in certified commits,
    /// for whoever is that far behind.
    pub(super) fn stream(&mut self, to: AuthorityIndex, after: Round) -> Result<(), DriverError> {
        let Some(key) = self.replica.committee().key(to) else { return Ok(()) };
        let collected = self.replica.consensus().status().gc_round;
        self.behind.insert(PeerKey(key.0), after.max(collected));
        self.bring_up()
    }

    /// Sends on every stream that is behind as much as is read at once, where there is room.
    pub(super) fn bring_up(&mut self) -> Result<(), DriverError> {
        let peers: Vec<(PeerKey, Round)> = self.behind.iter().map(|(k, r)| (*k, *r)).collect();
        for (peer, after) in peers {
            match block_in_place(|| self.bring_up_one(peer, after))? {
                Some(after) => self.behind.insert(peer, after),
                None => self.behind.remove(&peer),
            };
        }
        Ok(())
    }

    /// How far the stream then is, unless it is up.
    fn bring_up_one(&self, peer: PeerKey, after: Round) -> Result<Option<Round>, StorageError> {
        if !self.network.has_room(peer) {
            return Ok(Some(after));
        }
        let blocks = lock(&self.storage).own_blocks_after(after, STREAM_BLOCKS_AT_ONCE)?;
        let Some(last) = blocks.last().map(|block| block.reference.round) else { return Ok(None) };
        let count = blocks.len();
        for block in blocks {
            if self.network.send(peer, block.bytes.into()).is_err() {
                // The stream begins again where the peer then is.
                return Ok(None);
            }
        }
        Ok((count == STREAM_BLOCKS_AT_ONCE).then_some(last))
    }
}

async fn fetch(network: &NetworkHandle, peer: PeerKey, request: &FetchRequest) -> Option<Vec<u8>> {
    match network.fetch(peer, &request.encode()).await {
        Ok(answer) => Some(answer),
        Err(error) => {
            tracing::debug!(%peer, %error, "a question to an authority brought nothing");
            None
        }
    }
}
