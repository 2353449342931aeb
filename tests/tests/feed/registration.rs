//! Registration: index, pages, leaves and hives, in nuget.org's shape.

use http::StatusCode;
use nuthatch_tests::{Client, PackageBuilder, TestFeed, nuspec};
use serde_json::Value;

use crate::{described, package};

const EVERYTHING: &str = "<title>Acme's core</title><summary>Core.</summary><language>en-US</language>\
    <projectUrl>https://acme.example</projectUrl><tags>one two;three</tags>\
    <license type=\"file\">LICENSE.txt</license><icon>icon.png</icon><readme>README.md</readme>\
    <requireLicenseAcceptance>true</requireLicenseAcceptance>\
    <dependencies><group targetFramework=\".NETStandard2.0\"><dependency id=\"Zeta.Lib\" version=\"1.0\" />\
    <dependency id=\"Any\" /></group><group targetFramework=\"net8.0\" /></dependencies>";

/// Removes the parts that differ from run to run.
fn steady(mut document: Value) -> Value {
    let names = ["commitId", "commitTimeStamp", "published"];
    match &mut document {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                let is_time = names.contains(&name.as_str()) && value.is_string();
                let unlisted = value.as_str().is_some_and(|text| text.starts_with("1900"));
                *value = match value.take() {
                    _ if is_time && !unlisted => Value::from("*"),
                    other => steady(other),
                };
            }
        }
        Value::Array(items) => {
            for item in items.iter_mut() {
                *item = steady(item.take());
            }
        }
        _ => {}
    }
    document
}

async fn feed_with_everything() -> (TestFeed, Client) {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let full = PackageBuilder::default()
        .nuspec(&nuspec("Acme.Core", "1.0.0-RC.1+build", EVERYTHING))
        .file("LICENSE.txt", b"Be kind.")
        .file("icon.png", b"\x89PNG\r\n\x1a\n")
        .file("README.md", b"# Acme");
    assert_eq!(owner.push(&full.build()).await.status, StatusCode::CREATED);
    owner.push(&package("acme.core", "0.9", "x")).await;
    owner.delete("Acme.Core/0.9").await;
    (feed, owner)
}

#[tokio::test]
async fn the_index_has_nuget_orgs_shape() {
    let (_feed, owner) = feed_with_everything().await;
    let answer = owner.registration("Acme.Core").await;
    assert_eq!(answer.header("content-type"), "application/json");
    insta::assert_json_snapshot!(steady(answer.json()));
}

#[tokio::test]
async fn a_leaf_has_nuget_orgs_shape() {
    let (_feed, owner) = feed_with_everything().await;
    let leaf = owner.get("/v3/registration/acme.core/1.0.0-rc.1.json").await;
    insta::assert_json_snapshot!(steady(leaf.json()));
    let unlisted = owner.get("/v3/registration/acme.core/0.9.0.json").await.json();
    assert_eq!(unlisted["listed"], false);
    assert_eq!(unlisted["published"], "1900-01-01T00:00:00+00:00");
    let missing = owner.get("/v3/registration/acme.core/7.0.0.json").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_hive_for_old_clients_leaves_out_what_they_cannot_read() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    for version in ["1.0.0", "1.1.0-beta.1", "1.2.0+build", "1.3.0-beta"] {
        owner.push(&package("Acme", version, "x")).await;
    }
    let by_dependency =
        "<dependencies><dependency id=\"B\" version=\"1.0.0-a.b\" /></dependencies>";
    owner.push(&described("Acme", "1.4.0", by_dependency)).await;
    owner.push(&package("Only.New", "1.0.0-a.b", "x")).await;
    let versions = async |hive: &str| {
        let index = owner.get(&format!("/v3/{hive}/acme/index.json")).await.json();
        let leaves = index["items"][0]["items"].as_array().unwrap().clone();
        let version = |leaf: &Value| leaf["catalogEntry"]["version"].as_str().unwrap().to_owned();
        leaves.iter().map(version).collect::<Vec<_>>()
    };
    assert_eq!(versions("registration-semver1").await, ["1.0.0", "1.3.0-beta"]);
    let all = ["1.0.0", "1.1.0-beta.1", "1.2.0+build", "1.3.0-beta", "1.4.0"];
    assert_eq!(versions("registration").await, all);
    let hidden = owner.get("/v3/registration-semver1/only.new/index.json").await;
    assert_eq!(hidden.status, StatusCode::NOT_FOUND);
    let leaf = owner.get("/v3/registration-semver1/acme/1.4.0.json").await;
    assert_eq!(leaf.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_page_of_yesterdays_index_is_still_there() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    for patch in 0..130 {
        owner.push(&package("Acme", &format!("1.0.{patch}"), "x")).await;
    }
    let index = owner.registration("acme").await.json();
    let pages = index["items"].as_array().unwrap();
    assert_eq!(pages.len(), 3);
    assert!(pages.iter().all(|page| page.get("items").is_none()));
    let last = pages[2]["@id"].as_str().unwrap().to_owned();
    assert_eq!(last, "https://packages.example.org/v3/registration/acme/page/1.0.128/1.0.129.json");
    owner.push(&package("Acme", "1.0.130", "x")).await;
    owner.push(&package("Acme", "0.0.1", "x")).await;
    let page = owner.get(&last["https://packages.example.org".len()..]).await.json();
    assert_eq!(page["count"], 2);
    assert_eq!(
        (page["lower"].as_str(), page["upper"].as_str()),
        (Some("1.0.128"), Some("1.0.129"))
    );
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert_eq!(page["parent"], "https://packages.example.org/v3/registration/acme/index.json");
}

#[tokio::test]
async fn addresses_that_no_document_has_are_not_found() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&package("Acme", "1.0.0", "x")).await;
    for path in [
        "acme/1.0.0",
        "acme/x.json",
        "acme/page/1.0.0/1.0.0",
        "acme/page/x/1.0.0.json",
        "acme/page/2.0.0/3.0.0.json",
        "other/index.json",
        "a b/index.json",
    ] {
        let path = format!("/v3/registration/{}", path.replace(' ', "%20"));
        assert_eq!(owner.get(&path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn what_a_leaf_calls_its_entry_holds_what_a_catalog_would() {
    let (_feed, owner) = feed_with_everything().await;
    let leaf = owner.get("/v3/registration/acme.core/1.0.0-rc.1.json").await.json();
    let entry = leaf["catalogEntry"].as_str().unwrap();
    let entry = entry.strip_prefix("https://packages.example.org").unwrap();
    let entry = owner.get(entry).await.expect(StatusCode::OK).json();
    assert_eq!(entry["id"], "Acme.Core");
    assert_eq!(entry["version"], "1.0.0-RC.1+build");
    assert_eq!(entry["dependencyGroups"][0]["dependencies"][0]["id"], "Zeta.Lib");
    assert_eq!(entry["licenseUrl"].as_str().unwrap().rsplit('/').next(), Some("license"));
    for path in
        ["/v3/registration/acme.core/entry.9.0.0.json", "/v3/registration/acme.core/entry.json"]
    {
        owner.get(path).await.expect(StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn large_versions_make_small_pages() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let text = "x".repeat(3_900);
    let groups: Vec<String> =
        (0..900).map(|n| format!("<group targetFramework='x1.{n}1'/>")).collect();
    let groups = groups.concat();
    for version in 1..=12 {
        let more = format!(
            "<summary>{text}</summary><tags>{text}</tags><dependencies>{groups}</dependencies>"
        );
        let package = described("Fat", &format!("{version}.0.0"), &more);
        owner.push(&package).await.expect(StatusCode::CREATED);
    }
    let index = owner.registration("Fat").await.expect(StatusCode::OK);
    assert!(index.body.len() < 4 << 20);
    let index = index.json();
    let pages = index["items"].as_array().unwrap();
    assert!(pages.len() > 1);
    let mut leaves = 0;
    for page in pages {
        let path =
            page["@id"].as_str().unwrap().strip_prefix("https://packages.example.org").unwrap();
        let page = owner.get(path).await.expect(StatusCode::OK);
        assert!(page.body.len() < 4 << 20);
        leaves += page.json()["items"].as_array().unwrap().len();
    }
    assert_eq!(leaves, 12);
    let whole = owner.get("/v3/registration/fat/page/1.0.0/12.0.0.json").await;
    assert!(whole.refusal().starts_with("400 the answer would be larger"), "{}", whole.refusal());
}
