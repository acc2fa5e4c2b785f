//! Storage over epochs: what begins anew, what goes on, and a crash at every byte between.

use std::sync::OnceLock;

use super::super::super::recovery;
use super::super::super::testing::{copy, flip, memory, truncate};
use super::*;

/// The second epoch: its first authority is new, its second one is [`OWN`].
fn second() -> &'static World {
    static SECOND: OnceLock<World> = OnceLock::new();
    SECOND.get_or_init(|| world().next(6, vec![5, OWN.0], 9))
}

/// The third one, without [`OWN`].
fn third() -> &'static World {
    static THIRD: OnceLock<World> = OnceLock::new();
    THIRD.get_or_init(|| second().next(9, vec![5, 6, 7], 4))
}

/// Six commits of the first epoch, of which own blocks 7 and 8 are no part.
fn first(storage: &mut dyn Storage) {
    for round in 1..=8 {
        storage.append_blocks(&[world().stored(1, round), world().stored(0, round)]).unwrap();
    }
    storage.append_ledger(&world().entries(1, 6)).unwrap();
}

/// Blocks of four rounds of the second epoch, of which three are committed.
fn go_on(storage: &mut dyn Storage) {
    storage.append_ledger(&[second().beginning()]).unwrap();
    for round in 1..=4 {
        let mut own = second().stored(1, round);
        own.own = true;
        let mut other = second().stored(0, round);
        other.own = false;
        storage.append_blocks(&[other, own]).unwrap();
    }
    storage.append_ledger(&second().entries(7, 9)).unwrap();
}

fn rounds_of(blocks: &[RawBlock]) -> Vec<u64> {
    blocks.iter().map(|block| block.reference.round.0).collect()
}

/// Everything that depends on epochs, as text.
fn answers(storage: &mut dyn Storage) -> Vec<String> {
    let found = storage.recover();
    let mut answers = vec![format!("{:?}", found.epochs), format!("{:?}", storage.epochs())];
    answers.push(format!("{:?} {:?}", found.own_last, found.own_before));
    answers.push(format!("{:?} {}", found.blocks, found.lost_log));
    for round in 0..=9 {
        answers.push(format!("{:?}", storage.own_blocks_after(Round(round), 3).unwrap()));
        for author in 0..3 {
            let newest = storage.newest_of(AuthorityIndex(author), Round(round)).unwrap();
            answers.push(format!("{newest:?}"));
        }
    }
    for after in 0..=10 {
        for commits in [1, 2, 4, 100] {
            let limits = Limits { commits, bytes: usize::MAX };
            answers.push(format!("{:?}", storage.certified(after, limits).unwrap()));
        }
        answers.push(format!("{:?}", storage.commit_header(after).unwrap()));
    }
    for block in world().round(8).iter().chain(second().round(4)).chain(world().round(1)) {
        answers.push(format!("{:?}", storage.block(&block.reference()).unwrap()));
    }
    answers
}

fn own_rounds(storage: &dyn Storage) -> Vec<u64> {
    rounds_of(&storage.own_blocks_after(Round(0), 99).unwrap())
}

#[test]
fn rounds_begin_anew_and_commits_go_on() {
    let root = tempfile::tempdir().unwrap();
    let mut storage = open(root.path()).unwrap();
    first(&mut storage);
    assert_eq!(own_rounds(&storage), [1, 2, 3, 4, 5, 6, 7, 8]);
    go_on(&mut storage);
    assert_eq!(own_rounds(&storage), [1, 2, 3, 4]);
    storage.forget_through(Round(3)).unwrap();
    drop(storage);
    let mut storage = open(root.path()).unwrap();
    let found = storage.recover();
    assert_eq!(own_rounds(&storage), [1, 2, 3, 4]);
    assert_eq!(rounds(&found), [(4, 0), (4, 1)]);
    assert_eq!(rounds_of(&found.own_before), [7, 8]);
    let bases: Vec<_> = found.epochs.iter().map(|epoch| (epoch.number(), epoch.base)).collect();
    assert_eq!((bases, found.last_commit), (vec![(0, 0), (1, 6)], 9));
    for index in 1..=9 {
        let epoch = Epoch::of(storage.epochs(), index).unwrap();
        assert_eq!(epoch.number(), u64::from(index > 6));
        let stored = storage.commit(index).unwrap().unwrap();
        stored.verify(&epoch.committee().unwrap()).unwrap();
    }
    // What consensus is given is of the new epoch, but for what is to be offered again.
    let start = recovery(&storage, &found).unwrap();
    assert_eq!(start.committee.config(), second().committee.config());
    let commits: Vec<_> = start.recovery.commits.iter().map(|commit| commit.index()).collect();
    assert_eq!(commits, [7, 8, 9]);
    let closing = world().commit_at(6);
    let base = kerbholz_consensus::Base { index: 6, time: closing.time() };
    assert_eq!(start.recovery.base, base);
    assert_eq!(start.recovery.own_last.as_ref(), Some(&second().round(4)[1]));
    assert_eq!(start.before, [world().round(7)[0].clone(), world().round(8)[0].clone()]);
    let entries: Result<Vec<_>, _> = SegmentReader::open(root.path()).unwrap().collect();
    let expected =
        [world().entries(1, 6), vec![second().beginning()], second().entries(7, 9)].concat();
    assert_eq!(entries.unwrap(), expected);
}

/// Who is no authority any more has no own blocks, and its logs of earlier epochs go.
#[test]
fn a_follower_goes_on_without_own_blocks() {
    let root = tempfile::tempdir().unwrap();
    let mut storage = open(root.path()).unwrap();
    first(&mut storage);
    go_on(&mut storage);
    storage.append_ledger(&[third().beginning()]).unwrap();
    assert_eq!(storage.directory().logs().unwrap(), [1, 2]);
    storage.append_ledger(&third().entries(10, 12)).unwrap();
    drop(storage);
    let mut storage = open(root.path()).unwrap();
    let found = storage.recover();
    assert_eq!((found.own_last, rounds_of(&found.own_before)), (None, vec![4]));
    assert_eq!((own_rounds(&storage), found.last_commit), (vec![], 12));
    assert_eq!(storage.directory().logs().unwrap(), [1, 2]);
    assert_eq!(storage.block(&world().round(8)[0].reference()).unwrap(), None);
}

#[test]
fn memory_and_disk_answer_alike_in_every_epoch() {
    let root = tempfile::tempdir().unwrap();
    let mut disk = open(root.path()).unwrap();
    disk.log_recovered().unwrap();
    drop(disk);
    let mut memory = memory();
    type Step = fn(&mut dyn Storage);
    let third: Step = |storage| storage.append_ledger(&[third().beginning()]).unwrap();
    for step in [first as Step, go_on, third] {
        // Opened anew, so that what is found is compared as well.
        step(&mut open(root.path()).unwrap());
        step(&mut memory);
        assert_eq!(answers(&mut open(root.path()).unwrap()), answers(&mut memory));
    }
}

#[test]
fn only_what_follows_begins_an_epoch() {
    let root = tempfile::tempdir().unwrap();
    let mut disk = open(root.path()).unwrap();
    let mut memory = memory();
    let config = second().committee.config();
    let wrong = [
        CommitteeConfig { epoch: 2, ..config.clone() },
        CommitteeConfig { network: kerbholz_consensus::NetworkId([8; 32]), ..config.clone() },
        CommitteeConfig { previous: world().commit_at(5).digest(), ..config.clone() },
        CommitteeConfig { authorities: vec![], ..config.clone() },
    ];
    for storage in [&mut disk as &mut dyn Storage, &mut memory] {
        storage.append_ledger(&world().entries(1, 5)).unwrap();
        let early = storage.append_ledger(&[world().entry(6), second().beginning()]);
        assert!(matches!(early, Err(StorageError::NoEpoch { epoch: 1, last: 6, .. })), "{early:?}");
        storage.append_ledger(&world().entries(6, 6)).unwrap();
        for config in &wrong {
            let refused = storage.append_ledger(&[LedgerEntry::Epoch(config.clone())]);
            assert!(matches!(refused, Err(StorageError::NoEpoch { .. })), "{config:?}");
        }
        assert_eq!((storage.epochs().len(), storage.last_commit()), (1, 6));
        storage.append_ledger(&[second().beginning()]).unwrap();
        assert_eq!(storage.epochs().len(), 2);
    }
}

/// The checkpoint on which an epoch builds may stand in a segment that holds no commit yet.
#[test]
fn an_epoch_begins_behind_a_checkpoint_that_came_late() {
    let root = tempfile::tempdir().unwrap();
    let mut storage = open(root.path()).unwrap();
    storage.segments.set_target(1);
    let checkpoint = |index| LedgerEntry::Checkpoint(world().checkpoint(index));
    let first = [world().entries(1, 3), vec![world().entry(4), world().entry(5), world().entry(6)]];
    storage.append_ledger(&first.concat()).unwrap();
    storage.append_ledger(&[checkpoint(4)]).unwrap();
    storage.append_ledger(&[checkpoint(6), second().beginning()]).unwrap();
    storage.append_ledger(&second().entries(7, 9)).unwrap();
    let limits = Limits { commits: 99, bytes: usize::MAX };
    for _ in 0..2 {
        let (headers, last) = storage.certified(4, limits).unwrap().unwrap();
        let indexes: Vec<_> = headers.iter().map(|header| header.index).collect();
        assert_eq!((indexes, last), (vec![5, 6], world().checkpoint(6)));
        let (headers, last) = storage.certified(6, limits).unwrap().unwrap();
        assert_eq!((headers.len(), last), (3, second().checkpoint(9)));
        drop(storage);
        storage = open(root.path()).unwrap();
        assert_eq!((storage.epochs().len(), storage.last_commit()), (2, 9));
    }
    let entries: Result<Vec<_>, _> = SegmentReader::open(root.path()).unwrap().collect();
    let epochs = entries.unwrap().into_iter().filter(|e| matches!(e, LedgerEntry::Epoch(_)));
    assert_eq!(epochs.count(), 1);
}

/// A first epoch that waits for the second, and what the crash of a step in between leaves.
struct Beginning {
    root: tempfile::TempDir,
    /// The first epoch's segment, closed, and the length it had before.
    closed: Vec<u8>,
    length: usize,
    /// The second epoch's segment.
    begun: Vec<u8>,
}

const FIRST: &str = "ledger/00000000000000000001.seg";
const SECOND: &str = "ledger/00000000000000000007.seg";
const SECOND_LOG: &str = "log/00000000000000000001";

impl Beginning {
    fn new() -> Self {
        let (root, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut storage = open(root.path()).unwrap();
        storage.log_recovered().unwrap();
        first(&mut storage);
        drop(storage);
        copy(root.path(), after.path());
        open(after.path()).unwrap().append_ledger(&[second().beginning()]).unwrap();
        let read = |root: &Path, name: &str| fs::read(root.join(name)).unwrap();
        let (closed, begun) = (read(after.path(), FIRST), read(after.path(), SECOND));
        let length = read(root.path(), FIRST).len();
        Self { root, closed, length, begun }
    }

    /// Opens what a crash leaves: so many epochs are there, nothing is lost, and it goes on.
    fn check(&self, epochs: usize, crash: impl Fn(&Path)) {
        let copied = tempfile::tempdir().unwrap();
        copy(self.root.path(), copied.path());
        crash(copied.path());
        let mut storage = open(copied.path()).unwrap();
        let found = storage.recover();
        assert_eq!((found.lost_log, found.last_commit, found.epochs.len()), (false, 6, epochs));
        assert_eq!(own_rounds(&storage).len(), if epochs == 1 { 8 } else { 0 });
        if epochs == 1 {
            storage.append_ledger(&[second().beginning()]).unwrap();
        }
        drop(storage);
        let mut storage = open(copied.path()).unwrap();
        assert_eq!(rounds_of(&storage.recover().own_before), [7, 8]);
        storage.append_ledger(&second().entries(7, 9)).unwrap();
    }
}

#[test]
fn a_crash_leaves_the_old_epoch_or_the_new_one() {
    let begin = Beginning::new();
    let log = |path: &Path, name: &str| fs::create_dir_all(path.join(name)).unwrap();
    let mark = |path: &Path| {
        log(path, SECOND_LOG);
        let mark = super::super::super::watermark::Watermark::initial_file();
        fs::write(path.join(SECOND_LOG).join("WATERMARK"), mark).unwrap();
    };
    let write = |path: &Path, name: &str, bytes: &[u8]| fs::write(path.join(name), bytes).unwrap();
    begin.check(1, |path| log(path, &format!("{SECOND_LOG}.tmp")));
    begin.check(1, mark);
    for cut in (begin.length..begin.closed.len()).step_by(31) {
        begin.check(1, |path| write(path, FIRST, &begin.closed[..cut]));
    }
    for cut in (0..begin.begun.len()).step_by(31) {
        begin.check(1, |path| {
            mark(path);
            write(path, FIRST, &begin.closed);
            write(path, &format!("{SECOND}.tmp"), &begin.begun[..cut]);
        });
    }
    begin.check(2, |path| {
        mark(path);
        write(path, FIRST, &begin.closed);
        write(path, SECOND, &begin.begun);
    });
}

/// The ledger's end must not fall back behind what was signed.
#[test]
fn an_epoch_that_was_signed_in_is_never_forgotten() {
    let root = tempfile::tempdir().unwrap();
    let mut storage = open(root.path()).unwrap();
    first(&mut storage);
    storage.append_ledger(&[second().beginning()]).unwrap();
    let mut own = second().stored(1, 1);
    own.own = true;
    storage.append_blocks(&[own]).unwrap();
    drop(storage);
    let segment = root.path().join("ledger/00000000000000000007.seg");
    let whole = fs::read(&segment).unwrap();
    for position in (88..whole.len()).step_by(5) {
        flip(&segment, position, 1);
        assert!(open(root.path()).is_err(), "byte {position}");
        fs::write(&segment, &whole[..position]).unwrap();
        assert!(open(root.path()).is_err(), "cut to {position}");
        fs::write(&segment, &whole).unwrap();
    }
    truncate(&segment, whole.len() as u64);
    assert_eq!(open(root.path()).unwrap().recover().epochs.len(), 2);
}

/// Cut at any byte, a log that was begun in the new epoch asks the others; it never signs again.
#[test]
fn the_log_of_the_new_epoch_may_be_lost_like_any_other() {
    let root = tempfile::tempdir().unwrap();
    let mut storage = open(root.path()).unwrap();
    storage.log_recovered().unwrap();
    first(&mut storage);
    go_on(&mut storage);
    let log = storage.directory().log(1);
    drop(storage);
    fs::remove_dir_all(log).unwrap();
    let found = open(root.path()).unwrap().recover();
    assert_eq!((found.lost_log, found.own_last, found.last_commit), (true, None, 9));
    assert_eq!(rounds_of(&found.own_before), [7, 8]);
}
