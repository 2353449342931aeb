//! Several verbs at once, stepped through every order of their AWS calls; if there are too
//! many orders, through random ones.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::extent::{Dice, share};
use feed::DeleteBehavior;
use http::StatusCode;
use nuthatch_tests::{Client, FeedOptions, Idle, PackageBuilder, TestFeed, Turns};
use tokio::task::JoinHandle;
use ulid::Ulid;

use crate::verb::{Deed, Symbols, Told, Verb, with_assemblies};
use crate::world::{Seen, check_quota, counted, look, look_at_symbols, set_quota};

/// How many orders of a race are tried in sequence, unless `NUTHATCH_ORDERS` says how many.
/// If there are more, as many again are chosen at random.
const MOST: usize = 1_300;
/// Orders that share a feed, each with a package of its own.
const SHARED: usize = 100;

/// A race: the verbs that run at once, and the state of the version before.
#[derive(Clone, Copy)]
struct Race {
    name: &'static str,
    before: Seen,
    verbs: &'static [Verb],
    deletes: bool,
    /// Whether all of them commit the same upload.
    one_upload: bool,
    /// Whether the package has assemblies, and symbols.
    symbols: Before,
}

/// The symbols that a race begins with.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    /// None, and the race is not about any.
    NotOfSymbols,
    /// None, but the package has assemblies.
    Assemblies,
    /// Some, unless the version is deleted.
    Symbols,
}

const fn race(name: &'static str, before: Seen, verbs: &'static [Verb]) -> Race {
    Race { name, before, verbs, deletes: false, one_upload: false, symbols: Before::NotOfSymbols }
}

const fn deleting(name: &'static str, before: Seen, verbs: &'static [Verb]) -> Race {
    Race { deletes: true, ..race(name, before, verbs) }
}

const fn of_one_upload(race: Race) -> Race {
    Race { one_upload: true, ..race }
}

const PUSHES: &[Race] = &[
    race("push push", Seen::Absent, &[Verb::Push, Verb::Push]),
    race("push push push", Seen::Absent, &[Verb::Push, Verb::Push, Verb::Push]),
    race("push with files, twice", Seen::Absent, &[Verb::PushWithFiles, Verb::PushWithFiles]),
    race("push commit", Seen::Absent, &[Verb::Push, Verb::Commit]),
    race("commit commit", Seen::Absent, &[Verb::Commit, Verb::Commit]),
    of_one_upload(race("one upload, twice", Seen::Absent, &[Verb::Commit, Verb::Commit])),
    race("push versions download", Seen::Absent, &[Verb::Push, Verb::Versions, Verb::Download]),
];

const LISTINGS: &[Race] = &[
    race("push unlist", Seen::Absent, &[Verb::Push, Verb::Unlist]),
    race("push push unlist", Seen::Absent, &[Verb::Push, Verb::Push, Verb::Unlist]),
    race("push commit unlist", Seen::Absent, &[Verb::Push, Verb::Commit, Verb::Unlist]),
    race("unlist relist", Seen::Listed, &[Verb::Unlist, Verb::Relist]),
    race("unlist relist unlist", Seen::Listed, &[Verb::Unlist, Verb::Relist, Verb::Unlist]),
    race("unlist registration", Seen::Listed, &[Verb::Unlist, Verb::Registration]),
];

const DELETES: &[Race] = &[
    deleting("delete delete", Seen::Listed, &[Verb::Delete, Verb::Delete]),
    deleting("push delete", Seen::Absent, &[Verb::Push, Verb::Delete]),
    deleting("delete relist", Seen::Listed, &[Verb::Delete, Verb::Relist]),
    of_one_upload(deleting(
        "one upload, twice, and delete",
        Seen::Absent,
        &[Verb::Commit, Verb::Commit, Verb::Delete],
    )),
    deleting("push delete download", Seen::Absent, &[Verb::Push, Verb::Delete, Verb::Download]),
];

const RESTORES: &[Race] = &[
    deleting("delete restore", Seen::Listed, &[Verb::Delete, Verb::Restore]),
    deleting("delete restore delete", Seen::Listed, &[Verb::Delete, Verb::Restore, Verb::Delete]),
    deleting("restore restore", Seen::Deleted, &[Verb::Restore, Verb::Restore]),
    deleting("restore commit delete", Seen::Deleted, &[Verb::Restore, Verb::Commit, Verb::Delete]),
];

const SYMBOLS: &[Race] = &[
    with_symbols(race("symbols symbols", Seen::Listed, &[PUSH, PUSH])),
    with_symbols(race("symbols symbols symbols", Seen::Listed, &[PUSH, PUSH, PUSH])),
    with_symbols(race("symbols commit", Seen::Listed, &[PUSH, Verb::CommitSymbols])),
    with_symbols(race("symbols pdb", Seen::Listed, &[PUSH, Verb::Pdb])),
    with_symbols(deleting("symbols delete", Seen::Listed, &[PUSH, Verb::Delete])),
    with_symbols(deleting("commit delete", Seen::Listed, &[Verb::CommitSymbols, Verb::Delete])),
    with_symbols(deleting("delete pdb", Seen::Listed, &[Verb::Delete, Verb::Pdb])),
    with_symbols(deleting(
        "symbols delete restore",
        Seen::Listed,
        &[PUSH, Verb::Delete, Verb::Restore],
    )),
    with_symbols(deleting("symbols restore", Seen::Deleted, &[PUSH, Verb::Restore])),
    first(race("first symbols, twice", Seen::Listed, &[PUSH, PUSH])),
    first(deleting("first symbols and delete", Seen::Listed, &[PUSH, Verb::Delete])),
];

const PUSH: Verb = Verb::PushSymbols;

const fn with_symbols(race: Race) -> Race {
    Race { symbols: Before::Symbols, ..race }
}

const fn first(race: Race) -> Race {
    Race { symbols: Before::Assemblies, ..race }
}

/// Feeds to race on, a new one now and then.
struct Feeds<'a> {
    race: &'a Race,
    idle: &'a Idle,
    current: Option<(TestFeed, Client)>,
    orders: usize,
}

impl Feeds<'_> {
    async fn next(&mut self) -> (TestFeed, Client, String) {
        if self.orders.is_multiple_of(SHARED) {
            let delete_behavior =
                if self.race.deletes { DeleteBehavior::Delete } else { DeleteBehavior::Unlist };
            // Packages are received in both ways, in a file and in memory.
            let in_memory = delete_behavior == DeleteBehavior::Delete;
            let options =
                FeedOptions { delete_behavior, in_memory, quick: true, ..FeedOptions::default() };
            let feed = TestFeed::with(options).await;
            set_quota(&feed).await;
            let owner = feed.owner().await;
            self.current = Some((feed, owner));
        }
        self.orders += 1;
        let (feed, owner) = self.current.clone().unwrap();
        (feed, owner, format!("Race{}", self.orders))
    }

    /// Brings a version into the state that the race begins with; gives what was
    /// pushed, if anything was.
    async fn prepare(&self, owner: &Client, id: &str) -> Option<Vec<u8>> {
        if self.race.before == Seen::Absent {
            return None;
        }
        let package = match self.race.symbols {
            Before::NotOfSymbols => PackageBuilder::new(id, "1.0.0"),
            Before::Assemblies | Before::Symbols => with_assemblies(id),
        };
        let first = package.file("first.txt", b"first").build();
        owner.push(&first).await.expect(StatusCode::CREATED);
        if self.race.symbols == Before::Symbols {
            let snupkg = Symbols::of(id, 0).snupkg;
            owner.push_symbols(&snupkg).await.expect(StatusCode::CREATED);
        }
        if self.race.before == Seen::Deleted {
            owner.delete(&format!("{id}/1.0.0")).await.expect(StatusCode::NO_CONTENT);
        }
        Some(first)
    }
}

/// Runs a race in one order; gives the order with all its choices.
async fn run(
    feeds: &mut Feeds<'_>,
    choices: &[usize],
    chance: impl FnMut(usize) -> usize,
) -> nuthatch_tests::Order {
    let (feed, owner, id) = feeds.next().await;
    let before_all = counted(&feed).await;
    let since = Ulid::from_parts(Ulid::new().timestamp_ms(), 0);
    let first = feeds.prepare(&owner, &id).await;
    views(&owner, &id).await;
    let mut deeds = Vec::new();
    for (actor, verb) in feeds.race.verbs.iter().enumerate() {
        if feeds.race.one_upload && *verb == Verb::Commit && actor > 0 {
            deeds.push(Deed::clone(&deeds[0]));
            continue;
        }
        deeds.push(Deed::racing(*verb, actor, &feed, &owner, &id, first.as_deref()).await);
    }
    let turns = Turns::on(feeds.idle);
    let acting: Vec<JoinHandle<Told>> = deeds
        .iter()
        .map(|deed| {
            let actor = turns.actor();
            let (client, deed) = (owner.at(&feed.in_turn(&actor)), deed.clone());
            actor.does(async move { Box::pin(deed.act(&client)).await })
        })
        .collect();
    let (order, log) = turns.take(choices, chance).await;
    let mut told = Vec::new();
    for acting in acting {
        told.push(acting.await.unwrap());
    }
    let race = format!("{}, order {:?}:\n{}\n", feeds.race.name, order.choices(), log.join("\n"));
    judge(feeds.race, &feed, &owner, (&id, since), (first.as_deref(), &deeds, &told), &race).await;
    check_quota(&feed, &id, before_all, &race).await;
    // An instance that remembers the package from before the race follows it.
    let fresh = owner.at(&feed.another_instance());
    assert_eq!(views(&owner, &id).await, views(&fresh, &id).await, "{race}");
    order
}

/// The views of a package that an instance remembers.
async fn views(client: &Client, id: &str) -> [Bytes; 2] {
    let list = client.get(&format!("/v3/package/{}/index.json", id.to_lowercase())).await;
    [list.body, client.registration(id).await.body]
}

/// Checks the conditions that must hold when all verbs are done.
async fn judge(
    race: &Race,
    feed: &TestFeed,
    owner: &Client,
    (id, since): (&str, Ulid),
    (first, deeds, told): (Option<&[u8]>, &[Deed], &[Told]),
    case: &str,
) {
    let mut contents: Vec<&[u8]> = deeds.iter().map(|deed| deed.bytes.as_slice()).collect();
    contents.extend(first);
    let (seen, last) = look(feed, owner, id, &contents).await;
    let nothing_failed = told.iter().all(|told| !told.status.is_server_error());
    assert!(nothing_failed, "{case}{told:?}: nothing is broken, and something failed");
    let nothing_untrue = told.iter().all(|told| told.is_success || !told.status.is_success());
    assert!(nothing_untrue, "{case}{told:?}: what was read is not so");
    // Every success is in the log exactly once, and the row names the last of them.
    let changes = feed.changes_of(&id.to_lowercase(), since).await;
    let last = last.map(|change| changes[&change].clone());
    let expected = match last.as_deref() {
        None => Seen::Absent,
        Some("unlisted") => Seen::Unlisted,
        Some("deleted") => Seen::Deleted,
        Some(_) => Seen::Listed,
    };
    assert_eq!(seen, expected, "{case}{changes:?}: not what was done last");
    if race.symbols != Before::NotOfSymbols {
        let current = look_at_symbols(feed, owner, id).await;
        // The first ones, and each push that was acknowledged, unless the version was deleted.
        let successes = race.verbs.iter().zip(told).filter(|(verb, told)| {
            matches!(verb, Verb::PushSymbols | Verb::CommitSymbols) && told.is_success
        });
        let logged = changes.values().filter(|change| *change == "symbols").count();
        let before = usize::from(race.symbols == Before::Symbols);
        assert_eq!(logged, before + successes.clone().count(), "{case}{changes:?}: symbols");
        let has_changed = successes.count() > 0;
        match current {
            Some(0) => assert!(!has_changed, "{case}{told:?}: acknowledged symbols are lost"),
            Some(actor) => assert!(told[actor - 1].is_success, "{case}{told:?}: {actor}"),
            None => assert!(
                race.deletes || before == 0 && !has_changed,
                "{case}{told:?}: the symbols are lost"
            ),
        }
    }
    let pushed = changes.values().filter(|change| *change == "pushed").count();
    let deleted = changes.values().filter(|change| *change == "deleted").count();
    let begun = usize::from(race.before != Seen::Absent);
    let gone = usize::from(race.before == Seen::Deleted);
    let successes = |verbs: &[Verb]| {
        let of = race.verbs.iter().zip(told);
        of.filter(|(verb, told)| verbs.contains(verb) && told.is_success).count()
    };
    let by_push = successes(&[Verb::Push, Verb::PushWithFiles, Verb::Restore, Verb::Commit]);
    // A second commit of the same upload succeeds without adding to the log.
    let by_push = if race.one_upload { by_push.min(1) } else { by_push };
    assert_eq!(pushed, begun + by_push, "{case}{changes:?} {told:?}: pushes");
    // A version is deleted as often as it was pushed, or once less.
    assert!(deleted >= gone && pushed >= deleted && pushed - deleted <= 1, "{case}{changes:?}");
}

/// Runs orders of a race: all of them, if there are not more than `most`. Returns how many
/// were run, and whether they were all.
async fn orders(race: &Race, idle: &Idle, most: usize) -> (usize, bool) {
    let mut feeds = Feeds { race, idle, current: None, orders: 0 };
    let mut choices = Some(Vec::new());
    while let Some(next) = choices.take() {
        choices = Box::pin(run(&mut feeds, &next, |_| 0)).await.next();
        if feeds.orders == most {
            break;
        }
    }
    let all = choices.is_none();
    if !all {
        // The orders so far differ only near their ends; random orders differ anywhere.
        let mut dice = Dice::of(race.name);
        let mut chance = move |among: usize| dice.below(among);
        for _ in 0..most {
            Box::pin(run(&mut feeds, &[], &mut chance)).await;
        }
    }
    (feeds.orders, all)
}

/// Runs two races at a time, because some races mostly wait for a thread.
fn race_all(races: &[Race]) {
    let most =
        std::env::var("NUTHATCH_ORDERS").map_or_else(|_| share(MOST), |most| most.parse().unwrap());
    let (next, in_all) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let race_on = || {
        let (runtime, idle) = Idle::runtime();
        while let Some(race) = races.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (count, all) = runtime.block_on(orders(race, &idle, most));
            crate::say!(
                "{}: {count} orders{}",
                race.name,
                if all { ", all there are" } else { "" }
            );
            in_all.fetch_add(count, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(race_on);
        race_on();
        other.join().unwrap();
    });
    let in_all = in_all.into_inner();
    crate::say!("{in_all} orders, 0 violations");
    assert!(in_all > share(100), "{in_all}");
}

#[test]
fn races_of_pushes_end_well_in_every_order() {
    race_all(PUSHES);
}

#[test]
fn races_with_listings_end_well_in_every_order() {
    race_all(LISTINGS);
}

#[test]
fn races_with_deletes_end_well_in_every_order() {
    race_all(DELETES);
}

#[test]
fn races_with_symbols_end_well_in_every_order() {
    race_all(SYMBOLS);
}

#[test]
fn races_with_restores_end_well_in_every_order() {
    race_all(RESTORES);
}
