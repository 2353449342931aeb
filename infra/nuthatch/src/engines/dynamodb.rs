//! `DynamoDB` in this process: dynoxide behind the SDK's HTTP client.

mod transactions;

use std::path::Path;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use dynoxide::{Database, DynoxideError};
use protocol::BoxError;

use super::Wait;
use transactions::Transactions;

/// A database that answers the SDK. Clones share it.
#[derive(Clone)]
pub struct DynamoDb {
    engine: Arc<Engine>,
    wait: Wait,
}

struct Engine {
    database: Database,
    transactions: Transactions,
}

impl DynamoDb {
    /// Opens the database in the file at `path`, and creates it if it is missing. Every commit
    /// is on the disk before it is answered.
    ///
    /// # Errors
    /// The file cannot be opened, or is not a database.
    pub fn open(path: &Path, wait: Wait) -> Result<Self, BoxError> {
        let path = path.to_str().ok_or("the path is not UTF-8")?;
        let database = Database::new(path)?;
        Ok(Self {
            engine: Arc::new(Engine { database, transactions: Transactions::default() }),
            wait,
        })
    }

    /// Removes expired items, as AWS does by itself.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn sweep(&self) -> Result<usize, BoxError> {
        Ok(self.engine.database.sweep_ttl()?)
    }
}

impl std::fmt::Debug for DynamoDb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DynamoDb")
    }
}

impl HttpConnector for DynamoDb {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (engine, wait) = (Arc::clone(&self.engine), self.wait);
        HttpConnectorFuture::new(async move {
            let operation = request.headers().get("x-amz-target").unwrap_or_default();
            let operation = operation.rsplit('.').next().unwrap_or_default().to_owned();
            let body = request.body().bytes().unwrap_or_default().to_vec();
            let answer = wait
                .on(move || engine.dispatch(&operation, &body))
                .await
                .map_err(|panic| ConnectorError::other(panic.into(), None))?;
            let (status, json) = match answer {
                Ok(json) => (200, json),
                Err(error) => (error.status_code(), error.to_json()),
            };
            http::Response::builder()
                .status(status)
                .header("content-type", "application/x-amz-json-1.0")
                .body(SdkBody::from(json))
                .map_err(BoxError::from)
                .and_then(|response| Ok(HttpResponse::try_from(response)?))
                .map_err(|error| ConnectorError::other(error, None))
        })
    }
}

impl Engine {
    /// Runs one operation.
    fn dispatch(&self, operation: &str, body: &[u8]) -> Result<String, DynoxideError> {
        macro_rules! operations {
        ($($name:literal => $method:ident),+ $(,)?) => {
            match operation {
                "TransactWriteItems" => self.transactions.write(&self.database, body),
                $($name => json(&self.database.$method(request(body)?)?),)+
                _ => Err(DynoxideError::ValidationException(format!(
                    "the embedded engine has no operation '{operation}'"
                ))),
            }
        };
    }
        operations! {
            "BatchGetItem" => batch_get_item,
            "CreateTable" => create_table,
            "DeleteItem" => delete_item,
            "DescribeTable" => describe_table,
            "GetItem" => get_item,
            "PutItem" => put_item,
            "Query" => query,
            "Scan" => scan,
            "UpdateItem" => update_item,
            "UpdateTimeToLive" => update_time_to_live,
        }
    }
}

fn request<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, DynoxideError> {
    // The engine's own server strips this prefix from the messages, too.
    serde_json::from_slice(body).map_err(|error| {
        let message = error.to_string();
        let message = message.split_once("VALIDATION:").map_or(&*message, |(_, rest)| rest);
        DynoxideError::ValidationException(message.to_owned())
    })
}

fn json(response: &impl serde::Serialize) -> Result<String, DynoxideError> {
    serde_json::to_string(response)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}
