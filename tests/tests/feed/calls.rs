//! AWS calls per verb: counted under the SDK, exact, whatever the feed's size.

use feed::DeleteBehavior;
use http::StatusCode;
use nuthatch_tests::{
    AssemblyBuilder, Client, FeedOptions, PackageBuilder, Pdb, TestFeed, nuspec, symbols,
};

use crate::package;

/// A feed with a package in it, whose authorizer remembers its owner's key.
async fn feed_with(options: FeedOptions) -> (TestFeed, Client) {
    let feed = TestFeed::with(options).await;
    let owner = feed.owner().await;
    assert_eq!(owner.push(&package("Acme", "1.0.0", "x")).await.status, StatusCode::CREATED);
    feed.calls.forget();
    (feed, owner)
}

async fn feed() -> (TestFeed, Client) {
    feed_with(FeedOptions::default()).await
}

#[tokio::test]
async fn authorize_makes_one_call_and_none_while_the_key_is_remembered() {
    let (feed, owner) = feed().await;
    let fresh = feed.another_instance();
    let client = owner.at(&fresh);
    client.delete("Acme/9.9.9").await;
    assert_eq!(feed.calls.take(), ["GetItem", "TransactWriteItems"]);
    client.delete("Acme/9.9.9").await;
    assert_eq!(feed.calls.take(), ["TransactWriteItems"]);
}

#[tokio::test]
async fn a_mistyped_key_makes_no_call() {
    let (feed, owner) = feed().await;
    owner.with_key("nuthatch_nonsense").push(b"").await;
    feed.stranger().push(b"").await;
    assert_eq!(feed.calls.take(), [""; 0]);
}

#[tokio::test]
async fn push_makes_four_calls() {
    let (feed, owner) = feed().await;
    owner.push(&package("Acme", "2.0.0", "x")).await;
    let calls = ["GetItem", "PUT object", "TransactWriteItems", "PUT object"];
    assert_eq!(feed.calls.take(), calls);
}

#[tokio::test]
async fn a_push_tried_again_is_marked_again() {
    let (feed, owner) = feed().await;
    let bytes = package("Acme", "2.0.0", "x");
    owner.push_in_session(&bytes, Some("session")).await.expect(StatusCode::CREATED);
    let _ = feed.calls.take();
    owner.push_in_session(&bytes, Some("session")).await.expect(StatusCode::CREATED);
    assert_eq!(feed.calls.take(), ["GetItem", "PUT object"]);
}

#[tokio::test]
async fn a_refused_duplicate_makes_one_call() {
    let (feed, owner) = feed().await;
    assert_eq!(owner.push(&package("Acme", "1.0.0", "y")).await.status, StatusCode::CONFLICT);
    assert_eq!(feed.calls.take(), ["GetItem"]);
}

#[tokio::test]
async fn an_invalid_package_makes_no_call() {
    let (feed, owner) = feed().await;
    owner.push(b"nonsense").await;
    assert_eq!(feed.calls.take(), [""; 0]);
}

#[tokio::test]
async fn unlist_and_relist_make_one_call_each() {
    let (feed, owner) = feed().await;
    for _ in 0..2 {
        owner.delete("Acme/1.0.0").await;
        assert_eq!(feed.calls.take(), ["TransactWriteItems"]);
    }
    for _ in 0..2 {
        owner.relist("Acme/1.0.0").await;
        assert_eq!(feed.calls.take(), ["TransactWriteItems"]);
    }
}

#[tokio::test]
async fn delete_makes_four_calls_and_two_when_tried_again() {
    let delete_behavior = DeleteBehavior::Delete;
    let (feed, owner) = feed_with(FeedOptions { delete_behavior, ..FeedOptions::default() }).await;
    owner.delete("Acme/1.0.0").await;
    let calls = ["BatchGetItem", "PUT object", "TransactWriteItems", "DELETE object"];
    assert_eq!(feed.calls.take(), calls);
    owner.delete("Acme/1.0.0").await;
    assert_eq!(feed.calls.take(), ["BatchGetItem", "DELETE object"]);
}

#[tokio::test]
async fn symbols_take_four_calls_and_one_for_each_pdb() {
    let (feed, owner) = feed().await;
    let pdb = Pdb::new(b"one");
    let assembly = AssemblyBuilder::of(&pdb).build();
    let nupkg = PackageBuilder::new("Sym", "1.0.0").file("lib/A.dll", &assembly).build();
    let of = |version: &str| symbols("Sym", version).file("lib/A.pdb", &pdb.bytes);
    owner.push(&nupkg).await.expect(StatusCode::CREATED);
    feed.calls.forget();
    owner.push_symbols(&of("1.0.0").build()).await.expect(StatusCode::CREATED);
    let first = ["BatchGetItem", "GET object", "PUT object", "PUT object", "TransactWriteItems"];
    assert_eq!(feed.calls.take(), first);
    // In place of others: both objects of those, and their rows.
    owner.push_symbols(&of("1.0.0").file("LICENSE", b"x").build()).await;
    let more = ["DELETE object", "DELETE object", "TransactWriteItems"];
    assert_eq!(feed.calls.take(), [first.as_slice(), &more].concat());
    owner.push_symbols(&of("2.0.0").build()).await.expect(StatusCode::NOT_FOUND);
    assert_eq!(feed.calls.take(), ["BatchGetItem"]);
    owner.get(&pdb.path("a.pdb")).await.expect(StatusCode::OK);
    assert_eq!(feed.calls.take(), ["Query", "BatchGetItem", "GET object"]);
    owner.get(&Pdb::new(b"other").path("a.pdb")).await.expect(StatusCode::NOT_FOUND);
    assert_eq!(feed.calls.take(), ["Query"]);
    owner.get("/v3/package/sym/1.0.0/sym.1.0.0.snupkg").await.expect(StatusCode::OK);
    assert_eq!(feed.calls.take(), ["GetItem", "GET object"]);
}

#[tokio::test]
async fn a_fetch_from_the_symbol_server_makes_two_calls_of_a_function() {
    let (feed, owner) = feed_with(FeedOptions { redirect: true, ..FeedOptions::default() }).await;
    let pdb = Pdb::new(b"one");
    let assembly = AssemblyBuilder::of(&pdb).build();
    owner.push(&PackageBuilder::new("Sym", "1.0.0").file("A.dll", &assembly).build()).await;
    owner.push_symbols(&symbols("Sym", "1.0.0").file("A.pdb", &pdb.bytes).build()).await;
    feed.calls.forget();
    owner.get(&pdb.path("a.pdb")).await.expect(StatusCode::FOUND);
    assert_eq!(feed.calls.take(), ["Query", "BatchGetItem"]);
}

#[tokio::test]
async fn the_service_index_makes_no_call() {
    let (feed, owner) = feed().await;
    owner.get("/v3/index.json").await;
    assert_eq!(feed.calls.take(), [""; 0]);
}

#[tokio::test]
async fn versions_makes_one_call_also_for_many() {
    let (feed, owner) = feed().await;
    for patch in 1..100 {
        owner.push(&package("Acme", &format!("1.0.{patch}"), "x")).await;
    }
    feed.calls.forget();
    assert_eq!(owner.versions("acme").await.len(), 100);
    assert_eq!(feed.calls.take(), ["Query"]);
}

#[tokio::test]
async fn versions_and_registration_make_one_call_and_two_after_a_change() {
    let (feed, owner) = feed().await;
    for path in ["/v3/package/acme/index.json", "/v3/registration/acme/index.json"] {
        feed.settle().await;
        feed.calls.forget();
        owner.get(path).await;
        assert_eq!(feed.calls.take(), ["Query"], "{path}");
        owner.get(path).await;
        assert_eq!(feed.calls.take(), ["GetItem"], "{path}");
        owner.delete("Acme/1.0.0").await;
        owner.relist("Acme/1.0.0").await;
        feed.calls.forget();
        owner.get(path).await;
        assert_eq!(feed.calls.take(), ["GetItem", "BatchGetItem"], "{path}");
        owner.get(path).await;
        assert_eq!(feed.calls.take(), ["GetItem"], "{path}");
    }
    owner.get("/v3/registration/acme/1.0.0.json").await;
    assert!(feed.calls.take().len() <= 2);
    owner.registration("other").await;
    assert_eq!(feed.calls.take(), ["Query"]);
}

#[tokio::test]
async fn search_makes_one_call_and_two_after_a_change() {
    let (feed, owner) = feed().await;
    owner.search("q=acme").await;
    // The snapshot, the changes, and the counts of downloads.
    assert_eq!(feed.calls.take(), ["GET object", "Query", "BatchGetItem", "GET object"]);
    for path in ["/v3/search?q=acme", "/v3/autocomplete?q=ac", "/v3/autocomplete?id=acme"] {
        owner.get(path).await;
        assert_eq!(feed.calls.take(), ["Query"], "{path}");
    }
    for patch in 0..50 {
        owner.push(&package("Acme", &format!("2.0.{patch}"), "x")).await;
    }
    feed.calls.forget();
    owner.search("q=acme").await;
    assert_eq!(feed.calls.take(), ["Query", "BatchGetItem"]);
    owner.search("q=acme").await;
    assert_eq!(feed.calls.take(), ["Query"]);
    // Also if another version is shown in place of the removed one.
    owner.delete("Acme/2.0.49").await;
    feed.calls.forget();
    owner.search("q=acme").await;
    assert_eq!(feed.calls.take(), ["Query", "BatchGetItem"]);
}

#[tokio::test]
async fn compact_makes_two_calls_when_nothing_was_changed() {
    let (feed, _) = feed().await;
    feed.compact().await;
    assert_eq!(feed.calls.take(), ["GET object", "Query", "BatchGetItem", "PUT object"]);
    feed.compact().await;
    assert_eq!(feed.calls.take(), ["Query"]);
    feed.another_instance().compact().await;
    assert_eq!(feed.calls.take(), ["GET object", "Query"]);
}

#[tokio::test]
async fn a_file_out_of_a_package_takes_one_call_more_to_push_and_two_to_read() {
    let (feed, owner) = feed().await;
    let xml = nuspec("Acme", "3.0.0", "<readme>README.md</readme>");
    owner.push(&PackageBuilder::default().nuspec(&xml).file("README.md", b"# A").build()).await;
    let calls = ["GetItem", "PUT object", "PUT object", "TransactWriteItems", "PUT object"];
    assert_eq!(feed.calls.take(), calls);
    owner.get("/v3/package/acme/3.0.0/readme").await;
    assert_eq!(feed.calls.take(), ["GetItem", "GET object"]);
}

#[tokio::test]
async fn download_makes_one_call_and_one_to_count_it() {
    let (feed, owner) = feed_with(FeedOptions { redirect: true, ..FeedOptions::default() }).await;
    assert_eq!(owner.nupkg("acme", "1.0.0").await.status, StatusCode::FOUND);
    assert_eq!(feed.calls.take(), ["GetItem", "UpdateItem"]);
    owner.head("/v3/package/acme/1.0.0/acme.1.0.0.nupkg").await.expect(StatusCode::FOUND);
    assert_eq!(feed.calls.take(), ["GetItem"]);
    owner.get("/v3/package/acme/1.0.0/acme.nuspec").await;
    assert_eq!(feed.calls.take(), ["GetItem"]);
    owner.nupkg("acme", "9.0.0").await;
    assert_eq!(feed.calls.take(), ["GetItem"]);
}

#[tokio::test]
async fn streaming_a_package_makes_one_call_more() {
    let (feed, owner) = feed().await;
    owner.nupkg("acme", "1.0.0").await;
    assert_eq!(feed.calls.take(), ["GetItem", "GET object", "UpdateItem"]);
}
