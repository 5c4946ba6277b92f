//! A client that goes away: the worker learns of it, what `waitUntil` holds goes on, and its subrequests are given up.

mod support;

use support::client::get;
use support::process::Dev;
use support::project::Project;
use support::raw::Raw;
use support::upstream::Upstream;

fn request(path: &str) -> support::client::Request {
    get(path).body(bytes::Bytes::new()).unwrap()
}

#[test]
fn the_signal_of_the_request_is_aborted_and_wait_until_goes_on() {
    let project = Project::worker(
        r#"
export default {
  async fetch(request, env, ctx) {
    const gone = new Promise((resolve) => request.signal.addEventListener("abort", () => resolve(request.signal.reason.name)));
    ctx.waitUntil(gone.then(async (name) => {
      await scheduler.wait(5);
      console.log(`gone: ${name}, and went on`);
    }));
    console.log("waiting for the end");
    await Promise.race([gone, scheduler.wait(60_000)]);
    return new Response("nobody reads this");
  },
};
"#,
    );
    let dev = Dev::start(project.path(), &[]);
    let mut client = Raw::connect(dev.address);
    client.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    dev.output().wait_for("^waiting for the end$");
    drop(client);
    dev.output().wait_for("^gone: AbortError, and went on$");
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_body_aborts_the_signal_and_cancels_the_stream() {
    let project = Project::worker(
        r#"
export default {
  fetch(request, env, ctx) {
    request.signal.addEventListener("abort", () => console.log("aborted"));
    ctx.waitUntil(new Promise((resolve) => request.signal.addEventListener("abort", () => setTimeout(resolve, 5))));
    return new Response(new ReadableStream({
      async pull(controller) {
        await scheduler.wait(1);
        controller.enqueue(new TextEncoder().encode("tick\n"));
      },
      cancel() {
        console.log("cancelled");
      },
    }));
  },
};
"#,
    );
    let dev = Dev::start(project.path(), &[]);
    let mut answer = dev.client().open(request("/"));
    answer.read_until("tick\ntick\n");
    drop(answer);
    dev.output().wait_for("^aborted$");
    dev.output().wait_for("^cancelled$");
}

#[test]
fn the_subrequests_of_a_client_that_left_are_given_up() {
    let project = Project::worker("export default { fetch: (request, env) => fetch(`${env.UPSTREAM}/hold`) };");
    let upstream = Upstream::start();
    let dev = Dev::start(project.path(), &["--var", &format!("UPSTREAM:{}", upstream.url())]);
    let mut client = Raw::connect(dev.address);
    client.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    upstream.log.wait_for("^GET /hold$");
    drop(client);
    upstream.log.wait_for("^GET /hold gone$");
}

#[test]
fn an_upstream_is_told_when_the_reader_of_its_body_leaves() {
    let project = Project::worker("export default { fetch: (request, env) => fetch(`${env.UPSTREAM}/hold-body`) };");
    let upstream = Upstream::start();
    let dev = Dev::start(project.path(), &["--var", &format!("UPSTREAM:{}", upstream.url())]);
    let mut answer = dev.client().open(request("/"));
    answer.read_until("first");
    drop(answer);
    upstream.log.wait_for("^GET /hold-body gone$");
}

#[test]
fn a_client_that_stops_in_the_middle_of_its_body_fails_the_read() {
    let project = Project::worker(
        r#"
export default {
  async fetch(request, env, ctx) {
    const reading = request.text().then((text) => console.log("read", text), (error) => console.log("broken:", error.name));
    ctx.waitUntil(reading);
    await reading;
    return new Response("answered");
  },
};
"#,
    );
    let dev = Dev::start(project.path(), &[]);
    let mut client = Raw::connect(dev.address);
    client.write("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.chunk("half of");
    drop(client);
    dev.output().wait_for("^broken: ");
}

#[test]
fn bodies_stream_both_ways_at_once() {
    let project = Project::worker(
        "export default { fetch: (request) => new Response(request.body.pipeThrough(new TransformStream({ transform(chunk, controller) { controller.enqueue(chunk); controller.enqueue(new TextEncoder().encode('|')); } }))) };",
    );
    let dev = Dev::start(project.path(), &[]);
    let mut client = Raw::connect(dev.address);
    client.write("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.chunk("first");
    client.read_until(r"first\r\n(1\r\n)?\|");
    client.chunk("second");
    client.read_until("second");
    client.chunk("");
    assert!(client.read_until("\r\n0\r\n\r\n$").contains("second"));
}

#[test]
fn requests_follow_each_other_on_one_connection() {
    let project =
        Project::worker("export default { fetch: (request) => new Response(new URL(request.url).pathname) };");
    let dev = Dev::start(project.path(), &[]);
    let mut client = Raw::connect(dev.address);
    client.write("GET /one HTTP/1.1\r\nHost: localhost\r\n\r\nGET /two HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.read_until("\r\n\r\n/one(?s).*\r\n\r\n/two");
    client.write("GET /three HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(client.read_to_end().ends_with("/three"));
}
