//! The names of Node.js's built-in modules, so that importing one is explained instead of reported as a missing
//! package.

/// Without the `node:` prefix and without subpaths.
const BUILTINS: &[&str] = &[
    "assert",
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
    "domain",
    "events",
    "fs",
    "http",
    "http2",
    "https",
    "inspector",
    "module",
    "net",
    "os",
    "path",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "readline",
    "repl",
    "stream",
    "string_decoder",
    "sys",
    "timers",
    "tls",
    "trace_events",
    "tty",
    "url",
    "util",
    "v8",
    "vm",
    "wasi",
    "worker_threads",
    "zlib",
];

/// Whether `specifier` (`fs`, `fs/promises`) names a built-in module of Node.js. A package of the same name wins over
/// it: ask only once none was found.
pub(crate) fn is_node_builtin(specifier: &str) -> bool {
    let name = specifier.split('/').next().unwrap_or(specifier);
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
    fn subpaths_belong_to_their_module() {
        assert!(is_node_builtin("fs/promises"));
        assert!(is_node_builtin("zlib"));
        assert!(!is_node_builtin("fs-extra"));
        assert!(!is_node_builtin("@scope/fs"));
    }
}
