//! Reading: the service index, version lists, packages and nuspecs.

use http::{Method, StatusCode};
use nuthatch_tests::{Client, FeedOptions, PackageBuilder, TestFeed, nuspec};
use store::Changes;

use crate::package;

#[tokio::test]
async fn the_service_index_names_what_is_served_to_everybody() {
    let feed = TestFeed::start().await;
    let answer = feed.stranger().get("/v3/index.json").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "application/json");
    insta::assert_json_snapshot!(answer.json());
}

#[tokio::test]
async fn versions_are_listed_ascending_normalized_and_lower_cased() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    for version in ["2.0", "1.0.0-RC.10", "1.0.0-rc.9", "1.0.0.1", "1.0+x", "10.0.0", "1.0.0--1"] {
        assert_eq!(owner.push(&package("Acme", version, "x")).await.status, StatusCode::CREATED);
    }
    let expected = ["1.0.0--1", "1.0.0-rc.9", "1.0.0-rc.10", "1.0.0", "1.0.0.1", "2.0.0", "10.0.0"];
    assert_eq!(owner.versions("ACME").await, expected);
}

#[tokio::test]
async fn a_package_that_is_not_there_is_no_warning() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let answer = owner.get("/v3/package/newtonsoft.json/index.json").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    // A restore asks every feed for every id, and would show the warning each time.
    assert_eq!(answer.header("x-nuget-warning"), "");
    assert_eq!(answer.json()["detail"], "the feed has no package 'newtonsoft.json'; check the id");
}

#[tokio::test]
async fn a_nupkg_is_found_by_any_spelling_of_its_version() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let bytes = package("Acme.Core", "1.0.0-RC+meta", "x");
    owner.push(&bytes).await;
    for path in [
        "acme.core/1.0.0-rc/acme.core.1.0.0-rc.nupkg",
        "Acme.Core/1.0.0-RC/Acme.Core.1.0.0-RC.nupkg",
        "acme.core/1.0-rc/acme.core.1.0.0.0-rc.nupkg",
        "acme.core/1.0.0-rc+meta/acme.core.1.0.0-rc+meta.nupkg",
    ] {
        let answer = owner.get(&format!("/v3/package/{path}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert_eq!(answer.body, bytes, "{path}");
    }
}

#[tokio::test]
async fn files_that_no_version_has_are_not_found() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&package("Acme", "1.0.0", "x")).await;
    let long = format!("acme/{0}/acme.{0}.nupkg", format_args!("1.0.0-{}", "a".repeat(2000)));
    for path in [
        long.as_str(),
        "acme/1.0.0/acme.2.0.0.nupkg",
        "acme/1.0.0/other.1.0.0.nupkg",
        "acme/1.0.0/acme.zip",
        "acme/2.0.0/acme.2.0.0.nupkg",
        "acme/2.0.0/acme.nuspec",
        "acme/x/acme.x.nupkg",
        "acme/1.0.0/acme.1.0.0.nupkg/",
        "acme/1.0.0/",
        "acme/1.0.0",
        "acme/",
        "a b/index.json",
        "acme/1.0.0/..%2f..%2fserve.lock",
    ] {
        let answer = owner.get(&format!("/v3/package/{}", path.replace(' ', "%20"))).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_nuspec_is_given_out_as_it_stands_in_the_package() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let xml = nuspec("Acme", "1.0.0", "<title>Grüße</title>");
    owner.push(&PackageBuilder::default().nuspec(&xml).build()).await;
    let answer = owner.get("/v3/package/acme/1.0.0/acme.nuspec").await;
    assert_eq!(answer.header("content-type"), "text/xml");
    assert_eq!(answer.body, xml);
}

#[tokio::test]
async fn a_method_that_no_route_has_finds_nothing() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    for (method, path) in [
        (Method::POST, "/v3/index.json"),
        (Method::GET, "/api/v2/package"),
        (Method::GET, "/nowhere"),
        (Method::PUT, "/"),
        (Method::PATCH, "/api/v2/package/Acme/1.0.0"),
    ] {
        let request = http::Request::builder().method(method).uri(path);
        let answer = owner.send(request, "").await;
        let expected =
            "404 there is nothing at this address; see /v3/index.json for those that exist";
        assert_eq!(answer.refusal(), expected, "{path}");
    }
}

#[tokio::test]
async fn no_read_carries_a_warning_that_a_restore_would_print() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&package("Acme", "1.0.0", "x")).await.expect(StatusCode::CREATED);
    let long = "a".repeat(101);
    for id in
        ["%D0%B0%D0%BA%D0%BC%D0%B5", "caf%C3%A9.core", "a--b", "a..b", "%24id%24", "a%20b", &long]
    {
        for path in [
            format!("/v3/package/{id}/index.json"),
            format!("/v3/registration/{id}/index.json"),
            format!("/v3/package/{id}/1.0.0/{id}.1.0.0.nupkg"),
        ] {
            let answer = owner.get(&path).await.expect(StatusCode::NOT_FOUND);
            assert_eq!(answer.header("x-nuget-warning"), "", "{path}");
        }
    }
    for path in ["/nowhere", "/v3/package/acme/9.0.0/acme.9.0.0.nupkg", "/v3/package/acme/x/y"] {
        let answer = owner.get(path).await.expect(StatusCode::NOT_FOUND);
        assert_eq!(answer.header("x-nuget-warning"), "", "{path}");
        assert_ne!(answer.refusal(), "404 ", "{path}");
    }
}

#[tokio::test]
async fn a_redirect_opens_the_package_and_nothing_else() {
    let feed = TestFeed::with(FeedOptions { redirect: true, ..FeedOptions::default() }).await;
    let owner = feed.owner().await;
    let bytes = package("Acme", "1.0.0", "x");
    owner.push(&bytes).await;
    owner.push(&package("Secret", "1.0.0", "y")).await;
    let answer = owner.nupkg("acme", "1.0.0").await;
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_eq!(answer.header("cache-control"), "no-store");
    let address = answer.header("location").to_owned();
    let (status, headers, body) = follow(&feed, Method::GET, &address).await;
    assert_eq!((status, body), (StatusCode::OK, bytes));
    assert_eq!(headers["content-disposition"], "attachment; filename=\"acme.1.0.0.nupkg\"");
    let objects = feed.objects().await;
    let (acme, secret) = (&objects[0], &objects[1]);
    let forbidden = StatusCode::FORBIDDEN;
    assert_eq!(follow(&feed, Method::GET, &address.replace(acme, secret)).await.0, forbidden);
    assert_eq!(follow(&feed, Method::PUT, &address).await.0, forbidden);
    let longer = address.replace("X-Amz-Expires=300", "X-Amz-Expires=3000");
    assert_ne!(longer, address);
    assert_eq!(follow(&feed, Method::GET, &longer).await.0, forbidden);
}

#[tokio::test]
async fn what_is_not_there_is_not_redirected_to() {
    let feed = TestFeed::with(FeedOptions { redirect: true, ..FeedOptions::default() }).await;
    let owner: Client = feed.owner().await;
    assert_eq!(owner.nupkg("acme", "1.0.0").await.status, StatusCode::NOT_FOUND);
}

/// Sends a request to the bucket, as a client that follows a redirect does.
async fn follow(
    feed: &TestFeed,
    method: Method,
    address: &str,
) -> (StatusCode, http::HeaderMap, Vec<u8>) {
    use http_body_util::BodyExt;
    let host = address.parse::<http::Uri>().unwrap().authority().unwrap().to_string();
    let request = http::Request::builder().method(method).uri(address).header("host", host);
    let request = request.body(s3s::Body::empty()).unwrap();
    let (parts, body) = feed.engines.s3.call(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    (parts.status, parts.headers, body)
}

#[tokio::test]
async fn what_is_more_than_a_page_of_the_table_is_read_whole() {
    const VERSIONS: usize = 6_100;
    let feed = TestFeed::with(FeedOptions { quick: true, ..FeedOptions::default() }).await;
    let owner = feed.owner().await;
    let versions: Vec<String> = (0..VERSIONS).map(|minor| format!("1.{minor}.0")).collect();
    let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
    feed.fill(["Many".to_owned()], &versions).await;
    assert_eq!(owner.versions("many").await, versions);
    let (mut rows, mut position) = (0, None);
    loop {
        let page = feed.table().rows(position).await.unwrap();
        rows += page.rows.len();
        let Some(next) = page.next else { break };
        position = Some(next);
    }
    assert!(rows > 4 * VERSIONS, "{rows}");
    let (mut changes, mut next) = (0, Some(Changes::beginning()));
    while let Some(first) = next {
        let page = feed.table().changes(first).await.unwrap();
        changes += page.changes.len();
        next = page.next;
    }
    assert_eq!(changes, VERSIONS);
}
