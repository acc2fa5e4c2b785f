//! What the operating system tells of energy and processor time (Linux: powercap and `/proc/stat`).

use crate::process;
use kerbholz_ledger::quantity::Timestamp;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Milliseconds in a tick of `/proc/stat`: there are 100 a second, on every architecture.
const TICK_MS: u64 = 10;

/// One of the processor's energy counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Which, e.g. `intel-rapl:0 package-0`.
    pub zone: String,
    /// Where it stands, in microjoules.
    pub microjoules: u64,
    /// The highest it shows: then it starts again from zero.
    pub range: u64,
}

impl Counter {
    /// What it counted since then, if it started again at most once.
    pub fn since(&self, before: &Self) -> u128 {
        let (now, then) = (u128::from(self.microjoules), u128::from(before.microjoules));
        let turn = if now < then { u128::from(self.range) + 1 } else { 0 };
        (now + turn).saturating_sub(then)
    }
}

/// Where everything stands at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The moment.
    pub at: Timestamp,
    /// Processor time that this process has used.
    pub own_ms: u64,
    /// Processor time that all processes have used.
    pub busy_ms: u64,
    /// The processor's counters; empty where they cannot be read.
    pub counters: Vec<Counter>,
}

/// Why the processor's counters are not used.
#[derive(Debug, thiserror::Error)]
pub enum NoCounters {
    /// There are none.
    #[error("{0} has no counter of a processor's energy")]
    None(PathBuf),
    /// One cannot be read.
    #[error("{path}: {source}: let the node's user read it, or state a power in node.toml")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Where to look.
#[derive(Clone, Debug)]
pub struct Probe {
    powercap: PathBuf,
    stat: PathBuf,
}

impl Default for Probe {
    fn default() -> Self {
        Self { powercap: "/sys/class/powercap".into(), stat: "/proc/stat".into() }
    }
}

impl Probe {
    /// Looks in these places.
    #[cfg(test)]
    pub(super) fn of(powercap: PathBuf, stat: PathBuf) -> Self {
        Self { powercap, stat }
    }

    /// The counters of whole processor packages: what is inside a package is counted with it.
    ///
    /// # Errors
    /// [`NoCounters`], when none or not all of them can be read.
    pub fn counters(&self) -> Result<Vec<Counter>, NoCounters> {
        let none = || NoCounters::None(self.powercap.clone());
        let entries = fs::read_dir(&self.powercap).map_err(|_| none())?;
        let mut folders: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        folders.sort();
        let mut counters = Vec::new();
        for folder in folders {
            let Ok(name) = fs::read_to_string(folder.join("name")) else { continue };
            if !name.starts_with("package-") {
                continue;
            }
            let folder_name = folder.file_name().unwrap_or_default().to_string_lossy();
            counters.push(Counter {
                zone: format!("{folder_name} {}", name.trim()),
                microjoules: number(&folder.join("energy_uj"))?,
                range: number(&folder.join("max_energy_range_uj"))?,
            });
        }
        if counters.is_empty() { Err(none()) } else { Ok(counters) }
    }

    /// Where everything stands.
    pub fn sample(&self, at: Timestamp) -> Sample {
        let own_ms = process::usage().cpu_ms;
        let busy_ms = fs::read_to_string(&self.stat).ok().and_then(|text| busy_ms(&text));
        // Where nobody says what others used, this process bears it all.
        let busy_ms = busy_ms.unwrap_or(own_ms);
        Sample { at, own_ms, busy_ms, counters: self.counters().unwrap_or_default() }
    }
}

fn number(path: &Path) -> Result<u64, NoCounters> {
    let unreadable = |source| NoCounters::Unreadable { path: path.to_owned(), source };
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let invalid = |error| unreadable(io::Error::new(io::ErrorKind::InvalidData, error));
    text.trim().parse().map_err(invalid)
}

/// The processor time that all processes used, by the first line of `/proc/stat`: user, nice,
/// system, then idle and waiting, which nobody used, then interrupts. Guests are in user.
fn busy_ms(stat: &str) -> Option<u64> {
    let mut words = stat.lines().next()?.split_whitespace();
    if words.next()? != "cpu" {
        return None;
    }
    let ticks: Vec<u64> = words.take(7).map(str::parse).collect::<Result<_, _>>().ok()?;
    let [user, nice, system, _, _, interrupts, soft] = *ticks.as_slice() else { return None };
    let busy = [user, nice, system, interrupts, soft].into_iter().try_fold(0, u64::checked_add)?;
    busy.checked_mul(TICK_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_processes_used_is_not_the_idle_time() {
        let stat = "cpu  100 20 30 9999 500 4 6 70 1 1\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(busy_ms(stat), Some(1_600));
        for bad in ["", "cpu", "cpu 1 2 3", "cpu a b c d e f g", "intr 1 2 3 4 5 6 7"] {
            assert_eq!(busy_ms(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn packages_are_counted_and_what_is_in_them_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let probe = Probe::of(folder.path().into(), folder.path().join("stat"));
        assert!(matches!(probe.counters(), Err(NoCounters::None(_))));
        let zone = |zone: &str, files: &[(&str, &str)]| {
            let path = folder.path().join(zone);
            fs::create_dir_all(&path).unwrap();
            files.iter().for_each(|(name, text)| fs::write(path.join(name), text).unwrap());
        };
        let package = [("name", "package-0\n"), ("energy_uj", "17\n")];
        zone("intel-rapl:0", &package);
        assert!(matches!(probe.counters(), Err(NoCounters::Unreadable { .. })));
        zone("intel-rapl:0", &[("max_energy_range_uj", "99\n")]);
        zone("intel-rapl:0:0", &[("name", "core\n"), ("energy_uj", "5\n")]);
        zone("intel-rapl:1", &[("name", "psys\n"), ("energy_uj", "50\n")]);
        let counter = Counter { zone: "intel-rapl:0 package-0".into(), microjoules: 17, range: 99 };
        assert_eq!(probe.counters().unwrap(), [counter]);
        zone("intel-rapl:0", &[("energy_uj", "many")]);
        assert!(matches!(probe.counters(), Err(NoCounters::Unreadable { .. })));
    }

    #[test]
    fn a_counter_that_starts_again_has_counted_on() {
        let at = |microjoules| Counter { zone: String::new(), microjoules, range: 99 };
        assert_eq!(at(30).since(&at(10)), 20);
        assert_eq!(at(10).since(&at(10)), 0);
        // 96, 97, 98, 99, and 0 to 4: nine steps further.
        assert_eq!(at(4).since(&at(95)), 9);
    }
}
