//! Usage and the log over HTTP, and as the commands show them.

use std::collections::BTreeMap;

use access::Scope;
use feed::{DeleteBehavior, ReadAccess};
use http::StatusCode;
use nuthatch_tests::{Client, FeedOptions, TestFeed, run};
use serde_json::{Value, json};
use store::Clock;
use time::macros::datetime;

use crate::package;
use crate::served::Served;

/// A feed of two tenants at the end of a month.
struct Hosted {
    feed: TestFeed,
    clock: Clock,
    owner: Client,
    team: Client,
    other: Client,
}

impl Hosted {
    async fn start() -> Self {
        let clock = Clock::at(datetime!(2027-01-31 22:30 UTC));
        let delete_behavior = DeleteBehavior::Delete;
        let options = FeedOptions { delete_behavior, ..FeedOptions::default() };
        let feed = TestFeed::with(options).await.by_clock(&clock);
        let scopes = [Scope::Push, Scope::Read, Scope::Unlist];
        Self {
            owner: feed.owner().await,
            team: feed.client("team", &scopes, &["Team.*"]).await,
            other: feed.client("other", &scopes, &["Other.*"]).await,
            feed,
            clock,
        }
    }

    async fn usage(&self, client: &Client, query: &str) -> Value {
        let client = client.at(&self.feed.another_instance().by_clock(&self.clock));
        client.get(&format!("/v3/usage?{query}")).await.expect(StatusCode::OK).json()
    }
}

/// The rows of a report by their names, and the total.
fn figures(report: &Value, name: &str) -> BTreeMap<String, i64> {
    let rows = report["rows"].as_array().unwrap().iter().chain([&report["total"]]);
    let of = |row: &Value| (row["name"].as_str().unwrap().to_owned(), row[name].as_i64().unwrap());
    rows.map(of).collect()
}

/// A length, to be added and subtracted.
fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap()
}

fn named<const N: usize>(rows: [(&str, i64); N]) -> BTreeMap<String, i64> {
    rows.map(|(name, figure)| (name.to_owned(), figure)).into()
}

#[tokio::test]
async fn a_month_is_counted_by_the_hour_and_sums_up() {
    let hosted = Hosted::start().await;
    let Hosted { feed, clock, owner, team, other } = &hosted;
    let (one, two) = (package("Team.A", "1.0.0", "x"), package("Other.B", "1.0.0", "longer"));
    let (size, other_size) = (signed(one.len()), signed(two.len()));
    team.push(&one).await.expect(StatusCode::CREATED);
    other.push(&two).await.expect(StatusCode::CREATED);
    other.push(&two).await.expect(StatusCode::CONFLICT);
    team.nupkg("team.a", "1.0.0").await.expect(StatusCode::OK);
    // The next month.
    clock.set(datetime!(2027-02-01 10:59 UTC));
    owner.delete("Other.B/1.0.0").await.expect(StatusCode::NO_CONTENT);
    feed.meter().await;
    clock.set(datetime!(2027-03-05 00:00 UTC));

    let january = hosted.usage(owner, "month=2027-01&by=key").await;
    assert_eq!(january["complete"], json!(true));
    assert_eq!(january["downloadsThrough"], json!("2027-01-31"));
    assert_eq!(figures(&january, "pushes"), named([("other", 1), ("team", 1), ("total", 2)]));
    let stored =
        [("other", 2 * other_size), ("team", 2 * size), ("total", 2 * (size + other_size))];
    assert_eq!(figures(&january, "byteHours"), named(stored));
    assert_eq!(figures(&january, "downloads"), named([("other", 0), ("team", 1), ("total", 1)]));
    let sent = [("other", 0), ("team", size), ("total", size)];
    assert_eq!(figures(&january, "bytesSent"), named(sent));

    let february = hosted.usage(owner, "month=2027-02&by=id").await;
    assert_eq!(february["complete"], json!(false), "no run wrote down its last day");
    let hours = 28 * 24;
    let (gone, kept) = (10 * other_size, hours * size);
    let stored = [("other.b", gone), ("team.a", kept), ("total", gone + kept)];
    assert_eq!(figures(&february, "byteHours"), named(stored));
    let by_verb = hosted.usage(owner, "month=2027-02&by=verb").await;
    assert_eq!(figures(&by_verb, "deletes"), named([("delete", 1), ("store", 0), ("total", 1)]));
    for by in ["key", "id-prefix", "day"] {
        let report = hosted.usage(owner, &format!("month=2027-02&by={by}")).await;
        assert_eq!(figures(&report, "byteHours")["total"], gone + kept, "{by}");
        let rows = figures(&report, "byteHours").into_iter().filter(|(name, _)| name != "total");
        assert_eq!(rows.map(|(_, figure)| figure).sum::<i64>(), gone + kept, "{by}");
    }
    let days = hosted.usage(owner, "month=2027-02&by=day").await;
    assert_eq!(figures(&days, "byteHours")["2027-02-01"], 24 * size + gone);
    assert_eq!(figures(&days, "byteHours")["2027-02-28"], 24 * size);
}

#[tokio::test]
async fn a_tenant_sees_its_own_usage_alone() {
    let hosted = Hosted::start().await;
    let Hosted { clock, team, other, .. } = &hosted;
    team.push(&package("Team.A", "1.0.0", "x")).await.expect(StatusCode::CREATED);
    other.push(&package("Other.B", "1.0.0", "x")).await.expect(StatusCode::CREATED);
    let report = hosted.usage(team, "").await;
    assert_eq!(report["month"], json!("2027-01"));
    assert_eq!(figures(&report, "pushes"), named([("team", 1), ("total", 1)]));
    let refused = team.get("/v3/usage?by=key").await;
    assert_eq!(refused.refusal(), "403 the API key may not do this; use one with the scope admin");
    let wrong = team.get("/v3/usage?month=January").await;
    assert_eq!(wrong.refusal(), "400 'month' cannot be \"January\"; write it like 2026-11");
    clock.set(datetime!(2027-02-01 00:30 UTC));
    assert_eq!(figures(&hosted.usage(team, "").await, "byteHours").len(), 2);
}

#[tokio::test]
async fn usage_needs_a_key_also_where_anybody_may_read() {
    let read_access = ReadAccess::Anonymous;
    let feed = TestFeed::with(FeedOptions { read_access, ..FeedOptions::default() }).await;
    feed.stranger().get("/v3/usage").await.expect(StatusCode::UNAUTHORIZED);
    feed.stranger().get("/v3/log").await.expect(StatusCode::OK);
    feed.owner().await.get("/v3/usage").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn usage_makes_a_call_for_each_book_and_each_month_of_the_log() {
    let hosted = Hosted::start().await;
    let Hosted { feed, clock, owner, team, .. } = &hosted;
    team.push(&package("Team.A", "1.0.0", "x")).await.expect(StatusCode::CREATED);
    hosted.usage(owner, "").await;
    feed.calls.forget();
    owner.get("/v3/usage").await.expect(StatusCode::OK);
    let _of_the_key = feed.calls.take();
    owner.get("/v3/usage").await.expect(StatusCode::OK);
    // The books, the months before, and this one.
    assert_eq!(feed.calls.take(), ["GetItem", "Query", "Query", "Query"]);
    clock.set(datetime!(2027-02-01 00:30 UTC));
    feed.meter().await;
    feed.calls.forget();
    owner.get("/v3/usage?month=2027-01").await.expect(StatusCode::OK);
    assert_eq!(feed.calls.take(), ["GetItem", "GET object", "Query"]);
    owner.get("/v3/usage?month=2027-02").await.expect(StatusCode::OK);
    assert_eq!(feed.calls.take(), ["GetItem", "GET object", "Query", "Query"]);
}

#[tokio::test]
async fn usage_of_a_month_that_is_far_away_makes_no_call_for_those_in_between() {
    let hosted = Hosted::start().await;
    let Hosted { feed, owner, .. } = &hosted;
    hosted.usage(owner, "").await;
    owner.get("/v3/usage").await.expect(StatusCode::OK);
    feed.calls.forget();
    let future = owner.get("/v3/usage?month=9999-12").await.expect(StatusCode::OK).json();
    assert_eq!(figures(&future, "pushes"), named([("total", 0)]));
    assert_eq!(feed.calls.take(), ["GetItem", "Query", "Query", "Query"]);
    owner.get("/v3/usage?month=0000-01").await.expect(StatusCode::OK);
    assert_eq!(feed.calls.take(), ["GetItem"]);
    owner.get("/v3/log?after=7ZZZZZZZZZZZZZZZZZZZZZZZZZ").await.expect(StatusCode::OK);
    assert_eq!(feed.calls.take(), [""; 0]);
}

/// The versions that a page of the log names, and where the next one begins.
async fn page(client: &Client, query: &str) -> (Vec<String>, Value, Value) {
    let answer = client.get(&format!("/v3/log?{query}")).await.expect(StatusCode::OK).json();
    let items = answer["items"].as_array().unwrap().iter();
    let item = |item: &Value| {
        format!("{} {} {}", text(item, "change"), text(item, "id"), text(item, "version"))
    };
    (items.map(item).collect(), answer["next"].clone(), answer["through"].clone())
}

fn text<'a>(item: &'a Value, name: &str) -> &'a str {
    item[name].as_str().unwrap()
}

#[tokio::test]
async fn the_log_is_told_page_by_page_over_the_turn_of_a_month() {
    let hosted = Hosted::start().await;
    let Hosted { clock, owner, team, other, .. } = &hosted;
    team.push(&package("Team.A", "1.0.0", "x")).await.expect(StatusCode::CREATED);
    clock.set(datetime!(2027-02-01 00:00 UTC));
    other.push(&package("Other.B", "1.0.0", "x")).await.expect(StatusCode::CREATED);
    clock.set(datetime!(2027-02-01 00:01 UTC));
    team.push(&package("Team.A", "2.0.0", "x")).await.expect(StatusCode::CREATED);
    let (first, next, _) = page(owner, "take=2").await;
    assert_eq!(first, ["pushed team.a 1.0.0"], "those of the last minute may still be too few");
    assert_eq!(next, Value::Null);
    clock.set(datetime!(2027-02-01 00:03 UTC));
    let (two, next, through) = page(owner, "take=2").await;
    assert_eq!(two, ["pushed team.a 1.0.0", "pushed other.b 1.0.0"]);
    assert_eq!(next, through);
    let (rest, next, through) =
        page(owner, &format!("take=2&after={}", next.as_str().unwrap())).await;
    assert_eq!(
        (rest.as_slice(), next),
        (["pushed team.a 2.0.0".to_owned()].as_slice(), Value::Null)
    );
    let later = format!("after={}", through.as_str().unwrap());
    assert_eq!(page(owner, &later).await.0, [""; 0]);

    let (own, next, _) = page(team, "take=2").await;
    assert_eq!(own, ["pushed team.a 1.0.0"], "the page had another tenant's, too");
    assert!(next.is_string());
    let named = |answer: nuthatch_tests::Answer| answer.json()["items"][0]["by"].clone();
    assert_eq!(named(owner.get("/v3/log").await), json!("team"));
    assert_eq!(named(team.get("/v3/log").await), Value::Null);
    for (query, refusal) in [
        ("take=0", "400 'take' cannot be \"0\"; give a number from 1 to 1000"),
        ("take=1001", "400 'take' cannot be \"1001\"; give a number from 1 to 1000"),
        (
            "after=x",
            "400 'after' cannot be \"x\"; give the ULID of a change, or 'next' of the last answer",
        ),
    ] {
        assert_eq!(owner.get(&format!("/v3/log?{query}")).await.refusal(), refusal);
    }
}

#[tokio::test]
async fn a_page_of_the_log_takes_one_call() {
    let hosted = Hosted::start().await;
    let Hosted { feed, clock, owner, .. } = &hosted;
    owner.push(&package("Team.A", "1.0.0", "x")).await.expect(StatusCode::CREATED);
    clock.set(datetime!(2027-01-31 23:00 UTC));
    let (_, _, through) = page(owner, "").await;
    feed.calls.forget();
    page(owner, &format!("after={}", through.as_str().unwrap())).await;
    assert_eq!(feed.calls.take(), [""; 0], "nothing is settled since then");
    clock.set(datetime!(2027-01-31 23:05 UTC));
    page(owner, &format!("after={}", through.as_str().unwrap())).await;
    assert_eq!(feed.calls.take(), ["Query"]);
}

#[tokio::test]
async fn a_month_of_changes_takes_a_call_for_each_megabyte() {
    let feed = TestFeed::with(FeedOptions { quick: true, ..FeedOptions::default() }).await;
    let versions: Vec<String> = (0..30).map(|minor| format!("1.{minor}.0")).collect();
    let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
    feed.fill((0..200).map(|number| format!("Acme.Part{number}")), &versions).await;
    let month = usage::Month::of(feed.own_table().now());
    feed.calls.forget();
    let report = feed.own_ledger().report(month, usage::Grouping::Key, |_| true).await.unwrap();
    assert_eq!(report.total.figures.pushes, 6_000);
    // The books, and 1.3 MB of changes.
    assert_eq!(feed.calls.take(), ["GetItem", "Query", "Query"]);
    let (now, mut entries) = (feed.own_table().now(), 0);
    let table = feed.own_table();
    table
        .each_log_entry(month.start(), now + time::Duration::MINUTE, |_| entries += 1)
        .await
        .unwrap();
    assert_eq!(entries, 6_000);
    // And a look at the acts.
    assert_eq!(feed.calls.take(), ["Query", "Query", "Query"]);
}

/// The output of a command that succeeds.
fn done(feed: &Served, arguments: &[&str]) -> String {
    let output = run(arguments, feed.data.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_command_prints_usage_with_prices_in_columns_csv_and_json() {
    let feed = Served::start(&[]);
    for (id, version) in [("Team.A", "1.0.0"), ("Team.A", "2.0.0"), ("Other.B", "1.0.0")] {
        feed.push(&package(id, version, "x")).await.expect(StatusCode::CREATED);
    }
    let prices = feed.data.path().join("prices.toml");
    let text = "currency = \"EUR\"\ndigits = 2\n[push]\namount = 100\nper = 2\n";
    std::fs::write(&prices, text).unwrap();
    let prices = prices.to_str().unwrap();
    let report: Value =
        serde_json::from_str(&done(&feed, &["usage", "--json", "--prices", prices])).unwrap();
    assert_eq!(figures(&report, "amount"), named([("other", 50), ("team", 100), ("total", 150)]));
    let csv = done(&feed, &["usage", "--csv", "--prices", prices]);
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert!(lines[0].starts_with("id-prefix,pushes,symbols,unlists,relists,deletes,bytesTaken,"));
    assert!(lines[0].ends_with(",downloads,bytesSent,amount EUR"), "{}", lines[0]);
    assert!(lines[2].starts_with("team,2,0,0,0,0,") && lines[2].ends_with(",100"), "{}", lines[2]);
    let shown = done(&feed, &["usage", "--by", "verb", "--prices", prices]);
    assert!(shown.contains("not complete, downloads not counted yet"), "{shown}");
    assert!(shown.contains("1.50 EUR"), "{shown}");
    let wrong = run(&["usage", "--by", "colour"], feed.data.path());
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("use key, id-prefix, id, day or verb"));
}

#[tokio::test]
async fn the_holder_of_a_key_asks_for_usage_and_log_by_the_feed_s_address() {
    let feed = Served::start(&[]);
    feed.push(&package("Team.A", "1.0.0", "x")).await.expect(StatusCode::CREATED);
    feed.push(&package("Other.B", "1.0.0", "x")).await.expect(StatusCode::CREATED);
    let key = done(&feed, &["key", "create", "team", "--scope", "read", "--id", "Team.*"]);
    let source = format!("http://{}/v3/index.json", feed.server.address);
    let remote = |command: &str, more: &[&str]| {
        let command = [&[command, "--source", &source, "--api-key", key.trim()], more].concat();
        nuthatch_tests::nuthatch().args(command).output().unwrap()
    };
    let output = remote("usage", &["--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(figures(&report, "pushes"), named([("team", 1), ("total", 1)]));
    let refused = remote("usage", &["--by", "key"]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(words.contains("use one with the scope admin"), "{words}");
    // The changes of the last minute come later.
    let output = remote("log", &["--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

#[tokio::test]
async fn the_command_shows_the_versions_of_a_package() {
    let feed = Served::start(&[]);
    feed.push(&package("Acme", "1.0.0", "x")).await.expect(StatusCode::CREATED);
    let get = http::Request::get("/v3/package/acme/1.0.0/acme.1.0.0.nupkg");
    let get = get.header("x-nuget-apikey", &feed.owner);
    feed.server.send(get, "").await.expect(StatusCode::OK);
    let shown = done(&feed, &["package", "show", "ACME"]);
    let line = shown.lines().nth(1).unwrap();
    assert!(line.starts_with("1.0.0    yes") && line.contains("  owner  1 "), "{line}");
    let json: Value =
        serde_json::from_str(&done(&feed, &["package", "show", "Acme", "--json"])).unwrap();
    assert_eq!((&json["downloads"], &json["by"]), (&json!(1), &json!("owner")));
    let missing = run(&["package", "show", "Ghost"], feed.data.path());
    assert!(String::from_utf8_lossy(&missing.stderr).contains("has no package 'Ghost'"));
}
