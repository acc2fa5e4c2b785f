//! Shapes by hand, and random DAGs against an oracle that shares no code with the rule.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};
use core::fmt::Write;

use proptest::prelude::*;

use super::*;
use crate::{
    Block, Committee,
    testing::{Random, committee, drawing::Drawing, random::random_dag},
};

/// What the rule says of a drawing, slot by slot: `A1` committed, `-` skipped, up to the first
/// undecided one.
fn decisions(drawing: &str) -> String {
    let drawing = Drawing::new(&committee(4), drawing);
    let mut dag = Dag::new(drawing.committee.clone());
    for block in &drawing.blocks {
        assert_eq!(dag.missing(block).count(), 0);
        dag.insert(block.clone());
    }
    let mut said = String::new();
    for (_, decision) in decide(&dag, Round(1)) {
        match decision {
            Decision::Commit(leader) => write!(said, "{} ", drawing.name(&leader)).unwrap(),
            Decision::Skip => said.push_str("- "),
            Decision::Conflict(_) => said.push_str("! "),
            Decision::Undecided => said.push_str("? "),
        }
    }
    said.pop();
    said
}

/// Name, drawing, decisions. A leads round 1, B round 2, C round 3, D round 4, A round 5 and so on.
const SHAPES: &[(&str, &str, &str)] = &[
    ("nothing above the leader", "1: A B C D", ""),
    ("votes alone decide nothing", "1: A B C D | 2: A B C D", ""),
    ("direct commit", "1: A B C D | 2: A B C D | 3: A B C", "A1"),
    ("two certificates are too few", "1: A B C D | 2: A B C D | 3: A B", ""),
    (
        "a certificate needs a quorum of votes: C and D do not vote",
        "1: A B C D | 2: A B C>BCD D>BCD | 3: A B C D",
        "",
    ),
    (
        "three votes, one of them unseen by C and D: two certificates",
        "1: A B C D | 2: A B C D>BCD | 3: A B C>BCD D>BCD",
        "",
    ),
    ("direct skip: a quorum does not vote", "1: A B C D | 2: A B>BCD C>BCD D>BCD", "-"),
    ("two non-voters are too few", "1: A B C D | 2: A B C>BCD D>BCD", ""),
    ("no block of the leader at all", "1: B C D | 2: B C D", "-"),
    ("two votes rounds are no quorum for a skip", "1: B C D | 2: B C", ""),
    (
        "the whole pipeline",
        "1: A B C D | 2: A B C D | 3: A B C D | 4: A B C D | 5: A B C D",
        "A1 B2 C3",
    ),
    (
        "a dead authority: its slots are skipped, the others commit",
        "1: A B C | 2: A B C | 3: A B C | 4: A B C | 5: A B C | 6: A B C | 7: A B C",
        "A1 B2 C3 - A5",
    ),
    (
        "indirect commit: one certificate, in the anchor's history",
        "1: A B C D | 2: A B C D>BCD | 3: A>ABC B>BCD C>BCD D>BCD | 4: A B C D | 5: A B C D \
             | 6: A B C D",
        "A1 B2 C3 D4",
    ),
    (
        "indirect skip: two votes, nobody can certify",
        "1: A B C D | 2: A B C>BCD D>BCD | 3: A B C D | 4: A B C D | 5: A B C D | 6: A B C D",
        "- B2 C3 D4",
    ),
    (
        "an undecided anchor leaves the slot undecided",
        "1: A B C D | 2: A B C>BCD D>BCD | 3: A B C D | 4: A B C D | 5: A B C D",
        "",
    ),
    (
        "a skipped slot is no anchor: the next one decides",
        "1: A B C D | 2: A B C>BCD D>BCD | 3: A B C D | 4: A B C D | 5: A>ABC B>ABC C>ABC \
             D>ABCD | 6: A B C D | 7: A B C D",
        "- B2 C3 - A5",
    ),
    (
        "a certificate outside the anchor's history counts for nothing",
        // A3 certifies A1, but D4 and what follows it never saw A3.
        "1: A B C D | 2: A B C D>BCD | 3: A>ABC B>BCD C>BCD D>BCD | 4: A B>BCD C>BCD D>BCD \
             | 5: B>BCD C>BCD D>BCD | 6: B C D",
        "- B2 C3 D4 -",
    ),
    (
        "a vote through an older parent is no vote",
        // D2 is made without A1; D3 has A1 as an old parent, which certifies nothing.
        "1: A B C D | 2: B>BCD C>BCD D>BCD | 3: B>BCD C>BCD D>A1BCD",
        "-",
    ),
    (
        "an equivocating leader: one twin has a quorum",
        "1: A A' B C D | 2: A>A'BCD B>A'BCD C>A'BCD D>ABCD | 3: A B C D",
        "A'1",
    ),
    (
        "an equivocating leader: no twin can get a quorum",
        "1: A A' B C D | 2: A>A'BCD B>A'BCD C>ABCD D>ABCD | 3: A B C D",
        "",
    ),
    (
        "the same, with a third of the voters for neither: skipped",
        "1: A A' B C D | 2: A>A'BCD B>BCD C>BCD D>ABCD",
        "-",
    ),
    (
        "an equivocating voter counts once as voter and once as non-voter",
        // D votes for A1 and against it: B, C, D' do not vote.
        "1: A B C D | 2: A B>BCD C>BCD D D'>BCD",
        "-",
    ),
    ("twins of one certifier are one author", "1: A B C D | 2: A B C D | 3: D D'>ABD B", ""),
];

#[test]
fn shapes() {
    for (name, drawing, expected) in SHAPES {
        assert_eq!(decisions(drawing), *expected, "{name}");
    }
}

/// Two final twins need more than `f` liars: here B, C and D all sign twice.
#[test]
fn two_final_proposals_are_a_conflict() {
    let said = decisions(
        "1: A A' B C D | 2: B>ABCD C>ABCD D>ABCD B'>A'BCD C'>A'BCD D'>A'BCD \
         | 3: B>BCD C>BCD D>BCD B'>B'C'D' C'>B'C'D' D'>B'C'D'",
    );
    assert_eq!(said, "! -", "a node halts at the first");
}

/// The rule once more, from its definition: plain sets, no counting on the way, no shortcuts.
struct Oracle<'a> {
    committee: &'a Committee,
    blocks: BTreeMap<BlockRef, &'a Block>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
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

    fn reaches(&self, from: BlockRef, to: BlockRef) -> bool {
        from == to
            || from.round > to.round
                && self.blocks.get(&from).is_some_and(|block| {
                    block.parents().iter().any(|parent| self.reaches(*parent, to))
                })
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
                    let certified = proposals.iter().find(|proposal| {
                        self.at(round + 2).iter().any(|block| {
                            self.certifies(block, **proposal)
                                && self.reaches(anchor, block.reference())
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
fn oracle(committee: &Committee, blocks: &[Block], highest: u64) -> Vec<Verdict> {
    let blocks = blocks.iter().map(|block| (block.reference(), block)).collect();
    let oracle = Oracle { committee, blocks };
    let slots = (1..highest).map(|round| oracle.decide(round, highest));
    slots.take_while(|verdict| *verdict != Verdict::Undecided).collect()
}

fn ours(committee: &Committee, blocks: &[Block]) -> Vec<Verdict> {
    let mut dag = Dag::new(committee.clone());
    blocks.iter().for_each(|block| dag.insert(block.clone()));
    let verdict = |(_, decision)| match decision {
        Decision::Commit(leader) => Verdict::Commit(leader),
        Decision::Skip => Verdict::Skip,
        other => panic!("{other:?}"),
    };
    decide(&dag, Round(1)).into_iter().map(verdict).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_rule_is_the_oracles(seed in any::<u64>(), n in 4u16..=7) {
        let committee = committee(n);
        let blocks = random_dag(&committee, 9, &mut Random(seed));
        let highest = blocks.iter().map(|block| block.round().0).max().unwrap_or_default();
        prop_assert_eq!(ours(&committee, &blocks), oracle(&committee, &blocks, highest));
    }

    /// What a part of the DAG decides, the whole decides alike: decisions are irrevocable, and two
    /// nodes with different parts never contradict each other.
    #[test]
    fn decisions_are_irrevocable(seed in any::<u64>(), n in 4u16..=7) {
        let committee = committee(n);
        let random = &mut Random(seed);
        let blocks = random_dag(&committee, 12, random);
        let whole = ours(&committee, &blocks);
        let mut part: Vec<Block> = Vec::new();
        for block in &blocks {
            let has = |parent: &BlockRef| {
                parent.round.0 == 0 || part.iter().any(|b| b.reference() == *parent)
            };
            if block.parents().iter().all(has) && !random.chance(8) {
                part.push(block.clone());
                let decided = ours(&committee, &part);
                prop_assert!(whole.starts_with(&decided), "{:?} {:?}", whole, decided);
            }
        }
    }
}

/// The random DAGs are worth something: every kind of decision occurs, and so do twins.
#[test]
fn random_dags_show_every_kind_of_decision() {
    let (mut direct_commits, mut indirect, mut skips, mut twins) = (0, 0, 0, 0);
    for seed in 0..60 {
        let committee = committee(4);
        let blocks = random_dag(&committee, 12, &mut Random(seed));
        let mut dag = Dag::new(committee.clone());
        blocks.iter().for_each(|block| dag.insert(block.clone()));
        for (round, decision) in decide(&dag, Round(1)) {
            let is_direct = direct(&dag, round) != Decision::Undecided;
            direct_commits += usize::from(is_direct && matches!(decision, Decision::Commit(_)));
            skips += usize::from(is_direct && decision == Decision::Skip);
            indirect += usize::from(!is_direct);
        }
        twins += (1..12)
            .flat_map(|round| committee.authorities().map(move |author| (round, author)))
            .filter(|(round, author)| dag.slot(Round(*round), *author).count() > 1)
            .count();
    }
    let counts = [direct_commits, indirect, skips, twins];
    assert!(counts.iter().all(|count| *count > 10), "{counts:?}");
}
