//! One request after the other.

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use nupkg::PackageId;
use nuthatch_tests::{Answer, PackageBuilder, key_header, noise};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::{Content, ObjectKey};
use time::OffsetDateTime;

use crate::stage::{Stage, unique};

fn package(id: &str, content: &str) -> Vec<u8> {
    PackageBuilder::new(id, "1.0.0").file("content.txt", content.as_bytes()).build()
}

/// The changes to version 1.0.0 of a package, in the order of the log.
pub(crate) async fn log_of(stage: &Stage, id: &str) -> Vec<String> {
    let now = OffsetDateTime::now_utc();
    let month = format!("CHANGES#{:04}-{:02}", now.year(), u8::from(now.month()));
    // Only the changes of the last quarter of an hour, which are the tests' own.
    let since = u64::try_from(now.unix_timestamp() - 900).unwrap() * 1000;
    let since = ulid::Ulid::from_parts(since, 0).to_string();
    let query = stage.aws.dynamodb.query().table_name(stage.table_name());
    let pages = query
        .key_condition_expression("pk = :month AND sk >= :since")
        .expression_attribute_values(":month", AttributeValue::S(month))
        .expression_attribute_values(":since", AttributeValue::S(since))
        .consistent_read(true);
    let rows = pages.into_paginator().items().send().collect::<Result<Vec<_>, _>>().await.unwrap();
    let text = |row: &std::collections::HashMap<String, AttributeValue>, name: &str| {
        row[name].as_s().unwrap().clone()
    };
    let id = id.to_lowercase();
    let rows = rows.iter().filter(|row| text(row, "id").to_lowercase() == id);
    rows.map(|row| text(row, "change")).collect()
}

pub(crate) async fn a_number_is_taken_once(stage: &Stage) {
    let id = unique("Contract");
    let first = package(&id, "first");
    stage.push(&first, "").await.expect(StatusCode::CREATED);
    stage.push(&package(&id, "second"), "").await.expect(StatusCode::CONFLICT);
    assert!(stage.nupkg(&id).await == first, "not what was pushed first");
    assert_eq!(log_of(stage, &id).await, ["pushed"]);
}

pub(crate) async fn a_push_tried_again_in_its_session_succeeds_again(stage: &Stage) {
    let id = unique("Contract");
    let bytes = package(&id, "x");
    for _ in 0..2 {
        stage.push(&bytes, "session-1").await.expect(StatusCode::CREATED);
    }
    stage.push(&bytes, "session-2").await.expect(StatusCode::CONFLICT);
    assert_eq!(log_of(stage, &id).await, ["pushed"]);
}

pub(crate) async fn a_version_changes_only_where_it_would(stage: &Stage) {
    let id = unique("Contract");
    let path = format!("/api/v2/package/{id}/1.0.0");
    stage.answer(Method::DELETE, &path).await.expect(StatusCode::NOT_FOUND);
    stage.push(&package(&id, "x"), "").await.expect(StatusCode::CREATED);
    for (method, status) in [
        (Method::POST, StatusCode::OK),
        (Method::DELETE, StatusCode::NO_CONTENT),
        (Method::DELETE, StatusCode::NO_CONTENT),
        (Method::POST, StatusCode::OK),
        (Method::POST, StatusCode::OK),
    ] {
        stage.answer(method, &path).await.expect(status);
    }
    assert_eq!(log_of(stage, &id).await, ["pushed", "unlisted", "relisted"]);
}

pub(crate) async fn a_deleted_number_comes_back_with_its_own_bytes_alone(stage: &Stage) {
    let id = unique("Contract");
    let (path, bytes) = (format!("/api/v2/package/{id}/1.0.0"), package(&id, "x"));
    let functions = stage.functions("delete");
    stage.push_to(&functions, &bytes, "").await.expect(StatusCode::CREATED);
    let deleted = stage.send(&functions, (Method::DELETE, &path), &[], Bytes::new()).await;
    deleted.expect(StatusCode::NO_CONTENT);
    let nupkg = format!("/v3/package/{0}/1.0.0/{0}.1.0.0.nupkg", id.to_lowercase());
    stage.answer(Method::GET, &nupkg).await.expect(StatusCode::NOT_FOUND);
    stage.push(&package(&id, "other"), "").await.expect(StatusCode::CONFLICT);
    stage.push(&bytes, "").await.expect(StatusCode::CREATED);
    assert!(stage.nupkg(&id).await == bytes, "not what was pushed");
    assert_eq!(log_of(stage, &id).await, ["pushed", "deleted", "pushed"]);
}

pub(crate) async fn what_is_acknowledged_is_read_by_the_next_request(stage: &Stage) {
    let id = unique("Contract");
    let list = format!("/v3/package/{}/index.json", id.to_lowercase());
    for patch in 0..10 {
        let version = format!("1.0.{patch}");
        let bytes = PackageBuilder::new(&id, &version).build();
        stage.push(&bytes, "").await.expect(StatusCode::CREATED);
        let listed = stage.answer(Method::GET, &list).await.expect(StatusCode::OK).json();
        let youngest = listed["versions"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(youngest, Value::from(version));
    }
}

pub(crate) async fn more_than_a_page_of_rows_is_read_whole(stage: &Stage) {
    const VERSIONS: usize = 40;
    let id = unique("Contract");
    // Metadata of some 35 KB each: more than the 1 MB that a query gives.
    let description: String = std::iter::repeat_n("wörd ", 700).collect();
    let notes = format!("<releaseNotes>{}</releaseNotes>", "n".repeat(30_000));
    for minor in 0..VERSIONS {
        let more = format!("<summary>{description}</summary>{notes}");
        let nuspec = nuthatch_tests::nuspec(&id, &format!("1.{minor}.0"), &more);
        let bytes = PackageBuilder::default().nuspec(&nuspec).build();
        stage.push(&bytes, "").await.expect(StatusCode::CREATED);
    }
    let path = format!("/v3/registration/{}/index.json", id.to_lowercase());
    let index = stage.answer(Method::GET, &path).await.expect(StatusCode::OK).json();
    let pages = index["items"].as_array().unwrap().iter();
    assert_eq!(pages.map(|page| page["count"].as_u64().unwrap()).sum::<u64>(), VERSIONS as u64);
}

pub(crate) async fn a_revoked_key_opens_nothing(stage: &Stage) {
    let name = unique("key");
    let key = stage.key(&name).await;
    let index = async || {
        let headers = [key_header(&Method::GET, &key)].into_iter().collect();
        let functions = stage.functions("unlist");
        let path = "/v3/package/nowhere/index.json";
        functions.answer(Method::GET, path, headers, Bytes::new()).await.status
    };
    assert_eq!(index().await, StatusCode::NOT_FOUND);
    assert!(stage.table().revoke_key(&name.parse().unwrap(), "tests").await.unwrap());
    assert_eq!(index().await, StatusCode::FORBIDDEN);
}

fn object(id: &str) -> ObjectKey {
    ObjectKey::unique(&PackageId::parse(id).unwrap(), &"1.0.0".parse().unwrap())
}

async fn put(stage: &Stage, key: &ObjectKey, bytes: &[u8]) {
    let content = Content::Memory(Bytes::copy_from_slice(bytes));
    stage.objects().put(key, &content, &Sha256::digest(bytes).into()).await.unwrap();
}

pub(crate) async fn an_object_is_written_once(stage: &Stage) {
    let key = object(&unique("contract"));
    put(stage, &key, b"first").await;
    // A writer that finds an object there assumes that its own earlier attempt wrote it.
    put(stage, &key, b"second").await;
    let read = stage.objects().get(&key, None).await.unwrap();
    assert_eq!(read.collect().await.unwrap().to_bytes(), "first");
}

pub(crate) async fn a_part_of_an_object_is_read(stage: &Stage) {
    // The embedded engine keeps up to 128 KiB in its index.
    for size in [100_000, 131_072, 131_073, 400_000] {
        let (key, bytes) = (object(&unique("contract")), noise(size));
        put(stage, &key, &bytes).await;
        for part in [0..1, size - 1..size, 40_000..60_000, 1..size] {
            let asked = part.start as u64..part.end as u64;
            let read = stage.objects().get(&key, Some(asked)).await.unwrap();
            let read = read.collect().await.unwrap().to_bytes();
            assert!(read == bytes[part], "another part");
        }
        let stored = stage.objects().stored(&key).await.unwrap();
        if stage.is_known_to_differ("does not give back a checksum that it was sent") {
            continue;
        }
        let stored = stored.unwrap();
        assert_eq!(stored.size, size as u64);
        assert_eq!(stored.sha256, <[u8; 32]>::from(Sha256::digest(&bytes)));
    }
}

pub(crate) async fn objects_are_listed_and_removed(stage: &Stage) {
    let key = object(&unique("contract"));
    put(stage, &key, b"bytes").await;
    let listed = async || {
        let (mut found, mut position) = (None, None);
        loop {
            let page = stage.objects().list(store::Place::Packages, position).await.unwrap();
            let mut objects = page.objects.into_iter();
            found = found.or_else(|| objects.find(|object| object.key == key.as_str()));
            position = page.next;
            if position.is_none() {
                return found;
            }
        }
    };
    assert_eq!(listed().await.unwrap().size, 5);
    stage.objects().delete(&key).await.unwrap();
    assert!(listed().await.is_none());
    assert!(stage.objects().get(&key, None).await.is_err());
    assert!(stage.objects().stored(&key).await.unwrap().is_none());
}

/// A declared upload of bytes.
struct Upload {
    declaration: String,
    invitation: Value,
}

impl Upload {
    async fn declare(stage: &Stage, id: &str, bytes: &[u8]) -> Self {
        let sha256 = BASE64_STANDARD.encode(Sha256::digest(bytes));
        let size = bytes.len();
        let declaration =
            json!({ "id": id, "version": "1.0.0", "size": size, "sha256": sha256 }).to_string();
        let functions = stage.functions("unlist");
        let to = (Method::POST, "/api/v2/upload");
        let answer = stage.send(&functions, to, &[], declaration.clone()).await;
        Self { declaration, invitation: answer.expect(StatusCode::OK).json() }
    }

    async fn put(&self, stage: &Stage, url: &str, body: &[u8]) -> StatusCode {
        let headers = self.invitation["headers"].as_object().unwrap().iter();
        let headers = headers.filter(|(name, _)| *name != "content-length");
        let headers: Vec<_> = headers
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect();
        let body = Bytes::copy_from_slice(body);
        stage.follow(Method::PUT, url, &headers, body).await.status
    }

    fn url(&self) -> &str {
        self.invitation["url"].as_str().unwrap()
    }

    async fn commit(&self, stage: &Stage) -> Answer {
        let upload = self.invitation["upload"].as_str().unwrap();
        let path = format!("/api/v2/upload/{upload}/commit");
        let functions = stage.functions("unlist");
        stage.send(&functions, (Method::POST, &path), &[], self.declaration.clone()).await
    }
}

pub(crate) async fn an_upload_is_committed_as_declared(stage: &Stage) {
    let id = unique("Contract");
    let bytes = package(&id, "x");
    let upload = Upload::declare(stage, &id, &bytes).await;
    assert_eq!(upload.put(stage, upload.url(), &bytes).await, StatusCode::OK);
    let again = upload.put(stage, upload.url(), &bytes).await;
    assert_eq!(again, StatusCode::PRECONDITION_FAILED);
    let committed = upload.commit(stage).await;
    if stage.is_known_to_differ("does not give back a checksum that it was sent") {
        return;
    }
    committed.expect(StatusCode::CREATED);
    assert!(stage.nupkg(&id).await == bytes, "not what was uploaded");
}

pub(crate) async fn an_address_takes_the_declared_bytes_alone(stage: &Stage) {
    let id = unique("Contract");
    let bytes = package(&id, "x");
    let upload = Upload::declare(stage, &id, &bytes).await;
    let mut others = bytes.clone();
    others[40] ^= 1;
    let other = upload.put(stage, upload.url(), &others).await;
    let longer = upload.put(stage, upload.url(), &[&bytes[..], b"more"].concat()).await;
    if stage.is_known_to_differ("takes any bytes, whatever length and checksum were signed") {
        return;
    }
    assert!(other.is_client_error() && longer.is_client_error(), "{other} {longer}");
    assert_eq!(upload.put(stage, upload.url(), &bytes).await, StatusCode::OK);
    upload.commit(stage).await.expect(StatusCode::CREATED);
}

pub(crate) async fn an_address_that_was_tampered_with_takes_nothing(stage: &Stage) {
    let id = unique("Contract");
    let bytes = package(&id, "x");
    let upload = Upload::declare(stage, &id, &bytes).await;
    let tampered = [
        upload.url().replace("/1.0.0/", "/1.0.1/"),
        upload.url().replace("X-Amz-Expires=", "X-Amz-Expires=1"),
    ];
    for url in tampered {
        assert_ne!(url, upload.url());
        let status = upload.put(stage, &url, &bytes).await;
        if stage.is_known_to_differ("takes any signature") {
            continue;
        }
        assert_eq!(status, StatusCode::FORBIDDEN, "{url}");
    }
}
