//! When the proposer enters a round and when it makes its block (§5).
//!
//! Push pacing after Starfish (Polyanskii, Müller, Vorobyev, 2025): a round is entered only with an
//! own block in the one before; jumping at every chance, as implementations of Mysticeti do, is not
//! live (Qiu, Xiao, Shao, IEEE S&P 2026). Everything in here is timing: it can delay a commit and
//! never change one.

use alloc::{vec, vec::Vec};

use crate::{
    dag::Dag,
    parameters::Parameters,
    rule,
    types::{AuthorityIndex, BlockRef, Instant, Round},
};

/// The proposer's place in time.
#[derive(Debug)]
pub(crate) struct Pacemaker {
    parameters: Parameters,
    /// The round to make a block for, or made.
    round: Round,
    entered: Instant,
    /// The newest own block, or our genesis block.
    own_last: BlockRef,
    created: Option<Instant>,
    /// The highest round each authority is known to have reached, by its blocks or its word.
    reached: Vec<Round>,
    /// When the accepted DAG last grew by a round.
    progress: (Round, Instant),
}

impl Pacemaker {
    pub fn new(parameters: Parameters, own_last: BlockRef, n: usize, now: Instant) -> Self {
        Self {
            parameters,
            round: own_last.round.max(Round(1)),
            entered: now,
            own_last,
            created: None,
            reached: vec![Round::GENESIS; n],
            progress: (Round::GENESIS, now),
        }
    }

    pub fn round(&self) -> Round {
        self.round
    }

    pub fn own_last(&self) -> BlockRef {
        self.own_last
    }

    /// Begins again behind an own block that others told of: the next own block is of `round`.
    pub fn resume(&mut self, own_last: BlockRef, round: Round, now: Instant) {
        self.own_last = own_last;
        self.round = round.max(Round(1));
        self.entered = now;
        self.created = None;
    }

    /// An authority says, or its block shows, that it has reached a round.
    pub fn note_reached(&mut self, authority: AuthorityIndex, round: Round) {
        if let Some(reached) = self.reached.get_mut(authority.position()) {
            *reached = (*reached).max(round);
        }
    }

    /// Enters the next round when a quorum and we ourselves have a block in this one; jumps when
    /// the accepted DAG is far ahead. Says whether the round changed.
    pub fn advance(&mut self, dag: &Dag, now: Instant) -> bool {
        if dag.quorum_round() > self.progress.0 {
            self.progress = (dag.quorum_round(), now);
        }
        let behind = dag.quorum_round().0.saturating_sub(self.round.0);
        // There is nothing to build on at or below the collection round.
        let collected = self.round > Round(1) && self.round.minus(1) <= dag.gc_round();
        let jumps = behind > 0 && (behind >= self.parameters.jump_limit() || collected);
        let next = if jumps {
            dag.quorum_round().plus(1)
        } else if self.own_last.round == self.round
            && dag.committee().is_quorum(dag.authors(self.round))
        {
            self.round.plus(1)
        } else {
            return false;
        };
        self.round = next;
        self.entered = now;
        true
    }

    /// An own block was made for the current round.
    pub fn created(&mut self, block: BlockRef, now: Instant) {
        self.own_last = block;
        self.created = Some(now);
        self.note_reached(block.author, block.round);
    }

    /// When to make the block of this round, as far as is known now. `None`: not before something
    /// else happens.
    pub fn due(&self, dag: &Dag, busy: bool, now: Instant) -> Option<Instant> {
        let committee = dag.committee();
        if self.own_last.round >= self.round
            || !committee.is_quorum(dag.authors(self.round.minus(1)))
        {
            return None;
        }
        if self.is_lagging(dag, now) {
            return Some(self.lagging_until());
        }
        if committee.is_quorum(dag.authors(self.round)) {
            return Some(now);
        }
        if !busy {
            return Some(self.idle_due(dag));
        }
        // At least a millisecond, or a committee of one would spin.
        let delay_ms = self.parameters.round_delay_min_ms.max(1);
        let throttle = self.created.map_or(self.entered, |created| created.plus_ms(delay_ms));
        if self.has_leader_evidence(dag) {
            return Some(throttle);
        }
        Some(throttle.max(self.entered.plus_ms(self.parameters.leader_timeout_ms())))
    }

    /// The previous leader's block is here, and what becomes of the one before is known (C1).
    fn has_leader_evidence(&self, dag: &Dag) -> bool {
        let voted = self.round.minus(1);
        if voted == Round::GENESIS {
            return true;
        }
        let leader = dag.committee().leader(voted);
        let certified = voted.minus(1);
        dag.authors(voted).contains(leader)
            && (certified == Round::GENESIS || rule::has_witness(dag, certified))
    }

    fn idle_due(&self, dag: &Dag) -> Instant {
        let silent_since = self.created.unwrap_or(self.entered);
        let heartbeat = silent_since.plus_ms(self.parameters.heartbeat_ms);
        if dag.authors(self.round).is_empty() {
            return heartbeat;
        }
        heartbeat.min(self.entered.plus_ms(self.parameters.idle_step_ms))
    }

    /// Whether the network is known to be far ahead of what was accepted here: then blocks come by
    /// the streams, and proposing through the missed rounds one by one helps nobody. `f` liars
    /// cannot fake it; and when nothing comes for a heartbeat, we propose all the same.
    pub fn is_lagging(&self, dag: &Dag, now: Instant) -> bool {
        let mut reached = self.reached.clone();
        reached.sort_unstable_by(|a, b| b.cmp(a));
        let network = reached.get(dag.committee().faulty_max()).copied().unwrap_or_default();
        let tip = dag.quorum_round().max(self.own_last.round);
        network > tip.plus(self.parameters.jump_limit()) && now < self.lagging_until()
    }

    fn lagging_until(&self) -> Instant {
        self.progress.1.plus_ms(self.parameters.heartbeat_ms)
    }
}

#[cfg(test)]
mod tests;
