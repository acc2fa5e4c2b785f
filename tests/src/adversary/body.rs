//! What a liar has in common with the honest: a DAG, a chain of its own, a sense of time. Written
//! apart from the code under test, so that a liar keeps to nothing it does not want to.

use super::{Says, says};
use crate::simulator::{
    plan::Plan,
    random::Random,
    world::{AUTHORITY, EPOCH_MS, keypair},
};
use kerbholz_client::consensus::{
    AuthorityIndex, Block, BlockRef, Committee, Draft, PublicKey, Round, Signer, Statement,
    Timestamp, Vote,
};
use kerbholz_node::{
    fetch::{FetchAnswer, FetchRequest, OwnNewest},
    replica::Hello,
};
use std::collections::BTreeMap;

/// A liar's knowledge and means.
pub(crate) struct Body {
    pub(crate) node: usize,
    pub(crate) own: AuthorityIndex,
    pub(crate) committee: Committee,
    pub(crate) now_ms: u64,
    pub(crate) delta_ms: u64,
    pub(crate) random: Random,
    pace_ms: u64,
    heartbeat_ms: u64,
    signer: Signer,
    keys: Vec<PublicKey>,
    blocks: BTreeMap<BlockRef, Block>,
    rounds: BTreeMap<Round, BTreeMap<AuthorityIndex, BlockRef>>,
    /// Its own blocks, as many of a round as it made.
    chain: BTreeMap<Round, Vec<BlockRef>>,
    /// The round of its newest block, and when it was made.
    newest: (Round, u64),
    /// The newest votes of others.
    pub(crate) votes: BTreeMap<u64, Statement>,
}

impl Body {
    pub(crate) fn new(
        node: usize,
        committee: Committee,
        keys: Vec<PublicKey>,
        plan: &Plan,
    ) -> Self {
        let own = committee.index_of(&keys[node]).unwrap_or_default();
        Self {
            node,
            own,
            now_ms: 0,
            delta_ms: plan.parameters.delta_ms,
            pace_ms: plan.parameters.round_delay_min_ms,
            heartbeat_ms: plan.parameters.heartbeat_ms,
            random: Random::of(plan.seed, &format!("liar {node}")),
            signer: Signer::from_seed(&keypair(AUTHORITY, node).seed()),
            committee,
            keys,
            blocks: BTreeMap::new(),
            rounds: BTreeMap::new(),
            chain: BTreeMap::new(),
            newest: (Round::GENESIS, 0),
            votes: BTreeMap::new(),
        }
    }

    /// Another epoch begins: nothing of the one before counts.
    pub(crate) fn enter(&mut self, committee: &Committee) {
        self.committee = committee.clone();
        self.own = committee.index_of(&self.keys[self.node]).unwrap_or(AuthorityIndex(u16::MAX));
        self.blocks.clear();
        self.rounds.clear();
        self.chain.clear();
        self.newest = (Round::GENESIS, self.now_ms);
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.committee.config().epoch
    }

    /// Whether it has a place in the committee.
    pub(crate) fn is_member(&self) -> bool {
        self.own != AuthorityIndex(u16::MAX)
    }

    /// Everybody else.
    pub(crate) fn others(&self) -> Vec<usize> {
        (0..self.keys.len()).filter(|node| *node != self.node).collect()
    }

    pub(crate) fn quorum(&self) -> usize {
        self.committee.size() - (self.committee.size() - 1) / 3
    }

    /// Takes a block in, whatever it builds on.
    pub(crate) fn learn(&mut self, block: &Block) {
        if block.header().domain != self.committee.domain() {
            return;
        }
        let reference = block.reference();
        for vote in &block.header().votes {
            self.votes.insert(vote.statement.index, vote.statement);
            if self.votes.len() > 20 {
                self.votes.pop_first();
            }
        }
        if reference.author != self.own {
            self.rounds
                .entry(reference.round)
                .or_default()
                .entry(reference.author)
                .or_insert(reference);
            self.blocks.insert(reference, block.clone());
        }
    }

    fn authors(&self, round: Round) -> usize {
        self.rounds.get(&round).map_or(0, BTreeMap::len)
    }

    /// The round it may make a block of now, keeping to the pace of the others.
    pub(crate) fn round_to_make(&self) -> Option<Round> {
        let (newest, made_ms) = self.newest;
        if newest == Round::GENESIS {
            return Some(Round(1));
        }
        let waited_ms = self.now_ms.saturating_sub(made_ms);
        // One of the quorum is itself, unless it lags behind and leaves rounds out.
        let complete =
            |round: Round| self.authors(round) + usize::from(round == newest) >= self.quorum();
        // Another liar's rounds may be anywhere: only those that somebody has a block of are looked at.
        let above = self.rounds.range(newest.plus(1)..).rev().map(|(round, _)| *round);
        let below = above.chain([newest]).find(|round| complete(*round))?;
        let next = below.plus(1);
        let begun = self.authors(next) > 0;
        let hurried = self
            .rounds
            .get(&below)
            .is_some_and(|round| round.values().any(|block| self.hurries(block)));
        let due = waited_ms >= self.pace_ms && (begun || hurried) || waited_ms >= self.heartbeat_ms;
        due.then_some(next)
    }

    fn hurries(&self, block: &BlockRef) -> bool {
        self.blocks.get(block).is_some_and(Block::has_work)
    }

    /// A block of a round was made, or the round was let pass.
    pub(crate) fn made(&mut self, round: Round) {
        self.newest = (round, self.now_ms);
    }

    /// The newest own block below a round: the first of the chain with this number, if there are
    /// several.
    pub(crate) fn own_before(&self, round: Round, chain: usize) -> BlockRef {
        let newest = self.chain.range(..round).next_back().map(|(_, blocks)| blocks);
        let newest = newest.and_then(|blocks| blocks.get(chain).or(blocks.first()));
        newest.copied().unwrap_or(self.committee.genesis()[self.own.position()])
    }

    /// Parents for a block of a round: the own one first, then of the round before as many others
    /// as `take` wants; `None` if that is no quorum.
    pub(crate) fn parents(
        &self,
        round: Round,
        own: BlockRef,
        take: impl Fn(&BlockRef) -> bool,
    ) -> Option<Vec<BlockRef>> {
        let before = Round(round.0 - 1);
        let mut parents = vec![own];
        if before == Round::GENESIS {
            let genesis = self.committee.genesis().iter();
            parents.extend(genesis.filter(|parent| parent.author != self.own));
            return Some(parents);
        }
        let others = self.rounds.get(&before)?.values().filter(|parent| take(parent));
        parents.extend(others);
        let found = parents.iter().filter(|parent| parent.round == before).count();
        (found >= self.quorum()).then_some(parents)
    }

    /// Signs a block and keeps it, for whoever asks.
    pub(crate) fn sign(
        &mut self,
        round: Round,
        parents: Vec<BlockRef>,
        votes: Vec<Vote>,
    ) -> Option<Block> {
        // Now and then something that is no transaction: it is ordered, and refused by the ledger.
        let rubbish = round.0 > 1 && self.random.permille(30);
        let payload = if rubbish { vec![self.random.bytes().to_vec()] } else { Vec::new() };
        let draft = Draft {
            round,
            // No two of a round are equal.
            timestamp: Timestamp(EPOCH_MS + self.now_ms + self.random.between(0, 1 << 30)),
            parents,
            votes,
            payload,
            work: self.random.permille(20),
        };
        let block = draft.sign(&self.committee, self.own, &self.signer).ok()?;
        self.blocks.insert(block.reference(), block.clone());
        Some(block)
    }

    /// Puts a block into its own chain: the next will build on it.
    pub(crate) fn chain(&mut self, block: &Block) {
        self.chain.entry(block.round()).or_default().push(block.reference());
    }

    /// What an honest authority would make.
    pub(crate) fn honest_block(&mut self, round: Round) -> Option<Block> {
        let own = self.own_before(round, 0);
        let parents = self.parents(round, own, |_| true)?;
        let block = self.sign(round, parents, Vec::new())?;
        self.chain(&block);
        Some(block)
    }

    pub(crate) fn vote(&self, statement: Statement) -> Vote {
        Vote::sign(statement, &self.committee, &self.signer)
    }

    pub(crate) fn to_all(&self, block: &Block) -> Vec<Says> {
        self.others().into_iter().map(|to| says(to, block.clone())).collect()
    }

    /// The first own block of each round above this one, as far as somebody may still want them.
    pub(crate) fn chain_after(&self, round: Round) -> Vec<Block> {
        let from = round.plus(1).max(self.newest.0.minus(100));
        let above = self.chain.range(from..).filter_map(|(_, blocks)| blocks.first());
        above.filter_map(|block| self.blocks.get(block).cloned()).collect()
    }

    /// Any block it knows.
    pub(crate) fn any_block(&mut self) -> Option<Block> {
        let known = self.blocks.len();
        (known > 0)
            .then(|| self.random.below(known))
            .and_then(|at| self.blocks.values().nth(at))
            .cloned()
    }

    /// The oldest block by a node that it knows.
    fn oldest_of(&self, node: usize) -> Option<&Block> {
        let author = self.committee.index_of(&self.keys[node])?;
        self.blocks.values().find(|block| block.author() == author)
    }

    pub(crate) fn true_answer(&self, asked: &FetchRequest) -> FetchAnswer {
        match asked {
            FetchRequest::Blocks(references) | FetchRequest::Chains { references, .. } => {
                let known = references.iter().filter_map(|reference| self.blocks.get(reference));
                FetchAnswer::Blocks(known.map(|block| block.bytes().to_vec()).collect())
            }
            FetchRequest::Commits { .. } => FetchAnswer::Commits(None),
            FetchRequest::Own { .. } => FetchAnswer::Own(None),
        }
    }

    /// The oldest block of the asker as its newest, and commits that nobody has.
    pub(crate) fn false_own(&mut self, asker: usize) -> FetchAnswer {
        let commit = *self.random.pick(&[0, 1, 1_000_000, u64::MAX]);
        let block = self.oldest_of(asker).map(|block| block.bytes().to_vec());
        FetchAnswer::Own(Some(OwnNewest { commit, block }))
    }

    pub(crate) fn true_hello(&self, peer: usize) -> Hello {
        let author = self.committee.index_of(&self.keys[peer]);
        let theirs = |round: &&Round| {
            let authors = self.rounds.get(round);
            author.is_some_and(|it| authors.is_some_and(|authors| authors.contains_key(&it)))
        };
        let has_of_yours = self.rounds.keys().rev().find(theirs).copied().unwrap_or_default();
        Hello { epoch: self.epoch(), commit: 0, has_of_yours, own_round: self.newest.0 }
    }
}
