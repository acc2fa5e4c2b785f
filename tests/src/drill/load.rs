//! Clients that keep submitting whatever happens, and the book of what they were told.

use super::{Staff, until};
use kerbholz_client::ledger::id::{MemberId, TransactionId};
use kerbholz_client::ledger::keys::Keypair;
use kerbholz_client::ledger::operation::{MoneyIssue, Operation};
use kerbholz_client::ledger::quantity::Minor;
use kerbholz_client::ledger::rejection::Code;
use kerbholz_client::ledger::rows::TransactionRow;
use kerbholz_client::protocol::Refusal;
use kerbholz_client::{ClientError, Network, Session};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

const CLIENTS: usize = 4;
/// For how long nothing may become final for the network to count as stalled: far more than a
/// round, far less than a silence that peers would notice.
const STALLED: Duration = Duration::from_secs(2);

/// What the clients have done: every transaction that was signed, and what they were told of it.
#[derive(Default)]
pub struct Book {
    /// What each of them issues: an amount of its own.
    pub signed: BTreeMap<TransactionId, u64>,
    /// Those that were said to be final.
    pub acknowledged: BTreeMap<TransactionId, TransactionRow>,
}

/// Clients that issue money, no amount twice, each waiting until it is final.
pub struct Load {
    network: Network,
    issuer: Keypair,
    to: MemberId,
    book: Arc<Mutex<Book>>,
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Begins.
    pub fn start(staff: &Staff) -> Self {
        Self::start_without(staff, &[])
    }

    /// Begins, with clients that do not know of some of the authorities.
    pub fn start_without(staff: &Staff, without: &[usize]) -> Self {
        let mut load = Self::none(staff, without);
        for _ in 0..CLIENTS {
            let client = load.client();
            let stop = Arc::clone(&load.stop);
            load.clients.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    client.issue().await.unwrap();
                }
            }));
        }
        load
    }

    /// Only the book, for those who submit by [`Self::order`].
    pub fn none(staff: &Staff, without: &[usize]) -> Self {
        Self {
            network: staff.network_without(without),
            issuer: staff.member("forge"),
            to: MemberId::of(&staff.member("printworks").public()),
            book: Arc::default(),
            stop: Arc::default(),
            clients: Vec::new(),
        }
    }

    fn client(&self) -> Client {
        self.client_of(&self.network)
    }

    fn client_of(&self, network: &Network) -> Client {
        let session = Session::open(network, &self.issuer).unwrap();
        Client { session, to: self.to, book: Arc::clone(&self.book) }
    }

    /// Whether an authority refuses, at the door, what any other would take.
    pub async fn refusal_by(&self, staff: &Staff, authority: usize) -> Option<Code> {
        let others: Vec<usize> = staff.all().into_iter().filter(|one| *one != authority).collect();
        let client = self.client_of(&staff.network_without(&others));
        client.issue().await.err()
    }

    /// How many transactions are final, as far as clients know.
    pub fn acknowledged(&self) -> usize {
        self.book.lock().unwrap().acknowledged.len()
    }

    /// The newest commit that a client has heard of.
    pub fn seen(&self) -> u64 {
        let book = self.book.lock().unwrap();
        book.acknowledged.values().map(|row| row.commit.get()).max().unwrap_or_default()
    }

    /// Waits until so many more are final; how long that took.
    pub async fn progress(&self, more: usize) -> Duration {
        let aim = self.acknowledged() + more;
        until("transactions become final", async || self.acknowledged() >= aim).await
    }

    /// Waits until nothing becomes final any more.
    pub async fn stalled(&self) {
        let (mut last, mut since) = (self.acknowledged(), Instant::now());
        until("the network stalls", async || {
            let now = self.acknowledged();
            if now != last {
                (last, since) = (now, Instant::now());
            }
            since.elapsed() >= STALLED
        })
        .await;
    }

    /// One transaction by a client that comes fresh to the network: how long until it is final,
    /// connecting included.
    pub async fn order(&self) -> Duration {
        let begin = Instant::now();
        let client = self.client();
        while !client.issue().await.unwrap() {}
        begin.elapsed()
    }

    /// The same, from the moment in which that client is connected.
    pub async fn order_by_connected(&self) -> Duration {
        let client = self.client();
        client.session.info().await.unwrap();
        let begin = Instant::now();
        while !client.issue().await.unwrap() {}
        begin.elapsed()
    }

    /// Ends, when every client has its last answer: the book.
    pub async fn stop(self) -> Book {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
        std::mem::take(&mut self.book.lock().unwrap())
    }
}

struct Client {
    session: Session,
    to: MemberId,
    book: Arc<Mutex<Book>>,
}

impl Client {
    /// Issues money once; whether it is final, or why it was not taken.
    async fn issue(&self) -> Result<bool, Code> {
        let transaction = {
            let mut book = self.book.lock().unwrap();
            let cents = book.signed.len() as u64 + 1;
            let (currency, amount) = ("EUR".into(), Minor::new(cents));
            let issue = MoneyIssue { currency, to: self.to, amount };
            let transaction = self.session.sign(vec![Operation::IssueMoney(issue)]);
            assert_eq!(book.signed.insert(transaction.id(), cents), None, "no id twice");
            transaction
        };
        let id = transaction.id();
        match self.session.submit_signed(&transaction).await {
            Ok(applied) => {
                self.book.lock().unwrap().acknowledged.insert(id, applied.row);
                Ok(true)
            }
            // Nobody could tell in time: it may have happened or not, but not twice.
            Err(ClientError::Undecided { .. }) => Ok(false),
            Err(ClientError::Refused(Refusal::Rejected(code))) => Err(code),
            Err(error) => panic!("{id}: {error}"),
        }
    }
}
