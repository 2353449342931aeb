//! Exchanges of identity tokens, and the removal of the trust behind them: every fault at
//! every call, and every order of calls.

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use nuthatch_tests::{
    Answer, Fault, Faults, FeedOptions, GIVEN_ISSUER, Idle, TestFeed, Turns, given_trust,
};
use serde_json::json;
use store::{TableName, TrustAdded};
use tokens::Signer;
use tokio::task::JoinHandle;

use crate::extent::share;

/// The feed's own address.
const FEED: &str = "https://packages.example.org";

/// A feed and a signer that it trusts, under a name of its own in each case.
struct Stage {
    feed: TestFeed,
    signer: Signer,
    cases: usize,
}

/// An actor of a race.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// Exchanges the token of this number.
    Exchange(usize),
    /// Removes the trust.
    Remove,
}

/// How an act ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    /// A key was given.
    Key(String),
    /// The token was exchanged before, or the trust is gone.
    Refused,
    /// The trust is removed.
    Removed,
    /// Nobody knows.
    Failed,
}

impl Stage {
    async fn new() -> Self {
        let feed = TestFeed::with(FeedOptions { quick: true, ..FeedOptions::default() }).await;
        Self { feed, signer: Signer::rsa("k1"), cases: 0 }
    }

    /// A new trust; returns its name.
    async fn trust(&mut self) -> String {
        self.cases += 1;
        let name = format!("trust{}", self.cases);
        let (trust, issuer) = given_trust(&name, &self.signer);
        let added = self.feed.table().add_trust(&trust, &issuer).await.unwrap();
        assert_eq!(added, TrustAdded::Done);
        name
    }

    fn token(&self, trust: &str, number: usize) -> String {
        let mut claims = tokens::github(GIVEN_ISSUER, FEED, now());
        claims["jti"] = json!(format!("{trust} {number}"));
        self.signer.sign(&claims)
    }

    /// The keys that came of a trust, and whether each of them is revoked.
    async fn keys(&self, trust: &str) -> Vec<(String, bool)> {
        let scan = self.feed.aws.dynamodb.scan().table_name(TableName::default().as_str());
        let pages = scan.into_paginator().items().send();
        let rows = pages.try_collect().await.unwrap().into_iter();
        let of_trust = rows.filter(|row| {
            row.get("trust").and_then(|name| name.as_s().ok()).is_some_and(|name| name == trust)
        });
        of_trust
            .map(|row| (row["hash"].as_s().unwrap().clone(), row.contains_key("revoked")))
            .collect()
    }

    /// Checks that a key that was given is stored, that no other is, and, if the trust is
    /// gone, that none lives.
    async fn check(&self, trust: &str, told: &[Told], case: &str) {
        let keys = self.keys(trust).await;
        for told in told {
            if let Told::Key(key) = told {
                let hash = key.parse::<access::ApiKey>().unwrap().hash();
                let is_stored = keys.iter().any(|(stored, _)| stored == hash.as_str());
                assert!(is_stored, "{case}: a key that was given is not stored");
            }
        }
        let uses = self.feed.table().uses_of(&trust.parse().unwrap()).await.unwrap();
        let mut of_uses: Vec<&str> = uses.iter().map(|used| used.hash.as_str()).collect();
        let mut stored: Vec<&str> = keys.iter().map(|(hash, _)| hash.as_str()).collect();
        of_uses.sort_unstable();
        stored.sort_unstable();
        assert_eq!(of_uses, stored, "{case}: keys without a use, or uses without a key");
        if told.contains(&Told::Removed) {
            let all_are_revoked = keys.iter().all(|(_, revoked)| *revoked);
            assert!(all_are_revoked, "{case}: a key outlives its trust: {keys:?}");
        }
    }
}

fn now() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}

/// Does it at `feed`, an instance of its own.
async fn act(feed: TestFeed, act: Act, trust: String, token: String) -> Told {
    if act == Act::Remove {
        let removed = feed.own_table().remove_trust(&trust.parse().unwrap(), now(), "owner").await;
        return removed.map_or(Told::Failed, |removed| {
            assert!(removed.is_some());
            Told::Removed
        });
    }
    let body = json!({"username": trust, "tokenType": "ApiKey"}).to_string();
    let request = Request::builder().method(Method::POST).uri("/api/v2/token");
    let request = request.header("content-type", "application/json");
    let request = request.header("authorization", format!("Bearer {token}"));
    let answer: Answer = feed.stranger().send(request, Bytes::from(body)).await;
    match answer.status {
        StatusCode::OK => Told::Key(answer.json()["apiKey"].as_str().unwrap().to_owned()),
        StatusCode::UNAUTHORIZED => Told::Refused,
        status => {
            assert!(status.is_server_error(), "{status}");
            Told::Failed
        }
    }
}

/// Does an act while this fault strikes, and again without any; returns the number of calls.
async fn case(stage: &mut Stage, idle: &Idle, acted: Act, fault: Option<(usize, Fault)>) -> usize {
    let trust = stage.trust().await;
    let token = stage.token(&trust, 0);
    if acted == Act::Remove {
        // Two keys to revoke.
        for number in 1..=2 {
            let token = stage.token(&trust, number);
            let told = act(stage.feed.clone(), Act::Exchange(number), trust.clone(), token).await;
            assert!(matches!(told, Told::Key(_)));
        }
    }
    let faults = Faults::at(fault);
    let struck = stage.feed.meeting(&faults);
    let told = Idle::within_a_minute(async {
        tokio::select! {
            told = Box::pin(act(struck, acted, trust.clone(), token.clone())) => Some(told),
            () = faults.death() => None,
            () = faults.push_the_clock(idle) => None,
        }
    });
    let told = told.await.unwrap_or_else(|| panic!("{acted:?} {fault:?}: all stands still"));
    let case = format!("{acted:?} {fault:?}: {told:?}");
    let told: Vec<Told> = told.into_iter().collect();
    assert!(!told.contains(&Told::Refused), "{case}: refused at the first try");
    stage.check(&trust, &told, &case).await;
    let before = stage.keys(&trust).await.len();
    let again = act(stage.feed.another_instance(), acted, trust.clone(), token).await;
    match acted {
        Act::Remove => assert_eq!(again, Told::Removed, "{case}"),
        // A key that was stored spent the token, whether anybody got it or not.
        Act::Exchange(_) => {
            let is_key = matches!(again, Told::Key(_));
            assert_eq!(is_key, before == 0, "{case}, then {again:?}");
            assert_eq!(stage.keys(&trust).await.len(), 1, "{case}, then {again:?}");
        }
    }
    stage.check(&trust, &[again], &case).await;
    faults.calls()
}

#[test]
fn single_faults_of_exchanges_and_removals_are_made_up_for() {
    let (runtime, idle) = Idle::runtime();
    let cases = runtime.block_on(async {
        let mut stage = Stage::new().await;
        for acted in [Act::Exchange(0), Act::Remove] {
            let calls = Box::pin(case(&mut stage, &idle, acted, None)).await;
            for call in 0..calls + 2 {
                for fault in Fault::ALL {
                    Box::pin(case(&mut stage, &idle, acted, Some((call, fault)))).await;
                }
            }
        }
        stage.cases
    });
    crate::say!("faults of exchanges and removals: {cases} cases, 0 violations");
    assert!(cases > 80, "{cases}");
}

/// Runs a race in one order.
async fn race(
    stage: &mut Stage,
    idle: &Idle,
    acts: &[Act],
    choices: &[usize],
) -> nuthatch_tests::Order {
    let trust = stage.trust().await;
    let turns = Turns::on(idle);
    let acting: Vec<JoinHandle<Told>> = acts
        .iter()
        .map(|acted| {
            let actor = turns.actor();
            let (feed, acted, trust) = (stage.feed.in_turn(&actor), *acted, trust.clone());
            let number = if let Act::Exchange(number) = acted { number } else { 0 };
            let token = stage.token(&trust, number);
            actor.does(async move { Box::pin(act(feed, acted, trust, token)).await })
        })
        .collect();
    let (order, log) = turns.take(choices, |_| 0).await;
    let mut told = Vec::new();
    for acting in acting {
        told.push(acting.await.unwrap());
    }
    let case = format!("{acts:?}, order {:?}:\n{}\n{told:?}", order.choices(), log.join("\n"));
    assert!(!told.contains(&Told::Failed), "{case}: nothing is broken, and something failed");
    stage.check(&trust, &told, &case).await;
    for number in 0..acts.len() {
        let of_token = acts.iter().zip(&told).filter(|(acted, _)| **acted == Act::Exchange(number));
        let given = of_token.clone().filter(|(_, told)| matches!(told, Told::Key(_))).count();
        let is_removed = acts.contains(&Act::Remove);
        let least = usize::from(of_token.count() > 0 && !is_removed);
        assert!((least..=1).contains(&given), "{case}: {given} keys for one token");
    }
    order
}

#[test]
fn races_of_exchanges_and_removals_end_well_in_every_order() {
    let (runtime, idle) = Idle::runtime();
    let races: [&[Act]; 4] = [
        &[Act::Exchange(0), Act::Exchange(0)],
        &[Act::Exchange(0), Act::Exchange(0), Act::Exchange(0)],
        &[Act::Exchange(0), Act::Remove],
        &[Act::Exchange(0), Act::Exchange(1), Act::Remove],
    ];
    let orders = runtime.block_on(async {
        let mut orders = 0;
        for acts in races {
            let (mut stage, mut choices) = (Stage::new().await, Some(Vec::new()));
            let mut of_race = 0;
            while let Some(next) = choices.take().filter(|_| of_race < share(MOST)) {
                // Each row of the cases before makes the look at the table longer.
                if stage.cases == 100 {
                    stage = Stage::new().await;
                }
                choices = Box::pin(race(&mut stage, &idle, acts, &next)).await.next();
                of_race += 1;
            }
            crate::say!("{acts:?}: {of_race} orders");
            orders += of_race;
        }
        orders
    });
    crate::say!("exchanges and removals: {orders} orders, 0 violations");
    assert!(orders >= share(100), "{orders}");
}

/// How many orders of a race are tried at most.
const MOST: usize = 20_000;
