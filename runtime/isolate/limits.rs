//! What one isolate and its invocations may use. The numbers come from the configuration; nothing here is unlimited.

use std::time::Duration;

/// The limits of one worker, as its isolates enforce them.
#[derive(Clone, Debug)]
pub struct Limits {
    /// CPU time of one invocation, over all of its turns.
    pub cpu: Duration,
    /// CPU time of compiling and evaluating the worker's modules.
    pub startup_cpu: Duration,
    /// Wall time from dispatch to the head of the answer.
    pub wall: Duration,
    /// In place of `cpu` and `wall`, for a scheduled event.
    pub scheduled_cpu: Duration,
    pub scheduled_wall: Duration,
    /// How long `ctx.waitUntil` work may go on once the answer is complete or the client has gone.
    pub wait_until: Duration,
    /// Exchanges with the world that one invocation may start.
    pub subrequests: u32,
    /// Of those, how many may wait for the head of their response at once; more are queued.
    pub open_connections: u32,
    /// The V8 heap, ArrayBuffers, WebAssembly memory and what Rust holds for one isolate, in bytes.
    pub memory: usize,
    /// Timers one invocation may have pending.
    pub timers: u32,
    /// Operations one invocation may have in flight.
    pub operations: u32,
    /// Names and values of all headers of an answer, in bytes on the wire.
    pub answer_header_bytes: usize,
    /// Bytes of console output that one invocation may write before the rest is dropped.
    pub log_bytes: usize,
}

/// CPU time of a turn that no invocation owns (promise plumbing of the engine, finalizers).
pub(crate) const AMBIENT_CPU: Duration = Duration::from_millis(10);
/// Chunks of a body that JavaScript writes, between the isolate and the connection.
pub(crate) const BODY_CHUNKS: usize = 8;
/// Added to the heap limit once it is reached, so that the engine can unwind instead of ending the process: one allocation
/// larger than what is left to the limit is fatal to it.
pub(crate) const HEAP_GRACE: usize = 512 << 20;
/// CPU time of turns after which the isolate's memory is measured.
pub(crate) const MEASURE_AFTER: Duration = Duration::from_millis(1);
/// What a body's entry and its channel take, in bytes, beside what is in it.
pub(crate) const BODY_BYTES: usize = 1 << 10;
/// Resizable ArrayBuffers, WebAssembly memories and instances that are alive in one isolate. Each is a mapping of the process,
/// of which Linux allows 65,530.
pub(crate) const RESERVATIONS: usize = 2_000;
/// Rejections of one turn that are told of; there is no word of more.
pub(crate) const REJECTIONS: usize = 10_000;
/// Rounds of `unhandledrejection` handlers in one turn.
pub(crate) const REJECTION_ROUNDS: usize = 16;

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu: Duration::from_millis(50),
            startup_cpu: Duration::from_secs(1),
            wall: Duration::from_secs(30),
            scheduled_cpu: Duration::from_secs(30),
            scheduled_wall: Duration::from_secs(900),
            wait_until: Duration::from_secs(30),
            subrequests: 50,
            open_connections: 6,
            memory: 128 << 20,
            timers: 10_000,
            operations: 1_000,
            answer_header_bytes: 128 << 10,
            log_bytes: 256 << 10,
        }
    }
}
