//! Pushes history to peers that seem to lack it (§6.4).
//!
//! Everybody streams its own blocks to everybody, so pushing all history would multiply traffic by
//! `n`. What each peer has is visible in its own blocks' parents: a peer that went on for rounds
//! without an author's blocks, though we have them, is not getting them. That author's blocks are
//! then pushed to it for a while, and a withholding author gains at most one fetch.

use alloc::{vec, vec::Vec};

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

    /// What to push to whom, of what was accepted since the last time.
    pub fn flush(
        &mut self,
        dag: &Dag,
        connected: AuthoritySet,
    ) -> Vec<(AuthorityIndex, Vec<Block>)> {
        let fresh = core::mem::take(&mut self.fresh);
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
        block.round() <= *until
    }
}

/// The round of the author's block `steps` before this one.
fn ancestor(dag: &Dag, block: &Block, steps: usize) -> Option<Round> {
    let mut round = block.round();
    for _ in 0..steps {
        round = dag.newest(block.author(), round.minus(1))?.round;
    }
    Some(round)
}
