//! Makes own blocks when the pacemaker says so (§5).

use alloc::vec::Vec;

use super::{Consensus, Mode};
use crate::{
    block::{Block, Draft},
    event::{Action, Now, Timer},
    types::{BlockRef, Round},
};

impl Consensus {
    /// Advances, makes at most one own block, and arms the timer for the next.
    pub(super) fn propose(&mut self, now: Now) {
        let mut made = false;
        while matches!(self.mode, Mode::Live)
            && !self.catch_up.is_applying()
            && !self.own_check.waits(now.monotonic)
            && self.is_here(&self.pacemaker.own_last())
        {
            if self.pacemaker.advance(&self.dag, now.monotonic) {
                continue;
            }
            let due = self.pacemaker.due(&self.dag, self.is_busy(), now.monotonic);
            if made || due.is_none_or(|due| due > now.monotonic) {
                return self.arm(Timer::Proposal, due);
            }
            self.create(now);
            made = true;
            self.commit_decided(now.monotonic);
            self.finish_epoch();
        }
    }

    /// Whether a block may be built on: it is accepted, or below what anybody looks at.
    pub(super) fn is_here(&self, reference: &BlockRef) -> bool {
        reference.round <= self.dag.gc_round() || self.dag.contains(reference)
    }

    /// Whether anything waits to be ordered, executed or voted on here, or hurries elsewhere.
    fn is_busy(&self) -> bool {
        self.has_own_work() || self.tally.has_pending() || self.dag.has_work(self.pacemaker.round())
    }

    /// Whether there will still be something to do after the next own block.
    fn has_own_work(&self) -> bool {
        self.closing.is_some()
            || !self.queue.is_empty()
            || self.dag.payload_uncommitted() > 0
            || !self.awaiting.is_empty()
    }

    /// Makes the block of the current round: durable first, then sent.
    #[expect(clippy::expect_used, reason = "the draft follows from accepted blocks; see below")]
    fn create(&mut self, now: Now) {
        let Some(signer) = &self.signer else { return };
        let round = self.pacemaker.round();
        // The time of a commit is a median over parents: round 1 has only genesis below it (§4.4).
        let payload = if round > Round(1) { self.queue.take() } else { Vec::new() };
        let draft = Draft {
            round,
            timestamp: now.wall,
            parents: self.parents(round),
            votes: self.tally.take_pending(),
            work: !payload.is_empty() || self.has_own_work(),
            payload,
        };
        // The key was compared with the committee's, the round has a quorum of accepted blocks
        // below it, the queue keeps every limit: no input from outside can make this fail.
        let block = draft.sign(&self.committee, self.own, signer).expect("a valid own block");
        self.own_check.begin();
        self.pacemaker.created(block.reference(), now.monotonic);
        self.relay.accepted(&block, self.own);
        self.dag.insert(block.clone());
        self.actions.push(Action::Persist { block: block.clone(), durable: true });
        self.actions.push(Action::Broadcast(block.clone()));
        self.note_votes(&block);
        self.push_history(&block);
    }

    /// The own previous block, then of each other author the newest accepted block below `round`
    /// that is newer than what the own chain has. The previous leader's block is among them when
    /// it is there, and so is everything the wait for it was about.
    fn parents(&self, round: Round) -> Vec<BlockRef> {
        let own_last = self.pacemaker.own_last();
        let lowest = round.minus(self.committee.gc_depth());
        let mut parents = alloc::vec![own_last];
        for author in self.committee.authorities().filter(|author| *author != self.own) {
            let newest = match self.dag.newest(author, round.minus(1)) {
                Some(newest) => newest,
                None if round == Round(1) => self.committee.genesis()[author.position()],
                None => continue,
            };
            if newest.round >= lowest && self.relay.is_news(newest) || round == Round(1) {
                parents.push(newest);
            }
        }
        parents
    }

    fn push_history(&mut self, block: &Block) {
        for (to, blocks) in self.relay.flush(&self.dag, self.fetcher.connected(), block) {
            self.actions.push(Action::Send { to, blocks });
        }
    }
}
