//! Every view of a feed against a small pure model of it.

use std::collections::{BTreeMap, BTreeSet};

use access::Scope;
use http::StatusCode;
use nupkg::Version;
use nuthatch_tests::{Client, TestFeed};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use crate::{described, package};

/// An event in the life of a version.
#[derive(Debug, Clone)]
struct Step {
    id: &'static str,
    version: &'static str,
    /// Whether a dependency is `SemVer` 2.
    needs_semver2: bool,
    act: Act,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Push,
    Unlist,
    Relist,
    /// Time passes, the snapshot is written, and the instance is replaced.
    Restart,
}

/// A version of the model.
#[derive(Debug, Clone)]
struct Known {
    id: &'static str,
    full: String,
    version: Version,
    semver2: bool,
    listed: bool,
}

/// The model: all versions, by lower-cased id and version.
type Model = BTreeMap<(String, Version), Known>;

const IDS: [&str; 5] = ["Acme.Core", "acme.core", "Acme.Web", "Zeta", "Beta_2"];
const VERSIONS: [&str; 10] = [
    "1.0.0",
    "1.0",
    "1.0.0-RC.1",
    "1.0.0-rc",
    "1.1.0+build",
    "2.0.0.1",
    "2.0.0-alpha",
    "10.0.0",
    "0.9.0-0",
    "1.1.0-A-b",
];

fn step() -> impl Strategy<Value = Step> {
    let act = prop_oneof![
        6 => Just(Act::Push),
        2 => Just(Act::Unlist),
        1 => Just(Act::Relist),
        1 => Just(Act::Restart),
    ];
    let id = prop::sample::select(&IDS[..]);
    let version = prop::sample::select(&VERSIONS[..]);
    (id, version, prop::bool::weighted(0.2), act)
        .prop_map(|(id, version, needs_semver2, act)| Step { id, version, needs_semver2, act })
}

/// Does a step to the feed and to the model, which must agree about its answer.
async fn take(step: &Step, client: &mut Client, feed: &mut TestFeed, model: &mut Model) {
    let Step { id, version: full, needs_semver2, act } = step;
    let version: Version = full.parse().unwrap();
    let key = (id.to_lowercase(), version.clone());
    let path = format!("{id}/{full}");
    match act {
        Act::Push => {
            let range = if *needs_semver2 { "[1.0.0-a.b, )" } else { "1.0" };
            let more = format!(
                "<dependencies><dependency id=\"Other\" version=\"{range}\" /></dependencies>"
            );
            let answer = client.push(&described(id, full, &more)).await;
            let taken = model.contains_key(&key);
            let expected = if taken { StatusCode::CONFLICT } else { StatusCode::CREATED };
            assert_eq!(answer.status, expected, "{step:?}");
            if !taken {
                let semver2 = *needs_semver2 || version.is_semver2();
                let full = version.full();
                model.insert(key, Known { id, full, version, semver2, listed: true });
            }
        }
        Act::Unlist | Act::Relist => {
            let listed = *act == Act::Relist;
            let answer =
                if listed { client.relist(&path).await } else { client.delete(&path).await };
            match model.get_mut(&key) {
                None => assert_eq!(answer.status, StatusCode::NOT_FOUND, "{step:?}"),
                Some(known) => {
                    assert!(answer.status.is_success(), "{step:?}");
                    known.listed = listed;
                }
            }
        }
        Act::Restart => {
            feed.settle().await;
            feed.compact().await;
            *feed = feed.another_instance();
            *client = client.at(feed);
        }
    }
}

/// The versions of an id in a view, ascending.
fn versions<'a>(model: &'a Model, id: &str, shown: impl Fn(&Known) -> bool) -> Vec<&'a Known> {
    let id = id.to_lowercase();
    let mut known: Vec<_> =
        model.iter().filter(|((key, _), _)| *key == id).map(|(_, known)| known).collect();
    known.retain(|known| shown(known));
    known.sort_by(|left, right| left.version.cmp(&right.version));
    known
}

fn texts(value: &Value) -> Vec<String> {
    serde_json::from_value(value.clone()).unwrap()
}

/// Compares every view of the feed with the model.
async fn compare(client: &Client, limited: &Client, model: &Model) {
    let ids: BTreeSet<String> = IDS.iter().map(|id| id.to_lowercase()).collect();
    for id in &ids {
        let all = versions(model, id, |_| true);
        let keys: Vec<String> = all.iter().map(|known| known.version.key()).collect();
        assert_eq!(client.versions(id).await, keys);
        for (hive, semver2) in [("registration", true), ("registration-semver1", false)] {
            let expected = versions(model, id, |known| semver2 || !known.semver2);
            compare_registration(client, id, hive, &expected).await;
        }
    }
    for (prerelease, semver2) in [(false, false), (true, false), (false, true), (true, true)] {
        let level = if semver2 { "&semVerLevel=2.0.0" } else { "" };
        let view = format!("prerelease={prerelease}{level}");
        let shown = |known: &Known| {
            known.listed
                && (prerelease || !known.version.is_prerelease())
                && (semver2 || !known.semver2)
        };
        let mut expected: Vec<(String, Vec<&Known>)> =
            ids.iter().map(|id| (id.clone(), versions(model, id, shown))).collect();
        expected.retain(|(_, versions)| !versions.is_empty());
        compare_search(client, &view, &expected).await;
        let visible = |(id, _): &(String, Vec<&Known>)| id.starts_with("acme.");
        let expected: Vec<_> = expected.into_iter().filter(visible).collect();
        compare_search(limited, &view, &expected).await;
    }
}

async fn compare_registration(client: &Client, id: &str, hive: &str, expected: &[&Known]) {
    let answer = client.get(&format!("/v3/{hive}/{id}/index.json")).await;
    if expected.is_empty() {
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{id}");
        return;
    }
    let index = answer.json();
    assert_eq!(index["count"], 1);
    let page = &index["items"][0];
    assert_eq!(page["count"], expected.len());
    assert_eq!(page["lower"], expected[0].version.normalized());
    assert_eq!(page["upper"], expected[expected.len() - 1].version.normalized());
    let leaves = page["items"].as_array().unwrap();
    assert_eq!(leaves.len(), expected.len());
    for (leaf, known) in leaves.iter().zip(expected) {
        let entry = &leaf["catalogEntry"];
        assert_eq!(entry["id"], known.id);
        assert_eq!(entry["version"], known.full);
        assert_eq!(entry["listed"], known.listed);
        let is_1900 = entry["published"].as_str().unwrap().starts_with("1900-");
        assert_eq!(is_1900, !known.listed);
        let path = leaf["@id"].as_str().unwrap();
        let leaf = client.get(&path["https://packages.example.org".len()..]).await.json();
        assert_eq!(leaf["listed"], known.listed);
        let content = leaf["packageContent"].as_str().unwrap();
        let nupkg = client.get(&content["https://packages.example.org".len()..]).await;
        assert_eq!(nupkg.status, StatusCode::OK);
    }
}

async fn compare_search(client: &Client, view: &str, expected: &[(String, Vec<&Known>)]) {
    let found = client.search(&format!("{view}&take=100")).await;
    assert_eq!(found["totalHits"], expected.len(), "{view}");
    let items = found["data"].as_array().unwrap();
    assert_eq!(items.len(), expected.len());
    for (item, (id, versions)) in items.iter().zip(expected) {
        let latest = versions[versions.len() - 1];
        assert_eq!(item["id"], latest.id, "{view} {id}");
        assert_eq!(item["version"], latest.full, "{view} {id}");
        let listed = item["versions"].as_array().unwrap().iter();
        let listed: Vec<_> = listed.map(|version| version["version"].clone()).collect();
        let full: Vec<_> = versions.iter().map(|known| Value::from(known.full.clone())).collect();
        assert_eq!(listed, full, "{view} {id}");
        let answer = client.get(&format!("/v3/autocomplete?id={id}&{view}")).await.json();
        assert_eq!(texts(&answer["data"]), texts(&Value::from(full)), "{view} {id}");
        let by_id = client.search(&format!("q=packageid:{id}&{view}")).await;
        assert_eq!(by_id["totalHits"], 1);
        assert_eq!(by_id["data"][0], *item);
    }
    let ids = client.get(&format!("/v3/autocomplete?{view}&take=100")).await.json();
    let latest: Vec<_> =
        expected.iter().map(|(_, versions)| versions[versions.len() - 1].id.to_owned()).collect();
    assert_eq!(texts(&ids["data"]), latest);
    assert_eq!(ids["totalHits"], expected.len());
}

#[test]
fn every_view_is_what_the_model_says() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 24, ..Config::default() });
    let histories = prop::collection::vec(step(), 1..25);
    let ran = runner.run(&histories, |history| {
        runtime.block_on(async {
            let mut feed = TestFeed::start().await;
            let mut owner = feed.owner().await;
            let limited = feed.client("limited", &[Scope::Read], &["Acme.*"]).await;
            let mut model = Model::new();
            for step in &history {
                take(step, &mut owner, &mut feed, &mut model).await;
            }
            compare(&owner, &limited.at(&feed), &model).await;
        });
        Ok(())
    });
    ran.unwrap();
}

#[tokio::test]
async fn pages_have_their_bounds_however_many_versions_there_are() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    for count in 1..=200 {
        // The order of pushes is not the order of versions.
        let patch = (count * 37) % 211;
        owner.push(&package("Acme", &format!("1.0.{patch}"), "x")).await;
        if ![1, 63, 64, 65, 127, 128, 129, 192, 193, 200].contains(&count) {
            continue;
        }
        let mut expected: Vec<u32> = (1..=count).map(|count| (count * 37) % 211).collect();
        expected.sort_unstable();
        let index = owner.registration("acme").await.json();
        let pages = index["items"].as_array().unwrap();
        let chunks: Vec<&[u32]> = expected.chunks(64).collect();
        assert_eq!(index["count"], chunks.len());
        assert_eq!(pages.len(), chunks.len());
        for (page, chunk) in pages.iter().zip(chunks) {
            let bound = |at: usize| format!("1.0.{}", chunk[at]);
            assert_eq!(page["count"], chunk.len(), "{count}");
            assert_eq!(page["lower"], bound(0));
            assert_eq!(page["upper"], bound(chunk.len() - 1));
            let address = page["@id"].as_str().unwrap();
            let is_inlined = page.get("items").is_some();
            assert_eq!(is_inlined, count <= 127, "{count}: {address}");
            assert_eq!(is_inlined, address.contains("index.json#page/"), "{count}: {address}");
            let leaves = if is_inlined {
                page["items"].clone()
            } else {
                let page = owner.get(&address["https://packages.example.org".len()..]).await.json();
                assert_eq!(page["upper"], bound(chunk.len() - 1));
                page["items"].clone()
            };
            let versions = leaves.as_array().unwrap().iter();
            let versions: Vec<_> =
                versions.map(|leaf| leaf["catalogEntry"]["version"].clone()).collect();
            let whole: Vec<_> = (0..chunk.len()).map(|at| Value::from(bound(at))).collect();
            assert_eq!(versions, whole, "{count}");
        }
    }
}
