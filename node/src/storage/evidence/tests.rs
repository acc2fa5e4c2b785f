//! Evidence is kept, bounded and counted; what proves nothing is not.

use super::super::testing::{OWN, flip, genesis, key, memory, world};
use super::super::{DiskStorage, Storage};
use super::*;

fn open(path: &Path) -> DiskStorage {
    DiskStorage::open(path, genesis(), key(OWN.0)).unwrap()
}

fn file(root: &Path) -> PathBuf {
    path(&root.join("evidence"), key(1))
}

#[test]
fn the_first_pieces_are_kept_and_all_are_counted() {
    let root = tempfile::tempdir().unwrap();
    let mut disk = open(root.path());
    let mut memory = memory();
    for storage in [&mut disk as &mut dyn Storage, &mut memory] {
        for number in 1..=20 {
            for _ in 0..2 {
                storage.keep_evidence(&world().evidence(1, 2 + number % 11, number)).unwrap();
            }
        }
        let offender = &storage.offenders()[&key(1)];
        // The first sixteen were known the second time; of the others nobody can tell.
        assert_eq!((offender.kept.len(), offender.seen), (EVIDENCE_KEPT, 16 + 2 * 4));
        let kept = offender.kept.iter().map(|(epoch, evidence)| (*epoch, evidence.round().0));
        assert!(kept.eq((1..=16).map(|number| (0, 2 + number % 11))));
    }
    assert_eq!(disk.offenders(), memory.offenders());
    disk.sync_state().unwrap();
    drop(disk);
    let length = fs::metadata(file(root.path())).unwrap().len();
    let disk = open(root.path());
    assert_eq!(disk.offenders(), memory.offenders());
    assert!(length < 16 * 2 * 400, "{length} bytes");
}

/// What is acknowledged is durable; the number behind it follows with the state.
#[test]
fn the_first_pieces_survive_a_kill_and_the_number_follows() {
    let root = tempfile::tempdir().unwrap();
    let mut disk = open(root.path());
    for number in 1..=18 {
        disk.keep_evidence(&world().evidence(1, 2, number)).unwrap();
    }
    drop(disk);
    let offender = open(root.path()).offenders()[&key(1)].clone();
    assert_eq!((offender.kept.len(), offender.seen), (16, 16));
}

#[test]
fn what_proves_nothing_is_left_out() {
    let mut storage = memory();
    let good = world().evidence(1, 2, 1);
    let mut forged = good.clone();
    forged.second.signature = good.first.signature;
    let mut same = good.clone();
    same.second = good.first.clone();
    let other = super::super::testing::World::new(3, 2).evidence(1, 2, 1);
    for nothing in [forged, same, other] {
        storage.keep_evidence(&nothing).unwrap();
    }
    assert!(storage.offenders().is_empty());
    storage.keep_evidence(&good).unwrap();
    assert_eq!(storage.offenders()[&key(1)].kept, [(0, good)]);
}

/// The index of an authority is another one's in another epoch; its key is not.
#[test]
fn an_offender_is_known_by_its_key_in_every_epoch() {
    let root = tempfile::tempdir().unwrap();
    let next = world().next(3, vec![1, 0], 3);
    let mut disk = open(root.path());
    let mut memory = memory();
    for storage in [&mut disk as &mut dyn Storage, &mut memory] {
        storage.keep_evidence(&world().evidence(1, 2, 1)).unwrap();
        storage.append_ledger(&world().entries(1, 3)).unwrap();
        storage.append_ledger(&[next.beginning()]).unwrap();
        storage.keep_evidence(&next.evidence(0, 2, 1)).unwrap();
        // Seen late, but still of the epoch before.
        storage.keep_evidence(&world().evidence(1, 3, 1)).unwrap();
        let offender = &storage.offenders()[&key(1)];
        let kept: Vec<_> =
            offender.kept.iter().map(|(epoch, found)| (*epoch, found.author().0)).collect();
        assert_eq!(kept, [(0, 1), (1, 0), (0, 1)]);
    }
    drop(disk);
    assert_eq!(open(root.path()).offenders(), memory.offenders());
}

#[test]
fn a_damaged_file_is_reported_and_stops_nobody() {
    let root = tempfile::tempdir().unwrap();
    open(root.path()).keep_evidence(&world().evidence(1, 2, 1)).unwrap();
    let file = file(root.path());
    let whole = fs::read(&file).unwrap();
    for position in (0..whole.len()).step_by(97) {
        flip(&file, position, 1);
        let mut disk = open(root.path());
        let lost = disk.recover().lost;
        assert_eq!(lost.iter().map(|damage| &damage.path).collect::<Vec<_>>(), [&file]);
        assert!(disk.offenders().is_empty());
        fs::write(&file, &whole).unwrap();
    }
    for position in 0..whole.len() {
        assert_eq!(decode(&whole[..position], genesis().network.0), None);
        let mut flipped = whole.clone();
        flipped[position] ^= 4;
        assert_eq!(decode(&flipped, genesis().network.0), None, "byte {position}");
    }
    assert_eq!(decode(&whole, [1; 32]), None, "of another network");
    let mut disk = open(root.path());
    assert!(disk.recover().lost.is_empty());
    assert_eq!(disk.offenders()[&key(1)].seen, 1);
}

#[test]
fn the_file_is_frozen() {
    let evidence = world().evidence(1, 2, 1);
    let offender = Offender { seen: 300, kept: vec![(7, evidence)] };
    let bytes = encode(&offender, key(1), genesis().network.0);
    assert_eq!(hex::encode(&bytes), include_str!("golden.txt").trim());
    assert_eq!(decode(&bytes, genesis().network.0), Some((key(1), offender)));
}
