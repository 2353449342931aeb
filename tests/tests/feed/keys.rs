//! The life of keys: their use, their last days and their successors.

use aws_sdk_dynamodb::types::AttributeValue;
use http::StatusCode;
use nuthatch_tests::{Client, Fault, Faults, FeedOptions, Server, TestFeed, run};
use store::TableName;
use time::{Duration, OffsetDateTime};

use crate::package;

/// Sets an attribute of the row of the client's key.
async fn set(feed: &TestFeed, client: &Client, attribute: &str, value: AttributeValue) {
    let key: access::ApiKey = client.key().parse().unwrap();
    let update = feed.aws.dynamodb.update_item().table_name(TableName::default().as_str());
    update
        .key("pk", AttributeValue::S(format!("KEY#{}", key.hash().as_str())))
        .key("sk", AttributeValue::S("KEY".to_owned()))
        .update_expression("SET #attribute = :value")
        .expression_attribute_names("#attribute", attribute)
        .expression_attribute_values(":value", value)
        .send()
        .await
        .unwrap();
}

fn today() -> String {
    OffsetDateTime::now_utc().date().to_string()
}

async fn used(feed: &TestFeed, name: &str) -> Option<String> {
    feed.table().key_called(&name.parse().unwrap()).await.unwrap().unwrap().used
}

#[tokio::test]
async fn the_first_use_of_a_key_on_a_day_is_noted_and_no_other() {
    let feed = TestFeed::with(FeedOptions::default()).await;
    let owner = feed.owner().await;
    assert_eq!(used(&feed, "owner").await, None);
    let _ = feed.calls.take();
    owner.versions("acme").await;
    assert_eq!(feed.calls.take()[..2], ["GetItem", "UpdateItem"]);
    assert_eq!(used(&feed, "owner").await, Some(today()));
    let _ = feed.calls.take();
    owner.at(&feed.another_instance()).delete("Acme/9.9.9").await;
    assert_eq!(feed.calls.take(), ["GetItem", "TransactWriteItems"]);
    set(&feed, &owner, "used", AttributeValue::S("2026-01-01".to_owned())).await;
    owner.at(&feed.another_instance()).delete("Acme/9.9.9").await;
    assert_eq!(feed.calls.take(), ["GetItem", "UpdateItem", "TransactWriteItems"]);
    assert_eq!(used(&feed, "owner").await, Some(today()));
}

#[tokio::test]
async fn a_key_that_was_refused_was_not_used() {
    let feed = TestFeed::with(FeedOptions::default()).await;
    let owner = feed.owner().await;
    set(&feed, &owner, "expires", AttributeValue::N("1".to_owned())).await;
    owner.push(&package("Acme", "1.0.0", "x")).await.expect(StatusCode::FORBIDDEN);
    assert_eq!(used(&feed, "owner").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_key_works_whatever_becomes_of_the_note() {
    let feed = TestFeed::with(FeedOptions { quick: true, ..FeedOptions::default() }).await;
    for fault in [Fault::Denied, Fault::Throttled, Fault::InternalError, Fault::AnswerLost] {
        let owner = feed.client(&format!("{fault:?}"), &[access::Scope::Admin], &["*"]).await;
        // The call after the look-up of the key. It is not tried again.
        let faults = Faults::at([(1, fault)]);
        let bytes = package(&format!("Acme.{fault:?}"), "1.0.0", "x");
        owner.at(&feed.meeting(&faults)).push(&bytes).await.expect(StatusCode::CREATED);
        assert_eq!((faults.calls(), faults.were_all_met()), (6, true));
    }
}

#[tokio::test]
async fn a_push_in_the_last_days_of_its_key_is_warned() {
    let feed = TestFeed::with(FeedOptions::default()).await;
    let soon = OffsetDateTime::now_utc() + Duration::days(13);
    let table = feed.table();
    let create = |name: &str| {
        let scopes = vec![access::Scope::Admin];
        nuthatch::keys::create(
            &table,
            name.parse().unwrap(),
            scopes,
            vec![access::IdGlob::any()],
            Some(soon),
            "tests",
        )
    };
    let short = create("short").await.unwrap();
    let owner = feed.owner().await;
    let short = owner.with_key(short.reveal());
    let pushed = short.push(&package("Acme", "1.0.0", "x")).await.expect(StatusCode::CREATED);
    assert_eq!(pushed.header("x-nuget-warning"), "", "it was made for a short use");
    let year = owner.with_key(create("year").await.unwrap().reveal());
    let made = AttributeValue::S("2020-01-01T00:00:00Z".to_owned());
    set(&feed, &year, "created", made).await;
    let pushed = year.push(&package("Acme", "2.0.0", "x")).await.expect(StatusCode::CREATED);
    let warning = format!(
        "the API key 'year' expires on {}; its owner can replace it with 'nuthatch key rotate year'",
        soon.date()
    );
    assert_eq!(pushed.header("x-nuget-warning"), warning);
    let refused = year.push(&package("Acme", "2.0.0", "y")).await.expect(StatusCode::CONFLICT);
    assert_ne!(refused.header("x-nuget-warning"), warning, "a refusal has words of its own");
    let read = year.get("/v3/package/acme/index.json").await.expect(StatusCode::OK);
    assert_eq!(read.header("x-nuget-warning"), "", "a restore with -warnaserror would fail");
}

/// A feed that the command serves, whose keys are managed beside it.
struct Managed {
    data: tempfile::TempDir,
    server: Server,
}

impl Managed {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(data.path(), &[]);
        Self { data, server }
    }

    /// The output of the command, and its messages.
    #[track_caller]
    fn done(&self, arguments: &[&str]) -> (String, String) {
        let output = run(arguments, self.data.path());
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{told}");
        (String::from_utf8(output.stdout).unwrap().trim().to_owned(), told)
    }

    #[track_caller]
    fn fails(&self, arguments: &[&str]) -> String {
        let output = run(arguments, self.data.path());
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    }

    async fn push(&self, key: &str, version: &str) -> StatusCode {
        let (kind, body) = nuthatch_tests::framed(&package("Acme", version, "x"));
        let request = http::Request::put("/api/v2/package/").header("content-type", kind);
        self.server.send(request.header("x-nuget-apikey", key), body).await.status
    }

    /// The line of a key in the list.
    fn line(&self, name: &str) -> String {
        let (list, _) = self.done(&["key", "list"]);
        let line = list.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_key_and_its_successor_both_work_for_a_while() {
    let feed = Managed::start();
    let create = ["key", "create", "ci", "--scope", "push", "--id", "Acme*", "--expires", "30d"];
    let (old, _) = feed.done(&create);
    let (new, told) = feed.done(&["key", "rotate", "ci", "--overlap", "2d"]);
    let until = (OffsetDateTime::now_utc() + Duration::days(2)).date();
    assert!(
        told.starts_with(&format!("Created the key 'ci-2'; 'ci' works until {until} ")),
        "{told}"
    );
    assert_eq!(feed.push(&old, "1.0.0").await, StatusCode::CREATED);
    assert_eq!(feed.push(&new, "2.0.0").await, StatusCode::CREATED);
    let (first, second) = (feed.line("ci"), feed.line("ci-2"));
    assert!(first.contains(&until.to_string()), "{first}");
    assert!(first.ends_with("valid, replaced by ci-2"), "{first}");
    let expires = (OffsetDateTime::now_utc() + Duration::days(30)).date().to_string();
    assert!(second.contains("Acme*") && second.contains(&expires), "{second}");
    assert!(!second.contains("admin") && second.contains("push"), "{second}");
}

#[tokio::test]
async fn a_key_has_one_successor() {
    let feed = Managed::start();
    feed.done(&["key", "create", "ci", "--scope", "push"]);
    feed.done(&["key", "create", "taken", "--scope", "push"]);
    for (arguments, reason) in [
        (&["key", "rotate", "nobody"][..], "there is no key 'nobody'"),
        (&["key", "rotate", "ci", "--as", "taken"], "there is a key 'taken' already"),
        (&["key", "rotate", "ci", "--as", "anonymous"], "means something else in the log"),
    ] {
        let said = feed.fails(arguments);
        assert!(said.contains(reason), "{said}");
    }
    feed.done(&["key", "rotate", "ci", "--as", "build", "--expires", "2100-01-01"]);
    assert!(feed.line("build").contains("2100-01-01"));
    let said = feed.fails(&["key", "rotate", "ci"]);
    assert!(
        said.contains("the key 'ci' was replaced by 'build' already; rotate that one"),
        "{said}"
    );
    feed.done(&["key", "revoke", "build"]);
    let said = feed.fails(&["key", "rotate", "build"]);
    assert!(said.contains("has expired or was revoked"), "{said}");
}

#[tokio::test]
async fn two_rotations_at_once_make_one_successor() {
    let feed = TestFeed::with(FeedOptions::default()).await;
    let owner = feed.owner().await;
    let table = feed.table();
    // The second key expires before the overlap ends, so that a rotation leaves its time.
    let ends = 4_000_000_000;
    let short = feed.client("short", &[access::Scope::Push], &["*"]).await;
    set(&feed, &short, "expires", AttributeValue::N(ends.to_string())).await;
    for key in ["owner", "short"] {
        let old = table.key_called(&key.parse().unwrap()).await.unwrap().unwrap();
        let mut won = Vec::new();
        for name in ["one", "two"] {
            let hash = access::ApiKey::generate().unwrap().hash();
            let name = format!("{key}-{name}").parse().unwrap();
            let successor = access::KeyRecord::new(hash, name, store::timestamp());
            won.push(table.rotate_key(&old, ends, &successor, "tests").await.unwrap());
        }
        assert_eq!(won, [true, false], "{key}");
    }
    let names: Vec<_> =
        table.keys().await.unwrap().iter().map(|key| key.name.to_string()).collect();
    assert_eq!(names, ["owner", "owner-one", "short", "short-one"], "the losers leave nothing");
    owner.push(&package("Acme", "1.0.0", "x")).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn keys_show_their_last_use_and_new_ones_are_not_stale() {
    let feed = Managed::start();
    let (ci, _) = feed.done(&["key", "create", "ci", "--scope", "push"]);
    assert_eq!(feed.push(&ci, "1.0.0").await, StatusCode::CREATED);
    assert!(feed.line("ci").contains(&today()));
    assert!(feed.line("owner").contains("never"));
    let names = |age: &str| {
        let (list, _) = feed.done(&["key", "list", "--stale", age]);
        let names = list.lines().skip(1).filter_map(|line| line.split_whitespace().next());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names("1d"), [""; 0]);
}
