//! `HTMLRewriter` over a page of 10 MiB, beside `lol_html` alone with the same selectors: through a worker the page comes in as a
//! stream, is parsed slice by slice, and goes out as a stream.

mod support;

use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use criterion::Criterion;
use criterion::Throughput;
use futures::StreamExt as _;
use holm_isolate::Body;
use holm_isolate::FetchRequest;
use http_body_util::BodyExt as _;
use http_body_util::StreamBody;
use lol_html::HtmlRewriter;
use lol_html::Settings;
use lol_html::element;
use lol_html::html_content::ContentType;
use support::Bench;
use support::get;
use support::worker;

const SIZE: usize = 10 << 20;
/// As a connection brings it.
const PIECE: usize = 16 << 10;

/// Two handlers: one that matches a handful of elements, one that matches an element in every article.
const WORKER: &str = r#"
export default {
  fetch(request) {
    return new HTMLRewriter()
      .on("head > title", { element(title) { title.append(" (rewritten)"); } })
      .on("article a.more[href]", { element(a) { a.setAttribute("rel", "nofollow"); } })
      .transform(new Response(request.body, { headers: { "content-type": "text/html" } }));
  },
};
"#;

fn page() -> Vec<u8> {
    let mut page = b"<!DOCTYPE html><html><head><title>Page</title></head><body>".to_vec();
    let mut number = 0;
    while page.len() < SIZE {
        number += 1;
        let article = format!(
            "<article id=\"a{number}\" class=\"post wide\"><h2>Number {number}</h2><p>{}</p><ul><li>one<li>two</ul><p>{}</p>\
             <a class=\"more\" href=\"/articles/{number}\">More</a></article>\n",
            "Some text that a page has, with <b>bold</b> and <i>other</i> words in it. ".repeat(12),
            "Longer text without any markup follows, as it does on most pages. ".repeat(20),
        );
        page.extend_from_slice(article.as_bytes());
    }
    page
}

fn alone(pieces: &[Bytes]) -> usize {
    let mut written = 0;
    let settings = Settings::new()
        .append_element_content_handler(element!("head > title", |title| {
            title.append(" (rewritten)", ContentType::Text);
            Ok(())
        }))
        .append_element_content_handler(element!("article a.more[href]", |a| {
            a.set_attribute("rel", "nofollow")?;
            Ok(())
        }));
    let mut rewriter = HtmlRewriter::new(settings, |chunk: &[u8]| written += chunk.len());
    for piece in pieces {
        rewriter.write(piece).unwrap();
    }
    rewriter.end().unwrap();
    written
}

fn main() {
    let bench = Bench::new();
    let host = bench.host(0);
    let worker = worker(WORKER);
    let page = Bytes::from(page());
    let pieces: Vec<Bytes> = page.chunks(PIECE).map(|piece| page.slice_ref(piece)).collect();
    let length = alone(&pieces);
    let mut criterion =
        Criterion::default().configure_from_args().sample_size(10).measurement_time(Duration::from_secs(4));
    let mut group = criterion.benchmark_group("a page of 10 MiB");
    group.throughput(Throughput::Bytes(page.len() as u64));
    group.bench_function("lol_html alone", |bencher| bencher.iter(|| assert_eq!(alone(&pieces), length)));
    group.bench_function("HTMLRewriter", |bencher| {
        bencher.iter_custom(|rounds| {
            bench.runtime.block_on(async {
                let began = Instant::now();
                for _ in 0..rounds {
                    let frames: Vec<_> = pieces.iter().map(|piece| Ok(http_body::Frame::data(piece.clone()))).collect();
                    let body = Body::stream(StreamBody::new(
                        futures::stream::iter(frames).map(|frame: Result<_, std::convert::Infallible>| frame),
                    ));
                    let request = FetchRequest {
                        method: http::Method::POST,
                        body,
                        cpu: Some(Duration::from_secs(60)),
                        ..get("http://bench.example/")
                    };
                    let mut body = host.dispatch(&worker, request).await.unwrap().into_body();
                    let mut received = 0;
                    while let Some(frame) = body.frame().await {
                        received += frame.unwrap().data_ref().map_or(0, Bytes::len);
                    }
                    assert_eq!(received, length);
                }
                began.elapsed()
            })
        });
    });
    group.finish();
    criterion.final_summary();
}
