//! Faults under the SDK: what can happen to each call on its way to AWS and back.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use tokio::sync::Notify;

use crate::Idle;

/// A fault that a call can meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It never arrives.
    Lost,
    /// It is done, and its answer never arrives.
    AnswerLost,
    /// It is refused, because there are too many calls.
    Throttled,
    /// It is refused, and so is every later one.
    ThrottledForGood,
    /// The service fails.
    InternalError,
    /// The service cannot be reached.
    Unavailable,
    /// The role may not do it.
    Denied,
    /// No answer ever comes, and nothing says so.
    Silence,
    /// The process dies before the call is sent.
    DeathBefore,
    /// The process dies when it is done.
    DeathAfter,
    /// Another write holds one of its rows, or its object. Reads and unconditional writes are
    /// not affected.
    Conflict,
}

impl Fault {
    /// All faults. A conflict strikes only conditional writes.
    pub const ALL: [Self; 11] = [
        Self::Lost,
        Self::AnswerLost,
        Self::Throttled,
        Self::ThrottledForGood,
        Self::InternalError,
        Self::Unavailable,
        Self::Denied,
        Self::Silence,
        Self::DeathBefore,
        Self::DeathAfter,
        Self::Conflict,
    ];

    /// Whether the process ends with it.
    #[must_use]
    pub fn is_death(self) -> bool {
        matches!(self, Self::DeathBefore | Self::DeathAfter)
    }

    /// Whether a call can meet it.
    fn strikes(self, request: &HttpRequest) -> bool {
        let headers = request.headers();
        let is_transaction =
            || headers.get("x-amz-target").is_some_and(|it| it.contains("Transact"));
        self != Self::Conflict || is_transaction() || headers.contains_key("if-none-match")
    }
}

/// Which calls meet which faults. The first call is 0, and the SDK's retries count as calls.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    plan: BTreeMap<usize, Fault>,
    so_far: Arc<Mutex<SoFar>>,
    struck: Arc<Notify>,
    death: Arc<Notify>,
}

/// The calls so far.
#[derive(Debug, Default)]
struct SoFar {
    calls: usize,
    on_their_way: usize,
    /// The last call that met a fault.
    struck: Option<usize>,
    /// The request of that call, until it is retried. Other calls may go on in the meantime.
    to_be_tried: Option<String>,
    /// The faults of the plan that have struck.
    passed: BTreeSet<usize>,
    /// Whether the bucket denied a request.
    bucket_denied: bool,
    /// Whether the process is dead: its later calls are never sent.
    is_dead: bool,
}

impl Faults {
    /// These faults.
    #[must_use]
    pub fn at(plan: impl IntoIterator<Item = (usize, Fault)>) -> Self {
        Self { plan: plan.into_iter().collect(), ..Self::default() }
    }

    /// How many calls were made.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.so_far.lock().unwrap().calls
    }

    /// Whether every one of these faults was met.
    #[must_use]
    pub fn were_all_met(&self) -> bool {
        self.so_far.lock().unwrap().passed.len() == self.plan.len()
    }

    /// Whether the bucket denied a request, as it also does if the object does not exist.
    #[must_use]
    pub fn has_bucket_denied(&self) -> bool {
        self.so_far.lock().unwrap().bucket_denied
    }

    /// Advances a paused clock whenever everything waits for a call that met a fault. The clock
    /// does not advance by itself while a thread waits, for example for a part of a package
    /// that never comes.
    pub async fn push_the_clock(&self, idle: &Idle) {
        loop {
            self.struck.notified().await;
            while self.is_all_that_is_waited_for() {
                idle.comes().await;
                if self.is_all_that_is_waited_for() {
                    tokio::time::advance(Duration::from_secs(1)).await;
                }
            }
        }
    }

    /// Whether the last call met a fault, or a call that met one is still to be retried, and no
    /// call is on its way.
    fn is_all_that_is_waited_for(&self) -> bool {
        let so_far = self.so_far.lock().unwrap();
        let is_last = so_far.struck.is_some_and(|struck| struck + 1 == so_far.calls);
        so_far.on_their_way == 0 && (is_last || so_far.to_be_tried.is_some())
    }

    /// Completes when the process has to die.
    pub async fn death(&self) {
        self.death.notified().await;
    }

    /// `engine`, with these faults injected into the calls to it.
    pub fn before<E: HttpConnector + 'static>(&self, engine: E) -> Faulty<E> {
        Faulty { engine, faults: self.clone() }
    }

    /// The fault that the next call meets, if any.
    fn next(&self, request: &HttpRequest) -> Option<Fault> {
        let mut so_far = self.so_far.lock().unwrap();
        let call = so_far.calls;
        so_far.calls += 1;
        let what = format!("{} {}", request.method(), request.uri());
        so_far.to_be_tried.take_if(|tried| *tried == what);
        let for_good = |(_, fault): &(&usize, &Fault)| **fault == Fault::ThrottledForGood;
        let throttled = self.plan.range(..=call).find(for_good);
        let (&planned, &fault) = throttled.or_else(|| self.plan.get_key_value(&call))?;
        if !fault.strikes(request) {
            return None;
        }
        so_far.struck = Some(call);
        so_far.to_be_tried = Some(what).filter(|_| fault != Fault::Denied);
        so_far.is_dead |= fault.is_death();
        so_far.bucket_denied |= fault == Fault::Denied && !is_of_table(request);
        so_far.passed.insert(planned);
        self.struck.notify_one();
        Some(fault)
    }

    /// Sends a call to `engine`, and counts it as on its way until it is answered.
    fn send(&self, engine: &impl HttpConnector, request: HttpRequest) -> HttpConnectorFuture {
        let (call, on_its_way) = (engine.call(request), OnItsWay::new(&self.so_far));
        HttpConnectorFuture::new(async move {
            let answer = call.await;
            drop(on_its_way);
            answer
        })
    }
}

/// A call that is not answered yet.
#[derive(Debug)]
struct OnItsWay(Arc<Mutex<SoFar>>);

impl OnItsWay {
    fn new(so_far: &Arc<Mutex<SoFar>>) -> Self {
        so_far.lock().unwrap().on_their_way += 1;
        Self(Arc::clone(so_far))
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.0.lock().unwrap().on_their_way -= 1;
    }
}

/// An engine with injected faults.
#[derive(Debug, Clone)]
pub struct Faulty<E> {
    engine: E,
    faults: Faults,
}

impl<E: HttpConnector + 'static> HttpConnector for Faulty<E> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if self.faults.so_far.lock().unwrap().is_dead {
            return HttpConnectorFuture::new(std::future::pending());
        }
        let Some(fault) = self.faults.next(&request) else {
            return self.faults.send(&self.engine, request);
        };
        let is_table = is_of_table(&request);
        let reaches = matches!(fault, Fault::AnswerLost | Fault::DeathAfter);
        let done = reaches.then(|| self.faults.send(&self.engine, request));
        let death = Arc::clone(&self.faults.death);
        HttpConnectorFuture::new(async move {
            if let Some(done) = done {
                // The answer is dropped.
                drop(done.await);
            }
            match fault {
                Fault::Lost | Fault::AnswerLost => {
                    Err(ConnectorError::io(io::Error::from(io::ErrorKind::ConnectionReset).into()))
                }
                Fault::Throttled | Fault::ThrottledForGood => {
                    Ok(refusal(is_table, ["ThrottlingException", "SlowDown"], [400, 503]))
                }
                Fault::InternalError => {
                    Ok(refusal(is_table, ["InternalServerError", "InternalError"], [500, 500]))
                }
                Fault::Unavailable => {
                    Ok(refusal(is_table, ["ServiceUnavailable", "ServiceUnavailable"], [503, 503]))
                }
                Fault::Denied => {
                    Ok(refusal(is_table, ["AccessDeniedException", "AccessDenied"], [400, 403]))
                }
                Fault::Conflict if is_table => Ok(conflict()),
                Fault::Conflict => {
                    Ok(refusal(is_table, ["", "ConditionalRequestConflict"], [400, 409]))
                }
                Fault::Silence => std::future::pending().await,
                Fault::DeathBefore | Fault::DeathAfter => {
                    death.notify_one();
                    std::future::pending().await
                }
            }
        })
    }
}

fn is_of_table(request: &HttpRequest) -> bool {
    request.headers().contains_key("x-amz-target")
}

/// The type of the table's answers.
const TABLE_TYPE: &str = "application/x-amz-json-1.0";

/// The refusal of a transaction because another one was changing its second row.
fn conflict() -> HttpResponse {
    let reasons = r#"[{"Code":"None"},{"Code":"TransactionConflict","Message":"injected"}]"#;
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    let body = format!(r#"{{"__type":"{kind}","CancellationReasons":{reasons}}}"#);
    response(400, TABLE_TYPE, body)
}

/// A refusal in the format of the table or of the bucket.
fn refusal(is_table: bool, codes: [&str; 2], statuses: [u16; 2]) -> HttpResponse {
    let [table, bucket] = codes;
    let (status, content_type, body) = if is_table {
        let kind = format!("com.amazonaws.dynamodb.v20120810#{table}");
        let body = format!("{{\"__type\":\"{kind}\",\"message\":\"injected\"}}");
        (statuses[0], TABLE_TYPE, body)
    } else {
        let body = format!("<Error><Code>{bucket}</Code><Message>injected</Message></Error>");
        (statuses[1], "application/xml", body)
    };
    response(status, content_type, body)
}

fn response(status: u16, content_type: &str, body: String) -> HttpResponse {
    let response = http::Response::builder().status(status).header("content-type", content_type);
    HttpResponse::try_from(response.body(SdkBody::from(body)).unwrap()).unwrap()
}
