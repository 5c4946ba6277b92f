//! The one place that picks a status code: for each way an invocation can end, and for each thing the front itself refuses.

use std::borrow::Cow;

use holm_isolate::Failure;
use holm_isolate::Outcome;
use http::StatusCode;

use crate::authority::InvalidTarget;
use crate::workers::Unrouted;

/// What the front does not let through to a worker. The client's fault, each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    BadRequest(Cow<'static, str>),
    UnknownHost,
    HostNotAllowed,
    Misdirected,
    ExpectationFailed,
    LoopLimit,
    BodyTooLarge,
    HeadersTooLarge,
    UriTooLong,
    Timeout,
}

/// Why a request gets an error answer.
#[derive(Clone, Debug)]
pub(crate) enum Problem {
    Refused(Refusal),
    Failed(Failure),
}

/// What is told of a problem to anyone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) status: StatusCode,
    /// Stable; in the `x-holm-error` header, in logs and metrics.
    pub(crate) code: &'static str,
    pub(crate) explanation: Cow<'static, str>,
    /// Seconds for `retry-after`, where trying again may help.
    pub(crate) retry_after: Option<u32>,
}

/// The client has closed the connection: nobody reads this, but the answer needs a status.
const CLIENT_CLOSED_REQUEST: u16 = 499;

// === impl Problem ===

impl Problem {
    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Self::Refused(refusal) => refusal.verdict(),
            Self::Failed(failure) => verdict_of(failure.outcome),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Unrouted> for Problem {
    fn from(unrouted: Unrouted) -> Self {
        Self::Refused(match unrouted {
            Unrouted::Unknown => Refusal::UnknownHost,
            Unrouted::HostNotAllowed => Refusal::HostNotAllowed,
        })
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<InvalidTarget> for Problem {
    fn from(invalid: InvalidTarget) -> Self {
        Self::Refused(Refusal::BadRequest(invalid.to_string().into()))
    }
}

// === impl Refusal ===

impl Refusal {
    /// All codes of refusals, for metrics.
    pub(crate) const CODES: &[&str] = &[
        "bad_request",
        "unknown_host",
        "host_not_allowed",
        "misdirected",
        "expectation_failed",
        "loop_limit",
        "body_too_large",
        "headers_too_large",
        "uri_too_long",
        "timeout",
    ];

    /// Whoever framed or named the request so may mean something else by what follows it: with HTTP/1, nothing may.
    pub(crate) const fn ends_connection(&self) -> bool {
        matches!(self, Self::BadRequest(_) | Self::HeadersTooLarge | Self::UriTooLong | Self::Timeout)
    }

    pub(crate) fn code(&self) -> &'static str {
        self.verdict().code
    }

    fn verdict(&self) -> Verdict {
        let (status, code, explanation) = match self {
            Self::BadRequest(what) => (StatusCode::BAD_REQUEST, "bad_request", what.clone()),
            Self::UnknownHost => (StatusCode::NOT_FOUND, "unknown_host", "No worker serves this address.".into()),
            Self::HostNotAllowed => (
                StatusCode::FORBIDDEN,
                "host_not_allowed",
                "This server does not answer to the host name of the request. To allow it: holm dev --allow-host NAME"
                    .into(),
            ),
            Self::Misdirected => {
                (StatusCode::MISDIRECTED_REQUEST, "misdirected", "This connection was opened for another host.".into())
            }
            Self::ExpectationFailed => (
                StatusCode::EXPECTATION_FAILED,
                "expectation_failed",
                "The only expectation that can be met is 100-continue.".into(),
            ),
            Self::LoopLimit => (
                StatusCode::LOOP_DETECTED,
                "loop_limit",
                "The request has come back to this server too many times.".into(),
            ),
            Self::BodyTooLarge => {
                (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "The body of the request is too large.".into())
            }
            Self::HeadersTooLarge => (
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers_too_large",
                "The headers of the request are too many or too large.".into(),
            ),
            Self::UriTooLong => {
                (StatusCode::URI_TOO_LONG, "uri_too_long", "The address of the request is too long.".into())
            }
            Self::Timeout => {
                (StatusCode::REQUEST_TIMEOUT, "timeout", "The body of the request did not arrive in time.".into())
            }
        };
        Verdict { status, code, explanation, retry_after: None }
    }
}

/// The answer to a fetch event that ended with `outcome` before it had an answer of its own.
fn verdict_of(outcome: Outcome) -> Verdict {
    let (status, explanation) = match outcome {
        Outcome::Exception => (StatusCode::INTERNAL_SERVER_ERROR, "The worker threw an exception."),
        Outcome::NoHandler => (StatusCode::INTERNAL_SERVER_ERROR, "The worker does not handle requests."),
        Outcome::CpuExceeded => (StatusCode::SERVICE_UNAVAILABLE, "The worker exceeded its CPU time limit."),
        Outcome::MemoryExceeded => (StatusCode::SERVICE_UNAVAILABLE, "The worker exceeded its memory limit."),
        Outcome::WallExceeded => (StatusCode::GATEWAY_TIMEOUT, "The worker did not answer in time."),
        Outcome::Hung => (StatusCode::INTERNAL_SERVER_ERROR, "The worker would never have answered."),
        Outcome::StartupFailed => (StatusCode::INTERNAL_SERVER_ERROR, "The worker could not be started."),
        Outcome::StartupExceeded => {
            (StatusCode::INTERNAL_SERVER_ERROR, "The worker exceeded its CPU time limit while it started.")
        }
        Outcome::IsolateReset => {
            (StatusCode::SERVICE_UNAVAILABLE, "The worker was restarted while it handled the request.")
        }
        Outcome::WorkerCrashed => (StatusCode::SERVICE_UNAVAILABLE, "The worker crashed; try again in a moment."),
        Outcome::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "Too many requests at once; try again in a moment."),
        Outcome::ClientGone => {
            let status = StatusCode::from_u16(CLIENT_CLOSED_REQUEST).unwrap_or(StatusCode::BAD_REQUEST);
            (status, "The client closed the connection.")
        }
        // An invocation that ended well has an answer; one without is the host's mistake.
        Outcome::Ok | Outcome::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "The server failed."),
    };
    let code = if outcome == Outcome::Ok { Outcome::Internal.code() } else { outcome.code() };
    let retry_after =
        matches!(outcome, Outcome::Overloaded | Outcome::IsolateReset | Outcome::WorkerCrashed).then_some(1);
    Verdict { status, code, explanation: explanation.into(), retry_after }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_have_the_status_codes_of_the_wire_error_table() {
        let table = [
            (Outcome::Exception, 500, "exception"),
            (Outcome::NoHandler, 500, "no_handler"),
            (Outcome::CpuExceeded, 503, "cpu_exceeded"),
            (Outcome::MemoryExceeded, 503, "memory_exceeded"),
            (Outcome::WallExceeded, 504, "wall_exceeded"),
            (Outcome::Hung, 500, "hung"),
            (Outcome::StartupFailed, 500, "startup_failed"),
            (Outcome::StartupExceeded, 500, "startup_exceeded"),
            (Outcome::IsolateReset, 503, "isolate_reset"),
            (Outcome::WorkerCrashed, 503, "worker_crashed"),
            (Outcome::Overloaded, 503, "overloaded"),
            (Outcome::Internal, 500, "internal"),
            (Outcome::ClientGone, 499, "client_gone"),
            (Outcome::Ok, 500, "internal"),
        ];
        for (outcome, status, code) in table {
            let verdict = verdict_of(outcome);
            assert_eq!((verdict.status.as_u16(), verdict.code), (status, code), "{outcome:?}");
            let again = matches!(outcome, Outcome::Overloaded | Outcome::IsolateReset | Outcome::WorkerCrashed);
            assert_eq!(verdict.retry_after.is_some(), again);
        }
    }
}
