//! Nodes that are far behind, and who helps them or does not (§6.5).

use super::*;
use crate::{
    Checkpoint, Commit, CommitHeader, Follower, Statement, Vote,
    certificate::CertifiedCommits,
    testing::{Random, random::random_dag},
};

fn status(world: &World, node: usize) -> Status {
    world.nodes[node].as_ref().unwrap().status()
}

fn work(world: &mut World, nodes: &[usize], ms: u64) {
    static_items(world, nodes, ms, 50);
}

/// Offers an item every so many milliseconds, each with its own name.
fn static_items(world: &mut World, nodes: &[usize], ms: u64, every_ms: u64) {
    for step in 0..ms / every_ms {
        let node = nodes[step as usize % nodes.len()];
        let text = format!("{} at {}", node, world.now());
        world.offer(node, text.as_bytes());
        world.run_for(every_ms);
    }
}

/// A block that nobody could order in time is dropped by all, but its author builds on it. Who was
/// away when that happened never gets it, and needs it for everything that comes after.
#[test]
fn a_block_that_all_have_dropped_stops_nobody_who_was_away() {
    for (commits_at_once, arrives) in [(0, false), (40, true)] {
        let mut world = World::with_committee(committee_with(7, 8), Parameters::lan(), 11);
        world.commits_at_once = commits_at_once;
        work(&mut world, &[0, 1, 2], 500);
        world.crash(6);
        work(&mut world, &[0, 1, 2], 200);
        world.delivers = |from, _, _| from != 5;
        work(&mut world, &[0, 1, 2, 5], 1_500);
        world.delivers = |_, _, _| true;
        work(&mut world, &[0, 1, 2, 5], 1_500);
        assert!(!world.returned[5].is_empty(), "some block of node 5 was collected");
        world.start(6);
        work(&mut world, &[0, 1, 2], 3_000);
        world.run_for(3_000);
        let (tip, reached) = (status(&world, 0).commit_index, status(&world, 6).commit_index);
        assert_eq!(reached == tip, arrives, "{reached} of {tip}: {:?}", status(&world, 6));
        world.assert_agreement();
        assert!(world.halts.is_empty());
    }
}

/// Thousands of rounds behind: it applies what a quorum certified, makes no block meanwhile, and
/// asks others when the one it asks refuses.
#[test]
fn a_node_thousands_of_rounds_behind_reaches_the_tip() {
    let mut world = World::new(4, Parameters::lan(), 12);
    work(&mut world, &[0, 1, 2, 3], 300);
    world.crash(3);
    work(&mut world, &[0, 1, 2], 110_000);
    let tip = status(&world, 0);
    assert!(tip.round.0 > 2_000, "{tip:?}");
    world.refusing = Some(0);
    let made = world.made[3];
    let behind = status(&world, 0).commit_index;
    world.start(3);
    let mut applying = 0;
    while status(&world, 3).commit_index < behind {
        work(&mut world, &[0, 1, 2], 50);
        applying += usize::from(status(&world, 3).catching_up);
        assert!(!status(&world, 3).catching_up || world.made[3] == made, "it proposed meanwhile");
        assert!(world.now() < 150_000, "{:?}", status(&world, 3));
    }
    assert!(applying > 0 && world.commit_requests > 5, "{applying} {}", world.commit_requests);
    work(&mut world, &[0, 1, 2, 3], 3_000);
    world.run_for(3_000);
    assert_eq!(world.assert_agreement(), world.disks[0].commits.len());
    assert!(world.made[3] > made + 20, "it takes part again");
    assert!(world.offences.is_empty() && world.halts.is_empty());
}

/// A checkpoint by a quorum on the last of these commits.
fn certify(commits: &[Commit], committee: &Committee) -> CertifiedCommits {
    let headers: Vec<CommitHeader> = commits.iter().map(|c| c.header().clone()).collect();
    let last = commits.last().unwrap();
    let statement = Statement {
        index: last.index(),
        commit_digest: last.digest(),
        log_root: last.digest().0,
        state_digest: [7; 32],
    };
    let sign = |authority: AuthorityIndex| {
        (authority, Vote::sign(statement, committee, &signer(authority.0)).signature)
    };
    let signatures = committee.authorities().take(committee.quorum()).map(sign).collect();
    CertifiedCommits::new(headers, Checkpoint { statement, signatures }, committee).unwrap()
}

fn commits_of(actions: &[Action]) -> Vec<Commit> {
    let commit = |action: &Action| match action {
        Action::Commit(commit) => Some(commit.clone()),
        _ => None,
    };
    actions.iter().filter_map(commit).collect()
}

fn follower(committee: &Committee) -> Follower {
    let recovery = crate::Recovery::default();
    Follower::recover(NOW, Parameters::lan(), committee.clone(), recovery).unwrap().0
}

fn executed(commit: &Commit) -> Event {
    Event::Executed {
        index: commit.index(),
        log_root: commit.digest().0,
        state_digest: [7; 32],
        vote: commit.has_payload(),
        closes: false,
    }
}

/// What the rule decides: a twin that is refused at first is taken when a block builds on it.
fn ordered(committee: &Committee, blocks: &[Block]) -> Vec<Commit> {
    let mut node = follower(committee);
    let mut commits = Vec::new();
    for block in [blocks; 20].concat() {
        commits.extend(commits_of(&node.handle(NOW, received(1, &block))));
    }
    commits
}

/// What the rule decides from all blocks, twins among them, and what a follower makes of certified
/// headers and their blocks is one ledger; each block is kept before it is ordered.
#[test]
fn certified_commits_with_twins_give_the_ledger_of_the_rule() {
    let mut silenced = 0;
    for seed in 0..20 {
        let committee = committee_with(4, 8);
        let blocks = random_dag(&committee, 30, &mut Random(seed));
        let commits = ordered(&committee, &blocks);
        assert!(commits.len() > 3, "seed {seed}");
        silenced += commits.iter().map(|c| c.header().silenced.len()).sum::<usize>();
        let mut by_quorum = follower(&committee);
        let connect = Event::PeerConnected {
            peer: AuthorityIndex(101),
            has_of_ours: Round::GENESIS,
            own_round: Round::GENESIS,
            commit: 0,
        };
        let from = AuthorityIndex(101);
        let asked = by_quorum.handle(NOW, connect);
        assert!(asked.contains(&Action::FetchCommits { from, after: 0 }), "{asked:?}");
        let certified = certify(&commits, &committee);
        let mut actions =
            by_quorum.handle(NOW, Event::CommitsAnswered { from, commits: certified });
        let (mut made, mut kept) = (Vec::new(), Vec::new());
        while let Some(action) = actions.pop() {
            match action {
                Action::Fetch { from, references, .. } => {
                    let asked = |block: &&Block| references.contains(&block.reference());
                    let blocks = blocks.iter().filter(asked).cloned().collect();
                    let answer = Event::FetchAnswered { from, blocks };
                    let mut more = by_quorum.handle(NOW, answer);
                    more.reverse();
                    actions.extend(more);
                }
                Action::Persist { block, .. } => kept.push(block.reference()),
                Action::Commit(commit) => {
                    assert!(commit.header().blocks.iter().all(|block| kept.contains(block)));
                    let mut more = by_quorum.handle(NOW, executed(&commit));
                    more.reverse();
                    made.push(commit);
                    actions.extend(more);
                }
                Action::Checkpoint(_) | Action::SetTimer { .. } => (),
                Action::FetchCommits { after, .. } => assert!(after > 0),
                Action::Fault { offence, .. } => assert!(offence.evidence().is_some()),
                action => panic!("{action:?}"),
            }
        }
        assert_eq!(made, commits, "seed {seed}");
        assert_eq!(by_quorum.status().checkpoint_index, commits.len() as u64, "seed {seed}");
    }
    assert!(silenced > 10, "only {silenced} twins were silenced");
}

/// The chain of a short honest ledger.
fn ledger(committee: &Committee) -> (Vec<Block>, Vec<Commit>) {
    let blocks = random_dag(committee, 20, &mut Random(3));
    let commits = ordered(committee, &blocks);
    (blocks, commits)
}

#[test]
fn a_quorum_that_signs_another_chain_stops_us() {
    let committee = committee(4);
    let (blocks, commits) = ledger(&committee);
    let from = AuthorityIndex(2);
    // It orders the first leader's history at another time than its parents give.
    let mut header = commits[0].header().clone();
    header.time.0 += 1;
    let forged = Commit::new(header, commits[0].blocks().to_vec(), &committee).unwrap();
    let mut node = follower(&committee);
    node.handle(
        NOW,
        Event::CommitsAnswered {
            from,
            commits: certify(core::slice::from_ref(&forged), &committee),
        },
    );
    let mut actions = Vec::new();
    for block in &blocks {
        actions.extend(node.handle(NOW, received(1, block)));
    }
    let halt = Action::Halt(HaltReason::Contradiction { proposal: forged.leader() });
    assert!(actions.contains(&halt), "{actions:?}");
    // Our own chain is another one already.
    let mut node = follower(&committee);
    for block in [&blocks[..]; 20].concat() {
        node.handle(NOW, received(1, &block));
    }
    assert_eq!(node.status().commit_index, commits.len() as u64);
    let last = commits.len() - 1;
    let mut header = commits[last].header().clone();
    header.time.0 += 1;
    let forged = Commit::new(header, commits[last].blocks().to_vec(), &committee).unwrap();
    let answer = Event::CommitsAnswered {
        from,
        commits: certify(core::slice::from_ref(&forged), &committee),
    };
    let halt = Action::Halt(HaltReason::Contradiction { proposal: forged.leader() });
    assert!(node.handle(NOW, answer).contains(&halt));
}

/// A stale or repeated answer changes nothing, and whoever gives it is not asked next.
#[test]
fn stale_answers_change_nothing() {
    let committee = committee(4);
    let (blocks, commits) = ledger(&committee);
    let mut node = follower(&committee);
    for peer in [1, 2] {
        node.handle(
            NOW,
            Event::PeerConnected {
                peer: AuthorityIndex(peer),
                has_of_ours: Round::GENESIS,
                own_round: Round::GENESIS,
                commit: 3,
            },
        );
    }
    for block in [&blocks[..]; 20].concat() {
        node.handle(NOW, received(1, &block));
    }
    let before = node.status();
    let stale = certify(&commits[..2], &committee);
    let from = AuthorityIndex(1);
    let actions = node.handle(NOW, Event::CommitsAnswered { from, commits: stale.clone() });
    let asked: Vec<_> = actions
        .iter()
        .filter_map(|action| match action {
            Action::FetchCommits { from, .. } => Some(from.0),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [2], "{actions:?}");
    let actions = node.handle(NOW, Event::CommitsAnswered { from, commits: stale });
    assert!(commits_of(&actions).is_empty());
    assert_eq!(node.status(), before);
}

/// No more is applied than execution keeps up with.
#[test]
fn catching_up_waits_for_execution() {
    let committee = committee(4);
    let blocks = random_dag(&committee, 300, &mut Random(5));
    let commits = ordered(&committee, &blocks);
    assert!(commits.len() > 150);
    let mut node = follower(&committee);
    let from = AuthorityIndex(1);
    let mut actions =
        node.handle(NOW, Event::CommitsAnswered { from, commits: certify(&commits, &committee) });
    // All blocks come by themselves: those that certified commits wait for are taken.
    for _ in 0..20 {
        for block in &blocks {
            actions.extend(node.handle(NOW, received(1, block)));
        }
    }
    let made = commits_of(&actions);
    assert_eq!(made.len(), 65, "64 with payload, and the first without");
    for commit in &made[..10] {
        actions.extend(node.handle(NOW, executed(commit)));
    }
    for _ in 0..3 {
        for block in &blocks {
            actions.extend(node.handle(NOW, received(1, block)));
        }
    }
    assert!((73..=75).contains(&commits_of(&actions).len()));
}

/// An own block from before a loss is told of while certified commits wait for it.
#[test]
fn a_certified_block_completes_its_commit_whichever_way_it_comes() {
    let committee = committee(4);
    let (blocks, commits) = ledger(&committee);
    let recovery = crate::Recovery { lost_log: true, ..crate::Recovery::default() };
    let parameters = Parameters::lan();
    let mut node =
        Consensus::recover(NOW, parameters, committee.clone(), signer(0), recovery).unwrap().0;
    let from = AuthorityIndex(1);
    node.handle(NOW, Event::CommitsAnswered { from, commits: certify(&commits, &committee) });
    let certified = commits.iter().flat_map(|commit| commit.blocks());
    let own = certified.rev().find(|block| block.author() == AuthorityIndex(0)).cloned();
    let newest = own.clone().unwrap();
    let mut actions = node.handle(NOW, Event::OwnAnswered { from, commit: 0, newest: own });
    for block in blocks.iter().filter(|block| **block != newest) {
        actions.extend(node.handle(NOW, received(1, block)));
    }
    assert!(commits_of(&actions) == commits);
}

/// Blocks that build on what certified commits hold wait without asking for it; when the commits
/// are given up, what they held is not lost.
#[test]
fn what_certified_commits_hold_is_neither_asked_for_nor_lost() {
    let committee = committee(4);
    let mut blocks = first_round(&committee);
    for round in 2..=12 {
        let before: Vec<BlockRef> =
            blocks.iter().rev().take(4).rev().map(Block::reference).collect();
        blocks.extend((0..4).map(|it| block(&committee, it, round, &own_first(it, &before), &[])));
    }
    let commits = ordered(&committee, &blocks);
    let mut node = follower(&committee);
    for peer in [101, 102, 103] {
        let (has_of_ours, own_round) = (Round::GENESIS, Round::GENESIS);
        let peer = AuthorityIndex(peer);
        node.handle(NOW, Event::PeerConnected { peer, has_of_ours, own_round, commit: 0 });
    }
    let from = AuthorityIndex(101);
    let lacking = commits[0].blocks()[0].clone();
    node.handle(NOW, Event::CommitsAnswered { from, commits: certify(&commits, &committee) });
    let mut actions = Vec::new();
    for block in blocks.iter().filter(|block| **block != lacking) {
        actions.extend(node.handle(NOW, received(1, block)));
    }
    let mut given_up = false;
    for step in 1..200 {
        let now = Now { monotonic: Instant(100 * step), ..NOW };
        for action in core::mem::take(&mut actions) {
            if let Action::Fetch { from, references, .. } = action {
                let all = references.iter().all(|asked| *asked == lacking.reference());
                assert!(all || given_up || step == 1, "at step {step}: {references:?}");
                actions.extend(node.handle(now, Event::FetchFailed { from }));
            }
        }
        actions.extend(node.handle(now, Event::Timer(Timer::Fetch)));
        given_up |= !node.status().catching_up;
    }
    assert!(given_up);
    let now = Now { monotonic: Instant(21_000), ..NOW };
    assert!(commits_of(&node.handle(now, received(1, &lacking))) == commits);
}

/// A foreign block of ours that a certified commit held is as foreign when the commit is given up.
#[test]
fn a_foreign_own_block_is_met_when_its_commit_is_given_up() {
    let committee = committee(4);
    let (_, commits) = ledger(&committee);
    let mut node = machine(0);
    let from = AuthorityIndex(1);
    node.handle(NOW, Event::CommitsAnswered { from, commits: certify(&commits, &committee) });
    let mut certified = commits.iter().flat_map(|commit| commit.blocks()).rev();
    let own = certified.find(|block| block.author() == AuthorityIndex(0)).unwrap();
    let met = |actions: &[Action]| {
        let newer = own.reference();
        actions.contains(&Action::LogLost { newer })
    };
    assert!(!met(&node.handle(NOW, received(1, own))), "its commit may still be completed");
    assert!(node.status().catching_up);
    let later = Now { monotonic: Instant(5 + Parameters::lan().heartbeat_ms), ..NOW };
    let actions = node.handle(later, Event::Timer(Timer::Fetch));
    assert!(!node.status().catching_up && met(&actions), "{actions:?}");
}
