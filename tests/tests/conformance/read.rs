//! GET and HEAD.

use http::{Method, StatusCode};
use nuthatch_tests::{Host, PackageBuilder, nuspec};

use crate::{package, push};

/// Documents of a package called Acme in version 1.0.0.
const DOCUMENTS: &[&str] = &[
    "/v3/index.json",
    "/v3/package/acme/index.json",
    "/v3/package/acme/1.0.0/acme.nuspec",
    "/v3/registration/acme/index.json",
    "/v3/registration/acme/1.0.0.json",
    "/v3/search?q=acme",
    "/v3/autocomplete?q=ac",
];

pub(crate) async fn the_service_index_names_addresses_that_work(host: &Host) {
    let index = host.send((Method::GET, "/v3/index.json"), "", &[], "").await;
    let index = index.expect(StatusCode::OK).json();
    let address = |kind: &str| {
        let resources = index["resources"].as_array().unwrap().iter();
        let found = resources.filter(|resource| resource["@type"] == kind);
        found.map(|resource| resource["@id"].as_str().unwrap().to_owned()).next().unwrap()
    };
    let publish = address("PackagePublish/2.0.0");
    assert!(publish.ends_with("/api/v2/package"), "{publish}");
    let at_this_host = |kind: &str, path: &str| {
        assert_eq!(address(kind), format!("{}{path}", host.address));
    };
    at_this_host("PackageBaseAddress/3.0.0", "/v3/package/");
    at_this_host("RegistrationsBaseUrl/3.6.0", "/v3/registration/");
    at_this_host("SearchQueryService/3.5.0", "/v3/search");
    at_this_host("NuthatchUpload/1.0.0", "/api/v2/upload");
}

pub(crate) async fn every_view_shows_what_was_pushed(host: &Host) {
    let xml = nuspec("Acme", "1.0.0", "<readme>docs/README.md</readme><tags>bird</tags>");
    let package = PackageBuilder::default().nuspec(&xml).file("docs/README.md", b"# Acme");
    push(host, &host.owner, &package.build()).await.expect(StatusCode::CREATED);
    let get = async |path: &str| host.get(path).await.expect(StatusCode::OK);
    assert_eq!(get("/v3/package/acme/1.0.0/acme.nuspec").await.body, xml);
    assert_eq!(get("/v3/package/acme/1.0.0/readme").await.body, "# Acme");
    let registration = get("/v3/registration/acme/index.json").await.json();
    let leaf = &registration["items"][0]["items"][0];
    assert_eq!(leaf["catalogEntry"]["version"], "1.0.0");
    let content = leaf["packageContent"].as_str().unwrap();
    assert_eq!(content, format!("{}/v3/package/acme/1.0.0/acme.1.0.0.nupkg", host.address));
    assert_eq!(get("/v3/search?q=bird").await.json()["data"][0]["id"], "Acme");
    assert_eq!(get("/v3/autocomplete?q=ac").await.json()["data"][0], "Acme");
    assert_eq!(get("/v3/package/acme/index.json").await.json()["versions"][0], "1.0.0");
}

pub(crate) async fn reading_needs_a_key(host: &Host) {
    push(host, &host.owner, &package("Acme", "1.0.0", "x")).await.expect(StatusCode::CREATED);
    for path in DOCUMENTS.iter().filter(|path| **path != "/v3/index.json") {
        let answer = host.send((Method::GET, path), "", &[], "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        assert!(answer.header("www-authenticate").starts_with("Basic"), "{path}");
        assert_eq!(answer.header("x-nuget-warning"), "", "{path}");
        let answer = host.send((Method::GET, path), "nuthatch_wrong", &[], "").await;
        // On AWS, only a denial carries a message, because a status line cannot have one.
        if host.redirects() {
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
            assert!(answer.header("x-nuget-warning").contains("unknown"), "{path}");
        } else {
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
            assert!(answer.header("www-authenticate").starts_with("Basic"), "{path}");
            assert_eq!(answer.header("x-nuget-warning"), "", "{path}");
        }
    }
}

pub(crate) async fn what_a_client_has_is_not_sent_again_and_heads_have_no_body(host: &Host) {
    push(host, &host.owner, &package("Acme", "1.0.0", "x")).await.expect(StatusCode::CREATED);
    for path in ["/v3/index.json", "/v3/package/acme/1.0.0/acme.nuspec"] {
        let get = host.get(path).await.expect(StatusCode::OK);
        let tag = get.header("etag");
        // A relay writes its own index, which is not cached.
        if !tag.is_empty() {
            let known = [("if-none-match", tag)];
            let again = host.send((Method::GET, path), &host.owner, &known, "").await;
            assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0), "{path}");
        }
        let head = host.send((Method::HEAD, path), &host.owner, &[], "").await;
        assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0), "{path}");
    }
}

pub(crate) async fn what_is_not_there_is_not_found(host: &Host) {
    for path in [
        "/v3/package/acme/index.json",
        "/v3/registration/acme/index.json",
        "/v3/package/acme/1.0.0/acme.1.0.0.nupkg",
        "/v3/package/acme/1.0.0/other.nuspec",
        "/v3/index.json/",
        "/nowhere",
        "/api/v2/upload",
    ] {
        assert_eq!(host.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let answer = host.send((Method::PUT, "/api/v2/package/Acme/1.0.0"), &host.owner, &[], "").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}
