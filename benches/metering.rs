//! Metering: what the ledgers of all invocations add up to, against the CPU clocks of the isolates' threads.
//!
//! What is in between is the loop's own work (taking messages, waking the front), which no invocation is charged for.

mod support;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use holm_isolate::InvocationRecord;
use holm_isolate::LogRecord;
use holm_isolate::Observer;
use support::Bench;
use support::get;
use support::worker_with;

/// A request that works for `?ms=` milliseconds in four turns.
const WORKS: &str = r#"
const burn = (ms) => { for (let n = 0, end = ms * PER_MS; n < end; n++) globalThis.sink = Math.sqrt(n); };
export default {
  async fetch(request) {
    const ms = Number(new URL(request.url).searchParams.get("ms"));
    for (let turn = 0; turn < 4; turn++) {
      burn(ms / 4);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return new Response("done");
  },
};
"#;

/// Adds up what the ledgers say.
#[derive(Default)]
struct Adds {
    cpu_ns: AtomicU64,
    failures: AtomicU64,
}

impl Observer for Adds {
    fn log(&self, record: &LogRecord<'_>) {
        eprintln!("{}", record.text);
    }

    fn ended(&self, record: &InvocationRecord<'_>) {
        self.cpu_ns.fetch_add(record.ledger.cpu_ns, Ordering::Relaxed);
        if let Some(error) = record.error {
            self.failures.fetch_add(1, Ordering::Relaxed);
            eprintln!("{error}");
        }
    }
}

/// CPU time of all threads that run isolates, in nanoseconds.
fn isolate_threads_cpu_ns() -> u64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0 };
    let of_isolate = |path: &std::path::Path| {
        std::fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim_end() == "isolate")
    };
    let cpu_ns = |path: &std::path::Path| {
        let schedstat = std::fs::read_to_string(path.join("schedstat")).ok()?;
        schedstat.split(' ').next()?.parse::<u64>().ok()
    };
    tasks.flatten().map(|task| task.path()).filter(|path| of_isolate(path)).filter_map(|path| cpu_ns(&path)).sum()
}

fn measure(bench: &Bench, name: &str, source: &str, query: &str, rounds: usize, at_once: usize) {
    let adds = Arc::new(Adds::default());
    let worker = worker_with(source, Arc::clone(&adds) as Arc<dyn Observer>);
    let host = bench.host(0);
    let (charged, used) = bench.runtime.block_on(async {
        let url = format!("http://bench.example/{query}");
        host.dispatch(&worker, get(&url)).await.unwrap();
        // The first answer's isolate keeps bytecode once it is idle; that is no invocation's work.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let before = (adds.cpu_ns.load(Ordering::Relaxed), isolate_threads_cpu_ns());
        for _ in 0..rounds {
            let answers: Vec<_> = (0..at_once).map(|_| host.dispatch(&worker, get(&url))).collect();
            for answer in futures::future::join_all(answers).await {
                assert_eq!(answer.unwrap().status(), 200);
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        let after = (adds.cpu_ns.load(Ordering::Relaxed), isolate_threads_cpu_ns());
        (after.0 - before.0, after.1 - before.1)
    });
    assert_eq!(adds.failures.load(Ordering::Relaxed), 0);
    println!(
        "metering, {name}: charged {:.1} ms of the threads' {:.1} ms ({:.1} %)",
        charged as f64 / 1e6,
        used as f64 / 1e6,
        100.0 * charged as f64 / used as f64,
    );
}

fn main() {
    let bench = Bench::new();
    // About a millisecond of work on a current machine; the exact length does not matter.
    let works = WORKS.replace("PER_MS", "100_000");
    measure(&bench, "8 at once, each 8 ms in four turns", &works, "?ms=8", 60, 8);
    measure(&bench, "50 at once, each 1 ms in four turns", &works, "?ms=1", 40, 50);
    measure(&bench, "hello, 64 at once", support::HELLO, "", 2_000, 64);
}
