//! One V8 isolate, turn by turn.
//!
//! An isolate runs one worker version on one thread. Its loop ([`IsolateHandle`] starts it) takes one thing at a time, an
//! event, a finished operation or a timer, and enters a turn for the invocation that owns it; see `turn.rs`. The ops of the
//! APIs reach the isolate's shared [`State`]; what an isolate tells goes to its worker's [`Observer`].

mod ambient;
mod body;
mod cpu;
mod engine;
mod handle;
mod hooks;
mod invocation;
mod ledger;
mod limits;
mod message;
mod modules;
mod observe;
mod outcome;
mod run;
mod stack;
mod startup;
mod state;
mod timers;
mod turn;
mod watchdog;
mod worker;
mod written;

pub use ambient::AmbientWaker;
pub use body::Body;
pub use body::BodyError;
pub use body::BodyStream;
pub use cpu::thread_cpu_ns;
pub use engine::Engine;
pub use handle::Given;
pub use handle::IsolateHandle;
pub use handle::IsolateOptions;
pub use handle::Status;
pub use ledger::Ledger;
pub use limits::Limits;
pub use message::FetchRequest;
pub use message::Settle;
pub use message::Settled;
pub use observe::InvocationRecord;
pub use observe::Level;
pub use observe::LogRecord;
pub use observe::Observer;
pub use outcome::Failure;
pub use outcome::Outcome;
pub use state::BodyWriter;
pub use state::Owner;
pub use state::SettledHere;
pub use state::State;
pub use state::StateError;
pub use turn::describe;
pub use watchdog::Watchdog;
pub use worker::Source;
pub use worker::SourceKind;
pub use worker::WorkerCode;
pub use worker::WorkerParts;
