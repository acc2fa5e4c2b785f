//! The machine in a deterministic network: agreement, rest and waking, crashes, loss, bounds (§10).

mod catching_up;
mod chaos;
mod epochs;
mod hostile;
mod lost_log;
mod old_copy;
mod single;

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

fn signing(world: &World, node: usize) -> bool {
    world.nodes[node].as_ref().unwrap().status().signing
}

fn work(world: &mut World, nodes: &[usize], steps: usize) {
    for step in 0..steps {
        let node = nodes[step % nodes.len()];
        let text = format!("{node} at {}", world.now());
        world.offer(node, text.as_bytes());
        world.run_for(20);
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
