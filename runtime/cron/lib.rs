//! Cron triggers of workers: what an expression means, which runs are due, and what became of them.
//!
//! Nothing here waits, reads a clock or runs a worker: [`Schedule`] is told what time it is and answers what is due, so all of it
//! is tested without waiting. Times are milliseconds since 1970-01-01 UTC, as in `controller.scheduledTime`.

mod history;
mod schedule;
mod trigger;

pub use history::History;
pub use history::Run;
pub use history::RunOutcome;
pub use schedule::Due;
pub use schedule::Missed;
pub use schedule::Overlap;
pub use schedule::Policy;
pub use schedule::Schedule;
pub use schedule::Skipped;
pub use trigger::Trigger;
pub use trigger::TriggerError;
