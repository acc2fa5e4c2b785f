//! The machine in a deterministic network: agreement, rest and waking, crashes, loss, bounds (§10).

mod catching_up;
mod chaos;
mod epochs;
mod hostile;
mod lost_log;
mod old_copy;

use alloc::{format, vec, vec::Vec};

use super::*;
use crate::{
    event::Offence,
    testing::{
        block, committee, committee_with, draft, first_round, greet, own_first, signer,
        world::World,
    },
};

fn item(number: usize) -> Vec<u8> {
    format!("item {number}").into_bytes()
}

#[test]
fn four_authorities_order_what_they_are_offered() {
    for seed in 0..4 {
        let mut world = World::new(4, Parameters::lan(), seed);
        for number in 0..80 {
            world.offer(number % 4, &item(number));
            world.run_for(10);
        }
        world.run_for(3_000);
        world.assert_agreement();
        for number in 0..80 {
            assert_eq!(world.committed_by(&item(number)), 4, "{number}, seed {seed}");
        }
        assert!(world.offences.is_empty() && world.halts.is_empty());
        let newest = world.disks[0].commits.iter().rfind(|commit| commit.has_payload()).unwrap();
        for disk in &world.disks {
            let checkpoint = disk.checkpoints.last().unwrap();
            assert_eq!(checkpoint.statement.commit_digest, newest.digest(), "seed {seed}");
        }
    }
}

#[test]
fn committees_of_every_small_size_work() {
    for n in 1..=7 {
        let mut world = World::new(n, Parameters::test(), 3);
        for number in 0..20 {
            world.offer(number % usize::from(n), &item(number));
            world.run_for(20);
        }
        world.run_for(2_000);
        world.assert_agreement();
        for number in 0..20 {
            assert_eq!(world.committed_by(&item(number)), n.into(), "{number} of n = {n}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let run = || {
        let mut world = World::new(4, Parameters::lan(), 42);
        for number in 0..20 {
            world.offer(number % 4, &item(number));
            world.run_for(25);
        }
        world.crash(2);
        world.run_for(1_000);
        world.start(2);
        world.run_for(1_000);
        let digests = |commits: &Vec<crate::Commit>| {
            commits.iter().map(crate::Commit::digest).collect::<Vec<_>>()
        };
        world.disks.iter().map(|disk| digests(&disk.commits)).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

/// §5.3: an idle network writes a handful of blocks a minute and wakes at the first item.
#[test]
fn an_idle_network_is_quiet_and_wakes_at_once() {
    for seed in 0..5 {
        let mut world = World::new(4, Parameters::lan(), seed);
        world.run_for(600_000);
        for made in &world.made {
            assert!((20..=60).contains(made), "{made} blocks in ten idle minutes, seed {seed}");
        }
        let offered = world.now();
        world.offer(1, b"wake up");
        world.run_for(2_000);
        for committed in &world.committed_at {
            let took = committed[&b"wake up"[..]] - offered;
            assert!(took <= 150, "{took} ms, seed {seed}");
        }
        let made: usize = world.made.iter().sum();
        world.run_for(10_000);
        let after = world.made.iter().sum::<usize>() - made;
        assert!(after <= 8, "{after} blocks in ten seconds after the work was done, seed {seed}");
    }
}

/// §5.3: whoever made its block of a round before an item came can do nothing until the others
/// have made theirs; while the network goes to rest they must not take long.
#[test]
fn an_item_that_comes_as_the_network_goes_to_rest_is_not_left_waiting() {
    for seed in 0..4 {
        for pause in (0..400).step_by(10) {
            let mut world = World::new(4, Parameters::lan(), seed);
            world.delay_ms = 1..40;
            world.run_for(30_000);
            world.offer(0, b"first");
            world.run_for(pause);
            let offered = world.now();
            world.offer(1, b"second");
            world.run_for(3_000);
            for committed in &world.committed_at {
                let took = committed[&b"second"[..]] - offered;
                assert!(took <= 400, "{took} ms, {pause} ms after the first, seed {seed}");
            }
        }
    }
}

#[test]
fn three_of_four_go_on_and_the_fourth_comes_back() {
    for seed in 0..4 {
        let mut world = World::new(4, Parameters::lan(), seed);
        let mut number = 0;
        let mut work = |world: &mut World, nodes: &[usize], ms: u64| {
            for _ in 0..ms / 20 {
                world.offer(nodes[number % nodes.len()], &item(number));
                number += 1;
                world.run_for(20);
            }
        };
        work(&mut world, &[0, 1, 2, 3], 1_000);
        world.crash(3);
        work(&mut world, &[0, 1, 2], 20_000);
        let made = world.made[3];
        let tip = world.nodes[0].as_ref().unwrap().status().round;
        world.start(3);
        let behind = tip.0 - world.nodes[3].as_ref().unwrap().status().round.0;
        assert!(behind > 200, "only {behind} rounds were missed, seed {seed}");
        work(&mut world, &[0, 1, 2, 3], 5_000);
        world.run_for(20_000);
        let shortest = world.assert_agreement();
        assert_eq!(shortest, world.disks[0].commits.len(), "seed {seed}");
        let caught_up = world.made[3] - made;
        let others = world.nodes[0].as_ref().unwrap().status().round.0 - tip.0;
        assert!(caught_up as u64 <= others + 10, "{caught_up} blocks for {others} rounds");
        assert!(world.offences.is_empty() && world.halts.is_empty());
        for lost in (0..number).filter(|n| world.committed_by(&item(*n)) != 4) {
            let returned = world.returned.iter().flatten().any(|returned| *returned == item(lost));
            // What only the crashed node's queue held died with it; its mempool offers it again.
            assert!(returned || lost < 50 && lost % 4 == 3, "item {lost} is lost, seed {seed}");
        }
    }
}

/// Crashes between any two messages, of every node in turn: one history, no twins, no lost log.
#[test]
fn any_node_may_crash_at_any_time() {
    for seed in 0..12 {
        let mut random = crate::testing::Random(seed);
        let mut world = World::with_committee(committee_with(4, 8), Parameters::lan(), seed);
        world.delay_ms = 1..60;
        let mut number = 0;
        for _ in 0..12 {
            let node = random.below(4);
            for _ in 0..random.below(30) {
                world.offer(random.below(4), &item(number));
                number += 1;
                world.run_for(random.next() % 40);
            }
            world.crash(node);
            world.run_for(random.next() % 3_000);
            world.start(node);
        }
        world.run_for(60_000);
        for node in 0..4 {
            world.offer(node, &item(number + node));
        }
        world.run_for(5_000);
        world.assert_agreement();
        for node in 0..4 {
            assert_eq!(world.committed_by(&item(number + node)), 4, "after all, seed {seed}");
        }
        assert!(world.offences.is_empty() && world.halts.is_empty());
    }
}

/// A block that no leader's history reached in time gives its payload back.
#[test]
fn own_payload_below_the_collection_round_comes_back() {
    let mut world = World::with_committee(committee_with(4, 8), Parameters::lan(), 1);
    world.offer(0, b"first");
    world.run_for(1_000);
    // Nobody hears node 3 any more, but it hears the others.
    world.delivers = |from, _, _| from != 3;
    world.offer(3, b"unheard");
    for number in 0..100 {
        world.offer(number % 3, &item(number));
        world.run_for(25);
    }
    assert_eq!(world.committed_by(b"unheard"), 0);
    assert!(world.returned[3].contains(&b"unheard".to_vec()));
    world.assert_agreement();
}

/// §6.4: an author that sends its blocks to one peer only costs one fetch, then it is pushed.
#[test]
fn a_withholders_blocks_are_fetched_and_then_pushed() {
    let mut world = World::new(4, Parameters::lan(), 5);
    world.delay_ms = 20..60;
    world.delivers = |from, to, block| !(from == 3 && to != 0 && block.author().0 == 3);
    for number in 0..200 {
        world.offer(number % 4, &item(number));
        world.run_for(20);
    }
    world.run_for(2_000);
    world.assert_agreement();
    for number in 0..200 {
        assert_eq!(world.committed_by(&item(number)), 4, "item {number}");
    }
    assert!(world.fetches > 0 && world.pushes > 0, "{} {}", world.fetches, world.pushes);
}

#[test]
fn lost_blocks_are_fetched() {
    let mut world = World::new(4, Parameters::lan(), 6);
    // A fifth of all blocks never arrives where it was sent.
    world.delivers =
        |from, to, block| !(block.round().0 as usize * 7 + from * 3 + to).is_multiple_of(5);
    for number in 0..100 {
        world.offer(number % 4, &item(number));
        world.run_for(20);
    }
    world.run_for(5_000);
    world.assert_agreement();
    for number in 0..100 {
        assert_eq!(world.committed_by(&item(number)), 4, "item {number}");
    }
    assert!(world.fetches > 20);
}

/// Running everything again at the same time finds nothing more to do.
#[test]
fn a_spurious_timer_changes_nothing() {
    let mut world = World::new(4, Parameters::lan(), 7);
    for number in 0..40 {
        world.offer(number % 4, &item(number));
        world.run_for(13);
        let now = world.clock();
        for machine in world.nodes.iter_mut().flatten() {
            let before = machine.status();
            for timer in [Timer::Proposal, Timer::Fetch, Timer::Proposal] {
                let actions = machine.handle(now, Event::Timer(timer));
                let is_timer = |action: &Action| matches!(action, Action::SetTimer { .. });
                assert!(actions.iter().all(is_timer), "{actions:?}");
            }
            assert_eq!(machine.status(), before);
        }
    }
}

const NOW: Now = Now { monotonic: Instant(5), wall: crate::Timestamp(1_000_000) };

fn machine(own: u16) -> Consensus {
    let recovery = crate::Recovery::default();
    Consensus::recover(NOW, Parameters::lan(), committee(4), signer(own), recovery).unwrap().0
}

fn received(from: u16, block: &Block) -> Event {
    Event::BlockReceived { from: AuthorityIndex(from), block: block.clone() }
}

/// §5.1: a round is left only with an own block in it, even when a quorum of others is there.
#[test]
fn an_authority_makes_a_block_in_every_round_it_passes() {
    let mut machine = machine(0);
    greet(&mut machine, NOW);
    let mut made = Vec::new();
    for first in &first_round(&committee(4))[1..] {
        for action in machine.handle(NOW, received(first.author().0, first)) {
            made.extend(matches!(&action, Action::Broadcast(_)).then_some(action));
        }
    }
    let [Action::Broadcast(own)] = &made[..] else { panic!("{made:?}") };
    assert_eq!((own.round(), machine.status().round), (Round(1), Round(2)));
}

#[test]
fn an_equivocation_is_reported_with_both_blocks() {
    let mut machine = machine(0);
    let first = first_round(&committee(4))[1].clone();
    let twin = crate::Draft {
        timestamp: crate::Timestamp(9),
        ..draft(1, &own_first(1, committee(4).genesis()), &[])
    };
    let twin = twin.sign(&committee(4), AuthorityIndex(1), &signer(1)).unwrap();
    machine.handle(NOW, received(1, &first));
    let actions = machine.handle(NOW, received(2, &twin));
    let offence = Offence::Equivocation { first, second: twin.clone() };
    let fault = Action::Fault { authority: AuthorityIndex(1), offence };
    assert!(actions.contains(&fault), "{actions:?}");
    assert!(!machine.knows(&twin.reference()), "an unasked twin is dropped");
}

/// A block that a valid block builds on is never refused: not even a twin.
#[test]
fn a_twin_that_is_asked_for_is_accepted() {
    let committee = committee(4);
    let mut machine = machine(0);
    let mut first: Vec<Block> = first_round(&committee);
    let twin = crate::Draft {
        timestamp: crate::Timestamp(9),
        ..draft(1, &own_first(1, committee.genesis()), &[])
    };
    let twin = twin.sign(&committee, AuthorityIndex(1), &signer(1)).unwrap();
    for known in &first[1..] {
        machine.handle(NOW, received(known.author().0, known));
    }
    first[1] = twin.clone();
    let parents: Vec<BlockRef> = first[1..].iter().map(Block::reference).collect();
    let child = block(&committee, 2, 2, &own_first(2, &parents), &[]);
    machine.handle(NOW, received(2, &child));
    assert!(!machine.dag.contains(&child.reference()), "it waits for the twin");
    let blocks = vec![twin.clone()];
    machine.handle(NOW, Event::FetchAnswered { from: AuthorityIndex(2), blocks });
    assert!(machine.dag.contains(&twin.reference()) && machine.dag.contains(&child.reference()));
}

#[test]
fn a_missing_parent_is_asked_of_who_must_have_it() {
    let committee = committee(4);
    let mut machine = machine(0);
    let connect = |peer| Event::PeerConnected {
        peer: AuthorityIndex(peer),
        has_of_ours: Round::GENESIS,
        own_round: Round(2),
        commit: 0,
    };
    (1..4).for_each(|peer| drop(machine.handle(NOW, connect(peer))));
    let first: Vec<BlockRef> = first_round(&committee).iter().map(Block::reference).collect();
    let child = block(&committee, 2, 2, &own_first(2, &first[1..]), &[]);
    let actions = machine.handle(NOW, received(3, &child));
    let at = Instant(5 + Parameters::lan().fetch_delay_ms);
    assert!(actions.contains(&Action::SetTimer { timer: Timer::Fetch, at }), "{actions:?}");
    let later = Now { monotonic: at, ..NOW };
    let actions = machine.handle(later, Event::Timer(Timer::Fetch));
    let asked: Vec<_> =
        actions.iter().filter(|action| matches!(action, Action::Fetch { .. })).collect();
    let expected = Action::Fetch {
        from: AuthorityIndex(2),
        references: first[1..].to_vec(),
        chains_above: None,
    };
    assert_eq!(asked, [&expected], "the author of the referencing block has its parents");
}

#[test]
fn the_blocks_of_an_author_are_pushed_to_who_had_to_ask_for_one() {
    let pushed = |asked: bool| {
        let committee = committee(4);
        let mut machine = machine(0);
        for peer in 1..4 {
            let connected = Event::PeerConnected {
                peer: AuthorityIndex(peer),
                has_of_ours: Round::GENESIS,
                own_round: Round(1),
                commit: 0,
            };
            machine.handle(NOW, connected);
        }
        let first = first_round(&committee);
        machine.handle(NOW, Event::PayloadOffered(vec![vec![7]]));
        for known in &first[1..] {
            machine.handle(NOW, received(known.author().0, known));
        }
        if asked {
            let (by, references) = (AuthorityIndex(1), vec![first[2].reference()]);
            machine.handle(NOW, Event::BlocksAsked { by, references });
        }
        let parents: Vec<BlockRef> = first[1..].iter().map(Block::reference).collect();
        let mut actions = Vec::new();
        for author in 1..4 {
            let next = block(&committee, author, 2, &own_first(author, &parents), &[]);
            actions.extend(machine.handle(NOW, received(author, &next)));
        }
        // It goes along with the block that builds on it.
        for after_ms in [1_000, 2_000] {
            let later = Now { monotonic: NOW.monotonic.plus_ms(after_ms), ..NOW };
            actions.extend(machine.handle(later, Event::Timer(Timer::Proposal)));
        }
        let made = actions.iter().filter(|action| matches!(action, Action::Broadcast(_)));
        assert_eq!(made.count(), 2);
        let next = block(&committee, 2, 2, &own_first(2, &parents), &[]);
        actions.contains(&Action::Send { to: AuthorityIndex(1), blocks: vec![next] })
    };
    assert!(pushed(true) && !pushed(false));
}

#[test]
fn a_foreign_copy_of_an_own_block_stops_signing() {
    let mut machine = machine(0);
    greet(&mut machine, NOW);
    machine.handle(NOW, Event::PayloadOffered(vec![vec![7]]));
    assert_eq!(machine.own_round(), Round(1), "the offer made it sign");
    let own = block(&committee(4), 0, 1, &own_first(0, committee(4).genesis()), &[]);
    assert!(!machine.knows(&own.reference()), "another clock, another block");
    let actions = machine.handle(NOW, received(1, &own));
    assert!(actions.contains(&Action::Halt(HaltReason::ForeignOwnBlock(own))), "{actions:?}");
    assert!(!machine.status().signing);
    let waiting = Action::PayloadRefused(vec![(vec![7], RefusalReason::Halted)]);
    assert!(actions.contains(&waiting), "{actions:?}");
    let actions = machine.handle(NOW, Event::PayloadOffered(vec![vec![1]]));
    let refused = Action::PayloadRefused(vec![(vec![1], RefusalReason::Halted)]);
    assert!(actions.contains(&refused), "{actions:?}");
    for other in &first_round(&committee(4))[1..] {
        machine.handle(NOW, received(other.author().0, other));
        assert!(machine.knows(&other.reference()), "it still follows");
    }
}

#[test]
fn a_round_far_ahead_is_dropped_unless_asked_for() {
    let committee = committee(4);
    let mut machine = machine(0);
    let first: Vec<BlockRef> = first_round(&committee).iter().map(Block::reference).collect();
    let round = Parameters::lan().rounds_ahead_max + 1;
    let parent = |author: usize| BlockRef { round: Round(round - 1), ..first[author] };
    let far = block(&committee, 1, round, &[parent(1), parent(2), parent(3)], &[]);
    machine.handle(NOW, received(1, &far));
    assert!(!machine.knows(&far.reference()));
    let parent = |author: usize| BlockRef { round: Round(round - 2), ..first[author] };
    let near = block(&committee, 1, round - 1, &[parent(1), parent(2), parent(3)], &[]);
    machine.handle(NOW, received(1, &near));
    assert!(machine.knows(&near.reference()));
}

/// Whatever a hostile author sends, what is kept of it is bounded.
#[test]
fn waiting_blocks_are_bounded() {
    let committee = committee(4);
    let recovery = crate::Recovery::default();
    let parameters = Parameters::test();
    let bound = parameters.suspended_blocks_max;
    let mut machine =
        Consensus::recover(NOW, parameters, committee.clone(), signer(0), recovery).unwrap().0;
    let first: Vec<BlockRef> = first_round(&committee).iter().map(Block::reference).collect();
    for round in (3..300).rev() {
        let parent = |author: usize| BlockRef { round: Round(round - 1), ..first[author] };
        let bomb = block(&committee, 1, round, &[parent(1), parent(2), parent(3)], &[]);
        machine.handle(NOW, received(1, &bomb));
        let status = machine.status();
        assert!(status.blocks_suspended <= bound, "{status:?}");
        assert!(status.blocks_wanted <= 3 * bound, "{status:?}");
    }
    assert_eq!(machine.status().blocks_suspended, bound);
}

#[test]
fn a_wrong_key_and_broken_commits_are_refused() {
    let recover = |signer, recovery| {
        Consensus::recover(NOW, Parameters::lan(), committee(4), signer, recovery).map(|_| ())
    };
    let stranger = recover(signer(9), crate::Recovery::default());
    assert!(matches!(stranger, Err(RecoveryError::WrongKey(_))));
    let mut world = World::new(4, Parameters::lan(), 1);
    world.offer(0, b"item");
    world.run_for(3_000);
    let mut commits = world.disks[0].commits.clone();
    assert!(commits.len() > 3);
    let recovery = |commits| crate::Recovery { commits, ..crate::Recovery::default() };
    assert!(recover(signer(0), recovery(commits.clone())).is_ok());
    let tail = commits[2..].to_vec();
    assert!(matches!(recover(signer(0), recovery(tail)), Err(RecoveryError::MissingBlock(_))));
    commits.remove(1);
    assert!(matches!(recover(signer(0), recovery(commits)), Err(RecoveryError::BrokenChain(3))));
}

/// §7: a quorum that contradicts our state stops us; a single authority is reported.
#[test]
fn divergence_is_found() {
    let mut world = World::new(4, Parameters::lan(), 8);
    world.offer(0, b"first");
    world.run_for(2_000);
    assert!(world.halts.is_empty());
    world.damaged = Some(2);
    world.offer(0, b"second");
    world.run_for(2_000);
    let halts = &world.halts;
    assert!(matches!(halts[..], [(2, HaltReason::StateDiverged { .. })]), "{halts:?}");
    let reports = world.offences.iter().filter(|(authority, offence)| {
        *authority == AuthorityIndex(2) && matches!(offence, Offence::Divergence { .. })
    });
    assert_eq!(reports.count(), 3, "every other authority reports it");
}
