//! A network namespace for each authority, joined by a router in one of this thread's own.
//!
//! ```text
//!            this thread (and the clients)
//!          10.77.0.1  10.77.1.1  10.77.2.1 …      a0, a1, a2 …
//!              │          │          │            one pair of veth each
//!          10.77.0.2  10.77.1.2  10.77.2.2        eth0, in the authority's namespace
//! ```
//!
//! Policy rules of the router lead what is to be lost into a sink, a device whose other end is in a
//! namespace where nobody is: one direction between two authorities is one rule. The sink counts.

use super::ground::Place;
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::JoinHandle;

const PORT: u16 = 7_000;
/// The device that loses what is routed there, and the table with the route.
const SINK: &str = "sink";
const SINK_TABLE: &str = "77";

/// The namespaces, alive as long as this or a process in them is.
pub struct Namespaces {
    own: Vec<File>,
    /// Where the sink's other end is.
    _nowhere: File,
    cuts: Vec<(usize, usize)>,
    slowed: Vec<usize>,
}

impl Namespaces {
    /// Whether namespaces can be made here: tried on a thread that ends in them, since there is no
    /// way back.
    pub(super) fn permitted() -> io::Result<()> {
        std::thread::spawn(|| Self::enter(1).map(drop)).join().unwrap()
    }

    /// Moves this thread to namespaces of its own (network and mounts), and makes one for each
    /// authority.
    pub(super) fn enter(authorities: usize) -> io::Result<Self> {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
        run("mount", &["--make-rprivate", "/"])?;
        run("ip", &["link", "set", "lo", "up"])?;
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
        // A way back that is cut must not make the way forth look wrong.
        std::fs::write("/proc/sys/net/ipv4/conf/default/rp_filter", "0")?;
        std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "0")?;
        let nowhere = sink()?;
        let own = (0..authorities).map(namespace).collect::<io::Result<Vec<File>>>()?;
        Ok(Self { own, _nowhere: nowhere, cuts: Vec::new(), slowed: Vec::new() })
    }

    pub(super) fn place(authority: usize) -> Place {
        (format!("10.77.{authority}.2"), PORT)
    }

    pub(super) fn spawn(&self, authority: usize, command: &mut Command) -> Child {
        within(&self.own[authority], || command.spawn()).unwrap()
    }

    pub(super) fn thread<T: Send + 'static>(
        &self,
        authority: usize,
        what: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let namespace = self.own[authority].try_clone().unwrap();
        std::thread::spawn(move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            what()
        })
    }

    pub(super) fn cut(&mut self, from: usize, to: usize) {
        self.cuts.push((from, to));
        rule("add", from, to);
    }

    pub(super) fn slow(&mut self, authority: usize, kilobits_per_second: u32) {
        // A queue of a second: what the pipe cannot take waits, and then is lost.
        let rate = format!("{kilobits_per_second}kbit");
        let shape = |device: &str| {
            let head = ["qdisc", "replace", "dev", device, "root", "tbf", "rate", &rate];
            must("tc", &[&head[..], &["burst", "16kb", "latency", "1s"]].concat());
        };
        shape(&format!("a{authority}"));
        within(&self.own[authority], || shape("eth0"));
        self.slowed.push(authority);
    }

    /// How many packets went into the sink up to now.
    pub(super) fn lost(&self) -> u64 {
        let devices = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
        let mut devices = devices.lines().filter_map(|line| line.trim().split_once(':'));
        let (_, numbers) = devices.find(|(name, _)| *name == SINK).expect("there is a sink");
        // Eight numbers of what was received, then those of what was sent: bytes, packets.
        numbers.split_whitespace().nth(9).expect("packets sent").parse().unwrap()
    }

    /// How often a narrow pipe of an authority was full, in either direction, since it is narrow.
    pub(super) fn delayed(&self, authority: usize) -> u64 {
        let count = |device: &str| {
            let said = output("tc", &["-s", "-j", "qdisc", "show", "dev", device]).unwrap();
            let queues: serde_json::Value = serde_json::from_slice(&said).unwrap();
            let queues = queues.as_array().expect("a list of queues").iter();
            let narrow = queues.filter(|queue| queue["kind"] == "tbf");
            narrow.filter_map(|queue| queue["overlimits"].as_u64()).sum::<u64>()
        };
        count(&format!("a{authority}")) + within(&self.own[authority], || count("eth0"))
    }

    pub(super) fn heal(&mut self) {
        for (from, to) in self.cuts.drain(..) {
            rule("del", from, to);
        }
        for authority in self.slowed.drain(..) {
            let free = |device: &str| must("tc", &["qdisc", "del", "dev", device, "root"]);
            free(&format!("a{authority}"));
            within(&self.own[authority], || free("eth0"));
        }
    }
}

/// Makes the sink; the namespace of its other end.
fn sink() -> io::Result<File> {
    let nowhere = empty_namespace()?;
    link(SINK, &nowhere)?;
    within(&nowhere, || run("ip", &["link", "set", "eth0", "up"]))?;
    // Nobody there would say whose an address is.
    run("ip", &["link", "set", SINK, "arp", "off", "up"])?;
    run("ip", &["route", "add", "default", "dev", SINK, "table", SINK_TABLE])?;
    Ok(nowhere)
}

/// A network namespace with nothing but loopback.
fn empty_namespace() -> io::Result<File> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            run("ip", &["link", "set", "lo", "up"])?;
            File::open("/proc/thread-self/ns/net")
        });
        thread.join().unwrap()
    })
}

/// Makes a veth pair: this device here, `eth0` there.
fn link(device: &str, there: &File) -> io::Result<()> {
    let there = format!("/proc/{}/fd/{}", std::process::id(), there.as_raw_fd());
    let peer = ["type", "veth", "peer", "name", "eth0", "netns", &there];
    run("ip", &[&["link", "add", device][..], &peer].concat())
}

/// Makes the namespace of an authority, and the veth pair to it.
fn namespace(authority: usize) -> io::Result<File> {
    let made = empty_namespace()?;
    let device = format!("a{authority}");
    let (router, address) = (format!("10.77.{authority}.1"), format!("10.77.{authority}.2/24"));
    link(&device, &made)?;
    run("ip", &["address", "add", &format!("{router}/24"), "dev", &device])?;
    run("ip", &["link", "set", &device, "up"])?;
    within(&made, || {
        run("ip", &["address", "add", &address, "dev", "eth0"])?;
        run("ip", &["link", "set", "eth0", "up"])?;
        run("ip", &["route", "add", "default", "via", &router])
    })?;
    Ok(made)
}

/// Does something in a namespace, on a thread that ends there.
fn within<T: Send>(namespace: &File, what: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
            what()
        });
        thread.join().unwrap()
    })
}

fn rule(verb: &str, from: usize, to: usize) {
    let (from, to) = (Namespaces::place(from).0, Namespaces::place(to).0);
    must("ip", &["rule", verb, "from", &from, "to", &to, "lookup", SINK_TABLE]);
}

/// Mounts a file system in memory, or changes its size.
pub(super) fn mount(folder: &Path, bytes: u64) {
    let (folder, size) = (folder.to_str().unwrap(), format!("size={bytes}"));
    let again = format!("remount,{size}");
    if run("mount", &["-o", &again, folder]).is_err() {
        must("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", folder]);
    }
}

/// Takes it away.
pub(super) fn unmount(folder: &Path) {
    must("umount", &[folder.to_str().unwrap()]);
}

fn must(program: &str, arguments: &[&str]) {
    run(program, arguments).unwrap();
}

fn run(program: &str, arguments: &[&str]) -> io::Result<()> {
    output(program, arguments).map(drop)
}

/// What a program that succeeds says.
fn output(program: &str, arguments: &[&str]) -> io::Result<Vec<u8>> {
    let output = Command::new(program).args(arguments).output();
    let output =
        output.map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{program} {}: {}", arguments.join(" "), said.trim())))
}
