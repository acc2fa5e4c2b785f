//! Sets a hostile authority on a network of four, and measures the other three: whether orders still
//! become final, and what it costs them.
//!
//! ```text
//! cargo build --release && cargo run --release -p tests --bin hostile -- --minutes 10
//! ```
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement prints, or fails")]

use clap::Parser;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tests::drill::measure::{Meter, mebibytes, median_and_longest};
use tests::drill::{self, Load, Staff, judge};
use tests::hostile::{Deeds, Hostile};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

const AUTHORITIES: usize = 4;
/// The hostile one.
const HOSTILE: usize = 3;
/// By how much the memory of the others may grow, in bytes.
const GROWTH_MAX: u64 = 64 << 20;
/// How long the network runs under load before, so that what it needs anyway is counted as such.
const WARM_UP: Duration = Duration::from_secs(20);
/// How often the others are looked at.
const PERIOD: Duration = Duration::from_secs(1);
/// How often a line says how it goes.
const TOLD: Duration = Duration::from_secs(10);

/// A hostile authority among four.
#[derive(Parser)]
struct Arguments {
    /// For how long it is hostile
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Nobody is hostile: what the load alone costs in the same time
    #[arg(long)]
    peaceful: bool,
}

fn main() {
    let Arguments { minutes, peaceful } = Arguments::parse();
    drill::run(AUTHORITIES, move |staff| async move {
        let time = Duration::from_secs_f64(60.0 * minutes);
        tokio::select! {
            () = measure(staff, time, peaceful) => println!("ended: it was measured to the end"),
            signal = told_to_end() => panic!("ended by {signal} from outside"),
        }
    });
}

/// Waits until somebody wants this to end: a long run must not end without a word.
async fn told_to_end() -> &'static str {
    let on = |kind| signal(kind).unwrap();
    let mut hangup = on(SignalKind::hangup());
    let mut interrupt = on(SignalKind::interrupt());
    let mut terminate = on(SignalKind::terminate());
    tokio::select! {
        _ = hangup.recv() => "SIGHUP",
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}

async fn measure(mut staff: Staff, time: Duration, peaceful: bool) {
    staff.found(AUTHORITIES).await;
    staff.start(&staff.all());
    let honest: Vec<usize> = staff.all().into_iter().filter(|one| *one != HOSTILE).collect();
    let load = Load::start_without(&staff, &[HOSTILE]);
    let before = watch_for(&mut staff, &honest, &load, WARM_UP).await;

    let (stop, stopped) = watch::channel(false);
    let hostile = (!peaceful).then(|| let_loose(&mut staff, stopped));
    let during = watch_for(&mut staff, &honest, &load, time).await;
    stop.send_replace(true);
    let deeds = hostile.map(|thread| tokio::task::block_in_place(|| thread.join().unwrap()));
    let deeds = deeds.unwrap_or_default();

    let grown = print(&staff, &before, &during, &deeds);
    let book = load.stop().await;
    judge::close_among(staff, &honest, book).await;
    assert!(grown <= GROWTH_MAX, "memory grew by {}", mebibytes(grown));
}

/// Puts the hostile one in its place, until told to stop.
fn let_loose(staff: &mut Staff, stopped: watch::Receiver<bool>) -> JoinHandle<Deeds> {
    staff.kill(&[HOSTILE]);
    let (network, key, listen) = staff.place_of(HOSTILE);
    staff.ground.thread(HOSTILE, move || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async { Hostile::start(&network, &key, &listen).await.run(stopped).await })
    })
}

/// What was seen in a while.
struct Seen {
    time: Duration,
    meters: Vec<Meter>,
    finality: Vec<Duration>,
    log_bytes: u64,
}

async fn watch_for(staff: &mut Staff, honest: &[usize], load: &Load, time: Duration) -> Seen {
    let begin = Instant::now();
    let process = |one: &usize| Meter::of(staff.process(*one).unwrap());
    let mut meters: Vec<Meter> = honest.iter().map(process).collect();
    let watched = async {
        let mut ticks = tokio::time::interval(PERIOD);
        while begin.elapsed() < time {
            ticks.tick().await;
            for authority in honest {
                let ended = staff.ended(*authority);
                assert!(ended.is_none(), "authority {authority} ended by itself: {ended:?}");
            }
            meters.iter_mut().for_each(Meter::read);
            if begin.elapsed().as_secs().is_multiple_of(TOLD.as_secs()) {
                tell(staff, &meters, load, begin).await;
            }
        }
    };
    let mut finality = Vec::new();
    let ordered = async {
        while begin.elapsed() < time {
            finality.push(load.order().await);
            tokio::time::sleep(PERIOD).await;
        }
    };
    tokio::join!(watched, ordered);
    let log = |one: &usize| std::fs::metadata(staff.log(*one)).map_or(0, |log| log.len());
    Seen { time: begin.elapsed(), meters, finality, log_bytes: honest.iter().map(log).sum() }
}

/// One line of how it goes.
async fn tell(staff: &Staff, meters: &[Meter], load: &Load, begin: Instant) {
    let mut commits = Vec::new();
    for authority in 0..meters.len() {
        commits.push(judge::standing(staff, authority).await);
    }
    let resident = meters.iter().map(|meter| meter.resident_max).max().unwrap_or_default();
    println!(
        "after {:>3} s: {:>6} final, commits and rounds {commits:?}, at most {}",
        begin.elapsed().as_secs(),
        load.acknowledged(),
        mebibytes(resident)
    );
}

/// Prints the table; by how much the memory of any of the honest ones grew.
fn print(staff: &Staff, before: &Seen, during: &Seen, deeds: &Deeds) -> u64 {
    println!("\nhostile for {:.0?}; it sent:", during.time);
    for (trick, count) in deeds {
        println!("  {count:>10} {trick:?}");
    }
    println!(
        "\n| authority | memory before | while hostile | grown by | core before | while hostile |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    let mut grown_max = 0;
    for (index, (then, now)) in before.meters.iter().zip(&during.meters).enumerate() {
        let grown = now.resident_max.saturating_sub(then.resident_max);
        grown_max = grown_max.max(grown);
        println!(
            "| {index} | {} | {} | {} | {:.0} % | {:.0} % |",
            mebibytes(then.resident_max),
            mebibytes(now.resident_max),
            mebibytes(grown),
            then.core_share() * 100.0,
            now.core_share() * 100.0,
        );
    }
    for (when, seen) in [("before", before), ("while hostile", during)] {
        let orders = seen.finality.len();
        println!("{when}: {orders} fresh clients, final {}", median_and_longest(&seen.finality));
    }
    let logged = during.log_bytes - before.log_bytes;
    println!("logs of {} authorities: {}", staff.count() - 1, mebibytes(logged));
    grown_max
}
