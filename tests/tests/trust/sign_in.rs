//! People who sign in at their company's issuer.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use http::StatusCode;
use nuthatch_tests::{PackageBuilder, Server, framed};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{K1, Scene, said};

/// A company's issuer, a feed on it with a package, and a person with settings of their own.
pub(crate) struct Company {
    pub(crate) scene: Scene,
    pub(crate) server: Server,
    pub(crate) feed: String,
}

/// The client by which people sign in.
const CLIENT: &str = "0oa1nuthatch";

impl Company {
    pub(crate) async fn new() -> Self {
        let scene = Scene::new().await;
        let server = scene.serve();
        let feed = format!("http://{}", server.address);
        let iss = &scene.forge.iss;
        scene.forge.set(
            "/.well-known/openid-configuration",
            &json!({
                "issuer": iss,
                "jwks_uri": scene.forge.keys(),
                "device_authorization_endpoint": format!("{iss}/device"),
                "token_endpoint": format!("{iss}/token"),
            }),
        );
        let page = format!("{iss}/activate");
        let code = json!({
            "device_code": "device-secret", "user_code": "ABCD-EFGH", "verification_uri": page,
            "expires_in": 600, "interval": 1,
        });
        scene.forge.set("/device", &code);
        let company = Self { scene, server, feed };
        let owner = company.server.owner.clone().unwrap();
        let (kind, body) = framed(&PackageBuilder::new("Acme.Core", "1.0.0").build());
        let push = http::Request::put("/api/v2/package/").header("content-type", kind);
        let push = push.header("x-nuget-apikey", owner);
        company.server.send(push, body).await.expect(StatusCode::CREATED);
        company
    }

    /// Trusts the developers of the company.
    #[track_caller]
    pub(crate) fn trust_developers(&self) -> String {
        let iss = self.scene.forge.iss.clone();
        let add = ["trust", "add", "people", "--name", "people", "--issuer", &iss];
        let more = ["--client-id", CLIENT, "--claim", "groups=developers", "--id", "*"];
        self.scene.done(&[&add[..], &more, &["--private-issuer"]].concat())
    }

    /// Has the issuer give the token of somebody in these groups.
    pub(crate) fn enter_code_as(&self, groups: &[&str], refresh: Option<&str>) {
        self.answer(&json!({"id_token": self.token(groups), "refresh_token": refresh}));
    }

    pub(crate) fn answer(&self, document: &Value) {
        self.scene.forge.set("/token", document);
    }

    fn token(&self, groups: &[&str]) -> String {
        let now = OffsetDateTime::now_utc();
        K1.sign(&json!({
            "iss": self.scene.forge.iss, "aud": CLIENT, "sub": "00u1", "email": "ann@acme.example",
            "groups": groups, "iat": now.unix_timestamp(), "exp": now.unix_timestamp() + 300,
            // So that no two tokens of a test are the same.
            "jti": now.unix_timestamp_nanos().to_string(),
        }))
    }

    /// The command as the person runs it.
    pub(crate) fn person(&self, mut command: Command) -> Command {
        command
            .env("NUTHATCH_CONFIG", self.scene.data.path().join("person"))
            .env("NUTHATCH_KEY_STORE", "file")
            .env("SSL_CERT_FILE", self.scene.forge.authority());
        command
    }

    pub(crate) fn login(&self, arguments: &[&str], typed: &str) -> Output {
        let mut login = self.person(self.scene.command(&["login", &self.feed]));
        let login = login.args(arguments).stdin(Stdio::piped());
        let mut login = login.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        login.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
        login.wait_with_output().unwrap()
    }

    /// The files of the person's settings, as one text.
    pub(crate) fn settings(&self, file: &str) -> String {
        let path = self.scene.data.path().join("person").join(file);
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// The key that is kept.
    pub(crate) fn key(&self) -> String {
        let keys: Value = serde_json::from_str(&self.settings("keys.json")).unwrap();
        keys[&self.feed]["key"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn may_read(&self, key: &str) -> StatusCode {
        let request = http::Request::get("/v3/package/acme.core/index.json");
        self.server.send(request.header("x-nuget-apikey", key), "").await.status
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_at_the_issuer_that_the_feed_names_and_they_confirm() {
    let company = Company::new().await;
    let told = said(&company.login(&[], "y\n"));
    assert!(told.contains("has no sign-in (nobody signs in to this feed"), "{told}");
    let told = company.trust_developers();
    assert!(told.contains("people who sign in as the client 0oa1nuthatch"), "{told}");
    assert!(told.contains("(read) that live 12h"), "{told}");
    company.enter_code_as(&["staff", "developers"], None);
    let refused = company.login(&[], "n\n");
    assert!(said(&refused).ends_with("nuthatch: not confirmed, so nothing was done\n"));
    assert_eq!(company.settings("sign-ins.json"), "");
    let signed_in = company.login(&[], "y\n");
    let told = said(&signed_in);
    assert!(signed_in.status.success(), "{told}");
    let iss = &company.scene.forge.iss;
    assert!(told.contains(&format!("at {iss} (as the client 0oa1nuthatch)")), "{told}");
    assert!(told.contains(&format!("open {iss}/activate and enter ABCD-EFGH")), "{told}");
    assert!(told.contains("Signed in to"), "{told}");
    assert_eq!(company.may_read(&company.key()).await, StatusCode::OK);
    assert!(!told.contains(&company.key()));
    assert!(!company.settings("sign-ins.json").contains(&company.key()));
    let log = company.scene.done(&["trust", "log", "people"]);
    assert!(log.contains("email=ann@acme.example"), "{log}");
    let out = company.person(company.scene.command(&["logout", &company.feed])).output().unwrap();
    assert!(out.status.success() && !company.settings("keys.json").contains("nuthatch_"));
    let out = company.person(company.scene.command(&["logout", &company.feed])).output().unwrap();
    assert!(said(&out).contains("is confirmed; run 'nuthatch login"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_without_the_claim_gets_no_key() {
    let company = Company::new().await;
    company.trust_developers();
    company.enter_code_as(&["staff"], None);
    let refused = company.login(&["--yes"], "");
    let refused = said(&refused);
    assert!(refused.contains("gives you no key; ask its owner for access"), "{refused}");
    company.answer(&json!({"error": "access_denied", "error_description": "the person said no"}));
    let refused = company.login(&["--yes"], "");
    assert!(said(&refused).contains("the issuer refuses the sign-in: the person said no"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_names_another_issuer_later_is_asked_about_again() {
    let company = Company::new().await;
    company.trust_developers();
    company.enter_code_as(&["developers"], None);
    assert!(company.login(&["--yes"], "").status.success());
    company.enter_code_as(&["developers"], None);
    assert!(company.login(&[], "").status.success(), "it is confirmed");
    let iss = company.scene.forge.iss.clone();
    let add = ["trust", "add", "people", "--name", "others", "--issuer", &iss, "--id", "*"];
    let more = ["--client-id", "another-client", "--everyone", "--private-issuer"];
    company.scene.done(&[&add[..], &more].concat());
    let told = said(&company.login(&[], ""));
    assert!(told.contains("as the client another-client") && told.contains("not confirmed"));
    company.scene.done(&["trust", "remove", "others"]);
    let told = said(&company.login(&[], ""));
    assert!(told.contains("has no sign-in"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_two_feeds_share_a_client() {
    let company = Company::new().await;
    company.trust_developers();
    company.enter_code_as(&["developers"], None);
    assert!(company.login(&["--yes"], "").status.success());
    // Another feed names the issuer, the client and the trust of the company's.
    let offer: Value = {
        let asked = http::Request::get("/api/v2/token");
        company.server.send(asked, "").await.expect(StatusCode::OK).json()
    };
    company.scene.forge.set("/feed/api/v2/token", &offer);
    let _ = company.scene.forge.asked();
    let other = format!("{}/feed", company.scene.forge.iss);
    let login = company.scene.command(&["login", &other, "--yes"]);
    let told = said(&company.person(login).output().unwrap());
    assert!(told.contains("each feed needs one of its own"), "{told}");
    assert!(told.contains(&format!("run 'nuthatch logout {}' first", company.feed)), "{told}");
    assert_eq!(company.scene.forge.asked(), ["/feed/api/v2/token"], "no token was made for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_one_issuer_is_not_sent_to_another() {
    let company = Company::new().await;
    company.trust_developers();
    company.enter_code_as(&["developers"], Some("refresh-secret"));
    assert!(company.login(&["--yes"], "").status.success());
    assert!(company.settings("keys.json").contains("refresh-secret"));
    let iss = company.scene.forge.iss.clone();
    let add = ["trust", "add", "people", "--name", "others", "--issuer", &iss, "--id", "*"];
    let more = ["--client-id", "another-client", "--everyone", "--private-issuer"];
    company.scene.done(&[&add[..], &more].concat());
    company.answer(&json!({"error": "access_denied"}));
    assert!(!company.login(&["--yes"], "").status.success());
    assert!(!company.settings("keys.json").contains("refresh-secret"), "it is forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trust_in_people_says_which() {
    let company = Company::new().await;
    let add = ["trust", "add", "people", "--name", "people", "--client-id", "c", "--id", "*"];
    let told = company.scene.fails(&[&add[..], &["--issuer", "https://issuer.example"]].concat());
    assert!(told.contains("--everyone"), "{told}");
    let audience = ["--issuer", "https://issuer.example", "--everyone", "--audience", "x"];
    let told = company.scene.fails(&[&add[..], &audience].concat());
    assert!(told.contains("leave out --audience 'x'"), "{told}");
    let github = ["--issuer", "https://token.actions.githubusercontent.com", "--everyone"];
    let told = company.scene.fails(&[&add[..], &github].concat());
    assert!(told.contains("have rules of their own; use 'nuthatch trust add github'"), "{told}");
}
