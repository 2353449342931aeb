//! Keys: who may do what.

use access::Scope;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use feed::ReadAccess;
use http::{Method, StatusCode};
use nupkg::PackageId;
use nuthatch_tests::{Answer, Client, FeedOptions, TestFeed};
use time::OffsetDateTime;

use crate::package;

#[tokio::test]
async fn without_a_key_every_door_asks_for_one() {
    let feed = TestFeed::start().await;
    let stranger = feed.stranger();
    let (write, read) = ("pass one with --api-key", "into nuget.config, as the password");
    for (answer, remedy) in [
        (stranger.with_key(" ").push(&package("Acme", "1.0.0", "x")).await, write),
        (stranger.push(&package("Acme", "1.0.0", "x")).await, write),
        (stranger.delete("Acme/1.0.0").await, write),
        (stranger.relist("Acme/1.0.0").await, write),
        (stranger.get("/v3/package/acme/index.json").await, read),
        (stranger.nupkg("acme", "1.0.0").await, read),
    ] {
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        let challenge = answer.header("www-authenticate");
        assert_eq!(challenge, "Basic realm=\"nuthatch\", charset=\"UTF-8\"");
        // Clients print the header even if the next try, with a key, succeeds.
        assert_eq!(answer.header("x-nuget-warning"), "");
        assert!(answer.refusal().contains(remedy), "{}", answer.refusal());
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
}

#[tokio::test]
async fn a_key_that_is_not_good_is_denied_without_a_challenge() {
    let feed = TestFeed::start().await;
    let reader = feed.client("reader", &[Scope::Read], &["*"]).await;
    let revoked = feed.client("revoked", &[Scope::Admin], &["*"]).await;
    feed.table().revoke_key(&"revoked".parse().unwrap(), "tests").await.unwrap();
    let unknown = access::ApiKey::generate().unwrap();
    let mistyped = format!("{}x", &reader.key()[..reader.key().len() - 1]);
    for client in [
        reader.clone(),
        revoked,
        expired(&feed).await,
        reader.with_key(unknown.reveal()),
        reader.with_key(&mistyped),
        reader.with_key("oy2a-key-of-another-feed"),
    ] {
        for answer in [
            client.push(&package("Acme", "1.0.0", "x")).await,
            client.delete("Acme/1.0.0").await,
            client.relist("Acme/1.0.0").await,
        ] {
            assert_eq!(answer.status, StatusCode::FORBIDDEN);
            assert_eq!(answer.header("www-authenticate"), "");
            assert!(answer.header("x-nuget-warning").contains("API key"));
        }
    }
    assert!(feed.rows().await.is_empty());
}

async fn expired(feed: &TestFeed) -> Client {
    let (table, name) = (feed.table(), "expired".parse().unwrap());
    let past = OffsetDateTime::now_utc() - time::Duration::seconds(1);
    let ids = vec![access::IdGlob::any()];
    let key =
        nuthatch::keys::create(&table, name, vec![Scope::Admin], ids, Some(past), "tests").await;
    feed.stranger().with_key(key.unwrap().reveal())
}

#[tokio::test]
async fn a_scope_opens_its_own_doors_alone() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&package("Acme", "1.0.0", "x")).await;
    for (scope, push, unlist, read) in [
        (Scope::Push, 201, 403, 401),
        (Scope::Unlist, 403, 204, 401),
        (Scope::Read, 403, 403, 200),
        (Scope::Admin, 201, 204, 200),
    ] {
        let client = feed.client(&scope.to_string(), &[scope], &["*"]).await;
        let id = format!("New.{scope}");
        let status = |answer: Answer| answer.status.as_u16();
        assert_eq!(status(client.push(&package(&id, "1.0.0", "x")).await), push, "{scope}");
        assert_eq!(status(client.delete("Acme/1.0.0").await), unlist, "{scope}");
        assert_eq!(status(client.nupkg("acme", "1.0.0").await), read, "{scope}");
    }
}

#[tokio::test]
async fn a_key_is_good_for_its_ids_alone() {
    let feed = TestFeed::start().await;
    feed.owner().await.push(&package("Other", "1.0.0", "x")).await;
    let client = feed.client("acme", &[Scope::Admin], &["Acme.*", "Acme"]).await;
    assert_eq!(client.push(&package("acme.core", "1.0.0", "x")).await.status, StatusCode::CREATED);
    for answer in [
        client.push(&package("Other", "2.0.0", "x")).await,
        client.delete("Other/1.0.0").await,
        client.relist("Other/1.0.0").await,
    ] {
        let expected = "403 the API key 'acme' may not touch the package 'Other'; \
            use a key whose ids cover it";
        assert_eq!(answer.refusal(), expected);
    }
    // The key must not reveal whether the package exists.
    assert_eq!(client.versions("other").await, [""; 0]);
    assert_eq!(client.nupkg("other", "1.0.0").await.status, StatusCode::NOT_FOUND);
    assert_eq!(client.versions("acme.core").await, ["1.0.0"]);
}

#[tokio::test]
async fn a_key_may_come_as_the_password_of_basic_credentials() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&package("Acme", "1.0.0", "x")).await;
    let stranger = feed.stranger();
    let basic = |password: &str, scheme: &str| {
        let value = format!("{scheme} {}", BASE64_STANDARD.encode(format!("any:{password}")));
        http::Request::get("/v3/package/acme/index.json").header("authorization", value)
    };
    let answer = stranger.send(basic(owner.key(), "Basic"), "").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(stranger.send(basic(owner.key(), "basic"), "").await.status, StatusCode::OK);
    for (password, scheme) in [("wrong", "Basic"), ("", "Basic"), (owner.key(), "Bearer")] {
        let answer = stranger.send(basic(password, scheme), "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_ne!(answer.header("www-authenticate"), "");
    }
    let garbage =
        http::Request::get("/v3/package/acme/index.json").header("authorization", "Basic ?");
    assert_eq!(stranger.send(garbage, "").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_anonymous_feed_is_open_to_readers_and_not_to_writers() {
    let read_access = ReadAccess::Anonymous;
    let feed = TestFeed::with(FeedOptions { read_access, ..FeedOptions::default() }).await;
    feed.owner().await.push(&package("Acme", "1.0.0", "x")).await;
    let stranger = feed.stranger();
    assert_eq!(stranger.versions("acme").await, ["1.0.0"]);
    let push = stranger.push(&package("Acme", "2.0.0", "x")).await;
    assert_eq!(push.status, StatusCode::UNAUTHORIZED);
    assert_eq!(stranger.delete("Acme/1.0.0").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_write_without_an_authorizer_is_refused_by_the_function_itself() {
    let feed = TestFeed::start().await;
    let request = |method, proxy: &str| {
        let mut request =
            http::Request::builder().method(method).body(protocol::Body::empty()).unwrap();
        let parameters = [("proxy".to_owned(), proxy.to_owned())].into();
        request.extensions_mut().insert(protocol::PathParameters(parameters));
        request
    };
    let functions = feed.functions();
    let [push, unlist, relist] =
        ["push", "unlist", "relist"].map(|name| nuthatch_tests::verb(name, &functions));
    for reply in [
        push.handle(request(Method::PUT, "")).await,
        unlist.handle(request(Method::DELETE, "Acme/1.0.0")).await,
        relist.handle(request(Method::POST, "Acme/1.0.0")).await,
    ] {
        assert_eq!(reply.status(), StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stranger_is_refused_before_the_body_is_read() {
    struct Endless;
    impl http_body::Body for Endless {
        type Data = bytes::Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
            std::task::Poll::Pending
        }
    }
    let stranger = TestFeed::start().await.stranger();
    let push = http::Request::put("/api/v2/package/");
    let refused = stranger.send(push, protocol::Body::stream(Endless));
    let refused = tokio::time::timeout(std::time::Duration::from_mins(1), refused).await;
    assert_eq!(refused.unwrap().status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_secret_is_nowhere_in_the_table() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&package("Acme", "1.0.0", "x")).await;
    let scan = feed.aws.dynamodb.scan().table_name("nuthatch").send().await.unwrap();
    let table = format!("{:?}", scan.items());
    assert!(table.contains("owner"));
    let secret = &owner.key()["nuthatch_".len()..];
    assert!(!table.contains(&secret[..20]));
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_stops_within_a_minute() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    owner.push(&package("Acme", "1.0.0", "x")).await;
    feed.table().revoke_key(&"owner".parse().unwrap(), "tests").await.unwrap();
    tokio::time::advance(std::time::Duration::from_secs(61)).await;
    let answer = owner.push(&package("Acme", "2.0.0", "x")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

proptest::proptest! {
    #[test]
    fn a_glob_without_a_star_is_an_id(id in "[A-Za-z0-9_]{1,8}(\\.[A-Za-z0-9_]{1,8}){0,2}") {
        let glob: access::IdGlob = id.parse().unwrap();
        proptest::prop_assert!(glob.matches(&PackageId::parse(&id.to_uppercase()).unwrap()));
        let longer = format!("{id}x");
        proptest::prop_assert!(!glob.matches(&PackageId::parse(&longer).unwrap()));
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "\\PC*") {
        let _ = text.parse::<access::ApiKey>();
        let _ = text.parse::<access::IdGlob>();
        let _ = protocol::package_version(&text);
    }
}

#[tokio::test]
async fn keys_are_listed_by_name_also_those_revoked() {
    let feed = TestFeed::start().await;
    for name in ["b", "a"] {
        feed.client(name, &[Scope::Read], &["*"]).await;
    }
    assert!(feed.table().revoke_key(&"b".parse().unwrap(), "tests").await.unwrap());
    let keys = feed.table().keys().await.unwrap().into_iter();
    let keys: Vec<_> =
        keys.map(|key| (key.name.as_str().to_owned(), key.revoked.is_some())).collect();
    assert_eq!(keys, [("a".to_owned(), false), ("b".to_owned(), true)]);
}

#[tokio::test]
async fn a_reader_hears_what_is_the_matter_with_its_key() {
    let feed = TestFeed::start().await;
    let pusher = feed.client("pusher", &[Scope::Push], &["*"]).await;
    let revoked = feed.client("revoked", &[Scope::Read], &["*"]).await;
    feed.table().revoke_key(&"revoked".parse().unwrap(), "tests").await.unwrap();
    for (client, words) in [
        (pusher.with_key("mistyped"), "does not know this API key"),
        (pusher.with_key(access::ApiKey::generate().unwrap().reveal()), "does not know"),
        (revoked, "has expired or was revoked"),
        (expired(&feed).await, "has expired or was revoked"),
        (pusher, "use one with the scope read"),
    ] {
        let answer = client.get("/v3/package/acme/index.json").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert!(answer.refusal().contains(words), "{}", answer.refusal());
        assert_eq!(answer.header("x-nuget-warning"), "");
        assert_ne!(answer.header("www-authenticate"), "");
    }
}

#[tokio::test]
async fn a_key_that_may_push_alone_brings_nothing_back() {
    let delete_behavior = feed::DeleteBehavior::Delete;
    let feed = TestFeed::with(FeedOptions { delete_behavior, ..FeedOptions::default() }).await;
    let owner = feed.owner().await;
    let pusher = feed.client("pusher", &[Scope::Push], &["*"]).await;
    let both = feed.client("both", &[Scope::Push, Scope::Unlist], &["*"]).await;
    let bytes = package("Acme", "1.0.0", "x");
    pusher.push(&bytes).await.expect(StatusCode::CREATED);
    owner.delete("Acme/1.0.0").await.expect(StatusCode::NO_CONTENT);
    let refused = pusher.push(&bytes).await.expect(StatusCode::FORBIDDEN);
    assert!(refused.refusal().contains("a key with the scope unlist"), "{}", refused.refusal());
    assert!(owner.versions("acme").await.is_empty());
    assert_eq!(pusher.push(&package("Acme", "1.0.0", "y")).await.status, StatusCode::CONFLICT);
    both.push(&bytes).await.expect(StatusCode::CREATED);
    assert_eq!(owner.versions("acme").await, ["1.0.0"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_revoked_while_a_package_arrived_pushes_nothing() {
    let feed = TestFeed::with(FeedOptions { in_memory: true, ..FeedOptions::default() }).await;
    let owner = feed.owner().await;
    let pusher = feed.client("pusher", &[Scope::Push], &["*"]).await;
    let bytes = package("Late", "1.0.0", "x");
    let (sender, receiver) = tokio::sync::mpsc::channel::<bytes::Bytes>(1);
    let body = protocol::Body::stream(crate::large::Arriving(receiver));
    let pushing =
        tokio::spawn(async move { pusher.send(http::Request::put("/api/v2/package"), body).await });
    // The channel has room for one piece: once both are sent, the first has arrived.
    for piece in bytes[..10].chunks(5) {
        sender.send(bytes::Bytes::copy_from_slice(piece)).await.unwrap();
    }
    feed.table().revoke_key(&"pusher".parse().unwrap(), "tests").await.unwrap();
    tokio::time::advance(std::time::Duration::from_mins(2)).await;
    sender.send(bytes::Bytes::copy_from_slice(&bytes[10..])).await.unwrap();
    drop(sender);
    let refused = pushing.await.unwrap().expect(StatusCode::FORBIDDEN);
    assert!(refused.refusal().contains("has expired or was revoked"), "{}", refused.refusal());
    assert!(owner.versions("late").await.is_empty());
    assert!(feed.objects().await.is_empty());
}
