//! What a request and a response look like on the wire and after it.

use bytes::Bytes;
use holm_apis::fetch::outbound::FetchError;
use holm_apis::fetch::outbound::OutboundRequest;
use holm_isolate::Body;
use http::Method;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use crate::upstream::*;

/// Sends `request` to a server that writes down its head and, if it has one, `body_len` bytes of its body.
async fn on_the_wire(mut request: OutboundRequest, body_len: usize) -> (String, String) {
    let (heads, mut seen) = mpsc::channel(1);
    let upstream = Upstream::raw(move |mut stream| {
        let heads = heads.clone();
        async move {
            let head = head(&mut stream).await;
            let mut body = vec![0; body_len];
            stream.read_exact(&mut body).await.unwrap();
            heads.send((head, String::from_utf8(body).unwrap())).await.unwrap();
            write(&mut stream, "HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    })
    .await;
    request.url = upstream.url("/path?query").parse().unwrap();
    fetch(&outbound(), request).await;
    let (head, body) = seen.recv().await.unwrap();
    (head.replace(&upstream.address.to_string(), "HOST"), body)
}

fn with_headers(mut request: OutboundRequest, headers: &[(&'static str, &'static str)]) -> OutboundRequest {
    for (name, value) in headers {
        request.headers.append(*name, value.parse().unwrap());
    }
    request
}

#[tokio::test]
async fn a_request_says_no_more_than_it_must() {
    let (head, _) = on_the_wire(get("http://x/"), 0).await;
    assert_eq!(head, "GET /path?query HTTP/1.1\r\naccept-encoding: gzip, br\r\nhost: HOST\r\n\r\n");
}

#[tokio::test]
async fn framing_and_destination_are_not_the_workers_to_say() {
    let copied = [
        ("accept-encoding", "identity"),
        ("connection", "close, x-secret"),
        ("content-length", "99"),
        ("expect", "100-continue"),
        ("host", "victim.example"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "close"),
        ("te", "trailers"),
        ("transfer-encoding", "chunked, gzip"),
        ("upgrade", "h2c"),
        ("x-secret", "1"),
    ];
    let buffered = with_headers(post("http://x/", Body::Bytes("body".into())), &copied);
    let (head, body) = on_the_wire(buffered, 4).await;
    assert_eq!(
        head,
        "POST /path?query HTTP/1.1\r\naccept-encoding: identity\r\nhost: HOST\r\ncontent-length: 4\r\n\r\n"
    );
    assert_eq!(body, "body");

    let frames = futures::stream::iter([Ok(Bytes::from("bo")), Ok(Bytes::from("dy"))]);
    let streaming = with_headers(post("http://x/", streamed(frames)), &copied);
    let (head, body) = on_the_wire(streaming, "2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n".len()).await;
    assert_eq!(
        head,
        "POST /path?query HTTP/1.1\r\naccept-encoding: identity\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    assert_eq!(body, "2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n");
}

#[tokio::test]
async fn no_body_is_said_where_one_is_expected() {
    let (head, _) = on_the_wire(post("http://x/", Body::Empty), 0).await;
    assert!(head.contains("\r\ncontent-length: 0\r\n"), "{head}");
    let (head, _) = on_the_wire(OutboundRequest { method: Method::DELETE, ..get("http://x/") }, 0).await;
    assert!(!head.contains("content-length"), "{head}");
}

#[tokio::test]
async fn a_response_loses_what_was_about_its_connection() {
    let upstream = Upstream::raw(|mut stream| async move {
        head(&mut stream).await;
        let head = "HTTP/1.1 200 OK\r\nconnection: close, x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\n\
                    transfer-encoding: chunked\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\r\n";
        write(&mut stream, [head, "2\r\nok\r\n0\r\n\r\n"].concat()).await;
    })
    .await;
    let response = fetch(&outbound(), get(upstream.url("/"))).await;
    let names: Vec<_> = response.headers.keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["set-cookie"]);
    assert_eq!(response.headers.get_all("set-cookie").iter().count(), 2);
    assert_eq!(text(response.body).await, "ok");
}

#[tokio::test]
async fn another_protocol_is_not_switched_to() {
    let upstream = Upstream::raw(|mut stream| async move {
        head(&mut stream).await;
        write(&mut stream, "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n").await;
    })
    .await;
    assert!(matches!(refused(&outbound(), get(upstream.url("/"))).await, FetchError::ConnectionLost));
}

#[tokio::test]
async fn connect_is_not_a_method_of_a_worker() {
    let request = OutboundRequest { method: Method::CONNECT, ..get("http://127.0.0.1/") };
    assert!(matches!(refused(&outbound(), request).await, FetchError::InvalidRequest(_)));
}

#[tokio::test]
async fn a_worker_is_named_and_the_way_of_its_request_is_told() {
    let upstream = Upstream::http(|request| async move {
        let said = ["cf-worker", "cdn-loop", "x-holm-tenant"].map(|name| {
            request.headers().get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>().join("|")
        });
        answer(200, &[], said.join(" / "))
    })
    .await;
    let redirecting = {
        let location = upstream.url("/");
        Upstream::http(move |_| {
            let location = location.clone();
            async move { answer(307, &[("location", &location)], "") }
        })
        .await
    };
    let outbound = outbound().separate_with(|options| options.worker_id = Some("shop".parse().unwrap()));
    for url in [upstream.url("/"), redirecting.url("/")] {
        let forged = [("cf-worker", "other"), ("cdn-loop", "holm"), ("x-holm-tenant", "other")];
        let mut request = with_headers(get(url), &forged);
        request.cdn_loop = Some("holm; subreqs=3".parse().unwrap());
        assert_eq!(text(fetch(&outbound, request).await.body).await, "shop / holm; subreqs=3 / ");
    }
}

#[tokio::test]
async fn a_response_head_has_a_size() {
    let outbound = outbound();
    for (header, count) in [("x".repeat(200 * 1024), 1), ("x".to_owned(), 300), ("x".repeat(1024), 200)] {
        let upstream = Upstream::raw(move |mut stream| {
            let header = header.clone();
            async move {
                head(&mut stream).await;
                let mut response = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n".to_owned();
                for number in 0..count {
                    response += &format!("x{number}: {header}\r\n");
                }
                // The client may hang up in the middle of it.
                let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, (response + "\r\n").as_bytes()).await;
                let _ = stream.read(&mut [0]).await;
            }
        })
        .await;
        let error = refused(&outbound, get(upstream.url("/"))).await;
        assert!(matches!(error, FetchError::HeadTooLarge), "{count} headers: {error}");
    }
}
