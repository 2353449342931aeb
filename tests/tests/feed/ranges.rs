//! Downloads in parts, where the feed streams them.

use http::{Method, StatusCode};
use nuthatch_tests::{Client, FeedOptions, TestFeed};

use crate::package;

const NUPKG: &str = "/v3/package/acme/1.0.0/acme.1.0.0.nupkg";

async fn owner_of(bytes: &[u8]) -> Client {
    let owner = TestFeed::start().await.owner().await;
    owner.push(bytes).await.expect(StatusCode::CREATED);
    owner
}

#[tokio::test]
async fn a_part_of_a_package_is_what_stands_there() {
    let bytes = package("Acme", "1.0.0", "x");
    let owner = owner_of(&bytes).await;
    let size = bytes.len();
    for (range, part) in [
        ("bytes=0-0".to_owned(), 0..1),
        ("bytes=10-".to_owned(), 10..size),
        ("bytes=10-99999".to_owned(), 10..size),
        ("bytes=-22".to_owned(), size - 22..size),
        (format!("bytes=5-{}", size - 1), 5..size),
    ] {
        let answer = owner.get_with(NUPKG, ("range", &range)).await;
        let answer = answer.expect(StatusCode::PARTIAL_CONTENT);
        assert_eq!(answer.body, bytes[part.clone()], "{range}");
        let content_range = format!("bytes {}-{}/{size}", part.start, part.end - 1);
        assert_eq!(answer.header("content-range"), content_range);
        assert_eq!(answer.header("content-length"), part.len().to_string());
    }
}

#[tokio::test]
async fn a_part_that_is_not_there_is_told_from_what_nobody_understands() {
    let bytes = package("Acme", "1.0.0", "x");
    let owner = owner_of(&bytes).await;
    let range = format!("bytes={}-", bytes.len());
    let answer = owner.get_with(NUPKG, ("range", &range)).await;
    let answer = answer.expect(StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(answer.header("content-range"), format!("bytes */{}", bytes.len()));
    for range in ["bytes=0-1,4-5", "bytes=5-1", "pages=1-2", "bytes=x"] {
        let answer = owner.get_with(NUPKG, ("range", range)).await.expect(StatusCode::OK);
        assert_eq!(answer.body, bytes, "{range}");
    }
}

#[tokio::test]
async fn a_download_goes_on_where_it_was_if_it_is_the_same_package() {
    let bytes = package("Acme", "1.0.0", "x");
    let owner = owner_of(&bytes).await;
    let whole = owner.get(NUPKG).await.expect(StatusCode::OK);
    assert_eq!(whole.header("accept-ranges"), "bytes");
    assert_eq!(whole.header("content-disposition"), "attachment; filename=\"acme.1.0.0.nupkg\"");
    let ask = async |tag: &str| {
        let request = http::Request::builder().method(Method::GET).uri(NUPKG);
        let request = request.header("range", "bytes=1-").header("if-range", tag);
        owner.send(request, "").await.status
    };
    assert_eq!(ask(whole.header("etag")).await, StatusCode::PARTIAL_CONTENT);
    assert_eq!(ask("\"another\"").await, StatusCode::OK);
    let head = owner.head(NUPKG).await.expect(StatusCode::OK);
    assert_eq!(head.header("content-length"), bytes.len().to_string());
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn a_redirect_names_the_file_and_ends_soon() {
    let options = FeedOptions { redirect: true, ..FeedOptions::default() };
    let owner = TestFeed::with(options).await.owner().await;
    owner.push(&package("Acme", "1.0.0", "x")).await.expect(StatusCode::CREATED);
    let answer = owner.get_with(NUPKG, ("range", "bytes=0-0")).await.expect(StatusCode::FOUND);
    let location = answer.header("location");
    for part in ["X-Amz-Expires=300", "acme.1.0.0.nupkg%22", "application%2Foctet-stream"] {
        assert!(location.contains(part), "{location}");
    }
    assert_eq!(answer.header("cache-control"), "no-store");
}
