//! The command as a process of its own.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::Answer;

/// A running `nuthatch serve`, killed when it is dropped.
#[derive(Debug)]
pub struct Server {
    process: Child,
    /// Where it listens: `127.0.0.1:<port>`.
    pub address: String,
    /// The owner's key, if this is the folder's first start.
    pub owner: Option<String>,
    /// The text that it printed when it started.
    pub welcome: String,
}

impl Server {
    /// Starts the command on a data folder and a free port, and waits until it
    /// listens.
    #[must_use]
    pub fn start(data: &Path, options: &[&str]) -> Self {
        let mut serve = nuthatch();
        serve.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).args(options);
        Self::spawn(serve)
    }

    /// Starts the command on a data folder on a separate disk of this size, which no other
    /// process sees.
    #[must_use]
    pub fn start_on_disk_of(data: &Path, size: &str) -> Self {
        let script = "mount -t tmpfs -o size=\"$2\" none \"$1\" && \
                      exec \"$0\" serve --listen 127.0.0.1:0 --data \"$1\"";
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "sh", "-c", script]);
        unshare.arg(nuthatch().get_program()).arg(data).arg(size);
        Self::spawn(unshare)
    }

    /// Starts the command on a table and a bucket that are reached with these variables, as a
    /// push host does, and waits until it listens.
    #[must_use]
    pub fn start_on_aws(environment: &HashMap<&'static str, String>) -> Self {
        Self::spawn_at(|address| {
            let mut serve = nuthatch();
            serve.args(["serve", "--listen", address, "--table", "nuthatch"]);
            serve.args(["--bucket", "nuthatch"]).envs(environment);
            serve
        })
    }

    /// Starts the command on a data folder, for clients that use another address, and waits
    /// until it listens.
    #[must_use]
    pub fn start_for(data: &Path, url: &str) -> Self {
        Self::spawn_at(|address| {
            let mut serve = nuthatch();
            serve.args(["serve", "--listen", address, "--url", url, "--data"]).arg(data);
            serve
        })
    }

    /// Starts a command that is given the address to listen on.
    fn spawn_at(command: impl FnOnce(&str) -> Command) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("its address").to_string();
        drop(free);
        let started = command(&address).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = started.expect("the command starts");
        let server = Self { process, address, owner: None, welcome: String::new() };
        for _ in 0..200 {
            if std::net::TcpStream::connect(&server.address).is_ok() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the server does not listen");
    }

    fn spawn(mut command: Command) -> Self {
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the command starts");
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut welcome = String::new();
        while !welcome.contains("</configuration>") && !welcome.contains("nuthatch key list") {
            let read = output.read_line(&mut welcome).expect("its output");
            assert!(read > 0, "the server ended: {welcome}");
        }
        let word = |start: &str| {
            welcome.split_whitespace().find(|word| word.starts_with(start)).map(str::to_owned)
        };
        let source = word("http://").expect("a source");
        let address = source["http://".len()..].trim_end_matches("/v3/index.json").to_owned();
        Self { process, address, owner: word("nuthatch_"), welcome }
    }

    /// Ends it without any notice.
    pub fn kill(&mut self) {
        self.process.kill().expect("a running process");
        self.process.wait().expect("its end");
    }

    /// Tells it to stop (SIGTERM or SIGINT).
    pub fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().expect("kill");
        assert!(sent.success());
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait().expect("its end")
    }

    /// Sends a request over a connection of its own.
    pub async fn send(&self, request: http::request::Builder, body: impl Into<Bytes>) -> Answer {
        send_to(&self.address, request, body).await
    }

    /// A line of its status, in kB: `VmHWM:`, the most memory so far, or `RssFile:`, the pages
    /// of the program and of files, which count in it.
    #[must_use]
    pub fn memory(&self, line: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let value = status.lines().find_map(|found| found.strip_prefix(line)).unwrap();
        value.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

/// Sends a request to `address` over a connection of its own.
pub async fn send_to(
    address: &str,
    request: http::request::Builder,
    body: impl Into<Bytes>,
) -> Answer {
    try_send_to(address, request, body).await.expect("an answer")
}

/// Sends a request to `address`; none where there is no whole answer.
pub async fn try_send_to(
    address: &str,
    request: http::request::Builder,
    body: impl Into<Bytes>,
) -> Option<Answer> {
    let stream = TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    let request = request.header("host", address).body(Full::new(body.into())).unwrap();
    let (parts, body) = sender.send_request(request).await.ok()?.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    Some(Answer { status: parts.status, headers: parts.headers, body })
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The command, built as this test was.
#[must_use]
pub fn nuthatch() -> Command {
    Command::new(tested("nuthatch"))
}

/// A binary that cargo built for this test.
pub(crate) fn tested(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let profile = test.ancestors().nth(2).expect("the profile's folder");
    profile.join(format!("tested-{name}"))
}

/// Runs the command to its end.
#[must_use]
pub fn run(arguments: &[&str], data: &Path) -> Output {
    nuthatch().args(arguments).arg("--data").arg(data).output().expect("the command runs")
}
