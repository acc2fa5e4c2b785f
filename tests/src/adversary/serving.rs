//! False answers and hellos.

use super::{Lie, Says, body::Body, says};
use kerbholz_client::consensus::{
    AuthorityIndex, BlockDigest, BlockRef, Checkpoint, CommitDigest, CommitHeader, Round,
    Signature, Statement, Timestamp,
};
use kerbholz_node::{
    fetch::{FetchAnswer, FetchRequest},
    replica::Hello,
};

/// Answers with what was not asked for, and says hello with numbers from nowhere.
pub(super) struct LyingServer;

impl Lie for LyingServer {
    /// Its own blocks reach some; the others have to ask somebody for them.
    fn make(&mut self, body: &mut Body, round: Round) -> Vec<Says> {
        let Some(block) = body.honest_block(round) else { return Vec::new() };
        let others = body.others();
        let shown = others.into_iter().filter(|_| body.random.permille(600));
        shown.map(|to| says(to, block.clone())).collect()
    }

    fn answer(
        &mut self,
        body: &mut Body,
        from: usize,
        asked: &FetchRequest,
    ) -> Option<FetchAnswer> {
        match body.true_answer(asked) {
            FetchAnswer::Blocks(blocks) => false_blocks(body, blocks),
            FetchAnswer::Commits(_) => {
                let FetchRequest::Commits { after } = asked else { return None };
                Some(FetchAnswer::Commits(Some(false_commits(body, *after))))
            }
            FetchAnswer::Own(_) => Some(body.false_own(from)),
        }
    }

    fn hello(&self, body: &Body, peer: usize) -> Option<Hello> {
        let far = [0, 1_000_000, u64::MAX];
        let at = body.now_ms as usize + peer;
        let number = |step: usize| far[(at + step * peer) % far.len()];
        Some(Hello {
            epoch: if number(3) == 0 { body.epoch() + 1 } else { body.epoch() },
            commit: number(1),
            has_of_yours: Round(number(0)),
            own_round: Round(number(2)),
        })
    }
}

fn false_blocks(body: &mut Body, mut blocks: Vec<Vec<u8>>) -> Option<FetchAnswer> {
    match body.random.below(6) {
        // Another block.
        0 => blocks.extend(body.any_block().map(|block| block.bytes().to_vec())),
        // One bit.
        1 => {
            for block in &mut blocks {
                let at = body.random.below(block.len());
                block[at] ^= 1;
            }
        }
        // A part.
        2 => blocks.iter_mut().for_each(|block| block.truncate(block.len() / 2)),
        3 => blocks.clear(),
        4 => return None,
        // The same again and again.
        _ => blocks = blocks.iter().cycle().take(3 * blocks.len()).cloned().collect(),
    }
    Some(FetchAnswer::Blocks(blocks))
}

/// A commit of its own making, with its own signature under it, and others that are none.
fn false_commits(body: &mut Body, after: u64) -> (Vec<CommitHeader>, Checkpoint) {
    let leader = BlockRef {
        round: Round(after + 7),
        author: AuthorityIndex(0),
        digest: BlockDigest(body.random.bytes()),
    };
    let header = CommitHeader {
        index: after.saturating_add(1),
        previous: CommitDigest(body.random.bytes()),
        leader,
        time: Timestamp(0),
        blocks: vec![leader],
        silenced: Vec::new(),
    };
    let statement = Statement {
        index: header.index,
        commit_digest: header.digest(&body.committee),
        log_root: body.random.bytes(),
        state_digest: body.random.bytes(),
    };
    let own = body.vote(statement).signature;
    let signature = |author: AuthorityIndex| {
        let forged = Signature([author.0 as u8; 64]);
        (author, if author == body.own { own } else { forged })
    };
    let signatures = body.committee.authorities().take(body.quorum()).map(signature).collect();
    (vec![header], Checkpoint { statement, signatures })
}
