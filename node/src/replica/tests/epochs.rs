//! Networks of several replicas: what waits survives restarts, and committees change.

use super::world::{World, ledger_key};
use crate::executor::lock;
use crate::index;
use crate::mempool::NotTaken;
use kerbholz_client::committees::Committees;
use kerbholz_client::ledger::committee::{Authority, CommitteeChange};
use kerbholz_client::ledger::id::MemberId;
use kerbholz_client::ledger::operation::{MoneyIssue, Operation};
use kerbholz_client::ledger::quantity::Minor;
use kerbholz_client::ledger::transaction::Transaction;

/// The maker issues itself money: a transaction that applies.
fn issue(world: &World, amount: u64) -> Transaction {
    let maker = ledger_key(100);
    let issue =
        MoneyIssue { currency: "EUR".into(), to: MemberId::of(&maker), amount: Minor::new(amount) };
    world.transaction(100, vec![Operation::IssueMoney(issue)])
}

#[test]
fn four_replicas_order_and_execute() {
    let mut world = World::running(&[1, 2, 3, 4]);
    let order = issue(&world, 7);
    world.submit(2, &order);
    world.run_until("it is final everywhere", |world| {
        [1, 2, 3, 4].iter().all(|seed| world.result(*seed, &order) == Some(true))
    });
    world.agree();
    assert!(world.nodes.values().all(|node| node.replica.waiting() == 0));
}

#[test]
fn what_waited_before_a_restart_is_ordered_after_it() {
    let mut world = World::running(&[1, 2, 3, 4]);
    world.run(1_000);
    // It is in a block of the first when the others go: else a crash of the first would lose it.
    let order = issue(&world, 8);
    world.submit(1, &order);
    while world.nodes[&1].replica.mempool.lowest_block().is_none() {
        world.step(u64::MAX);
    }
    [3, 4].into_iter().for_each(|seed| world.stop(seed));
    world.run(5_000);
    assert_eq!(world.result(1, &order), None, "two of four decide nothing");
    [1, 2].into_iter().for_each(|seed| world.stop(seed));
    [1, 3, 4].into_iter().for_each(|seed| world.start(seed));
    assert_eq!(world.nodes[&1].replica.waiting(), 1);
    world.run_until("it is final", |world| world.result(4, &order) == Some(true));
    world.agree();
    // Once it is final, no restart waits for it again, whatever blocks hold it.
    world.run(1_000);
    world.stop(1);
    world.start(1);
    assert_eq!(world.nodes[&1].replica.waiting(), 0);
}

fn add(world: &World, seed: usize) -> CommitteeChange {
    CommitteeChange::Add(world.candidate(seed))
}

/// All of these nodes have entered this epoch and sign in it.
fn all_sign(world: &World, seeds: &[usize], epoch: u64) -> bool {
    let standing = world.standing();
    let of = |seed: &usize| standing.iter().find(|one| one.0 == *seed);
    seeds.iter().all(|seed| of(seed).is_some_and(|one| one.1 == epoch && one.4 && one.3 > 0))
}

/// An order at one node becomes final at these.
fn goes_on(world: &mut World, at: usize, amount: u64, seeds: &[usize]) {
    let order = issue(world, amount);
    world.submit(at, &order);
    world.run_until("an order becomes final", |world| {
        seeds.iter().all(|seed| world.result(*seed, &order) == Some(true))
    });
    world.agree();
}

#[test]
fn an_authority_is_added_removed_and_replaced() {
    let mut world = World::running(&[1, 2, 3, 4]);
    goes_on(&mut world, 1, 1, &[1, 2, 3, 4]);

    // The fifth has nothing but the genesis, and follows through the epoch it was no member of.
    let change = add(&world, 5);
    world.vote(&[1, 2, 3], &change);
    world.run_until("the epoch ends", |world| all_sign(world, &[1, 2, 3, 4], 1));
    world.empty_disk(5);
    world.start(5);
    world.run_until("the fifth joins", |world| all_sign(world, &[1, 2, 3, 4, 5], 1));
    goes_on(&mut world, 5, 2, &[1, 2, 3, 4, 5]);

    // Four of five decide; the removed one follows, and signs nothing.
    world.vote(&[1, 2, 4, 5], &CommitteeChange::Remove(ledger_key(3)));
    world.run_until("the third is gone", |world| all_sign(world, &[1, 2, 4, 5], 2));
    goes_on(&mut world, 4, 3, &[1, 2, 3, 4, 5]);
    assert!(!all_sign(&world, &[3], 2) && world.nodes[&3].replica.epoch() == 2);
    let order = issue(&world, 4);
    let now = world.now();
    let (taken, _) = world.nodes.get_mut(&3).unwrap().replica.submit(now, &order);
    assert_eq!(taken, Err(NotTaken::Full), "its clients are sent elsewhere");

    let by = world.candidate(6);
    world.founded_disk(6);
    world.vote(&[1, 2, 4], &CommitteeChange::Replace { key: ledger_key(4), by });
    world.run_until("the epoch ends", |world| all_sign(world, &[1, 2, 5], 3));
    world.start(6);
    world.run_until("the sixth joins", |world| all_sign(world, &[1, 2, 5, 6], 3));
    goes_on(&mut world, 6, 5, &[1, 2, 3, 4, 5, 6]);
}

#[test]
fn what_waits_at_the_end_of_an_epoch_is_ordered_in_the_next() {
    // Executors at once, and executors that lag: then commits are decided beyond the closing one.
    for batches in [false, true] {
        orders_cross_the_end_of_an_epoch(batches);
    }
}

fn orders_cross_the_end_of_an_epoch(batches: bool) {
    let mut world = World::new(&[1, 2, 3, 4]);
    world.parameters.queue_items_max = 1_000;
    world.batches = batches;
    (1..=4).for_each(|seed| world.start(seed));
    world.run(1_000);
    let change = add(&world, 5);
    world.vote(&[1, 2, 3], &change);
    // Orders keep coming until the new epoch has begun everywhere.
    let mut orders = Vec::new();
    for amount in 1..200 {
        let order = issue(&world, amount);
        world.submit(1 + amount as usize % 4, &order);
        orders.push(order);
        world.run(5);
    }
    assert!(all_sign(&world, &[1, 2, 3, 4], 1), "{:?}", world.standing());
    world.run_until("all become final", |world| {
        orders.iter().all(|order| world.result(2, order) == Some(true))
    });
    world.agree();
    assert!(world.nodes.values().all(|node| node.replica.waiting() == 0));
}

/// The committees that a node can prove to who knows the genesis, by name.
fn proved(world: &World, seed: usize) -> Vec<Vec<String>> {
    let rows = lock(&world.disks[&seed]).rows();
    let mut known = Committees::of_genesis(&world.genesis).unwrap();
    let mut committees = vec![known.authorities().to_vec()];
    while let Some(end) = index::epoch_end(&*rows, known.epoch()).unwrap() {
        known.advance(&end).unwrap();
        committees.push(known.authorities().to_vec());
    }
    let names = |authorities: Vec<Authority>| authorities.into_iter().map(|one| one.name).collect();
    committees.into_iter().map(names).collect()
}

#[test]
fn every_node_can_prove_its_committees_also_with_a_state_made_anew() {
    let mut world = World::running(&[1, 2, 3, 4]);
    let change = CommitteeChange::Remove(ledger_key(4));
    world.vote(&[1, 2, 3], &change);
    world.run_until("an epoch ends", |world| all_sign(world, &[1, 2, 3], 1));
    let replace = CommitteeChange::Replace { key: ledger_key(1), by: world.candidate(4) };
    world.vote(&[1, 2, 3], &replace);
    world.run_until("another one", |world| all_sign(world, &[2, 3, 4], 2));
    goes_on(&mut world, 2, 3, &[1, 2, 3, 4]);
    let expected = [
        vec!["authority-1", "authority-2", "authority-3", "authority-4"],
        vec!["authority-1", "authority-2", "authority-3"],
        vec!["authority-4", "authority-2", "authority-3"],
    ];
    for seed in [1, 2, 3, 4] {
        assert_eq!(proved(&world, seed), expected, "node {seed}");
    }
    // Far behind the ends of both epochs: their checkpoints are read from the ledger.
    world.cut(2);
    world.start(2);
    assert_eq!(proved(&world, 2), expected);
}

/// Crashes of every node, at every step between the votes and the orders of the next epoch.
#[test]
fn a_restart_at_any_point_of_an_epochs_end_goes_on() {
    for steps in (0..400).step_by(23) {
        let mut world = World::running(&[1, 2, 3, 4]);
        world.run(1_000);
        world.vote(&[1, 2, 3], &CommitteeChange::Remove(ledger_key(4)));
        let order = issue(&world, 9);
        world.submit(1, &order);
        for _ in 0..steps {
            world.step(u64::MAX);
        }
        [1, 2, 3].into_iter().for_each(|seed| world.stop(seed));
        [3, 1, 2].into_iter().for_each(|seed| world.start(seed));
        // Votes that were in no block yet are lost with the memory: their signers give them again.
        for voter in [1, 2, 3] {
            let epoch = world.nodes[&voter].replica.epoch();
            if epoch == 0 && world.nodes[&voter].replica.consensus().status().signing {
                world.vote_again(voter, &CommitteeChange::Remove(ledger_key(4)));
            }
        }
        world.run_until(&format!("{steps} steps: the epoch ends"), |world| {
            all_sign(world, &[1, 2, 3], 1)
        });
        goes_on(&mut world, 2, 10, &[1, 2, 3, 4]);
    }
}

#[test]
fn who_was_away_while_epochs_passed_comes_back_and_signs() {
    let mut world = World::running(&[1, 2, 3, 4]);
    goes_on(&mut world, 1, 1, &[1, 2, 3, 4]);
    world.stop(4);
    let change = add(&world, 5);
    world.vote(&[1, 2, 3], &change);
    world.run_until("the epoch ends", |world| all_sign(world, &[1, 2, 3], 1));
    world.founded_disk(5);
    world.start(5);
    world.run_until("the fifth joins", |world| all_sign(world, &[1, 2, 3, 5], 1));
    goes_on(&mut world, 5, 2, &[1, 2, 3, 5]);
    world.vote(&[1, 2, 3, 5], &CommitteeChange::Remove(ledger_key(1)));
    world.run_until("another one", |world| all_sign(world, &[2, 3, 5], 2));
    world.stop(1);
    world.start(4);
    world.run_until("the fourth is back", |world| all_sign(world, &[2, 3, 4, 5], 2));
    goes_on(&mut world, 4, 3, &[2, 3, 4, 5]);
}
