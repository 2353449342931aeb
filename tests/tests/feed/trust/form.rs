//! Rows 2 to 11, 14 and 16: requests and tokens of the wrong form, for others, at other times
//! or of other keys.

use http::Method;
use serde_json::{Value, json};
use tokens::{RsaScheme, Signer, encoded, with_other_signature};

use super::{FEED, K1, K2, Scene, ask, body, check, exchange_at, now, words};

/// Asserts that each token is refused by this check, and that no key is fetched for it.
async fn refused(scene: &Scene, wanted: u8, tokens: &[(&str, String)]) {
    for (change, token) in tokens {
        let answer = scene.exchange(token).await;
        assert_eq!(check(&answer), wanted, "{change}: {}", words(&answer));
    }
    assert_eq!(scene.issuer.asked(), [""; 0]);
}

#[tokio::test]
async fn row_2_a_request_is_json_with_the_name_of_a_trust() {
    let scene = Scene::new().await;
    let token = format!("Bearer {}", K1.sign(&scene.claims()));
    let authorization = ("authorization", token.as_str());
    for kind in [None, Some("text/plain"), Some("application/jsonp")] {
        let mut request = http::Request::builder().method(Method::POST).uri("/api/v2/token");
        request = request.header("authorization", &token);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let answer = scene.feed.stranger().send(request, body("acme-release")).await;
        assert_eq!(check(&answer), 1, "{kind:?}");
    }
    for body in [
        "{}".to_owned(),
        String::new(),
        json!({"username": "acme-release"}).to_string(),
        json!({"username": "acme-release", "tokenType": "apikey"}).to_string(),
        json!({"username": 1, "tokenType": "ApiKey"}).to_string(),
        json!({"username": "a b", "tokenType": "ApiKey"}).to_string(),
        json!({"username": "a".repeat(33), "tokenType": "ApiKey"}).to_string(),
        json!({"username": "acme-release", "tokenType": "ApiKey", "x": "y".repeat(5_000)})
            .to_string(),
    ] {
        let answer = ask(&scene.feed, &[authorization], &body).await;
        assert_eq!(check(&answer), 2, "{body:.60}");
    }
    assert_eq!(scene.feed.calls.take(), [""; 0]);
}

#[tokio::test]
async fn row_3_a_request_has_one_bearer_token() {
    let scene = Scene::new().await;
    let token = format!("Bearer {}", K1.sign(&scene.claims()));
    for headers in [
        &[][..],
        &[("authorization", token.as_str()), ("authorization", token.as_str())],
        &[("authorization", "Basic YTpi")],
        &[("authorization", "Bearer ")],
        &[("authorization", "Bearer")],
        &[("x-nuget-apikey", token.as_str())],
    ] {
        let answer = ask(&scene.feed, headers, &body("acme-release")).await;
        assert_eq!(check(&answer), 3, "{headers:?}");
    }
    assert_eq!(scene.feed.calls.take(), [""; 0]);
}

#[tokio::test]
async fn rows_4_and_5_other_algorithms_are_refused_however_well_they_sign() {
    let scene = Scene::new().await;
    let claims = scene.claims();
    let unsigned = |alg: &str| {
        let header = json!({"alg": alg, "typ": "JWT", "kid": "k1"}).to_string();
        format!("{}.{}", encoded(header.as_bytes()), encoded(claims.to_string().as_bytes()))
    };
    let keyed = |secret: &[u8]| {
        let message = unsigned("HS256");
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
        let signature = aws_lc_rs::hmac::sign(&key, message.as_bytes());
        format!("{message}.{}", encoded(signature.as_ref()))
    };
    let signed = |alg: &str, scheme| {
        let message = unsigned(alg);
        let signature = K1.rsa_signature(scheme, message.as_bytes());
        format!("{message}.{}", encoded(&signature))
    };
    let (message, signature) = (unsigned("RS256"), K1.signature(unsigned("none").as_bytes()));
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        base64::Engine::encode(&base64::prelude::BASE64_STANDARD, K1.der())
    );
    refused(
        &scene,
        4,
        &[
            ("none", format!("{}.", unsigned("none"))),
            ("nOnE", format!("{}.", unsigned("nOnE"))),
            ("none, signed", format!("{}.{}", unsigned("none"), encoded(&signature))),
            ("an empty signature", format!("{message}.")),
            ("HS256 with the PEM", keyed(pem.as_bytes())),
            ("HS256 with the DER", keyed(&K1.der())),
            ("HS256 with n", keyed(&K1.modulus())),
            ("RS512", signed("RS512", RsaScheme::Rs512)),
            ("PS256", signed("PS256", RsaScheme::Ps256)),
            ("rs256", signed("rs256", RsaScheme::Rs256)),
        ],
    )
    .await;
    let curve = Signer::es256("k1");
    assert_eq!(check(&scene.exchange(&curve.sign(&claims)).await), 8, "ES256 over the kid of RSA");
    // Of an algorithm that the issuer does not use.
    let other = Signer::es384("e");
    scene.issuer.publish(&[&K1, &other]);
    scene.issuer.age_keys(&scene.feed, 3_600).await;
    assert_eq!(check(&scene.exchange(&other.sign(&claims)).await), 8);
}

#[tokio::test]
async fn row_6_a_header_brings_no_key_and_no_extension() {
    let scene = Scene::new().await;
    let claims = scene.claims();
    let with = |name: &str, value: Value| {
        let mut header = K1.header();
        header[name] = value;
        K1.sign_with(&header, &claims)
    };
    let mut without = K1.header();
    without.as_object_mut().unwrap().remove("kid");
    refused(
        &scene,
        4,
        &[
            ("jwk", with("jwk", K2.jwk())),
            ("jku", with("jku", json!(scene.issuer.keys()))),
            ("x5u", with("x5u", json!(scene.issuer.keys()))),
            ("x5c", with("x5c", json!(["AAAA"]))),
            ("crit", with("crit", json!(["exp"]))),
            ("b64", with("b64", json!(false))),
            ("typ", with("typ", json!("at+jwt"))),
            ("no kid", K1.sign_with(&without, &claims)),
            ("kid of another type", with("kid", json!(1))),
            ("a long kid", with("kid", json!("k".repeat(201)))),
        ],
    )
    .await;
}

#[tokio::test]
async fn row_7_a_token_can_be_read_in_one_way_only() {
    let scene = Scene::new().await;
    let token = K1.sign(&scene.claims());
    let parts: Vec<&str> = token.split('.').collect();
    let claims = scene.claims().to_string();
    let header = K1.header().to_string();
    let twice = claims.replacen('{', &format!("{{\"aud\":\"{FEED}\","), 1);
    let deep = format!("{}1{}", "{\"a\":".repeat(50), "}".repeat(50));
    let deep = claims.replacen('{', &format!("{{\"deep\":{deep},"), 1);
    let long = claims.replacen('{', &format!("{{\"long\":\"{}\",", "a".repeat(9_000)), 1);
    // A last character with bits that belong to no byte.
    let (start, last) = parts[2].split_at(parts[2].len() - 1);
    let loose = char::from(last.as_bytes()[0] + 1);
    refused(
        &scene,
        4,
        &[
            ("padding", format!("{token}==")),
            ("a plus", format!("{}.{}.+{}", parts[0], parts[1], &parts[2][1..])),
            ("loose bits", format!("{}.{}.{start}{loose}", parts[0], parts[1])),
            ("two parts", format!("{}.{}", parts[0], parts[1])),
            ("five parts", format!("{token}.a.b")),
            ("aud twice", K1.sign_text(&header, &twice)),
            ("nested", K1.sign_text(&header, &deep)),
            ("long", K1.sign_text(&header, &long)),
            ("no object", K1.sign_text(&header, "[]")),
            ("text behind it", K1.sign_text(&header, &format!("{claims} x"))),
        ],
    )
    .await;
}

#[tokio::test]
async fn row_8_an_issuer_is_the_one_that_was_named_byte_for_byte() {
    let scene = Scene::new().await;
    let iss = &scene.issuer.iss;
    let port = iss.rsplit_once(':').unwrap().1;
    for other in [
        format!("{iss}/"),
        iss.replace("https", "HTTPS"),
        iss.replace("https", "http"),
        format!("{iss}/octocat-inc"),
        format!("https://localhost.evil.example:{port}"),
        format!("{iss}@evil.example"),
        "https://token.actions.githubusercontent.com".to_owned(),
        "a".repeat(3_000),
        String::new(),
    ] {
        let claims = scene.with(|claims| claims["iss"] = json!(other));
        assert_eq!(scene.check(&claims).await, 5, "{other:.60}");
    }
    assert_eq!(scene.check(&scene.with(|claims| claims["iss"] = json!([iss]))).await, 4);
    assert_eq!(scene.issuer.asked(), [""; 0]);
}

#[tokio::test]
async fn row_9_a_token_is_for_this_feed_alone() {
    let scene = Scene::new().await;
    for other in [
        json!("https://packages.example.org/"),
        json!("https://www.nuget.org"),
        json!([FEED, "https://www.nuget.org"]),
        json!([FEED, FEED]),
        json!([]),
    ] {
        assert_eq!(scene.check(&scene.with(|c| c["aud"] = other.clone())).await, 6, "{other}");
    }
    let without = scene.with(|c| drop(c.as_object_mut().unwrap().remove("aud")));
    assert_eq!(scene.check(&without).await, 6);
    for other in [json!(1), json!({}), json!([1])] {
        assert_eq!(scene.check(&scene.with(|c| c["aud"] = other.clone())).await, 4, "{other}");
    }
    assert_eq!(scene.check(&scene.with(|c| c["aud"] = json!([FEED]))).await, 0);
    let other = scene.with(|c| c["aud"] = json!("https://www.nuget.org"));
    let answer = scene.exchange(&K1.sign(&other)).await;
    assert_eq!(
        words(&answer),
        "the token is for 'https://www.nuget.org'; request it for 'https://packages.example.org' \
         (input audience of NuGet/login)"
    );
}

#[tokio::test]
async fn a_trust_may_have_an_audience_of_its_own() {
    let scene = Scene::new().await;
    let trust = scene.a_trust("own", super::Workload::GitHub(super::github()));
    scene.add(super::Trust { audience: Some("api://nuthatch".to_owned()), ..trust }).await;
    let at = |audience: &str, jti: &str| {
        scene.with(|claims| {
            claims["aud"] = json!(audience);
            claims["jti"] = json!(jti);
        })
    };
    assert_eq!(scene.check_at("own", &at("api://nuthatch", "1")).await, 0);
    assert_eq!(scene.check_at("own", &at(FEED, "2")).await, 6);
    assert_eq!(scene.check_at("acme-release", &at("api://nuthatch", "3")).await, 6);
}

#[tokio::test]
async fn rows_10_and_11_a_token_is_valid_now_give_or_take_a_minute() {
    let scene = Scene::new().await;
    let number = |name: &'static str, value: i64| (name, json!(value));
    let now = now();
    for (claims, check) in [
        (vec![number("exp", now - 61)], 7),
        (vec![number("exp", now - 60)], 7),
        (vec![number("exp", now - 50)], 0),
        (vec![("exp", json!((now + 100).to_string()))], 4),
        (vec![("exp", json!(null))], 4),
        (vec![("exp", json!(f64::from(i32::MAX) + 0.5))], 4),
        (vec![number("exp", -1)], 4),
        (vec![number("exp", i64::MAX)], 7),
        (vec![number("nbf", now + 70)], 7),
        (vec![number("nbf", now + 59)], 0),
        (vec![("nbf", json!("99999999999"))], 4),
        (vec![number("iat", now + 70)], 7),
        (vec![("iat", json!(null))], 4),
        (vec![number("iat", now - 60), number("exp", now - 60 + 25 * 3_600)], 7),
        (vec![number("iat", now - 60), number("exp", now - 60 + 24 * 3_600)], 0),
    ] {
        let changed = scene.with(|token| {
            for (name, value) in &claims {
                token[name] = value.clone();
            }
            token["jti"] = json!(format!("{claims:?}"));
        });
        assert_eq!(scene.check(&changed).await, check, "{claims:?}");
    }
    for name in ["exp", "iat"] {
        let without = scene.with(|claims| drop(claims.as_object_mut().unwrap().remove(name)));
        assert_eq!(scene.check(&without).await, 4, "{name}");
    }
    let without = scene.with(|claims| drop(claims.as_object_mut().unwrap().remove("nbf")));
    assert_eq!(scene.check(&without).await, 0);
}

#[tokio::test]
async fn row_14_a_changed_bit_or_another_key_makes_the_signature_wrong() {
    let scene = Scene::new().await;
    let token = K1.sign(&scene.claims());
    let parts: Vec<&str> = token.split('.').collect();
    let other = scene.with(|claims| claims["repository_id"] = json!("75"));
    let swapped = K1.sign(&other);
    let swapped = swapped.split('.').nth(1).unwrap();
    let first = if parts[2].starts_with('A') { "B" } else { "A" };
    let forged = Signer::rsa("k1");
    for (change, token) in [
        ("other claims", format!("{}.{swapped}.{}", parts[0], parts[2])),
        ("a bit of the signature", format!("{}.{}.{first}{}", parts[0], parts[1], &parts[2][1..])),
        ("a short signature", format!("{}.{}.AAAA", parts[0], parts[1])),
        ("another key of that id", forged.sign(&scene.claims())),
    ] {
        assert_eq!(check(&scene.exchange(&token).await), 8, "{change}");
    }
    assert_eq!(check(&scene.exchange(&token).await), 0);
}

#[tokio::test]
async fn row_16_a_token_without_an_id_is_spent_whatever_its_signature() {
    let scene = Scene::new().await;
    let curve = Signer::es256("e1");
    scene.issuer.publish(&[&K1, &curve]);
    let claims = scene.with(|claims| drop(claims.as_object_mut().unwrap().remove("jti")));
    let token = curve.sign(&claims);
    let other = with_other_signature(&token);
    assert_ne!(token, other);
    assert_eq!(check(&scene.exchange(&token).await), 0);
    assert_eq!(check(&scene.exchange(&other).await), 11);
    for jti in [json!(""), json!(1), json!(null)] {
        let claims = scene.with(|claims| claims["jti"] = jti.clone());
        assert_eq!(check(&exchange_at(&scene.feed, "acme-release", &K1.sign(&claims)).await), 4);
    }
}
