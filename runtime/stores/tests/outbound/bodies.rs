//! Bodies in both directions: lengths, codings, back-pressure, and what breaks off.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use flate2::write::ZlibEncoder;
use futures::StreamExt;
use holm_apis::fetch::outbound::Decoding;
use holm_apis::fetch::outbound::FetchError;
use holm_apis::fetch::outbound::OutboundRequest;
use holm_isolate::Body;
use holm_isolate::BodyError;
use holm_stores::fetch::HttpOutbound;
use holm_stores::fetch::OutboundOptions;
use http::Method;
use http_body_util::BodyExt;
use tokio::sync::Notify;
use tokio::sync::watch;

use crate::upstream::*;

/// "hello hello hello hello", brotli.
const BROTLI: &[u8] = &[
    0x1b, 0x16, 0x00, 0xf8, 0x8d, 0x94, 0x6e, 0xde, 0x44, 0x55, 0x86, 0x96, 0x6c, 0x20, 0x6f, 0x21, 0x4f, 0x1c, 0xe0,
    0x38,
];
const FRAME: usize = 64 * 1024;
/// More than the buffers of hyper and of two sockets hold.
const MORE_THAN_BUFFERS: usize = 64 * 1024 * 1024 / FRAME;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &str) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

async fn encoded(coding: &'static str, bytes: impl Into<Bytes>) -> Upstream {
    let bytes = bytes.into();
    Upstream::http(move |_| {
        let bytes = bytes.clone();
        async move { answer(200, &[("content-encoding", coding)], bytes) }
    })
    .await
}

/// Frames without end; counts those that were asked for.
fn endless(asked: watch::Sender<usize>) -> Body {
    streamed(futures::stream::repeat_with(move || {
        asked.send_modify(|asked| *asked += 1);
        Ok(Bytes::from_static(&[0; FRAME]))
    }))
}

#[tokio::test]
async fn a_length_that_the_upstream_says_is_known() {
    let upstream = Upstream::http(|_| async { answer(200, &[], "twelve bytes") }).await;
    let response = fetch(&outbound(), get(upstream.url("/"))).await;
    assert_eq!(response.body.length(), Some(12));
    assert_eq!(response.headers["content-length"], "12");
    assert_eq!(text(response.body).await, "twelve bytes");
}

#[tokio::test]
async fn codings_are_undone() {
    let outbound = outbound();
    let members = [gzip("two "), gzip("members")].concat();
    let cases: [(&str, Vec<u8>, &str); 5] = [
        ("gzip", gzip("hello"), "hello"),
        ("gzip", members, "two members"),
        ("deflate", zlib("hello"), "hello"),
        // Without the two bytes of header and the checksum.
        ("deflate", zlib("hello")[2..].to_vec(), "hello"),
        ("br", BROTLI.to_vec(), "hello hello hello hello"),
    ];
    for (coding, bytes, expected) in cases {
        let upstream = encoded(coding, bytes).await;
        let response = fetch(&outbound, get(upstream.url("/"))).await;
        assert!(!response.headers.contains_key("content-encoding"), "{coding}");
        assert!(!response.headers.contains_key("content-length"), "{coding}");
        assert_eq!(response.body.length(), None, "{coding}");
        assert_eq!(text(response.body).await, expected, "{coding}");
    }
}

#[tokio::test]
async fn codings_are_left_alone_on_request_and_where_unknown() {
    let outbound = outbound();
    let bytes = gzip("hello");
    for (coding, decoding) in [("gzip", Decoding::Manual), ("zstd", Decoding::Automatic)] {
        let upstream = encoded(coding, bytes.clone()).await;
        let response = fetch(&outbound, OutboundRequest { decoding, ..get(upstream.url("/")) }).await;
        assert_eq!(response.headers["content-encoding"], coding);
        assert_eq!(response.body.length(), Some(bytes.len() as u64));
        assert_eq!(response.body.collect().await.unwrap().to_bytes(), bytes);
    }
}

#[tokio::test]
async fn a_response_without_body_keeps_the_headers_about_it() {
    let headers = [("content-encoding", "gzip"), ("content-length", "99")];
    let upstream = Upstream::http(move |_| async move { answer(200, &headers, "") }).await;
    let request = OutboundRequest { method: Method::HEAD, ..get(upstream.url("/")) };
    let response = fetch(&outbound(), request).await;
    assert_eq!(response.headers["content-encoding"], "gzip");
    assert_eq!(response.headers["content-length"], "99");
    assert!(matches!(response.body, Body::Empty));
}

#[tokio::test]
async fn a_coded_body_of_no_bytes_is_empty() {
    let upstream = Upstream::raw(|mut stream| async move {
        head(&mut stream).await;
        write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")
            .await;
    })
    .await;
    let response = fetch(&outbound(), get(upstream.url("/"))).await;
    assert_eq!(text(response.body).await, "");
}

#[tokio::test]
async fn decoded_bytes_arrive_as_soon_as_they_are_sent() {
    let read = Arc::new(Notify::new());
    let proceed = read.clone();
    let upstream = Upstream::http(move |_| {
        let proceed = proceed.clone();
        async move {
            let frames =
                futures::stream::unfold((0, None), move |(step, encoder): (u8, Option<GzEncoder<Vec<u8>>>)| {
                    let proceed = proceed.clone();
                    async move {
                        let mut encoder = encoder.unwrap_or_else(|| GzEncoder::new(Vec::new(), Compression::default()));
                        match step {
                            0 => encoder.write_all(b"first").unwrap(),
                            1 => {
                                proceed.notified().await;
                                encoder.write_all(b"second").unwrap();
                            }
                            _ => return None,
                        }
                        encoder.flush().unwrap();
                        let bytes = Bytes::from(std::mem::take(encoder.get_mut()));
                        if step == 1 {
                            let rest = Bytes::from(encoder.finish().unwrap());
                            return Some((Ok([bytes, rest].concat().into()), (2, None)));
                        }
                        Some((Ok(bytes), (step + 1, Some(encoder))))
                    }
                });
            let mut response = answer(200, &[("content-encoding", "gzip")], "");
            *response.body_mut() = streamed(frames);
            response
        }
    })
    .await;
    let mut body = fetch(&outbound(), get(upstream.url("/"))).await.body;
    assert_eq!(chunk(&mut body).await, "first");
    read.notify_one();
    assert_eq!(text(body).await, "second");
}

#[tokio::test]
async fn an_upstream_that_dies_in_a_body_breaks_the_body_off() {
    let compressed = gzip(&"text ".repeat(9000));
    let half = [b"content-encoding: gzip\r\n\r\n", &compressed[..compressed.len() / 2]].concat();
    for rest in [b"\r\n0123456789".to_vec(), half] {
        let upstream = Upstream::raw(move |mut stream| {
            let rest = rest.clone();
            async move {
                head(&mut stream).await;
                write(&mut stream, [b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n", &rest[..]].concat()).await;
            }
        })
        .await;
        let response = fetch(&outbound(), get(upstream.url("/"))).await;
        let error = response.body.collect().await.unwrap_err();
        assert_eq!(error.to_string(), "Network connection lost.");
    }
}

#[tokio::test]
async fn a_body_that_is_not_what_its_coding_says_breaks_off() {
    let compressed = gzip(&"text ".repeat(9000));
    for bytes in [b"not gzip at all, by no means".to_vec(), compressed[..compressed.len() / 2].to_vec()] {
        let upstream = encoded("gzip", bytes).await;
        let response = fetch(&outbound(), get(upstream.url("/"))).await;
        let error = response.body.collect().await.unwrap_err();
        assert_eq!(error.to_string(), "The response body is not valid gzip.");
    }
}

#[tokio::test]
async fn an_upstream_waits_for_a_reader() {
    let (asked, mut seen) = watch::channel(0);
    let upstream = Upstream::http(move |_| {
        let asked = asked.clone();
        async move {
            let mut response = answer(200, &[], "");
            *response.body_mut() = endless(asked);
            response
        }
    })
    .await;
    let mut body = fetch(&outbound(), get(upstream.url("/"))).await.body;
    chunk(&mut body).await;
    let ran_ahead = seen.wait_for(|asked| *asked > MORE_THAN_BUFFERS);
    assert!(tokio::time::timeout(Duration::from_millis(500), ran_ahead).await.is_err());
    let mut left = (MORE_THAN_BUFFERS + 1) * FRAME;
    while left > 0 {
        left = left.saturating_sub(chunk(&mut body).await.len());
    }
    seen.wait_for(|asked| *asked > MORE_THAN_BUFFERS).await.unwrap();
}

#[tokio::test]
async fn an_upload_waits_for_the_upstream() {
    let read = Arc::new(Notify::new());
    let proceed = read.clone();
    let upstream = Upstream::http(move |request| {
        let proceed = proceed.clone();
        async move {
            proceed.notified().await;
            let mut body = request.into_body();
            let mut bytes = 0;
            while bytes < MORE_THAN_BUFFERS * FRAME {
                bytes += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
            }
            answer(200, &[], "enough")
        }
    })
    .await;
    let (asked, mut seen) = watch::channel(0);
    let request = post(upstream.url("/"), endless(asked));
    let exchange = tokio::spawn(async move { fetch(&outbound(), request).await });
    seen.wait_for(|asked| *asked > 0).await.unwrap();
    let ran_ahead = seen.wait_for(|asked| *asked > MORE_THAN_BUFFERS);
    assert!(tokio::time::timeout(Duration::from_millis(500), ran_ahead).await.is_err());
    read.notify_one();
    assert_eq!(text(exchange.await.unwrap().body).await, "enough");
}

#[tokio::test]
async fn a_response_may_begin_before_the_request_has_ended() {
    let upstream = Upstream::http(|request| async move {
        let mut response = answer(200, &[], "");
        *response.body_mut() = Body::stream(request.into_body());
        response
    })
    .await;
    let (frames, queue) = futures::channel::mpsc::unbounded();
    let mut body = fetch(&outbound(), post(upstream.url("/"), streamed(queue))).await.body;
    for word in ["one", "two"] {
        frames.unbounded_send(Ok(Bytes::from_static(word.as_bytes()))).unwrap();
        assert_eq!(chunk(&mut body).await, word);
    }
    drop(frames);
    assert_eq!(text(body).await, "");
}

#[tokio::test]
async fn a_request_body_that_breaks_off_is_the_requests_fault() {
    let arrived = Arc::new(AtomicUsize::new(0));
    let ended = arrived.clone();
    let upstream = Upstream::http(move |request| {
        let ended = ended.clone();
        async move {
            if request.into_body().collect().await.is_ok() {
                ended.fetch_add(1, Ordering::SeqCst);
            }
            answer(200, &[], "")
        }
    })
    .await;
    let frames = futures::stream::iter([Ok("half".into()), Err(BodyError::new("gone"))]).boxed();
    let error = refused(&outbound(), post(upstream.url("/"), streamed(frames))).await;
    assert!(matches!(error, FetchError::InvalidRequest(_)), "{error:?}");
    assert_eq!(arrived.load(Ordering::SeqCst), 0, "the upstream must not take half a body for a whole one");
}

/// Zeros, compressed a thousandfold.
fn bomb(length: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..length >> 20 {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_body_that_grows_without_measure_is_cut_off() {
    let upstream = encoded("gzip", bomb(64 << 20)).await;
    let mut body = fetch(&outbound(), get(upstream.url("/"))).await.body;
    let mut received = 0;
    let error = loop {
        match body.frame().await.expect("the whole of it never comes") {
            Ok(frame) => received += frame.into_data().unwrap().len(),
            Err(error) => break error.to_string(),
        }
    };
    assert_eq!(error, "The response body grows more than 256 times when it is decoded; it was cut off.");
    assert!((16 << 20..24 << 20).contains(&received), "{received}");
}

#[tokio::test]
async fn a_decoded_body_has_a_limit() {
    let options = OutboundOptions { decoded_bytes: 1_000, ..local() };
    let outbound = HttpOutbound::new(options).unwrap();
    let exactly = encoded("gzip", gzip(&"x".repeat(1_000))).await;
    assert_eq!(text(fetch(&outbound, get(exactly.url("/"))).await.body).await.len(), 1_000);
    let more = encoded("gzip", gzip(&"x".repeat(1_001))).await;
    let error = fetch(&outbound, get(more.url("/"))).await.body.collect().await.unwrap_err();
    assert_eq!(error.to_string(), "The decoded response body is larger than 1000 bytes.");
}

#[tokio::test]
async fn a_brotli_window_beyond_the_standards_is_refused() {
    // "Large window", 2^30 bytes; then a stored block.
    let large: &[u8] = &[0x11, 0x1e, 0x0b, 0x00, 0x80, b'x', 0x03];
    let upstream = encoded("br", large).await;
    let error = fetch(&outbound(), get(upstream.url("/"))).await.body.collect().await.unwrap_err();
    assert_eq!(error.to_string(), "The response body is not valid br.");
}
