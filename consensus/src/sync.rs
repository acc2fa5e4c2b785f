//! Asks for missing parents: from who must have them, never from all at once (§6.3).
//!
//! A reference waits a moment for its own stream, then is asked of one peer, then of a second; nobody
//! is asked again before everybody was. Each peer has one request in flight. Parents that do not exist must not crowd
//! out those that do: what somebody names who has answered for what it named before goes first, then
//! what was asked for in vain least often; then the lowest rounds, because they unlock the rest.

use alloc::{collections::BTreeMap, vec, vec::Vec};

use crate::{
    authority_set::AuthoritySet,
    parameters::Parameters,
    types::{AuthorityIndex, BlockRef, Instant, Round},
};

/// How many requests for one reference are in flight at most.
const IN_FLIGHT_MAX: usize = 2;

#[derive(Debug)]
struct Wanted {
    /// Who must have it: the referencing block's author, its sender, the author.
    hints: Vec<AuthorityIndex>,
    /// With which of the others to begin, when the hints were asked.
    start: usize,
    /// Who was asked since everybody was.
    asked: AuthoritySet,
    /// Who turned out to have it only when others had been asked already. These are asked in any
    /// case: those others may be liars who keep us waiting.
    late: AuthoritySet,
    /// How many requests for it brought nothing at all.
    failures: u32,
    in_flight: AuthoritySet,
    due: Instant,
    /// Whether what its author made before is likely to be missing, too.
    chain: bool,
}

impl Wanted {
    /// Who says that it is there, by building on it or sending what does. Its author says nothing:
    /// others have put that name on it.
    fn named_by(&self, reference: &BlockRef) -> impl Iterator<Item = AuthorityIndex> {
        let author = reference.author;
        self.hints.iter().copied().filter(move |hint| *hint != author)
    }

    /// Whether somebody is to be asked in any case.
    fn has_late(&self, connected: AuthoritySet) -> bool {
        !self.late.and(connected).is_empty()
    }

    /// Whom of the free ones to ask next: the hints first, then the others in turn, without those
    /// who were asked already. When all were, they all may be again.
    fn next(&mut self, connected: AuthoritySet, free: AuthoritySet) -> Option<AuthorityIndex> {
        if connected.without(self.asked).is_empty() {
            self.asked = AuthoritySet::EMPTY;
        }
        let mut may = free.without(self.asked).without(self.in_flight);
        if self.in_flight.len() >= IN_FLIGHT_MAX {
            may = may.and(self.late);
        }
        if may.is_empty() {
            return None;
        }
        if let Some(hint) = self.hints.iter().find(|hint| may.contains(**hint)) {
            return Some(*hint);
        }
        let others = connected.without(self.hints.iter().copied().collect());
        let start = self.start % others.len().max(1);
        let mut in_turn = others.iter().skip(start).chain(others.iter().take(start));
        in_turn.find(|peer| may.contains(*peer))
    }
}

/// What is asked of one peer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asking {
    pub references: Vec<BlockRef>,
    /// Whether to ask for the chains of own parents behind them.
    pub chains: bool,
}

/// Missing references and open requests.
#[derive(Debug)]
pub(crate) struct Fetcher {
    own: AuthorityIndex,
    delay_ms: u64,
    timeout_ms: u64,
    references_max: usize,
    wanted: BTreeMap<BlockRef, Wanted>,
    requests: BTreeMap<AuthorityIndex, Vec<BlockRef>>,
    /// How many requests for what they had named themselves peers left without a block; halved by
    /// each that brings one. By the peer's position.
    broken: Vec<u32>,
    connected: AuthoritySet,
    next_poll: Option<Instant>,
}

impl Fetcher {
    pub fn new(own: AuthorityIndex, parameters: &Parameters) -> Self {
        Self {
            own,
            delay_ms: parameters.fetch_delay_ms,
            timeout_ms: 2 * parameters.delta_ms,
            references_max: parameters.fetch_references_max,
            wanted: BTreeMap::new(),
            requests: BTreeMap::new(),
            broken: vec![0; AuthoritySet::CAPACITY],
            connected: AuthoritySet::EMPTY,
            next_poll: None,
        }
    }

    pub fn len(&self) -> usize {
        self.wanted.len()
    }

    pub fn connected(&self) -> AuthoritySet {
        self.connected
    }

    /// Whether this very block is asked for, or about to be: it must not be refused.
    pub fn wants(&self, reference: &BlockRef) -> bool {
        self.wanted.contains_key(reference)
    }

    /// Who must have a block that is asked for, and with it everything behind it. Its author comes
    /// last: who makes the others ask for its blocks may be in no hurry to answer.
    pub fn holders(&self, reference: &BlockRef) -> Vec<AuthorityIndex> {
        let hints = self.wanted.get(reference).map(|wanted| wanted.hints.as_slice());
        let mut holders = hints.unwrap_or_default().to_vec();
        holders.sort_by_key(|holder| *holder == reference.author);
        holders
    }

    /// Somebody more must have a block that is wanted: it is asked next. If somebody was asked
    /// already, it is asked too, and at once: that one may be a liar who keeps us waiting. However
    /// many were named before, or a few liars would leave only guessing among everybody; and however
    /// many are being asked.
    pub fn hint(&mut self, reference: &BlockRef, holder: AuthorityIndex, now: Instant) {
        let Some(wanted) = self.wanted.get_mut(reference) else { return };
        if holder == self.own || wanted.hints.contains(&holder) {
            return;
        }
        // Next in turn, also when everybody else is being asked already.
        let asked_before = !wanted.asked.is_empty();
        wanted.hints.insert(0, holder);
        wanted.asked.remove(holder);
        if asked_before {
            wanted.late.insert(holder);
            wanted.due = wanted.due.min(now);
            self.poll_at(now);
        }
    }

    /// A waiting block needs this parent; a hint must have it.
    pub fn want(
        &mut self,
        reference: BlockRef,
        hints: impl IntoIterator<Item = AuthorityIndex>,
        now: Instant,
    ) {
        if self.wanted.contains_key(&reference) {
            return hints.into_iter().for_each(|hint| self.hint(&reference, hint, now));
        }
        let due = now.plus_ms(self.delay_ms);
        let mut wanted = Wanted {
            hints: Vec::new(),
            start: 0,
            asked: AuthoritySet::EMPTY,
            late: AuthoritySet::EMPTY,
            failures: 0,
            in_flight: AuthoritySet::EMPTY,
            due,
            chain: false,
        };
        for hint in hints {
            if hint != self.own && !wanted.hints.contains(&hint) {
                wanted.hints.push(hint);
            }
        }
        self.wanted.insert(reference, wanted);
        self.poll_at(due);
    }

    /// A block that had to be asked for needs this parent: it will hardly come by a stream, so
    /// nothing is gained by waiting. If it is of the same author, whoever kept the one back may
    /// have kept many, and asking for them one by one would take a round trip each.
    pub fn want_behind(
        &mut self,
        reference: BlockRef,
        hints: &[AuthorityIndex],
        chain: bool,
        now: Instant,
    ) {
        self.want(reference, hints.iter().copied(), now);
        if let Some(wanted) = self.wanted.get_mut(&reference) {
            wanted.due = wanted.due.min(now);
            wanted.chain |= chain;
        }
        self.poll_at(now);
    }

    /// Every peer has this block on its disk: nothing is gained by waiting for it. The peers share
    /// such requests among them.
    pub fn want_now(&mut self, reference: BlockRef, now: Instant) {
        let [first, second, ..] = reference.digest.0;
        let start = usize::from(u16::from_le_bytes([first, second]));
        let wanted = self.wanted.entry(reference).or_insert_with(|| Wanted {
            hints: Vec::new(),
            start,
            asked: AuthoritySet::EMPTY,
            late: AuthoritySet::EMPTY,
            failures: 0,
            in_flight: AuthoritySet::EMPTY,
            due: now,
            chain: false,
        });
        wanted.due = wanted.due.min(now);
        self.poll_at(now);
    }

    /// The block is here, or nobody needs it any more.
    pub fn forget(&mut self, reference: &BlockRef) {
        self.wanted.remove(reference);
    }

    /// Nothing at or below this round is needed any more.
    pub fn collect(&mut self, gc_round: Round) {
        while let Some((reference, _)) = self.wanted.first_key_value()
            && reference.round <= gc_round
        {
            self.wanted.pop_first();
        }
    }

    /// A peer is there. It may have what nobody had before: pauses end. They would be long after
    /// connections broke one by one, and the few peers left were asked again and again.
    pub fn connect(&mut self, peer: AuthorityIndex, now: Instant) {
        if peer == self.own {
            return;
        }
        self.release(peer, now);
        self.connected.insert(peer);
        let due = now.plus_ms(self.delay_ms);
        for wanted in self.wanted.values_mut() {
            wanted.due = wanted.due.min(due);
            wanted.asked.remove(peer);
        }
        self.poll_at(due);
    }

    /// A peer is gone.
    pub fn disconnect(&mut self, peer: AuthorityIndex, now: Instant) {
        self.connected.remove(peer);
        self.release(peer, now);
    }

    /// The request to this peer has no answer and will have none, which says nothing about what
    /// the peer has.
    fn release(&mut self, peer: AuthorityIndex, now: Instant) {
        for reference in self.requests.remove(&peer).unwrap_or_default() {
            if let Some(wanted) = self.wanted.get_mut(&reference) {
                wanted.in_flight.remove(peer);
                wanted.due = wanted.due.min(now);
            }
        }
        self.poll_at(now);
    }

    /// The request to this peer is over, and brought so many blocks. What was too much for an
    /// answer that brought some is asked for again at once; after answers that bring nothing there
    /// are pauses, once everybody was asked.
    pub fn finish(&mut self, peer: AuthorityIndex, now: Instant, brought: usize) {
        let peers = u32::try_from(self.connected.len().max(1)).unwrap_or(1);
        let references = self.requests.remove(&peer).unwrap_or_default();
        let named_it = |it: &BlockRef| {
            self.wanted.get(it).is_some_and(|wanted| wanted.named_by(it).any(|by| by == peer))
        };
        if let Some(broken) = self.broken.get_mut(peer.position()) {
            if brought > 0 {
                *broken /= 2;
            } else if references.iter().any(named_it) {
                *broken = broken.saturating_add(1);
            }
        }
        for reference in references {
            if let Some(wanted) = self.wanted.get_mut(&reference) {
                wanted.in_flight.remove(peer);
                wanted.failures = wanted.failures.saturating_add(u32::from(brought == 0));
                let rounds_tried = wanted.failures / peers;
                let is_at_once = rounds_tried == 0 || wanted.has_late(self.connected);
                let pause_ms = if is_at_once { 0 } else { self.timeout_ms };
                wanted.due = now.plus_ms(pause_ms << rounds_tried.min(6));
            }
        }
        self.poll_at(now);
    }

    /// When to [`poll`](Self::poll) next.
    pub fn next_poll(&self) -> Option<Instant> {
        self.next_poll
    }

    fn poll_at(&mut self, at: Instant) {
        self.next_poll = Some(self.next_poll.map_or(at, |earlier| earlier.min(at)));
    }

    /// How little those are to be relied on who say that a block is there: by powers of two, since an
    /// honest peer leaves a question without an answer, too, when its connection is bad.
    fn doubt(&self, reference: &BlockRef, wanted: &Wanted) -> u32 {
        let broken =
            |by: AuthorityIndex| self.broken.get(by.position()).copied().unwrap_or_default();
        let least = wanted.named_by(reference).map(broken).min().unwrap_or_default();
        least.checked_ilog2().map_or(0, |doubt| doubt + 1)
    }

    /// The requests to make now, one per peer at most.
    pub fn poll(&mut self, now: Instant) -> BTreeMap<AuthorityIndex, Asking> {
        let mut asked: BTreeMap<AuthorityIndex, Asking> = BTreeMap::new();
        self.next_poll = None;
        if self.wanted.is_empty() {
            return asked;
        }
        let mut next = now.plus_ms(self.timeout_ms);
        let mut free = self.connected;
        self.requests.keys().for_each(|busy| free.remove(*busy));
        if free.is_empty() {
            // The end of a request polls again. Liars can make thousands be wanted meanwhile.
            self.poll_at(next);
            return asked;
        }
        let mut due = Vec::new();
        for (reference, wanted) in &self.wanted {
            if wanted.due > now {
                next = next.min(wanted.due);
            } else if wanted.in_flight.len() < IN_FLIGHT_MAX || wanted.has_late(self.connected) {
                due.push((self.doubt(reference, wanted), wanted.failures, *reference));
            }
        }
        due.sort_unstable();
        for (_, _, reference) in due {
            if free.is_empty() {
                break;
            }
            let Some(wanted) = self.wanted.get_mut(&reference) else { continue };
            let Some(peer) = wanted.next(self.connected, free) else { continue };
            wanted.asked.insert(peer);
            wanted.late.remove(peer);
            wanted.in_flight.insert(peer);
            // Who made others ask for its block may be in no hurry to answer.
            let is_author = peer == reference.author;
            wanted.due = now.plus_ms(if is_author { self.delay_ms } else { self.timeout_ms });
            let asking = asked.entry(peer).or_default();
            asking.references.push(reference);
            asking.chains |= wanted.chain;
            if asking.references.len() >= self.references_max {
                free.remove(peer);
            }
        }
        self.requests.extend(asked.iter().map(|(peer, it)| (*peer, it.references.clone())));
        self.poll_at(next.max(now.plus_ms(self.delay_ms / 2)));
        asked
    }
}

#[cfg(test)]
mod tests;
