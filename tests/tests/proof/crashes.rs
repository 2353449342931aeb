//! The server, killed without notice at any moment, again and again.

use std::time::{Duration, Instant};

use http::{Request, StatusCode};
use nuthatch_tests::{PackageBuilder, Server, framed, run};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::extent::{Dice, share};

/// How often the whole proof kills the server.
const KILLS: usize = 200;
const CLIENTS: usize = 4;

/// A push, and what became of it.
#[derive(Debug, Clone)]
struct Pushed {
    id: String,
    version: String,
    /// Whether the client was told that the push succeeded.
    acknowledged: bool,
}

impl Pushed {
    fn package(&self) -> Vec<u8> {
        let content = format!("{} {}", self.id, self.version).repeat(20);
        PackageBuilder::new(&self.id, &self.version).file("a.txt", content.as_bytes()).build()
    }

    fn session(&self) -> String {
        format!("session-{}-{}", self.id, self.version).replace('.', "-")
    }

    /// The status of a push; none where the connection broke.
    async fn send(&self, address: &str, key: &str) -> Option<StatusCode> {
        let (content_type, body) = framed(&self.package());
        let request = Request::put("/api/v2/package/")
            .header("content-type", content_type)
            .header("x-nuget-session-id", self.session())
            .header("x-nuget-apikey", key);
        let sent = nuthatch_tests::try_send_to(address, request, body).await;
        sent.map(|answer| answer.status)
    }
}

/// Pushes one version after the other until the server is gone.
async fn push_on(address: String, key: String, id: String, first: usize) -> Vec<Pushed> {
    let mut all = Vec::new();
    for patch in first.. {
        let mut push =
            Pushed { id: id.clone(), version: format!("1.0.{patch}"), acknowledged: false };
        let status = push.send(&address, &key).await;
        push.acknowledged = status == Some(StatusCode::CREATED);
        let is_over = status.is_none();
        assert!(push.acknowledged || is_over, "{push:?}: {status:?}");
        all.push(push);
        if is_over {
            break;
        }
    }
    all
}

/// Checks that an acknowledged push is there. Any other push is there whole or not at all,
/// and succeeds when it is tried again.
async fn verify(server: &Server, key: &str, pushes: &[Pushed]) {
    for push in pushes {
        let id = push.id.to_lowercase();
        let path = format!("/v3/package/{id}/{0}/{id}.{0}.nupkg", push.version);
        let get = Request::get(path).header("x-nuget-apikey", key);
        let answer = server.send(get, "").await;
        match answer.status {
            StatusCode::OK => assert!(answer.body == push.package(), "{push:?}"),
            status => {
                assert!(!push.acknowledged, "{push:?} is lost: {status}");
                assert_eq!(status, StatusCode::NOT_FOUND, "{push:?}");
            }
        }
        let again = push.send(&server.address, key).await;
        assert_eq!(again, Some(StatusCode::CREATED), "{push:?}, tried again");
    }
}

/// The longest time to a kill, in microseconds: enough for some pushes, however slow the
/// machine is.
async fn longest_wait(server: &Server, key: &str) -> usize {
    const SOME: u32 = 10;
    let push = Pushed { id: "Warm.Up".to_owned(), version: "1.0.0".to_owned(), acknowledged: true };
    assert_eq!(push.send(&server.address, key).await, Some(StatusCode::CREATED));
    let begun = Instant::now();
    let another = Pushed { version: "1.0.1".to_owned(), ..push };
    assert_eq!(another.send(&server.address, key).await, Some(StatusCode::CREATED));
    usize::try_from((begun.elapsed() * SOME).as_micros()).unwrap().max(80_000)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_again_and_again_loses_nothing_that_it_acknowledged() {
    let data: TempDir = tempfile::tempdir().unwrap();
    let mut server = Server::start(data.path(), &[]);
    let key = server.owner.clone().unwrap();
    let (mut acknowledged, mut open, kills) = (0, 0, share(KILLS));
    let mut dice = Dice::of("kills");
    let longest = longest_wait(&server, &key).await;
    for round in 0..kills {
        let mut pushing = JoinSet::new();
        for client in 0..CLIENTS {
            let id = format!("Crash{client}.R{round}");
            pushing.spawn(push_on(server.address.clone(), key.clone(), id, 0));
        }
        // However few they are, the kills are spread over all of that time.
        let at = (round * longest + dice.below(longest)) / kills;
        let wait = Duration::from_micros(5_000 + at as u64);
        let start = Instant::now();
        tokio::time::sleep(wait.saturating_sub(start.elapsed())).await;
        server.kill();
        let pushes: Vec<Pushed> = pushing.join_all().await.into_iter().flatten().collect();
        acknowledged += pushes.iter().filter(|push| push.acknowledged).count();
        open += pushes.iter().filter(|push| !push.acknowledged).count();
        server = Server::start(data.path(), &[]);
        assert_eq!(server.owner, None, "the keys are lost");
        verify(&server, &key, &pushes).await;
    }
    server.kill();
    let checked = run(&["check", "--read"], data.path());
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success(), "{said}");
    let last = said.lines().last().unwrap_or_default();
    crate::say!("{kills} kills, {acknowledged} pushes acknowledged, {open} interrupted; {last}");
    assert!(acknowledged > kills && open > kills, "{acknowledged} {open}");
}
