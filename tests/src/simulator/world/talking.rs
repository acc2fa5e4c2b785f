//! What an authority hears from others and asks them.

use super::{World, belongs};
use kerbholz_client::consensus::{AuthorityIndex, Block, Committee, Event};
use kerbholz_node::{
    fetch::{Asked, FetchRequest},
    replica::Hello,
};

impl World {
    pub(super) fn peer_up(&mut self, node: usize, peer: usize, hello: Hello) {
        let key = self.keys[peer];
        self.with(node, |replica, now| replica.peer_up(now, key, hello));
    }

    pub(super) fn peer_down(&mut self, node: usize, peer: usize) {
        let key = self.keys[peer];
        self.with(node, |replica, now| replica.peer_down(now, &key));
    }

    /// A block arrives in a stream.
    pub(super) fn receive(&mut self, node: usize, from: usize, block: Block) {
        let key = self.keys[from];
        let Some(running) = self.authority(node).and_then(|it| it.running.as_ref()) else { return };
        let committee = running.replica.committee();
        let Some(from) = committee.index_of(&key).filter(|_| belongs(&block, committee)) else {
            return;
        };
        let reference = block.reference();
        let numbers = [from.0.into(), reference.round.0, reference.author.0.into()];
        self.trace.quiet(self.now_ms, node, "receives", &numbers, &reference.digest.0);
        let event = Event::BlockReceived { from, block };
        self.with(node, |replica, now| replica.handle(now, event));
    }

    /// Bytes arrive that should be a block.
    pub(super) fn receive_bytes(&mut self, node: usize, from: usize, bytes: &[u8]) {
        let Some(running) = self.authority(node).and_then(|it| it.running.as_ref()) else { return };
        let committee = running.replica.committee().clone();
        match self.check(bytes, &committee) {
            Some(block) => self.receive(node, from, block),
            None => self.tally.refused += 1,
        }
    }

    /// Answers a question of a peer.
    pub(super) fn answer(
        &mut self,
        node: usize,
        asker: usize,
        question: &FetchRequest,
    ) -> Option<Vec<u8>> {
        let asker = self.keys[asker];
        self.with(node, |replica, now| replica.asked(now, &asker, question));
        let authority = self.authority(node)?;
        let replica = &authority.running.as_ref()?.replica;
        let answer = replica.answer(&authority.storage, &asker, question);
        Some(answer.expect("a disk that reads").encode())
    }

    /// An answer arrives, or will not.
    pub(super) fn answered(&mut self, node: usize, number: u64, answer: Option<&[u8]>) {
        let Some(authority) = self.authority_mut(node) else { return };
        let Some(running) = &mut authority.running else { return };
        let Some((epoch, asked)) = running.asked.remove(&number) else { return };
        let event = asked.event(answer);
        let good = !matches!(
            event,
            Event::FetchFailed { .. } | Event::CommitsFailed { .. } | Event::OwnFailed { .. }
        );
        self.tally.unanswered += u64::from(!good);
        let numbers = [number, u64::from(good)];
        self.trace.quiet(self.now_ms, node, "is answered", &numbers, answer.unwrap_or_default());
        self.with(node, |replica, now| replica.answered(now, epoch, event));
    }

    /// Asks a peer for something.
    pub(super) fn question(&mut self, node: usize, from: AuthorityIndex, request: FetchRequest) {
        let Some(authority) = self.authority(node) else { return };
        let Some(running) = &authority.running else { return };
        let (life, epoch) = (authority.life, running.replica.epoch());
        let committee = running.replica.committee().clone();
        let own = running.replica.consensus().own();
        match &request {
            FetchRequest::Blocks(references) => self.tally.fetched += references.len() as u64,
            FetchRequest::Chains { references, .. } => {
                self.tally.chains += references.len() as u64;
            }
            FetchRequest::Commits { .. } | FetchRequest::Own { .. } => {}
        }
        let text = || format!("{from} for {request:?}");
        self.trace.note(self.now_ms, node, "asks", &[from.0.into()], &request.encode(), text);
        // Whoever is not there does not answer.
        let peer = self.node_of(&committee, from).unwrap_or(node);
        let number = self.ask(node, peer, life, request.clone());
        let asked = Asked { committee, own, from, request };
        if let Some(running) = self.authority_mut(node).and_then(|it| it.running.as_mut()) {
            running.asked.insert(number, (epoch, asked));
        }
    }

    pub(super) fn committee_of(&self, node: usize) -> Option<Committee> {
        let running = self.authority(node)?.running.as_ref()?;
        Some(running.replica.committee().clone())
    }

    pub(super) fn epoch_of(&self, node: usize) -> u64 {
        self.committee_of(node).map_or(0, |committee| committee.config().epoch)
    }

    pub(super) fn peer(&self, node: usize, peer: AuthorityIndex) -> Option<usize> {
        self.node_of(&self.committee_of(node)?, peer)
    }
}
