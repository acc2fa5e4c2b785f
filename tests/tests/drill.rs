//! A fire drill: authorities are killed and started again, random ones of them and at last all at
//! once, while clients keep submitting. Nothing that was acknowledged may be lost or happen twice,
//! the network must go on by itself, and in the end all authorities must hold the same ledger.
//!
//! `KERBHOLZ_DRILL_SEED` and `KERBHOLZ_DRILL_BLOWS` choose other fires.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use kerbholz_client::ledger::id::{MemberId, TransactionId};
use kerbholz_client::ledger::keys::Keypair;
use kerbholz_client::ledger::operation::{MoneyIssue, Operation};
use kerbholz_client::ledger::quantity::Minor;
use kerbholz_client::ledger::rows::{CurrencyRow, LedgerRow, Table, TransactionRow, key};
use kerbholz_client::network::read_key;
use kerbholz_client::{ClientError, Network, Session};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::future::Future;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(120);
const AUTHORITIES: usize = 4;
/// As many may be gone without stopping the others.
const FAULTY: usize = 1;
const CLIENTS: usize = 4;
/// Transactions that must become final between two blows.
const PROGRESS: usize = 20;
const BLOWS: u32 = 8;
const SEED: u64 = 2;

/// The program: `KERBHOLZ_BIN`, or where cargo puts it beside this test.
fn program() -> PathBuf {
    let beside = || {
        let test = std::env::current_exe().unwrap();
        test.parent().and_then(Path::parent).unwrap().join("kerbholz")
    };
    let path = std::env::var_os("KERBHOLZ_BIN").map_or_else(beside, PathBuf::from);
    assert!(path.exists(), "{} is missing: cargo build -p kerbholz-node", path.display());
    path
}

fn setting<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// A network's folder and its authorities' processes.
struct Authorities {
    folder: PathBuf,
    running: Vec<Option<Child>>,
}

impl Authorities {
    fn make(folder: &Path) -> Self {
        let init = ["init", "--organisation", "forge", "--organisation", "printworks"];
        let made = Command::new(program())
            .args(init)
            .arg("--dir")
            .arg(folder)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success());
        Self { folder: folder.to_owned(), running: (0..AUTHORITIES).map(|_| None).collect() }
    }

    /// Starts those that do not run; returns when they listen.
    fn start(&mut self) {
        let mut started = Vec::new();
        for (index, running) in self.running.iter_mut().enumerate() {
            if running.is_some() {
                continue;
            }
            let mut child = Command::new(program())
                .args(["node", "--exit-with-parent", "--dir"])
                .arg(self.folder.join(format!("authorities/authority-{index}")))
                .env("KERBHOLZ_LOG", setting("KERBHOLZ_LOG", "warn".to_owned()))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            started.push((index, child.stdout.take().unwrap()));
            *running = Some(child);
        }
        for (index, stdout) in started {
            let line = BufReader::new(stdout).lines().next();
            assert!(line.is_some(), "authority {index} ended before it listened");
        }
    }

    /// Pulls the plug of some, all at the same moment.
    fn kill(&mut self, victims: &[usize]) {
        let mut victims: Vec<Child> =
            victims.iter().filter_map(|victim| self.running[*victim].take()).collect();
        for victim in &mut victims {
            victim.kill().unwrap();
        }
        for victim in &mut victims {
            victim.wait().unwrap();
        }
    }
}

impl Drop for Authorities {
    fn drop(&mut self) {
        self.kill(&(0..AUTHORITIES).collect::<Vec<_>>());
    }
}

/// What the clients have done: every transaction that was signed, and what they were told of it.
#[derive(Default)]
struct Book {
    /// What each of them issues: an amount of its own.
    signed: BTreeMap<TransactionId, u64>,
    acknowledged: BTreeMap<TransactionId, TransactionRow>,
}

/// Clients that issue money, no amount twice, each waiting until it is final.
struct Load {
    book: Arc<Mutex<Book>>,
    stop: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(network: &Network, issuer: &Keypair, to: MemberId) -> Self {
        let (book, stop) = (Arc::<Mutex<Book>>::default(), Arc::<AtomicBool>::default());
        let client = |_| {
            let session = Session::open(network, issuer).unwrap();
            tokio::spawn(issue(session, to, Arc::clone(&book), Arc::clone(&stop)))
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { book, stop, clients }
    }

    fn acknowledged(&self) -> usize {
        self.book.lock().unwrap().acknowledged.len()
    }

    /// Waits until so many more are final.
    async fn progress(&self, more: usize) {
        let aim = self.acknowledged() + more;
        until("transactions become final", async || self.acknowledged() >= aim).await;
    }

    async fn stop(self) -> Book {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
        std::mem::take(&mut self.book.lock().unwrap())
    }
}

async fn issue(session: Session, to: MemberId, book: Arc<Mutex<Book>>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let transaction = {
            let mut book = book.lock().unwrap();
            let cents = book.signed.len() as u64 + 1;
            let issue = MoneyIssue { currency: "EUR".into(), to, amount: Minor::new(cents) };
            let transaction = session.sign(vec![Operation::IssueMoney(issue)]);
            assert_eq!(book.signed.insert(transaction.id(), cents), None, "no id twice");
            transaction
        };
        let id = transaction.id();
        match session.submit_signed(&transaction).await {
            Ok(applied) => {
                book.lock().unwrap().acknowledged.insert(id, applied.row);
            }
            // Nobody could tell in time: it may have happened or not, but not twice.
            Err(ClientError::Undecided { .. }) => {}
            Err(error) => panic!("{id}: {error}"),
        }
    }
}

async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let begin = Instant::now();
    while !holds().await {
        assert!(begin.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A session with one authority and no other: nobody listens where it looks for those.
fn only(network: &Network, authority: usize) -> Session {
    let mut addresses = network.all_addresses().clone();
    let name = &network.genesis().authorities[authority].name;
    for (other, at) in &mut addresses {
        if other != name {
            *at = vec!["/ip4/127.0.0.1/tcp/1".parse().unwrap()];
        }
    }
    let alone = Network::new(network.genesis().clone(), addresses).unwrap();
    // A stranger's key: reading needs no membership.
    Session::open(&alone, &Keypair::from_seed(&[authority as u8 + 1; 32])).unwrap()
}

/// What an authority's ledger comes to, but for the commits in which nothing happened.
async fn sum(session: &Session) -> Result<(u64, [u8; 32], [u8; 32]), ClientError> {
    let row: LedgerRow = session.row(key(Table::Ledger, &[])).await?.unwrap();
    Ok((row.log_leaves, *row.log_root.as_bytes(), *row.state_digest.as_bytes()))
}

/// All authorities hold the same ledger, with every acknowledged transaction as it was acknowledged,
/// and exactly the money that these and the unacknowledged ones it executed issued.
async fn compare(network: &Network, book: &Book) {
    let sessions: Vec<Session> = (0..AUTHORITIES).map(|index| only(network, index)).collect();
    until("all authorities hold the same ledger", async || {
        let mut sums = Vec::new();
        for session in &sessions {
            sums.push(sum(session).await.ok());
        }
        sums[0].is_some() && sums.iter().all(|sum| *sum == sums[0])
    })
    .await;
    for (authority, session) in sessions.iter().enumerate() {
        let keys = book.signed.keys().map(|id| key(Table::Transaction, &[id.as_bytes()])).collect();
        let rows: Vec<Option<TransactionRow>> = session.rows(keys).await.unwrap();
        let mut applied = 0;
        for ((id, cents), row) in book.signed.iter().zip(&rows) {
            if let Some(acknowledged) = book.acknowledged.get(id) {
                assert_eq!(row.as_ref(), Some(acknowledged), "{id} at authority {authority}");
            }
            applied += row.as_ref().map_or(0, |row| row.result.map_or(0, |()| *cents));
        }
        let euro: CurrencyRow =
            session.row(key(Table::Currency, &[b"EUR"])).await.unwrap().unwrap();
        assert_eq!(euro.issued, Minor::new(applied), "each once, at authority {authority}");
    }
}

/// Which authorities fall at this blow: any of them, and all at the last.
fn victims(random: &mut StdRng, blow: u32, last: u32) -> Vec<usize> {
    if blow == last {
        return (0..AUTHORITIES).collect();
    }
    loop {
        let chosen: u32 = random.random_range(1..1 << AUTHORITIES);
        let victims: Vec<usize> = (0..AUTHORITIES).filter(|one| chosen >> one & 1 == 1).collect();
        // Mostly small fires: those are what the network must live through without a pause.
        if victims.len() <= FAULTY || random.random_range(0..2) == 0 {
            return victims;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_final_is_lost_whoever_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut authorities = Authorities::make(folder.path());
    authorities.start();
    let network = Network::open(folder.path()).unwrap();
    let issuer = read_key(&folder.path().join("members/forge.key")).unwrap();
    let to = read_key(&folder.path().join("members/printworks.key")).unwrap();
    let load = Load::start(&network, &issuer, MemberId::of(&to.public()));

    let seed = setting("KERBHOLZ_DRILL_SEED", SEED);
    let blows = setting("KERBHOLZ_DRILL_BLOWS", BLOWS);
    let mut random = StdRng::seed_from_u64(seed);
    for blow in 1..=blows {
        load.progress(random.random_range(1..=PROGRESS)).await;
        let victims = victims(&mut random, blow, blows);
        authorities.kill(&victims);
        let begin = Instant::now();
        if victims.len() <= FAULTY {
            load.progress(PROGRESS).await;
        }
        let without = begin.elapsed();
        authorities.start();
        let begin = Instant::now();
        load.progress(PROGRESS).await;
        let total = load.acknowledged();
        eprintln!(
            "seed {seed}, blow {blow}: killed {victims:?}, went on without for {without:?}, again \
             after {:?}; {total} final",
            begin.elapsed()
        );
    }
    compare(&network, &load.stop().await).await;
}
