//! Verifies a sequence of commits read from anywhere, with nothing but the committee (§9.4).
//!
//! The blocks are [`Block`](crate::Block)s, so signatures, domain and shape are proven by type. The
//! auditor proves the rest: the chain of digests, closure, order, time, and that the leaders are
//! the ones the commit rule decides. A decision can rest on blocks that were never committed; what
//! the committed blocks alone decide is compared, which is everything but the last few rounds.

use alloc::collections::BTreeMap;

use thiserror::Error;

use crate::{
    commit::Commit,
    committee::Committee,
    dag::Dag,
    linear::{self, Head},
    recovery::Base,
    rule::{self, Decision},
    types::{BlockRef, CommitDigest, Round, Timestamp},
};

/// The first thing that is wrong with a sequence of commits.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AuditError {
    /// A commit is missing, or twice there.
    #[error("commit {found} where commit {expected} is due")]
    Index {
        /// What is due.
        expected: u64,
        /// What is there.
        found: u64,
    },
    /// A commit does not build on the one before it.
    #[error("commit {index} builds on {found}, but the commit before it is {expected}")]
    Previous {
        /// Which commit.
        index: u64,
        /// Digest of the commit before it.
        expected: CommitDigest,
        /// What it names.
        found: CommitDigest,
    },
    /// The leader is not the round's, or not above the previous commit's.
    #[error("commit {index} is led by {leader}, which cannot lead it")]
    Leader {
        /// Which commit.
        index: u64,
        /// What it names.
        leader: BlockRef,
    },
    /// A block was committed before, or is too old to be committed.
    #[error("commit {index} orders block {block}, which is already ordered or too old")]
    Repeated {
        /// Which commit.
        index: u64,
        /// Which block.
        block: BlockRef,
    },
    /// A block comes before one of its parents, or without it.
    #[error("commit {index} orders block {block} without its parent {parent} before it")]
    NotClosed {
        /// Which commit.
        index: u64,
        /// Which block.
        block: BlockRef,
        /// What is missing.
        parent: BlockRef,
    },
    /// The blocks are not the leader's history in its order.
    #[error("commit {index} does not list its leader's history in order")]
    Blocks {
        /// Which commit.
        index: u64,
    },
    /// The time is not the one the leader's parents give.
    #[error("commit {index} is dated {found:?}, its leader's parents give {expected:?}")]
    Time {
        /// Which commit.
        index: u64,
        /// What follows from the blocks.
        expected: Timestamp,
        /// What it states.
        found: Timestamp,
    },
    /// Another set of blocks must count for nothing.
    #[error("commit {index} silences other blocks than those whose author equivocated")]
    Silenced {
        /// Which commit.
        index: u64,
    },
    /// The commit, or a block in it, is of another network, epoch or committee.
    #[error("commit {index} is not of this committee's epoch")]
    Domain {
        /// Which commit.
        index: u64,
    },
    /// The committee does not follow the one before it.
    #[error("epoch {epoch} does not begin behind commit {index}, with which the one before ends")]
    Epoch {
        /// The committee's epoch.
        epoch: u64,
        /// The newest commit.
        index: u64,
    },
    /// The committed blocks decide a round otherwise than the commits say.
    #[error("the blocks decide round {round} otherwise than the commits say")]
    Rule {
        /// Which round.
        round: Round,
    },
}

/// Checks commits one after the other, from the first of a network, epoch by epoch.
#[derive(Clone, Debug)]
pub struct Auditor {
    dag: Dag,
    head: Head,
    /// The first slot the committed blocks have not decided yet.
    slot: Round,
    /// The leaders of commits at or above that slot.
    leaders: BTreeMap<Round, BlockRef>,
}

impl Auditor {
    /// An auditor of the network's first commit.
    pub fn new(committee: Committee) -> Self {
        Self {
            head: Head::start(&committee, Base::default()),
            dag: Dag::new(committee),
            slot: Round(1),
            leaders: BTreeMap::new(),
        }
    }

    /// Goes on with the next epoch's commits: the commit checked last was the one that closed the
    /// epoch. That it was is for the caller to know: the ledger says so, and its checkpoint proves
    /// the commits that [`decided_through`](Self::decided_through) does not reach.
    ///
    /// # Errors
    /// [`AuditError::Epoch`] when the committee is not of the next epoch of the same network, or
    /// names another commit as the last one. Nothing is changed then.
    pub fn begin_epoch(&mut self, committee: Committee) -> Result<(), AuditError> {
        let (before, next) = (self.dag.committee().config(), committee.config());
        let follows = next.network == before.network
            && before.epoch.checked_add(1) == Some(next.epoch)
            && next.previous == self.head.digest;
        if !follows {
            let (epoch, index) = (next.epoch, self.head.index);
            return Err(AuditError::Epoch { epoch, index });
        }
        let base = Base { index: self.head.index, time: self.head.time };
        self.head = Head::start(&committee, base);
        self.dag = Dag::new(committee);
        self.slot = Round(1);
        self.leaders.clear();
        Ok(())
    }

    /// Index of the newest commit that was checked.
    pub fn index(&self) -> u64 {
        self.head.index
    }

    /// Digest of the newest commit that was checked.
    pub fn digest(&self) -> CommitDigest {
        self.head.digest
    }

    /// Up to this round the committed blocks themselves prove which leaders are final. Above it a
    /// checkpoint does.
    pub fn decided_through(&self) -> Round {
        self.slot.minus(1)
    }

    /// Checks the next commit.
    ///
    /// # Errors
    /// The first thing that is wrong. The auditor is of no use after an error.
    pub fn check(&mut self, commit: &Commit) -> Result<(), AuditError> {
        self.check_chain(commit)?;
        self.take_in(commit)?;
        self.check_order(commit)?;
        linear::apply(&mut self.dag, &mut self.head, commit);
        self.leaders.insert(commit.leader().round, commit.leader());
        self.check_rule()?;
        self.dag.prune(self.slot.minus(1));
        Ok(())
    }

    fn check_chain(&self, commit: &Commit) -> Result<(), AuditError> {
        let (index, header) = (commit.index(), commit.header());
        if index != self.head.index + 1 {
            return Err(AuditError::Index { expected: self.head.index + 1, found: index });
        }
        if header.previous != self.head.digest {
            let (expected, found) = (self.head.digest, header.previous);
            return Err(AuditError::Previous { index, expected, found });
        }
        let leader = header.leader;
        let is_due = leader.round > self.head.leader_round
            && leader.author == self.dag.committee().leader(leader.round);
        if is_due { Ok(()) } else { Err(AuditError::Leader { index, leader }) }
    }

    fn take_in(&mut self, commit: &Commit) -> Result<(), AuditError> {
        let index = commit.index();
        for content in commit.blocks() {
            let block = content.reference();
            if content.header().domain != self.dag.committee().domain() {
                return Err(AuditError::Domain { index });
            }
            if self.dag.contains(&block) || block.round <= self.dag.gc_round() {
                return Err(AuditError::Repeated { index, block });
            }
            if let Some(parent) = self.dag.missing(content).next() {
                return Err(AuditError::NotClosed { index, block, parent });
            }
            self.dag.insert(content.clone());
        }
        Ok(())
    }

    fn check_order(&self, commit: &Commit) -> Result<(), AuditError> {
        let (index, stated) = (commit.index(), commit.header());
        let derived = linear::linearise(&self.dag, &self.head, stated.leader)
            .ok_or(AuditError::Leader { index, leader: stated.leader })?;
        let (derived, derived_digest) = (derived.header(), derived.digest());
        if derived.blocks != stated.blocks {
            return Err(AuditError::Blocks { index });
        }
        if derived.time != stated.time {
            let (expected, found) = (derived.time, stated.time);
            return Err(AuditError::Time { index, expected, found });
        }
        if derived.silenced != stated.silenced {
            return Err(AuditError::Silenced { index });
        }
        // Equal headers have equal digests, in one domain.
        if derived_digest != commit.digest() {
            return Err(AuditError::Domain { index });
        }
        Ok(())
    }

    /// Compares what the committed blocks decide with the leaders that were committed. The
    /// committed blocks are a part of what every honest authority saw, and a decision by a part is
    /// the decision by the whole.
    fn check_rule(&mut self) -> Result<(), AuditError> {
        for (round, decision) in rule::decide(&self.dag, self.slot) {
            let agrees = match (decision, self.leaders.remove(&round)) {
                (Decision::Commit(decided), Some(stated)) => decided == stated,
                (Decision::Skip, None) => true,
                _ => false,
            };
            if !agrees {
                return Err(AuditError::Rule { round });
            }
            self.slot = round.plus(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
