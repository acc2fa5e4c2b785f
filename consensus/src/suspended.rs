//! Valid blocks that wait for parents (§6.2).
//!
//! Bounded per author, in blocks and in bytes. Blocks that were asked for are evicted last: a
//! hostile author cannot crowd out what an honest block needs.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec,
    vec::Vec,
};

use crate::{
    block::Block,
    types::{AuthorityIndex, BlockRef, Round},
};

/// Asked-for blocks may take this many times an author's bound.
const SOLICITED_FACTOR: usize = 4;
/// An author's blocks may wait for this many times as many parents as there may be blocks.
const MISSING_FACTOR: usize = 16;

#[derive(Debug)]
struct Waiting {
    block: Block,
    missing: BTreeSet<BlockRef>,
    solicited: bool,
}

/// What an author takes up.
#[derive(Clone, Debug, Default)]
struct Usage {
    bytes: usize,
    /// Parents that its blocks wait for, each counted for each block.
    missing: usize,
    solicited: BTreeSet<BlockRef>,
    unsolicited: BTreeSet<BlockRef>,
}

impl Usage {
    fn list(&mut self, solicited: bool) -> &mut BTreeSet<BlockRef> {
        if solicited { &mut self.solicited } else { &mut self.unsolicited }
    }
}

/// What had to go.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Evicted {
    pub blocks: Vec<BlockRef>,
    /// Parents that nobody waits for any more.
    pub orphans: Vec<BlockRef>,
}

/// The waiting blocks, and who waits for what.
#[derive(Debug)]
pub(crate) struct Suspended {
    blocks: BTreeMap<BlockRef, Waiting>,
    waiters: BTreeMap<BlockRef, BTreeSet<BlockRef>>,
    usage: Vec<Usage>,
    blocks_max: usize,
    bytes_max: usize,
}

impl Suspended {
    pub fn new(authorities: usize, blocks_max: usize, bytes_max: usize) -> Self {
        Self {
            blocks: BTreeMap::new(),
            waiters: BTreeMap::new(),
            usage: vec![Usage::default(); authorities],
            blocks_max,
            bytes_max,
        }
    }

    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    pub fn contains(&self, reference: &BlockRef) -> bool {
        self.blocks.contains_key(reference)
    }

    pub fn get(&self, reference: &BlockRef) -> Option<&Block> {
        self.blocks.get(reference).map(|waiting| &waiting.block)
    }

    /// The waiting blocks of this author and round.
    pub fn slot(&self, round: Round, author: AuthorityIndex) -> impl Iterator<Item = &Block> {
        self.blocks.range(BlockRef::of_slot(round, author)).map(|(_, waiting)| &waiting.block)
    }

    /// The waiting block of this author with the highest round.
    pub fn newest(&self, author: AuthorityIndex) -> Option<&Block> {
        let usage = self.usage.get(author.position())?;
        let newest = [&usage.solicited, &usage.unsolicited].map(|list| list.last());
        newest.into_iter().flatten().max().and_then(|reference| self.get(reference))
    }

    /// Forgets a block; returns the parents that nobody waits for any more.
    pub fn discard(&mut self, reference: &BlockRef) -> Vec<BlockRef> {
        self.remove(reference).map(|(_, orphans)| orphans).unwrap_or_default()
    }

    /// Whether a waiting block has this parent.
    pub fn needs(&self, reference: &BlockRef) -> bool {
        self.waiters.contains_key(reference)
    }

    /// Keeps a block until its missing parents are there; returns the blocks evicted for it,
    /// possibly itself.
    pub fn insert(
        &mut self,
        block: Block,
        missing: BTreeSet<BlockRef>,
        solicited: bool,
    ) -> Evicted {
        let reference = block.reference();
        let Some(usage) = self.usage.get_mut(reference.author.position()) else {
            return Evicted::default();
        };
        usage.list(solicited).insert(reference);
        usage.bytes += block.bytes().len();
        usage.missing += missing.len();
        for parent in &missing {
            self.waiters.entry(*parent).or_default().insert(reference);
        }
        self.blocks.insert(reference, Waiting { block, missing, solicited });
        let mut evicted = Evicted::default();
        while let Some(victim) = self.victim(reference.author) {
            if let Some((_, orphans)) = self.remove(&victim) {
                evicted.orphans.extend(orphans);
            }
            evicted.blocks.push(victim);
        }
        evicted
    }

    /// The block of this author that must go: the farthest future first, asked-for ones last.
    fn victim(&self, author: AuthorityIndex) -> Option<BlockRef> {
        let usage = self.usage.get(author.position())?;
        let blocks = usage.solicited.len() + usage.unsolicited.len();
        let exceeds = |factor| {
            blocks > self.blocks_max * factor
                || usage.bytes > self.bytes_max * factor
                || usage.missing > self.blocks_max * MISSING_FACTOR * factor
        };
        if exceeds(1)
            && let Some(farthest) = usage.unsolicited.last()
        {
            return Some(*farthest);
        }
        usage.solicited.last().filter(|_| exceeds(SOLICITED_FACTOR)).copied()
    }

    /// Removes a block; returns it with the parents that nobody waits for any more.
    fn remove(&mut self, reference: &BlockRef) -> Option<(Block, Vec<BlockRef>)> {
        let waiting = self.blocks.remove(reference)?;
        let mut orphans = Vec::new();
        for parent in &waiting.missing {
            if let Some(waiters) = self.waiters.get_mut(parent) {
                waiters.remove(reference);
                if waiters.is_empty() {
                    self.waiters.remove(parent);
                    orphans.push(*parent);
                }
            }
        }
        if let Some(usage) = self.usage.get_mut(reference.author.position()) {
            usage.list(waiting.solicited).remove(reference);
            usage.bytes -= waiting.block.bytes().len();
            usage.missing -= waiting.missing.len();
        }
        Some((waiting.block, orphans))
    }

    /// The parents that a block still waits for.
    pub fn missing(&self, reference: &BlockRef) -> Vec<BlockRef> {
        let waiting = self.blocks.get(reference);
        waiting.map_or_else(Vec::new, |waiting| waiting.missing.iter().copied().collect())
    }

    /// A parent is there, or no longer needed: returns the blocks that wait for nothing any more.
    pub fn resolve(&mut self, parent: &BlockRef) -> Vec<Block> {
        let waiters = self.waiters.remove(parent).unwrap_or_default();
        let mut complete = Vec::new();
        for reference in waiters {
            let Some(waiting) = self.blocks.get_mut(&reference) else { continue };
            if waiting.missing.remove(parent)
                && let Some(usage) = self.usage.get_mut(reference.author.position())
            {
                usage.missing -= 1;
            }
            if waiting.missing.is_empty() {
                complete.extend(self.remove(&reference).map(|(block, _)| block));
            }
        }
        complete
    }

    /// Forgets blocks at or below the garbage-collection round; returns the blocks above it that
    /// only waited for parents at or below it.
    pub fn collect(&mut self, gc_round: Round) -> Vec<Block> {
        while let Some((reference, _)) = self.blocks.first_key_value()
            && reference.round <= gc_round
        {
            let reference = *reference;
            self.remove(&reference);
        }
        let mut complete = Vec::new();
        while let Some((parent, _)) = self.waiters.first_key_value()
            && parent.round <= gc_round
        {
            let parent = *parent;
            complete.extend(self.resolve(&parent));
        }
        complete
    }
}

#[cfg(test)]
mod tests;
