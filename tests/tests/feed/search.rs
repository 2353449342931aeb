//! Search and autocomplete, through the front door.

use access::Scope;
use aws_sdk_s3::types::ChecksumAlgorithm;
use http::StatusCode;
use nuthatch_tests::{Client, TestFeed};

use crate::{described, package};

async fn feed_of(packages: &[(&str, &str, &str)]) -> (TestFeed, Client) {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    for (id, version, more) in packages {
        let pushed = owner.push(&described(id, version, more)).await;
        assert_eq!(pushed.status, StatusCode::CREATED, "{id}");
    }
    (feed, owner)
}

async fn shelf() -> (TestFeed, Client) {
    feed_of(&[
        ("Newtonsoft.Json", "13.0.1", "<tags>serializer fast</tags>"),
        ("Acme.Json.Extras", "1.0.0", "<summary>More for Newtonsoft users</summary>"),
        ("Json", "0.1.0", ""),
        ("EntityFrameworkCore", "8.0.0", "<title>Entity framework</title>"),
        ("log4net", "2.0.0", "<tags>logging</tags>"),
        (
            "Zebra.Tools",
            "1.0.0-beta",
            "<packageTypes><packageType name=\"DotnetTool\" /></packageTypes>",
        ),
    ])
    .await
}

#[tokio::test]
async fn a_result_has_nuget_orgs_shape() {
    let more = "<title>Acme's core</title><summary>Core.</summary><tags>one two</tags>\
        <projectUrl>https://acme.example</projectUrl><iconUrl>https://acme.example/i.png</iconUrl>\
        <licenseUrl>https://acme.example/license</licenseUrl>";
    let (_feed, owner) =
        feed_of(&[("Acme.Core", "1.0.0", ""), ("Acme.Core", "2.0.0-B.1+x", more)]).await;
    insta::assert_json_snapshot!(owner.search("q=acme&prerelease=true&semVerLevel=2.0.0").await);
    insta::assert_json_snapshot!("a_bare_result", owner.search("q=acme").await);
}

#[tokio::test]
async fn words_are_found_wherever_they_stand_and_the_exact_id_first() {
    let (_feed, owner) = shelf().await;
    for (query, expected) in [
        ("json", &["Json", "Newtonsoft.Json", "Acme.Json.Extras"][..]),
        ("newtonsoft", &["Newtonsoft.Json", "Acme.Json.Extras"]),
        ("newtonsoft.json", &["Newtonsoft.Json", "Acme.Json.Extras"]),
        ("JSON%20newton", &["Newtonsoft.Json", "Acme.Json.Extras"]),
        ("jso%20newtonsoft", &[]),
        ("framework", &["EntityFrameworkCore"]),
        ("entityframeworkcore", &["EntityFrameworkCore"]),
        ("EntityFrame", &["EntityFrameworkCore"]),
        ("frameworkEntity", &["EntityFrameworkCore"]),
        ("log4", &["log4net"]),
        ("net", &["log4net"]),
        ("logging", &["log4net"]),
        ("nothing", &[]),
        ("tags:serializer", &["Newtonsoft.Json"]),
        ("tag:fast%20tags:logging", &["log4net", "Newtonsoft.Json"]),
        ("id:json", &["Json", "Newtonsoft.Json", "Acme.Json.Extras"]),
        ("id:jso", &[]),
        ("packageid:JSON", &["Json"]),
        ("packageid:json%20packageid:log4net", &["Json", "log4net"]),
        ("json%20tags:fast", &["Newtonsoft.Json"]),
        ("title:%22entity%20framework%22", &["EntityFrameworkCore"]),
        ("%22framework%20entity%22", &[]),
        ("%22json%20extras%22", &["Acme.Json.Extras"]),
        ("%22newtonsoft%20users%22", &["Acme.Json.Extras"]),
        ("version:0.1", &["Json"]),
        ("author:acme%20log4net", &["log4net"]),
        ("owner:acme", &[]),
        ("unknown:x%20log4net", &["log4net"]),
        ("log4net%20AND%20logging", &["log4net"]),
    ] {
        assert_eq!(owner.found(&format!("q={query}")).await, expected, "{query}");
    }
}

#[tokio::test]
async fn everything_is_found_by_nothing_in_the_order_of_ids() {
    let (_feed, owner) = shelf().await;
    let all = ["Acme.Json.Extras", "EntityFrameworkCore", "Json", "log4net", "Newtonsoft.Json"];
    assert_eq!(owner.found("").await, all);
    assert_eq!(owner.found("q=&skip=1&take=2").await, all[1..3]);
    assert_eq!(owner.search("take=0").await["totalHits"], 5);
    assert_eq!(owner.search("skip=3001").await["totalHits"], 0);
    assert_eq!(owner.found("skip=-1&take=1001").await, all);
}

#[tokio::test]
async fn a_package_shows_what_its_newest_version_in_the_view_says() {
    let (_feed, owner) = feed_of(&[
        ("Acme", "1.0.0", "<tags>stable</tags>"),
        ("Acme", "1.1.0-beta", "<tags>beta</tags>"),
        ("Acme", "1.2.0+build", "<tags>semver2</tags>"),
        ("Acme", "2.0.0-a.b", "<tags>both</tags>"),
    ])
    .await;
    for (view, version, tag, versions) in [
        ("", "1.0.0", "stable", 1),
        ("prerelease=true", "1.1.0-beta", "beta", 2),
        ("semVerLevel=2.0.0", "1.2.0+build", "semver2", 2),
        ("prerelease=true&semVerLevel=2.0.0", "2.0.0-a.b", "both", 4),
    ] {
        let item = owner.search(&format!("q=tags:{tag}&{view}")).await["data"][0].take();
        assert_eq!(item["version"], version, "{view}");
        assert_eq!(item["versions"].as_array().unwrap().len(), versions, "{view}");
        assert_eq!(item["tags"][0], tag, "{view}");
        for other in ["stable", "beta", "semver2", "both"].iter().filter(|other| **other != tag) {
            assert!(owner.found(&format!("q=tags:{other}&{view}")).await.is_empty(), "{view}");
        }
    }
}

#[tokio::test]
async fn what_is_unlisted_is_not_found_until_it_is_relisted() {
    let (_feed, owner) =
        feed_of(&[("Acme", "1.0.0", ""), ("Acme", "2.0.0", ""), ("Other", "1.0.0", "")]).await;
    owner.delete("Acme/2.0.0").await;
    assert_eq!(owner.search("q=acme").await["data"][0]["version"], "1.0.0");
    assert_eq!(owner.complete("id=ACME").await, ["1.0.0"]);
    owner.delete("Acme/1.0.0").await;
    assert_eq!(owner.found("").await, ["Other"]);
    assert_eq!(owner.complete("q=ac").await, [""; 0]);
    assert_eq!(owner.complete("id=acme").await, [""; 0]);
    owner.relist("Acme/1.0.0").await;
    assert_eq!(owner.search("q=acme").await["data"][0]["version"], "1.0.0");
}

#[tokio::test]
async fn package_types_are_asked_for_in_three_spellings() {
    let (_feed, owner) = shelf().await;
    for name in ["packageType", "packageTypes", "packageTypeFilter"] {
        let found = owner.found(&format!("{name}=dotnettool&prerelease=true")).await;
        assert_eq!(found, ["Zebra.Tools"], "{name}");
    }
    assert_eq!(owner.found("packageType=Dependency&prerelease=true").await.len(), 5);
    assert_eq!(owner.found("packageType=&prerelease=true").await.len(), 6);
    assert_eq!(owner.search("packageType=no%20type").await["totalHits"], 0);
}

#[tokio::test]
async fn autocomplete_offers_ids_and_versions() {
    let (_feed, owner) = feed_of(&[
        ("Acme.Core", "1.0.0", ""),
        ("Acme.Core", "1.1.0-x", ""),
        ("Acme.Web", "1.0.0", ""),
        ("Big.Acme", "1.0.0", ""),
        ("Other", "1.0.0", "<tags>acme</tags>"),
    ])
    .await;
    assert_eq!(owner.complete("q=acm").await, ["Acme.Core", "Acme.Web", "Big.Acme"]);
    assert_eq!(owner.complete("q=Acme.C").await, ["Acme.Core"]);
    assert_eq!(owner.complete("q=acme&skip=1&take=1").await, ["Acme.Web"]);
    assert_eq!(owner.complete("").await.len(), 4);
    assert_eq!(owner.complete("id=acme.core").await, ["1.0.0"]);
    assert_eq!(owner.complete("id=acme.core&prerelease=true").await, ["1.0.0", "1.1.0-x"]);
    assert_eq!(owner.complete("q=acme.w&id=acme.core").await, ["Acme.Web"]);
    let answer = owner.get("/v3/autocomplete?q=acm&take=1").await.json();
    assert_eq!(answer["totalHits"], 3);
    assert_eq!(answer["@context"]["@vocab"], "http://schema.nuget.org/schema#");
}

#[tokio::test]
async fn a_key_finds_and_counts_its_own_ids_alone() {
    let (feed, owner) = feed_of(&[
        ("Acme.Core", "1.0.0", ""),
        ("Acme.Web", "1.0.0", ""),
        ("AcmeX", "1.0.0", ""),
        ("Secret.Acme", "1.0.0", ""),
        ("Mine", "1.0.0", ""),
    ])
    .await;
    let limited = feed.client("limited", &[Scope::Read], &["Acme.*", "mine"]).await;
    // Mine is found, too, because its author is Acme.
    assert_eq!(limited.search("q=acme").await["totalHits"], 3);
    assert_eq!(limited.found("q=id:acme").await, ["Acme.Core", "Acme.Web"]);
    assert_eq!(limited.found("").await, ["Acme.Core", "Acme.Web", "Mine"]);
    assert_eq!(limited.complete("q=s").await, [""; 0]);
    assert_eq!(limited.complete("id=secret.acme").await, [""; 0]);
    assert_eq!(limited.search("q=packageid:secret.acme").await["totalHits"], 0);
    assert_eq!(owner.found("q=packageid:secret.acme").await, ["Secret.Acme"]);
    assert_eq!(feed.stranger().get("/v3/search").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_instance_that_starts_from_a_snapshot_finds_what_came_after_it() {
    let (feed, owner) = shelf().await;
    owner.delete("log4net/2.0.0").await;
    feed.compact().await;
    owner.push(&package("Late", "1.0.0", "x")).await;
    owner.relist("log4net/2.0.0").await;
    let fresh = owner.at(&feed.another_instance());
    feed.calls.forget();
    let all =
        ["Acme.Json.Extras", "EntityFrameworkCore", "Json", "Late", "log4net", "Newtonsoft.Json"];
    assert_eq!(fresh.found("").await, all);
    let calls = ["GetItem", "GET object", "Query", "BatchGetItem", "GET object"];
    assert_eq!(feed.calls.take(), calls);
    assert_eq!(fresh.found("q=json").await, ["Json", "Newtonsoft.Json", "Acme.Json.Extras"]);
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_read_is_as_none() {
    let (feed, owner) = shelf().await;
    feed.compact().await;
    let objects = feed.objects().await;
    let snapshot = objects.iter().find(|key| key.starts_with("search/")).unwrap();
    for broken in [&b""[..], b"{}\n", b"{\"format\":1,\"cursor\":null,\"files\":[]}\n", b"\xFF"] {
        let put = feed.aws.s3.put_object().bucket("nuthatch").key(snapshot);
        let put = put.checksum_algorithm(ChecksumAlgorithm::Sha256).body(broken.to_vec().into());
        put.send().await.unwrap();
        let fresh = owner.at(&feed.another_instance());
        assert_eq!(fresh.found("").await.len(), 5);
    }
}

#[tokio::test]
async fn hostile_questions_are_answered() {
    let (_feed, owner) = shelf().await;
    let long = "a".repeat(5_000);
    for query in [
        "%00",
        "%22",
        "%22%22%22",
        ":",
        "id:",
        "a:b:c",
        "%F0%9F%90%A6",
        "%C4%B0",
        "*",
        "a*",
        "?",
        "(",
        "%5B",
        "%7B%22a%22%3A1%7D",
        "-x",
        "%2B",
        "tags:%22",
        "id:%22a%20b",
        "%FF%FE",
        long.as_str(),
    ] {
        owner.search(&format!("q={query}")).await;
        owner.complete(&format!("q={query}")).await;
        owner.complete(&format!("id={query}")).await;
    }
}

#[tokio::test]
async fn a_quoted_id_is_found_whatever_its_casing() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&package("X.Kiln.XUnit", "1.0.0", "x")).await;
    owner.push(&package("X.Kiln.Xunit", "2.0.0", "x")).await;
    owner.push(&package("Entity.FrameworkCore.Tools", "1.0.0", "x")).await;
    for (query, id) in [
        ("id:%22X.Kiln.XUnit%22", "X.Kiln.Xunit"),
        ("%22x.kiln.xunit%22", "X.Kiln.Xunit"),
        ("%22X.KILN.XUNIT%22", "X.Kiln.Xunit"),
        ("%22entity.frameworkcore.tools%22", "Entity.FrameworkCore.Tools"),
        ("%22entity%20framework%20core%22", "Entity.FrameworkCore.Tools"),
        ("%22frameworkcore%20tools%22", "Entity.FrameworkCore.Tools"),
    ] {
        assert_eq!(owner.found(&format!("q={query}")).await, [id], "{query}");
    }
    for query in ["%22kiln%20x.unit.y%22", "%22x%20xunit%22", "%22entity%20tools%22"] {
        assert!(owner.found(&format!("q={query}")).await.is_empty(), "{query}");
    }
}

#[tokio::test]
async fn a_page_that_would_be_too_large_has_fewer_results_and_names_the_next() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let text = "x ".repeat(1_990);
    for number in 0..300 {
        let more = format!("<summary>{text}</summary><tags>{text}</tags><title>Large</title>");
        owner.push(&crate::described(&format!("Acme{number}"), "1.0.0", &more)).await;
    }
    // Reading so many changes may take longer than a search waits; then the answer says so.
    while owner.get("/v3/search?take=0").await.header("x-nuthatch-index") == "behind" {}
    let (mut path, mut ids) = ("/v3/search?q=acme&take=1000".to_owned(), Vec::new());
    let mut pages = 0;
    loop {
        let answer = owner.get(&path).await.expect(StatusCode::OK);
        assert!(answer.body.len() < 4 << 20);
        pages += 1;
        let document = answer.json();
        assert_eq!(document["totalHits"], 300, "{path}");
        let found = document["data"].as_array().unwrap().iter();
        ids.extend(found.map(|item| item["id"].as_str().unwrap().to_owned()));
        let link = answer.header("link").to_owned();
        let Some(next) = link.strip_prefix("<https://packages.example.org") else { break };
        path = next.split_once('>').unwrap().0.to_owned();
    }
    assert!(pages > 1);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 300);
}
