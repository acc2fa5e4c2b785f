//! Runs the commit rule, orders what it decides, and forgets what can no longer be ordered (§4).

use alloc::vec::Vec;

use super::Consensus;
use crate::{
    block::Block,
    commit::Commit,
    event::{Action, HaltReason},
    linear,
    rule::{self, Decision},
    types::{BlockRef, Instant},
};

/// How many digests of commits are remembered to vote on.
const DIGESTS_MAX: usize = 4096;

impl Consensus {
    pub(super) fn commit_decided(&mut self, now: Instant) {
        // Collecting garbage can release waiting blocks, which can decide more slots.
        while !self.mode.is_over() && !self.catch_up.is_applying() {
            let decisions = rule::decide(&self.dag, self.next_slot);
            if decisions.is_empty() {
                return;
            }
            for (round, decision) in decisions {
                match decision {
                    Decision::Commit(leader) => self.commit(leader),
                    Decision::Conflict(proposal) => {
                        return self.halt(HaltReason::Contradiction { proposal });
                    }
                    Decision::Skip | Decision::Undecided => (),
                }
                self.next_slot = round.plus(1);
            }
            // Beyond the end of an epoch nothing is progress but its checkpoint.
            if self.closing.is_none() {
                self.catch_up.committed(now);
            }
            self.collect_garbage();
        }
    }

    fn commit(&mut self, leader: BlockRef) {
        // A decided leader is in the DAG: only accepted proposals are decided on.
        let Some(commit) = linear::linearise(&self.dag, &self.head, leader) else { return };
        self.append(commit);
    }

    /// Makes a commit the newest one. Beyond the one that closes the epoch none is told of: it is
    /// made only so that memory stays bounded while the last checkpoint is waited for.
    pub(super) fn append(&mut self, commit: Commit) {
        linear::apply(&mut self.dag, &mut self.head, &commit);
        if self.closing.is_some() {
            return;
        }
        self.remember(&commit);
        if commit.has_payload() {
            self.awaiting.insert(commit.index());
        }
        self.actions.push(Action::Commit(commit));
    }

    pub(super) fn remember(&mut self, commit: &Commit) {
        self.digests.insert(commit.index(), commit.digest());
        if self.digests.len() > DIGESTS_MAX {
            self.digests.pop_first();
        }
    }

    pub(super) fn collect_garbage(&mut self) {
        let gc_round = self.dag.gc_round();
        let dropped = self.dag.prune(gc_round);
        self.return_payload(&dropped);
        self.fetcher.collect(gc_round);
        for rounds in &mut self.twins {
            *rounds = rounds.split_off(&gc_round.plus(1));
        }
        self.unheard.retain(|_, block| block.round() > gc_round);
        let released = self.suspended.collect(gc_round);
        for block in &released {
            self.fetcher.forget(&block.reference());
        }
        let own = self.own;
        self.accept(own, released);
    }

    /// Own payload that can no longer be committed goes back to where it came from.
    pub(super) fn return_payload(&mut self, dropped: &[Block]) {
        if self.closing.is_some() {
            return;
        }
        let own = dropped.iter().filter(|block| block.author() == self.own);
        let items: Vec<Vec<u8>> =
            own.flat_map(|block| block.payload().map(<[u8]>::to_vec)).collect();
        if !items.is_empty() {
            self.actions.push(Action::PayloadReturned(items));
        }
    }
}
