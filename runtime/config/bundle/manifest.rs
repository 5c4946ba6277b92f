//! A bundle as a directory: `holm.json`, the modules and their source maps. What `holm build` writes and `holm serve` reads.
//!
//! Invariant: a directory that can be read is complete and is what was written: it is put in place by one rename, and
//! every file is compared with its size and SHA-256 in the manifest. It never holds values of env files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use holm_cron::Trigger;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::placement::{check_replaceable, put_in_place, remove_if_there, sibling};
use super::{Bundle, Module, ModuleKind};
use crate::diagnostic::Location;
use crate::limits::Limits;
use crate::project::{Compatibility, InvocationLimits, Service, parse_date};
use crate::route::RoutePattern;

pub(super) const MANIFEST: &str = "holm.json";
const FORMAT: u32 = 1;

/// The settings of a worker that travel with its modules.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkerSettings {
    pub name: String,
    pub compatibility: Compatibility,
    pub limits: InvocationLimits,
    pub vars: BTreeMap<String, Value>,
    pub routes: Vec<RoutePattern>,
    pub services: Vec<Service>,
    pub crons: Vec<Trigger>,
}

/// Why a bundle's directory cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BundleDirectoryError {
    #[error("cannot read {}: {error}; build the bundle again with `holm build`", path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("cannot write {}: {error}; check the permissions and the space on the disk", path.display())]
    Write { path: PathBuf, error: io::Error },
    #[error("{} has no holm.json; name a directory that `holm build` wrote", directory.display())]
    NoBundle { directory: PathBuf },
    #[error("{} is not empty and is no bundle; choose another directory, or empty it", directory.display())]
    Occupied { directory: PathBuf },
    #[error("{}:{line}:{column}: the manifest cannot be read: {message}; build the bundle again with `holm build`", path.display())]
    Manifest { path: PathBuf, line: usize, column: usize, message: String },
    #[error("{}: the bundle has format {found}, this holm reads format {FORMAT}; build it again with this version", path.display())]
    Format { path: PathBuf, found: u64 },
    #[error("{}: {message}; build the bundle again with `holm build`", path.display())]
    Invalid { path: PathBuf, message: String },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    name: String,
    main: String,
    compatibility_date: String,
    compatibility_flags: Vec<String>,
    limits: InvocationLimits,
    vars: BTreeMap<String, Value>,
    routes: Vec<RoutePattern>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    services: Vec<ServiceEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    crons: Vec<Trigger>,
    modules: Vec<ModuleEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceEntry {
    binding: String,
    service: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entrypoint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    props: Option<Value>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModuleEntry {
    specifier: String,
    kind: ModuleKind,
    source: FileEntry,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source_map: Option<FileEntry>,
}

/// A file of the bundle, by its path from the bundle's directory.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileEntry {
    file: String,
    /// Bytes.
    size: u64,
    /// In lower-case hexadecimal.
    sha256: String,
}

// === impl Bundle ===

impl Bundle {
    /// Writes the bundle and its settings as `directory`, in the place of a bundle that is there.
    ///
    /// # Errors
    ///
    /// When a file cannot be written, or `directory` holds something else than a bundle.
    pub fn write(&self, settings: &WorkerSettings, directory: &Path) -> Result<(), BundleDirectoryError> {
        check_replaceable(directory)?;
        let staging = sibling(directory, "new")?;
        remove_if_there(&staging)?;
        let written = self.write_files(settings, &staging).and_then(|()| put_in_place(&staging, directory));
        if written.is_err() {
            // The first error is the one to report.
            let _ = fs::remove_dir_all(&staging);
        }
        written
    }

    fn write_files(&self, settings: &WorkerSettings, directory: &Path) -> Result<(), BundleDirectoryError> {
        let mut modules = Vec::with_capacity(self.modules.len());
        for (index, module) in self.modules.iter().enumerate() {
            let file = self.file_name(index, &module.specifier);
            let source = write_file(directory, file, &module.source)?;
            let source_map = match &module.source_map {
                Some(map) => Some(write_file(directory, format!("maps/{index}.map"), map.as_bytes())?),
                None => None,
            };
            modules.push(ModuleEntry { specifier: module.specifier.clone(), kind: module.kind, source, source_map });
        }
        let manifest = Manifest {
            format: FORMAT,
            name: settings.name.clone(),
            main: self.main.clone(),
            compatibility_date: settings.compatibility.date.to_string(),
            compatibility_flags: settings.compatibility.flags.clone(),
            limits: settings.limits,
            vars: settings.vars.clone(),
            routes: settings.routes.clone(),
            services: settings.services.iter().map(ServiceEntry::of).collect(),
            crons: settings.crons.clone(),
            modules,
        };
        let path = directory.join(MANIFEST);
        let text = serde_json::to_string_pretty(&manifest).map_err(|error| BundleDirectoryError::Invalid {
            path: path.clone(),
            message: format!("the manifest cannot be written: {error}"),
        })?;
        write_file(directory, MANIFEST.to_owned(), text.as_bytes()).map(|_| ())
    }

    /// The specifier itself where it is a plain path that no other module is in the way of; a number otherwise.
    fn file_name(&self, index: usize, specifier: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
        let below = format!("{specifier}/");
        let in_the_way = self.modules.iter().any(|module| module.specifier.starts_with(&below));
        if specifier.chars().all(plain) && is_inside(specifier) && !in_the_way {
            format!("modules/{specifier}")
        } else {
            format!("numbered/{index}")
        }
    }

    /// Reads a directory that [`Bundle::write`] made.
    ///
    /// # Errors
    ///
    /// When a file is missing, changed or outside of the directory, or the manifest is not valid.
    pub fn read(directory: &Path) -> Result<(Self, WorkerSettings), BundleDirectoryError> {
        let path = directory.join(MANIFEST);
        if !path.is_file() {
            return Err(BundleDirectoryError::NoBundle { directory: directory.to_owned() });
        }
        let manifest = read_manifest(&path)?;
        let invalid = |message: String| BundleDirectoryError::Invalid { path: path.clone(), message };
        let date = parse_date(&manifest.compatibility_date)
            .ok_or_else(|| invalid(format!("\"{}\" is no date", manifest.compatibility_date)))?;
        if let Some(flag) = manifest.compatibility_flags.iter().find(|flag| crate::flags::lookup(flag).is_none()) {
            return Err(invalid(format!("there is no compatibility flag `{flag}`")));
        }
        crate::project::check_name(&manifest.name)
            .map_err(|reason| invalid(format!("the name is not valid: {reason}")))?;
        check_modules(&manifest).map_err(&invalid)?;
        let mut modules = Vec::with_capacity(manifest.modules.len());
        for entry in manifest.modules {
            modules.push(read_module(directory, entry)?);
        }
        let settings = WorkerSettings {
            name: manifest.name,
            compatibility: Compatibility::new(date, manifest.compatibility_flags),
            limits: manifest.limits,
            vars: manifest.vars,
            routes: manifest.routes,
            services: manifest.services.into_iter().map(|entry| entry.service(&path)).collect(),
            crons: manifest.crons,
        };
        Ok((Self { main: manifest.main, modules }, settings))
    }
}

// === impl ServiceEntry ===

impl ServiceEntry {
    fn of(service: &Service) -> Self {
        let Service { binding, service, entrypoint, props, .. } = service.clone();
        Self { binding, service, entrypoint, props }
    }

    fn service(self, manifest: &Path) -> Service {
        let Self { binding, service, entrypoint, props } = self;
        Service { binding, service, entrypoint, props, location: Location::of_file(manifest) }
    }
}

fn read_manifest(path: &Path) -> Result<Manifest, BundleDirectoryError> {
    let text = fs::read_to_string(path).map_err(|error| BundleDirectoryError::Read { path: path.to_owned(), error })?;
    let broken = |error: serde_json::Error| BundleDirectoryError::Manifest {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
        message: error.to_string(),
    };
    // The format is looked at first: another format has other fields.
    let format: FormatOnly = serde_json::from_str(&text).map_err(broken)?;
    if format.format != u64::from(FORMAT) {
        return Err(BundleDirectoryError::Format { path: path.to_owned(), found: format.format });
    }
    serde_json::from_str(&text).map_err(broken)
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u64,
}

fn check_modules(manifest: &Manifest) -> Result<(), String> {
    let mut specifiers = BTreeSet::new();
    let mut total = 0_u64;
    for module in &manifest.modules {
        if !specifiers.insert(module.specifier.as_str()) {
            return Err(format!("the module {} is there twice", module.specifier));
        }
        for file in [Some(&module.source), module.source_map.as_ref()].into_iter().flatten() {
            if !is_inside(&file.file) {
                return Err(format!("the file {:?} of the module {} leaves the bundle", file.file, module.specifier));
            }
            total = total.saturating_add(file.size);
        }
    }
    if !specifiers.contains(manifest.main.as_str()) {
        return Err(format!("the main module {} is not among the modules", manifest.main));
    }
    let allowed = Limits::row("script_bytes").map_or(0, |limit| limit.max);
    if total > allowed {
        return Err(format!("the modules have {total} bytes, more than {allowed}"));
    }
    check_limits(&manifest.limits)
}

fn check_limits(limits: &InvocationLimits) -> Result<(), String> {
    for (key, value) in [("cpu_ms", limits.cpu_ms), ("subrequests", limits.subrequests)] {
        let (Some(value), Some(row)) = (value, Limits::row(key)) else {
            continue;
        };
        if !(row.min..=row.max).contains(&value) {
            return Err(format!("limits.{key} is {value}, outside of {} to {}", row.min, row.max));
        }
    }
    Ok(())
}

fn read_module(directory: &Path, entry: ModuleEntry) -> Result<Module, BundleDirectoryError> {
    let source = read_file(directory, &entry.source)?;
    let source_map = match &entry.source_map {
        Some(file) => {
            let text = String::from_utf8(read_file(directory, file)?).map_err(|_| BundleDirectoryError::Invalid {
                path: directory.join(&file.file),
                message: "the source map is not UTF-8 text".to_owned(),
            })?;
            Some(Arc::from(text))
        }
        None => None,
    };
    Ok(Module { specifier: entry.specifier, kind: entry.kind, source: Arc::from(source), source_map })
}

fn read_file(directory: &Path, entry: &FileEntry) -> Result<Vec<u8>, BundleDirectoryError> {
    let path = directory.join(&entry.file);
    let failed = |error| BundleDirectoryError::Read { path: path.clone(), error };
    let invalid = |message: &str| BundleDirectoryError::Invalid { path: path.clone(), message: message.to_owned() };
    // A symbolic link may lead out of the directory where the text of the path does not.
    let real = path.canonicalize().map_err(failed)?;
    if !real.starts_with(directory.canonicalize().map_err(failed)?) {
        return Err(invalid("the file leaves the bundle's directory"));
    }
    let metadata = fs::metadata(&real).map_err(failed)?;
    // Reading a pipe or a device would wait, or never end.
    if !metadata.is_file() {
        return Err(invalid("it is not a plain file"));
    }
    let found = metadata.len();
    if found != entry.size {
        return Err(invalid(&format!("the file has {found} bytes, the manifest says {}", entry.size)));
    }
    let bytes = fs::read(&real).map_err(failed)?;
    if digest(&bytes) != entry.sha256 {
        return Err(invalid("the file is not the one that was built: its SHA-256 differs"));
    }
    Ok(bytes)
}

/// Whether a relative path has only plain segments.
fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && !path.contains(['\\', '\0'])
        && !path.split('/').any(str::is_empty)
        && Path::new(path).components().all(|component| matches!(component, Component::Normal(_)))
}

fn write_file(directory: &Path, file: String, bytes: &[u8]) -> Result<FileEntry, BundleDirectoryError> {
    let path = directory.join(&file);
    let failed = |error| BundleDirectoryError::Write { path: path.clone(), error };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    fs::write(&path, bytes).map_err(failed)?;
    Ok(FileEntry { file, size: bytes.len() as u64, sha256: digest(bytes) })
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
