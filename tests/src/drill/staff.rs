//! The authorities of a drill, as processes that end with this one.

use super::ground::Ground;
use super::{program, setting, until};
use kerbholz_client::Network;
use kerbholz_client::ledger::keys::Keypair;
use kerbholz_client::network::read_key;
use nix::sys::signal::{Signal, kill};
use nix::sys::statvfs::statvfs;
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;
use tempfile::TempDir;

/// How many lines of each authority's log a failed drill shows.
const LAST_WORDS: usize = 12;

/// A network's files and its authorities' processes.
pub struct Staff {
    /// Where they stand.
    pub ground: Ground,
    folder: TempDir,
    running: Vec<Option<Child>>,
    environment: Vec<BTreeMap<String, String>>,
    disks: Vec<PathBuf>,
}

impl Staff {
    /// A staff for a ground; there is no network yet.
    pub(super) fn hire(ground: Ground) -> Self {
        let folder = tempfile::Builder::new().prefix("kerbholz-drill-").tempdir().unwrap();
        Self { ground, folder, running: Vec::new(), environment: Vec::new(), disks: Vec::new() }
    }

    /// Makes a network of so many authorities, with the organisations `forge`, which issues euros,
    /// and `printworks`.
    pub async fn found(&mut self, authorities: usize) {
        let made = Command::new(program())
            .args(["init", "--organisation", "forge", "--organisation", "printworks"])
            .args(["--authorities", &authorities.to_string(), "--dir"])
            .arg(self.folder())
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        self.running = (0..authorities).map(|_| None).collect();
        self.environment = vec![BTreeMap::new(); authorities];
        self.move_in().await;
    }

    /// Gives every authority the addresses of its ground, and the network's files as it sees them.
    async fn move_in(&mut self) {
        let mut listens = Vec::new();
        for authority in 0..self.running.len() {
            let path = self.home(authority).join("node.toml");
            let mut config: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
            let made = config["listen"][0].as_str().unwrap().to_owned();
            let made = made.strip_prefix("/ip4/").and_then(|rest| rest.split_once("/tcp/"));
            let (host, port) = made.unwrap();
            let made = (host.to_owned(), port.parse().unwrap());
            let place = self.ground.listens(authority).unwrap_or(made);
            config["listen"] = addresses(&place).into();
            config["network"] = "network".into();
            fs::write(path, config.to_string()).unwrap();
            listens.push(place);
        }
        let name = |authority: usize| format!("authority-{authority}");
        let places = listens.iter().enumerate();
        let seen = places.map(|(to, place)| (name(to), addresses(place))).collect();
        write_addresses(self.folder(), &seen);
        for from in 0..listens.len() {
            let mut seen = BTreeMap::new();
            for (to, place) in listens.iter().enumerate() {
                let found = self.ground.finds(from, to, place).await;
                seen.insert(name(to), addresses(&found));
            }
            let folder = self.home(from).join("network");
            fs::create_dir(&folder).unwrap();
            fs::copy(self.folder().join("genesis.json"), folder.join("genesis.json")).unwrap();
            write_addresses(&folder, &seen);
        }
    }

    /// How many authorities there are.
    pub fn count(&self) -> usize {
        self.running.len()
    }

    /// The indices of all.
    pub fn all(&self) -> Vec<usize> {
        (0..self.count()).collect()
    }

    /// The network's folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// An authority's folder.
    pub fn home(&self, authority: usize) -> PathBuf {
        self.folder().join(format!("authorities/authority-{authority}"))
    }

    /// An authority's data directory.
    pub fn data(&self, authority: usize) -> PathBuf {
        self.home(authority).join("data")
    }

    /// The network as an authority sees it, its key, and where it is to listen: all that somebody
    /// in its place needs.
    pub fn place_of(&self, authority: usize) -> (Network, Keypair, Vec<String>) {
        let home = self.home(authority);
        let config: toml::Table =
            fs::read_to_string(home.join("node.toml")).unwrap().parse().unwrap();
        let listen = config["listen"].as_array().unwrap().iter();
        let listen = listen.map(|address| address.as_str().unwrap().to_owned()).collect();
        let network = Network::open(home.join("network")).unwrap();
        (network, read_key(&home.join("key")).unwrap(), listen)
    }

    /// The network, as clients see it.
    pub fn network(&self) -> Network {
        Network::open(self.folder()).unwrap()
    }

    /// The network without some authorities: nobody listens where a client looks for those.
    pub fn network_without(&self, without: &[usize]) -> Network {
        let network = self.network();
        let mut addresses = network.all_addresses().clone();
        for authority in without {
            let name = &network.genesis().authorities[*authority].name;
            addresses.insert(name.clone(), vec!["/ip4/127.0.0.1/tcp/1".parse().unwrap()]);
        }
        Network::new(network.genesis().clone(), addresses).unwrap()
    }

    /// The key of an organisation.
    pub fn member(&self, name: &str) -> Keypair {
        read_key(&self.folder().join(format!("members/{name}.key"))).unwrap()
    }

    /// Gives an authority that does not run a disk of its own for its data.
    pub fn give_disk(&mut self, authority: usize, bytes: u64) {
        let (data, aside) = (self.data(authority), self.home(authority).join("aside"));
        fs::create_dir_all(&data).unwrap();
        fs::rename(&data, &aside).unwrap();
        fs::create_dir(&data).unwrap();
        self.ground.mount(&data, bytes);
        self.disks.push(data.clone());
        copy(&aside, &data);
    }

    /// Changes the size of an authority's disk, full or not.
    pub fn resize_disk(&self, authority: usize, bytes: u64) {
        self.ground.mount(&self.data(authority), bytes);
    }

    /// What an authority's disk holds, in bytes.
    pub fn disk_used(&self, authority: usize) -> u64 {
        let disk = statvfs(&self.data(authority)).unwrap();
        (disk.blocks() - disk.blocks_free()) * disk.fragment_size()
    }

    /// Gives every authority a clock that [`Self::set_clock`] sets, from its next start on; whether
    /// the library for that is here. Clocks that only go forward are left alone.
    pub fn give_clocks(&mut self) -> bool {
        let Some(library) = faketime() else { return false };
        for authority in self.all() {
            self.set_clock(authority, 0);
            let clock = self.clock(authority).display().to_string();
            self.environment[authority].extend(
                [
                    ("LD_PRELOAD", library.as_str()),
                    ("FAKETIME_TIMESTAMP_FILE", &clock),
                    ("FAKETIME_NO_CACHE", "1"),
                    ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
                ]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
            );
        }
        true
    }

    /// Sets an authority's wall clock so many seconds before this machine's, or behind it.
    pub fn set_clock(&self, authority: usize, ahead_s: i64) {
        // Renamed into place: no reader sees half of it.
        let new = self.clock(authority).with_extension("new");
        fs::write(&new, format!("{ahead_s:+}\n")).unwrap();
        fs::rename(new, self.clock(authority)).unwrap();
    }

    fn clock(&self, authority: usize) -> PathBuf {
        self.folder().join(format!("authority-{authority}.clock"))
    }

    /// Starts those of the given authorities that do not run, and returns when they listen: the
    /// moment in which the last process was started.
    pub fn start(&mut self, authorities: &[usize]) -> Instant {
        let mut started = Vec::new();
        for authority in authorities {
            if self.running[*authority].is_none() {
                let mut child = self.spawn(*authority);
                started.push((*authority, child.stdout.take().unwrap()));
                self.running[*authority] = Some(child);
            }
        }
        let last = Instant::now();
        for (authority, stdout) in started {
            let mut lines = BufReader::new(stdout).lines();
            assert!(lines.next().is_some(), "authority {authority} ended before it listened");
            // Kept open: it writes nothing more, but must not be told that nobody reads.
            std::thread::spawn(move || lines.for_each(drop));
        }
        last
    }

    fn spawn(&self, authority: usize) -> Child {
        let log = File::options().create(true).append(true).open(self.log(authority)).unwrap();
        let mut command = Command::new(program());
        command
            .args(["node", "--exit-with-parent", "--dir"])
            .arg(self.home(authority))
            .env("KERBHOLZ_LOG", setting("KERBHOLZ_LOG", "warn".to_owned()))
            .envs(&self.environment[authority])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        self.ground.spawn(authority, &mut command)
    }

    /// The file that an authority writes its log to.
    pub fn log(&self, authority: usize) -> PathBuf {
        self.folder().join(format!("authority-{authority}.log"))
    }

    /// Pulls the plug of some, all at the same moment.
    pub fn kill(&mut self, victims: &[usize]) {
        self.end(victims, Signal::SIGKILL);
    }

    /// Asks some to stop, and waits until they have.
    pub fn stop(&mut self, some: &[usize]) {
        self.end(some, Signal::SIGTERM);
    }

    fn end(&mut self, some: &[usize], signal: Signal) {
        for one in some {
            self.signal(*one, signal);
        }
        for one in some {
            if let Some(mut child) = self.running[*one].take() {
                child.wait().unwrap();
            }
        }
    }

    /// Takes all that an authority that does not run has on its disk, but for its key.
    pub fn wipe(&self, authority: usize) {
        fs::remove_dir_all(self.data(authority)).unwrap();
    }

    /// Whether an authority has lost the log of what it signed, and signs nothing yet.
    pub fn has_lost_log(&self, authority: usize) -> bool {
        self.data(authority).join("LOST-LOG").exists()
    }

    /// Suspends an authority's process, wherever it is.
    pub fn pause(&self, authority: usize) {
        self.signal(authority, Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub fn resume(&self, authority: usize) {
        self.signal(authority, Signal::SIGCONT);
    }

    fn signal(&self, authority: usize, signal: Signal) {
        if let Some(id) = self.process(authority) {
            kill(Pid::from_raw(i32::try_from(id).unwrap()), signal).unwrap();
        }
    }

    /// The process id of an authority that runs.
    pub fn process(&self, authority: usize) -> Option<u32> {
        self.running[authority].as_ref().map(Child::id)
    }

    /// How an authority's process ended by itself, if it did.
    pub fn ended(&mut self, authority: usize) -> Option<ExitStatus> {
        self.running[authority].as_mut().and_then(|child| child.try_wait().unwrap())
    }

    /// Waits until an authority's process has ended by itself.
    pub async fn ends(&mut self, authority: usize) -> ExitStatus {
        let mut child = self.running[authority].take().expect("it runs");
        let mut status = None;
        until("an authority ends by itself", async || {
            status = child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.expect("it has ended")
    }

    /// Stops all, and lets an auditor replay the ledger of each of some from its blocks, compared with
    /// the first one's: they must not differ.
    pub fn audit(&mut self, some: &[usize]) {
        self.stop(&self.all());
        for authority in some {
            let output = Command::new(program())
                .args(["audit", "replay", "--json"])
                .arg(self.data(*authority))
                .arg("--genesis")
                .arg(self.folder().join("genesis.json"))
                .arg("--against")
                .arg(self.data(some[0]))
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "audit of authority {authority}: {said}");
            let report: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert!(report["commits"].as_u64() > Some(0), "{report}");
        }
    }
}

impl Drop for Staff {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for authority in self.all() {
                let log = fs::read_to_string(self.log(authority)).unwrap_or_default();
                let lines: Vec<&str> = log.lines().rev().take(LAST_WORDS).collect();
                for line in lines.iter().rev() {
                    eprintln!("authority {authority}: {line}");
                }
            }
        }
        self.kill(&self.all());
        for disk in &self.disks {
            self.ground.unmount(disk);
        }
    }
}

/// The library that fakes the clock: `KERBHOLZ_FAKETIME`, or where Debian puts it.
fn faketime() -> Option<String> {
    const PLACES: [&str; 2] = ["x86_64-linux-gnu", "aarch64-linux-gnu"];
    let debian = |place| format!("/usr/lib/{place}/faketime/libfaketimeMT.so.1");
    let named = std::env::var("KERBHOLZ_FAKETIME").ok().into_iter();
    named.chain(PLACES.map(debian)).find(|path| Path::new(path).exists())
}

/// Copies all that is in a folder.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn addresses((host, port): &(String, u16)) -> Vec<String> {
    vec![format!("/ip4/{host}/tcp/{port}")]
}

fn write_addresses(folder: &Path, addresses: &BTreeMap<String, Vec<String>>) {
    let text = serde_json::to_string_pretty(addresses).unwrap();
    fs::write(folder.join("addresses.json"), text).unwrap();
}
