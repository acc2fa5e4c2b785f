//! What a machine spends on a block it accepts: admission, the DAG, the commit rule and the order, for
//! committees of 4, 10 and 50, beside the cost of checking one signature in the same process.
//!
//! `cargo bench -p tests --bench consensus`. Blocks are verified beforehand, as the node hands them
//! over. At the end a table gives the time per accepted block, as a multiple of one signature check and
//! divided by n: if the last column stays, the cost is linear in n.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark ends where something is missing"
)]
#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group};
use kerbholz_client::consensus as kerbholz_consensus;
use kerbholz_consensus::{Checkpoint, CommitDigest, Statement};
use others::{Faulty, Network, committee, signer};

#[path = "../../consensus/tests/others/mod.rs"]
mod others;

const SIZES: [u16; 3] = [4, 10, 50];
const FAULTS: [Faulty; 3] = [Faulty::None, Faulty::Mute, Faulty::Equivocating];
/// Rounds before the first that is measured: the collection depth and more, so that a machine holds
/// as much as it ever does.
const WARM_UP_ROUNDS: u64 = 100;

/// A checkpoint with one signature: checking it is checking that.
fn one_signature() -> (Checkpoint, kerbholz_consensus::Committee) {
    let committee = committee(1);
    let statement = Statement {
        index: 1,
        commit_digest: CommitDigest([1; 32]),
        log_root: [2; 32],
        state_digest: [3; 32],
    };
    let signature = signer(0).sign(&statement.signed_message(&committee));
    let author = committee.authorities().next().unwrap();
    (Checkpoint { statement, signatures: vec![(author, signature)] }, committee)
}

/// The time that so many accepted blocks take, in whole rounds and then in proportion.
fn accept(network: &mut Network, blocks: u64) -> Duration {
    let before = network.accepting;
    while network.accepting.blocks - before.blocks < blocks {
        network.rounds(1);
    }
    let (time, done) =
        (network.accepting.time - before.time, network.accepting.blocks - before.blocks);
    Duration::from_secs_f64(time.as_secs_f64() / done as f64 * blocks as f64)
}

fn accepted_block(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("accepted block");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    let (checkpoint, one) = one_signature();
    group.bench_function("one signature check", |bencher| {
        bencher.iter(|| checkpoint.verify(&one).unwrap());
    });
    for n in SIZES {
        for faulty in FAULTS {
            let mut network = Network::new(n, faulty);
            network.rounds(WARM_UP_ROUNDS);
            let id = BenchmarkId::new(format!("{faulty:?}"), n);
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|blocks| accept(&mut network, blocks));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, accepted_block);

/// The same once more as a table: criterion's groups do not compare with one another.
fn table() {
    const ROUNDS: u64 = 200;
    let (checkpoint, one) = one_signature();
    let begin = Instant::now();
    (0..2_000).for_each(|_| checkpoint.verify(&one).unwrap());
    let signature = begin.elapsed().as_secs_f64() / 2_000.0;
    println!("\none signature check: {:.1} us", signature * 1e6);
    println!("  n  f are           per accepted block  signatures  us per n  blocks per commit");
    for n in SIZES {
        for faulty in FAULTS {
            let mut network = Network::new(n, faulty);
            network.rounds(WARM_UP_ROUNDS);
            let (before, commits, ordered) = (network.accepting, network.commits, network.ordered);
            network.rounds(ROUNDS);
            let blocks = network.accepting.blocks - before.blocks;
            let time = (network.accepting.time - before.time).as_secs_f64() / blocks as f64;
            let per_commit =
                (network.ordered - ordered) as f64 / (network.commits - commits).max(1) as f64;
            println!(
                "{n:>3}  {:<14}  {:>15.1} us  {:>10.2}  {:>8.2}  {per_commit:>17.1}",
                format!("{faulty:?}"),
                time * 1e6,
                time / signature,
                time * 1e6 / f64::from(n),
            );
        }
    }
}

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    // A filter or a test run wants the benchmarks only.
    if std::env::args().all(|argument| argument == "--bench" || argument.contains('/')) {
        table();
    }
}
