//! PUT, DELETE and POST.

use access::Scope;
use http::{Method, StatusCode};
use nuthatch_tests::{Host, framed};

use crate::{package, push, push_with, versions};

const CONFLICT: &str = "409 the package 'Acme' 1.0.0 exists already; push a new version, or use \
                        --skip-duplicate";

pub(crate) async fn a_push_in_any_framing_is_taken_and_given_back_byte_for_byte(host: &Host) {
    let framings = [
        ("1.0.0", "/api/v2/package/", true),
        ("2.0.0", "/api/v2/package", true),
        ("3.0.0-rc.1", "/api/v2/package/", false),
    ];
    for (version, path, is_framed) in framings {
        let bytes = package("Acme.Core", version, version);
        let (content_type, body) =
            if is_framed { framed(&bytes) } else { ("application/octet-stream", bytes.clone()) };
        let headers = [("content-type", content_type)];
        let answer = host.send((Method::PUT, path), &host.owner, &headers, body).await;
        assert!(answer.expect(StatusCode::CREATED).body.is_empty());
        assert_eq!(host.nupkg("acme.core", version).await, bytes);
    }
    assert_eq!(versions(host, "acme.core").await, ["1.0.0", "2.0.0", "3.0.0-rc.1"]);
}

pub(crate) async fn a_second_push_of_a_version_is_refused_unless_it_is_the_first_one_tried_again(
    host: &Host,
) {
    let session = [("x-nuget-session-id", "2e176630-940a-40d9-83e9-d0906f40646e")];
    let bytes = package("Acme", "1.0.0", "first");
    for _ in 0..3 {
        let answer = push_with(host, &host.owner, &session, &bytes).await;
        assert_eq!(answer.status, StatusCode::CREATED);
    }
    let again = push(host, &host.owner, &bytes).await;
    assert_eq!(again.refusal(), CONFLICT);
    let other = push_with(host, &host.owner, &session, &package("Acme", "1.0", "second")).await;
    assert_eq!(other.refusal(), CONFLICT);
    assert_eq!(host.nupkg("acme", "1.0.0").await, bytes);
}

pub(crate) async fn who_has_no_key_is_challenged_and_who_has_a_wrong_one_is_not(host: &Host) {
    let bytes = package("Acme", "1.0.0", "x");
    let answer = push(host, "", &bytes).await;
    assert_eq!(answer.header("www-authenticate"), "Basic realm=\"nuthatch\", charset=\"UTF-8\"");
    assert!(answer.refusal().starts_with("401 no API key was sent"), "{}", answer.refusal());
    assert_eq!(answer.header("x-nuget-warning"), "");
    let answer = push(host, "nuthatch_wrong", &bytes).await;
    assert_eq!(answer.header("www-authenticate"), "");
    // The gateway on AWS has the same message for every problem with a key.
    let words = if host.redirects() { "the API key is unknown" } else { "the feed does not know" };
    assert!(answer.header("x-nuget-warning").starts_with(words), "{}", answer.refusal());
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(versions(host, "acme").await.is_empty());
}

pub(crate) async fn a_key_does_what_it_is_for(host: &Host) {
    let pusher = host.key("pusher", Scope::Push, "Acme.*").await;
    push(host, &pusher, &package("Acme.Core", "1.0.0", "x")).await.expect(StatusCode::CREATED);
    let answer = push(host, &pusher, &package("Other", "1.0.0", "x")).await;
    assert_eq!(
        answer.refusal(),
        "403 the API key 'pusher' may not touch the package 'Other'; use a key whose ids cover it"
    );
    let version = "/api/v2/package/Acme.Core/1.0.0";
    let answer = host.send((Method::DELETE, version), &pusher, &[], "").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let reader = host.key("reader", Scope::Read, "*").await;
    let answer = push(host, &reader, &package("Acme", "1.0.0", "x")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

pub(crate) async fn what_is_no_package_is_refused_with_the_reason(host: &Host) {
    let answer = push(host, &host.owner, b"nonsense").await;
    let refusal = answer.refusal();
    assert!(refusal.starts_with("400 the package is not a readable zip archive"), "{refusal}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let (content_type, body) = framed(&package("Acme", "1.0.0", "x"));
    let headers = [("content-type", content_type)];
    let cut = body[..body.len() - 50].to_vec();
    let answer = host.send((Method::PUT, "/api/v2/package/"), &host.owner, &headers, cut).await;
    assert!(answer.refusal().starts_with("400 the upload cannot be read"), "{}", answer.refusal());
    assert!(versions(host, "acme").await.is_empty());
}

pub(crate) async fn a_version_is_unlisted_and_listed_again(host: &Host) {
    push(host, &host.owner, &package("Acme", "1.0.0", "x")).await.expect(StatusCode::CREATED);
    let found = async || {
        let answer = host.get("/v3/search?q=acme").await;
        answer.json()["totalHits"].as_u64().unwrap()
    };
    assert_eq!(found().await, 1);
    for _ in 0..2 {
        let request = (Method::DELETE, "/api/v2/package/acme/1.0");
        host.send(request, &host.owner, &[], "").await.expect(StatusCode::NO_CONTENT);
        assert_eq!(found().await, 0);
        assert_eq!(versions(host, "acme").await, ["1.0.0"]);
    }
    for _ in 0..2 {
        let request = (Method::POST, "/api/v2/package/ACME/1.0.0");
        host.send(request, &host.owner, &[], "").await.expect(StatusCode::OK);
        assert_eq!(found().await, 1);
    }
    let answer = host.send((Method::DELETE, "/api/v2/package/acme/2.0"), &host.owner, &[], "");
    let refusal = answer.await.refusal();
    assert_eq!(refusal, "404 the feed has no package 'acme' 2.0.0; check id and version");
}
