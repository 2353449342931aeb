//! `nuthatch trust`, `nuthatch token`, `nuthatch push --trust` and `nuthatch login`, as an
//! owner, a CI job and a person run them.

mod plugin;
mod sign_in;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::LazyLock;

use http::StatusCode;
use nuthatch_tests::{PackageBuilder, Page, Server, TestIssuer, nuthatch};
use serde_json::json;
use tempfile::TempDir;
use time::OffsetDateTime;
use tokens::Signer;

static K1: LazyLock<Signer> = LazyLock::new(|| Signer::rsa("k1"));

/// A GitHub server of a company, and a feed.
struct Scene {
    forge: TestIssuer,
    data: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let forge = TestIssuer::start(&[&K1]).await;
        let iss = format!("{}/_services/token", forge.iss);
        let configuration = "/_services/token/.well-known/openid-configuration";
        forge.set(configuration, &json!({"issuer": iss, "jwks_uri": forge.keys()}));
        let repository = json!({"id": 74, "full_name": "acme/core", "owner": {"id": 65}});
        forge.set("/api/v3/repos/acme/core", &repository);
        Self { forge, data: tempfile::tempdir().unwrap() }
    }

    fn iss(&self) -> String {
        format!("{}/_services/token", self.forge.iss)
    }

    /// The command, which trusts the forge's certificate, and is not in the job that this test
    /// may be run by.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = nuthatch();
        for name in [
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
            "BUILDKITE",
            "CIRCLECI",
            "CODEBUILD_BUILD_ID",
            "GITHUB_ACTIONS",
            "NUGET_API_KEY",
            "NUTHATCH_ID_TOKEN",
        ] {
            command.env_remove(name);
        }
        command.args(arguments).env("SSL_CERT_FILE", self.forge.authority());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).arg("--data").arg(self.data.path()).output().unwrap()
    }

    /// Runs it, and gives its output.
    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap() + &said
    }

    /// Runs it, and gives the reason why it fails.
    #[track_caller]
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).unwrap()
    }

    /// Adds a trust in `release.yml` of `acme/core`.
    #[track_caller]
    fn add(&self, name: &str, more: &[&str]) -> String {
        let iss = self.iss();
        self.done(&[&github(name, &iss)[..], more].concat())
    }

    fn serve(&self) -> Server {
        let authority = self.forge.authority();
        Server::start(self.data.path(), &["--issuer-authorities", authority.to_str().unwrap()])
    }

    fn token(&self, audience: &str) -> String {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        K1.sign(&tokens::github(&self.iss(), audience, now))
    }
}

fn github<'a>(name: &'a str, iss: &'a str) -> Vec<&'a str> {
    let add = ["trust", "add", "github", "--name", name, "--repository", "acme/core"];
    let more = ["--workflow", "release.yml", "--id", "Acme.*", "--issuer", iss, "--private-issuer"];
    [&add[..], &more].concat()
}

fn oidc<'a>(iss: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let add = ["trust", "add", "oidc", "--name", "o", "--id", "*", "--claim", "project=7"];
    [&add[..], &["--issuer", iss], more].concat()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn packed(folder: &Path, id: &str) -> String {
    let file = folder.join(format!("{id}.nupkg"));
    std::fs::write(&file, PackageBuilder::new(id, "1.0.0").build()).unwrap();
    file.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_publishes_without_a_stored_secret() {
    let scene = Scene::new().await;
    let server = scene.serve();
    let told = scene.add("acme-release", &["--environment", "release"]);
    assert!(
        told.contains("Trusts the workflow release.yml of acme/core (repository 74, owner 65)")
    );
    assert!(!told.contains("Warning"), "{told}");
    let feed = format!("http://{}", server.address);
    let source = format!("{feed}/v3/index.json");
    let file = packed(scene.data.path(), "Acme.Core");
    // As a job of GitLab has its token.
    let push = ["push", &file, "--source", &source, "--trust", "acme-release"];
    let pushed = scene.command(&push).env("NUTHATCH_ID_TOKEN", scene.token(&feed)).output();
    let pushed = pushed.unwrap();
    assert!(pushed.status.success(), "{}", said(&pushed));
    let again = scene.command(&push).env("NUTHATCH_ID_TOKEN", scene.token(&feed)).output();
    let again = said(&again.unwrap());
    assert!(again.contains("(401 Unauthorized): this token was exchanged before"), "{again}");
    let log = scene.done(&["trust", "log", "acme-release"]);
    assert!(log.contains("repository=acme/core") && log.contains("run_id=1"), "{log}");
    assert_eq!(log.lines().count(), 2, "{log}");
    let list = scene.done(&["trust", "list"]);
    assert!(list.contains("acme-release  github  push    Acme.*  15m"), "{list}");
    let show = scene.done(&["trust", "show", "acme-release"]);
    assert!(show.contains("repository-id") && show.contains("74"), "{show}");
    let told = scene.done(&["trust", "remove", "acme-release"]);
    assert!(told.contains("revoked its keys that had not expired: 1."), "{told}");
    assert!(scene.fails(&["trust", "remove", "nobody"]).contains("there is no trust 'nobody'"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_github_gets_its_token_from_its_runner() {
    let scene = Scene::new().await;
    let server = scene.serve();
    scene.add("acme-release", &["--environment", "release"]);
    let feed = format!("http://{}", server.address);
    let source = format!("{feed}/v3/index.json");
    let token = json!({"value": scene.token(&feed)});
    scene.forge.set("/oidc", &token);
    let job = |bearer: &str| {
        let url = format!("{}/oidc?api-version=2", scene.forge.iss);
        let mut job = scene.command(&["token", "acme-release", "--source", &source]);
        job.env("ACTIONS_ID_TOKEN_REQUEST_URL", url);
        job.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", bearer).env("GITHUB_ACTIONS", "true");
        job.output().unwrap()
    };
    let got = job("secret-of-the-runner");
    assert!(got.status.success(), "{}", said(&got));
    let key = String::from_utf8(got.stdout.clone()).unwrap().trim().to_owned();
    assert!(key.parse::<access::ApiKey>().is_ok());
    assert_eq!(said(&got), format!("::add-mask::{key}\n"), "the runner hides it");
    scene.forge.answer("/oidc", Page::Status(403));
    let refused = said(&job("secret-of-the-runner"));
    assert_eq!(
        refused,
        "nuthatch: GitHub Actions gave no identity token: its answer is 403 Forbidden\n"
    );
    let nowhere = scene.command(&["token", "acme-release", "--source", &source]);
    let nowhere = said(&{ nowhere }.output().unwrap());
    assert!(nowhere.contains("permissions: id-token: write"), "{nowhere}");
    assert!(nowhere.contains(&format!("aud: {feed}")), "{nowhere}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_tried_without_spending_it() {
    let scene = Scene::new().await;
    let server = scene.serve();
    scene.add("acme-release", &["--environment", "release"]);
    let feed = format!("http://{}", server.address);
    let token = scene.token(&feed);
    let file = scene.data.path().join("token");
    let try_with = |token: &str, audience: &str| {
        std::fs::write(&file, token).unwrap();
        let mut command = scene.command(&["trust", "try", "acme-release", "--audience", audience]);
        command.arg("--data").arg(scene.data.path());
        command.stdin(std::fs::File::open(&file).unwrap()).output().unwrap()
    };
    for _ in 0..2 {
        let tried = try_with(&token, &feed);
        assert!(tried.status.success(), "{}", said(&tried));
        assert_eq!(
            String::from_utf8_lossy(&tried.stdout),
            "The trust 'acme-release' would give a key for Acme.* (push) that lives 15m.\n"
        );
    }
    let other = said(&try_with(&token, "https://packages.example.org"));
    assert!(other.starts_with("nuthatch: check 6 fails: the token is for 'http://127"), "{other}");
    let mut claims =
        tokens::github(&scene.iss(), &feed, OffsetDateTime::now_utc().unix_timestamp());
    claims["repository_id"] = json!("75");
    let other = said(&try_with(&K1.sign(&claims), &feed));
    assert!(other.contains("check 9 fails"), "{other}");
    assert!(other.contains("(the claim 'repository_id' is not the pinned one)"), "{other}");
    let login = http::Request::post("/api/v2/token").header("content-type", "application/json");
    let login = login.header("authorization", format!("Bearer {token}"));
    let body = json!({"username": "acme-release", "tokenType": "ApiKey"}).to_string();
    server.send(login, body).await.expect(StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_39_a_trust_grants_little_and_for_a_short_time() {
    let scene = Scene::new().await;
    let _server = scene.serve();
    let iss = scene.iss();
    for (more, reason) in [
        (&["--scope", "admin"][..], "'admin' is not a scope that a trust can grant"),
        (&["--lifetime", "2h"], "lives 5m to 1h"),
        (&["--lifetime", "1m"], "lives 5m to 1h"),
        (&["--scope", "read", "--lifetime", "13h"], "up to 12h"),
        (&["--event", "pull_request_target"], "run code of others with your rights"),
        (&["--event", "workflow_run"], "run code of others with your rights"),
        (&["--event", "issue_comment"], "run code of others with your rights"),
        (&["--ref", "main"], "write it whole, like refs/heads/main"),
        (&["--repository-id", "74"], "--owner-id"),
    ] {
        let said = scene.fails(&[&github("acme", &iss)[..], more].concat());
        assert!(said.contains(reason), "{more:?}: {said}");
    }
    let long = "a".repeat(33);
    let said = scene.fails(&github(&long, &iss));
    assert!(said.contains("is not the name of a trust"), "{said}");
    let without_ids: Vec<&str> =
        github("acme", &iss).into_iter().filter(|of| !["--id", "Acme.*"].contains(of)).collect();
    assert!(scene.fails(&without_ids).contains("--id <GLOB>"));
    let told = scene.add("acme", &["--scope", "read", "--lifetime", "12h"]);
    assert!(told.contains("keys for Acme.* (read) that live 12h"), "{told}");
    assert!(told.contains("Warning: whoever may push a branch"), "{told}");
    assert!(scene.fails(&github("acme", &iss)).contains("there is a trust 'acme' already"));
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_cannot_be_looked_up_can_be_given() {
    let scene = Scene::new().await;
    let _server = scene.serve();
    scene.forge.answer("/api/v3/repos/acme/core", Page::Status(404));
    let iss = scene.iss();
    let said = scene.fails(&github("acme", &iss));
    assert!(said.contains("gh api repos/acme/core --jq '.id,.owner.id'"), "{said}");
    scene.add("acme", &["--repository-id", "74", "--owner-id", "65"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_35_an_issuer_is_one_that_its_own_configuration_names() {
    let scene = Scene::new().await;
    let _server = scene.serve();
    let (iss, keys) = (scene.forge.iss.clone(), scene.forge.keys());
    let private = "--private-issuer";
    let configured = |issuer: &str, jwks_uri: &str| {
        let document = json!({"issuer": issuer, "jwks_uri": jwks_uri});
        scene.forge.set(TestIssuer::CONFIGURATION, &document);
    };
    for (issuer, jwks_uri, reason) in [
        (format!("{iss}/"), keys.clone(), "is the configuration of the issuer"),
        (iss.clone(), keys.replace("https", "http"), "names no jwks_uri over https"),
        (iss.clone(), "https://evil.example/keys".to_owned(), "on another host"),
        (iss.clone(), format!("{iss}/nothing"), "answers 404"),
    ] {
        configured(&issuer, &jwks_uri);
        let said = scene.fails(&oidc(&iss, &[private]));
        assert!(said.contains(reason), "{reason}: {said}");
    }
    scene.forge.answer(TestIssuer::CONFIGURATION, Page::Redirect(keys.clone()));
    let said = scene.fails(&oidc(&iss, &[private]));
    assert!(said.contains("answers 302"), "{said}");
    configured(&iss, &keys);
    let said = scene.fails(&oidc(&iss, &[]));
    assert!(said.contains("the host localhost is in a private network"), "{said}");
    for (iss, reason) in [
        ("http://localhost:1", "is not an address like https://host/path"),
        ("https://127.0.0.1:1", "the host 127.0.0.1 is in a private network"),
        ("https://10.0.0.1", "the host 10.0.0.1 is in a private network"),
        ("https://169.254.169.254", "the host 169.254.169.254 is in a private network"),
        ("https://[::ffff:10.0.0.1]", "is in a private network"),
        ("https://token.actions.githubusercontent.com", "use 'nuthatch trust add github'"),
        ("https://gitlab.com", "use 'nuthatch trust add gitlab'"),
    ] {
        let said = scene.fails(&oidc(iss, &[]));
        assert!(said.contains(reason), "{iss}: {said}");
    }
    let little = ["trust", "add", "oidc", "--name", "o", "--id", "*", "--claim", "sub=robot"];
    let said = scene.fails(&[&little[..], &["--issuer", &iss, private]].concat());
    assert!(said.contains("name a claim besides iss, sub and aud"), "{said}");
    scene.done(&oidc(&iss, &[private]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_finds_keys_that_were_moved_and_issuers_that_are_gone() {
    let scene = Scene::new().await;
    let _server = scene.serve();
    let iss = scene.forge.iss.clone();
    scene.done(&oidc(&iss, &["--private-issuer"]));
    let checked = scene.done(&["trust", "check"]);
    assert_eq!(checked, format!("{iss}: 1 keys at {}\n", scene.forge.keys()));
    let moved = format!("{iss}/moved");
    scene.forge.set("/moved", &tokens::key_set(&[&K1]));
    let configuration = json!({"issuer": iss, "jwks_uri": moved});
    scene.forge.set(TestIssuer::CONFIGURATION, &configuration);
    let checked = scene.done(&["trust", "check"]);
    assert!(checked.contains(&format!("moved from {} to {moved}", scene.forge.keys())));
    assert_eq!(scene.done(&["trust", "check"]), format!("{iss}: 1 keys at {moved}\n"));
    scene.forge.answer(TestIssuer::CONFIGURATION, Page::Status(404));
    assert!(scene.fails(&["trust", "check"]).contains("1 issuers cannot be used"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_is_reached_in_the_open_gives_no_keys() {
    let scene = Scene::new().await;
    let server = Server::start_for(scene.data.path(), "http://packages.example.org");
    let login = http::Request::post("/api/v2/token").header("content-type", "application/json");
    let answer = server.send(login, "{}").await.expect(StatusCode::FORBIDDEN);
    assert!(answer.json()["error"].as_str().unwrap().contains("in the open"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_the_feed_knows_the_rows_of_trusts() {
    let scene = Scene::new().await;
    let mut server = scene.serve();
    scene.add("acme-release", &["--environment", "release"]);
    let feed = format!("http://{}", server.address);
    let login = http::Request::post("/api/v2/token").header("content-type", "application/json");
    let login = login.header("authorization", format!("Bearer {}", scene.token(&feed)));
    let body = json!({"username": "acme-release", "tokenType": "ApiKey"}).to_string();
    server.send(login, body).await.expect(StatusCode::OK);
    server.signal("TERM");
    assert!(server.wait().success());
    let checked = scene.run(&["check", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(found["problems"], json!([]), "{found}");
    assert_eq!(found["keys"], 2, "{found}");
}
