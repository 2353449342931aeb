//! The command itself: a process with a socket and a data folder.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use http::{Request, StatusCode};
use nuthatch::socket::{Connections, Hosts, Listening, Timeouts};
use nuthatch_tests::{Server, TestFeed, framed, run, send_to};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

use crate::package;
use crate::served::Served;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

async fn push(server: &Server, key: &str, bytes: &[u8]) -> StatusCode {
    let (content_type, body) = framed(bytes);
    let request = Request::put("/api/v2/package/")
        .header("content-type", content_type)
        .header("x-nuget-apikey", key);
    server.send(request, body).await.status
}

async fn nupkg(server: &Server, key: &str, version: &str) -> (StatusCode, Vec<u8>) {
    let path = format!("/v3/package/acme/{version}/acme.{version}.nupkg");
    let answer = server.send(Request::get(path).header("x-nuget-apikey", key), "").await;
    (answer.status, answer.body.to_vec())
}

fn printed(data: &Path, arguments: &[&str]) -> String {
    let output = run(arguments, data);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_first_start_prints_a_key_that_works_and_the_next_prints_none() {
    let data = folder();
    let server = Server::start(data.path(), &[]);
    let owner = server.owner.clone().unwrap();
    assert!(server.welcome.contains(&format!("--api-key {owner}")));
    assert!(server.welcome.contains("<add key=\"nuthatch\" value=\"http://127.0.0.1:"));
    assert_eq!(push(&server, &owner, &package("Acme", "1.0.0", "x")).await, StatusCode::CREATED);
    drop(server);
    let server = Server::start(data.path(), &[]);
    assert_eq!(server.owner, None);
    assert_eq!(push(&server, &owner, &package("Acme", "2.0.0", "x")).await, StatusCode::CREATED);
}

#[tokio::test]
async fn everything_is_kept_over_kill_9() {
    let data = folder();
    let mut server = Server::start(data.path(), &[]);
    let owner = server.owner.clone().unwrap();
    for version in 0..20 {
        let version = format!("{version}.0.0");
        let bytes = package("Acme", &version, &version);
        assert_eq!(push(&server, &owner, &bytes).await, StatusCode::CREATED);
        if version == "9.0.0" {
            server.kill();
            server = Server::start(data.path(), &[]);
        }
    }
    server.kill();
    let server = Server::start(data.path(), &[]);
    for version in 0..20 {
        let version = format!("{version}.0.0");
        let bytes = package("Acme", &version, &version);
        assert_eq!(nupkg(&server, &owner, &version).await, (StatusCode::OK, bytes));
    }
}

#[tokio::test]
async fn a_push_in_flight_is_finished_before_the_server_stops() {
    for signal in ["TERM", "INT"] {
        let data = folder();
        let mut server = Server::start(data.path(), &[]);
        let owner = server.owner.clone().unwrap();
        let (content_type, body) = framed(&package("Acme", "1.0.0", "x"));
        let (first, rest) = body.split_at(100);
        let mut stream = TcpStream::connect(&server.address).unwrap();
        write!(
            stream,
            "PUT /api/v2/package/ HTTP/1.1\r\nHost: x\r\nX-NuGet-ApiKey: {owner}\r\n\
             Content-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
            first.len()
        )
        .unwrap();
        stream.write_all(first).unwrap();
        stream.write_all(b"\r\n").unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        server.signal(signal);
        tokio::time::sleep(Duration::from_millis(200)).await;
        write!(stream, "{:x}\r\n", rest.len()).unwrap();
        stream.write_all(rest).unwrap();
        stream.write_all(b"\r\n0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
        assert!(server.wait().success());
        let server = Server::start(data.path(), &[]);
        assert_eq!(nupkg(&server, &owner, "1.0.0").await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_refused_push_is_read_to_its_end_before_the_connection_is() {
    let data = folder();
    let server = Server::start(data.path(), &["--max-package-bytes", "1000"]);
    let owner = server.owner.clone().unwrap();
    for (key, status) in [("wrong", "403"), ("", "401"), (owner.as_str(), "413")] {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        let key = if key.is_empty() { String::new() } else { format!("X-NuGet-ApiKey: {key}\r\n") };
        write!(
            stream,
            "PUT /api/v2/package/ HTTP/1.1\r\nHost: x\r\n{key}Transfer-Encoding: chunked\r\n\r\n"
        )
        .unwrap();
        // As NuGet does: all of it, before a byte of the answer is read.
        let piece = vec![b'x'; 64 * 1024];
        for _ in 0..160 {
            write!(stream, "{:x}\r\n", piece.len()).unwrap();
            stream.write_all(&piece).unwrap();
            stream.write_all(b"\r\n").unwrap();
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, format!("HTTP/1.1 {status}").as_bytes());
    }
}

#[tokio::test]
async fn a_client_that_waits_is_told_to_continue_or_refused_at_once() {
    let data = folder();
    let server = Server::start(data.path(), &[]);
    let owner = server.owner.clone().unwrap();
    for (key, status) in [("wrong", "403"), (owner.as_str(), "100")] {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        write!(
            stream,
            "PUT /api/v2/package/ HTTP/1.1\r\nHost: x\r\nX-NuGet-ApiKey: {key}\r\n\
             Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        .unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, format!("HTTP/1.1 {status}").as_bytes());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_falls_silent_is_not_waited_for() {
    let feed = TestFeed::start().await;
    let owner = feed.owner().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    // Everything is sent before the server starts to read, because the paused clock jumps.
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    write!(
        stream,
        "PUT /api/v2/package HTTP/1.1\r\nHost: x\r\nX-NuGet-ApiKey: {}\r\n\
         Content-Length: 1000\r\n\r\nPK",
        owner.key()
    )
    .unwrap();
    let listening = Listening {
        timeouts: Timeouts::with_clients(),
        connections: Connections::new(100, 100, &[]),
        hosts: Hosts::default(),
    };
    let serving =
        nuthatch::socket::accept(listener, feed.gateway.clone(), listening, std::future::pending());
    let serving = tokio::spawn(serving);
    stream.set_nonblocking(true).unwrap();
    let mut stream = tokio::net::TcpStream::from_std(stream).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert_eq!(std::fs::read_dir(feed.folder().join("spool")).unwrap().count(), 0);
    serving.abort();
}

#[tokio::test]
async fn a_connection_that_breaks_in_a_push_leaves_nothing() {
    let data = folder();
    let server = Server::start(data.path(), &[]);
    let owner = server.owner.clone().unwrap();
    let (content_type, body) = framed(&package("Acme", "1.0.0", "x"));
    for length in [0, 1, 300, body.len() - 5] {
        let mut stream = TcpStream::connect(&server.address).unwrap();
        write!(
            stream,
            "PUT /api/v2/package/ HTTP/1.1\r\nHost: x\r\nX-NuGet-ApiKey: {owner}\r\n\
             Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )
        .unwrap();
        stream.write_all(&body[..length]).unwrap();
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(nupkg(&server, &owner, "1.0.0").await.0, StatusCode::NOT_FOUND);
    assert_eq!(std::fs::read_dir(data.path().join("spool")).unwrap().count(), 0);
    assert_eq!(push(&server, &owner, &package("Acme", "1.0.0", "x")).await, StatusCode::CREATED);
}

#[tokio::test]
async fn keys_are_made_before_the_first_start_and_while_the_server_runs() {
    let data = folder();
    let create = ["key", "create", "early", "--scope", "push"];
    let early = printed(data.path(), &create);
    let server = Server::start(data.path(), &[]);
    // There is a key already, so the server does not create one.
    assert_eq!(server.owner, None);
    let bytes = |version| package("Acme", version, "x");
    assert_eq!(push(&server, early.trim(), &bytes("1.0.0")).await, StatusCode::CREATED);
    let create = ["key", "create", "late", "--scope", "push", "--id", "Acme*", "--expires", "90d"];
    let late = printed(data.path(), &create);
    assert_eq!(late.lines().count(), 1, "the key alone: {late}");
    assert_eq!(push(&server, late.trim(), &bytes("2.0.0")).await, StatusCode::CREATED);
    let list = printed(data.path(), &["key", "list"]);
    assert!(list.contains("late") && list.contains("Acme*"), "{list}");
    assert!(!list.contains(&late.trim()[..20]), "{list}");
    printed(data.path(), &["key", "revoke", "early"]);
    assert!(printed(data.path(), &["key", "list"]).contains("revoked"));
}

#[tokio::test]
async fn what_cannot_be_done_says_what_to_do() {
    let data = folder();
    let server = Server::start(data.path(), &[]);
    let listen = server.address.clone();
    for (arguments, remedy) in [
        (&["serve", "--listen", "127.0.0.1:0"][..], "stop it"),
        (&["serve", "--listen", listen.as_str()], "--listen"),
        (&["serve", "--listen", "0.0.0.0:0"], "--url"),
        (&["serve", "--url", "packages.example.org", "--listen", "127.0.0.1:0"], "https://"),
        (&["key", "create", "owner", "--scope", "push"], "another name"),
        (&["key", "create", "a b", "--scope", "push"], "letters"),
        (&["key", "create", "x", "--scope", "pull"], "push, unlist, read or admin"),
        (&["key", "create", "x", "--scope", "push", "--id", "a b"], "'*'"),
        (&["key", "create", "x", "--scope", "push", "--expires", "soon"], "90d"),
        (&["key", "create", "x"], "--scope"),
        (&["key", "revoke", "nobody"], "key list"),
    ] {
        let output = run(arguments, data.path());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(said.contains(remedy), "{arguments:?}: {said}");
    }
    let nowhere = data.path().join("nowhere");
    let said = run(&["key", "list"], &nowhere).stderr;
    assert!(String::from_utf8_lossy(&said).contains("there is no feed"));
    assert!(!nowhere.exists());
}

#[tokio::test]
async fn monitoring_is_told_what_was_answered() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let monitored = free.to_string();
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &["--metrics", &monitored]);
    server.send(Request::get("/v3/index.json"), "").await.expect(StatusCode::OK);
    server.send(Request::get("/v3/package/acme/index.json"), "").await;
    let answer = send_to(&monitored, Request::get("/metrics"), "").await.expect(StatusCode::OK);
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    for line in [
        "nuthatch_requests_total{verb=\"index\",status=\"200\"} 1",
        "nuthatch_requests_total{verb=\"gateway\",status=\"401\"} 1",
        "nuthatch_request_duration_seconds_count{verb=\"index\"} 1",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    // The feed's own address does not serve the metrics.
    server.send(Request::get("/metrics"), "").await.expect(StatusCode::NOT_FOUND);
}

#[test]
fn a_server_starts_anew_once_with_a_heap_for_each_processor() {
    let feed = Served::start(&[]);
    let environment = std::fs::read(format!("/proc/{}/environ", feed.server.id())).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    let processors = std::thread::available_parallelism().unwrap();
    let heaps = environment.split('\0').find_map(|pair| pair.strip_prefix("MALLOC_ARENA_MAX="));
    assert_eq!(heaps, Some(&*processors.to_string()), "{environment}");
    // So that it does not where the library takes its variable away.
    assert!(environment.contains("NUTHATCH_HEAPS_ARE_SET=yes"), "{environment}");
}
