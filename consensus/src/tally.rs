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
    /// Own votes that no own block carries yet.
    pending: BTreeMap<u64, Vote>,
    /// Index of the newest checkpoint.
    checkpoint: u64,
}

impl Tally {
    pub fn new(committee: Committee, checkpoint: u64) -> Self {
        Self {
            votes: vec![BTreeMap::new(); committee.size()],
            committee,
            executed: BTreeMap::new(),
            pending: BTreeMap::new(),
            checkpoint,
        }
    }

    /// Whether an own vote waits for a block.
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Index of the newest checkpoint; 0 before the first.
    pub fn checkpoint(&self) -> u64 {
        self.checkpoint
    }

    /// Own votes for the next own block.
    pub fn take_pending(&mut self) -> Vec<Vote> {
        core::mem::take(&mut self.pending).into_values().collect()
    }

    /// Casts an own vote: the next own block will carry the newest, since each proves all before.
    pub fn cast(&mut self, vote: Vote) {
        if vote.statement.index > self.checkpoint {
            self.pending.insert(vote.statement.index, vote);
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
        if let Some(executed) = self.executed.get(&index) {
            findings.extend(contradiction(author, &vote, executed));
        }
        findings.extend(self.count(index));
        findings
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
        let mut findings: Vec<Finding> = self
            .authors()
            .filter_map(|(author, votes)| contradiction(author, votes.get(&index)?, &statement))
            .collect();
        findings.extend(self.count(index));
        findings
    }

    fn authors(&self) -> impl Iterator<Item = (AuthorityIndex, &BTreeMap<u64, Vote>)> {
        self.committee.authorities().zip(&self.votes)
    }

    /// Looks for a quorum of equal votes on a commit that was executed here.
    fn count(&mut self, index: u64) -> Option<Finding> {
        let executed = *self.executed.get(&index)?;
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
        let checkpoint = Checkpoint { statement, signatures };
        self.forget_through(index);
        Some(if statement == executed {
            Finding::Checkpoint(checkpoint)
        } else {
            Finding::Diverged(checkpoint, executed)
        })
    }

    fn forget_through(&mut self, index: u64) {
        self.checkpoint = index;
        let above = index + 1;
        self.executed = self.executed.split_off(&above);
        self.pending = self.pending.split_off(&above);
        for votes in &mut self.votes {
            *votes = votes.split_off(&above);
        }
    }
}

fn contradiction(author: AuthorityIndex, vote: &Vote, executed: &Statement) -> Option<Finding> {
    (vote.statement != *executed).then(|| {
        let (vote, executed) = (Box::new(*vote), Box::new(*executed));
        Finding::Offence(author, Offence::Divergence { vote, executed })
    })
}

#[cfg(test)]
mod tests;
