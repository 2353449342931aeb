//! A record of every call that the SDK makes.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use serde_json::Value;

/// The calls made so far, in their order: `GetItem`, `PUT object` …; and how many
/// bytes came out of the bucket.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    calls: Arc<Mutex<Vec<Call>>>,
    read: Arc<AtomicU64>,
    asks_for_units: bool,
}

/// A call to the table or the bucket.
#[derive(Debug)]
struct Call {
    name: String,
    /// The capacity units that it consumed, where they were asked for.
    units: Arc<OnceLock<f64>>,
}

impl Recorder {
    /// A recorder that has the table say the capacity units of each call, which are recorded
    /// with it: `GetItem 1`.
    #[must_use]
    pub fn of_units() -> Self {
        Self { asks_for_units: true, ..Self::default() }
    }

    /// `engine`, with every call to it recorded.
    #[must_use]
    pub fn record<E: HttpConnector + 'static>(&self, engine: E) -> Recorded<E> {
        Recorded { engine, calls: self.clone() }
    }

    /// The calls since the last call of this method.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        self.take_calls().into_iter().map(|call| call.to_string()).collect()
    }

    /// The capacity units of the calls since calls were last taken.
    #[must_use]
    pub fn take_units(&self) -> f64 {
        self.take_calls().iter().filter_map(|call| call.units.get()).sum()
    }

    /// The bytes of objects that were read since the last call of this method.
    #[must_use]
    pub fn take_bytes(&self) -> u64 {
        self.read.swap(0, Ordering::Relaxed)
    }

    /// Forgets the calls so far.
    pub fn forget(&self) {
        drop(self.take_calls());
    }

    fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.units.get().map_or(Ok(()), |units| write!(f, " {units}"))
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
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target");
        let operation = target.and_then(|target| target.rsplit('.').next()).map(str::to_owned);
        let name = match &operation {
            Some(operation) if is_eventual(operation, &request) => {
                format!("{operation}, eventually consistent")
            }
            Some(operation) => operation.clone(),
            None => format!("{} object", request.method()),
        };
        let asks_for_units = self.calls.asks_for_units && operation.is_some();
        if asks_for_units {
            ask_for_units(&mut request);
        }
        let reads = name == "GET object";
        let units = Arc::default();
        let call = Call { name, units: Arc::clone(&units) };
        self.calls.calls.lock().unwrap().push(call);
        let (answer, read) = (self.engine.call(request), Arc::clone(&self.calls.read));
        HttpConnectorFuture::new(async move {
            let answer = answer.await?;
            let length = answer.headers().get("content-length");
            if let Some(length) = length.and_then(|length| length.parse().ok()).filter(|_| reads) {
                read.fetch_add(length, Ordering::Relaxed);
            }
            let said = answer.body().bytes().filter(|_| asks_for_units).and_then(units_of);
            if let Some(said) = said {
                units.set(said).unwrap();
            }
            Ok(answer)
        })
    }
}

/// Has the table say in its answer how many capacity units the request consumed.
fn ask_for_units(request: &mut HttpRequest) {
    let body = request.body().bytes().unwrap_or_default();
    let mut asked: Value = serde_json::from_slice(body).unwrap();
    asked["ReturnConsumedCapacity"] = "TOTAL".into();
    *request.body_mut() = asked.to_string().into();
}

/// The capacity units that an answer of `DynamoDB`'s says it consumed. Refusals do not say it.
pub(crate) fn units_of(answer: &[u8]) -> Option<f64> {
    let said: Value = serde_json::from_slice(answer).ok()?;
    let costs = match &said["ConsumedCapacity"] {
        Value::Array(tables) => tables.clone(),
        table => vec![table.clone()],
    };
    costs.iter().map(|cost| cost["CapacityUnits"].as_f64()).sum()
}
