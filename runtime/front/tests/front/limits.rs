//! Sizes and counts: what is too large is refused, with a code that says what.

use bytes::Bytes;
use holm_front::ConnectionLimits;
use holm_front::Limits;
use holm_front::Options;
use tokio::io::AsyncWriteExt;

use crate::harness::*;

fn small() -> Options {
    let limits = Limits { body_bytes: 100 << 10, buffered_body_bytes: 1 << 10, ..Limits::default() };
    Options { limits, ..Options::default() }
}

#[tokio::test]
async fn a_body_that_announces_too_much_is_not_read() {
    let front = start(small()).await;
    let head = "POST /echo HTTP/1.1\r\nHost: hello.example\r\nContent-Length: 102401\r\n\r\n";
    let answer = front.raw(head).await;
    assert_eq!((status(&answer), header(&answer, "x-holm-error")), (413, Some("body_too_large")));
    let body = Bytes::from(vec![b'x'; 102_401]);
    let answer = front.http2().await.send_request(request("POST", "http://hello.example/echo", body)).await.unwrap();
    assert_eq!(answer.status(), 413);
}

#[tokio::test]
async fn a_body_that_grows_too_large_fails_the_worker_that_reads_it() {
    let front = start(small()).await;
    let chunk = format!("{:x}\r\n{}\r\n", 60 << 10, "x".repeat(60 << 10));
    let head = "POST /echo HTTP/1.1\r\nHost: hello.example\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = front.raw(format!("{head}{chunk}{chunk}0\r\n\r\n")).await;
    assert_eq!((status(&answer), header(&answer, "x-holm-error")), (413, Some("body_too_large")));
    let answer = front.raw(format!("{head}{chunk}0\r\n\r\n")).await;
    assert_eq!((status(&answer), body(&answer).len()), (200, 60 << 10));
}

#[tokio::test]
async fn headers_have_bounds_in_bytes_and_in_number() {
    let front = start(Default::default()).await;
    let line = |bytes: usize| format!("X-A: {}\r\n", "a".repeat(bytes));
    let answer = front.get("hello.example", "/", &line(10 << 10).repeat(3)).await;
    assert_eq!(status(&answer), 200);
    for lines in [line(17 << 10), line(11 << 10).repeat(3)] {
        let answer = front.get("hello.example", "/", &lines).await;
        assert_eq!((status(&answer), header(&answer, "x-holm-error")), (431, Some("headers_too_large")));
    }
    assert_eq!(status(&front.get("hello.example", "/", &line(1).repeat(101)).await), 431);
    assert_eq!(status(&front.get("hello.example", "/", &line(100 << 10)).await), 431);
}

#[tokio::test]
async fn http_2_headers_have_the_same_bounds_but_a_cookie_may_come_in_crumbs() {
    let front = start(Default::default()).await;
    let mut client = front.http2().await;
    let with = |name: &'static str, count: usize, bytes: usize| {
        let mut request = request("GET", "http://hello.example/", "");
        for _ in 0..count {
            request.headers_mut().append(name, "a".repeat(bytes).parse().unwrap());
        }
        request
    };
    assert_eq!(client.send_request(with("cookie", 150, 10)).await.unwrap().status(), 200);
    assert_eq!(client.send_request(with("x-a", 101, 1)).await.unwrap().status(), 431);
    assert_eq!(client.send_request(with("x-a", 1, 17 << 10)).await.unwrap().status(), 431);
    assert_eq!(client.send_request(with("x-a", 20, 3 << 10)).await.unwrap().status(), 431);
    assert_eq!(client.send_request(with("cookie", 1_000, 30)).await.unwrap().status(), 431);
}

#[tokio::test]
async fn a_url_has_a_bound() {
    let front = start(Default::default()).await;
    let path = |bytes: usize| format!("/{}", "a".repeat(bytes - 1));
    assert_eq!(status(&front.get("hello.example", &path(16 << 10), "").await), 200);
    let answer = front.get("hello.example", &path((16 << 10) + 1), "").await;
    assert_eq!((status(&answer), header(&answer, "x-holm-error")), (414, Some("uri_too_long")));
}

#[tokio::test]
async fn connections_beyond_the_share_of_an_address_are_closed_at_once() {
    let connections = ConnectionLimits { per_address: 2, ..ConnectionLimits::default() };
    let front = start(Options { connections, ..Options::default() }).await;
    let mut held = [front.connect().await, front.connect().await];
    for stream in &mut held {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: hello.example\r\n\r\n").await.unwrap();
        assert_eq!(status(&read_answer(stream).await), 200);
    }
    assert_eq!(read_to_end(&mut front.connect().await).await, "");
    let [first, _second] = held;
    drop(first);
    // The place is free as soon as the server has seen the close.
    let answer = async {
        loop {
            let answer = front.get("hello.example", "/", "").await;
            if !answer.is_empty() {
                return answer;
            }
        }
    };
    assert_eq!(status(&tokio::time::timeout(PATIENCE, answer).await.unwrap()), 200);
}

#[tokio::test]
async fn what_could_be_read_in_two_ways_is_not_served_as_two_requests() {
    let front = start(Default::default()).await;
    let smuggled = "0\r\n\r\nGET /never HTTP/1.1\r\nHost: hello.example\r\n\r\n";
    for lines in
        ["Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n"]
    {
        let answer = front.raw(format!("POST /echo HTTP/1.1\r\nHost: hello.example\r\n{lines}\r\n{smuggled}")).await;
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
    for lines in [
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Content-Length: 1\r\nContent-Length: 2\r\n",
    ] {
        let answer = front.raw(format!("POST /echo HTTP/1.1\r\nHost: hello.example\r\n{lines}\r\n{smuggled}")).await;
        assert_eq!(status(&answer), 400, "{lines:?}");
    }
}
