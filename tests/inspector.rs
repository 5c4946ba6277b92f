//! `holm dev --inspector-port`: a debugger's whole visit, over the Chrome DevTools Protocol.

mod support;

use std::net::SocketAddr;

use futures::SinkExt;
use futures::StreamExt;
use serde_json::Value;
use serde_json::json;
use support::DEADLINE;
use support::client::Client;
use support::client::get;
use support::process::Dev;
use support::project::Project;
use support::project::config;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

/// Line 4 of the source is where it is stopped.
const SOURCE: &str = r#"interface Greeting { text: string }
function greet(name: string): Greeting {
  const text = `hello ${name}`;
  console.log("greeting", name);
  return { text };
}
export default {
  fetch(request: Request): Response {
    const name = new URL(request.url).pathname.slice(1);
    if (name === "burn") { let n = 0; for (let i = 0; i < 5e6; i++) n += i % 7; return new Response(String(n)); }
    return Response.json(greet(name));
  },
};
"#;

/// A debugger at one target.
struct Debugger {
    runtime: Runtime,
    socket: WebSocketStream<TcpStream>,
    commands: u64,
    /// Events that came while an answer was awaited.
    events: Vec<Value>,
}

// === impl Debugger ===

impl Debugger {
    fn attach(address: SocketAddr, target: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let socket = runtime.block_on(async {
            let stream = TcpStream::connect(address).await.unwrap();
            client_async(format!("ws://{address}/{target}"), stream).await.unwrap().0
        });
        Self { runtime, socket, commands: 0, events: Vec::new() }
    }

    fn next(&mut self) -> Option<Value> {
        let message = self.runtime.block_on(async { tokio::time::timeout(DEADLINE, self.socket.next()).await });
        match message.expect("a message within the deadline") {
            Some(Ok(Message::Text(text))) => Some(serde_json::from_str(&text).unwrap()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => None,
            Some(Ok(other)) => panic!("{other:?}"),
        }
    }

    /// The answer to a command.
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.commands += 1;
        let id = self.commands;
        let command = json!({ "id": id, "method": method, "params": params }).to_string();
        self.runtime.block_on(self.socket.send(Message::text(command))).unwrap();
        loop {
            let message = self.next().expect("an answer");
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    /// The parameters of the first event of that name that `fits`, from those that have come on.
    fn event(&mut self, method: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let is_it = |event: &Value| event["method"] == method && fits(&event["params"]);
        if let Some(found) = self.events.iter().position(is_it) {
            return self.events.remove(found)["params"].clone();
        }
        loop {
            let event = self.next().unwrap_or_else(|| panic!("the connection has ended before {method}"));
            if is_it(&event) {
                return event["params"].clone();
            }
            self.events.push(event);
        }
    }
}

/// A worker in TypeScript under `holm dev`, and the address of its inspector.
fn start() -> (Project, Dev, SocketAddr) {
    let project = Project::empty();
    project.write("wrangler.jsonc", &config("debugged", "").replace("index.js", "src/index.ts"));
    project.write("src/index.ts", SOURCE);
    let dev = Dev::start(project.path(), &["--inspector-port", "0"]);
    let shown = dev.output().wait_for(r"^Debugger on (\S+): open");
    let address = shown.parse().unwrap();
    (project, dev, address)
}

#[test]
fn a_breakpoint_in_the_authors_source_stops_one_request_for_as_long_as_it_takes() {
    let (project, dev, address) = start();
    let list = Client::new(address).get("/json/list").json();
    assert_eq!(list[0]["webSocketDebuggerUrl"], format!("ws://{address}/debugged"));
    assert_eq!(Client::new(address).get("/json/version").json()["Protocol-Version"], "1.3");

    let mut debugger = Debugger::attach(address, "debugged");
    debugger.call("Runtime.enable", json!({}));
    debugger.call("Debugger.enable", json!({}));
    let script = debugger.event("Debugger.scriptParsed", |script| {
        script["sourceMapURL"].as_str().is_some_and(|url| url.starts_with("data:application/json;base64,"))
    });
    let map = base64(script["sourceMapURL"].as_str().unwrap().split_once("base64,").unwrap().1);
    let map: Value = serde_json::from_slice(&map).unwrap();
    let root = map["sourceRoot"].as_str().unwrap();
    assert!(root.starts_with("file:///") && root.ends_with('/'), "{root}");
    let source = url::Url::parse(root).unwrap().join(map["sources"][0].as_str().unwrap()).unwrap();
    let file = std::fs::canonicalize(source.to_file_path().unwrap()).unwrap();
    assert_eq!(file, std::fs::canonicalize(project.file("src/index.ts")).unwrap());

    // As a debugger does: from the line of the source to the place in the script.
    let decoded = sourcemap::SourceMap::from_slice(&serde_json::to_vec(&map).unwrap()).unwrap();
    let place = decoded.tokens().find(|token| token.get_src_line() == 3).unwrap();
    let location = json!({ "scriptId": script["scriptId"], "lineNumber": place.get_dst_line(), "columnNumber": place.get_dst_col() });
    debugger.call("Debugger.setBreakpoint", json!({ "location": location }));

    let client = dev.client();
    let asked = std::thread::spawn(move || client.send(get("/ada").body(Default::default()).unwrap()));
    let paused = debugger.event("Debugger.paused", |_| true);
    let frame = &paused["callFrames"][0];
    assert_eq!(frame["functionName"], "greet");
    let evaluate = |debugger: &mut Debugger, expression: &str| {
        let at = json!({ "callFrameId": frame["callFrameId"], "expression": expression, "returnByValue": true });
        debugger.call("Debugger.evaluateOnCallFrame", at)["result"]["value"].clone()
    };
    assert_eq!(evaluate(&mut debugger, "text"), "hello ada");
    // More CPU time than a request has: what a debugger does is not the request's.
    evaluate(&mut debugger, "{ const until = Date.now(); let n = 0; for (let i = 0; i < 3e7; i++) n += i % 7; n }");
    debugger.call("Debugger.stepOver", json!({}));
    let stepped = debugger.event("Debugger.paused", |_| true);
    assert_ne!(stepped["callFrames"][0]["location"], frame["location"]);
    debugger.call("Debugger.resume", json!({}));
    let answer = asked.join().unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"text":"hello ada"}"#));

    let logged = debugger.event("Runtime.consoleAPICalled", |call| call["type"] == "log");
    assert_eq!((&logged["args"][0]["value"], &logged["args"][1]["value"]), (&json!("greeting"), &json!("ada")));
    assert_eq!(logged["stackTrace"]["callFrames"][0]["functionName"], "greet");
    dev.output().wait_for("^greeting ada$");
}

#[test]
fn a_debugger_takes_profiles_and_runs_code() {
    let (_project, dev, address) = start();
    let mut debugger = Debugger::attach(address, "debugged");
    debugger.call("Runtime.enable", json!({}));
    let sum = debugger.call("Runtime.evaluate", json!({ "expression": "[1, 2, 3].reduce((a, b) => a + b)" }));
    assert_eq!(sum["result"]["value"], 6);

    debugger.call("Profiler.enable", json!({}));
    debugger.call("Profiler.start", json!({}));
    assert_eq!(dev.client().get("/burn").status, 200);
    let profile = debugger.call("Profiler.stop", json!({}))["profile"].clone();
    let names: Vec<&str> = profile["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|node| node["callFrame"]["functionName"].as_str())
        .collect();
    assert!(names.contains(&"fetch"), "{names:?}");

    debugger.call("HeapProfiler.enable", json!({}));
    debugger.call("HeapProfiler.takeHeapSnapshot", json!({}));
    let pieces = debugger.events.iter().filter(|event| event["method"] == "HeapProfiler.addHeapSnapshotChunk");
    let snapshot: String = pieces.map(|event| event["params"]["chunk"].as_str().unwrap()).collect();
    let snapshot: Value = serde_json::from_str(&snapshot).unwrap();
    assert!(snapshot["snapshot"]["node_count"].as_u64().unwrap() > 1_000);
    assert_eq!(dev.client().get("/eve").status, 200);
}

#[test]
fn a_reload_ends_the_session_and_the_limits_hold_again_without_a_debugger() {
    let (project, dev, address) = start();
    let mut debugger = Debugger::attach(address, "debugged");
    debugger.call("Runtime.enable", json!({}));
    project.write("src/index.ts", &SOURCE.replace("if (name === \"burn\") {", "if (name === \"burn\") { for (;;);"));
    while debugger.next().is_some() {}
    let again = Debugger::attach(address, "debugged");
    drop(again);
    // The session is over once the isolate has read that.
    let mut answer = dev.client().get("/ada");
    assert_eq!(answer.status, 200);
    answer = dev.client().get("/burn");
    assert_eq!((answer.status, answer.error()), (503, "cpu_exceeded"));
}

#[test]
fn only_a_debugger_on_this_machine_is_answered() {
    let (_project, _dev, address) = start();
    let client = Client::new(address);
    let with = |name: &str, value: &str| {
        client.send(get("/json/list").header(name, value).body(Default::default()).unwrap()).status
    };
    assert_eq!(with("host", "evil.example"), 403);
    assert_eq!(with("origin", "https://evil.example"), 403);
    assert_eq!(with("origin", "devtools://devtools"), 200);
    assert_eq!(client.get("/other").status, 404);
    assert_eq!(client.get("/debugged").status, 426);

    let project = Project::worker("export default { fetch: () => new Response('x') };");
    let open = r#""dev": { "inspector_port": 0, "inspector_ip": "0.0.0.0" },"#;
    project.write("wrangler.jsonc", &config("open", open));
    let refused = Dev::try_start(project.path(), &[]).err().expect("it ends");
    assert_eq!(refused.code, Some(78));
    assert!(refused.output.contains("from this machine only"), "{}", refused.output);
}

fn base64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}
