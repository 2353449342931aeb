//! Every fault at every call of every verb, singly and in pairs.

use feed::DeleteBehavior;
use nuthatch_tests::{Client, Fault, Faults, FeedOptions, Idle, TestFeed};
use ulid::Ulid;

use crate::extent::{Dice, share};
use crate::verb::Verb;
use crate::world::{
    Seen, check_files, check_marks, check_quota, counted, look, look_at_symbols, set_quota,
};

/// Cases that share a feed, each with a package of its own.
const SHARED: usize = 64;

/// Feeds to try cases on, a new one now and then.
struct Feeds<'a> {
    delete_behavior: DeleteBehavior,
    idle: &'a Idle,
    current: Option<(TestFeed, Client)>,
    packages: usize,
    /// Cases whose faults all struck.
    cases: usize,
}

impl<'a> Feeds<'a> {
    fn of(verb: Verb, idle: &'a Idle) -> Self {
        let delete_behavior =
            if verb.deletes() { DeleteBehavior::Delete } else { DeleteBehavior::Unlist };
        Self { delete_behavior, idle, current: None, packages: 0, cases: 0 }
    }

    async fn next(&mut self) -> (TestFeed, Client, String) {
        if self.packages.is_multiple_of(SHARED) {
            let options = FeedOptions {
                delete_behavior: self.delete_behavior,
                quick: true,
                ..FeedOptions::default()
            };
            let feed = TestFeed::with(options).await;
            set_quota(&feed).await;
            let owner = feed.owner().await;
            self.current = Some((feed, owner));
        }
        self.packages += 1;
        let (feed, owner) = self.current.clone().unwrap();
        (feed, owner, format!("Acme{}", self.packages))
    }
}

/// Does a verb while these faults strike, checks the invariants, does it again as its client
/// would, and checks again. Returns how many calls were made.
async fn case(feeds: &mut Feeds<'_>, verb: Verb, plan: &[(usize, Fault)]) -> usize {
    let (feed, owner, id) = feeds.next().await;
    let before_all = counted(&feed).await;
    let since = Ulid::from_parts(Ulid::new().timestamp_ms(), 0);
    let deed = verb.prepare(&feed, &owner, &id).await;
    let faults = Faults::at(plan.iter().copied());
    let client = owner.at(&feed.meeting(&faults));
    let told = Idle::within_a_minute(async {
        tokio::select! {
            told = Box::pin(deed.act(&client)) => Some(told),
            () = faults.death() => None,
            () = faults.push_the_clock(feeds.idle) => None,
        }
    });
    let Some(told) = told.await else { panic!("{verb:?} {plan:?}: all stands still") };
    feeds.cases += usize::from(!plan.is_empty() && faults.were_all_met());
    drop(client);
    let case = format!("{verb:?} {plan:?}: told {told:?}");
    let (seen, _) = look(&feed, &owner, &id, &[&deed.bytes]).await;
    check_quota(&feed, &id, before_all, &case).await;
    match told {
        Some(told) if told.is_success => assert_eq!(seen, verb.after(), "{case}"),
        Some(told) if told.status.is_client_error() => assert_eq!(seen, verb.before(), "{case}"),
        // The outcome is unknown, but it must be one of these two.
        _ => assert!([verb.before(), verb.after()].contains(&seen), "{case}: {seen:?}"),
    }
    let (before, after) = (verb.symbols_before(), verb.symbols_after());
    if before.is_some() || after.is_some() {
        let seen = look_at_symbols(&feed, &owner, &id).await;
        match told {
            Some(told) if told.is_success => assert_eq!(seen, after, "{case}"),
            Some(told) if told.status.is_client_error() => assert_eq!(seen, before, "{case}"),
            _ => assert!([before, after].contains(&seen), "{case}: {seen:?}"),
        }
    }
    if told.is_some_and(|told| told.is_success) && verb.after() != Seen::Absent {
        check_marks(&feed, &id).await;
    }
    if let Some(told) = told {
        assert!(told.is_success || !told.status.is_success(), "{case}: untrue");
        // The client did nothing wrong, so it must not be refused. The exception: a bucket
        // that denies a request answers as if the object did not exist.
        let commits = matches!(verb, Verb::Commit | Verb::CommitWithFiles | Verb::CommitSymbols);
        let may_be_refused = commits && faults.has_bucket_denied();
        let is_refusal = may_be_refused && told.status.is_client_error();
        assert!(told.is_success || told.status.is_server_error() || is_refusal, "{case}");
    }
    let again = Box::pin(deed.act(&owner.at(&feed.another_instance()))).await;
    assert!(again.is_success && again.is_true, "{case}, then {again:?}");
    let (seen, _) = look(&feed, &owner, &id, &[&deed.bytes]).await;
    assert_eq!(seen, verb.after(), "{case}, again");
    check_quota(&feed, &id, before_all, &case).await;
    if before.is_some() || after.is_some() {
        assert_eq!(look_at_symbols(&feed, &owner, &id).await, after, "{case}, again");
    }
    let changes = feed.changes_of(&id.to_lowercase(), since).await;
    let mut changes: Vec<&str> = changes.values().map(String::as_str).collect();
    let mut expected = verb.changes().to_vec();
    changes.sort_unstable();
    expected.sort_unstable();
    assert_eq!(changes, expected, "{case}");
    if verb.after() != Seen::Absent {
        check_marks(&feed, &id).await;
    }
    if matches!(verb, Verb::PushWithFiles | Verb::CommitWithFiles) {
        check_files(&feed, &id).await;
    }
    faults.calls()
}

/// All single faults of a verb; gives how many there are.
async fn singly(verb: Verb, idle: &Idle) -> usize {
    let mut feeds = Feeds::of(verb, idle);
    let calls = Box::pin(case(&mut feeds, verb, &[])).await;
    // The SDK's retries are calls, too.
    for call in 0..calls + 2 {
        for fault in Fault::ALL {
            Box::pin(case(&mut feeds, verb, &[(call, fault)])).await;
        }
    }
    feeds.cases
}

/// The pairs of faults of a verb, or a share of them; gives how many were tried.
async fn in_pairs(verb: Verb, idle: &Idle) -> usize {
    let mut feeds = Feeds::of(verb, idle);
    let calls = Box::pin(case(&mut feeds, verb, &[])).await;
    let mut dice = Dice::of("pairs of faults");
    for first in 0..calls {
        for second in first + 1..=calls {
            for one in Fault::ALL {
                if one.is_death() || one == Fault::ThrottledForGood {
                    continue;
                }
                for other in Fault::ALL.into_iter().filter(|_| dice.takes_next()) {
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
        $(#[test]
        fn $name() {
            let (runtime, idle) = Idle::runtime();
            let mut cases = 0;
            for verb in $verbs {
                cases += runtime.block_on($how(verb, &idle));
            }
            crate::say!("{}: {cases} cases, 0 violations", stringify!($name));
            assert!(cases > share(100), "{cases}");
        })+
    };
}

every_fault! {
    single_faults_of_writes_are_made_up_for: singly Verb::WRITING;
    single_faults_of_reads_are_made_up_for: singly Verb::READING;
    pairs_of_faults_of_a_push_are_made_up_for: in_pairs [Verb::Push];
    pairs_of_faults_of_a_commit_are_made_up_for: in_pairs [Verb::Commit];
    pairs_of_faults_of_a_restore_are_made_up_for: in_pairs [Verb::Restore];
    pairs_of_faults_of_symbols_are_made_up_for: in_pairs [Verb::ReplaceSymbols];
    pairs_of_faults_of_listings_are_made_up_for: in_pairs [Verb::Unlist, Verb::Relist, Verb::Delete];
}
