//! What the watchdog costs: warm hello with it and without it, in turns, in one run.

mod support;

use std::time::Duration;

use futures::future::join_all;
use holm_isolate::Watchdog;
use holm_isolate::WatchdogOptions;
use support::Bench;
use support::HELLO;
use support::get;
use support::percentile;
use support::worker;

/// Isolates of each kind. Each runs on a thread of its own, whose place among the machine's others is luck.
const PAIRS: usize = 21;
const BATCHES: usize = 300;
const AT_ONCE: usize = 16;

/// The CPU time of this process for a request, all threads together, with a fresh isolate.
fn cost(bench: &Bench, watchdog: &Watchdog) -> Duration {
    let host = bench.host_under(watchdog.clone(), 0);
    let worker = worker(HELLO);
    bench.runtime.block_on(async {
        let mut began = Duration::ZERO;
        // The first half warms up.
        for batch in 0..2 * BATCHES {
            if batch == BATCHES {
                began = cpu_time();
            }
            let answers = (0..AT_ONCE).map(|_| host.dispatch(&worker, get("http://bench.example/")));
            for answer in join_all(answers).await {
                assert_eq!(answer.unwrap().status(), 200);
            }
        }
        let requests = u32::try_from(BATCHES * AT_ONCE).unwrap();
        cpu_time().saturating_sub(began) / requests
    })
}

/// CPU time of all threads of this process.
fn cpu_time() -> Duration {
    let of_thread = |task: std::fs::DirEntry| {
        let schedstat = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        schedstat.split(' ').next()?.parse::<u64>().ok()
    };
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    Duration::from_nanos(tasks.flatten().filter_map(of_thread).sum())
}

fn main() {
    let bench = Bench::new();
    let kinds = [Watchdog::start(WatchdogOptions::alone().unwrap()).unwrap(), Watchdog::absent().unwrap()];
    let mut costs = [Vec::new(), Vec::new()];
    // In turns, so that whatever else the machine does meets both.
    for pair in 0..PAIRS {
        for kind in [pair % 2, 1 - pair % 2] {
            costs[kind].push(cost(&bench, &kinds[kind]));
        }
    }
    let [with, without] = costs.map(|mut costs| percentile(&mut costs, 0.5).as_secs_f64() * 1e6);
    println!(
        "watchdog: {with:.2} us of CPU time a request with it, {without:.2} us without; without / with {:.3}",
        without / with
    );
}
