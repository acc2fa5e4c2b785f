//! How votes become a checkpoint, or evidence (§7).

use super::*;
use crate::{
    testing::{committee, signer},
    types::CommitDigest,
};

fn statement(index: u64, state: u8) -> Statement {
    let commit_digest = CommitDigest([index as u8; 32]);
    Statement { index, commit_digest, log_root: [1; 32], state_digest: [state; 32] }
}

fn vote(author: u16, statement: Statement) -> (AuthorityIndex, Vote) {
    (AuthorityIndex(author), Vote::sign(statement, &committee(4), &signer(author)))
}

fn tally() -> Tally {
    Tally::new(committee(4), 0, None)
}

fn note(tally: &mut Tally, author: u16, statement: Statement) -> Vec<Finding> {
    let (author, vote) = vote(author, statement);
    tally.note(author, vote)
}

#[test]
fn a_quorum_that_agrees_with_us_is_a_checkpoint_whatever_comes_last() {
    let mut tally = tally();
    for author in [3, 1] {
        assert_eq!(note(&mut tally, author, statement(5, 0)), []);
    }
    assert_eq!(note(&mut tally, 1, statement(5, 0)), [], "nobody counts twice");
    assert_eq!(note(&mut tally, 0, statement(5, 0)), [], "not executed here yet");
    let findings = tally.executed(statement(5, 0));
    let [Finding::Checkpoint(checkpoint)] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!(checkpoint.verify(&committee(4)), Ok(()));
    assert_eq!(tally.checkpoint(), 5);
    assert_eq!(note(&mut tally, 2, statement(5, 0)), [], "once is enough");
    assert_eq!(note(&mut tally, 2, statement(4, 0)), [], "older ones are proven by it");
}

#[test]
fn votes_for_another_outcome_do_not_count_and_are_reported() {
    let mut tally = tally();
    assert_eq!(tally.executed(statement(5, 0)), []);
    assert_eq!(note(&mut tally, 0, statement(5, 0)), []);
    assert_eq!(note(&mut tally, 1, statement(5, 0)), []);
    let findings = note(&mut tally, 2, statement(5, 9));
    assert!(matches!(findings[..], [Finding::Offence(AuthorityIndex(2), _)]), "{findings:?}");
    let findings = note(&mut tally, 3, statement(5, 0));
    assert!(matches!(findings[..], [Finding::Checkpoint(_)]), "{findings:?}");
}

#[test]
fn a_quorum_against_us_is_a_divergence() {
    let mut tally = tally();
    for author in 1..4 {
        note(&mut tally, author, statement(5, 9));
    }
    let findings = tally.executed(statement(5, 0));
    assert_eq!(findings.len(), 4, "three offences and the verdict: {findings:?}");
    let Some(Finding::Diverged(checkpoint, executed)) = findings.last() else {
        panic!("{findings:?}")
    };
    assert_eq!((checkpoint.statement, *executed), (statement(5, 9), statement(5, 0)));
}

#[test]
fn a_block_carries_the_newest_votes() {
    let mut tally = tally();
    for index in 1..=12 {
        tally.cast(vote(0, statement(index, 0)).1, true);
    }
    let indices: Vec<u64> = tally.take_pending().iter().map(|v| v.statement.index).collect();
    assert_eq!(indices, [5, 6, 7, 8, 9, 10, 11, 12]);
    assert!(!tally.has_pending());
}

/// A hostile author can fill its own place only.
#[test]
fn open_votes_are_bounded_per_author() {
    let mut tally = tally();
    let (author, template) = vote(3, statement(1, 9));
    for index in 1_000..2_000 {
        tally.note(author, Vote { statement: statement(index, 9), ..template });
    }
    assert_eq!(tally.votes[3].len(), PER_AUTHOR_MAX);
    (0..3).for_each(|author| drop(note(&mut tally, author, statement(5, 0))));
    assert!(matches!(tally.executed(statement(5, 0))[..], [Finding::Checkpoint(_)]));
}
