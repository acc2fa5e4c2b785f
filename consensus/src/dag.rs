//! The accepted blocks above the garbage-collection round, and what each says about leaders.
//!
//! Invariants: every parent above the garbage-collection round of a block in the DAG is in the
//! DAG; a block's `vote` and `certifies` never change. Memory is bounded by the collection depth.
//! What the answers mean is in [`rule`](crate::rule).

use alloc::{collections::BTreeMap, vec, vec::Vec};

use crate::{
    authority_set::AuthoritySet,
    block::Block,
    committee::Committee,
    types::{AuthorityIndex, BlockRef, Round},
};

/// An accepted block and what follows from its parents alone.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub block: Block,
    /// The proposal of the previous round's leader it has as a direct parent (§3.1).
    pub vote: Option<BlockRef>,
    /// The proposal of two rounds before that a quorum of its parents votes for (§3.1).
    pub certifies: Option<BlockRef>,
    /// Whether a commit has ordered it.
    pub committed: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct RoundSummary {
    authors: AuthoritySet,
    work: bool,
}

/// The accepted DAG.
#[derive(Clone, Debug)]
pub(crate) struct Dag {
    committee: Committee,
    entries: BTreeMap<BlockRef, Entry>,
    rounds: BTreeMap<Round, RoundSummary>,
    /// The first accepted block of each author and round.
    chains: Vec<BTreeMap<Round, BlockRef>>,
    gc_round: Round,
    quorum_round: Round,
    payload_uncommitted: usize,
}

impl Dag {
    /// A DAG of the genesis blocks.
    pub fn new(committee: Committee) -> Self {
        Self {
            chains: vec![BTreeMap::new(); committee.size()],
            committee,
            entries: BTreeMap::new(),
            rounds: BTreeMap::new(),
            gc_round: Round::GENESIS,
            quorum_round: Round::GENESIS,
            payload_uncommitted: 0,
        }
    }

    pub fn committee(&self) -> &Committee {
        &self.committee
    }

    /// At or below this round nothing can be committed any more.
    pub fn gc_round(&self) -> Round {
        self.gc_round
    }

    /// The highest round with an accepted block.
    pub fn highest_round(&self) -> Round {
        self.rounds.last_key_value().map_or(self.gc_round, |(round, _)| *round)
    }

    /// The highest round in which a quorum of authors has an accepted block.
    pub fn quorum_round(&self) -> Round {
        self.quorum_round
    }

    /// How many accepted blocks with payload are not committed.
    pub fn payload_uncommitted(&self) -> usize {
        self.payload_uncommitted
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn get(&self, reference: &BlockRef) -> Option<&Entry> {
        self.entries.get(reference)
    }

    pub fn contains(&self, reference: &BlockRef) -> bool {
        self.entries.contains_key(reference)
    }

    /// Every accepted block of a round.
    pub fn round(&self, round: Round) -> impl Iterator<Item = &Entry> {
        self.entries.range(BlockRef::of_round(round)).map(|(_, entry)| entry)
    }

    /// The accepted blocks of an author in a round: several when it equivocates.
    pub fn slot(&self, round: Round, author: AuthorityIndex) -> impl Iterator<Item = &Entry> {
        self.entries.range(BlockRef::of_slot(round, author)).map(|(_, entry)| entry)
    }

    /// The authors with an accepted block in a round.
    pub fn authors(&self, round: Round) -> AuthoritySet {
        if round == Round::GENESIS {
            return self.committee.authorities().collect();
        }
        self.rounds.get(&round).map_or(AuthoritySet::EMPTY, |summary| summary.authors)
    }

    /// Whether an author of this round said that it has work.
    pub fn has_work(&self, round: Round) -> bool {
        self.rounds.get(&round).is_some_and(|summary| summary.work)
    }

    /// The newest round up to `limit` in which `author` has a block, with the one accepted first.
    pub fn newest(&self, author: AuthorityIndex, limit: Round) -> Option<BlockRef> {
        let chain = self.chains.get(author.position())?;
        chain.range(..=limit).next_back().map(|(_, reference)| *reference)
    }

    /// The parents that must be accepted before `block` can be.
    pub fn missing<'a>(&'a self, block: &'a Block) -> impl Iterator<Item = BlockRef> + 'a {
        let wanted = |parent: &&BlockRef| parent.round > self.gc_round && !self.contains(parent);
        block.parents().iter().filter(wanted).copied()
    }

    /// Accepts a block that has no [`missing`](Self::missing) parents and is above the
    /// garbage-collection round. Accepting it again changes nothing.
    pub fn insert(&mut self, block: Block) {
        let (reference, round) = (block.reference(), block.round());
        if self.contains(&reference) || round <= self.gc_round {
            return;
        }
        let previous = round.minus(1);
        let entry = Entry {
            vote: block.parent_at(previous, self.committee.leader(previous)),
            certifies: self.certified_by(&block),
            committed: false,
            block,
        };
        self.payload_uncommitted += usize::from(entry.block.has_payload());
        let summary = self.rounds.entry(round).or_default();
        summary.authors.insert(reference.author);
        summary.work |= entry.block.has_work();
        if round > self.quorum_round && self.committee.is_quorum(summary.authors) {
            self.quorum_round = round;
        }
        if let Some(chain) = self.chains.get_mut(reference.author.position()) {
            chain.entry(round).or_insert(reference);
        }
        self.entries.insert(reference, entry);
    }

    /// The proposal that a quorum of the block's parents votes for. A quorum is a majority and
    /// parents are one per author, so there is at most one.
    fn certified_by(&self, block: &Block) -> Option<BlockRef> {
        let previous = block.round().minus(1);
        let parents = block.parents().iter().filter(|parent| parent.round == previous);
        let mut votes: Vec<BlockRef> =
            parents.filter_map(|parent| self.get(parent)?.vote).collect();
        votes.sort_unstable();
        let quorum = self.committee.quorum();
        votes.chunk_by(|a, b| a == b).find(|same| same.len() >= quorum).map(|same| same[0])
    }

    /// Marks a block as ordered.
    pub fn mark_committed(&mut self, reference: &BlockRef) {
        if let Some(entry) = self.entries.get_mut(reference)
            && !entry.committed
        {
            entry.committed = true;
            self.payload_uncommitted -= usize::from(entry.block.has_payload());
        }
    }

    /// Raises the round at or below which nothing can be committed any more.
    pub fn raise_gc_round(&mut self, gc_round: Round) {
        self.gc_round = self.gc_round.max(gc_round);
        self.quorum_round = self.quorum_round.max(self.gc_round);
    }

    /// Forgets the blocks at or below `floor` and returns those that were never committed.
    pub fn prune(&mut self, floor: Round) -> Vec<Block> {
        let floor = floor.min(self.gc_round);
        let mut uncommitted = Vec::new();
        while let Some(first) = self.entries.first_entry()
            && first.key().round <= floor
        {
            let entry = first.remove();
            if !entry.committed {
                self.payload_uncommitted -= usize::from(entry.block.has_payload());
                uncommitted.push(entry.block);
            }
        }
        let above = floor.plus(1);
        self.rounds = self.rounds.split_off(&above);
        for chain in &mut self.chains {
            *chain = chain.split_off(&above);
        }
        uncommitted
    }

    /// Every accepted block from `floor` up that is reachable from `start` over parents for which
    /// `follow` holds, in no meaningful order, each once.
    pub fn history(
        &self,
        start: BlockRef,
        follow: impl Fn(&Entry) -> bool,
    ) -> impl Iterator<Item = &Entry> {
        let mut seen = alloc::collections::BTreeSet::from([start]);
        let mut stack: Vec<&Entry> = self.get(&start).into_iter().collect();
        core::iter::from_fn(move || {
            let entry = stack.pop()?;
            for parent in entry.block.parents() {
                if let Some(parent) = self.get(parent)
                    && follow(parent)
                    && seen.insert(parent.block.reference())
                {
                    stack.push(parent);
                }
            }
            Some(entry)
        })
    }
}
