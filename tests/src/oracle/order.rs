//! What a commit must contain (protocol §4) once more, from headers and plain sets.

use kerbholz_client::consensus::{
    AuthorityIndex, Block, BlockRef, CommitDigest, CommitHeader, Committee, Round, Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};

/// The one history there is.
pub(super) struct Order {
    gc_depth: u64,
    /// Time of the last commit of the epoch before.
    base_time: Timestamp,
    log: Vec<CommitHeader>,
    committed: BTreeSet<BlockRef>,
    /// Slots of which a block was committed.
    spoken: BTreeSet<(Round, AuthorityIndex)>,
    gc_round: Round,
    twin_slots: u64,
}

impl Order {
    pub(super) fn new(committee: &Committee, base_time: Timestamp) -> Self {
        Self {
            base_time,
            gc_depth: u64::from(committee.config().gc_depth),
            log: Vec::new(),
            committed: BTreeSet::new(),
            spoken: BTreeSet::new(),
            gc_round: Round::GENESIS,
            twin_slots: 0,
        }
    }

    pub(super) fn log(&self) -> &[CommitHeader] {
        &self.log
    }

    /// The time after so many commits.
    pub(super) fn time_at(&self, commits: u64) -> Timestamp {
        let at = usize::try_from(commits).ok().and_then(|commits| commits.checked_sub(1));
        at.and_then(|at| self.log.get(at)).map_or(self.base_time, |commit| commit.time)
    }

    pub(super) fn gc_round(&self) -> Round {
        self.gc_round
    }

    pub(super) fn is_committed(&self, block: &BlockRef) -> bool {
        self.committed.contains(block)
    }

    pub(super) fn twin_slots(&self) -> u64 {
        self.twin_slots
    }

    /// The commit that a leader makes next.
    pub(super) fn extend(
        &mut self,
        blocks: &BTreeMap<BlockRef, Block>,
        leader: BlockRef,
        index: u64,
        previous: CommitDigest,
    ) -> Result<CommitHeader, String> {
        let listed = self.history(blocks, leader)?;
        let mut silenced = Vec::new();
        for block in &listed {
            if !self.spoken.insert((block.round, block.author)) {
                silenced.push(*block);
                self.twin_slots += 1;
            }
        }
        let earlier = self.log.last().map_or(self.base_time, |commit| commit.time);
        let time = earlier.max(median(blocks, leader));
        self.committed.extend(listed.iter().copied());
        self.gc_round = self.gc_round.max(Round(leader.round.0.saturating_sub(self.gc_depth)));
        let header = CommitHeader { index, previous, leader, time, blocks: listed, silenced };
        self.log.push(header.clone());
        Ok(header)
    }

    /// Everything reachable above the collection round that is not committed: so each block is
    /// committed once, and all it builds on with it or before.
    fn history(
        &self,
        blocks: &BTreeMap<BlockRef, Block>,
        leader: BlockRef,
    ) -> Result<Vec<BlockRef>, String> {
        let mut reached = BTreeSet::from([leader]);
        let mut open = vec![leader];
        while let Some(next) = open.pop() {
            let block = blocks.get(&next).ok_or(format!("{next} was never accepted"))?;
            for parent in block.parents() {
                let is_open = parent.round > self.gc_round && !self.committed.contains(parent);
                if is_open && reached.insert(*parent) {
                    open.push(*parent);
                }
            }
        }
        if leader.round <= self.gc_round || self.committed.contains(&leader) {
            return Err(format!("leader {leader} is committed or collected already"));
        }
        // A reference sorts by round, author, digest.
        Ok(reached.into_iter().collect())
    }
}

/// The lower median of the clocks of the leader's parents in the round before.
fn median(blocks: &BTreeMap<BlockRef, Block>, leader: BlockRef) -> Timestamp {
    let parents = blocks.get(&leader).map_or(&[][..], Block::parents);
    let before = parents.iter().filter(|parent| parent.round.0 + 1 == leader.round.0);
    let mut clocks: Vec<Timestamp> =
        before.filter_map(|parent| Some(blocks.get(parent)?.header().timestamp)).collect();
    clocks.sort_unstable();
    let middle = clocks.len().saturating_sub(1) / 2;
    clocks.get(middle).copied().unwrap_or(Timestamp(0))
}
