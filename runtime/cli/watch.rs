//! Watches files, and says when some of them have changed.
//!
//! Directories are watched rather than files, since editors replace files; changes that come together are one change.

use std::collections::HashSet;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use notify::RecursiveMode;
use notify::Watcher as _;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// A save often is several events (truncate, write, rename): they count as one within this time.
const SETTLE: Duration = Duration::from_millis(15);

/// A watcher of a changing set of files.
pub(super) struct Watch {
    watcher: notify::RecommendedWatcher,
    directories: HashSet<PathBuf>,
    files: Arc<Mutex<Files>>,
    changed: Arc<Notify>,
}

#[derive(Default)]
struct Files {
    exact: HashSet<PathBuf>,
    /// Directories whose every file counts.
    trees: Vec<PathBuf>,
}

// === impl Watch ===

impl Watch {
    pub(super) fn new() -> notify::Result<Self> {
        let files = Arc::new(Mutex::new(Files::default()));
        let changed = Arc::new(Notify::new());
        let (seen, notified) = (Arc::clone(&files), Arc::clone(&changed));
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if matches!(event.kind, notify::EventKind::Access(_)) {
                return;
            }
            if event.paths.iter().any(|path| seen.lock().contains(path)) {
                notified.notify_one();
            }
        })?;
        Ok(Self { watcher, directories: HashSet::new(), files, changed })
    }

    /// Watches exactly these files (which need not exist) and all files below these directories.
    pub(super) fn set(&mut self, files: impl IntoIterator<Item = PathBuf>, trees: impl IntoIterator<Item = PathBuf>) {
        let exact: HashSet<PathBuf> = files.into_iter().collect();
        let trees: Vec<PathBuf> = trees.into_iter().collect();
        let wanted: HashSet<PathBuf> = exact
            .iter()
            .filter_map(|file| file.parent())
            .filter(|directory| directory.is_dir())
            .map(Path::to_path_buf)
            .collect();
        for gone in self.directories.difference(&wanted) {
            let _ = self.watcher.unwatch(gone);
        }
        let new: Vec<&PathBuf> = wanted.difference(&self.directories).collect();
        for directory in new {
            watch_directory(&mut self.watcher, directory, RecursiveMode::NonRecursive);
        }
        for tree in &trees {
            watch_directory(&mut self.watcher, tree, RecursiveMode::Recursive);
        }
        self.directories = wanted;
        *self.files.lock() = Files { exact, trees };
    }

    /// Waits for the next change.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
        while tokio::time::timeout(SETTLE, self.changed.notified()).await.is_ok() {}
    }
}

fn watch_directory(watcher: &mut notify::RecommendedWatcher, directory: &Path, mode: RecursiveMode) {
    if let Err(error) = watcher.watch(directory, mode) {
        tracing::warn!(directory = %directory.display(), %error, "a directory cannot be watched");
    }
}

// === impl Files ===

impl Files {
    fn contains(&self, path: &Path) -> bool {
        self.exact.contains(path) || self.trees.iter().any(|tree| path.starts_with(tree))
    }
}
