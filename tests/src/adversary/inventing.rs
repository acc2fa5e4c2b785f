//! Parents, rounds and votes that do not exist; and votes that are not given.

use super::{Lie, Says, body::Body, says};
use kerbholz_client::consensus::{
    AuthorityIndex, BlockDigest, BlockRef, CommitDigest, Round, Statement,
};

/// Never has a leader's block as a parent, if a quorum remains without.
pub(super) struct NonVoter;

impl Lie for NonVoter {
    fn make(&mut self, body: &mut Body, round: Round) -> Vec<Says> {
        let leader = body.committee.leader(Round(round.0 - 1));
        let own = body.own_before(round, 0);
        let without = body.parents(round, own, |parent| parent.author != leader);
        let parents = without.or_else(|| body.parents(round, own, |_| true));
        let block = parents.and_then(|parents| body.sign(round, parents, Vec::new()));
        let Some(block) = block else { return Vec::new() };
        body.chain(&block);
        body.to_all(&block)
    }
}

/// A reference to nothing.
fn nothing(body: &mut Body, author: AuthorityIndex, round: Round) -> BlockRef {
    BlockRef { round, author, digest: BlockDigest(body.random.bytes()) }
}

/// Parents in the round before a round of which nobody ever made a block.
fn invented(body: &mut Body, round: Round, own: BlockRef) -> Vec<BlockRef> {
    let before = Round(round.0 - 1);
    let mut parents = vec![own];
    let own = body.own;
    for author in body.committee.authorities().filter(|author| *author != own) {
        parents.push(nothing(body, author, before));
    }
    parents
}

/// Blocks of rounds nobody will reach, each on parents that do not exist.
pub(super) struct FarFuture;

impl Lie for FarFuture {
    fn act(&mut self, body: &mut Body) -> Vec<Says> {
        let mut said = Vec::new();
        for to in body.others() {
            if !body.random.permille(300) {
                continue;
            }
            let ahead = *body.random.pick(&[5, 50, 400, 1_000, 1 << 40]);
            let round = body.own_before(Round(u64::MAX), 0).round.plus(ahead);
            let own = body.own_before(Round(u64::MAX), 0);
            let parents = invented(body, round, own);
            said.extend(body.sign(round, parents, Vec::new()).map(|block| says(to, block)));
        }
        said
    }
}

/// Blocks of the present that build on nothing: they wait, and what they want is asked for in vain.
pub(super) struct FakeParents;

impl Lie for FakeParents {
    fn make(&mut self, body: &mut Body, round: Round) -> Vec<Says> {
        let Some(honest) = body.honest_block(round) else { return Vec::new() };
        let mut said = Vec::new();
        for to in body.others() {
            if round > Round(1) && body.random.permille(400) {
                let own = body.own_before(round, 0);
                let parents = invented(body, round, own);
                said.extend(body.sign(round, parents, Vec::new()).map(|block| says(to, block)));
            }
            if body.random.permille(700) {
                said.push(says(to, honest.clone()));
            }
        }
        said
    }
}

/// Votes for outcomes that were none, of commits that were and of commits that were not.
pub(super) struct ForgedVotes;

impl Lie for ForgedVotes {
    fn make(&mut self, body: &mut Body, round: Round) -> Vec<Says> {
        let own = body.own_before(round, 0);
        let Some(parents) = body.parents(round, own, |_| true) else { return Vec::new() };
        let seen: Vec<Statement> = body.votes.values().rev().take(3).copied().collect();
        let mut forged: Vec<Statement> = Vec::new();
        for statement in seen.into_iter().rev() {
            let mut lie = statement;
            match body.random.below(4) {
                0 => lie.state_digest = body.random.bytes(),
                1 => lie.log_root = body.random.bytes(),
                2 => lie.commit_digest.0 = body.random.bytes(),
                _ => {}
            }
            forged.push(lie);
        }
        let top = forged.last().map_or(0, |statement| statement.index);
        let ahead = *body.random.pick(&[1, 7, 1_000, u64::MAX / 2]);
        forged.push(Statement {
            index: top.saturating_add(ahead),
            commit_digest: CommitDigest(body.random.bytes()),
            log_root: body.random.bytes(),
            state_digest: body.random.bytes(),
        });
        let votes = forged.into_iter().map(|statement| body.vote(statement)).collect();
        let Some(block) = body.sign(round, parents, votes) else { return Vec::new() };
        body.chain(&block);
        body.to_all(&block)
    }
}
