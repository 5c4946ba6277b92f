//! The workers of a server's configuration, loaded: all of them, or all errors.

use std::collections::HashSet;
use std::hash::DefaultHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use holm_config::bundle::Bundle;
use holm_config::bundle::WorkerSettings;
use holm_config::diagnostic::Diagnostic;
use holm_config::diagnostic::Severity;
use holm_config::egress::Destinations;
use holm_config::egress::Egress;
use holm_config::egress::WorkerEgress;
use holm_config::limits::Limits;
use holm_config::project::LoadOptions;
use holm_config::route::RoutePattern;
use holm_config::server::Origin;
use holm_config::server::ServerConfig;
use holm_config::server::WorkerEntry;
use holm_config::server::WorkerSource;
use holm_cron::Policy;
use holm_cron::Trigger;
use holm_host::Catalog;
use holm_host::Entry;
use holm_host::Host;
use holm_host::Worker;
use holm_isolate::Outcome;
use holm_supervisor::Role;

use super::cron::Configured;
use super::deploy::Deployment;
use super::observe::Clients;
use super::observe::ServerLog;
use super::private::Privates;
use super::process::Process;
use super::services::HostServices;

/// All workers of a configuration.
#[derive(Default)]
pub(super) struct Site {
    workers: Vec<Loaded>,
    inputs: Vec<PathBuf>,
    kept: usize,
}

/// One worker that is ready to be put in force.
struct Loaded {
    worker: Arc<Worker>,
    /// Each with its own CPU budget, where it has one.
    routes: Vec<(RoutePattern, Option<Duration>)>,
    crons: Vec<Trigger>,
    cron_policy: Policy,
    /// Of everything.
    fingerprint: u64,
    /// Of what decides whether it starts.
    code: u64,
}

/// What a worker is loaded from, before it is deployed; the entry's own settings are in it.
struct Loading {
    bundle: Bundle,
    settings: WorkerSettings,
    inputs: Vec<PathBuf>,
}

// === impl Site ===

impl Site {
    /// Loads every worker that the role needs; those that are the same as in `before` are kept, with their isolates.
    pub(super) async fn load(
        config: &ServerConfig,
        process: &Process,
        role: &Role,
        before: &Self,
    ) -> Result<Self, String> {
        let mut loadings = Vec::with_capacity(config.workers.len());
        let mut errors = Vec::new();
        for entry in &config.workers {
            match load(entry, role).await {
                Ok(Some(loading)) => loadings.push((entry, loading)),
                Ok(None) => {}
                Err(text) => errors.push(text),
            }
        }
        // What one tenant's workers are part of has been checked where all of them are served.
        if errors.is_empty() && *role == Role::Serving {
            let served: Vec<_> = loadings
                .iter()
                .map(|(_, loading)| (loading.settings.name.clone(), loading.settings.routes.clone()))
                .collect();
            let (wrong, doubtful): (Vec<_>, Vec<_>) =
                config.check_workers(&served).into_iter().partition(Diagnostic::is_error);
            for warning in doubtful {
                super::log::tell(&warning.to_string());
            }
            errors.extend(wrong.iter().map(ToString::to_string));
            errors.extend(missing_services(&loadings).iter().map(ToString::to_string));
        }
        if !errors.is_empty() {
            return Err(errors.join("\n\n"));
        }
        let mut site = Self::default();
        for (entry, loading) in loadings {
            site.add(config, entry, loading, process, before);
        }
        Ok(site)
    }

    fn add(&mut self, config: &ServerConfig, entry: &WorkerEntry, loading: Loading, process: &Process, before: &Self) {
        let Loading { bundle, settings, inputs } = loading;
        self.inputs.extend(inputs);
        let routes = routes(entry, &settings);
        let (limits, lowered) = entry.limits.for_project(&settings.limits);
        for limit in lowered {
            tracing::warn!(
                worker = settings.name,
                limit = limit.key,
                asked = limit.asked,
                granted = limit.granted,
                "the project asks for more than the server grants"
            );
        }
        let tenant = tenant(entry, &settings.name).to_owned();
        let observer = ServerLog {
            stats: process.registry.worker(&tenant, &settings.name),
            clients: if config.seeing.log_clients { Clients::Named } else { Clients::Left },
        };
        let (crons, cron_policy) = (settings.crons.clone(), entry.cron);
        let policy = Reach {
            reach: config.egress,
            denied: &config.denied,
            worker: &entry.egress,
            origin: entry.origin.as_ref(),
        };
        let own = format!("{tenant} {:?} {policy:?}", observer.clients);
        let code = fingerprint(&bundle, &settings);
        let fingerprint = hash(&format!("{code} {limits:?} {own}"));
        let known = before.workers.iter().find(|loaded| loaded.fingerprint == fingerprint);
        let worker = match known {
            Some(loaded) => {
                self.kept += 1;
                Arc::clone(&loaded.worker)
            }
            None => deploy(bundle, settings, limits, tenant, observer, policy, process),
        };
        self.workers.push(Loaded { worker, routes, crons, cron_policy, fingerprint, code });
    }

    /// Starts the workers whose code is not that of `before`. Of one that does not start, the version before goes on serving.
    /// Those that run in another process are left to it.
    pub(super) async fn prove(&mut self, host: &Host, privates: &Privates, before: &Self) {
        for loaded in &mut self.workers {
            let name = &loaded.worker.code().name;
            let Some(known) = before.workers.iter().find(|known| known.worker.code().name == *name) else { continue };
            if known.code == loaded.code || privates.of(&loaded.worker).is_some() {
                continue;
            }
            let Err(failure) = host.warm(&loaded.worker).await else { continue };
            // Any other failure says nothing about the version.
            let is_the_versions =
                matches!(failure.outcome, Outcome::StartupFailed | Outcome::StartupExceeded | Outcome::MemoryExceeded);
            if is_the_versions {
                tracing::error!(
                    worker = name,
                    outcome = failure.outcome.code(),
                    error = failure.message,
                    stack = failure.stack,
                    "the new version does not start; the one before goes on serving"
                );
                // With its fingerprints, so that the next reload tries the new one again.
                let Loaded { worker, fingerprint, code, .. } = known;
                (loaded.worker, loaded.fingerprint, loaded.code) = (Arc::clone(worker), *fingerprint, *code);
            }
        }
    }

    pub(super) fn catalog(&self) -> Catalog {
        let entries = self
            .workers
            .iter()
            .map(|loaded| Entry { worker: Arc::clone(&loaded.worker), routes: loaded.routes.clone() });
        Catalog::new(entries.collect())
    }

    pub(super) fn crons(&self) -> Vec<Configured> {
        self.workers
            .iter()
            .map(|loaded| Configured {
                worker: Arc::clone(&loaded.worker),
                triggers: loaded.crons.clone(),
                policy: loaded.cron_policy,
            })
            .collect()
    }

    /// The files that the workers were made of.
    pub(super) fn inputs(&self) -> &[PathBuf] {
        &self.inputs
    }

    /// How many workers are the ones of the site before.
    pub(super) const fn kept(&self) -> usize {
        self.kept
    }
}

/// All that lead to the worker; what the operator says of a pattern comes before what the project says.
fn routes(entry: &WorkerEntry, settings: &WorkerSettings) -> Vec<(RoutePattern, Option<Duration>)> {
    let hostnames = entry.hostnames.iter().map(|pattern| (pattern, None));
    let own = entry.routes.iter().map(|route| (&route.pattern, route.cpu_ms.map(Duration::from_millis)));
    let of_project = settings.routes.iter().map(|pattern| (pattern, None));
    hostnames.chain(own).chain(of_project).map(|(pattern, cpu)| (pattern.clone(), cpu)).collect()
}

/// `None`: the role does not need it.
async fn load(entry: &WorkerEntry, role: &Role) -> Result<Option<Loading>, String> {
    let Some(mut loading) = load_source(entry, role).await? else { return Ok(None) };
    if let Some(name) = &entry.name {
        loading.settings.name.clone_from(name);
    }
    loading.settings.vars.extend(entry.vars.clone());
    Ok(Some(loading))
}

async fn load_source(entry: &WorkerEntry, role: &Role) -> Result<Option<Loading>, String> {
    let needed = |own_name: &str| match role {
        Role::Serving => true,
        Role::Private(apart) => tenant(entry, entry.name.as_deref().unwrap_or(own_name)) == apart.0,
    };
    match &entry.source {
        WorkerSource::Bundle { path } => {
            let (bundle, settings) = Bundle::read(path)
                .map_err(|error| about(entry, &error.to_string(), "make it again with `holm build`"))?;
            let loading =
                needed(&settings.name).then(|| Loading { bundle, settings, inputs: vec![path.join("holm.json")] });
            Ok(loading)
        }
        WorkerSource::Project { path, env } => {
            let options = LoadOptions { env: env.clone(), ..LoadOptions::new(super::build::today()) };
            let project = holm_config::project::load(path, &options).map_err(|diagnostics| diagnostics.to_string())?;
            if !needed(&project.name) {
                return Ok(None);
            }
            for warning in project.warnings.iter().filter(|warning| warning.severity == Severity::Warning) {
                super::log::tell(&warning.to_string());
            }
            holm_bundler::run_build_command(&project).await.map_err(|error| error.to_string())?;
            let bundled = holm_bundler::bundle(&project).await.map_err(|error| error.to_string())?;
            let inputs = bundled
                .inputs
                .into_iter()
                .chain(project.inputs.iter().cloned())
                .chain(project.absent_inputs.iter().cloned());
            let settings = project.worker_settings();
            Ok(Some(Loading { bundle: bundled.bundle, settings, inputs: inputs.collect() }))
        }
    }
}

/// Service bindings that lead to no worker of the same tenant.
fn missing_services(loadings: &[(&WorkerEntry, Loading)]) -> Vec<Diagnostic> {
    let name = |(entry, loading): &(&WorkerEntry, Loading)| {
        (tenant(entry, &loading.settings.name).to_owned(), loading.settings.name.clone())
    };
    let known: HashSet<(String, String)> = loadings.iter().map(name).collect();
    let mut missing = Vec::new();
    for loading in loadings {
        let (tenant, own) = name(loading);
        for service in &loading.1.settings.services {
            if known.contains(&(tenant.clone(), service.service.clone())) {
                continue;
            }
            let key = match service.location.key() {
                "" => format!("the service binding `{}`", service.binding),
                key => format!("`{key}`"),
            };
            let message = format!(
                "{key} of the worker `{own}` names `{}`, which is no worker of its tenant, `{tenant}`",
                service.service
            );
            let help = match known.iter().find(|(_, name)| *name == service.service) {
                Some((other, _)) => {
                    format!("`{}` is of the tenant `{other}`: give both workers the same `tenant`", service.service)
                }
                None => format!("add a [[worker]] `{}` with `tenant = \"{tenant}\"`", service.service),
            };
            missing.push(service.location.error(message, help));
        }
    }
    missing
}

/// Whose worker it is: its own where the entry names nobody.
fn tenant<'a>(entry: &'a WorkerEntry, worker: &'a str) -> &'a str {
    entry.tenant.as_deref().unwrap_or(worker)
}

fn about(entry: &WorkerEntry, message: &str, help: &str) -> String {
    let diagnostic: Diagnostic = entry.location.error(message, help);
    diagnostic.to_string()
}

/// Where one worker's subrequests may go, and who answers in its place.
#[derive(Clone, Copy, Debug)]
struct Reach<'a> {
    reach: Egress,
    denied: &'a Destinations,
    worker: &'a WorkerEgress,
    origin: Option<&'a Origin>,
}

fn deploy(
    bundle: Bundle,
    settings: WorkerSettings,
    limits: Limits,
    tenant: String,
    observer: ServerLog,
    policy: Reach<'_>,
    process: &Process,
) -> Arc<Worker> {
    let outbound = super::deploy::outbound(&process.outbound, &settings.name, &limits, |options| {
        options.egress = policy.reach;
        options.denied = policy.denied.clone();
        options.worker = policy.worker.clone();
    });
    let services = HostServices {
        host: process.host.downgrade(),
        tenant: tenant.clone(),
        own: settings.name.clone(),
        missing: "add it to the server's configuration",
    };
    let origin = policy.origin.map(|origin| super::origin::origin(&process.outbound, &limits, origin.as_str()));
    Deployment {
        observer: Arc::new(observer),
        cache: process.cache.of_tenant(&tenant),
        name: settings.name,
        tenant,
        bundle,
        compatibility: settings.compatibility,
        vars: settings.vars,
        limits,
        outbound,
        origin,
        services,
        bindings: super::services::bindings(&settings.services),
    }
    .into_worker()
}

/// Equal for two loads of the same code with the same settings.
fn fingerprint(bundle: &Bundle, settings: &WorkerSettings) -> u64 {
    let mut hasher = DefaultHasher::new();
    bundle.main.hash(&mut hasher);
    for module in &bundle.modules {
        module.specifier.hash(&mut hasher);
        module.source.hash(&mut hasher);
        module.source_map.hash(&mut hasher);
    }
    format!("{settings:?}").hash(&mut hasher);
    hasher.finish()
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
