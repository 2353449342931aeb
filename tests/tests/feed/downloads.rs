//! Downloads: counted in the version's row, written down once a day, shown by search and pages.

use std::time::Duration;

use http::{Method, Request, StatusCode};
use nuthatch_tests::{Client, Fault, Faults, FeedOptions, TestFeed};
use store::{BucketName, Clock};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::package;

const PATH: &str = "/v3/package/acme/1.0.0/acme.1.0.0.nupkg";

/// A feed at noon of a day, with a package in it.
async fn feed() -> (TestFeed, Client, Clock) {
    let clock = Clock::at(datetime!(2027-01-30 12:00 UTC));
    let options = FeedOptions { redirect: true, ..FeedOptions::default() };
    let feed = TestFeed::with(options).await.by_clock(&clock);
    let owner = feed.owner().await;
    owner.push(&package("Acme", "1.0.0", "x")).await.expect(StatusCode::CREATED);
    feed.calls.forget();
    (feed, owner, clock)
}

async fn download(client: &Client) {
    client.get(PATH).await.expect(StatusCode::FOUND);
}

/// The count, the day of the last download, and the count before it.
async fn counts(feed: &TestFeed) -> (u64, Option<String>, u64) {
    let (id, version) = (nupkg::PackageId::parse("acme").unwrap(), "1.0.0".parse().unwrap());
    let row = feed.table().version(&id, &version).await.unwrap().unwrap();
    (row.downloads, row.downloaded, row.downloads_before)
}

/// The downloads of all versions and of the first one, as search shows them.
async fn shown(owner: &Client, feed: &TestFeed) -> (Option<u64>, u64) {
    let found = owner.at(&feed.another_instance()).search("q=acme").await;
    let item = &found["data"][0];
    assert!(item.get("totalDownloads").is_none_or(serde_json::Value::is_u64));
    (item["totalDownloads"].as_u64(), item["versions"][0]["downloads"].as_u64().unwrap())
}

#[tokio::test]
async fn a_download_is_counted_with_one_more_call() {
    let (feed, owner, clock) = feed().await;
    download(&owner).await;
    assert_eq!(feed.calls.take(), ["GetItem", "UpdateItem"]);
    download(&owner).await;
    assert_eq!(counts(&feed).await, (2, Some("2027-01-30".to_owned()), 0));
    clock.set(datetime!(2027-01-31 00:00 UTC));
    feed.calls.forget();
    download(&owner).await;
    assert_eq!(feed.calls.take(), ["GetItem", "UpdateItem"]);
    assert_eq!(counts(&feed).await, (3, Some("2027-01-31".to_owned()), 2));
}

#[tokio::test]
async fn only_a_get_of_the_package_from_its_first_byte_is_a_download() {
    let (feed, owner, _) = feed().await;
    owner.head(PATH).await;
    owner.get_with(PATH, ("range", "bytes=5-")).await;
    owner.get_with(PATH, ("range", "bytes=-5")).await;
    owner.get("/v3/package/acme/1.0.0/acme.nuspec").await.expect(StatusCode::OK);
    assert_eq!(counts(&feed).await, (0, None, 0));
    assert_eq!(feed.calls.take(), ["GetItem"; 4]);
    owner.get_with(PATH, ("range", "bytes=0-99")).await;
    assert_eq!(counts(&feed).await.0, 1);
}

#[tokio::test]
async fn the_write_of_a_count_may_fail_and_a_download_does_not() {
    let (feed, owner, _) = feed().await;
    // The calls before it look up the key and the version.
    for fault in [Fault::Unavailable, Fault::Denied, Fault::Lost, Fault::Throttled] {
        let faults = Faults::at([(2, fault)]);
        let failing = feed.meeting(&faults);
        owner.at(&failing).get(PATH).await.expect(StatusCode::FOUND);
        assert!(faults.were_all_met());
        assert_eq!((counts(&feed).await.0, faults.calls()), (0, 3), "it is not tried again");
    }
    // The download of a package is not held up by a table that is silent.
    let faults = Faults::at([(2, Fault::Silence)]);
    let waiting = owner.at(&feed.meeting(&faults));
    let answer = tokio::time::timeout(Duration::from_secs(5), waiting.get(PATH)).await;
    answer.unwrap().expect(StatusCode::FOUND);
}

#[tokio::test]
async fn a_version_with_many_downloads_is_written_rarely() {
    let (feed, owner, _) = feed().await;
    let item = |name: &str, value: &str| {
        let client = &feed.aws.dynamodb;
        client
            .update_item()
            .table_name("nuthatch")
            .key("pk", s("PACKAGE#acme"))
            .key("sk", s("VERSION#1.0.0"))
            .update_expression(format!("SET {name} = :value"))
            .expression_attribute_values(
                ":value",
                aws_sdk_dynamodb::types::AttributeValue::N(value.to_owned()),
            )
            .send()
    };
    download(&owner).await;
    item("downloads", "1000000").await.unwrap();
    feed.calls.forget();
    for _ in 0..1_000 {
        download(&owner).await;
    }
    let calls = feed.calls.take();
    let writes = calls.iter().filter(|call| *call == "UpdateItem").count();
    assert_eq!(calls.len() - writes, 1_000);
    // One in 8,192: more than 9 of 1,000 come less than once in 10^17 runs.
    assert!(writes <= 9, "{writes}");
}

fn s(text: &str) -> aws_sdk_dynamodb::types::AttributeValue {
    aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned())
}

#[tokio::test]
async fn search_and_pages_show_the_downloads_until_yesterday() {
    let (feed, owner, clock) = feed().await;
    owner.push(&package("Acme", "2.0.0", "x")).await.expect(StatusCode::CREATED);
    download(&owner).await;
    download(&owner).await;
    feed.meter().await;
    assert_eq!(shown(&owner, &feed).await, (None, 0), "absent, not 0: nothing is known yet");
    clock.set(datetime!(2027-01-31 00:05 UTC));
    download(&owner).await;
    feed.meter().await;
    assert_eq!(shown(&owner, &feed).await, (Some(2), 2));
    let page = page(&feed, &owner, "/packages/acme/1.0.0").await;
    assert!(page.contains("2 of this version, 2 of all, until the end of <time>2027-01-30</time>"));
    // The month turns.
    clock.set(datetime!(2027-02-01 00:10 UTC));
    feed.meter().await;
    feed.meter().await;
    assert_eq!(shown(&owner, &feed).await, (Some(3), 3));
    let months = feed.objects().await.into_iter().filter(|key| key.starts_with("usage/"));
    assert_eq!(months.collect::<Vec<_>>(), ["usage/2027-01"]);
}

#[tokio::test]
async fn a_search_waits_a_second_at_most_for_counts_that_do_not_come() {
    let (feed, owner, _) = feed().await;
    // The calls before it: the key, the snapshot, the changes of three months, the version.
    let faults = Faults::at([(6, Fault::Silence)]);
    let waiting = owner.at(&feed.meeting(&faults));
    let found = tokio::time::timeout(Duration::from_secs(5), waiting.search("q=acme")).await;
    assert_eq!(found.unwrap()["totalHits"], 1);
    assert!(faults.were_all_met());
}

async fn page(feed: &TestFeed, owner: &Client, path: &str) -> String {
    let cookie = format!("__Host-nuthatch={}", owner.key());
    let request = Request::builder().method(Method::GET).uri(path).header("cookie", cookie);
    let answer = feed.another_instance().stranger().send(request, "").await;
    String::from_utf8(answer.expect(StatusCode::OK).body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_day_is_written_down_once_and_then_takes_four_calls() {
    let (feed, owner, clock) = feed().await;
    download(&owner).await;
    clock.set(datetime!(2027-01-31 00:05 UTC));
    feed.calls.forget();
    feed.meter().await;
    // The quotas, the list of books, the log since the first month, the table, and the writes.
    let log = ["Query"; 2];
    let first = ["GetItem", "GetItem"];
    let last = ["Scan", "PUT object", "UpdateItem", "GET object", "PUT object"];
    assert_eq!(feed.calls.take(), [first.as_slice(), &log, &last].concat());
    feed.meter().await;
    assert_eq!(feed.calls.take(), ["GetItem", "GetItem", "GET object", "GET object"]);
}

#[tokio::test]
async fn downloads_are_of_the_day_that_saw_them_alone() {
    let (feed, owner, clock) = feed().await;
    download(&owner).await;
    download(&owner).await;
    let downloads = async |month: &str| {
        let usage = owner.get(&format!("/v3/usage?month={month}")).await.expect(StatusCode::OK);
        usage.json()["total"]["downloads"].as_u64().unwrap()
    };
    for time in [
        datetime!(2027-01-31 00:05 UTC),
        datetime!(2027-02-01 00:05 UTC),
        datetime!(2027-02-02 00:05 UTC),
    ] {
        clock.set(time);
        feed.meter().await;
    }
    assert_eq!((downloads("2027-01").await, downloads("2027-02").await), (2, 0));
}

#[tokio::test]
async fn a_restored_version_keeps_its_downloads() {
    let clock = Clock::at(datetime!(2027-01-30 12:00 UTC));
    let delete_behavior = feed::DeleteBehavior::Delete;
    let options = FeedOptions { delete_behavior, redirect: true, ..FeedOptions::default() };
    let feed = TestFeed::with(options).await.by_clock(&clock);
    let (owner, bytes) = (feed.owner().await, package("Acme", "1.0.0", "x"));
    owner.push(&bytes).await.expect(StatusCode::CREATED);
    download(&owner).await;
    owner.delete("Acme/1.0.0").await.expect(StatusCode::NO_CONTENT);
    owner.push(&bytes).await.expect(StatusCode::CREATED);
    assert_eq!(counts(&feed).await, (1, Some("2027-01-30".to_owned()), 0));
    download(&owner).await;
    assert_eq!(counts(&feed).await.0, 2);
}

#[tokio::test]
async fn counts_that_a_backup_set_back_are_counted_from_there() {
    let (feed, owner, clock) = feed().await;
    download(&owner).await;
    download(&owner).await;
    clock.set(datetime!(2027-01-31 00:05 UTC));
    feed.meter().await;
    let set = feed.aws.dynamodb.update_item().table_name("nuthatch");
    let set = set.key("pk", s("PACKAGE#acme")).key("sk", s("VERSION#1.0.0"));
    set.update_expression("REMOVE downloads, downloaded, downloads_before").send().await.unwrap();
    download(&owner).await;
    clock.set(datetime!(2027-02-01 00:05 UTC));
    feed.meter().await;
    let objects = store::Objects::new(feed.aws.s3.clone(), BucketName::default());
    let book = objects.read_book("2027-01".parse().unwrap()).await.unwrap();
    let days: Vec<(u8, u64)> = book.downloads.iter().map(|day| (day.day, day.downloads)).collect();
    assert_eq!(days, [(30, 2), (31, 1)]);
}

#[tokio::test]
async fn downloads_of_days_without_a_run_belong_to_the_last_of_them() {
    let (feed, owner, clock) = feed().await;
    let day = |day: OffsetDateTime| clock.set(day);
    download(&owner).await;
    day(datetime!(2027-01-31 12:00 UTC));
    download(&owner).await;
    day(datetime!(2027-02-02 12:00 UTC));
    download(&owner).await;
    day(datetime!(2027-02-03 00:05 UTC));
    feed.meter().await;
    let objects = store::Objects::new(feed.aws.s3.clone(), BucketName::default());
    assert_eq!(feed.table().books().await.unwrap(), ["2027-02".parse().unwrap()].into());
    let book = objects.read_book("2027-02".parse().unwrap()).await.unwrap();
    let days: Vec<(u8, u64)> = book.downloads.iter().map(|day| (day.day, day.downloads)).collect();
    assert_eq!(days, [(2, 3)]);
    assert_eq!(book.opening.iter().count(), 1);
}
