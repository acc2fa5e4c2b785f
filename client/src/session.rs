//! A member's session with the network: signs, submits, repeats, waits, reads.
//!
//! Everything that acts ([`crate::Machine`], [`crate::Organisation`], [`crate::Meter`],
//! [`crate::Publisher`]) is a session with the right verbs. What it reads is in `session/read.rs`, how
//! authorities vote in `session/governance.rs`, and propose in `session/proposals.rs`, what they use in `session/upkeep.rs`.

mod directory;
mod governance;
mod money;
mod proposals;
mod read;
mod single;
mod upkeep;

pub use self::money::{Movement, StatementPage};
pub use self::proposals::{Proposed, Rules};
use crate::connection::{Connection, ConnectionConfig, ConnectionError, Timeouts};
use crate::error::ClientError;
use crate::events::Events;
use crate::network::Network;
use crate::protocol::{Answer, Call, NodeInfo, Refusal, Request, Subscription};
use crate::receipt::Receipt;
use crate::wire::{Authority, PeerKey};
use backon::BackoffBuilder;
use kerbholz_ledger::id::{LotId, MemberId, OrderId, TransactionId};
use kerbholz_ledger::keys::{Keypair, PublicKey};
use kerbholz_ledger::operation::Operation;
use kerbholz_ledger::quantity::{CommitIndex, Milliseconds, Timestamp};
use kerbholz_ledger::rejection::Code;
use kerbholz_ledger::rows::{KeyRow, MemberRow, Table, TransactionRow, key};
use kerbholz_ledger::transaction::{
    Envelope, TRANSACTION_BYTES_MAX, TRANSACTION_VERSION, Transaction,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// How long a transaction made by the SDK may wait to be ordered.
const LIFETIME: Milliseconds = Milliseconds::new(10 * 60 * 1000);
/// How long a node is asked to wait for finality before the SDK asks again.
const WAIT_MS: u32 = 5_000;
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// A member's session. Cheap to clone; ends when the last clone is dropped.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    network: Network,
    key: Keypair,
    connection: Connection,
    /// How long the session keeps trying to learn what became of a transaction.
    finality: Duration,
    /// Index in [`Network::authorities`] of the authority that the connection lists first.
    first: usize,
    /// The newest commit whose effects this client has seen.
    seen: AtomicU64,
    /// When the last transaction was made.
    last_made: AtomicU64,
}

impl Inner {
    /// The time, but later than any answer before: two equal transactions made in the same
    /// millisecond would have one id, and only the first of them would be executed.
    fn distinct_now(&self) -> Timestamp {
        let now = now().get();
        let next = |last: u64| Some(now.max(last.saturating_add(1)));
        // `next` always gives a value, so the update cannot fail.
        let (Ok(last) | Err(last)) =
            self.last_made.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
        Timestamp::new(now.max(last.saturating_add(1)))
    }
}

/// A transaction that is final and was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Its id: derives the ids of what it created, and asks for its receipt.
    pub id: TransactionId,
    /// Where it stands in the ledger.
    pub row: TransactionRow,
    /// From submission to the answer.
    pub finality: Duration,
}

impl Applied {
    /// The id of the order that operation `operation` placed.
    pub fn order(&self, operation: u32) -> OrderId {
        OrderId::of(self.id, operation)
    }

    /// The id of the lot that operation `operation` made as its output `output`.
    pub fn lot(&self, operation: u32, output: u32) -> LotId {
        LotId::of(self.id, operation, output)
    }
}

/// The machine's clock, as the ledger writes time.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl Session {
    /// Opens connections to the network's authorities, with the member's signing key as identity.
    /// Does not wait for them: the first request does.
    ///
    /// # Errors
    /// [`ClientError::Connection`] when no connection can be prepared.
    pub fn open(network: &Network, key: &Keypair) -> Result<Self, ClientError> {
        Self::open_within(network, key, Timeouts::default())
    }

    /// As [`Session::open`], with timeouts of one's own.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub fn open_within(
        network: &Network,
        key: &Keypair,
        timeouts: Timeouts,
    ) -> Result<Self, ClientError> {
        let contacts = network.authorities();
        let count = contacts.len();
        // Sessions spread over the authorities by their keys, or all would ask the first one.
        let first = usize::from(key.public().as_bytes()[0]) % count.max(1);
        let authority = |position: usize| {
            let contact = &contacts[(first + position) % count];
            let key = PeerKey(*contact.key.as_bytes());
            Authority { key, addresses: contact.addresses.clone() }
        };
        let authorities = (0..count).map(authority).collect();
        let mut config = ConnectionConfig::new(key.seed(), *network.id().as_bytes(), authorities);
        config.timeouts = timeouts;
        let connection = Connection::open(config)?;
        let seen = AtomicU64::new(0);
        let (network, key, last_made) = (network.clone(), key.clone(), AtomicU64::new(0));
        let finality = timeouts.finality;
        let inner = Inner { network, key, connection, finality, first, seen, last_made };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The network this session is with.
    pub fn network(&self) -> &Network {
        &self.inner.network
    }

    /// The key that signs.
    pub fn key(&self) -> PublicKey {
        self.inner.key.public()
    }

    /// The newest commit whose effects this session has seen.
    pub fn seen(&self) -> CommitIndex {
        CommitIndex::new(self.inner.seen.load(Ordering::Acquire))
    }

    /// Makes every later answer include this commit: how one machine tells another how far to read.
    pub fn catch_up_with(&self, commit: CommitIndex) {
        self.inner.seen.fetch_max(commit.get(), Ordering::AcqRel);
    }

    /// The member this session's key belongs to.
    ///
    /// # Errors
    /// [`ClientError::NotEnrolled`] when it belongs to none (yet).
    pub async fn member(&self) -> Result<(MemberId, MemberRow), ClientError> {
        let by_key = key(Table::Key, &[self.key().as_bytes()]);
        let row: KeyRow = self.row(by_key).await?.ok_or(ClientError::NotEnrolled)?;
        let member = self.row(key(Table::Member, &[row.member.as_bytes()])).await?;
        Ok((row.member, member.ok_or(ClientError::NotEnrolled)?))
    }

    /// Signs operations into a transaction, without submitting it.
    pub fn sign(&self, operations: Vec<Operation>) -> Transaction {
        self.sign_with(&self.inner.key, operations)
    }

    /// Signs operations with another key than the session's, without submitting them.
    pub fn sign_with(&self, key: &Keypair, operations: Vec<Operation>) -> Transaction {
        let created_at = self.inner.distinct_now();
        let envelope = Envelope {
            version: TRANSACTION_VERSION,
            network: self.inner.network.id(),
            signer: key.public(),
            created_at,
            expires_at: created_at.saturating_add(LIFETIME),
            operations,
        };
        envelope.sign(key)
    }

    /// Signs, submits and waits until the operations are final: all of them, or none.
    ///
    /// # Errors
    /// See [`Session::submit_signed`].
    pub async fn submit(&self, operations: Vec<Operation>) -> Result<Applied, ClientError> {
        self.submit_signed(&self.sign(operations)).await
    }

    /// Submits a signed transaction and waits until it is final. When an authority does not answer,
    /// or takes it and cannot get it ordered, the same bytes go to another one; the ledger executes
    /// them once.
    ///
    /// # Errors
    /// [`ClientError::Rejected`] when the ledger said no, [`ClientError::Refused`] when an authority
    /// did so at the door (or would: it is too large), [`ClientError::Undecided`] when nobody could
    /// tell in time.
    pub async fn submit_signed(&self, transaction: &Transaction) -> Result<Applied, ClientError> {
        let (id, transaction) = (transaction.id(), transaction.bytes());
        // Every authority would say so, if it could be sent at all.
        if transaction.len() > TRANSACTION_BYTES_MAX {
            return Err(Refusal::Rejected(Code::TooLarge).into());
        }
        let begin = tokio::time::Instant::now();
        let request = Request::Submit { transaction, wait_ms: WAIT_MS };
        let (mut first, mut pauses) = (None, pauses());
        while begin.elapsed() < self.inner.finality {
            match self.call_from(first, request.clone()).await {
                Ok((_, Answer::Final(row))) => return self.conclude(id, row, begin.elapsed()),
                Ok((authority, Answer::Pending)) => {
                    tracing::debug!(%id, authority, "pending there, trying another authority");
                    first = Some(self.after(authority));
                }
                Ok((_, Answer::Refused(refusal))) if refusal.is_of_authority() => {
                    tracing::debug!(%id, %refusal, "trying again");
                }
                Ok((_, Answer::Refused(refusal))) => return Err(refusal.into()),
                Ok(_) => return Err(ClientError::BadAnswer),
                Err(ClientError::Connection(error @ ConnectionError::NoAnswer { .. })) => {
                    tracing::debug!(%id, %error, "trying another authority");
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(pauses.next().unwrap_or(PAUSE_MAX)).await;
        }
        Err(ClientError::Undecided { id })
    }

    fn conclude(
        &self,
        id: TransactionId,
        row: TransactionRow,
        finality: Duration,
    ) -> Result<Applied, ClientError> {
        self.catch_up_with(row.commit);
        match row.result {
            Ok(()) => Ok(Applied { id, row, finality }),
            Err(rejection) => Err(ClientError::Rejected { id, rejection }),
        }
    }

    /// What has become of a transaction; `None` when this network has not executed it (yet).
    ///
    /// # Errors
    /// [`ClientError::Connection`] and [`ClientError::Refused`].
    pub async fn transaction(
        &self,
        id: TransactionId,
    ) -> Result<Option<TransactionRow>, ClientError> {
        match self.call(Request::Transaction { id, wait_ms: 0 }).await? {
            Answer::Final(row) => {
                self.catch_up_with(row.commit);
                Ok(Some(row))
            }
            Answer::Pending => Ok(None),
            other => Err(unexpected(other)),
        }
    }

    /// The verified proof of a transaction. Waits for the checkpoint that covers it.
    ///
    /// # Errors
    /// [`ClientError::BadReceipt`] when the authority's answer does not verify,
    /// [`ClientError::BadAnswer`] when it is about another transaction,
    /// [`ClientError::TimedOut`] when there is no checkpoint in time.
    pub async fn receipt(&self, id: TransactionId) -> Result<Receipt, ClientError> {
        let begin = tokio::time::Instant::now();
        let (mut first, mut pauses) = (None, pauses());
        while begin.elapsed() < self.inner.finality {
            let request = Request::Receipt { id, wait_ms: WAIT_MS };
            match self.call_from(first, request).await? {
                (_, Answer::Receipt(receipt)) => {
                    // A good proof of something else is none of this.
                    if receipt.proof.executed.id != id {
                        return Err(ClientError::BadAnswer);
                    }
                    receipt.verify(self.network().genesis())?;
                    return Ok(*receipt);
                }
                (authority, Answer::Pending) => first = Some(self.after(authority)),
                (_, other) => return Err(unexpected(other)),
            }
            tokio::time::sleep(pauses.next().unwrap_or(PAUSE_MAX)).await;
        }
        Err(ClientError::TimedOut("the checkpoint"))
    }

    /// How the answering node is.
    ///
    /// # Errors
    /// [`ClientError::Connection`] and [`ClientError::Refused`].
    pub async fn info(&self) -> Result<NodeInfo, ClientError> {
        match self.call(Request::Info).await? {
            Answer::Info(info) => Ok(info),
            other => Err(unexpected(other)),
        }
    }

    /// How a certain authority's node is.
    ///
    /// # Errors
    /// [`ClientError::Connection`] when it does not answer.
    pub async fn info_of(&self, authority: usize) -> Result<NodeInfo, ClientError> {
        match self.call_at(authority, Request::Info).await? {
            Answer::Info(info) => Ok(info),
            other => Err(unexpected(other)),
        }
    }

    /// Everything that happens from a place on; resumes by itself at another authority.
    pub fn events(&self, from: Subscription) -> Events {
        Events::new(&self.inner.connection, from)
    }

    /// Asks one authority after the other until one does what it is asked. A refusal that is one
    /// authority's own affair (it is full, or behind) counts when all have refused.
    async fn call(&self, request: Request) -> Result<Answer, ClientError> {
        Ok(self.call_from(None, request).await?.1)
    }

    /// As [`Self::call`], beginning with a certain authority of the connection, or with the one that
    /// answered last. Says whose answer it is.
    async fn call_from(
        &self,
        first: Option<usize>,
        request: Request,
    ) -> Result<(usize, Answer), ClientError> {
        let call = Call { after: self.seen(), request }.encode();
        let connection = &self.inner.connection;
        let count = connection.authorities().len();
        let begin = tokio::time::Instant::now();
        let mut answered = match first {
            Some(first) => connection.request_preferring(first, call.clone()).await?,
            None => connection.request(call.clone()).await?,
        };
        for _ in 1..count {
            match decode(&answered.bytes)? {
                Answer::Refused(refusal) if refusal.is_of_authority() => {
                    tracing::debug!(authority = answered.authority, %refusal, "asking another");
                }
                answer => return Ok((answered.authority, answer)),
            }
            if begin.elapsed() >= self.inner.finality {
                break;
            }
            let next = self.after(answered.authority);
            answered = connection.request_preferring(next, call.clone()).await?;
        }
        Ok((answered.authority, decode(&answered.bytes)?))
    }

    /// Whom to ask after an authority of the connection.
    fn after(&self, authority: usize) -> usize {
        (authority + 1) % self.inner.connection.authorities().len()
    }
}

fn decode(bytes: &[u8]) -> Result<Answer, ClientError> {
    Answer::decode(bytes).map_err(|_| ClientError::BadAnswer)
}

fn unexpected(answer: Answer) -> ClientError {
    match answer {
        Answer::Refused(refusal) => refusal.into(),
        _ => ClientError::BadAnswer,
    }
}

/// Pauses between attempts: doubling from 50 ms to [`PAUSE_MAX`], with jitter, for ever.
fn pauses() -> impl Iterator<Item = Duration> {
    backon::ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(PAUSE_MAX)
        .with_jitter()
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests;
