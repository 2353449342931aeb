//! The command beside another feed, in one run: reads while somebody pushes and a minute later,
//! and pushes.
//!
//! `cargo bench -p nuthatch-tests --bench speed [-- large]` prints tables; `large` that of search
//! among 100,000 packages, ours alone. `NUGET_SERVER` names the script of the
//! package `nuget-server` of npm, which keeps all in memory; without it, its columns are empty.
//! Both hold one package of 1,000 versions and 200 of one version. Eight connections that are
//! kept read the same document; a pusher adds a version each second to the package that is read.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nuthatch_tests::{Connection, Loader, PackageBuilder, Server, commit, framed, noise};

const READERS: usize = 8;
/// How long a document is read.
const READING: Duration = Duration::from_secs(4);
/// Changes are young for a minute.
const SETTLING: Duration = Duration::from_secs(62);
/// The kinds of documents that are read.
const KINDS: usize = 4;
/// The port of the other feed.
const PORT: &str = "5902";

fn main() {
    if std::env::args().any(|argument| argument == "large") {
        large();
        return;
    }
    let folder = tempfile::tempdir_in(std::env::var_os("BENCH_DATA").unwrap_or("/tmp".into()));
    let folder = folder.unwrap();
    let ours = Feed::ours(folder.path(), None);
    let peer =
        std::env::var_os("NUGET_SERVER").map(|script| Feed::peer(script.into(), folder.path()));
    for feed in [Some(&ours), peer.as_ref()].into_iter().flatten() {
        feed.fill();
    }
    let while_pushing = [read(Some(&ours), true), read(peer.as_ref(), true)];
    std::thread::sleep(SETTLING);
    let settled = [read(Some(&ours), false), read(peer.as_ref(), false)];
    println!(
        "| per second, ×{READERS} | while a version is pushed each second | settled | nuget-server, pushed | settled |"
    );
    println!("|---|---|---|---|---|");
    for (at, (name, ..)) in ours.documents().iter().enumerate() {
        let of = |rates: &[Option<[f64; KINDS]>; 2], feed: usize| {
            rates[feed].map_or("-".to_owned(), |rates| format!("{:.0}", rates[at]))
        };
        let [left, right] = [&while_pushing, &settled];
        println!(
            "| {name} | {} | {} | {} | {} |",
            of(left, 0),
            of(right, 0),
            of(left, 1),
            of(right, 1)
        );
    }
    println!(
        "\nserve after that: {} MB, {} MB at most",
        ours.memory("VmRSS:"),
        ours.memory("VmHWM:")
    );
    println!(
        "\n| push, one connection | ours p50 ms | CPU ms | nuget-server p50 ms | CPU ms |\n|---|---|---|---|---|"
    );
    for (name, bytes, count) in
        [("100 B", 100, 300), ("100 KB", 100_000, 300), ("50 MB", 50_000_000, 8)]
    {
        let content = noise(bytes);
        let [ours, peer] = [Some(&ours), peer.as_ref()].map(|feed| {
            feed.map_or_else(|| "- | -".to_owned(), |feed| feed.pushes(&content, count))
        });
        println!("| {name} | {ours} | {peer} |");
        if bytes > 1_000_000 {
            println!(
                "| … written and synced alone | {:.1} | | | |",
                floor(folder.path(), &content, count)
            );
        }
    }
    println!(
        "\nserve after that: {} MB, {} MB at most",
        ours.memory("VmRSS:"),
        ours.memory("VmHWM:")
    );
}

/// A feed in a process of its own.
struct Feed {
    process: Process,
    address: String,
    /// A line of the head of all requests.
    key: String,
    is_ours: bool,
    pushed: AtomicUsize,
}

enum Process {
    Ours(Server),
    Peer(Child),
}

impl Feed {
    /// A feed of ours in this folder; of a folder that was served before, with its owner's key.
    fn ours(folder: &Path, owner: Option<String>) -> Self {
        let server = Server::start(folder, &["--max-pushes-per-minute", "1000000"]);
        let owner = owner.or_else(|| server.owner.clone()).unwrap();
        let key = format!("X-NuGet-ApiKey: {owner}");
        let address = server.address.clone();
        let pushed = AtomicUsize::new(0);
        Self { process: Process::Ours(server), address, key, is_ours: true, pushed }
    }

    fn peer(script: PathBuf, folder: &Path) -> Self {
        let packages = folder.join("peer");
        std::fs::create_dir(&packages).unwrap();
        let mut node = Command::new("node");
        node.arg(script).args(["--port", PORT, "--auth-mode", "none", "--log-level", "error"]);
        node.args(["--max-upload-size-mb", "1000", "--package-dir"]).arg(packages);
        let process = node.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let address = format!("127.0.0.1:{PORT}");
        while Connection::open(&address).is_err() {
            std::thread::sleep(Duration::from_millis(100));
        }
        let (key, pushed) = ("X-Nothing: x".to_owned(), AtomicUsize::new(0));
        Self { process: Process::Peer(process), address, key, is_ours: false, pushed }
    }

    /// The documents, each by its name and its path; `#` stands for a number that no other
    /// request has.
    fn documents(&self) -> [(&'static str, &'static str); KINDS] {
        let [registration, search, searches] = if self.is_ours {
            let index = "/v3/registration/acme.many/index.json";
            [index, "/v3/search?q=part", "/v3/search?q=part+#"]
        } else {
            let index = "/v3/registrations/acme.many/index.json";
            [index, "/v3/query?q=part", "/v3/query?q=part+#"]
        };
        [
            ("version list of 1,000", "/v3/package/acme.many/index.json"),
            ("registration index of 1,000", registration),
            ("search in 1,200 versions, the same", search),
            ("search in 1,200 versions, another each time", searches),
        ]
    }

    fn fill(&self) {
        let mut connection = Connection::open(&self.address).unwrap();
        for number in 0..200 {
            self.push(&mut connection, &format!("Acme.Part{number}"), "1.0.0", b"x");
        }
        for _ in 0..1_000 {
            self.push_next(&mut connection);
        }
    }

    /// Pushes another version of the package that is read.
    fn push_next(&self, connection: &mut Connection) {
        let number = self.pushed.fetch_add(1, Ordering::Relaxed);
        self.push(connection, "Acme.Many", &format!("1.0.{number}"), b"x");
    }

    /// Pushes a package; gives the time until it is answered.
    fn push(
        &self,
        connection: &mut Connection,
        id: &str,
        version: &str,
        content: &[u8],
    ) -> Duration {
        let entry = nuthatch_tests::Entry::stored("a", content);
        let package = PackageBuilder::new(id, version).entry(entry).build();
        let (line, header, body) = if self.is_ours {
            let (content_type, body) = framed(&package);
            let header = format!("{}\r\nContent-Type: {content_type}", self.key);
            ("PUT /api/v2/package", header, body)
        } else {
            let header = "Content-Type: application/octet-stream".to_owned();
            ("POST /api/publish", header, package)
        };
        let start = Instant::now();
        let status = connection.put(line, &header, &body);
        assert_eq!(status.unwrap(), "201", "{id} {version}");
        start.elapsed()
    }

    /// The median of milliseconds that pushes of new packages take, and the processor's.
    fn pushes(&self, content: &[u8], count: u32) -> String {
        let mut connection = Connection::open(&self.address).unwrap();
        let name = format!("Pushed{}", content.len());
        let before = self.processor();
        let mut times: Vec<Duration> = (0..count)
            .map(|number| {
                self.push(&mut connection, &format!("{name}.N{number}"), "1.0.0", content)
            })
            .collect();
        let taken = self.processor().saturating_sub(before) / count;
        times.sort_unstable();
        let median = times[times.len() / 2];
        format!("{:.1} | {:.1}", median.as_secs_f64() * 1e3, taken.as_secs_f64() * 1e3)
    }

    fn id(&self) -> u32 {
        match &self.process {
            Process::Ours(server) => server.id(),
            Process::Peer(child) => child.id(),
        }
    }

    /// The processor time that it has taken, to the hundredth of a second (`proc(5)`).
    fn processor(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        let fields = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(11).take(2);
        Duration::from_millis(fields.map(|field| field.parse::<u64>().unwrap()).sum::<u64>() * 10)
    }

    /// A figure of its memory in MB.
    fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        if let Process::Peer(process) = &mut self.process {
            process.kill().unwrap();
        }
    }
}

/// Searches among 100,000 packages of one version.
fn large() {
    let folder = tempfile::tempdir_in(std::env::var_os("BENCH_DATA").unwrap_or("/tmp".into()));
    let folder = folder.unwrap();
    // Makes the table and the owner's key, and stops.
    let owner = Server::start(folder.path(), &[]).owner.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let loader = Loader::open(&folder.path().join("table.db"));
    for number in 0..100_000 {
        let id = format!("Acme.{}.Part{number}", ["Core", "Data", "Web", "Mail"][number % 4]);
        runtime.block_on(commit(&loader.table, &id, "1.0.0", "<tags>a b</tags>"));
        if number % 1_000 == 999 {
            loader.flush();
        }
    }
    drop(loader);
    let feed = Feed::ours(folder.path(), owner);
    let mut connection = Connection::open(&feed.address).unwrap();
    // Until it has read them all, each search waits for two seconds.
    let started = Instant::now();
    let has_caught_up = |connection: &mut Connection| {
        let start = Instant::now();
        let status = connection.get("/v3/search?q=core", &feed.key).unwrap();
        status == "200" && start.elapsed() < Duration::from_secs(1)
    };
    while !has_caught_up(&mut connection) {}
    println!(
        "100,000 changes read without a snapshot in {:.0} s\n",
        started.elapsed().as_secs_f64()
    );
    println!(
        "| search among 100,000, per second, ×{READERS} | while a version is pushed each second | not |"
    );
    println!("|---|---|---|");
    for (name, path) in [
        ("a word that a quarter has", "/v3/search?q=core"),
        ("another package each time", "/v3/search?q=part#"),
    ] {
        let [pushed, not] = [true, false].map(|is_pushed| rate(&feed, path, is_pushed));
        println!("| {name} | {pushed:.0} | {not:.0} |");
    }
    println!(
        "\nserve after that: {} MB, {} MB at most",
        feed.memory("VmRSS:"),
        feed.memory("VmHWM:")
    );
}

/// How often each document is read in a second.
fn read(feed: Option<&Feed>, is_pushed: bool) -> Option<[f64; KINDS]> {
    let feed = feed?;
    Some(feed.documents().map(|(_, path)| rate(feed, path, is_pushed)))
}

/// How often a document is read in a second.
fn rate(feed: &Feed, path: &str, is_pushed: bool) -> f64 {
    let (is_over, answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| {
                let mut connection = Connection::open(&feed.address).unwrap();
                while !is_over.load(Ordering::Relaxed) {
                    let number = answers.fetch_add(1, Ordering::Relaxed);
                    let path = path.replace('#', &number.to_string());
                    assert_eq!(connection.get(&path, &feed.key).unwrap(), "200", "{path}");
                }
            });
        }
        let mut connection = Connection::open(&feed.address).unwrap();
        while started.elapsed() < READING {
            if is_pushed {
                feed.push_next(&mut connection);
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let answers = u32::try_from(answers.into_inner()).unwrap();
    f64::from(answers) / started.elapsed().as_secs_f64()
}

/// The median of milliseconds that writing and syncing the same bytes takes.
fn floor(folder: &Path, content: &[u8], count: u32) -> f64 {
    let write = |number| {
        let start = Instant::now();
        let mut file = File::create(folder.join(format!("floor{number}"))).unwrap();
        file.write_all(content).unwrap();
        file.sync_all().unwrap();
        start.elapsed()
    };
    let mut times: Vec<Duration> = (0..count).map(write).collect();
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}
