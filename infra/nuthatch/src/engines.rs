//! The embedded engines: `DynamoDB` on `SQLite` and S3 on a folder, in this
//! process, reached by the real SDK without a socket.

mod dynamodb;
mod files;
mod private;
mod revisions;
mod s3;
mod wait;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::auth::{Params, ResolveAuthScheme};
use aws_sdk_dynamodb::config::{
    ConfigBag, Credentials, RuntimeComponents, SharedCredentialsProvider,
};
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    TimeToLiveSpecification,
};
use aws_smithy_runtime_api::client::auth::{AuthSchemeId, AuthSchemeOptionsFuture};
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector, http_client_fn};
use protocol::{BaseUrl, BoxError};
use store::{Aws, BucketName, Objects, Revisions, TableName};

pub use dynamodb::DynamoDb;
pub use files::{RecyclePeriod, Store, StoreError};
pub use s3::S3;
pub use wait::Wait;

/// A data folder: everything that a feed on one machine keeps.
#[derive(Debug, Clone)]
pub struct DataFolder {
    path: PathBuf,
    wait: Wait,
}

/// The data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A file or folder in it cannot be made or opened.
    #[error("cannot use '{path}': {source}; check that the folder can be written")]
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another server runs on it.
    #[error("another 'nuthatch serve' runs on '{0}'; stop it, or name another folder with --data")]
    InUse(PathBuf),
    /// The table's engine failed.
    #[error("the database in '{path}' cannot be opened: {source}")]
    Database {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: BoxError,
    },
    /// The packages' store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The engines of a data folder, running.
#[derive(Debug, Clone)]
pub struct Engines {
    /// The table's engine.
    pub dynamodb: DynamoDb,
    /// The bucket's engine.
    pub s3: S3,
    store: Store,
    /// Held as long as this server runs on the folder.
    _lock: Arc<File>,
}

impl DataFolder {
    /// Opens the folder at `path`, and creates it if it is missing.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        private::folder(path).map_err(|source| unusable(path, source))?;
        Ok(Self { path: path.to_owned(), wait: Wait::default() })
    }

    /// The same folder, whose engines wait for the disk as `wait` says.
    #[must_use]
    pub fn waiting(self, wait: Wait) -> Self {
        Self { wait, ..self }
    }

    /// Starts the engines. Only one server may run on the folder.
    ///
    /// # Errors
    /// Another server runs on it, or it cannot be used.
    pub async fn start(&self, recycle: RecyclePeriod) -> Result<Engines, EngineError> {
        let path = self.path.join("serve.lock");
        let lock = private::file(&path).map_err(|source| unusable(&path, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(EngineError::InUse(self.path.clone())),
            Err(TryLockError::Error(source)) => return Err(unusable(&path, source)),
        }
        let dynamodb = self.dynamodb().await?;
        let store = Store::open(&self.path.join("packages"), recycle)?;
        let s3 = S3::new(store.clone(), &BucketName::default(), self.wait);
        Ok(Engines { dynamodb, s3, store, _lock: Arc::new(lock) })
    }

    /// The table's engine alone, which several processes may use at once.
    ///
    /// # Errors
    /// Its database cannot be opened.
    pub async fn dynamodb(&self) -> Result<DynamoDb, EngineError> {
        let path = self.path.join("table.db");
        let database = |source: BoxError| EngineError::Database { path: self.path.clone(), source };
        // The engine's other files get the permissions of this one.
        private::file(&path).map_err(|source| unusable(&path, source))?;
        let engine = DynamoDb::open(&path, self.wait).map_err(database)?;
        create_table(&dynamodb_client(engine.clone())).await.map_err(database)?;
        Ok(engine)
    }

    /// The revisions of the table, which another process may change.
    ///
    /// # Errors
    /// Its database cannot be opened.
    pub fn revisions(&self) -> Result<Revisions, EngineError> {
        revisions::of(&self.path.join("table.db"))
            .map_err(|source| EngineError::Database { path: self.path.clone(), source })
    }

    /// The bucket alone, which a command may use beside a server.
    ///
    /// # Errors
    /// Its index cannot be opened.
    pub fn objects(&self) -> Result<Objects, EngineError> {
        let store = Store::beside(&self.path.join("packages"), RecyclePeriod::default())?;
        let bucket = BucketName::default();
        let client = Aws::s3(&config(S3::new(store, &bucket, self.wait)));
        Ok(Objects::new(client, bucket))
    }

    /// A folder for packages that are being received.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn spool(&self) -> Result<PathBuf, EngineError> {
        let path = self.path.join("spool");
        private::folder(&path).map_err(|source| unusable(&path, source))?;
        Ok(path)
    }
}

impl Engines {
    /// Removes expired rows and files.
    ///
    /// # Errors
    /// A file or database cannot be written.
    pub fn sweep(&self) -> Result<(), BoxError> {
        self.dynamodb.sweep()?;
        self.store.sweep()?;
        Ok(())
    }

    /// A client of the bucket that only signs addresses below `url`. The server there passes
    /// requests on to the bucket.
    #[must_use]
    pub fn s3_at(&self, url: &BaseUrl) -> aws_sdk_s3::Client {
        let config = config(self.s3.clone()).into_builder().endpoint_url(url.split().0).build();
        Aws::s3(&config)
    }

    /// SDK clients of the engines.
    #[must_use]
    pub fn aws(&self) -> Aws {
        aws(self.dynamodb.clone(), self.s3.clone())
    }
}

/// SDK clients that reach `DynamoDB` and S3 through the given transports.
#[must_use]
pub fn aws(dynamodb: impl HttpConnector + 'static, s3: impl HttpConnector + 'static) -> Aws {
    Aws { dynamodb: dynamodb_client(dynamodb), s3: Aws::s3(&config(s3)) }
}

/// An SDK client that reaches `DynamoDB` through `transport`, without signatures.
#[must_use]
pub fn dynamodb_client(transport: impl HttpConnector + 'static) -> aws_sdk_dynamodb::Client {
    let signing = Aws::dynamodb(&config(transport));
    let unsigned = signing.config().to_builder().auth_scheme_resolver(Unsigned).build();
    aws_sdk_dynamodb::Client::from_conf(unsigned)
}

/// Turns signing off: the table's engine ignores signatures, and making one takes a tenth of
/// the time of a call.
#[derive(Debug)]
struct Unsigned;

impl ResolveAuthScheme for Unsigned {
    fn resolve_auth_scheme<'a>(
        &'a self,
        _: &'a Params,
        _: &'a ConfigBag,
        _: &'a RuntimeComponents,
    ) -> AuthSchemeOptionsFuture<'a> {
        AuthSchemeOptionsFuture::ready(Ok(vec![AuthSchemeId::from("noAuth").into()]))
    }
}

/// The credentials that the engines of this process accept.
#[must_use]
pub fn credentials() -> Credentials {
    Credentials::new(s3::ACCESS_KEY, s3::secret_key(), None, None, "embedded")
}

/// The endpoint's name is never looked up: nothing leaves the process.
fn config(transport: impl HttpConnector + 'static) -> SdkConfig {
    let transport = SharedHttpConnector::new(transport);
    let credentials = credentials();
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("local"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url("http://embedded.invalid")
        .http_client(http_client_fn(move |_, _| transport.clone()))
        .sleep_impl(aws_sdk_dynamodb::config::SharedAsyncSleep::new(
            aws_smithy_async::rt::sleep::TokioSleep::new(),
        ))
        .build()
}

/// Creates the table as in template.yaml, unless it exists.
async fn create_table(client: &aws_sdk_dynamodb::Client) -> Result<(), BoxError> {
    let name = TableName::default();
    let attribute = |name: &str| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build()
    };
    let key =
        |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    let created = client
        .create_table()
        .table_name(name.as_str())
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("pk")?)
        .attribute_definitions(attribute("sk")?)
        .key_schema(key("pk", KeyType::Hash)?)
        .key_schema(key("sk", KeyType::Range)?)
        .send()
        .await;
    match created {
        Ok(_) => {}
        Err(error)
            if error
                .as_service_error()
                .is_some_and(CreateTableError::is_resource_in_use_exception) =>
        {
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    }
    client
        .update_time_to_live()
        .table_name(name.as_str())
        .time_to_live_specification(
            TimeToLiveSpecification::builder()
                .attribute_name("expires_at")
                .enabled(true)
                .build()?,
        )
        .send()
        .await?;
    Ok(())
}

fn unusable(path: &Path, source: io::Error) -> EngineError {
    EngineError::Unusable { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    /// Before 3.51.3, a WAL that is reset by one of two connections may lose a commit.
    #[test]
    fn the_databases_are_of_a_version_whose_wal_can_be_reset() {
        assert!(rusqlite::version_number() >= 3_051_003, "{}", rusqlite::version());
    }
}
