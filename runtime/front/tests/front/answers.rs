//! What reaches the client: honest answers of workers, and error answers of the front.

use bytes::Bytes;
use holm_front::ErrorDetail;
use holm_front::Options;
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;

use crate::harness::*;

#[tokio::test]
async fn a_body_takes_the_path_of_its_size() {
    let front = start(Default::default()).await;
    let mut client = front.http2().await;
    for (length, kind) in [(0, "empty"), (1, "bytes"), (64 << 10, "bytes"), ((64 << 10) + 1, "stream")] {
        let sent = Bytes::from(vec![b'x'; length]);
        let answer = client.send_request(request("POST", "http://hello.example/echo", sent.clone())).await.unwrap();
        assert_eq!(answer.headers()["body-kind"], kind);
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), sent);

        let head = format!("POST /echo HTTP/1.1\r\nHost: hello.example\r\nContent-Length: {length}\r\n");
        let text = front.raw([format!("{head}Connection: close\r\n\r\n").as_bytes(), &sent].concat()).await;
        assert_eq!((header(&text, "body-kind"), body(&text).len()), (Some(kind), length));
    }
}

#[tokio::test]
async fn a_chunked_body_is_streamed_and_its_trailers_go_nowhere() {
    let front = start(Default::default()).await;
    let answer = front
        .raw(
            "POST /echo HTTP/1.1\r\nHost: hello.example\r\nTransfer-Encoding: chunked\r\nTrailer: x-t\r\n\
             Connection: close\r\n\r\n4\r\nfour\r\n0\r\nX-T: 1\r\n\r\n",
        )
        .await;
    assert_eq!((header(&answer, "body-kind"), body(&answer)), (Some("stream"), "four"));
}

#[tokio::test]
async fn expect_continue_is_met_when_the_body_is_wanted() {
    let front = start(Default::default()).await;
    let mut stream = front.connect().await;
    let head = "POST /echo HTTP/1.1\r\nHost: hello.example\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(status(&read_answer(&mut stream).await), 100);
    stream.write_all(b"four").await.unwrap();
    assert_eq!(body(&read_answer(&mut stream).await), "four");

    let answer = front.raw(head.replace("hello.example", "unknown.example\r\nConnection: close")).await;
    assert_eq!(status(&answer), 404, "no body is asked for when nobody wants it");
    let answer = front.get("hello.example", "/", "Expect: miracles\r\n").await;
    assert_eq!((status(&answer), header(&answer, "x-holm-error")), (417, Some("expectation_failed")));
}

#[tokio::test]
async fn an_answer_says_only_what_is_so() {
    let front = start(Default::default()).await;
    let answer = front.get("hello.example", "/dishonest", "").await;
    assert_eq!((status(&answer), body(&answer)), (200, "four"));
    assert_eq!(header(&answer, "content-length"), Some("4"));
    assert_eq!(header(&answer, "connection"), Some("close"));
    for name in ["keep-alive", "transfer-encoding", "upgrade", "proxy-authenticate", "x-holm-error"] {
        assert_eq!(header(&answer, name), None, "{name}");
    }
    assert!(header(&answer, "date").is_some());
}

#[tokio::test]
async fn a_body_of_unknown_length_is_sent_in_chunks() {
    let front = start(Default::default()).await;
    let answer = front.get("hello.example", "/stream", "").await;
    assert_eq!(header(&answer, "transfer-encoding"), Some("chunked"));
    assert!(answer.ends_with("6\r\npiece \r\n0\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn head_has_the_length_of_get_and_no_body() {
    let front = start(Default::default()).await;
    for (path, length) in [("/headers", true), ("/stream", false), ("/dishonest", true)] {
        let request = format!("HEAD {path} HTTP/1.1\r\nHost: hello.example\r\nConnection: close\r\n\r\n");
        let answer = front.raw(request).await;
        assert_eq!((status(&answer), body(&answer)), (200, ""));
        assert_eq!(header(&answer, "content-length").is_some_and(|length| length != "99"), length, "{answer}");
    }
    let answer = front.http2().await.send_request(request("HEAD", "http://hello.example/dishonest", "")).await.unwrap();
    assert_eq!(answer.headers()["content-length"], "4");
}

#[tokio::test]
async fn statuses_without_a_body_have_none() {
    let front = start(Default::default()).await;
    for code in [204, 304, 205] {
        let answer = front.get("hello.example", &format!("/status?{code}"), "").await;
        assert_eq!((status(&answer), body(&answer)), (code, ""));
        assert_ne!(header(&answer, "content-length"), Some("6"));
    }
    assert_eq!(status(&front.get("hello.example", "/status?103", "").await), 500);
}

#[tokio::test]
async fn a_failed_invocation_shows_its_code_and_nothing_else() {
    let front = start(Default::default()).await;
    let answer = front.get("hello.example", "/throws", "Accept: text/html, */*\r\n").await;
    assert_eq!((status(&answer), header(&answer, "x-holm-error")), (500, Some("exception")));
    assert_eq!(header(&answer, "content-type"), Some("text/html; charset=utf-8"));
    assert!(body(&answer).contains(header(&answer, "x-holm-request-id").unwrap()));
    assert!(!answer.contains("secret"), "{answer}");
    let answer = front.get("hello.example", "/throws", "").await;
    assert_eq!(header(&answer, "content-type"), Some("application/json"));
    assert!(!answer.contains("secret"), "{answer}");
}

#[tokio::test]
async fn an_author_is_shown_message_and_stack() {
    let front = start(Options { error_detail: ErrorDetail::Full, ..Options::default() }).await;
    let answer = front.get("hello.example", "/throws", "Accept: text/html\r\n").await;
    assert!(answer.contains("&lt;secret&gt; message") && answer.contains("at secret.js:1:2"), "{answer}");
}

#[tokio::test]
async fn an_overloaded_worker_asks_to_try_again() {
    let front = start(Default::default()).await;
    let answer = front.get("hello.example", "/overloaded", "").await;
    assert_eq!((status(&answer), header(&answer, "retry-after")), (503, Some("1")));
}
