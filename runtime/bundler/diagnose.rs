//! rolldown's diagnostics, turned into messages for the author of a worker.
//!
//! Unresolved imports get the most care: they are told apart from Node.js built-ins, and say what was looked for.

use std::path::{Path, PathBuf};

use holm_config::project::Project;
use rolldown_error::{BuildDiagnostic, DiagnosticOptions, EventKind};

use crate::message::{BundleMessage, Place};
use crate::node_builtin::is_node_builtin;

/// What rolldown tries behind a path without extension, in its order.
const EXTENSIONS: &str = ".tsx, .ts, .jsx, .js, .json";

/// Whether a diagnostic that rolldown calls a warning means that the worker cannot run.
pub(crate) fn is_fatal(diagnostic: &BuildDiagnostic) -> bool {
    matches!(diagnostic.kind(), EventKind::UnresolvedImport | EventKind::UnresolvedEntry)
}

/// Whether a warning is worth the author's attention: it is about the project's own code, and there is something to do.
pub(crate) fn is_worth_telling(diagnostic: &BuildDiagnostic) -> bool {
    let in_package = diagnostic.id().is_some_and(|id| id.contains("/node_modules/"));
    !in_package
        && matches!(
            diagnostic.kind(),
            EventKind::ImportIsUndefined
                | EventKind::CommonJsVariableInEsm
                | EventKind::CannotCallNamespace
                | EventKind::Eval
                | EventKind::InvalidAnnotation
                | EventKind::UnsupportedTsconfigOption
                | EventKind::CircularDependency
        )
}

pub(crate) fn message(project: &Project, diagnostic: &BuildDiagnostic) -> BundleMessage {
    let options = DiagnosticOptions { cwd: project.directory.clone() };
    let rendered = diagnostic.to_diagnostic_with(&options);
    let location = rendered.get_primary_location();
    let file = diagnostic
        .id()
        .or_else(|| location.as_ref().map(|(file, ..)| file.clone()))
        .map(|id| project.directory.join(id))
        .filter(|file| file.is_file());

    let specifier = diagnostic.exporter().unwrap_or_default();
    let mut message = match diagnostic.kind() {
        EventKind::UnresolvedImport => unresolved(project, &specifier, file.as_deref()),
        EventKind::ResolveError => {
            let text = format!("cannot resolve `{specifier}`{}", reason(&rendered.convert_to_string(false)));
            BundleMessage::new(text).with_help("check the package's `exports`, and the path after the package's name")
        }
        EventKind::ParseError => parse_error(&diagnostic.to_message_with(&options), file.as_deref()),
        EventKind::JsonParseError => {
            BundleMessage::new(format!("invalid JSON: {}", diagnostic.to_message_with(&options)))
        }
        EventKind::MissingExportError => {
            let text = diagnostic.to_message_with(&options);
            BundleMessage::new(text)
                .with_help("check the name, and whether it is a type: import types with `import type`")
        }
        EventKind::InvalidDefineConfigError => BundleMessage::new(diagnostic.to_message_with(&options)).with_help(
            "a value of `define` is a JavaScript expression: put a string in quotes twice, as in `\"'text'\"`",
        ),
        EventKind::TsConfigError => BundleMessage::new(diagnostic.to_message_with(&options))
            .with_help("correct the file; if it is another project's, name this one's in `tsconfig`"),
        _ => BundleMessage::new(diagnostic.to_message_with(&options)),
    };

    let Some(file) = file else { return message };
    if let Some((_, line, column, _)) = location
        && let Ok(source) = std::fs::read_to_string(&file)
    {
        let place = place(&source, line, column, &specifier);
        message = message.at(place, &source);
        if matches!(diagnostic.kind(), EventKind::ParseError) && looks_like_jsx(&file, &source, place) {
            message = message.with_help("for JSX, the file's name has to end in `.tsx`");
        }
    }
    message.in_file(file)
}

/// rolldown counts columns from 0 in UTF-16 units; ours count from 1 in characters.
fn place(source: &str, line: usize, column: usize, specifier: &str) -> Place {
    let text = source.lines().nth(line.saturating_sub(1)).unwrap_or("");
    let mut units = 0;
    let before = text
        .chars()
        .take_while(|character| {
            let more = units < column;
            units += character.len_utf16();
            more
        })
        .count();
    let rest: String = text.chars().skip(before).collect();
    let quoted = !specifier.is_empty() && rest.get(1..).is_some_and(|rest| rest.starts_with(specifier));
    let word = rest.chars().take_while(|character| character.is_alphanumeric() || *character == '_').count();
    let width = if quoted { specifier.chars().count() + 2 } else { word.max(1) };
    Place {
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(before + 1).unwrap_or(u32::MAX),
        width: u32::try_from(width).unwrap_or(1),
    }
}

/// The reason that rolldown writes below the source line, as ` (reason)`.
fn reason(rendered: &str) -> String {
    let label = rendered.lines().find_map(|line| line.split_once('╰'));
    label.map_or_else(String::new, |(_, label)| {
        let reason = label.trim_start_matches('─').trim().trim_end_matches('.').to_lowercase();
        format!(" ({reason})")
    })
}

/// Whether the line of a syntax error in plain TypeScript closes a tag.
fn looks_like_jsx(file: &Path, source: &str, place: Place) -> bool {
    let is_plain = file.extension().is_some_and(|extension| extension == "ts" || extension == "mts");
    let line = source.lines().nth(place.line.saturating_sub(1) as usize).unwrap_or("");
    is_plain && (line.contains("</") || line.contains("/>"))
}

fn parse_error(text: &str, file: Option<&Path>) -> BundleMessage {
    let message = BundleMessage::new(format!("syntax error: {text}"));
    let extension = file.and_then(Path::extension).map(|extension| extension.to_string_lossy().into_owned());
    match extension.as_deref() {
        None | Some("js" | "mjs" | "cjs" | "jsx" | "ts" | "mts" | "cts" | "tsx") => message,
        Some(other) => message.with_help(format!(
            "files ending in `.{other}` are read as JavaScript; to import one as text add \
             `\"rules\": [{{ \"type\": \"Text\", \"globs\": [\"**/*.{other}\"] }}]`"
        )),
    }
}

fn unresolved(project: &Project, specifier: &str, importer: Option<&Path>) -> BundleMessage {
    let directory = importer.and_then(Path::parent).unwrap_or(&project.directory);
    if specifier.starts_with('.') || specifier.starts_with('/') {
        return unresolved_path(project, specifier, directory);
    }
    if is_node_builtin(specifier) {
        return BundleMessage::new(format!(
            "`{specifier}` is a Node.js built-in, and the compatibility flag `nodejs_compat` is off"
        ))
        .with_help(
            "add `\"compatibility_flags\": [\"nodejs_compat\"]`, or set `compatibility_date` to 2026-08-04 or later",
        );
    }
    unresolved_package(project, specifier, directory)
}

fn unresolved_path(project: &Project, specifier: &str, directory: &Path) -> BundleMessage {
    let target = normalize(&directory.join(specifier));
    let shown = target.strip_prefix(&project.directory).unwrap_or(&target).display();
    let mut looked_for = format!("looked for {shown}, the same with {EXTENSIONS}");
    if target.is_dir() {
        looked_for.push_str(&format!(", and {shown}/index with these: the directory is there, an index file is not"));
    } else {
        looked_for.push_str(&format!(", and {shown}/index with these"));
    }
    BundleMessage::new(format!("cannot find `{specifier}`"))
        .with_help(format!("{looked_for}\ncheck the path; upper and lower case matter"))
}

fn unresolved_package(project: &Project, specifier: &str, directory: &Path) -> BundleMessage {
    let package = package_name(specifier);
    let roots: Vec<PathBuf> = directory
        .ancestors()
        .map(|ancestor| ancestor.join("node_modules"))
        .filter(|root| root.is_dir() || root.parent() == Some(&project.directory))
        .collect();
    let shown = |path: &Path| path.strip_prefix(&project.directory).unwrap_or(path).display().to_string();

    if let Some(installed) = roots.iter().map(|root| root.join(&package)).find(|installed| installed.is_dir()) {
        let message = if specifier == package {
            format!("the package `{package}` is installed, but it has no entry for workers")
        } else {
            format!("the package `{package}` is installed, but it has no `{specifier}`")
        };
        return BundleMessage::new(message).with_help(format!(
            "looked at `exports`, `browser`, `module` and `main` of {}, \
             with the conditions workerd, worker, browser, import and default",
            shown(&installed.join("package.json"))
        ));
    }

    let looked_in: Vec<String> = roots.iter().map(|root| shown(&root.join(&package))).collect();
    let advice = if specifier.starts_with("@/") || specifier.starts_with("~") || specifier.starts_with('#') {
        "if it is a path alias, add it to `compilerOptions.paths` of tsconfig.json or to `alias`".to_owned()
    } else if is_declared(project, &package) {
        "it is in package.json: run `npm install`".to_owned()
    } else {
        format!("run `npm install {package}`, or start the specifier with `./` if it is a file")
    };
    BundleMessage::new(format!("cannot find the package `{package}`"))
        .with_help(format!("looked for {}\n{advice}", looked_in.join(", ")))
}

/// `@scope/name` or `name` of a specifier that may have a path behind it.
fn package_name(specifier: &str) -> String {
    let segments = if specifier.starts_with('@') { 2 } else { 1 };
    specifier.split('/').take(segments).collect::<Vec<_>>().join("/")
}

/// Whether the project's package.json asks for `package`.
fn is_declared(project: &Project, package: &str) -> bool {
    let read = std::fs::read(project.directory.join("package.json"));
    let Ok(manifest) = read.map(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).unwrap_or_default()) else {
        return false;
    };
    ["dependencies", "devDependencies", "peerDependencies", "optionalDependencies"]
        .iter()
        .any(|section| manifest.get(section).and_then(|section| section.get(package)).is_some())
}

/// `path` without `.` and `..`; it need not exist.
fn normalize(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            std::path::Component::ParentDir => {
                normal.pop();
            }
            std::path::Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_name_may_have_a_scope_and_a_path_behind_it() {
        assert_eq!(package_name("hono/jsx"), "hono");
        assert_eq!(package_name("@scope/name/deep/path"), "@scope/name");
        assert_eq!(package_name("plain"), "plain");
    }

    #[test]
    fn columns_are_counted_in_characters() {
        // The emoji is two UTF-16 units.
        let source = "const a = \"😀\"; import(\"nope\");";
        let found = place(source, 1, 23, "nope");
        assert_eq!(found, Place { line: 1, column: 23, width: 6 });
    }

    #[test]
    fn dots_vanish_from_paths() {
        assert_eq!(normalize(Path::new("/p/src/../lib/./a")), Path::new("/p/lib/a"));
    }
}
