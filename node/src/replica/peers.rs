//! Peers across epochs: streams are for those of ours, claims are heard from those ahead (§10.3).

use super::{Hello, Replica};
use kerbholz_consensus::{Action, AuthorityIndex, Event, Now, PublicKey, Round};
use std::cmp::Ordering;

impl Replica {
    /// What is said to a peer that opens its stream to us.
    pub fn hello(&self, peer: &PublicKey) -> Hello {
        let index = self.committee().index_of(peer);
        Hello {
            epoch: self.epoch(),
            commit: self.machine.status().commit_index,
            has_of_yours: index.map_or(Round::GENESIS, |index| self.machine.has_of(index)),
            own_round: self.machine.own_round(),
        }
    }

    /// Our stream to a peer is open, and it said this. What it said before is void.
    pub fn peer_up(&mut self, now: Now, peer: PublicKey, hello: Hello) -> Vec<Action> {
        // One that was removed while its greeting was on the way.
        if self.committee().index_of(&peer).is_none() {
            return Vec::new();
        }
        let mut actions = self.peer_down(now, &peer);
        self.greetings.insert(peer, hello);
        actions.extend(self.greet(now, &peer, hello));
        actions
    }

    /// Our stream to a peer is closed.
    pub fn peer_down(&mut self, now: Now, peer: &PublicKey) -> Vec<Action> {
        let Some(hello) = self.greetings.remove(peer) else { return Vec::new() };
        match self.committee().index_of(peer) {
            Some(peer) if hello.epoch >= self.epoch() => {
                self.handle(now, Event::PeerDisconnected { peer })
            }
            _ => Vec::new(),
        }
    }

    /// The members of the committee that a stream of own blocks goes to: those in our epoch.
    pub fn streamed(&self) -> impl Iterator<Item = PublicKey> {
        let committee = self.committee();
        let keys = committee.authorities().filter(|peer| self.streams_to(*peer));
        keys.filter_map(|peer| committee.key(peer))
    }

    /// How many members of the committee are connected, this node included if it is one.
    pub fn connected(&self) -> usize {
        let committee = self.committee();
        let connected = self.greetings.keys().filter(|key| committee.index_of(key).is_some());
        connected.count() + usize::from(self.machine.own().is_some())
    }

    pub(super) fn streams_to(&self, peer: AuthorityIndex) -> bool {
        let hello = self.committee().key(peer).and_then(|key| self.greetings.get(&key));
        hello.is_some_and(|hello| hello.epoch == self.epoch())
    }

    /// What was heard before an epoch began means something else in it. Streams to those who were
    /// removed end without a word.
    pub(super) fn greet_all(&mut self, now: Now) -> Vec<Action> {
        let committee = self.machine.committee();
        self.greetings.retain(|key, _| committee.index_of(key).is_some());
        let greetings: Vec<_> = self.greetings.iter().map(|(key, hello)| (*key, *hello)).collect();
        greetings.into_iter().flat_map(|(key, hello)| self.greet(now, &key, hello)).collect()
    }

    fn greet(&mut self, now: Now, peer: &PublicKey, hello: Hello) -> Vec<Action> {
        let Some(peer) = self.committee().index_of(peer) else { return Vec::new() };
        let commit = hello.commit;
        let (has_of_ours, own_round) = match hello.epoch.cmp(&self.epoch()) {
            // It has nothing for us, and it knows from our greeting that it is behind.
            Ordering::Less => return Vec::new(),
            Ordering::Equal => (hello.has_of_yours, hello.own_round),
            // Its rounds are those of another epoch. It can be asked for the end of ours.
            Ordering::Greater => (Round::GENESIS, Round::GENESIS),
        };
        self.handle(now, Event::PeerConnected { peer, has_of_ours, own_round, commit })
    }
}
