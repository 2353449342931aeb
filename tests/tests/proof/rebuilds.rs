//! A lost table: a rebuild restores each version from the bucket as it was, or names it as
//! unknown, whatever the holders of keys have stored there.

use std::collections::BTreeMap;
use std::path::Path;

use crate::extent::{seed, share};
use access::Scope;
use feed::DeleteBehavior;
use http::{Method, Request, StatusCode};
use nuthatch_tests::{
    Client, Entry, Fault, Faults, FeedOptions, Idle, PackageBuilder, Server, TestFeed, run,
};
use proptest::prelude::{Strategy, prop_oneof};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The ids and versions in a history: few, so that steps collide.
const IDS: [&str; 3] = ["Acme.Core", "Acme.Zed", "Secret.Pkg"];
const VERSIONS: [&str; 2] = ["1.0.0", "2.0.0"];

/// A step of a history; numbers name ids, versions and contents.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A push with one of two keys.
    Push {
        id: usize,
        version: usize,
        content: u8,
    },
    /// A push whose process dies at a call.
    Crash {
        id: usize,
        version: usize,
        content: u8,
        call: usize,
        after: bool,
    },
    /// An upload that is committed.
    Commit {
        id: usize,
        version: usize,
        content: u8,
    },
    /// An upload that is never committed. It is declared as its own package or as another one.
    Plant {
        id: usize,
        version: usize,
        content: u8,
        declared: usize,
    },
    /// A deletion, and one whose process dies at a call.
    Delete {
        id: usize,
        version: usize,
    },
    DeleteAndCrash {
        id: usize,
        version: usize,
        call: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (id, version) = (|| 0..IDS.len(), || 0..VERSIONS.len());
    let content = || 0_u8..3;
    let step = prop_oneof![
        4 => (id(), version(), content())
            .prop_map(|(id, version, content)| Step::Push { id, version, content }),
        2 => (id(), version(), content(), 0..7_usize, proptest::bool::ANY).prop_map(
            |(id, version, content, call, after)| Step::Crash { id, version, content, call, after }
        ),
        2 => (id(), version(), content())
            .prop_map(|(id, version, content)| Step::Commit { id, version, content }),
        3 => (id(), version(), content(), 0..2_usize).prop_map(
            |(id, version, content, declared)| Step::Plant { id, version, content, declared }
        ),
        2 => (id(), version()).prop_map(|(id, version)| Step::Delete { id, version }),
        1 => (id(), version(), 0..5_usize)
            .prop_map(|(id, version, call)| Step::DeleteAndCrash { id, version, call }),
    ];
    proptest::collection::vec(step, 1..16)
}

fn package(id: &str, version: &str, content: u8) -> Vec<u8> {
    PackageBuilder::new(id, version).entry(Entry::stored("content.txt", &[content])).build()
}

/// Uploads `bytes`, declared as this id and version; returns the upload's name and its
/// declaration, for the commit.
async fn upload(
    feed: &TestFeed,
    client: &Client,
    (id, version): (&str, &str),
    bytes: &[u8],
) -> Option<(String, String)> {
    use base64::Engine;
    let sha256 = base64::prelude::BASE64_STANDARD.encode(Sha256::digest(bytes));
    let declaration =
        json!({ "id": id, "version": version, "size": bytes.len(), "sha256": sha256 }).to_string();
    let request = Request::builder().method(Method::POST).uri("/api/v2/upload");
    let answer = client.send(request, declaration.clone()).await;
    if answer.status != StatusCode::OK {
        return None;
    }
    let invitation = answer.json();
    let mut put = Request::put(invitation["url"].as_str().unwrap());
    for (name, value) in invitation["headers"].as_object().unwrap() {
        put = put.header(name, value.as_str().unwrap());
    }
    let body = http_body_util::Full::new(bytes::Bytes::from(bytes.to_vec()));
    let put = put.header("host", "embedded.invalid").body(s3s::Body::http_body(body)).unwrap();
    assert_eq!(feed.engines.s3.call(put).await.unwrap().status(), StatusCode::OK);
    Some((invitation["upload"].as_str().unwrap().to_owned(), declaration))
}

async fn take(feed: &TestFeed, owner: &Client, acme: &Client, step: Step, idle: &Idle) {
    let named = |id: usize, version: usize| (IDS[id], VERSIONS[version]);
    // The key for Acme's packages is used for both allowed and forbidden steps.
    let client = |content: u8| if content == 1 { acme } else { owner };
    let dies =
        async |client: &Client, faults: &Faults, act: &mut (dyn Future<Output = ()> + Unpin)| {
            let _ = client;
            tokio::select! {
                () = act => {}
                () = faults.death() => {}
                () = faults.push_the_clock(idle) => {}
            }
        };
    match step {
        Step::Push { id, version, content } => {
            let (id, version) = named(id, version);
            client(content).push(&package(id, version, content)).await;
        }
        Step::Crash { id, version, content, call, after } => {
            let (id, version) = named(id, version);
            let fault = if after { Fault::DeathAfter } else { Fault::DeathBefore };
            let faults = Faults::at([(call, fault)]);
            let client = owner.at(&feed.meeting(&faults));
            let bytes = package(id, version, content);
            let mut act = Box::pin(async {
                client.push(&bytes).await;
            });
            dies(&client, &faults, &mut act).await;
        }
        Step::Commit { id, version, content } => {
            let (id, version) = named(id, version);
            let bytes = package(id, version, content);
            let client = client(content);
            if let Some((name, declared)) = upload(feed, client, (id, version), &bytes).await {
                let path = format!("/api/v2/upload/{name}/commit");
                client.send(Request::builder().method(Method::POST).uri(path), declared).await;
            }
        }
        Step::Plant { id, version, content, declared } => {
            let (id, version) = named(id, version);
            let bytes = package(id, version, content);
            upload(feed, acme, (IDS[declared], version), &bytes).await;
        }
        Step::Delete { id, version } => {
            let (id, version) = named(id, version);
            owner.delete(&format!("{id}/{version}")).await;
        }
        Step::DeleteAndCrash { id, version, call } => {
            let (id, version) = named(id, version);
            let faults = Faults::at([(call, Fault::DeathBefore)]);
            let client = owner.at(&feed.meeting(&faults));
            let path = format!("{id}/{version}");
            let mut act = Box::pin(async {
                client.delete(&path).await;
            });
            dies(&client, &faults, &mut act).await;
        }
    }
}

/// The packages that can be downloaded, by id and version.
async fn visible(get: impl AsyncFn(String) -> Option<Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    let mut visible = BTreeMap::new();
    for (id, version) in
        IDS.iter().flat_map(|id| VERSIONS.map(|version| (id.to_lowercase(), version)))
    {
        let path = format!("/v3/package/{id}/{version}/{id}.{version}.nupkg");
        if let Some(bytes) = get(path).await {
            visible.insert(format!("{id} {version}"), bytes);
        }
    }
    visible
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else if !entry.file_name().to_string_lossy().starts_with("table.db") {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

async fn history(steps: &[Step], idle: &Idle) {
    let delete_behavior = DeleteBehavior::Delete;
    let options = FeedOptions { delete_behavior, quick: true, ..FeedOptions::default() };
    let feed = TestFeed::with(options).await;
    let owner = feed.owner().await;
    let acme = feed.client("acme", &[Scope::Push], &["Acme.*"]).await;
    for step in steps {
        take(&feed, &owner, &acme, *step, idle).await;
    }
    let was = visible(async |path| {
        let answer = owner.get(&path).await;
        (answer.status == StatusCode::OK).then(|| answer.body.to_vec())
    })
    .await;
    let lost = tempfile::tempdir().unwrap();
    copy(feed.folder(), lost.path());
    let output = run(&["check", "--rebuild", "--json"], lost.path());
    let found: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{steps:?}: {}", String::from_utf8_lossy(&output.stderr)));
    let server = Server::start(lost.path(), &["--read-access", "anonymous"]);
    let is = visible(async |path| {
        let answer = server.send(Request::get(path), "").await;
        (answer.status == StatusCode::OK).then(|| answer.body.to_vec())
    })
    .await;
    for (version, bytes) in &is {
        assert_eq!(was.get(version), Some(bytes), "{steps:?}: {version} was not so: {found:#}");
    }
    for version in was.keys().filter(|version| !is.contains_key(*version)) {
        let unknown = found["unknown"].as_array().unwrap().iter();
        let path = version.replace(' ', "/");
        let is_named = unknown
            .filter_map(Value::as_str)
            .any(|line| line.contains(&path) || line.contains(version));
        assert!(is_named, "{steps:?}: {version} is gone without a word: {found:#}");
    }
}

#[test]
fn a_rebuild_brings_back_what_was_committed_and_nothing_else() {
    const HISTORIES: usize = 240;
    let (runtime, idle) = Idle::runtime();
    let (seed, histories) = (seed(), share(HISTORIES));
    let config = Config {
        cases: u32::try_from(histories).unwrap(),
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..Config::default()
    };
    let tried = TestRunner::new(config).run(&steps(), |steps| {
        runtime.block_on(history(&steps, &idle));
        Ok(())
    });
    if let Err(error) = tried {
        panic!("seed {seed}: {error}");
    }
    crate::say!("rebuilds: {histories} histories of seed {seed}, 0 violations");
}
