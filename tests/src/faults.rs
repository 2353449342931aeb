//! Faults under the SDK: what can happen to each call on its way to AWS and back.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use tokio::sync::Notify;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It never arrives.
    Lost,
    /// It is done, and its answer never arrives.
    AnswerLost,
    /// It is refused, as too many are.
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
    /// Another transaction is at one of its rows; what is no transaction goes on.
    Conflict,
}

impl Fault {
    /// All that any call can meet.
    pub const ALL: [Self; 10] = [
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
    ];

    /// Whether the process ends with it.
    #[must_use]
    pub fn is_death(self) -> bool {
        matches!(self, Self::DeathBefore | Self::DeathAfter)
    }
}

/// Which calls meet which faults: the first call is 0, tries of the SDK count.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    plan: BTreeMap<usize, Fault>,
    made: Arc<Mutex<usize>>,
    death: Arc<Notify>,
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
        *self.made.lock().unwrap()
    }

    /// Done when the process is to die.
    pub async fn death(&self) {
        self.death.notified().await;
    }

    /// `engine`, with these faults on the way to it.
    pub fn before<E: HttpConnector + 'static>(&self, engine: E) -> Faulty<E> {
        Faulty { engine, faults: self.clone() }
    }

    fn next(&self) -> Option<Fault> {
        let mut made = self.made.lock().unwrap();
        let call = *made;
        *made += 1;
        let for_good = |(_, fault): &(&usize, &Fault)| **fault == Fault::ThrottledForGood;
        let throttled = self.plan.range(..=call).find(for_good);
        throttled.map(|(_, fault)| *fault).or_else(|| self.plan.get(&call).copied())
    }
}

/// An engine that calls reach with difficulty.
#[derive(Debug, Clone)]
pub struct Faulty<E> {
    engine: E,
    faults: Faults,
}

impl<E: HttpConnector + 'static> HttpConnector for Faulty<E> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Some(fault) = self.faults.next() else { return self.engine.call(request) };
        let target = request.headers().get("x-amz-target");
        let is_table = target.is_some();
        if fault == Fault::Conflict && !target.is_some_and(|name| name.contains("Transact")) {
            return self.engine.call(request);
        }
        let reaches = matches!(fault, Fault::AnswerLost | Fault::DeathAfter);
        let done = reaches.then(|| self.engine.call(request));
        let death = Arc::clone(&self.faults.death);
        HttpConnectorFuture::new(async move {
            if let Some(done) = done {
                // What it answers, nobody hears.
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
                Fault::Conflict => Ok(conflict()),
                Fault::Silence => std::future::pending().await,
                Fault::DeathBefore | Fault::DeathAfter => {
                    death.notify_one();
                    std::future::pending().await
                }
            }
        })
    }
}

/// What the table's answers are.
const TABLE_TYPE: &str = "application/x-amz-json-1.0";

/// A transaction's refusal because another one was at its second row.
fn conflict() -> HttpResponse {
    let reasons = r#"[{"Code":"None"},{"Code":"TransactionConflict","Message":"injected"}]"#;
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    let body = format!(r#"{{"__type":"{kind}","CancellationReasons":{reasons}}}"#);
    response(400, TABLE_TYPE, body)
}

/// A refusal in the words of the table, or in those of the bucket.
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
