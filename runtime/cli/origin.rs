//! The server that a worker stands in front of (`[[worker]] origin`): it answers requests that the worker has failed at.
//!
//! The request goes there as the client sent it, by the same way as subrequests but with connections of its own, and wherever
//! the operator's configuration says: `egress` bounds what a tenant's script may reach, and the script has no say here.

use std::sync::Arc;
use std::time::Duration;

use holm_apis::fetch::outbound::Decoding;
use holm_apis::fetch::outbound::Outbound;
use holm_apis::fetch::outbound::OutboundRequest;
use holm_apis::fetch::outbound::Redirect;
use holm_config::limits::Limits;
use holm_isolate::Answering;
use holm_isolate::FetchRequest;
use holm_isolate::Origin;
use holm_stores::fetch::Egress;
use holm_stores::fetch::EgressPolicy;
use holm_stores::fetch::HttpOutbound;
use http::HeaderName;
use http::Uri;
use http::header;

/// The host that the client asked for; `host` is the origin's.
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

struct HttpOrigin {
    outbound: HttpOutbound,
    /// Scheme, host and port.
    base: String,
}

/// The origin at `base`.
pub(super) fn origin(shared: &HttpOutbound, limits: &Limits, base: &str) -> Arc<dyn Origin> {
    let outbound = shared.separate_with(|options| {
        options.connect_timeout = Duration::from_secs(limits.fetch_connect_seconds);
        options.head_timeout = Duration::from_millis(limits.wall_ms);
        let own = options.policy.own.clone();
        options.policy = EgressPolicy { own, ..EgressPolicy::new(Egress::Any) };
    });
    Arc::new(HttpOrigin { outbound, base: base.to_owned() })
}

// === impl HttpOrigin ===

impl Origin for HttpOrigin {
    fn answer(&self, request: FetchRequest) -> Answering {
        let FetchRequest { method, url, mut headers, body, .. } = request;
        let Some(url) = at(&self.base, &url) else {
            return Box::pin(std::future::ready(Err("the request's URL cannot be sent".to_owned())));
        };
        if !headers.contains_key(X_FORWARDED_HOST)
            && let Some(host) = headers.get(header::HOST).cloned()
        {
            headers.insert(X_FORWARDED_HOST, host);
        }
        let cdn_loop = Some(holm_isolate::next_loop(&headers));
        let (redirect, decoding) = (Redirect::Manual, Decoding::Manual);
        // What the origin switches to, nobody here could pass on.
        let mut headers = headers;
        headers.remove(http::header::UPGRADE);
        let request = OutboundRequest { method, url, headers, body, redirect, max_hops: 1, decoding, cdn_loop };
        let exchange = self.outbound.fetch(request);
        Box::pin(async move {
            let answer = exchange.await.map_err(|error| error.to_string())?;
            let mut response = http::Response::new(answer.body);
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers;
            Ok(response)
        })
    }
}

/// The path and query of an absolute URL, at another place.
fn at(base: &str, url: &str) -> Option<Uri> {
    let url: Uri = url.parse().ok()?;
    let path = url.path_and_query().map_or("", |path| path.as_str());
    let slash = if path.starts_with('/') { "" } else { "/" };
    format!("{base}{slash}{path}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::at;

    #[test]
    fn a_request_keeps_its_path_and_query() {
        for (url, expected) in [
            ("https://a.example/b/c?d=e", "http://127.0.0.1:3000/b/c?d=e"),
            ("http://a.example:8080", "http://127.0.0.1:3000/"),
            ("http://a.example/?", "http://127.0.0.1:3000/?"),
            ("http://a.example?@evil.example", "http://127.0.0.1:3000/?@evil.example"),
            ("http://a.example//evil.example/", "http://127.0.0.1:3000//evil.example/"),
        ] {
            assert_eq!(at("http://127.0.0.1:3000", url).unwrap(), expected, "{url}");
        }
    }
}
