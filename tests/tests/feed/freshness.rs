//! Read your writes: a change that was answered with 2xx is visible to the next request, on
//! any instance.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use nuthatch_tests::TestFeed;
use ulid::Ulid;

use crate::package;

#[tokio::test]
async fn every_view_of_another_instance_has_a_push_at_once() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let other = owner.at(&feed.another_instance());
    for round in 0..200 {
        let (id, version) = (format!("Acme.P{}", round % 7), format!("1.0.{round}"));
        owner.push(&package(&id, &version, "x")).await;
        assert!(other.versions(&id.to_lowercase()).await.contains(&version), "{round}");
        let index = other.registration(&id).await.json();
        assert_eq!(index["items"][0]["upper"], version, "{round}");
        let found = other.search(&format!("q=packageid:{id}")).await;
        assert_eq!(found["data"][0]["version"], version, "{round}");
        let completed = other.complete(&format!("id={id}")).await;
        assert_eq!(completed.last(), Some(&version), "{round}");
        // Answers from memory are tested, too.
        if round % 20 == 0 {
            feed.settle().await;
            other.versions(&id.to_lowercase()).await;
            other.registration(&id).await;
        }
    }
}

#[tokio::test]
async fn every_view_of_another_instance_has_an_unlisting_at_once() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let other = owner.at(&feed.another_instance());
    owner.push(&package("Acme", "1.0.0", "x")).await;
    feed.settle().await;
    for round in 0..50 {
        let listed = round % 2 == 1;
        if listed {
            owner.relist("Acme/1.0.0").await;
        } else {
            owner.delete("Acme/1.0.0").await;
        }
        let index = other.registration("acme").await.json();
        assert_eq!(index["items"][0]["items"][0]["catalogEntry"]["listed"], listed, "{round}");
        assert_eq!(other.found("q=acme").await.len(), usize::from(listed), "{round}");
        if round % 5 == 0 {
            feed.settle().await;
            other.registration("acme").await;
        }
    }
}

#[tokio::test]
async fn a_change_with_an_older_name_that_comes_up_late_is_found() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&package("Early", "1.0.0", "x")).await;
    assert_eq!(owner.found("").await, ["Early"]);
    owner.push(&package("Late", "1.0.0", "x")).await;
    // Another writer's clock is half a minute behind.
    let items = feed.aws.dynamodb.scan().table_name("nuthatch").send().await.unwrap().items;
    let change = items.unwrap().into_iter().find(|item| {
        item["pk"].as_s().unwrap().starts_with("CHANGES#") && item["id"].as_s().unwrap() == "late"
    });
    let mut change = change.unwrap();
    remove(&feed, &change).await;
    let ulid: Ulid = change["sk"].as_s().unwrap().parse().unwrap();
    let older = Ulid::from_parts(ulid.timestamp_ms() - 30_000, ulid.random());
    change.insert("sk".to_owned(), AttributeValue::S(older.to_string()));
    put(&feed, change).await;
    assert_eq!(owner.found("").await, ["Early", "Late"]);
}

/// The item of the table at this sort key.
async fn item(feed: &TestFeed, sk: &str) -> HashMap<String, AttributeValue> {
    let scan = feed.aws.dynamodb.scan().table_name("nuthatch").send().await.unwrap();
    let mut items = scan.items.unwrap().into_iter();
    items.find(|item| item["sk"].as_s().unwrap() == sk).unwrap()
}

async fn remove(feed: &TestFeed, item: &HashMap<String, AttributeValue>) {
    let delete = feed.aws.dynamodb.delete_item().table_name("nuthatch");
    let delete = delete.key("pk", item["pk"].clone()).key("sk", item["sk"].clone());
    delete.send().await.unwrap();
}

async fn put(feed: &TestFeed, item: HashMap<String, AttributeValue>) {
    let put = feed.aws.dynamodb.put_item().table_name("nuthatch");
    put.set_item(Some(item)).send().await.unwrap();
}

#[tokio::test]
async fn a_change_that_is_seen_before_its_rows_is_looked_at_again() {
    for sk in ["VERSION#1.0.0", "METADATA#1.0.0"] {
        let feed = TestFeed::start().await;
        let owner = feed.owner().await;
        owner.push(&package("Acme", "1.0.0", "x")).await;
        // A reader may see a transaction in progress, whose rows appear one by one.
        let row = item(&feed, sk).await;
        remove(&feed, &row).await;
        assert_eq!(owner.found("").await, [""; 0], "{sk}");
        put(&feed, row).await;
        assert_eq!(owner.found("").await, ["Acme"], "{sk}");
    }
}

#[tokio::test]
async fn a_row_from_before_its_change_is_looked_at_again() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&package("Acme", "1.0.0", "x")).await;
    assert_eq!(owner.found("").await, ["Acme"]);
    let before = item(&feed, "VERSION#1.0.0").await;
    owner.delete("Acme/1.0.0").await;
    let after = item(&feed, "VERSION#1.0.0").await;
    put(&feed, before).await;
    assert_eq!(owner.found("").await, ["Acme"]);
    put(&feed, after).await;
    assert_eq!(owner.found("").await, [""; 0]);
}

#[tokio::test]
async fn a_change_out_of_the_future_hides_nothing() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&package("Early", "1.0.0", "x")).await;
    // That writer's clock is ten minutes ahead.
    let version = item(&feed, "VERSION#1.0.0").await;
    let name = version["changed"].as_s().unwrap().clone();
    let mut change = item(&feed, &name).await;
    remove(&feed, &change).await;
    let ulid: Ulid = name.parse().unwrap();
    let ahead = Ulid::from_parts(ulid.timestamp_ms() + 600_000, ulid.random()).to_string();
    change.insert("sk".to_owned(), AttributeValue::S(ahead.clone()));
    put(&feed, change).await;
    let mut version = version;
    version.insert("changed".to_owned(), AttributeValue::S(ahead));
    put(&feed, version).await;
    assert_eq!(owner.found("").await, ["Early"]);
    feed.compact().await;
    owner.push(&package("Later", "1.0.0", "x")).await;
    assert_eq!(owner.found("").await, ["Early", "Later"]);
    let fresh = owner.at(&feed.another_instance());
    assert_eq!(fresh.found("").await, ["Early", "Later"]);
}

#[tokio::test]
async fn a_version_shows_itself_when_the_newer_ones_go() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    for (version, tag) in [("1.0.0", "one"), ("2.0.0", "two"), ("3.0.0-x", "three")] {
        let tags = format!("<tags>{tag}</tags>");
        owner.push(&crate::described("Acme", version, &tags)).await;
        owner.found("").await;
    }
    let fresh = owner.at(&feed.another_instance());
    fresh.found("").await;
    for (gone, shown, tag) in [("3.0.0-x", "2.0.0", "two"), ("2.0.0", "1.0.0", "one")] {
        owner.delete(&format!("Acme/{gone}")).await;
        feed.calls.forget();
        for client in [&owner, &fresh] {
            let found = client.search(&format!("q=tags:{tag}&prerelease=true")).await;
            assert_eq!(found["data"][0]["version"], shown, "{gone}");
        }
    }
}
