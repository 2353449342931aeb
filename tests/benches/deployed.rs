//! The cost of a deployed feed: sizes, cold starts, times, memory, calls, money.
//!
//! `cargo bench -p nuthatch-tests --bench deployed [-- flat [PACKAGES] | FUNCTION …]` prints tables of
//! the binaries that cargo-lambda built into the folder that `NUTHATCH_BOOTSTRAPS` names,
//! or of this machine's release build. The engines are the embedded ones, over TCP: the time
//! of AWS's own network comes on top.

use std::io::Write;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use http::StatusCode;
use nupkg::{PackageId, Version};
use nuthatch_tests::prices::{API, GB_SECONDS, GETS, LAMBDA, PUTS, READS, WRITES};
use nuthatch_tests::{
    ADDRESS, AssemblyBuilder, Bill, EngineServer, FeedOptions, GIVEN_ISSUER, PackageBuilder, Pdb,
    Sandbox, Sandboxes, TestFeed, bootstrap, framed, functions, given_trust, noise, rest_event,
    symbols,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use store::{BucketName, ObjectKey};
use tokens::Signer;
use ulid::Ulid;

/// The limits of a function: MB of its deflated binary, milliseconds until it is ready, and
/// milliseconds of its first invocation.
const BUDGET: [f64; 3] = [6.0, 15.0, 25.0];
/// The limit on its memory in kB, after a hundred pushes of 1 MB each.
const MEMORY: u64 = 48_000;

/// How many fresh processes of each function are started, and how many if their medians are
/// over budget, so that a busy moment of the machine does not decide.
const STARTS: usize = 15;
const MOST_STARTS: usize = 45;
/// Warm invocations of each function.
const WARM: usize = 200;

/// The versions of each package.
const VERSIONS: [&str; 3] = ["1.0.0", "1.1.0", "2.0.0"];
/// Functions that change the results of search.
const WRITERS: [&str; 6] = ["symbols", "push-symbols", "push", "commit", "unlist", "relist"];

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    runtime.block_on(async {
        let first = arguments.next();
        if first.as_deref() == Some("flat") {
            let packages = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(100_000);
            flat(packages).await;
            return;
        }
        let named: Vec<String> = first.into_iter().chain(arguments).collect();
        let mut excesses = costs(&if named.is_empty() { functions() } else { named }).await;
        excesses.extend(memory().await);
        if !excesses.is_empty() {
            eprintln!("\nOver budget:\n{}", excesses.join("\n"));
            std::process::exit(1);
        }
    });
}

/// A feed with its engines over TCP, and the binaries.
struct Stage {
    feed: TestFeed,
    engines: EngineServer,
    sandboxes: Sandboxes,
}

impl Stage {
    async fn start() -> Self {
        let feed = TestFeed::with(FeedOptions { quick: true, ..FeedOptions::default() }).await;
        let engines = EngineServer::start(&feed.engines).await;
        let sandboxes = Sandboxes::new(engines.environment());
        Self { feed, engines, sandboxes }
    }

    /// Waits until all changes are settled and may be remembered.
    async fn settle() {
        tokio::time::sleep(Duration::from_secs(70)).await;
    }
}

/// The ids of the packages that requests are for.
fn sought() -> impl Iterator<Item = String> {
    (0..100).map(|number| format!("Sought.Thing{number}"))
}

/// A word without digits for each number below 26⁴.
fn letters(number: usize) -> String {
    let digits = (0..4).map(|place| number / 26_usize.pow(place) % 26);
    digits.map(|digit| char::from(b'a' + u8::try_from(digit).unwrap())).collect()
}

/// An event as the gateway makes it once the key has been checked.
fn event(method: &str, resource: &str, path: &str, parameters: &Value) -> Value {
    rest_event(method, resource, path, parameters, &json!({ "key": "owner", "ids": "*" }))
}

/// A push to `path`, with the slash that clients add.
fn push(path: &str, package: &[u8]) -> Value {
    let (content_type, body) = framed(package);
    let (resource, path) = (format!("{path}/{{proxy+}}"), format!("{path}/"));
    let mut event = event("PUT", &resource, &path, &json!({ "proxy": "" }));
    event["headers"]["content-type"] = content_type.into();
    event["multiValueHeaders"]["content-type"] = json!([content_type]);
    event["body"] = BASE64_STANDARD.encode(body).into();
    event["isBase64Encoded"] = true.into();
    event
}

/// The `number`th request to a function.
async fn request(feed: &TestFeed, function: &str, number: usize, key: &str) -> Value {
    let (listing, package) = ("/api/v2/package/{proxy+}", "Sought.Thing1/1.0.0");
    match function {
        "authorize" => json!({
            "type": "REQUEST",
            "methodArn": "arn:aws:execute-api:eu-west-1:123456789012:x/feed/GET/x",
            "httpMethod": "GET",
            "resource": "/v3/package/{id}/index.json",
            "headers": { "authorization": format!("Basic {}", BASE64_STANDARD.encode(format!("any:{key}"))) },
        }),
        "push" => {
            let package = PackageBuilder::new(&format!("Pushed{}", Ulid::new()), "1.0.0").build();
            push("/api/v2/package", &package)
        }
        "push-symbols" => {
            let (pair, _) = pair(feed, &format!("Symbols{}", Ulid::new()), key).await;
            push("/api/v2/symbolpackage", &pair)
        }
        "symbols" => {
            let (pair, pdb) = pair(feed, "Symbols", key).await;
            feed.stranger().with_key(key).push_symbols(&pair).await.expect(StatusCode::CREATED);
            let path = pdb.path("a.pdb");
            let proxy = json!({ "proxy": path.trim_start_matches("/symbols/") });
            event("GET", "/symbols/{proxy+}", &path, &proxy)
        }
        "commit" => commit(feed).await,
        "token" => exchange(feed).await,
        "upload" => {
            let mut event = event("POST", "/api/v2/upload", "/api/v2/upload", &json!({}));
            event["body"] = declaration("Declared", &[0; 1000]).into();
            event
        }
        "unlist" | "relist" => {
            let method = if function == "unlist" { "DELETE" } else { "POST" };
            // Each of 300 requests changes a different version.
            let version = VERSIONS[number / 100 % 3];
            let package = format!("Sought.Thing{}/{version}", number % 100);
            event(
                method,
                listing,
                &format!("/api/v2/package/{package}"),
                &json!({ "proxy": package }),
            )
        }
        "index" => event("GET", "/v3/index.json", "/v3/index.json", &json!({})),
        "follow" => event("GET", "/v3/log", "/v3/log", &json!({})),
        "account" => event("GET", "/v3/usage", "/v3/usage", &json!({})),
        "versions" => {
            let id = format!("sought.thing{}", number % 90);
            let path = format!("/v3/package/{id}/index.json");
            event("GET", "/v3/package/{id}/index.json", &path, &json!({ "id": id }))
        }
        "download" => {
            let (id, version, file) = ("sought.thing1", "1.0.0", "sought.thing1.1.0.0.nupkg");
            let parameters = json!({ "id": id, "version": version, "file": file });
            let path = format!("/v3/package/{package}/{file}").to_lowercase();
            event("GET", "/v3/package/{id}/{version}/{file}", &path, &parameters)
        }
        "registration" => {
            let id = format!("sought.thing{}", number % 90);
            let path = format!("/v3/registration/{id}/index.json");
            event("GET", "/v3/registration/{id}/index.json", &path, &json!({ "id": id }))
        }
        "search" => {
            let mut event = event("GET", "/v3/search", "/v3/search", &json!({}));
            let query = format!("Sought.Thing{}", number % 90);
            event["queryStringParameters"] = json!({ "q": query });
            event["multiValueQueryStringParameters"] = json!({ "q": [query] });
            event
        }
        "web" => {
            let mut event = event(
                "GET",
                "/packages/{id}",
                "/packages/Sought.Thing1",
                &json!({ "id": "Sought.Thing1" }),
            );
            let cookie = format!("__Host-nuthatch={key}");
            event["headers"]["cookie"] = cookie.clone().into();
            event["multiValueHeaders"]["cookie"] = json!([cookie]);
            event
        }
        _ => json!({}),
    }
}

fn declaration(id: &str, package: &[u8]) -> String {
    let sha256 = BASE64_STANDARD.encode(Sha256::digest(package));
    json!({ "id": id, "version": "1.0.0", "size": package.len(), "sha256": sha256 }).to_string()
}

/// The symbols of a package that is in the feed, and the PDB in them.
async fn pair(feed: &TestFeed, id: &str, key: &str) -> (Vec<u8>, Pdb) {
    let pdb = Pdb::new(id.as_bytes());
    let assembly = AssemblyBuilder::of(&pdb).build();
    let package = PackageBuilder::new(id, "1.0.0").file("A.dll", &assembly).build();
    // It may be there from the request before.
    feed.stranger().with_key(key).push(&package).await;
    (symbols(id, "1.0.0").file("A.pdb", &pdb.bytes).build(), pdb)
}

/// The exchange of a token that was not exchanged before.
async fn exchange(feed: &TestFeed) -> Value {
    static SIGNER: LazyLock<Signer> = LazyLock::new(|| Signer::rsa("k1"));
    let (trust, issuer) = given_trust("acme-release", &SIGNER);
    // It may be there from the request before.
    feed.table().add_trust(&trust, &issuer).await.unwrap();
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let mut claims = tokens::github(GIVEN_ISSUER, ADDRESS, now);
    claims["jti"] = Ulid::new().to_string().into();
    let bearer = format!("Bearer {}", SIGNER.sign(&claims));
    let mut event = event("POST", "/api/v2/token", "/api/v2/token", &json!({}));
    for (name, value) in [("authorization", &*bearer), ("content-type", "application/json")] {
        event["headers"][name] = value.into();
        event["multiValueHeaders"][name] = json!([value]);
    }
    event["body"] = json!({"username": "acme-release", "tokenType": "ApiKey"}).to_string().into();
    event
}

/// The commit of a package that is in the bucket already.
async fn commit(feed: &TestFeed) -> Value {
    let upload = Ulid::new();
    let name = format!("Uploaded{upload}");
    let package = PackageBuilder::new(&name, "1.0.0").build();
    let declaration = declaration(&name, &package);
    let (id, version) = (PackageId::parse(&name).unwrap(), "1.0.0".parse::<Version>().unwrap());
    let put = feed.aws.s3.put_object().bucket(BucketName::default().as_str());
    let put = put.key(ObjectKey::of(&id, &version, upload).upload().as_str());
    let put = put.checksum_sha256(BASE64_STANDARD.encode(Sha256::digest(&package)));
    put.body(package.into()).send().await.unwrap();
    let path = format!("/api/v2/upload/{upload}/commit");
    let parameters = json!({ "upload": upload.to_string() });
    let mut event = event("POST", "/api/v2/upload/{upload}/commit", &path, &parameters);
    event["body"] = declaration.into();
    event
}

/// How long an invocation took. It must not fail.
async fn invoke(sandbox: &Sandbox, event: &Value) -> Duration {
    answer(sandbox, event).await.0
}

/// How long it took, and how many bytes its answer has.
async fn answer(sandbox: &Sandbox, event: &Value) -> (Duration, usize) {
    let started = Instant::now();
    let answer = sandbox.invoke(event).await.unwrap();
    let took = started.elapsed();
    let status = answer["statusCode"].as_u64().unwrap_or(200);
    assert!(status < 400, "{event} {answer}");
    (took, answer["body"].as_str().map_or(0, str::len))
}

fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort();
    durations[durations.len() / 2]
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The memory of a process in kB, current or peak.
fn memory_of(process: u32, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// MB of a function's binary, and deflated.
fn size(function: &str) -> (f64, f64) {
    let bytes = std::fs::read(bootstrap(function).expect("NUTHATCH_BOOTSTRAPS is set")).unwrap();
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::best());
    deflate.write_all(&bytes).unwrap();
    let mb = |length: usize| f64::from(u32::try_from(length).unwrap()) / 1e6;
    (mb(bytes.len()), mb(deflate.finish().unwrap().len()))
}

/// Dollars for a million requests: gateway, authorizer, function, table, bucket.
fn price(function: &str, warm: Duration, bill: Bill) -> f64 {
    let large = ["commit", "push-symbols", "search", "web", "compact"];
    let gb = if large.contains(&function) { 1769.0 } else { 512.0 } / 1024.0;
    let is_asked = !["authorize", "compact", "meter"].contains(&function);
    let api = if is_asked { API } else { 0.0 };
    // The gateway remembers who reads, and asks the authorizer about every write.
    let is_write = WRITERS.contains(&function) || function == "upload";
    let authorizer = if is_asked && is_write { LAMBDA + 0.5 * 0.001 * GB_SECONDS } else { 0.0 };
    api + authorizer + LAMBDA + gb * warm.as_secs_f64() * GB_SECONDS + bill.price()
}

/// Milliseconds until fresh processes of a function are ready, and of their first
/// invocations: medians of all that were started.
async fn cold(stage: &Stage, function: &str, key: &str) -> [f64; 2] {
    let (mut ready, mut first) = (Vec::new(), Vec::new());
    loop {
        for number in 0..STARTS {
            let sandbox = stage.sandboxes.start(function).await;
            ready.push(sandbox.ready_after);
            let event = request(&stage.feed, function, number, key).await;
            first.push(invoke(&sandbox, &event).await);
        }
        let medians = [&ready, &first].map(|all| milliseconds(median(all.clone())));
        let is_within = medians[0] <= BUDGET[1] && medians[1] <= BUDGET[2];
        // Once more than STARTS are needed, all MOST_STARTS are made, so that the median
        // does not stop at a convenient value.
        let is_enough = if ready.len() > STARTS { ready.len() == MOST_STARTS } else { is_within };
        if is_enough {
            return medians;
        }
    }
}

/// The processor time that a process has taken so far, to the hundredth of a second (`proc(5)`).
fn processor_time(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // Its name, in brackets, may have spaces. The user's and the system's time follow it.
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// Prints a line for each function; returns the figures that are over budget.
async fn costs(functions: &[String]) -> Vec<String> {
    let stage = Stage::start().await;
    let key = stage.feed.owner().await.key().to_owned();
    stage.feed.fill(sought(), &VERSIONS).await;
    stage.feed.settle().await;
    stage.sandboxes.invoke("compact", &json!({})).await.unwrap();
    // Readers come first, because search also reads all changes of the last minute.
    let readers = functions.iter().filter(|function| !WRITERS.contains(&function.as_str()));
    // In their order: what is listed cannot be listed again.
    let writers = WRITERS.iter().filter_map(|writer| functions.iter().find(|name| name == writer));
    println!(
        "| function | MB | MB deflated | start ms | first call ms | warm ms | memory MB | table calls | RRU | WRU | S3 GET | S3 PUT | answer bytes | $ per million |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    let (mut excesses, mut owns) = (Vec::new(), Vec::new());
    for function in readers.chain(writers) {
        let [ready, first] = cold(&stage, function, &key).await;
        let sandbox = stage.sandboxes.start(function).await;
        let (mut warm, mut bill, mut bytes) = (Vec::new(), Bill::default(), 0);
        // Numbers that are still unused, so that a listing changes something, as most do.
        for number in STARTS..STARTS + 20 {
            let event = request(&stage.feed, function, number, &key).await;
            let _ = stage.engines.take_bill();
            let (took, length) = answer(&sandbox, &event).await;
            warm.push(took);
            bytes = length;
            bill = stage.engines.take_bill();
        }
        let before = processor_time(sandbox.id());
        for number in 0..WARM {
            let event = request(&stage.feed, function, number, &key).await;
            warm.push(invoke(&sandbox, &event).await);
        }
        let own = processor_time(sandbox.id()).saturating_sub(before);
        let own = own / u32::try_from(WARM).unwrap();
        owns.push(format!("{function} {:.1}", milliseconds(own)));
        let warm = median(warm);
        let (mb, deflated) = size(function);
        for (figure, most) in [deflated, ready, first].into_iter().zip(BUDGET) {
            if figure > most {
                excesses.push(format!("{function}: {figure:.1}, not {most}"));
            }
        }
        println!(
            "| {function} | {mb:.1} | {deflated:.1} | {ready:.1} | {first:.1} | {:.1} | {:.0} | {} | {} | {} | {} | {} | {bytes} | {:.2} |",
            milliseconds(warm),
            f64::from(u32::try_from(memory_of(sandbox.id(), "VmRSS")).unwrap()) / 1000.0,
            bill.table_calls,
            bill.reads,
            bill.writes,
            bill.gets,
            bill.puts,
            price(function, warm, bill),
        );
    }
    println!("\nOf a warm request, the function's own processor time in ms: {}.", owns.join(", "));
    println!(
        "\nA million requests: {API} for the REST API, {LAMBDA} for the function and, of a write, {LAMBDA} for \
         the authorizer with half a GB for a millisecond, {GB_SECONDS} for a million GB-s on arm64 (512 MB, \
         and 1,769 MB of commit, push-symbols, search, web and compact, for as long as a warm invocation), {READS} and \
         {WRITES} for read and write units, {GETS} for GETs and {PUTS} for PUTs: list prices of us-east-1 \
         in dollars."
    );
    excesses
}

/// Prints the memory that a process keeps after a hundred pushes of 1 MB each; returns it if
/// it is over budget.
async fn memory() -> Option<String> {
    let stage = Stage::start().await;
    let sandbox = stage.sandboxes.start("push").await;
    let content = noise(1_000_000);
    for number in 0..100 {
        let package = PackageBuilder::new(&format!("Large{number}"), "1.0.0").file("a", &content);
        invoke(&sandbox, &push("/api/v2/package", &package.build())).await;
    }
    let (now, most) = (memory_of(sandbox.id(), "VmRSS"), memory_of(sandbox.id(), "VmHWM"));
    println!("\nA push function after 100 pushes of 1 MB: {now} kB, {most} kB at most.");
    (most > MEMORY).then(|| format!("push: {most} kB, not {MEMORY}"))
}

/// Sends the same requests alternately to a feed of 100 packages and to one of very many.
async fn flat(packages: usize) {
    let (small, large) = (Stage::start().await, Stage::start().await);
    let key = small.feed.owner().await.key().to_owned();
    let started = Instant::now();
    for stage in [&small, &large] {
        stage.feed.fill(sought(), &VERSIONS).await;
    }
    // The cost of a search depends on its matches, and none of the others match.
    let others = (100..packages).map(|number| format!("Other.{}", letters(number)));
    large.feed.fill(others, &VERSIONS).await;
    println!("filled in {:.0?}", started.elapsed());
    Stage::settle().await;
    for stage in [&small, &large] {
        let compact = stage.sandboxes.start("compact").await;
        let started = Instant::now();
        compact.invoke(&json!({})).await.unwrap();
        println!("compacted in {:.0?}", started.elapsed());
    }
    println!(
        "| function | p50 ms with 100 packages | with {packages} | ratio |\n|---|---|---|---|"
    );
    // Readers come first, as above.
    for function in ["search", "versions", "registration", "download", "push", "unlist", "relist"] {
        let (one, other) =
            (small.sandboxes.start(function).await, large.sandboxes.start(function).await);
        let (mut few, mut many) = (Vec::new(), Vec::new());
        for number in 0..WARM + 20 {
            let event = request(&small.feed, function, number, &key).await;
            let (short, long) = (invoke(&one, &event).await, invoke(&other, &event).await);
            if number >= 20 {
                few.push(short);
                many.push(long);
            }
        }
        let (few, many) = (median(few), median(many));
        println!(
            "| {function} | {:.1} | {:.1} | {:.2} |",
            milliseconds(few),
            milliseconds(many),
            many.as_secs_f64() / few.as_secs_f64()
        );
    }
}
