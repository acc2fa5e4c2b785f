//! The rule once more, from its definition (§3): plain sets, no counting on the way, no shortcuts.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use crate::{
    Block, Committee,
    types::{BlockRef, Round},
};

struct Oracle<'a> {
    committee: &'a Committee,
    blocks: BTreeMap<BlockRef, &'a Block>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Commit(BlockRef),
    Skip,
    Undecided,
}

impl Oracle<'_> {
    fn at(&self, round: u64) -> Vec<&Block> {
        self.blocks.values().filter(|block| block.round().0 == round).copied().collect()
    }

    fn enough(&self, blocks: impl Iterator<Item = BlockRef>) -> bool {
        let authors: BTreeSet<u16> = blocks.map(|block| block.author.0).collect();
        let n = self.committee.size();
        authors.len() >= n - (n - 1) / 3
    }

    fn votes(block: &Block, proposal: BlockRef) -> bool {
        block.round().0 == proposal.round.0 + 1 && block.parents().contains(&proposal)
    }

    fn certifies(&self, block: &Block, proposal: BlockRef) -> bool {
        block.round().0 == proposal.round.0 + 2
            && self.enough(block.parents().iter().copied().filter(|parent| {
                self.blocks.get(parent).is_some_and(|parent| Self::votes(parent, proposal))
            }))
    }

    /// Everything that `from` is built on, and itself.
    fn history(&self, from: BlockRef) -> BTreeSet<BlockRef> {
        let mut history = BTreeSet::from([from]);
        loop {
            let members = history.iter().filter_map(|member| self.blocks.get(member));
            let parents: BTreeSet<BlockRef> =
                members.flat_map(|block| block.parents()).copied().collect();
            if parents.is_subset(&history) {
                return history;
            }
            history.extend(parents);
        }
    }

    fn decide(&self, round: u64, highest: u64) -> Verdict {
        let leader = self.committee.leader(Round(round));
        let proposals: Vec<BlockRef> = self
            .at(round)
            .iter()
            .filter(|block| block.author() == leader)
            .map(|block| block.reference())
            .collect();
        let above = self.at(round + 1);
        let against = |proposal: &BlockRef| {
            let against = above.iter().filter(|block| !Self::votes(block, *proposal));
            self.enough(against.map(|block| block.reference()))
        };
        if self.enough(above.iter().map(|block| block.reference())) && proposals.iter().all(against)
        {
            return Verdict::Skip;
        }
        for proposal in &proposals {
            let certifiers = self.at(round + 2);
            let certifiers = certifiers.iter().filter(|block| self.certifies(block, *proposal));
            if self.enough(certifiers.map(|block| block.reference())) {
                return Verdict::Commit(*proposal);
            }
        }
        for anchor in round + 3..=highest {
            match self.decide(anchor, highest) {
                Verdict::Skip => (),
                Verdict::Undecided => return Verdict::Undecided,
                Verdict::Commit(anchor) => {
                    let history = self.history(anchor);
                    let certified = proposals.iter().find(|proposal| {
                        self.at(round + 2).iter().any(|block| {
                            self.certifies(block, **proposal)
                                && history.contains(&block.reference())
                        })
                    });
                    return certified.map_or(Verdict::Skip, |p| Verdict::Commit(*p));
                }
            }
        }
        Verdict::Undecided
    }
}

/// The decided prefix by the oracle.
pub(super) fn oracle(committee: &Committee, blocks: &[Block]) -> Vec<Verdict> {
    let highest = blocks.iter().map(|block| block.round().0).max().unwrap_or_default();
    let blocks = blocks.iter().map(|block| (block.reference(), block)).collect();
    let oracle = Oracle { committee, blocks };
    let slots = (1..highest).map(|round| oracle.decide(round, highest));
    slots.take_while(|verdict| *verdict != Verdict::Undecided).collect()
}
