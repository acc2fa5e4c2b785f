//! The rows: read, scanned, damaged, rebuilt.

use super::*;
use crate::storage::testing::{copy, files, flip, truncate};
use proptest::prelude::*;

fn write(key: &[u8], value: Option<&[u8]>) -> Write {
    Write { key: key.into(), value: value.map(Into::into) }
}

fn all(state: &State) -> Vec<Row> {
    state.rows().scan(&[], &[], usize::MAX).unwrap()
}

/// Three batches of rows, synced and closed.
fn filled(directory: &Path) -> Vec<Row> {
    let (mut state, reason) = State::open(directory).unwrap();
    assert_eq!((state.applied_commit(), reason), (None, None));
    for commit in 1..=3u8 {
        let rows: Vec<_> =
            (0..40u8).map(|n| write(&[commit, n], Some(&[n ^ commit; 20]))).collect();
        state.apply(commit.into(), &rows).unwrap();
    }
    state.apply(4, &[write(&[1, 0], None), write(&[1, 1], Some(b"changed"))]).unwrap();
    state.sync().unwrap();
    all(&state)
}

#[test]
fn rows_are_read_by_key_and_scanned_by_prefix() {
    let root = tempfile::tempdir().unwrap();
    filled(&root.path().join("state"));
    let (state, reason) = State::open(&root.path().join("state")).unwrap();
    assert_eq!((state.applied_commit(), reason), (Some(4), None));
    let rows = state.rows();
    assert_eq!(rows.get(&[1, 0]).unwrap(), None);
    assert_eq!(rows.get(&[1, 1]).unwrap().as_deref(), Some(b"changed".as_slice()));
    assert_eq!(rows.get(&[2, 7]).unwrap(), Some(vec![5; 20]));
    let keys = |prefix: &[u8], from: &[u8], limit| {
        let rows = rows.scan(prefix, from, limit).unwrap();
        rows.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    assert_eq!(keys(&[2], &[], 2), [[2, 0], [2, 1]]);
    assert_eq!(keys(&[2], &[2, 38], 9), [[2, 38], [2, 39]]);
    assert_eq!(keys(&[2], &[1], 1), [[2, 0]]);
    assert_eq!(keys(&[2], &[3], 9), [[0; 2]; 0]);
    assert_eq!(keys(&[9], &[], 9), [[0; 2]; 0]);
    assert_eq!(keys(&[], &[3, 39], 9), [[3, 39]]);
}

#[test]
fn the_last_write_of_a_key_counts() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("state");
    let (mut state, _) = State::open(&path).unwrap();
    let writes = [write(b"a", Some(b"1")), write(b"b", Some(b"1")), write(b"a", Some(b"2"))];
    state.apply(1, &writes).unwrap();
    state.apply(2, &[write(b"b", Some(b"3")), write(b"b", None)]).unwrap();
    let expected = vec![(b"a".to_vec(), b"2".to_vec())];
    assert_eq!(all(&state), expected);
    drop(state);
    let (state, reason) = State::open(&path).unwrap();
    assert_eq!((all(&state), reason), (expected, None));
}

#[test]
fn reading_goes_on_while_another_thread_writes() {
    let root = tempfile::tempdir().unwrap();
    let (mut state, _) = State::open(&root.path().join("state")).unwrap();
    state.apply(0, &[write(b"n", Some(&0u64.to_le_bytes()))]).unwrap();
    let rows = state.rows();
    let reader = std::thread::spawn(move || {
        let mut last = 0;
        while last < 200 {
            let bytes = rows.get(b"n").unwrap().unwrap();
            let now = u64::from_le_bytes(bytes.try_into().unwrap());
            assert!(now >= last);
            last = now;
        }
    });
    for n in 1..=200u64 {
        state.apply(n, &[write(b"n", Some(&n.to_le_bytes()))]).unwrap();
    }
    reader.join().unwrap();
}

#[test]
fn rows_changed_behind_our_back_do_not_match_their_fingerprint() {
    let changes: [(&[u8], Option<&[u8]>); 4] =
        [(&[1, 2, 5], Some(b"x")), (&[1, 2, 5], None), (&[1, 9], Some(b"")), (META, None)];
    for (key, value) in changes {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("state");
        filled(&path);
        let (state, reason) = State::open(&path).unwrap();
        assert_eq!(reason, None);
        match value {
            Some(value) => state.rows.tree.insert(key, value).unwrap(),
            None => state.rows.tree.remove(key).unwrap(),
        };
        drop(state);
        let (state, reason) = State::open(&path).unwrap();
        assert!(reason.is_some() && all(&state).is_empty());
        assert_eq!(state.applied_commit(), None);
    }
}

#[test]
fn a_store_that_is_in_use_is_not_taken_for_damaged() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("state");
    let (state, _) = State::open(&path).unwrap();
    let rows = state.rows();
    drop(state);
    assert!(matches!(State::open(&path), Err(StorageError::InUse { .. })));
    drop(rows);
    assert!(State::open(&path).is_ok());
}

#[test]
fn each_lost_file_costs_a_rebuild_at_most() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("state");
    let rows = filled(&path);
    for file in files(&path) {
        let copied = tempfile::tempdir().unwrap();
        copy(&path, copied.path());
        fs::remove_file(copied.path().join(file.strip_prefix(&path).unwrap())).unwrap();
        check_damaged(copied.path(), &rows);
    }
}

/// The rows are whole, or given up with a reason, or of an earlier batch; never anything else.
fn check_damaged(path: &Path, rows: &[Row]) {
    let state_path = path.join("state");
    fs::create_dir(&state_path).unwrap();
    for file in files(path) {
        let target = state_path.join(file.strip_prefix(path).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::rename(&file, target).unwrap();
    }
    let (mut state, reason) = State::open(&state_path).unwrap();
    let found = all(&state);
    match (state.applied_commit(), reason) {
        (None, Some(_)) => {
            assert!(found.is_empty());
            assert!(path.join("state.damaged").is_dir());
        }
        (None, None) => assert!(found.is_empty()),
        (Some(4), None) => assert_eq!(found, rows),
        (Some(commit), None) => assert_eq!(found.len() as u64, 40 * commit),
        (Some(_), Some(reason)) => panic!("rows beside a reason to rebuild: {reason}"),
    }
    state.apply(5, &[write(b"z", Some(b"goes on"))]).unwrap();
    state.sync().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// One changed byte or a truncation anywhere in the store's files: never a wrong row, never a
    /// panic that goes further.
    #[test]
    fn damage_to_any_file_is_found(
        file in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        mask in 1u8..,
        cut in any::<bool>(),
    ) {
        static FILLED: std::sync::OnceLock<(tempfile::TempDir, Vec<Row>)> =
            std::sync::OnceLock::new();
        let (root, rows) = FILLED.get_or_init(|| {
            let root = tempfile::tempdir().unwrap();
            let rows = filled(root.path());
            (root, rows)
        });
        let copied = tempfile::tempdir().unwrap();
        copy(root.path(), copied.path());
        let files: Vec<_> = files(copied.path())
            .into_iter()
            .filter(|file| fs::metadata(file).unwrap().len() > 0)
            .collect();
        let path = &files[file.index(files.len())];
        // Most of the database file is empty: damage what is used.
        let content = fs::read(path).unwrap();
        let used = content.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
        let place = place.index(used);
        if cut { truncate(path, place as u64) } else { flip(path, place, mask) }
        check_damaged(copied.path(), rows);
    }
}
