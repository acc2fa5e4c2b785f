//! What processes use, and how times are told.

use std::time::{Duration, Instant};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Reads what one process uses.
pub struct Meter {
    process: Pid,
    system: System,
    since: Instant,
    read: Duration,
    cpu_ms_before: u64,
    cpu_ms: u64,
    /// The most memory it was seen to hold, in bytes.
    pub resident_max: u64,
}

impl Meter {
    /// Begins with a process.
    pub fn of(process: u32) -> Self {
        let (process, system) = (Pid::from_u32(process), System::new().unwrap());
        let since = Instant::now();
        let read = Duration::ZERO;
        let mut meter =
            Self { process, system, since, read, cpu_ms_before: 0, cpu_ms: 0, resident_max: 0 };
        meter.read();
        meter.cpu_ms_before = meter.cpu_ms;
        meter
    }

    /// Looks once.
    pub fn read(&mut self) {
        let what = ProcessRefreshKind::nothing().with_cpu().with_memory();
        let only = [self.process];
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&only), false, what);
        let process = self.system.process(self.process).expect("it runs");
        self.read = self.since.elapsed();
        self.cpu_ms = process.accumulated_cpu_time();
        self.resident_max = self.resident_max.max(process.memory());
    }

    /// The share of one core it used from the beginning until it was last read.
    pub fn core_share(&self) -> f64 {
        let used = Duration::from_millis(self.cpu_ms - self.cpu_ms_before);
        used.as_secs_f64() / self.read.as_secs_f64()
    }
}

/// Bytes, for people.
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.2} MiB", bytes as f64 / f64::from(1 << 20))
}

/// The median and the longest of some times.
pub fn median_and_longest(times: &[Duration]) -> String {
    let mut sorted = times.to_vec();
    sorted.sort();
    let longest = sorted.last().copied().unwrap_or_default();
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    format!("after {median:.0?} (median), {longest:.0?} (longest)")
}
