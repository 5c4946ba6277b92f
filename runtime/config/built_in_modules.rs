//! The modules that the runtime itself provides, by specifier: what an import may name that no file of a project is.
//!
//! Read by the bundler, so that a name that does not exist is an error of the build. The isolate's own list is in
//! `js-shims/built_in_modules.js`.

/// Those of the platform. Modules of Node.js are not judged here.
pub const PLATFORM: &[&str] = &["cloudflare:node", "cloudflare:sockets", "cloudflare:workers"];

/// Why `specifier` cannot be imported, and what to do about it; `None` if it can.
#[must_use]
pub fn explain(specifier: &str) -> Option<(String, String)> {
    if !specifier.starts_with("cloudflare:") || PLATFORM.contains(&specifier) {
        return None;
    }
    let text = format!("the runtime has no module `{specifier}`");
    Some((text, format!("these exist: {}", PLATFORM.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_of_the_platform_that_does_not_exist_is_explained() {
        assert_eq!(explain("cloudflare:workers"), None);
        assert_eq!(explain("node:fs"), None);
        let (text, help) = explain("cloudflare:worker").unwrap();
        assert!(text.contains("`cloudflare:worker`") && help.contains("cloudflare:workers"), "{text} {help}");
    }
}
