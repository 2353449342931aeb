//! The cost of a request for a processor: in time, and in instructions, which are the same
//! whatever else the machine does.
//!
//! `cargo bench -p nuthatch-tests --bench handlers` measures times with criterion, and
//! `… -- instructions` counts with valgrind, which has to be on the PATH. The engines are
//! the embedded ones, in this process, and their cost is included.

use std::convert::Infallible;
use std::hint::black_box;
use std::process::Command;

use bytes::Bytes;
use criterion::Criterion;
use futures_util::stream;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body::Frame;
use http_body_util::StreamBody;
use ingest::Permit;
use nupkg::{Limits, inspect};
use nuthatch_tests::{Client, FeedOptions, PackageBuilder, TestFeed, framed, noise};
use protocol::Body;
use store::Spooling;
use time::OffsetDateTime;
use tokio::runtime::Runtime;

/// The measured handlers, by name.
const WORKS: [(&str, Setup); 5] = [
    ("inspection of 200 files", inspection),
    ("multipart of 1 MB, hashed", multipart),
    ("version list of 100", version_list),
    ("registration of 100 versions", registration),
    ("search in 100 packages", search),
];

/// How many more times each one runs under valgrind, after the first.
const TIMES: u64 = 5;

/// Something to do again and again, once it is set up.
type Work = Box<dyn FnMut()>;
/// Its preparation.
type Setup = fn() -> Work;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["instructions", ..] => instructions(),
        ["times", times, name] => {
            let (_, work) = WORKS.iter().find(|(known, _)| known == name).unwrap();
            let mut work = work();
            (0..times.parse::<u64>().unwrap()).for_each(|_| work());
        }
        _ => {
            let mut criterion = Criterion::default().configure_from_args();
            for (name, work) in WORKS {
                let mut work = work();
                criterion.bench_function(name, |bencher| bencher.iter(&mut work));
            }
            criterion.final_summary();
        }
    }
}

/// Runs each work once, and several times more in another process. The difference is the
/// cost of the work.
fn instructions() {
    println!("| work | instructions |\n|---|---|");
    for (name, _) in WORKS {
        let once = counted(name, 1);
        println!("| {name} | {} |", (counted(name, 1 + TIMES) - once) / TIMES);
    }
}

/// The instructions of a process of this bench, as callgrind counts them.
fn counted(name: &str, times: u64) -> u64 {
    let ran = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .args(["times", &times.to_string(), name])
        .output()
        .expect("valgrind");
    let text = String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.success(), "{text}");
    let line = text.lines().find_map(|line| line.split_once("Collected : ")).expect(&text);
    line.1.trim().parse().unwrap()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn inspection() -> Work {
    let package = (0..200).fold(PackageBuilder::new("Acme", "1.0.0"), |package, number| {
        package.file(&format!("lib/net8.0/{number}.dll"), &noise(2000))
    });
    let (package, limits) = (package.build(), Limits::default());
    let now = OffsetDateTime::now_utc();
    Box::new(move || drop(black_box(inspect(package.as_slice(), &limits, now).unwrap())))
}

fn multipart() -> Work {
    let (content_type, body) = framed(&noise(1_000_000));
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())]);
    let (body, runtime) = (Bytes::from(body), runtime());
    Box::new(move || {
        let pieces: Vec<_> = (0..body.len())
            .step_by(16 * 1024)
            .map(|from| body.slice(from..body.len().min(from + 16 * 1024)))
            .map(|piece| Ok::<_, Infallible>(Frame::data(piece)))
            .collect();
        let body = Body::stream(StreamBody::new(stream::iter(pieces)));
        let mut permit = Permit::unlimited();
        let received =
            ingest::receive(&headers, body, &Spooling::Memory, u64::MAX >> 1, &mut permit);
        black_box(runtime.block_on(received).unwrap());
    })
}

/// A request that the feed has answered before, when all changes are settled.
fn get(path: &'static str) -> Work {
    let runtime = runtime();
    let (feed, reader): (TestFeed, Client) = runtime.block_on(async {
        let feed = TestFeed::with(FeedOptions { quick: true, ..FeedOptions::default() }).await;
        let ids = (0..100).map(|number| format!("Filled.Package{number}"));
        feed.fill(ids, &["1.0.0"]).await;
        let versions: Vec<String> = (0..99).map(|patch| format!("3.0.{patch}")).collect();
        let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
        feed.fill(["Filled.Package0".to_owned()], &versions).await;
        feed.settle().await;
        feed.compact().await;
        let feed = feed.another_instance();
        let reader = feed.owner().await;
        (feed, reader)
    });
    Box::new(move || {
        let answer = runtime.block_on(reader.at(&feed).get(path));
        black_box(answer.expect(http::StatusCode::OK));
    })
}

fn version_list() -> Work {
    get("/v3/package/filled.package0/index.json")
}

fn registration() -> Work {
    get("/v3/registration/filled.package0/index.json")
}

fn search() -> Work {
    get("/v3/search?q=package7")
}
