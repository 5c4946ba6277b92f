//! The host names that `holm dev` answers to.
//!
//! A page of any site can have its own name resolved to this machine ("DNS rebinding") and would then read what the worker
//! answers, as its own. So a request names this machine by an address, by `localhost`, or by a name that the project or the
//! command line gives: <https://www.rfc-editor.org/rfc/rfc6761#section-6.3> keeps `localhost` and what is below it local.

use holm_config::project::Project;
use holm_config::route::RoutePattern;
use holm_front::authority;
use parking_lot::RwLock;

pub(super) struct AllowedHosts {
    /// Of the command line, in lower case.
    names: Vec<String>,
    /// Of the project as it was loaded last.
    project: RwLock<OfProject>,
    /// Names that were refused and told of.
    told: RwLock<Vec<String>>,
}

/// Names that are told of; whoever asks by more of them does not ask by mistake.
const TOLD: usize = 8;

#[derive(Default)]
struct OfProject {
    host: Option<String>,
    routes: Vec<RoutePattern>,
}

// === impl AllowedHosts ===

impl AllowedHosts {
    pub(super) fn new(names: &[String]) -> Self {
        Self {
            names: names.iter().map(|name| plain(name)).collect(),
            project: RwLock::default(),
            told: RwLock::default(),
        }
    }

    /// Takes over what `project` names: `dev.host`, and the hosts of its routes.
    pub(super) fn set(&self, project: &Project) {
        let routes = project.routes.iter().map(|route| route.pattern.clone()).collect();
        *self.project.write() = OfProject { host: project.dev.host.as_deref().map(plain), routes };
    }

    /// Whether a host that was refused is to be told of: once, so that its author sees what is wrong.
    pub(super) fn tells_of(&self, host: &str) -> bool {
        let mut told = self.told.write();
        if told.len() == TOLD || told.iter().any(|known| known == host) {
            return false;
        }
        told.push(host.to_owned());
        true
    }

    /// `host` is lower-case, without port and trailing dot.
    pub(super) fn allows(&self, host: &str) -> bool {
        if authority::is_local(host) || host.ends_with(".localhost") {
            return true;
        }
        let project = self.project.read();
        self.names.iter().chain(&project.host).any(|name| name == host)
            || project.routes.iter().any(|route| route.matches_host(host))
    }
}

fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}
