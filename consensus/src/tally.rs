//! Counts checkpoint votes against what was executed here (§7).
//!
//! A checkpoint is reported after its commit was executed here, so that it follows its commit in
//! the ledger. Memory: at most [`PER_AUTHOR_MAX`] votes per author, the newest ones; a checkpoint
//! clears everything up to its index.

use alloc::{boxed::Box, collections::BTreeMap, vec, vec::Vec};

use crate::{
    authority_set::AuthoritySet,
    block::VOTES_MAX,
    checkpoint::{Checkpoint, Statement, Vote},
    committee::Committee,
    event::Offence,
    types::AuthorityIndex,
};

/// How many open votes are kept per author, and how many own results.
const PER_AUTHOR_MAX: usize = 256;

/// How many checkpoints from elsewhere wait for their commits to be executed.
const CERTIFIED_MAX: usize = 16;

/// What a vote or a result brought to light.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// A quorum agrees with us.
    Checkpoint(Checkpoint),
    /// An authority contradicts us.
    Offence(AuthorityIndex, Offence),
    /// A quorum contradicts us.
    Diverged(Checkpoint, Statement),
}

/// Open votes and results.
#[derive(Debug)]
pub(crate) struct Tally {
    committee: Committee,
    votes: Vec<BTreeMap<u64, Vote>>,
    executed: BTreeMap<u64, Statement>,
    /// Own votes that no own block carries yet, and whether they are to hurry it.
    pending: BTreeMap<u64, (Vote, bool)>,
    /// Checkpoints others showed of commits that were not executed here yet.
    certified: BTreeMap<u64, Checkpoint>,
    /// Whose contradictions were reported since the newest checkpoint.
    reported: AuthoritySet,
    /// Index of the newest checkpoint, or where the epoch began.
    checkpoint: u64,
    newest: Option<Checkpoint>,
}

impl Tally {
    /// From the newest checkpoint on, in an epoch that began behind commit `base`.
    pub fn new(committee: Committee, base: u64, newest: Option<Checkpoint>) -> Self {
        let checkpoint = newest.as_ref().map_or(0, |newest| newest.statement.index).max(base);
        Self {
            newest,
            certified: BTreeMap::new(),
            reported: AuthoritySet::EMPTY,
            votes: vec![BTreeMap::new(); committee.size()],
            committee,
            executed: BTreeMap::new(),
            pending: BTreeMap::new(),
            checkpoint,
        }
    }

    /// Whether an own vote waits for a block that must come soon.
    pub fn has_pending(&self) -> bool {
        self.pending.values().any(|(_, urgent)| *urgent)
    }

    /// Index of the newest checkpoint; 0 before the first.
    pub fn checkpoint(&self) -> u64 {
        self.checkpoint
    }

    /// The newest checkpoint.
    pub fn newest(&self) -> Option<&Checkpoint> {
        self.newest.as_ref()
    }

    /// Own votes for the next own block.
    pub fn take_pending(&mut self) -> Vec<Vote> {
        core::mem::take(&mut self.pending).into_values().map(|(vote, _)| vote).collect()
    }

    /// Casts an own vote: the next own block will carry the newest, since each proves all before.
    /// An urgent one makes that block come soon.
    pub fn cast(&mut self, vote: Vote, urgent: bool) {
        if vote.statement.index > self.checkpoint {
            self.pending.insert(vote.statement.index, (vote, urgent));
        }
        if self.pending.len() > VOTES_MAX {
            self.pending.pop_first();
        }
    }

    /// Notes a verified vote from a block of `author`.
    pub fn note(&mut self, author: AuthorityIndex, vote: Vote) -> Vec<Finding> {
        let index = vote.statement.index;
        let Some(votes) = self.votes.get_mut(author.position()) else { return Vec::new() };
        if index <= self.checkpoint || votes.contains_key(&index) {
            return Vec::new();
        }
        votes.insert(index, vote);
        if votes.len() > PER_AUTHOR_MAX {
            votes.pop_first();
        }
        let mut findings = Vec::new();
        if let Some(executed) = self.executed.get(&index).copied() {
            findings.extend(self.contradiction(author, &vote, &executed));
        }
        findings.extend(self.count(index));
        findings
    }

    /// Notes a verified checkpoint that somebody else has.
    pub fn certify(&mut self, checkpoint: Checkpoint) -> Vec<Finding> {
        let index = checkpoint.statement.index;
        if index <= self.checkpoint {
            return Vec::new();
        }
        self.certified.insert(index, checkpoint);
        if self.certified.len() > CERTIFIED_MAX {
            self.certified.pop_first();
        }
        self.count(index).into_iter().collect()
    }

    /// Notes what executing a commit here brought.
    pub fn executed(&mut self, statement: Statement) -> Vec<Finding> {
        let index = statement.index;
        if index <= self.checkpoint {
            return Vec::new();
        }
        self.executed.insert(index, statement);
        if self.executed.len() > PER_AUTHOR_MAX {
            self.executed.pop_first();
        }
        let votes: Vec<(AuthorityIndex, Vote)> = self
            .authors()
            .filter_map(|(author, votes)| Some((author, *votes.get(&index)?)))
            .collect();
        let mut findings: Vec<Finding> = votes
            .into_iter()
            .filter_map(|(author, vote)| self.contradiction(author, &vote, &statement))
            .collect();
        findings.extend(self.count(index));
        findings
    }

    fn authors(&self) -> impl Iterator<Item = (AuthorityIndex, &BTreeMap<u64, Vote>)> {
        self.committee.authorities().zip(&self.votes)
    }

    /// Compares a commit that was executed here with what a quorum says of it, by its votes or by a
    /// checkpoint from elsewhere.
    fn count(&mut self, index: u64) -> Option<Finding> {
        let executed = *self.executed.get(&index)?;
        let checkpoint = self.certified.remove(&index).or_else(|| self.counted(index))?;
        self.forget_through(index);
        if checkpoint.statement == executed {
            self.newest = Some(checkpoint.clone());
            Some(Finding::Checkpoint(checkpoint))
        } else {
            Some(Finding::Diverged(checkpoint, executed))
        }
    }

    /// A quorum of equal votes.
    fn counted(&self, index: u64) -> Option<Checkpoint> {
        let votes: Vec<(AuthorityIndex, Vote)> = self
            .authors()
            .filter_map(|(author, votes)| Some((author, *votes.get(&index)?)))
            .collect();
        let statement = votes.iter().map(|(_, vote)| vote.statement).find(|statement| {
            let same = votes.iter().filter(|(_, vote)| vote.statement == *statement);
            let authors: AuthoritySet = same.map(|(author, _)| *author).collect();
            self.committee.is_quorum(authors)
        })?;
        let same = votes.into_iter().filter(|(_, vote)| vote.statement == statement);
        let signatures = same.map(|(author, vote)| (author, vote.signature)).collect();
        Some(Checkpoint { statement, signatures })
    }

    /// Reports an authority that contradicts us, once until the next checkpoint.
    fn contradiction(
        &mut self,
        author: AuthorityIndex,
        vote: &Vote,
        executed: &Statement,
    ) -> Option<Finding> {
        if vote.statement == *executed || !self.reported.insert(author) {
            return None;
        }
        let (vote, executed) = (Box::new(*vote), Box::new(*executed));
        Some(Finding::Offence(author, Offence::Divergence { vote, executed }))
    }

    fn forget_through(&mut self, index: u64) {
        self.checkpoint = index;
        self.reported = AuthoritySet::EMPTY;
        let above = index + 1;
        self.certified = self.certified.split_off(&above);
        self.executed = self.executed.split_off(&above);
        self.pending = self.pending.split_off(&above);
        for votes in &mut self.votes {
            *votes = votes.split_off(&above);
        }
    }
}

#[cfg(test)]
mod tests;
