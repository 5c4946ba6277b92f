//! The door itself: one request from its head to its answer.
//!
//! Check, route, take the body in, dispatch, make the answer honest. It allocates the URL and little else, for every request
//! of every worker passes here. Called by each connection's task for each of its requests.

use std::sync::Arc;

use holm_isolate::Body;
use holm_isolate::Failure;
use holm_isolate::Outcome;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Request;
use http::Response;
use http::request::Parts;

use crate::authority::Target;
use crate::connection::Connection;
use crate::connection::Service;
use crate::error_page;
use crate::error_page::Format;
use crate::headers;
use crate::options::ClientHeaders;
use crate::options::Options;
use crate::request_id::RequestId;
use crate::status::Problem;
use crate::status::Refusal;
use crate::upload;
use crate::upload::Received;
use crate::workers::Incoming;
use crate::workers::Workers;

/// What the headers that speak for the client are called.
const CF_CONNECTING_IP: HeaderName = HeaderName::from_static("cf-connecting-ip");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

pub(crate) struct Door<W> {
    workers: W,
    options: Arc<Options>,
}

// === impl Door ===

impl<W: Workers> Door<W> {
    pub(crate) const fn new(workers: W, options: Arc<Options>) -> Self {
        Self { workers, options }
    }

    /// Answers one request, well or badly.
    async fn handle<B: Received>(&self, connection: &Connection, request: Request<B>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let method = parts.method.clone();
        let id = RequestId::next();
        let mut format = Format::default();
        let mut response = match self.pass(connection, parts, body, id, &mut format).await {
            Ok(response) => response,
            Err(problem) => error_page::answer(&problem, id, format, self.options.error_detail),
        };
        let status = response.status();
        let mut body = std::mem::take(response.body_mut());
        headers::settle_length(&method, status, response.headers_mut(), &mut body);
        response.map(|_| body)
    }

    /// Brings the request to its worker. `format` is set as soon as the headers were read.
    async fn pass<B: Received>(
        &self,
        connection: &Connection,
        mut parts: Parts,
        body: B,
        id: RequestId,
        format: &mut Format,
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
        let worker = self.workers.route(https, target.host(), parts.uri.path()).ok_or(Refusal::UnknownHost)?;
        screened.apply(&mut parts.headers, parts.version, target.host_and_port());
        if options.client_headers == ClientHeaders::Replace {
            speak_for_client(&mut parts.headers, connection, https);
        }
        let (body, fate) = upload::receive(body, &options.limits, &options.timeouts).await?;
        let event = Incoming {
            method: parts.method,
            url: target.url,
            headers: parts.headers,
            body,
            peer: connection.peer,
            https,
            http_version: parts.version,
            request_id: id,
        };
        match self.workers.dispatch(&worker, event).await {
            Ok(response) if response.status().is_informational() => Err(no_final_answer(&response).into()),
            Ok(mut response) => {
                headers::clean(response.headers_mut());
                Ok(response)
            }
            Err(failure) => Err(fate.refusal().map_or_else(|| failure.into(), Problem::Refused)),
        }
    }
}

impl<W: Workers> Service for Arc<Door<W>> {
    type Body = Body;

    async fn answer(&self, connection: &Connection, request: Request<hyper::body::Incoming>) -> Response<Body> {
        self.handle(connection, request).await
    }
}

/// The address that a worker may believe.
fn speak_for_client(headers: &mut HeaderMap, connection: &Connection, https: bool) {
    let address = &connection.client_address;
    headers.insert(CF_CONNECTING_IP, address.clone());
    headers.insert(X_FORWARDED_FOR, address.clone());
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(if https { "https" } else { "http" }));
    headers.insert(X_REAL_IP, address.clone());
}

/// HTTP has no way to send it: a status below 200 announces another answer.
fn no_final_answer(response: &Response<Body>) -> Failure {
    Failure::new(
        Outcome::Exception,
        format!(
            "the worker answered with status {}, which ends no request: use 200 or above",
            response.status().as_u16()
        ),
    )
}
