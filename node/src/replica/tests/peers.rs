//! What greetings of this, a later and an earlier epoch lead to.

use super::world::{World, key, ledger_key};
use crate::replica::Hello;
use kerbholz_client::ledger::committee::CommitteeChange;
use kerbholz_consensus::{Action, Round};

/// A peer greets node 1 in this epoch; what follows of streams and questions for commits.
fn greet(world: &mut World, peer: usize, epoch: u64, commit: u64) -> Vec<String> {
    let hello = Hello { epoch, commit, has_of_yours: Round(5), own_round: Round(7) };
    let now = world.now();
    let replica = &mut world.nodes.get_mut(&1).unwrap().replica;
    let actions = replica.peer_up(now, key(peer), hello);
    let told = |action: &Action| match action {
        Action::Stream { after, .. } => Some(format!("stream after {}", after.0)),
        Action::FetchCommits { after, .. } => Some(format!("commits after {after}")),
        _ => None,
    };
    actions.iter().filter_map(told).collect()
}

fn streamed(world: &World) -> usize {
    world.nodes[&1].replica.streamed().count()
}

#[test]
fn streams_are_within_an_epoch_and_who_is_ahead_is_asked() {
    let mut world = World::new(&[1, 2, 3, 4]);
    world.start(1);
    assert_eq!(greet(&mut world, 2, 0, 0), ["stream after 5"]);
    assert_eq!(streamed(&world), 1);
    // One alone may lie about being ahead; two of four may not.
    assert_eq!(greet(&mut world, 3, 1, 900), [""; 0]);
    assert_eq!(greet(&mut world, 4, 2, 950), ["commits after 0"]);
    assert_eq!((streamed(&world), world.nodes[&1].replica.connected()), (1, 4));
    // It greets anew, in our epoch, and then it is gone.
    assert!(greet(&mut world, 3, 0, 900).contains(&"stream after 5".to_owned()));
    assert_eq!(streamed(&world), 2);
    let now = world.now();
    world.nodes.get_mut(&1).unwrap().replica.peer_down(now, &key(3));
    assert_eq!((streamed(&world), world.nodes[&1].replica.connected()), (1, 3));
}

#[test]
fn who_is_behind_or_removed_gets_no_stream() {
    let mut world = World::running(&[1, 2, 3, 4]);
    world.run(1_000);
    world.vote(&[1, 2, 3], &CommitteeChange::Remove(ledger_key(4)));
    world.run_until("the epoch ends", |world| {
        world.nodes.values().all(|node| node.replica.epoch() == 1)
    });
    assert_eq!((streamed(&world), world.nodes[&1].replica.connected()), (2, 3));
    assert_eq!(greet(&mut world, 2, 0, 900), [""; 0], "behind");
    assert_eq!(greet(&mut world, 4, 1, 900), [""; 0], "removed");
    assert_eq!((streamed(&world), world.nodes[&1].replica.connected()), (1, 3));
    let hello = world.nodes[&1].replica.hello(&key(4));
    assert_eq!((hello.epoch, hello.has_of_yours), (1, Round::GENESIS), "and hears why");
}
