//! The cost of reading: in time, memory and capacity units.
//!
//! `cargo bench -p nuthatch-tests --bench reads [-- PACKAGES]` prints tables. With
//! `wrk` on the PATH it also loads the command itself, over a socket. Writing the packages
//! takes most of the time. If `BENCH_DATA` names a folder, they are kept there for the next
//! run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use access::{IdGlob, Scope};
use http_body_util::BodyExt;
use nuthatch::engines::{DataFolder, Engines, RecyclePeriod, aws};
use nuthatch_tests::{Dice, Loader, Recorder, Server, commit, functions_on, verb};
use protocol::{BaseUrl, Body, PathParameters, Request};
use search_index::SearchIndex;
use store::{Aws, BucketName, Objects, Table, TableName};
use ulid::Ulid;

/// Words that ids and descriptions are made of.
const WORDS: [&str; 40] = [
    "Alpha",
    "Backup",
    "Billing",
    "Cache",
    "Client",
    "Cloud",
    "Common",
    "Config",
    "Core",
    "Crypto",
    "Data",
    "Diagnostics",
    "Domain",
    "Email",
    "Events",
    "Export",
    "Files",
    "Graph",
    "Hosting",
    "Http",
    "Identity",
    "Import",
    "Json",
    "Logging",
    "Mail",
    "Messaging",
    "Metrics",
    "Orders",
    "Payments",
    "Queue",
    "Reports",
    "Routing",
    "Scheduler",
    "Search",
    "Security",
    "Storage",
    "Testing",
    "Users",
    "Web",
    "Xml",
];

fn word(dice: &mut Dice) -> &'static str {
    WORDS[dice.below(WORDS.len())]
}

fn words(dice: &mut Dice, count: usize) -> String {
    (0..count).map(|_| word(dice)).collect::<Vec<_>>().join(" ")
}

/// The argument that asks for an instance's first search alone.
const COLD: &str = "cold";
/// The variable that names a folder to keep the packages in.
const DATA: &str = "BENCH_DATA";

/// Makes up the query string of a search.
type Question = fn(&mut Dice) -> String;

#[tokio::main]
async fn main() {
    let packages: usize =
        std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    if std::env::args().any(|argument| argument == COLD) {
        cold(Path::new(&std::env::var_os(DATA).unwrap())).await;
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let kept = std::env::var_os(DATA).map(PathBuf::from);
    let folder = kept.unwrap_or_else(|| temporary.path().to_owned());
    let data = DataFolder::open(&folder).unwrap();
    let mut dice = Dice::new(0x9E37_79B9_7F4A_7C15);
    if !folder.join("table.db").exists() {
        drop(data.start(RecyclePeriod::default()).await.unwrap());
        write(&folder.join("table.db"), packages, &mut dice).await;
        calm_down().await;
    }
    compact(&data.start(RecyclePeriod::default()).await.unwrap()).await;
    // In a separate process, which has not used memory for anything else.
    let child =
        Command::new(std::env::current_exe().unwrap()).arg(COLD).env(DATA, &folder).status();
    assert!(child.unwrap().success());
    let engines = data.start(RecyclePeriod::default()).await.unwrap();
    let table = Table::new(engines.aws().dynamodb, TableName::default());
    search(&engines, &mut dice).await;
    many_versions(&engines, &table).await;
    prepare_for_load(&engines, &table).await;
    calm_down().await;
    drop(table);
    drop(engines);
    load(&folder);
}

/// Writes the packages: each as the feed commits it, but thousands at once.
async fn write(database: &Path, packages: usize, dice: &mut Dice) {
    let start = Instant::now();
    let loader = Loader::open(database);
    for number in 0..packages {
        let id = format!("Acme.{}.{}.P{number}", word(dice), word(dice));
        let more = format!("<tags>{}</tags><summary>{}</summary>", words(dice, 4), words(dice, 12));
        for version in ["1.0.0", "1.1.0", "2.0.0-beta.1"] {
            commit(&loader.table, &id, version, &more).await;
        }
        if number % 1_000 == 999 || number + 1 == packages {
            loader.flush();
        }
    }
    let took = start.elapsed();
    println!("{packages} packages of 3 versions written in {:.0} s", took.as_secs_f64());
}

/// Waits until no change is younger than a minute. Search reads such changes again every
/// time, and nobody pushes thousands in a minute.
async fn calm_down() {
    tokio::time::sleep(Duration::from_secs(61)).await;
}

/// Bytes that this process holds in memory.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

fn request(path: &str, id: &str) -> Request {
    let mut request = http::Request::get(path).body(Body::empty()).unwrap();
    let parameters = HashMap::from([("id".to_owned(), id.to_owned())]);
    request.extensions_mut().insert(PathParameters(parameters));
    request.extensions_mut().insert(BaseUrl("https://packages.example.org".to_owned()));
    request
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn percentiles(name: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |per_mille: usize| {
        let place = times.len() * per_mille / 1_000;
        milliseconds(times[place.min(times.len() - 1)])
    };
    let [half, most, all] = [at(500), at(990), at(1_000)];
    println!("{name:<44} p50 {half:>7.2} ms   p99 {most:>7.2} ms   max {all:>7.2} ms");
}

fn index(engines: &Engines) -> SearchIndex {
    let Aws { dynamodb, s3 } = engines.aws();
    let objects = Objects::new(s3, BucketName::default());
    SearchIndex::new(Table::new(dynamodb, TableName::default()), objects)
}

async fn compact(engines: &Engines) {
    let start = Instant::now();
    let written = index(engines).compact(Duration::from_hours(1)).await.unwrap();
    let did = if written { "read and the snapshot written" } else { "looked for" };
    println!("\nchanges {did} in {:.1} s", start.elapsed().as_secs_f64());
    let s3 = engines.aws().s3;
    let stored = s3.head_object().bucket("nuthatch").key("search/snapshot").send().await.unwrap();
    println!("snapshot: {} bytes", stored.content_length().unwrap());
}

/// An instance's first search.
async fn cold(folder: &Path) {
    let data = DataFolder::open(folder).unwrap();
    let engines = data.start(RecyclePeriod::default()).await.unwrap();
    let (before, start) = (resident(), Instant::now());
    let verb = verb("search", &functions_on(&engines.aws()));
    let reply = verb.handle(request("/v3/search?q=acme", "")).await;
    assert!(reply.status().is_success());
    let took = milliseconds(start.elapsed());
    println!("cold search: {took:.0} ms, {:.0} MB more in memory", resident() - before);
    for _ in 0..100 {
        verb.handle(request("/v3/search?q=billing&take=100", "")).await;
    }
    println!("after 100 more: {:.0} MB more in memory", resident() - before);
}

async fn search(engines: &Engines, dice: &mut Dice) {
    let dynamodb = engines.aws().dynamodb;
    let verb = verb("search", &functions_on(&engines.aws()));
    verb.handle(request("/v3/search", "")).await;
    let questions: [(&str, Question); 8] = [
        ("nothing: all packages", |_| "prerelease=true".to_owned()),
        ("a word that all have", |_| "q=acme".to_owned()),
        ("a word", |dice| format!("q={}", word(dice))),
        ("the beginning of a word", |dice| format!("q={}", &word(dice)[..2])),
        ("three words", |dice| format!("q={}", words(dice, 3).replace(' ', "%20"))),
        ("a field", |dice| format!("q=tags:{}&prerelease=true", word(dice))),
        ("a package's id", |dice| format!("q=packageid:acme.x.p{}", dice.below(100_000))),
        ("a phrase", |dice| format!("q=%22{}%22", words(dice, 2).replace(' ', "%20"))),
    ];
    println!("\nwarm search, in the handler, 26 results:");
    let mut all = Vec::new();
    for (name, question) in &questions {
        let mut times = Vec::new();
        for _ in 0..300 {
            let path = format!("/v3/search?{}&semVerLevel=2.0.0&take=26", question(dice));
            let start = Instant::now();
            let reply = verb.handle(request(&path, "")).await;
            times.push(start.elapsed());
            assert!(reply.status().is_success());
        }
        all.extend(&times);
        percentiles(name, times);
    }
    percentiles("all of them", all);
    let mut times = Vec::new();
    for number in 0..100 {
        let table = Table::new(dynamodb.clone(), TableName::default());
        commit(&table, &format!("Acme.New.N{number}.{}", Ulid::new()), "1.0.0", "").await;
        let start = Instant::now();
        verb.handle(request("/v3/search?q=new", "")).await;
        times.push(start.elapsed());
    }
    percentiles("a word, right after a push", times);
    let mut times = Vec::new();
    for _ in 0..300 {
        let path = format!("/v3/autocomplete?q=acme.{}", &word(dice)[..3]);
        let start = Instant::now();
        verb.handle(request(&path, "")).await;
        times.push(start.elapsed());
    }
    percentiles("autocomplete", times);
}

/// Makes the package's stamp two minutes older, so that it may be remembered.
async fn settle(engines: &Engines, id: &str) {
    let now = Ulid::new();
    let then = Ulid::from_parts(now.timestamp_ms() - 120_000, now.random()).to_string();
    let text = aws_sdk_dynamodb::types::AttributeValue::S;
    let put = engines.aws().dynamodb.put_item().table_name("nuthatch");
    let put = put.item("pk", text(format!("PACKAGE#{id}"))).item("sk", text("VERSION".to_owned()));
    put.item("stamp", text(then)).send().await.unwrap();
}

async fn many_versions(engines: &Engines, table: &Table) {
    const COUNT: usize = 10_000;
    for number in 0..COUNT {
        commit(table, "Acme.Many", &format!("1.{}.{}", number / 100, number % 100), "").await;
    }
    settle(engines, "acme.many").await;
    let calls = Recorder::of_units();
    let aws = aws(calls.record(engines.dynamodb.clone()), engines.s3.clone());
    let functions = functions_on(&aws);
    let metered = functions.table().unwrap();
    println!("\n{COUNT} versions of one package:");
    commit(&metered, "Acme.Many", "2.0.0", "").await;
    println!("{:<44} {:>8.1} WCU", "push of one more", calls.take_units());
    commit(&metered, "Acme.Single", "1.0.0", "").await;
    println!("{:<44} {:>8.1} WCU", "push of a package's first", calls.take_units());
    settle(engines, "acme.many").await;
    let [versions, registration] = ["versions", "registration"].map(|name| verb(name, &functions));
    for turn in ["cold", "warm"] {
        let start = Instant::now();
        let list = versions.handle(request("/v3/package/acme.many/index.json", "acme.many")).await;
        let size = list.into_body().collect().await.unwrap().to_bytes().len();
        let (took, units) = (milliseconds(start.elapsed()), calls.take_units());
        let name = format!("version list, {turn}");
        println!("{name:<44} {took:>8.2} ms {units:>8.1} RCU {size:>9} bytes");
        let start = Instant::now();
        let path = "/v3/registration/acme.many/index.json";
        let index = registration.handle(request(path, "acme.many")).await;
        let size = index.into_body().collect().await.unwrap().to_bytes().len();
        let (took, units) = (milliseconds(start.elapsed()), calls.take_units());
        let name = format!("registration index, {turn}");
        println!("{name:<44} {took:>8.2} ms {units:>8.1} RCU {size:>9} bytes");
    }
}

/// A package of 1,000 versions, and a key to read it with.
async fn prepare_for_load(engines: &Engines, table: &Table) {
    for patch in 0..1_000 {
        commit(table, "Acme.Load", &format!("1.0.{patch}"), "").await;
    }
    settle(engines, "acme.load").await;
    let name = Ulid::new().to_string().parse().unwrap();
    let any = vec![IdGlob::any()];
    let key =
        nuthatch::keys::create(table, name, vec![Scope::Admin], any, None, "tests").await.unwrap();
    std::fs::write(std::env::temp_dir().join("nuthatch-bench.key"), key.reveal()).unwrap();
}

/// Loads the command with `wrk`, where there is one.
fn load(folder: &std::path::Path) {
    let key_file = std::env::temp_dir().join("nuthatch-bench.key");
    let key = std::fs::read_to_string(&key_file).unwrap();
    std::fs::remove_file(key_file).unwrap();
    let server = Server::start(folder, &[]);
    println!("\nthe command, 8 connections, 10 s each:");
    for (name, path) in [
        ("service index", "v3/index.json"),
        ("version list of 1,000", "v3/package/acme.load/index.json"),
        ("registration index of 1,000", "v3/registration/acme.load/index.json"),
        ("registration page of 64", "v3/registration/acme.load/page/1.0.0/1.0.63.json"),
        ("registration leaf", "v3/registration/acme.load/1.0.7.json"),
        ("nuspec", "v3/package/acme.load/1.0.7/acme.load.nuspec"),
        ("search for a word", "v3/search?q=billing"),
        ("autocomplete", "v3/autocomplete?q=acme.b"),
    ] {
        let url = format!("http://{}/{path}", server.address);
        let output = Command::new("wrk")
            .args([
                "-t2",
                "-c8",
                "-d10s",
                "--latency",
                "-H",
                &format!("X-NuGet-ApiKey: {key}"),
                &url,
            ])
            .output();
        let Ok(output) = output else {
            println!("not measured: there is no wrk");
            return;
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let value = |name: &str| {
            let line = text.lines().find(|line| line.trim_start().starts_with(name));
            line.and_then(|line| line.split_whitespace().last()).unwrap_or("?").to_owned()
        };
        assert!(!text.contains("Non-2xx"), "{text}");
        println!(
            "{name:<44} {:>10} requests/s   p50 {:>8}   p99 {:>8}",
            value("Requests/sec:"),
            value("50%"),
            value("99%")
        );
    }
}
