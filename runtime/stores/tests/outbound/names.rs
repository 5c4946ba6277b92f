//! Names: what a lookup answers is vetted, and only what was vetted is connected.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use holm_apis::fetch::outbound::FetchError;
use holm_stores::fetch::Egress;
use holm_stores::fetch::EgressPolicy;
use holm_stores::fetch::HttpOutbound;
use holm_stores::fetch::NameServers;
use holm_stores::fetch::OutboundOptions;
use holm_stores::fetch::Resolve;
use holm_stores::fetch::Resolving;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::UdpSocket;

use crate::upstream::*;

/// Answers each lookup with the next of the lists, the last one for ever.
#[derive(Clone, Debug)]
struct Fake {
    lists: Arc<Mutex<Vec<Vec<IpAddr>>>>,
    lookups: Arc<AtomicUsize>,
}

// === impl Fake ===

impl Fake {
    fn of(lists: &[&[&str]]) -> Self {
        let lists = lists.iter().rev().map(|list| list.iter().map(|text| text.parse().unwrap()).collect()).collect();
        Self { lists: Arc::new(Mutex::new(lists)), lookups: Arc::default() }
    }
}

impl Resolve for Fake {
    fn resolve(&self, _name: &str) -> Resolving {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        let mut lists = self.lists.lock().unwrap();
        let next = if lists.len() > 1 { lists.pop().unwrap() } else { lists[0].clone() };
        Box::pin(std::future::ready(Ok(next)))
    }
}

/// Reaches 127.0.0.1 and, by a list, nothing else of this machine.
fn through(fake: &Fake) -> HttpOutbound {
    let worker = holm_stores::fetch::WorkerEgress {
        allow: Some(["127.0.0.1".parse().unwrap()].into_iter().collect()),
        ..Default::default()
    };
    let policy = EgressPolicy { worker, ..EgressPolicy::default() };
    let resolver = Arc::new(fake.clone());
    HttpOutbound::new(OutboundOptions { policy, resolver, ..OutboundOptions::default() }).unwrap()
}

#[tokio::test]
async fn of_a_mixed_answer_only_permitted_addresses_are_tried() {
    let upstream = Upstream::http(|_| async { answer(200, &[], "vetted") }).await;
    let mixed = ["10.0.0.1", "169.254.169.254", "127.0.0.2", "::1", "fd00::1", "127.0.0.1"];
    let fake = Fake::of(&[&mixed]);
    let url = format!("http://rebinding.example:{}/", upstream.address.port());
    assert_eq!(text(fetch(&through(&fake), get(url)).await.body).await, "vetted");
    assert_eq!(fake.lookups.load(Ordering::SeqCst), 1, "one lookup, whose addresses are connected");
}

#[tokio::test]
async fn a_name_with_no_permitted_address_is_refused_without_a_connection() {
    let trap = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let port = trap.local_addr().unwrap().port();
    let accepted = tokio::spawn(async move { trap.accept().await.map(|_| ()) });
    let inside = ["127.0.0.2", "::ffff:127.0.0.2", "64:ff9b::7f00:2", "2002:7f00:2::", "10.0.0.1", "0.0.0.0", "::"];
    let outbound = through(&Fake::of(&[&inside]));
    let error = refused(&outbound, get(format!("http://inside.example:{port}/"))).await;
    assert!(matches!(error, FetchError::DestinationNotAllowed), "{error}");
    assert!(!accepted.is_finished());
}

#[tokio::test]
async fn a_name_that_turns_to_the_inside_is_judged_at_each_connection() {
    let upstream = Upstream::raw(|mut stream| async move {
        head(&mut stream).await;
        write(&mut stream, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok").await;
    })
    .await;
    let fake = Fake::of(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let outbound = through(&fake);
    let url = format!("http://rebinding.example:{}/", upstream.address.port());
    assert_eq!(text(fetch(&outbound, get(&url)).await.body).await, "ok");
    assert!(matches!(refused(&outbound, get(&url)).await, FetchError::DestinationNotAllowed));
    assert_eq!(fake.lookups.load(Ordering::SeqCst), 2);
    assert_eq!(upstream.accepted(), 1);
}

#[tokio::test]
async fn of_a_thousand_addresses_few_are_tried() {
    let trap = Upstream::http(|_| async { answer(200, &[], "") }).await;
    let port = trap.address.port();
    // Nobody listens on any of them; the trap's own address comes last.
    let mut many: Vec<String> = (0..1_000).map(|n| format!("127.1.{}.{}", n / 250, n % 250 + 1)).collect();
    many.push("127.0.0.1".to_owned());
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let options = OutboundOptions { resolver: Arc::new(Fake::of(&[&many])), ..local() };
    let outbound = HttpOutbound::new(options).unwrap();
    assert!(matches!(refused(&outbound, get(format!("http://many.example:{port}/"))).await, FetchError::Connect));
    assert_eq!(trap.accepted(), 0);
}

#[tokio::test]
async fn names_of_this_machine_are_not_looked_up() {
    let fake = Fake::of(&[&["8.8.8.8"]]);
    let options = OutboundOptions { resolver: Arc::new(fake.clone()), ..OutboundOptions::default() };
    let outbound = HttpOutbound::new(options).unwrap();
    for host in ["localhost", "LOCALHOST.", "a.localhost", "a.b.localhost."] {
        let error = refused(&outbound, get(format!("http://{host}/"))).await;
        assert!(matches!(error, FetchError::DestinationNotAllowed), "{host} {error}");
    }
    assert_eq!(fake.lookups.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn one_workers_lookups_wait_for_each_other() {
    #[derive(Debug)]
    struct Slow {
        now: Arc<AtomicUsize>,
        most: Arc<AtomicUsize>,
    }
    impl Resolve for Slow {
        fn resolve(&self, _name: &str) -> Resolving {
            let (now, most) = (self.now.clone(), self.most.clone());
            Box::pin(async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(Vec::new())
            })
        }
    }
    let most = Arc::new(AtomicUsize::new(0));
    let resolver = Arc::new(Slow { now: Arc::default(), most: most.clone() });
    let outbound = HttpOutbound::new(OutboundOptions { resolver, lookups: 3, ..local() }).unwrap();
    let calls = (0..40).map(|n| refused(&outbound, get(format!("http://n{n}.example/"))));
    for error in futures::future::join_all(calls).await {
        assert!(matches!(error, FetchError::Resolve), "{error}");
    }
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

// --- the resolver

/// The question of a query, and an answer to it with these A records.
fn dns_answer(query: &[u8], flags: [u8; 2], addresses: &[[u8; 4]]) -> Vec<u8> {
    let question_end = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let is_a = query[question_end - 3] == 1;
    let addresses = if is_a { addresses } else { &[] };
    let mut answer = query[..question_end].to_vec();
    answer[2..4].copy_from_slice(&flags);
    answer[6..12].copy_from_slice(&[0, u8::try_from(addresses.len()).unwrap(), 0, 0, 0, 0]);
    for address in addresses {
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend_from_slice(address);
    }
    answer
}

async fn name_server<F>(reply: F) -> SocketAddr
where
    F: Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
{
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            for message in reply(&buffer[..length]) {
                socket.send_to(&message, client).await.unwrap();
            }
        }
    });
    address
}

fn given(servers: &[SocketAddr]) -> NameServers {
    NameServers::given(servers).unwrap()
}

const FOUND: [u8; 2] = [0x81, 0x80];

#[tokio::test]
async fn a_name_server_is_asked_for_both_families() {
    let server = name_server(|query| vec![dns_answer(query, FOUND, &[[8, 8, 8, 8], [9, 9, 9, 9]])]).await;
    let found = given(&[server]).resolve("Name.Example.").await.unwrap();
    assert_eq!(found, ["8.8.8.8".parse::<IpAddr>().unwrap(), "9.9.9.9".parse().unwrap()]);
}

#[tokio::test]
async fn forged_answers_are_waited_out() {
    let server = name_server(|query| {
        let mut wrong_id = dns_answer(query, FOUND, &[[10, 0, 0, 1]]);
        wrong_id[0] ^= 0xff;
        let mut wrong_name = dns_answer(query, FOUND, &[[10, 0, 0, 2]]);
        wrong_name[13] ^= 1;
        vec![b"nonsense".to_vec(), wrong_id, wrong_name, dns_answer(query, FOUND, &[[8, 8, 8, 8]])]
    })
    .await;
    let found = given(&[server]).resolve("name.example").await.unwrap();
    assert_eq!(found, ["8.8.8.8".parse::<IpAddr>().unwrap()]);
}

#[tokio::test]
async fn servers_that_are_silent_or_refuse_a_connection_harm_nothing_while_one_answers() {
    let silent = name_server(|_| Vec::new()).await;
    let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let good = name_server(|query| vec![dns_answer(query, FOUND, &[[8, 8, 8, 8]])]).await;
    let found = given(&[gone, silent, good]).resolve("name.example").await.unwrap();
    assert_eq!(found, ["8.8.8.8".parse::<IpAddr>().unwrap()]);
}

#[tokio::test]
async fn a_server_that_fails_is_an_error() {
    let failing = name_server(|query| vec![dns_answer(query, [0x81, 0x82], &[])]).await;
    given(&[failing]).resolve("name.example").await.unwrap_err();
}

#[tokio::test]
async fn silent_servers_cost_five_seconds_at_most() {
    let silent = name_server(|_| Vec::new()).await;
    let error = given(&[silent; 3]).resolve("name.example").await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_asked_for_by_tcp() {
    // The same port for both transports.
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();
    let udp = UdpSocket::bind(address).await.unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((length, client)) = udp.recv_from(&mut buffer).await {
            udp.send_to(&dns_answer(&buffer[..length], [0x83, 0x80], &[]), client).await.unwrap();
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let length = stream.read_u16().await.unwrap();
            let mut query = vec![0; usize::from(length)];
            stream.read_exact(&mut query).await.unwrap();
            let answer = dns_answer(&query, FOUND, &[[8, 8, 4, 4]; 60]);
            stream.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
            stream.write_all(&answer).await.unwrap();
        }
    });
    let found = given(&[address]).resolve("name.example").await.unwrap();
    assert_eq!(found.len(), 60);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_not_resolved() {
    let server = name_server(|query| vec![dns_answer(query, [0x81, 0x83], &[])]).await;
    let resolver = Arc::new(given(&[server]));
    let outbound = HttpOutbound::new(OutboundOptions { resolver, ..local() }).unwrap();
    assert!(matches!(refused(&outbound, get("http://no.example/")).await, FetchError::Resolve));
    assert!(matches!(refused(&outbound, get("http://a..b/")).await, FetchError::Resolve));
}

#[tokio::test]
async fn the_deny_list_of_the_server_has_names() {
    let fake = Fake::of(&[&["127.0.0.1"]]);
    let denied = ["*.denied.example".parse().unwrap()].into_iter().collect();
    let policy = EgressPolicy { denied, ..EgressPolicy::new(Egress::Any) };
    let options = OutboundOptions { policy, resolver: Arc::new(fake.clone()), ..OutboundOptions::default() };
    let outbound = HttpOutbound::new(options).unwrap();
    let error = refused(&outbound, get("http://A.Denied.example./")).await;
    assert!(matches!(error, FetchError::DestinationNotAllowed), "{error}");
    assert_eq!(fake.lookups.load(Ordering::SeqCst), 0, "not even looked up");
}
