//! Read your writes: a change that was answered with 2xx is visible to the next request, on
//! any instance.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_dynamodb::types::AttributeValue;
use feed::DeleteBehavior;
use http::StatusCode;
use nuthatch::engines::{DataFolder, aws};
use nuthatch_tests::{Answer, Client, Dice, FeedOptions, TestFeed, commit};
use store::{Revisions, Table, TableName, Visibility};
use ulid::Ulid;

use crate::package;

#[tokio::test]
async fn every_view_of_another_instance_has_a_push_at_once() {
    every_view_has_a_push(TestFeed::start().await).await;
}

#[tokio::test]
async fn every_view_of_another_instance_has_a_push_at_once_where_revisions_are_counted() {
    every_view_has_a_push(counting().await).await;
}

/// A feed whose table counts its revisions.
async fn counting() -> TestFeed {
    TestFeed::with(FeedOptions { visibility: Visibility::AtOnce, ..FeedOptions::default() }).await
}

async fn every_view_has_a_push(feed: TestFeed) {
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
async fn while_nobody_changes_the_table_reading_takes_no_call() {
    let feed = counting().await;
    let owner = feed.owner().await;
    owner.push(&package("Acme", "1.0.0", "x")).await;
    let read = async || {
        let versions = owner.versions("acme").await;
        owner.registration("acme").await.expect(StatusCode::OK);
        (versions, owner.found("q=acme").await, owner.complete("id=acme").await)
    };
    let first = read().await;
    read().await;
    let _ = feed.calls.take();
    assert_eq!(read().await, first);
    assert_eq!(feed.calls.take(), [""; 0]);
}

#[tokio::test]
async fn a_change_by_another_process_is_seen_by_the_next_request() {
    let feed = counting().await;
    let owner = feed.owner().await;
    owner.push(&package("Acme", "1.0.0", "x")).await;
    // Connections of its own, as a command has that is run beside the server.
    let beside = DataFolder::open(feed.folder()).unwrap().dynamodb().await.unwrap();
    let table = Table::new(aws(beside, feed.engines.s3.clone()).dynamodb, TableName::default());
    for version in ["1.1.0", "1.2.0", "1.3.0"] {
        owner.versions("acme").await;
        owner.registration("acme").await;
        owner.found("q=acme").await;
        commit(&table, "Acme", version, "").await;
        assert_eq!(owner.versions("acme").await.last().unwrap(), version);
        let index = owner.registration("acme").await.json();
        assert_eq!(index["items"][0]["upper"], version);
        assert_eq!(owner.search("q=acme").await["data"][0]["version"], version);
    }
}

#[tokio::test]
async fn a_change_between_a_look_and_its_revision_is_not_missed() {
    let feed = counting().await;
    let owner = feed.owner().await;
    owner.push(&package("Acme", "1.0.0", "x")).await;
    let table = feed.table();
    let real = DataFolder::open(feed.folder()).unwrap().revisions().unwrap();
    let asked = AtomicUsize::new(0);
    // Others commit just before a revision is told: to another package, to this one, and then
    // no more.
    let revisions = Revisions::new(move || {
        let id = ["Other", "Acme"].get(asked.fetch_add(1, Ordering::Relaxed)).copied();
        let (id, table) = (id.map(str::to_owned), table.clone());
        let committing = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            id.map(|id| runtime.block_on(async { commit(&table, &id, "2.0.0", "").await }))
        });
        committing.join().unwrap();
        real.now()
    });
    let watched = owner.at(&feed.counted_by(revisions));
    // The first read of all asks for no revision.
    for versions in [1, 1, 2, 2] {
        assert_eq!(watched.versions("acme").await.len(), versions);
    }
}

#[tokio::test]
async fn an_answer_is_given_again_to_those_who_may_see_the_same_until_something_changes() {
    let feed = counting().await;
    let owner = feed.owner().await;
    owner.push(&package("Acme", "1.0.0", "x")).await;
    owner.push(&package("Other", "1.0.0", "x")).await;
    let narrow = feed.client("narrow", &[access::Scope::Read], &["Other"]).await;
    for _ in 0..2 {
        assert_eq!(owner.found("q=").await, ["Acme", "Other"]);
        assert_eq!(narrow.found("q=").await, ["Other"]);
        assert_eq!(owner.found("q=&take=1").await, ["Acme"]);
    }
    owner.delete("Acme/1.0.0").await;
    assert_eq!(owner.found("q=").await, ["Other"]);
    owner.relist("Acme/1.0.0").await;
    owner.push(&package("Other", "2.0.0", "x")).await;
    assert_eq!(owner.found("q=").await, ["Acme", "Other"]);
    assert_eq!(owner.search("q=other").await["data"][0]["version"], "2.0.0");
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

const LIST: &str = "/v3/package/acme/index.json";
const INDEX: &str = "/v3/registration/acme/index.json";

/// A feed with two versions of a package, which its owner's instance remembers.
async fn remembering() -> (TestFeed, Client) {
    let delete_behavior = DeleteBehavior::Delete;
    let feed = TestFeed::with(FeedOptions { delete_behavior, ..FeedOptions::default() }).await;
    let owner = feed.owner().await;
    for version in ["1.0.0", "2.0.0"] {
        owner.push(&package("Acme", version, "x")).await.expect(StatusCode::CREATED);
    }
    feed.settle().await;
    for path in [LIST, INDEX] {
        owner.get(path).await.expect(StatusCode::OK);
    }
    feed.calls.forget();
    (feed, owner)
}

/// The answers to `paths` with their tags and the calls that they took.
async fn read(feed: &TestFeed, client: &Client) -> [(Answer, Vec<String>); 2] {
    feed.calls.forget();
    let list = client.get(LIST).await;
    let calls = feed.calls.take();
    let index = client.get(INDEX).await;
    [(list, calls), (index, feed.calls.take())]
}

#[tokio::test]
async fn of_a_remembered_package_only_the_changed_versions_are_read() {
    let (feed, owner) = remembering().await;
    let fresh = || owner.at(&feed.another_instance());
    for act in ["push", "unlist", "relist", "two pushes", "nothing"] {
        let writer = owner.at(&feed.another_instance());
        match act {
            "push" => writer.push(&package("Acme", "3.0.0-rc", "x")).await,
            "unlist" => writer.delete("Acme/1.0.0").await,
            "relist" => writer.push(&package("Acme", "1.0.0", "x")).await,
            "two pushes" => {
                writer.push(&package("Acme", "0.1.0", "x")).await;
                writer.push(&package("Acme", "10.0.0+build", "x")).await
            }
            _ => writer.get("/v3/index.json").await,
        };
        let expected =
            if act == "nothing" { ["GetItem"].as_slice() } else { &["GetItem", "BatchGetItem"] };
        for (number, (answer, calls)) in read(&feed, &owner).await.into_iter().enumerate() {
            assert_eq!(calls, expected, "{act}");
            let whole = fresh().get([LIST, INDEX][number]).await;
            assert_eq!(answer.body, whole.body, "{act}");
            assert!(!answer.header("etag").is_empty(), "{act}");
            assert_eq!(answer.header("etag"), whole.header("etag"), "{act}");
        }
    }
    assert_eq!(owner.versions("acme").await, ["0.1.0", "1.0.0", "2.0.0", "3.0.0-rc", "10.0.0"]);
}

#[tokio::test]
async fn a_remembered_package_is_changed_once_all_rows_of_a_change_can_be_read() {
    let (feed, owner) = remembering().await;
    let listed =
        |answer: &Answer| !String::from_utf8_lossy(&answer.body).contains("\"listed\":false");
    let writer = owner.at(&feed.another_instance());
    for (change, sk) in
        [("push", "VERSION#3.0.0"), ("push", "METADATA#3.1.0"), ("delete", "VERSION#3.0.0")]
    {
        let version = sk.split_once('#').unwrap().1;
        let before = if change == "push" {
            writer.push(&package("Acme", version, "x")).await.expect(StatusCode::CREATED);
            None
        } else {
            let before = item(&feed, sk).await;
            writer.delete(&format!("Acme/{version}")).await.expect(StatusCode::NO_CONTENT);
            Some(before)
        };
        // Readers may see the head of a package before the rows of its last change.
        let after = item(&feed, sk).await;
        remove(&feed, &after).await;
        if let Some(before) = before {
            put(&feed, before).await;
        }
        for _ in 0..2 {
            let list = owner.get(LIST).await;
            assert!(listed(&list));
            if sk.starts_with("VERSION") {
                assert_eq!(
                    list.header("etag"),
                    "",
                    "{change} {sk}: a tag would outlive the moment"
                );
            }
        }
        put(&feed, after).await;
        let fresh = owner.at(&feed.another_instance());
        for path in [LIST, INDEX] {
            let (answer, whole) = (owner.get(path).await, fresh.get(path).await);
            assert_eq!(answer.body, whole.body, "{change} {sk}");
            assert!(!answer.header("etag").is_empty(), "{change} {sk}");
        }
        let has = owner.versions("acme").await.iter().any(|known| known == version);
        assert_eq!(has, change == "push", "{change} {sk}");
    }
}

#[tokio::test]
async fn a_remembered_version_is_unlisted_once_its_row_says_so() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&package("Acme", "1.0.0", "x")).await.expect(StatusCode::CREATED);
    feed.settle().await;
    owner.get(INDEX).await.expect(StatusCode::OK);
    let before = item(&feed, "VERSION#1.0.0").await;
    owner.at(&feed.another_instance()).delete("Acme/1.0.0").await;
    let after = item(&feed, "VERSION#1.0.0").await;
    put(&feed, before).await;
    let listed = async || {
        let index = owner.get(INDEX).await;
        let entry = &index.json()["items"][0]["items"][0]["catalogEntry"];
        (entry["listed"].as_bool().unwrap(), index.header("etag").is_empty())
    };
    assert_eq!(listed().await, (true, true));
    put(&feed, after).await;
    assert_eq!(listed().await, (false, false));
}

#[tokio::test]
async fn a_package_is_read_whole_where_its_head_does_not_name_all_changes() {
    let (feed, owner) = remembering().await;
    let writer = owner.at(&feed.another_instance());
    // A version of the feed that knew of no such names.
    writer.push(&package("Acme", "3.0.0", "x")).await.expect(StatusCode::CREATED);
    let mut head = item(&feed, "VERSION").await;
    head.retain(|name, _| ["pk", "sk", "stamp"].contains(&name.as_str()));
    put(&feed, head).await;
    for (answer, calls) in read(&feed, &owner).await {
        assert_eq!(calls, ["GetItem", "Query"]);
        assert!(String::from_utf8_lossy(&answer.body).contains("3.0.0"));
        assert_eq!(answer.header("etag"), "", "not all of it may have been there to read");
    }
    feed.settle().await;
    read(&feed, &owner).await;
    for patch in 0..16 {
        writer.push(&package("Acme", &format!("4.0.{patch}"), "x")).await;
    }
    for (answer, calls) in read(&feed, &owner).await {
        assert_eq!(calls, ["GetItem", "Query"], "the one that is remembered was 16 changes before");
        assert!(String::from_utf8_lossy(&answer.body).contains("4.0.0"));
    }
    feed.settle().await;
    read(&feed, &owner).await;
    for patch in 0..15 {
        writer.push(&package("Acme", &format!("5.0.{patch}"), "x")).await;
    }
    for (answer, calls) in read(&feed, &owner).await {
        assert_eq!(calls, ["GetItem", "BatchGetItem"]);
        assert!(String::from_utf8_lossy(&answer.body).contains("5.0.0"));
    }
}

#[tokio::test]
async fn a_crowd_at_a_changed_package_reads_the_change_once() {
    let (feed, owner) = remembering().await;
    owner.at(&feed.another_instance()).push(&package("Acme", "3.0.0", "x")).await;
    feed.calls.forget();
    let crowd = (0..20).map(|_| owner.versions("acme"));
    for versions in futures_util::future::join_all(crowd).await {
        assert_eq!(versions, ["1.0.0", "2.0.0", "3.0.0"]);
    }
    let calls = feed.calls.take();
    let reads = calls.iter().filter(|call| *call == "BatchGetItem").count();
    assert_eq!((reads, calls.len()), (1, 21), "{calls:?}");
}

#[tokio::test]
async fn a_remembered_package_follows_any_changes() {
    let (feed, owner) = remembering().await;
    let mut dice = Dice::new(0x2545_F491_4F6C_DD1D);
    for round in 0..60 {
        let writer = owner.at(&feed.another_instance());
        for _ in 0..dice.below(6) {
            let version = format!("{}.0.0{}", dice.below(4), ["", "-a"][dice.below(2)]);
            let name = format!("Acme/{version}");
            match dice.below(3) {
                0 => drop(writer.delete(&name).await),
                1 => drop(writer.relist(&name).await),
                _ => drop(writer.push(&package("Acme", &version, "x")).await),
            }
        }
        let fresh = owner.at(&feed.another_instance());
        for path in [LIST, INDEX] {
            let (answer, whole) = (owner.get(path).await, fresh.get(path).await);
            assert_eq!(answer.status, whole.status, "round {round}");
            assert_eq!(answer.body, whole.body, "round {round}");
        }
    }
}
