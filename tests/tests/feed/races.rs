//! Many at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use access::Scope;
use http::StatusCode;
use nuthatch_tests::{Fault, Faults, FeedOptions, TestFeed};
use tokio::task::JoinSet;

use crate::package;

#[tokio::test(flavor = "multi_thread")]
async fn of_64_racing_pushes_of_one_version_exactly_one_wins() {
    const CLIENTS: usize = 64;
    const ROUNDS: usize = 20;
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    for round in 0..ROUNDS {
        let id = format!("Race{round}");
        let mut racing = JoinSet::new();
        for client in 0..CLIENTS {
            // Half of the clients meet another instance of the functions.
            let feed = if client % 2 == 0 { feed.clone() } else { feed.another_instance() };
            let (owner, bytes) = (owner.at(&feed), package(&id, "1.0.0", &format!("{client}")));
            racing.spawn(async move { (owner.push(&bytes).await.status, bytes) });
        }
        let raced = racing.join_all().await;
        let won: Vec<_> =
            raced.iter().filter(|(status, _)| *status == StatusCode::CREATED).collect();
        let lost = raced.iter().filter(|(status, _)| *status == StatusCode::CONFLICT).count();
        assert_eq!((won.len(), lost), (1, CLIENTS - 1), "round {round}");
        assert_eq!(owner.nupkg(&id.to_lowercase(), "1.0.0").await.body, won[0].1, "round {round}");
    }
    // The pushes that lost removed their own objects.
    assert_eq!(feed.objects().await.len(), ROUNDS);
    assert_eq!(feed.changes().await.len(), ROUNDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn tries_of_one_push_that_overlap_all_succeed() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let bytes = package("Acme", "1.0.0", "x");
    let mut racing = JoinSet::new();
    for _ in 0..8 {
        let (owner, bytes) = (owner.clone(), bytes.clone());
        racing.spawn(async move { owner.push_in_session(&bytes, Some("session")).await.status });
    }
    assert_eq!(racing.join_all().await, [StatusCode::CREATED; 8]);
    assert_eq!(feed.objects().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_a_new_id_pushed_at_once_do_not_hinder_each_other() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let mut racing = JoinSet::new();
    for minor in 0..32 {
        let (owner, bytes) = (owner.clone(), package("Acme", &format!("1.{minor}"), "x"));
        racing.spawn(async move { owner.push(&bytes).await.status });
    }
    assert_eq!(racing.join_all().await, [StatusCode::CREATED; 32]);
    assert_eq!(owner.versions("acme").await.len(), 32);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_racing_a_restore_never_removes_what_is_visible() {
    use feed::DeleteBehavior;
    use nuthatch_tests::FeedOptions;
    let delete_behavior = DeleteBehavior::Delete;
    let feed = TestFeed::with(FeedOptions { delete_behavior, ..FeedOptions::default() }).await;
    let owner = feed.owner().await;
    let bytes = package("Acme", "1.0.0", "x");
    for round in 0..20 {
        owner.push(&bytes).await;
        let mut racing = JoinSet::new();
        for _ in 0..4 {
            let (owner, bytes) = (owner.clone(), bytes.clone());
            racing.spawn(async move {
                owner.delete("Acme/1.0.0").await;
                owner.push(&bytes).await;
            });
        }
        racing.join_all().await;
        let visible = !owner.versions("acme").await.is_empty();
        let answer = owner.nupkg("acme", "1.0.0").await;
        assert_eq!(answer.status == StatusCode::OK, visible, "round {round}");
        assert!(!visible || answer.body == bytes, "round {round}");
    }
}

/// Pushes `count` packages at once over sockets, each with one of `keys` keys; gives the
/// statuses.
async fn crowd(count: usize, keys: usize, id: impl Fn(usize) -> String) -> Vec<StatusCode> {
    use nuthatch_tests::{Server, framed, run, try_send_to};
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &[]);
    let keys: Vec<String> = (0..keys)
        .map(|key| {
            let create = ["key", "create", &format!("k{key}"), "--scope", "push"];
            String::from_utf8(run(&create, data.path()).stdout).unwrap().trim().to_owned()
        })
        .collect();
    let mut pushing = JoinSet::new();
    for number in 0..count {
        let (content_type, body) = framed(&package(&id(number), "1.0.0", &number.to_string()));
        let request = http::Request::put("/api/v2/package/")
            .header("content-type", content_type)
            .header("x-nuget-apikey", &keys[number % keys.len()]);
        let address = server.address.clone();
        pushing.spawn(async move { try_send_to(&address, request, body).await.unwrap().status });
    }
    pushing.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_200_pushes_at_once_all_go_in_with_one_key_and_with_64() {
    for keys in [1, 64] {
        let statuses = crowd(200, keys, |number| format!("Acme{number}")).await;
        assert_eq!(statuses, [StatusCode::CREATED; 200], "{keys} keys");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_200_pushes_of_one_version_one_goes_in_and_the_others_hear_so() {
    for keys in [1, 64] {
        let mut statuses = crowd(200, keys, |_| "Acme".to_owned()).await;
        statuses.sort_unstable();
        assert_eq!(statuses[0], StatusCode::CREATED, "{keys} keys");
        assert_eq!(statuses[1..], [StatusCode::CONFLICT; 199], "{keys} keys");
    }
}

/// The call that commits a push, after those for the key, its use, the row and the object.
const COMMIT: usize = 4;

#[tokio::test(start_paused = true)]
async fn a_push_that_meets_other_transactions_waits_for_its_turn() {
    let feed = TestFeed::with(FeedOptions { quick: true, ..FeedOptions::default() }).await;
    let owner = feed.owner().await;
    let faults = Faults::at((COMMIT..8).map(|call| (call, Fault::Conflict)));
    let bytes = package("Acme", "1.0.0", "x");
    owner.at(&feed.meeting(&faults)).push(&bytes).await.expect(StatusCode::CREATED);
    assert!(faults.calls() > 8, "{}", faults.calls());
    assert_eq!(owner.versions("acme").await, ["1.0.0"]);
}

#[tokio::test(start_paused = true)]
async fn a_push_that_meets_other_transactions_for_ever_is_told_to_come_back() {
    let feed = TestFeed::with(FeedOptions { quick: true, ..FeedOptions::default() }).await;
    let owner = feed.owner().await;
    let faults = Faults::at((COMMIT..1_000).map(|call| (call, Fault::Conflict)));
    let refused = owner.at(&feed.meeting(&faults)).push(&package("Acme", "1.0.0", "x")).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.header("retry-after"), "2");
    // The pauses between tries grow, so there are not many tries.
    assert!((20..100).contains(&faults.calls()), "{}", faults.calls());
}

#[tokio::test]
async fn many_keys_push_at_once_and_none_waits_twice_as_long_as_another() {
    const KEYS: usize = 64;
    const PUSHES: usize = 8;
    let feed =
        TestFeed::with(FeedOptions { pushes: 1, quick: true, ..FeedOptions::default() }).await;
    // One place for a large package is sixteen for these.
    let mut clients = Vec::new();
    for key in 0..KEYS {
        let client = feed.client(&format!("key-{key}"), &[Scope::Push], &["*"]).await;
        // The feed remembers the key, so that all ask for a permit at once.
        client.push(b"nonsense").await.expect(StatusCode::BAD_REQUEST);
        clients.push(client);
    }
    let done = AtomicUsize::new(0);
    let pushes = (0..KEYS * PUSHES).map(|number| {
        let (key, push) = (number % KEYS, number / KEYS);
        let (client, done) = (&clients[key], &done);
        async move {
            let bytes = package(&format!("Key{key}"), &format!("{push}.0.0"), "x");
            client.push(&bytes).await.expect(StatusCode::CREATED);
            (key, done.fetch_add(1, Ordering::Relaxed) + 1)
        }
    });
    let mut waited = [0; KEYS];
    for (key, place) in futures_util::future::join_all(pushes).await {
        waited[key] = place.max(waited[key]);
    }
    let (shortest, longest) = (waited.iter().min().unwrap(), waited.iter().max().unwrap());
    assert!(longest <= &(2 * shortest), "{waited:?}");
}
