//! Senders that are slow, stop, lie or break off, and a disk that is full: over a
//! real socket, to the command itself.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::time::Duration;

use http::{Request, StatusCode};
use nuthatch_tests::{PackageBuilder, Server, contents, framed, noise};

use crate::package;
use crate::served::Served;

impl Served {
    /// A connection that has sent the head of a push.
    fn begin(&self, more: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.server.address).unwrap();
        let (content_type, _) = framed(b"");
        write!(
            stream,
            "PUT /api/v2/package/ HTTP/1.1\r\nHost: x\r\nX-NuGet-ApiKey: {}\r\n\
             Content-Type: {content_type}\r\nConnection: close\r\n{more}\r\n\r\n",
            self.owner
        )
        .unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    async fn versions(&self, id: &str) -> StatusCode {
        let request = Request::get(format!("/v3/package/{id}/index.json"));
        self.server.send(request.header("x-nuget-apikey", &self.owner), "").await.status
    }

    /// Spool files that the server has open; they have no names.
    fn spools(&self) -> usize {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.server.id())).unwrap();
        let targets = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        targets.filter(|target| target.to_string_lossy().contains("/spool/")).count()
    }

    /// Asserts that refused pushes leave nothing: no spool file, no object and no version.
    async fn holds_nothing(&self) {
        for _ in 0..100 {
            if self.spools() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(self.spools(), 0, "spool files are still open");
        assert_eq!(files(&self.data.path().join("spool")), 0);
        assert_eq!(contents(&self.data.path().join("packages")), 0, "an object is left");
        assert_eq!(self.versions("acme").await, StatusCode::NOT_FOUND);
    }
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

/// Everything that arrives before the connection is closed or reset.
fn answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A client that has sent more than the server reads may get a reset instead of a close.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_slow_sender_gets_there() {
    let feed = Served::start(&[]);
    let (_, body) = framed(&package("Acme", "1.0.0", "x"));
    let mut stream = feed.begin(&format!("Content-Length: {}", body.len()));
    stream.set_nodelay(true).unwrap();
    for piece in body.chunks(7) {
        stream.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(answer(&mut stream).starts_with("HTTP/1.1 201"));
    assert_eq!(feed.spools(), 0);
    assert_eq!(feed.versions("acme").await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_cut_off_at_any_byte_is_refused_or_closed_and_leaves_nothing() {
    let feed = Served::start(&[]);
    let (_, body) = framed(&package("Acme", "1.0.0", "x"));
    let needed = body.len() - 2;
    let mut said = [0, 0];
    for cut in 0..needed {
        let mut stream = feed.begin(&format!("Content-Length: {}", body.len()));
        stream.write_all(&body[..cut]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let answer = answer(&mut stream);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "cut at {cut}: {answer}");
        said[usize::from(answer.is_empty())] += 1;
    }
    println!("{needed} cuts: {} times 400, {} times closed", said[0], said[1]);
    feed.holds_nothing().await;
    feed.push(&package("Acme", "1.0.0", "x")).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn chunks_that_lie_about_their_length_are_refused_and_leave_nothing() {
    let feed = Served::start(&[]);
    let (_, body) = framed(&package("Acme", "1.0.0", "x"));
    let length = body.len();
    let end = b"\r\n0\r\n\r\n".as_slice();
    let chunked =
        |declared: &str| [format!("{declared}\r\n").as_bytes(), body.as_slice(), end].concat();
    for (what, sent) in [
        ("too long", chunked(&format!("{:x}", length + 100))),
        ("too short", chunked(&format!("{:x}", length - 10))),
        ("far too long", chunked("ffffffffffffffff")),
        ("longer than any number", chunked("fffffffffffffffffff")),
        ("negative", chunked("-1")),
        ("no number", chunked("length")),
        ("no last chunk", chunked(&format!("{length:x}"))[..length + 5].to_vec()),
    ] {
        let mut stream = feed.begin("Transfer-Encoding: chunked");
        stream.write_all(&sent).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let answer = answer(&mut stream);
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 400");
        assert!(refused, "{what}: {answer}");
    }
    // Both kinds of length in one request are used for request smuggling.
    let both = format!("Transfer-Encoding: chunked\r\nContent-Length: {length}");
    let mut stream = feed.begin(&both);
    stream.write_all(&chunked(&format!("{length:x}"))).unwrap();
    let answer = answer(&mut stream);
    assert!(!answer.contains(" 201 ") || !answer.contains("HTTP/1.1 4"), "{answer}");
}

#[tokio::test]
async fn refused_lies_leave_nothing() {
    let feed = Served::start(&[]);
    for sent in ["5\r\nabc", "zz\r\n", "3\r\nabcdef\r\n0\r\n\r\n"] {
        let mut stream = feed.begin("Transfer-Encoding: chunked");
        stream.write_all(sent.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        answer(&mut stream);
    }
    feed.holds_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_breaks_off_leaves_nothing() {
    let feed = Served::start(&[]);
    let bytes = PackageBuilder::new("Acme", "1.0.0").file("a.bin", &noise(3 << 20)).build();
    let (_, body) = framed(&bytes);
    for part in [1, 2, 3, 7] {
        let mut stream = feed.begin(&format!("Content-Length: {}", body.len()));
        stream.write_all(&body[..body.len() * part / 8]).unwrap();
        drop(stream);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    feed.holds_nothing().await;
}

#[tokio::test]
async fn whether_the_server_lives_is_told_to_everybody() {
    let feed = Served::start(&[]);
    let answer = feed.server.send(Request::get("/healthz"), "").await;
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, b"ok\n".as_slice()));
    let answer = feed.server.send(Request::get("/nuthatch/packages/acme"), "").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_namespaces), ignore = "needs a user who may mount, and unshare on the PATH")]
async fn a_full_disk_refuses_what_does_not_fit_and_takes_what_does() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_on_disk_of(data.path(), "12m");
    let owner = server.owner.clone().unwrap();
    let feed = Served { data, server, owner };
    let large = PackageBuilder::new("Acme", "1.0.0").file("a.bin", &noise(16 << 20)).build();
    let answer = feed.push(&large).await;
    let full = "507 the feed's disk is full; its operator has to make room, then push again";
    assert_eq!(answer.refusal(), full);
    // It fits in the spool, but there is no room for a second copy in the bucket.
    let medium = PackageBuilder::new("Acme", "2.0.0").file("a.bin", &noise(7 << 20)).build();
    assert_eq!(feed.push(&medium).await.refusal(), full);
    assert_eq!(feed.versions("acme").await, StatusCode::NOT_FOUND);
    for version in ["1.0.0", "2.0.0", "3.0.0"] {
        let small = PackageBuilder::new("Acme", version).file("a.bin", &noise(1 << 20)).build();
        feed.push(&small).await.expect(StatusCode::CREATED);
    }
    assert_eq!(feed.spools(), 0);
}

#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_namespaces), ignore = "needs a user who may mount, and unshare on the PATH")]
async fn a_disk_that_small_packages_fill_is_told_as_full_and_can_be_read() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_on_disk_of(data.path(), "8m");
    let owner = server.owner.clone().unwrap();
    let feed = Served { data, server, owner };
    let content = noise(100_000);
    let push = async |minor: u32| {
        let package = PackageBuilder::new("Acme", &format!("1.{minor}.0")).file("a", &content);
        feed.push(&package.build()).await
    };
    let mut minor = 0;
    let refused = loop {
        let answer = push(minor).await;
        if answer.status != StatusCode::CREATED {
            break answer;
        }
        minor += 1;
        assert!(minor < 200, "8 MiB hold {minor} packages of 100 KB");
    };
    let full = "507 the feed's disk is full; its operator has to make room, then push again";
    assert_eq!(refused.refusal(), full);
    assert!(minor > 10, "{minor}");
    assert_eq!(feed.versions("acme").await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_large_pushes_at_once_take_little_memory() {
    let feed = Served::start(&[]);
    let content = noise(24 << 20);
    std::thread::scope(|scope| {
        let pushes: Vec<_> = (0..8)
            .map(|at| {
                let (feed, content) = (&feed, &content);
                scope.spawn(move || {
                    let entry = nuthatch_tests::Entry::stored("a.bin", content);
                    let builder = PackageBuilder::new(&format!("Acme{at}"), "1.0.0").entry(entry);
                    let (_, body) = framed(&builder.build());
                    let mut stream = feed.begin(&format!("Content-Length: {}", body.len()));
                    stream.write_all(&body).unwrap();
                    assert!(answer(&mut stream).starts_with("HTTP/1.1 201"));
                })
            })
            .collect();
        for push in pushes {
            push.join().unwrap();
        }
    });
    // The program's own pages belong to its file on the disk; a development build has 40 MB of
    // them.
    let program = feed.server.memory("RssFile:");
    let taken = feed.server.memory("VmHWM:") - program;
    println!("8 pushes of 24 MiB at once: {taken} kB, and {program} kB of program");
    assert!(taken < 32 * 1024, "{taken} kB");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_small_pushes_with_one_key_are_let_in_at_once() {
    let feed = Served::start(&[]);
    let (_, body) =
        framed(&PackageBuilder::new("Acme", "1.0.0").file("a", &noise(100_000)).build());
    // The server asks for a body once its push has a permit, and none of these ever sends one.
    let asked = format!("Expect: 100-continue\r\nContent-Length: {}", body.len());
    let mut pushes: Vec<TcpStream> = (0..200).map(|_| feed.begin(&asked)).collect();
    for push in &mut pushes {
        push.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut line = [0; 21];
        push.read_exact(&mut line).unwrap();
        assert_eq!(line, *b"HTTP/1.1 100 Continue");
    }
}

/// The memory in kB that 250 pushes take which begin like this and stall.
fn memory_of_stalled_pushes(head: &str, begun: &[u8]) -> u64 {
    let feed = Served::start(&[]);
    let stalled: Vec<TcpStream> = (0..250)
        .map(|_| {
            let mut push = feed.begin(head);
            push.write_all(begun).unwrap();
            push
        })
        .collect();
    std::thread::sleep(Duration::from_secs(1));
    let taken = feed.server.memory("VmHWM:") - feed.server.memory("RssFile:");
    println!("{} pushes of {} bytes so far: {taken} kB", stalled.len(), begun.len());
    taken
}

#[test]
fn hundreds_of_small_pushes_that_stall_take_little_memory() {
    let (_, body) =
        framed(&PackageBuilder::new("Acme", "1.0.0").file("a", &noise(300_000)).build());
    let head = format!("Content-Length: {}", body.len());
    let taken = memory_of_stalled_pushes(&head, &body[..250_000]);
    // Little more than their bytes, in a build whose futures are large.
    assert!(taken < 80 * 1024, "{taken} kB");
}

#[test]
fn hundreds_of_small_pushes_of_unknown_size_take_little_more() {
    let (_, body) =
        framed(&PackageBuilder::new("Acme", "1.0.0").file("a", &noise(300_000)).build());
    let chunked = [format!("{:x}\r\n", body.len()).as_bytes(), &body].concat();
    for size in [128 * 1024, 250_000] {
        let taken = memory_of_stalled_pushes("Transfer-Encoding: chunked", &chunked[..size]);
        assert!(taken < 96 * 1024, "{taken} kB");
    }
}
