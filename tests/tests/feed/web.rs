//! The pages, without a browser: who sees them, and what comes with them.

use access::Scope;
use feed::ReadAccess;
use http::{Method, StatusCode};
use nuthatch_tests::{Answer, Client, FeedOptions, PackageBuilder, TestFeed, nuspec};

use crate::package;

const PAGES: [&str; 4] =
    ["/", "/packages/acme", "/packages/acme/1.0.0", "/packages/acme/1.0.0/report"];

/// GETs a page as a browser with this client's key in its cookie.
async fn browse(client: &Client, path: &str) -> Answer {
    let cookie = format!("__Host-nuthatch={}", client.key());
    client.with_key("").get_with(path, ("cookie", &cookie)).await
}

async fn sign_in(feed: &TestFeed, form: &str) -> Answer {
    let request = http::Request::builder().method(Method::POST).uri("/sign-in");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    feed.stranger().send(request, form.to_owned()).await
}

async fn feed() -> (TestFeed, Client) {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let xml = nuspec("Acme", "1.0.0", "<readme>README.md</readme>");
    owner.push(&PackageBuilder::default().nuspec(&xml).file("README.md", b"# Hello").build()).await;
    (feed, owner)
}

#[tokio::test]
async fn a_stranger_is_sent_to_sign_in_and_learns_nothing() {
    let (feed, owner) = feed().await;
    for path in PAGES.into_iter().chain(["/packages/nothing", "/packages/a%20b"]) {
        let answer = feed.stranger().get(path).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        assert!(answer.body.is_empty(), "{path}");
        let address = answer.header("location");
        assert!(address.starts_with("/sign-in?return=%2F"), "{path}");
    }
    // A key in the header opens no page: pages are for browsers.
    assert_eq!(owner.get("/").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_page_says_that_nothing_in_it_runs_and_nobody_keeps_it() {
    let (_feed, owner) = feed().await;
    for path in PAGES {
        let answer = browse(&owner, path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(answer.header("cache-control"), "private, no-store");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; img-src 'self';"));
        assert!(!policy.contains("unsafe"));
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(text.contains("Acme") && !text.contains(owner.key()), "{path}");
    }
}

#[tokio::test]
async fn a_key_sees_its_own_ids_alone() {
    let (feed, owner) = feed().await;
    owner.push(&package("Mine", "1.0.0", "x")).await;
    let limited = feed.client("limited", &[Scope::Read], &["Mine"]).await;
    let list = String::from_utf8(browse(&limited, "/").await.body.to_vec()).unwrap();
    assert!(list.contains("packages/mine") && !list.contains("packages/acme"), "{list}");
    for path in &PAGES[1..] {
        let hidden = browse(&limited, path).await;
        let missing = browse(&owner, &path.replace("acme", "other")).await;
        assert_eq!(hidden.status, StatusCode::NOT_FOUND, "{path}");
        let text = |answer: &Answer| String::from_utf8(answer.body.to_vec()).unwrap();
        assert_eq!(text(&hidden).replace("acme", "other"), text(&missing), "{path}");
    }
    for scope in [Scope::Push, Scope::Unlist] {
        let client = feed.client(&scope.to_string(), &[scope], &["*"]).await;
        assert_eq!(browse(&client, "/").await.status, StatusCode::SEE_OTHER, "{scope}");
    }
}

#[tokio::test]
async fn who_signs_in_gets_a_cookie_and_goes_back() {
    let (feed, owner) = feed().await;
    let form = format!("key={}&return=%2Fpackages%2Facme", owner.key());
    let answer = sign_in(&feed, &form).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.header("location"), "/packages/acme");
    let cookie = answer.header("set-cookie");
    let rest = cookie.strip_prefix(&format!("__Host-nuthatch={};", owner.key())).unwrap();
    assert_eq!(rest, " Max-Age=43200; Path=/; Secure; HttpOnly; SameSite=Strict");
    for (form, status) in [
        ("key=nuthatch_wrong&return=%2F", StatusCode::FORBIDDEN),
        ("", StatusCode::FORBIDDEN),
        ("key=%0d%0aSet-Cookie:x", StatusCode::FORBIDDEN),
        (&"x".repeat(10_000), StatusCode::FORBIDDEN),
    ] {
        let answer = sign_in(&feed, form).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (status, ""), "{form}");
    }
    let evil = format!("key={}&return=%2F%2Fevil.example", owner.key());
    let answer = sign_in(&feed, &evil).await;
    assert_eq!(answer.header("location"), "/");
}

#[tokio::test]
async fn a_cookie_reads_and_does_not_write() {
    let (_feed, owner) = feed().await;
    assert_eq!(browse(&owner, "/v3/package/acme/1.0.0/readme").await.status, StatusCode::OK);
    let cookie = format!("__Host-nuthatch={}", owner.key());
    for method in [Method::DELETE, Method::POST] {
        let request = http::Request::builder().method(method).uri("/api/v2/package/Acme/1.0.0");
        let answer = owner.with_key("").send(request.header("cookie", &cookie), "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_feed_for_everybody_has_pages_for_everybody() {
    let read_access = ReadAccess::Anonymous;
    let feed = TestFeed::with(FeedOptions { read_access, ..FeedOptions::default() }).await;
    feed.owner().await.push(&package("Acme", "1.0.0", "x")).await;
    for path in PAGES {
        assert_eq!(feed.stranger().get(path).await.status, StatusCode::OK, "{path}");
    }
    let page = feed.stranger().get("/").await;
    assert!(!String::from_utf8(page.body.to_vec()).unwrap().contains("Sign out"));
}

#[tokio::test]
async fn a_package_without_a_version_is_its_newest_that_is_listed_and_stable() {
    let (_feed, owner) = feed().await;
    for version in ["1.2.0", "1.1.0", "2.0.0-beta", "3.0.0"] {
        owner.push(&package("Acme", version, "x")).await;
    }
    let shown = async || {
        let text = String::from_utf8(browse(&owner, "/packages/acme").await.body.to_vec()).unwrap();
        let title = text.split("<title>").nth(1).unwrap();
        title.split(" ·").next().unwrap().to_owned()
    };
    owner.delete("Acme/3.0.0").await;
    assert_eq!(shown().await, "Acme 1.2.0");
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        owner.delete(&format!("Acme/{version}")).await;
    }
    assert_eq!(shown().await, "Acme 2.0.0-beta");
    owner.delete("Acme/2.0.0-beta").await;
    assert_eq!(shown().await, "Acme 3.0.0");
}

#[tokio::test]
async fn a_page_makes_three_calls_beside_the_key_s() {
    let (feed, owner) = feed().await;
    browse(&owner, "/").await;
    // Which is the first page with counts of downloads.
    browse(&owner, "/packages/acme").await;
    for (path, calls) in [
        // The versions, the readme, and whether the one that is shown has symbols.
        ("/packages/acme", &["Query", "GET object", "GetItem"][..]),
        ("/packages/acme/1.0.0/report", &["Query"]),
        ("/?q=acme", &["Query"]),
        ("/sign-in", &[]),
        ("/style.css", &[]),
    ] {
        feed.calls.forget();
        assert_eq!(browse(&owner, path).await.status, StatusCode::OK);
        assert_eq!(feed.calls.take(), calls, "{path}");
    }
}

#[tokio::test]
async fn a_package_may_be_called_what_pages_are() {
    let (_feed, owner) = feed().await;
    for id in ["Report", "sign-in", "style.css", "registration-semver1"] {
        owner.push(&package(id, "1.0.0-a.b", "x")).await;
        for path in [format!("/packages/{id}"), format!("/packages/{id}/1.0.0-a.b")] {
            let page = String::from_utf8(browse(&owner, &path).await.body.to_vec()).unwrap();
            assert!(page.contains(&format!("<title>{id} 1.0.0-a.b")), "{path}: {page}");
        }
        assert_eq!(owner.registration(id).await.status, StatusCode::OK, "{id}");
    }
}

#[tokio::test]
async fn forms_of_other_sites_are_refused() {
    let (feed, owner) = feed().await;
    let form = format!("key={}&return=/", owner.key());
    for (path, name, value) in [
        ("/sign-in", "sec-fetch-site", "cross-site"),
        ("/sign-out", "sec-fetch-site", "cross-site"),
        ("/sign-in", "origin", "https://evil.example"),
        ("/sign-out", "origin", "https://evil.example"),
    ] {
        let request = http::Request::builder().method(Method::POST).uri(path).header(name, value);
        let answer = feed.stranger().send(request, form.clone()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {name}");
        assert_eq!(answer.header("set-cookie"), "");
    }
    let own = http::Request::builder().method(Method::POST).uri("/sign-in");
    let own = own.header("sec-fetch-site", "same-origin").header("origin", "null");
    assert_eq!(feed.stranger().send(own, form).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_byte_order_mark_is_no_part_of_a_readme() {
    let (_feed, owner) = feed().await;
    let xml = nuspec("Marked", "1.0.0", "<readme>README.md</readme>");
    let readme = "\u{feff}# Heading-of-it".as_bytes();
    owner.push(&PackageBuilder::default().nuspec(&xml).file("README.md", readme).build()).await;
    let page = String::from_utf8(browse(&owner, "/packages/marked").await.body.to_vec()).unwrap();
    assert!(page.contains("<h3>Heading-of-it</h3>"), "{page}");
    assert_eq!(owner.get("/v3/package/marked/1.0.0/readme").await.body, readme);
}

#[tokio::test]
async fn a_link_is_shown_without_the_user_in_it() {
    let (_feed, owner) = feed().await;
    let more = "<projectUrl>https://user:token@example.org/x</projectUrl>";
    owner.push(&crate::described("Linked", "1.0.0", more)).await.expect(StatusCode::CREATED);
    let entry = owner.registration("Linked").await.json();
    let entry = &entry["items"][0]["items"][0]["catalogEntry"];
    assert_eq!(entry["projectUrl"], "https://example.org/x");
}
