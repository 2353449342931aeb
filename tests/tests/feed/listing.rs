//! DELETE and POST: unlist, relist, delete.

use feed::DeleteBehavior;
use http::StatusCode;
use nuthatch_tests::{Client, FeedOptions, PackageBuilder, TestFeed, contents, noise};

use crate::package;

async fn deleting_feed() -> (TestFeed, Client) {
    let delete_behavior = DeleteBehavior::Delete;
    let feed = TestFeed::with(FeedOptions { delete_behavior, ..FeedOptions::default() }).await;
    let owner = feed.owner().await;
    (feed, owner)
}

async fn listed(feed: &TestFeed, id: &str, version: &str) -> bool {
    let (id, version) = (nupkg::PackageId::parse(id).unwrap(), version.parse().unwrap());
    feed.table().version(&id, &version).await.unwrap().unwrap().listed
}

#[tokio::test]
async fn an_unlisted_version_stays_readable_and_can_be_relisted() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&package("Acme", "1.0.0", "x")).await;
    assert_eq!(owner.delete("Acme/1.0.0").await.status, StatusCode::NO_CONTENT);
    assert!(!listed(&feed, "Acme", "1.0.0").await);
    assert_eq!(owner.versions("acme").await, ["1.0.0"]);
    assert_eq!(owner.nupkg("acme", "1.0.0").await.status, StatusCode::OK);
    assert_eq!(owner.relist("Acme/1.0.0").await.status, StatusCode::OK);
    assert!(listed(&feed, "Acme", "1.0.0").await);
    let changes = ["pushed acme 1.0.0", "unlisted acme 1.0.0", "relisted acme 1.0.0"];
    assert_eq!(feed.changes().await, changes);
}

#[tokio::test]
async fn unlisting_and_relisting_twice_does_no_more() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&package("Acme", "1.0.0", "x")).await;
    for _ in 0..2 {
        assert_eq!(owner.delete("Acme/1.0.0").await.status, StatusCode::NO_CONTENT);
    }
    let rows = feed.rows().await;
    assert_eq!(owner.delete("Acme/1.0.0").await.status, StatusCode::NO_CONTENT);
    assert_eq!(feed.rows().await, rows);
    for _ in 0..2 {
        assert_eq!(owner.relist("Acme/1.0.0").await.status, StatusCode::OK);
    }
    assert_eq!(feed.changes().await.len(), 3);
}

#[tokio::test]
async fn a_version_is_found_by_any_of_its_spellings() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&package("Acme.Core", "1.0.0-RC.1+meta", "x")).await;
    for spelling in [
        "acme.core/1.0.0-rc.1",
        "ACME.CORE/1.0-RC.1",
        "Acme.Core/01.0.0.0-Rc.1+other.meta",
        "Acme.Core/1.0.0-RC.1%2Bmeta",
        "Acme%2ECore/1.0.0-RC.1/",
        "Acme.Core/%201.0-rc.1",
    ] {
        assert_eq!(owner.delete(spelling).await.status, StatusCode::NO_CONTENT, "{spelling}");
        assert!(!listed(&feed, "Acme.Core", "1.0.0-rc.1").await, "{spelling}");
        assert_eq!(owner.relist(spelling).await.status, StatusCode::OK, "{spelling}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&package("Acme", "1.0.0", "x")).await;
    let long = format!("Acme/1.0.0-{}", "a".repeat(2000));
    for path in [
        long.as_str(),
        "Acme/2.0.0",
        "Other/1.0.0",
        "Acme/nonsense",
        "Acme",
        "Acme/",
        "",
        "Acme/1.0.0/more",
        "A%00/1",
        "Acme/%FF",
        "..%2F..%2F/1.0.0",
        "%E0%A4%A/1",
    ] {
        for answer in [owner.delete(path).await, owner.relist(path).await] {
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
            assert!(answer.header("x-nuget-warning").contains(';'), "{path}");
        }
    }
    let answer = owner.delete("Acme/2.0").await;
    let expected = "404 the feed has no package 'Acme' 2.0.0; check id and version";
    assert_eq!(answer.refusal(), expected);
    assert_eq!(feed.changes().await.len(), 1);
}

#[tokio::test]
async fn a_deleted_version_is_gone_from_every_view() {
    let (feed, owner) = deleting_feed().await;
    owner.push(&package("Acme", "1.0.0", "x")).await;
    owner.push(&package("Acme", "2.0.0", "x")).await;
    assert_eq!(owner.delete("Acme/1.0.0").await.status, StatusCode::NO_CONTENT);
    assert_eq!(owner.versions("acme").await, ["2.0.0"]);
    assert_eq!(owner.nupkg("acme", "1.0.0").await.status, StatusCode::NOT_FOUND);
    let nuspec = owner.get("/v3/package/acme/1.0.0/acme.nuspec").await;
    assert_eq!(nuspec.status, StatusCode::NOT_FOUND);
    assert_eq!(owner.relist("Acme/1.0.0").await.status, StatusCode::NOT_FOUND);
    assert_eq!(feed.objects().await.len(), 1);
    let left: Vec<String> =
        feed.rows().await.into_keys().filter(|key| key.ends_with("1.0.0")).collect();
    assert_eq!(left, ["PACKAGE#acme VERSION#1.0.0"]);
}

#[tokio::test]
async fn a_delete_tried_again_is_done_already() {
    let (feed, owner) = deleting_feed().await;
    owner.push(&package("Acme", "1.0.0", "x")).await;
    for _ in 0..2 {
        assert_eq!(owner.delete("Acme/1.0.0").await.status, StatusCode::NO_CONTENT);
    }
    assert_eq!(owner.delete("Acme/3.0.0").await.status, StatusCode::NOT_FOUND);
    assert_eq!(feed.changes().await, ["pushed acme 1.0.0", "deleted acme 1.0.0"]);
}

#[tokio::test]
async fn a_deleted_number_never_comes_back_with_other_bytes() {
    let (feed, owner) = deleting_feed().await;
    let bytes = package("Acme", "1.0.0", "x");
    owner.push(&bytes).await;
    owner.delete("Acme/1.0.0").await;
    let refused = owner.push(&package("Acme", "1.0.0", "other")).await;
    let expected =
        "409 the package 'Acme' 1.0.0 was deleted and its number stays taken; push a new version";
    assert_eq!(refused.refusal(), expected);
    assert!(feed.objects().await.is_empty());
    assert_eq!(owner.push(&bytes).await.status, StatusCode::CREATED);
    assert_eq!(owner.nupkg("acme", "1.0.0").await.body, bytes);
    assert!(listed(&feed, "Acme", "1.0.0").await);
}

#[tokio::test]
async fn deleted_bytes_are_kept_for_the_recycle_period() {
    use nuthatch::engines::{RecyclePeriod, Store};
    let (feed, owner) = deleting_feed().await;
    let large = PackageBuilder::new("Acme", "2.0.0").file("a.bin", &noise(200_000)).build();
    for bytes in [package("Acme", "1.0.0", "x"), large] {
        assert_eq!(owner.push(&bytes).await.status, StatusCode::CREATED);
    }
    for version in ["Acme/1.0.0", "Acme/2.0.0"] {
        owner.delete(version).await;
    }
    let packages = feed.folder().join("packages");
    drop(Store::open(&packages, RecyclePeriod::default()).unwrap());
    assert_eq!(contents(&packages), 2);
    drop(Store::open(&packages, RecyclePeriod(std::time::Duration::ZERO)).unwrap());
    assert_eq!(contents(&packages), 0);
}
