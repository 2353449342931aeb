//! An engine, and the functions in front of it.

use std::collections::HashMap;

use access::{IdGlob, Scope};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full};
use nuthatch_tests::{Answer, EngineServer, LambdaGateway, TestFeed, framed, key_header};
use store::{Aws, BucketName, Objects, Table, TableName};
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use ulid::Ulid;

/// An engine, and the functions in front of it, as AWS runs them.
pub(crate) struct Stage {
    pub(crate) aws: Aws,
    table: TableName,
    bucket: BucketName,
    /// The engines of this process.
    embedded: Option<TestFeed>,
    _server: Option<EngineServer>,
    owner: OnceCell<String>,
    is_moto: bool,
    _alone: Option<MutexGuard<'static, ()>>,
}

/// Held by a test on moto. When moto refuses a transaction, it resets the whole table to its
/// state at the start of the transaction, and so undoes the writes of others.
static ALONE_ON_MOTO: Mutex<()> = Mutex::const_new(());

impl Stage {
    /// The embedded engines, without a socket.
    pub(crate) async fn embedded() -> Self {
        let feed = TestFeed::start().await;
        Self::on(feed.aws.clone(), TableName::default(), BucketName::default(), Some(feed), None)
    }

    /// The embedded engines, over TCP.
    pub(crate) async fn over_tcp() -> Self {
        let feed = TestFeed::start().await;
        let server = EngineServer::start(&feed.engines).await;
        let aws = server.aws();
        Self::on(aws, TableName::default(), BucketName::default(), Some(feed), Some(server))
    }

    /// The engines that the environment names.
    pub(crate) async fn named() -> Self {
        let name = |name: &str| std::env::var(name).unwrap();
        let table: TableName = name("NUTHATCH_TEST_TABLE").parse().unwrap();
        let bucket: BucketName = name("NUTHATCH_TEST_BUCKET").parse().unwrap();
        let is_moto = std::env::var("NUTHATCH_TEST_ENGINE").is_ok_and(|engine| engine == "moto");
        let alone = if is_moto { Some(ALONE_ON_MOTO.lock().await) } else { None };
        let stage = Self::on(Aws::from_environment().await, table, bucket, None, None);
        let stage = Self { is_moto, _alone: alone, ..stage };
        if is_moto {
            stage.make().await;
        }
        stage
    }

    fn on(
        aws: Aws,
        table: TableName,
        bucket: BucketName,
        embedded: Option<TestFeed>,
        server: Option<EngineServer>,
    ) -> Self {
        let owner = OnceCell::new();
        Self { aws, table, bucket, embedded, _server: server, owner, is_moto: false, _alone: None }
    }

    /// Makes table and bucket; another test may have made them.
    async fn make(&self) {
        let attribute = |name: &str| {
            let attribute = AttributeDefinition::builder().attribute_name(name);
            attribute.attribute_type(ScalarAttributeType::S).build().unwrap()
        };
        let key = |name: &str, kind| {
            KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
        };
        let table = self.aws.dynamodb.create_table().table_name(self.table.as_str());
        let table = table.attribute_definitions(attribute("pk"));
        let table = table.attribute_definitions(attribute("sk"));
        let table =
            table.key_schema(key("pk", KeyType::Hash)).key_schema(key("sk", KeyType::Range));
        drop(table.billing_mode(BillingMode::PayPerRequest).send().await);
        drop(self.aws.s3.create_bucket().bucket(self.bucket.as_str()).send().await);
    }

    /// Whether this engine is known to differ from AWS, for the given reason. If so, nothing is
    /// asserted about it.
    pub(crate) fn is_known_to_differ(&self, moto: &str) -> bool {
        if self.is_moto {
            println!("NOT ASSERTED of moto: it {moto}");
        }
        self.is_moto
    }

    pub(crate) fn table_name(&self) -> &str {
        self.table.as_str()
    }

    pub(crate) fn table(&self) -> Table {
        Table::new(self.aws.dynamodb.clone(), self.table.clone())
    }

    pub(crate) fn objects(&self) -> Objects {
        Objects::new(self.aws.s3.clone(), self.bucket.clone())
    }

    /// A fresh instance of all functions, with this effect of DELETE.
    pub(crate) fn functions(&self, delete_behavior: &str) -> LambdaGateway {
        let settings = HashMap::from([
            ("NUTHATCH_TABLE", self.table.as_str().to_owned()),
            ("NUTHATCH_BUCKET", self.bucket.as_str().to_owned()),
            ("NUTHATCH_DELETE_BEHAVIOR", delete_behavior.to_owned()),
        ]);
        LambdaGateway::with(&self.aws, settings)
    }

    /// A new key for everything.
    pub(crate) async fn key(&self, name: &str) -> String {
        let (name, ids) = (name.parse().unwrap(), vec![IdGlob::any()]);
        let table = self.table();
        let key = nuthatch::keys::create(&table, name, vec![Scope::Admin], ids, None, "tests");
        key.await.unwrap().reveal().to_owned()
    }

    async fn owner(&self) -> &str {
        self.owner.get_or_init(async || self.key(&unique("owner")).await).await
    }

    /// A fresh instance's answer to a request with the owner's key.
    pub(crate) async fn answer(&self, method: Method, path: &str) -> Answer {
        self.send(&self.functions("unlist"), (method, path), &[], Bytes::new()).await
    }

    /// These functions' answer to a request with the owner's key.
    pub(crate) async fn send(
        &self,
        functions: &LambdaGateway,
        (method, path): (Method, &str),
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let headers = headers.iter().map(|(name, value)| {
            (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
        });
        let key = key_header(&method, self.owner().await);
        let headers: HeaderMap = headers.chain([key]).collect();
        functions.answer(method, path, headers, body.into()).await
    }

    /// A fresh instance's answer to a push.
    pub(crate) async fn push(&self, package: &[u8], session: &str) -> Answer {
        self.push_to(&self.functions("unlist"), package, session).await
    }

    /// These functions' answer to a push.
    pub(crate) async fn push_to(
        &self,
        functions: &LambdaGateway,
        package: &[u8],
        session: &str,
    ) -> Answer {
        let (content_type, body) = framed(package);
        let headers = [("content-type", content_type), ("x-nuget-session-id", session)];
        self.send(functions, (Method::PUT, "/api/v2/package/"), &headers, body).await
    }

    /// The bytes of version 1.0.0.
    pub(crate) async fn nupkg(&self, id: &str) -> Bytes {
        let id = id.to_lowercase();
        let path = format!("/v3/package/{id}/1.0.0/{id}.1.0.0.nupkg");
        let answer = self.answer(Method::GET, &path).await.expect(StatusCode::FOUND);
        let found = self.follow(Method::GET, answer.header("location"), &[], Bytes::new()).await;
        found.expect(StatusCode::OK).body
    }

    /// Sends a request to an address in the bucket.
    pub(crate) async fn follow(
        &self,
        method: Method,
        url: &str,
        headers: &[(String, String)],
        body: Bytes,
    ) -> Answer {
        let mut request = http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let embedded = self.embedded.as_ref().filter(|_| url.contains("embedded.invalid"));
        let Some(feed) = embedded else {
            let request = reqwest::Request::try_from(request.body(body).unwrap()).unwrap();
            let answer = reqwest::Client::new().execute(request).await.unwrap();
            let (status, headers) = (answer.status(), answer.headers().clone());
            return Answer { status, headers, body: answer.bytes().await.unwrap() };
        };
        let request = request.header("host", "embedded.invalid");
        let request = request.header("content-length", body.len());
        let request = request.body(s3s::Body::http_body(Full::new(body))).unwrap();
        let (parts, body) = feed.engines.s3.call(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

/// A name that no other run of the tests has had.
pub(crate) fn unique(name: &str) -> String {
    format!("{name}.{}", Ulid::new())
}
