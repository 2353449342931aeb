//! Random histories over three months against a small model: usage, the log, counts of downloads
//! and quotas are what the model says, and a month that ended stays as it was.

mod model;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use access::{IdGlob, Quota, QuotaLimits, Scope};
use feed::DeleteBehavior;
use http::StatusCode;
use nuthatch_tests::{
    AssemblyBuilder, Client, FeedOptions, PackageBuilder, Pdb, TestFeed, symbols,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::Value;
use store::{Clock, QuotaSet};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::extent::{seed, share};
use model::{Known, Model, Moved, name};

/// Histories, and the steps of each.
const HISTORIES: usize = 500;
const STEPS: usize = 40;

const IDS: [&str; 2] = ["team.a", "other.b"];
const VERSIONS: [&str; 2] = ["1.0.0", "2.0.0"];
/// The first moment of a history; its quota has room for so many bytes.
const BEGIN: OffsetDateTime = datetime!(2027-01-20 10:15 UTC);
const ROOM: i64 = 2_500;

/// A step.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// One of two keys pushes one of two contents, in one of two sessions.
    Push {
        key: usize,
        version: usize,
        content: usize,
        session: usize,
    },
    /// Both keys push at once.
    Race {
        version: usize,
    },
    /// Symbols are pushed.
    Symbols {
        key: usize,
        version: usize,
    },
    Delete {
        key: usize,
        version: usize,
    },
    Relist,
    Download {
        version: usize,
    },
    /// A key is revoked, and another takes its place.
    NewKey {
        key: usize,
    },
    /// The scheduled run.
    Meter,
    /// Time passes.
    Minutes(i64),
    Hours(i64),
    Days(i64),
    /// Until a minute before the month ends, or to its very end.
    MonthEnd {
        before: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (key, version, content, session) = (0..2_usize, 0..4_usize, 0..2_usize, 0..2_usize);
    prop_oneof![
        8 => (key.clone(), version.clone(), content, session)
            .prop_map(|(key, version, content, session)| Step::Push { key, version, content, session }),
        2 => version.clone().prop_map(|version| Step::Race { version }),
        2 => (key.clone(), version.clone()).prop_map(|(key, version)| Step::Symbols { key, version }),
        5 => (key.clone(), version.clone()).prop_map(|(key, version)| Step::Delete { key, version }),
        5 => version.prop_map(|version| Step::Download { version }),
        1 => key.prop_map(|key| Step::NewKey { key }),
        1 => Just(Step::Relist),
        3 => Just(Step::Meter),
        2 => (1..90_i64).prop_map(Step::Minutes),
        3 => (1..40_i64).prop_map(Step::Hours),
        3 => (1..12_i64).prop_map(Step::Days),
        2 => any::<bool>().prop_map(|before| Step::MonthEnd { before }),
    ]
}

/// A feed and its model.
struct World {
    feed: TestFeed,
    clock: Clock,
    owner: Client,
    keys: [(String, Client); 2],
    made: usize,
    now: OffsetDateTime,
    model: Model,
}

impl World {
    async fn new() -> Self {
        let clock = Clock::at(BEGIN);
        let delete_behavior = DeleteBehavior::Delete;
        let options = FeedOptions { delete_behavior, quick: true, ..FeedOptions::default() };
        let feed = TestFeed::with(options).await.by_clock(&clock);
        let limits = QuotaLimits { bytes: Some(ROOM.unsigned_abs()), ..QuotaLimits::default() };
        let id: Option<IdGlob> = Some("team.*".parse().unwrap());
        let quota = Quota { id, ..Quota::new("team".parse().unwrap(), limits) };
        assert_eq!(feed.own_ledger().set_quota(quota, "tests").await.unwrap(), QuotaSet::Done);
        let owner = feed.owner().await;
        let keys = [key(&feed, 0).await, key(&feed, 1).await];
        Self { feed, clock, owner, keys, made: 2, now: BEGIN, model: Model::default() }
    }

    fn set(&mut self, now: OffsetDateTime) {
        self.now = now;
        self.clock.set(now);
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Push { key, version, content, session } => {
                self.push(key, version, content, session).await;
            }
            Step::Race { version } => Box::pin(self.race(version)).await,
            Step::Symbols { key, version } => self.push_symbols(key, version).await,
            Step::Delete { key, version } => self.delete(key, version).await,
            Step::Relist => self.relist().await,
            Step::Download { version } => self.download(version).await,
            Step::NewKey { key: place } => {
                let name = self.keys[place].0.parse().unwrap();
                self.feed.table().revoke_key(&name, "tests").await.unwrap();
                self.keys[place] = key(&self.feed, self.made).await;
                self.made += 1;
            }
            Step::Meter => {
                self.feed.another_instance().meter().await;
                self.model.write_down(self.now);
            }
            Step::Minutes(minutes) => self.set(self.now + Duration::minutes(minutes)),
            Step::Hours(hours) => self.set(self.now + Duration::hours(hours)),
            Step::Days(days) => self.set(self.now + Duration::days(days)),
            Step::MonthEnd { before } => {
                let end = usage::Month::of(self.now).end();
                self.set(if before { end - Duration::minutes(1) } else { end });
            }
        }
        // Nobody runs it in the minute in which clocks may differ.
        if self.now.hour() == 0
            && self.now.minute() < 2
            && matches!(step, Step::MonthEnd { before: false })
        {
            self.download(0).await;
            self.set(self.now + Duration::minutes(2));
        }
    }

    /// The answer that a push of a version would get, and whether it changes anything.
    fn verdict(
        &self,
        key: usize,
        number: usize,
        content: usize,
        session: usize,
    ) -> (StatusCode, bool) {
        let size = signed(package(number, content).len());
        match self.model.versions.get(&number) {
            Some(known) if !known.deleted => {
                let same = (known.content, known.session, known.key.as_str());
                let is_replay = same == (content, session, self.keys[key].0.as_str());
                (if is_replay { StatusCode::CREATED } else { StatusCode::CONFLICT }, false)
            }
            Some(known) if known.content != content => (StatusCode::CONFLICT, false),
            _ if number / 2 == 0 && self.model.counted() + size > ROOM => {
                (StatusCode::FORBIDDEN, false)
            }
            _ => (StatusCode::CREATED, true),
        }
    }

    async fn push(&mut self, key: usize, number: usize, content: usize, session: usize) {
        let (expected, changes) = self.verdict(key, number, content, session);
        let bytes = package(number, content);
        let (key, client) = self.keys[key].clone();
        let name = format!("session-{session}");
        let told = client.at(&self.feed).push_in_session(&bytes, Some(&name)).await;
        assert_eq!(told.status, expected, "{}", told.refusal());
        if changes {
            self.pushed(number, content, session, &key);
        }
    }

    fn pushed(&mut self, number: usize, content: usize, session: usize, key: &str) {
        let size = signed(package(number, content).len());
        let (key, now) = (key.to_owned(), self.now);
        self.model.moved(now, number, "pushed", &key, size, Vec::new());
        let known = Known { content, session, key, size, deleted: false, symbols: None };
        self.model.versions.insert(number, known);
    }

    async fn race(&mut self, number: usize) {
        let content = self.model.versions.get(&number).map_or(0, |known| known.content);
        let (expected, changes) = self.verdict(0, number, content, 9);
        let of_other = self.verdict(1, number, content, 9).0;
        let bytes = package(number, content);
        let [(one, first), (two, second)] = self.keys.clone();
        let (fresh, other) = (self.feed.another_instance(), self.feed.another_instance());
        let (first, second) = (first.at(&fresh), second.at(&other));
        let told = tokio::join!(
            first.push_in_session(&bytes, Some("session-9")),
            second.push_in_session(&bytes, Some("session-9"))
        );
        let won = [(told.0.status, one), (told.1.status, two)];
        let mut winners = won.iter().filter(|(status, _)| *status == StatusCode::CREATED);
        if changes {
            let (_, key) = winners.next().unwrap_or_else(|| panic!("{won:?}")).clone();
            assert!(winners.next().is_none(), "{won:?}");
            self.pushed(number, content, 9, &key);
        } else {
            assert_eq!([won[0].0, won[1].0], [expected, of_other]);
        }
    }

    async fn push_symbols(&mut self, key: usize, number: usize) {
        let (id, version) = name(number);
        let (key, client) = self.keys[key].clone();
        let Some(known) = self.model.versions.get(&number).filter(|known| !known.deleted) else {
            return;
        };
        let snupkg = symbols(id, version).file("A.pdb", &pdb(number, known.content).bytes).build();
        let size = signed(snupkg.len());
        let is_there = known.symbols.is_some();
        let has_room = number / 2 > 0 || self.model.counted() + size <= ROOM;
        let told = client.at(&self.feed).push_symbols(&snupkg).await.status;
        if is_there || has_room {
            assert_eq!(told, StatusCode::CREATED);
        } else {
            assert_eq!(told, StatusCode::FORBIDDEN);
        }
        if !is_there && has_room {
            let now = self.now;
            self.model.moved(now, number, "symbols", &key, size, Vec::new());
            self.model.versions.get_mut(&number).unwrap().symbols = Some((key, size));
        }
    }

    async fn delete(&mut self, key: usize, number: usize) {
        let (id, version) = name(number);
        let (key, client) = self.keys[key].clone();
        let told = client.at(&self.feed).delete(&format!("{id}/{version}")).await.status;
        let known = self.model.versions.get_mut(&number);
        let Some(known) = known else {
            assert_eq!(told, StatusCode::NOT_FOUND);
            return;
        };
        assert_eq!(told, StatusCode::NO_CONTENT);
        if known.deleted {
            return;
        }
        known.deleted = true;
        let mut freed = vec![(known.key.clone(), known.size)];
        freed.extend(known.symbols.take());
        let now = self.now;
        self.model.moved(now, number, "deleted", &key, 0, freed);
    }

    /// A request that is in the log of no byte: the version was listed, so nothing is written.
    async fn relist(&self) {
        let visible = self.model.versions.iter().find(|(_, known)| !known.deleted);
        let Some((number, _)) = visible else { return };
        let (id, version) = name(*number);
        let client = self.keys[0].1.at(&self.feed);
        client.relist(&format!("{id}/{version}")).await.expect(StatusCode::OK);
    }

    async fn download(&mut self, number: usize) {
        let (id, version) = name(number);
        let told = self.owner.at(&self.feed).nupkg(id, version).await.status;
        match self.model.versions.get(&number) {
            Some(known) if !known.deleted => {
                assert_eq!(told, StatusCode::OK);
                let day = self.now.date();
                self.model.downloads.push((number, day, known.key.clone(), known.size));
            }
            _ => assert_eq!(told, StatusCode::NOT_FOUND),
        }
    }

    /// Compares everything that the feed tells with the model.
    async fn compare(&mut self) -> Vec<(String, String)> {
        self.set(self.now + Duration::minutes(2));
        let fresh = self.feed.another_instance();
        let owner = self.owner.at(&fresh);
        let quota = fresh.table().quotas(&["team".parse().unwrap()]).await.unwrap().remove(0);
        assert_eq!(quota.stored, self.model.counted());
        let mut told = Vec::new();
        let mut after = String::new();
        loop {
            let page = owner.get(&format!("/v3/log?take=7{after}")).await.json();
            for item in page["items"].as_array().unwrap() {
                let text = |name: &str| item[name].as_str().unwrap().to_owned();
                told.push([text("change"), text("id"), text("version"), text("by")].join(" "));
            }
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        let changes = self.model.changes.iter();
        let mut expected: Vec<String> = changes
            .map(|moved| [moved.change, moved.id, moved.version, &moved.by].join(" "))
            .collect();
        // Those of one moment are in no order.
        told.sort_unstable();
        expected.sort_unstable();
        assert_eq!(told, expected);
        let mut ended = Vec::new();
        let mut month = usage::Month::of(BEGIN);
        while month.start() <= self.now {
            let until = month.end().min(hour_after(self.now));
            for by in ["key", "id", "id-prefix", "day", "verb"] {
                let path = format!("/v3/usage?month={month}&by={by}");
                let answer = owner.get(&path).await.expect(StatusCode::OK);
                self.check(&answer.json(), month, until);
                if answer.json()["complete"] == true {
                    ended.push((path, String::from_utf8(answer.body.to_vec()).unwrap()));
                }
            }
            month = month.next();
        }
        ended
    }

    /// Checks a report against the model.
    fn check(&self, report: &Value, month: usage::Month, until: OffsetDateTime) {
        let rows = report["rows"].as_array().unwrap();
        for (figure, total) in
            report["total"].as_object().unwrap().iter().filter(|it| it.0 != "name")
        {
            let sum: i64 = rows.iter().map(|row| row[figure].as_i64().unwrap()).sum();
            assert_eq!(Some(sum), total.as_i64(), "{figure} of {report}");
        }
        let is_in = |at: OffsetDateTime| usage::Month::of(at) == month;
        let of_month: Vec<&Moved> =
            self.model.changes.iter().filter(|moved| is_in(moved.at)).collect();
        let count = |change: &str| of_month.iter().filter(|moved| moved.change == change).count();
        let total = |figure: &str| report["total"][figure].as_i64().unwrap();
        assert_eq!(total("pushes"), signed(count("pushed")));
        assert_eq!(total("symbols"), signed(count("symbols")));
        assert_eq!(total("deletes"), signed(count("deleted")));
        assert_eq!(total("bytesTaken"), of_month.iter().map(|moved| moved.taken).sum::<i64>());
        let byte_hours = self.model.byte_hours((month.start(), until));
        assert_eq!(total("byteHours"), byte_hours.values().sum::<i64>(), "{report}");
        let written =
            self.model.written.iter().filter(|(day, _)| is_in(day.midnight().assume_utc()));
        let written: Vec<_> = written.map(|(_, number)| &self.model.downloads[*number]).collect();
        assert_eq!(total("downloads"), signed(written.len()), "{report}");
        assert_eq!(total("bytesSent"), written.iter().map(|it| it.3).sum::<i64>());
        if report["by"] == "key" {
            let told = rows.iter().map(|row| {
                (row["name"].as_str().unwrap().to_owned(), row["byteHours"].as_i64().unwrap())
            });
            let told: BTreeMap<String, i64> = told.filter(|(_, figure)| *figure != 0).collect();
            assert_eq!(told, byte_hours);
        }
    }
}

/// A length, to be added and subtracted.
fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap()
}

/// The end of the hour that has begun.
fn hour_after(now: OffsetDateTime) -> OffsetDateTime {
    let hours = now.unix_timestamp() / 3_600 + 1;
    OffsetDateTime::from_unix_timestamp(hours * 3_600).unwrap()
}

async fn key(feed: &TestFeed, number: usize) -> (String, Client) {
    let name = format!("key-{number}");
    let client = feed.client(&name, &[Scope::Push, Scope::Unlist], &["*"]).await;
    (name, client)
}

fn pdb(number: usize, content: usize) -> Pdb {
    Pdb::new(format!("{number} {content}").as_bytes())
}

fn package(number: usize, content: usize) -> Vec<u8> {
    let (id, version) = name(number);
    let assembly = AssemblyBuilder::of(&pdb(number, content)).build();
    PackageBuilder::new(id, version).file("A.dll", &assembly).build()
}

async fn live(steps: &[Step]) {
    let mut world = World::new().await;
    for step in steps {
        // A revoked key is remembered for a minute.
        world.feed = world.feed.another_instance();
        Box::pin(world.take(*step)).await;
    }
    world.compare().await;
    // The end of the third month, and the day after it.
    let last = datetime!(2027-04-01 00:10 UTC).max(world.now);
    world.set(last);
    Box::pin(world.take(Step::Meter)).await;
    let ended = world.compare().await;
    world.set(world.now + Duration::days(366));
    Box::pin(world.take(Step::Meter)).await;
    let owner = world.owner.at(&world.feed.another_instance());
    for (path, then) in ended {
        let now = owner.get(&path).await.expect(StatusCode::OK).body;
        assert_eq!(String::from_utf8(now.to_vec()).unwrap(), then, "{path} a year later");
    }
}

#[test]
fn usage_over_three_months_is_what_the_model_says() {
    let wanted = u32::try_from(share(HISTORIES)).unwrap();
    let lived = AtomicUsize::new(0);
    let config = Config {
        cases: wanted,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed()),
        ..Config::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ran = TestRunner::new(config).run(&prop::collection::vec(step(), STEPS), |steps| {
        lived.fetch_add(1, Ordering::Relaxed);
        runtime.block_on(live(&steps));
        Ok(())
    });
    ran.unwrap();
    crate::say!("{} histories over three months, 0 violations", lived.into_inner());
}
