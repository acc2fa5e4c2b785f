//! What this process has used: processor time and memory, as the operating system counts them.

use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

/// Used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time of all threads, in milliseconds.
    pub cpu_ms: u64,
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
}

/// What this process has used; zeroes where the operating system does not tell.
pub fn usage() -> Usage {
    let (Ok(id), Ok(mut system)) = (sysinfo::get_current_pid(), System::new()) else {
        return Usage::default();
    };
    let what = ProcessRefreshKind::nothing().with_cpu().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[id]), false, what);
    system.process(id).map_or_else(Usage::default, |process| Usage {
        cpu_ms: process.accumulated_cpu_time(),
        resident_bytes: process.memory(),
    })
}
