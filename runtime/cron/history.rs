//! What became of the runs of one worker: the last hundred, and the last scheduled time of each trigger.
//!
//! With a file it outlives the process. The file is replaced by one rename, so a reader sees all of it or the one before.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

use crate::Skipped;
use crate::Trigger;

/// As many as the platform shows.
const RUNS: usize = 100;

/// The runs of one worker.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct History {
    /// The newest is the last.
    runs: VecDeque<Run>,
    /// By trigger.
    last: BTreeMap<String, i64>,
    #[serde(skip)]
    file: Option<PathBuf>,
    /// The triggers that the worker has; nothing else is remembered.
    #[serde(skip)]
    triggers: Vec<Trigger>,
}

/// One run, or one that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub cron: String,
    /// Milliseconds since 1970.
    pub scheduled: i64,
    /// When it began; for one that was left out, when that was found. Milliseconds since 1970.
    pub began: i64,
    #[serde(flatten)]
    pub outcome: RunOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum RunOutcome {
    Running,
    Ended {
        /// As in the log: `ok`, `exception`, `cpu_exceeded`, …
        outcome: String,
        /// Milliseconds.
        wall: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    Skipped {
        why: Skipped,
    },
}

// === impl History ===

impl History {
    /// The history that `file` keeps; empty if there is no such file.
    ///
    /// # Errors
    /// When it cannot be read, or holds something else.
    pub fn open(file: &Path) -> io::Result<Self> {
        let history = match std::fs::read(file) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::default(),
            Err(error) => return Err(error),
        };
        Ok(Self { file: Some(file.to_owned()), ..history })
    }

    /// The newest first.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter().rev()
    }

    /// The last scheduled time of a trigger that was run or left out.
    #[must_use]
    pub fn last(&self, trigger: &Trigger) -> Option<i64> {
        self.last.get(trigger.as_str()).copied()
    }

    /// # Errors
    /// When the file cannot be written; what it should have held is known all the same.
    pub fn add(&mut self, runs: impl IntoIterator<Item = Run>) -> io::Result<()> {
        for run in runs {
            let last = self.last.entry(run.cron.clone()).or_insert(run.scheduled);
            *last = run.scheduled.max(*last);
            self.runs.push_back(run);
        }
        self.runs.drain(..self.runs.len().saturating_sub(RUNS));
        self.write()
    }

    /// The run of `cron` for this time has ended.
    ///
    /// # Errors
    /// As for [`History::add`].
    pub fn end(&mut self, cron: &str, scheduled: i64, outcome: RunOutcome) -> io::Result<()> {
        let run = self.runs.iter_mut().rev().find(|run| run.cron == cron && run.scheduled == scheduled);
        if let Some(run) = run {
            run.outcome = outcome;
        }
        self.write()
    }

    /// Forgets triggers that the worker has no more: one that comes back later begins anew.
    pub fn keep(&mut self, triggers: &[Trigger]) {
        self.triggers = triggers.to_vec();
        self.last.retain(|cron, _| triggers.iter().any(|trigger| trigger.as_str() == cron));
    }

    /// Two processes may have the same file while one takes over from the other: what the other has written stays.
    fn write(&mut self) -> io::Result<()> {
        let Some(file) = self.file.clone() else { return Ok(()) };
        let lock = File::create(file.with_extension("lock"))?;
        lock.lock()?;
        self.merge(Self::open(&file)?);
        let staging = file.with_extension("new");
        std::fs::write(&staging, serde_json::to_vec(self)?)?;
        std::fs::rename(&staging, &file)
    }

    fn merge(&mut self, other: Self) {
        for run in other.runs {
            let known = self.runs.iter_mut().find(|own| own.cron == run.cron && own.scheduled == run.scheduled);
            match known {
                Some(own) if own.outcome == RunOutcome::Running => own.outcome = run.outcome,
                Some(_) => {}
                None => self.runs.push_back(run),
            }
        }
        self.runs.make_contiguous().sort_by_key(|run| run.began);
        self.runs.drain(..self.runs.len().saturating_sub(RUNS));
        let Self { last, triggers, .. } = self;
        for (cron, other) in other.last {
            if !triggers.iter().any(|trigger| trigger.as_str() == cron) {
                continue;
            }
            let own = last.entry(cron).or_insert(other);
            *own = other.max(*own);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(scheduled: i64) -> Run {
        Run { cron: "* * * * *".to_owned(), scheduled, began: scheduled + 3, outcome: RunOutcome::Running }
    }

    #[test]
    fn the_newest_hundred_are_kept_and_the_newest_is_first() {
        let mut history = History::default();
        for minute in 0..150 {
            history.add([run(minute)]).unwrap();
        }
        assert_eq!(history.runs().count(), RUNS);
        assert_eq!(history.runs().next().unwrap().scheduled, 149);
        assert_eq!(history.last(&Trigger::parse("* * * * *").unwrap()), Some(149));
    }

    #[test]
    fn a_file_keeps_it_for_the_next_process() {
        let directory = std::env::temp_dir().join(format!("holm-cron-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("worker.json");
        let trigger = Trigger::parse("* * * * *").unwrap();
        let mut history = History::open(&file).unwrap();
        history.keep(std::slice::from_ref(&trigger));
        let ended = RunOutcome::Ended { outcome: "ok".to_owned(), wall: 12, error: None };
        history.add([run(1)]).unwrap();
        history.end("* * * * *", 1, ended.clone()).unwrap();
        history.add([run(2)]).unwrap();
        history.add([Run { outcome: RunOutcome::Skipped { why: Skipped::Missed }, ..run(3) }]).unwrap();

        let mut after = History::open(&file).unwrap();
        after.keep(std::slice::from_ref(&trigger));
        assert_eq!(after.last(&trigger), Some(3));
        assert_eq!(after.runs().map(|run| run.scheduled).collect::<Vec<_>>(), [3, 2, 1]);
        assert_eq!(after.runs().nth(2).unwrap().outcome, ended);

        // The process before is still there, and ends its run.
        after.add([run(4)]).unwrap();
        history.end("* * * * *", 2, ended.clone()).unwrap();
        after.end("* * * * *", 4, ended.clone()).unwrap();
        let whole = History::open(&file).unwrap();
        assert_eq!(whole.runs().map(|run| run.scheduled).collect::<Vec<_>>(), [4, 3, 2, 1]);
        assert_eq!(whole.runs().filter(|run| run.outcome == ended).count(), 3);
        assert_eq!(whole.last(&trigger), Some(4));
        after.keep(&[]);
        assert_eq!(after.last(&trigger), None);
        after.add([Run { cron: "0 0 1 1 *".to_owned(), ..run(5) }]).unwrap();
        assert_eq!(after.last(&trigger), None);

        std::fs::write(&file, "{").unwrap();
        assert!(History::open(&file).is_err());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
