//! The door itself: one request from its head to its answer.
//!
//! Check, route, take the body in, dispatch, make the answer honest. It allocates the URL and little else, for every request
//! of every worker passes here. Called by each connection's task for each of its requests.

use std::sync::Arc;

use holm_isolate::AnswerSocket;
use holm_isolate::Body;
use holm_isolate::Failure;
use holm_isolate::Outcome;
use holm_isolate::RequestId;
use holm_isolate::Ticket;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Request;
use http::Response;
use http::Version;
use http::header;
use http::request::Parts;

use crate::authority::Target;
use crate::connection::Connection;
use crate::connection::Service;
use crate::counters::Counters;
use crate::error_page;
use crate::error_page::Format;
use crate::headers;
use crate::options::ClientHeaders;
use crate::options::CpuHeader;
use crate::options::Options;
use crate::reply::Sent;
use crate::status::Problem;
use crate::status::Refusal;
use crate::upload;
use crate::upload::Received;
use crate::websocket::Handshake;
use crate::workers::Incoming;
use crate::workers::TurnedAway;
use crate::workers::Workers;

/// What the headers that speak for the client are called.
const CF_CONNECTING_IP: HeaderName = HeaderName::from_static("cf-connecting-ip");
/// The request's id, as workers know it.
const CF_RAY: HeaderName = HeaderName::from_static("cf-ray");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// What an answer has cost, where the operator wants it told.
const CPU_US: HeaderName = HeaderName::from_static("x-holm-cpu-us");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// A WebSocket goes to a client that has asked for one.
const NO_WEBSOCKET: &str = "the worker answered with a WebSocket, but the request is no WebSocket handshake over HTTP/1.1: check its `upgrade` header first";

pub(crate) struct Door<W> {
    workers: W,
    options: Arc<Options>,
    counters: Arc<Counters>,
}

// === impl Door ===

impl<W: Workers> Door<W> {
    pub(crate) const fn new(workers: W, options: Arc<Options>, counters: Arc<Counters>) -> Self {
        Self { workers, options, counters }
    }

    /// Answers one request, well or badly.
    async fn handle<B: Received>(&self, connection: &Arc<Connection>, request: Request<B>) -> Response<Sent> {
        let (parts, body) = request.into_parts();
        let (method, version) = (parts.method.clone(), parts.version);
        let id = RequestId::next();
        let mut format = Format::default();
        let mut ticket = None;
        let mut response = match self.pass(connection, parts, body, id, &mut format, &mut ticket).await {
            Ok(response) => response,
            Err(problem) => {
                let mut answer = error_page::answer(&problem, id, format, self.options.error_detail);
                if let Problem::Refused(refusal) = &problem {
                    self.counters.refused(refusal);
                    tracing::debug!(request_id = %id, code = refusal.code(), "request refused");
                    if refusal.ends_connection() && version < Version::HTTP_2 {
                        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                    }
                }
                answer
            }
        };
        if let Some(cpu) = ticket.as_ref().and_then(|ticket| ticket.head_cpu()) {
            let microseconds = u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX);
            response.headers_mut().insert(CPU_US, HeaderValue::from(microseconds));
        }
        let status = response.status();
        if let Some(ticket) = &ticket {
            ticket.answered(status.as_u16());
        }
        let mut body = std::mem::take(response.body_mut());
        headers::settle_length(&method, status, response.headers_mut(), &mut body);
        response.map(|_| Sent::new(body, version, ticket))
    }

    /// Brings the request to its worker. `format` is set as soon as the headers were read, `place` as soon as it has a worker.
    async fn pass<B: Received>(
        &self,
        connection: &Arc<Connection>,
        mut parts: Parts,
        body: B,
        id: RequestId,
        format: &mut Format,
        place: &mut Option<Arc<Ticket>>,
    ) -> Result<Response<Body>, Problem> {
        let options = &*self.options;
        let (screened, sizes) = headers::screen(&parts.headers, &options.limits, options.client_headers);
        *format = screened.format;
        if parts.uri.path_and_query().is_some_and(|path| path.as_str().len() > options.limits.url_bytes) {
            return Err(Refusal::UriTooLong.into());
        }
        sizes?;
        let tls = connection.tls.get();
        let https = tls.is_some();
        let target = Target::read(https, &parts.method, &parts.uri, &parts.headers)?;
        if tls.is_some_and(|session| !session.may_serve(target.host(), options.coalescing)) {
            return Err(Refusal::Misdirected.into());
        }
        let worker = self.workers.route(https, target.host(), parts.uri.path())?;
        let handshake = Handshake::asked(&mut parts);
        screened.apply(&mut parts.headers, parts.version, target.host_and_port());
        if options.client_headers == ClientHeaders::Replace {
            speak_for_client(&mut parts.headers, connection, https, id);
        }
        let ticket = Ticket::new(id, Some(connection.peer.ip().to_canonical()), self.workers.stats(&worker));
        if options.cpu_header == CpuHeader::Told {
            ticket.ask_for_cpu();
        }
        *place = Some(Arc::clone(&ticket));
        let (body, fate) = upload::receive(body, &options.limits, &options.timeouts, &ticket, connection).await?;
        let event = Incoming {
            method: parts.method.clone(),
            url: target.url,
            headers: parts.headers,
            body,
            peer: connection.peer,
            https,
            http_version: parts.version,
            ticket: Arc::clone(&ticket),
        };
        match self.workers.dispatch(&worker, event).await {
            Ok(mut response) => {
                let socket = response.extensions_mut().remove::<AnswerSocket>();
                let why = match (&socket, &handshake) {
                    (Some(_), None) => Some(NO_WEBSOCKET.to_owned()),
                    _ => unsendable(&mut response, socket.is_some(), options.limits.answer_header_bytes),
                };
                if let Some(why) = why {
                    ticket.cannot_send(&why);
                    return Err(Failure::new(Outcome::Exception, why).into());
                }
                if let (Some(socket), Some(handshake)) = (socket, handshake)
                    && let Some(switched) = handshake.answer(&mut response, &socket, &ticket)
                {
                    connection.switch(switched);
                }
                Ok(response)
            }
            Err(failure) => {
                if !ticket.has_begun() {
                    let request = TurnedAway { method: &parts.method, target: &parts.uri, ticket: &ticket };
                    self.workers.turned_away(&worker, &request, &failure);
                }
                Err(fate.refusal().map_or_else(|| failure.into(), Problem::Refused))
            }
        }
    }
}

impl<W: Workers> Service for Arc<Door<W>> {
    type Body = Sent;

    async fn answer(&self, connection: &Arc<Connection>, request: Request<hyper::body::Incoming>) -> Response<Sent> {
        self.handle(connection, request).await
    }
}

/// The address that a worker may believe.
fn speak_for_client(headers: &mut HeaderMap, connection: &Connection, https: bool, id: RequestId) {
    let address = &connection.client_address;
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        headers.insert(CF_RAY, id);
    }
    headers.insert(CF_CONNECTING_IP, address.clone());
    headers.insert(X_FORWARDED_FOR, address.clone());
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(if https { "https" } else { "http" }));
    headers.insert(X_REAL_IP, address.clone());
}

/// Makes a worker's answer fit to be sent, or says why it is not.
fn unsendable(response: &mut Response<Body>, switches: bool, header_bytes: usize) -> Option<String> {
    let status = response.status();
    if status.is_informational() && !switches {
        // HTTP has no way to send it: a status below 200 announces another answer.
        let status = status.as_u16();
        return Some(format!("the worker answered with status {status}, which ends no request: use 200 or above"));
    }
    (headers::clean(response.headers_mut()) > header_bytes)
        .then(|| format!("the headers of the worker's answer are larger than {header_bytes} bytes"))
}
