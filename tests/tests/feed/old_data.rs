//! A data folder that an earlier version wrote: before heads named the changes of a package
//! (`tests/fixtures/data-folder.tgz`). It has two packages with a version unlisted, a version
//! deleted, a download, and the keys `owner` and `ci`.

use std::process::Command;

use http::{Request, StatusCode};
use nuthatch_tests::{PackageBuilder, Server, framed, run};
use serde_json::Value;
use tempfile::TempDir;

/// The folder, unpacked.
fn unpacked() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/data-folder.tgz");
    let mut tar = Command::new("tar");
    tar.args(["--strip-components", "1", "-xzf", fixture, "-C"]).arg(folder.path());
    assert!(tar.status().unwrap().success());
    folder
}

async fn json(server: &Server, path: &str) -> Value {
    server.send(Request::get(path), "").await.expect(StatusCode::OK).json()
}

#[tokio::test]
async fn a_data_folder_of_before_is_read_and_goes_on() {
    let folder = unpacked();
    let server = Server::start(folder.path(), &["--read-access", "anonymous"]);
    let list = "/v3/package/acme.core/index.json";
    let versions = json(&server, list).await["versions"].clone();
    assert_eq!(versions, serde_json::json!(["1.0.0", "1.1.0", "2.0.0-beta.1"]));
    let found = json(&server, "/v3/search?q=acme&prerelease=true&semVerLevel=2.0.0").await;
    let found: Vec<_> = found["data"].as_array().unwrap().iter().map(|it| &it["version"]).collect();
    assert_eq!(found, ["2.0.0-beta.1", "1.0.0"]);
    let leaf = json(&server, "/v3/registration/acme.core/1.1.0.json").await;
    assert_eq!(leaf["listed"], false);
    for file in ["acme.core.1.1.0.nupkg", "acme.core.nuspec"] {
        let path = format!("/v3/package/acme.core/1.1.0/{file}");
        server.send(Request::get(path), "").await.expect(StatusCode::OK);
    }
    let gone = "/v3/package/acme.gone/index.json";
    server.send(Request::get(gone), "").await.expect(StatusCode::NOT_FOUND);
    let create = run(&["key", "create", "new", "--scope", "push"], folder.path());
    let key = String::from_utf8(create.stdout).unwrap().trim().to_owned();
    for (id, version, status) in [
        ("Acme.Core", "3.0.0", StatusCode::CREATED),
        ("Acme.Core", "1.1.0", StatusCode::CONFLICT),
        // A number that was deleted stays taken.
        ("Acme.Gone", "1.0.0", StatusCode::CONFLICT),
    ] {
        let (content_type, body) = framed(&PackageBuilder::new(id, version).build());
        let push = Request::put("/api/v2/package/").header("content-type", content_type);
        server.send(push.header("x-nuget-apikey", &key), body).await.expect(status);
    }
    let versions = json(&server, list).await["versions"].clone();
    assert_eq!(versions, serde_json::json!(["1.0.0", "1.1.0", "2.0.0-beta.1", "3.0.0"]));
    let keys = String::from_utf8(run(&["key", "list"], folder.path()).stdout).unwrap();
    assert!(["owner", "ci", "new"].iter().all(|name| keys.contains(name)), "{keys}");
    drop(server);
    let checked = run(&["check"], folder.path());
    assert!(checked.status.success(), "{checked:?}");
}
