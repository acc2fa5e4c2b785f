//! One epoch ends, the next begins (§10). In the world the ledger ends an epoch at the first commit
//! with an item that begins with `close`.

use super::{chaos::audit, *};

fn epochs(world: &World) -> Vec<usize> {
    world.disks.iter().map(|disk| disk.epoch).collect()
}

fn work(world: &mut World, nodes: &[usize], steps: usize) {
    for step in 0..steps {
        let node = nodes[step % nodes.len()];
        let text = format!("{node} at {}", world.now());
        world.offer(node, text.as_bytes());
        world.run_for(20);
    }
}

#[test]
fn the_next_epoch_goes_on_where_the_last_one_ended() {
    for n in [1, 2, 3, 4, 7] {
        let mut world = World::new(n, Parameters::lan(), u64::from(n));
        let all: Vec<usize> = (0..usize::from(n)).collect();
        for epoch in 1..=3 {
            work(&mut world, &all, 30);
            world.offer(0, format!("close {epoch}").as_bytes());
            // Work that goes on fills commits beyond the closing one.
            work(&mut world, &all, 30);
            world.run_for(3_000);
            assert_eq!(epochs(&world), vec![epoch; n.into()], "n = {n}");
        }
        world.offer(0, b"after");
        world.run_for(3_000);
        assert_eq!(world.committed_by(b"after"), usize::from(n));
        world.assert_agreement();
        audit(&world);
        assert!(world.epochs_closed.iter().all(|closed| *closed == 3));
        let commits = &world.disks[0].commits;
        assert!(commits.windows(2).all(|pair| pair[0].time() <= pair[1].time()));
        assert!(world.halts.is_empty() && world.offences.is_empty());
    }
}

/// Power cuts while an epoch closes, and who was away then follows.
#[test]
fn an_epoch_ends_for_those_that_crash_and_those_that_are_away() {
    let mut closed = 0;
    for seed in 0..8 {
        let mut random = crate::testing::Random(seed);
        let mut world = World::with_committee(committee_with(4, 8), Parameters::lan(), seed);
        world.delay_ms = 1..40;
        work(&mut world, &[0, 1, 2, 3], 30);
        world.crash(3);
        work(&mut world, &[0, 1, 2], 20);
        world.offer(0, b"close");
        for _ in 0..6 {
            world.run_for(random.next() % 60);
            let node = random.below(3);
            world.crash(node);
            world.run_for(random.next() % 100);
            world.start(node);
        }
        world.run_for(5_000);
        if epochs(&world)[0] == 0 {
            // The vote died with the queue of a node that crashed.
            world.offer(0, b"close again");
        }
        world.run_for(15_000);
        let epoch = epochs(&world)[0];
        assert_eq!(epochs(&world)[..3], [epoch; 3], "seed {seed}");
        closed += epoch;
        work(&mut world, &[0, 1, 2], 50);
        world.start(3);
        work(&mut world, &[0, 1, 2], 100);
        world.run_for(5_000);
        assert_eq!(epochs(&world), [epoch; 4], "seed {seed}");
        world.offer(3, b"back again");
        world.run_for(5_000);
        assert_eq!(world.committed_by(b"back again"), 4, "seed {seed}");
        world.assert_agreement();
        audit(&world);
        assert!(world.halts.is_empty() && world.offences.is_empty());
    }
    assert!(closed >= 8, "every run ends an epoch");
}

/// A node that is no member follows from genesis through the epochs until it is one.
#[test]
fn a_newcomer_follows_until_it_is_a_member_and_a_former_member_goes_on_following() {
    let mut world = World::new(4, Parameters::lan(), 9);
    work(&mut world, &[0, 1, 2, 3], 40);
    let new = world.add_node();
    work(&mut world, &[0, 1, 2, 3], 40);
    world.run_for(5_000);
    assert!(world.disks[new].commits.len() > 20, "it follows");
    assert_eq!(world.made[new], 0);
    // The newcomer takes the place of node 0.
    world.next_members = vec![1, 2, 3, 4];
    world.offer(1, b"close one");
    world.run_for(10_000);
    assert_eq!(epochs(&world), [1, 1, 1, 1, 1]);
    let made = world.made[0];
    work(&mut world, &[1, 2, 3, new], 60);
    world.run_for(10_000);
    assert!(world.made[new] > 10, "it signs now");
    assert_eq!(world.made[0], made, "the former member signs nothing");
    world.offer(2, b"close two");
    world.run_for(10_000);
    assert_eq!(epochs(&world), [2, 2, 2, 2, 2]);
    world.run_for(10_000);
    world.assert_agreement();
    audit(&world);
    assert!(world.halts.is_empty() && world.offences.is_empty());
}

/// An authority that lost its log in an earlier epoch comes back through all of them.
#[test]
fn a_wiped_authority_returns_through_the_epochs() {
    let mut world = World::new(4, Parameters::lan(), 10);
    work(&mut world, &[0, 1, 2, 3], 40);
    world.crash(2);
    world.wipe(2);
    world.offer(1, b"close one");
    world.run_for(3_000);
    work(&mut world, &[0, 1, 3], 40);
    world.start(2);
    work(&mut world, &[0, 1, 3], 100);
    world.run_for(10_000);
    assert_eq!(epochs(&world), [1; 4]);
    world.offer(2, b"back again");
    world.run_for(5_000);
    assert_eq!(world.committed_by(b"back again"), 4);
    world.assert_agreement();
    assert!(world.halts.is_empty() && world.offences.is_empty());
}

/// While it closes, an epoch takes nothing and gives nothing back.
#[test]
fn a_closing_epoch_takes_nothing() {
    let mut world = World::new(4, Parameters::lan(), 1);
    work(&mut world, &[0, 1, 2, 3], 10);
    world.offer(0, b"waits");
    let now = world.clock();
    let node = world.nodes[0].as_mut().unwrap();
    let index = node.status().commit_index;
    let executed = |index| Event::Executed {
        index,
        log_root: [1; 32],
        state_digest: [2; 32],
        vote: true,
        closes: true,
    };
    node.handle(now, executed(index + 1));
    assert!(!node.status().closing, "no commit of that index was made");
    let mut actions = node.handle(now, executed(index));
    actions.extend(node.handle(now, Event::PayloadOffered(vec![b"late".to_vec()])));
    assert!(node.status().closing && node.status().queue_items == 0);
    let back = |a: &Action| matches!(a, Action::PayloadReturned(_) | Action::PayloadRefused(_));
    assert!(!actions.iter().any(back), "{actions:?}");
}

/// Rounds of the others go on at a node whose epoch closes with the first commit: that commit's
/// index, and what the node does from then on.
fn rounds_beyond_the_close() -> (u64, Vec<Action>) {
    let committee = committee(4);
    let parameters = Parameters::lan();
    let deadline_ms = 10 * parameters.delta_ms;
    let at = |ms| Now { monotonic: Instant(ms), wall: crate::Timestamp(ms) };
    let (mut node, _) = Consensus::recover(
        at(0),
        parameters,
        committee.clone(),
        signer(0),
        crate::Recovery::default(),
    )
    .unwrap();
    greet(&mut node, at(0));
    let mut parents = committee.genesis().to_vec();
    let (mut closed, mut beyond) = (None, Vec::new());
    for (round, now) in (1..).zip((0..).step_by(20)).take(60) {
        let blocks: Vec<Block> = (1..4)
            .map(|author| block(&committee, author, round, &own_first(author, &parents), &[]))
            .collect();
        parents = blocks.iter().map(Block::reference).collect();
        for block in blocks {
            let from = block.author();
            let actions = node.handle(at(now), Event::BlockReceived { from, block });
            if closed.is_some() {
                beyond.extend(actions);
            }
        }
        let index = node.status().commit_index;
        if closed.is_none() && index > 0 {
            let (log_root, state_digest) = ([1; 32], [2; 32]);
            let closes =
                Event::Executed { index, log_root, state_digest, vote: true, closes: true };
            node.handle(at(now), closes);
            closed = Some((index, now));
        }
        if closed.is_some_and(|(_, ms)| now > ms + deadline_ms) {
            break;
        }
    }
    let status = node.status();
    assert!(status.closing, "{status:?}");
    (closed.expect("the first commit closes the epoch").0, beyond)
}

/// Whoever completed the checkpoint by its own vote may have left with it: then only a question
/// brings it, and rounds that go on meanwhile are no reason not to ask.
#[test]
fn a_closing_epoch_asks_for_its_checkpoint_however_many_rounds_go_on() {
    let (_, actions) = rounds_beyond_the_close();
    let asked = actions.iter().any(|action| matches!(action, Action::FetchCommits { .. }));
    assert!(asked, "{actions:?}");
}

/// Commits beyond the one that closes the epoch only keep memory bounded.
#[test]
fn of_commits_beyond_the_close_none_is_told_of() {
    let (closing, actions) = rounds_beyond_the_close();
    for action in &actions {
        let Action::Commit(commit) = action else { continue };
        panic!("{} commits {}", closing, commit.index());
    }
}
