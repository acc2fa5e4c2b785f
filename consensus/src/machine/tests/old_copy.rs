//! An authority that was given an old copy of its disk asks before it signs (§8.5). The world fails
//! on a second digest of one author and round.

use super::*;
use crate::testing::world::Disk;

/// Copies the disk of the last node after `before` steps, puts the copy back after `between` more.
fn put_back(n: u16, seed: u64, before: usize, between: usize) -> World {
    let (all, node): (Vec<usize>, _) = ((0..usize::from(n)).collect(), usize::from(n) - 1);
    let mut world = World::new(n, Parameters::lan(), seed);
    world.delay_ms = 1..40;
    work(&mut world, &all, before);
    let copy = if before == 0 { Disk::default() } else { world.disks[node].clone() };
    work(&mut world, &all, between);
    world.crash(node);
    world.put_back(node, copy);
    work(&mut world, &all[..node], 3);
    world
}

#[test]
fn an_old_copy_signs_nothing_twice_and_goes_on() {
    for seed in 0..4 {
        for (n, before, between) in [(4, 40, 30), (4, 0, 40), (7, 40, 30), (4, 20, 200), (2, 9, 9)]
        {
            let (mut world, node) = (put_back(n, seed, before, between), usize::from(n) - 1);
            world.start(node);
            let others: Vec<usize> = (0..node).collect();
            work(&mut world, &others, 150);
            assert!(world.logs_lost > 0, "it noticed, n = {n}, seed {seed}");
            assert!(signing(&world, node) && !world.disks[node].lost_log, "n = {n}, seed {seed}");
            world.offer(node, b"again");
            world.run_for(5_000);
            assert_eq!(world.committed_by(b"again"), usize::from(n), "n = {n}, seed {seed}");
            world.assert_agreement();
            assert!(world.halts.is_empty() && world.offences.is_empty());
        }
    }
}

/// Who was away for long, or knows little, does not hide what one other knows; then it is to wait
/// like one that has lost its log.
#[test]
fn one_that_is_told_of_newer_blocks_waits_for_as_many_as_after_a_loss() {
    let mut world = put_back(4, 3, 40, 30);
    world.crash(0);
    world.start(3);
    world.run_for(30_000);
    assert!(!signing(&world, 3) && world.disks[3].lost_log);
    // It is marked: another start does not make it forget.
    world.crash(3);
    world.start(3);
    world.run_for(30_000);
    assert!(!signing(&world, 3) && world.disks[3].lost_log);
    world.start(0);
    work(&mut world, &[0, 1, 2], 100);
    assert!(signing(&world, 3) && world.halts.is_empty() && world.offences.is_empty());
    world.assert_agreement();
}

/// All at once, each with its own log: nobody waits for anything but the others' greetings.
#[test]
fn a_restart_of_all_waits_for_nothing() {
    for n in [1u16, 2, 4, 7] {
        let all: Vec<usize> = (0..usize::from(n)).collect();
        let mut world = World::new(n, Parameters::lan(), 5);
        work(&mut world, &all, 40);
        world.run_for(1_000);
        all.iter().for_each(|node| world.crash(*node));
        all.iter().for_each(|node| world.start(*node));
        world.offer(0, b"again");
        world.run_for(300);
        assert_eq!(world.committed_by(b"again"), all.len(), "n = {n}");
        assert_eq!(world.logs_lost, 0);
    }
}

fn greeting(peer: u16, has_of_ours: u64) -> Event {
    let (peer, has_of_ours) = (AuthorityIndex(peer), Round(has_of_ours));
    Event::PeerConnected { peer, has_of_ours, own_round: Round::GENESIS, commit: 0 }
}

fn later(ms: u64) -> Now {
    Now { monotonic: NOW.monotonic.plus_ms(ms), ..NOW }
}

fn asks(actions: &[Action], peer: u16) -> bool {
    actions.contains(&Action::AskOwn { from: AuthorityIndex(peer) })
}

fn armed(actions: &[Action]) -> Option<Instant> {
    actions.iter().rev().find_map(|action| match action {
        Action::SetTimer { timer: Timer::Fetch, at } => Some(*at),
        _ => None,
    })
}

/// A claim without a block behind it costs one wait, however often it is made.
#[test]
fn a_liar_that_claims_more_can_delay_and_not_stop() {
    let patience = 8 * Parameters::lan().delta_ms;
    let mut node = machine(0);
    assert!(asks(&node.handle(NOW, greeting(3, 1_000)), 3));
    node.handle(NOW, greeting(1, 0));
    node.handle(NOW, greeting(2, 0));
    let actions = node.handle(NOW, Event::PayloadOffered(vec![vec![7]]));
    assert_eq!((node.own_round(), node.status().signing), (Round::GENESIS, true), "{actions:?}");
    // It never answers.
    let actions = node.handle(later(patience), Event::Timer(Timer::Fetch));
    assert_eq!(node.own_round(), Round(1), "{actions:?}");
    node.handle(later(patience), Event::OwnFailed { from: AuthorityIndex(3) });
    // It comes again, and we wait no more.
    assert!(asks(&node.handle(later(patience), greeting(3, u64::MAX)), 3));
    let first = first_round(&committee(4));
    for other in &first[1..3] {
        node.handle(later(patience), received(other.author().0, other));
    }
    node.handle(later(10 * patience), Event::Timer(Timer::Proposal));
    assert_eq!(node.own_round(), Round(2));
    // An answer that proves nothing changes nothing.
    let (from, newest) = (AuthorityIndex(3), None);
    node.handle(later(10 * patience), Event::OwnAnswered { from, commit: 0, newest });
    assert!(node.status().signing);
}

/// Who hears from one peer only gets going after a while; who hears from nobody reaches nobody.
#[test]
fn greetings_are_waited_for_and_not_for_long() {
    let patience = 8 * Parameters::lan().delta_ms;
    let mut node = machine(0);
    node.handle(NOW, Event::PayloadOffered(vec![vec![7]]));
    node.handle(later(100 * patience), Event::Timer(Timer::Proposal));
    assert_eq!(node.own_round(), Round::GENESIS);
    let actions = node.handle(later(100 * patience), greeting(1, 0));
    assert_eq!(
        (node.own_round(), armed(&actions)),
        (Round::GENESIS, Some(later(101 * patience).monotonic))
    );
    node.handle(later(101 * patience), Event::Timer(Timer::Fetch));
    assert_eq!(node.own_round(), Round(1));
}

/// The answer is signed with our key: proof enough to mark the log as lost and to ask all others.
#[test]
fn a_newer_block_is_proof() {
    let committee = committee(4);
    let mut node = machine(0);
    let own = block(&committee, 0, 1, &own_first(0, committee.genesis()), &[]);
    assert!(asks(&node.handle(NOW, greeting(1, 1)), 1));
    let (from, newest) = (AuthorityIndex(1), Some(own.clone()));
    let actions = node.handle(NOW, Event::OwnAnswered { from, commit: 0, newest });
    assert!(actions.contains(&Action::LogLost { newer: own.reference() }), "{actions:?}");
    assert!(asks(&actions, 1) && !node.status().signing && node.knows(&own.reference()));
    assert!(asks(&node.handle(NOW, greeting(2, 0)), 2));
    // The same block from a stream, before anything was signed.
    let mut node = machine(0);
    let actions = node.handle(NOW, received(2, &own));
    assert!(actions.contains(&Action::LogLost { newer: own.reference() }), "{actions:?}");
    assert!(!actions.iter().any(|action| matches!(action, Action::Halt(_))));
}

/// A question that fails is asked again within the time, and so is one whose peer was away: who
/// knows our newer block may just have been busy.
#[test]
fn a_question_that_fails_is_asked_again() {
    let committee = committee(4);
    let patience = 8 * Parameters::lan().delta_ms;
    let own = block(&committee, 0, 1, &own_first(0, committee.genesis()), &[]);
    let from = AuthorityIndex(3);
    for away in [false, true] {
        let mut node = machine(0);
        node.handle(NOW, Event::PayloadOffered(vec![vec![7]]));
        assert!(asks(&node.handle(NOW, greeting(3, 1)), 3));
        (1..3).for_each(|peer| drop(node.handle(NOW, greeting(peer, 0))));
        let actions = if away {
            node.handle(NOW, Event::PeerDisconnected { peer: from });
            node.handle(later(patience / 2), Event::Timer(Timer::Fetch));
            assert_eq!(node.own_round(), Round::GENESIS, "it may come back in time");
            node.handle(later(patience / 2), greeting(3, 1))
        } else {
            let actions = node.handle(NOW, Event::OwnFailed { from });
            assert!(!asks(&actions, 3), "not without a pause: {actions:?}");
            let at = armed(&actions).unwrap();
            assert!(at > NOW.monotonic && at < later(patience).monotonic, "{actions:?}");
            node.handle(Now { monotonic: at, ..NOW }, Event::Timer(Timer::Fetch))
        };
        assert!(asks(&actions, 3), "away {away}: {actions:?}");
        assert_eq!(node.own_round(), Round::GENESIS, "away {away}: it waits for the answer");
        let answer = Event::OwnAnswered { from, commit: 0, newest: Some(own.clone()) };
        let actions = node.handle(later(patience / 2), answer);
        assert!(actions.contains(&Action::LogLost { newer: own.reference() }), "{actions:?}");
    }
}

/// Who fails for ever, or is gone, is waited for no longer than who does not answer.
#[test]
fn questions_that_fail_are_given_up_in_time() {
    let patience = 8 * Parameters::lan().delta_ms;
    let from = AuthorityIndex(3);
    for away in [false, true] {
        let mut node = machine(0);
        node.handle(NOW, Event::PayloadOffered(vec![vec![7]]));
        let mut actions = node.handle(NOW, greeting(3, u64::MAX));
        (1..3).for_each(|peer| drop(node.handle(NOW, greeting(peer, 0))));
        let (mut now, mut asked, mut at) = (NOW, 0, armed(&actions));
        while node.own_round() == Round::GENESIS {
            assert!(now.monotonic < later(patience).monotonic, "away {away}");
            if asks(&actions, 3) {
                asked += 1;
                let gone = Event::PeerDisconnected { peer: from };
                actions = node.handle(now, if away { gone } else { Event::OwnFailed { from } });
                at = armed(&actions).or(at);
            }
            now.monotonic = at.unwrap();
            actions = node.handle(now, Event::Timer(Timer::Fetch));
            at = armed(&actions);
        }
        assert_eq!(now, later(patience), "away {away}");
        assert!(if away { asked == 1 } else { (2..10).contains(&asked) }, "{asked} times");
    }
}
