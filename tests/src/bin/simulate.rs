//! `cargo run --release -p tests --bin simulate -- --seeds 0..1000`: runs the simulator by hand.

use clap::{Parser, ValueEnum};
use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    ops::Range,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tests::{
    adversary::Name,
    simulator::{
        Outcome,
        plan::{Liars, Options, Weather},
        run,
        tally::Tally,
    },
};

/// Runs whole simulated networks, and says what happened.
#[derive(Parser)]
#[command(name = "simulate")]
struct Arguments {
    /// Replay one seed with a readable log.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Run many seeds, from the first up to but without the last: 0..1000.
    #[arg(long, value_parser = seeds, required_unless_present = "seed")]
    seeds: Option<Range<u64>>,
    /// Fix the weather.
    #[arg(long)]
    weather: Option<Sky>,
    /// Fix who lies: a name for one of them, a name and "+" for as many as are tolerated, "mixed"
    /// for as many of any kind, "none".
    #[arg(long, value_parser = liars)]
    adversary: Option<Liars>,
    /// Fix the number of authorities.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=128))]
    nodes: Option<u16>,
    /// Fix whether the committee changes.
    #[arg(long)]
    votes: Option<bool>,
    /// Run each seed twice, and compare everything that happened.
    #[arg(long)]
    twice: bool,
    /// Begin no further seed after so many minutes.
    #[arg(long)]
    minutes: Option<u64>,
    /// How many seeds to run at once.
    #[arg(long, default_value_t = thread::available_parallelism().map_or(1, usize::from))]
    jobs: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Sky {
    Calm,
    Mixed,
    Storm,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let range = text
        .split_once("..")
        .and_then(|(from, to)| Some(from.trim().parse().ok()?..to.trim().parse().ok()?));
    range.filter(|range| !range.is_empty()).ok_or("give two numbers: 0..1000".into())
}

fn liars(text: &str) -> Result<Liars, String> {
    let (name, all) = text.strip_suffix('+').map_or((text, false), |name| (name, true));
    let found = Name::ALL.iter().copied().find(|known| known.text() == name);
    match (name, found) {
        ("none", _) => Ok(Liars::None),
        ("mixed", _) => Ok(Liars::Mixed),
        (_, Some(name)) if all => Ok(Liars::All(name)),
        (_, Some(name)) => Ok(Liars::One(name)),
        (_, None) => {
            let names: Vec<&str> = Name::ALL.iter().map(|name| name.text()).collect();
            Err(format!("give one of none, mixed, {}", names.join(", ")))
        }
    }
}

impl Arguments {
    fn options(&self) -> Options {
        Options {
            nodes: self.nodes.map(usize::from),
            weather: self.weather.map(|sky| match sky {
                Sky::Calm => Weather::Calm,
                Sky::Mixed => Weather::Mixed,
                Sky::Storm => Weather::Storm,
            }),
            liars: self.adversary,
            votes: self.votes,
        }
    }

    /// What to type to see a seed again.
    fn replay(&self, seed: u64) -> String {
        let mut command = format!("cargo run --release -p tests --bin simulate -- --seed {seed}");
        let arguments: Vec<String> = std::env::args().collect();
        for pair in arguments.windows(2) {
            if ["--weather", "--adversary", "--nodes", "--votes"].contains(&pair[0].as_str()) {
                command += &format!(" {} {}", pair[0], pair[1]);
            }
        }
        command
    }
}

/// What many runs came to.
#[derive(Default)]
struct Summary {
    seeds: u64,
    tally: Tally,
    failed: Vec<Outcome>,
}

#[expect(clippy::print_stdout, reason = "a program that prints its findings")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(seed) = arguments.seed {
        let outcome = alone(|| run(seed, &arguments.options(), true));
        print_table(1, &outcome.tally);
        println!("everything that happened: {}", hex::encode(outcome.hash));
        let twice = arguments.twice.then(|| alone(|| run(seed, &arguments.options(), false)));
        if twice.is_some_and(|again| again.hash != outcome.hash) {
            println!("a second run differed");
            return ExitCode::FAILURE;
        }
        return print_failures(&arguments, &[outcome]);
    }
    let seeds = arguments.seeds.clone().unwrap_or(0..0);
    let summary = run_all(seeds, &arguments);
    print_table(summary.seeds, &summary.tally);
    print_failures(&arguments, &summary.failed)
}

/// In a pool of one thread: what a node does in parallel is done in turn, and at no cost.
fn alone<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
        Ok(pool) => pool.install(run),
        Err(_) => run(),
    }
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

fn run_all(seeds: Range<u64>, arguments: &Arguments) -> Summary {
    let bar = ProgressBar::new(seeds.end - seeds.start);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {eta} left {msg}")
    {
        bar.set_style(style);
    }
    let started = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let summary = Mutex::new(Summary::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let is_late = arguments.minutes.is_some_and(|most| started.elapsed() >= minutes(most));
            if seed >= seeds.end || is_late {
                return;
            }
            let mut outcome = run(seed, &arguments.options(), false);
            if arguments.twice && run(seed, &arguments.options(), false).hash != outcome.hash {
                outcome.violations.push(tests::oracle::Violation {
                    rule: "a seed means the same twice",
                    what: "a second run differed".into(),
                    at_ms: 0,
                });
            }
            let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
            summary.tally.add(&outcome.tally);
            summary.seeds += 1;
            if let Some(violation) = outcome.violations.first() {
                bar.println(format!("seed {seed}: {}", violation.rule));
                summary.failed.push(outcome);
                bar.set_message(format!("({} failed)", summary.failed.len()));
            }
            bar.inc(1);
        }
    };
    thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| alone(work));
        }
    });
    bar.finish();
    let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    summary.failed.sort_by_key(|outcome| outcome.seed);
    summary
}

#[expect(clippy::print_stdout, reason = "a program that prints its findings")]
fn print_table(seeds: u64, tally: &Tally) {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.add_row(["seeds".to_owned(), seeds.to_string()]);
    let hours = tally.simulated_ms as f64 / 3_600_000.0;
    table.add_row(["simulated hours".to_owned(), format!("{hours:.1}")]);
    for (what, count) in tally.rows().into_iter().skip(1) {
        table.add_row([what.to_owned(), count.to_string()]);
    }
    for (name, count) in &tally.liars {
        table.add_row([format!("authorities that were: {}", name.text()), count.to_string()]);
    }
    println!("{table}");
}

#[expect(clippy::print_stdout, reason = "a program that prints its findings")]
fn print_failures(arguments: &Arguments, outcomes: &[Outcome]) -> ExitCode {
    let failed: Vec<&Outcome> =
        outcomes.iter().filter(|outcome| !outcome.violations.is_empty()).collect();
    for outcome in &failed {
        for violation in &outcome.violations {
            let at = violation.at_ms as f64 / 1_000.0;
            println!(
                "seed {} at {at:.3} s, \"{}\": {}",
                outcome.seed, violation.rule, violation.what
            );
        }
        println!("    {}", arguments.replay(outcome.seed));
    }
    println!("{} seeds with violations", failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
