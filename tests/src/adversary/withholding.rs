//! Blocks that come late, to few, as a chain at once, or not at all.

use super::{Lie, Says, body::Body, says};
use kerbholz_client::consensus::{Block, Round};
use kerbholz_node::{
    fetch::{FetchAnswer, FetchRequest},
    replica::Hello,
};

/// Says nothing.
pub(super) struct Mute;

impl Lie for Mute {
    fn make(&mut self, _body: &mut Body, _round: Round) -> Vec<Says> {
        Vec::new()
    }

    fn stream(&mut self, _body: &mut Body, _to: usize, _after: Round) -> Vec<Says> {
        Vec::new()
    }

    fn answer(&mut self, _: &mut Body, _from: usize, _asked: &FetchRequest) -> Option<FetchAnswer> {
        None
    }

    fn hello(&self, body: &Body, peer: usize) -> Option<Hello> {
        // To one half not even that.
        peer.is_multiple_of(2).then(|| body.true_hello(peer))
    }
}

/// Shows its blocks to one or two.
pub(super) struct Withholder;

impl Lie for Withholder {
    fn make(&mut self, body: &mut Body, round: Round) -> Vec<Says> {
        let Some(block) = body.honest_block(round) else { return Vec::new() };
        let mut others = body.others();
        body.random.shuffle(&mut others);
        others.truncate(1 + body.random.below(2));
        others.into_iter().map(|to| says(to, block.clone())).collect()
    }

    fn stream(&mut self, body: &mut Body, to: usize, after: Round) -> Vec<Says> {
        let chain = body.chain_after(after);
        chain
            .into_iter()
            .filter(|_| body.random.permille(200))
            .map(|block| says(to, block))
            .collect()
    }

    fn answer(
        &mut self,
        body: &mut Body,
        _from: usize,
        asked: &FetchRequest,
    ) -> Option<FetchAnswer> {
        body.random.permille(300).then(|| body.true_answer(asked))
    }
}

/// Leads at the last moment, for some too late.
pub(super) struct LateLeader;

impl Lie for LateLeader {
    fn make(&mut self, body: &mut Body, round: Round) -> Vec<Says> {
        let Some(block) = body.honest_block(round) else { return Vec::new() };
        let mut said = body.to_all(&block);
        if body.committee.leader(round) == body.own {
            for says in &mut said {
                says.after_ms = body.random.between(body.delta_ms, 3 * body.delta_ms);
            }
        }
        said
    }
}

/// Keeps chains of blocks to itself, then shows their ends: each has to be fetched block by block.
pub(super) struct ChainBomb {
    chains: usize,
    until: Round,
    ends: Vec<Block>,
}

impl ChainBomb {
    pub(super) fn with_chains(chains: usize) -> Self {
        Self { chains, until: Round::GENESIS, ends: Vec::new() }
    }
}

impl Lie for ChainBomb {
    fn make(&mut self, body: &mut Body, round: Round) -> Vec<Says> {
        if round > self.until {
            self.until = round.plus(body.random.between(3, 40));
        }
        let mut ends = Vec::new();
        for chain in 0..self.chains {
            let own = body.own_before(round, chain);
            let Some(parents) = body.parents(round, own, |_| true) else { return Vec::new() };
            ends.extend(body.sign(round, parents, Vec::new()));
        }
        for block in &ends {
            body.chain(block);
        }
        self.ends = ends;
        if round < self.until {
            return Vec::new();
        }
        let mut said = Vec::new();
        for (at, to) in body.others().into_iter().enumerate() {
            said.extend(self.ends.get(at % self.chains).map(|end| says(to, end.clone())));
        }
        said
    }

    fn stream(&mut self, _body: &mut Body, _to: usize, _after: Round) -> Vec<Says> {
        Vec::new()
    }
}

/// Says everything, late, and in order.
pub(super) struct SlowStream;

impl Lie for SlowStream {
    fn make(&mut self, body: &mut Body, round: Round) -> Vec<Says> {
        let Some(block) = body.honest_block(round) else { return Vec::new() };
        let mut said = body.to_all(&block);
        for says in &mut said {
            // To each at its own pace.
            let slowness = 1 + says.to as u64 % 6;
            says.after_ms = slowness * body.delta_ms;
        }
        said
    }

    fn slowness_ms(&self, body: &mut Body) -> u64 {
        body.random.between(0, 8 * body.delta_ms)
    }
}
