//! The embedded engines on a socket, for clients that reach AWS over TCP, such as functions
//! in processes of their own.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use nuthatch::engines::{Engines, credentials};
use serde_json::Value;
use store::Aws;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::listen::serve;
use crate::recorder::units_of;

/// The engines' server; ends when it is dropped.
#[derive(Debug)]
pub struct EngineServer {
    /// Where it listens.
    pub url: String,
    serving: JoinHandle<()>,
    seen: Seen,
}

/// The calls of its clients, and the bill that AWS would make of them.
#[derive(Debug, Clone, Default)]
struct Seen {
    uses: Arc<Mutex<BTreeSet<Use>>>,
    bill: Arc<Mutex<Bill>>,
}

/// The parts of calls that AWS bills.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bill {
    /// Calls to `DynamoDB`.
    pub table_calls: u32,
    /// Read units of the table.
    pub reads: f64,
    /// Write units of the table.
    pub writes: f64,
    /// GETs and HEADs of objects.
    pub gets: u32,
    /// PUTs of objects; DELETEs are free.
    pub puts: u32,
    /// DELETEs of objects.
    pub deletes: u32,
}

/// An action of an AWS client: IAM's name for it, and the partition key or the object's key.
pub type Use = (String, String);

impl EngineServer {
    /// Serves `engines` at a free port.
    pub async fn start(engines: &Engines) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let engines = engines.clone();
        let seen = Seen::default();
        let seen_here = seen.clone();
        let serving = tokio::spawn(serve(listener, move |request| {
            answer(engines.clone(), seen_here.clone(), request)
        }));
        Self { url, serving, seen }
    }

    /// Everything that its clients did, including requests to addresses that they signed.
    #[must_use]
    pub fn uses(&self) -> BTreeSet<Use> {
        self.seen.uses.lock().unwrap().clone()
    }

    /// The bill of its clients since the last call of this method.
    #[must_use]
    pub fn take_bill(&self) -> Bill {
        std::mem::take(&mut *self.seen.bill.lock().unwrap())
    }

    /// The environment in which the SDK finds it.
    #[must_use]
    pub fn environment(&self) -> HashMap<&'static str, String> {
        let credentials = credentials();
        HashMap::from([
            ("AWS_ENDPOINT_URL", self.url.clone()),
            ("AWS_ACCESS_KEY_ID", credentials.access_key_id().to_owned()),
            ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key().to_owned()),
            ("AWS_REGION", "local".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ])
    }
}

impl EngineServer {
    /// SDK clients that reach it.
    #[must_use]
    pub fn aws(&self) -> Aws {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("local"))
            .credentials_provider(SharedCredentialsProvider::new(credentials()))
            .endpoint_url(&self.url)
            .build();
        Aws::new(&config)
    }
}

impl Drop for EngineServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Bill {
    fn add(&mut self, uses: &[Use]) {
        match uses.first().map(|(action, _)| action.as_str()) {
            Some("s3:GetObject" | "s3:ListBucket") => self.gets += 1,
            Some("s3:PutObject") => self.puts += 1,
            Some("s3:DeleteObject") => self.deletes += 1,
            _ => self.table_calls += 1,
        }
    }

    fn add_capacity(&mut self, is_write: bool, answer: &[u8]) {
        let units = units_of(answer).unwrap_or_default();
        if is_write { self.writes += units } else { self.reads += units }
    }
}

/// The actions of a call to `DynamoDB`, one for each part of a transaction.
fn table_uses(operation: &str, call: &Value) -> Vec<Use> {
    let partition = |key: &Value| key["pk"]["S"].as_str().unwrap_or("?").to_owned();
    let one = |action: &str, name: String| vec![(format!("dynamodb:{action}"), name)];
    match operation {
        "PutItem" => one(operation, partition(&call["Item"])),
        "Query" => {
            let values = call["ExpressionAttributeValues"].as_object().unwrap();
            let condition = call["KeyConditionExpression"].as_str().unwrap();
            let pk = condition.strip_prefix("pk = ").and_then(|rest| rest.split(' ').next());
            one(operation, values[pk.unwrap()]["S"].as_str().unwrap().to_owned())
        }
        "BatchGetItem" => {
            let tables = call["RequestItems"].as_object().unwrap().values();
            let keys = tables.flat_map(|table| table["Keys"].as_array().unwrap());
            keys.flat_map(|key| one(operation, partition(key))).collect()
        }
        "TransactWriteItems" => {
            let parts = call["TransactItems"].as_array().unwrap().iter();
            parts
                .flat_map(|part| {
                    let (name, part) = part.as_object().unwrap().iter().next().unwrap();
                    let key = if name == "Put" { &part["Item"] } else { &part["Key"] };
                    one(&format!("{name}Item"), partition(key))
                })
                .collect()
        }
        // It reads every partition.
        "Scan" => one(operation, "Table.Arn".to_owned()),
        _ => one(operation, partition(&call["Key"])),
    }
}

/// The action of a request to S3.
fn bucket_uses(method: &Method, path: &str) -> Use {
    let key = path.trim_start_matches('/').split_once('/').map_or("", |(_, key)| key);
    let action = match *method {
        _ if key.is_empty() => "s3:ListBucket",
        Method::GET | Method::HEAD => "s3:GetObject",
        Method::PUT => "s3:PutObject",
        Method::DELETE => "s3:DeleteObject",
        _ => "s3:?",
    };
    (action.to_owned(), key.to_owned())
}

async fn answer(engines: Engines, seen: Seen, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let operation = parts.headers.get("x-amz-target").map(|target| target.to_str().unwrap());
    let is_write = operation.is_some_and(|operation| {
        ["Put", "Update", "Delete", "Write"].iter().any(|word| operation.contains(word))
    });
    let uses = match operation.and_then(|target| target.rsplit('.').next()) {
        Some(operation) => table_uses(operation, &serde_json::from_slice(&body).unwrap()),
        None => vec![bucket_uses(&parts.method, parts.uri.path())],
    };
    seen.bill.lock().unwrap().add(&uses);
    seen.uses.lock().unwrap().extend(uses);
    let response = if parts.headers.contains_key("x-amz-target") {
        let mut call: Value = serde_json::from_slice(&body).unwrap();
        call["ReturnConsumedCapacity"] = "TOTAL".into();
        let request = Request::from_parts(parts, SdkBody::from(call.to_string()));
        let request = HttpRequest::try_from(request).unwrap();
        let response = engines.dynamodb.call(request).await.unwrap();
        let response = response.try_into_http1x().unwrap();
        let response = response.map(|body| Bytes::copy_from_slice(body.bytes().unwrap()));
        seen.bill.lock().unwrap().add_capacity(is_write, response.body());
        response
    } else {
        let body = s3s::Body::http_body(Full::new(body));
        let response = engines.s3.call(Request::from_parts(parts, body)).await.unwrap();
        let (parts, body) = response.into_parts();
        Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
    };
    response.map(Full::new)
}
