//! Takes verified blocks in: what is noted, dropped, accepted or suspended (§6.1).
//!
//! Admission may delay or drop a block, never judge it: that was done by its bytes alone.

use alloc::{
    collections::{BTreeSet, VecDeque},
    vec,
    vec::Vec,
};

use super::{Consensus, PRESENT_ROUNDS};
use crate::{
    block::Block,
    event::{Action, Now, Offence},
    types::{AuthorityIndex, BlockRef, Instant},
};

/// In how many rounds above the collection round an author's second blocks are reported.
const TWINS_MAX: usize = 64;

/// For how many rounds of an author that made two blocks of one nothing is taken but what was asked
/// for. One who goes on with it can cost a leader each time it is trusted again.
const ROUNDS_SHUNNED: u64 = 1_000;
/// How many of the parents that are waited for behind a block are looked through.
const HINTED_MAX: usize = 256;

impl Consensus {
    pub(super) fn answered(&mut self, now: Now, from: AuthorityIndex, blocks: Vec<Block>) {
        let mut wanted = 0;
        for block in blocks {
            // An answer holds what was asked for, or it is an answer to something else.
            if self.fetcher.wants(&block.reference()) {
                wanted += 1;
                self.receive(now.monotonic, from, block);
            }
        }
        self.fetcher.finish(from, now.monotonic, wanted);
    }

    pub(super) fn receive(&mut self, now: Instant, from: AuthorityIndex, block: Block) {
        let reference = block.reference();
        if self.knows(&reference) || !self.is_of_epoch(&block) {
            return;
        }
        self.note_votes(&block);
        self.pacemaker.note_reached(reference.author, reference.round);
        if self.mode.is_over() {
            return;
        }
        // What a quorum certified is not refused for any reason.
        if self.take_certified(&block, now) {
            return;
        }
        let solicited = self.fetcher.wants(&reference);
        self.admit(now, from, block, solicited);
    }

    /// A block that was verified for another epoch, and comes late, has no place here.
    pub(super) fn is_of_epoch(&self, block: &Block) -> bool {
        block.header().domain == self.committee.domain()
    }

    pub(super) fn admit(
        &mut self,
        now: Instant,
        from: AuthorityIndex,
        block: Block,
        solicited: bool,
    ) {
        if self.knows(&block.reference()) || block.round() <= self.dag.gc_round() {
            return;
        }
        if block.author() == self.own {
            self.met_own(&block);
        }
        if !self.is_admitted(now, &block, solicited) {
            return;
        }
        let missing: BTreeSet<BlockRef> = self.dag.missing(&block).collect();
        if missing.is_empty() {
            self.accept(from, vec![block]);
        } else {
            self.suspend(now, from, block, missing, solicited);
        }
    }

    /// Reports a second block of a slot. What was asked for is kept, as must be every block that a
    /// valid block builds on. Of an author that is known to make two blocks a round nothing else
    /// is: each could name a chain of twins, and all of them would have to be fetched. But a
    /// network that stands still may need even such an author, and remembers its twins for ever.
    fn is_admitted(&mut self, now: Instant, block: &Block, solicited: bool) -> bool {
        let (round, author) = (block.round(), block.author());
        self.note_twin(block);
        if solicited {
            return true;
        }
        let shunned_through = self.shunned_through.get(author.position());
        let makes_twins = shunned_through.is_none_or(|through| round <= *through);
        let is_free = self.dag.slot(round, author).next().is_none()
            && self.suspended.slot(round, author).next().is_none();
        let horizon = self.dag.highest_round().plus(self.parameters.rounds_ahead_max);
        let fits = is_free && round <= horizon;
        let is_heard = !makes_twins || self.catch_up.is_stalled(now);
        if fits && !is_heard {
            let newest = self.unheard.entry(author).or_insert_with(|| block.clone());
            if newest.round() < round {
                *newest = block.clone();
            }
        }
        fits && is_heard
    }

    /// A stream brings a block once, and nobody asks for what nobody builds on: when the network
    /// stands still, what was not taken of authors that made two blocks a round is taken after all.
    pub(super) fn hear_all_when_stalled(&mut self, now: Instant) {
        if !self.unheard.is_empty() && self.catch_up.is_stalled(now) {
            for (author, block) in core::mem::take(&mut self.unheard) {
                self.admit(now, author, block, false);
            }
        }
    }

    /// When to look whether it does.
    pub(super) fn hearing_due(&self) -> Option<Instant> {
        (!self.unheard.is_empty()).then(|| self.catch_up.stalls_at())
    }

    /// Reports it when the block is the second one of its slot: once per author and round, and for
    /// so many rounds above the collection round.
    pub(super) fn note_twin(&mut self, block: &Block) {
        let (reference, round, author) = (block.reference(), block.round(), block.author());
        let accepted = self.dag.slot(round, author).map(|entry| &entry.block);
        let waiting = self.suspended.slot(round, author);
        let first = accepted.chain(waiting).find(|first| first.reference() != reference);
        let Some(twins) = self.twins.get_mut(author.position()) else { return };
        if let Some(first) = first
            && twins.len() < TWINS_MAX
            && twins.insert(round)
        {
            if let Some(through) = self.shunned_through.get_mut(author.position()) {
                *through = (*through).max(round.plus(ROUNDS_SHUNNED));
            }
            let offence = Offence::Equivocation { first: first.clone(), second: block.clone() };
            self.actions.push(Action::Fault { authority: author, offence });
        }
    }

    /// A block takes another way than the one it waited for.
    pub(super) fn discard_suspended(&mut self, block: &Block) {
        for parent in self.suspended.discard(&block.reference()) {
            if !self.catch_up.needs(&parent) {
                self.fetcher.forget(&parent);
            }
        }
    }

    pub(super) fn suspend(
        &mut self,
        now: Instant,
        from: AuthorityIndex,
        block: Block,
        missing: BTreeSet<BlockRef>,
        solicited: bool,
    ) {
        let (reference, author) = (block.reference(), block.author());
        // Who must have the block must have what it builds on.
        let mut holders = self.fetcher.holders(&reference);
        holders.push(from);
        self.fetcher.forget(&reference);
        let past = self.dag.highest_round().minus(PRESENT_ROUNDS);
        for parent in &missing {
            if self.suspended.contains(parent) {
                for holder in [author, from] {
                    self.hint_behind(*parent, holder, now);
                }
                continue;
            }
            if self.catch_up.holds(parent) {
                // It is accepted with its commit, or admitted when that is given up.
                continue;
            }
            // What is of the past was kept back, and does not come by itself any more.
            let is_past = parent.round < past;
            if solicited || is_past {
                let chain = parent.author == author || is_past;
                self.fetcher.want_behind(*parent, &holders, chain, now);
            } else {
                self.fetcher.want(*parent, [author, from, parent.author], now);
            }
        }
        let evicted = self.suspended.insert(block, missing, solicited);
        for reference in evicted.blocks {
            if self.suspended.needs(&reference) {
                let hints = [reference.author, from, author];
                self.fetcher.want(reference, hints, now);
            }
        }
        for parent in evicted.orphans {
            if !self.catch_up.needs(&parent) {
                self.fetcher.forget(&parent);
            }
        }
    }

    /// Whoever builds on a block or sends what does has everything behind it: what that waits for can
    /// be asked there, too, and not only of a liar who keeps us waiting.
    fn hint_behind(&mut self, waiting: BlockRef, holder: AuthorityIndex, now: Instant) {
        let (mut open, mut seen) = (vec![waiting], BTreeSet::from([waiting]));
        let mut left = HINTED_MAX;
        while let Some(next) = open.pop() {
            for missing in self.suspended.missing(&next).into_iter().take(left) {
                left -= 1;
                if self.suspended.contains(&missing) && seen.insert(missing) {
                    open.push(missing);
                }
                self.fetcher.hint(&missing, holder, now);
            }
        }
    }

    /// Accepts blocks whose parents are all there, and whatever waited for them.
    pub(super) fn accept(&mut self, from: AuthorityIndex, blocks: Vec<Block>) {
        let mut ready = VecDeque::from(blocks);
        while let Some(block) = ready.pop_front() {
            let reference = block.reference();
            if self.dag.contains(&reference) || reference.round <= self.dag.gc_round() {
                continue;
            }
            self.fetcher.forget(&reference);
            self.relay.accepted(&block, from);
            self.note_own(&block);
            self.dag.insert(block.clone());
            self.actions.push(Action::Persist { block, durable: false });
            ready.extend(self.suspended.resolve(&reference));
        }
    }
}
