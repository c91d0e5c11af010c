//! The CPU time and memory of a server process, measured by the kernel.

use std::fs::{read_dir, read_to_string};

/// Returns the CPU time of all threads of a process, in microseconds.
pub(crate) fn cpu(pid: u32) -> f64 {
    let tasks = read_dir(format!("/proc/{pid}/task")).expect("the server runs");
    // The first field is the CPU time in nanoseconds (docs.kernel.org/scheduler/sched-stats.html).
    // A thread that ends during the loop has no file and is skipped.
    let on_cpu = |task: std::fs::DirEntry| {
        let text = read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    tasks.flatten().filter_map(on_cpu).sum::<f64>() / 1000.0
}

/// Returns the proportional set size of a process, in KiB. A page shared by several processes
/// counts in part for each.
pub(crate) fn memory(pid: u32) -> f64 {
    let rollup = read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("the server runs");
    let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = pss.and_then(|line| line.trim().strip_suffix("kB"));
    kib.expect("smaps_rollup has a line Pss")
        .trim()
        .parse()
        .unwrap()
}
