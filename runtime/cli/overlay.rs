//! The last build's error in the browser, while the last good version goes on serving: a box at the end of each HTML page.

use bytes::Bytes;
use holm_isolate::Body;
use http::header;

/// Puts the box at the end of an HTML page; leaves every other answer as it is, but for a header.
pub(super) fn add(mut response: http::Response<Body>, error: &str) -> http::Response<Body> {
    response.headers_mut().insert("x-holm-build", http::HeaderValue::from_static("failed"));
    let is_html = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("text/html"));
    let has_body = !matches!(response.body(), Body::Empty);
    if !is_html || !has_body || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    response.headers_mut().remove(header::CONTENT_LENGTH);
    let overlay = Bytes::from(html(error));
    response.map(|page| match page {
        Body::Bytes(bytes) => Body::Bytes([bytes, overlay].concat().into()),
        page => Body::stream(Chained { page, tail: Some(overlay) }),
    })
}

fn html(error: &str) -> String {
    format!(
        "<div role=\"alert\" style=\"all:initial;position:fixed;inset:auto 0 0 0;max-height:60vh;overflow:auto;z-index:2147483647;\
         background:#1e1e1e;color:#f5f5f5;border-top:4px solid #d33;padding:1rem;font:14px/1.5 monospace;white-space:pre-wrap\">\
         <b style=\"color:#f66\">The last change does not build; the version before it is served.</b>\n\n{}</div>",
        escaped(error)
    )
}

/// Text in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A body with bytes behind it.
struct Chained {
    page: Body,
    tail: Option<Bytes>,
}

// === impl Chained ===

impl http_body::Body for Chained {
    type Data = Bytes;
    type Error = holm_isolate::BodyError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        match std::task::ready!(std::pin::Pin::new(&mut self.page).poll_frame(cx)) {
            Some(frame) => std::task::Poll::Ready(Some(frame)),
            None => std::task::Poll::Ready(self.tail.take().map(|tail| Ok(http_body::Frame::data(tail)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use http_body_util::Full;

    use super::*;

    async fn text(response: http::Response<Body>) -> String {
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    fn page(content_type: &str, body: Body) -> http::Response<Body> {
        http::Response::builder().header("content-type", content_type).body(body).unwrap()
    }

    #[tokio::test]
    async fn a_streamed_page_gets_the_box_behind_its_end() {
        let stream = Body::stream(Full::new(Bytes::from("<p>page</p>")));
        let answer = text(add(page("text/html; charset=utf-8", stream), "no <such> module")).await;
        assert!(answer.starts_with("<p>page</p><div role=\"alert\""), "{answer}");
        assert!(answer.contains("no &lt;such&gt; module"), "{answer}");
    }

    #[tokio::test]
    async fn an_answer_that_is_no_page_keeps_its_bytes() {
        let answer = add(page("application/json", Body::from(Bytes::from("{}"))), "broken");
        assert_eq!(answer.headers()["x-holm-build"], "failed");
        assert_eq!(text(answer).await, "{}");
    }
}
