//! The calls of each verb, and the capacity units of those to the table, as it says them itself:
//! write units of transactions and updates, read units of all else. Refused transactions say
//! none, but cost as much on AWS. The lists stand together, so that a change shows its price for
//! every verb.

use std::fmt::Write;

use access::{Quota, QuotaLimits, Scope};
use feed::DeleteBehavior;
use http::{Method, StatusCode};
use nuthatch_tests::{
    Answer, AssemblyBuilder, Client, FeedOptions, PackageBuilder, Pdb, TestFeed, nuspec, symbols,
};
use serde_json::json;
use store::{Clock, QuotaSet};
use time::macros::datetime;

use crate::large::upload;
use crate::package;

/// Acts on a feed, each with the calls that it took.
struct Bill {
    feed: TestFeed,
    owner: Client,
    clock: Clock,
    lines: String,
}

impl Bill {
    /// The bill of a feed as on AWS: packages are redirected to, and received in memory.
    async fn of(delete_behavior: DeleteBehavior) -> Self {
        let options = FeedOptions {
            delete_behavior,
            redirect: true,
            in_memory: true,
            ..FeedOptions::default()
        };
        // Every call to the log reads each month from the first one on.
        let clock = Clock::at(datetime!(2026-11-15 12:00 UTC));
        let feed = TestFeed::with(options).await.by_clock(&clock).metered();
        let owner = feed.owner().await.at(&feed);
        Self { feed, owner, clock, lines: String::new() }
    }

    /// Another instance of the functions, which remembers nothing.
    fn renew(&mut self) {
        self.feed = self.feed.metered();
        self.owner = self.owner.at(&self.feed);
    }

    /// Has the functions remember the owner's key.
    async fn show_key(&self) {
        self.owner.push(b"nonsense").await.expect(StatusCode::BAD_REQUEST);
        self.feed.calls.forget();
    }

    /// Writes down the calls of an act.
    fn note(&mut self, act: &str) {
        let calls = self.feed.calls.take().join(", ");
        writeln!(self.lines, "{act:<46} {}", if calls.is_empty() { "none" } else { &calls })
            .unwrap();
    }

    /// Writes down the calls of a GET.
    async fn get(&mut self, act: &str, path: &str) -> Answer {
        let answer = self.owner.get(path).await;
        assert!(answer.status.is_success() || answer.status.is_redirection(), "{path}");
        self.note(act);
        answer
    }

    async fn push(&mut self, act: &str, bytes: &[u8], status: StatusCode) {
        self.owner.push(bytes).await.expect(status);
        self.note(act);
    }
}

#[tokio::test]
async fn keys_and_pushes_take_the_units_of_their_lines() {
    let mut bill = Bill::of(DeleteBehavior::Delete).await;
    let refused = StatusCode::BAD_REQUEST;
    bill.push("authorize: a key's first use of a day", b"nonsense", refused).await;
    bill.push("authorize: a remembered key", b"nonsense", refused).await;
    bill.renew();
    bill.push("authorize: a key that is not remembered", b"nonsense", refused).await;
    bill.push("push: a package's first", &package("Acme", "1.0.0", "x"), StatusCode::CREATED).await;
    bill.push("push: another version", &package("Acme", "1.1.0", "x"), StatusCode::CREATED).await;
    bill.push("push: a duplicate", &package("Acme", "1.0.0", "y"), StatusCode::CONFLICT).await;
    let xml = nuspec("Acme", "3.0.0", "<readme>README.md</readme>");
    let readme = PackageBuilder::default().nuspec(&xml).file("README.md", b"# A").build();
    bill.push("push: with a readme", &readme, StatusCode::CREATED).await;
    let bytes = package("Acme", "2.0.0", "x");
    bill.owner.push_in_session(&bytes, Some("session")).await.expect(StatusCode::CREATED);
    bill.feed.calls.forget();
    bill.owner.push_in_session(&bytes, Some("session")).await.expect(StatusCode::CREATED);
    bill.note("push: tried again");
    bill.owner.delete("Acme/1.1.0").await.expect(StatusCode::NO_CONTENT);
    bill.note("unlist: where it deletes");
    bill.owner.delete("Acme/1.1.0").await;
    bill.note("unlist: where it has deleted");
    let document =
        json!({"id": "Acme", "version": "9.0.0", "size": 9, "sha256": "0".repeat(43) + "="});
    let request = http::Request::builder().method(Method::POST).uri("/api/v2/upload");
    bill.owner.send(request, document.to_string()).await.expect(StatusCode::OK);
    bill.note("upload");
    let file = bill.feed.folder().join("a.nupkg");
    std::fs::write(&file, package("Uploaded", "1.0.0", "x")).unwrap();
    let committed = upload(&bill.feed, &bill.owner, &file, ("Uploaded", "1.0.0")).await;
    committed.expect(StatusCode::CREATED);
    bill.note("commit");

    let team = bill.feed.client("team", &[Scope::Push], &["Team.*"]).await;
    let limits = QuotaLimits { bytes: Some(1 << 20), ..QuotaLimits::default() };
    let mut quota = Quota::new("quota".parse().unwrap(), limits);
    quota.keys = vec!["team".parse().unwrap()];
    let ledger = bill.feed.own_ledger();
    assert_eq!(ledger.set_quota(quota, "tests").await.unwrap(), QuotaSet::Done);
    bill.owner = team.at(&bill.feed);
    bill.show_key().await;
    let counted = package("Team.A", "1.0.0", "x");
    bill.push("push: counted in a quota", &counted, StatusCode::CREATED).await;
    insta::assert_snapshot!(bill.lines);
}

#[tokio::test]
async fn changes_and_reads_take_the_units_of_their_lines() {
    let mut bill = Bill::of(DeleteBehavior::Unlist).await;
    for patch in 0..100 {
        let bytes = package("Acme", &format!("1.0.{patch}"), "x");
        bill.clock.set(datetime!(2026-11-15 12:00 UTC) + time::Duration::minutes(patch));
        bill.owner.push(&bytes).await.expect(StatusCode::CREATED);
    }
    bill.renew();
    bill.show_key().await;
    bill.get("versions: an instance's first of 100", "/v3/package/acme/index.json").await;
    bill.get("versions: settled", "/v3/package/acme/index.json").await;
    bill.get("registration: settled", "/v3/registration/acme/index.json").await;
    bill.get("registration: a leaf", "/v3/registration/acme/1.0.0.json").await;
    bill.get("search: an instance's first", "/v3/search?q=acme").await;
    bill.get("search: settled", "/v3/search?q=acme").await;
    bill.get("autocomplete: settled", "/v3/autocomplete?q=ac").await;
    let cookie = format!("__Host-nuthatch={}", bill.owner.key());
    let page = http::Request::builder().method(Method::GET).uri("/packages/Acme");
    let page = page.header("cookie", cookie);
    bill.feed.stranger().send(page, "").await.expect(StatusCode::OK);
    bill.note("web: a package");
    for act in ["download: a version's first", "download: its second", "download: its third"] {
        bill.get(act, "/v3/package/acme/1.0.0/acme.1.0.0.nupkg").await;
    }
    bill.get("download: a nuspec", "/v3/package/acme/1.0.0/acme.nuspec").await;
    bill.owner.head("/v3/package/acme/1.0.0/acme.1.0.0.nupkg").await;
    bill.note("download: HEAD");
    bill.clock.set(datetime!(2026-11-15 14:00 UTC));
    bill.owner.delete("Acme/1.0.0").await.expect(StatusCode::NO_CONTENT);
    bill.note("unlist");
    bill.owner.delete("Acme/1.0.0").await;
    bill.note("unlist: again");
    bill.owner.relist("Acme/1.0.0").await;
    bill.note("relist");
    bill.get("versions: after a change", "/v3/package/acme/index.json").await;
    bill.get("registration: after a change", "/v3/registration/acme/index.json").await;
    bill.get("search: after a change", "/v3/search?q=acme").await;
    bill.feed.compact().await;
    bill.note("compact: after a change");
    bill.feed.compact().await;
    bill.note("compact: nothing changed");

    let pdb = Pdb::new(b"one");
    let assembly = AssemblyBuilder::of(&pdb).build();
    let nupkg = PackageBuilder::new("Sym", "1.0.0").file("lib/A.dll", &assembly).build();
    bill.owner.push(&nupkg).await.expect(StatusCode::CREATED);
    bill.feed.calls.forget();
    let snupkg = symbols("Sym", "1.0.0").file("lib/A.pdb", &pdb.bytes).build();
    bill.owner.push_symbols(&snupkg).await.expect(StatusCode::CREATED);
    bill.note("push-symbols: one PDB");
    bill.get("symbols: a PDB", &pdb.path("a.pdb")).await;

    bill.clock.set(datetime!(2026-12-01 12:00 UTC));
    bill.feed.meter().await;
    bill.note("meter: the first of a day");
    bill.feed.meter().await;
    bill.note("meter: the next");
    bill.get("account: a month that has ended", "/v3/usage?month=2026-11").await;
    bill.get("follow: the first 100 changes", "/v3/log?after=00000000000000000000000000&take=100")
        .await;
    insta::assert_snapshot!(bill.lines);
}
