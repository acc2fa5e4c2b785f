//! Pushes history to peers that seem to lack it (§6.4).
//!
//! Everybody streams its own blocks to everybody, so pushing all history would multiply traffic by
//! `n`. What each peer has is visible in its own blocks' parents: a peer that went on for rounds
//! without an author's blocks, though we have them, is not getting them. That author's blocks are
//! then pushed to it for a while, and a withholding author gains at most one fetch. Only what our own
//! block builds on goes along with it: of an author with another block for each of us that is one a
//! round, while the others come with the blocks of those who have them.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec,
    vec::Vec,
};

use crate::{
    authority_set::AuthoritySet,
    block::Block,
    dag::Dag,
    types::{AuthorityIndex, BlockRef, Round},
};

/// How many blocks of an author a peer may be behind before they are pushed to it.
const BLOCKS_BEHIND: usize = 3;
/// For how many rounds they are then pushed.
const ROUNDS_PUSHED: u64 = 20;
/// For how many rounds an author's blocks are pushed to a peer that had to ask for one.
const ROUNDS_PUSHED_ASKED: u64 = 200;

/// How far a block may be above the peer's own ones to be pushed. Who is further behind has to check
/// all that lies between first, and would only fall back more; it fetches what is missing then.
const ROUNDS_AHEAD_MAX: u64 = 8;

/// How many blocks per author wait for a push at most; more come by streams and fetches.
const FRESH_PER_AUTHOR_MAX: usize = 8;

/// What each peer has shown to have, of each author.
#[derive(Debug)]
pub(crate) struct Relay {
    own: AuthorityIndex,
    /// `shown[peer][author]`: the highest round among the parents of the peer's blocks.
    shown: Vec<Vec<Round>>,
    /// `until[peer][author]`: push the author's blocks up to this round.
    until: Vec<Vec<Round>>,
    /// Accepted since the last push, each with its sender.
    fresh: Vec<(Block, AuthorityIndex)>,
}

impl Relay {
    pub fn new(own: AuthorityIndex, authorities: usize) -> Self {
        let none = vec![vec![Round::GENESIS; authorities]; authorities];
        Self { own, shown: none.clone(), until: none, fresh: Vec::new() }
    }

    /// A block was accepted.
    pub fn accepted(&mut self, block: &Block, sender: AuthorityIndex) {
        let author = block.author();
        if let Some(shown) = self.shown.get_mut(author.position()) {
            for known in block.parents().iter().chain([&block.reference()]) {
                if let Some(round) = shown.get_mut(known.author.position()) {
                    *round = (*round).max(known.round);
                }
            }
        }
        if author != self.own && self.fresh.len() < FRESH_PER_AUTHOR_MAX * self.shown.len() {
            self.fresh.push((block.clone(), sender));
        }
    }

    /// A peer had to ask for this block, so its author's blocks do not come to it by themselves.
    /// From the next one on they come with the block that builds on them. Whoever asks for more
    /// than it needs has only its own stream grow.
    pub fn asked(&mut self, by: AuthorityIndex, block: BlockRef) {
        let until = self.until.get_mut(by.position());
        if let Some(until) = until.and_then(|until| until.get_mut(block.author.position())) {
            *until = (*until).max(block.round.plus(ROUNDS_PUSHED_ASKED));
        }
    }

    /// Whether a block is newer than what the own chain has of its author.
    pub fn is_news(&self, block: BlockRef) -> bool {
        let shown = self.shown.get(self.own.position());
        shown.and_then(|own| own.get(block.author.position())).is_none_or(|r| *r < block.round)
    }

    /// What to push to whom, of what was accepted since the last time, along with an own block.
    pub fn flush(
        &mut self,
        dag: &Dag,
        connected: AuthoritySet,
        own: &Block,
    ) -> Vec<(AuthorityIndex, Vec<Block>)> {
        let accepted = core::mem::take(&mut self.fresh).into_iter();
        let (accepted, next): (Vec<_>, _) =
            accepted.partition(|(block, _)| block.round() < own.round());
        self.fresh = next;
        let fresh = built_on(own, accepted);
        let mut pushes = Vec::new();
        for peer in connected.iter() {
            let mut blocks = Vec::new();
            for (block, sender) in &fresh {
                if block.author() != peer && *sender != peer && self.is_pushed(dag, peer, block) {
                    blocks.push(block.clone());
                }
            }
            if !blocks.is_empty() {
                pushes.push((peer, blocks));
            }
        }
        pushes
    }

    fn is_pushed(&mut self, dag: &Dag, peer: AuthorityIndex, block: &Block) -> bool {
        let author = block.author();
        let (Some(shown), Some(until)) = (
            self.shown.get(peer.position()),
            self.until.get_mut(peer.position()).and_then(|u| u.get_mut(author.position())),
        ) else {
            return false;
        };
        let shown_of = |authority: AuthorityIndex| {
            shown.get(authority.position()).copied().unwrap_or_default()
        };
        if let Some(lacked) = ancestor(dag, block, BLOCKS_BEHIND)
            && shown_of(author) < lacked
            && shown_of(peer) > lacked
        {
            *until = block.round().plus(ROUNDS_PUSHED);
        }
        let lacks_it = shown_of(author) < block.round();
        let is_near = block.round() <= shown_of(peer).plus(ROUNDS_AHEAD_MAX);
        block.round() <= *until && lacks_it && is_near
    }
}

/// Of these blocks those that are parents of `own`, or lie behind one in its author's own chain.
fn built_on(own: &Block, accepted: Vec<(Block, AuthorityIndex)>) -> Vec<(Block, AuthorityIndex)> {
    let previous: BTreeMap<BlockRef, Option<BlockRef>> = accepted
        .iter()
        .map(|(block, _)| (block.reference(), block.parents().first().copied()))
        .collect();
    let mut built_on = BTreeSet::new();
    for parent in own.parents() {
        let mut next = Some(*parent);
        while let Some(block) = next.filter(|block| built_on.insert(*block)) {
            next = previous.get(&block).copied().flatten();
        }
    }
    accepted.into_iter().filter(|(block, _)| built_on.contains(&block.reference())).collect()
}

/// The round of the author's block `steps` before this one.
fn ancestor(dag: &Dag, block: &Block, steps: usize) -> Option<Round> {
    let mut round = block.round();
    for _ in 0..steps {
        round = dag.newest(block.author(), round.minus(1))?.round;
    }
    Some(round)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{block, committee, first_round, own_first};
    use crate::types::BlockDigest;

    #[test]
    fn of_twins_the_one_goes_along_that_the_own_block_builds_on() {
        let committee = committee(4);
        let first = first_round(&committee);
        let parents: Vec<BlockRef> = first.iter().map(Block::reference).collect();
        let twins = [&[][..], &[b"twin".as_slice()]]
            .map(|payload| block(&committee, 2, 2, &own_first(2, &parents), payload));
        let others =
            [1, 3].map(|author| block(&committee, author, 2, &own_first(author, &parents), &[]));
        let below = [&twins[0], &others[0], &others[1]].map(Block::reference);
        let own = block(&committee, 1, 3, &own_first(1, &below), &[]);
        let sender = AuthorityIndex(3);
        let accepted = [&first[2], &twins[1], &twins[0]].map(|block| (block.clone(), sender));
        let along = built_on(&own, accepted.to_vec());
        let along: Vec<BlockRef> = along.iter().map(|(block, _)| block.reference()).collect();
        assert_eq!(along, [first[2].reference(), twins[0].reference()], "and what it builds on");
    }

    /// Pushing everything to who is behind keeps it behind: it checks what it has, or cannot use yet.
    #[test]
    fn a_peer_is_pushed_what_it_lacks_and_can_use() {
        let (committee, peer) = (committee(4), AuthorityIndex(3));
        let below = [2, 0, 1].map(|author| BlockRef {
            round: Round(9),
            author: AuthorityIndex(author),
            digest: BlockDigest([7; 32]),
        });
        let pushed = block(&committee, 2, 10, &below, &[]);
        let author = pushed.author();
        let table = [
            // Pushed up to, the peer's own, and what it has shown of the author.
            (10, 9, 8, true),
            (9, 9, 8, false),
            (10, 10, 9, true),
            (10, 10, 10, false),
            (10, 2, 0, true),
            (10, 1, 0, false),
        ];
        for (until, own, has, expected) in table {
            let mut relay = Relay::new(AuthorityIndex(0), committee.size());
            relay.until[peer.position()][author.position()] = Round(until);
            relay.shown[peer.position()][peer.position()] = Round(own);
            relay.shown[peer.position()][author.position()] = Round(has);
            let dag = Dag::new(committee.clone());
            let is_pushed = relay.is_pushed(&dag, peer, &pushed);
            assert_eq!(is_pushed, expected, "{until} {own} {has}");
        }
    }
}
