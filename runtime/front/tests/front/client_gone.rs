//! A client that goes away: the host sees it at once, by the future or the body that is dropped.

use http_body_util::BodyExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

use crate::harness::*;

#[tokio::test]
async fn a_closed_connection_drops_the_dispatch() {
    let front = start(Default::default()).await;
    let mut stream = front.connect().await;
    stream.write_all(b"GET /never HTTP/1.1\r\nHost: hello.example\r\n\r\n").await.unwrap();
    told(&front.workers.reached).await;
    drop(stream);
    told(&front.workers.dropped).await;
}

#[tokio::test]
async fn a_reset_http_2_stream_drops_its_dispatch_and_no_other() {
    let front = start(Default::default()).await;
    let mut client = front.http2().await;
    let mut other = client.clone();
    let kept = tokio::spawn(async move { other.send_request(request("GET", "http://hello.example/gate", "")).await });
    told(&front.workers.reached).await;
    let cancelled = tokio::spawn(client.send_request(request("GET", "http://hello.example/never", "")));
    told(&front.workers.reached).await;
    cancelled.abort();
    told(&front.workers.dropped).await;
    front.workers.release.notify_one();
    let answer = kept.await.unwrap().unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "released");
}

#[tokio::test]
async fn a_connection_closed_in_the_middle_of_an_answer_drops_the_body() {
    let front = start(Default::default()).await;
    let mut stream = front.connect().await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nHost: hello.example\r\n\r\n").await.unwrap();
    stream.read_exact(&mut [0; 1_000]).await.unwrap();
    drop(stream);
    told(&front.workers.dropped).await;
}

#[tokio::test]
async fn head_drops_the_body_it_does_not_send() {
    let front = start(Default::default()).await;
    let answer = front.raw("HEAD /endless HTTP/1.1\r\nHost: hello.example\r\nConnection: close\r\n\r\n").await;
    assert_eq!(status(&answer), 200);
    told(&front.workers.dropped).await;
}
