//! The side-by-side benchmark's endpoints in plain axum. It runs twice: as the peer `axum`, the ceiling of what an
//! HTTP server in front of no engine does here, and as the upstream that every proxy scenario fetches `/blob` from.
//! `run.py` is its only caller.

use std::{collections::HashMap, convert::Infallible, net::Ipv4Addr, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::ListenerExt,
};
use clap::Parser;
use futures_util::stream;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::net::TcpListener;

const CHUNK_BYTES: usize = 64 * 1024;
const CHUNKS: usize = 16;

#[derive(Parser)]
#[command(version)]
struct Options {
    /// Port on 127.0.0.1.
    #[arg(long)]
    port: u16,
    /// Worker threads of the tokio runtime.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Handlers for `/host`, one for each of `w0.example`, `w1.example`, …
    #[arg(long, default_value_t = 100)]
    hosts: usize,
    /// What `/proxy` fetches.
    #[arg(long, default_value = "http://127.0.0.1:1/blob")]
    upstream: Uri,
}

type HostHandler = Box<dyn Fn() -> Response + Send + Sync>;

struct Endpoints {
    client: Client<HttpConnector, Body>,
    upstream: Uri,
    hosts: HashMap<String, HostHandler>,
}

fn main() -> std::io::Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.threads)
        .enable_all()
        .build()?;
    runtime.block_on(serve(options))
}

async fn serve(options: Options) -> std::io::Result<()> {
    let endpoints = Arc::new(Endpoints {
        client: Client::builder(TokioExecutor::new()).build(connector()),
        upstream: options.upstream,
        hosts: host_handlers(options.hosts),
    });
    let app = Router::new()
        .route("/hello", get(|| async { "Hello, world!" }))
        .route("/json", post(json))
        .route("/proxy", get(proxy))
        .route("/host", get(host))
        .route("/blob", get(blob))
        .with_state(endpoints);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await?;
    let listener = listener.tap_io(|connection| {
        // A connection that refuses the option still works, only slower.
        let _ = connection.set_nodelay(true);
    });
    axum::serve(listener, app).await
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector
}

fn host_handlers(count: usize) -> HashMap<String, HostHandler> {
    (0..count)
        .map(|index| {
            let greeting = format!("Hello from w{index}");
            let handler: HostHandler = Box::new(move || greeting.clone().into_response());
            (format!("w{index}.example"), handler)
        })
        .collect()
}

/// Parses and prints the document, as a worker does; a copy of the bytes would measure nothing.
async fn json(body: Bytes) -> Response {
    match serde_json::from_slice::<serde_json::Value>(&body) {
        Ok(value) => (
            [(header::CONTENT_TYPE, "application/json")],
            value.to_string(),
        )
            .into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

async fn proxy(State(endpoints): State<Arc<Endpoints>>) -> Response {
    match endpoints.client.get(endpoints.upstream.clone()).await {
        Ok(response) => response.map(Body::new).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

async fn host(State(endpoints): State<Arc<Endpoints>>, headers: HeaderMap) -> Response {
    let host = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok());
    match host.and_then(|host| endpoints.hosts.get(host)) {
        Some(handler) => handler(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// 1 MiB in 64 KiB pieces with a known length, as a file server or an object store sends it.
async fn blob() -> Response {
    static CHUNK: [u8; CHUNK_BYTES] = [b'x'; CHUNK_BYTES];
    let chunks = (0..CHUNKS).map(|_| Ok::<_, Infallible>(Bytes::from_static(&CHUNK)));
    (
        [
            (
                header::CONTENT_LENGTH,
                (CHUNK_BYTES * CHUNKS).to_string().as_str(),
            ),
            (header::CONTENT_TYPE, "application/octet-stream"),
        ],
        Body::from_stream(stream::iter(chunks)),
    )
        .into_response()
}
