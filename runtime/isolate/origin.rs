//! What stands behind a worker: it answers the requests that the worker failed at after `ctx.passThroughOnException()`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::Response;

use crate::Body;
use crate::Failure;
use crate::FetchRequest;
use crate::Level;
use crate::LogRecord;
use crate::PassedThrough;
use crate::WorkerCode;

/// A future that the front runtime drives. Dropping it gives the request up.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, String>> + Send + 'static>>;

/// The server that a worker stands in front of.
pub trait Origin: Send + Sync + 'static {
    /// Answers `request`, which is as the client sent it. An error is a text for the worker's log.
    fn answer(&self, request: FetchRequest) -> Answering;
}

// === impl WorkerCode ===

impl WorkerCode {
    /// Lets the origin answer in the worker's place.
    ///
    /// # Errors
    /// The worker's own failure, when there is no origin or it does not answer.
    pub async fn pass_through(&self, passed: PassedThrough) -> Result<Response<Body>, Failure> {
        let PassedThrough { request, failure } = passed;
        let Some(origin) = &self.origin else { return Err(failure) };
        let ticket = Arc::clone(&request.ticket);
        match origin.answer(request).await {
            Ok(response) => {
                ticket.pass_through();
                Ok(response)
            }
            Err(why) => {
                self.observer.log(&LogRecord {
                    level: Level::Warn,
                    invocation: 0,
                    request_id: Some(ticket.request_id),
                    text: &format!("passThroughOnException(): the origin did not answer: {why}"),
                });
                Err(failure)
            }
        }
    }
}
