//! Rows 32 and 33: identities of AWS, by requests to STS that were signed beforehand.

use std::io::{Read, Write};
use std::net::TcpListener;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::StatusCode;
use nuthatch_tests::{AwsIdentity, FeedOptions, Page, TestFeed, TestIssuer, TestSts, nuthatch};
use store::TrustAdded;
use time::OffsetDateTime;
use time::macros::format_description;
use trust::{AwsPrincipal, Issuer, KeySource, Trust, Workload};

use super::{FEED, K1, check, exchange_at, name, now};
use crate::package;

const CI: AwsIdentity = AwsIdentity {
    access_key: "ASIAIOSFODNN7EXAMPLE",
    secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    session_token: "IQoJb3Jp/Z2lu+X2==",
    account: "123456789012",
    user_id: "AROA1234567890EXAMPLE:run-1",
    arn: "arn:aws:sts::123456789012:assumed-role/ci/run-1",
};

/// The role of the same name in the account, made anew.
const RECREATED: AwsIdentity = AwsIdentity {
    access_key: "ASIAIOSFODNN7RECREAT",
    user_id: "AROA9999999999EXAMPLE:run-1",
    ..CI
};

/// The role of the same name in another account.
const ELSEWHERE: AwsIdentity = AwsIdentity {
    access_key: "ASIAIOSFODNN7ELSEWHR",
    account: "999999999999",
    arn: "arn:aws:sts::999999999999:assumed-role/ci/run-1",
    ..CI
};

/// A feed that trusts the role `ci`.
struct Scene {
    feed: TestFeed,
    sts: TestSts,
}

impl Scene {
    async fn new() -> Self {
        let scene = Self::without_trust().await;
        let iss: trust::IssuerUrl = AwsPrincipal::ISSUER.parse().unwrap();
        let principal = AwsPrincipal {
            account: "123456789012".parse().unwrap(),
            principal_id: "AROA1234567890EXAMPLE".parse().unwrap(),
        };
        let template = TestIssuer::start(&[&K1]).await.trust("aws-ci");
        let trust = Trust { iss: iss.clone(), workload: Workload::AwsIam(principal), ..template };
        let keys = KeySource::Given { keys: Vec::new() };
        let issuer = Issuer { iss, algorithms: Vec::new(), keys };
        let added = scene.feed.table().add_trust(&trust, &issuer).await.unwrap();
        assert_eq!(added, TrustAdded::Done);
        scene
    }

    async fn without_trust() -> Self {
        let sts = TestSts::start(&[CI, RECREATED, ELSEWHERE]).await;
        let authorities = sts.authority().to_str().unwrap().to_owned().leak();
        let options = FeedOptions {
            authorities: Some(authorities),
            sts: Some(sts.address),
            ..FeedOptions::default()
        };
        Self { feed: TestFeed::with(options).await, sts }
    }

    /// The check that refuses a request; 0 if none does.
    async fn check(&self, url: &str) -> u8 {
        check(&exchange_at(&self.feed, "aws-ci", &text(url)).await)
    }
}

/// The text that carries a request.
fn text(url: &str) -> String {
    format!("nuthatch-aws-v1.{}", BASE64_URL_SAFE_NO_PAD.encode(url))
}

/// A date so many seconds from now.
fn date(seconds: i64) -> String {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let time = OffsetDateTime::from_unix_timestamp(now() + seconds).unwrap();
    time.format(format).unwrap()
}

#[tokio::test]
async fn a_role_that_signs_a_request_gets_a_key() {
    let scene = Scene::new().await;
    let owner = scene.feed.owner().await;
    let _ = scene.feed.calls.take();
    let answer = exchange_at(&scene.feed, "aws-ci", &text(&CI.presign(FEED, &date(0)))).await;
    assert_eq!(scene.feed.calls.take(), ["BatchGetItem", "TransactWriteItems"]);
    assert_eq!(scene.sts.asked(), 1);
    let granted = answer.expect(StatusCode::OK).json();
    let client = owner.with_key(granted["apiKey"].as_str().unwrap());
    client.push(&package("Acme.Core", "1.0.0", "x")).await.expect(StatusCode::CREATED);
    let uses = scene.feed.table().uses_of(&name("aws-ci")).await.unwrap();
    assert_eq!(uses[0].run.to_string(), format!("arn={}", CI.arn));
}

#[tokio::test]
async fn a_request_for_another_feed_does_not_hold() {
    let scene = Scene::new().await;
    assert_eq!(scene.check(&CI.presign("https://evil.example", &date(0))).await, 9);
    assert_eq!(scene.sts.asked(), 1, "AWS refuses the signature");
}

#[tokio::test]
async fn another_role_of_the_same_name_gets_no_key() {
    let scene = Scene::new().await;
    for other in [RECREATED, ELSEWHERE] {
        assert_eq!(scene.check(&other.presign(FEED, &date(0))).await, 9);
        assert_eq!(scene.sts.asked(), 1);
    }
    let answer = exchange_at(&scene.feed, "nobody", &text(&CI.presign(FEED, &date(0)))).await;
    assert_eq!(check(&answer), 9);
}

#[tokio::test]
async fn aws_is_not_asked_on_a_feed_that_trusts_nobody_there() {
    let scene = Scene::without_trust().await;
    assert_eq!(scene.check(&CI.presign(FEED, &date(0))).await, 5);
    assert_eq!(scene.sts.asked(), 0);
}

#[tokio::test]
async fn row_32_nothing_is_sent_that_is_not_a_fresh_request_of_its_form() {
    let scene = Scene::new().await;
    let url = CI.presign(FEED, &date(0));
    let host = "sts.eu-west-1.amazonaws.com";
    for (from, to) in [
        (host, "sts.amazonaws.com.evil.example"),
        ("https://sts", "https://evil@sts"),
        ("amazonaws.com/", "amazonaws.com:444/"),
        ("amazonaws.com/?", "amazonaws.com/x?"),
        ("=GetCallerIdentity", "=AssumeRole"),
        ("=GetCallerIdentity", "=GetCallerIdentity&action=GetCallerIdentity"),
        ("=GetCallerIdentity", "=GetCallerIdentity&Extra=1"),
        ("%3Bx-nuthatch-feed", ""),
    ] {
        assert!(url.contains(from), "{from}");
        assert_eq!(scene.check(&url.replacen(from, to, 1)).await, 4, "{from} → {to}");
    }
    assert_eq!(scene.check(&CI.presign(FEED, &date(-62))).await, 7);
    assert_eq!(scene.check(&CI.presign(FEED, &date(62))).await, 7);
    assert_eq!(scene.sts.asked(), 0);
}

#[tokio::test]
async fn row_33_a_request_is_exchanged_once() {
    let scene = Scene::new().await;
    let url = CI.presign(FEED, &date(0));
    assert_eq!(scene.check(&url).await, 0);
    assert_eq!(scene.check(&url).await, 11);
    assert_eq!(scene.check(&url.replace("X-Amz-Date", "x-amz-date")).await, 11);
}

#[tokio::test]
async fn row_33_an_answer_that_is_not_one_of_sts_opens_nothing() {
    let scene = Scene::new().await;
    let url = CI.presign(FEED, &date(0));
    for (page, refused_by) in [
        (Page::Status(403), 9),
        (Page::Status(500), 8),
        (Page::Status(400), 8),
        (Page::Redirect("https://sts.eu-west-1.amazonaws.com/".to_owned()), 8),
        (Page::Document("<GetCallerIdentityResponse/>".into()), 8),
        (Page::Document(vec![b' '; 1024 * 1024].into()), 8),
        (Page::Never, 8),
    ] {
        scene.sts.answer(page);
        assert_eq!(scene.check(&url).await, refused_by);
    }
    assert!(scene.feed.table().uses_of(&name("aws-ci")).await.unwrap().is_empty());
}

/// The command signs by the SDK's own code, and the STS of the tests checks by Amazon's words.
#[tokio::test(flavor = "multi_thread")]
async fn the_command_signs_with_the_credentials_of_its_environment() {
    let scene = Scene::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let source = format!("http://{}/v3/index.json", listener.local_addr().unwrap());
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\"ApiKey\"}") && !head.ends_with(b"aws-ci\"}") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").unwrap();
        String::from_utf8(head).unwrap()
    });
    let output = nuthatch()
        .args(["token", "aws-ci", "--aws-iam", "--source", &source, "--audience", FEED])
        .env("AWS_ACCESS_KEY_ID", CI.access_key)
        .env("AWS_SECRET_ACCESS_KEY", CI.secret)
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_SESSION_TOKEN", CI.session_token)
        .output()
        .unwrap();
    assert!(!output.status.success(), "the listener gives no key");
    let heard = heard.join().unwrap();
    let bearer =
        heard.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).unwrap();
    assert_eq!(check(&exchange_at(&scene.feed, "aws-ci", bearer).await), 0);
}
