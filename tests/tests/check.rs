//! `nuthatch check`: it finds every kind of damage, removes only objects that nothing points
//! to, and rebuilds a lost table.

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{Request, StatusCode};
use nuthatch::engines::{DataFolder, Engines, RecyclePeriod};
use nuthatch_tests::{
    AssemblyBuilder, PackageBuilder, Pdb, Server, framed, is_mark, noise, nuspec, run, symbols,
};
use rusqlite::Connection;
use serde_json::Value;
use sha2::{Digest, Sha256};
use store::Aws;
use tempfile::TempDir;

const NAME: &str = "nuthatch";

/// A feed with some packages, and without a running server.
struct Stopped {
    data: TempDir,
    owner: String,
}

fn package(id: &str, version: &str) -> Vec<u8> {
    let xml = nuspec(id, version, "<readme>README.md</readme>");
    PackageBuilder::default().nuspec(&xml).file("README.md", b"# Acme").build()
}

impl Stopped {
    async fn feed() -> Self {
        Self::with(&["1.0.0", "2.0.0", "3.0.0"].map(|version| package("Acme", version))).await
    }

    async fn with(packages: &[Vec<u8>]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut server = Server::start(data.path(), &[]);
        let owner = server.owner.clone().unwrap();
        for package in packages {
            let (content_type, body) = framed(package);
            let push = Request::put("/api/v2/package/").header("content-type", content_type);
            let answer = server.send(push.header("x-nuget-apikey", &owner), body).await;
            answer.expect(StatusCode::CREATED);
        }
        server.signal("TERM");
        assert!(server.wait().success());
        Self { data, owner }
    }

    async fn engines(&self) -> Engines {
        let folder = DataFolder::open(self.data.path()).unwrap();
        folder.start(RecyclePeriod::default()).await.unwrap()
    }

    /// The findings of the command, and whether it succeeded.
    fn check(&self, more: &[&str]) -> (bool, Value) {
        let output = run(&[&["check", "--json"], more].concat(), self.data.path());
        let said = String::from_utf8_lossy(&output.stderr);
        let found = serde_json::from_slice(&output.stdout);
        (output.status.success(), found.unwrap_or_else(|_| panic!("{said}")))
    }

    /// The kinds of problems that it finds.
    fn problems(&self, more: &[&str]) -> Vec<String> {
        let (content, found) = self.check(more);
        let problems = found["problems"].as_array().unwrap().iter();
        let problems: Vec<String> =
            problems.map(|problem| problem["problem"].as_str().unwrap().to_owned()).collect();
        assert_eq!(content, problems.is_empty(), "{found}");
        problems
    }
}

async fn object_keys(aws: &Aws) -> Vec<String> {
    let listed = aws.s3.list_objects_v2().bucket(NAME).send().await.unwrap();
    let keys = listed.contents().iter().map(|object| object.key().unwrap().to_owned());
    keys.filter(|key| !is_mark(key)).collect()
}

async fn delete_row(aws: &Aws, pk: &str, sk: &str) {
    let delete = aws.dynamodb.delete_item().table_name(NAME);
    let delete = delete.key("pk", AttributeValue::S(pk.to_owned()));
    delete.key("sk", AttributeValue::S(sk.to_owned())).send().await.unwrap();
}

async fn put_row(aws: &Aws, pk: &str, sk: &str) {
    let put = aws.dynamodb.put_item().table_name(NAME);
    let put = put.item("pk", AttributeValue::S(pk.to_owned()));
    put.item("sk", AttributeValue::S(sk.to_owned())).send().await.unwrap();
}

async fn put_object(aws: &Aws, key: &str, bytes: &[u8]) {
    let sha256 = BASE64_STANDARD.encode(Sha256::digest(bytes));
    let put = aws.s3.put_object().bucket(NAME).key(key).checksum_sha256(sha256);
    put.body(bytes.to_vec().into()).send().await.unwrap();
}

#[tokio::test]
async fn a_sound_feed_has_no_problems() {
    let feed = Stopped::feed().await;
    let quota = ["quota", "set", "acme", "--id", "Acme", "--bytes", "1GB"];
    assert!(run(&quota, feed.data.path()).status.success());
    let table = store::Table::new(feed.engines().await.aws().dynamodb, store::TableName::default());
    table.add_book("2026-11".parse().unwrap()).await.unwrap();
    drop(table);
    let (content, found) = feed.check(&["--read"]);
    assert!(content, "{found}");
    for (what, count) in [("versions", 3), ("objects", 6), ("changes", 3), ("keys", 1)] {
        assert_eq!(found[what], count, "{what}");
    }
    assert_eq!(found["orphans"].as_array().unwrap().len(), 0);
    let table = run(&["check"], feed.data.path());
    let said = String::from_utf8_lossy(&table.stdout).into_owned();
    assert_eq!(
        said,
        "3 versions, 0 deleted, 0 with symbols, 6 objects, 3 changes, 1 keys: 0 problems, 0 orphans\n"
    );
}

#[tokio::test]
async fn every_missing_or_broken_row_is_found() {
    let feed = Stopped::feed().await;
    let aws = feed.engines().await.aws();
    delete_row(&aws, "PACKAGE#acme", "METADATA#1.0.0").await;
    delete_row(&aws, "PACKAGE#acme", "XML#2.0.0").await;
    delete_row(&aws, "PACKAGE#acme", "VERSION#3.0.0").await;
    put_row(&aws, "PACKAGE#acme", "VERSION#4.0.0").await;
    put_row(&aws, "ELSEWHERE", "x").await;
    drop(aws);
    let mut problems = feed.problems(&[]);
    problems.sort();
    assert_eq!(
        problems,
        [
            "missing-row",
            "missing-row",
            "stray-row",
            "stray-row",
            "unreadable-row",
            "unreadable-row"
        ]
    );
}

#[tokio::test]
async fn gaps_in_the_log_and_keys_without_records_are_found() {
    let feed = Stopped::feed().await;
    let engines = feed.engines().await;
    let aws = engines.aws();
    let rows = aws.dynamodb.scan().table_name(NAME).send().await.unwrap();
    let text = |row: &std::collections::HashMap<String, AttributeValue>, name: &str| {
        row[name].as_s().unwrap().clone()
    };
    let changes = rows.items().iter().filter(|row| text(row, "pk").starts_with("CHANGES#"));
    let last = changes.max_by_key(|row| text(row, "sk")).unwrap();
    delete_row(&aws, &text(last, "pk"), &text(last, "sk")).await;
    let key = rows.items().iter().find(|row| text(row, "pk").starts_with("KEY#")).unwrap();
    delete_row(&aws, &text(key, "pk"), &text(key, "sk")).await;
    drop((aws, engines));
    let problems = feed.problems(&[]);
    // The package's stamp names the last change, too, so each of its versions reports the gap.
    assert_eq!(problems.iter().filter(|problem| *problem == "gap-in-log").count(), 4);
    assert_eq!(problems.iter().filter(|problem| *problem == "missing-key").count(), 1);
    assert_eq!(problems.len(), 5);
}

#[tokio::test]
async fn missing_and_changed_objects_are_found() {
    let feed = Stopped::feed().await;
    let engines = feed.engines().await;
    let aws = engines.aws();
    let keys = object_keys(&aws).await;
    let of = |version: &str, end: &str| -> String {
        let key = keys.iter().find(|key| key.contains(version) && key.ends_with(end));
        key.unwrap().clone()
    };
    aws.s3.delete_object().bucket(NAME).key(of("1.0.0", "nupkg")).send().await.unwrap();
    aws.s3.delete_object().bucket(NAME).key(of("2.0.0", "readme")).send().await.unwrap();
    put_object(&aws, &of("3.0.0", "nupkg"), b"something else").await;
    drop((aws, engines));
    let mut problems = feed.problems(&[]);
    problems.sort();
    assert_eq!(problems, ["missing-object", "missing-object", "wrong-size"]);
}

/// Flips a bit in the middle.
fn flip(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
}

#[tokio::test]
async fn a_bit_that_has_flipped_on_the_disk_is_found_by_reading() {
    let feed = Stopped::feed().await;
    let index = Connection::open(feed.data.path().join("packages/index.db")).unwrap();
    let largest = "SELECT file, bytes FROM contents ORDER BY length(bytes) DESC LIMIT 1";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let (file, mut bytes): (String, Vec<u8>) = index.query_row(largest, [], row).unwrap();
    flip(&mut bytes);
    let update = "UPDATE contents SET bytes = ?2 WHERE file = ?1";
    assert_eq!(index.execute(update, (file, bytes)).unwrap(), 1);
    assert_eq!(feed.problems(&[]), [""; 0]);
    assert_eq!(feed.problems(&["--read"]), ["wrong-hash"]);
}

#[tokio::test]
async fn a_bit_that_has_flipped_in_a_file_is_found_by_reading() {
    let large = PackageBuilder::new("Acme", "1.0.0").file("a.bin", &noise(200_000)).build();
    let feed = Stopped::with(&[large]).await;
    let folders = std::fs::read_dir(feed.data.path().join("packages")).unwrap();
    let folder = folders.map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap();
    let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&file).unwrap();
    flip(&mut bytes);
    std::fs::write(file, bytes).unwrap();
    assert_eq!(feed.problems(&[]), [""; 0]);
    assert_eq!(feed.problems(&["--read"]), ["wrong-hash"]);
}

#[tokio::test]
async fn what_nothing_points_to_is_removed_once_it_is_old_and_nothing_else() {
    let feed = Stopped::feed().await;
    let engines = feed.engines().await;
    let aws = engines.aws();
    let before = object_keys(&aws).await;
    let old = "packages/acme/9.0.0/01ARZ3NDEKTSV4RRFFQ69G5FAV.nupkg".to_owned();
    let young = format!("packages/acme/1.0.0/{}.nupkg", ulid::Ulid::new());
    let strange = "packages/strange".to_owned();
    for key in [&old, &young, &strange] {
        put_object(&aws, key, b"x").await;
    }
    drop((aws, engines));
    let removed = |found: &Value| -> Vec<String> {
        let orphans = found["orphans"].as_array().unwrap().iter();
        let removed = orphans.filter(|orphan| orphan["removed"] == true);
        removed.map(|orphan| orphan["object"].as_str().unwrap().to_owned()).collect()
    };
    let (content, found) = feed.check(&[]);
    assert!(content, "they do no harm");
    assert_eq!(found["orphans"].as_array().unwrap().len(), 3);
    assert_eq!(removed(&found), [""; 0]);
    assert_eq!(removed(&feed.check(&["--repair"]).1), [old]);
    assert_eq!(removed(&feed.check(&["--repair", "--older-than", "0h"]).1), [young]);
    let engines = feed.engines().await;
    let mut after = object_keys(&engines.aws()).await;
    after.retain(|key| *key != strange);
    assert_eq!(after, before);
    drop(engines);
    assert_eq!(feed.problems(&["--read"]), [""; 0]);
}

#[tokio::test]
async fn a_lost_table_comes_back_out_of_the_bucket() {
    let feed = Stopped::feed().await;
    let refused = run(&["check", "--rebuild"], feed.data.path());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("for a table that is lost"), "{said}");
    for file in ["table.db", "table.db-wal", "table.db-shm"] {
        let _ = std::fs::remove_file(feed.data.path().join(file));
    }
    let (content, found) = feed.check(&["--rebuild", "--read"]);
    assert!(content, "{found}");
    assert_eq!(found["rebuilt"].as_array().unwrap().len(), 3);
    assert_eq!(found["unknown"].as_array().unwrap().len(), 3);
    // A second run does no harm, such as after a crash in the middle.
    assert!(feed.check(&["--rebuild"]).0);
    let server = Server::start(feed.data.path(), &[]);
    let owner = server.owner.clone().unwrap();
    assert_ne!(owner, feed.owner, "keys are not in the bucket");
    let get = async |path: &str| {
        server.send(Request::get(path).header("x-nuget-apikey", &owner), "").await
    };
    let nupkg = get("/v3/package/acme/2.0.0/acme.2.0.0.nupkg").await.expect(StatusCode::OK);
    assert_eq!(nupkg.body, package("Acme", "2.0.0"));
    assert_eq!(get("/v3/package/acme/2.0.0/readme").await.body, "# Acme");
    assert_eq!(get("/v3/search?q=acme").await.json()["totalHits"], 1);
}

/// A stopped feed whose first version has symbols, and the PDB in them.
async fn feed_with_symbols() -> (Stopped, Pdb) {
    let feed = Stopped::feed().await;
    let mut server = Server::start(feed.data.path(), &[]);
    let pdb = Pdb::new(b"one");
    let assembly = AssemblyBuilder::of(&pdb).build();
    let nupkg = PackageBuilder::new("Sym", "1.0.0").file("A.dll", &assembly).build();
    let snupkg = symbols("Sym", "1.0.0").file("A.pdb", &pdb.bytes).build();
    for (path, bytes) in [("package", nupkg), ("symbolpackage", snupkg)] {
        let (content_type, body) = framed(&bytes);
        let push = Request::put(format!("/api/v2/{path}/")).header("content-type", content_type);
        let answer = server.send(push.header("x-nuget-apikey", &feed.owner), body).await;
        answer.expect(StatusCode::CREATED);
    }
    server.signal("TERM");
    assert!(server.wait().success());
    (feed, pdb)
}

#[tokio::test]
async fn damaged_symbols_are_found() {
    let (feed, pdb) = feed_with_symbols().await;
    assert_eq!(feed.problems(&["--read"]), [""; 0]);
    assert_eq!(feed.check(&[]).1["symbols"], 1);
    let aws = feed.engines().await.aws();
    let keys = object_keys(&aws).await;
    let object = |end: &str| keys.iter().find(|key| key.ends_with(end)).unwrap().clone();
    let mut flipped = pdb.bytes.clone();
    *flipped.last_mut().unwrap() ^= 1;
    put_object(&aws, &object(".pdb"), &flipped).await;
    drop(aws);
    assert_eq!(feed.problems(&[]), [""; 0]);
    assert_eq!(feed.problems(&["--read"]), ["wrong-hash"]);
    let aws = feed.engines().await.aws();
    aws.s3.delete_object().bucket(NAME).key(object(".pdb")).send().await.unwrap();
    put_object(&aws, &object(".snupkg"), b"x").await;
    drop(aws);
    let mut problems = feed.problems(&[]);
    problems.sort();
    assert_eq!(problems, ["missing-object", "wrong-size"]);
    let aws = feed.engines().await.aws();
    let rows = aws.dynamodb.scan().table_name(NAME).send().await.unwrap();
    let of_pdb = |row: &&std::collections::HashMap<String, AttributeValue>| {
        row["pk"].as_s().unwrap().starts_with("PDB#")
    };
    let row = rows.items().iter().find(of_pdb).unwrap();
    delete_row(&aws, row["pk"].as_s().unwrap(), row["sk"].as_s().unwrap()).await;
    delete_row(&aws, "PACKAGE#sym", "VERSION#1.0.0").await;
    drop(aws);
    let problems = feed.problems(&[]);
    assert!(problems.contains(&"missing-pdb".to_owned()), "{problems:?}");
    // Of metadata, nuspec and symbols.
    assert_eq!(problems.iter().filter(|problem| *problem == "stray-row").count(), 3);
}

#[tokio::test]
async fn what_is_left_of_symbols_is_removed_once_it_is_old() {
    let (feed, _) = feed_with_symbols().await;
    let aws = feed.engines().await.aws();
    delete_row(&aws, "SYMBOLS#sym", "1.0.0").await;
    drop(aws);
    let left = |more: &[&str]| {
        let (content, found) = feed.check(more);
        assert!(content, "they do no harm");
        let pdbs = found["stray_pdbs"].as_array().map_or(0, Vec::len);
        (pdbs, found["orphans"].as_array().unwrap().len())
    };
    assert_eq!(left(&[]), (1, 2));
    assert_eq!(left(&["--repair"]), (1, 2));
    assert_eq!(left(&["--repair", "--older-than", "0h"]), (1, 2));
    assert_eq!(left(&[]), (0, 0));
}

#[tokio::test]
async fn lost_symbols_come_back_out_of_the_bucket() {
    let (feed, pdb) = feed_with_symbols().await;
    // Those of another build, and older ones, are left out.
    let aws = feed.engines().await.aws();
    let foreign = format!("symbols/sym/1.0.0/{}.snupkg", ulid::Ulid::new());
    let other = symbols("Sym", "1.0.0").file("A.pdb", &Pdb::new(b"other").bytes).build();
    put_object(&aws, &foreign, &other).await;
    drop(aws);
    for file in ["table.db", "table.db-wal", "table.db-shm"] {
        let _ = std::fs::remove_file(feed.data.path().join(file));
    }
    let (content, found) = feed.check(&["--rebuild", "--read"]);
    assert!(content, "{found}");
    assert_eq!(found["rebuilt"].as_array().unwrap().len(), 5);
    assert!(found["unknown"].to_string().contains(&foreign), "{found}");
    assert!(feed.check(&["--rebuild"]).0);
    let server = Server::start(feed.data.path(), &[]);
    let owner = server.owner.clone().unwrap();
    let get = Request::get(pdb.path("a.pdb")).header("x-nuget-apikey", &owner);
    assert_eq!(server.send(get, "").await.expect(StatusCode::OK).body, pdb.bytes);
}

#[tokio::test]
async fn a_feed_that_is_served_or_not_there_is_not_checked() {
    let data = tempfile::tempdir().unwrap();
    let nowhere = data.path().join("nowhere");
    let said = |output: std::process::Output| {
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(said(run(&["check"], &nowhere)).contains("there is no feed"));
    let _server = Server::start(data.path(), &[]);
    assert!(said(run(&["check"], data.path())).contains("stop it"));
    assert!(said(run(&["check", "--repair", "--older-than", "soon"], &nowhere)).contains("48h"));
}

async fn post(server: &Server, path: &str, key: &str, document: String) -> nuthatch_tests::Answer {
    server.send(Request::post(path).header("x-nuget-apikey", key), document).await
}

/// Declares `bytes` as this id and version, and uploads them without a commit.
async fn upload(server: &Server, key: &str, (id, version): (&str, &str), bytes: &[u8]) {
    let sha256 = BASE64_STANDARD.encode(Sha256::digest(bytes));
    let size = bytes.len();
    let document =
        serde_json::json!({ "id": id, "version": version, "size": size, "sha256": sha256 });
    let invited = post(server, "/api/v2/upload", key, document.to_string()).await;
    let invitation = invited.expect(StatusCode::OK).json();
    let url = invitation["url"].as_str().unwrap().split_once("://").unwrap().1.to_owned();
    let mut put = Request::put(format!("/{}", url.split_once('/').unwrap().1));
    for (name, value) in invitation["headers"].as_object().unwrap() {
        if name != "host" && name != "content-length" {
            put = put.header(name, value.as_str().unwrap());
        }
    }
    server.send(put, bytes.to_vec()).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_rebuild_brings_back_nothing_that_was_only_uploaded() {
    let feed = Stopped::feed().await;
    let mut server = Server::start(feed.data.path(), &[]);
    let create = ["key", "create", "acme", "--scope", "push", "--id", "Acme.*"];
    let acme = run(&create, feed.data.path()).stdout;
    let acme = String::from_utf8(acme).unwrap().trim().to_owned();
    // Another package's id and version; an id that is new; a version not there yet.
    upload(&server, &acme, ("Acme.Zed", "1.0.0"), &package("Acme", "1.0.0")).await;
    upload(&server, &acme, ("Acme.Zed", "2.0.0"), &package("Secret.Pkg", "6.6.6")).await;
    upload(&server, &acme, ("Acme.Never", "1.0.0"), &package("Acme.Never", "1.0.0")).await;
    upload(&server, &feed.owner, ("Acme", "4.0.0"), &package("Acme", "4.0.0")).await;
    server.signal("TERM");
    assert!(server.wait().success());
    for file in ["table.db", "table.db-wal", "table.db-shm"] {
        let _ = std::fs::remove_file(feed.data.path().join(file));
    }
    let (content, found) = feed.check(&["--rebuild", "--read"]);
    assert!(content, "{found}");
    assert_eq!(found["rebuilt"], serde_json::json!(["acme 1.0.0", "acme 2.0.0", "acme 3.0.0"]));
    assert_eq!(found["versions"], 3);
}

#[tokio::test]
async fn a_row_whose_object_lies_elsewhere_is_found_and_a_version_without_a_mark_is_marked() {
    let feed = Stopped::feed().await;
    let engines = feed.engines().await;
    let aws = engines.aws();
    let listed = aws.s3.list_objects_v2().bucket(NAME).send().await.unwrap();
    let keys: Vec<String> =
        listed.contents().iter().filter_map(|it| it.key()).map(str::to_owned).collect();
    let mark = keys.iter().find(|key| key.contains("/1.0.0/") && is_mark(key)).unwrap();
    aws.s3.delete_object().bucket(NAME).key(mark).send().await.unwrap();
    let other = keys.iter().find(|key| key.contains("/2.0.0/") && key.ends_with("nupkg")).unwrap();
    let update = aws.dynamodb.update_item().table_name(NAME);
    let update = update.key("pk", AttributeValue::S("PACKAGE#acme".to_owned()));
    let update = update.key("sk", AttributeValue::S("VERSION#3.0.0".to_owned()));
    let update = update.update_expression("SET #object = :object");
    let update = update.expression_attribute_names("#object", "object");
    let update = update.expression_attribute_values(":object", AttributeValue::S(other.clone()));
    update.send().await.unwrap();
    drop((aws, engines));
    let (content, found) = feed.check(&[]);
    assert!(!content);
    let problems = found["problems"].as_array().unwrap();
    assert!(problems.iter().any(|problem| problem["problem"] == "other-object"), "{found}");
    assert_eq!(found["unmarked"][0]["package"], "Acme 1.0.0");
    assert_eq!(found["unmarked"][0]["marked"], false);
    assert_eq!(feed.check(&["--repair"]).1["unmarked"][0]["marked"], true);
    assert_eq!(feed.check(&[]).1["unmarked"], Value::Null);
}
