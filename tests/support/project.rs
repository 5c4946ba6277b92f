//! A worker project in a temporary directory.

use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

/// A directory that is gone with the test.
pub struct Project {
    directory: PathBuf,
}

// === impl Project ===

impl Project {
    /// An empty directory.
    pub fn empty() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        Self { directory }
    }

    /// A directory with these files.
    pub fn with(files: &[(&str, &str)]) -> Self {
        let project = Self::empty();
        for (path, text) in files {
            project.write(path, text);
        }
        project
    }

    /// A project of one module, `index.js`, called `worker`.
    pub fn worker(source: &str) -> Self {
        Self::with(&[("wrangler.jsonc", &config("worker", "")), ("index.js", source)])
    }

    pub fn path(&self) -> &Path {
        &self.directory
    }

    pub fn file(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }

    /// Writes a file as an editor does: whole, in one step.
    pub fn write(&self, path: &str, text: &str) {
        let file = self.file(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let unfinished = file.with_extension("unfinished");
        std::fs::write(&unfinished, text).unwrap();
        std::fs::rename(&unfinished, &file).unwrap();
    }

    pub fn remove(&self, path: &str) {
        std::fs::remove_file(self.file(path)).unwrap();
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A `wrangler.jsonc` for `index.js`; `more` are further keys, each with a comma behind it.
pub fn config(name: &str, more: &str) -> String {
    format!(
        "{{\n  \"name\": \"{name}\",\n  \"main\": \"index.js\",\n  {more}\n  \"compatibility_date\": \"2026-08-01\"\n}}\n"
    )
}
