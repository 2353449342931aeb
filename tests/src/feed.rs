//! A feed in this process, in a folder of its own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use access::{IdGlob, Scope};
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use feed::{Context, DeleteBehavior, Delivery, Hosting, PackageBytes, ReadAccess, SymbolAccess};
use ingest::Permits;
use nuthatch::engines::{DataFolder, Engines, RecyclePeriod, Wait, aws};
use nuthatch::gateway::Gateway;
use protocol::{BaseUrl, Environment};
use store::{
    Aws, BucketName, Clock, Ledger, Objects, Parts, Revisions, Spooling, Table, TableName,
    Visibility,
};
use tempfile::TempDir;

use crate::{Actor, Client, Faults, Loader, Recorder, commit};

/// The options of a test's feed.
#[derive(Debug, Clone, Copy)]
pub struct FeedOptions {
    /// The callers that may read.
    pub read_access: ReadAccess,
    /// The callers that get symbols without a key.
    pub symbol_access: SymbolAccess,
    /// The effect of DELETE.
    pub delete_behavior: DeleteBehavior,
    /// The largest package taken.
    pub package_bytes: u64,
    /// Whether packages are given out by redirects, as on AWS.
    pub redirect: bool,
    /// Whether packages are received in memory, as on AWS.
    pub in_memory: bool,
    /// How many packages may arrive at once.
    pub pushes: usize,
    /// Which packages are stored in parts.
    pub parts: Parts,
    /// The file of certificates that issuers of tokens may have, too.
    pub authorities: Option<&'static str>,
    /// The address of STS.
    pub sts: Option<SocketAddr>,
    /// Whether its folder is in memory, where the system has such folders: for tests
    /// of very many small steps, each of which would wait for the disk.
    pub quick: bool,
    /// How its transactions become visible; at once, its table counts revisions, too, as on one
    /// machine.
    pub visibility: Visibility,
}

impl Default for FeedOptions {
    fn default() -> Self {
        Self {
            read_access: ReadAccess::Keys,
            symbol_access: SymbolAccess::Keys,
            delete_behavior: DeleteBehavior::Unlist,
            package_bytes: PackageBytes::default().0,
            redirect: false,
            in_memory: false,
            pushes: 100,
            parts: Parts::default(),
            authorities: None,
            sts: None,
            quick: false,
            visibility: Visibility::OneByOne,
        }
    }
}

/// A feed in this process.
#[derive(Debug, Clone)]
pub struct TestFeed {
    /// Its gateway.
    pub gateway: Gateway,
    /// Its clients.
    pub aws: Aws,
    /// Its engines.
    pub engines: Engines,
    /// The calls that its functions made.
    pub calls: Recorder,
    recorded: Aws,
    folder: Arc<TempDir>,
    environment: Environment,
    hosting: Hosting,
}

impl TestFeed {
    /// A private feed.
    pub async fn start() -> Self {
        Self::with(FeedOptions::default()).await
    }

    /// A feed with these options.
    pub async fn with(options: FeedOptions) -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if options.quick && memory.is_dir() {
            tempfile::tempdir_in(memory)
        } else {
            tempfile::tempdir()
        };
        let folder = Arc::new(folder.unwrap());
        let data = DataFolder::open(folder.path()).unwrap();
        let data = if options.quick { data.waiting(Wait::InPlace) } else { data };
        let engines = data.start(RecyclePeriod::default()).await.unwrap();
        let environment = Environment::new(move |name| match name {
            ReadAccess::SETTING => Some(options.read_access.to_string()),
            SymbolAccess::SETTING => Some(options.symbol_access.to_string()),
            DeleteBehavior::SETTING => Some(options.delete_behavior.to_string()),
            PackageBytes::SETTING => Some(options.package_bytes.to_string()),
            name => names(name),
        });
        let hosting = Hosting {
            spooling: if options.in_memory {
                Spooling::Memory
            } else {
                Spooling::Folder(data.spool().unwrap())
            },
            permits: Permits::new(options.pushes, options.pushes),
            parts: Some(options.parts),
            public_bucket: None,
            delivery: if options.redirect {
                Delivery::Redirect(store::RedirectLifetime::default())
            } else {
                Delivery::Stream
            },
            asks_again: true,
            visibility: options.visibility,
            revisions: (options.visibility == Visibility::AtOnce)
                .then(|| data.revisions().unwrap()),
            issuer_authorities: options.authorities.map(PathBuf::from),
            sts: options.sts,
            ..Hosting::default()
        };
        let calls = Recorder::default();
        let recorded =
            aws(calls.record(engines.dynamodb.clone()), calls.record(engines.s3.clone()));
        Self {
            gateway: gateway(&recorded, &environment, &hosting),
            aws: engines.aws(),
            engines,
            calls,
            recorded,
            folder,
            environment,
            hosting,
        }
    }

    /// The context of functions on its table and bucket.
    #[must_use]
    pub fn functions(&self) -> Context {
        functions_on(&self.aws)
    }

    /// Another instance of all functions, with memories of their own, on the
    /// same table and bucket.
    #[must_use]
    pub fn another_instance(&self) -> Self {
        Self { gateway: gateway(&self.recorded, &self.environment, &self.hosting), ..self.clone() }
    }

    /// Another instance, which makes changes at the times of `clock`.
    #[must_use]
    pub fn by_clock(&self, clock: &Clock) -> Self {
        let hosting = Hosting { clock: clock.clone(), ..self.hosting.clone() };
        let gateway = gateway(&self.recorded, &self.environment, &hosting);
        Self { gateway, hosting, ..self.clone() }
    }

    /// Another instance, which is told these revisions of the table.
    #[must_use]
    pub fn counted_by(&self, revisions: Revisions) -> Self {
        let hosting = Hosting { revisions: Some(revisions), ..self.hosting.clone() };
        let gateway = gateway(&self.recorded, &self.environment, &hosting);
        Self { gateway, hosting, ..self.clone() }
    }

    /// Another instance, whose recorded calls say their capacity units.
    #[must_use]
    pub fn metered(&self) -> Self {
        let calls = Recorder::of_units();
        let (dynamodb, s3) = (self.engines.dynamodb.clone(), self.engines.s3.clone());
        Self {
            calls: calls.clone(),
            ..self.reaching(aws(calls.record(dynamodb), calls.record(s3)))
        }
    }

    /// Another instance, whose calls meet these faults.
    #[must_use]
    pub fn meeting(&self, faults: &Faults) -> Self {
        let aws = aws(
            faults.before(self.engines.dynamodb.clone()),
            faults.before(self.engines.s3.clone()),
        );
        self.reaching(aws)
    }

    /// Another instance, whose calls are this actor's and wait for their turn.
    #[must_use]
    pub fn in_turn(&self, actor: &Actor) -> Self {
        let aws =
            aws(actor.before(self.engines.dynamodb.clone()), actor.before(self.engines.s3.clone()));
        self.reaching(aws)
    }

    /// Another instance, which reaches the engines by these clients.
    fn reaching(&self, aws: Aws) -> Self {
        let gateway = gateway(&aws, &self.environment, &self.hosting);
        Self { gateway, recorded: aws, ..self.clone() }
    }

    /// The feed's table, as this instance reaches it.
    #[must_use]
    pub fn own_table(&self) -> Table {
        Table::new(self.recorded.dynamodb.clone(), TableName::default())
    }

    /// The ledger as this instance reaches it, by its clock.
    #[must_use]
    pub fn own_ledger(&self) -> Ledger {
        let objects = Objects::new(self.recorded.s3.clone(), BucketName::default());
        Ledger { table: self.own_table().by_clock(self.hosting.clock.clone()), objects }
    }

    /// The feed's table.
    #[must_use]
    pub fn table(&self) -> Table {
        Table::new(self.aws.dynamodb.clone(), TableName::default())
    }

    /// The folder that holds the feed.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// The folder, once nothing else has the feed open.
    #[must_use]
    pub fn into_folder(self) -> TempDir {
        let folder = Arc::clone(&self.folder);
        drop(self);
        Arc::into_inner(folder).unwrap()
    }

    /// A client with a new key for everything.
    pub async fn owner(&self) -> Client {
        self.client("owner", &[Scope::Admin], &["*"]).await
    }

    /// A client with a new key.
    pub async fn client(&self, name: &str, scopes: &[Scope], ids: &[&str]) -> Client {
        let ids: Vec<IdGlob> = ids.iter().map(|id| id.parse().unwrap()).collect();
        let (table, name) = (self.table(), name.parse().unwrap());
        let key = nuthatch::keys::create(&table, name, scopes.to_vec(), ids, None, "tests");
        Client::new(self, Some(key.await.unwrap().reveal()))
    }

    /// A client without a key.
    #[must_use]
    pub fn stranger(&self) -> Client {
        Client::new(self, None)
    }

    /// The keys of all objects in the bucket, except the marks of commits and deletions.
    pub async fn objects(&self) -> Vec<String> {
        let mut objects = self.listed().await;
        objects.retain(|key| !is_mark(key));
        objects
    }

    /// The keys of all marks of commits and deletions.
    pub async fn marks(&self) -> Vec<String> {
        let mut marks = self.listed().await;
        marks.retain(|key| is_mark(key));
        marks
    }

    /// The marks of a package's versions.
    pub async fn marks_of(&self, id: &str) -> Vec<String> {
        let mut marks = self.listed_below(&format!("packages/{id}/")).await;
        marks.retain(|key| is_mark(key));
        marks
    }

    async fn listed(&self) -> Vec<String> {
        self.listed_below("").await
    }

    async fn listed_below(&self, prefix: &str) -> Vec<String> {
        let list = self.aws.s3.list_objects_v2().bucket(BucketName::default().as_str());
        let list = list.prefix(prefix);
        let listed = list.send().await.unwrap();
        listed.contents().iter().map(|object| object.key().unwrap().to_owned()).collect()
    }

    /// The rows of the table, except those of keys and of acts on them: their `pk sk` and their
    /// attributes.
    pub async fn rows(&self) -> BTreeMap<String, Vec<(String, AttributeValue)>> {
        let scan = self.aws.dynamodb.scan().table_name(TableName::default().as_str());
        let rows = scan.send().await.unwrap().items.unwrap_or_default().into_iter().map(|item| {
            let text = |name: &str| item[name].as_s().unwrap().clone();
            let key = format!("{} {}", text("pk"), text("sk"));
            let mut row: Vec<_> = item.into_iter().collect();
            row.sort_by(|(left, _), (right, _)| left.cmp(right));
            (key, row)
        });
        let of_keys = |key: &str| key.starts_with("KEY") || key.starts_with("ACTIONS#");
        rows.filter(|(key, _)| !of_keys(key)).collect()
    }

    /// Writes the rows of packages, each with these versions, and no object.
    pub async fn fill(&self, ids: impl IntoIterator<Item = String>, versions: &[&str]) {
        let loader = Loader::open(&self.folder().join("table.db"));
        for (number, id) in ids.into_iter().enumerate() {
            for version in versions {
                commit(&loader.table, &id, version, "<tags>a b</tags>").await;
            }
            if number % 1_000 == 999 {
                loader.flush();
            }
        }
        loader.flush();
    }

    /// Makes all changes so far two minutes older, so that they are settled and may be
    /// remembered.
    pub async fn settle(&self) {
        // A ULID, which may have a version behind it.
        let older = |named: &AttributeValue| {
            let (name, rest) = named.as_s().unwrap().split_at(ulid::ULID_LEN);
            let ulid = ulid::Ulid::from_string(name).unwrap();
            let then = ulid.timestamp_ms() - 120_000;
            AttributeValue::S(format!("{}{rest}", ulid::Ulid::from_parts(then, ulid.random())))
        };
        let (client, name) = (&self.aws.dynamodb, TableName::default());
        let pages = client.scan().table_name(name.as_str()).into_paginator();
        let mut writes = Vec::new();
        for item in pages.items().send().try_collect().await.unwrap() {
            let mut aged = item.clone();
            let of_head =
                |name: &str| name.strip_prefix('c').is_some_and(|n| n.parse::<u8>().is_ok());
            for (name, value) in &mut aged {
                let is_named = value.as_s().is_ok_and(|text| !text.is_empty());
                if name == "stamp" || name == "changed" || of_head(name) && is_named {
                    *value = older(value);
                }
            }
            if item["pk"].as_s().unwrap().starts_with("CHANGES#") {
                aged.insert("sk".to_owned(), older(&item["sk"]));
                let delete = Delete::builder().table_name(name.as_str());
                let delete = delete.key("pk", item["pk"].clone()).key("sk", item["sk"].clone());
                let delete = delete.build().unwrap();
                writes.push(TransactWriteItem::builder().delete(delete).build());
            }
            if aged != item {
                let put = Put::builder().table_name(name.as_str()).set_item(Some(aged));
                writes.push(TransactWriteItem::builder().put(put.build().unwrap()).build());
            }
        }
        // AWS quota: 100 items per call.
        for writes in writes.chunks(100) {
            let write = client.transact_write_items().set_transact_items(Some(writes.to_vec()));
            write.send().await.unwrap();
        }
    }

    /// Writes the snapshot of the index, as AWS does on a schedule.
    pub async fn compact(&self) {
        self.gateway.compact().await.unwrap();
    }

    /// Writes down the downloads of each day, as AWS does on a schedule.
    pub async fn meter(&self) {
        self.gateway.meter().await.unwrap();
    }

    /// The changes to version 1.0.0 of a package since `since`, by the names of the changes.
    /// Changes in the same millisecond are in no particular order.
    pub async fn changes_of(&self, id: &str, since: ulid::Ulid) -> BTreeMap<String, String> {
        let time = time::OffsetDateTime::now_utc();
        let month = format!("CHANGES#{:04}-{:02}", time.year(), u8::from(time.month()));
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let query = self.aws.dynamodb.query().table_name(TableName::default().as_str());
        let query = query
            .key_condition_expression("pk = :month AND sk >= :since")
            .expression_attribute_values(":month", text(&month))
            .expression_attribute_values(":since", text(&since.to_string()));
        let rows = query.send().await.unwrap().items.unwrap_or_default().into_iter();
        let value = |row: &std::collections::HashMap<String, AttributeValue>, name: &str| {
            row[name].as_s().unwrap().clone()
        };
        rows.filter(|row| value(row, "id") == id && value(row, "version") == "1.0.0")
            .map(|row| (value(&row, "sk"), value(&row, "change")))
            .collect()
    }

    /// The log of changes, in its order.
    pub async fn changes(&self) -> Vec<String> {
        let rows = self.rows().await.into_iter();
        rows.filter(|(key, _)| key.starts_with("CHANGES#"))
            .map(|(_, row)| {
                let row: BTreeMap<_, _> = row.into_iter().collect();
                let text = |name: &str| row[name].as_s().unwrap().clone();
                format!("{} {} {}", text("change"), text("id"), text("version"))
            })
            .collect()
    }
}

/// Whether an object is the mark of a commit or a deletion.
#[must_use]
pub fn is_mark(key: &str) -> bool {
    key.ends_with(".committed") || key.ends_with(".deleted")
}

/// The context of functions on the engines' table and bucket.
#[must_use]
pub fn functions_on(aws: &Aws) -> Context {
    Context::new(Environment::new(names), Hosting::default(), aws.clone())
}

/// The settings that name the engines' table and bucket.
fn names(setting: &str) -> Option<String> {
    [TableName::SETTING, BucketName::SETTING].contains(&setting).then(|| "nuthatch".to_owned())
}

fn gateway(aws: &Aws, environment: &Environment, hosting: &Hosting) -> Gateway {
    let url = BaseUrl("https://packages.example.org".to_owned());
    let context = Context::new(environment.clone(), hosting.clone(), aws.clone());
    Gateway::new(&context, url).unwrap()
}
