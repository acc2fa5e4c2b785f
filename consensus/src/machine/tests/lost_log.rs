//! An authority that lost its log signs nothing twice (§8.5). The world fails on a second digest of
//! one author and round, whatever disks were wiped in between.

use super::*;

#[test]
fn a_wiped_authority_goes_on_above_what_others_have_of_it() {
    for seed in 0..6 {
        for n in [4, 7] {
            let mut world = World::new(n, Parameters::lan(), seed);
            world.delay_ms = 1..40;
            work(&mut world, &[0, 1, 2, 3], 60);
            world.crash(3);
            world.wipe(3);
            work(&mut world, &[0, 1, 2], 5);
            world.start(3);
            assert!(!signing(&world, 3), "it waits for the others, seed {seed}");
            work(&mut world, &[0, 1, 2], 100);
            assert!(signing(&world, 3) && !world.disks[3].lost_log, "seed {seed}");
            world.offer(3, b"again");
            world.run_for(5_000);
            assert_eq!(world.committed_by(b"again"), usize::from(n), "seed {seed}");
            world.assert_agreement();
            assert!(world.halts.is_empty() && world.offences.is_empty());
        }
    }
}

/// Where every authority is needed for every round, no round may be left out.
#[test]
fn small_committees_go_on_after_a_loss() {
    for n in [2u16, 3, 5, 6] {
        for seed in 0..3 {
            let all: Vec<usize> = (0..usize::from(n)).collect();
            let mut world = World::new(n, Parameters::lan(), seed);
            work(&mut world, &all, 40);
            let lost = seed as usize % all.len();
            world.crash(lost);
            world.wipe(lost);
            world.run_for(500);
            world.start(lost);
            world.run_for(40_000);
            assert!(signing(&world, lost), "n = {n}, seed {seed}");
            world.offer(lost, b"again");
            world.run_for(5_000);
            assert_eq!(world.committed_by(b"again"), usize::from(n), "n = {n}, seed {seed}");
            world.assert_agreement();
            assert!(world.halts.is_empty() && world.offences.is_empty());
        }
    }
}

/// Crashes while it asks, with what it learned on its disk or not, and wipes again.
#[test]
fn crashes_and_wipes_on_the_way_do_no_harm() {
    for seed in 0..6 {
        let mut random = crate::testing::Random(seed);
        let mut world = World::with_committee(committee_with(4, 8), Parameters::lan(), seed);
        world.delay_ms = 1..60;
        work(&mut world, &[0, 1, 2, 3], 40);
        for _ in 0..8 {
            world.crash(2);
            if random.chance(40) {
                world.wipe(2);
            }
            work(&mut world, &[0, 1, 3], random.below(20));
            world.start(2);
            world.run_for(random.next() % 600);
        }
        world.run_for(5_000);
        world.offer(2, b"again");
        world.run_for(5_000);
        assert_eq!(world.committed_by(b"again"), 4, "seed {seed}");
        world.assert_agreement();
        assert!(world.halts.is_empty() && world.offences.is_empty(), "seed {seed}");
    }
}

/// Fewer answers than 2f + 1 others are not enough, unless the operator gives its word.
#[test]
fn it_signs_nothing_before_enough_others_have_answered() {
    for sign_after in [None, Some(Round(9_000))] {
        let mut world = World::new(4, Parameters::lan(), 2);
        work(&mut world, &[0, 1, 2, 3], 50);
        world.crash(3);
        world.wipe(3);
        world.crash(0);
        world.sign_after = sign_after;
        let others: Vec<_> = [1, 2].map(|node| world.disks[node].commits.len()).to_vec();
        let made = world.made[3];
        world.start(3);
        world.run_for(40_000);
        assert_eq!(signing(&world, 3), sign_after.is_some());
        assert_eq!(world.made[3], made, "it has made nothing since");
        if sign_after.is_none() {
            assert!(world.disks[1].commits.len() <= others[0] + 3, "there is no quorum");
            world.start(0);
            work(&mut world, &[0, 1, 2], 100);
            assert!(signing(&world, 3));
            world.assert_agreement();
        }
    }
}

/// What few have seen from before the loss is taken in; what is above it means another signer.
#[test]
fn own_blocks_from_before_the_loss_stop_nobody() {
    let committee = committee(7);
    let recovery = crate::Recovery { lost_log: true, ..crate::Recovery::default() };
    let parameters = Parameters::lan();
    let mut node =
        Consensus::recover(NOW, parameters, committee.clone(), signer(0), recovery).unwrap().0;
    let mut asked = Vec::new();
    for peer in 1..7 {
        let connected = Event::PeerConnected {
            peer: AuthorityIndex(peer),
            has_of_ours: Round::GENESIS,
            own_round: Round(3),
            commit: 0,
        };
        asked.extend(node.handle(NOW, connected));
    }
    let questions = |action: &&Action| matches!(action, Action::AskOwn { .. });
    assert_eq!(asked.iter().filter(questions).count(), 6);
    let first = first_round(&committee);
    let refs: Vec<BlockRef> = first.iter().map(Block::reference).collect();
    let second = |author: u16| block(&committee, author, 2, &own_first(author, &refs), &[]);
    for other in &first[1..] {
        node.handle(NOW, received(other.author().0, other));
    }
    for peer in [1, 2, 3, 4, 5, 6] {
        assert!(!node.status().signing, "{peer} answers are too few");
        let newest = (peer == 2).then(|| first[0].clone());
        let answer = Event::OwnAnswered { from: AuthorityIndex(peer), commit: 0, newest };
        node.handle(NOW, answer);
    }
    assert!(node.status().signing);
    assert_eq!(node.status().round, Round(3), "one round is left out");
    let late = second(0);
    let actions = node.handle(NOW, received(5, &late));
    assert!(node.knows(&late.reference()) && node.status().signing, "{actions:?}");
    // It makes its block of round 3 in time, and then somebody shows another one.
    for author in 1..7 {
        node.handle(NOW, received(author, &second(author)));
    }
    let after = Now { monotonic: Instant(60_000), ..NOW };
    node.handle(after, Event::Timer(Timer::Proposal));
    assert_eq!(node.own_round(), Round(3));
    let seconds: Vec<BlockRef> = (0..7).map(|author| second(author).reference()).collect();
    let foreign = block(&committee, 0, 3, &own_first(0, &seconds), &[]);
    assert!(!node.knows(&foreign.reference()));
    let actions = node.handle(after, received(5, &foreign));
    assert!(actions.contains(&Action::Halt(HaltReason::ForeignOwnBlock(foreign))), "{actions:?}");
}
