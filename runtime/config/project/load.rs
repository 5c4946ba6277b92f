//! Loading a project: find its configuration, select the environment, decode every key, add the env files, and check what
//! no key can check alone.

use std::path::{Path, PathBuf};

use time::Date;

use super::decode_settings::{Settings, check_name, resolve};
use super::entry::main_module;
use super::env_files::EnvFiles;
use super::environment::{self, Environment};
use super::locate::{Located as Input, locate};
use super::{Bundling, Compatibility, LoadOptions, Project, Vars, env_files, keys};
use crate::decode::Report;
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::value::Source;

/// Loads a project from a directory with a wrangler configuration, from such a file, or from a script alone.
///
/// # Errors
///
/// Everything that is wrong with the project, at once, and the warnings with it.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Project, Diagnostics> {
    match locate(path)? {
        Input::Config { file, warning } => load_config(&file, warning, options),
        Input::Script { file } => load_script(&file, options),
    }
}

/// The names of a project's environments; of a script alone, none.
///
/// # Errors
///
/// As [`load`], where the configuration cannot be read at all.
pub fn environments(path: &Path) -> Result<Vec<String>, Diagnostics> {
    let Input::Config { file, .. } = locate(path)? else { return Ok(Vec::new()) };
    let root = Source::read(&file)?.parse()?;
    Ok(environment::names(&root))
}

fn load_config(file: &Path, warning: Option<Diagnostic>, options: &LoadOptions) -> Result<Project, Diagnostics> {
    let source = Source::read(file)?;
    let root = source.parse()?;
    let mut report = Report::new(&source, Severity::Warning);
    report.diagnostics.extend(warning);
    let mut settings = Settings::new(directory_of(file)?, options.today);
    let env = selected_environment(options);
    if let Some(env) = &env
        && let Err(reason) = check_environment_name(env)
    {
        report.diagnostics.push(
            Diagnostic::about_file(Severity::Error, file, format!("`{env}` cannot be an environment: {reason}"))
                .with_help("choose one of the names under `env`"),
        );
        return Err(report.diagnostics);
    }
    let Some(environment) = Environment::select(&root, env.as_deref(), &mut report) else {
        return Err(report.diagnostics);
    };
    for key in keys::KEYS {
        if let Some(at) = environment.effective(key, &mut report) {
            key.apply(&at, &mut settings, &mut report);
        }
    }
    check_routes(&environment, &mut report);
    let own_name = environment.is_own("name");
    finish(Loaded { file, settings, env, own_name, report }, options)
}

/// The environment from the options, or from `CLOUDFLARE_ENV`.
fn selected_environment(options: &LoadOptions) -> Option<String> {
    let variable = options.host_environment.get("CLOUDFLARE_ENV");
    options.env.as_ref().or(variable).filter(|env| !env.is_empty()).cloned()
}

/// The name becomes part of file names (`.dev.vars.<env>`) and of the worker's name.
fn check_environment_name(name: &str) -> Result<(), &'static str> {
    if name.starts_with('.') || name.contains(['/', '\\', '\0']) {
        return Err("it is no plain name");
    }
    Ok(())
}

fn check_routes(environment: &Environment<'_>, report: &mut Report<'_>) {
    let in_force = |name, report: &mut Report<'_>| environment.effective(keys::find(name)?, report);
    if let (Some(routes), Some(_)) = (in_force("routes", report), in_force("route", report)) {
        report.error_at_key(&routes, "both `route` and `routes` are set", "move the route into `routes`");
    }
}

struct Loaded<'a, 's> {
    file: &'a Path,
    settings: Settings,
    env: Option<String>,
    /// Whether the environment names itself.
    own_name: bool,
    report: Report<'s>,
}

fn finish(loaded: Loaded<'_, '_>, options: &LoadOptions) -> Result<Project, Diagnostics> {
    let Loaded { file, settings, env, own_name, mut report } = loaded;
    let name = worker_name(&settings, env.as_deref(), own_name, &mut report);
    let main = main_module(&settings, file, &mut report);
    let date = settings.compatibility_date.unwrap_or_else(|| {
        report.diagnostics.push(no_date(file, options));
        options.today
    });
    let mut env_files = env_files::load(file.parent().unwrap_or(Path::new("")), env.as_deref(), options);
    report.diagnostics.extend(std::mem::take(&mut env_files.diagnostics));
    check_secrets(&settings, &env_files, options, &mut report);
    let Report { diagnostics, .. } = report;
    let warnings = diagnostics.sorted().into_result()?;
    let config_file = Some(absolute(file));
    Ok(assemble(settings, Parts { name, main, date, env, config_file, env_files, warnings }, options))
}

/// What a project has beside its settings.
struct Parts {
    name: String,
    main: PathBuf,
    date: Date,
    env: Option<String>,
    config_file: Option<PathBuf>,
    env_files: EnvFiles,
    warnings: Vec<Diagnostic>,
}

fn assemble(mut settings: Settings, parts: Parts, options: &LoadOptions) -> Project {
    let EnvFiles { values, read, absent, .. } = parts.env_files;
    let read = read.iter().map(|path| absolute(path));
    Project {
        name: parts.name,
        environment: parts.env,
        compatibility: Compatibility::new(parts.date, std::mem::take(&mut settings.compatibility_flags)),
        vars: Vars {
            config: std::mem::take(&mut settings.vars),
            env_files: values,
            overrides: options.var_overrides.iter().cloned().collect(),
        },
        limits: settings.limits,
        routes: std::mem::take(&mut settings.routes),
        workers_dev: settings.workers_dev,
        bundling: bundling(&mut settings, &parts.main),
        main: parts.main,
        inputs: parts.config_file.iter().cloned().chain(read).collect(),
        absent_inputs: absent.iter().map(|path| absolute(path)).collect(),
        config_file: parts.config_file,
        directory: settings.directory,
        build: settings.build,
        dev: settings.dev,
        deployment: settings.deployment,
        bindings: settings.bindings,
        blobs: settings.blobs,
        warnings: parts.warnings,
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn bundling(settings: &mut Settings, main: &Path) -> Bundling {
    let main_directory = main.parent().unwrap_or(&settings.directory).to_owned();
    Bundling {
        rules: std::mem::take(&mut settings.rules),
        alias: std::mem::take(&mut settings.alias),
        define: std::mem::take(&mut settings.define),
        minify: settings.minify,
        keep_names: settings.keep_names,
        no_bundle: settings.no_bundle,
        find_additional_modules: settings.find_additional_modules,
        base_dir: settings.base_dir.take().unwrap_or(main_directory),
        preserve_file_names: settings.preserve_file_names,
        tsconfig: settings.tsconfig.take(),
        jsx_factory: settings.jsx_factory.take(),
        jsx_fragment: settings.jsx_fragment.take(),
        upload_source_maps: settings.upload_source_maps,
    }
}

fn worker_name(settings: &Settings, env: Option<&str>, own_name: bool, report: &mut Report<'_>) -> String {
    let base = match &settings.name {
        Some(name) if own_name => return name.value.clone(),
        Some(name) => name.value.clone(),
        None => {
            let name = name_from(settings.directory.file_name().and_then(|name| name.to_str()).unwrap_or_default());
            report.diagnostics.push(
                Diagnostic::about_file(
                    Severity::Warning,
                    &report.source.path,
                    format!("there is no `name`: `{name}` is used"),
                )
                .with_help("add `name`"),
            );
            name
        }
    };
    match env {
        Some(env) => format!("{base}-{env}"),
        None => base,
    }
}

/// A worker name out of a file's or a directory's.
fn name_from(text: &str) -> String {
    let name: String = text
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' })
        .collect();
    let name = name.trim_matches('-');
    if check_name(name).is_ok() { name.to_owned() } else { "worker".to_owned() }
}

fn no_date(file: &Path, options: &LoadOptions) -> Diagnostic {
    let message = format!("there is no `compatibility_date`: today's, {}, is used", options.today);
    Diagnostic::about_file(Severity::Warning, file, message).with_help(format!(
        "add `compatibility_date` (\"{}\"), so that behavior does not change with the day",
        options.today
    ))
}

fn check_secrets(settings: &Settings, files: &EnvFiles, options: &LoadOptions, report: &mut Report<'_>) {
    for secret in &settings.required_secrets {
        let name = &secret.value;
        let overridden = options.var_overrides.iter().any(|(overridden, _)| overridden == name);
        if overridden || files.values.contains_key(name) {
            continue;
        }
        if options.env_files {
            let help = format!("add {name}=… to .dev.vars, or to .env");
            report.error_located(secret, format!("the required secret `{name}` is not set"), help);
        } else {
            let help =
                format!("remove it from `secrets.required`, or give `{name}` as a var of the server's configuration");
            report.error_located(
                secret,
                format!("the secret `{name}` cannot be set yet: there is no store of secrets"),
                help,
            );
        }
    }
}

/// A project of one script: everything by default.
fn load_script(file: &Path, options: &LoadOptions) -> Result<Project, Diagnostics> {
    let directory = directory_of(file)?;
    let main = resolve(&directory, file.file_name().and_then(|name| name.to_str()).unwrap_or_default());
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let named_by = match stem {
        "index" | "main" | "worker" | "mod" => directory.file_name().and_then(|name| name.to_str()).unwrap_or(stem),
        _ => stem,
    };
    let name = name_from(named_by);
    if let Some(env) = &options.env {
        return Err(Diagnostic::about_file(
            Severity::Error,
            file,
            format!("a script alone has no environment `{env}`"),
        )
        .with_help("leave out the environment, or add a wrangler configuration")
        .into());
    }
    let mut env_files = env_files::load(file.parent().unwrap_or(Path::new("")), None, options);
    let mut diagnostics = std::mem::take(&mut env_files.diagnostics);
    diagnostics.push(no_date(file, options));
    let warnings = diagnostics.into_result()?;
    let date = options.today;
    let parts = Parts { name, main, date, env: None, config_file: None, env_files, warnings };
    Ok(assemble(Settings::new(directory, date), parts, options))
}

/// The absolute directory of a file.
fn directory_of(file: &Path) -> Result<PathBuf, Diagnostics> {
    let absolute = std::path::absolute(file).map_err(|error| {
        Diagnostic::about_file(Severity::Error, file, format!("the current directory cannot be found: {error}"))
            .with_help("run the command in a directory that exists")
    })?;
    Ok(absolute.parent().map_or_else(|| absolute.clone(), Path::to_owned))
}
