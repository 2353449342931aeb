//! Row 38: a login as `NuGet/login` (v1) makes it, byte for byte.

use http::{Method, StatusCode};
use nuthatch_tests::{Answer, GIVEN_ISSUER, Host};
use time::OffsetDateTime;
use tokens::Signer;

use crate::{package, push};

/// The requests of the action: what it sends, and what it makes of the answer.
async fn login(host: &Host, user: &str, token: &str) -> Result<String, String> {
    let answer = post(host, user, token).await;
    let document = serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap_or_default();
    // Only this status succeeds, and only this member counts.
    if answer.status != StatusCode::OK {
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        let said = document["error"].as_str().map_or(body, str::to_owned);
        return Err(format!("{}: {said}", answer.status.as_u16()));
    }
    Ok(document["apiKey"].as_str().unwrap().to_owned())
}

async fn post(host: &Host, user: &str, token: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [
        ("content-type", "application/json"),
        ("authorization", bearer.as_str()),
        ("user-agent", "nuget/login-action"),
    ];
    // As JSON.stringify writes it.
    let body = format!(r#"{{"username":"{user}","tokenType":"ApiKey"}}"#);
    host.send((Method::POST, "/api/v2/token"), "", &headers, body).await
}

fn token(host: &Host, signer: &Signer) -> String {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    signer.sign(&tokens::github(GIVEN_ISSUER, &host.address, now))
}

pub(crate) async fn a_login_gives_a_key_that_pushes(host: &Host) {
    let signer = Signer::rsa("k1");
    host.trust("acme-release", &signer).await;
    let key = login(host, "acme-release", &token(host, &signer)).await.unwrap();
    assert_eq!(push(host, &key, &package("Acme.Core", "1.0.0", "x")).await.status, 201);
    assert_eq!(push(host, &key, &package("Other", "1.0.0", "x")).await.status, 403);
}

pub(crate) async fn a_login_that_is_refused_says_what_to_do(host: &Host) {
    let signer = Signer::rsa("k1");
    host.trust("acme-release", &signer).await;
    let spent = token(host, &signer);
    login(host, "acme-release", &spent).await.unwrap();
    for (user, token, said) in [
        ("acme-release", spent.as_str(), "401: this token was exchanged before; request a new one"),
        (
            "nobody",
            &token(host, &signer),
            "401: no trust 'nobody' is for this identity: the input user must be a name that \
             'nuthatch trust list' prints",
        ),
        ("acme-release", &token(host, &Signer::rsa("k1")), "401: the token's signature is wrong"),
        (
            "acme-release",
            "nonsense",
            "401: this is not a JSON web token that the feed can read: it does not have three \
             parts with dots between them",
        ),
    ] {
        assert_eq!(login(host, user, token).await.unwrap_err(), said);
    }
    let answer = post(host, "acme-release", &spent).await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
}
