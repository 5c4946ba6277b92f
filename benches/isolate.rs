//! Isolate start (dispatch to response head of a worker never asked before), and what a warm isolate costs: an empty turn, an
//! op round trip, a dispatch.

mod support;

use std::time::Duration;
use std::time::Instant;

use criterion::Criterion;
use support::Bench;
use support::HELLO;
use support::get;
use support::percentile;
use support::worker;

/// First answers of workers never asked before. Criterion has no percentiles, so this prints its own lines.
fn first_answer(bench: &Bench, spares: usize, rounds: usize) {
    let host = bench.host(spares);
    let mut samples = Vec::with_capacity(rounds);
    bench.runtime.block_on(async {
        for round in 0..rounds + 20 {
            // Spares come back off the clock, as they do between two cold requests of a server.
            let until = Instant::now() + Duration::from_secs(2);
            while host.isolates().1 < spares && Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::time::sleep(Duration::from_millis(12)).await;
            let fresh = worker(HELLO);
            let began = Instant::now();
            let response = host.dispatch(&fresh, get("http://bench.example/")).await.unwrap();
            let took = began.elapsed();
            assert_eq!(response.status(), 200);
            if round >= 20 {
                samples.push(took);
            }
        }
    });
    let kind = if spares > 0 { "from a spare" } else { "no spare   " };
    println!(
        "isolate start, {kind}: p50 {:.2} ms, p99 {:.2} ms ({rounds} workers)",
        percentile(&mut samples, 0.5).as_secs_f64() * 1000.0,
        percentile(&mut samples, 0.99).as_secs_f64() * 1000.0,
    );
}

fn warm(criterion: &mut Criterion, bench: &Bench) {
    let host = bench.host(0);
    let cases = [
        ("dispatch, hello", HELLO),
        (
            "dispatch, request and headers read",
            r#"export default { fetch(request) { const { pathname } = new URL(request.url); return new Response(request.method + pathname + (request.headers.get("accept") ?? ""), { headers: { "content-type": "text/plain" } }); } };"#,
        ),
        (
            "one more turn (a timer of 0 ms)",
            r#"export default { async fetch() { await new Promise((resolve) => setTimeout(resolve, 0)); return new Response("Hello World"); } };"#,
        ),
        (
            "one op round trip (a settled promise of the engine's loop)",
            r#"export default { async fetch() { await crypto.subtle.digest("SHA-256", new Uint8Array(8)); return new Response("Hello World"); } };"#,
        ),
        (
            "a Cache hit from memory",
            r#"
const KEY = "http://bench.example/cached";
export default {
  async fetch() {
    const hit = await caches.default.match(KEY);
    if (hit !== undefined) return hit;
    await caches.default.put(KEY, new Response("Hello World", { headers: { "cache-control": "max-age=3600" } }));
    return new Response("Hello World");
  },
};"#,
        ),
        (
            "100 microtask hops",
            r#"export default { async fetch() { for (let i = 0; i < 100; i++) await null; return new Response("Hello World"); } };"#,
        ),
    ];
    for (name, source) in cases {
        let worker = worker(source);
        criterion.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                bench.runtime.block_on(async {
                    let began = Instant::now();
                    for _ in 0..rounds {
                        let response = host.dispatch(&worker, get("http://bench.example/path?query=1")).await.unwrap();
                        assert_eq!(response.status(), 200);
                    }
                    began.elapsed()
                })
            });
        });
    }
}

fn main() {
    let bench = Bench::new();
    let mut criterion =
        Criterion::default().configure_from_args().sample_size(20).measurement_time(Duration::from_secs(2));
    first_answer(&bench, 4, 300);
    first_answer(&bench, 0, 300);
    warm(&mut criterion, &bench);
    criterion.final_summary();
}
