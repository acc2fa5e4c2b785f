//! Drills: authorities are killed, paused, parted, slowed, filled up and set to another time, while
//! clients keep submitting. Nothing that was acknowledged may be lost or happen twice, the network
//! goes on by itself, and in the end all authorities hold the same ledger.
//!
//! `KERBHOLZ_DRILL_ROUNDS` asks for more rounds of each, `KERBHOLZ_DRILL_SEED` for other ones.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;
use tests::drill::{Load, Staff, judge, run, setting};

const AUTHORITIES: usize = 4;
/// As many may be gone without stopping the others.
const FAULTY: usize = 1;
/// Transactions that must become final between two blows.
const PROGRESS: usize = 20;
/// What nobody may need to come back, on loopback and on any machine: what it does take is printed.
const BACK_MAX: Duration = Duration::from_secs(60);

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

#[test]
fn whoever_is_killed_the_network_goes_on() {
    run(AUTHORITIES, |mut staff| async move {
        let load = begin(&mut staff).await;
        let (mut random, last) = (random(), rounds(8) as usize);
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
            println!("killed {victims:?}: final again after {back:.2?}");
            assert!(back < BACK_MAX, "{back:?}");
        }
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
            for (from, to) in cuts {
                staff.ground.cut(*from, *to);
            }
            let without = load.progress(PROGRESS).await;
            staff.ground.heal();
            println!("lost {cuts:?}: {PROGRESS} final in {without:.2?}");
            load.progress(PROGRESS).await;
        }
        judge::close(staff, load.stop().await).await;
    });
}
