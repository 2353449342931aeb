//! Quotas: how much is refused, how exactly, in which words, and what is given back.

use access::{Quota, QuotaLimits, Scope};
use feed::DeleteBehavior;
use http::StatusCode;
use nuthatch_tests::{
    AssemblyBuilder, Client, FeedOptions, PackageBuilder, Pdb, TestFeed, run, symbols,
};
use store::{Clock, Ledger, QuotaSet};
use time::macros::datetime;

use crate::package;
use crate::served::Served;

/// A feed where deletes delete, at a set time.
async fn start() -> (TestFeed, Clock) {
    let clock = Clock::at(datetime!(2027-01-31 12:00 UTC));
    let delete_behavior = DeleteBehavior::Delete;
    let options = FeedOptions { delete_behavior, ..FeedOptions::default() };
    (TestFeed::with(options).await.by_clock(&clock), clock)
}

fn ledger(feed: &TestFeed, clock: &Clock) -> Ledger {
    let objects = store::Objects::new(feed.aws.s3.clone(), store::BucketName::default());
    Ledger { table: feed.table().by_clock(clock.clone()), objects }
}

/// Sets a quota of a key, or of packages where there is no such key.
async fn set(feed: &TestFeed, clock: &Clock, subject: &str, limits: QuotaLimits) {
    let ledger = ledger(feed, clock);
    let mut quota = Quota::new("quota".parse().unwrap(), limits);
    quota.keys = match subject.parse() {
        Ok(key) => ledger.table.with_successors(&key).await.unwrap(),
        Err(_) => Vec::new(),
    };
    quota.id = quota.keys.is_empty().then(|| subject.parse().unwrap());
    assert_eq!(ledger.set_quota(quota, "tests").await.unwrap(), QuotaSet::Done);
}

fn bytes(bytes: usize) -> QuotaLimits {
    QuotaLimits { bytes: Some(bytes as u64), ..QuotaLimits::default() }
}

async fn stored(feed: &TestFeed) -> i64 {
    feed.table().quotas(&["quota".parse().unwrap()]).await.unwrap()[0].stored
}

async fn team(feed: &TestFeed) -> Client {
    feed.client("team", &[Scope::Push, Scope::Unlist], &["Team.*"]).await
}

/// A length, to be added and subtracted.
fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap()
}

/// A package whose size is the same for every version of one digit.
fn some(version: &str) -> Vec<u8> {
    package("Team.A", version, "x")
}

#[tokio::test]
async fn a_full_quota_refuses_in_words_and_a_delete_makes_room() {
    let (feed, clock) = start().await;
    let (team, size) = (team(&feed).await, some("1.0.0").len());
    for version in ["2.0.0", "3.0.0"] {
        assert_eq!(some(version).len(), size, "the test is about packages of one size");
    }
    set(&feed, &clock, "team", bytes(2 * size)).await;
    for version in ["1.0.0", "2.0.0"] {
        team.push(&some(version)).await.expect(StatusCode::CREATED);
    }
    let refused = team.push(&some("3.0.0")).await;
    let words = format!(
        "403 the quota 'quota' has room for {}, {} of them are taken, and this push needs {} more; \
         delete versions, or ask the feed's owner for more room",
        usage::ByteSize(2 * size as u64),
        usage::ByteSize(2 * size as u64),
        usage::ByteSize(size as u64),
    );
    assert_eq!(refused.refusal(), words);
    assert_eq!(feed.objects().await.len(), 2, "nothing was stored");
    team.push(&some("1.0.0")).await.expect(StatusCode::CONFLICT);
    team.delete("Team.A/1.0.0").await.expect(StatusCode::NO_CONTENT);
    assert_eq!(stored(&feed).await, signed(size));
    team.push(&some("3.0.0")).await.expect(StatusCode::CREATED);
    assert_eq!(stored(&feed).await, 2 * signed(size));
}

#[tokio::test]
async fn a_key_without_quotas_makes_no_call_more_and_one_with_quotas_makes_one() {
    let (feed, clock) = start().await;
    let (owner, team) = (feed.owner().await, team(&feed).await);
    set(&feed, &clock, "team", bytes(1 << 20)).await;
    owner.push(&some("1.0.0")).await.expect(StatusCode::CREATED);
    let push = ["GetItem", "PUT object", "TransactWriteItems", "PUT object"];
    assert_eq!(feed.calls.take()[2..], push, "after the look at the key and the note of its use");
    team.push(&some("2.0.0")).await.expect(StatusCode::CREATED);
    let counted = ["GetItem", "BatchGetItem", "PUT object", "TransactWriteItems", "PUT object"];
    assert_eq!(feed.calls.take()[2..], counted);
    team.push(&some("2.0.0")).await.expect(StatusCode::CONFLICT);
    assert_eq!(feed.calls.take(), ["GetItem"]);
    team.delete("Team.A/2.0.0").await.expect(StatusCode::NO_CONTENT);
    let delete = ["BatchGetItem", "PUT object", "TransactWriteItems", "DELETE object"];
    assert_eq!(feed.calls.take(), delete, "as without quotas");
}

#[tokio::test]
async fn a_quota_of_packages_counts_the_pushes_of_every_key() {
    let (feed, clock) = start().await;
    let (owner, team, size) = (feed.owner().await, team(&feed).await, some("1.0.0").len());
    set(&feed, &clock, "Team.*", bytes(2 * size + size / 2)).await;
    owner.push(&some("1.0.0")).await.expect(StatusCode::CREATED);
    team.push(&some("2.0.0")).await.expect(StatusCode::CREATED);
    owner.push(&some("3.0.0")).await.expect(StatusCode::FORBIDDEN);
    owner.push(&package("Other.A", "3.0.0", "x")).await.expect(StatusCode::CREATED);
    let late = feed.client("late", &[Scope::Push], &["Team.A"]).await;
    late.push(&some("3.0.0")).await.expect(StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_is_there_already_counts_and_so_does_what_did_not_know_of_the_quota() {
    let (feed, clock) = start().await;
    let team = team(&feed).await;
    let sizes = |versions: &[&str]| versions.iter().map(|it| signed(some(it).len())).sum::<i64>();
    team.push(&some("1.0.0")).await.expect(StatusCode::CREATED);
    clock.set(datetime!(2027-02-01 12:00 UTC));
    // This instance remembers the key as it is without the quota.
    team.push(&some("2.0.0")).await.expect(StatusCode::CREATED);
    set(&feed, &clock, "Team.*", bytes(1 << 20)).await;
    assert_eq!(stored(&feed).await, sizes(&["1.0.0"]), "the change of the last minute comes later");
    team.push(&some("3.0.0")).await.expect(StatusCode::CREATED);
    let informed = feed.another_instance().by_clock(&clock);
    team.at(&informed).push(&some("4.0.0")).await.expect(StatusCode::CREATED);
    assert_eq!(stored(&feed).await, sizes(&["1.0.0", "4.0.0"]));
    clock.set(datetime!(2027-02-01 12:02 UTC));
    feed.meter().await;
    let all = sizes(&["1.0.0", "2.0.0", "3.0.0", "4.0.0"]);
    assert_eq!(stored(&feed).await, all);
    // Neither of the two knew of the quota, so the delete is counted afterwards, too.
    team.at(&informed).delete("Team.A/1.0.0").await.expect(StatusCode::NO_CONTENT);
    assert_eq!(stored(&feed).await, all);
    clock.set(datetime!(2027-02-01 12:04 UTC));
    feed.meter().await;
    feed.meter().await;
    assert_eq!(stored(&feed).await, all - sizes(&["1.0.0"]));
}

#[tokio::test]
async fn pushes_are_counted_by_the_day_and_the_next_day_has_them_again() {
    let (feed, clock) = start().await;
    let limits = QuotaLimits { pushes_per_day: Some(2), ..QuotaLimits::default() };
    let team = team(&feed).await;
    set(&feed, &clock, "team", limits).await;
    for version in ["1.0.0", "2.0.0"] {
        team.push(&some(version)).await.expect(StatusCode::CREATED);
    }
    let refused = team.push(&some("3.0.0")).await;
    assert_eq!(
        refused.refusal(),
        "403 the quota 'quota' allows 2 pushes a day, and they were made today; push again after \
         midnight (UTC), or ask the feed's owner to allow more"
    );
    clock.set(datetime!(2027-01-31 23:59:45 UTC));
    let soon = team.push(&some("3.0.0")).await.expect(StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(soon.header("retry-after"), "16");
    clock.set(datetime!(2027-02-01 00:00 UTC));
    for version in ["3.0.0", "4.0.0"] {
        team.push(&some(version)).await.expect(StatusCode::CREATED);
    }
    team.push(&some("5.0.0")).await.expect(StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_clock_that_is_behind_counts_on_the_day_of_the_one_ahead() {
    let (feed, clock) = start().await;
    let limits = QuotaLimits { pushes_per_day: Some(3), ..QuotaLimits::default() };
    let team = team(&feed).await;
    set(&feed, &clock, "team", limits).await;
    let ahead = feed.by_clock(&Clock::at(datetime!(2027-02-01 00:00:05 UTC)));
    team.at(&ahead).push(&some("1.0.0")).await.expect(StatusCode::CREATED);
    clock.set(datetime!(2027-01-31 23:59:50 UTC));
    for version in ["2.0.0", "3.0.0"] {
        team.push(&some(version)).await.expect(StatusCode::CREATED);
    }
    team.push(&some("4.0.0")).await.expect(StatusCode::TOO_MANY_REQUESTS);
    team.at(&ahead).push(&some("4.0.0")).await.expect(StatusCode::FORBIDDEN);
    // A clock that is wrong by a year stops nobody for a year.
    let wrong = feed.by_clock(&Clock::at(datetime!(2028-02-01 00:00 UTC)));
    team.at(&wrong).push(&some("4.0.0")).await.expect(StatusCode::CREATED);
    team.push(&some("5.0.0")).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn a_package_may_be_too_large_for_a_quota() {
    let (feed, clock) = start().await;
    let (team, size) = (team(&feed).await, some("1.0.0").len() as u64);
    let limits = QuotaLimits { package_bytes: Some(size), ..QuotaLimits::default() };
    set(&feed, &clock, "team", limits).await;
    team.push(&some("1.0.0")).await.expect(StatusCode::CREATED);
    let large = PackageBuilder::new("Team.A", "2.0.0").file("x", &random_bytes(5_000)).build();
    let refused = team.push(&large).await.expect(StatusCode::FORBIDDEN);
    assert!(refused.refusal().contains("allows packages of up to"), "{}", refused.refusal());
}

#[tokio::test]
async fn symbols_take_their_bytes_and_give_back_those_that_they_replace() {
    let (feed, clock) = start().await;
    let team = team(&feed).await;
    let pdb = Pdb::new(b"one");
    let nupkg = PackageBuilder::new("Team.A", "1.0.0")
        .file("lib/A.dll", &AssemblyBuilder::of(&pdb).build())
        .build();
    let of = |more: usize| {
        let symbols = symbols("Team.A", "1.0.0").file("lib/A.pdb", &pdb.bytes);
        symbols.file("LICENSE", &vec![b'x'; more]).build()
    };
    let (first, second) = (of(10), of(20));
    let room = nupkg.len() + first.len().max(second.len());
    set(&feed, &clock, "team", bytes(room)).await;
    team.push(&nupkg).await.expect(StatusCode::CREATED);
    team.push_symbols(&first).await.expect(StatusCode::CREATED);
    assert_eq!(stored(&feed).await, signed(nupkg.len() + first.len()));
    team.push_symbols(&second).await.expect(StatusCode::CREATED);
    assert_eq!(stored(&feed).await, signed(nupkg.len() + second.len()));
    let large = symbols("Team.A", "1.0.0").file("lib/A.pdb", &pdb.bytes);
    let large = large.file("LICENSE", &random_bytes(10_000)).build();
    team.push_symbols(&large).await.expect(StatusCode::FORBIDDEN);
    team.delete("Team.A/1.0.0").await.expect(StatusCode::NO_CONTENT);
    assert_eq!(stored(&feed).await, 0);
}

/// Bytes that do not get smaller in a package.
fn random_bytes(count: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(count).collect()
}

#[tokio::test]
async fn pushes_at_once_do_not_pass_a_quota() {
    let (feed, clock) = start().await;
    let (team, size) = (team(&feed).await, some("1.0.0").len());
    // The packages differ by some bytes.
    let limits = QuotaLimits { pushes_per_day: Some(7), ..bytes(5 * size + size / 2) };
    set(&feed, &clock, "team", limits).await;
    let pushes = (1..=9).map(|number| {
        let (team, bytes) = (team.clone(), some(&format!("{number}.0.0")));
        tokio::spawn(async move { (team.push(&bytes).await.status, signed(bytes.len())) })
    });
    let mut taken = Vec::new();
    for push in pushes.collect::<Vec<_>>() {
        match push.await.unwrap() {
            (StatusCode::CREATED, size) => taken.push(size),
            (status, _) => assert_eq!(status, StatusCode::FORBIDDEN),
        }
    }
    assert_eq!(taken.len(), 5);
    assert_eq!(stored(&feed).await, taken.iter().sum::<i64>());
    assert_eq!(feed.objects().await.len(), 5, "those that were refused left nothing");
}

#[tokio::test]
async fn a_successor_shares_the_quota_of_its_key() {
    let feed = Served::start(&[]);
    let done = |arguments: &[&str]| {
        let output = run(arguments, feed.data.path());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let key = done(&["key", "create", "ci", "--scope", "push"]);
    let set = done(&["quota", "set", "ci-a-day", "--key", "ci", "--pushes-per-day", "2"]);
    assert!(set.contains("ci-a-day  key ci  0 B     0 of 2        -"), "{set}");
    let next = done(&["key", "rotate", "ci"]);
    let push = async |key: &str, version: &str| {
        let (kind, body) = nuthatch_tests::framed(&package("Acme", version, "x"));
        let request = http::Request::put("/api/v2/package/").header("content-type", kind);
        feed.server.send(request.header("x-nuget-apikey", key), body).await.status
    };
    assert_eq!(push(&key, "1.0.0").await, StatusCode::CREATED);
    assert_eq!(push(&next, "2.0.0").await, StatusCode::CREATED);
    assert_eq!(push(&next, "3.0.0").await, StatusCode::FORBIDDEN);
    let listed = done(&["quota", "list"]);
    assert!(listed.contains("key ci,ci-2") && listed.contains("2 of 2"), "{listed}");
    let other =
        run(&["quota", "set", "ci-a-day", "--id", "A*", "--bytes", "1GB"], feed.data.path());
    assert!(String::from_utf8_lossy(&other.stderr).contains("a name is never used again"));
    let nobody = run(&["quota", "set", "x", "--key", "nobody", "--bytes", "1GB"], feed.data.path());
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("there is no key 'nobody'"));
    let less = done(&["quota", "set", "ci-a-day", "--key", "ci", "--bytes", "1GB"]);
    assert!(less.contains("of 1 GB") && !less.contains("of 2"), "the new limits alone: {less}");
    done(&["quota", "remove", "ci-a-day"]);
    assert_eq!(done(&["quota", "list"]).lines().count(), 1);
    let kinds = done(&["log", "--kind", "quota-set", "--json"]);
    assert_eq!(kinds.lines().count(), 2);
}
