//! Places that a worker may not reach.

use holm_apis::fetch::outbound::FetchError;
use holm_stores::fetch::Egress;
use holm_stores::fetch::EgressPolicy;
use holm_stores::fetch::HttpOutbound;
use holm_stores::fetch::OutboundOptions;

use crate::upstream::*;

#[tokio::test]
async fn the_default_does_not_reach_this_machine_in_any_spelling() {
    let trap = Upstream::http(|_| async { answer(200, &[], "reached") }).await;
    let outbound = HttpOutbound::new(OutboundOptions::default()).unwrap();
    let hosts = [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "0.0.0.0",
        "localhost",
        "LOCALHOST",
        "user:pass@127.0.0.1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "[fd00:ec2::254]",
    ];
    for host in hosts {
        let error = refused(&outbound, get(format!("http://{host}:{}/", trap.address.port()))).await;
        assert!(matches!(error, FetchError::DestinationNotAllowed), "{host}: {error}");
    }
    assert_eq!(trap.accepted(), 0);
}

#[tokio::test]
async fn a_redirect_leads_to_no_place_that_is_not_allowed() {
    let trap = Upstream::http(|_| async { answer(200, &[], "reached") }).await;
    let port = trap.address.port();
    let upstream =
        Upstream::http(move |_| async move { answer(302, &[("location", &format!("http://0.0.0.0:{port}/"))], "") })
            .await;
    let error = refused(&outbound(), get(upstream.url("/"))).await;
    assert!(matches!(error, FetchError::DestinationNotAllowed), "{error}");
    assert_eq!(trap.accepted(), 0);
}

#[tokio::test]
async fn an_address_of_the_hosts_own_is_not_reached_by_name_either() {
    let trap = Upstream::http(|_| async { answer(200, &[], "reached") }).await;
    let denied = ["127.0.0.1", "::1"].iter().map(|address| address.parse().unwrap()).collect();
    let policy = EgressPolicy { denied, ..EgressPolicy::new(Egress::Any) };
    let outbound = HttpOutbound::new(OutboundOptions { policy, ..OutboundOptions::default() }).unwrap();
    for host in ["127.0.0.1", "localhost"] {
        let error = refused(&outbound, get(format!("http://{host}:{}/", trap.address.port()))).await;
        assert!(matches!(error, FetchError::DestinationNotAllowed), "{host}: {error}");
    }
    assert_eq!(trap.accepted(), 0);
}

#[tokio::test]
async fn ports_of_other_protocols_are_not_reached() {
    let error = refused(&outbound(), get("http://127.0.0.1:25/")).await;
    assert!(matches!(error, FetchError::DestinationNotAllowed), "{error}");
}

#[tokio::test]
async fn names_reach_this_machine_where_it_is_allowed() {
    let upstream = Upstream::http(|_| async { answer(200, &[], "reached") }).await;
    let url = format!("http://localhost:{}/", upstream.address.port());
    assert_eq!(text(fetch(&outbound(), get(url)).await.body).await, "reached");
}
