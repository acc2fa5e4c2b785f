//! What clients may ask of a node: submissions, rows, receipts, events. One task per request.
//!
//! `api/page.rs` fits rows into answers, `api/feed.rs` follows a subscriber through the events.

mod feed;
mod page;

use self::feed::Feed;

use crate::driver::{Standing, Submission};
use crate::executor::{Progress, SharedStorage, lock};
use crate::index;
use crate::mempool::NotTaken;
use crate::network::{EventSink, NetworkEvent, NetworkHandle};
use crate::process;
use crate::storage::{self, SharedRows};
use kerbholz_client::evidence::{Accusation, Offender};
use kerbholz_client::ledger::codec;
use kerbholz_client::ledger::id::{NetworkId, TransactionId};
use kerbholz_client::ledger::keys::PublicKey;
use kerbholz_client::ledger::quantity::{CommitIndex, Epoch, Timestamp};
use kerbholz_client::ledger::query;
use kerbholz_client::ledger::rejection::Code;
use kerbholz_client::ledger::rows::{ReadError, Table, TransactionRow, key, read};
use kerbholz_client::ledger::transaction::{
    CLOCK_SKEW_MAX, TRANSACTION_VERSION, Transaction, UnverifiedTransaction,
};
use kerbholz_client::protocol::{
    Answer, Call, NodeInfo, Refusal, Request, Subscription, WAIT_MS_MAX,
};
use kerbholz_client::session::now;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::block_in_place;
use tokio::time::{Instant, timeout_at};

/// How long a node that is behind lets a reader wait for it.
const BEHIND_WAIT: Duration = Duration::from_secs(5);
/// How long a request may wait altogether. The network gives up an answer a second later.
const ANSWER_WITHIN: Duration = Duration::from_secs(9);

/// Everything that answering takes.
#[derive(Clone)]
pub struct Service {
    pub(crate) name: String,
    pub(crate) network_id: NetworkId,
    pub(crate) rows: SharedRows,
    pub(crate) storage: SharedStorage,
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
        let latest = Instant::now() + ANSWER_WITHIN;
        if !self.reach(call.after.get(), BEHIND_WAIT).await {
            return Answer::Refused(Refusal::Behind);
        }
        let until = |wait_ms: u32| {
            let wait = Duration::from_millis(u64::from(wait_ms.min(WAIT_MS_MAX)));
            latest.min(Instant::now() + wait)
        };
        let answer = match call.request {
            Request::Submit { transaction, wait_ms } => {
                self.submit(transaction, until(wait_ms)).await
            }
            Request::Transaction { id, wait_ms } => self.wait_final(id, until(wait_ms)).await,
            Request::Get { keys } => block_in_place(|| page::get(&*self.rows, &keys)),
            Request::Scan { prefix, from, limit } => {
                block_in_place(|| page::scan(&*self.rows, &prefix, &from, limit))
            }
            Request::Receipt { id, wait_ms } => self.receipt(id, until(wait_ms)).await,
            Request::Info => Ok(Answer::Info(block_in_place(|| self.info()))),
            Request::Offenders => Ok(Answer::Offenders(block_in_place(|| self.offenders()))),
            Request::Epochs { from } => block_in_place(|| page::epochs(&*self.rows, from)),
            Request::Accusation { key, number } => {
                block_in_place(|| self.accusation(key, number)).map(Answer::Accusation)
            }
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

    async fn submit(&mut self, bytes: Vec<u8>, until: Instant) -> Result<Answer, ReadError> {
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
        let known = query::key_holder(&*self.rows, envelope.signer)?.is_some();
        if !known && !query::committee(&*self.rows)?.has(&envelope.signer) {
            return rejected(Code::UnknownSigner);
        }
        let (taken, answer) = oneshot::channel();
        let submission = Submission { transaction, taken };
        if self.submissions.send(submission).await.is_err() {
            return Ok(Answer::Refused(Refusal::Failed));
        }
        match answer.await {
            Ok(Ok(()) | Err(NotTaken::Waiting)) => self.wait_final(id, until).await,
            Ok(Err(NotTaken::Full)) => Ok(Answer::Refused(Refusal::Busy)),
            Err(_) => Ok(Answer::Refused(Refusal::Failed)),
        }
    }

    fn transaction(&self, id: TransactionId) -> Result<Option<TransactionRow>, ReadError> {
        read(&*self.rows, &key(Table::Transaction, &[id.as_bytes()]))
    }

    async fn wait_final(&mut self, id: TransactionId, until: Instant) -> Result<Answer, ReadError> {
        loop {
            self.progress.borrow_and_update();
            if let Some(row) = self.transaction(id)? {
                return Ok(Answer::Final(row));
            }
            if !matches!(timeout_at(until, self.progress.changed()).await, Ok(Ok(()))) {
                return Ok(Answer::Pending);
            }
        }
    }

    async fn receipt(&mut self, id: TransactionId, until: Instant) -> Result<Answer, ReadError> {
        loop {
            self.progress.borrow_and_update();
            if let Some(receipt) = block_in_place(|| index::receipt(&*self.rows, id))? {
                return Ok(Answer::Receipt(Box::new(receipt)));
            }
            if !matches!(timeout_at(until, self.progress.changed()).await, Ok(Ok(()))) {
                return Ok(Answer::Pending);
            }
        }
    }

    fn offenders(&self) -> Vec<Offender> {
        let storage = lock(&self.storage);
        let offender = |(key, known): (&kerbholz_consensus::PublicKey, &storage::Offender)| {
            let kept = known.kept.iter().map(|(epoch, found)| (*epoch, found.round().0)).collect();
            Offender { key: PublicKey::new(key.0), seen: known.seen, kept }
        };
        storage.offenders().iter().map(offender).collect()
    }

    /// A piece of evidence, with the proof of who was an authority then.
    fn accusation(
        &self,
        key: PublicKey,
        number: u32,
    ) -> Result<Option<Box<Accusation>>, ReadError> {
        let key = kerbholz_consensus::PublicKey(*key.as_bytes());
        let kept = lock(&self.storage).offenders().get(&key).map(|known| known.kept.clone());
        let found = kept.unwrap_or_default().into_iter().nth(number as usize);
        let Some((epoch, evidence)) = found else { return Ok(None) };
        let epochs = index::epoch_ends(&*self.rows, Epoch::new(epoch))?;
        Ok(epochs.map(|epochs| Box::new(Accusation { epochs, evidence })))
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
            epoch: standing.epoch,
            round: standing.round,
            duty: standing.duty,
            connected: standing.connected,
            waiting: standing.waiting,
            transactions: progress.transactions,
            bytes_sent: sent,
            bytes_received: received,
            cpu_ms: usage.cpu_ms,
            resident_bytes: usage.resident_bytes,
        }
    }

    /// Feeds a subscriber until it leaves or the node stops. Events are read when there is room for
    /// them, so a subscriber that reads slowly, or begins far back, loses none.
    async fn feed(mut self, from: Subscription, mut sink: EventSink) {
        let mut feed = Feed::new(from);
        loop {
            let reached = self.progress.borrow_and_update().commit;
            let events = match block_in_place(|| feed.next(&*self.rows, reached)) {
                Ok(events) => events,
                Err(error) => {
                    tracing::error!(%error, "could not read events");
                    return;
                }
            };
            let Some(events) = events else {
                tokio::select! {
                    changed = self.progress.changed() => if changed.is_err() { return },
                    () = sink.closed() => return,
                }
                continue;
            };
            for event in events {
                let event = codec::encode(&event);
                sink.room(event.len()).await;
                if sink.send(event.into()).is_err() {
                    return;
                }
            }
        }
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
    use crate::network::NetworkLimits;

    #[test]
    fn whoever_waits_is_answered_before_the_network_gives_up() {
        assert!(BEHIND_WAIT < ANSWER_WITHIN);
        assert!(ANSWER_WITHIN < NetworkLimits::default().answer_timeout);
    }
}
