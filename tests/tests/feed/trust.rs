//! Identity tokens for keys, held against the rows of the table that the verb was built by:
//! each test names its row.

mod exchange;
mod form;
mod keys;
mod presigned;
mod workloads;

use std::sync::LazyLock;

use bytes::Bytes;
use http::{Method, StatusCode};
use nuthatch_tests::{Answer, FeedOptions, TestFeed, TestIssuer, github};
use serde_json::{Value, json};
use store::TrustAdded;
use time::OffsetDateTime;
use tokens::Signer;
use trust::{Trust, TrustName, Workload};

/// The feed's own address.
const FEED: &str = "https://packages.example.org";

/// The key that the issuer signs with.
static K1: LazyLock<Signer> = LazyLock::new(|| Signer::rsa("k1"));
/// A key that the issuer does not have.
static K2: LazyLock<Signer> = LazyLock::new(|| Signer::rsa("k2"));

/// A feed that trusts `release.yml` of `acme/core` under the name `acme-release`.
struct Scene {
    feed: TestFeed,
    issuer: TestIssuer,
}

impl Scene {
    async fn new() -> Self {
        let issuer = TestIssuer::start(&[&K1]).await;
        let authorities = issuer.authority().to_str().unwrap().to_owned().leak();
        let options = FeedOptions { authorities: Some(authorities), ..FeedOptions::default() };
        let scene = Self { feed: TestFeed::with(options).await, issuer };
        scene.trust("acme-release", Workload::GitHub(github())).await;
        scene
    }

    /// Adds a trust in a workload of the issuer.
    async fn trust(&self, name: &str, workload: Workload) {
        self.add(self.a_trust(name, workload)).await;
    }

    async fn add(&self, trust: Trust) {
        let added = self.feed.table().add_trust(&trust, &self.issuer.issuer()).await.unwrap();
        assert_eq!(added, TrustAdded::Done);
    }

    /// A trust in a workload of the issuer.
    fn a_trust(&self, name: &str, workload: Workload) -> Trust {
        Trust { workload, ..self.issuer.trust(name) }
    }

    /// Whether the feed has tried to fetch the keys of the issuer.
    async fn knows_keys(&self) -> bool {
        let iss = self.issuer.iss.parse().unwrap();
        self.feed.table().issuer_keys(&iss).await.unwrap().is_some()
    }

    /// The claims of a run that `acme-release` is for.
    fn claims(&self) -> Value {
        tokens::github(&self.issuer.iss, FEED, now())
    }

    /// The claims with a change.
    fn with(&self, change: impl FnOnce(&mut Value)) -> Value {
        let mut claims = self.claims();
        change(&mut claims);
        claims
    }

    /// Exchanges a token by the trust `acme-release`.
    async fn exchange(&self, token: &str) -> Answer {
        exchange_at(&self.feed, "acme-release", token).await
    }

    /// The check that refuses a token with these claims; 0 if none does.
    async fn check(&self, claims: &Value) -> u8 {
        check(&self.exchange(&K1.sign(claims)).await)
    }

    /// The check that refuses a token with these claims for another trust.
    async fn check_at(&self, trust: &str, claims: &Value) -> u8 {
        check(&exchange_at(&self.feed, trust, &K1.sign(claims)).await)
    }
}

fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// Asks a feed for a key as `NuGet/login` does.
async fn exchange_at(feed: &TestFeed, trust: &str, token: &str) -> Answer {
    ask(feed, &[("authorization", &format!("Bearer {token}"))], &body(trust)).await
}

fn body(trust: &str) -> String {
    json!({"username": trust, "tokenType": "ApiKey"}).to_string()
}

/// Posts JSON with these headers, too.
async fn ask(feed: &TestFeed, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = http::Request::builder().method(Method::POST).uri("/api/v2/token");
    request = request.header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    feed.stranger().send(request, Bytes::copy_from_slice(body.as_bytes())).await
}

/// The check that refused; 0 if none did. Every refusal has a status and words of its own.
#[track_caller]
fn check(answer: &Answer) -> u8 {
    if answer.status == StatusCode::OK {
        return 0;
    }
    let error = answer.json()["error"].as_str().unwrap().to_owned();
    assert!(!answer.headers.contains_key("x-nuget-warning"), "{error}");
    assert_eq!(answer.header("cache-control"), "no-store");
    let challenge = if answer.status == StatusCode::UNAUTHORIZED { "Bearer" } else { "" };
    assert_eq!(answer.header("www-authenticate"), challenge);
    let (check, status) = match error.as_str() {
        text if text.starts_with("send Content-Type") => (1, 415),
        text if text.starts_with("the body must be") => (2, 400),
        text if text.starts_with("send the identity token") => (3, 401),
        text if text.starts_with("this is not a JSON web token") => (4, 401),
        text if text.starts_with("this is not a presigned") => (4, 401),
        text if text.starts_with("the feed trusts no tokens of") => (5, 401),
        text if text.contains("; request it for '") => (6, 401),
        text if text.starts_with("the token has expired") => (7, 401),
        text if text.starts_with("the token is not valid yet") => (7, 401),
        text if text.starts_with("the token is valid for more than 24") => (7, 401),
        text if text.starts_with("AWS does not confirm") => (9, 401),
        text if text.starts_with("AWS cannot be asked") => (8, 503),
        text if text.starts_with("the token's key is not one") => (8, 401),
        text if text.starts_with("the token's signature is wrong") => (8, 401),
        text if text.starts_with("the issuer's keys cannot be read now") => (8, 503),
        text if text.starts_with("no trust '") => (9, 401),
        text if text.starts_with("the trust '") => (10, 401),
        text if text.starts_with("this token was exchanged before") => (11, 401),
        text => panic!("no check says this: {text}"),
    };
    assert_eq!(answer.status.as_u16(), status, "{error}");
    check
}

/// The words of a refusal.
fn words(answer: &Answer) -> String {
    answer.json()["error"].as_str().unwrap().to_owned()
}

fn name(text: &str) -> TrustName {
    text.parse().unwrap()
}
