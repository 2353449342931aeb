//! Read your writes: what a 2xx reported is there for the next request, on any
//! instance.

use nuthatch_tests::TestFeed;

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
        // What is remembered is put to the test, too.
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
    // Another writer's clock is half a minute behind.
    owner.push(&package("Late", "1.0.0", "x")).await;
    let (client, table) = (&feed.aws.dynamodb, "nuthatch");
    let items = client.scan().table_name(table).send().await.unwrap().items.unwrap();
    let change = items.iter().find(|item| {
        item["pk"].as_s().unwrap().starts_with("CHANGES#") && item["id"].as_s().unwrap() == "late"
    });
    let change = change.unwrap().clone();
    let ulid: ulid::Ulid = change["sk"].as_s().unwrap().parse().unwrap();
    let older = ulid::Ulid::from_parts(ulid.timestamp_ms() - 30_000, ulid.random());
    let delete = client.delete_item().table_name(table);
    let delete = delete.key("pk", change["pk"].clone()).key("sk", change["sk"].clone());
    delete.send().await.unwrap();
    let mut moved = change;
    moved.insert("sk".to_owned(), aws_sdk_dynamodb::types::AttributeValue::S(older.to_string()));
    client.put_item().table_name(table).set_item(Some(moved)).send().await.unwrap();
    assert_eq!(owner.found("").await, ["Early", "Late"]);
}

#[tokio::test]
async fn a_change_that_is_seen_before_its_version_is_looked_at_again() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&package("Acme", "1.0.0", "x")).await;
    let (client, table) = (&feed.aws.dynamodb, "nuthatch");
    let items = client.scan().table_name(table).send().await.unwrap().items.unwrap();
    let row = items.iter().find(|item| item["sk"].as_s().unwrap() == "VERSION#1.0.0").unwrap();
    // As a reader may meet a transaction: the change is there, the version not yet.
    let delete = client.delete_item().table_name(table);
    delete.key("pk", row["pk"].clone()).key("sk", row["sk"].clone()).send().await.unwrap();
    assert_eq!(owner.found("").await, [""; 0]);
    client.put_item().table_name(table).set_item(Some(row.clone())).send().await.unwrap();
    assert_eq!(owner.found("").await, ["Acme"]);
}
