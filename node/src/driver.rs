//! The driver: the one event loop that performs what the replica wants, in its order.
//!
//! ```text
//! network, clients, executor, timers ──► Replica::handle ──► actions ──► disk, network, executor
//! ```
//!
//! An action is done before the next one begins: what must be durable is on the disk before a peer
//! can see it. `driver/resume.rs`: where streams between authorities begin.

mod faults;
mod resume;

pub use self::faults::Faults;
pub use self::resume::encode_resume;
use crate::executor::{ExecuteError, Job, SharedStorage, lock};
use crate::fetch::{self, FetchRequest};
use crate::mempool::NotTaken;
use crate::network::{NetworkEvent, NetworkEvents, NetworkHandle, PeerKey, Reply};
use crate::replica::{Done, Replica};
use crate::storage::{StorageError, StoredBlock};
use kerbholz_client::ledger::transaction::Transaction;
use kerbholz_client::session::now as wall_clock;
use kerbholz_consensus::{
    Action, AuthorityIndex, Block, BlockRef, Committee, Event, HaltReason, Instant, Now, Offence,
    Round, Timer, Timestamp, UnverifiedBlock,
};
use std::collections::BTreeMap;
use std::sync::{Arc, mpsc as sync_mpsc};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::block_in_place;

/// How many own blocks are read at once when a peer's stream begins.
const STREAM_BLOCKS_AT_ONCE: usize = 64;

/// A client's transaction on its way to consensus, its signature checked.
#[derive(Debug)]
pub struct Submission {
    /// The transaction.
    pub transaction: Transaction,
    /// Whether it was taken.
    pub taken: oneshot::Sender<Result<(), NotTaken>>,
}

/// How the agreement stands, for those who look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Highest round of the DAG that this node has a block of.
    pub round: u64,
    /// Authorities connected, itself included.
    pub connected: u16,
    /// Transactions that wait to be ordered.
    pub waiting: u64,
}

/// Why the driver stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The storage.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The executor.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
    /// Consensus must not go on.
    #[error("consensus halted, and signs nothing any more: {0}")]
    Halted(String),
    /// A part of the node is gone.
    #[error("the {0} stopped unexpectedly: see the log above")]
    Gone(&'static str),
}

/// What reaches the driver from outside.
pub struct Inputs {
    /// From peers.
    pub network: NetworkEvents,
    /// From clients.
    pub submissions: mpsc::Receiver<Submission>,
    /// From the executor.
    pub done: mpsc::UnboundedReceiver<Done>,
    /// Becomes true when the node shall stop.
    pub stop: watch::Receiver<bool>,
}

/// The event loop's state.
pub struct Driver {
    pub(crate) replica: Replica,
    pub(crate) committee: Committee,
    pub(crate) own: AuthorityIndex,
    pub(crate) storage: SharedStorage,
    pub(crate) network: NetworkHandle,
    pub(crate) jobs: sync_mpsc::SyncSender<Job>,
    /// Requests of others that the driver does not answer itself.
    pub(crate) clients: mpsc::Sender<NetworkEvent>,
    pub(crate) standing: watch::Sender<Standing>,
    pub(crate) start: tokio::time::Instant,
    pub(crate) timers: BTreeMap<Timer, Instant>,
    pub(crate) connected: u16,
    pub(crate) faults: Faults,
    /// Through which round storage has forgotten blocks.
    pub(crate) forgotten: Round,
}

impl Driver {
    /// Runs until the node shall stop.
    ///
    /// # Errors
    /// [`DriverError`]: the node cannot go on.
    pub async fn run(mut self, mut inputs: Inputs, first: Vec<Action>) -> Result<(), DriverError> {
        // What peers answered, or that they did not.
        let (answers, mut answered) = mpsc::unbounded_channel();
        self.perform(first, &answers)?;
        loop {
            self.publish();
            let next = self.timers.iter().min_by_key(|(_, at)| **at).map(|(t, at)| (*t, *at));
            let due = next.map(|(_, at)| self.start + std::time::Duration::from_millis(at.0));
            let timer = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            let stop = async {
                // An error means that nobody is left to stop us any other way.
                let _ = inputs.stop.wait_for(|stop| *stop).await;
            };
            // Without precedence: whatever comes in masses must not keep the others waiting.
            let actions = tokio::select! {
                () = stop => return Ok(()),
                done = inputs.done.recv() => {
                    let done = done.ok_or(DriverError::Gone("executor"))?;
                    self.executed(done)?
                }
                Some(answer) = answered.recv() => self.replica.handle(self.now(), answer),
                () = timer => self.timer(next.map(|(timer, _)| timer)),
                event = inputs.network.recv() => {
                    let event = event.ok_or(DriverError::Gone("network"))?;
                    self.network_event(event).await?
                }
                Some(submission) = inputs.submissions.recv() => self.submit(submission),
            };
            self.perform(actions, &answers)?;
        }
    }

    fn now(&self) -> Now {
        let elapsed = self.start.elapsed().as_millis();
        Now {
            monotonic: Instant(u64::try_from(elapsed).unwrap_or(u64::MAX)),
            wall: Timestamp(wall_clock().get()),
        }
    }

    fn publish(&self) {
        let consensus = self.replica.consensus();
        let of = |authority| consensus.has_of(authority).0;
        let round = self.committee.authorities().map(of).max().unwrap_or_default();
        let waiting = self.replica.waiting() as u64;
        let standing = Standing { round, connected: self.connected + 1, waiting };
        self.standing.send_if_modified(|old| std::mem::replace(old, standing) != standing);
    }

    fn executed(&mut self, done: Done) -> Result<Vec<Action>, StorageError> {
        let actions = self.replica.executed(self.now(), done);
        let forget = self.replica.forget_through();
        if forget > self.forgotten {
            block_in_place(|| lock(&self.storage).forget_through(forget))?;
            self.forgotten = forget;
        }
        Ok(actions)
    }

    fn timer(&mut self, timer: Option<Timer>) -> Vec<Action> {
        let Some(timer) = timer else { return Vec::new() };
        self.timers.remove(&timer);
        self.replica.handle(self.now(), Event::Timer(timer))
    }

    fn submit(&mut self, submission: Submission) -> Vec<Action> {
        let Submission { transaction, taken } = submission;
        let (result, actions) = self.replica.submit(self.now(), &transaction);
        // A client that no longer listens asks again by the id.
        let _ = taken.send(result);
        actions
    }

    async fn network_event(&mut self, event: NetworkEvent) -> Result<Vec<Action>, DriverError> {
        match event {
            NetworkEvent::PeerUp { peer, resume } => Ok(self.peer_up(peer, &resume)),
            NetworkEvent::PeerDown { peer } => {
                let Some(peer) = self.index(peer) else { return Ok(Vec::new()) };
                self.connected = self.connected.saturating_sub(1);
                Ok(self.replica.handle(self.now(), Event::PeerDisconnected { peer }))
            }
            NetworkEvent::Frame { from, bytes } => Ok(self.frame(from, &bytes)),
            NetworkEvent::Fetch { bytes, reply, .. } => {
                self.serve_fetch(&bytes, reply);
                Ok(Vec::new())
            }
            client => {
                let sent = self.clients.send(client).await;
                sent.map_err(|_| DriverError::Gone("service for clients"))?;
                Ok(Vec::new())
            }
        }
    }

    fn peer_up(&mut self, peer: PeerKey, resume: &[u8]) -> Vec<Action> {
        let Some(peer) = self.index(peer) else { return Vec::new() };
        self.connected += 1;
        // A peer that says nothing intelligible gets everything.
        let (has_of_ours, own_round) = resume::decode_resume(resume).unwrap_or_default();
        // Peers do not say yet how many commits they have.
        let event = Event::PeerConnected { peer, has_of_ours, own_round, commit: 0 };
        self.replica.handle(self.now(), event)
    }

    fn frame(&mut self, from: PeerKey, bytes: &[u8]) -> Vec<Action> {
        let Some(from) = self.index(from) else { return Vec::new() };
        match UnverifiedBlock::decode(bytes).and_then(|block| block.verify(&self.committee)) {
            Ok(block) => self.replica.handle(self.now(), Event::BlockReceived { from, block }),
            Err(fault) => {
                if let Some(times) = self.faults.count(from, "a bad block") {
                    tracing::warn!(authority = %from, %fault, times, "refused a block");
                }
                Vec::new()
            }
        }
    }

    fn serve_fetch(&self, bytes: &[u8], reply: Reply) {
        let Ok(request) = FetchRequest::decode(bytes) else { return };
        // A damaged old block is no reason to stop: whoever asks finds it elsewhere.
        match block_in_place(|| fetch::answer(&**lock(&self.storage), &request)) {
            Err(error) => tracing::error!(%error, "could not read a block that was asked for"),
            Ok(answer) => {
                if let Err(error) = reply.send(answer.encode()) {
                    tracing::warn!(%error, "could not answer a fetch");
                }
            }
        }
    }

    fn perform(
        &mut self,
        actions: Vec<Action>,
        answers: &mpsc::UnboundedSender<Event>,
    ) -> Result<(), DriverError> {
        for action in actions {
            match action {
                Action::Persist { block, durable } => self.persist(&block, durable)?,
                Action::Broadcast(block) => self.broadcast(&block),
                Action::Send { to, blocks } => {
                    for block in &blocks {
                        self.send(to, block.bytes());
                    }
                }
                Action::Stream { to, after } => self.stream(to, after)?,
                Action::Fetch { from, references } => self.fetch(from, references, answers),
                // No peer can be asked for these: the protocols between nodes do not have them.
                Action::FetchCommits { from, .. } => {
                    let _ = answers.send(Event::CommitsFailed { from });
                }
                Action::AskOwn { from } => {
                    let _ = answers.send(Event::OwnFailed { from });
                }
                Action::EpochClosed { .. } => {
                    return Err(DriverError::Halted("the epoch of its committee has ended".into()));
                }
                Action::SetTimer { timer, at } => {
                    self.timers.insert(timer, at);
                }
                Action::Commit(commit) => {
                    self.job(Job::Commit(commit))?;
                    self.set_resumes();
                }
                Action::Checkpoint(checkpoint) => self.job(Job::Checkpoint(checkpoint))?,
                Action::Fault { authority, offence } => {
                    if let Some(times) = self.faults.count(authority, faults::name(&offence)) {
                        let what = faults::describe(&offence);
                        tracing::warn!(%authority, times, "an authority did wrong: {what}");
                    }
                    self.keep_evidence(&offence);
                }
                // Signing must end, following the others need not: an operator decides.
                Action::Halt(reason @ HaltReason::ForeignOwnBlock(_)) => {
                    tracing::error!("signing nothing any more: {}", halted(&reason));
                }
                Action::Halt(reason) => return Err(DriverError::Halted(halted(&reason))),
                // Settled by the replica.
                Action::PayloadReturned(_) | Action::PayloadRefused(_) => {}
            }
        }
        Ok(())
    }

    fn persist(&mut self, block: &Block, durable: bool) -> Result<(), StorageError> {
        let stored = StoredBlock::new(block, durable);
        block_in_place(|| lock(&self.storage).append_blocks(&[stored]))?;
        self.set_resume(block.author());
        Ok(())
    }

    /// A disk that takes no evidence will stop the node soon enough; this alone is no reason to.
    fn keep_evidence(&self, offence: &Offence) {
        let Some(evidence) = offence.evidence() else { return };
        if let Err(error) = block_in_place(|| lock(&self.storage).keep_evidence(&evidence)) {
            tracing::error!(%error, "could not keep evidence");
        }
    }

    /// Tells an authority's next stream where to begin.
    fn set_resume(&self, authority: AuthorityIndex) {
        let Some(peer) = self.peer(authority) else { return };
        // No stream needs to bring what can never be committed any more: `has_of` is never below
        // the collection round.
        let consensus = self.replica.consensus();
        let resume = encode_resume(consensus.has_of(authority), consensus.own_round());
        if let Err(error) = self.network.set_resume(peer, resume) {
            tracing::warn!(%error, "could not set where a stream resumes");
        }
    }

    fn set_resumes(&self) {
        for other in self.committee.authorities().filter(|other| *other != self.own) {
            self.set_resume(other);
        }
    }

    fn broadcast(&self, block: &Block) {
        let bytes: Arc<[u8]> = block.bytes().into();
        for authority in self.committee.authorities().filter(|other| *other != self.own) {
            self.push(authority, Arc::clone(&bytes));
        }
    }

    fn send(&self, to: AuthorityIndex, bytes: &[u8]) {
        self.push(to, bytes.into());
    }

    /// Queues a frame. What a closed or overflowing stream loses, its next beginning repeats.
    fn push(&self, to: AuthorityIndex, bytes: Arc<[u8]>) {
        if let Some(peer) = self.peer(to)
            && let Err(error) = self.network.send(peer, bytes)
        {
            tracing::trace!(authority = %to, %error, "frame not queued");
        }
    }

    fn stream(&self, to: AuthorityIndex, after: Round) -> Result<(), StorageError> {
        let Some(peer) = self.peer(to) else { return Ok(()) };
        let mut after = after;
        loop {
            let blocks = block_in_place(|| {
                lock(&self.storage).own_blocks_after(after, STREAM_BLOCKS_AT_ONCE)
            })?;
            let Some(last) = blocks.last() else { return Ok(()) };
            after = last.reference.round;
            for block in blocks {
                if self.network.send(peer, block.bytes.into()).is_err() {
                    // The stream begins again where the peer then is.
                    return Ok(());
                }
            }
        }
    }

    fn fetch(
        &self,
        from: AuthorityIndex,
        references: Vec<BlockRef>,
        answers: &mpsc::UnboundedSender<Event>,
    ) {
        let (network, committee) = (self.network.clone(), self.committee.clone());
        let (peer, answers) = (self.peer(from), answers.clone());
        tokio::spawn(async move {
            let blocks = match peer {
                Some(peer) => fetch::fetch(&network, &committee, peer, references).await,
                None => None,
            };
            let event = match blocks {
                Some(blocks) => Event::FetchAnswered { from, blocks },
                None => Event::FetchFailed { from },
            };
            // The driver is gone only when the node stops.
            let _ = answers.send(event);
        });
    }

    /// Hands a job to the executor; waits when it has fallen far behind.
    fn job(&self, job: Job) -> Result<(), DriverError> {
        let sent = block_in_place(|| self.jobs.send(job).is_ok());
        if sent { Ok(()) } else { Err(DriverError::Gone("executor")) }
    }

    fn index(&self, peer: PeerKey) -> Option<AuthorityIndex> {
        self.committee.index_of(&kerbholz_consensus::PublicKey(peer.0))
    }

    fn peer(&self, authority: AuthorityIndex) -> Option<PeerKey> {
        self.committee.key(authority).map(|key| PeerKey(key.0))
    }
}

fn halted(reason: &HaltReason) -> String {
    match reason {
        HaltReason::Contradiction { proposal } => format!(
            "{proposal} is final and skipped at once: more authorities are faulty than the network \
             tolerates; compare the authorities' ledgers with `kerbholz audit replay`"
        ),
        HaltReason::StateDiverged { checkpoint, executed } => format!(
            "a quorum signed another state at commit {} than this node computed ({}): remove the \
             folder `state` in the data directory, and start again to rebuild it",
            checkpoint.statement.index,
            hex::encode(executed.state_digest)
        ),
        HaltReason::ForeignOwnBlock(block) => format!(
            "somebody sent block {} signed with this authority's key, which this data directory \
             does not hold: the key is in use elsewhere, or the directory is an old copy",
            block.reference()
        ),
    }
}
