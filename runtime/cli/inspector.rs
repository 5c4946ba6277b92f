//! `holm dev --inspector-port`: where Chrome DevTools and VS Code find the worker's isolate.
//!
//! Discovery and sessions are those of Chrome and Node.js: `/json/list` names the targets, each with the address of a WebSocket
//! that speaks the Chrome DevTools Protocol. A debugger may run any code, so only this machine is answered: the listener is
//! on a loopback address, a `Host` that is a name of another site is refused, and so is the `Origin` of a page.
//! Source: <https://chromedevtools.github.io/devtools-protocol/#endpoints>

use std::convert::Infallible;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures::SinkExt;
use futures::StreamExt;
use holm_front::authority;
use holm_front::authority::Authority;
use holm_isolate::DebugSession;
use holm_isolate::DebugTarget;
use holm_isolate::Debugger;
use holm_isolate::accept_key;
use http::HeaderMap;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use http::header::HeaderName;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// The pages of DevTools itself.
const DEVTOOLS: [&str; 2] = ["devtools://", "chrome-devtools://"];
/// A heap snapshot comes in pieces; a command with a whole script does not.
const COMMAND_BYTES: usize = 64 << 20;

/// The isolates that can be debugged, the newest of each worker. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Inspector {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// `None` until it is asked for.
    source_root: Mutex<Option<String>>,
    targets: Mutex<Vec<DebugTarget>>,
}

// === impl Inspector ===

impl Inspector {
    /// From now on isolates can be debugged. `directory`: the project's, which the sources in source maps are relative to.
    pub(super) fn enable(&self, directory: &std::path::Path) {
        let root = url::Url::from_directory_path(directory).map_or_else(|()| "file:///".to_owned(), String::from);
        *self.shared.source_root.lock() = Some(root);
    }

    pub(super) fn debugger(&self) -> Arc<dyn Debugger> {
        Arc::<Shared>::clone(&self.shared)
    }

    /// The address to listen on.
    ///
    /// # Errors
    /// When it is not one of this machine alone.
    pub(super) fn address(ip: Option<&str>, port: u16) -> Result<SocketAddr, String> {
        let ip = match ip {
            None | Some("localhost") => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Some(text) => text.parse().map_err(|_| format!("`dev.inspector_ip` is no IP address: {text}"))?,
        };
        if ip.is_loopback() {
            return Ok(SocketAddr::new(ip, port));
        }
        Err(format!(
            "`dev.inspector_ip` is {ip}: a debugger may run any code, so it is let in from this machine only; use 127.0.0.1"
        ))
    }

    /// Serves debuggers for ever.
    pub(super) async fn serve(self, listener: TcpListener) {
        let address = listener.local_addr().map_or_else(|_| String::new(), |address| address.to_string());
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            };
            let (inspector, address) = (self.clone(), address.clone());
            tokio::spawn(async move {
                let service = service_fn(|request| {
                    let answer = inspector.answer(request, &address);
                    async { Ok::<_, Infallible>(answer) }
                });
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                if let Err(error) = connection.with_upgrades().await {
                    tracing::debug!(%error, "a debugger's connection failed");
                }
            });
        }
    }

    fn answer(&self, request: Request<Incoming>, address: &str) -> Response<Full<Bytes>> {
        if !is_from_here(request.headers()) {
            return plain(StatusCode::FORBIDDEN, "The inspector answers to debuggers on this machine only.\n");
        }
        match request.uri().path() {
            "/json" | "/json/" | "/json/list" => page(&self.list(address)),
            "/json/version" => {
                page(&json!({ "Browser": concat!("Holm/", env!("CARGO_PKG_VERSION")), "Protocol-Version": "1.3" }))
            }
            path => match path.strip_prefix('/').and_then(|worker| self.target(worker)) {
                Some(target) => attach(request, &target),
                None => plain(StatusCode::NOT_FOUND, "There is no such target; /json/list has them all.\n"),
            },
        }
    }

    fn list(&self, address: &str) -> Value {
        let (open, root) = (self.shared.open(), self.shared.source_root.lock().clone().unwrap_or_default());
        let targets = open.iter().map(|target| {
            let worker = target.worker();
            let socket = format!("{address}/{worker}");
            json!({
                "id": worker,
                "type": "node",
                "title": format!("{worker} (holm dev)"),
                "description": "a worker's isolate",
                "url": format!("{root}{worker}"),
                "devtoolsFrontendUrl":
                    format!("devtools://devtools/bundled/js_app.html?experiments=true&v8only=true&ws={socket}"),
                "webSocketDebuggerUrl": format!("ws://{socket}"),
            })
        });
        Value::Array(targets.collect())
    }

    fn target(&self, worker: &str) -> Option<DebugTarget> {
        self.shared.open().into_iter().find(|target| target.worker() == worker)
    }
}

impl Shared {
    /// The targets that are still there, the newest of each worker.
    fn open(&self) -> Vec<DebugTarget> {
        let mut targets = self.targets.lock();
        targets.retain(DebugTarget::is_open);
        let mut open: Vec<DebugTarget> = Vec::new();
        for target in targets.iter().rev() {
            if open.iter().all(|newer| newer.worker() != target.worker()) {
                open.push(target.clone());
            }
        }
        open
    }
}

impl Debugger for Shared {
    fn opened(&self, target: DebugTarget) {
        let mut targets = self.targets.lock();
        targets.retain(DebugTarget::is_open);
        targets.push(target);
    }

    fn source_root(&self) -> Option<String> {
        self.source_root.lock().clone()
    }
}

/// Neither by a name that only looks like this machine's ("DNS rebinding"), nor from a page.
fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let host = text(header::HOST).unwrap_or_default();
    let is_local = Authority::parse(host).is_some_and(|authority| {
        let name = authority.host;
        name.eq_ignore_ascii_case("localhost") || authority::address(name).is_some_and(|ip| ip.is_loopback())
    });
    is_local && text(header::ORIGIN).is_none_or(|origin| DEVTOOLS.iter().any(|page| origin.starts_with(page)))
}

fn attach(mut request: Request<Incoming>, target: &DebugTarget) -> Response<Full<Bytes>> {
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY).map(|key| accept_key(key.as_bytes()));
    let Some(accept) = key else {
        return plain(StatusCode::UPGRADE_REQUIRED, "This address is for a debugger's WebSocket.\n");
    };
    let Some(session) = target.connect() else {
        return plain(StatusCode::NOT_FOUND, "The worker has been reloaded; /json/list has the new target.\n");
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(stream) => {
                let config = WebSocketConfig::default()
                    .max_message_size(Some(COMMAND_BYTES))
                    .max_frame_size(Some(COMMAND_BYTES));
                let socket = WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, Some(config)).await;
                relay(socket, session).await;
            }
            Err(error) => tracing::debug!(%error, "a debugger did not take up its WebSocket"),
        }
    });
    let mut response = plain(StatusCode::SWITCHING_PROTOCOLS, "");
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
    if let Ok(accept) = accept.parse() {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    response
}

/// Carries commands one way and messages the other until either side ends.
async fn relay(socket: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>, mut session: DebugSession) {
    let (mut to_debugger, mut from_debugger) = socket.split();
    loop {
        tokio::select! {
            command = from_debugger.next() => match command {
                Some(Ok(Message::Text(command))) => session.send(command.as_str().to_owned()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
            message = session.next() => match message {
                Some(message) => {
                    if to_debugger.send(Message::text(message)).await.is_err() {
                        return;
                    }
                }
                None => {
                    let reason = "The worker was reloaded.".into();
                    let _ = to_debugger.send(Message::Close(Some(CloseFrame { code: CloseCode::Away, reason }))).await;
                    return;
                }
            },
        }
    }
}

fn page(value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(value.to_string()));
    let kind = header::HeaderValue::from_static("application/json; charset=UTF-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_debuggers_of_this_machine_are_answered() {
        let asked = |host: &str, origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            is_from_here(&headers)
        };
        for host in ["localhost:9229", "127.0.0.1", "[::1]:9229", "[::1]", "LOCALHOST"] {
            assert!(asked(host, None), "{host}");
        }
        assert!(asked("localhost:9229", Some("devtools://devtools")));
        for host in ["evil.example", "localhost.evil.example:9229", "10.0.0.1:9229", "", "127.0.0.1.evil.example"] {
            assert!(!asked(host, None), "{host}");
        }
        for origin in ["http://evil.example", "http://localhost:8787", "null", "https://devtools.example"] {
            assert!(!asked("localhost:9229", Some(origin)), "{origin}");
        }
        assert!(!is_from_here(&HeaderMap::new()));
    }

    #[test]
    fn it_listens_on_this_machine_only() {
        assert!(Inspector::address(None, 9229).unwrap().ip().is_loopback());
        assert!(Inspector::address(Some("::1"), 9229).is_ok());
        for ip in ["0.0.0.0", "192.168.1.2", "example.com"] {
            assert!(Inspector::address(Some(ip), 9229).is_err(), "{ip}");
        }
    }
}
