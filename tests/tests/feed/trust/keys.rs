//! Rows 12, 13 and 34: the keys of an issuer, which change, and which it may fail to publish.

use std::time::{Duration, Instant};

use http::StatusCode;
use nuthatch_tests::{Page, TestIssuer};
use serde_json::{Value, json};
use tokens::{Signer, key_set};

use super::{K1, K2, Scene, check, exchange_at, words};

/// A token of its own, signed by `signer`.
fn token(scene: &Scene, signer: &Signer) -> String {
    let jti = json!(ulid::Ulid::new().to_string());
    signer.sign(&scene.with(|claims| claims["jti"] = jti))
}

async fn exchanged(scene: &Scene, signer: &Signer) -> u8 {
    check(&scene.exchange(&token(scene, signer)).await)
}

#[tokio::test]
async fn row_12_a_key_that_nobody_has_is_looked_for_once_a_minute() {
    let scene = Scene::new().await;
    let other = scene.feed.another_instance();
    assert_eq!(exchanged(&scene, &K1).await, 0);
    let _ = scene.issuer.asked();
    let unknown = Signer::rsa("k9");
    let mut tries = Vec::new();
    for number in 0..100 {
        let feed = if number % 2 == 0 { scene.feed.clone() } else { other.clone() };
        let token = token(&scene, &unknown);
        tries.push(tokio::spawn(async move {
            check(&exchange_at(&feed, "acme-release", &token).await)
        }));
    }
    for tried in tries {
        assert_eq!(tried.await.unwrap(), 8);
    }
    assert_eq!(scene.issuer.asked(), [""; 0], "the minute of the first fetch");
    scene.issuer.age_keys(&scene.feed, 61).await;
    assert_eq!(exchanged(&scene, &unknown).await, 8);
    assert_eq!(exchanged(&scene, &unknown).await, 8);
    assert_eq!(scene.issuer.asked(), [TestIssuer::KEYS]);
}

#[tokio::test]
async fn a_new_key_is_found_by_all_who_ask_at_once() {
    let scene = Scene::new().await;
    assert_eq!(exchanged(&scene, &K1).await, 0);
    scene.issuer.age_keys(&scene.feed, 61).await;
    scene.issuer.publish(&[&K1, &K2]);
    let _ = scene.issuer.asked();
    let mut tries = Vec::new();
    for _ in 0..16 {
        let (feed, token) = (scene.feed.another_instance(), token(&scene, &K2));
        tries.push(tokio::spawn(async move {
            check(&exchange_at(&feed, "acme-release", &token).await)
        }));
    }
    for tried in tries {
        assert_eq!(tried.await.unwrap(), 0);
    }
    assert_eq!(scene.issuer.asked(), [TestIssuer::KEYS]);
}

#[tokio::test]
async fn row_13_a_withdrawn_key_ends_with_the_next_refresh_or_after_a_day() {
    let scene = Scene::new().await;
    assert_eq!(exchanged(&scene, &K1).await, 0);
    scene.issuer.publish(&[&K2]);
    assert_eq!(exchanged(&scene, &K1).await, 0, "before the refresh");
    scene.issuer.age_keys(&scene.feed, 3_600).await;
    assert_eq!(exchanged(&scene, &K1).await, 8, "after it");
    assert_eq!(exchanged(&scene, &K2).await, 0);
    scene.issuer.answer(TestIssuer::KEYS, Page::Status(500));
    scene.issuer.age_keys(&scene.feed, 23 * 3_600).await;
    assert_eq!(exchanged(&scene, &K2).await, 0, "old keys serve");
    scene.issuer.age_keys(&scene.feed, 3_600).await;
    let answer = scene.exchange(&token(&scene, &K2)).await.expect(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(check(&answer), 8);
    assert_eq!(words(&answer), "the issuer's keys cannot be read now; try again");
}

/// Asserts that keys which were known go on to serve while the issuer answers like this, and
/// that there is no key where none was known.
async fn serves_old_keys(kind: &str, page: Page) {
    let scene = Scene::new().await;
    scene.issuer.answer(TestIssuer::KEYS, page.clone());
    let started = Instant::now();
    let answer = scene.exchange(&token(&scene, &K1)).await;
    assert!(started.elapsed() < Duration::from_secs(12), "{kind}: {:?}", started.elapsed());
    answer.expect(StatusCode::SERVICE_UNAVAILABLE);
    scene.issuer.publish(&[&K1]);
    scene.issuer.age_keys(&scene.feed, 61).await;
    assert_eq!(exchanged(&scene, &K1).await, 0, "{kind}: once it answers again");
    scene.issuer.answer(TestIssuer::KEYS, page);
    scene.issuer.age_keys(&scene.feed, 3_601).await;
    assert_eq!(exchanged(&scene, &K1).await, 0, "{kind}: by the old keys");
    assert!(!scene.issuer.asked().is_empty());
}

fn document(value: &Value) -> Page {
    Page::Document(value.to_string().into())
}

#[tokio::test]
async fn row_34_old_keys_serve_while_no_document_can_be_used() {
    let weak = json!({"kty": "RSA", "kid": "k1", "n": tokens::encoded(&[0xff; 128]), "e": "AQAB"});
    let many: Vec<Value> = (0..40)
        .map(|number| {
            let mut key = K1.jwk();
            key["kid"] = json!(number.to_string());
            key
        })
        .collect();
    let mut fat = key_set(&[&K1]);
    fat["fat"] = json!("a".repeat(65 * 1024));
    let secret = json!({"keys": [{"kty": "oct", "kid": "k1", "k": "AAAA"}]});
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b, 4, 0];
    for (kind, page) in [
        ("65 KiB", document(&fat)),
        ("40 keys", document(&json!({ "keys": many }))),
        ("no key", document(&json!({"keys": []}))),
        ("a secret key", document(&secret)),
        ("a short key", document(&json!({ "keys": [weak] }))),
        ("HTML", Page::Document("<html></html>".into())),
        ("gzip", Page::Document(gzip.to_vec().into())),
        ("a redirect", Page::Redirect(scene_of_redirects())),
        ("404", Page::Status(404)),
    ] {
        serves_old_keys(kind, page).await;
    }
}

/// Where a redirect leads that nobody follows.
fn scene_of_redirects() -> String {
    "https://localhost:1/keys".to_owned()
}

#[tokio::test]
async fn row_34_an_issuer_that_never_ends_its_answer_is_not_waited_for() {
    serves_old_keys("never", Page::Never).await;
}

#[tokio::test]
async fn row_34_an_issuer_without_a_certificate_of_its_own_has_no_keys() {
    let scene = Scene::new().await;
    let stranger = nuthatch_tests::TestFeed::start().await;
    let trust = scene.feed.table().trust(&super::name("acme-release")).await.unwrap().unwrap();
    let issuer = scene.feed.table().issuer(&trust.iss).await.unwrap().unwrap();
    stranger.table().add_trust(&trust, &issuer).await.unwrap();
    let answer = exchange_at(&stranger, "acme-release", &token(&scene, &K1)).await;
    assert_eq!(check(&answer.expect(StatusCode::SERVICE_UNAVAILABLE)), 8);
}
