//! One call of `fetch()`: sends the request, follows redirects, and hands the last response back with its body still on
//! the wire. Called by [`super::HttpOutbound`].
//!
//! Dropping the future, or later the body, closes an HTTP/1.1 connection and resets an HTTP/2 stream.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use holm_apis::fetch::outbound::Decoding;
use holm_apis::fetch::outbound::FetchError;
use holm_apis::fetch::outbound::OutboundRequest;
use holm_apis::fetch::outbound::OutboundResponse;
use holm_apis::fetch::outbound::Redirect;
use holm_isolate::Body;
use holm_isolate::BodyError;
use http::HeaderMap;
use http::Method;
use http::Request;
use http::Response;
use http::StatusCode;
use http::Uri;
use http::header;
use http::uri::Authority;
use http::uri::Scheme;
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::ResponseFuture;

use super::OutboundOptions;
use super::coding::Coding;
use super::connect::ConnectFailure;
use super::connect::Connector;
use super::decode;
use super::headers;
use super::headers::Signature;
use super::redirect;
use super::redirect::Hop;
use super::redirect::MAX_REDIRECTS;
use super::redirect::Source;
use super::websocket;

pub(super) async fn run(
    client: Arc<Client<Connector, Body>>,
    options: Arc<OutboundOptions>,
    request: OutboundRequest,
) -> Result<OutboundResponse, FetchError> {
    let sender = Sender { client, options };
    if request.method == Method::CONNECT {
        return Err(FetchError::InvalidRequest("CONNECT is not allowed".to_owned()));
    }
    if request.max_hops == 0 {
        return Err(FetchError::TooManySubrequests);
    }
    let url = checked(request.url)?;
    let asks_for_websocket = websocket::is_asked_for(&request.headers);
    let mut headers = request.headers;
    let signature = Signature { worker: sender.options.worker_id.as_ref(), cdn_loop: request.cdn_loop.as_ref() };
    headers::outgoing(&mut headers, request.decoding, signature);

    if asks_for_websocket {
        return websocket::open(&sender, url, headers, request.decoding).await;
    }
    if request.redirect != Redirect::Follow {
        let response = sender.send(request.method, url.clone(), headers, request.body).await?;
        if request.redirect == Redirect::Error && redirect::is_redirect(response.status()) {
            return Err(FetchError::UnexpectedRedirect);
        }
        return Ok(sender.answer(response, url, 1, request.decoding));
    }

    let mut hop = Hop { method: request.method, url, headers, source: Source::of(&request.body) };
    let mut body = request.body;
    let mut hops = 0;
    loop {
        let response = sender.send(hop.method.clone(), hop.url.clone(), hop.headers.clone(), body).await?;
        hops += 1;
        let location = match response.headers().get(header::LOCATION) {
            Some(location) if redirect::is_redirect(response.status()) => location,
            _ => return Ok(sender.answer(response, hop.url, hops, request.decoding)),
        };
        if hops > MAX_REDIRECTS {
            return Err(FetchError::TooManyRedirects);
        }
        hop.redirect(response.status(), location)?;
        if hops >= request.max_hops {
            return Err(FetchError::TooManySubrequests);
        }
        body = hop.source.body();
    }
}

/// What each exchange of a call uses.
pub(super) struct Sender {
    client: Arc<Client<Connector, Body>>,
    options: Arc<OutboundOptions>,
}

// === impl Sender ===

impl Sender {
    async fn send(
        &self,
        method: Method,
        url: Uri,
        headers: HeaderMap,
        body: Body,
    ) -> Result<Response<Incoming>, FetchError> {
        let response = self.exchange(method, url, headers, body).await?;
        // Nobody asked for another protocol.
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(FetchError::ConnectionLost);
        }
        Ok(response)
    }

    /// The response, whatever its status is.
    pub(super) async fn exchange(
        &self,
        method: Method,
        url: Uri,
        mut headers: HeaderMap,
        body: Body,
    ) -> Result<Response<Incoming>, FetchError> {
        headers::length(&mut headers, &method, &body);
        let (body, progress) = watched(body);
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = url;
        *request.headers_mut() = headers;
        self.head(self.client.request(request), &progress).await
    }

    /// The head of the response, unless nothing moves for too long.
    async fn head(&self, responding: ResponseFuture, sent: &AtomicU64) -> Result<Response<Incoming>, FetchError> {
        let mut responding = std::pin::pin!(responding);
        loop {
            let before = sent.load(Ordering::Relaxed);
            match tokio::time::timeout(self.options.head_timeout, &mut responding).await {
                Ok(response) => return response.map_err(|error| reason(&error)),
                Err(_) if sent.load(Ordering::Relaxed) == before => return Err(FetchError::HeadTimeout),
                Err(_) => {}
            }
        }
    }

    pub(super) fn answer(
        &self,
        response: Response<Incoming>,
        url: Uri,
        hops: u32,
        decoding: Decoding,
    ) -> OutboundResponse {
        let (head, body) = response.into_parts();
        let (status, mut headers) = (head.status, head.headers);
        headers::incoming(&mut headers);
        let coding = match decoding {
            // Nothing to decode in no body; its headers still tell about the body that there would be.
            Decoding::Automatic if !body.is_end_stream() => Coding::of(status, &headers),
            _ => None,
        };
        let body = match coding {
            Some(coding) => {
                headers.remove(header::CONTENT_ENCODING);
                headers.remove(header::CONTENT_LENGTH);
                decode::decoded(body, coding, self.options.decoded_bytes)
            }
            None => decode::untouched(body),
        };
        OutboundResponse { status, headers, body, url, hops, upgraded: None }
    }
}

/// `body`, and the number of its frames that were sent.
fn watched(body: Body) -> (Body, Arc<AtomicU64>) {
    let sent = Arc::new(AtomicU64::new(0));
    let Body::Stream(stream) = body else { return (body, sent) };
    let count = Arc::clone(&sent);
    let stream = stream.inspect_frame(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    (Body::Stream(stream.boxed_unsync()), sent)
}

/// `url` if a request can be sent there, without user name and password.
fn checked(url: Uri) -> Result<Uri, FetchError> {
    match url.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS => {}
        Some(scheme) => return Err(FetchError::UnknownProtocol(scheme.as_str().to_owned())),
        None => return Err(FetchError::InvalidUrl),
    }
    let Some(authority) = url.authority() else { return Err(FetchError::InvalidUrl) };
    let (user, place) = match authority.as_str().rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, authority.as_str()),
    };
    // A port that is not a number below 65,536 would silently become the default one.
    let port_unread = place.len() != authority.host().len() && authority.port_u16().is_none();
    if authority.host().is_empty() || port_unread {
        return Err(FetchError::InvalidUrl);
    }
    if user.is_none() {
        return Ok(url);
    }
    let place = Authority::try_from(place).map_err(|_| FetchError::InvalidUrl)?;
    let mut parts = url.into_parts();
    parts.authority = Some(place);
    Uri::from_parts(parts).map_err(|_| FetchError::InvalidUrl)
}

/// What JavaScript is told about an exchange without a response.
fn reason(error: &legacy::Error) -> FetchError {
    let mut causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    causes
        .find_map(|cause| {
            if let Some(failure) = cause.downcast_ref::<ConnectFailure>() {
                return Some(match failure {
                    ConnectFailure::Denied => FetchError::DestinationNotAllowed,
                    ConnectFailure::Resolve => FetchError::Resolve,
                    ConnectFailure::Connect => FetchError::Connect,
                    ConnectFailure::Tls => FetchError::Tls,
                });
            }
            if cause.downcast_ref().is_some_and(hyper::Error::is_parse_too_large) {
                return Some(FetchError::HeadTooLarge);
            }
            let body_broke_off = cause.is::<BodyError>() || cause.downcast_ref().is_some_and(hyper::Error::is_user);
            body_broke_off.then(|| FetchError::InvalidRequest("the request body ended before its end".to_owned()))
        })
        .unwrap_or(FetchError::ConnectionLost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_without_a_place_to_send_to_are_refused() {
        assert!(matches!(checked(Uri::from_static("/path")), Err(FetchError::InvalidUrl)));
        assert!(matches!(checked(Uri::from_static("http://h:99999/")), Err(FetchError::InvalidUrl)));
        assert!(matches!(checked(Uri::from_static("ftp://h/")), Err(FetchError::UnknownProtocol(_))));
    }

    #[test]
    fn user_names_and_passwords_stay_off_the_wire() {
        assert_eq!(checked(Uri::from_static("http://u:p@h:81/x?y")).unwrap(), "http://h:81/x?y");
        assert_eq!(checked(Uri::from_static("http://[::1]:81/")).unwrap(), "http://[::1]:81/");
    }
}
