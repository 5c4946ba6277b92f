//! Connections: kept, shared, given up.

use std::sync::Arc;
use std::time::Duration;

use holm_apis::fetch::outbound::FetchError;
use holm_apis::fetch::outbound::Outbound;
use holm_stores::fetch::HttpOutbound;
use holm_stores::fetch::OutboundOptions;
use http::Version;
use tokio::io::AsyncReadExt;
use tokio::sync::Notify;
use tokio::sync::mpsc;

use crate::upstream::*;

#[tokio::test]
async fn one_connection_serves_one_request_after_the_other() {
    let upstream = Upstream::http(|_| async { answer(200, &[], "hello") }).await;
    let outbound = outbound();
    for _ in 0..5 {
        assert_eq!(text(fetch(&outbound, get(upstream.url("/"))).await.body).await, "hello");
    }
    assert_eq!(upstream.accepted(), 1);
}

#[tokio::test]
async fn tenants_share_no_connection() {
    let upstream = Upstream::http(|_| async { answer(200, &[], "hello") }).await;
    let one = outbound();
    for outbound in [one.separate(), one] {
        text(fetch(&outbound, get(upstream.url("/"))).await.body).await;
    }
    assert_eq!(upstream.accepted(), 2);
}

#[tokio::test]
async fn a_connection_with_bytes_that_nobody_asked_for_is_not_used_again() {
    let upstream = Upstream::raw(|mut stream| async move {
        head(&mut stream).await;
        let ours = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nours";
        let forged = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged";
        write(&mut stream, [ours, forged].concat()).await;
        // Stays open: it is the client that lets go.
        let _ = stream.read_u8().await;
    })
    .await;
    let outbound = outbound();
    for _ in 0..3 {
        assert_eq!(text(fetch(&outbound, get(upstream.url("/"))).await.body).await, "ours");
    }
    assert_eq!(upstream.accepted(), 3);
}

#[tokio::test]
async fn dropping_the_call_closes_the_connection() {
    let arrived = Arc::new(Notify::new());
    let (closed, mut closing) = mpsc::channel(1);
    let here = arrived.clone();
    let upstream = Upstream::raw(move |mut stream| {
        let (here, closed) = (here.clone(), closed.clone());
        async move {
            head(&mut stream).await;
            here.notify_one();
            let end = stream.read(&mut [0]).await;
            closed.send(matches!(end, Ok(0) | Err(_))).await.unwrap();
        }
    })
    .await;
    let call = tokio::spawn(outbound().fetch(get(upstream.url("/"))));
    arrived.notified().await;
    call.abort();
    assert!(closing.recv().await.unwrap());
}

#[tokio::test]
async fn dropping_the_body_closes_the_connection() {
    let (closed, mut closing) = mpsc::channel(1);
    let upstream = Upstream::raw(move |mut stream| {
        let closed = closed.clone();
        async move {
            head(&mut stream).await;
            write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nstart").await;
            let end = stream.read(&mut [0]).await;
            closed.send(matches!(end, Ok(0) | Err(_))).await.unwrap();
        }
    })
    .await;
    let outbound = outbound();
    let mut body = fetch(&outbound, get(upstream.url("/"))).await.body;
    assert_eq!(chunk(&mut body).await, "start");
    drop(body);
    assert!(closing.recv().await.unwrap());
}

#[tokio::test]
async fn a_connection_beyond_the_limit_waits_its_turn() {
    let upstream = Upstream::raw(|mut stream| async move {
        head(&mut stream).await;
        write(&mut stream, "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nstart").await;
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    let elsewhere = Upstream::http(|_| async { answer(200, &[], "elsewhere") }).await;
    let options = OutboundOptions { connections: 1, connect_timeout: Duration::from_millis(200), ..local() };
    let outbound = HttpOutbound::new(options).unwrap();
    let held = fetch(&outbound, get(upstream.url("/"))).await;
    assert!(matches!(refused(&outbound, get(elsewhere.url("/"))).await, FetchError::Connect));
    assert_eq!(elsewhere.accepted(), 0);
    drop(held);
    assert_eq!(text(fetch(&outbound, get(elsewhere.url("/"))).await.body).await, "elsewhere");
}

#[tokio::test]
async fn http_2_is_spoken_where_the_upstream_offers_it() {
    let certified = Certified::new();
    let upstream = Upstream::https(&certified, |request| async move {
        assert_eq!(request.version(), Version::HTTP_2);
        answer(200, &[], request.uri().to_string())
    })
    .await;
    let trusting = HttpOutbound::new(OutboundOptions { extra_roots: vec![certified.root], ..local() }).unwrap();
    text(fetch(&trusting, get(upstream.url("/first"))).await.body).await;
    let calls = (0..20).map(|_| fetch(&trusting, get(upstream.url("/x"))));
    for response in futures::future::join_all(calls).await {
        assert_eq!(text(response.body).await, upstream.url("/x"));
    }
    assert_eq!(upstream.accepted(), 1);
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let upstream = Upstream::https(&Certified::new(), |_| async { answer(200, &[], "") }).await;
    assert!(matches!(refused(&outbound(), get(upstream.url("/"))).await, FetchError::Tls));
}

#[tokio::test]
async fn an_upstream_that_never_answers_the_handshake_is_given_up() {
    let upstream = Upstream::raw(|mut stream| async move { while stream.read_u8().await.is_ok() {} }).await;
    let options = OutboundOptions { connect_timeout: Duration::from_millis(200), ..local() };
    let outbound = HttpOutbound::new(options).unwrap();
    let url = upstream.url("/").replace("http:", "https:");
    assert!(matches!(refused(&outbound, get(url)).await, FetchError::Connect));
}

#[tokio::test]
async fn each_way_to_fail_has_its_reason() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let hangs_up = Upstream::raw(|mut stream| async move { drop(head(&mut stream).await) }).await;
    let nonsense = Upstream::raw(|mut stream| async move {
        head(&mut stream).await;
        write(&mut stream, "SSH-2.0-OpenSSH_9.9\r\n\r\n").await;
    })
    .await;
    let outbound = outbound();
    assert!(matches!(refused(&outbound, get(format!("http://{closed}/"))).await, FetchError::Connect));
    assert!(matches!(refused(&outbound, get("http://name.invalid/")).await, FetchError::Resolve));
    assert!(matches!(refused(&outbound, get(hangs_up.url("/"))).await, FetchError::ConnectionLost));
    assert!(matches!(refused(&outbound, get(nonsense.url("/"))).await, FetchError::ConnectionLost));
    let plain = Upstream::raw(|mut stream| async move {
        write(&mut stream, "HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    let url = plain.url("/").replace("http:", "https:");
    assert!(matches!(refused(&outbound, get(url)).await, FetchError::Tls));
}

#[tokio::test]
async fn an_upstream_that_never_answers_is_given_up() {
    let upstream = Upstream::raw(|mut stream| async move {
        head(&mut stream).await;
        write(&mut stream, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ").await;
        while stream.read_u8().await.is_ok() {}
    })
    .await;
    let outbound = HttpOutbound::new(OutboundOptions { head_timeout: Duration::from_millis(200), ..local() }).unwrap();
    assert!(matches!(refused(&outbound, get(upstream.url("/"))).await, FetchError::HeadTimeout));
}

#[tokio::test]
async fn an_upload_in_progress_may_take_longer() {
    use http_body_util::BodyExt;
    let upstream = Upstream::http(|request| async move {
        let length = request.into_body().collect().await.unwrap().to_bytes().len();
        answer(200, &[], length.to_string())
    })
    .await;
    // Ten frames, each within the time limit, all of them beyond it.
    let frames = futures::stream::unfold(0, |sent| async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        (sent < 10).then(|| (Ok(bytes::Bytes::from_static(b"x")), sent + 1))
    });
    let outbound = HttpOutbound::new(OutboundOptions { head_timeout: Duration::from_millis(700), ..local() }).unwrap();
    let response = fetch(&outbound, post(upstream.url("/"), streamed(frames))).await;
    assert_eq!(text(response.body).await, "10");
}
