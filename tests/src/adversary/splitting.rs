//! Equivocators: several blocks of one round, each for others.

use super::{Lie, Says, body::Body, says};
use kerbholz_client::consensus::Round;

/// Two blocks of each round, for two groups; each group sees a chain of its own.
#[derive(Default)]
pub(super) struct TwoGroups {
    second: Vec<usize>,
}

impl Lie for TwoGroups {
    fn make(&mut self, body: &mut Body, round: Round) -> Vec<Says> {
        // Other groups now and then: then each sees blocks that build on what it was not shown.
        if self.second.is_empty() || body.random.permille(100) {
            let others = body.others();
            self.second = others.into_iter().filter(|_| body.random.permille(500)).collect();
        }
        let mut blocks = Vec::new();
        for chain in 0..2 {
            let own = body.own_before(round, chain);
            let Some(mut parents) = body.parents(round, own, |_| true) else { return Vec::new() };
            // The second one has another view, if a quorum remains.
            if chain == 1 && round > Round(1) && parents.len() > body.quorum() {
                parents.pop();
            }
            blocks.extend(body.sign(round, parents, Vec::new()));
        }
        let [first, second] = blocks.as_slice() else { return Vec::new() };
        body.chain(first);
        body.chain(second);
        let shown = body.others().into_iter().map(|to| {
            let block = if self.second.contains(&to) { second } else { first };
            says(to, block.clone())
        });
        shown.collect()
    }
}

/// A block for each of the others.
pub(super) struct ManyFaced;

impl Lie for ManyFaced {
    fn make(&mut self, body: &mut Body, round: Round) -> Vec<Says> {
        let mut shown = Vec::new();
        for (chain, to) in body.others().into_iter().enumerate() {
            let own = body.own_before(round, chain);
            let Some(parents) = body.parents(round, own, |_| true) else { break };
            let Some(block) = body.sign(round, parents, Vec::new()) else { break };
            shown.push((to, block));
        }
        for (_, block) in &shown {
            body.chain(block);
        }
        shown.into_iter().map(|(to, block)| says(to, block)).collect()
    }
}
