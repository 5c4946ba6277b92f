//! A project's settings as rolldown's options: the one place that decides how code is resolved, transformed and
//! written.
//!
//! The choices are wrangler's (esbuild for a browser-like platform, with the conditions of workers) wherever rolldown
//! can make them.

use std::path::Path;

use holm_config::project::Project;
use rolldown::{
    BundlerOptions, BundlerTransformOptions, Either, InputItem, JsxOptions, OutputFormat, Platform,
    PreserveEntrySignatures, RawMinifyOptions, ResolveOptions, SourceMapType, TsConfig,
};
use rolldown_fs::{OsFileSystem, OxcResolverFileSystem as _};
use rolldown_resolver::Resolver;

use crate::Mode;

/// Besides `import` or `require`, and `default`, which the resolver adds by the kind of import.
const CONDITIONS: &[&str] = &["workerd", "worker", "browser"];
const MAIN_FIELDS: &[&str] = &["browser", "module", "main"];

pub(crate) fn bundler_options(project: &Project, mode: Mode) -> BundlerOptions {
    let bundling = &project.bundling;
    let tsconfig = match &bundling.tsconfig {
        Some(file) => TsConfig::Manual(file.clone()),
        None => TsConfig::Auto(true),
    };
    let define = node_env(mode).into_iter().chain(bundling.define.clone()).collect();
    BundlerOptions {
        input: Some(vec![InputItem { name: Some(entry_name(&project.main)), import: text(&project.main) }]),
        cwd: Some(project.directory.clone()),
        // Nothing is written; it makes the paths in source maps relative to the project.
        dir: Some(".".to_owned()),
        platform: Some(Platform::Browser),
        format: Some(OutputFormat::Esm),
        // The exports of the entry chunk are the worker's handlers and entrypoints: none is added, none renamed.
        preserve_entry_signatures: Some(PreserveEntrySignatures::Strict),
        entry_filenames: Some("[name].js".to_owned().into()),
        chunk_filenames: Some("[name]-[hash].js".to_owned().into()),
        sourcemap: Some(SourceMapType::Hidden),
        minify: Some(if bundling.minify {
            RawMinifyOptions::Bool(true)
        } else {
            RawMinifyOptions::DeadCodeEliminationOnly
        }),
        keep_names: Some(bundling.keep_names),
        define: Some(define),
        resolve: Some(ResolveOptions {
            condition_names: Some(owned(CONDITIONS)),
            main_fields: Some(owned(MAIN_FIELDS)),
            ..ResolveOptions::default()
        }),
        transform: Some(BundlerTransformOptions {
            jsx: Some(Either::Right(jsx(project, &tsconfig))),
            ..Default::default()
        }),
        tsconfig: Some(tsconfig),
        ..BundlerOptions::default()
    }
}

/// The name of the entry chunk, without extension.
fn entry_name(main: &Path) -> String {
    main.file_stem().map_or_else(|| "index".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// `process.env.NODE_ENV` is a constant: packages choose their development or production code by it.
fn node_env(mode: Mode) -> impl IntoIterator<Item = (String, String)> {
    let value = match mode {
        Mode::Development => "\"development\"",
        Mode::Production => "\"production\"",
    };
    ["process.env.NODE_ENV", "global.process.env.NODE_ENV", "globalThis.process.env.NODE_ENV"]
        .map(|name| (name.to_owned(), value.to_owned()))
}

/// rolldown would take the automatic JSX runtime unless told otherwise, wrangler takes `React.createElement`: the
/// classic runtime applies unless the tsconfig of the entry module chooses one.
fn jsx(project: &Project, tsconfig: &TsConfig) -> JsxOptions {
    let file_system = OsFileSystem::new(false);
    let options = ResolveOptions::default();
    let resolver = Resolver::new(file_system, project.directory.clone(), Platform::Browser, tsconfig, options);
    let chosen = match resolver.clone_default_resolver().find_tsconfig(&project.main) {
        Ok(Some(tsconfig)) => tsconfig.compiler_options.jsx.clone(),
        // rolldown reads the file again, and reports what is wrong with it.
        Ok(None) | Err(_) => None,
    };
    JsxOptions {
        runtime: match chosen.as_deref() {
            Some("react" | "react-jsx" | "react-jsxdev") => None,
            _ => Some("classic".to_owned()),
        },
        pragma: project.bundling.jsx_factory.clone(),
        pragma_frag: project.bundling.jsx_fragment.clone(),
        ..JsxOptions::default()
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
