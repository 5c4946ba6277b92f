//! Deadlines: a client that is too slow is let go, a client that is only quiet is not.

use std::time::Duration;

use holm_front::Options;
use holm_front::Timeouts;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::harness::*;

const SHORT: Duration = Duration::from_millis(200);

fn timeouts(change: impl FnOnce(&mut Timeouts)) -> Options {
    let mut options = Options::default();
    change(&mut options.timeouts);
    options
}

/// Waits for the server to close and returns what it sent and how long it took.
async fn closed(stream: &mut tokio::net::TcpStream) -> (String, Duration) {
    let start = Instant::now();
    let text = read_to_end(stream).await;
    (text, start.elapsed())
}

#[tokio::test]
async fn a_connection_that_sends_nothing_is_closed() {
    let front = start(timeouts(|timeouts| timeouts.first_byte = SHORT)).await;
    let (text, took) = closed(&mut front.connect().await).await;
    assert_eq!(text, "");
    assert!(took >= SHORT && took < SHORT * 5, "{took:?}");
}

#[tokio::test]
async fn a_head_that_trickles_in_is_cut_off() {
    let front = start(timeouts(|timeouts| timeouts.headers = SHORT * 2)).await;
    let mut stream = front.connect().await;
    let start = Instant::now();
    while stream.write_all(b"G").await.is_ok() && start.elapsed() < PATIENCE {
        tokio::time::sleep(SHORT / 10).await;
    }
    assert!(start.elapsed() < SHORT * 10, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_second_head_that_trickles_in_is_cut_off_long_before_an_idle_connection() {
    let front = start(timeouts(|timeouts| timeouts.headers = SHORT)).await;
    let mut stream = front.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: hello.example\r\n\r\n").await.unwrap();
    read_answer(&mut stream).await;
    tokio::time::sleep(SHORT * 2).await;
    stream.write_all(b"GET / HT").await.unwrap();
    let (text, took) = closed(&mut stream).await;
    assert_eq!(text, "");
    assert!(took < SHORT * 5, "{took:?}");
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_its_keep_alive() {
    let front = start(timeouts(|timeouts| timeouts.keep_alive = SHORT)).await;
    let mut stream = front.connect().await;
    for _ in 0..3 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: hello.example\r\n\r\n").await.unwrap();
        assert_eq!(status(&read_answer(&mut stream).await), 200);
        tokio::time::sleep(SHORT / 2).await;
    }
    let (text, took) = closed(&mut stream).await;
    assert_eq!(text, "");
    assert!(took < SHORT * 5, "{took:?}");
}

#[tokio::test]
async fn an_idle_http_2_connection_is_told_to_go_away() {
    let front = start(timeouts(|timeouts| timeouts.keep_alive = SHORT)).await;
    let mut client = front.http2().await;
    client.send_request(request("GET", "http://hello.example/", "")).await.unwrap();
    let gone = async {
        while client.ready().await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the connection ends");
}

#[tokio::test]
async fn a_worker_that_thinks_for_long_is_not_the_clients_fault() {
    let front = start(timeouts(|timeouts| {
        timeouts.keep_alive = SHORT / 4;
        timeouts.first_byte = SHORT / 4;
        timeouts.headers = SHORT / 4;
        timeouts.write = SHORT / 4;
    }))
    .await;
    let answer = front.get("hello.example", "/gate", "");
    let release = async {
        told(&front.workers.reached).await;
        tokio::time::sleep(SHORT * 2).await;
        front.workers.release.notify_one();
    };
    let (answer, ()) = tokio::join!(answer, release);
    assert_eq!((status(&answer), body(&answer)), (200, "released"));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_a_408_on_both_paths() {
    let front = start(timeouts(|timeouts| timeouts.body = SHORT)).await;
    for lines in ["Content-Length: 10\r\n\r\nfive", "Transfer-Encoding: chunked\r\n\r\n4\r\nfive\r\n"] {
        let answer = front.raw(format!("POST /echo HTTP/1.1\r\nHost: hello.example\r\n{lines}")).await;
        assert_eq!((status(&answer), header(&answer, "x-holm-error")), (408, Some("timeout")));
    }
}

#[tokio::test]
async fn a_streamed_body_may_take_long_as_long_as_it_moves() {
    let front = start(timeouts(|timeouts| timeouts.body = SHORT)).await;
    let mut stream = front.connect().await;
    let head = "POST /echo HTTP/1.1\r\nHost: hello.example\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..6 {
        tokio::time::sleep(SHORT / 2).await;
        stream.write_all(b"4\r\nfive\r\n").await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let answer = read_answer(&mut stream).await;
    assert_eq!((status(&answer), body(&answer)), (200, &*"five".repeat(6)));
}

#[tokio::test]
async fn a_client_that_takes_no_bytes_is_dropped_with_its_answer() {
    let front = start(timeouts(|timeouts| timeouts.write = SHORT)).await;
    let mut stream = front.connect().await;
    stream.write_all(b"GET /endless HTTP/1.1\r\nHost: hello.example\r\n\r\n").await.unwrap();
    told(&front.workers.dropped).await;
}
