//! The driver: the one event loop that performs what the replica wants, in its order.
//!
//! ```text
//! network, clients, executor, timers ──► Replica ──► actions ──► disk, network, executor
//! ```
//!
//! An action is done before the next one begins: what must be durable is on the disk before a peer
//! can see it. `driver/peers.rs`: what goes to other authorities and comes from them;
//! `driver/directory.rs`: who they are and where.

mod directory;
mod faults;
mod peers;

pub use self::directory::Directory;
pub(crate) use self::directory::Peers;
pub use self::faults::Faults;
use self::peers::Answered;
use crate::executor::{ExecuteError, Job, SharedStorage, lock};
use crate::fetch::FetchRequest;
use crate::mempool::NotTaken;
use crate::network::{NetworkError, NetworkEvent, NetworkEvents, NetworkHandle, PeerKey};
use crate::replica::{Done, Replica};
use crate::storage::{SharedRows, StorageError};
use kerbholz_client::ledger::rows::ReadError;
use kerbholz_client::ledger::transaction::Transaction;
use kerbholz_client::protocol::Duty;
use kerbholz_client::session::now as wall_clock;
use kerbholz_consensus::{
    Action, Block, Event, HaltReason, Instant, Now, Offence, RecoveryError, Round, Timer, Timestamp,
};
use std::collections::BTreeMap;
use std::sync::mpsc as sync_mpsc;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::block_in_place;

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
    /// The epoch of consensus.
    pub epoch: u64,
    /// What this node does in it.
    pub duty: Duty,
    /// Highest round of the DAG that this node has a block of.
    pub round: u64,
    /// Authorities connected, itself included if it is one.
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
    /// The state.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The authorities of a new epoch cannot be connected to.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A new epoch cannot begin.
    #[error(transparent)]
    Epoch(#[from] RecoveryError),
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
    pub(crate) storage: SharedStorage,
    pub(crate) rows: SharedRows,
    pub(crate) network: NetworkHandle,
    pub(crate) directory: Directory,
    pub(crate) jobs: sync_mpsc::SyncSender<Job>,
    /// Requests of others that the driver does not answer itself.
    pub(crate) clients: mpsc::Sender<NetworkEvent>,
    pub(crate) standing: watch::Sender<Standing>,
    pub(crate) start: tokio::time::Instant,
    pub(crate) timers: BTreeMap<Timer, Instant>,
    pub(crate) faults: Faults,
    /// Streams that are to be brought up from storage, and the last round sent on each.
    pub(crate) behind: BTreeMap<PeerKey, Round>,
    /// Through which round storage has forgotten blocks.
    pub(crate) forgotten: Round,
    /// Whether this node's key was met elsewhere.
    pub(crate) stopped: bool,
}

impl Driver {
    /// Runs until the node shall stop.
    ///
    /// # Errors
    /// [`DriverError`]: the node cannot go on.
    pub async fn run(mut self, mut inputs: Inputs, first: Vec<Action>) -> Result<(), DriverError> {
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
                    self.executed(done).await?
                }
                Some(answer) = answered.recv() => self.answered(answer),
                () = timer => self.timer(next.map(|(timer, _)| timer)),
                () = peers::pause(), if !self.behind.is_empty() => {
                    self.bring_up()?;
                    Vec::new()
                }
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
        let machine = self.replica.consensus();
        let of = |authority| machine.has_of(authority).0;
        let round = machine.committee().authorities().map(of).max().unwrap_or_default();
        let connected = u16::try_from(self.replica.connected()).unwrap_or(u16::MAX);
        let waiting = self.replica.waiting() as u64;
        let (epoch, duty) = (self.replica.epoch(), self.duty());
        let standing = Standing { epoch, duty, round, connected, waiting };
        self.standing.send_if_modified(|old| std::mem::replace(old, standing) != standing);
    }

    fn duty(&self) -> Duty {
        let machine = self.replica.consensus();
        match machine.own() {
            Some(_) if machine.status().signing => Duty::Signs,
            _ if self.stopped => Duty::Stopped,
            None => Duty::Follows,
            Some(_) => Duty::LostLog,
        }
    }

    async fn executed(&mut self, done: Done) -> Result<Vec<Action>, DriverError> {
        let begins = matches!(done, Done::Epoch(_));
        let actions = self.replica.executed(self.now(), done)?;
        if begins {
            self.enter_epoch().await?;
        }
        let forget = self.replica.forget_through();
        if forget > self.forgotten {
            block_in_place(|| lock(&self.storage).forget_through(forget))?;
            self.forgotten = forget;
        }
        Ok(actions)
    }

    /// Connects to the authorities of the epoch that began. Whatever stream there was begins anew.
    async fn enter_epoch(&mut self) -> Result<(), DriverError> {
        self.timers.clear();
        self.behind.clear();
        self.faults = Faults::default();
        self.forgotten = Round::GENESIS;
        let peers = self.directory.peers(&*self.rows, self.replica.committee())?;
        let hellos = peers.hellos(&self.replica);
        self.network.set_authorities(&peers.authorities, &peers.former, hellos).await?;
        Ok(())
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
            NetworkEvent::PeerDown { peer } => Ok(self.peer_down(peer)),
            NetworkEvent::Frame { from, bytes } => Ok(self.frame(from, &bytes)),
            NetworkEvent::Fetch { from, bytes, reply } => Ok(self.serve(from, &bytes, reply)),
            client => {
                let sent = self.clients.send(client).await;
                sent.map_err(|_| DriverError::Gone("service for clients"))?;
                Ok(Vec::new())
            }
        }
    }

    fn perform(
        &mut self,
        actions: Vec<Action>,
        answers: &mpsc::UnboundedSender<Answered>,
    ) -> Result<(), DriverError> {
        for action in actions {
            match action {
                Action::Persist { block, durable } => self.persist(&block, durable)?,
                Action::Broadcast(block) => self.broadcast(&block),
                Action::Send { to, blocks } => self.send(to, &blocks),
                Action::Stream { to, after } => self.stream(to, after)?,
                Action::Fetch { from, references, chains_above } => {
                    self.ask(from, FetchRequest::new(references, chains_above), answers);
                }
                Action::FetchCommits { from, after } => {
                    self.ask(from, FetchRequest::Commits { after }, answers);
                }
                Action::AskOwn { from } => {
                    let epoch = self.replica.epoch();
                    self.ask(from, FetchRequest::Own { epoch }, answers);
                }
                Action::SetTimer { timer, at } => {
                    self.timers.insert(timer, at);
                }
                Action::Commit(commit) => {
                    self.job(Job::Commit(commit))?;
                    self.set_resumes();
                }
                Action::Checkpoint(checkpoint) => self.job(Job::Checkpoint(checkpoint))?,
                Action::EpochClosed { checkpoint } => self.job(Job::Close(checkpoint))?,
                Action::Fault { authority, offence } => {
                    if let Some(times) = self.faults.count(authority, faults::name(&offence)) {
                        let what = faults::describe(&offence);
                        tracing::warn!(%authority, times, "an authority did wrong: {what}");
                    }
                    self.keep_evidence(&offence);
                }
                Action::LogLost { newer } => {
                    block_in_place(|| lock(&self.storage).log_lost())?;
                    tracing::error!(
                        "somebody has block {newer}, signed with this authority's key, and this data \
                         directory has not: it is an old copy, or the key is in use elsewhere. It \
                         is marked as one that has lost its log: docs/operating.md, \"Old copies\""
                    );
                }
                // Signing must end, following the others need not: an operator decides.
                Action::Halt(reason @ HaltReason::ForeignOwnBlock(_)) => {
                    self.stopped = true;
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
        block_in_place(|| self.replica.persist(&self.storage, block, durable))?;
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

    /// Hands a job to the executor; waits when it has fallen far behind.
    fn job(&self, job: Job) -> Result<(), DriverError> {
        let sent = block_in_place(|| self.jobs.send(job).is_ok());
        if sent { Ok(()) } else { Err(DriverError::Gone("executor")) }
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
            "block {} of somebody else is signed with this authority's key. Look whether another node \
             runs with the same key, and stop it; then start this one again: it will ask the others \
             what it has signed, and go on above that. (If it was started on an operator's word \
             with `authority sign-after`, that was too low.)",
            block.reference()
        ),
    }
}
