//! The bill of a month, out of the calls, units and log lines of real requests.
//!
//! `cargo bench -p nuthatch-tests --bench month` plays a build that restores packages, a push
//! and other requests against the functions behind the gateway, each in processes of their
//! own, and prices them as often as a month has them. It needs no build for Lambda: it counts,
//! and takes no times.

use std::path::PathBuf;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use nuthatch_tests::prices::{API, GB_SECONDS, IN_TABLE, LAMBDA, LOGS, STORED};
use nuthatch_tests::{
    Bill, EngineServer, LambdaGateway, PackageBuilder, Sandboxes, TestFeed, framed, key_header,
    send_to,
};

/// The packages that a build restores, each by its list and one download.
const RESTORED: u32 = 25;
/// A month: builds, other requests that read, pushes, versions and bytes in GB.
const BUILDS: f64 = 80_000.0;
const OTHERS: f64 = 100_000.0;
const PUSHES: f64 = 3_000.0;
const VERSIONS: f64 = 20_000.0;
const STORED_GB: f64 = 50.0;
/// The bytes of a version's row.
const ROW: f64 = 4_000.0;
/// The days, and the runs of `compact` and `meter`.
const DAYS: f64 = 30.0;
const RUNS: f64 = 4_320.0 + 240.0;
/// Seconds of a request in a function, with AWS's network: not measured.
const SECONDS: f64 = 0.010;
/// The memory of a function in GB. Those that have more are few among the requests.
const GB: f64 = 0.5;
/// The bytes that `CloudWatch` adds to each line of a log.
const OF_A_LINE: u32 = 26;

#[tokio::main]
async fn main() {
    let stage = Stage::start().await;
    let build = stage.build().await;
    let others = stage.others().await;
    let push = stage.push().await;
    println!(
        "| a build, a push, three others | requests | functions | RRU | WRU | GET | PUT | bytes of logs |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (name, one) in [("build", build), ("push", push), ("others", others)] {
        let Use { requests, invoked, bill, logged } = one;
        let Bill { reads, writes, gets, puts, .. } = bill;
        println!(
            "| {name} | {requests} | {invoked} | {reads} | {writes} | {gets} | {puts} | {logged} |"
        );
    }
    let month = Month::of(build, others, push);
    println!("\n| | $ |\n|---|---|");
    for (name, dollars) in month.lines() {
        println!("| {name} | {dollars:.2} |");
    }
    println!("| sum | {:.1} |", month.sum());
    println!(
        "\nThe counts of downloads, if no version has more than 128: {:.2} more.",
        month.counts
    );
}

/// Everything that some requests take, all together.
#[derive(Debug, Clone, Copy)]
struct Use {
    /// Requests that the gateway bills: it does not bill a refusal for want of a key.
    requests: u32,
    /// Functions that were invoked.
    invoked: u32,
    bill: Bill,
    /// Bytes of logs as `CloudWatch` counts them.
    logged: u32,
}

/// The dollars of a month.
struct Month {
    api: f64,
    functions: f64,
    table: f64,
    bucket: f64,
    stored: f64,
    logs: f64,
    counts: f64,
}

impl Month {
    fn of(build: Use, others: Use, push: Use) -> Self {
        let times = [(build, BUILDS), (others, OTHERS / 3.0), (push, PUSHES)];
        let millions = |of: fn(Use) -> f64| -> f64 {
            times.iter().map(|(one, count)| of(*one) * count / 1e6).sum()
        };
        let invoked = millions(|one| one.invoked.into()) + RUNS / 1e6;
        // The writes of a build count its downloads; one notes the day of its key.
        let counts = Bill { writes: build.bill.writes, ..Bill::default() }.price() * BUILDS / 1e6;
        // Once a day `meter` reads the table.
        let metered = Bill { reads: VERSIONS * ROW / 4096.0 * DAYS, ..Bill::default() };
        let table = |one: Use| Bill { gets: 0, puts: 0, ..one.bill }.price();
        let bucket = |one: Use| Bill { reads: 0.0, writes: 0.0, ..one.bill }.price();
        Self {
            api: millions(|one| one.requests.into()) * API,
            functions: invoked * (LAMBDA + GB * SECONDS * GB_SECONDS),
            table: millions(table) - counts + metered.price() / 1e6,
            bucket: millions(bucket),
            stored: STORED_GB * STORED + VERSIONS * ROW / 1e9 * IN_TABLE,
            logs: millions(|one| one.logged.into()) * LOGS / 1e3,
            counts,
        }
    }

    fn lines(&self) -> [(&'static str, f64); 6] {
        [
            ("REST API", self.api),
            ("functions, the authorizer among them, 10 ms each", self.functions),
            ("table: reads and pushes", self.table),
            ("bucket: downloads and pushes", self.bucket),
            ("50 GB in the bucket, 80 MB in the table", self.stored),
            ("logs, class `STANDARD`", self.logs),
        ]
    }

    fn sum(&self) -> f64 {
        self.lines().iter().map(|(_, dollars)| dollars).sum()
    }
}

struct Stage {
    feed: TestFeed,
    engines: EngineServer,
    gateway: LambdaGateway,
    owner: String,
    log: PathBuf,
}

impl Stage {
    async fn start() -> Self {
        let feed = TestFeed::start().await;
        let owner = feed.owner().await;
        for number in 0..RESTORED {
            let package = PackageBuilder::new(&format!("Acme.Part{number}"), "1.0.0").build();
            owner.push(&package).await.expect(StatusCode::CREATED);
        }
        feed.settle().await;
        let engines = EngineServer::start(&feed.engines).await;
        let log = feed.folder().join("log");
        let sandboxes = Sandboxes::new(engines.environment()).logging_to(log.clone());
        let gateway = LambdaGateway::before_sandboxes(sandboxes);
        let owner = owner.key().to_owned();
        Self { feed, engines, gateway, owner, log }
    }

    /// A build with a key of its own, by instances that remember the packages.
    async fn build(&self) -> Use {
        self.restore_with(&self.owner).await;
        let reader = self.feed.client("build", &[access::Scope::Read], &["*"]).await;
        let begun = self.begin();
        let requests = self.restore_with(reader.key()).await;
        self.end(begun, requests)
    }

    /// Each request is made without a key first, as clients do.
    async fn restore_with(&self, key: &str) -> u32 {
        let mut requests = 0;
        for number in 0..RESTORED {
            let folder = format!("/v3/package/acme.part{number}");
            let list = format!("{folder}/index.json");
            let nupkg = format!("{folder}/1.0.0/acme.part{number}.1.0.0.nupkg");
            for path in [list, nupkg] {
                let refused = self.get(&path, "").await;
                assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
                let answer = self.get(&path, key).await;
                requests += 1;
                if answer.status == StatusCode::FOUND {
                    let (host, path) = answer
                        .header("location")
                        .split_once("://")
                        .unwrap()
                        .1
                        .split_once('/')
                        .unwrap();
                    let get = Request::get(format!("/{path}"));
                    send_to(host, get, Bytes::new()).await.expect(StatusCode::OK);
                } else {
                    answer.expect(StatusCode::OK);
                }
            }
        }
        requests
    }

    /// Three other requests, of one kind each.
    async fn others(&self) -> Use {
        let paths =
            ["/v3/index.json", "/v3/search?q=acme", "/v3/registration/acme.part1/index.json"];
        let read = async || {
            for path in paths {
                self.get(path, &self.owner).await.expect(StatusCode::OK);
            }
        };
        read().await;
        let begun = self.begin();
        read().await;
        self.end(begun, 3)
    }

    async fn push(&self) -> Use {
        let push = async |name: &str| {
            let (content_type, body) = framed(&PackageBuilder::new(name, "1.0.0").build());
            let mut headers = HeaderMap::from_iter([key_header(&Method::PUT, &self.owner)]);
            headers.insert("content-type", content_type.parse().unwrap());
            let path = "/api/v2/package/";
            let pushed = self.gateway.answer(Method::PUT, path, headers, body.into()).await;
            pushed.expect(StatusCode::CREATED);
        };
        push("First").await;
        let begun = self.begin();
        push("Second").await;
        self.end(begun, 1)
    }

    async fn get(&self, path: &str, key: &str) -> nuthatch_tests::Answer {
        let key = (!key.is_empty()).then(|| key_header(&Method::GET, key));
        self.gateway.answer(Method::GET, path, key.into_iter().collect(), Bytes::new()).await
    }

    fn begin(&self) -> (u32, u32) {
        let _ = (self.engines.take_bill(), self.gateway.invoked());
        self.logged()
    }

    fn end(&self, (bytes, lines): (u32, u32), requests: u32) -> Use {
        let (bytes_now, lines_now) = self.logged();
        Use {
            requests,
            invoked: self.gateway.invoked().len().try_into().unwrap(),
            bill: self.engines.take_bill(),
            logged: bytes_now - bytes + (lines_now - lines) * OF_A_LINE,
        }
    }

    /// The bytes and lines of the log so far.
    fn logged(&self) -> (u32, u32) {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        (log.len().try_into().unwrap(), log.lines().count().try_into().unwrap())
    }
}
