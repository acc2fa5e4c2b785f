//! Takes verified blocks in: what is noted, dropped, accepted or suspended (§6.1).
//!
//! Admission may delay or drop a block, never judge it: that was done by its bytes alone.

use alloc::{
    collections::{BTreeSet, VecDeque},
    vec,
    vec::Vec,
};

use super::{Consensus, Mode};
use crate::{
    block::Block,
    event::{Action, HaltReason, Now, Offence},
    types::{AuthorityIndex, BlockRef},
};

impl Consensus {
    pub(super) fn answered(&mut self, now: Now, from: AuthorityIndex, blocks: Vec<Block>) {
        for block in blocks {
            // An answer holds what was asked for, or it is an answer to something else.
            if self.fetcher.wants(&block.reference()) {
                self.receive(now, from, block);
            }
        }
        self.fetcher.finish(from, now.monotonic);
    }

    pub(super) fn receive(&mut self, now: Now, from: AuthorityIndex, block: Block) {
        let reference = block.reference();
        if self.knows(&reference) {
            return;
        }
        self.note_votes(&block);
        self.pacemaker.note_reached(reference.author, reference.round);
        if self.mode == Mode::Halted || reference.round <= self.dag.gc_round() {
            return;
        }
        if reference.author == self.own {
            // Own blocks above the collection round are all known: this one we did not make.
            if self.mode == Mode::Live {
                self.halt(HaltReason::ForeignOwnBlock(block));
            }
            return;
        }
        let solicited = self.fetcher.wants(&reference);
        if !self.is_admitted(&block, solicited) {
            return;
        }
        let missing: BTreeSet<BlockRef> = self.dag.missing(&block).collect();
        if missing.is_empty() {
            self.accept(from, vec![block]);
        } else {
            self.suspend(now, from, block, missing, solicited);
        }
    }

    /// Reports a second block of a slot. Keeps it only when it was asked for, as must be every
    /// block that a valid block builds on.
    fn is_admitted(&mut self, block: &Block, solicited: bool) -> bool {
        let (round, author) = (block.round(), block.author());
        let accepted = self.dag.slot(round, author).next().map(|entry| &entry.block);
        if let Some(first) = accepted.or_else(|| self.suspended.slot(round, author)) {
            let offence = Offence::Equivocation { first: first.clone(), second: block.clone() };
            self.actions.push(Action::Fault { authority: author, offence });
            return solicited;
        }
        let horizon = self.dag.highest_round().plus(self.parameters.rounds_ahead_max);
        solicited || round <= horizon
    }

    pub(super) fn suspend(
        &mut self,
        now: Now,
        from: AuthorityIndex,
        block: Block,
        missing: BTreeSet<BlockRef>,
        solicited: bool,
    ) {
        let (reference, author) = (block.reference(), block.author());
        self.fetcher.forget(&reference);
        for parent in &missing {
            if !self.suspended.contains(parent) {
                self.fetcher.want(*parent, [author, from, parent.author], now.monotonic);
            }
        }
        let evicted = self.suspended.insert(block, missing, solicited);
        for reference in evicted.blocks {
            if self.suspended.needs(&reference) {
                let hints = [reference.author, from, author];
                self.fetcher.want(reference, hints, now.monotonic);
            }
        }
        for parent in evicted.orphans {
            self.fetcher.forget(&parent);
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
            self.dag.insert(block.clone());
            self.actions.push(Action::Persist { block, durable: false });
            ready.extend(self.suspended.resolve(&reference));
        }
    }
}
