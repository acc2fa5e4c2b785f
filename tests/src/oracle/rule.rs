//! The commit rule (protocol §3) once more, by sets of authors: slow, and plain to read.

use kerbholz_client::consensus::{AuthorityIndex, Block, BlockRef, Committee, Round};
use std::collections::{BTreeMap, BTreeSet};

/// What is known about the leader slot of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This proposal is final.
    Commit {
        /// The proposal.
        leader: BlockRef,
        /// By certificates of a quorum, not by an anchor.
        direct: bool,
    },
    /// None will be.
    Skip {
        /// By the round above, not by an anchor.
        direct: bool,
    },
    /// It cannot be told.
    Undecided,
}

impl Verdict {
    /// The proposal, if one is final.
    pub fn leader(&self) -> Option<BlockRef> {
        match self {
            Self::Commit { leader, .. } => Some(*leader),
            _ => None,
        }
    }
}

type Blocks = BTreeMap<BlockRef, Block>;
type Authors = BTreeSet<AuthorityIndex>;

/// Decides every slot from round 1 up, on these blocks.
pub fn decide(blocks: &Blocks, committee: &Committee) -> Vec<(Round, Verdict)> {
    let mut rounds: BTreeMap<Round, Vec<&Block>> = BTreeMap::new();
    for block in blocks.values() {
        rounds.entry(block.round()).or_default().push(block);
    }
    let top = rounds.keys().next_back().map_or(0, |round| round.0);
    let view = View { blocks, rounds, committee };
    let mut verdicts: BTreeMap<Round, Verdict> = BTreeMap::new();
    for round in (1..=top).rev().map(Round) {
        let verdict = view.direct(round).unwrap_or_else(|| view.indirect(round, &verdicts));
        verdicts.insert(round, verdict);
    }
    verdicts.into_iter().collect()
}

struct View<'a> {
    blocks: &'a Blocks,
    rounds: BTreeMap<Round, Vec<&'a Block>>,
    committee: &'a Committee,
}

impl View<'_> {
    /// n - f authors.
    fn is_quorum(&self, authors: &Authors) -> bool {
        let n = self.committee.size();
        authors.len() >= n - (n - 1) / 3
    }

    fn round(&self, round: Round) -> &[&Block] {
        self.rounds.get(&round).map_or(&[], Vec::as_slice)
    }

    fn proposals(&self, round: Round) -> Vec<BlockRef> {
        let leader = self.committee.leader(round);
        let led = self.round(round).iter().filter(|block| block.author() == leader);
        led.map(|block| block.reference()).collect()
    }

    /// Authors in a round of whom a block does what is asked.
    fn authors(&self, round: Round, does: impl Fn(&Block) -> bool) -> Authors {
        let doing = self.round(round).iter().filter(|block| does(block));
        doing.map(|block| block.author()).collect()
    }

    fn certifies(&self, block: &Block, proposal: BlockRef) -> bool {
        let previous = block.round().0 - 1;
        let parents = block.parents().iter().filter(|parent| parent.round.0 == previous);
        let voting = parents
            .filter(|parent| self.blocks.get(parent).is_some_and(|it| votes(it, proposal)))
            .map(|parent| parent.author);
        self.is_quorum(&voting.collect())
    }

    fn direct(&self, round: Round) -> Option<Verdict> {
        let (above, two_above) = (Round(round.0 + 1), Round(round.0 + 2));
        let proposals = self.proposals(round);
        for leader in &proposals {
            let certifying = self.authors(two_above, |block| self.certifies(block, *leader));
            if self.is_quorum(&certifying) {
                return Some(Verdict::Commit { leader: *leader, direct: true });
            }
        }
        let against = |proposal: &BlockRef| {
            self.is_quorum(&self.authors(above, |block| !votes(block, *proposal)))
        };
        let skipped =
            self.is_quorum(&self.authors(above, |_| true)) && proposals.iter().all(against);
        skipped.then_some(Verdict::Skip { direct: true })
    }

    fn indirect(&self, round: Round, later: &BTreeMap<Round, Verdict>) -> Verdict {
        let anchors = later.range(Round(round.0 + 3)..).map(|(_, verdict)| verdict);
        let anchor = anchors.into_iter().find(|verdict| !matches!(verdict, Verdict::Skip { .. }));
        let Some(Verdict::Commit { leader: anchor, .. }) = anchor else {
            return Verdict::Undecided;
        };
        let certificates = self.history(*anchor, Round(round.0 + 2));
        let proposals = self.proposals(round);
        let certified = proposals
            .into_iter()
            .find(|proposal| certificates.iter().any(|block| self.certifies(block, *proposal)));
        match certified {
            Some(leader) => Verdict::Commit { leader, direct: false },
            None => Verdict::Skip { direct: false },
        }
    }

    /// The blocks of a round that a block has in its history.
    fn history(&self, start: BlockRef, round: Round) -> Vec<&Block> {
        let mut seen = BTreeSet::from([start]);
        let mut open = vec![start];
        while let Some(next) = open.pop() {
            let parents = self.blocks.get(&next).map_or(&[][..], Block::parents);
            for parent in parents.iter().filter(|parent| parent.round >= round) {
                if seen.insert(*parent) {
                    open.push(*parent);
                }
            }
        }
        let there = seen.iter().filter(|block| block.round == round);
        there.filter_map(|block| self.blocks.get(block)).collect()
    }
}

fn votes(block: &Block, proposal: BlockRef) -> bool {
    block.parents().contains(&proposal)
}
