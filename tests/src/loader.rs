//! Versions by the hundred thousand, for benches: rows as the feed commits them, but
//! thousands at once, and no objects.

use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex};

use access::KeyName;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use dynoxide::{Database, ImportOptions, Item};
use flate2::Compression;
use flate2::read::ZlibEncoder;
use nupkg::{Attached, Limits, Nuspec, Package};
use nuthatch::engines::dynamodb_client;
use store::{Charges, ObjectKey, Table, TableName, VersionRow, VersionState};

use crate::nuspec;

/// A database that is written to behind the engine's back.
#[derive(Debug)]
pub struct Loader {
    /// A table whose commits wait for a flush.
    pub table: Table,
    pending: Pending,
}

/// Answers every transaction as done, and keeps the items that it puts.
#[derive(Clone)]
struct Pending(Arc<Database>, Arc<Mutex<Vec<Item>>>);

impl Loader {
    /// The database in this file.
    #[must_use]
    pub fn open(database: &Path) -> Self {
        let database = Database::new(database.to_str().unwrap()).unwrap();
        let pending = Pending(Arc::new(database), Arc::default());
        let table = Table::new(dynamodb_client(pending.clone()), TableName::default());
        Self { table, pending }
    }

    /// Writes the committed items to the database.
    pub fn flush(&self) {
        let items = std::mem::take(&mut *self.pending.1.lock().unwrap());
        self.pending.0.import_items("nuthatch", items, ImportOptions::default()).unwrap();
    }
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pending")
    }
}

impl HttpConnector for Pending {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().unwrap_or_default();
        let mut asked: serde_json::Value = serde_json::from_slice(body).unwrap();
        for write in asked["TransactItems"].as_array_mut().unwrap() {
            let mut item = write["Put"]["Item"].take();
            if item.is_null() {
                // The package's head. It names the last change alone.
                item = write["Update"]["Key"].take();
                let values = &write["Update"]["ExpressionAttributeValues"];
                item["c0"] = values[":change"].clone();
                item["stamp"] = values[":stamp"].clone();
            }
            self.1.lock().unwrap().push(serde_json::from_value(item).unwrap());
        }
        let answer = http::Response::new(SdkBody::from("{}"));
        HttpConnectorFuture::ready(Ok(HttpResponse::try_from(answer).unwrap()))
    }
}

/// Commits a version that has no object, with `more` in its nuspec.
pub async fn commit(table: &Table, id: &str, version: &str, more: &str) {
    let xml = nuspec(id, version, more);
    let nuspec = Nuspec::parse(xml.as_bytes(), &Limits::default()).unwrap();
    let mut nuspec_zlib = Vec::new();
    ZlibEncoder::new(xml.as_bytes(), Compression::fast()).read_to_end(&mut nuspec_zlib).unwrap();
    let row = VersionRow {
        id: id.to_owned(),
        version: nuspec.version.full(),
        listed: true,
        state: VersionState::Visible,
        object: ObjectKey::unique(&nuspec.id, &nuspec.version),
        size: 100_000,
        sha256: "x".repeat(44),
        published: store::timestamp(),
        pushed_by: KeyName::owner(),
        session: Some("2e176630-940a-40d9-83e9-d0906f40646e".to_owned()),
        changed: None,
        quotas: Vec::new(),
        downloads: 0,
        downloaded: None,
        downloads_before: 0,
        files: Vec::new(),
    };
    let package = Package { nuspec, nuspec_zlib, attached: Attached::default() };
    table.commit(&row, &package, false, &Charges::default()).await.unwrap();
}
