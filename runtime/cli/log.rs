//! The log of a server: lines on the standard error stream, written by a thread of their own.
//!
//! Whoever reads the log may be slow or gone; the data path must not notice. So a line is put into a queue that is bounded
//! in bytes, and dropped, and counted, where the queue is full or the stream is closed.

use std::io;
use std::io::IsTerminal;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use holm_isolate::AbortOnUnwind;
use holm_metrics::Counter;
use rustix::fs::FlockOperation;
use rustix::fs::fcntl_lock;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Bytes of lines that may wait for the reader of the log.
const QUEUE_BYTES: usize = 8 << 20;
/// Lines are written together up to about this many bytes.
const WRITE_BYTES: usize = 64 << 10;
/// How long the end of the process waits for the last lines to be read.
const PARTING: Duration = Duration::from_secs(1);
/// Between two tries where the stream does not block by itself.
const RETRY: Duration = Duration::from_millis(10);

/// Lines that were lost since the process began.
pub(super) static DROPPED_LINES: Counter = Counter::new();

static QUEUE: OnceLock<Queue> = OnceLock::new();

/// In which form the lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Json,
}

/// Keeps the log going; dropped, it waits a moment for the last lines to be read.
pub(super) struct Log(());

struct Queue {
    lines: mpsc::Sender<Entry>,
    bytes: AtomicUsize,
}

enum Entry {
    Line(Vec<u8>),
    /// Everything before it has been written.
    Mark(mpsc::Sender<()>),
}

/// Name lookups are the tenants' doing: what a name server of theirs answers is not the operator's to read.
const DEFAULT_FILTER: &str = "info,hickory_net=error,hickory_proto=error,hickory_resolver=error";

/// Sends the process's records to the standard error stream, filtered by `HOLM_LOG` and as `HOLM_LOG_FORMAT` says.
pub(super) fn to_stderr() -> Log {
    let filter = EnvFilter::try_from_env("HOLM_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Writer);
    start();
    if format() == Format::Json {
        builder.json().flatten_event(true).init();
    } else {
        builder.with_ansi(io::stderr().is_terminal()).init();
    }
    record_panics();
    Log(())
}

/// A panic is an error in the log, too: what is printed anyway is for nobody who reads records.
fn record_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        let (thread, at) = (std::thread::current(), panic.location());
        let at = at.map(tracing::field::display);
        tracing::error!(thread = thread.name(), at, "panicked: {}", panic.payload_as_str().unwrap_or_default());
    }));
}

pub(super) fn format() -> Format {
    static FORMAT: OnceLock<Format> = OnceLock::new();
    *FORMAT.get_or_init(|| match std::env::var("HOLM_LOG_FORMAT") {
        Ok(format) if format == "json" => Format::Json,
        _ => Format::Text,
    })
}

/// Tells the operator something that is no record, in the same stream.
pub(super) fn tell(text: &str) {
    put(format!("{text}\n").into_bytes());
}

fn start() {
    let (sender, entries) = mpsc::channel();
    let queue = Queue { lines: sender, bytes: AtomicUsize::new(0) };
    if QUEUE.set(queue).is_ok()
        && let Err(error) = std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            let _no_process_without_it = AbortOnUnwind;
            write_all(&entries);
        })
    {
        let _ = writeln!(io::stderr(), "error: the log has no thread: {error}");
    }
}

fn put(line: Vec<u8>) {
    let Some(queue) = QUEUE.get() else {
        let _ = io::stderr().write_all(&line);
        return;
    };
    let size = line.len();
    let waiting = queue.bytes.fetch_add(size, Ordering::Relaxed);
    if waiting + size > QUEUE_BYTES || queue.lines.send(Entry::Line(line)).is_err() {
        queue.bytes.fetch_sub(size, Ordering::Relaxed);
        DROPPED_LINES.increment();
    }
}

/// The thread's whole life.
fn write_all(entries: &mpsc::Receiver<Entry>) {
    let mut together = Vec::with_capacity(WRITE_BYTES);
    while let Ok(first) = entries.recv() {
        let mut lines = 0;
        let mut next = Some(first);
        let mut mark = None;
        while let Some(entry) = next.take() {
            match entry {
                Entry::Line(line) => {
                    together.extend_from_slice(&line);
                    lines += 1;
                }
                Entry::Mark(sender) => mark = Some(sender),
            }
            if mark.is_none() && together.len() < WRITE_BYTES {
                next = entries.try_recv().ok();
            }
        }
        if write(&together).is_err() {
            DROPPED_LINES.add(lines);
        }
        if let Some(queue) = QUEUE.get() {
            queue.bytes.fetch_sub(together.len(), Ordering::Relaxed);
        }
        together.clear();
        if let Some(mark) = mark {
            let _ = mark.send(());
        }
    }
}

/// A closed stream is an error (the signal for it is ignored), a full one waits here. The processes of a server take turns:
/// a pipe keeps only short writes in one piece, and half a line could be made to look like a line of its own.
fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stream = io::stderr().lock();
    // Where the stream knows no locks, lines can mix as those of any two programs.
    let locked = fcntl_lock(&stream, FlockOperation::LockExclusive).is_ok();
    let written = write_alone(&mut stream, bytes);
    if locked {
        let _ = fcntl_lock(&stream, FlockOperation::Unlock);
    }
    written
}

fn write_alone(stream: &mut io::StderrLock<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(RETRY),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What the subscriber writes a record with: always one whole line.
#[derive(Clone, Copy, Debug)]
struct Writer;

// === impl Writer ===

impl Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        put(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Writer {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

// === impl Log ===

impl Drop for Log {
    fn drop(&mut self) {
        let (sender, written) = mpsc::channel();
        if let Some(queue) = QUEUE.get()
            && queue.lines.send(Entry::Mark(sender)).is_ok()
        {
            let _ = written.recv_timeout(PARTING);
        }
    }
}
