//! What the watchdog costs: warm hello with it and without it, in turns, in one run.

mod support;

use std::time::Duration;
use std::time::Instant;

use futures::future::join_all;
use holm_host::Host;
use holm_isolate::Watchdog;
use support::Bench;
use support::HELLO;
use support::get;
use support::percentile;
use support::worker;

const ROUNDS: usize = 41;
const BATCHES: usize = 250;
const AT_ONCE: usize = 16;

/// How long a round of requests takes.
fn round(bench: &Bench, host: &Host, worker: &std::sync::Arc<holm_host::Worker>) -> Duration {
    bench.runtime.block_on(async {
        let began = Instant::now();
        for _ in 0..BATCHES {
            let answers = (0..AT_ONCE).map(|_| host.dispatch(worker, get("http://bench.example/")));
            for answer in join_all(answers).await {
                assert_eq!(answer.unwrap().status(), 200);
            }
        }
        began.elapsed()
    })
}

fn main() {
    let bench = Bench::new();
    let hosts = [bench.host(0), bench.host_under(Watchdog::absent().unwrap(), 0)];
    let workers = [worker(HELLO), worker(HELLO)];
    for (host, worker) in hosts.iter().zip(&workers) {
        round(&bench, host, worker);
    }
    // Side by side, so that whatever else the machine does meets both.
    let mut times = [Vec::new(), Vec::new()];
    for number in 0..ROUNDS {
        for which in [number % 2, 1 - number % 2] {
            times[which].push(round(&bench, &hosts[which], &workers[which]));
        }
    }
    let requests = (BATCHES * AT_ONCE) as f64;
    let [with, without] = times.map(|mut times| percentile(&mut times, 0.5).as_secs_f64() / requests * 1e6);
    println!("watchdog: {with:.2} us a request with it, {without:.2} us without; ratio of rates {:.3}", without / with);
}
