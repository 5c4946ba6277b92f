//! The usage ledger: an append-only file of what each worker has used, for an operator to bill from.
//!
//! One line of JSON for each worker that used something in an interval:
//!
//! ```json
//! {"v":1,"boot":"65a1…","seq":7,"start":"2026-08-01T12:00:00.000Z","end":"2026-08-01T12:01:00.000Z","tenant":"acme",
//!  "worker":"shop","requests":3,"cpu_us":1200,"wall_ms":35,"bytes_in":0,"bytes_out":5120,"subrequests":2}
//! ```
//!
//! The numbers are what came in the interval, so a bill is a sum over lines. `boot` is the process, `seq` counts its lines. A
//! batch that could not be written whole is written again, with the same `seq`: a reader takes the first line of each
//! (`boot`, `seq`) and skips what is no JSON (the torn end of a disk that was full).
//!
//! Written by a thread of its own, with an `fsync` for each batch; the data path only counts. While the file cannot be
//! written, one batch is held back and the counters go on, so nothing is lost while the process lives. The file may be renamed
//! at any time: the next batch begins a new one. Several processes may write to one file.

use std::fmt::Write as _;
use std::fs::File;
use std::fs::OpenOptions;
use std::hash::BuildHasher;
use std::hash::RandomState;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use parking_lot::Condvar;
use parking_lot::Mutex;
use time::OffsetDateTime;

use crate::Counter;
use crate::Gauge;
use crate::Registry;
use crate::stats::Recorded;

/// Where the ledger is, and how often it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerOptions {
    pub path: PathBuf,
    pub interval: Duration,
    /// A file that has grown to this is renamed to `PATH.TIME-BOOT-SEQ`, and a new one begun.
    pub rotate_bytes: u64,
}

/// What `/metrics` tells of it.
#[derive(Debug, Default)]
pub struct LedgerHealth {
    pub lines: Counter,
    pub failures: Counter,
    /// 1 while a batch is held back because the file cannot be written.
    pub held_back: Gauge,
}

/// The thread that writes the ledger; [`UsageLedger::stop`] writes what is left.
#[derive(Debug)]
pub struct UsageLedger {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    wish: Mutex<Wish>,
    changed: Condvar,
    health: LedgerHealth,
}

/// What the thread is to do before its interval is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wish {
    #[default]
    Nothing,
    Flush,
    Stop,
}

// === impl UsageLedger ===

impl UsageLedger {
    /// Opens the file and starts the thread, which holds `held` as long as it lives.
    ///
    /// # Errors
    /// When the file cannot be opened for writing, or the system refuses the thread.
    pub fn start(options: LedgerOptions, registry: Arc<Registry>, held: impl Send + 'static) -> io::Result<Self> {
        let interval = options.interval;
        let mut book = Book::new(options, registry);
        book.open()?;
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("ledger".to_owned()).spawn(move || {
            let _held = held;
            of_thread.run(book, interval);
        })?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Writes at once, as after SIGHUP.
    pub fn flush(&self) {
        self.shared.wish(Wish::Flush);
    }

    /// Writes what is left and ends the thread. Blocks on the file system.
    pub fn stop(&self) {
        self.shared.wish(Wish::Stop);
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }

    #[must_use]
    pub fn health(&self) -> &LedgerHealth {
        &self.shared.health
    }
}

impl Drop for UsageLedger {
    fn drop(&mut self) {
        self.stop();
    }
}

// === impl Shared ===

impl Shared {
    fn wish(&self, wish: Wish) {
        let mut current = self.wish.lock();
        if *current != Wish::Stop {
            *current = wish;
        }
        self.changed.notify_one();
    }

    fn run(&self, mut book: Book, interval: Duration) {
        loop {
            let until = Instant::now() + interval;
            let wish = {
                let mut wish = self.wish.lock();
                while *wish == Wish::Nothing && !self.changed.wait_until(&mut wish, until).timed_out() {}
                let current = *wish;
                if current == Wish::Flush {
                    *wish = Wish::Nothing;
                }
                current
            };
            self.write(&mut book);
            if wish == Wish::Stop {
                return;
            }
        }
    }

    fn write(&self, book: &mut Book) {
        let was_held_back = self.health.held_back.get() == 1;
        match book.write() {
            Ok(lines) => {
                self.health.lines.add(lines);
                self.health.held_back.set(0);
                if was_held_back {
                    tracing::info!(path = %book.options.path.display(), "the usage ledger can be written again");
                }
            }
            Err(error) => {
                self.health.failures.increment();
                self.health.held_back.set(1);
                if !was_held_back {
                    tracing::error!(
                        path = %book.options.path.display(),
                        %error,
                        "the usage ledger cannot be written; usage is counted on and written later: make room on the disk"
                    );
                }
            }
        }
    }
}

/// The file and what is to go into it.
struct Book {
    options: LedgerOptions,
    registry: Arc<Registry>,
    boot: String,
    sequence: u64,
    /// Up to when usage was collected.
    since: OffsetDateTime,
    file: Option<File>,
    /// Lines that are not on the disk yet. They stay as they are until they have been written whole.
    batch: String,
    batch_lines: u64,
}

// === impl Book ===

impl Book {
    fn new(options: LedgerOptions, registry: Arc<Registry>) -> Self {
        let boot = RandomState::new().hash_one((std::process::id(), std::time::SystemTime::now()));
        Self {
            options,
            registry,
            boot: format!("{boot:016x}"),
            sequence: 0,
            since: OffsetDateTime::now_utc(),
            file: None,
            batch: String::new(),
            batch_lines: 0,
        }
    }

    /// Writes what was held back, then what came since; answers how many lines.
    fn write(&mut self) -> io::Result<u64> {
        let held_back = self.put_down()?;
        self.collect();
        let new = self.put_down()?;
        self.registry.sweep(Recorded::InLedger);
        Ok(held_back + new)
    }

    /// Makes a batch of what was used since the last one.
    fn collect(&mut self) {
        let (start, end) = (self.since, OffsetDateTime::now_utc());
        for stats in self.registry.all() {
            let delta = stats.take_delta();
            if delta.is_zero() {
                continue;
            }
            self.sequence += 1;
            let line = serde_json::json!({
                "v": 1,
                "boot": self.boot,
                "seq": self.sequence,
                "start": timestamp(start),
                "end": timestamp(end),
                "tenant": stats.tenant,
                "worker": stats.worker,
                "requests": delta.requests,
                "cpu_us": delta.cpu_us,
                "wall_ms": delta.wall_ms,
                "bytes_in": delta.bytes_in,
                "bytes_out": delta.bytes_out,
                "subrequests": delta.subrequests,
            });
            let _ = writeln!(self.batch, "{line}");
            self.batch_lines += 1;
        }
        self.since = end;
    }

    fn put_down(&mut self) -> io::Result<u64> {
        if self.batch.is_empty() {
            return Ok(0);
        }
        let written = self.append();
        if written.is_err() {
            // The next try looks at the end of the file, or at another file.
            self.file = None;
        }
        written?;
        self.batch.clear();
        Ok(std::mem::take(&mut self.batch_lines))
    }

    fn append(&mut self) -> io::Result<()> {
        self.open()?;
        let Some(file) = &mut self.file else { return Err(io::ErrorKind::NotFound.into()) };
        file.write_all(self.batch.as_bytes())?;
        file.sync_data()?;
        // What is written is written: a file that cannot be renamed grows on, and one that another process has renamed is done.
        if file.metadata()?.len() >= self.options.rotate_bytes
            && is_at(file, &self.options.path)?
            && let Err(error) = self.rotate()
        {
            tracing::warn!(path = %self.options.path.display(), %error, "the usage ledger cannot be rotated");
        }
        Ok(())
    }

    /// Makes sure that `file` is the one at the path, and ends with a whole line.
    fn open(&mut self) -> io::Result<()> {
        let path = &self.options.path;
        if let Some(file) = &self.file {
            if is_at(file, path)? {
                return Ok(());
            }
            self.file = None;
        }
        let mut file = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(path)?;
        if is_torn(&mut file)? {
            file.write_all(b"\n")?;
        }
        sync_directory(path)?;
        self.file = Some(file);
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let path = &self.options.path;
        let time = timestamp(OffsetDateTime::now_utc()).replace([':', '-'], "");
        let mut kept = path.clone().into_os_string();
        kept.push(format!(".{time}-{}-{}", self.boot, self.sequence));
        self.file = None;
        std::fs::rename(path, kept)?;
        sync_directory(path)
    }
}

/// Whether this file is the one that stands there now.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let (own, there) = (file.metadata()?, std::fs::metadata(path).ok());
    Ok(there.is_some_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino())))
}

/// Whether the file ends in the middle of a line.
fn is_torn(file: &mut File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// A new name is on the disk once its directory is.
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

/// `2026-08-01T12:00:00.000Z`.
fn timestamp(time: OffsetDateTime) -> String {
    const FORMAT: &[time::format_description::BorrowedFormatItem<'_>] =
        time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    time.format(FORMAT).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// A directory that is gone with the test.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("holm-ledger-{}-{name}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn book(&self, registry: &Arc<Registry>, rotate_bytes: u64) -> Book {
            let options =
                LedgerOptions { path: self.0.join("usage.jsonl"), interval: Duration::from_secs(3600), rotate_bytes };
            Book::new(options, Arc::clone(registry))
        }

        /// All lines of all files, each (`boot`, `seq`) once.
        fn lines(&self) -> Vec<serde_json::Value> {
            let mut seen = HashSet::new();
            let mut lines = Vec::new();
            let mut files: Vec<_> = std::fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path()).collect();
            files.sort();
            for file in files {
                let text = std::fs::read_to_string(file).unwrap();
                let records = text.lines().filter_map(|line| serde_json::from_str(line).ok());
                lines.extend(records.filter(|record: &serde_json::Value| {
                    seen.insert((record["boot"].to_string(), record["seq"].to_string()))
                }));
            }
            lines
        }

        fn requests(&self) -> u64 {
            self.lines().iter().map(|line| line["requests"].as_u64().unwrap()).sum()
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn registry() -> Arc<Registry> {
        Registry::new(&["ok"])
    }

    #[test]
    fn lines_hold_what_came_since_the_last_ones_and_add_up() {
        let directory = Directory::new("deltas");
        let registry = registry();
        let mut book = directory.book(&registry, u64::MAX);
        let (shop, blog) = (registry.worker("acme", "shop"), registry.worker("acme", "blog"));
        for round in 1..=3 {
            shop.requests.increment(0);
            shop.cpu_ns.add(1_999);
            if round == 2 {
                blog.bytes_out.add(7);
            }
            book.write().unwrap();
        }
        assert_eq!(book.write().unwrap(), 0, "nothing new is no line");
        let lines = directory.lines();
        let of = |worker: &str| lines.iter().filter(|line| line["worker"] == worker).cloned().collect::<Vec<_>>();
        assert_eq!(of("shop").len(), 3);
        assert_eq!(of("shop").iter().map(|line| line["cpu_us"].as_u64().unwrap()).sum::<u64>(), 5);
        assert_eq!(of("blog")[0]["bytes_out"], 7);
        let sequence: Vec<_> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
        assert_eq!(sequence, [1, 2, 3, 4]);
        assert_eq!(lines[1]["start"], lines[0]["end"]);
    }

    #[test]
    fn nothing_is_lost_while_the_disk_is_full() {
        let directory = Directory::new("full");
        let registry = registry();
        let mut book = directory.book(&registry, u64::MAX);
        let path = book.options.path.clone();
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let stats = registry.worker("t", "w");
        for _ in 0..3 {
            stats.requests.increment(0);
            assert_eq!(book.write().unwrap_err().kind(), io::ErrorKind::StorageFull);
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(book.write().unwrap(), 2, "the batch that was held back, and the rest");
        assert_eq!(directory.requests(), 3);
    }

    #[test]
    fn a_torn_line_is_closed_and_skipped() {
        let directory = Directory::new("torn");
        let registry = registry();
        let mut book = directory.book(&registry, u64::MAX);
        std::fs::write(&book.options.path, "{\"v\":1,\"requests\":9").unwrap();
        registry.worker("t", "w").requests.increment(0);
        book.write().unwrap();
        assert_eq!(directory.requests(), 1);
    }

    #[test]
    fn a_file_that_is_renamed_or_full_is_followed_by_a_new_one() {
        let directory = Directory::new("rotation");
        let registry = registry();
        let mut book = directory.book(&registry, u64::MAX);
        let stats = registry.worker("t", "w");
        stats.requests.increment(0);
        book.write().unwrap();
        std::fs::rename(&book.options.path, directory.0.join("usage.1")).unwrap();
        stats.requests.increment(0);
        book.write().unwrap();
        assert!(book.options.path.exists());
        book.options.rotate_bytes = 1;
        stats.requests.increment(0);
        book.write().unwrap();
        assert!(!book.options.path.exists(), "it was renamed");
        stats.requests.increment(0);
        book.write().unwrap();
        assert_eq!(std::fs::read_dir(&directory.0).unwrap().count(), 3);
        assert_eq!(directory.requests(), 4);
    }

    #[test]
    fn several_processes_share_one_file() {
        let directory = Directory::new("shared");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let registry = registry();
                    let mut book = directory.book(&registry, 2_000);
                    for _ in 0..50 {
                        registry.worker("t", "w").requests.increment(0);
                        book.write().unwrap();
                    }
                });
            }
        });
        assert_eq!(directory.requests(), 200);
        assert!(std::fs::read_dir(&directory.0).unwrap().count() > 5, "it was rotated");
    }

    #[test]
    fn the_end_writes_what_is_left() {
        let directory = Directory::new("end");
        let registry = registry();
        let options = directory.book(&registry, u64::MAX).options;
        let ledger = UsageLedger::start(options, Arc::clone(&registry), ()).unwrap();
        registry.worker("t", "w").requests.increment(0);
        ledger.stop();
        assert_eq!(directory.requests(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_an_error_at_the_start() {
        let directory = Directory::new("nowhere");
        let mut options = directory.book(&registry(), u64::MAX).options;
        options.path = directory.0.join("no/such/directory/usage.jsonl");
        assert!(UsageLedger::start(options, registry(), ()).is_err());
    }
}
