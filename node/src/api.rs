//! What clients may ask of a node: submissions, rows, receipts, events. One task per request.

use crate::driver::{Standing, Submission};
use crate::executor::Progress;
use crate::index;
use crate::mempool::NotTaken;
use crate::network::{EventSink, NetworkEvent, NetworkHandle};
use crate::process;
use crate::storage::SharedRows;
use kerbholz_client::ledger::codec;
use kerbholz_client::ledger::execute::{Event, EventBody};
use kerbholz_client::ledger::id::{MemberId, NetworkId, TransactionId};
use kerbholz_client::ledger::quantity::{CommitIndex, Timestamp};
use kerbholz_client::ledger::receipt::Proof;
use kerbholz_client::ledger::rejection::Code;
use kerbholz_client::ledger::rows::{
    KeyRow, Read, ReadError, Row, Table, TransactionRow, key, read,
};
use kerbholz_client::ledger::transaction::{
    CLOCK_SKEW_MAX, TRANSACTION_VERSION, Transaction, UnverifiedTransaction,
};
use kerbholz_client::protocol::{
    Answer, Call, KEYS_MAX, NodeInfo, ROWS_MAX, Refusal, Request, Subscription, WAIT_MS_MAX,
};
use kerbholz_client::receipt::Receipt;
use kerbholz_client::session::now;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// How long a node that is behind lets a reader wait for it.
const BEHIND_WAIT: Duration = Duration::from_secs(5);
/// Most bytes of rows in one answer.
const ROW_BYTES_MAX: usize = 3 << 20;
/// Rows read at once for a page.
const ROWS_AT_ONCE: usize = 8;
/// Commits whose events are read at once for a subscriber.
const EVENT_COMMITS_AT_ONCE: usize = 32;

/// Everything that answering takes.
#[derive(Clone)]
pub struct Service {
    pub(crate) name: String,
    pub(crate) network_id: NetworkId,
    pub(crate) rows: SharedRows,
    pub(crate) progress: watch::Receiver<Progress>,
    pub(crate) standing: watch::Receiver<Standing>,
    pub(crate) submissions: mpsc::Sender<Submission>,
    pub(crate) network: NetworkHandle,
}

impl Service {
    /// Serves until the requests end. How many are served at once is bounded by the network.
    pub async fn run(self, mut requests: mpsc::Receiver<NetworkEvent>) {
        while let Some(request) = requests.recv().await {
            let service = self.clone();
            match request {
                NetworkEvent::Api { bytes, reply, .. } => {
                    tokio::spawn(async move {
                        let answer = match Call::decode(&bytes) {
                            Ok(call) => service.answer(call).await,
                            Err(_) => Answer::Refused(Refusal::BadRequest),
                        };
                        if let Err(error) = reply.send(answer.encode()) {
                            tracing::warn!(%error, "could not answer a request");
                        }
                    });
                }
                NetworkEvent::Subscribe { bytes, sink, .. } => {
                    if let Ok(from) = codec::decode::<Subscription, 1024>(&bytes) {
                        tokio::spawn(service.feed(from, sink));
                    }
                }
                _ => {}
            }
        }
    }

    async fn answer(mut self, call: Call) -> Answer {
        if !self.reach(call.after.get(), BEHIND_WAIT).await {
            return Answer::Refused(Refusal::Behind);
        }
        let answer = match call.request {
            Request::Submit { transaction, wait_ms } => self.submit(transaction, wait_ms).await,
            Request::Transaction { id, wait_ms } => self.wait_final(id, wait_ms).await,
            Request::Get { keys } => self.get(&keys),
            Request::Scan { prefix, from, limit } => self.scan(&prefix, &from, limit),
            Request::Receipt { id, wait_ms } => self.receipt(id, wait_ms).await,
            Request::Info => Ok(Answer::Info(self.info())),
        };
        answer.unwrap_or_else(|error| {
            tracing::error!(%error, "could not answer a request");
            Answer::Refused(Refusal::Failed)
        })
    }

    /// Waits until a commit is executed; whether it was in time.
    async fn reach(&mut self, commit: u64, within: Duration) -> bool {
        let reached = self.progress.wait_for(|progress| progress.commit >= commit);
        matches!(tokio::time::timeout(within, reached).await, Ok(Ok(_)))
    }

    async fn submit(&mut self, bytes: Vec<u8>, wait_ms: u32) -> Result<Answer, ReadError> {
        let rejected = |code| Ok(Answer::Refused(Refusal::Rejected(code)));
        let transaction = match check(&bytes, self.network_id) {
            Ok(transaction) => transaction,
            Err(code) => return rejected(code),
        };
        let id = transaction.id();
        if let Some(row) = self.transaction(id)? {
            return Ok(Answer::Final(row));
        }
        let envelope = transaction.envelope();
        if envelope.expires_at <= now() {
            return rejected(Code::Expired);
        }
        // Strangers could fill the ledger with rejections; so they are refused at the door.
        let signer: Option<KeyRow> =
            read(&*self.rows, &key(Table::Key, &[envelope.signer.as_bytes()]))?;
        if signer.is_none() {
            return rejected(Code::UnknownSigner);
        }
        let (taken, answer) = oneshot::channel();
        let submission = Submission { id, signer: envelope.signer, bytes, taken };
        if self.submissions.send(submission).await.is_err() {
            return Ok(Answer::Refused(Refusal::Failed));
        }
        match answer.await {
            Ok(Ok(()) | Err(NotTaken::Waiting)) => self.wait_final(id, wait_ms).await,
            Ok(Err(NotTaken::Full)) => Ok(Answer::Refused(Refusal::Busy)),
            Err(_) => Ok(Answer::Refused(Refusal::Failed)),
        }
    }

    fn transaction(&self, id: TransactionId) -> Result<Option<TransactionRow>, ReadError> {
        read(&*self.rows, &key(Table::Transaction, &[id.as_bytes()]))
    }

    async fn wait_final(&mut self, id: TransactionId, wait_ms: u32) -> Result<Answer, ReadError> {
        let deadline = deadline(wait_ms);
        loop {
            self.progress.borrow_and_update();
            if let Some(row) = self.transaction(id)? {
                return Ok(Answer::Final(row));
            }
            if !matches!(
                tokio::time::timeout_at(deadline, self.progress.changed()).await,
                Ok(Ok(()))
            ) {
                return Ok(Answer::Pending);
            }
        }
    }

    fn get(&self, keys: &[Vec<u8>]) -> Result<Answer, ReadError> {
        if keys.len() > KEYS_MAX {
            return Ok(Answer::Refused(Refusal::BadRequest));
        }
        let mut values = Vec::with_capacity(keys.len());
        let mut bytes = 0;
        for key in keys {
            let value = self.rows.get(key)?;
            bytes += value.as_ref().map_or(0, Vec::len);
            if bytes > ROW_BYTES_MAX {
                return Ok(Answer::Refused(Refusal::BadRequest));
            }
            values.push(value);
        }
        Ok(Answer::Rows(values))
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: u32) -> Result<Answer, ReadError> {
        let page = page(&*self.rows, prefix, from, limit.min(ROWS_MAX) as usize)?;
        Ok(page.map_or(Answer::Refused(Refusal::BadRequest), Answer::Page))
    }

    async fn receipt(&mut self, id: TransactionId, wait_ms: u32) -> Result<Answer, ReadError> {
        let deadline = deadline(wait_ms);
        loop {
            self.progress.borrow_and_update();
            if let Some(receipt) = self.covered_receipt(id)? {
                return Ok(Answer::Receipt(Box::new(receipt)));
            }
            if !matches!(
                tokio::time::timeout_at(deadline, self.progress.changed()).await,
                Ok(Ok(()))
            ) {
                return Ok(Answer::Pending);
            }
        }
    }

    /// The receipt, if the newest checkpoint covers the transaction.
    fn covered_receipt(&self, id: TransactionId) -> Result<Option<Receipt>, ReadError> {
        let Some(found) = index::receivable(&*self.rows, id)? else { return Ok(None) };
        let Some(covered) = index::covered(&*self.rows)? else { return Ok(None) };
        if found.executed.leaf >= covered.leaves {
            return Ok(None);
        }
        let transaction = (!found.transaction.is_empty()).then_some(found.transaction);
        let proof = Proof::of(&*self.rows, found.executed, transaction, covered.leaves)?;
        Ok(Some(Receipt { proof, checkpoint: covered.checkpoint }))
    }

    fn info(&self) -> NodeInfo {
        let (progress, standing) = (*self.progress.borrow(), *self.standing.borrow());
        let stats = self.network.stats();
        let peers = stats.peers.values().chain(std::iter::once(&stats.departed));
        let (sent, received) = peers.fold((0, 0), |(sent, received), peer| {
            (sent + peer.bytes_sent, received + peer.bytes_received)
        });
        let usage = process::usage();
        NodeInfo {
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: CommitIndex::new(progress.commit),
            commit_time: Timestamp::new(progress.time),
            checkpoint: CommitIndex::new(progress.checkpoint),
            round: standing.round,
            connected: standing.connected,
            waiting: standing.waiting,
            transactions: progress.transactions,
            bytes_sent: sent,
            bytes_received: received,
            cpu_ms: usage.cpu_ms,
            resident_bytes: usage.resident_bytes,
        }
    }

    /// Feeds a subscriber until it leaves, reads too slowly, or the node stops.
    async fn feed(mut self, from: Subscription, mut sink: EventSink) {
        let (mut commit, mut index) = (from.commit.get(), from.index);
        loop {
            let progress = *self.progress.borrow_and_update();
            let events = match index::events(&*self.rows, commit, EVENT_COMMITS_AT_ONCE) {
                Ok(events) => events,
                Err(error) => {
                    tracing::error!(%error, "could not read events");
                    return;
                }
            };
            let more = events.last().map(|last| last.commit.get() + 1);
            for event in events {
                let seen = event.commit.get() == commit && event.index < index;
                if seen || !concerns(&event, from.member) {
                    continue;
                }
                if sink.send(codec::encode(&event).into()).is_err() {
                    return;
                }
            }
            match more {
                Some(next) => (commit, index) = (next, 0),
                None => {
                    // Nothing up to here; a commit that was executed meanwhile wakes us.
                    if commit <= progress.commit {
                        (commit, index) = (progress.commit + 1, 0);
                    }
                    if self.progress.changed().await.is_err() || sink.is_closed() {
                        return;
                    }
                }
            }
        }
    }
}

/// Rows by prefix. The page is cut where it grows too large, and the client asks on from its last
/// row; only where nothing follows is it empty. `None` when not even the first row fits: no request
/// brings that one.
///
/// Read a few at a time: the largest rows have megabytes, and whoever asks need not be a member.
fn page(
    rows: &dyn Read,
    prefix: &[u8],
    from: &[u8],
    limit: usize,
) -> Result<Option<Vec<Row>>, ReadError> {
    let (mut page, mut bytes, mut from) = (Vec::new(), 0, from.to_vec());
    while page.len() < limit {
        let few = rows.scan(prefix, &from, ROWS_AT_ONCE.min(limit - page.len()))?;
        let Some((last, _)) = few.last() else { break };
        from = [last.as_slice(), &[0]].concat();
        for (key, value) in few {
            bytes += key.len() + value.len();
            if bytes > ROW_BYTES_MAX {
                return Ok((!page.is_empty()).then_some(page));
            }
            page.push((key, value));
        }
    }
    Ok(Some(page))
}

fn deadline(wait_ms: u32) -> tokio::time::Instant {
    let wait = Duration::from_millis(u64::from(wait_ms.min(WAIT_MS_MAX)));
    tokio::time::Instant::now() + wait
}

fn concerns(event: &Event, member: Option<MemberId>) -> bool {
    let Some(member) = member else { return true };
    match &event.body {
        EventBody::Final { .. } => false,
        EventBody::Order { buyer, provider, .. } => *buyer == member || *provider == member,
        EventBody::Lot { owner, .. } => *owner == member,
    }
}

/// What can be said of a transaction without any state: as the ledger would, but unrecorded.
fn check(bytes: &[u8], network: NetworkId) -> Result<Transaction, Code> {
    let decoded = UnverifiedTransaction::decode(bytes).map_err(|error| match error {
        codec::DecodeError::TooLong { .. } => Code::TooLarge,
        _ => Code::Malformed,
    })?;
    let transaction = decoded.verify().map_err(|_| Code::BadSignature)?;
    let envelope = transaction.envelope();
    if envelope.version != TRANSACTION_VERSION {
        return Err(Code::UnknownVersion);
    }
    if envelope.network != network {
        return Err(Code::WrongNetwork);
    }
    if envelope.created_at > now().saturating_add(CLOCK_SKEW_MAX) {
        return Err(Code::NotYetValid);
    }
    Ok(transaction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// Rows of one size under the keys 0, 1, 2 ... that notes how much was read of them at once.
    struct Rows {
        count: u8,
        size: usize,
        most: Cell<usize>,
    }

    impl Read for Rows {
        fn get(&self, _: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
            Ok(None)
        }

        fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, ReadError> {
            let keys = (0..self.count).map(|number| [prefix, &[number]].concat());
            let keys = keys.filter(|key| key.as_slice() >= from).take(limit);
            let rows: Vec<Row> = keys.map(|key| (key, vec![0; self.size])).collect();
            self.most.set(self.most.get().max(rows.len() * self.size));
            Ok(rows)
        }
    }

    /// How many rows each page has, until one is empty; `None` where a row fits no page.
    fn pages(rows: &Rows, limit: usize) -> Vec<Option<usize>> {
        let (mut from, mut lengths) = (vec![7], Vec::new());
        loop {
            let page = page(rows, &[7], &from, limit).unwrap();
            lengths.push(page.as_ref().map(Vec::len));
            match page.as_ref().and_then(|page| page.last()) {
                Some((last, _)) => from = [last.as_slice(), &[0]].concat(),
                None => return lengths,
            }
        }
    }

    #[test]
    fn pages_are_cut_by_rows_and_bytes_and_end_with_an_empty_one() {
        let third = ROW_BYTES_MAX / 3;
        // (rows, bytes of each, limit, pages)
        let table: [(u8, usize, usize, &[Option<usize>]); 6] = [
            (0, 10, 5, &[Some(0)]),
            (7, 10, 5, &[Some(5), Some(2), Some(0)]),
            (20, 10, 1_000, &[Some(20), Some(0)]),
            (7, third, 1_000, &[Some(2), Some(2), Some(2), Some(1), Some(0)]),
            (2, ROW_BYTES_MAX - 2, 5, &[Some(1), Some(1), Some(0)]),
            (2, ROW_BYTES_MAX, 5, &[None]),
        ];
        for (count, size, limit, expected) in table {
            let rows = Rows { count, size, most: Cell::default() };
            assert_eq!(pages(&rows, limit), expected, "{count} rows of {size} bytes");
        }
    }

    #[test]
    fn no_more_is_read_at_once_than_a_few_rows() {
        let rows = Rows { count: 200, size: 1 << 20, most: Cell::default() };
        page(&rows, &[7], &[7], 1_000).unwrap();
        assert!(rows.most.get() <= ROWS_AT_ONCE << 20, "{} bytes", rows.most.get());
    }
}
