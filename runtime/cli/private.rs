//! Workers that run in a process of their own: how their requests get there from the process that serves, and what answers
//! them there.
//!
//! The parent gives both ends of a socket pair to the two processes, so there is no name that anyone else could connect to.
//! On it they speak HTTP/2, one stream per event: what the door has found out about a request goes in one header, and so does
//! what the process tells beside the answer. Neither name reaches the door from a client, nor passes it from a worker.
//!
//! The process that runs the worker counts its invocations and writes their lines; the one that serves counts the bytes, and
//! asks for the counts when somebody asks it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use holm_host::Host;
use holm_host::Worker;
use holm_isolate::AnswerSocket;
use holm_isolate::Body;
use holm_isolate::Failure;
use holm_isolate::FetchRequest;
use holm_isolate::Outcome;
use holm_isolate::RequestId;
use holm_isolate::Scheduled;
use holm_isolate::Ticket;
use holm_isolate::Watchdog;
use holm_metrics::Registry;
use holm_metrics::RemoteCounts;
use holm_supervisor::Link;
use holm_supervisor::Tenant;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http_body::Frame;
use http_body::SizeHint;
use http_body_util::BodyExt as _;
use http_body_util::Limited;
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use parking_lot::RwLock;
use serde::Deserialize;
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::process::Process;

const EVENT: HeaderName = HeaderName::from_static("x-holm-event");
const TOLD: HeaderName = HeaderName::from_static("x-holm-told");
/// Where the counts are; events are sent elsewhere.
const COUNTS: &str = "/counts";
/// How long somebody who asks for metrics waits for a tenant's process; its counts are then those of the time before.
const COUNTS_WAIT: Duration = Duration::from_millis(500);
/// Bytes of all counts of one process.
const COUNTS_BYTES: usize = 16 << 20;
/// Both ends are ours, and the door has bounded what comes: these only have to be large enough.
const STREAMS: u32 = 1 << 16;
const HEADER_BYTES: u32 = 4 << 20;
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;

/// What the door knows of a request beside its headers and its body.
#[derive(Serialize, Deserialize)]
struct Event {
    worker: String,
    #[serde(with = "text")]
    method: Method,
    url: String,
    cf: Option<Arc<str>>,
    /// The budget of the route, if it has one of its own.
    cpu: Option<Duration>,
    /// The trigger and the time, where it is no request.
    scheduled: Option<(String, i64)>,
    request_id: u64,
    client: Option<IpAddr>,
    wants_cpu: bool,
}

/// What goes with an answer, or in its place.
#[derive(Default, Serialize, Deserialize)]
struct Told {
    /// An isolate took the request up, so its line has been or will be written there.
    begun: bool,
    /// The worker failed, and its origin answered.
    passed_through: bool,
    /// CPU time up to the head of the answer, in nanoseconds.
    cpu_ns: Option<u64>,
    failed: Option<Failed>,
}

#[derive(Serialize, Deserialize)]
struct Failed {
    outcome: String,
    message: String,
    stack: Option<String>,
}

/// A body whose bytes are counted for a request's line, as they come from the client or go there.
struct Counted<B> {
    body: B,
    ticket: Arc<Ticket>,
    count: fn(&Ticket, usize),
}

// --- the side that serves

/// The tenants that run elsewhere; none at first. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Privates {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Most servers have none: then no request looks further.
    any: AtomicBool,
    links: RwLock<HashMap<Tenant, Option<SendRequest<Body>>>>,
    /// Without a parent nobody runs elsewhere.
    parent: Option<(Link, Watchdog)>,
}

/// A tenant that runs elsewhere; `None` while its process is not there.
pub(super) struct Elsewhere(Option<SendRequest<Body>>);

// === impl Privates ===

impl Privates {
    pub(super) fn new(tenants: Vec<Tenant>, parent: Link, watchdog: Watchdog) -> Self {
        let any = AtomicBool::new(!tenants.is_empty());
        let links = tenants.into_iter().map(|tenant| (tenant, None)).collect();
        Self { shared: Arc::new(Shared { any, links: RwLock::new(links), parent: Some((parent, watchdog)) }) }
    }

    /// From now on this tenant's workers run elsewhere.
    pub(super) fn seclude(&self, tenant: Tenant) {
        self.shared.links.write().entry(tenant).or_default();
        self.shared.any.store(true, Ordering::Release);
    }

    /// Takes the connection to the tenant's process into use.
    pub(super) async fn connect(&self, tenant: Tenant, stream: UnixStream) {
        self.seclude(tenant.clone());
        let handshake = async {
            stream.set_nonblocking(true)?;
            let stream = TokioIo::new(tokio::net::UnixStream::from_std(stream)?);
            let handshake = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_header_list_size(HEADER_BYTES)
                .handshake(stream);
            handshake.await.map_err(std::io::Error::other)
        };
        let (sender, connection) = match handshake.await {
            Ok(connected) => connected,
            Err(error) => {
                tracing::error!(%tenant, %error, "the tenant's process cannot be reached");
                return;
            }
        };
        self.shared.links.write().insert(tenant.clone(), Some(sender));
        let privates = self.clone();
        let connected = async move {
            if let Err(error) = connection.await {
                tracing::debug!(%tenant, %error, "the connection to the tenant's process ended");
            }
            privates.disconnect(&tenant);
        };
        if let Some((_, watchdog)) = &self.shared.parent {
            tokio::spawn(watchdog.vital("connection to a tenant's process").watch(connected));
        }
    }

    /// A connection has ended; perhaps there is another one already.
    fn disconnect(&self, tenant: &Tenant) {
        if let Some(link) = self.shared.links.write().get_mut(tenant)
            && link.as_ref().is_some_and(SendRequest::is_closed)
        {
            *link = None;
            if let Some((parent, _)) = &self.shared.parent {
                parent.disconnected(tenant.clone());
            }
        }
    }

    /// What the processes of tenants have counted; of one that does not answer in time, nothing.
    pub(super) async fn counts(&self) -> Vec<(String, RemoteCounts)> {
        let links: Vec<_> = {
            let links = self.shared.links.read();
            links.iter().filter_map(|(tenant, link)| Some((tenant.0.clone(), link.clone()?))).collect()
        };
        let mut asked: JoinSet<Option<(String, RemoteCounts)>> = links
            .into_iter()
            .map(|(tenant, link)| async move {
                let counts = tokio::time::timeout(COUNTS_WAIT, counts(link)).await.ok()??;
                Some((tenant, counts))
            })
            .collect();
        let mut all = Vec::new();
        while let Some(told) = asked.join_next().await {
            all.extend(told.ok().flatten());
        }
        all
    }

    /// Where the worker runs, if not here.
    pub(super) fn of(&self, worker: &Worker) -> Option<Elsewhere> {
        if !self.shared.any.load(Ordering::Acquire) {
            return None;
        }
        let code = worker.code();
        let links = self.shared.links.read();
        links.get(code.tenant.as_str()).map(|sender| Elsewhere(sender.clone()))
    }
}

// === impl Elsewhere ===

impl Elsewhere {
    /// Runs one event there, up to the head of its answer.
    pub(super) async fn dispatch(self, worker: &Worker, request: FetchRequest) -> Result<Response<Body>, Failure> {
        let mut sender = self.0.ok_or_else(crashed)?;
        let FetchRequest { method, url, headers, body, cf, cpu, scheduled, ticket, .. } = request;
        let event = Event {
            worker: worker.code().name.clone(),
            method,
            url,
            cf,
            cpu,
            scheduled: scheduled.map(|event| (event.cron, event.time)),
            request_id: ticket.request_id.to_bits(),
            client: ticket.client,
            wants_cpu: ticket.wants_cpu(),
        };
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = http::Uri::from_static("http://private/");
        *request.headers_mut() = headers;
        put(request.headers_mut(), EVENT, &event)?;
        let response = sender.send_request(request).await.map_err(|_| crashed())?;
        let (mut head, body) = response.into_parts();
        let Told { begun, passed_through, cpu_ns, failed } = take(&mut head.headers, &TOLD).unwrap_or_default();
        if begun {
            ticket.begin();
        }
        if passed_through {
            ticket.pass_through();
        }
        if let Some(cpu_ns) = cpu_ns {
            ticket.note_cpu(cpu_ns);
        }
        if let Some(Failed { outcome, message, stack }) = failed {
            return Err(Failure { outcome: Outcome::from_code(&outcome), message, stack });
        }
        let body = if http_body::Body::is_end_stream(&body) { Body::Empty } else { Body::stream(body) };
        Ok(Response::from_parts(head, body))
    }
}

/// `None`: the process has gone, or is of another build.
async fn counts(mut link: SendRequest<Body>) -> Option<RemoteCounts> {
    let mut request = Request::new(Body::Empty);
    *request.uri_mut() = http::Uri::from_static("http://private/counts");
    let body = link.send_request(request).await.ok()?.into_body();
    let bytes = Limited::new(body, COUNTS_BYTES).collect().await.ok()?.to_bytes();
    serde_json::from_slice(&bytes).ok()
}

fn crashed() -> Failure {
    Failure::new(Outcome::WorkerCrashed, "The process that runs the worker crashed; it is being replaced.")
}

// --- the side that runs the workers

/// The connections from processes that serve.
pub(super) struct Connections {
    running: JoinSet<()>,
    drain: watch::Sender<bool>,
}

// === impl Connections ===

impl Connections {
    pub(super) fn serve(&mut self, stream: UnixStream, process: &Process) {
        let (host, registry) = (process.host.clone(), Arc::clone(&process.registry));
        let mut drain = self.drain.subscribe();
        let drained = async move {
            let _ = drain.wait_for(|drains| *drains).await;
        };
        self.running.spawn(async move {
            if let Err(error) = serve(stream, host, registry, drained).await {
                tracing::debug!(%error, "the connection from the serving process failed");
            }
        });
    }

    pub(super) async fn finish(&mut self) {
        self.drain.send_replace(true);
        while self.running.join_next().await.is_some() {}
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self { running: JoinSet::new(), drain: watch::Sender::new(false) }
    }
}

/// Answers the events of one connection until its other end, or the drain, ends it.
async fn serve(
    stream: UnixStream,
    host: Host,
    registry: Arc<Registry>,
    drain: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    stream.set_nonblocking(true)?;
    let stream = TokioIo::new(tokio::net::UnixStream::from_std(stream)?);
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let (host, registry) = (host.clone(), Arc::clone(&registry));
        async move {
            if request.uri().path() == COUNTS {
                let counts = serde_json::to_vec(&RemoteCounts::of(&registry)).unwrap_or_default();
                return Ok::<_, Infallible>(Response::new(Body::Bytes(counts.into())));
            }
            Ok(answer(&host, request).await)
        }
    });
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_BYTES)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        // Clients that leave are no attack on this connection.
        .max_pending_accept_reset_streams(STREAMS as usize)
        .max_local_error_reset_streams(None)
        .auto_date_header(false)
        .serve_connection(stream, service);
    let mut connection = std::pin::pin!(connection);
    let mut drain = std::pin::pin!(drain);
    let mut drains = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => return Ok(ended?),
            () = drain.as_mut(), if !drains => {
                drains = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

async fn answer(host: &Host, request: Request<hyper::body::Incoming>) -> Response<Body> {
    let (mut head, body) = request.into_parts();
    let Some(event) = take::<Event>(&mut head.headers, &EVENT) else {
        let failed = Failed::of(internal("an event without its head"));
        return tell(Response::new(Body::Empty), &Told { failed: Some(failed), ..Told::default() });
    };
    let ticket = Ticket::new(RequestId::from_bits(event.request_id), event.client, None);
    if event.wants_cpu {
        ticket.ask_for_cpu();
    }
    let answered = run(host, event, head.headers, body, &ticket).await;
    let cpu_ns = ticket.head_cpu().and_then(|cpu| u64::try_from(cpu.as_nanos()).ok());
    let (begun, passed_through) = (ticket.has_begun(), ticket.is_passed_through());
    let told = Told { begun, passed_through, cpu_ns, failed: None };
    if let Ok(response) = &answered {
        ticket.answered(response.status().as_u16());
    }
    match answered {
        Ok(response) => tell(response.map(|body| counted(body, ticket, Ticket::went_out)), &told),
        Err(failure) => {
            let told = Told { failed: Some(Failed::of(failure)), ..told };
            tell(Response::new(Body::Empty), &told)
        }
    }
}

/// What the worker itself says under this name is not taken for ours.
fn tell(mut response: Response<Body>, told: &Told) -> Response<Body> {
    response.headers_mut().remove(TOLD);
    if put(response.headers_mut(), TOLD, told).is_err() {
        let outcome = told.failed.as_ref().map_or(Outcome::Internal, |failed| Outcome::from_code(&failed.outcome));
        let bare = Told { begun: told.begun, failed: Some(Failed::of(Failure::new(outcome, ""))), ..Told::default() };
        let _ = put(response.headers_mut(), TOLD, &bare);
    }
    response
}

async fn run(
    host: &Host,
    event: Event,
    headers: HeaderMap,
    body: hyper::body::Incoming,
    ticket: &Arc<Ticket>,
) -> Result<Response<Body>, Failure> {
    let Event { worker, method, url, cf, cpu, scheduled, .. } = event;
    let scheduled = scheduled.map(|(cron, time)| Box::new(Scheduled { cron, time }));
    let catalog = host.catalog();
    let worker = catalog.workers().iter().find(|known| known.code().name == worker);
    let worker = worker.ok_or_else(|| Failure::new(Outcome::IsolateReset, "the worker has gone from this process"))?;
    let body = if http_body::Body::is_end_stream(&body) {
        Body::Empty
    } else {
        Body::stream(Counted { body, ticket: Arc::clone(ticket), count: Ticket::came_in })
    };
    let request =
        FetchRequest { method, url, headers, body, cf, cpu, called: None, scheduled, ticket: Arc::clone(ticket) };
    let response = host.dispatch(worker, request).await?;
    if response.extensions().get::<AnswerSocket>().is_some() {
        let message = "WebSockets do not reach a tenant whose workers run in a process of their own, as they do for ten minutes after repeated crashes.";
        return Err(Failure::new(Outcome::Exception, message));
    }
    Ok(response)
}

fn counted(body: Body, ticket: Arc<Ticket>, count: fn(&Ticket, usize)) -> Body {
    match body {
        Body::Empty => Body::Empty,
        Body::Bytes(bytes) => {
            count(&ticket, bytes.len());
            Body::Bytes(bytes)
        }
        Body::Stream(body) => Body::stream(Counted { body, ticket, count }),
    }
}

impl<B> http_body::Body for Counted<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            (self.count)(&self.ticket, data.len());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Failed {
    fn of(failure: Failure) -> Self {
        let Failure { outcome, message, stack } = failure;
        Self { outcome: outcome.code().to_owned(), message, stack }
    }
}

fn internal(message: &str) -> Failure {
    Failure::new(Outcome::Internal, message)
}

fn put<T: Serialize>(headers: &mut HeaderMap, name: HeaderName, value: &T) -> Result<(), Failure> {
    let json = serde_json::to_vec(value).map_err(|_| internal("an event that cannot be written"))?;
    let value = HeaderValue::from_maybe_shared(Bytes::from(json));
    headers.insert(name, value.map_err(|_| internal("an event that is no header"))?);
    Ok(())
}

fn take<T: for<'a> Deserialize<'a>>(headers: &mut HeaderMap, name: &HeaderName) -> Option<T> {
    serde_json::from_slice(headers.remove(name)?.as_bytes()).ok()
}

/// A method, as its name.
mod text {
    use http::Method;
    use serde::Deserialize as _;
    use serde::Deserializer;
    use serde::Serializer;
    use serde::de::Error as _;

    pub(super) fn serialize<S: Serializer>(method: &Method, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(method.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Method, D::Error> {
        let name = String::deserialize(deserializer)?;
        Method::from_bytes(name.as_bytes()).map_err(D::Error::custom)
    }
}
