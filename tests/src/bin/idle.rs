//! Leaves a network of four alone, and measures what it does all the same: processor, disk, commits;
//! and how soon the first order after the silence is final.
//!
//! ```text
//! cargo build --release && cargo run --release -p tests --bin idle -- --minutes 60
//! ```
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement prints, or fails")]

use clap::Parser;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use tests::drill::measure::{Meter, mebibytes, median_and_longest};
use tests::drill::{self, Load, Staff, judge};
use tokio::time::sleep;

const AUTHORITIES: usize = 4;
/// How many orders are timed within load.
const ORDERS: usize = 40;
/// How long after the last order the network is left to come to rest before anything is measured.
const REST: Duration = Duration::from_secs(20);

/// An idle network.
#[derive(Parser)]
struct Arguments {
    /// For how long it is left alone
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
}

fn main() {
    let minutes = Arguments::parse().minutes;
    drill::run(AUTHORITIES, move |staff| measure(staff, Duration::from_secs_f64(60.0 * minutes)));
}

async fn measure(mut staff: Staff, silence: Duration) {
    staff.found(AUTHORITIES).await;
    staff.start(&staff.all());
    let busy = Load::start(&staff);
    let mut within = Vec::new();
    for _ in 0..ORDERS {
        within.push(busy.order_by_connected().await);
    }
    busy.stop().await;

    // What is measured here is time passing: there is no event to wait for.
    sleep(REST).await;
    let mut meters: Vec<Meter> =
        staff.all().iter().map(|one| Meter::of(staff.process(*one).unwrap())).collect();
    let disk = |one: &usize| on_disk(&staff.data(*one));
    let disks: Vec<u64> = staff.all().iter().map(disk).collect();
    let commits = judge::commit(&staff, 0).await;
    sleep(silence).await;
    meters.iter_mut().for_each(Meter::read);
    let grown: Vec<u64> = staff.all().iter().map(disk).collect();
    let commits = judge::commit(&staff, 0).await - commits;
    let quiet = Load::none(&staff, &[]);
    let first = quiet.order_by_connected().await;

    let hours = silence.as_secs_f64() / 3_600.0;
    println!("\nidle for {silence:.0?}:\n");
    println!("| authority | of a core | memory | disk in an hour |\n| --- | --- | --- | --- |");
    for (index, meter) in meters.iter().enumerate() {
        println!(
            "| {index} | {:.3} % | {} | {} |",
            meter.core_share() * 100.0,
            mebibytes(meter.resident_max),
            mebibytes((grown[index].saturating_sub(disks[index]) as f64 / hours) as u64),
        );
    }
    println!("\ncommits a minute: {:.1}", commits as f64 / (60.0 * hours));
    println!("within load, {ORDERS} orders final {}", median_and_longest(&within));
    println!("the first order after the silence final after {first:.0?}");
}

/// What a folder takes up on the disk, in bytes.
fn on_disk(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| match entry.metadata().unwrap() {
            folder if folder.is_dir() => on_disk(&entry.path()),
            file => file.blocks() * 512,
        })
        .sum()
}
