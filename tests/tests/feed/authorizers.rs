//! The gateway's authorizers and their memory: the requests that they are asked about, and how
//! long an answer holds.

use std::time::Duration;

use access::Scope;
use bytes::Bytes;
use http::header::{AUTHORIZATION, COOKIE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use nuthatch_tests::{Answer, LambdaGateway, TestFeed, framed, key_header};
use protocol::paths;

use crate::package;

const VERSIONS: &str = "/v3/package/acme/index.json";

/// A deployed feed with one package.
struct Deployed {
    feed: TestFeed,
    gateway: LambdaGateway,
    owner: String,
}

impl Deployed {
    async fn start() -> Self {
        let feed = TestFeed::start().await;
        let owner = feed.owner().await;
        owner.push(&package("Acme", "1.0.0", "x")).await;
        Self { gateway: LambdaGateway::new(&feed.aws), owner: owner.key().to_owned(), feed }
    }
}

/// Lets time pass for gateway and functions.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

async fn get(gateway: &LambdaGateway, path: &str, key: &str) -> Answer {
    let headers = HeaderMap::from_iter([key_header(&Method::GET, key)]);
    gateway.answer(Method::GET, path, headers, Bytes::new()).await
}

async fn get_with(gateway: &LambdaGateway, path: &str, header: (HeaderName, String)) -> StatusCode {
    let headers = HeaderMap::from_iter([(header.0, header.1.parse::<HeaderValue>().unwrap())]);
    gateway.answer(Method::GET, path, headers, Bytes::new()).await.status
}

#[tokio::test]
async fn a_read_without_a_key_is_challenged_by_the_gateway_and_reaches_no_function() {
    let Deployed { gateway, .. } = Deployed::start().await;
    let answer = gateway.answer(Method::GET, VERSIONS, HeaderMap::new(), Bytes::new()).await;
    answer.clone().expect(StatusCode::UNAUTHORIZED);
    assert_eq!(
        answer.header(WWW_AUTHENTICATE.as_str()),
        "Basic realm=\"nuthatch\", charset=\"UTF-8\""
    );
    assert_eq!(gateway.invoked(), [""; 0]);
}

#[tokio::test]
async fn a_reader_is_asked_about_once_a_minute_whatever_they_read() {
    let Deployed { feed, gateway, .. } = Deployed::start().await;
    let reader = feed.client("reader", &[Scope::Read], &["*"]).await;
    for path in [VERSIONS, "/v3/registration/acme/index.json", "/v3/search", "/v3/log"] {
        get(&gateway, path, reader.key()).await.expect(StatusCode::OK);
    }
    let head = HeaderMap::from_iter([key_header(&Method::HEAD, reader.key())]);
    gateway.answer(Method::HEAD, VERSIONS, head, Bytes::new()).await.expect(StatusCode::OK);
    assert_eq!(
        gateway.invoked(),
        ["authorize", "versions", "registration", "search", "follow", "versions"]
    );
    pass(Duration::from_mins(1)).await;
    get(&gateway, VERSIONS, reader.key()).await.expect(StatusCode::OK);
    assert_eq!(gateway.invoked(), ["authorize", "versions"]);
}

#[tokio::test]
async fn a_revoked_key_reads_for_a_minute_at_most() {
    let Deployed { feed, gateway, .. } = Deployed::start().await;
    let reader = feed.client("reader", &[Scope::Read], &["*"]).await;
    get(&gateway, VERSIONS, reader.key()).await.expect(StatusCode::OK);
    assert!(feed.table().revoke_key(&"reader".parse().unwrap(), "tests").await.unwrap());
    pass(Duration::from_secs(58)).await;
    get(&gateway, VERSIONS, reader.key()).await.expect(StatusCode::OK);
    pass(Duration::from_secs(2)).await;
    get(&gateway, VERSIONS, reader.key()).await.expect(StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_gateway_remembers_no_key_by_the_memory_of_the_function() {
    let Deployed { feed, gateway, .. } = Deployed::start().await;
    let reader = feed.client("reader", &[Scope::Read], &["*"]).await;
    // The function remembers the key.
    let file = "/packages/acme/1.0.0/acme.nuspec";
    get(&gateway, file, reader.key()).await.expect(StatusCode::OK);
    assert!(feed.table().revoke_key(&"reader".parse().unwrap(), "tests").await.unwrap());
    get(&gateway, file, reader.key()).await.expect(StatusCode::OK);
    // Whose answer the gateway would remember for another minute.
    get(&gateway, VERSIONS, reader.key()).await.expect(StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_remembered_reader_still_sees_the_packages_of_the_key_alone() {
    let Deployed { feed, gateway, .. } = Deployed::start().await;
    let all = feed.client("all", &[Scope::Read], &["*"]).await;
    let other = feed.client("other", &[Scope::Read], &["Other.*"]).await;
    for _ in 0..2 {
        get(&gateway, VERSIONS, all.key()).await.expect(StatusCode::OK);
        get(&gateway, VERSIONS, other.key()).await.expect(StatusCode::NOT_FOUND);
    }
    let asked = gateway.invoked().iter().filter(|function| *function == "authorize").count();
    assert_eq!(asked, 2);
}

#[tokio::test]
async fn a_key_in_another_header_opens_nothing_for_the_credentials_beside_it() {
    let Deployed { gateway, owner, .. } = Deployed::start().await;
    let strangers = (AUTHORIZATION, "Basic eDp4".to_owned());
    let mut both = HeaderMap::from_iter([(AUTHORIZATION, strangers.1.parse().unwrap())]);
    both.insert("x-nuget-apikey", owner.parse().unwrap());
    both.insert(COOKIE, access::SessionCookie::set(&owner).parse().unwrap());
    let answer = gateway.answer(Method::GET, VERSIONS, both, Bytes::new()).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(get_with(&gateway, VERSIONS, strangers).await, StatusCode::FORBIDDEN);
    // Empty credentials are sent by clients that have none.
    let empty = (AUTHORIZATION, "Basic Og==".to_owned());
    assert_eq!(get_with(&gateway, VERSIONS, empty).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_visitor_with_a_cookie_gets_the_files_of_a_page_and_each_request_is_asked_about() {
    let Deployed { gateway, owner, .. } = Deployed::start().await;
    let cookie = access::SessionCookie::set(&owner);
    let cookie = cookie.split(';').next().unwrap();
    let file = "/packages/acme/1.0.0/acme.1.0.0.nupkg";
    for _ in 0..2 {
        assert_eq!(get_with(&gateway, file, (COOKIE, cookie.to_owned())).await, StatusCode::FOUND);
    }
    assert_eq!(gateway.invoked(), ["authorize", "download", "authorize", "download"]);
    let page = get_with(&gateway, "/packages/acme/1.0.0", (COOKIE, cookie.to_owned())).await;
    assert_eq!(page, StatusCode::OK);
}

#[tokio::test]
async fn an_anonymous_feed_asks_about_its_readers_once_a_minute() {
    let feed = TestFeed::start().await;
    feed.owner().await.push(&package("Acme", "1.0.0", "x")).await;
    let name = "nuthatch".to_owned();
    let settings = [
        ("NUTHATCH_TABLE", name.clone()),
        ("NUTHATCH_BUCKET", name),
        ("NUTHATCH_READ_ACCESS", "anonymous".to_owned()),
    ];
    let gateway = LambdaGateway::with(&feed.aws, settings.into());
    for _ in 0..2 {
        let answer = gateway.answer(Method::GET, VERSIONS, HeaderMap::new(), Bytes::new()).await;
        answer.expect(StatusCode::OK);
    }
    // A key makes no difference to a read, and is not looked at.
    get(&gateway, VERSIONS, "nuthatch_wrong").await.expect(StatusCode::OK);
    assert_eq!(gateway.invoked(), ["authorize", "versions", "versions", "versions"]);
    let (content_type, body) = framed(&package("Acme", "2.0.0", "x"));
    let headers =
        HeaderMap::from_iter([("content-type".parse().unwrap(), content_type.parse().unwrap())]);
    let pushed = gateway.answer(Method::PUT, "/api/v2/package/", headers, body.into()).await;
    assert_eq!(pushed.status, StatusCode::UNAUTHORIZED);
}

#[test]
fn a_remembered_policy_covers_all_routes_that_are_remembered_and_no_write() {
    let stage = "arn:aws:execute-api:eu-west-1:123456789012:x/feed";
    let policy = authorize::reads(&format!("{stage}/GET/v3/search"));
    assert!(policy.iter().all(|resource| resource.starts_with(stage)));
    for (verb, routes) in registry::ROUTES {
        for route in *routes {
            for method in route.methods {
                let arn = format!("{stage}/{method}{}", paths::fill(route.path, &["a", "b", "c"]));
                let mut patterns = policy.iter().map(|one| glob::Pattern::new(one).unwrap());
                let is_covered = patterns.any(|pattern| pattern.matches(&arn));
                assert!(is_covered || !route.access.is_remembered(), "{verb}: {arn}");
                assert_eq!(is_covered, method.is_safe(), "{verb}: {arn}");
            }
        }
    }
}
