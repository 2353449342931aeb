//! The functions as API Gateway calls them: its events in, its answers out.

use authorize::Authorize;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use compact::Compact;
use http::{HeaderMap, Method, StatusCode};
use lambda::EventFunction;
use lambda_http::IntoResponse;
use nuthatch_tests::{
    EngineServer, LambdaGateway, PackageBuilder, Sandboxes, TestFeed, framed, key_header, nuspec,
    rest_event as event, verb,
};
use protocol::Reply;
use serde_json::{Value, json};

use crate::package;

fn request(event: &Value) -> protocol::Request {
    lambda::request(lambda_http::request::from_str(&event.to_string()).unwrap())
}

/// The runtime's form of a reply.
async fn answer(reply: Reply) -> http::Response<lambda_http::Body> {
    lambda::Answer::of(reply).await.unwrap().into_response().await
}

async fn authorize(feed: &TestFeed, method: &str, headers: Value) -> Result<Value, String> {
    let authorize = Authorize::new(&feed.functions()).unwrap();
    let event = serde_json::from_value(json!({
        "type": "REQUEST",
        "methodArn": "arn:aws:execute-api:eu-west-1:123456789012:x/feed/PUT/api/v2/package",
        "httpMethod": method,
        "resource": if method == "GET" { "/v3/search" } else { "/api/v2/package/{proxy+}" },
        "headers": headers
    }))
    .unwrap();
    let policy = authorize.handle(event).await.map_err(|error| error.to_string())?;
    Ok(serde_json::to_value(policy).unwrap())
}

#[tokio::test]
async fn the_authorizer_answers_in_policies() {
    let feed = TestFeed::start().await;
    let client = feed.client("ci", &[access::Scope::Push], &["Acme.*", "Other"]).await;
    let key = json!({ "X-NuGet-ApiKey": client.key() });
    let mut allowed = authorize(&feed, "PUT", key.clone()).await.unwrap();
    allowed["context"].sort_all_objects();
    insta::assert_json_snapshot!(allowed);
    let denied = authorize(&feed, "DELETE", key.clone()).await.unwrap();
    assert_eq!(denied["policyDocument"]["Statement"][0]["Effect"], "Deny");
    // A key was sent, and only a denial can carry a message about it. Without a key, exactly
    // the error "Unauthorized" makes API Gateway answer 401.
    let (name, value) = key_header(&Method::GET, client.key());
    let sent = json!({ name.as_str(): value.to_str().unwrap() });
    let denied = authorize(&feed, "GET", sent).await.unwrap();
    assert_eq!(denied["policyDocument"]["Statement"][0]["Effect"], "Deny");
    assert_eq!(authorize(&feed, "GET", json!(null)).await, Err("Unauthorized".to_owned()));
    assert_eq!(authorize(&feed, "PUT", json!(null)).await, Err("Unauthorized".to_owned()));
}

#[tokio::test]
async fn a_push_event_is_pushed_in_the_name_of_the_authorized_key() {
    let feed = TestFeed::start().await;
    let push = verb("push", &feed.functions());
    for (id, status) in [("Acme.Core", StatusCode::CREATED), ("Other", StatusCode::FORBIDDEN)] {
        let (content_type, body) = framed(&PackageBuilder::new(id, "1.0.0").build());
        let authorizer = json!({ "principalId": "ci", "key": "ci", "ids": "Acme.*" });
        let mut event =
            event("PUT", "/api/v2/package/{proxy+}", "/api/v2/package/", &json!(null), &authorizer);
        event["headers"]["Content-Type"] = json!(content_type);
        event["multiValueHeaders"]["Content-Type"] = json!([content_type]);
        event["body"] = json!(BASE64_STANDARD.encode(&body));
        event["isBase64Encoded"] = json!(true);
        let answer = answer(push.handle(request(&event)).await).await;
        assert_eq!(answer.status(), status);
    }
    let (id, version) = (nupkg::PackageId::parse("acme.core").unwrap(), "1.0.0".parse().unwrap());
    let row = feed.table().version(&id, &version).await.unwrap().unwrap();
    assert_eq!(row.pushed_by.as_str(), "ci");
}

#[tokio::test]
async fn path_parameters_reach_the_verb_with_their_plus() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&crate::package("Acme", "1.0.0", "x")).await;
    let unlist = verb("unlist", &feed.functions());
    let event = event(
        "DELETE",
        "/api/v2/package/{proxy+}",
        "/api/v2/package/Acme/1.0+meta",
        &json!({ "proxy": "Acme/1.0+meta" }),
        &json!({ "principalId": "owner", "key": "owner", "ids": "*" }),
    );
    let answer = answer(unlist.handle(request(&event)).await).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(feed.changes().await, ["pushed acme 1.0.0", "unlisted acme 1.0.0"]);
}

#[tokio::test]
async fn links_lead_to_the_stage_or_the_domain() {
    let feed = TestFeed::start().await;
    let index = verb("index", &feed.functions());
    let mut event = event("GET", "/v3/index.json", "/v3/index.json", &json!(null), &json!(null));
    for (domain, path, base) in [
        ("x.execute-api.eu-west-1.amazonaws.com", "/feed/v3/index.json", "/feed"),
        ("packages.example.org", "/v3/index.json", ""),
    ] {
        event["requestContext"]["domainName"] = json!(domain);
        event["requestContext"]["path"] = json!(path);
        // The host that a client names does not matter.
        event["headers"]["Host"] = json!("evil.example.org");
        let reply = index.handle(request(&event)).await;
        let body = answer(reply).await.into_body().to_vec();
        let index: Value = serde_json::from_slice(&body).unwrap();
        let links = index["resources"].as_array().unwrap();
        assert!(links.iter().all(|link| {
            link["@id"].as_str().unwrap().starts_with(&format!("https://{domain}{base}/"))
        }));
    }
}

#[tokio::test]
async fn a_nuspec_in_utf16_leaves_the_function_as_it_came() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let xml = nuspec("Acme", "1.0.0", "").replace("utf-8", "utf-16");
    let xml: Vec<u8> =
        "\u{feff}".encode_utf16().chain(xml.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let package = PackageBuilder::default().file("a.nuspec", &xml).build();
    assert_eq!(owner.push(&package).await.status, StatusCode::CREATED);
    let download = verb("download", &feed.functions());
    let event = event(
        "GET",
        "/v3/package/{id}/{version}/{file}",
        "/v3/package/acme/1.0.0/acme.nuspec",
        &json!({ "id": "acme", "version": "1.0.0", "file": "acme.nuspec" }),
        &json!({ "principalId": "owner", "key": "owner", "ids": "*" }),
    );
    let answer = answer(download.handle(request(&event)).await).await;
    assert_eq!(answer.body().to_vec(), xml);
}

#[tokio::test]
async fn a_search_event_carries_its_question() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&crate::described("Acme", "1.0.0-a.b", "<tags>one two</tags>")).await;
    owner.push(&crate::package("Other", "1.0.0", "x")).await;
    let search = verb("search", &feed.functions());
    let authorizer = json!({ "principalId": "owner", "key": "owner", "ids": "*" });
    let mut event = event("GET", "/v3/search", "/v3/search", &json!(null), &authorizer);
    event["queryStringParameters"] =
        json!({ "q": "tags:\"one two\"", "prerelease": "true", "semVerLevel": "2.0.0" });
    event["multiValueQueryStringParameters"] =
        json!({ "q": ["tags:\"one two\""], "prerelease": ["true"], "semVerLevel": ["2.0.0"] });
    let body = answer(search.handle(request(&event)).await).await.into_body().to_vec();
    let found: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(found["totalHits"], 1);
    let index =
        "https://x.execute-api.eu-west-1.amazonaws.com/feed/v3/registration/acme/index.json";
    assert_eq!(found["data"][0]["registration"], index);
}

#[tokio::test]
async fn pages_lead_to_the_stage_and_a_stranger_to_the_sign_in() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&crate::package("Acme", "1.0.0", "x")).await;
    let web = verb("web", &feed.functions());
    let (resource, path) = ("/packages/{id}/{version}", "/packages/acme/1.0.0");
    let parameters = json!({ "id": "acme", "version": "1.0.0" });
    let mut event = event("GET", resource, path, &parameters, &json!(null));
    // A custom domain shows no stage, whatever the stage is called.
    for (context_path, root) in [(path, ""), ("/feed/packages/acme/1.0.0", "/feed")] {
        event["requestContext"]["path"] = json!(context_path);
        let stranger = answer(web.handle(request(&event)).await).await;
        assert_eq!(stranger.status(), StatusCode::SEE_OTHER);
        let sign_in = format!("{root}/sign-in?return=%2Fpackages%2Facme%2F1.0.0");
        assert_eq!(stranger.headers()["location"], sign_in);
    }
    for cookie in [format!("x=y; __Host-nuthatch={}", owner.key()), "__Host-nuthatch=x".to_owned()]
    {
        event["headers"]["Cookie"] = json!(cookie);
        event["multiValueHeaders"]["Cookie"] = json!([cookie]);
        let page = answer(web.handle(request(&event)).await).await;
        if cookie.ends_with("=x") {
            assert_eq!(page.status(), StatusCode::SEE_OTHER);
            continue;
        }
        assert_eq!(page.status(), StatusCode::OK);
        let page = String::from_utf8(page.into_body().to_vec()).unwrap();
        assert!(page.contains("href=\"/feed/packages/acme/1.0.0/report\""), "{page}");
        assert!(!page.contains(owner.key()));
    }
}

#[tokio::test]
async fn the_schedule_writes_the_snapshot() {
    let feed = TestFeed::start().await;
    feed.owner().await.push(&crate::package("Acme", "1.0.0", "x")).await;
    let compact = Compact::new(&feed.functions()).unwrap();
    for written in [true, false] {
        feed.settle().await;
        let event = json!({ "version": "0", "detail-type": "Scheduled Event", "detail": {} });
        let done = compact.handle(serde_json::from_value(event).unwrap()).await.unwrap();
        assert_eq!(done.written, written);
    }
    assert!(feed.objects().await.contains(&"search/snapshot".to_owned()));
}

#[tokio::test]
async fn a_request_is_a_line_of_the_log_that_can_be_read_alone_and_keeps_secrets() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await.key().to_owned();
    let engines = EngineServer::start(&feed.engines).await;
    let log = feed.folder().join("log");
    let sandboxes = Sandboxes::new(engines.environment()).logging_to(log.clone());
    let gateway = LambdaGateway::before_sandboxes(sandboxes);
    let (content_type, body) = framed(&package("Acme", "1.0.0", "x"));
    let mut headers = HeaderMap::new();
    headers.insert("x-nuget-apikey", owner.parse().unwrap());
    headers.insert("content-type", content_type.parse().unwrap());
    for status in [StatusCode::CREATED, StatusCode::CONFLICT] {
        let push = (Method::PUT, "/api/v2/package/");
        let answer = gateway.answer(push.0, push.1, headers.clone(), body.clone().into()).await;
        assert_eq!(answer.status, status);
    }
    let search = format!("/v3/search?q={owner}");
    let headers = HeaderMap::from_iter([key_header(&Method::GET, &owner)]);
    let answer = gateway.answer(Method::GET, &search, headers, Bytes::new()).await;
    assert_eq!(answer.status, StatusCode::OK);
    drop(gateway);
    let log = std::fs::read_to_string(log).unwrap();
    assert!(!log.contains(&owner["nuthatch_".len()..][..20]), "{log}");
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // The dashboard counts these.
    let outcomes: Vec<_> =
        lines.iter().filter_map(|line| line["fields"]["outcome"].as_str()).collect();
    assert_eq!(outcomes, ["done", "refused", "done"]);
    let messages: Vec<&str> =
        lines.iter().filter_map(|line| line["fields"]["message"].as_str()).collect();
    let said = |start: &str| {
        let found = messages.iter().position(|message| message.starts_with(start));
        &lines[found.unwrap_or_else(|| panic!("no {start} in {messages:?}"))]
    };
    let refused = said("push Acme 1.0.0 by owner: 409 in ");
    for (field, value) in [
        ("verb", json!("push")),
        ("http.status", json!(409)),
        ("key.name", json!("owner")),
        ("package.id", json!("Acme")),
        ("package.version", json!("1.0.0")),
    ] {
        assert_eq!(refused["fields"][field], value, "{refused}");
    }
    assert!(refused["fields"]["duration_ms"].is_number());
    assert!(refused.to_string().contains("1-5759e988-bd862e3fe1be46a994272793"), "{refused}");
    said("search by owner: 200 in ");
}
