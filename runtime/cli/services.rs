//! What service bindings lead to: other workers of the same tenant, in this process.

use std::sync::Arc;
use std::time::Duration;

use holm_apis::service::Calling;
use holm_apis::service::ServiceBinding;
use holm_apis::service::Services;
use holm_config::project::Service;
use holm_host::Host;
use holm_host::WeakHost;
use holm_isolate::Failure;
use holm_isolate::FetchRequest;
use holm_isolate::InvocationRecord;
use holm_isolate::Ledger;
use holm_isolate::Outcome;
use holm_isolate::Props;

/// Workers are found by name when they are called, so that a new version is called as soon as it is in force.
pub(super) struct HostServices {
    /// Workers belong to the host.
    pub(super) host: WeakHost,
    pub(super) tenant: String,
    /// The worker that calls.
    pub(super) own: String,
    /// What there is to do about a service that does not run.
    pub(super) missing: &'static str,
}

impl Services for HostServices {
    fn call(&self, service: Option<&str>, request: FetchRequest) -> Calling {
        let name = service.unwrap_or(&self.own);
        let host = self.host.upgrade();
        let worker = host.as_ref().and_then(|host| host.worker(&self.tenant, name));
        let (Some(host), Some(worker)) = (host, worker) else {
            let message = format!("Error: The service \"{name}\" does not run here: {}.", self.missing);
            return Box::pin(std::future::ready(Err(Failure::new(Outcome::NoHandler, message))));
        };
        Box::pin(run(host, worker, request))
    }
}

async fn run(
    host: Host,
    worker: Arc<holm_host::Worker>,
    request: FetchRequest,
) -> Result<http::Response<holm_isolate::Body>, Failure> {
    let ticket = Arc::clone(&request.ticket);
    let (method, url) = (request.method.clone(), request.url.clone());
    match host.dispatch(&worker, request).await {
        Ok(response) => {
            ticket.answered(response.status().as_u16());
            Ok(response)
        }
        Err(failure) => {
            // Sent away before an isolate took it up: nobody else writes its record.
            if !ticket.has_begun() {
                worker.code().observer.ended(&InvocationRecord {
                    invocation: 0,
                    outcome: failure.outcome,
                    method: method.as_str(),
                    url: &url,
                    status: None,
                    wall: Duration::ZERO,
                    queued: ticket.age(),
                    ledger: &Ledger::default(),
                    error: Some(&failure.message),
                    stack: failure.stack.as_deref(),
                    ticket: &ticket,
                });
            }
            Err(failure)
        }
    }
}

/// The bindings of a project, as its isolates know them.
pub(super) fn bindings(services: &[Service]) -> Vec<ServiceBinding> {
    let binding = |service: &Service| ServiceBinding {
        binding: service.binding.clone(),
        service: Arc::from(service.service.as_str()),
        entrypoint: service.entrypoint.as_deref().filter(|name| *name != "default").map(Arc::from),
        props: service.props.as_ref().map_or(Props::None, |props| Props::Json(Arc::from(props.to_string()))),
    };
    services.iter().map(binding).collect()
}
