//! Tags, lifetimes, heads and gzip.

use std::io::Read;

use flate2::read::GzDecoder;
use http::{Method, Request, StatusCode};
use nuthatch_tests::{Answer, Client, TestFeed};

use crate::served::Served;
use crate::{described, package};

/// Every document and file of a version of Acme.
const READS: [&str; 8] = [
    "/v3/index.json",
    "/v3/package/acme/index.json",
    "/v3/package/acme/1.0.0/acme.1.0.0.nupkg",
    "/v3/package/acme/1.0.0/acme.nuspec",
    "/v3/registration/acme/index.json",
    "/v3/registration/acme/1.0.0.json",
    "/v3/search?q=acme",
    "/v3/autocomplete?q=acme",
];

async fn feed() -> (TestFeed, Client) {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let long = format!("<summary>{}</summary>", "Many words. ".repeat(200));
    owner.push(&described("Acme", "1.0.0", &long)).await;
    (feed, owner)
}

#[tokio::test]
async fn a_head_says_what_a_get_would() {
    let (feed, owner) = feed().await;
    feed.settle().await;
    for path in READS {
        let (get, head) = (owner.get(path).await, owner.head(path).await);
        assert_eq!(head.status, StatusCode::OK, "{path}");
        assert!(head.body.is_empty(), "{path}");
        assert_eq!(head.header("content-length"), get.body.len().to_string(), "{path}");
        for name in ["content-type", "etag", "cache-control", "vary"] {
            assert_eq!(head.header(name), get.header(name), "{path}");
        }
        assert_eq!(owner.head(&path.replace("acme", "other")).await.body, "");
    }
    let unknown = feed.stranger().head("/v3/package/acme/index.json").await;
    assert_eq!((unknown.status, unknown.body.len()), (StatusCode::UNAUTHORIZED, 0));
}

#[tokio::test]
async fn what_a_client_has_already_is_not_sent_again() {
    let (feed, owner) = feed().await;
    feed.settle().await;
    for path in READS.iter().filter(|path| !path.ends_with("nuspec") && **path != "/v3/index.json")
    {
        let tag = owner.get(path).await.header("etag").to_owned();
        // The bytes of a nupkg never change; documents may be written again.
        let start = if path.ends_with("nupkg") { "\"" } else { "W/\"" };
        assert!(tag.starts_with(start), "{path}: {tag}");
        for known in [tag.as_str(), "*", &format!("\"x\", {tag}"), tag.trim_start_matches("W/")] {
            let answer = owner.get_with(path, ("if-none-match", known)).await;
            assert_eq!(answer.status, StatusCode::NOT_MODIFIED, "{path} {known}");
            assert_eq!(answer.header("etag"), tag);
            assert!(answer.body.is_empty());
        }
        let answer = owner.get_with(path, ("if-none-match", "\"other\"")).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_tag_changes_with_what_it_stands_for() {
    let (feed, owner) = feed().await;
    feed.settle().await;
    let paths = ["/v3/package/acme/index.json", "/v3/registration/acme/index.json", "/v3/search"];
    let mut tags = Vec::new();
    for path in paths {
        tags.push(owner.get(path).await.header("etag").to_owned());
    }
    owner.delete("Acme/1.0.0").await;
    for (path, tag) in paths.iter().zip(&tags) {
        let answer = owner.get_with(path, ("if-none-match", tag)).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(!answer.header("etag").is_empty(), "{path}");
        assert_ne!(answer.header("etag"), tag, "{path}");
    }
}

#[tokio::test]
async fn a_server_remembers_a_package_as_soon_as_it_was_changed() {
    let feed = Served::start(&[]);
    let key = &feed.owner;
    let ask = async |request: http::request::Builder, known: &str| -> Answer {
        let request = request.header("x-nuget-apikey", key).header("if-none-match", known);
        feed.server.send(request, "").await
    };
    let paths = ["/v3/package/acme/index.json", "/v3/registration/acme/index.json"];
    let mut known = [String::new(), String::new()];
    // Its table shows a change whole or not at all, so no minute has to pass.
    for round in 0..6 {
        if round % 2 == 0 {
            let bytes = package("Acme", &format!("{round}.0.0"), "x");
            feed.push(&bytes).await.expect(StatusCode::CREATED);
        } else {
            let path = format!("/api/v2/package/Acme/{}.0.0", round - 1);
            let answer = ask(Request::delete(path), "").await;
            assert_eq!(answer.status, StatusCode::NO_CONTENT);
        }
        for (path, known) in paths.iter().zip(&mut known) {
            let answer = ask(Request::get(*path), known).await;
            assert_eq!(answer.status, StatusCode::OK, "{path} {round}");
            *known = answer.header("etag").to_owned();
            let again = ask(Request::get(*path), known).await;
            assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{path} {round}");
        }
    }
}

#[tokio::test]
async fn nobody_keeps_what_only_a_key_opens() {
    let (_feed, owner) = feed().await;
    for path in READS {
        let cache = owner.get(path).await.header("cache-control").to_owned();
        assert!(cache.starts_with("private, "), "{path}: {cache}");
    }
    let refused = owner.get("/v3/package/other/index.json").await;
    assert_eq!(refused.header("cache-control"), "private, no-cache");
}

#[tokio::test]
async fn long_documents_are_sent_in_gzip_where_it_is_taken() {
    let (_feed, owner) = feed().await;
    let path = "/v3/registration/acme/index.json";
    let plain = owner.get(path).await;
    assert_eq!(plain.header("content-encoding"), "");
    assert_eq!(plain.header("vary"), "accept-encoding");
    let packed = owner.get_with(path, ("accept-encoding", "gzip, deflate")).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    let mut unpacked = Vec::new();
    GzDecoder::new(packed.body.as_ref()).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    let short = owner.get_with("/v3/package/acme/index.json", ("accept-encoding", "gzip")).await;
    assert_eq!(short.header("content-encoding"), "");
    let nupkg = "/v3/package/acme/1.0.0/acme.1.0.0.nupkg";
    let nupkg = owner.get_with(nupkg, ("accept-encoding", "gzip")).await;
    assert_eq!(nupkg.header("content-encoding"), "");
}

#[tokio::test]
async fn a_tag_means_nothing_to_a_write() {
    let (_feed, owner) = feed().await;
    let path = "/api/v2/package/Acme/1.0.0";
    let request = http::Request::builder().method(Method::POST).uri(path);
    let answer = owner.send(request.header("if-none-match", "*"), "").await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn the_tag_of_a_search_tells_nothing_of_hidden_packages() {
    let (feed, owner) = feed().await;
    let limited = feed.client("limited", &[access::Scope::Read], &["Acme"]).await;
    let tag = limited.get("/v3/search?q=acme").await.header("etag").to_owned();
    owner.push(&package("Secret", "1.0.0", "x")).await.expect(StatusCode::CREATED);
    assert_eq!(limited.get("/v3/search?q=acme").await.header("etag"), tag);
    owner.push(&package("Acme", "9.0.0", "x")).await.expect(StatusCode::CREATED);
    assert_ne!(limited.get("/v3/search?q=acme").await.header("etag"), tag);
}
