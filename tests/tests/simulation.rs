//! Whole networks from one seed, under every weather (`docs/assurance.md`, "Simulation").

use tests::simulator::{
    Outcome,
    plan::{Liars, Options},
    run,
    tally::Tally,
};

/// Runs seeds; every one must be without a violation. Returns what happened.
fn hold(seeds: std::ops::Range<u64>, options: &Options) -> Tally {
    let mut tally = Tally::default();
    for seed in seeds {
        let Outcome { tally: happened, violations, .. } = run(seed, options, false);
        assert!(violations.is_empty(), "seed {seed} with {options:?}: {violations:#?}");
        tally.add(&happened);
    }
    tally
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..4 {
        let [once, twice] = [0; 2].map(|_| run(seed, &Options::default(), false));
        assert_eq!(once.hash, twice.hash, "seed {seed}");
        assert!(once.tally.happenings > 100);
    }
}

#[test]
fn any_seed_holds() {
    let options = Options { liars: Some(Liars::None), ..Options::default() };
    let tally = hold(100..112, &options);
    assert!(tally.commits > 100 && tally.crashes > 0 && tally.lost > 0, "{tally:#?}");
}
