//! Readme, icon and license: taken from the package, and shown in a browser without running
//! anything.

use access::Scope;
use feed::DeleteBehavior;
use http::StatusCode;
use nuthatch_tests::{FeedOptions, PackageBuilder, TestFeed, nuspec};

const FILES: &str = "<license type=\"file\">docs\\LICENSE.md</license><icon>icon.bin</icon>\
    <readme>README.md</readme>";

fn with_files(version: &str, icon: &[u8]) -> Vec<u8> {
    PackageBuilder::default()
        .nuspec(&nuspec("Acme", version, FILES))
        .file("docs/LICENSE.md", b"<script>alert(1)</script>")
        .file("icon.bin", icon)
        .file("README.md", "# Grüße".as_bytes())
        .build()
}

#[tokio::test]
async fn files_of_a_package_are_served_so_that_nothing_runs() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&with_files("1.0.0", b"\x89PNG\r\n\x1a\nx")).await;
    owner.push(&with_files("2.0.0", b"\xFF\xD8\xFFx")).await;
    for (path, content_type, body) in [
        ("1.0.0/readme", "text/markdown; charset=utf-8", "# Grüße".as_bytes()),
        ("1.0/ICON", "image/png", b"\x89PNG\r\n\x1a\nx"),
        ("2.0.0/icon", "image/jpeg", b"\xFF\xD8\xFFx"),
        ("1.0.0/license", "text/plain; charset=utf-8", b"<script>alert(1)</script>"),
    ] {
        let answer = owner.get(&format!("/v3/package/acme/{path}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.header("content-type"), content_type, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(
            answer.header("content-security-policy"),
            "default-src 'none'; sandbox; frame-ancestors 'none'"
        );
        assert_eq!(answer.body, body, "{path}");
    }
    let nuspec = owner.get("/v3/package/acme/1.0.0/acme.nuspec").await;
    assert!(nuspec.header("content-security-policy").contains("sandbox"));
}

#[tokio::test]
async fn an_icon_that_is_no_image_is_not_served() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let pushed = owner.push(&with_files("1.0.0", b"<svg onload=\"alert(1)\"/>")).await;
    let said = "201 the icon is neither PNG nor JPEG, so it is not shown; convert it";
    assert_eq!(pushed.refusal(), said);
    let icon = owner.get("/v3/package/acme/1.0.0/icon").await;
    assert_eq!(icon.expect(StatusCode::NOT_FOUND).header("x-nuget-warning"), "");
    let entry =
        owner.registration("acme").await.json()["items"][0]["items"][0]["catalogEntry"].take();
    assert_eq!(entry["iconUrl"], "");
    assert_eq!(entry["licenseUrl"], "https://packages.example.org/v3/package/acme/1.0.0/license");
    assert_eq!(entry["readmeUrl"], "https://packages.example.org/packages/acme/1.0.0#readme");
}

#[tokio::test]
async fn what_a_package_does_not_have_is_no_warning() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&PackageBuilder::new("Acme", "1.0.0").build()).await;
    // Visual Studio asks for the readme of every version.
    let readme = owner.get("/v3/package/acme/1.0.0/readme").await.expect(StatusCode::NOT_FOUND);
    assert_eq!(readme.header("x-nuget-warning"), "");
    assert_eq!(feed.objects().await.len(), 1);
}

#[tokio::test]
async fn files_are_as_private_as_their_package() {
    let feed = TestFeed::start().await;
    feed.owner().await.push(&with_files("1.0.0", b"\x89PNG\r\n\x1a\nx")).await;
    let other = feed.client("other", &[Scope::Read], &["Other.*"]).await;
    for name in ["readme", "icon", "license", "acme.nuspec"] {
        let path = format!("/v3/package/acme/1.0.0/{name}");
        assert_eq!(other.get(&path).await.status, StatusCode::NOT_FOUND);
        assert_eq!(feed.stranger().get(&path).await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn who_deletes_a_version_deletes_its_files() {
    let delete_behavior = DeleteBehavior::Delete;
    let feed = TestFeed::with(FeedOptions { delete_behavior, ..FeedOptions::default() }).await;
    let owner = feed.owner().await;
    let bytes = with_files("1.0.0", b"\x89PNG\r\n\x1a\nx");
    owner.push(&bytes).await;
    assert_eq!(feed.objects().await.len(), 4);
    owner.delete("Acme/1.0.0").await;
    assert_eq!(feed.objects().await, [""; 0]);
    assert_eq!(owner.get("/v3/package/acme/1.0.0/readme").await.status, StatusCode::NOT_FOUND);
    owner.push(&bytes).await;
    assert_eq!(owner.get("/v3/package/acme/1.0.0/readme").await.status, StatusCode::OK);
}
