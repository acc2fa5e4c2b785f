//! Drills: authorities are killed, paused, parted, slowed, filled up and set to another time, while
//! clients keep submitting. Nothing that was acknowledged may be lost or happen twice, the network
//! goes on by itself, and in the end all authorities hold the same ledger.
//!
//! `KERBHOLZ_DRILL_ROUNDS` asks for more rounds of each, `KERBHOLZ_DRILL_SEED` for other ones.
#![expect(clippy::print_stdout, reason = "a drill prints what it measured")]

use kerbholz_client::ledger::rejection::Code;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::time::Duration;
use tests::drill::{Load, Staff, judge, run, setting, until};

const AUTHORITIES: usize = 4;
/// As many may be gone without stopping the others.
const FAULTY: usize = 1;
/// Transactions that must become final between two blows.
const PROGRESS: usize = 20;
/// What nobody may need to come back, on loopback and on any machine: what it does take is printed.
const BACK_MAX: Duration = Duration::from_secs(60);

/// What a narrow link carries.
const KILOBITS_PER_SECOND: u32 = 128;
/// A disk that suffices, and what is left of it when it is about to be full.
const DISK_BYTES: u64 = 64 << 20;
const LEFT_BYTES: u64 = 128 << 10;
/// What a clock that is set by its time server may jump.
const STEP_S: i64 = 5;
/// How far the ledger's time may be from this machine's: a commit is as old as its votes.
const CLOCK_OFF_MAX: Duration = Duration::from_secs(30);

fn rounds(otherwise: u32) -> u32 {
    setting("KERBHOLZ_DRILL_ROUNDS", otherwise)
}

fn random() -> StdRng {
    StdRng::seed_from_u64(setting("KERBHOLZ_DRILL_SEED", 2))
}

/// A network that runs under load.
async fn begin(staff: &mut Staff) -> Load {
    staff.found(AUTHORITIES).await;
    staff.start(&staff.all());
    Load::start(staff)
}

/// Which authorities fall in this round: each alone, then any of them, and all in the last.
fn victims(random: &mut StdRng, round: usize, last: usize) -> Vec<usize> {
    if round < AUTHORITIES && round < last {
        return vec![round];
    }
    let chosen: u32 = match round {
        round if round == last => (1 << AUTHORITIES) - 1,
        _ => random.random_range(1..1 << AUTHORITIES),
    };
    (0..AUTHORITIES).filter(|one| chosen >> one & 1 == 1).collect()
}

/// By how many were killed: how long after the start of the last of them something was final
/// again, and those had executed it.
type Times = BTreeMap<usize, Vec<(Duration, Duration)>>;

fn print(times: &Times) {
    println!("| killed | times | final again: median, longest | caught up: median, longest |");
    println!("| --- | --- | --- | --- |");
    for (killed, times) in times {
        let (mut back, mut level): (Vec<_>, Vec<_>) = times.iter().copied().unzip();
        let column = |times: &mut Vec<Duration>| {
            times.sort();
            format!("{:.2?}, {:.2?}", times[times.len() / 2], times[times.len() - 1])
        };
        let count = times.len();
        println!("| {killed} | {count} | {} | {} |", column(&mut back), column(&mut level));
    }
}

#[test]
fn whoever_is_killed_the_network_goes_on() {
    run(AUTHORITIES, |mut staff| async move {
        let load = begin(&mut staff).await;
        let (mut random, last) = (random(), rounds(8) as usize);
        let mut times = Times::new();
        for round in 0..=last {
            load.progress(random.random_range(1..=PROGRESS)).await;
            let victims = victims(&mut random, round, last);
            staff.kill(&victims);
            if victims.len() <= FAULTY {
                load.progress(PROGRESS).await;
            }
            let started = staff.start(&victims);
            load.order().await;
            let back = started.elapsed();
            judge::reach(&staff, &victims, load.seen()).await;
            let level = started.elapsed();
            println!("killed {victims:?}: final after {back:.2?}, caught up after {level:.2?}");
            assert!(level < BACK_MAX, "{level:?}");
            times.entry(victims.len()).or_default().push((back, level));
        }
        print(&times);
        judge::close(staff, load.stop().await).await;
    });
}

#[test]
fn one_that_is_paused_catches_up() {
    run(AUTHORITIES, |mut staff| async move {
        let load = begin(&mut staff).await;
        for round in 0..rounds(2) as usize {
            let one = round % AUTHORITIES;
            staff.pause(one);
            load.progress(PROGRESS).await;
            staff.resume(one);
            load.progress(PROGRESS).await;
        }
        // Without a quorum nothing is final; with it, everything is.
        for one in 0..=FAULTY {
            staff.pause(one);
        }
        load.stalled().await;
        for one in 0..=FAULTY {
            staff.resume(one);
        }
        let back = load.order().await;
        println!("paused {} of {AUTHORITIES}: final again after {back:.2?}", FAULTY + 1);
        judge::close(staff, load.stop().await).await;
    });
}

#[test]
fn a_parted_network_waits_and_heals() {
    run(AUTHORITIES, |mut staff| async move {
        let load = begin(&mut staff).await;
        for _ in 0..rounds(1) {
            staff.ground.part(&[0, 1], &[2, 3]);
            load.stalled().await;
            staff.ground.heal();
            println!("2|2: final again after {:.2?}", load.order().await);
            load.progress(PROGRESS).await;

            staff.ground.part(&[3], &[0, 1, 2]);
            load.progress(PROGRESS).await;
            assert!(judge::commit(&staff, 3).await < judge::commit(&staff, 0).await, "3 is alone");
            staff.ground.heal();
            println!("1|3: {:.2?}", load.progress(PROGRESS).await);
        }
        judge::close(staff, load.stop().await).await;
    });
}

#[test]
fn one_direction_lost_stops_nobody() {
    run(AUTHORITIES, |mut staff| async move {
        let load = begin(&mut staff).await;
        let lost: [&[(usize, usize)]; 3] =
            [&[(0, 1)], &[(0, 1), (0, 2), (0, 3)], &[(1, 0), (2, 0), (3, 0)]];
        for cuts in lost {
            let before = staff.ground.lost();
            for (from, to) in cuts {
                staff.ground.cut(*from, *to);
            }
            let without = load.progress(PROGRESS).await;
            let lost = staff.ground.lost() - before;
            staff.ground.heal();
            println!("lost {cuts:?}: {PROGRESS} final in {without:.2?}; {lost} did not pass");
            assert!(lost > 0, "nothing was lost: {cuts:?}");
            load.progress(PROGRESS).await;
        }
        judge::close(staff, load.stop().await).await;
    });
}

#[test]
fn a_wiped_disk_is_filled_again_and_its_owner_signs() {
    run(AUTHORITIES, |mut staff| async move {
        let load = begin(&mut staff).await;
        let mut times = Times::new();
        for round in 0..rounds(2) as usize {
            let (one, other) = (round % AUTHORITIES, (round + 1) % AUTHORITIES);
            load.progress(PROGRESS).await;
            staff.kill(&[one]);
            staff.wipe(one);
            let started = staff.start(&[one]);
            load.order().await;
            let back = started.elapsed();
            judge::reach(&staff, &[one], load.seen()).await;
            times.entry(1).or_default().push((back, started.elapsed()));
            until("it signs again", async || !staff.has_lost_log(one)).await;
            println!("wiped {one}: signs again after {:.2?}", started.elapsed());
            // Without the other, nothing is final but what the wiped one signs as well.
            staff.kill(&[other]);
            load.progress(PROGRESS).await;
            staff.start(&[other]);
        }
        print(&times);
        judge::close(staff, load.stop().await).await;
    });
}

#[test]
fn a_narrow_link_is_only_slow() {
    run(AUTHORITIES, |mut staff| async move {
        let load = begin(&mut staff).await;
        let slow = async |staff: &mut Staff, some: &[usize]| {
            for one in some {
                staff.ground.slow(*one, KILOBITS_PER_SECOND);
            }
            let time = load.progress(PROGRESS).await;
            let waited: Vec<u64> = some.iter().map(|one| staff.ground.delayed(*one)).collect();
            println!("narrow {some:?}: {PROGRESS} final in {time:.2?}; waited: {waited:?}");
            // Of several, a full one can hold the others' traffic up so much that they are not.
            assert!(waited.iter().any(|waited| *waited > 0), "not narrow: {waited:?}");
        };
        slow(&mut staff, &[0]).await;
        slow(&mut staff, &[1, 2, 3]).await;
        staff.ground.heal();
        load.progress(PROGRESS).await;
        judge::close(staff, load.stop().await).await;
    });
}

#[test]
fn a_full_disk_stops_one_and_loses_nothing() {
    run(AUTHORITIES, |mut staff| async move {
        if !staff.ground.can_mount() {
            println!("not drilled: no file system can be mounted here");
            return;
        }
        staff.found(AUTHORITIES).await;
        staff.give_disk(0, DISK_BYTES);
        staff.start(&staff.all());
        let load = Load::start(&staff);
        for _ in 0..rounds(2) {
            load.progress(PROGRESS).await;
            staff.resize_disk(0, staff.disk_used(0) + LEFT_BYTES);
            let status = staff.ends(0).await;
            assert_eq!(status.code(), Some(6), "a data directory that cannot be used: {status}");
            let log = std::fs::read_to_string(staff.log(0)).unwrap();
            assert!(log.contains("free some space on this disk"), "{log}");
            load.progress(PROGRESS).await;
            staff.resize_disk(0, DISK_BYTES);
            staff.start(&[0]);
            load.progress(PROGRESS).await;
        }
        judge::close(staff, load.stop().await).await;
    });
}

#[test]
fn a_clock_that_jumps_moves_nobody_else() {
    run(AUTHORITIES, |mut staff| async move {
        staff.found(AUTHORITIES).await;
        if !staff.give_clocks() {
            println!("not drilled: no libfaketime here (Debian: apt install faketime)");
            return;
        }
        staff.start(&staff.all());
        // What the one with the wrong clock would refuse, nobody need submit there.
        let load = Load::start_without(&staff, &[0]);
        let jumps = [(3_600, Some(Code::Expired)), (-3_600, Some(Code::NotYetValid)), (0, None)];
        for (ahead_s, refused) in jumps {
            staff.set_clock(0, ahead_s);
            assert_eq!(load.refusal_by(&staff, 0).await, refused, "its clock is {ahead_s:+} s off");
            println!("one {ahead_s:+} s: {:.2?}", load.progress(PROGRESS).await);
            let off = judge::ledger_clock_off(&staff, 1).await;
            assert!(off < CLOCK_OFF_MAX, "the ledger is {off:?} off");
        }
        for ahead_s in [STEP_S, 0, -STEP_S, 0] {
            for authority in staff.all() {
                staff.set_clock(authority, ahead_s);
            }
            println!("all {ahead_s:+} s: {:.2?}", load.progress(PROGRESS).await);
        }
        judge::close(staff, load.stop().await).await;
    });
}
