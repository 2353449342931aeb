//! The meter, quotas and acts on them: every fault at every call, and every order of calls.

use std::collections::BTreeSet;

use access::{Quota, QuotaLimits, Scope};
use feed::DeleteBehavior;
use http::StatusCode;
use nuthatch_tests::{Client, Fault, Faults, FeedOptions, Idle, PackageBuilder, TestFeed, Turns};
use store::{Clock, QuotaSet};
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::task::JoinHandle;

use crate::extent::{Dice, share};

/// The room of the quota, in packages.
const ROOM: usize = 3;
/// How many orders of a race are tried at most.
const MOST: usize = 1_500;

/// An act on a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// A push of the version of this number.
    Push(usize),
    /// The version of this number is deleted.
    Delete(usize),
    /// A download of the first version.
    Download,
    /// The scheduled run.
    Meter,
    /// The quota is set: again, or for the first time.
    SetQuota,
    /// The quota is removed.
    RemoveQuota,
}

/// How an act ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Done,
    Refused,
    Failed,
}

/// A feed with two versions that were downloaded yesterday, and one that no quota knows of.
struct Stage {
    feed: TestFeed,
    clock: Clock,
    owner: Client,
    /// The downloads that were answered.
    downloads: u64,
}

/// The day on which all acts are.
const TODAY: OffsetDateTime = datetime!(2027-02-01 09:00 UTC);

impl Stage {
    /// With a quota from the beginning, or with none yet.
    async fn new(has_quota: bool) -> Self {
        let clock = Clock::at(datetime!(2027-01-31 09:00 UTC));
        let delete_behavior = DeleteBehavior::Delete;
        let options = FeedOptions { delete_behavior, quick: true, ..FeedOptions::default() };
        let feed = TestFeed::with(options).await.by_clock(&clock);
        // Their records do not name the quota, which is set later.
        let ignorant = feed.client("ignorant", &[Scope::Push], &["*"]).await;
        let stage = |owner| Self { feed: feed.clone(), clock: clock.clone(), owner, downloads: 0 };
        if has_quota {
            let knowing = feed.another_instance();
            ignorant.at(&knowing).push(&package(1)).await.expect(StatusCode::CREATED);
            set(&feed).await;
            // It remembers the key as it was.
            ignorant.at(&knowing).push(&package(2)).await.expect(StatusCode::CREATED);
        }
        let mut stage = stage(feed.owner().await);
        if !has_quota {
            for number in 1..=2 {
                stage.push(number).await;
            }
        }
        for _ in 0..2 {
            assert_eq!(
                act(stage.feed.clone(), stage.owner.clone(), Act::Download).await,
                Told::Done
            );
            stage.downloads += 1;
        }
        clock.set(TODAY);
        stage
    }

    async fn push(&self, number: usize) {
        self.owner.push(&package(number)).await.expect(StatusCode::CREATED);
    }

    /// Checks, after the scheduled run of the next day, that everything was counted once, and
    /// that no quota was passed.
    async fn check(&mut self, told: &[(Act, Told)], case: &str) {
        let fresh = self.feed.another_instance();
        self.clock.set(TODAY + time::Duration::hours(3));
        fresh.meter().await;
        self.clock.set(TODAY + time::Duration::days(1));
        fresh.meter().await;
        fresh.meter().await;
        let mut there = 0;
        let acme = nupkg::PackageId::parse("acme").unwrap();
        for release in fresh.table().releases(&acme).await.unwrap().unwrap().value {
            there += i64::try_from(release.row.size).unwrap();
        }
        let quota = fresh.table().quotas(&["room".parse().unwrap()]).await.unwrap().pop();
        if let Some(quota) = quota.filter(|quota| quota.removed.is_none()) {
            assert_eq!(quota.stored, there, "{case}: not what the quota counts");
        }
        let counts = self.owner.at(&fresh).search("q=acme").await;
        let answered = told.iter().filter(|told| **told == (Act::Download, Told::Done)).count();
        let least = self.downloads;
        let most = least + u64::try_from(answered).unwrap();
        let shown = counts["data"][0]["totalDownloads"].as_u64().unwrap_or_default();
        assert!((least..=most).contains(&shown), "{case}: {shown} downloads of {least} to {most}");
        let report = self.owner.at(&fresh).get("/v3/usage?month=2027-01&by=id").await.json();
        assert_eq!(report["complete"], true, "{case}");
        assert_eq!(report["total"]["downloads"], least, "{case}: downloads of yesterday");
        let report = self.owner.at(&fresh).get("/v3/usage?by=id").await.json();
        assert_eq!(report["total"]["downloads"], shown - least, "{case}: downloads of today");
    }
}

fn package(number: usize) -> Vec<u8> {
    PackageBuilder::new("Acme", &format!("{number}.0.0")).build()
}

/// Sets the quota, whose room is for three packages.
async fn set(feed: &TestFeed) -> bool {
    let room = ROOM * package(1).len() + 20;
    let limits = QuotaLimits { bytes: Some(room as u64), ..QuotaLimits::default() };
    let id = Some("Acme".parse().unwrap());
    let quota = Quota { id, ..Quota::new("room".parse().unwrap(), limits) };
    let set = feed.own_ledger().set_quota(quota, "tests").await;
    set.is_ok_and(|set| set == QuotaSet::Done)
}

/// Does it at `feed`, an instance of its own.
async fn act(feed: TestFeed, owner: Client, act: Act) -> Told {
    let owner = owner.at(&feed);
    let of = |status: StatusCode| match status {
        status if status.is_success() => Told::Done,
        status if status.is_client_error() => Told::Refused,
        _ => Told::Failed,
    };
    let done = |is_done: bool| if is_done { Told::Done } else { Told::Failed };
    match act {
        Act::Push(number) => of(owner.push_in_session(&package(number), Some("one")).await.status),
        Act::Delete(number) => of(owner.delete(&format!("Acme/{number}.0.0")).await.status),
        Act::Download => of(owner.nupkg("acme", "1.0.0").await.status),
        Act::Meter => done(feed.gateway.meter().await.is_ok()),
        Act::SetQuota => done(set(&feed).await),
        Act::RemoveQuota => {
            let removed = feed.own_table().remove_quota(&"room".parse().unwrap(), "tests").await;
            done(removed.is_ok())
        }
    }
}

/// Does an act while this fault strikes, and again without any; returns the number of calls.
async fn case(idle: &Idle, acted: Act, fault: Option<(usize, Fault)>) -> usize {
    let mut stage = Box::pin(Stage::new(acted != Act::SetQuota)).await;
    let faults = Faults::at(fault);
    let owner = stage.owner.clone();
    let told = Idle::within_a_minute(async {
        tokio::select! {
            told = Box::pin(act(stage.feed.meeting(&faults), owner.clone(), acted)) => Some(told),
            () = faults.death() => None,
            () = faults.push_the_clock(idle) => None,
        }
    });
    let told = told.await.unwrap_or_else(|| panic!("{acted:?} {fault:?}: all stands still"));
    let case = format!("{acted:?} {fault:?}: {told:?}");
    assert_ne!(told, Some(Told::Refused), "{case}: refused at the first try");
    let again = act(stage.feed.another_instance(), owner, acted).await;
    assert_eq!(again, Told::Done, "{case}, then {again:?}");
    let downloads = [(acted, Told::Done), (acted, Told::Done)];
    stage.check(&downloads, &case).await;
    faults.calls()
}

#[test]
fn single_faults_of_the_meter_and_of_quotas_are_made_up_for() {
    let (runtime, idle) = Idle::runtime();
    let cases = runtime.block_on(async {
        let (mut cases, mut dice) = (0, Dice::of("faults of the meter"));
        for acted in [
            Act::Meter,
            Act::SetQuota,
            Act::RemoveQuota,
            Act::Push(3),
            Act::Delete(1),
            Act::Download,
        ] {
            let calls = Box::pin(case(&idle, acted, None)).await;
            for call in 0..calls + 2 {
                for fault in Fault::ALL {
                    // Each case takes a feed of its own.
                    if share(100) < 100 && dice.below(10) > 0 {
                        continue;
                    }
                    Box::pin(case(&idle, acted, Some((call, fault)))).await;
                    cases += 1;
                }
            }
        }
        cases
    });
    crate::say!("faults of the meter and of quotas: {cases} cases, 0 violations");
    assert!(cases > share(300), "{cases}");
}

/// Runs a race in one order.
async fn race(idle: &Idle, acts: &[Act], choices: &[usize]) -> nuthatch_tests::Order {
    let mut stage = Box::pin(Stage::new(!acts.contains(&Act::SetQuota))).await;
    let is_limited = acts.iter().all(|acted| matches!(acted, Act::Push(_) | Act::Delete(_)));
    if is_limited {
        // From here on the quota knows both versions.
        stage.feed.own_ledger().count_quotas().await.unwrap();
    }
    let turns = Turns::on(idle);
    let acting: Vec<JoinHandle<Told>> = acts
        .iter()
        .map(|acted| {
            let actor = turns.actor();
            let (feed, owner, acted) = (stage.feed.in_turn(&actor), stage.owner.clone(), *acted);
            actor.does(async move { Box::pin(act(feed, owner, acted)).await })
        })
        .collect();
    let (order, log) = turns.take(choices, |_| 0).await;
    let mut told = Vec::new();
    for (acted, acting) in acts.iter().zip(acting) {
        told.push((*acted, acting.await.unwrap()));
    }
    let case = format!("order {:?}:\n{}\n{told:?}", order.choices(), log.join("\n"));
    assert!(told.iter().all(|(_, told)| *told != Told::Failed), "{case}: something failed");
    let taken = told.iter().filter(|told| matches!(told, (Act::Push(_), Told::Done)));
    // Both of two tries of one push succeed.
    let pushes = taken.map(|(act, _)| format!("{act:?}")).collect::<BTreeSet<_>>().len();
    if is_limited {
        assert!(pushes <= ROOM - 2, "{case}: the quota was passed");
    }
    stage.check(&told, &case).await;
    order
}

#[test]
fn races_of_the_meter_and_of_quotas_end_well_in_every_order() {
    let (runtime, idle) = Idle::runtime();
    let races: [&[Act]; 11] = [
        &[Act::Push(3), Act::Push(4)],
        &[Act::Push(3), Act::Push(4), Act::Push(5)],
        &[Act::Push(3), Act::Push(3)],
        &[Act::Push(3), Act::Delete(2)],
        &[Act::Meter, Act::Meter],
        &[Act::Meter, Act::Push(3)],
        &[Act::Meter, Act::Download, Act::Download],
        &[Act::SetQuota, Act::Push(3)],
        &[Act::SetQuota, Act::SetQuota],
        &[Act::SetQuota, Act::Delete(1), Act::Meter],
        &[Act::RemoveQuota, Act::Push(3), Act::Meter],
    ];
    let orders = runtime.block_on(async {
        let mut orders = 0;
        for acts in races {
            let (mut choices, mut of_race) = (Some(Vec::new()), 0);
            while let Some(next) = choices.take().filter(|_| of_race < share(MOST)) {
                choices = Box::pin(race(&idle, acts, &next)).await.next();
                of_race += 1;
            }
            crate::say!("{acts:?}: {of_race} orders");
            orders += of_race;
        }
        orders
    });
    crate::say!("the meter and quotas: {orders} orders, 0 violations");
    assert!(orders >= share(1_000), "{orders}");
}
