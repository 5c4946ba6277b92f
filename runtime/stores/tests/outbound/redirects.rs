//! Chains of exchanges.

use holm_apis::fetch::outbound::FetchError;
use holm_apis::fetch::outbound::OutboundRequest;
use holm_apis::fetch::outbound::Redirect;
use holm_isolate::Body;
use http::Method;
use http::Request;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::upstream::*;

/// `/<n>` redirects to `/<n - 1>`, `/<status>/<path>` to `/<path>`; everything else tells what arrived.
async fn signposts(request: Request<Incoming>) -> Answer {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    if let Ok(left @ 1..) = path.parse::<u32>() {
        return answer(302, &[("location", &format!("/{}", left - 1))], "moved");
    }
    if let Some((status, next)) = path.split_once('/') {
        return answer(status.parse().unwrap(), &[("location", &format!("/{next}"))], "moved");
    }
    let method = request.method().clone();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    answer(200, &[], format!("{method} {}", String::from_utf8_lossy(&body)))
}

#[tokio::test]
async fn a_chain_ends_in_its_last_response() {
    let upstream = Upstream::http(signposts).await;
    let response = fetch(&outbound(), get(upstream.url("/3"))).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.hops, 4);
    assert_eq!(response.url.to_string(), upstream.url("/0"));
    assert_eq!(text(response.body).await, "GET ");
}

#[tokio::test]
async fn twenty_redirects_are_followed_and_no_more() {
    let upstream = Upstream::http(signposts).await;
    let outbound = outbound();
    assert_eq!(fetch(&outbound, get(upstream.url("/20"))).await.hops, 21);
    assert!(matches!(refused(&outbound, get(upstream.url("/21"))).await, FetchError::TooManyRedirects));
}

#[tokio::test]
async fn each_exchange_counts_against_the_callers_limit() {
    let upstream = Upstream::http(signposts).await;
    let outbound = outbound();
    let limited = |max_hops| OutboundRequest { max_hops, ..get(upstream.url("/2")) };
    assert_eq!(fetch(&outbound, limited(3)).await.hops, 3);
    assert!(matches!(refused(&outbound, limited(2)).await, FetchError::TooManySubrequests));
    assert!(matches!(refused(&outbound, limited(0)).await, FetchError::TooManySubrequests));
}

#[tokio::test]
async fn a_buffered_body_is_sent_again() {
    let upstream = Upstream::http(signposts).await;
    let outbound = outbound();
    for (status, arrives) in [(302, "GET "), (303, "GET "), (307, "POST body"), (308, "POST body")] {
        let url = upstream.url(&format!("/{status}/echo"));
        let response = fetch(&outbound, post(url, Body::Bytes("body".into()))).await;
        assert_eq!(text(response.body).await, arrives, "{status}");
    }
}

#[tokio::test]
async fn a_streamed_body_cannot_be_sent_again() {
    let upstream = Upstream::http(signposts).await;
    let body = || streamed(futures::stream::iter([Ok("body".into())]));
    let outbound = outbound();
    let refused = refused(&outbound, post(upstream.url("/307/echo"), body())).await;
    assert!(matches!(refused, FetchError::BodyNotRepeatable));
    let response = fetch(&outbound, post(upstream.url("/303/echo"), body())).await;
    assert_eq!(text(response.body).await, "GET ");
}

#[tokio::test]
async fn manual_hands_the_redirect_over_and_error_refuses_it() {
    let upstream = Upstream::http(signposts).await;
    let outbound = outbound();
    let response = fetch(&outbound, OutboundRequest { redirect: Redirect::Manual, ..get(upstream.url("/1")) }).await;
    assert_eq!((response.status.as_u16(), response.hops), (302, 1));
    assert_eq!(response.headers["location"], "/0");
    assert_eq!(text(response.body).await, "moved");

    let error = refused(&outbound, OutboundRequest { redirect: Redirect::Error, ..get(upstream.url("/1")) }).await;
    assert!(matches!(error, FetchError::UnexpectedRedirect));
    fetch(&outbound, OutboundRequest { redirect: Redirect::Error, ..get(upstream.url("/0")) }).await;
}

#[tokio::test]
async fn a_redirect_without_location_is_a_response() {
    let upstream = Upstream::http(|_| async { answer(302, &[], "nowhere") }).await;
    let response = fetch(&outbound(), get(upstream.url("/"))).await;
    assert_eq!((response.status.as_u16(), response.hops), (302, 1));
    assert_eq!(text(response.body).await, "nowhere");
}

#[tokio::test]
async fn a_redirect_to_another_protocol_is_an_error() {
    let upstream = Upstream::http(|_| async { answer(302, &[("location", "file:///etc/passwd")], "") }).await;
    assert!(matches!(refused(&outbound(), get(upstream.url("/"))).await, FetchError::UnknownProtocol(_)));
}

#[tokio::test]
async fn credentials_do_not_cross_to_another_origin() {
    let seen = |request: Request<Incoming>| async move {
        let seen = ["authorization", "cookie", "x-api-key", "host"].map(|name| request.headers().contains_key(name));
        answer(200, &[], format!("{seen:?}"))
    };
    let other = Upstream::http(seen).await;
    let location = other.url("/");
    let first = Upstream::http(move |_| {
        let location = location.clone();
        async move { answer(307, &[("location", &location)], "") }
    })
    .await;
    let mut request = OutboundRequest { method: Method::PUT, ..get(first.url("/")) };
    for name in ["authorization", "cookie", "proxy-authorization", "x-api-key"] {
        request.headers.insert(name, "value".parse().unwrap());
    }
    let response = fetch(&outbound(), request).await;
    assert_eq!(text(response.body).await, "[false, false, true, true]");
}
