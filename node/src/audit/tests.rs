//! A small ledger of four authorities, whole and then damaged in every way.

mod world;

use super::*;
use crate::storage::StorageError;
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use world::{Forgery, World};

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// What a replay reads: the version file and the segments.
fn read_files(data: &Path) -> Vec<PathBuf> {
    let is_read = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "seg") || path.ends_with("VERSION")
    };
    files(data).into_iter().filter(is_read).collect()
}

fn outcome(world: &World) -> Result<Report, AuditError> {
    replay(&world.data(), &world.genesis, &mut ()).map(|replayed| replayed.report)
}

/// The replay must not accept it, and must name the file or the commit.
fn assert_named(result: Result<Report, AuditError>, path: &Path, how: &str) {
    match result {
        Err(AuditError::Difference(difference)) => assert!(difference.commit <= 9, "{difference}"),
        Err(AuditError::File(error)) => {
            let text = error.to_string();
            assert!(text.contains(&path.parent().unwrap().display().to_string()), "{how}: {text}");
        }
        Err(AuditError::Cut(ending)) => {
            assert!(ending.to_string().contains(&path.display().to_string()), "{how}: {ending}");
        }
        Err(other) => panic!("{how}: {other}"),
        Ok(report) => panic!("{how} was found in order: {report:?}"),
    }
}

#[test]
fn a_whole_ledger_is_recomputed_and_agrees() {
    for authorities in [1, 4] {
        let world = World::new(authorities, Forgery::None);
        let replayed = replay(&world.data(), &world.genesis, &mut ()).unwrap();
        let report = &replayed.report;
        assert_eq!(report.commits, world.commits());
        assert_eq!(report.transactions, world.transactions());
        assert_eq!(report.rejected, 1);
        assert_eq!(report.checkpoint, world.commits() - 1);
        assert_eq!(report.commits_after_checkpoint, 1);
        assert_eq!(report.log_root, hex::encode(world.log_root()));
        assert_eq!(replayed.state, world.state());
        assert!(report.balances_checked > 1);
        assert!(report.decided_through_round > 1, "{report:?}");
    }
}

#[test]
fn every_forgery_is_named() {
    for (forgery, what) in [
        (Forgery::Checkpoint, "signatures"),
        (Forgery::LogRoot, "root of the transaction log"),
        (Forgery::StateDigest, "digest of the state"),
        (Forgery::CommitDigest, "commit's digest"),
        (Forgery::Time, "commit's time"),
        (Forgery::Skipped, "commit"),
    ] {
        let world = World::new(4, forgery);
        let error = outcome(&world).unwrap_err();
        let AuditError::Difference(difference) = &error else { panic!("{forgery:?}: {error}") };
        assert!(difference.to_string().contains(what), "{forgery:?}: {difference}");
        let names = matches!(forgery, Forgery::LogRoot | Forgery::StateDigest);
        assert_eq!(difference.transaction.is_some(), names, "{difference}");
    }
}

#[test]
fn the_committee_of_a_later_epoch_follows_from_the_votes() {
    for authorities in [2, 4, 7] {
        let world = World::changing(authorities, Forgery::None);
        let replayed = replay(&world.data(), &world.genesis, &mut ()).unwrap();
        let report = &replayed.report;
        assert_eq!((report.epochs, report.commits), (2, world.commits()));
        assert_eq!(report.checkpoint, world.commits() - 1);
        assert_eq!(report.transactions, world.transactions());
        let committee = kerbholz_ledger::query::committee(&replayed.state).unwrap();
        assert_eq!(committee.decided_in, CommitIndex::new(world::CLOSING));
        let same = compare(&world.data(), &world.data(), &committee_of(&world)).unwrap();
        assert_eq!((same.commits, same.against), (world.commits(), world.commits()));
    }
}

#[test]
fn an_epoch_that_nobody_decided_so_is_named() {
    for (forgery, commit, what) in [
        (Forgery::Beyond, world::CLOSING + 1, "the end of epoch 0: expected no commit of it after"),
        (Forgery::OtherCommittee, world::CLOSING, "the committee of epoch 1: expected epoch 1 of "),
        (Forgery::Undecided, world::CLOSING, "the committee: expected that of epoch 0"),
    ] {
        let world = World::changing(4, forgery);
        let error = outcome(&world).unwrap_err();
        let AuditError::Difference(difference) = &error else { panic!("{forgery:?}: {error}") };
        assert_eq!(difference.commit, commit, "{difference}");
        assert!(difference.to_string().contains(what), "{forgery:?}: {difference}");
    }
}

fn committee_of(world: &World) -> Committee {
    kerbholz_client::network::committee(&world.genesis).unwrap()
}

#[test]
fn another_network_is_refused() {
    let world = World::new(1, Forgery::None);
    let mut genesis = world.genesis.clone();
    genesis.name = "another".into();
    let error = replay(&world.data(), &genesis, &mut ()).map(|_| ()).unwrap_err();
    assert!(error.is_difference(), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let error = replay(empty.path(), &world.genesis, &mut ()).map(|_| ()).unwrap_err();
    assert!(matches!(error, AuditError::File(StorageError::NoLedger { .. })), "{error}");
}

/// What lies in the folder is somebody's data: no advice to move it away.
#[test]
fn a_folder_without_a_ledger_is_named_as_such() {
    let world = World::new(1, Forgery::None);
    let data = world.data();
    let nowhere = data.join("nowhere");
    for folder in [data.parent().unwrap(), data.join("state").as_path(), nowhere.as_path()] {
        let error = replay(folder, &world.genesis, &mut ()).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("no ledger here: name"), "{error}");
    }
}

#[test]
fn every_flipped_byte_of_a_small_ledger_is_found() {
    let world = World::new(1, Forgery::None);
    for path in read_files(&world.data()) {
        let whole = fs::read(&path).unwrap();
        for offset in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[offset] ^= 1 << (offset % 8);
            fs::write(&path, &bytes).unwrap();
            let how = format!("byte {offset} of {}", path.display());
            assert_named(outcome(&world), &path, &how);
        }
        fs::write(&path, &whole).unwrap();
    }
    outcome(&world).unwrap();
}

#[test]
fn every_truncation_is_found_or_shows_fewer_commits() {
    let world = World::new(1, Forgery::None);
    for path in read_files(&world.data()) {
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            match outcome(&world) {
                // After a whole entry nobody can tell from this copy alone: the report says where
                // it ends, and another authority's ledger tells.
                Ok(report) => assert!(
                    report.commits < world.commits()
                        || report.checkpoint < world.commits() - 1
                        || report.commits_after_checkpoint == 0,
                    "{length}: {report:?}"
                ),
                result => assert_named(result, &path, &format!("cut to {length} bytes")),
            }
        }
        fs::write(&path, &whole).unwrap();
    }
}

#[test]
fn two_ledgers_agree_as_far_as_both_reach_or_the_first_difference_is_named() {
    let world = World::new(4, Forgery::None);
    let other = world.beside(Forgery::Skipped);
    let same = compare(&world.data(), &world.data(), &committee_of(&world)).unwrap();
    assert_eq!((same.commits, same.against), (world.commits(), world.commits()));
    let error = compare(&world.data(), &other.data(), &committee_of(&world)).unwrap_err();
    let AuditError::Difference(difference) = error else { panic!("{error}") };
    assert_eq!(difference.commit, world::FORGED);
}

#[test]
fn a_torn_ledger_is_nothing_to_compare_with() {
    let world = World::new(1, Forgery::None);
    let torn = world.beside(Forgery::None);
    let files = read_files(&torn.data());
    let segment = files.iter().find(|path| path.extension().is_some_and(|e| e == "seg")).unwrap();
    let bytes = fs::read(segment).unwrap();
    fs::write(segment, &bytes[..bytes.len() - 1]).unwrap();
    let error = compare(&world.data(), &torn.data(), &committee_of(&world)).unwrap_err();
    assert!(matches!(error, AuditError::Cut(_)), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_flipped_anywhere_are_found(
        places in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..4),
        segment in any::<prop::sample::Index>(),
    ) {
        let world = World::changing(4, Forgery::None);
        let mut paths = read_files(&world.data());
        paths.retain(|path| path.extension().is_some_and(|e| e == "seg"));
        let path = segment.get(&paths);
        let mut bytes = fs::read(path).unwrap();
        let whole = bytes.clone();
        for (place, mask) in places {
            let offset = place.index(bytes.len());
            bytes[offset] ^= mask;
        }
        prop_assume!(bytes != whole);
        fs::write(path, &bytes).unwrap();
        assert_named(outcome(&world), path, "flipped bytes");
    }
}
