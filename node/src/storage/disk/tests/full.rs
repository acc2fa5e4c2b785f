//! A disk that fills up, at every size: a real file system, since every write path must see it.

use super::*;
use std::process::Command;

/// Where the child process of the test works; absent in the test itself.
const CHILD: &str = "KERBHOLZ_STORAGE_TEST_FULL";
const NAME: &str = "storage::disk::tests::full::a_full_disk_loses_nothing_at_any_size";

/// Sizes of the disk, in KiB: from one that does not hold an empty directory to one that suffices.
fn sizes() -> impl Iterator<Item = usize> {
    (4..160).step_by(4).chain([8_000])
}

fn mount(path: &Path, options: &str) {
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", options, "tmpfs"])
        .arg(path)
        .status()
        .unwrap();
    assert!(mounted.success());
}

/// What storage said is durable.
#[derive(Debug, Default, PartialEq, Eq)]
struct Acknowledged {
    epoch: u64,
    /// Round of the newest own block, in that epoch.
    own: u64,
    commit: u64,
    evidence: usize,
}

/// The last commit of the first epoch; the second one has four more.
const CLOSING: u64 = 36;

/// Goes on from where it was until all is done, or the disk is full.
fn work(path: &Path, worlds: &[World; 2], done: &mut Acknowledged) -> Result<(), StorageError> {
    let mut storage = open(path)?;
    let found = storage.recover();
    let own = found.own_last.as_ref().map_or(0, |block| block.reference.round.0);
    let epoch = found.epochs.len() as u64 - 1;
    assert!((epoch, own) >= (done.epoch, done.own), "epoch {epoch}, round {own}, {done:?}");
    assert!(found.last_commit >= done.commit, "{} {done:?}", found.last_commit);
    assert!(found.applied_commit.unwrap_or_default() <= found.last_commit);
    let kept = storage.offenders().values().map(|known| known.kept.len()).sum::<usize>();
    assert!(kept >= done.evidence);
    for commit in 1..=CLOSING + 4 {
        let of = u64::from(commit > CLOSING);
        let (world, round) = (&worlds[of as usize], commit - of * CLOSING);
        if of as usize == storage.epochs().len() {
            storage.append_ledger(&[world.beginning()])?;
            (done.epoch, done.own) = (1, 0);
        }
        if (of, round) > (epoch, own) {
            storage.append_blocks(&[world.stored(1, round), world.stored(0, round)])?;
            done.own = round;
        }
        if commit > found.last_commit {
            storage.append_ledger(&world.entries(commit, commit))?;
            done.commit = commit;
        }
        if Some(commit) > found.applied_commit {
            storage.apply(commit, &[row(commit as u8, 1), row(0, commit as u8)])?;
        }
        if round % 4 == 0 {
            storage.sync_state()?;
            storage.keep_evidence(&world.evidence(1, round, 1))?;
            done.evidence = storage.offenders()[&key(1)].kept.len();
        }
    }
    let limits = Limits { commits: 99, bytes: usize::MAX };
    assert_eq!(storage.certified(0, limits)?.unwrap().0.len() as u64, CLOSING);
    let rows = storage.rows().scan(&[], &[], 99).unwrap();
    assert_eq!((rows.len(), &rows[0].1), (41, &vec![40]));
    Ok(())
}

/// In a mount namespace of its own.
fn fill(folder: &Path) {
    let first = World::new(2, CLOSING);
    let second = first.next(CLOSING, vec![0, 1], 4);
    let worlds = [first, second];
    let mut stopped = Vec::new();
    for size in sizes() {
        let disk = folder.join(size.to_string());
        fs::create_dir(&disk).unwrap();
        mount(&disk, &format!("size={size}k"));
        let mut done = Acknowledged::default();
        let data = disk.join("data");
        if let Err(error) = work(&data, &worlds, &mut done) {
            assert!(matches!(error, StorageError::Full { .. }), "{size} KiB: {error:?}");
            assert!(error.to_string().contains("free some space"), "{error}");
            // As full as it was, it says so again and loses nothing more.
            let again = work(&data, &worlds, &mut done);
            assert!(matches!(again, Err(StorageError::Full { .. })), "{size} KiB: {again:?}");
            stopped.push(format!("{size} KiB at {done:?}: {error}"));
            mount(&disk, "remount,size=16m");
            work(&data, &worlds, &mut done).unwrap();
        }
        assert_eq!(done, Acknowledged { epoch: 1, own: 4, commit: 40, evidence: 10 });
    }
    println!("{}", stopped.join("\n"));
    assert!(stopped.len() > 10 && stopped.len() < sizes().count());
}

#[test]
fn a_full_disk_loses_nothing_at_any_size() {
    if let Some(folder) = std::env::var_os(CHILD) {
        return fill(Path::new(&folder));
    }
    let unshare = |rest: &[&std::ffi::OsStr]| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount"]).args(rest);
        command
    };
    let permitted = unshare(&["true".as_ref()]).status().is_ok_and(|status| status.success());
    if !permitted {
        println!("not tested: no namespaces here, so no small disk");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    let arguments =
        [program.as_os_str(), "--exact".as_ref(), "--nocapture".as_ref(), NAME.as_ref()];
    let status = unshare(&arguments).env(CHILD, folder.path()).status().unwrap();
    assert!(status.success());
}
