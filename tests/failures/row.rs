//! One row of the table: a worker that fails, and everything that follows from it.

/// A failure, and what is expected of it.
pub struct Row {
    pub name: &'static str,
    pub worker: Worker,
    /// `limits` of the worker, as `holm.toml` has them, and the `[limits]` of the server.
    pub limits: &'static str,
    pub ceilings: &'static str,
    pub client: Client,
    /// In the line of the request, and the label of the counter.
    pub outcome: &'static str,
    /// Patterns of the line's `error` and `stack`. `None`: there is none.
    pub error: Option<&'static str>,
    pub stack: Option<&'static str>,
    /// Other lines of the request: level and pattern.
    pub lines: &'static [(&'static str, &'static str)],
    /// Patterns that nothing in the log may match.
    pub never: &'static [&'static str],
    pub isolate: Isolate,
    /// Another request is in flight in the same isolate when it happens, and finishes afterwards.
    pub beside: bool,
}

/// The worker of a row. Its `CANARY` must never reach a client.
pub enum Worker {
    /// The body of `async fail(request, env, ctx)`, the first line of which is line 2 of `fail.ts`.
    Handler(&'static str),
    /// The same, after this code in the global scope of `fail.ts`; the body is on the line after it and the function's.
    Prepared(&'static str, &'static str),
    /// A module of its own, `index.ts`.
    Module(&'static str),
}

/// What the client gets.
pub enum Client {
    /// An answer of Holm: status and code.
    Error(u16, &'static str),
    /// The same, with `retry-after`; a request that waits, and one that waits for it to end, are before it.
    SentAway(u16, &'static str),
    /// The worker's own answer, whole.
    Answer(&'static str),
    /// The worker's own answer begins like this, and breaks off.
    Cut(&'static str),
    /// The client leaves before the head, when the log matches this.
    Leaves(&'static str),
    /// The client leaves when this much of the body has come.
    LeavesMidway(&'static str),
}

/// What becomes of the isolate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolate {
    /// It serves the requests after it.
    GoesOn,
    /// They are served by another.
    Replaced,
    /// No isolate of this worker serves anything.
    Never,
}

/// A failure of the handler that harms nothing but its own request.
pub const ROW: Row = Row {
    name: "",
    worker: Worker::Module(""),
    limits: "",
    ceilings: "",
    client: Client::Error(500, "exception"),
    outcome: "exception",
    error: None,
    stack: None,
    lines: &[],
    never: &[],
    isolate: Isolate::GoesOn,
    beside: true,
};
