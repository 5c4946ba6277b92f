//! Node.js's built-in modules as a worker's imports name them: with `node:` in front, or bare while the compatibility flag
//! `nodejs_compat` is on. The isolate's own list is in `js-shims/node/own/loader.js`.

/// Without the `node:` prefix. Subpaths are modules of their own.
const BUILTINS: &[&str] = &[
    "_http_agent",
    "_http_client",
    "_http_common",
    "_http_incoming",
    "_http_outgoing",
    "_http_server",
    "_stream_duplex",
    "_stream_passthrough",
    "_stream_readable",
    "_stream_transform",
    "_stream_wrap",
    "_stream_writable",
    "_tls_common",
    "_tls_wrap",
    "assert",
    "assert/strict",
    "async_hooks",
    "buffer",
    "child_process",
    "cluster",
    "console",
    "constants",
    "crypto",
    "dgram",
    "diagnostics_channel",
    "dns",
    "dns/promises",
    "domain",
    "events",
    "fs",
    "fs/promises",
    "http",
    "http2",
    "https",
    "inspector",
    "inspector/promises",
    "module",
    "net",
    "os",
    "path",
    "path/posix",
    "path/win32",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "readline",
    "readline/promises",
    "repl",
    "stream",
    "stream/consumers",
    "stream/promises",
    "stream/web",
    "string_decoder",
    "sys",
    "timers",
    "timers/promises",
    "tls",
    "trace_events",
    "tty",
    "url",
    "util",
    "util/types",
    "v8",
    "vm",
    "wasi",
    "worker_threads",
    "zlib",
];

/// These have no name without the prefix.
const PREFIXED_ONLY: &[&str] = &["sqlite", "test", "test/reporters"];

/// What a project's compatibility flags let imports name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeModules {
    /// None.
    Off,
    /// `node:async_hooks` alone (`nodejs_als`).
    AsyncHooks,
    /// With the prefix alone (`nodejs_compat` before 2024-09-23).
    Prefixed,
    /// With and without it.
    On,
}

// === impl NodeModules ===

impl NodeModules {
    /// The name of the built-in module that `specifier` leads to, without prefix. As in Node.js it wins over a package of the
    /// same name; `punycode/` is the package.
    pub(crate) fn find(self, specifier: &str) -> Option<&str> {
        let prefixed = specifier.strip_prefix("node:");
        let is_on = match self {
            Self::Off => false,
            Self::AsyncHooks => prefixed == Some("async_hooks"),
            Self::Prefixed => prefixed.is_some(),
            Self::On => true,
        };
        let name = prefixed.unwrap_or(specifier);
        (is_on && is_node_builtin(specifier)).then_some(name)
    }
}

/// Whether `specifier` (`fs`, `node:fs/promises`) names a built-in module of Node.js.
pub(crate) fn is_node_builtin(specifier: &str) -> bool {
    match specifier.strip_prefix("node:") {
        Some(name) => is_builtin(name) || PREFIXED_ONLY.contains(&name),
        None => is_builtin(specifier),
    }
}

fn is_builtin(name: &str) -> bool {
    BUILTINS.binary_search(&name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_sorted() {
        assert!(BUILTINS.is_sorted());
    }

    #[test]
    fn subpaths_are_modules_of_their_own() {
        assert!(is_node_builtin("fs/promises"));
        assert!(is_node_builtin("node:zlib"));
        assert!(!is_node_builtin("zlib/promises"));
        assert!(is_node_builtin("node:test") && !is_node_builtin("test"));
        assert!(!is_node_builtin("fs-extra"));
        assert!(!is_node_builtin("@scope/fs"));
    }

    #[test]
    fn flags_say_which_names_lead_to_them() {
        assert_eq!(NodeModules::On.find("events"), Some("events"));
        assert_eq!(NodeModules::On.find("node:events"), Some("events"));
        assert_eq!(NodeModules::On.find("events/"), None);
        assert_eq!(NodeModules::Prefixed.find("events"), None);
        assert_eq!(NodeModules::Prefixed.find("node:events"), Some("events"));
        assert_eq!(NodeModules::AsyncHooks.find("node:async_hooks"), Some("async_hooks"));
        assert_eq!(NodeModules::AsyncHooks.find("node:events"), None);
        assert_eq!(NodeModules::Off.find("node:events"), None);
    }
}
