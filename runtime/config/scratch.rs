//! A directory of its own for each test that needs files; removed with the test.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) struct Scratch {
    directory: PathBuf,
}

impl Scratch {
    /// An empty directory whose last segment is `name`.
    pub(crate) fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let unique = format!("holm-config-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(unique).join(name);
        std::fs::create_dir_all(&directory).expect("a directory for the test");
        Self { directory }
    }

    /// With these files, given by path and text.
    pub(crate) fn with(name: &str, files: &[(&str, &str)]) -> Self {
        let scratch = Self::new(name);
        for (path, text) in files {
            scratch.write(path, text);
        }
        scratch
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory for the file");
        std::fs::write(path, text).expect("a file for the test");
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.directory.join(path)
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(unique) = self.directory.parent() {
            let _ = std::fs::remove_dir_all(unique);
        }
    }
}
