//! What falls to the node, and to which period.

use super::*;
use probe::Counter;

fn day() -> UpkeepRow {
    rules(Milliseconds::new(1_000)).unwrap()
}

fn model() -> PowerModel {
    PowerModel { watts: 50, source: "made up for this test".into() }
}

/// A moment, the processor time of the node and of all, and where the counter stands.
fn sample(at: u64, own_ms: u64, busy_ms: u64, counter: Option<u64>) -> Sample {
    let named = |microjoules| Counter { zone: "package-0".into(), microjoules, range: 999 };
    let counters = counter.into_iter().map(named).collect();
    Sample { at: Timestamp::new(at), own_ms, busy_ms, counters }
}

fn of(model: Option<&PowerModel>, samples: &[Sample]) -> Account {
    let mut account = Account::default();
    for pair in samples.windows(2) {
        account.add(&day(), model, (&pair[0], &pair[1]));
    }
    account
}

#[test]
fn the_node_bears_its_part_of_the_processor_time() {
    let counted = of(
        None,
        &[
            sample(5_100, 10, 100, Some(100)),
            sample(5_200, 20, 140, Some(500)),
            // Started again, and the node had nothing to do.
            sample(5_300, 20, 150, Some(99)),
            // Rounded down: a third of 100.
            sample(5_400, 21, 153, Some(199)),
        ],
    );
    let [used] = counted.periods.as_slice() else { panic!("{counted:?}") };
    assert_eq!((used.period, used.from.get(), used.to.get()), (5, 5_100, 5_400));
    assert_eq!((used.microjoules, used.own_ms, used.busy_ms), (100 + 33, 11, 53));
    assert_eq!(used.basis, Basis::Counters(vec!["package-0".into()]));

    // 50 W for 2 s, a quarter of it: 25 J.
    let modelled = of(Some(&model()), &[sample(10, 0, 0, None), sample(2_010, 500, 2_000, None)]);
    assert_eq!(modelled.periods[0].joules(), 25);
    assert_eq!(modelled.periods[0].basis, Basis::Model(model()));

    // Nothing is known, so nothing is said; and a node cannot use more than all do.
    assert_eq!(of(None, &[sample(1, 0, 0, None), sample(2, 1, 1, None)]), Account::default());
    let more = of(None, &[sample(1, 0, 0, Some(0)), sample(2, 9, 3, Some(90))]);
    assert_eq!((more.periods[0].microjoules, more.periods[0].own_ms), (90, 3));
    let idle = of(None, &[sample(1, 0, 0, Some(0)), sample(2, 0, 0, Some(90))]);
    assert_eq!(idle.periods[0].microjoules, 0);
}

/// A reading may not reach into the period before: the part of a sample that does is shortened, its
/// energy is not.
#[test]
fn each_period_has_an_entry_of_its_own() {
    let samples = [
        sample(1_700, 0, 0, Some(0)),
        sample(1_900, 1, 1, Some(10)),
        sample(2_100, 2, 2, Some(30)),
        sample(2_300, 3, 3, Some(60)),
        // The clock is set back, and forward again.
        sample(2_200, 4, 4, Some(100)),
        sample(2_400, 5, 5, Some(110)),
        // Without its counters the rest is modelled, as an entry of its own.
        sample(2_500, 6, 6, None),
    ];
    let account = of(Some(&model()), &samples);
    let entries = account.periods.iter();
    let entries =
        entries.map(|used| (used.period, used.from.get(), used.to.get(), used.microjoules));
    assert_eq!(
        entries.collect::<Vec<_>>(),
        [(1, 1_700, 1_900, 10), (2, 2_000, 2_400, 60), (2, 2_400, 2_500, 5_000_000)]
    );
    // Set back to before the node was started, the clock makes no period of measuring that ends first.
    let back = [
        sample(2_200, 0, 0, Some(0)),
        sample(2_300, 1, 1, Some(10)),
        sample(2_050, 2, 2, Some(20)),
        sample(2_100, 3, 3, Some(40)),
    ];
    let [used] = <[Used; 1]>::try_from(of(None, &back).periods).unwrap();
    assert_eq!((used.from.get(), used.to.get(), used.microjoules), (2_200, 2_300, 30));
    for used in &account.periods {
        assert!(used.from < used.to && day().number(used.from) == used.period);
        assert!(used.to <= day().begin(used.period + 1));
    }
}

#[test]
fn an_account_is_bounded_and_survives_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(UPKEEP_FILE);
    assert_eq!(Account::read(&path).unwrap(), Account::default());
    let ticks =
        |count: u64| (0..=count).map(|at| sample(at * 1_000, at, at, Some(at))).collect::<Vec<_>>();
    for pair in ticks(450).windows(2) {
        enter(&day(), None, (&pair[0], &pair[1]), &path).unwrap();
    }
    let account = Account::read(&path).unwrap();
    assert_eq!((account.periods.len(), account.periods[0].period), (KEPT, 51));
    std::fs::write(&path, "{").unwrap();
    assert!(matches!(Account::read(&path), Err(FileError::Malformed { .. })));
}
