//! The most resources that strangers, slow readers and hostile senders can hold: over a real
//! socket, to the command itself.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use nuthatch_tests::{PackageBuilder, Server, framed, noise, nuspec, run};
use serde_json::json;

use crate::package;
use crate::served::Served;

impl Served {
    /// Sends bytes over a connection of its own, which stays open.
    fn say(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(90))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// The status line that a request is answered with.
    fn status_line(&self, request: &str) -> String {
        let mut answer = String::new();
        let _ = self.say(request).read_to_string(&mut answer);
        answer.lines().next().unwrap_or_default().to_owned()
    }

    /// The most memory that the server has had, in KiB.
    fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    }

    fn key(&self, name: &str, scope: &str) -> String {
        let create = ["key", "create", name, "--scope", scope];
        String::from_utf8(run(&create, self.data.path()).stdout).unwrap().trim().to_owned()
    }
}

#[tokio::test]
async fn the_status_line_says_what_to_do() {
    let feed = Served::start(&[]);
    let pusher = feed.key("pusher", "push");
    let get = |path: &str, more: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n");
        feed.status_line(&head)
    };
    let versions = "/v3/package/acme/index.json";
    assert_eq!(
        get(versions, ""),
        "HTTP/1.1 401 No key was sent: put one into nuget.config as the password of this source"
    );
    assert_eq!(
        get(versions, &format!("X-NuGet-ApiKey: {pusher}\r\n")),
        "HTTP/1.1 401 The API key may not read: use one with the scope read"
    );
    assert_eq!(
        get(versions, &format!("X-NuGet-ApiKey: {}\r\n", feed.owner)),
        "HTTP/1.1 404 The feed has no such package: check the id"
    );
    let put =
        "PUT /api/v2/package HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n";
    assert_eq!(
        feed.status_line(&format!("{put}\r\n")),
        "HTTP/1.1 401 No API key was sent: pass one with --api-key"
    );
    assert_eq!(
        feed.status_line(&format!("{put}X-NuGet-ApiKey: wrong\r\n\r\n")),
        "HTTP/1.1 403 The feed does not know this API key: check it"
    );
}

#[tokio::test]
async fn a_request_names_exactly_one_host() {
    let feed = Served::start(&[]);
    for hosts in ["", "Host: a\r\nHost: a\r\n", "Host: a b\r\n", "Host: a/b\r\n", "Host: a@b\r\n"] {
        let head = format!("GET /healthz HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
        let answer = feed.status_line(&head);
        assert!(answer.starts_with("HTTP/1.1 400"), "{hosts:?}: {answer}");
    }
    let answer = feed.status_line("GET /healthz HTTP/1.0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
}

#[tokio::test]
async fn a_client_that_has_sent_all_may_say_so() {
    let feed = Served::start(&[]);
    let mut stream = feed.say("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok\n"), "{answer}");
}

#[tokio::test]
async fn an_open_feed_on_this_machine_answers_to_no_stranger_s_name() {
    let open = Served::start(&["--read-access", "anonymous"]);
    for (host, status) in
        [("evil.example", 421), ("localhost:1", 200), ("127.0.0.1", 200), ("[::1]:80", 200)]
    {
        let head = format!("GET /v3/search HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = open.status_line(&head);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{host}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_that_hold_connections_hinder_nobody() {
    let feed = Served::start(&[]);
    let sign_in = "POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\nk";
    let push = "PUT /api/v2/package HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nP";
    let began = Instant::now();
    let mut held: Vec<TcpStream> = (0..200).map(|_| feed.say(sign_in)).collect();
    let _pushes: Vec<TcpStream> = (0..100).map(|_| feed.say(push)).collect();
    let health = feed.server.send(Request::get("/healthz"), "").await;
    assert_eq!(health.status, StatusCode::OK);
    // A large push is read to its end, or its client would not see why it is refused.
    let (content_type, body) = framed(&noise(30 << 20));
    let refused = Request::put("/api/v2/package/").header("content-type", content_type);
    let refused = feed.server.send(refused.header("x-nuget-apikey", "wrong"), body).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(feed.push(&package("Acme", "1.0.0", "x")).await.status, StatusCode::CREATED);
    // A form must arrive within seconds, or it is refused.
    let mut answer = [0; 12];
    held[0].read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 403");
    assert!((8..20).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_from_one_address_have_an_end() {
    let feed = Served::start(&["--max-connections-per-address", "8"]);
    let _held: Vec<TcpStream> = (0..8).map(|_| feed.say("GET")).collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut answer = String::new();
    let _ = TcpStream::connect(&feed.server.address).unwrap().read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 503 The feed has too many connections"), "{answer}");
    assert!(answer.contains("Retry-After: 5"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_does_not_take_all_places_for_uploads() {
    let feed = Served::start(&["--max-pushes", "8", "--max-pushes-per-key", "4"]);
    let hog = feed.key("hog", "push");
    let declare = async |key: &str, id: String, bytes: &[u8]| {
        use base64::Engine;
        use sha2::Digest;
        let sha256 = base64::prelude::BASE64_STANDARD.encode(sha2::Sha256::digest(bytes));
        let document =
            json!({ "id": id, "version": "1.0.0", "size": bytes.len(), "sha256": sha256 });
        let request = Request::post("/api/v2/upload").header("x-nuget-apikey", key);
        feed.server.send(request, document.to_string()).await.expect(StatusCode::OK).json()
    };
    let mut held = Vec::new();
    for number in 0..12 {
        let invitation = declare(&hog, format!("Hog{number}"), &[0; 2 << 20]).await;
        let path = invitation["url"].as_str().unwrap().split_once("://").unwrap().1;
        let path = path.split_once('/').unwrap().1;
        let headers = invitation["headers"].as_object().unwrap().iter();
        let headers: Vec<String> = headers
            .map(|(name, value)| format!("{name}: {}\r\n", value.as_str().unwrap()))
            .collect();
        let headers = headers.concat();
        held.push(feed.say(&format!("PUT /{path} HTTP/1.1\r\n{headers}\r\n\0")));
    }
    let bytes = PackageBuilder::new("Acme", "1.0.0").file("a", &noise(2 << 20)).build();
    let invitation = declare(&feed.owner, "Acme".to_owned(), &bytes).await;
    let url = invitation["url"].as_str().unwrap().split_once("://").unwrap().1;
    let mut put = Request::put(format!("/{}", url.split_once('/').unwrap().1));
    for (name, value) in invitation["headers"].as_object().unwrap() {
        if name != "host" && name != "content-length" {
            put = put.header(name, value.as_str().unwrap());
        }
    }
    let put = tokio::time::timeout(Duration::from_secs(10), feed.server.send(put, bytes)).await;
    assert_eq!(put.unwrap().status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_read_nothing_hold_little_memory() {
    let feed = Served::start(&["--read-access", "anonymous"]);
    let text = "x ".repeat(1_990);
    for number in 0..400 {
        let more = format!("<description>{text}</description>");
        let xml = nuspec(
            &format!("Acme{number}"),
            "1.0.0",
            &format!("<summary>{text}</summary><tags>{text}</tags>"),
        );
        let xml = xml.replace("<description>For tests.</description>", &more);
        let package = PackageBuilder::default().nuspec(&xml).build();
        assert_eq!(feed.push(&package).await.status, StatusCode::CREATED);
    }
    let search =
        "GET /v3/search?q=acme&take=1000&prerelease=true HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let _held: Vec<TcpStream> = (0..300).map(|_| feed.say(search)).collect();
    tokio::time::sleep(Duration::from_secs(15)).await;
    let peak = feed.peak();
    println!("300 readers that read nothing: VmHWM {peak} kB");
    assert!(peak < 256 * 1024, "{peak} kB");
    let versions =
        Request::get("/v3/package/acme1/index.json").header("x-nuget-apikey", &feed.owner);
    assert_eq!(feed.server.send(versions, "").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_at_one_large_package_takes_little_memory() {
    let feed = Served::start(&["--read-access", "anonymous"]);
    let text = "x".repeat(3_900);
    let groups: Vec<String> =
        (0..250).map(|n| format!("<group targetFramework='x1.{n}1'/>")).collect();
    let groups = groups.concat();
    for version in 0..150 {
        let more = format!(
            "<summary>{text}</summary><tags>{text}</tags><dependencies>{groups}</dependencies>"
        );
        let package =
            PackageBuilder::default().nuspec(&nuspec("Fat", &format!("1.{version}"), &more));
        assert_eq!(feed.push(&package.build()).await.status, StatusCode::CREATED);
    }
    for path in ["/packages/fat", "/v3/registration/fat/index.json"] {
        let get = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        std::thread::scope(|scope| {
            let asking: Vec<_> = (0..64).map(|_| scope.spawn(|| feed.status_line(&get))).collect();
            for asked in asking {
                assert_eq!(asked.join().unwrap(), "HTTP/1.1 200 OK", "{path}");
            }
        });
    }
    let peak = feed.peak();
    println!("64 at once at the page and the registration of 150 fat versions: VmHWM {peak} kB");
    assert!(peak < 256 * 1024, "{peak} kB");
}

#[tokio::test]
async fn the_data_folder_is_closed_to_others_and_follows_no_link() {
    let data = tempfile::tempdir().unwrap();
    std::fs::set_permissions(data.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    drop(Server::start(data.path(), &[]));
    let mode = |name: &str| {
        let metadata = std::fs::metadata(data.path().join(name)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode("."), 0o700);
    for file in ["serve.lock", "table.db", "packages/index.db"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
    let (data, victim) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    std::fs::write(victim.path(), "kept").unwrap();
    for name in ["serve.lock", "table.db"] {
        std::os::unix::fs::symlink(victim.path(), data.path().join(name)).unwrap();
        let output = run(&["serve", "--listen", "127.0.0.1:0"], data.path());
        assert!(!output.status.success(), "{name}");
        assert_eq!(std::fs::read_to_string(victim.path()).unwrap(), "kept");
        std::fs::remove_file(data.path().join(name)).unwrap();
    }
}

#[tokio::test]
async fn a_key_is_not_called_what_means_something_else() {
    let feed = Served::start(&[]);
    for name in ["anonymous", "Nuthatch-Check"] {
        let refused = run(&["key", "create", name, "--scope", "read"], feed.data.path());
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("choose another"), "{said}");
    }
}

/// The requests of the SDK, byte for byte, but for the key.
#[tokio::test]
#[cfg_attr(not(has_corpus), ignore = "the requests of the real SDK are not beside this checkout")]
async fn what_the_sdk_sends_is_taken_as_it_is() {
    let feed = Served::start(&[]);
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors/http/");
    let send = |name: &str| {
        let recorded = std::fs::read(format!("{vectors}{name}")).unwrap();
        let key = b"nh_0123456789abcdefghijklmnopqrstuvwxyzABCD";
        let at = recorded.windows(key.len()).position(|bytes| bytes == key);
        let request = match at {
            Some(at) => {
                [&recorded[..at], feed.owner.as_bytes(), &recorded[at + key.len()..]].concat()
            }
            None => recorded,
        };
        let mut stream = TcpStream::connect(&feed.server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(&request).unwrap();
        let mut line = [0; 12];
        stream.read_exact(&mut line).unwrap();
        String::from_utf8(line.to_vec()).unwrap()
    };
    assert_eq!(send("sdk-10.0.401-index.http"), "HTTP/1.1 200");
    assert_eq!(send("sdk-10.0.401-push-nupkg.http"), "HTTP/1.1 201");
    assert_eq!(send("sdk-10.0.401-push-nupkg.http"), "HTTP/1.1 201", "a try of the same session");
    assert_eq!(send("sdk-10.0.401-push-snupkg.http"), "HTTP/1.1 201");
    assert_eq!(send("sdk-10.0.401-push-snupkg.http"), "HTTP/1.1 201", "the same symbols again");
    assert_eq!(send("dotnet-dump-10.0.7-symbol.http"), "HTTP/1.1 401", "a debugger without a key");
    let beta = package("Sym.Portable", "1.0.0-Beta.1+x.y", "x");
    assert_eq!(feed.push(&beta).await.status, StatusCode::CREATED);
    assert_eq!(send("sdk-10.0.401-delete.http"), "HTTP/1.1 204");
}
