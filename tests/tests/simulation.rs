//! Whole networks from one seed, under every weather and every liar (`docs/assurance.md`,
//! "Simulation"). A test that shows a liar or a misfortune asserts that it really showed.

use std::ops::Range;
use tests::{
    adversary::Name,
    simulator::{
        Outcome,
        plan::{Liars, Options, Weather},
        run,
        tally::Tally,
    },
};

/// Runs seeds; every one must be without a violation. Returns what happened.
fn hold(seeds: Range<u64>, options: &Options) -> Tally {
    let mut tally = Tally::default();
    for seed in seeds {
        let Outcome { tally: happened, violations, .. } = run(seed, options, false);
        assert!(violations.is_empty(), "seed {seed} with {options:?}: {violations:#?}");
        tally.add(&happened);
    }
    tally
}

/// One liar among four, and what must have come of it.
fn alone(name: Name, seeds: Range<u64>) -> Tally {
    let liars = Some(Liars::One(name));
    let tally = hold(seeds, &Options { nodes: Some(4), liars, ..Options::default() });
    assert!(tally.liars[&name] > 0 && tally.prompt_slots > 0, "{tally:#?}");
    tally
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..6 {
        let [once, twice] = [0; 2].map(|_| run(seed, &Options::default(), false));
        assert_eq!(once.hash, twice.hash, "seed {seed}");
        assert!(once.tally.happenings > 100);
    }
}

#[test]
fn storms_pass() {
    let options = Options {
        weather: Some(Weather::Storm),
        liars: Some(Liars::None),
        votes: Some(false),
        ..Options::default()
    };
    let tally = hold(100..110, &options);
    let happened =
        [tally.commits, tally.crashes, tally.crashes_between, tally.lost, tally.indirect_skips];
    assert!(happened.iter().all(|count| *count > 0), "{tally:#?}");
}

#[test]
fn committees_change() {
    let options = Options { votes: Some(true), liars: Some(Liars::None), ..Options::default() };
    let tally = hold(200..208, &options);
    assert!(tally.epochs > 4 && tally.catch_ups > 0 && tally.crashes > 0, "{tally:#?}");
}

#[test]
fn as_many_liars_as_are_tolerated_change_nothing() {
    let options = Options { liars: Some(Liars::Mixed), ..Options::default() };
    let [seven, ten] =
        [7, 10].map(|nodes| hold(300..304, &Options { nodes: Some(nodes), ..options.clone() }));
    assert!(seven.prompt_slots > 0 && ten.prompt_slots > 0);
    assert_eq!(ten.liars.values().sum::<u64>(), 12, "{ten:#?}");
}

#[test]
fn mute() {
    assert!(alone(Name::Mute, 0..3).direct_skips > 0);
}

#[test]
fn equivocator() {
    let tally = alone(Name::Equivocator, 0..4);
    assert!(tally.equivocations > 0 && tally.liars_accused > 0 && tally.twin_slots > 0);
}

#[test]
fn many_faced() {
    let tally = alone(Name::ManyFaced, 0..4);
    assert!(tally.equivocations > 0 && tally.liars_accused > 0 && tally.twin_slots > 0);
}

#[test]
fn non_voter() {
    assert!(alone(Name::NonVoter, 0..3).liars_blocks > 0);
}

#[test]
fn withholder() {
    let tally = alone(Name::Withholder, 0..4);
    assert!(tally.fetched > 0 && tally.liars_blocks > 0);
}

#[test]
fn late_leader() {
    let tally = alone(Name::LateLeader, 0..3);
    assert!(tally.direct_skips + tally.indirect_skips + tally.indirect_commits > 0);
}

#[test]
fn chain_bomb() {
    assert!(alone(Name::ChainBomb, 0..4).chains > 0);
}

#[test]
fn twin_chain_bomb() {
    let tally = alone(Name::TwinChainBomb, 0..4);
    assert!(tally.chains > 0 && tally.equivocations > 0);
}

#[test]
fn far_future() {
    assert!(alone(Name::FarFuture, 0..3).suspended > 0);
}

#[test]
fn fake_parents() {
    let tally = alone(Name::FakeParents, 0..3);
    assert!(tally.suspended > 0 && tally.fetched > 0);
}

#[test]
fn lying_server() {
    let tally = alone(Name::LyingServer, 0..4);
    assert!(tally.unanswered > 0 && tally.liars_blocks > 0);
}

#[test]
fn forged_votes() {
    let tally = alone(Name::ForgedVotes, 0..3);
    assert!(tally.divergences > 0 && tally.checkpoints > 0);
}

#[test]
fn slow_stream() {
    assert!(alone(Name::SlowStream, 0..3).liars_blocks > 0);
}

#[test]
fn amnesiac() {
    let tally = alone(Name::Amnesiac, 0..10);
    assert!(tally.wipes > 0 && tally.catch_ups > 0);
    assert!(tally.old_copies > 0 && tally.old_copies_noticed > 0, "{tally:#?}");
}
