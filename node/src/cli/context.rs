//! What the arguments of every command come down to: the network's folder, its keys, and sessions.

use super::Global;
use super::error::CliError;
use kerbholz_client::connection::Timeouts;
use kerbholz_client::ledger::keys::Keypair;
use kerbholz_client::ledger::quantity::{CommitIndex, Epoch};
use kerbholz_client::ledger::rows::CommitteeRow;
use kerbholz_client::network::COMMITTEE_FILE;
use kerbholz_client::{Machine, Meter, Network, Organisation, Publisher, Session};
use kerbholz_node::files;
use kerbholz_node::setup::member_key;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// File in the network's folder that keeps the newest commit that this user's commands have seen:
/// the next command reads nothing older, whichever authority answers it.
const SEEN_FILE: &str = "seen";

/// The network's folder, and how long to try to reach the network.
#[derive(Clone, Debug)]
pub struct Context {
    dir: PathBuf,
    timeout: Duration,
}

impl Context {
    /// From the arguments that every command understands.
    pub fn new(global: &Global) -> Self {
        Self { dir: global.dir.clone(), timeout: global.timeout }
    }

    /// The network's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The network whose files are in the folder.
    ///
    /// # Errors
    /// [`CliError::Network`].
    pub fn network(&self) -> Result<Network, CliError> {
        Ok(Network::open(&self.dir)?)
    }

    /// The key file of a member: a name in the folder, or a path.
    pub fn key_file(&self, name: &str) -> PathBuf {
        let path = Path::new(name);
        let is_path = path.components().count() > 1;
        if is_path { path.to_owned() } else { member_key(&self.dir, name) }
    }

    /// The key of a member that this user has.
    ///
    /// # Errors
    /// [`CliError::File`] when there is no such file, or it is no key.
    pub fn key(&self, name: &str) -> Result<Keypair, CliError> {
        let path = self.key_file(name);
        if !path.exists() {
            return Err(CliError::NoKey { path });
        }
        Ok(files::read_key(&path)?)
    }

    fn session(&self, key: &Keypair) -> Result<Session, CliError> {
        let default = Timeouts::default();
        // Who is ready to wait longer for an authority waits as long for what it is to do.
        let finality = default.finality.max(self.timeout);
        let timeouts = Timeouts { overall: self.timeout, finality, ..default };
        let session = Session::open_within(&self.network()?, key, timeouts)?;
        session.catch_up_with(self.seen());
        Ok(session)
    }

    /// A session that only reads: anybody may.
    ///
    /// # Errors
    /// [`CliError::Network`] and [`CliError::Client`].
    pub fn reader(&self) -> Result<Session, CliError> {
        self.session(&files::new_key()?)
    }

    /// A session that only reads, with certain authorities of the network, which are not waited for
    /// longer than this.
    ///
    /// # Errors
    /// [`CliError::Client`].
    pub fn reader_of(&self, network: &Network, within: Duration) -> Result<Session, CliError> {
        let overall = within.min(self.timeout);
        let timeouts = Timeouts { overall, ..Timeouts::default() };
        Ok(Session::open_within(network, &files::new_key()?, timeouts)?)
    }

    /// A session of this member, or one that only reads.
    ///
    /// # Errors
    /// As [`Self::reader`], and [`CliError::File`].
    pub fn session_of(&self, name: Option<&str>) -> Result<Session, CliError> {
        match name {
            Some(name) => self.session(&self.key(name)?),
            None => self.reader(),
        }
    }

    /// A machine's session.
    ///
    /// # Errors
    /// As [`Self::session_of`]; [`CliError::Client`] when the key is no member's.
    pub async fn machine(&self, name: &str) -> Result<Machine, CliError> {
        Ok(Machine::over(self.session_of(Some(name))?).await?)
    }

    /// An organisation's session.
    ///
    /// # Errors
    /// As [`Self::machine`].
    pub async fn organisation(&self, name: &str) -> Result<Organisation, CliError> {
        Ok(Organisation::over(self.session_of(Some(name))?).await?)
    }

    /// A meter's session.
    ///
    /// # Errors
    /// As [`Self::machine`].
    pub async fn meter(&self, name: &str) -> Result<Meter, CliError> {
        Ok(Meter::over(self.session_of(Some(name))?).await?)
    }

    /// A publisher's session.
    ///
    /// # Errors
    /// As [`Self::machine`].
    pub async fn publisher(&self, name: &str) -> Result<Publisher, CliError> {
        Ok(Publisher::over(self.session_of(Some(name))?).await?)
    }

    /// Keeps a committee that was proved, so that the next session finds the authorities. Says
    /// whether that was news.
    ///
    /// # Errors
    /// [`CliError::File`].
    pub fn keep_committee(&self, committee: &CommitteeRow) -> Result<bool, CliError> {
        let path = self.dir.join(COMMITTEE_FILE);
        // What cannot be read is replaced by what was proved; that of the genesis needs no file.
        let kept = files::read_text(&path).ok();
        let kept = kept.and_then(|text| serde_json::from_str::<CommitteeRow>(&text).ok());
        if kept.map_or(Epoch::ZERO, |kept| kept.epoch) >= committee.epoch {
            return Ok(false);
        }
        let text = serde_json::to_string_pretty(committee)
            .map_err(|error| CliError::Other(error.to_string()))?;
        files::write(&path, format!("{text}\n").as_bytes(), false)?;
        Ok(true)
    }

    /// The newest commit that this user's commands have seen.
    pub fn seen(&self) -> CommitIndex {
        // Without the file, reads may be a moment older: no reason to fail.
        let text = std::fs::read_to_string(self.dir.join(SEEN_FILE)).unwrap_or_default();
        text.trim().parse().map_or(CommitIndex::ZERO, CommitIndex::new)
    }

    /// Keeps how far a session has seen, for the next command.
    pub fn keep_seen(&self, session: &Session) {
        self.keep_seen_commit(session.seen());
    }

    /// Keeps the newest commit that was seen, for the next command.
    pub fn keep_seen_commit(&self, seen: CommitIndex) {
        let text = format!("{}\n", seen.get());
        // A folder that cannot be written costs freshness of the next read, nothing else.
        let _ = files::write(&self.dir.join(SEEN_FILE), text.as_bytes(), false);
    }
}
