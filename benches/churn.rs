//! Memory over many isolates that are created, asked once and dropped: prints the slope per thousand. The engine and malloc
//! keep some pages; a leak grows on.

mod support;

use std::time::Duration;
use std::time::Instant;

use holm_isolate::Given;
use holm_isolate::IsolateHandle;
use support::Bench;
use support::HELLO;
use support::code;
use support::get;
use support::resident;

fn main() {
    let cycles: usize = std::env::var("CYCLES").ok().and_then(|value| value.parse().ok()).unwrap_or(10_000);
    let bench = Bench::new();
    let code = std::sync::Arc::new(code(HELLO));
    let began = Instant::now();
    let mut at_thousands = Vec::new();
    bench.runtime.block_on(async {
        for cycle in 0..=cycles {
            if cycle % 1_000 == 0 {
                let mib = resident() as f64 / f64::from(1 << 20);
                println!("churn: {cycle} cycles, {mib:.1} MiB, {:.0} s", began.elapsed().as_secs_f64());
                at_thousands.push(mib);
            }
            let isolate = IsolateHandle::start(bench.isolate_options()).unwrap();
            isolate.load(std::sync::Arc::clone(&code), std::sync::Arc::default()).await.unwrap();
            assert!(matches!(isolate.dispatch(get("http://bench.example/")).await, Given::Answered(_)));
            isolate.retire();
            while !isolate.status().has_ended() {
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
        }
    });
    // From the second thousand on: the first fills the pools.
    if let [_, settled @ ..] = at_thousands.as_slice()
        && let [first, .., last] = settled
    {
        let slope = (last - first) / (settled.len() - 1) as f64;
        println!("churn: slope {slope:+.2} MiB per thousand isolates, after the first thousand");
    }
}
