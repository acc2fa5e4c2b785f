//! An authority without its log: what it waits for, and how it comes back.

use super::world::{World, key};
use crate::executor::lock;
use crate::replica::{OpenError, Opened, Start};
use crate::storage::SignAfter;
use kerbholz_client::ledger::committee::CommitteeChange;
use kerbholz_consensus::{Block, Draft, Event, Round, Signer, Timestamp, UnverifiedBlock};

fn signs(world: &World, seed: usize) -> bool {
    world.standing().iter().any(|one| one.0 == seed && one.4)
}

fn own_round(world: &World, seed: usize) -> u64 {
    world.nodes[&seed].replica.consensus().own_round().0
}

#[test]
fn it_asks_the_others_and_signs_above_what_they_know() {
    let mut world = World::running(&[1, 2, 3, 4]);
    world.run(60_000);
    let before = own_round(&world, 4);
    assert!(before > 1);
    world.stop(4);
    world.empty_disk(4);
    // While one of the others is away, nobody can say what it knew of the fourth.
    world.stop(3);
    world.start(4);
    world.run(20_000);
    assert!(!signs(&world, 4) && world.nodes[&4].replica.lost_log());
    world.start(3);
    world.run_until("it signs", |world| signs(world, 4) && own_round(world, 4) > before);
    assert!(!world.nodes[&4].replica.lost_log());
    world.agree();
    // And it need not ask again.
    world.stop(4);
    world.start(4);
    assert!(signs(&world, 4) && !world.nodes[&4].replica.lost_log());
    world.run(30_000);
    world.agree();
}

#[test]
fn a_crash_before_its_first_block_makes_it_ask_again() {
    let mut world = World::running(&[1, 2, 3, 4]);
    world.run(30_000);
    world.stop(4);
    world.empty_disk(4);
    world.start(4);
    let mut steps = 0;
    while world.nodes[&4].replica.lost_log() {
        world.stop(4);
        world.start(4);
        for _ in 0..steps {
            world.step(u64::MAX);
        }
        steps += 1;
    }
    assert!(steps > 3, "it had to ask first");
    world.run(30_000);
    assert!(signs(&world, 4));
    world.agree();
}

#[test]
fn its_operator_may_say_a_round_instead() {
    let mut world = World::running(&[1, 2, 3, 4]);
    world.run(30_000);
    let before = own_round(&world, 4);
    [3, 4].into_iter().for_each(|seed| world.stop(seed));
    world.empty_disk(4);
    world.start(4);
    world.run(60_000);
    assert!(!signs(&world, 4), "two of three others are no quorum");
    world.stop(4);
    world.sign_after = Some(SignAfter { epoch: 0, round: Round(before) });
    world.start(4);
    world.run_until("it signs", |world| signs(world, 4) && own_round(world, 4) > before);
    // The next loss is another one: the word would now be wrong.
    world.run(10_000);
    world.stop(4);
    world.empty_disk(4);
    world.start(4);
    world.run(60_000);
    assert!(!signs(&world, 4), "it was said of the loss before");
    world.agree();
}

/// Another block of the round of its newest one, as a second node with its key would make it.
fn twin(world: &World, seed: usize) -> Block {
    let committee = world.nodes[&seed].replica.committee();
    let own = committee.index_of(&key(seed)).unwrap();
    let newest = lock(&world.disks[&seed]).newest_of(own, Round::GENESIS).unwrap().unwrap();
    let newest = UnverifiedBlock::decode(&newest.bytes).unwrap().verify(committee).unwrap();
    let draft = Draft {
        round: newest.round(),
        timestamp: Timestamp(newest.header().timestamp.0 + 1),
        parents: newest.parents().to_vec(),
        ..Draft::default()
    };
    draft.sign(committee, own, &Signer::from_seed(&[seed as u8; 32])).unwrap()
}

fn meets(world: &mut World, seed: usize, block: Block) {
    let (now, replica) = (world.now(), &mut world.nodes.get_mut(&seed).unwrap().replica);
    let from = replica.committee().index_of(&key(1)).unwrap();
    let actions = replica.handle(now, Event::BlockReceived { from, block });
    world.perform(seed, actions);
}

#[test]
fn one_that_met_a_foreign_block_of_its_own_asks_at_the_next_start() {
    let mut world = World::running(&[1, 2, 3, 4]);
    world.run(30_000);
    let before = own_round(&world, 4);
    let foreign = twin(&world, 4);
    meets(&mut world, 4, foreign);
    assert!(world.halted.contains(&4) && !signs(&world, 4));
    // Nothing makes it forget but the others.
    world.stop(3);
    for _ in 0..3 {
        world.stop(4);
        world.start(4);
        world.run(30_000);
        assert!(!signs(&world, 4) && world.nodes[&4].replica.lost_log());
        assert_eq!(own_round(&world, 4), before);
    }
    world.start(3);
    world.run_until("it signs", |world| signs(world, 4) && own_round(world, 4) > before);
    world.stop(4);
    world.start(4);
    assert!(signs(&world, 4) && !world.nodes[&4].replica.lost_log());
    world.agree();
}

/// Whoever else has its key is there in the next epoch, too.
#[test]
fn one_that_met_a_foreign_block_of_its_own_signs_in_no_epoch_until_it_is_started_again() {
    let mut world = World::running(&[1, 2, 3, 4]);
    world.run(30_000);
    let foreign = twin(&world, 4);
    meets(&mut world, 4, foreign);
    let change = CommitteeChange::Add(world.candidate(5));
    world.founded_disk(5);
    world.vote(&[1, 2, 3], &change);
    world.start(5);
    world.run_until("all are in the next epoch", |world| {
        [1, 2, 3, 4, 5].iter().all(|seed| world.nodes[seed].replica.epoch() == 1)
    });
    world.run(60_000);
    assert!(!signs(&world, 4) && own_round(&world, 4) == 0 && world.nodes[&4].replica.lost_log());
    world.stop(4);
    world.start(4);
    world.run_until("it signs", |world| signs(world, 4) && own_round(world, 4) > 0);
    world.agree();
}

#[test]
fn an_old_copy_of_its_disk_is_noticed_and_marked() {
    let mut world = World::running(&[1, 2, 3, 4]);
    world.run(20_000);
    world.stop(4);
    world.plugs[&4].copy();
    world.start(4);
    world.run(60_000);
    let before = own_round(&world, 4);
    world.stop(4);
    world.plugs[&4].put_back();
    world.start(4);
    assert!(own_round(&world, 4) < before && !world.nodes[&4].replica.lost_log());
    while !world.nodes[&4].replica.lost_log() {
        assert!(world.step(u64::MAX) && own_round(&world, 4) < before);
    }
    assert!(lock(&world.disks[&4]).recover().lost_log);
    world.run_until("it signs", |world| signs(world, 4) && own_round(world, 4) > before);
    assert!(!lock(&world.disks[&4]).recover().lost_log && world.halted.is_empty());
    world.agree();
}

/// A wiped directory begins in the first epoch; the word is about a later one.
#[test]
fn its_operators_word_waits_for_its_epoch() {
    let mut world = World::running(&[1, 2, 3, 4]);
    world.run(30_000);
    let change = CommitteeChange::Add(world.candidate(5));
    world.founded_disk(5);
    world.vote(&[1, 2, 3], &change);
    world.run_until("the epoch is over", |world| {
        [1, 2, 3, 4].iter().all(|seed| world.nodes[seed].replica.epoch() == 1)
    });
    world.start(5);
    world.run_until("all sign", |world| world.standing().iter().all(|it| it.1 == 1 && it.4));
    world.run(60_000);
    let before = own_round(&world, 4);
    world.stop(4);
    world.empty_disk(4);
    // One whose answer it would take never comes back.
    world.stop(3);
    world.sign_after = Some(SignAfter { epoch: 1, round: Round(before) });
    world.start(4);
    assert!(!signs(&world, 4), "in the first epoch it says nothing");
    world.run_until("it signs", |world| signs(world, 4) && own_round(world, 4) > before);
    assert_eq!(world.nodes[&4].replica.epoch(), 1);
    world.run(10_000);
    assert!(signs(&world, 4) && world.halted.is_empty());
    world.agree();
    // At the next start its log is enough.
    world.stop(4);
    world.start(4);
    assert!(signs(&world, 4) && own_round(&world, 4) > before);
}

/// Nobody could tell the only authority what it has signed: it begins anew if its operator says so.
#[test]
fn one_that_is_alone_begins_anew_by_its_operators_word_only() {
    let mut world = World::running(&[1]);
    world.run(30_000);
    world.stop(1);
    world.empty_disk(1);
    let start = Start {
        genesis: &world.genesis,
        signer: Signer::from_seed(&[1; 32]),
        parameters: world.parameters.clone(),
    };
    let refused = Opened::open(world.now(), &world.disks[&1], start).map(drop);
    assert!(matches!(refused, Err(OpenError::LostAlone)), "{refused:?}");
    world.sign_after = Some(SignAfter { epoch: 0, round: Round::GENESIS });
    world.start(1);
    world.run_until("it signs", |world| signs(world, 1) && own_round(world, 1) > 0);
}
