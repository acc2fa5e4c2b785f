//! Going through a commit: deadlines first, then the transactions in order, then steps of
//! restatements, then the log.

use super::overlay::Overlay;
use super::wave::{self, RESTATEMENT_STEPS_MAX};
use super::work::{Checked, Moment, Refusal, Totals, Work};
use super::{
    Commit, Effects, Event, EventBody, Executed, Item, completion, envelope, orders, proposals,
    upkeep,
};
use crate::codec::{self, Encoder};
use crate::committee::AUTHORITIES_MAX;
use crate::governance::{FIRST_VERSION, OPEN_MAX, PROTOCOL_VERSION};
use crate::id::{Digest, OrderId, ProposalId, TransactionId, hash};
use crate::log;
use crate::quantity::{CommitIndex, Timestamp};
use crate::rejection::{Code, Rejection};
use crate::rows::{
    ActivationRow, CommitteeRow, LedgerRow, Read, ReadError, Table, TransactionRow, Write, key,
    read,
};
use crate::transaction::Transaction;
use alloc::vec::Vec;
use core::cell::Cell;

/// Most deadlines that one commit works off; the rest follows in the next ones, oldest first.
pub const DEADLINES_MAX: usize = 64;

/// Executes a commit on a state.
///
/// # Errors
/// [`ReadError`] when the storage fails, or the commit does not follow the state's last one; a
/// refusal of a transaction is not an error but recorded.
pub fn execute(commit: &Commit, state: &dyn Read) -> Result<Effects, ReadError> {
    execute_knowing(commit, state, PROTOCOL_VERSION)
}

/// Executes a commit as software does that knows the protocol up to this version: for tests of
/// upgrades.
///
/// # Errors
/// As [`execute`]. Ask [`version_of`] before: a commit of a later version is not executed.
pub fn execute_knowing(
    commit: &Commit,
    state: &dyn Read,
    known: u32,
) -> Result<Effects, ReadError> {
    let version = version_of(state, commit.index)?;
    if version > known {
        let index = commit.index.get();
        let text = alloc::format!("commit {index} is of protocol version {version}");
        return Err(ReadError(text));
    }
    execute_with(commit, state, RESTATEMENT_STEPS_MAX)
}

/// The version of the protocol by which the next commit, of this index, is executed.
///
/// # Errors
/// [`ReadError`] when the storage fails.
pub fn version_of(state: &dyn Read, commit: CommitIndex) -> Result<u32, ReadError> {
    let row: Option<ActivationRow> = read(state, &key(Table::Activation, &[]))?;
    Ok(row.map_or(FIRST_VERSION, |row| row.version_of(commit)))
}

/// Executes a commit with so many steps of restatements.
pub(crate) fn execute_with(
    commit: &Commit,
    state: &dyn Read,
    steps: usize,
) -> Result<Effects, ReadError> {
    let encoder = Cell::default();
    let mut run = Run::begin(commit, state, &encoder)?;
    for (deadline, order) in orders::due(&run.state, run.ledger.time, DEADLINES_MAX)? {
        run.pass_deadline(deadline, order)?;
    }
    for (deadline, proposal) in proposals::due(&run.state, run.ledger.time, DEADLINES_MAX)? {
        run.expire(deadline, proposal)?;
    }
    for item in &commit.items {
        run.item(item)?;
    }
    run.review()?;
    run.restate(steps)?;
    run.finish()
}

/// What an [`Executed`] entry stands for: BLAKE3 over its encoded writes.
pub fn effects_digest(writes: &[Write]) -> Digest {
    digest_of(&mut Encoder::default(), writes)
}

fn digest_of(encoder: &mut Encoder, writes: &[Write]) -> Digest {
    Digest::new(encoder.hash("kerbholz/effects", &writes))
}

/// The chain over effects: the digest before, the commit, and the effects of all that was executed
/// in it, in order.
pub(super) fn state_digest(
    before: Digest,
    commit: CommitIndex,
    time: Timestamp,
    effects: &[Digest],
) -> Digest {
    let (commit, time) = (commit.get().to_le_bytes(), time.get().to_le_bytes());
    let effects: Vec<u8> = effects.iter().flat_map(Digest::as_bytes).copied().collect();
    Digest::new(hash("kerbholz/state", &[before.as_bytes(), &commit, &time, &effects]))
}

/// The id under which a passed deadline stands in the log.
fn deadline_id(order: OrderId, deadline: Timestamp) -> TransactionId {
    let deadline = deadline.get().to_be_bytes();
    TransactionId::new(hash("kerbholz/deadline", &[order.as_bytes(), &deadline]))
}

/// The id under which a proposal's end stands in the log.
fn expiry_id(proposal: ProposalId, deadline: Timestamp) -> TransactionId {
    let deadline = deadline.get().to_be_bytes();
    TransactionId::new(hash("kerbholz/proposal-expiry", &[proposal.as_bytes(), &deadline]))
}

/// The id under which it stands in the log that an epoch's end decided a proposal.
fn review_id(proposal: ProposalId, commit: CommitIndex) -> TransactionId {
    let commit = commit.get().to_be_bytes();
    TransactionId::new(hash("kerbholz/proposal-review", &[proposal.as_bytes(), &commit]))
}

/// The id under which a commit's steps of restatements stand in the log.
fn restating_id(commit: CommitIndex) -> TransactionId {
    TransactionId::new(hash("kerbholz/restating", &[&commit.get().to_be_bytes()]))
}

fn transaction_key(id: TransactionId) -> Vec<u8> {
    key(Table::Transaction, &[id.as_bytes()])
}

/// A commit being executed.
struct Run<'a> {
    state: Overlay<'a>,
    encoder: &'a Cell<Encoder>,
    ledger: LedgerRow,
    executed: Vec<Executed>,
    leaves: Vec<Digest>,
    /// Effects digests of what was executed.
    effects: Vec<Digest>,
    events: Vec<Event>,
    /// Transactions so far; deadlines and restatements are not among them.
    transactions: u64,
    /// Decided in this commit: then it is the last of its epoch.
    next_committee: Option<CommitteeRow>,
}

/// What a transaction that was not refused did.
struct Done {
    writes: Vec<Write>,
    totals: Totals,
    events: Vec<EventBody>,
    next_committee: Option<CommitteeRow>,
}

impl<'a> Run<'a> {
    fn begin(
        commit: &Commit,
        state: &'a dyn Read,
        encoder: &'a Cell<Encoder>,
    ) -> Result<Self, ReadError> {
        let ledger: Option<LedgerRow> = read(state, &key(Table::Ledger, &[]))?;
        let mut ledger = ledger.ok_or_else(|| ReadError("there is no genesis".into()))?;
        if ledger.commit.get().checked_add(1) != Some(commit.index.get()) {
            let (last, next) = (ledger.commit.get(), commit.index.get());
            let text = alloc::format!("commit {next} does not follow the state's commit {last}");
            return Err(ReadError(text));
        }
        ledger.version = version_of(state, commit.index)?;
        ledger.commit = commit.index;
        ledger.time = ledger.time.max(commit.time);
        let (executed, leaves, events) = (Vec::new(), Vec::new(), Vec::new());
        let (state, effects) = (Overlay::new(state, encoder), Vec::new());
        Ok(Self {
            state,
            encoder,
            ledger,
            executed,
            leaves,
            effects,
            events,
            transactions: 0,
            next_committee: None,
        })
    }

    fn work(&self, transaction: TransactionId) -> Work<'_> {
        Work {
            state: Overlay::new(&self.state, self.encoder),
            totals: Totals::of(&self.ledger),
            events: Vec::new(),
            next_committee: self.next_committee.clone(),
            moment: Moment {
                network: self.ledger.network,
                epoch: self.ledger.epoch,
                version: self.ledger.version,
                commit: self.ledger.commit,
                time: self.ledger.time,
                transaction,
                operation: 0,
            },
        }
    }

    fn pass_deadline(&mut self, deadline: Timestamp, order: OrderId) -> Result<(), ReadError> {
        let id = deadline_id(order, deadline);
        let mut work = self.work(id);
        let outcome = completion::pass_deadline(&mut work, order);
        match settle(work, outcome)? {
            Ok(done) => self.record(id, Ok(done)),
            // What an order has reached was checked on the way: only a damaged state refuses.
            Err(rejection) => {
                let text = alloc::format!("deadline of order {order}: {rejection}");
                Err(ReadError(text))
            }
        }
    }

    fn expire(&mut self, deadline: Timestamp, proposal: ProposalId) -> Result<(), ReadError> {
        let id = expiry_id(proposal, deadline);
        let mut work = self.work(id);
        let outcome = proposals::expire(&mut work, proposal);
        match settle(work, outcome)? {
            Ok(done) => self.record(id, Ok(done)),
            // Only a damaged state has a deadline of no proposal.
            Err(rejection) => {
                Err(ReadError(alloc::format!("deadline of proposal {proposal}: {rejection}")))
            }
        }
    }

    /// Judges what is open by the committee of the next epoch, where this commit decided one.
    fn review(&mut self) -> Result<(), ReadError> {
        if self.next_committee.is_none() {
            return Ok(());
        }
        // As many as all authorities may have open.
        let most = AUTHORITIES_MAX * OPEN_MAX;
        for (_, proposal) in proposals::due(&self.state, Timestamp::new(u64::MAX), most)? {
            let id = review_id(proposal, self.ledger.commit);
            let mut work = self.work(id);
            let reviewed = proposals::review(&mut work, proposal);
            // What has passed and cannot be carried out (now) stays open: it may become possible, or
            // it expires.
            if matches!(reviewed, Ok(false) | Err(Refusal::Rule(_))) {
                continue;
            }
            if let Ok(done) = settle(work, reviewed.map(|_| ()))? {
                self.record(id, Ok(done))?;
            }
        }
        Ok(())
    }

    /// Takes steps of restatements that are on their way downstream.
    fn restate(&mut self, steps: usize) -> Result<(), ReadError> {
        if !wave::is_waiting(&self.state)? {
            return Ok(());
        }
        let id = restating_id(self.ledger.commit);
        let mut work = self.work(id);
        let outcome = wave::work_off(&mut work, steps);
        match settle(work, outcome)? {
            Ok(done) => self.record(id, Ok(done)),
            // A difference is refused where it is booked, or nowhere: every source is bounded, and
            // there is no time for as many as it would take for a sum not to fit.
            Err(rejection) => Err(ReadError(alloc::format!("restating: {rejection}"))),
        }
    }

    /// Executes a transaction, unless it was executed before: then the first result stands.
    fn item(&mut self, item: &Item) -> Result<(), ReadError> {
        let id = match item {
            Item::Transaction(transaction) => transaction.id(),
            Item::Invalid { id, .. } => *id,
        };
        if self.state.get(&transaction_key(id))?.is_some() {
            return Ok(());
        }
        let outcome = match item {
            Item::Transaction(transaction) => {
                let mut work = self.work(id);
                let outcome = operate(&mut work, transaction);
                settle(work, outcome)?
            }
            Item::Invalid { code, .. } => Err(Rejection { code: *code, operation: 0 }),
        };
        self.record(id, outcome)?;
        self.transactions += 1;
        let result = self.executed.last().map_or(Ok(()), |executed| executed.result);
        self.event(id, EventBody::Final { result });
        Ok(())
    }

    /// Adopts what was done, and enters it in the log.
    fn record(
        &mut self,
        id: TransactionId,
        outcome: Result<Done, Rejection>,
    ) -> Result<(), ReadError> {
        let (result, writes) = match outcome {
            Ok(done) => {
                done.totals.store(&mut self.ledger);
                self.next_committee = done.next_committee;
                self.state.adopt(&done.writes);
                for body in done.events {
                    self.event(id, body);
                }
                (Ok(()), done.writes)
            }
            Err(rejection) => (Err(rejection), Vec::new()),
        };
        let mut encoder = self.encoder.take();
        let effects = digest_of(&mut encoder, &writes);
        self.encoder.set(encoder);
        let leaf = self.ledger.log_leaves + self.leaves.len() as u64;
        let (commit, time) = (self.ledger.commit, self.ledger.time);
        let row = TransactionRow { commit, time, leaf, result, effects };
        self.state.put(transaction_key(id), &row);
        self.leaves.push(log::leaf(id, &result, effects));
        self.effects.push(effects);
        self.executed.push(Executed { id, leaf, result, writes });
        Ok(())
    }

    fn event(&mut self, transaction: TransactionId, body: EventBody) {
        let index = u32::try_from(self.events.len()).unwrap_or(u32::MAX);
        let (commit, time) = (self.ledger.commit, self.ledger.time);
        self.events.push(Event { commit, index, time, transaction, body });
    }

    fn finish(mut self) -> Result<Effects, ReadError> {
        if !self.leaves.is_empty() {
            let grown = log::append(&self.state, self.ledger.log_leaves, self.leaves)?;
            for (position, node) in &grown.nodes {
                self.state.put(log::node_key(*position), node);
            }
            self.ledger.log_leaves = grown.leaves;
            self.ledger.log_root = grown.root;
        }
        upkeep::count(&mut self.state, self.ledger.time, self.transactions)?;
        let mut ledger = self.ledger;
        if let Some(next) = &self.next_committee {
            ledger.epoch = next.epoch;
        }
        let mut writes = self.state.into_writes();
        if !self.executed.is_empty() {
            let before = ledger.state_digest;
            ledger.state_digest = state_digest(before, ledger.commit, ledger.time, &self.effects);
        }
        let row = Write::set(key(Table::Ledger, &[]), codec::encode(&ledger));
        // Table 1 is the lowest: the ledger row comes first.
        writes.insert(0, row);
        Ok(Effects {
            commit: ledger.commit,
            writes,
            executed: self.executed,
            events: self.events,
            log_leaves: ledger.log_leaves,
            log_root: ledger.log_root,
            state_digest: ledger.state_digest,
            next_committee: self.next_committee,
        })
    }
}

/// The envelope, then every operation.
fn operate(work: &mut Work<'_>, transaction: &Transaction) -> Checked<()> {
    let envelope = transaction.envelope();
    let signatory = envelope::check(work, envelope)?;
    for (index, operation) in envelope.operations.iter().enumerate() {
        work.moment.operation = u32::try_from(index).map_err(|_| Code::TooManyOperations)?;
        envelope::apply(work, &signatory, operation)?;
    }
    Ok(())
}

/// Separates what was done from what was refused; a storage that fails ends the execution.
fn settle(work: Work<'_>, outcome: Checked<()>) -> Result<Result<Done, Rejection>, ReadError> {
    match outcome {
        Ok(()) => {
            let writes = work.state.into_writes();
            let Work { totals, events, next_committee, .. } = work;
            Ok(Ok(Done { writes, totals, events, next_committee }))
        }
        Err(Refusal::Rule(code)) => Ok(Err(Rejection { code, operation: work.moment.operation })),
        Err(Refusal::Storage(error)) => Err(error),
    }
}
