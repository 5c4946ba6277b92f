//! WebSockets at the door: the server's side of the handshake (RFC 6455 §4.2), and the connection after it.
//!
//! A connection that has switched stays with its task: it counts as one as long as it lives, and hears of the drain.

use std::sync::Arc;

use holm_isolate::AnswerSocket;
use holm_isolate::Coupling;
use holm_isolate::Role;
use holm_isolate::SocketEnd;
use holm_isolate::Ticket;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::Response;
use http::StatusCode;
use http::Version;
use http::header;
use http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::shutdown::ShutdownSignal;

/// The length of a key: 16 bytes in base64.
const KEY: usize = 24;

/// A client that asks for a WebSocket as the protocol says.
pub(crate) struct Handshake {
    on: OnUpgrade,
    accept: HeaderValue,
}

/// What a connection does once its answer of status 101 has been written.
pub(crate) struct Switched {
    on: OnUpgrade,
    end: SocketEnd,
    ticket: Arc<Ticket>,
}

// === impl Handshake ===

impl Handshake {
    /// `None`: the request asks for no WebSocket, or not well enough to get one.
    pub(crate) fn asked(parts: &mut Parts) -> Option<Self> {
        if !parts.headers.contains_key(header::UPGRADE) {
            return None;
        }
        let headers = &parts.headers;
        let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| key.len() == KEY)?;
        let version = headers.get(header::SEC_WEBSOCKET_VERSION)?;
        let asks = parts.method == Method::GET
            && parts.version == Version::HTTP_11
            && has_token(headers, &header::UPGRADE, "websocket")
            && has_token(headers, &header::CONNECTION, "upgrade")
            && version == "13";
        let accept = HeaderValue::try_from(holm_isolate::accept_key(key.as_bytes())).ok()?;
        let on = parts.extensions.remove::<OnUpgrade>().filter(|_| asks)?;
        Some(Self { on, accept })
    }

    /// Makes the answer that switches. The end goes to the connection.
    pub(crate) fn answer<B>(
        self,
        response: &mut Response<B>,
        socket: &AnswerSocket,
        ticket: &Arc<Ticket>,
    ) -> Option<Switched> {
        let end = socket.take()?;
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept);
        Some(Switched { on: self.on, end, ticket: Arc::clone(ticket) })
    }
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}

// === impl Switched ===

impl Switched {
    /// Until the WebSocket is over, or the drain.
    pub(crate) async fn run(self, mut signal: ShutdownSignal) {
        let Ok(upgraded) = self.on.await else { return };
        let mut drains = signal.clone();
        let stop = async move {
            if drains.until().is_none() {
                drains.changed().await;
            }
        };
        let cut = async move {
            let mut until = match signal.until() {
                Some(until) => until,
                None => signal.changed().await,
            };
            loop {
                tokio::select! {
                    () = tokio::time::sleep_until(until) => return,
                    sooner = signal.changed() => until = sooner,
                }
            }
        };
        let coupling = Coupling { role: Role::Server, ticket: Some(self.ticket) };
        tokio::select! {
            () = holm_isolate::couple(TokioIo::new(upgraded), self.end, coupling, stop) => {}
            () = cut => {}
        }
    }
}

impl std::fmt::Debug for Switched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Switched")
    }
}
