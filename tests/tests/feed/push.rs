//! Pushing: what is committed, what is refused, and what each leaves behind.

use aws_sdk_dynamodb::types::AttributeValue;
use http::{Method, StatusCode};
use nuthatch_tests::{FeedOptions, PackageBuilder, TestFeed};

use crate::package;

const SESSION: &str = "2e176630-940a-40d9-83e9-d0906f40646e";

#[tokio::test]
async fn a_pushed_package_can_be_read_at_once() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let bytes = package("Acme.Core", "1.0.0-RC.1+build", "x");
    let answer = owner.push(&bytes).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert!(answer.body.is_empty());
    let reader = owner.at(&feed.another_instance());
    assert_eq!(reader.versions("acme.core").await, ["1.0.0-rc.1"]);
    assert_eq!(reader.nupkg("acme.core", "1.0.0-rc.1").await.body, bytes);
}

#[tokio::test]
async fn a_push_writes_one_object_and_five_rows() {
    let feed = TestFeed::start().await;
    feed.owner().await.push_in_session(&package("Acme", "1.0", "x"), Some(SESSION)).await;
    let objects = feed.objects().await;
    assert_eq!(objects.len(), 1);
    assert!(objects[0].starts_with("packages/acme/1.0.0/"), "{objects:?}");
    let rows = feed.rows().await;
    let is_change = |name: &str| name.strip_prefix('c').is_some_and(|n| n.parse::<u8>().is_ok());
    let shape: Vec<String> = rows
        .iter()
        .map(|(key, row)| {
            let text = |(name, value): &(String, AttributeValue)| match (name.as_str(), value) {
                ("pk" | "sk", _) => None,
                ("at" | "published" | "object" | "changed" | "stamp", AttributeValue::S(_)) => {
                    Some(format!("{name}=*"))
                }
                ("c0", AttributeValue::S(change)) => {
                    Some(format!("{name}=*{}", change.trim_start_matches(char::is_alphanumeric)))
                }
                // The places for more changes.
                (name, AttributeValue::S(text)) if text.is_empty() && is_change(name) => None,
                (_, AttributeValue::B(_)) => Some(format!("{name}=bytes")),
                ("sha256", AttributeValue::S(hash)) => Some(format!("{name}:{}", hash.len())),
                (_, AttributeValue::S(text)) => Some(format!("{name}={text}")),
                (_, value) => Some(format!("{name}={value:?}")),
            };
            let key = match key.strip_prefix("CHANGES#") {
                Some(_) => "CHANGES#<month> <ulid>",
                None => key,
            };
            format!("{key}: {}", row.iter().filter_map(text).collect::<Vec<_>>().join(" "))
        })
        .collect();
    insta::assert_snapshot!(shape.join("\n"));
    assert_eq!(feed.changes().await, ["pushed acme 1.0.0"]);
}

#[tokio::test]
async fn a_second_push_of_a_version_is_refused_whatever_its_spelling() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&package("Acme.Core", "1.0.0", "first")).await;
    for (id, version) in [
        ("Acme.Core", "1.0.0"),
        ("ACME.CORE", "1.0"),
        ("acme.core", "01.0.0.0"),
        ("Acme.Core", "1.0.0+other"),
    ] {
        let answer = owner.push(&package(id, version, "second")).await;
        assert_eq!(
            answer.refusal(),
            format!(
                "409 the package '{id}' 1.0.0 exists already; \
                 push a new version, or use --skip-duplicate"
            )
        );
    }
    assert_eq!(
        owner.nupkg("acme.core", "1.0.0").await.body,
        package("Acme.Core", "1.0.0", "first")
    );
    assert_eq!(feed.objects().await.len(), 1);
    assert_eq!(feed.changes().await.len(), 1);
}

#[tokio::test]
async fn a_push_tried_again_in_its_session_is_the_same_push() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let bytes = package("Acme", "1.0.0", "x");
    for _ in 0..3 {
        let answer = owner.push_in_session(&bytes, Some(SESSION)).await;
        assert_eq!(answer.status, StatusCode::CREATED);
    }
    assert_eq!(feed.objects().await.len(), 1);
    assert_eq!(feed.changes().await.len(), 1);
}

#[tokio::test]
async fn another_session_key_or_content_is_another_push() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let other = feed.client("other", &[access::Scope::Push], &["*"]).await;
    let bytes = package("Acme", "1.0.0", "x");
    owner.push_in_session(&bytes, Some(SESSION)).await;
    let conflict = StatusCode::CONFLICT;
    assert_eq!(owner.push_in_session(&bytes, Some("another")).await.status, conflict);
    assert_eq!(owner.push_in_session(&bytes, None).await.status, conflict);
    assert_eq!(other.push_in_session(&bytes, Some(SESSION)).await.status, conflict);
    let changed = package("Acme", "1.0.0", "y");
    assert_eq!(owner.push_in_session(&changed, Some(SESSION)).await.status, conflict);
}

#[tokio::test]
async fn a_push_without_a_session_is_never_a_replay() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let bytes = package("Acme", "1.0.0", "x");
    owner.push(&bytes).await;
    assert_eq!(owner.push(&bytes).await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn an_invalid_package_changes_nothing() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    for bytes in [&b""[..], b"not a zip", &package("A b", "1.0.0", "x"), &package("A", "x", "x")] {
        let answer = owner.push(bytes).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.json()["detail"], answer.header("x-nuget-warning"));
        assert_eq!(answer.json()["status"], 400);
    }
    assert!(feed.objects().await.is_empty());
    assert!(feed.rows().await.is_empty());
}

#[tokio::test]
async fn a_package_beyond_the_limit_is_too_large() {
    let bytes = package("Acme", "1.0.0", "x");
    let size = bytes.len() as u64;
    let options = |package_bytes| FeedOptions { package_bytes, ..FeedOptions::default() };
    let feed = TestFeed::with(options(size)).await;
    assert_eq!(feed.owner().await.push(&bytes).await.status, StatusCode::CREATED);
    let feed = TestFeed::with(options(size - 1)).await;
    let answer = feed.owner().await.push(&bytes).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let limit = format!("{} bytes", size - 1);
    assert!(answer.header("x-nuget-warning").contains(&limit), "{}", answer.refusal());
    assert!(feed.objects().await.is_empty());
}

#[tokio::test]
async fn a_length_declared_beyond_the_limit_is_refused_before_a_byte_is_read() {
    let feed = TestFeed::with(FeedOptions { package_bytes: 500, ..FeedOptions::default() }).await;
    let owner = feed.owner().await;
    let request = http::Request::put("/api/v2/package").header("content-length", "1000000");
    let unread = protocol::Body::stream(Unread);
    assert_eq!(owner.send(request, unread).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_raw_body_is_a_package_too() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    for (version, content_type) in
        [("1.0.0", "application/octet-stream"), ("2.0.0", "application/x-www-form-urlencoded")]
    {
        let request = http::Request::put("/api/v2/package").header("content-type", content_type);
        let answer = owner.send(request, package("Acme", version, "x")).await;
        assert_eq!(answer.status, StatusCode::CREATED);
    }
    assert_eq!(owner.versions("acme").await, ["1.0.0", "2.0.0"]);
}

#[tokio::test]
async fn a_push_to_anything_behind_the_address_finds_nothing() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    for path in ["/api/v2/package/Acme", "/api/v2/package/Acme/1.0.0", "/api/v2/packages"] {
        let request = http::Request::builder().method(Method::PUT).uri(path);
        let answer = owner.send(request, package("Acme", "1.0.0", "x")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_package_in_memory_is_pushed_like_one_in_a_file() {
    let feed = TestFeed::with(FeedOptions { in_memory: true, ..FeedOptions::default() }).await;
    let owner = feed.owner().await;
    let bytes = package("Acme", "1.0.0", &"0123456789".repeat(100_000));
    assert_eq!(owner.push(&bytes).await.status, StatusCode::CREATED);
    assert_eq!(owner.nupkg("acme", "1.0.0").await.body, bytes);
}

#[tokio::test]
async fn a_received_package_leaves_no_file_behind() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&package("Acme", "1.0.0", "x")).await;
    owner.push(b"broken").await;
    assert_eq!(std::fs::read_dir(feed.folder().join("spool")).unwrap().count(), 0);
}

/// A body that must not be read.
struct Unread;

impl hyper::body::Body for Unread {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        unreachable!("the body was read")
    }
}

#[tokio::test]
async fn every_refusal_is_one_that_a_client_can_show() {
    let feed = TestFeed::start().await;
    let odd = PackageBuilder::new("Acme", "1.0.0").file("../\u{202e}ä\n", b"").build();
    let refused = feed.owner().await.push(&odd).await.expect(StatusCode::BAD_REQUEST);
    let line = refused.header("x-nuget-warning");
    assert!(line.contains(".."), "{line}");
    assert!(line.chars().all(|c| c.is_ascii_graphic() || c == ' '), "{line}");
}
