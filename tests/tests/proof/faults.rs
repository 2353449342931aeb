//! Every fault at every call of every verb, singly and in pairs.

use std::time::Duration;

use feed::DeleteBehavior;
use nuthatch_tests::{Client, Fault, Faults, FeedOptions, TestFeed};

use tokio::sync::mpsc::UnboundedReceiver;
use ulid::Ulid;

use crate::verb::Verb;
use crate::world::{check_files, look};

/// Cases that share a feed, each with a package of its own.
const SHARED: usize = 64;

/// Feeds to try cases on, a new one now and then.
struct Feeds {
    delete_behavior: DeleteBehavior,
    ticks: UnboundedReceiver<()>,
    current: Option<(TestFeed, Client)>,
    cases: usize,
}

impl Feeds {
    fn new(delete_behavior: DeleteBehavior) -> Self {
        let (tick, ticks) = tokio::sync::mpsc::unbounded_channel();
        std::thread::spawn(move || {
            while tick.send(()).is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self { delete_behavior, ticks, current: None, cases: 0 }
    }

    /// A paused clock stands still as long as a thread waits, such as for a part of a
    /// package that never comes. Where no call is made for a while, this moves it on.
    async fn push_the_clock(&mut self, faults: &Faults) {
        while self.ticks.try_recv().is_ok() {}
        let (mut calls, mut still) = (0, 0);
        while self.ticks.recv().await.is_some() {
            still = if faults.calls() == calls { still + 1 } else { 0 };
            calls = faults.calls();
            if still >= 4 {
                tokio::time::advance(Duration::from_secs(9)).await;
            }
        }
    }

    async fn next(&mut self) -> (TestFeed, Client, String) {
        if self.cases.is_multiple_of(SHARED) {
            let options = FeedOptions {
                delete_behavior: self.delete_behavior,
                quick: true,
                ..FeedOptions::default()
            };
            let feed = TestFeed::with(options).await;
            let owner = feed.owner().await;
            self.current = Some((feed, owner));
        }
        self.cases += 1;
        let (feed, owner) = self.current.clone().unwrap();
        (feed, owner, format!("Acme{}", self.cases))
    }
}

/// Does a verb while these faults strike, checks what has to hold, does it again as
/// its client would, and checks again. Gives how many calls were made.
async fn case(feeds: &mut Feeds, verb: Verb, plan: &[(usize, Fault)]) -> usize {
    let (feed, owner, id) = feeds.next().await;
    let since = Ulid::from_parts(Ulid::new().timestamp_ms(), 0);
    let deed = verb.prepare(&feed, &owner, &id).await;
    let faults = Faults::at(plan.iter().copied());
    let client = owner.at(&feed.meeting(&faults));
    let told = tokio::select! {
        told = Box::pin(deed.act(&client)) => Some(told),
        () = faults.death() => None,
        () = feeds.push_the_clock(&faults) => None,
    };
    drop(client);
    let case = format!("{verb:?} {plan:?}: told {told:?}");
    let seen = look(&feed, &owner, &id, &[&deed.bytes]).await;
    match told {
        Some(told) if told.is_success => assert_eq!(seen, verb.after(), "{case}"),
        Some(told) if told.status.is_client_error() => assert_eq!(seen, verb.before(), "{case}"),
        // Nobody can say; but it is one or the other.
        _ => assert!([verb.before(), verb.after()].contains(&seen), "{case}: {seen:?}"),
    }
    if let Some(told) = told {
        assert!(told.is_success || !told.status.is_success(), "{case}: untrue");
        let is_refusal = told.status.is_client_error() || told.status.is_server_error();
        assert!(told.is_success || is_refusal, "{case}");
    }
    let again = Box::pin(deed.act(&owner.at(&feed.another_instance()))).await;
    assert!(again.is_success && again.is_true, "{case}, then {again:?}");
    assert_eq!(look(&feed, &owner, &id, &[&deed.bytes]).await, verb.after(), "{case}, again");
    let changes = feed.changes_of(&id.to_lowercase(), since).await;
    let mut changes: Vec<&str> = changes.values().map(String::as_str).collect();
    let mut expected = verb.changes().to_vec();
    changes.sort_unstable();
    expected.sort_unstable();
    assert_eq!(changes, expected, "{case}");
    if matches!(verb, Verb::PushWithFiles | Verb::CommitWithFiles) {
        check_files(&feed, &id).await;
    }
    faults.calls()
}

fn behavior(verb: Verb) -> DeleteBehavior {
    if verb.deletes() { DeleteBehavior::Delete } else { DeleteBehavior::Unlist }
}

/// All single faults of a verb; gives how many there are.
async fn singly(verb: Verb) -> usize {
    let mut feeds = Feeds::new(behavior(verb));
    let calls = Box::pin(case(&mut feeds, verb, &[])).await;
    // The tries of the SDK are calls, too.
    for call in 0..calls + 2 {
        for fault in Fault::ALL {
            Box::pin(case(&mut feeds, verb, &[(call, fault)])).await;
        }
    }
    feeds.cases
}

/// All pairs of faults of a verb; gives how many there are.
async fn in_pairs(verb: Verb) -> usize {
    let mut feeds = Feeds::new(behavior(verb));
    let calls = Box::pin(case(&mut feeds, verb, &[])).await;
    for first in 0..calls {
        for second in first + 1..=calls {
            for one in Fault::ALL {
                if one.is_death() || one == Fault::ThrottledForGood {
                    continue;
                }
                for other in Fault::ALL {
                    let plan = [(first, one), (second, other)];
                    Box::pin(case(&mut feeds, verb, &plan)).await;
                }
            }
        }
    }
    feeds.cases
}

macro_rules! every_fault {
    ($($name:ident: $how:ident $verbs:expr;)+) => {
        $(#[tokio::test(start_paused = true)]
        async fn $name() {
            let mut cases = 0;
            for verb in $verbs {
                cases += $how(verb).await;
            }
            crate::say!("{}: {cases} cases, 0 violations", stringify!($name));
            assert!(cases > 100, "{cases}");
        })+
    };
}

every_fault! {
    single_faults_of_writes_are_made_up_for: singly Verb::WRITING;
    single_faults_of_reads_are_made_up_for: singly Verb::READING;
    pairs_of_faults_of_a_push_are_made_up_for: in_pairs [Verb::Push];
    pairs_of_faults_of_a_commit_are_made_up_for: in_pairs [Verb::Commit];
    pairs_of_faults_of_a_restore_are_made_up_for: in_pairs [Verb::Restore];
    pairs_of_faults_of_listings_are_made_up_for: in_pairs [Verb::Unlist, Verb::Relist, Verb::Delete];
}
