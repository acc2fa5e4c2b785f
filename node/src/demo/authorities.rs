//! The authorities' processes: started, asked, killed, brought back, stopped and measured.
//!
//! Every process is a child of this one and ends with it: stopping asks it to end, dropping kills,
//! and however this process ends, the child's standard input ends with it, which ends the child.

use crate::setup::authority_folder;
use kerbholz_client::network::Network;
use kerbholz_client::protocol::NodeInfo;
use kerbholz_client::{ClientError, Session};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, Signal, System};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

/// File name of what an authority's process writes on its terminal.
pub const LOG_FILE: &str = "node.log";
/// How long a process may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long a process may take to end when asked to.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// Time between two measurements.
const SAMPLE_EVERY: Duration = Duration::from_millis(250);

/// What went wrong with a process.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("{name}: cannot start {program}: {source}", program = program.display())]
    Start {
        /// Which authority.
        name: String,
        /// The program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It ended by itself.
    #[error("{name} ended by itself ({status}): {last}\nits output is in {log}", log = log.display())]
    Ended {
        /// Which authority.
        name: String,
        /// How.
        status: String,
        /// The last line it wrote.
        last: String,
        /// What it wrote.
        log: PathBuf,
    },
    /// It does not answer.
    #[error("{name} does not answer; its output is in {log}", log = log.display())]
    Silent {
        /// Which authority.
        name: String,
        /// What it wrote.
        log: PathBuf,
    },
    /// It could not be killed.
    #[error("{name} cannot be killed: {source}")]
    Kill {
        /// Which authority.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// No key to ask with.
    #[error(transparent)]
    Key(crate::files::FileError),
    /// No session to ask with.
    #[error("the authorities cannot be asked: {0}")]
    Session(ClientError),
}

/// What an authority's processes used, the killed one's included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Measured {
    /// The authority.
    pub name: String,
    /// Its processes' ids, in order.
    pub processes: Vec<u32>,
    /// Processor time of all threads, in milliseconds.
    pub cpu_ms: u64,
    /// Most resident memory, in bytes.
    pub resident_max_bytes: u64,
    /// Bytes sent over the network.
    pub bytes_sent: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Highest round of the DAG.
    pub round: u64,
}

/// One process's counters, as last seen.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    cpu_ms: u64,
    sent: u64,
    received: u64,
}

struct Process {
    name: String,
    folder: PathBuf,
    child: Option<Child>,
    /// Of the processes that ended.
    ended: Counters,
    /// Of the one that runs.
    now: Counters,
    measured: Measured,
}

struct Inner {
    program: PathBuf,
    network: Network,
    /// Replaced when an authority comes back: the old one has learnt to redial slowly.
    session: std::sync::Mutex<Session>,
    processes: Mutex<Vec<Process>>,
}

/// The authorities of a network, each a process.
pub struct Authorities {
    inner: Arc<Inner>,
    sampler: tokio::task::JoinHandle<()>,
}

impl Drop for Authorities {
    fn drop(&mut self) {
        self.sampler.abort();
    }
}

impl Authorities {
    /// Starts one process for each authority, and waits until all answer.
    ///
    /// # Errors
    /// [`ProcessError`]; those that were started are killed.
    pub async fn start(
        program: &Path,
        folder: &Path,
        network: &Network,
    ) -> Result<Self, ProcessError> {
        let session = observer(network)?;
        let mut processes = Vec::new();
        for authority in &network.genesis().authorities {
            let mut process = Process {
                name: authority.name.clone(),
                folder: authority_folder(folder, &authority.name),
                child: None,
                ended: Counters::default(),
                now: Counters::default(),
                measured: Measured { name: authority.name.clone(), ..Measured::default() },
            };
            process.spawn(program)?;
            processes.push(process);
        }
        let count = processes.len();
        let program = program.to_owned();
        let (network, processes) = (network.clone(), Mutex::new(processes));
        let session = std::sync::Mutex::new(session);
        let inner = Arc::new(Inner { program, network, session, processes });
        let watched = inner.clone();
        let sampler = tokio::spawn(async move {
            loop {
                tokio::time::sleep(SAMPLE_EVERY).await;
                watched.sample().await;
            }
        });
        let authorities = Self { inner, sampler };
        for index in 0..count {
            authorities.ready(&authorities.inner.session(), index).await?;
        }
        Ok(authorities)
    }

    /// Waits until an authority answers.
    async fn ready(&self, session: &Session, index: usize) -> Result<NodeInfo, ProcessError> {
        let begin = Instant::now();
        loop {
            if let Some(info) = ask(session, index, SAMPLE_EVERY).await {
                return Ok(info);
            }
            let mut processes = self.inner.processes.lock().await;
            processes[index].alive()?;
            if begin.elapsed() > READY_WITHIN {
                let name = processes[index].name.clone();
                return Err(ProcessError::Silent { name, log: processes[index].log() });
            }
            drop(processes);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How an authority is, if it answers within a second.
    pub async fn info(&self, index: usize) -> Option<NodeInfo> {
        ask(&self.inner.session(), index, Duration::from_secs(1)).await
    }

    /// How every authority is.
    pub async fn standing(&self) -> Vec<Option<NodeInfo>> {
        let count = self.inner.network.genesis().authorities.len();
        let mut standing = Vec::with_capacity(count);
        for index in 0..count {
            standing.push(self.info(index).await);
        }
        standing
    }

    /// Kills an authority's process, as a power cut would; answers with its id and the commit it
    /// had reached.
    ///
    /// # Errors
    /// [`ProcessError::Kill`].
    pub async fn kill(&self, index: usize) -> Result<u32, ProcessError> {
        self.inner.sample().await;
        let mut processes = self.inner.processes.lock().await;
        let process = &mut processes[index];
        let id = process.id();
        if let Some(mut child) = process.child.take() {
            let name = process.name.clone();
            child.kill().await.map_err(|source| ProcessError::Kill { name, source })?;
        }
        let now = std::mem::take(&mut process.now);
        process.ended.cpu_ms += now.cpu_ms;
        process.ended.sent += now.sent;
        process.ended.received += now.received;
        Ok(id)
    }

    /// Starts an authority again; its new id, and a session that asks it.
    ///
    /// # Errors
    /// [`ProcessError`].
    pub async fn bring_back(&self, index: usize) -> Result<(u32, Session), ProcessError> {
        let id = {
            let mut processes = self.inner.processes.lock().await;
            processes[index].spawn(&self.inner.program)?;
            processes[index].id()
        };
        let session = observer(&self.inner.network)?;
        *self.inner.session.lock().unwrap_or_else(PoisonError::into_inner) = session.clone();
        self.ready(&session, index).await?;
        Ok((id, session))
    }

    /// Measures all processes now.
    pub async fn sample(&self) {
        self.inner.sample().await;
    }

    /// An authority's name.
    pub async fn name(&self, index: usize) -> String {
        self.inner.processes.lock().await[index].name.clone()
    }

    /// Asks all processes to end, waits, kills what remains; what they used.
    pub async fn stop(self) -> Vec<Measured> {
        self.sampler.abort();
        self.inner.sample().await;
        let mut processes = self.inner.processes.lock().await;
        let system = processes_of(processes.iter().map(Process::id));
        for process in processes.iter_mut() {
            let running = system.as_ref().and_then(|all| all.process(Pid::from_u32(process.id())));
            let asked = running.is_some_and(|it| it.kill_with(Signal::Term) == Some(true));
            if let (false, Some(child)) = (asked, &mut process.child) {
                // It cannot be asked; `wait` below says whether it ended.
                let _ = child.start_kill();
            }
        }
        for process in processes.iter_mut() {
            let Some(mut child) = process.child.take() else { continue };
            let ended = tokio::time::timeout(STOP_WITHIN, child.wait()).await;
            if !matches!(ended, Ok(Ok(_))) {
                // It is gone, or the system cannot end it: nothing better can be done.
                let _ = child.kill().await;
            }
        }
        processes.iter().map(|process| process.measured.clone()).collect()
    }
}

impl Inner {
    fn session(&self) -> Session {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn sample(&self) {
        let session = self.session();
        let mut infos = Vec::new();
        for index in 0..self.network.genesis().authorities.len() {
            infos.push(ask(&session, index, SAMPLE_EVERY).await);
        }
        let mut processes = self.processes.lock().await;
        let Some(system) = processes_of(processes.iter().map(Process::id)) else { return };
        for (process, info) in processes.iter_mut().zip(infos) {
            let Some(running) = system.process(Pid::from_u32(process.id())) else { continue };
            if process.child.is_none() {
                continue;
            }
            process.now.cpu_ms = process.now.cpu_ms.max(running.accumulated_cpu_time());
            let measured = &mut process.measured;
            measured.resident_max_bytes = measured.resident_max_bytes.max(running.memory());
            if let Some(info) = info {
                process.now.sent = process.now.sent.max(info.bytes_sent);
                process.now.received = process.now.received.max(info.bytes_received);
                measured.round = measured.round.max(info.round);
            }
            measured.cpu_ms = process.ended.cpu_ms + process.now.cpu_ms;
            measured.bytes_sent = process.ended.sent + process.now.sent;
            measured.bytes_received = process.ended.received + process.now.received;
        }
    }
}

/// A session with a key of its own, for asking.
fn observer(network: &Network) -> Result<Session, ProcessError> {
    let key = crate::files::new_key().map_err(ProcessError::Key)?;
    Session::open(network, &key).map_err(ProcessError::Session)
}

/// How an authority is, if it answers in time.
pub async fn ask(session: &Session, index: usize, within: Duration) -> Option<NodeInfo> {
    tokio::time::timeout(within, session.info_of(index)).await.ok()?.ok()
}

/// The system's view of these processes, where there is one.
fn processes_of(ids: impl Iterator<Item = u32>) -> Option<System> {
    let ids: Vec<Pid> = ids.map(Pid::from_u32).collect();
    let mut system = System::new().ok()?;
    let what = ProcessRefreshKind::nothing().with_cpu().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&ids), true, what);
    Some(system)
}

impl Process {
    fn log(&self) -> PathBuf {
        self.folder.join(LOG_FILE)
    }

    fn id(&self) -> u32 {
        self.measured.processes.last().copied().unwrap_or_default()
    }

    fn spawn(&mut self, program: &Path) -> Result<(), ProcessError> {
        let failed = |source| ProcessError::Start {
            name: self.name.clone(),
            program: program.to_owned(),
            source,
        };
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log());
        let log = log.map_err(failed)?;
        let errors = log.try_clone().map_err(failed)?;
        let mut command = Command::new(program);
        command.arg("node").arg("--exit-with-parent").arg("--dir").arg(&self.folder);
        command.stdin(Stdio::piped()).stdout(log).stderr(errors).kill_on_drop(true);
        // In a group of its own: Ctrl-C is for the demo, which then stops its authorities in order.
        #[cfg(unix)]
        command.process_group(0);
        let child = command.spawn().map_err(failed)?;
        self.measured.processes.push(child.id().unwrap_or_default());
        self.child = Some(child);
        Ok(())
    }

    fn alive(&mut self) -> Result<(), ProcessError> {
        let Some(child) = &mut self.child else { return Ok(()) };
        let Ok(Some(status)) = child.try_wait() else { return Ok(()) };
        let log = self.log();
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let last = text.lines().last().unwrap_or("it wrote nothing").to_owned();
        Err(ProcessError::Ended { name: self.name.clone(), status: status.to_string(), last, log })
    }
}
