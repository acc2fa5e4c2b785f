//! Honest ledgers and forged ones, each forgery by its name.

use alloc::{vec, vec::Vec};

use super::*;
use crate::{
    Block, CommitHeader, CommitteeConfig, Parameters,
    testing::{committee, world::World},
};

/// A ledger of a network in which a node was down, so that leaders were skipped.
fn ledger() -> Vec<Commit> {
    let mut world = World::new(4, Parameters::lan(), 3);
    for number in 0..60u8 {
        if number == 20 {
            world.crash(1);
        }
        world.offer(0, &[number]);
        world.run_for(20);
    }
    world.run_for(1_000);
    world.disks[0].commits.clone()
}

fn audit(commits: &[Commit]) -> Result<Auditor, AuditError> {
    let mut auditor = Auditor::new(committee(4));
    commits.iter().try_for_each(|commit| auditor.check(commit))?;
    Ok(auditor)
}

/// The commit with a bent header, and the chain after it made to fit.
fn bent(commits: &[Commit], at: usize, bend: impl FnOnce(&mut CommitHeader)) -> Vec<Commit> {
    let committee = committee(4);
    let mut chain: Vec<Commit> = commits[..at].to_vec();
    let mut bend = Some(bend);
    for commit in &commits[at..] {
        let mut header = commit.header().clone();
        header.previous = chain.last().map_or(CommitDigest::NONE, Commit::digest);
        if let Some(bend) = bend.take() {
            bend(&mut header);
        }
        let known = |r: &BlockRef| {
            let mut all = commits.iter().flat_map(|commit| commit.blocks());
            all.find(|block| block.reference() == *r).cloned()
        };
        let blocks: Vec<Block> = header.blocks.iter().filter_map(known).collect();
        chain.push(Commit::new(header, blocks, &committee).unwrap());
    }
    chain
}

#[test]
fn an_honest_ledger_is_proven_almost_to_its_end() {
    let commits = ledger();
    let rounds: Vec<u64> = commits.iter().map(|commit| commit.leader().round.0).collect();
    assert!(rounds.windows(2).any(|pair| pair[1] > pair[0] + 1), "some leader was skipped");
    let auditor = audit(&commits).unwrap();
    assert_eq!(auditor.index(), commits.len() as u64);
    let newest = rounds.last().unwrap();
    assert!(auditor.decided_through().0 + 6 >= *newest, "{:?}", auditor.decided_through());
}

#[test]
fn every_forgery_is_named() {
    let commits = ledger();
    let at = 12;
    let index = at as u64 + 1;
    assert!(commits[at].blocks().len() > 1);
    assert!(audit(&bent(&commits, at, |_| ())).is_ok());
    let verdict = |bend: &dyn Fn(&mut CommitHeader)| {
        audit(&bent(&commits, at, bend)).map(|_| ()).unwrap_err()
    };
    let expected = commits[at].time();
    let found = Timestamp(expected.0 + 1);
    assert_eq!(verdict(&|h| h.time = found), AuditError::Time { index, expected, found });
    let silence = |h: &mut CommitHeader| h.silenced = vec![h.blocks[0]];
    assert_eq!(verdict(&silence), AuditError::Silenced { index });
    assert_eq!(verdict(&|h| h.blocks.swap(0, 1)), AuditError::Blocks { index });
    let behead = |h: &mut CommitHeader| h.blocks = h.blocks.split_off(1);
    assert!(matches!(verdict(&behead), AuditError::NotClosed { .. }));
    let curtail = |h: &mut CommitHeader| h.blocks.truncate(h.blocks.len() - 1);
    assert!(matches!(verdict(&curtail), AuditError::Leader { .. }));
    let first = commits[0].leader();
    let repeat = |h: &mut CommitHeader| h.blocks.insert(0, first);
    assert_eq!(verdict(&repeat), AuditError::Repeated { index, block: first });
    assert!(matches!(verdict(&|h| h.leader = h.blocks[0]), AuditError::Leader { .. }));
    let previous = |h: &mut CommitHeader| h.previous.0[0] ^= 1;
    assert!(matches!(verdict(&previous), AuditError::Previous { .. }));
    assert!(matches!(verdict(&|h| h.index += 1), AuditError::Index { .. }));
}

/// Leaving a commit out and chaining the rest anew: closure, or else the commit rule, finds it.
#[test]
fn a_commit_left_out_is_found() {
    let commits = ledger();
    let committee = committee(4);
    for at in 0..commits.len() - 8 {
        let mut chain: Vec<Commit> = commits[..at].to_vec();
        // Its blocks move into the next commit, as if its leader had been skipped.
        let mut moved: Vec<Block> = commits[at].blocks().to_vec();
        for commit in &commits[at + 1..] {
            let mut header = commit.header().clone();
            header.index -= 1;
            header.previous = chain.last().map_or(CommitDigest::NONE, Commit::digest);
            moved.extend(commit.blocks().iter().cloned());
            moved.sort_by_key(Block::reference);
            let blocks = core::mem::take(&mut moved);
            header.blocks = blocks.iter().map(Block::reference).collect();
            chain.push(Commit::new(header, blocks, &committee).unwrap());
        }
        let verdict = audit(&chain).map(|_| ()).unwrap_err();
        let round = commits[at].leader().round;
        assert_eq!(verdict, AuditError::Rule { round }, "commit {at}");
    }
}

/// The next epoch's committee names the commit that closed the one before; nothing else follows.
#[test]
fn an_epoch_begins_only_behind_the_commit_it_names() {
    let commits = ledger();
    let closing = commits.len() - 3;
    let audited = || audit(&commits[..closing]).unwrap();
    let config = committee(4).config().clone();
    let next = |bend: &dyn Fn(&mut CommitteeConfig)| {
        let previous = commits[closing - 1].digest();
        let mut config = CommitteeConfig { epoch: 1, previous, ..config.clone() };
        bend(&mut config);
        Committee::new(config).unwrap()
    };
    let good = next(&|_| ());
    let mut auditor = audited();
    auditor.begin_epoch(good.clone()).unwrap();
    assert_eq!((auditor.index(), auditor.decided_through()), (closing as u64, Round(0)));
    // What the old committee went on to commit is no part of the new epoch.
    let index = commits[closing].index();
    let beyond = auditor.check(&commits[closing]).unwrap_err();
    assert!(matches!(beyond, AuditError::Leader { .. } | AuditError::Domain { .. }), "{beyond}");
    let expected = Err(AuditError::Epoch { epoch: 1, index: index - 1 });
    let other = commits[closing - 2].digest();
    assert_eq!(audited().begin_epoch(next(&|c| c.previous = other)), expected);
    assert_eq!(audited().begin_epoch(next(&|c| c.network.0[0] ^= 1)), expected);
    for epoch in [0, 2] {
        let expected = Err(AuditError::Epoch { epoch, index: index - 1 });
        assert_eq!(audited().begin_epoch(next(&|c| c.epoch = epoch)), expected);
    }
    // A commit on the right chain, but made with the old committee's blocks.
    let mut auditor = audited();
    auditor.begin_epoch(good.clone()).unwrap();
    let leader = commits
        .iter()
        .flat_map(Commit::blocks)
        .find(|block| block.author() == good.leader(block.round()));
    let leader = leader.unwrap().clone();
    let header = CommitHeader {
        index,
        previous: auditor.digest(),
        leader: leader.reference(),
        time: commits[closing].time(),
        blocks: vec![leader.reference()],
        silenced: vec![],
    };
    let forged = Commit::new(header, vec![leader], &good).unwrap();
    assert_eq!(auditor.check(&forged), Err(AuditError::Domain { index }));
}
