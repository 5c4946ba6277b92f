//! The drain: what has begun is finished, what comes late is told to go elsewhere, and it ends in time.

use std::sync::Arc;
use std::time::Duration;

use holm_front::Shutdown;
use holm_front::admin;
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::harness::*;

async fn ended(front: Running) {
    tokio::time::timeout(PATIENCE, front.served).await.expect("the drain ends").unwrap();
}

#[tokio::test]
async fn a_request_in_flight_is_answered_and_its_connection_closed() {
    let front = start(Default::default()).await;
    let mut stream = front.connect().await;
    stream.write_all(b"GET /gate HTTP/1.1\r\nHost: hello.example\r\n\r\n").await.unwrap();
    told(&front.workers.reached).await;
    front.shutdown.drain(PATIENCE);
    while TcpStream::connect(front.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    front.workers.release.notify_one();
    let answer = read_to_end(&mut stream).await;
    assert_eq!((status(&answer), header(&answer, "connection")), (200, Some("close")));
    ended(front).await;
}

#[tokio::test]
async fn a_request_that_was_under_way_to_an_idle_connection_is_answered() {
    let front = start(Default::default()).await;
    let mut idle = front.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nHost: hello.example\r\n\r\n").await.unwrap();
    read_answer(&mut idle).await;
    front.shutdown.drain(PATIENCE);
    tokio::time::sleep(Duration::from_millis(50)).await;
    idle.write_all(b"GET /gate HTTP/1.1\r\nHost: hello.example\r\n\r\n").await.unwrap();
    told(&front.workers.reached).await;
    front.workers.release.notify_one();
    let answer = read_to_end(&mut idle).await;
    assert_eq!((status(&answer), header(&answer, "connection")), (200, Some("close")));
    ended(front).await;
}

#[tokio::test]
async fn http_2_goes_away_when_its_streams_have_ended() {
    let front = start(Default::default()).await;
    let mut client = front.http2().await;
    let answer = tokio::spawn(client.send_request(request("GET", "http://hello.example/gate", "")));
    told(&front.workers.reached).await;
    front.shutdown.drain(PATIENCE);
    front.workers.release.notify_one();
    let answer = answer.await.unwrap().unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "released");
    ended(front).await;
}

#[tokio::test]
async fn what_is_not_done_by_the_end_of_the_drain_is_dropped() {
    let front = start(Default::default()).await;
    let mut stream = front.connect().await;
    stream.write_all(b"GET /never HTTP/1.1\r\nHost: hello.example\r\n\r\n").await.unwrap();
    told(&front.workers.reached).await;
    let begun = Instant::now();
    front.shutdown.drain(PATIENCE * 10);
    front.shutdown.drain(Duration::from_millis(100));
    assert_eq!(read_to_end(&mut stream).await, "");
    told(&front.workers.dropped).await;
    ended(front).await;
    assert!(begun.elapsed() < PATIENCE);
}

struct NoPages;

impl admin::Pages for NoPages {
    fn metrics(&self) -> std::pin::Pin<Box<dyn Future<Output = String> + Send + '_>> {
        Box::pin(std::future::ready("numbers 1\n".to_owned()))
    }

    fn workers(&self) -> serde_json::Value {
        serde_json::json!([])
    }

    fn crons(&self) -> serde_json::Value {
        serde_json::json!({})
    }
}

#[tokio::test]
async fn the_admin_listener_answers_through_the_drain() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (front, serving) = Shutdown::new();
    let (process, signal) = Shutdown::new();
    let served = tokio::spawn(admin::serve(listener, admin::router(serving, Arc::new(NoPages)), signal));
    let get = |lines: &'static str| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET /healthz HTTP/1.1\r\nConnection: close\r\n{lines}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        read_to_end(&mut stream).await
    };
    let answer = get("Host: localhost:9090\r\n").await;
    assert_eq!((status(&answer), body(&answer)), (200, "ok\n"));
    assert_eq!(status(&get("Host: rebound.example\r\n").await), 403);
    assert_eq!(status(&get("Host: 127.0.0.1\r\nOrigin: https://evil.example\r\n").await), 403);
    front.drain(PATIENCE);
    assert_eq!(status(&get("Host: 127.0.0.1:9090\r\n").await), 503);
    process.drain(Duration::ZERO);
    tokio::time::timeout(PATIENCE, served).await.unwrap().unwrap();
}
