//! A push in three steps.

use std::collections::BTreeMap;

use access::Scope;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{Method, StatusCode};
use nuthatch_tests::{Answer, Host};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{package, push, versions};

const UPLOAD: &str = "/api/v2/upload";

pub(crate) fn declaration(id: &str, version: &str, bytes: &[u8]) -> Value {
    let sha256 = BASE64_STANDARD.encode(Sha256::digest(bytes));
    json!({ "id": id, "version": version, "size": bytes.len(), "sha256": sha256 })
}

pub(crate) async fn declare(host: &Host, key: &str, declaration: &Value) -> Answer {
    host.send((Method::POST, UPLOAD), key, &[], declaration.to_string()).await
}

async fn commit(host: &Host, key: &str, upload: &str, declaration: &Value) -> Answer {
    let path = format!("{UPLOAD}/{upload}/commit");
    host.send((Method::POST, &path), key, &[], declaration.to_string()).await
}

pub(crate) async fn commit_symbols(host: &Host, upload: &str, declaration: &Value) -> Answer {
    let path = format!("{UPLOAD}/{upload}/commit-symbols");
    host.send((Method::POST, &path), &host.owner, &[], declaration.to_string()).await
}

/// The address, the headers and the name of an upload.
pub(crate) struct Invitation {
    url: String,
    headers: Vec<(String, String)>,
    pub(crate) upload: String,
}

pub(crate) async fn invitation(host: &Host, declaration: &Value) -> Invitation {
    let answer = declare(host, &host.owner, declaration).await.expect(StatusCode::OK).json();
    assert_eq!(answer["method"], "PUT");
    let headers: BTreeMap<String, String> =
        serde_json::from_value(answer["headers"].clone()).unwrap();
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    Invitation { url: text("url"), headers: headers.into_iter().collect(), upload: text("upload") }
}

impl Invitation {
    pub(crate) async fn put(&self, host: &Host, body: &[u8]) -> StatusCode {
        host.follow(Method::PUT, &self.url, &self.headers, body.to_vec()).await.status
    }

    /// The same with another value of a header.
    fn with(&self, name: &str, value: &str) -> Self {
        let other = |(header, old): &(String, String)| {
            (header.clone(), if header == name { value.to_owned() } else { old.clone() })
        };
        Self {
            url: self.url.clone(),
            headers: self.headers.iter().map(other).collect(),
            upload: self.upload.clone(),
        }
    }
}

pub(crate) async fn an_upload_is_visible_once_it_is_committed(host: &Host) {
    let bytes = package("Acme.Core", "1.0.0-RC.1+build", "x");
    let declared = declaration("Acme.Core", "1.0.0-RC.1+build", &bytes);
    let invitation = invitation(host, &declared).await;
    assert_eq!(invitation.put(host, &bytes).await, StatusCode::OK);
    assert_eq!(invitation.put(host, &bytes).await, StatusCode::PRECONDITION_FAILED);
    assert!(versions(host, "acme.core").await.is_empty());
    for _ in 0..2 {
        let answer = commit(host, &host.owner, &invitation.upload, &declared).await;
        assert!(answer.expect(StatusCode::CREATED).body.is_empty());
    }
    assert_eq!(versions(host, "acme.core").await, ["1.0.0-rc.1"]);
    assert_eq!(host.nupkg("acme.core", "1.0.0-rc.1").await, bytes);
    // The address still works for a while. Nobody sees an object that it stores now, and the
    // bucket removes it later.
    invitation.put(host, &bytes).await;
    assert_eq!(host.nupkg("acme.core", "1.0.0-rc.1").await, bytes);
}

pub(crate) async fn an_upload_of_a_taken_number_is_refused_before_a_byte_is_sent(host: &Host) {
    let bytes = package("Acme", "1.0.0", "x");
    let declared = declaration("Acme", "1.0", &bytes);
    let late = invitation(host, &declared).await;
    push(host, &host.owner, &bytes).await.expect(StatusCode::CREATED);
    let refusal = "409 the package 'Acme' 1.0.0 exists already; push a new version, or use \
                   --skip-duplicate";
    assert_eq!(declare(host, &host.owner, &declared).await.refusal(), refusal);
    // An upload that was begun earlier is refused at its commit, and leaves nothing.
    assert_eq!(late.put(host, &bytes).await, StatusCode::OK);
    assert_eq!(commit(host, &host.owner, &late.upload, &declared).await.refusal(), refusal);
    if let Some(objects) = host.objects().await {
        assert_eq!(objects.len(), 1, "{objects:?}");
    }
}

pub(crate) async fn an_address_takes_the_declared_bytes_and_no_others(host: &Host) {
    let bytes = package("Acme", "1.0.0", "x");
    let other = package("Acme", "1.0.0", "y");
    assert_eq!(bytes.len(), other.len());
    let declared = declaration("Acme", "1.0.0", &bytes);
    let invitation = invitation(host, &declared).await;
    assert_eq!(invitation.put(host, &other).await, StatusCode::BAD_REQUEST);
    let sha256 = declaration("Acme", "1.0.0", &other)["sha256"].as_str().unwrap().to_owned();
    let forged = invitation.with("x-amz-checksum-sha256", &sha256);
    assert_eq!(forged.put(host, &other).await, StatusCode::FORBIDDEN);
    let unconditional = invitation.with("if-none-match", "\"x\"");
    assert_eq!(unconditional.put(host, &bytes).await, StatusCode::FORBIDDEN);
    let longer = [bytes.as_slice(), b"more"].concat();
    let length = longer.len().to_string();
    let longer_put = invitation.with("content-length", &length);
    assert_eq!(longer_put.put(host, &longer).await, StatusCode::FORBIDDEN);
    let answer = commit(host, &host.owner, &invitation.upload, &declared).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(invitation.put(host, &bytes).await, StatusCode::OK);
}

pub(crate) async fn an_address_stores_at_no_other_key(host: &Host) {
    let bytes = package("Acme", "1.0.0", "x");
    let invitation = invitation(host, &declaration("Acme", "1.0.0", &bytes)).await;
    for (from, to) in [
        ("/acme/", "/other/"),
        ("/1.0.0/", "/2.0.0/"),
        (invitation.upload.as_str(), "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ("/uploads/", "/search/"),
        ("/uploads/", "/packages/"),
        ("X-Amz-Expires=900", "X-Amz-Expires=90000"),
    ] {
        let url = invitation.url.replacen(from, to, 1);
        assert_ne!(url, invitation.url);
        let astray = Invitation { url, ..invitation.with("", "") };
        let status = astray.put(host, &bytes).await;
        // On a server, there is no bucket at any address outside the uploads.
        let refused = [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND].contains(&status);
        assert!(refused, "{from} {to}: {status}");
    }
    let unsigned = invitation.url.split('?').next().unwrap().to_owned();
    for method in [Method::PUT, Method::GET, Method::DELETE] {
        let answer = host.follow(method, &unsigned, &[], bytes.clone()).await;
        let refused = [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND].contains(&answer.status);
        assert!(refused, "{}", answer.status);
    }
    if let Some(objects) = host.objects().await {
        assert!(objects.is_empty(), "{objects:?}");
    }
}

pub(crate) async fn what_was_not_uploaded_cannot_be_committed(host: &Host) {
    let bytes = package("Acme", "1.0.0", "x");
    let declared = declaration("Acme", "1.0.0", &bytes);
    let answer = commit(host, &host.owner, "01ARZ3NDEKTSV4RRFFQ69G5FAV", &declared).await;
    assert_eq!(
        answer.refusal(),
        "404 there is no upload '01ARZ3NDEKTSV4RRFFQ69G5FAV' of this package; begin it again"
    );
    let invitation = invitation(host, &declared).await;
    assert_eq!(invitation.put(host, &bytes).await, StatusCode::OK);
    let other = declaration("Acme", "1.0.0", &package("Acme", "1.0.0", "y"));
    let answer = commit(host, &host.owner, &invitation.upload, &other).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(
        commit(host, &host.owner, "nonsense", &declared).await.status,
        StatusCode::NOT_FOUND
    );
}

pub(crate) async fn what_is_not_as_declared_is_refused(host: &Host) {
    let uploaded = async |declared: &Value, bytes: &[u8]| {
        let invitation = invitation(host, declared).await;
        assert_eq!(invitation.put(host, bytes).await, StatusCode::OK);
        commit(host, &host.owner, &invitation.upload, declared).await.refusal()
    };
    let bytes = package("Acme", "2.0.0", "x");
    assert_eq!(
        uploaded(&declaration("Acme", "1.0.0", &bytes), &bytes).await,
        "400 the upload was declared as 'Acme 1.0.0' and holds 'Acme 2.0.0'; declare what it holds"
    );
    let refusal = uploaded(&declaration("Acme", "1.0.0", b"nonsense"), b"nonsense").await;
    assert!(refusal.starts_with("400 the package is not a readable zip archive"), "{refusal}");
    assert!(versions(host, "acme").await.is_empty());
    if let Some(objects) = host.objects().await {
        assert!(objects.is_empty(), "{objects:?}");
    }
}

pub(crate) async fn a_declaration_that_cannot_be_read_is_refused(host: &Host) {
    let whole = declaration("Acme", "1.0.0", b"x");
    let mut broken = vec![String::new(), "{".to_owned(), "x".repeat(9999)];
    for (name, value) in [
        ("id", json!("a b")),
        ("version", json!("one")),
        ("size", json!(-1)),
        ("size", json!("1")),
        ("sha256", json!("00")),
        ("sha256", json!(null)),
    ] {
        let mut declaration = whole.clone();
        declaration[name] = value;
        broken.push(declaration.to_string());
    }
    for declaration in broken {
        let answer = host.send((Method::POST, UPLOAD), &host.owner, &[], declaration.clone()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{declaration}");
    }
    let mut large = whole;
    large["size"] = json!(5_u64 << 30);
    let refusal = declare(host, &host.owner, &large).await.refusal();
    assert!(
        refusal.starts_with("413 the package is larger than the 1073741824 bytes"),
        "{refusal}"
    );
}

pub(crate) async fn an_upload_needs_a_key_that_covers_it(host: &Host) {
    let bytes = package("Acme", "1.0.0", "x");
    let declared = declaration("Acme", "1.0.0", &bytes);
    let invitation = invitation(host, &declared).await;
    assert_eq!(invitation.put(host, &bytes).await, StatusCode::OK);
    let other = host.key("other", Scope::Push, "Other.*").await;
    let unlister = host.key("unlister", Scope::Unlist, "*").await;
    for (key, status) in [
        ("", StatusCode::UNAUTHORIZED),
        ("nuthatch_wrong", StatusCode::FORBIDDEN),
        (other.as_str(), StatusCode::FORBIDDEN),
        (unlister.as_str(), StatusCode::FORBIDDEN),
    ] {
        assert_eq!(declare(host, key, &declared).await.status, status);
        assert_eq!(commit(host, key, &invitation.upload, &declared).await.status, status);
    }
    assert!(versions(host, "acme").await.is_empty());
}
