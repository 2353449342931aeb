//! Rows 1, 15, 17, 20 and 38: the key that a token is exchanged for, once.

use access::Scope;
use aws_sdk_dynamodb::types::AttributeValue;
use http::StatusCode;
use nuthatch_tests::{Fault, Faults, GIVEN_ISSUER, given_trust};
use serde_json::json;
use store::TableName;
use tokens::Signer;
use trust::Workload;

use super::{FEED, K1, Scene, ask, body, check, exchange_at, github, name, now, words};
use crate::package;

#[tokio::test]
async fn row_1_a_token_is_exchanged_for_a_key_of_minutes_for_the_ids_of_the_trust() {
    let scene = Scene::new().await;
    let owner = scene.feed.owner().await;
    let token = K1.sign(&scene.claims());
    let started = now();
    let headers = [("authorization", &*format!("bearer {token}"))];
    let answer = ask(&scene.feed, &headers, &body("acme-release")).await.expect(StatusCode::OK);
    assert_eq!(answer.header("cache-control"), "no-store");
    let granted = answer.json();
    assert_eq!(granted["tokenType"], "ApiKey");
    assert_eq!(granted["scopes"], json!(["push"]));
    assert_eq!(granted["ids"], json!(["Acme.*"]));
    assert!(granted["name"].as_str().unwrap().starts_with("acme-release."));
    let expires = time::OffsetDateTime::parse(
        granted["expires"].as_str().unwrap(),
        &time::format_description::well_known::Rfc3339,
    );
    let life = expires.unwrap().unix_timestamp() - started;
    assert!((900..=902).contains(&life), "{life}");
    let client = owner.with_key(granted["apiKey"].as_str().unwrap());
    client.push(&package("Acme.Core", "1.0.0", "x")).await.expect(StatusCode::CREATED);
    client.push(&package("Other", "1.0.0", "x")).await.expect(StatusCode::FORBIDDEN);
    client.delete("Acme.Core/1.0.0").await.expect(StatusCode::FORBIDDEN);
    client.get("/v3/package/acme.core/index.json").await.expect(StatusCode::UNAUTHORIZED);
    let uses = scene.feed.table().uses_of(&name("acme-release")).await.unwrap();
    assert_eq!(uses.len(), 1);
    assert_eq!(uses[0].key.as_str(), granted["name"]);
    assert_eq!(uses[0].run.0["repository"], "acme/core");
    assert_eq!(uses[0].run.0["run_id"], "1");
    let id = nupkg::PackageId::parse("Acme.Core").unwrap();
    let row = scene.feed.table().version(&id, &"1.0.0".parse().unwrap()).await;
    assert_eq!(row.unwrap().unwrap().pushed_by, uses[0].key, "from a version to its run");
}

#[tokio::test]
async fn row_1_the_key_ends_when_it_says() {
    let scene = Scene::new().await;
    let owner = scene.feed.owner().await;
    let granted = scene.exchange(&K1.sign(&scene.claims())).await.expect(StatusCode::OK).json();
    let key: access::ApiKey = granted["apiKey"].as_str().unwrap().parse().unwrap();
    let past = AttributeValue::N((now() - 1).to_string());
    let update = scene.feed.aws.dynamodb.update_item().table_name(TableName::default().as_str());
    update
        .key("pk", AttributeValue::S(format!("KEY#{}", key.hash().as_str())))
        .key("sk", AttributeValue::S("KEY".to_owned()))
        .update_expression("SET expires = :past")
        .expression_attribute_values(":past", past)
        .send()
        .await
        .unwrap();
    let client = owner.with_key(key.reveal());
    client.push(&package("Acme.Core", "1.0.0", "x")).await.expect(StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_exchange_makes_two_calls_and_two_more_when_it_fetches_keys() {
    let scene = Scene::new().await;
    let _ = scene.feed.calls.take();
    assert_eq!(scene.check(&scene.claims()).await, 0);
    let cold = ["BatchGetItem", "UpdateItem", "UpdateItem", "TransactWriteItems"];
    assert_eq!(scene.feed.calls.take(), cold);
    let again = scene.with(|claims| claims["jti"] = json!("2"));
    assert_eq!(scene.check(&again).await, 0);
    assert_eq!(scene.feed.calls.take(), ["BatchGetItem", "TransactWriteItems"]);
    let metered = scene.feed.metered();
    let token = K1.sign(&scene.with(|claims| claims["jti"] = json!("3")));
    assert_eq!(check(&exchange_at(&metered, "acme-release", &token).await), 0);
    assert_eq!(metered.calls.take(), ["BatchGetItem 4", "TransactWriteItems 8"]);
    let refused = scene.with(|claims| claims["repository_id"] = json!("75"));
    assert_eq!(scene.check(&refused).await, 9);
    assert_eq!(scene.feed.calls.take(), ["BatchGetItem"]);
}

#[tokio::test]
async fn row_15_a_token_is_exchanged_once_even_by_sixteen_at_once() {
    let scene = Scene::new().await;
    let token = K1.sign(&scene.claims());
    let other = scene.feed.another_instance();
    let mut tries = Vec::new();
    for number in 0..16 {
        let feed = if number % 2 == 0 { scene.feed.clone() } else { other.clone() };
        let token = token.clone();
        tries.push(tokio::spawn(async move {
            check(&exchange_at(&feed, "acme-release", &token).await)
        }));
    }
    let mut checks = Vec::new();
    for tried in tries {
        checks.push(tried.await.unwrap());
    }
    checks.sort_unstable();
    assert_eq!(checks[0], 0);
    assert_eq!(checks[1..], [11; 15]);
    assert_eq!(keys_of_trusts(&scene).await, 1);
}

#[tokio::test]
async fn row_15_a_token_stays_spent_for_as_long_as_it_is_valid() {
    let scene = Scene::new().await;
    let claims = scene.with(|claims| claims["exp"] = json!(now() - 50));
    assert_eq!(scene.check(&claims).await, 0);
    assert_eq!(scene.check(&claims).await, 11);
    let row = scene.feed.rows().await;
    let (_, spent) = row.iter().find(|(key, _)| key.starts_with("TOKEN#")).unwrap();
    let gone = spent.iter().find(|(name, _)| name == "expires_at").unwrap().1.as_n().unwrap();
    let gone: i64 = gone.parse().unwrap();
    assert!(gone >= claims["exp"].as_i64().unwrap() + 60 + 3_600);
    let old = scene.with(|claims| claims["exp"] = json!(now() - 7_200));
    assert_eq!(scene.check(&old).await, 7);
}

#[tokio::test]
async fn row_17_a_token_of_another_issuer_may_have_the_same_id() {
    let scene = Scene::new().await;
    let other = Signer::rsa("o");
    let (trust, issuer) = given_trust("other", &other);
    scene.feed.table().add_trust(&trust, &issuer).await.unwrap();
    assert_eq!(scene.check(&scene.claims()).await, 0);
    let claims = tokens::github(GIVEN_ISSUER, FEED, now());
    assert_eq!(claims["jti"], scene.claims()["jti"]);
    assert_eq!(check(&exchange_at(&scene.feed, "other", &other.sign(&claims)).await), 0);
    assert_eq!(check(&exchange_at(&scene.feed, "acme-release", &other.sign(&claims)).await), 9);
}

#[tokio::test]
async fn row_20_whether_a_trust_exists_is_not_told() {
    let scene = Scene::new().await;
    let removed = scene.a_trust("removed", Workload::GitHub(github()));
    let removed = super::Trust { audience: Some("api://own".to_owned()), ..removed };
    scene.add(removed).await;
    assert_eq!(
        scene.feed.table().remove_trust(&name("removed"), now(), "owner").await.unwrap(),
        Some(0)
    );
    let other = github();
    let other = trust::GitHub { repository_id: "99".parse().unwrap(), ..other };
    scene.trust("other-one", Workload::GitHub(other)).await;
    let token = K1.sign(&scene.claims());
    assert_eq!(scene.check(&scene.with(|claims| claims["jti"] = json!("2"))).await, 0);
    let _ = scene.feed.calls.take();
    for trust in ["removed", "other-one", "unknown"] {
        let answer = exchange_at(&scene.feed, trust, &token).await;
        assert_eq!(check(&answer), 9);
        // Without a try to spend the token.
        assert_eq!(scene.feed.calls.take(), ["BatchGetItem"], "{trust}");
        assert_eq!(
            words(&answer),
            format!(
                "no trust '{trust}' is for this identity: the input user must be a name that \
                 'nuthatch trust list' prints"
            )
        );
    }
    assert_eq!(check(&scene.exchange(&token).await), 0, "none of them spent it");
}

#[tokio::test]
async fn a_removed_trust_takes_its_keys_along_and_keeps_its_name() {
    let scene = Scene::new().await;
    let owner = scene.feed.owner().await;
    let granted = scene.exchange(&K1.sign(&scene.claims())).await.expect(StatusCode::OK).json();
    let table = scene.feed.table();
    assert_eq!(table.remove_trust(&name("acme-release"), now(), "owner").await.unwrap(), Some(1));
    assert_eq!(table.remove_trust(&name("nobody"), now(), "owner").await.unwrap(), None);
    let client = owner.with_key(granted["apiKey"].as_str().unwrap());
    client.push(&package("Acme.Core", "1.0.0", "x")).await.expect(StatusCode::FORBIDDEN);
    let again = scene.a_trust("acme-release", Workload::GitHub(github()));
    let issuer = table.issuer(&again.iss).await.unwrap().unwrap();
    assert_eq!(table.add_trust(&again, &issuer).await.unwrap(), store::TrustAdded::NameTaken);
}

#[tokio::test]
async fn a_trust_grants_scopes_that_never_are_admin() {
    let scene = Scene::new().await;
    let _ = scene.exchange(&K1.sign(&scene.claims())).await.expect(StatusCode::OK);
    let rows = scene.feed.aws.dynamodb.scan().table_name(TableName::default().as_str());
    for row in rows.send().await.unwrap().items() {
        if row["pk"].as_s().unwrap().starts_with("KEY#") {
            let scopes = format!("{:?}", row["scopes"]);
            assert!(!scopes.contains(&Scope::Admin.to_string()), "{scopes}");
        }
    }
    let stored: Result<trust::Grant, _> = serde_json::from_value(json!({
        "scopes": ["admin"], "ids": ["*"], "lifetime": 900
    }));
    assert!(stored.is_err(), "not even from the table");
}

#[tokio::test]
async fn neither_token_nor_key_is_in_the_table() {
    let scene = Scene::new().await;
    let token = K1.sign(&scene.claims());
    let granted = scene.exchange(&token).await.expect(StatusCode::OK).json();
    let rows = scene.feed.aws.dynamodb.scan().table_name(TableName::default().as_str());
    let rows = format!("{:?}", rows.send().await.unwrap().items());
    let signature = token.rsplit_once('.').unwrap().1;
    assert!(!rows.contains(granted["apiKey"].as_str().unwrap()) && !rows.contains(signature));
}

/// How many keys came of trusts.
async fn keys_of_trusts(scene: &Scene) -> usize {
    let rows = scene.feed.aws.dynamodb.scan().table_name(TableName::default().as_str());
    let rows = rows.send().await.unwrap();
    rows.items().iter().filter(|row| row.contains_key("trust")).count()
}

#[tokio::test]
async fn row_37_faults_while_keys_are_fetched_give_no_key_twice() {
    let mut cases = Vec::new();
    for call in 0..6 {
        for fault in [
            Fault::Lost,
            Fault::AnswerLost,
            Fault::Throttled,
            Fault::InternalError,
            Fault::Unavailable,
            Fault::Denied,
        ] {
            cases.push(tokio::spawn(async move {
                let scene = Scene::new().await;
                let token = K1.sign(&scene.claims());
                let faulty = scene.feed.meeting(&Faults::at([(call, fault)]));
                let first = exchange_at(&faulty, "acme-release", &token).await;
                let case = format!("{fault:?} at {call}: {}", first.status);
                let is_known = first.status.is_server_error() || first.status == StatusCode::OK;
                assert!(is_known, "{case}");
                let before = keys_of_trusts(&scene).await;
                assert!(first.status != StatusCode::OK || before == 1, "{case}");
                // The minute in which nobody fetches the keys again.
                if scene.knows_keys().await {
                    scene.issuer.age_keys(&scene.feed, 61).await;
                }
                let again = check(&scene.exchange(&token).await);
                assert_eq!(again, if before == 0 { 0 } else { 11 }, "{case}");
                assert_eq!(keys_of_trusts(&scene).await, 1, "{case}");
            }));
        }
    }
    for case in cases {
        case.await.unwrap();
    }
}
