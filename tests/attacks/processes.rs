//! What `/proc` tells of the server's processes.

use std::time::Duration;
use std::time::Instant;

use crate::support::DEADLINE;

/// The process that serves: a child of `parent`, or `parent` itself where it has none.
pub fn serving(parent: u32) -> u32 {
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let mut children: Vec<u32> = tasks
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|line| line.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>())
        .collect();
    children.sort_unstable();
    children.last().copied().unwrap_or(parent)
}

/// User and system CPU time, in clock ticks.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    field(11) + field(12)
}

/// A line of `/proc/PID/status`, in its own unit.
fn status(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()).and_then(|value| value.parse().ok()).unwrap_or(0)
}

pub fn resident_mib(pid: u32) -> u64 {
    status(pid, "VmRSS") / 1024
}

pub fn threads(pid: u32) -> u64 {
    status(pid, "Threads")
}

/// Waits for half a second in which the process has used less than a quarter of one core.
pub fn comes_to_rest(pid: u32) -> Result<(), String> {
    const WINDOW: Duration = Duration::from_millis(500);
    let until = Instant::now() + DEADLINE;
    loop {
        let before = cpu_ticks(pid);
        std::thread::sleep(WINDOW);
        let used = cpu_ticks(pid) - before;
        // A tick is 10 ms.
        if used < 12 {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(format!("process {pid} goes on using CPU: {} ms in the last {WINDOW:?}", used * 10));
        }
    }
}
