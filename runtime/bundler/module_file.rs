//! Files that become modules as they are: how they are read, and what they are called in the bundle.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use holm_config::bundle::ModuleKind;
use holm_config::project::{ModuleRule, Project};
use sha1::{Digest, Sha1};

use crate::message::BundleMessage;

/// How text, data and wasm modules are named.
#[derive(Clone, Debug)]
pub(crate) enum Naming {
    /// By content and file name (`<sha1>-add.wasm`): unique, and the same wherever the project lies.
    ContentHash,
    /// By their path below a root, nearest root first (`preserve_file_names`).
    Path { roots: Vec<PathBuf> },
}

// === impl Naming ===

impl Naming {
    pub(crate) fn of(project: &Project) -> Self {
        if project.bundling.preserve_file_names {
            Self::Path { roots: vec![real_path(&project.bundling.base_dir), real_path(&project.directory)] }
        } else {
            Self::ContentHash
        }
    }

    /// The specifier of `file` in the bundle, relative to the bundle's root.
    pub(crate) fn specifier(&self, file: &Path, source: &[u8]) -> String {
        let name = || file.file_name().map_or_else(|| "module".into(), |name| name.to_string_lossy());
        match self {
            Self::ContentHash => {
                let hash: String = Sha1::digest(source).iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{hash}-{}", name())
            }
            Self::Path { roots } => {
                roots.iter().find_map(|root| relative_specifier(root, file)).unwrap_or_else(|| name().into_owned())
            }
        }
    }
}

/// The path of `file` below `root`, with `/` between segments.
pub(crate) fn relative_specifier(root: &Path, file: &Path) -> Option<String> {
    let segments: Option<Vec<&str>> = file
        .strip_prefix(root)
        .ok()?
        .components()
        .map(|component| match component {
            Component::Normal(segment) => segment.to_str(),
            _ => None,
        })
        .collect();
    segments.filter(|segments| !segments.is_empty()).map(|segments| segments.join("/"))
}

/// `path` without symbolic links, as the resolver reports paths.
pub(crate) fn real_path(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

pub(crate) fn read(file: &Path) -> Result<Arc<[u8]>, BundleMessage> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(bytes.into()),
        Err(error) => Err(BundleMessage::new(format!("cannot read {}: {error}", file.display()))
            .in_file(file)
            .with_help("check that the file exists and that you may read it")),
    }
}

pub(crate) fn is_javascript(kind: ModuleKind) -> bool {
    matches!(kind, ModuleKind::EsModule | ModuleKind::CommonJs)
}

/// What is said about a file that only a rule out of force matches.
pub(crate) fn removed_rule(specifier: &str, rule: &ModuleRule) -> BundleMessage {
    BundleMessage::new(format!(
        "`{specifier}` matches the module rule for {}, which is not in force: an earlier rule has the same type",
        rule.globs.join(", ")
    ))
    .with_help("add `\"fallthrough\": true` to the earlier rule")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_hash_depends_on_the_content_alone() {
        let here = Naming::ContentHash.specifier(Path::new("/a/add.wasm"), b"\0asm");
        let there = Naming::ContentHash.specifier(Path::new("/b/add.wasm"), b"\0asm");
        assert_eq!(here, there);
        assert!(here.ends_with("-add.wasm") && here.len() == 40 + "-add.wasm".len());
        assert_ne!(here, Naming::ContentHash.specifier(Path::new("/a/add.wasm"), b"other"));
    }

    #[test]
    fn a_preserved_name_is_the_path_below_the_nearest_root() {
        let naming = Naming::Path { roots: vec!["/p/src".into(), "/p".into()] };
        assert_eq!(naming.specifier(Path::new("/p/src/lib/a.txt"), b""), "lib/a.txt");
        assert_eq!(naming.specifier(Path::new("/p/node_modules/x/a.txt"), b""), "node_modules/x/a.txt");
        assert_eq!(naming.specifier(Path::new("/elsewhere/a.txt"), b""), "a.txt");
    }
}
