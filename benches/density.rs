//! Resident memory per idle isolate, with 1,000 of them, each having answered once; and of 10,000 configured workers that were
//! never asked.

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::Bench;
use support::HELLO;
use support::get;
use support::resident;
use support::worker;

const CONFIGURED: usize = 10_000;

fn main() {
    let isolates: usize = std::env::var("ISOLATES").ok().and_then(|value| value.parse().ok()).unwrap_or(1_000);
    let bench = Bench::new();
    let host = bench.host(0);
    bench.runtime.block_on(async {
        host.dispatch(&worker(HELLO), get("http://bench.example/")).await.unwrap();
        let before = resident();
        let configured: Vec<_> = (0..CONFIGURED).map(|_| worker(HELLO)).collect();
        let after = resident();
        println!(
            "density: {CONFIGURED} workers configured and never asked: {:.1} MiB",
            mib(after.saturating_sub(before))
        );

        let before = resident();
        let asked: Vec<Arc<_>> = configured.iter().take(isolates).cloned().collect();
        for worker in &asked {
            let response = host.dispatch(worker, get("http://bench.example/")).await.unwrap();
            assert_eq!(response.status(), 200);
        }
        // After ten seconds without work an isolate collects its garbage.
        for seconds in [2, 12] {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            let each = resident().saturating_sub(before) / isolates;
            println!("density: {isolates} isolates, idle for {seconds} s: {:.2} MiB each", mib(each));
        }
    });
}

fn mib(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
