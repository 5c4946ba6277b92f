//! From host and path to a worker, and the URL that it sees.

use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;

use crate::harness::*;

#[tokio::test]
async fn each_host_has_its_worker_and_sees_its_own_url() {
    let front = start(Default::default()).await;
    let answer = front.get("HELLO.example.:8787", "/A%2f?q=1", "").await;
    assert_eq!(status(&answer), 200);
    assert_eq!(body(&answer), "hello.example http http://hello.example:8787/A%2f?q=1");
    let answer = front.get("other.example", "//hello.example/", "").await;
    assert_eq!(body(&answer), "other.example http http://other.example//hello.example/");
}

#[tokio::test]
async fn requests_of_one_connection_are_routed_one_by_one() {
    let front = start(Default::default()).await;
    let mut stream = front.connect().await;
    for host in ["hello.example", "other.example", "hello.example"] {
        stream.write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await.unwrap();
        assert!(body(&read_answer(&mut stream).await).starts_with(host));
    }
}

#[tokio::test]
async fn an_unknown_host_or_path_is_a_404_with_a_code_and_an_id() {
    let front = start(Default::default()).await;
    for (host, path) in [("hello.example.evil.com", "/"), ("hello.example", "/unrouted")] {
        let answer = front.get(host, path, "").await;
        assert_eq!((status(&answer), header(&answer, "x-holm-error")), (404, Some("unknown_host")));
        let id = header(&answer, "x-holm-request-id").unwrap();
        assert_eq!(body(&answer), format!(r#"{{"error":"unknown_host","request_id":"{id}"}}"#));
    }
}

#[tokio::test]
async fn a_request_without_one_valid_host_is_refused() {
    let front = start(Default::default()).await;
    for head in [
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.0\r\n",
        "GET / HTTP/1.1\r\nHost: \r\n",
        "GET / HTTP/1.1\r\nHost: a%00\r\n",
        "GET / HTTP/1.1\r\nHost: user@hello.example\r\n",
        "GET / HTTP/1.1\r\nHost: hello.example\r\nHost: other.example\r\n",
        "GET http://other.example/ HTTP/1.1\r\nHost: hello.example\r\n",
        "GET * HTTP/1.1\r\nHost: hello.example\r\n",
        "CONNECT hello.example:443 HTTP/1.1\r\nHost: hello.example:443\r\n",
    ] {
        let answer = front.raw(format!("{head}Connection: close\r\n\r\n")).await;
        assert_eq!((status(&answer), header(&answer, "x-holm-error")), (400, Some("bad_request")), "{head:?}");
    }
}

#[tokio::test]
async fn the_absolute_form_is_a_target_too() {
    let front = start(Default::default()).await;
    let request = "GET http://HELLO.example:80?q HTTP/1.1\r\nHost: hello.example\r\nConnection: close\r\n\r\n";
    assert_eq!(body(&front.raw(request).await), "hello.example http http://hello.example/?q");
}

#[tokio::test]
async fn http_2_routes_by_authority_and_the_worker_finds_it_in_host() {
    let front = start(Default::default()).await;
    let mut client = front.http2().await;
    let answer = client.send_request(request("GET", "http://Hello.example:81/x", "")).await.unwrap();
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(text, "hello.example http http://hello.example:81/x");
    let answer = client.send_request(request("GET", "http://hello.example:81/headers", "")).await.unwrap();
    let text = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&text).contains(r#""host": "hello.example:81""#), "{text:?}");
}

#[tokio::test]
async fn an_authority_and_a_host_that_differ_are_refused() {
    let front = start(Default::default()).await;
    let mut request = request("GET", "http://hello.example/", "");
    request.headers_mut().insert("host", "other.example".parse().unwrap());
    let answer = front.http2().await.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 400);
}

#[tokio::test]
async fn a_worker_sees_the_address_of_the_client_and_no_forged_one() {
    let front = start(Default::default()).await;
    let forged = "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nCF-Connecting-IP: 6.6.6.6\r\n\
                  X-Holm-Tenant: 6.6.6.6\r\nConnection: cf-connecting-ip\r\n";
    let seen = front.get("hello.example", "/headers", forged).await;
    assert!(seen.contains(r#""cf-connecting-ip": "127.0.0.1""#), "{seen}");
    assert!(seen.contains(r#""x-forwarded-proto": "http""#), "{seen}");
    assert!(!seen.contains("6.6.6.6"), "{seen}");
}
