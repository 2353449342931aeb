//! A look at every call that the SDK makes.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;

/// The calls made so far, in their order: `GetItem`, `PUT object` …
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<Vec<String>>>);

impl Recorder {
    /// `engine`, with every call to it recorded.
    #[must_use]
    pub fn record<E: HttpConnector + 'static>(&self, engine: E) -> Recorded<E> {
        Recorded { engine, calls: self.clone() }
    }

    /// The calls since the last time this was asked.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// Forgets the calls so far.
    pub fn forget(&self) {
        drop(self.take());
    }
}

/// An engine whose calls are recorded.
#[derive(Debug, Clone)]
pub struct Recorded<E> {
    engine: E,
    calls: Recorder,
}

impl<E: HttpConnector + 'static> HttpConnector for Recorded<E> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = request.headers().get("x-amz-target").map_or_else(
            || format!("{} object", request.method()),
            |target| target.rsplit('.').next().unwrap_or_default().to_owned(),
        );
        self.calls.0.lock().unwrap().push(operation);
        self.engine.call(request)
    }
}
