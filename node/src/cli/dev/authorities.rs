//! The authorities of a local network, as child processes that nothing leaves behind: each ends when
//! its stdin does, which the operating system sees to however this process ends.

use crate::cli::error::CliError;
use crate::cli::output::Output;
use kerbholz_client::transport::redial::RedialDelays;
use kerbholz_node::files::FileError;
use kerbholz_node::setup::authority_folder;
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// What an authority writes to stderr.
const LOG_FILE: &str = "node.log";
/// Longest time an authority may take to listen: it may have to rebuild its state.
const READY_MAX: Duration = Duration::from_secs(120);
/// Longest time it may take to stop before it is killed.
const STOP_MAX: Duration = Duration::from_secs(10);
/// After so long without a crash, the next one is answered quickly again.
const STEADY: Duration = Duration::from_secs(60);
/// How quickly a crashed authority is started again.
const DELAYS: RedialDelays =
    RedialDelays { first: Duration::from_millis(250), longest: Duration::from_secs(10) };

/// All authorities of a network.
pub struct Authorities {
    count: usize,
    stop: watch::Sender<bool>,
    first: tokio::sync::Mutex<mpsc::Receiver<Result<(), CliError>>>,
    keepers: JoinSet<()>,
}

impl Authorities {
    /// Starts them; [`Self::wait_ready`] says how it went.
    pub fn start(dir: &Path, names: &[String], output: Output) -> Result<Self, CliError> {
        let program = std::env::current_exe()
            .map_err(|error| CliError::Other(format!("cannot find this program: {error}")))?;
        let (stop, stopped) = watch::channel(false);
        let (report, first) = mpsc::channel(names.len().max(1));
        let mut keepers = JoinSet::new();
        for name in names {
            let folder = authority_folder(dir, name);
            let log = folder.join(LOG_FILE);
            // Each run begins with an empty log.
            File::create(&log).map_err(|source| FileError::Io { path: log.clone(), source })?;
            let keeper = Keeper {
                name: name.clone(),
                program: program.clone(),
                folder,
                log,
                output,
                stopped: stopped.clone(),
            };
            keepers.spawn(keeper.run(report.clone()));
        }
        let first = tokio::sync::Mutex::new(first);
        Ok(Self { count: names.len(), stop, first, keepers })
    }

    /// Waits until all listen, or one does not.
    pub async fn wait_ready(&self) -> Result<(), CliError> {
        let mut first = self.first.lock().await;
        for _ in 0..self.count {
            let ended = || Err(CliError::Other("an authority's keeper ended".into()));
            first.recv().await.unwrap_or_else(ended)?;
        }
        Ok(())
    }

    /// Stops them cleanly, and waits until they have ended.
    pub async fn stop(mut self) {
        // Keepers that have ended need no telling.
        let _ = self.stop.send(true);
        while self.keepers.join_next().await.is_some() {}
    }
}

/// Keeps one authority running.
struct Keeper {
    name: String,
    program: PathBuf,
    folder: PathBuf,
    log: PathBuf,
    output: Output,
    stopped: watch::Receiver<bool>,
}

impl Keeper {
    async fn run(mut self, report: mpsc::Sender<Result<(), CliError>>) {
        let mut report = Some(report);
        let mut delays = DELAYS.sequence();
        while !*self.stopped.borrow() {
            let begin = Instant::now();
            let (mut child, stdin) = match self.spawn() {
                Ok(spawned) => spawned,
                Err(error) => match report.take() {
                    Some(report) => return refuse(report, error).await,
                    None => {
                        self.say(&error.to_string());
                        self.pause(&mut delays).await;
                        continue;
                    }
                },
            };
            let ready = self.wait_ready(&mut child).await;
            match (ready, report.take()) {
                // Who listens no more has stopped everything.
                (Ok(()), Some(report)) => drop(report.send(Ok(())).await),
                (Ok(()), None) => self.say("runs again"),
                (Err(error), Some(report)) => {
                    end(child, stdin).await;
                    return refuse(report, error).await;
                }
                (Err(error), None) => self.say(&error.to_string()),
            }
            let mut stopped = self.stopped.clone();
            tokio::select! {
                _ = child.wait() => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
            end(child, stdin).await;
            if *self.stopped.borrow() {
                return;
            }
            self.say("has ended, and is started again");
            if begin.elapsed() > STEADY {
                delays = DELAYS.sequence();
            }
            self.pause(&mut delays).await;
        }
    }

    /// Waits until it is time for the next attempt, or to stop.
    async fn pause(&mut self, delays: &mut impl Iterator<Item = Duration>) {
        let pause = delays.next().unwrap_or(DELAYS.longest);
        // Which of the two it was, the loop's condition knows.
        let _ = timeout(pause, self.stopped.wait_for(|stop| *stop)).await;
    }

    fn say(&self, what: &str) {
        self.output.remark(&format!("{} {what}", self.name));
    }

    fn spawn(&self) -> Result<(Child, ChildStdin), CliError> {
        let failed = |source| FileError::Io { path: self.log.clone(), source };
        let log = OpenOptions::new().append(true).create(true).open(&self.log).map_err(failed)?;
        let child = Command::new(&self.program)
            .args(["node", "--json", "--exit-with-parent", "--dir"])
            .arg(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // Ctrl-C is for this process, which then stops its children one by one.
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let mut child = child.map_err(|error| {
            CliError::Other(format!("cannot start {}: {error}", self.program.display()))
        })?;
        let stdin = child.stdin.take();
        let stdin = stdin.ok_or_else(|| CliError::Other("a child without stdin".into()))?;
        Ok((child, stdin))
    }

    /// Waits for the line that says that it listens.
    async fn wait_ready(&self, child: &mut Child) -> Result<(), CliError> {
        let Some(stdout) = child.stdout.take() else { return Err(self.why()) };
        let mut lines = BufReader::new(stdout).lines();
        let mut stopped = self.stopped.clone();
        let line = tokio::select! {
            line = timeout(READY_MAX, lines.next_line()) => line,
            _ = stopped.wait_for(|stop| *stop) => return Ok(()),
        };
        // The pipe stays open until the child ends: it writes nothing more, but may not be told so.
        match line {
            Ok(Ok(Some(_))) => {
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                Ok(())
            }
            _ => Err(self.why()),
        }
    }

    /// Why it did not start: the last thing it wrote.
    fn why(&self) -> CliError {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last = text.lines().last().unwrap_or_default();
        let error: Value = serde_json::from_str(last).unwrap_or_default();
        let reason = error["error"]["message"].as_str().unwrap_or(last);
        let (name, log) = (&self.name, self.log.display());
        CliError::Other(format!("{name} did not start: {reason} (its log: {log})"))
    }
}

/// Says why an authority cannot be started at all.
async fn refuse(report: mpsc::Sender<Result<(), CliError>>, error: CliError) {
    // Who listens no more has stopped everything.
    drop(report.send(Err(error)).await);
}

/// Ends a child: first by the end of its stdin, then by force.
async fn end(mut child: Child, stdin: ChildStdin) {
    drop(stdin);
    if timeout(STOP_MAX, child.wait()).await.is_err() {
        // It may have ended in this moment.
        let _ = child.kill().await;
    }
}
