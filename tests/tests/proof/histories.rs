//! Random histories of several clients against a small pure model; every view is
//! compared after every step, and proptest shrinks what differs. A few histories, each
//! of a package of its own, share a feed: they must not mix.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::extent::{seed, share};
use access::Scope;
use feed::DeleteBehavior;
use http::StatusCode;
use nuthatch_tests::{
    AssemblyBuilder, Client, FeedOptions, PackageBuilder, Pdb, TestFeed, symbols,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use store::Visibility;

/// Histories in each test, unless `NUTHATCH_HISTORIES` says how many; steps in each;
/// and how many share a feed.
const HISTORIES: usize = 2_500;
const STEPS: usize = 50;
const SHARING: usize = 10;
/// How many steps of each history pass between two comparisons of search. Each comparison
/// indexes the changes of the last minute again.
const SEARCHED: usize = 10;
/// Threads in each test, because some work of a feed waits for a separate thread.
const THREADS: u32 = 2;

const VERSIONS: [&str; 3] = ["1.0.0", "2.0.0-rc.1", "3.0.0"];
/// Other ways to write them.
const SPELLINGS: [&str; 3] = ["1.0", "2.0.0-RC.1+build", "3.0.0.0"];

/// The acts of a client.
#[derive(Debug, Clone, Copy)]
struct Step {
    act: Act,
    version: usize,
    /// Which of two clients.
    client: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// A push of one of two contents, in one of two sessions.
    Push {
        content: usize,
        session: usize,
    },
    Delete,
    Relist,
    /// A push of the symbols of one of two builds.
    PushSymbols {
        content: usize,
    },
    /// The instance is replaced by one that remembers nothing.
    Restart,
    /// Time passes, a snapshot is written, and the instance is replaced.
    Compact,
    /// The client's key is revoked.
    Revoke,
}

fn step() -> impl Strategy<Value = Step> {
    let push = (0..2_usize, 0..2_usize);
    let act = prop_oneof![
        8 => push.prop_map(|(content, session)| Act::Push { content, session }),
        5 => Just(Act::Delete),
        4 => Just(Act::Relist),
        4 => (0..2_usize).prop_map(|content| Act::PushSymbols { content }),
        2 => Just(Act::Restart),
    ];
    let rare = prop_oneof![Just(Act::Revoke), Just(Act::Compact)];
    let act = prop_oneof![60 => act, 1 => rare];
    (act, 0..VERSIONS.len(), 0..2_usize).prop_map(|(act, version, client)| Step {
        act,
        version,
        client,
    })
}

/// A version of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    content: usize,
    session: usize,
    client: usize,
    listed: bool,
    deleted: bool,
    has_symbols: bool,
}

/// The model.
#[derive(Debug, Default)]
struct Model {
    versions: BTreeMap<usize, Known>,
    revoked: [bool; 2],
    deletes: bool,
}

impl Model {
    /// Does a step; gives the status that the client is told.
    fn take(&mut self, step: Step) -> StatusCode {
        let Step { act, version, client } = step;
        if self.revoked[client] {
            return StatusCode::FORBIDDEN;
        }
        let known = self.versions.get(&version).copied();
        match act {
            Act::Push { content, session } => {
                let new = Known {
                    content,
                    session,
                    client,
                    listed: true,
                    deleted: false,
                    has_symbols: false,
                };
                match known {
                    Some(known) if known.deleted && known.content == content => {}
                    Some(known) => {
                        let same = (known.content, known.session, known.client);
                        let is_replay = !known.deleted && same == (content, session, client);
                        return if is_replay { StatusCode::CREATED } else { StatusCode::CONFLICT };
                    }
                    None => {}
                }
                self.versions.insert(version, new);
                StatusCode::CREATED
            }
            Act::Delete => match self.versions.get_mut(&version) {
                None => StatusCode::NOT_FOUND,
                Some(known) => {
                    known.listed = false;
                    known.deleted |= self.deletes;
                    known.has_symbols &= !known.deleted;
                    StatusCode::NO_CONTENT
                }
            },
            Act::Relist => match self.versions.get_mut(&version) {
                Some(known) if !known.deleted => {
                    known.listed = true;
                    StatusCode::OK
                }
                _ => StatusCode::NOT_FOUND,
            },
            Act::PushSymbols { content } => match self.versions.get_mut(&version) {
                Some(known) if known.deleted => StatusCode::NOT_FOUND,
                Some(known) if known.content == content => {
                    known.has_symbols = true;
                    StatusCode::CREATED
                }
                Some(known) if known.has_symbols => StatusCode::CONFLICT,
                Some(_) => StatusCode::BAD_REQUEST,
                None => StatusCode::NOT_FOUND,
            },
            Act::Restart | Act::Compact | Act::Revoke => StatusCode::OK,
        }
    }

    fn visible(&self) -> impl Iterator<Item = (usize, Known)> {
        let versions = self.versions.iter().filter(|(_, known)| !known.deleted);
        versions.map(|(version, known)| (*version, *known))
    }
}

/// A feed, and the client that reads from it.
struct World {
    feed: TestFeed,
    reader: Client,
}

/// A history of one package, which an instance of its own serves.
struct History<'a> {
    world: &'a World,
    id: String,
    feed: TestFeed,
    clients: [Client; 2],
    packages: BTreeMap<(usize, usize), Vec<u8>>,
    model: Model,
}

impl<'a> History<'a> {
    async fn begin(world: &'a World, id: String, deletes: bool) -> Self {
        let scopes = [Scope::Push, Scope::Unlist];
        let clients = [
            world.feed.client(&format!("{id}-0"), &scopes, &["History*"]).await,
            world.feed.client(&format!("{id}-1"), &scopes, &[&id]).await,
        ];
        let (feed, packages) = (world.feed.another_instance(), BTreeMap::new());
        let model = Model { deletes, ..Model::default() };
        Self { world, id, feed, clients, packages, model }
    }

    async fn take(&mut self, step: Step) {
        let Step { act, version, client } = step;
        let expected = self.model.take(step);
        let path = format!("{}/{}", self.id, SPELLINGS[version]);
        let at = self.clients[client].at(&self.feed);
        let status = match act {
            Act::Push { content, session } => {
                let session = format!("session-{session}");
                let bytes = self.package(version, content);
                at.push_in_session(&bytes, Some(&session)).await.status
            }
            Act::PushSymbols { content } => {
                let pdb = self.pdb(version, content);
                let snupkg = symbols(&self.id, VERSIONS[version]).file("A.pdb", &pdb.bytes);
                at.push_symbols(&snupkg.build()).await.status
            }
            Act::Delete => at.delete(&path).await.status,
            Act::Relist => at.relist(&path).await.status,
            Act::Restart => {
                self.feed = self.world.feed.another_instance();
                return;
            }
            Act::Compact => {
                // Settling changes the log, and an instance that has read it would not notice.
                self.feed.settle().await;
                self.feed = self.world.feed.another_instance();
                self.feed.compact().await;
                return;
            }
            Act::Revoke => {
                let name = format!("{}-{client}", self.id).parse().unwrap();
                self.world.feed.table().revoke_key(&name, "tests").await.unwrap();
                self.model.revoked[client] = true;
                // A process may remember the key for a minute, so the instance is replaced.
                self.feed = self.world.feed.another_instance();
                return;
            }
        };
        assert_eq!(status, expected, "{step:?}");
    }

    fn package(&mut self, version: usize, content: usize) -> Vec<u8> {
        let assembly = AssemblyBuilder::of(&self.pdb(version, content)).build();
        let id = &self.id;
        let made = self.packages.entry((version, content)).or_insert_with(|| {
            PackageBuilder::new(id, VERSIONS[version]).file("A.dll", &assembly).build()
        });
        made.clone()
    }

    /// The PDB of the assembly in a package.
    fn pdb(&self, version: usize, content: usize) -> Pdb {
        Pdb::new(format!("{} {version} {content}", self.id).as_bytes())
    }

    /// Compares every view of the package with the model.
    async fn compare(&mut self, touched: usize) {
        let reader = self.world.reader.at(&self.feed);
        let id = self.id.to_lowercase();
        let visible: BTreeMap<&str, Known> =
            self.model.visible().map(|(version, known)| (VERSIONS[version], known)).collect();
        let versions: Vec<&str> = visible.keys().copied().collect();
        assert_eq!(reader.versions(&id).await, versions);
        let registration = reader.registration(&id).await;
        let leaves = match registration.status {
            StatusCode::NOT_FOUND => serde_json::json!([]),
            _ => registration.json()["items"][0]["items"].take(),
        };
        let leaves = leaves.as_array().unwrap().iter();
        let leaves: BTreeMap<String, bool> = leaves
            .map(|leaf| {
                let entry = &leaf["catalogEntry"];
                let version = entry["version"].as_str().unwrap().to_owned();
                (version, entry["listed"].as_bool().unwrap())
            })
            .collect();
        let expected: BTreeMap<String, bool> =
            visible.iter().map(|(version, known)| ((*version).to_owned(), known.listed)).collect();
        assert_eq!(leaves, expected);
        for content in 0..2 {
            let pdb = self.pdb(touched, content);
            let answer = reader.get(&pdb.path("a.pdb")).await;
            let known = visible.get(VERSIONS[touched]).filter(|known| known.content == content);
            if known.is_some_and(|known| known.has_symbols) {
                assert!(answer.body == pdb.bytes, "not the PDB: {}", answer.status);
            } else {
                assert_eq!(answer.status, StatusCode::NOT_FOUND);
            }
        }
        let nupkg = reader.nupkg(&id, VERSIONS[touched]).await;
        match visible.get(VERSIONS[touched]) {
            None => assert_eq!(nupkg.status, StatusCode::NOT_FOUND),
            Some(known) => {
                let content = known.content;
                assert!(nupkg.body == self.package(touched, content), "not what was pushed");
            }
        }
    }

    /// The versions that search shows.
    fn listed(&self) -> Vec<String> {
        let listed = self.model.visible().filter(|(_, known)| known.listed);
        listed.map(|(version, _)| VERSIONS[version].to_owned()).collect()
    }
}

/// Compares search results with the models: all packages, and one package by its id.
async fn compare_search(reader: &Client, histories: &[History<'_>]) {
    let listed = histories.iter().map(|history| (history.id.clone(), history.listed()));
    let mut listed: Vec<_> = listed.filter(|(_, versions)| !versions.is_empty()).collect();
    listed.sort_unstable();
    // All ids begin with this word.
    assert_eq!(found(reader, "history").await, listed);
    let first = &histories[0].id;
    listed.retain(|(id, _)| id == first);
    assert_eq!(found(reader, &format!("packageid:{first}")).await, listed);
}

/// The ids that a search finds, in their order, with their versions.
async fn found(reader: &Client, query: &str) -> Vec<(String, Vec<String>)> {
    let query = format!("q={query}&prerelease=true&semVerLevel=2.0.0&take=100");
    let found = reader.search(&query).await;
    let found = found["data"].as_array().unwrap().iter().map(|item| {
        let versions = item["versions"].as_array().unwrap().iter();
        let versions = versions.map(|version| version["version"].as_str().unwrap().to_owned());
        (item["id"].as_str().unwrap().to_owned(), versions.collect())
    });
    let mut found: Vec<_> = found.collect();
    found.sort_unstable();
    found
}

async fn world(delete_behavior: DeleteBehavior) -> World {
    // Packages are received in both ways, in a file and in memory, and the table counts its
    // revisions or does not.
    let in_memory = delete_behavior == DeleteBehavior::Delete;
    let options = FeedOptions {
        delete_behavior,
        in_memory,
        visibility: if in_memory { Visibility::OneByOne } else { Visibility::AtOnce },
        quick: true,
        ..FeedOptions::default()
    };
    let feed = TestFeed::with(options).await;
    let reader = feed.client("reader", &[Scope::Read], &["*"]).await;
    World { feed, reader }
}

/// Runs histories on a feed of their own, in rounds of one step each.
async fn live(first: usize, rounds: &[Vec<Step>], delete_behavior: DeleteBehavior) {
    let world = world(delete_behavior).await;
    let deletes = delete_behavior == DeleteBehavior::Delete;
    let mut histories = Vec::new();
    for number in first..first + SHARING {
        histories.push(History::begin(&world, format!("History{number}"), deletes).await);
    }
    // One instance searches the packages of all histories.
    let mut finding = world.feed.another_instance();
    for (at, round) in (1..).zip(rounds) {
        for (number, (history, step)) in histories.iter_mut().zip(round).enumerate() {
            let mut step = *step;
            // A `Compact` affects the whole feed. So only the first history makes one, and each
            // history meets as many as if it were alone.
            if number > 0 && step.act == Act::Compact {
                step.act = Act::Restart;
            }
            history.take(step).await;
            history.compare(step.version).await;
            let replaces = matches!(step.act, Act::Restart | Act::Compact | Act::Revoke);
            if number == 0 && replaces {
                finding = world.feed.another_instance();
            }
        }
        if at % SEARCHED == 0 {
            compare_search(&world.reader.at(&finding), &histories).await;
        }
    }
}

fn histories(delete_behavior: DeleteBehavior) {
    let wanted = std::env::var("NUTHATCH_HISTORIES").map_or_else(
        |_| u32::try_from(share(HISTORIES)).unwrap(),
        |wanted| wanted.parse().unwrap(),
    );
    let cases = wanted.div_ceil(THREADS * u32::try_from(SHARING).unwrap());
    let lived = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (lived, seed) = (&lived, seed().wrapping_add(thread.into()));
            scope.spawn(move || some_histories(delete_behavior, (cases, seed), lived));
        }
    });
    let lived = lived.into_inner();
    crate::say!(
        "{lived} histories of {STEPS} steps with DELETE that {delete_behavior}s, 0 violations"
    );
    assert!(lived >= wanted as usize, "{lived}");
}

fn some_histories(delete_behavior: DeleteBehavior, (cases, seed): (u32, u64), lived: &AtomicUsize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..Config::default()
    };
    let rounds = prop::collection::vec(prop::collection::vec(step(), SHARING), STEPS);
    let ran = TestRunner::new(config).run(&rounds, |rounds| {
        let first = lived.fetch_add(SHARING, Ordering::Relaxed);
        runtime.block_on(live(first, &rounds, delete_behavior));
        Ok(())
    });
    ran.unwrap();
}

#[test]
fn histories_where_delete_unlists_are_as_the_model_has_them() {
    histories(DeleteBehavior::Unlist);
}

#[test]
fn histories_where_delete_deletes_are_as_the_model_has_them() {
    histories(DeleteBehavior::Delete);
}
