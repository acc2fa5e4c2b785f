//! Drills: networks of real `kerbholz node` processes to which bad things happen.
//!
//! ```text
//! Ground   where authorities stand and how they reach one another: cut, slow, heal
//! Staff    the authorities' processes: start, kill, pause, stop
//! Load     clients that never stop submitting, and the book of what they were told
//! judge    whether the authorities' ledgers keep every word of that book
//! ```
//!
//! What happens to the network is in `tests/tests/drill.rs`, with the numbers that a consortium may
//! expect. Every wait here is for a condition and has a deadline.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "what fails here fails a test, by panicking"
)]

pub mod ground;
pub mod judge;
pub mod load;
pub mod measure;
mod namespaces;
mod relays;
pub mod staff;

pub use ground::Ground;
pub use load::Load;
pub use staff::Staff;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long anything may take on a machine that is busy with other work.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// One drill at a time: they measure times.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs a drill for so many authorities, on a thread and in a runtime of its own: both stand where
/// the ground is, and with them everything that the drill starts.
pub fn run<F, D>(authorities: usize, drill: D)
where
    F: Future<Output = ()>,
    D: FnOnce(Staff) -> F + Send + 'static,
{
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let thread = std::thread::spawn(move || {
        let ground = Ground::enter(authorities);
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async { drill(Staff::hire(ground)).await });
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// A number from the environment: how a long run is asked for.
pub fn setting<T: FromStr>(name: &str, otherwise: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// The program: `KERBHOLZ_BIN`, or where cargo puts it beside this one.
pub fn program() -> PathBuf {
    let beside = || {
        let this = std::env::current_exe().unwrap();
        let mut folders = this.ancestors().skip(1).take(2);
        folders.find_map(|folder| Some(folder.join("kerbholz")).filter(|path| path.exists()))
    };
    let path = std::env::var_os("KERBHOLZ_BIN").map(PathBuf::from).or_else(beside);
    let found = path.filter(|path| Path::exists(path));
    found.expect("no kerbholz beside this program: cargo build, or set KERBHOLZ_BIN")
}

/// Waits until a condition holds; how long that took.
///
/// # Panics
/// After [`PATIENCE`].
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) -> Duration {
    let begin = Instant::now();
    while !holds().await {
        assert!(begin.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    begin.elapsed()
}
