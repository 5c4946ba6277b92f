//! `ctx.passThroughOnException()`: the worker's origin answers what the worker has failed at.

use std::net::TcpListener;

use bytes::Bytes;
use http::header;

use crate::support::client::Answer;
use crate::support::client::Client;
use crate::support::client::get;
use crate::support::process::Serve;
use crate::support::project::Project;
use crate::support::project::config;
use crate::support::raw::Raw;
use crate::support::upstream::Upstream;

pub const ALL: &[(&str, fn())] = &[
    ("pass through: the origin answers, as if the worker was not there", answers),
    ("pass through: a body that nobody has read goes along", bodies),
    ("pass through: only exceptions are passed through, and only when the worker says so", only_exceptions),
    ("pass through: what the worker still does goes on", wait_until),
    ("pass through: an origin that breaks off, or whose client leaves", breaks_off),
    ("pass through: without an answer of the origin the exception stands", no_answer),
];

/// The path is the origin's; the query says what the worker does.
const WORKER: &str = "
export default {
  async fetch(request, env, ctx) {
    const what = new URL(request.url).searchParams.get('do');
    if (what !== 'nothing') ctx.passThroughOnException();
    switch (what) {
      case 'hang': await new Promise(() => {});
      case 'cpu': for (;;);
      case 'fine': return new Response('the worker');
      case 'read': await request.text(); break;
      case 'begin': await request.body.getReader().read(); break;
      case 'look': void request.body; break;
      case 'clone': await request.clone().text(); break;
      case 'move': new Request(request); break;
      case 'later': await scheduler.wait(1); break;
      case 'background': ctx.waitUntil(scheduler.wait(10).then(() => console.log('went on'))); break;
      case 'midway': return new Response(new ReadableStream({
        async pull(controller) {
          controller.enqueue(new TextEncoder().encode('begun'));
          await scheduler.wait(1);
          throw new Error('CANARY');
        },
      }));
    }
    throw new Error('CANARY');
  },
};
";

fn start(origin: &str) -> (Project, Serve) {
    let project = Project::with(&[
        (
            "holm.toml",
            &format!(
                "[server]\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n[[worker]]\nproject = \"a\"\n\
                 hostnames = [\"a.example\"]\n{origin}\n"
            ),
        ),
        ("a/wrangler.jsonc", &config("a", "")),
        ("a/index.js", WORKER),
    ]);
    let serve = Serve::start(&project.file("holm.toml"));
    (project, serve)
}

fn with_origin() -> (Project, Upstream, Serve) {
    let upstream = Upstream::start();
    let (project, serve) = start(&format!("origin = \"{}\"", upstream.url()));
    (project, upstream, serve)
}

fn post(client: Client, path: &str, body: impl Into<Bytes>) -> Answer {
    client.send(http::Request::post(path).header(header::HOST, "a.example").body(body.into()).unwrap())
}

fn failed(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.error())
}

fn answers() {
    let (_project, upstream, serve) = with_origin();
    let client = serve.http();
    for what in ["throw", "later", "hang"] {
        let path = format!("/echo/a%20b?do={what}&x=%7C");
        let request = get(&path).header("host", "a.example").header("x-own", "kept").header("cf-ray", "forged");
        let answer = client.send(request.body(Bytes::new()).unwrap());
        assert_eq!(failed(&answer), (200, ""), "{what}");
        let told = answer.json();
        assert_eq!((told["method"].as_str(), told["path"].as_str()), (Some("GET"), Some(path.as_str())));
        let sent = |name: &str| told["headers"][name].as_str().unwrap_or_default().to_owned();
        assert_eq!(sent("host"), upstream.address.to_string());
        assert_eq!((sent("x-forwarded-host"), sent("x-own")), ("a.example".to_owned(), "kept".to_owned()));
        assert_eq!((sent("x-forwarded-for"), sent("x-forwarded-proto")), ("127.0.0.1".to_owned(), "http".to_owned()));
        assert_eq!(sent("cdn-loop"), "holm; subreqs=1");

        let record = serve.invocation(&path);
        let outcome = if what == "hang" { "hung" } else { "exception" };
        assert_eq!((record["outcome"].as_str(), record["status"].as_u64()), (Some(outcome), Some(200)), "{record}");
        assert_eq!(
            (record["passed_through"].as_bool(), record["request_id"].as_str()),
            (Some(true), Some(&*sent("cf-ray")))
        );
        assert_eq!(record["error"] == "Error: CANARY", what != "hang", "{record}");
    }
    assert_eq!(serve.metric("holm_passed_through_total{worker=\"a\",tenant=\"a\"}"), 3.0);

    assert_eq!(failed(&client.get_at("a.example", "/status/404?do=throw")), (404, ""));
    let redirect = client.get_at("a.example", "/redirect/302?to=/text");
    assert_eq!((redirect.status, redirect.header("location")), (302, "/text"), "the client's to follow");
    let zipped = client.get_at("a.example", "/gzip?do=throw");
    assert_eq!((zipped.header("content-encoding"), zipped.body.starts_with(&[0x1f, 0x8b])), ("gzip", true));
    assert_eq!(client.get_at("a.example", "/bytes/3000000?do=throw").body.len(), 3_000_000);
    let cookies = client.get_at("a.example", "/cookies?do=throw");
    assert_eq!(cookies.headers.get_all("set-cookie").iter().count(), 2);
}

fn bodies() {
    let (_project, _upstream, serve) = with_origin();
    let client = serve.http();
    // One is here when the worker begins, the other comes as it is read.
    let (small, large) = ("small".to_owned(), "large".repeat(200_000));
    for (what, passes) in
        [("throw", true), ("look", true), ("move", true), ("hang", true), ("read", false), ("begin", false)]
    {
        for body in [&small, &large] {
            let answer = post(client, &format!("/echo?do={what}"), body.clone());
            let length = body.len();
            if passes {
                assert_eq!(failed(&answer), (200, ""), "{what} {length}");
                assert_eq!(answer.json()["body"].as_str().map(str::len), Some(length), "{what}");
            } else {
                assert_eq!(failed(&answer), (500, "exception"), "{what} {length}");
            }
        }
    }
    assert_eq!(post(client, "/echo?do=clone", small).json()["body"], "small");
    assert_eq!(post(client, "/echo?do=read", "").json()["body"], "", "nothing to read is nothing lost");
}

fn only_exceptions() {
    let (_project, upstream, serve) = with_origin();
    let client = serve.http();
    assert_eq!(failed(&client.get_at("a.example", "/text?do=nothing")), (500, "exception"));
    assert_eq!(failed(&client.get_at("a.example", "/text?do=cpu")), (503, "cpu_exceeded"));
    assert_eq!(client.get_at("a.example", "/text?do=fine").text(), "the worker");
    let mut midway = client.open(get("/text?do=midway").header("host", "a.example").body(Bytes::new()).unwrap());
    assert!(std::iter::from_fn(|| midway.next()).any(|piece| piece.is_err()), "{}", midway.received());
    assert_eq!(midway.received(), "begun", "an answer that has begun is the worker's");
    assert_eq!(upstream.log.text(), "", "the origin is asked for nothing");
    assert_eq!(serve.metric("holm_passed_through_total{worker=\"a\",tenant=\"a\"}"), 0.0);
}

fn wait_until() {
    let (_project, _upstream, serve) = with_origin();
    assert_eq!(serve.http().get_at("a.example", "/text?do=background").text(), "hello upstream\n");
    let id = serve.invocation("/text?do=background")["request_id"].clone();
    let records = serve.records();
    let line = records.iter().find(|line| line["message"] == "went on").expect("waitUntil() goes on");
    assert_eq!(line["request_id"], id);
}

fn breaks_off() {
    let (_project, upstream, serve) = with_origin();
    let client = serve.http();
    for path in ["/dies?do=throw", "/dies-chunked?do=throw"] {
        let request = get(path).header("host", "a.example").body(Bytes::new()).unwrap();
        assert!(client.try_send(request).is_err(), "{path}: a part of a body looks like all of it");
    }
    for path in ["/hold?do=throw", "/hold-body?do=throw"] {
        let mut raw = Raw::connect(client.address);
        raw.write(format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n"));
        upstream.log.wait_for(&format!(r"GET {}$", regex::escape(path)));
        if path.starts_with("/hold-body") {
            raw.read_until("first");
        }
        drop(raw);
        upstream.log.wait_for(&format!(r"GET {} gone$", regex::escape(path)));
    }
}

fn no_answer() {
    // An address where nobody listens: it was somebody's a moment ago.
    let nobody = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let (_project, serve) = start(&format!("origin = \"http://{nobody}\""));
    let answer = serve.http().get_at("a.example", "/text?do=throw");
    assert_eq!(failed(&answer), (500, "exception"));
    assert_eq!(
        answer.json(),
        serde_json::json!({ "error": "exception", "request_id": answer.header("x-holm-request-id") })
    );
    let record = serve.invocation("/text?do=throw");
    assert_eq!((record["status"].as_u64(), record.get("passed_through")), (Some(500), None), "{record}");
    let records = serve.records();
    let warned = records.iter().find(|line| {
        line["level"] == "WARN"
            && line["message"].as_str().is_some_and(|text| text.contains("the origin did not answer"))
    });
    assert_eq!(warned.expect("the reason is logged")["request_id"], record["request_id"]);

    let (_project, serve) = start("");
    assert_eq!(failed(&serve.http().get_at("a.example", "/text?do=throw")), (500, "exception"));
}
