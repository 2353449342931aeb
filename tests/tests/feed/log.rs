//! The log of changes and acts, as `nuthatch log` shows it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use http::{Request, StatusCode};
use nuthatch_tests::{FeedOptions, TestFeed, framed, run};
use serde_json::Value;
use time::OffsetDateTime;

use crate::package;
use crate::served::Served;

impl Served {
    /// The lines that the command prints.
    fn log(&self, arguments: &[&str]) -> Vec<String> {
        let output = run(&[&["log"], arguments].concat(), self.data.path());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    /// The kinds and subjects that the command prints.
    fn kinds(&self, arguments: &[&str]) -> Vec<String> {
        let lines = self.log(&[arguments, &["--json"]].concat());
        let entry = |line: String| {
            let entry: BTreeMap<String, Value> = serde_json::from_str(&line).unwrap();
            format!("{} {}", entry["kind"].as_str().unwrap(), entry["subject"].as_str().unwrap())
        };
        lines.into_iter().map(entry).collect()
    }

    async fn push_as(&self, key: &str, version: &str) {
        let (kind, body) = framed(&package("Acme", version, "x"));
        let request = Request::put("/api/v2/package/").header("content-type", kind);
        let request = request.header("x-nuget-apikey", key);
        self.server.send(request, body).await.expect(StatusCode::CREATED);
    }
}

#[tokio::test]
async fn the_log_shows_changes_and_acts_in_their_order() {
    let feed = Served::start(&[]);
    let done = |arguments: &[&str]| {
        let output = run(arguments, feed.data.path());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let ci = done(&["key", "create", "ci", "--scope", "push"]);
    feed.push_as(&ci, "1.0.0").await;
    feed.push_as(&feed.owner, "2.0.0").await;
    let delete =
        Request::delete("/api/v2/package/Acme/1.0.0").header("x-nuget-apikey", &feed.owner);
    feed.server.send(delete, "").await.expect(StatusCode::NO_CONTENT);
    done(&["key", "rotate", "ci"]);
    done(&["key", "revoke", "ci"]);
    done(&["key", "revoke", "ci"]);
    let all = [
        "key-created owner",
        "key-created ci",
        "pushed acme",
        "pushed acme",
        "unlisted acme",
        "key-rotated ci",
        "key-revoked ci",
    ];
    assert_eq!(feed.kinds(&[]), all);
    assert_eq!(feed.kinds(&["--kind", "pushed"]), ["pushed acme"; 2]);
    assert_eq!(feed.kinds(&["--key", "ci"]), ["pushed acme"]);
    let of_version = feed.kinds(&["--package", "ACME", "--version", "1.0"]);
    assert_eq!(of_version, ["pushed acme", "unlisted acme"]);
    assert_eq!(feed.kinds(&["--package", "ci"]), [""; 0], "an act is on no package");
    assert_eq!(feed.kinds(&["--until", "2026-01-01"]), [""; 0]);
    assert_eq!(feed.kinds(&["--since", "2100-01-01"]), [""; 0]);
    let lines = feed.log(&["--kind", "pushed"]);
    assert!(lines[0].ends_with("  pushed         acme 1.0.0  by ci"), "{}", lines[0]);
    let first = &feed.log(&["--json"])[0];
    assert!(first.contains("\"by\":\"serve\""), "{first}");
    let wrong = run(&["log", "--kind", "pushes"], feed.data.path());
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("use one of pushed, unlisted"));
}

#[tokio::test]
async fn a_log_since_ever_asks_for_no_month_before_there_was_a_feed() {
    let feed = TestFeed::with(FeedOptions::default()).await;
    let _owner = feed.owner().await;
    let _ = feed.calls.take();
    let (mut entries, now) = (0, OffsetDateTime::now_utc());
    let table = feed.own_table();
    table.each_log_entry(OffsetDateTime::UNIX_EPOCH, now, |_| entries += 1).await.unwrap();
    assert_eq!(entries, 1);
    // Two for each month since November 2026, where there are 1,360 since 1970.
    let months = usize::try_from((now.year() - 2026) * 12 + i32::from(u8::from(now.month())) - 10);
    assert_eq!(feed.calls.take(), vec!["Query"; 2 * months.unwrap()]);
}

/// A process that ends with its test, however that ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_log_that_is_followed_shows_what_comes_once() {
    let feed = Served::start(&[]);
    let mut command = nuthatch_tests::nuthatch();
    let command = command.args(["log", "--follow", "--data"]).arg(feed.data.path());
    let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut following = Ended(command.spawn().unwrap());
    let mut lines = BufReader::new(following.0.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("key-created    owner"));
    feed.push_as(&feed.owner, "1.0.0").await;
    assert!(lines.next().unwrap().unwrap().contains("acme 1.0.0  by owner"));
    feed.push_as(&feed.owner, "2.0.0").await;
    assert!(lines.next().unwrap().unwrap().contains("acme 2.0.0  by owner"));
    drop(following);
    assert!(lines.next().is_none());
}
