//! The admin listener: what operators and their tools ask about the process. It is reachable from the machine itself only,
//! which the config checks before anything is bound; what this module refuses is a browser that was led there.

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::extract::State;
use axum::middleware;
use axum::middleware::Next;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use holm_metrics::Page;
use http::StatusCode;
use http::header;
use tokio::net::TcpListener;
use tower_service::Service as _;

use crate::authority;
use crate::authority::Authority;
use crate::connection::Connection;
use crate::connection::Service;
use crate::listener;
use crate::options::ErrorDetail;
use crate::options::Options;
use crate::shutdown::ShutdownSignal;

/// What is shown of a server.
pub trait Pages: Send + Sync + 'static {
    /// `/metrics`, in Prometheus' text format. It may ask other processes.
    fn metrics(&self) -> Pin<Box<dyn Future<Output = String> + Send + '_>>;

    /// `/workers`.
    fn workers(&self) -> serde_json::Value;

    /// `/crons`: the triggers, when they are next, and what became of the last runs.
    fn crons(&self) -> serde_json::Value;
}

/// `/healthz` and `/readyz`: 200 while requests are served, 503 from the beginning of the drain that `serving` tells of.
/// `/metrics`, `/workers` and `/crons`: what `pages` has. Only `GET` (and `HEAD`) is answered.
pub fn router(serving: ShutdownSignal, pages: Arc<dyn Pages>) -> Router {
    Router::new().route("/healthz", get(ready)).route("/readyz", get(ready)).with_state(serving).merge(
        Router::new()
            .route("/metrics", get(metrics))
            .route("/workers", get(workers))
            .route("/crons", get(crons))
            .with_state(pages),
    )
}

async fn metrics(State(pages): State<Arc<dyn Pages>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, Page::CONTENT_TYPE)], pages.metrics().await)
}

async fn workers(State(pages): State<Arc<dyn Pages>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], pages.workers().to_string())
}

async fn crons(State(pages): State<Arc<dyn Pages>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], pages.crons().to_string())
}

/// Serves `router` until `signal`; a signal of its own, so that it still answers while the front drains.
pub async fn serve(listener: TcpListener, router: Router, signal: ShutdownSignal) {
    let options = Options { error_detail: ErrorDetail::Code, ..Options::default() };
    let router = router.layer(middleware::from_fn(refuse_browsers));
    listener::serve_plain(listener, AdminService(router), options, signal).await;
}

async fn ready(State(serving): State<ShutdownSignal>) -> (StatusCode, &'static str) {
    if serving.is_draining() { (StatusCode::SERVICE_UNAVAILABLE, "draining\n") } else { (StatusCode::OK, "ok\n") }
}

/// A page on the web can make a browser send requests here: such a request has an origin, or a host that is a name which
/// resolves to this machine ("DNS rebinding").
async fn refuse_browsers(request: Request, next: Next) -> Result<Response, StatusCode> {
    let headers = request.headers();
    let host = request.uri().authority().map(http::uri::Authority::as_str);
    let host = host.or_else(|| headers.get(header::HOST)?.to_str().ok());
    let local = host.and_then(Authority::parse).is_some_and(|authority| authority::is_local(authority.host));
    if headers.contains_key(header::ORIGIN) || !local {
        return Err(StatusCode::FORBIDDEN);
    }
    Ok(next.run(request).await)
}

#[derive(Clone)]
struct AdminService(Router);

// === impl AdminService ===

impl Service for AdminService {
    type Body = axum::body::Body;

    async fn answer(
        &self,
        _: &Arc<Connection>,
        request: http::Request<hyper::body::Incoming>,
    ) -> http::Response<Self::Body> {
        match self.0.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
