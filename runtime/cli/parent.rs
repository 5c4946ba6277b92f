//! The parent of `holm serve`: it binds the addresses, and keeps a child that serves. It starts no engine.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::os::fd::AsFd as _;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::Duration;

use holm_config::server::Listen;
use holm_config::server::ServerConfig;
use holm_isolate::BlameTable;
use holm_isolate::Blamed;
use holm_supervisor::Counts;
use holm_supervisor::Culprit;
use holm_supervisor::Listeners;
use holm_supervisor::Options;
use holm_supervisor::Parent;
use holm_supervisor::Program;
use holm_supervisor::Reason;
use holm_supervisor::Refusal;
use holm_supervisor::StrikePolicy;
use holm_supervisor::Tenant;
use holm_supervisor::Testimony;
use holm_supervisor::Trouble;
use holm_supervisor::Witness;

use super::ServeArgs;
use super::exit::Exit;
use super::metrics::ProcessCounts;
use super::process;

/// Threads that run isolates beside those that the limit counts: spares, and those that end.
const PLACES_BESIDE: usize = 1_024;

/// Runs until a signal ends the server.
pub(super) fn run(args: &ServeArgs, config: &ServerConfig) -> anyhow::Result<Exit> {
    let arguments: Vec<OsString> =
        vec!["serve".into(), "--child".into(), "--config".into(), args.config.clone().into()];
    let program = Program::running(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let count = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
    let limits = &config.limits;
    let parent = ServeParent {
        config: args.config.clone(),
        places: count(limits.isolates).saturating_add(PLACES_BESIDE),
        bound: Listen::default(),
        listeners: Listeners::default(),
    };
    let strikes =
        StrikePolicy { limit: count(limits.strikes), window: Duration::from_secs(limits.strike_window_seconds) };
    let options = Options { strikes, stuck_threads: count(limits.stuck_threads) };
    let status = runtime.block_on(holm_supervisor::supervise(parent, program, options))?;
    Ok(Exit::Child(status))
}

struct ServeParent {
    config: PathBuf,
    /// Of a blame table.
    places: usize,
    /// What `listeners` were made for.
    bound: Listen,
    listeners: Listeners,
}

/// The blame table of one child.
struct Table(BlameTable);

// === impl ServeParent ===

impl Parent for ServeParent {
    type Witness = Table;

    /// Sockets whose addresses are still wanted are kept.
    async fn listeners(&mut self) -> Result<&Listeners, Refusal> {
        let config = holm_config::server::load(&self.config)
            .map_err(|diagnostics| Refusal { text: diagnostics.to_string(), status: Exit::Config.status() })?;
        let wanted = config.listen;
        let new = Listen {
            http: wanted.http.filter(|_| wanted.http != self.bound.http),
            https: wanted.https.filter(|_| wanted.https != self.bound.https),
            admin: wanted.admin.filter(|_| wanted.admin != self.bound.admin),
        };
        let new = bind(&new)
            .await
            .map_err(|text| Refusal { text: format!("error: {text}"), status: Exit::Unavailable.status() })?;
        let keep = |kept: &mut Option<TcpListener>, new: Option<TcpListener>, wanted: Option<SocketAddr>| {
            *kept = new.or_else(|| kept.take()).filter(|_| wanted.is_some());
        };
        keep(&mut self.listeners.http, new.http, wanted.http);
        keep(&mut self.listeners.https, new.https, wanted.https);
        keep(&mut self.listeners.admin, new.admin, wanted.admin);
        self.bound = wanted;
        Ok(&self.listeners)
    }

    fn close(&mut self) {
        self.bound = Listen::default();
        self.listeners = Listeners::default();
    }

    fn witness(&self) -> io::Result<Table> {
        BlameTable::create(self.places).map(Table)
    }
}

/// Binds the addresses; the error says which one could not be, and what to do about it.
pub(super) async fn bind(listen: &Listen) -> Result<Listeners, String> {
    let Listen { http, https, admin } = *listen;
    Ok(Listeners {
        http: bind_one(http, "[server] http").await?,
        https: bind_one(https, "[server] https").await?,
        admin: bind_one(admin, "[server] admin").await?,
    })
}

async fn bind_one(address: Option<SocketAddr>, setting: &str) -> Result<Option<TcpListener>, String> {
    let Some(address) = address else { return Ok(None) };
    let listener = process::bind(address, setting).await?;
    listener.into_std().map(Some).map_err(|error| format!("cannot listen on {address}: {error}"))
}

// === impl Table ===

impl Witness for Table {
    fn file(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn testimony(&self) -> Testimony {
        let (in_turn, crashed) =
            self.0.blamed().into_iter().map(culprit).partition(|culprit| culprit.trouble == Trouble::InTurn);
        Testimony { crashed, in_turn }
    }
}

/// The isolate's word for who is to blame, as the supervisor says it.
pub(super) fn culprit(blamed: Blamed) -> Culprit {
    let Blamed { worker, tenant, invocation, trouble } = blamed;
    let trouble = match trouble {
        holm_isolate::Trouble::Inside => Trouble::InTurn,
        holm_isolate::Trouble::Stuck => Trouble::Stuck,
        holm_isolate::Trouble::OutOfMemory => Trouble::OutOfMemory,
        holm_isolate::Trouble::CheckFailed => Trouble::CheckFailed,
        holm_isolate::Trouble::Aborted => Trouble::Aborted,
        holm_isolate::Trouble::Faulted => Trouble::Faulted,
    };
    Culprit { worker, tenant: Tenant(tenant), invocation, trouble }
}

/// The supervisor's counts, as the metrics show them.
pub(super) fn process_counts(counts: Counts) -> ProcessCounts {
    let Counts { restarts, strikes, apart } = counts;
    ProcessCounts {
        restarts: Reason::ALL.map(Reason::name).into_iter().zip(restarts).collect(),
        strikes: strikes.into_iter().map(|(Tenant(tenant), strikes)| (tenant, strikes)).collect(),
        apart: apart.into_iter().map(|Tenant(tenant)| tenant).collect(),
    }
}
