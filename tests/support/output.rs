//! What a child process has written so far, and waiting for what it will write.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::time::Instant;

use regex::Regex;

use super::DEADLINE;

/// Both output streams of a process, line by line in the order in which they came.
#[derive(Clone, Default)]
pub struct Output {
    shared: Arc<(Mutex<Written>, Condvar)>,
}

#[derive(Default)]
struct Written {
    text: String,
    open_streams: usize,
}

/// A place in the output: what was written before it does not count.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mark(usize);

// === impl Output ===

impl Output {
    /// Reads a stream to its end, on a thread of its own.
    pub fn follow(&self, stream: impl Read + Send + 'static) {
        self.shared.0.lock().unwrap().open_streams += 1;
        let output = self.clone();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                output.write(|written| written.text.push_str(&String::from_utf8_lossy(&line)));
                line.clear();
            }
            output.write(|written| written.open_streams -= 1);
        });
    }

    fn write(&self, change: impl FnOnce(&mut Written)) {
        change(&mut self.shared.0.lock().unwrap());
        self.shared.1.notify_all();
    }

    /// The end of what is written by now.
    pub fn mark(&self) -> Mark {
        Mark(self.shared.0.lock().unwrap().text.len())
    }

    /// Everything after `mark`.
    pub fn since(&self, mark: Mark) -> String {
        self.shared.0.lock().unwrap().text[mark.0..].to_owned()
    }

    /// Everything.
    pub fn text(&self) -> String {
        self.since(Mark::default())
    }

    /// Waits until the output matches; answers the first capture, or the whole match where the pattern has none.
    pub fn wait_for(&self, pattern: &str) -> String {
        self.wait_since(Mark::default(), pattern)
    }

    /// Waits until what was written after `mark` matches. `^` and `$` are the ends of a line.
    pub fn wait_since(&self, mark: Mark, pattern: &str) -> String {
        self.try_wait(mark, pattern).unwrap_or_else(|| panic!("no output matches /{pattern}/:\n{}", self.since(mark)))
    }

    /// `None` when the process ended, or the deadline passed, without a match.
    pub fn try_wait(&self, mark: Mark, pattern: &str) -> Option<String> {
        let regex = Regex::new(&format!("(?m){pattern}")).unwrap_or_else(|error| panic!("{error}"));
        let until = Instant::now() + DEADLINE;
        let (lock, changed) = &*self.shared;
        let mut written = lock.lock().unwrap();
        loop {
            if let Some(found) = regex.captures(&written.text[mark.0..]) {
                return Some(found.get(1).unwrap_or_else(|| found.get_match()).as_str().to_owned());
            }
            let left = until.saturating_duration_since(Instant::now());
            if written.open_streams == 0 || left.is_zero() {
                return None;
            }
            written = changed.wait_timeout(written, left).unwrap().0;
        }
    }

    /// Waits until the process has closed its output.
    pub fn wait_for_end(&self) -> String {
        let (lock, changed) = &*self.shared;
        let written = lock.lock().unwrap();
        let (written, timeout) =
            changed.wait_timeout_while(written, DEADLINE, |written| written.open_streams > 0).unwrap();
        assert!(!timeout.timed_out(), "the process goes on:\n{}", written.text);
        written.text.clone()
    }
}
