//! Where the authorities of a drill stand, and what lies between them.
//!
//! Namespaces where this process may make them: each authority has a network stack of its own, and
//! lost packets are lost without a word. Otherwise loopback, with a relay on every way from one
//! authority to another, which stops forwarding; the addresses are real, the loss is not. Clients
//! reach every authority whatever happens between authorities.
//!
//! Nothing has a name outside this process, so runs cannot collide, and the operating system clears
//! everything away when the last process ends, however it ends.

use super::namespaces::Namespaces;
use super::relays::Relays;
use super::setting;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::JoinHandle;

/// Where an authority listens: an IPv4 address and a port for TCP (and QUIC where it is not
/// relayed).
pub type Place = (String, u16);

/// Where the authorities stand.
pub enum Ground {
    /// Each in a network namespace of its own.
    Namespaces(Namespaces),
    /// All on loopback.
    Loopback(Relays),
}

impl Ground {
    /// Prepares the ground, and moves this thread there. `KERBHOLZ_DRILL_GROUND=loopback` does
    /// without namespaces, `=namespaces` insists on them.
    pub(super) fn enter(authorities: usize) -> Self {
        let wish: String = setting("KERBHOLZ_DRILL_GROUND", String::new());
        if wish == "loopback" {
            eprintln!("ground: loopback with relays, as asked for");
            return Self::Loopback(Relays::new(authorities));
        }
        match Namespaces::permitted() {
            Ok(()) => {
                eprintln!("ground: a network namespace for each authority");
                Self::Namespaces(Namespaces::enter(authorities).unwrap())
            }
            Err(error) => {
                assert_ne!(wish, "namespaces", "no namespaces here: {error}");
                eprintln!(
                    "ground: loopback with relays, since namespaces are not permitted ({error}); \
                     try `unshare --user --map-root-user --net` before the command"
                );
                Self::Loopback(Relays::new(authorities))
            }
        }
    }

    /// Whether file systems can be mounted here, for this process and its children only.
    pub const fn can_mount(&self) -> bool {
        matches!(self, Self::Namespaces(_))
    }

    /// Where an authority is to listen, if the ground decides it.
    pub(super) fn listens(&self, authority: usize) -> Option<Place> {
        match self {
            Self::Namespaces(_) => Some(Namespaces::place(authority)),
            Self::Loopback(_) => None,
        }
    }

    /// Where one authority finds another that listens there.
    pub(super) async fn finds(&mut self, from: usize, to: usize, listens: &Place) -> Place {
        match self {
            Self::Namespaces(_) => listens.clone(),
            Self::Loopback(relays) => relays.between(from, to, listens).await,
        }
    }

    /// Starts a program where an authority stands.
    pub(super) fn spawn(&self, authority: usize, command: &mut Command) -> Child {
        match self {
            Self::Namespaces(namespaces) => namespaces.spawn(authority, command),
            Self::Loopback(_) => command.spawn().unwrap(),
        }
    }

    /// Runs something on a thread that stands where an authority stands.
    pub fn thread<T: Send + 'static>(
        &self,
        authority: usize,
        what: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        match self {
            Self::Namespaces(namespaces) => namespaces.thread(authority, what),
            Self::Loopback(_) => std::thread::spawn(what),
        }
    }

    /// From now on nothing that `from` sends arrives at `to`.
    pub fn cut(&mut self, from: usize, to: usize) {
        match self {
            Self::Namespaces(namespaces) => namespaces.cut(from, to),
            Self::Loopback(relays) => relays.cut(from, to),
        }
    }

    /// Nothing passes between the two groups, either way.
    pub fn part(&mut self, some: &[usize], others: &[usize]) {
        for a in some {
            for b in others {
                self.cut(*a, *b);
                self.cut(*b, *a);
            }
        }
    }

    /// How much did not pass because of [`cut`](Self::cut) up to now: packets, or what a relay held
    /// up at once.
    pub fn lost(&self) -> u64 {
        match self {
            Self::Namespaces(namespaces) => namespaces.lost(),
            Self::Loopback(relays) => relays.lost(),
        }
    }

    /// How often something had to wait because an authority's ways are [narrow](Self::slow), since they
    /// are.
    pub fn delayed(&self, authority: usize) -> u64 {
        match self {
            Self::Namespaces(namespaces) => namespaces.delayed(authority),
            Self::Loopback(relays) => relays.delayed(authority),
        }
    }

    /// Whatever an authority sends and gets goes through a narrow pipe: so many kilobits a second.
    pub fn slow(&mut self, authority: usize, kilobits_per_second: u32) {
        match self {
            Self::Namespaces(namespaces) => namespaces.slow(authority, kilobits_per_second),
            Self::Loopback(relays) => relays.slow(authority, kilobits_per_second),
        }
    }

    /// Everything passes again, and fast.
    pub fn heal(&mut self) {
        match self {
            Self::Namespaces(namespaces) => namespaces.heal(),
            Self::Loopback(relays) => relays.heal(),
        }
    }

    /// Mounts a file system in memory over a folder, of so many bytes; a second time changes its size.
    pub fn mount(&self, folder: &Path, bytes: u64) {
        assert!(self.can_mount(), "this ground cannot mount");
        super::namespaces::mount(folder, bytes);
    }

    /// Takes it away again.
    pub fn unmount(&self, folder: &Path) {
        super::namespaces::unmount(folder);
    }
}
