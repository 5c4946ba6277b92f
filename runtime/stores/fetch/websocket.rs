//! The client's side of a WebSocket handshake (RFC 6455 §4.1), over a connection of its own: HTTP/1.1, and never used again.

use holm_apis::fetch::outbound::Decoding;
use holm_apis::fetch::outbound::FetchError;
use holm_apis::fetch::outbound::OutboundResponse;
use holm_apis::fetch::outbound::Wire;
use holm_isolate::Body;
use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::StatusCode;
use http::Uri;
use http::header;
use hyper_util::rt::TokioIo;

use super::exchange::Sender;
use super::headers;

/// Whether a worker's request asks for a WebSocket.
pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Sends the handshake. A server that does not switch has answered with an ordinary response.
pub(super) async fn open(
    sender: &Sender,
    url: Uri,
    mut list: HeaderMap,
    decoding: Decoding,
) -> Result<OutboundResponse, FetchError> {
    let key = holm_isolate::handshake_key();
    // Holm compresses no messages, so it offers no extension.
    list.remove(header::SEC_WEBSOCKET_EXTENSIONS);
    list.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    list.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    list.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    list.insert(
        header::SEC_WEBSOCKET_KEY,
        HeaderValue::try_from(&key).map_err(|_| FetchError::InvalidRequest("no key for the handshake".to_owned()))?,
    );
    let mut response = sender.exchange(Method::GET, url.clone(), list, Body::Empty).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(sender.answer(response, url, 1, decoding));
    }
    let accepted = response.headers().get(header::SEC_WEBSOCKET_ACCEPT);
    if !is_asked_for(response.headers())
        || accepted.is_none_or(|accept| accept.as_bytes() != holm_isolate::accept_key(key.as_bytes()).as_bytes())
        || response.headers().contains_key(header::SEC_WEBSOCKET_EXTENSIONS)
    {
        return Err(FetchError::Handshake);
    }
    let upgraded = hyper::upgrade::on(&mut response).await.map_err(|_| FetchError::ConnectionLost)?;
    let (head, _) = response.into_parts();
    let mut list = head.headers;
    headers::incoming(&mut list);
    let upgraded = Some(Wire::new(TokioIo::new(upgraded)));
    Ok(OutboundResponse { status: head.status, headers: list, body: Body::Empty, url, hops: 1, upgraded })
}
