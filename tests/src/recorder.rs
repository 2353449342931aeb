//! A record of every call that the SDK makes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use serde_json::Value;

/// The calls made so far, in their order: `GetItem`, `PUT object` …; and how many
/// bytes came out of the bucket.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    calls: Arc<Mutex<Vec<String>>>,
    read: Arc<AtomicU64>,
}

impl Recorder {
    /// `engine`, with every call to it recorded.
    #[must_use]
    pub fn record<E: HttpConnector + 'static>(&self, engine: E) -> Recorded<E> {
        Recorded { engine, calls: self.clone() }
    }

    /// The calls since the last call of this method.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    /// The bytes of objects that were read since the last call of this method.
    #[must_use]
    pub fn take_bytes(&self) -> u64 {
        self.read.swap(0, Ordering::Relaxed)
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

/// Whether a read may miss a recent write. The engine of the tests never misses one, so its
/// answers do not show it.
fn is_eventual(operation: &str, request: &HttpRequest) -> bool {
    let body = request.body().bytes().and_then(|json| std::str::from_utf8(json).ok());
    matches!(operation, "GetItem" | "Query" | "BatchGetItem")
        && !body.is_some_and(|json| json.contains(r#""ConsistentRead":true"#))
}

impl<E: HttpConnector + 'static> HttpConnector for Recorded<E> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let operation = request.headers().get("x-amz-target").map_or_else(
            || format!("{} object", request.method()),
            |target| target.rsplit('.').next().unwrap_or_default().to_owned(),
        );
        let operation = if is_eventual(&operation, &request) {
            format!("{operation}, eventually consistent")
        } else {
            operation
        };
        let reads = operation == "GET object";
        self.calls.calls.lock().unwrap().push(operation);
        let (answer, read) = (self.engine.call(request), Arc::clone(&self.calls.read));
        HttpConnectorFuture::new(async move {
            let answer = answer.await?;
            let length = answer.headers().get("content-length");
            if let Some(length) = length.and_then(|length| length.parse().ok()).filter(|_| reads) {
                read.fetch_add(length, Ordering::Relaxed);
            }
            Ok(answer)
        })
    }
}

/// The capacity units that requests consume, as `DynamoDB` says of each.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Mutex<f64>>);

impl Meter {
    /// `engine`, with every request asking for its own cost.
    #[must_use]
    pub fn measure<E: HttpConnector + 'static>(&self, engine: E) -> Metered<E> {
        Metered { engine, meter: self.clone() }
    }

    /// The units consumed since the last call of this method.
    #[must_use]
    pub fn take(&self) -> f64 {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// The capacity units that an answer of `DynamoDB`'s says it consumed.
pub(crate) fn units_of(answer: &[u8]) -> f64 {
    let said: Value = serde_json::from_slice(answer).unwrap_or_default();
    let costs = match &said["ConsumedCapacity"] {
        Value::Array(tables) => tables.clone(),
        table => vec![table.clone()],
    };
    costs.iter().filter_map(|cost| cost["CapacityUnits"].as_f64()).sum()
}

/// An engine whose answers state the cost of the requests.
#[derive(Debug, Clone)]
pub struct Metered<E> {
    engine: E,
    meter: Meter,
}

impl<E: HttpConnector + 'static> HttpConnector for Metered<E> {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().unwrap_or_default();
        let mut asked: Value = serde_json::from_slice(body).unwrap();
        asked["ReturnConsumedCapacity"] = "TOTAL".into();
        *request.body_mut() = asked.to_string().into();
        let (answer, meter) = (self.engine.call(request), self.meter.clone());
        HttpConnectorFuture::new(async move {
            let answer = answer.await?;
            let body = answer.body().bytes().unwrap_or_default();
            *meter.0.lock().unwrap() += units_of(body);
            Ok(answer)
        })
    }
}
